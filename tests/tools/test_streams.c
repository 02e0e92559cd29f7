/* Tables that are converted, drawn and scored a part at a time. */
#include "tools/command.h"

#include <weir/models.h>

#include <math.h>
#include <sys/resource.h>

enum { LONG = 140000 }; /* rows: more than two parts */

static void assert_same(const char *name, const char *other)
{
    char *one, *two;
    size_t bytes, more;
    ck_assert_int_eq(nf_file_read(scratch_path(name).text, &one, &bytes, NULL), AD_OK);
    ck_assert_int_eq(nf_file_read(scratch_path(other).text, &two, &more, NULL), AD_OK);
    ck_assert_uint_eq(bytes, more);
    ck_assert_mem_eq(one, two, bytes);
    ad_free(one);
    ad_free(two);
}

static nf_table read_table(const char *name)
{
    nf_table table;
    const nf_read_options options = {.labels = true, .missing = true};
    ck_assert_int_eq(nf_table_read_with(scratch_path(name).text, &options, &table, NULL), AD_OK);
    return table;
}

/* A line of the shell in the directory, where $W is the command; its exit status. */
static int shell(const char *line)
{
    char whole[4096];
    snprintf(whole, sizeof whole, "exec 2>%s/told; cd %s; W=%s; %s", scratch, scratch, WEIR_COMMAND, line);
    const int state = system(whole);
    slurp(scratch_path("told").text, complaint, sizeof complaint);
    unlink(scratch_path("told").text);
    ck_assert(WIFEXITED(state));
    return WEXITSTATUS(state);
}

/* ---- Converting ------------------------------------------------------------------------------------------------ */

START_TEST(there_and_back)
{
    static const char *const names[] = {"t.csv", "t.tsv", "t.txt"};
    SUCCEED("data", "moons", "-n", "1000", "-o", "m.npy");
    for (size_t i = 0; i < COUNT(names); i++) {
        SUCCEED("data", "convert", "m.npy", "-o", names[i]);
        SUCCEED("data", "convert", names[i], "-o", "back.npy");
        assert_same("m.npy", "back.npy");
    }
    SUCCEED("data", "convert", "t.csv", "-o", "again.csv");
    assert_same("t.csv", "again.csv");
    /* float32: digits for that, and the same numbers again */
    json_t *told = SUCCEED_JSON("data", "convert", "t.csv", "--dtype", "float32", "-o", "single.npy");
    ck_assert_str_eq(text_in(told, "dtype"), "float32");
    ck_assert_double_eq(number_in(told, "rows"), 1000);
    json_decref(told);
    SUCCEED("data", "convert", "single.npy", "-o", "single.csv");
    SUCCEED("data", "convert", "single.csv", "--dtype", "float32", "-o", "back.npy");
    assert_same("single.npy", "back.npy");
    ck_assert_int_eq(shell("$W data convert - -o - <t.csv >piped.csv 2>/dev/null"), 0);
    assert_same("t.csv", "piped.csv");
    ck_assert_int_eq(shell("cat m.npy | $W data convert - -o piped.csv"), 0);
    assert_same("t.csv", "piped.csv");
    ck_assert_int_eq(shell("cat t.csv | $W data convert - -o piped.npy"), 0);
    assert_same("m.npy", "piped.npy");
}
END_TEST

static const char texts[] = "city,x,x\nUlm,1,\n\"Bad \"\"Ems\"\", am Rhein\",2.5,7\n,NA,8\n";

START_TEST(texts_and_missing_values)
{
    write_text("t.csv", texts);
    SUCCEED("data", "convert", "t.csv", "-o", "t.tsv");
    assert_contains(complaint, "columns 2 and 3 are both named 'x'");
    nf_table from = read_table("t.csv"), to = read_table("t.tsv");
    ck_assert_str_eq(to.names[2], "x.2");
    ck_assert_str_eq(to.labels[0][0], from.labels[0][0]);
    for (size_t i = 0; i < 9; i++)
        ck_assert(from.values[i] == to.values[i] || (isnan(from.values[i]) && isnan(to.values[i])));
    nf_table_free(&from);
    nf_table_free(&to);
    ck_assert_int_eq(RUN("data", "convert", "t.csv", "-o", "t.npy"), 1);
    assert_contains(complaint,
                    "column 1 ('city') holds text, for which an array has no place: leave it out with --drop 1");
    ck_assert(!exists("t.npy"));
    SUCCEED("data", "convert", "t.csv", "--drop", "city", "-o", "t.npy");
    to = read_table("t.npy");
    ck_assert_uint_eq(to.columns, 2);
    ck_assert(to.values[0] == 1 && isnan(to.values[1]) && to.values[2] == 2.5 && isnan(to.values[4]));
    nf_table_free(&to);
    SUCCEED("data", "convert", "t.csv", "--header", "no", "-o", "rows.csv");
    to = read_table("rows.csv");
    ck_assert_uint_eq(to.columns, 3);
    nf_table_free(&to);
    ck_assert_int_eq(RUN("data", "convert", "t.csv", "--drop", "1,2,3", "-o", "t.npy"), 2);
    assert_contains(complaint, "no column of t.csv is left");
    ck_assert_int_eq(RUN("data", "convert", "t.csv", "--drop", "age", "-o", "t.npy"), 2);
    assert_contains(complaint, "has no column 'age'");
}
END_TEST

static void write_turning(void)
{
    FILE *file = fopen(scratch_path("t.csv").text, "wb");
    fputs("n,x\n", file);
    for (int r = 0; r < LONG; r++) fprintf(file, "%d,%s\n", r, r == LONG - 2 ? "late" : "0070000");
    fclose(file);
}

/* A column that turns to text far behind: its numbers are texts from the first row on. */
START_TEST(a_column_that_turns_to_text)
{
    write_turning();
    SUCCEED("data", "convert", "t.csv", "-o", "back.csv");
    assert_same("t.csv", "back.csv");
    ck_assert_int_eq(RUN("data", "convert", "t.csv", "-o", "t.npy"), 1);
    assert_contains(complaint, "t.csv:140000:2: 'late' is text");
    ck_assert_int_eq(shell("cat t.csv | $W data convert - -o piped.csv"), 1);
    assert_contains(complaint, ":140000:2: 'late' is text");
    ck_assert_int_eq(scratch_files(false), 2);
}
END_TEST

START_TEST(float32_has_a_range)
{
    write_text("t.csv", "1,2\n3,1e300\n");
    ck_assert_int_eq(RUN("data", "convert", "t.csv", "--dtype", "float32", "-o", "t.npy"), 1);
    assert_contains(complaint, "row 2, column 2 is 1e+300, which float32 can't hold: say --dtype float64");
    ck_assert_int_eq(shell("mkfifo p.npy; exec 3<>p.npy; $W data convert t.csv -o p.npy"), 2);
    assert_contains(complaint, "a .npy begins with the number of its rows");
    write_text("t.csv", "1,2\n3,inf\n");
    SUCCEED("data", "convert", "t.csv", "--dtype", "float32", "-o", "t.npy");
}
END_TEST

/* ---- Drawing and scoring --------------------------------------------------------------------------------------- */

#define LONG_TEXT "140000"

/* As by one call of the library. */
START_TEST(samples_in_parts)
{
    make_model();
    SUCCEED("sample", "moons.safetensors", "-n", LONG_TEXT, "--seed", "4", "-o", "s.npy");
    nf_table drawn = read_table("s.npy");
    ck_assert_uint_eq(drawn.rows, LONG);
    nf_flow *flow = nf_load(scratch_path("moons.safetensors").text, NULL, NULL);
    double *x = malloc(LONG * 2 * sizeof *x), *log_prob = malloc(LONG * sizeof *log_prob);
    ck_assert_int_eq(nf_sample(flow, NULL, LONG, 4, x, NULL, NULL, NULL), AD_OK);
    ck_assert_mem_eq(drawn.values, x, LONG * 2 * sizeof *x);
    nf_table_free(&drawn);
    SUCCEED("sample", "moons.safetensors", "-n", LONG_TEXT, "--seed", "4", "-o", "s.csv");
    SUCCEED("data", "convert", "s.npy", "-o", "converted.csv");
    assert_same("s.csv", "converted.csv");

    json_t *of_array = SUCCEED_JSON("logprob", "moons.safetensors", "s.npy", "-o", "p.npy");
    json_t *of_text = SUCCEED_JSON("logprob", "moons.safetensors", "s.csv", "-o", "p.csv");
    nf_table scored = read_table("p.npy");
    ck_assert_int_eq(nf_log_prob(flow, x, NULL, LONG, log_prob, NULL, NULL), AD_OK);
    ck_assert_mem_eq(scored.values, log_prob, LONG * sizeof *log_prob);
    double sum = 0;
    size_t lowest = 0;
    for (size_t r = 0; r < LONG; r++) {
        sum += log_prob[r];
        if (log_prob[r] < log_prob[lowest]) lowest = r;
    }
    ck_assert_double_eq_tol(number_in(of_array, "nll"), -sum / LONG, 1e-12);
    ck_assert_double_eq(number_in(of_text, "nll"), number_in(of_array, "nll"));
    const json_t *outlier = json_array_get(member(of_array, "outliers"), 0);
    ck_assert_double_eq(number_in(outlier, "row"), (double)lowest + 1);
    ck_assert(json_equal(member(of_array, "outliers"), member(of_text, "outliers")));
    json_decref(of_text);
    json_decref(of_array);
    nf_table_free(&scored);
    nf_flow_free(flow);
    free(log_prob);
    free(x);
}
END_TEST

static void make_mixed(void)
{
    FILE *file = fopen(scratch_path("mixed.csv").text, "wb");
    fputs("y,visits,age,city\n", file);
    for (int r = 0; r < 200; r++)
        fprintf(file, "%s,%d,%.3f,%s\n", r % 9 ? "1.5" : "", r * r % 7, 40 + 20 * sin(r), r % 2 ? "Oslo" : "Bonn");
    fclose(file);
    SUCCEED("fit", "mixed.csv", "--context", "age", "--flow", "maf(4)", "--epochs", "1", "-o", "m.st");
}

/* Contexts in turn, whole numbers, labels and missing values; a part's noise is that of the whole table's rows. */
START_TEST(mixed_columns_in_parts)
{
    make_mixed();
    write_text("ages.csv", "age\n30\n40\n50\n");
    SUCCEED("sample", "m.st", "--context", "ages.csv", "-n", "70000", "-o", "s.csv");
    nf_table drawn = read_table("s.csv");
    ck_assert_uint_eq(drawn.rows, 70000);
    ck_assert_uint_eq(drawn.columns, 4);
    for (size_t r = 0; r < drawn.rows; r++) ck_assert_double_eq(drawn.values[4 * r + 3], 30 + 10 * (double)(r % 3));
    nf_table_free(&drawn);
    SUCCEED("logprob", "m.st", "s.csv", "-o", "p.npy");
    /* A part that begins elsewhere: other rows ahead of the same ones move their noise. */
    nf_flow *flow;
    char *record = NULL;
    flow = nf_load(scratch_path("m.st").text, &record, NULL);
    json_t *kinds = json_loads(record, 0, NULL);
    nf_columns *columns = nf_columns_parse(text_in(kinds, "kinds"), NULL);
    ck_assert_ptr_nonnull(columns);
    nf_table whole = read_table("s.csv"), scored = read_table("p.npy");
    nf_table features = {
        .rows = 70000, .columns = 3, .values = malloc(70000 * 3 * sizeof(double)), .labels = whole.labels};
    double *context = malloc(70000 * sizeof *context), *log_prob = malloc(70000 * sizeof *log_prob);
    nf_columns *given = nf_columns_parse(text_in(kinds, "context_kinds"), NULL);
    nf_table ages = {.rows = 70000, .columns = 1, .values = malloc(70000 * sizeof(double))};
    for (size_t r = 0; r < 70000; r++) {
        for (size_t c = 0; c < 3; c++) features.values[3 * r + c] = whole.values[4 * r + c];
        ages.values[r] = whole.values[4 * r + 3];
    }
    ck_assert_int_eq(nf_columns_encode(given, &ages, 0, 0, context, NULL, NULL), AD_OK);
    ck_assert_int_eq(
        nf_columns_log_prob(columns, flow, context, &features, 0, UINT64_C(0x6e6f697365), log_prob, NULL, NULL), AD_OK);
    ck_assert_mem_eq(scored.values, log_prob, 70000 * sizeof *log_prob);
    free(ages.values);
    free(features.values);
    free(context);
    free(log_prob);
    nf_table_free(&whole);
    nf_table_free(&scored);
    nf_columns_free(given);
    nf_columns_free(columns);
    json_decref(kinds);
    ad_free(record);
    nf_flow_free(flow);
}
END_TEST

/* What is odd is told with its row's number in the file, once, and counted over all parts. */
START_TEST(warnings_count_all_rows)
{
    FILE *file;
    make_mixed();
    file = fopen(scratch_path("odd.csv").text, "wb");
    fputs("y,visits,age,city\n", file);
    for (int r = 0; r < LONG; r++)
        fprintf(file, "1.5,%s,%d,Oslo\n", r == 70001 || r == LONG - 1 ? "2.5" : "2", r == 80000 ? 99 : 40);
    fclose(file);
    SUCCEED("logprob", "m.st", "odd.csv");
    assert_contains(complaint, "row 70002, column 'visits': 2.5 is no whole number");
    assert_contains(complaint, "so it is with a value in 2 rows");
    assert_contains(complaint, "1 row with a context beyond those of the training; row 80001, column 'age': 99");
    file = fopen(scratch_path("odd.csv").text, "ab");
    fputs("1.5,2,inf,Oslo\n", file);
    fclose(file);
    ck_assert_int_eq(RUN("logprob", "m.st", "odd.csv", "-o", "p.npy"), 1);
    assert_contains(complaint, "row 140001, column 3 ('age') is infinite");
    ck_assert(!exists("p.npy"));
}
END_TEST

/* Of which no standard error is known. */
START_TEST(one_row)
{
    make_model();
    SUCCEED("sample", "moons.safetensors", "-n", "1", "-o", "one.csv");
    SUCCEED("logprob", "moons.safetensors", "one.csv");
    assert_contains(output, "of the only row of one.csv");
    ck_assert_ptr_null(strstr(output, "nan"));
    json_t *score = SUCCEED_JSON("logprob", "moons.safetensors", "one.csv");
    ck_assert(json_is_null(member(score, "nll_stderr")));
    json_decref(score);
}
END_TEST

/* ---- Ends ------------------------------------------------------------------------------------------------------ */

/* Address space for the command, but not for so many rows at once, and a disk that is full halfway. */
START_TEST(memory_is_constant)
{
    make_model();
    ck_assert_int_eq(shell("$W sample moons.safetensors -n 3000 --threads 1 -o small.npy && "
                           "(ulimit -v 200000; $W sample moons.safetensors -n 4000000 --threads 1 -o s.npy) && "
                           "(ulimit -v 200000; $W logprob moons.safetensors s.npy --threads 1 -o p.npy >&2)"),
                     0);
    assert_contains(complaint, "mean over 4000000 rows");
}
END_TEST

START_TEST(a_full_disk_leaves_nothing)
{
    make_model();
    ck_assert_int_eq(shell("ulimit -f 500; $W sample moons.safetensors -n 100000000 -o s.npy"), 1);
    assert_contains(complaint, "cannot write 's.npy'");
    ck_assert_int_eq(shell("ulimit -f 500; $W sample moons.safetensors -n 100000000 -o s.csv"), 1);
    assert_contains(complaint, "cannot write 's.csv'");
    ck_assert_int_eq(scratch_files(false), 2);
}
END_TEST

/* Bytes, as the system counts them. */
static unsigned long long written_by(pid_t process)
{
    char path[64], text[1024];
    unsigned long long bytes = 0;
    snprintf(path, sizeof path, "/proc/%d/io", (int)process);
    slurp(path, text, sizeof text);
    ck_assert_int_eq(sscanf(strstr(text, "wchar:"), "wchar: %llu", &bytes), 1);
    return bytes;
}

START_TEST(an_interrupt_leaves_nothing)
{
    make_model();
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) become_command(WORDS("sample", "moons.safetensors", "-n", "200000000", "-o", "s.npy"));
    while (written_by(child) < 1000000) usleep(1000);
    kill(child, SIGINT);
    int state;
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert(WIFSIGNALED(state));
    ck_assert_int_eq(WTERMSIG(state), SIGINT);
    ck_assert_int_eq(scratch_files(false), 2);
}
END_TEST

Suite *streams_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("streams", &tests);
    tcase_add_test(tests, there_and_back);
    tcase_add_test(tests, texts_and_missing_values);
    tcase_add_test(tests, a_column_that_turns_to_text);
    tcase_add_test(tests, float32_has_a_range);
    tcase_add_test(tests, samples_in_parts);
    tcase_add_test(tests, mixed_columns_in_parts);
    tcase_add_test(tests, warnings_count_all_rows);
    tcase_add_test(tests, one_row);
    tcase_add_test(tests, memory_is_constant);
    tcase_add_test(tests, a_full_disk_leaves_nothing);
    tcase_add_test(tests, an_interrupt_leaves_nothing);
    return suite;
}
