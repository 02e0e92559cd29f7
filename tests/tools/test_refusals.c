/* What the weir command refuses: one line, and no file that wasn't there before. */
#include <weir/models.h>
#include "tools/command.h"

static const struct {
    const char *text; /* of bad.csv; NULL: there is none */
    const char *parts[3];
    bool fits; /* what is missing can be fitted to */
} bad_tables[] = {
    {NULL, {"bad.csv", "No such file"}},
    {"", {"bad.csv", "empty"}},
    {"a,b\n", {"bad.csv"}},
    {"1,2\n3,4\n5\n", {"bad.csv:3"}},
    {"1,2\n3,4,5\n", {"bad.csv:2"}},
    {"1,2\n3,4\n5,six\n", {"bad.csv", "row 3, column 2", "'six' is not a number"}},
    {"1,2\n,4\n", {"bad.csv", "row 2, column 1", "missing"}, true},
    {"1,2\n3,nan\n", {"bad.csv", "row 2", "NaN"}, true},
    {"1,2\n3,4\n-inf,4\n", {"bad.csv", "row 3, column 1", "infinit"}},
    {"1,2\n3,4\n-1e400,4\n", {"bad.csv:3:1", "'-1e400' is beyond float64"}},
};

/* A refusal: status 1, one line with these parts, nothing on standard output, and no other files than before. */
static void assert_refused(const char *const words[], const char *const parts[3])
{
    int before = scratch_files(false);
    int status = run_words(words);
    ck_assert_msg(status == 1, "weir %s: exit status %d: %s", words[1], status, complaint);
    ck_assert_str_eq(output, "");
    ck_assert_msg(lines(complaint) == 1, "not one line: %s", complaint);
    ck_assert_int_eq(strncmp(complaint, "weir ", 5), 0);
    for (size_t i = 0; i < 3 && parts[i]; i++) assert_contains(complaint, parts[i]);
    ck_assert_int_eq(scratch_files(false), before);
}

#define REFUSED(words, ...) assert_refused(words, (const char *const[3]){__VA_ARGS__})

START_TEST(bad_table)
{
    make_model();
    if (bad_tables[_i].text) write_text("bad.csv", bad_tables[_i].text);
    if (!bad_tables[_i].fits) assert_refused(WORDS("fit", "bad.csv", "-o", "m.safetensors"), bad_tables[_i].parts);
    assert_refused(WORDS("logprob", "moons.safetensors", "bad.csv", "-o", "logp.npy"), bad_tables[_i].parts);
    assert_refused(WORDS("plot", "moons.safetensors", "--data", "bad.csv", "-o", "m.png"), bad_tables[_i].parts);
}
END_TEST

START_TEST(truncated_array)
{
    char bytes[1 << 14];
    SUCCEED("data", "moons", "-n", "100", "-o", "moons.npy");
    size_t size = slurp(scratch_path("moons.npy").text, bytes, sizeof bytes);
    for (size_t kept = 0; kept < size; kept += 61) {
        scratch_write("cut.npy", bytes, kept);
        REFUSED(WORDS("fit", "cut.npy", "-o", "m.safetensors"), "cut.npy");
    }
}
END_TEST

START_TEST(wrong_number_of_columns)
{
    make_model();
    write_text("three.csv", "1,2,3\n4,5,6\n");
    REFUSED(WORDS("logprob", "moons.safetensors", "three.csv", "-o", "l.npy"), "three.csv has 3 columns",
            "moons.safetensors", "2 features");
    write_text("one.csv", "1\n2\n");
    REFUSED(WORDS("logprob", "moons.safetensors", "one.csv", "-o", "l.npy"), "one.csv has 1 column,");
    SUCCEED("fit", "three.csv", "--context", "3", "--flow", "maf(4)", "--epochs", "1", "-o", "c.safetensors");
    REFUSED(WORDS("logprob", "c.safetensors", "one.csv", "-o", "l.npy"), "one.csv has 1 column,",
            "needs 3: 2 columns and a context of 1");
    REFUSED(WORDS("plot", "moons.safetensors", "--data", "three.csv", "-o", "p.png"), "three.csv has 3 columns");
}
END_TEST

static void assert_no_model(const char *name, const char *part)
{
    write_text("points.csv", "0,1\n");
    REFUSED(WORDS("info", name), name, part);
    REFUSED(WORDS("sample", name, "-o", "s.npy"), name, part);
    REFUSED(WORDS("logprob", name, "points.csv", "-o", "l.npy"), name, part);
    REFUSED(WORDS("plot", name, "-o", "p.png"), name, part);
}

START_TEST(bad_models)
{
    make_model();
    assert_no_model("missing.safetensors", "No such file");
    assert_no_model("moons.npy", "safetensors");
    char bytes[1 << 16], header[1 << 12];
    slurp(golden_path("python.safetensors").text, bytes, sizeof bytes);
    assert_no_model(golden_path("python.safetensors").text, "not one of Weir's");
    size_t size = slurp(scratch_path("moons.safetensors").text, bytes, sizeof bytes);
    ck_assert_uint_lt(size, sizeof bytes - 1);
    for (size_t kept = 0; kept < size; kept += size / 20 + 1) {
        scratch_write("cut.safetensors", bytes, kept);
        REFUSED(WORDS("info", "cut.safetensors"), "cut.safetensors");
    }
    scratch_write("long.safetensors", bytes, size + 1);
    REFUSED(WORDS("info", "long.safetensors"), "long.safetensors");
    memcpy(header, bytes, sizeof header);
    for (size_t bit = 0; bit < 72; bit++) { /* the length, and the opening brace */
        bytes[bit / 8] = (char)(header[bit / 8] ^ (1 << bit % 8));
        scratch_write("flip.safetensors", bytes, size);
        REFUSED(WORDS("info", "flip.safetensors"), "flip.safetensors");
        bytes[bit / 8] = header[bit / 8];
    }
    /* Farther on, text may change into other valid text. */
    for (size_t byte = 9; byte < 600; byte += 5) {
        bytes[byte] = (char)(header[byte] ^ 1 << byte % 7);
        scratch_write("flip.safetensors", bytes, size);
        int status = RUN("info", "flip.safetensors");
        ck_assert_int_le(status, 1);
        if (status) assert_contains(complaint, "flip.safetensors");
        bytes[byte] = header[byte];
    }
}
END_TEST

START_TEST(unwritable_output)
{
    make_model();
    REFUSED(WORDS("data", "moons", "-o", "no/where.npy"), "no/where.npy");
    REFUSED(WORDS("fit", "moons.npy", "--epochs", "1000000", "-o", "no/where.safetensors"), "no/where.safetensors");
    REFUSED(WORDS("sample", "moons.safetensors", "-o", "no/where.npy"), "no/where.npy");
    REFUSED(WORDS("logprob", "moons.safetensors", "moons.npy", "-o", "no/where.npy"), "no/where.npy");
    REFUSED(WORDS("plot", "moons.safetensors", "-o", "no/where.png"), "no/where.png");
    REFUSED(WORDS("demo", "moons", "-o", "no/where"), "no/where");
    REFUSED(WORDS("demo", "moons", "-o", "moons.npy"), "moons.npy");
    REFUSED(WORDS("sample", "moons.safetensors", "-n", "10", "-o", "/dev/full"), "/dev/full");
}
END_TEST

/* By whatever way it is reached: nothing is read, and nothing is written. */
static void assert_output_refused(const char *const words[], const char *input)
{
    char before[1 << 16], after[1 << 16];
    size_t bytes = slurp(scratch_path(input).text, before, sizeof before);
    ck_assert_msg(run_words(words) == 2, "weir %s: %s", words[1], complaint);
    ck_assert_str_eq(output, "");
    assert_contains(complaint, "is the input");
    assert_contains(complaint, "give another name");
    ck_assert_uint_eq(slurp(scratch_path(input).text, after, sizeof after), bytes);
    ck_assert_mem_eq(before, after, bytes);
}

START_TEST(output_is_input)
{
    make_model();
    write_text("points.csv", "x,y\n0,1\n");
    write_text("c.csv", "a,b,c\n1,2,3\n4,5,7\n6,1,2\n");
    SUCCEED("fit", "c.csv", "--context", "c", "--flow", "maf(4)", "--epochs", "1", "-o", "c.safetensors");
    write_text("context.csv", "c\n3\n");
    ck_assert_int_eq(symlink("points.csv", scratch_path("soft.csv").text), 0);
    ck_assert_int_eq(link(scratch_path("points.csv").text, scratch_path("hard.csv").text), 0);
    assert_output_refused(WORDS("fit", "moons.npy", "-o", "./moons.npy"), "moons.npy");
    assert_output_refused(WORDS("logprob", "moons.safetensors", "points.csv", "-o", "points.csv"), "points.csv");
    assert_output_refused(WORDS("logprob", "moons.safetensors", "points.csv", "-o", "soft.csv"), "points.csv");
    assert_output_refused(WORDS("logprob", "moons.safetensors", "soft.csv", "-o", "hard.csv"), "points.csv");
    assert_output_refused(WORDS("logprob", "moons.safetensors", "points.csv", "-o", "moons.safetensors"),
                          "moons.safetensors");
    assert_output_refused(WORDS("sample", "c.safetensors", "--context", "context.csv", "-o", "context.csv"),
                          "context.csv");
    assert_output_refused(WORDS("sample", "c.safetensors", "--context", "3", "-o", "c.safetensors"), "c.safetensors");
    assert_output_refused(WORDS("plot", "moons.safetensors", "--data", "points.csv", "-o", "points.csv"), "points.csv");
    assert_output_refused(WORDS("nuts", "pot1", "--flow", "moons.safetensors", "-o", "moons.safetensors"),
                          "moons.safetensors");
    SUCCEED("sample", "c.safetensors", "--context", "context.csv", "-n", "3", "-o", "draws.csv");
}
END_TEST

static const struct {
    const char *formula, *part;
    int column; /* of the caret; -1: any */
} bad_formulas[] = {
    {"maf(128,128)-flop", "flop", 13}, {"maf(128", "", 7}, {"(flip-flip", "", 10}, {"flip*0", "", 5},
    {"maf(hidden=3)", "hidden", 4},    {"flip)", "", 4},
};

START_TEST(bad_formula)
{
    write_text("data.csv", "1,2\n3,4\n5,7\n");
    const char *formula = bad_formulas[_i].formula;
    const char *const *runs[] = {WORDS("fit", "data.csv", "--flow", formula, "-o", "m.safetensors"),
                                 WORDS("check", formula, "--dim", "2")};
    for (size_t i = 0; i < COUNT(runs); i++) {
        ck_assert_int_eq(run_words(runs[i]), 2);
        ck_assert_str_eq(output, "");
        assert_contains(complaint, bad_formulas[_i].part);
        /* The formula on a line of its own, and a caret under the fault. */
        char *line = strstr(complaint, formula), *caret = strstr(complaint, "^");
        while (line && line > complaint && strchr(line, '\n') && line[-1] != '\n' && line[-1] != ' ')
            line = strstr(line + 1, formula);
        ck_assert_ptr_nonnull(line);
        ck_assert_ptr_nonnull(caret);
        char *line_start = line, *caret_start = caret;
        while (line_start > complaint && line_start[-1] != '\n') line_start--;
        while (caret_start > complaint && caret_start[-1] != '\n') caret_start--;
        ck_assert_int_eq((caret - caret_start) - (line - line_start), bad_formulas[_i].column);
    }
    ck_assert_int_eq(scratch_files(false), 1);
}
END_TEST

/* What can't be done is said before anything is begun. */
START_TEST(beyond_reach)
{
    make_model();
    /* To a size_t of 32 bits so many rows are no count, and disks have room for fewer. */
    if (SIZE_MAX > UINT32_MAX) {
        REFUSED(WORDS("sample", "moons.safetensors", "-n", "1000000000000000", "-o", "s.npy"), "s.npy",
                "takes at least", "GB free");
        REFUSED(WORDS("sample", "moons.safetensors", "-n", "1000000000000000", "-o", "s.csv"), "s.csv", "GB free");
    }
    write_text("big.csv", "1,2\n3,4\n1e400,4\n");
    REFUSED(WORDS("data", "convert", "big.csv", "-o", "big.npy"), "big.csv:3:1", "'1e400' is beyond float64");
    ck_assert_int_eq(RUN("fit", "moons.npy", "--dequantization", "uniform", "--flow", "lu", "-o", "m.safetensors"), 2);
    assert_contains(complaint, "--dequantization is of images");
    ck_assert_int_eq(RUN("check", "dequantize(flip)-flip", "--dim", "3"), 2);
    ck_assert_int_eq(RUN("check", "dequantize(flip)", "--dim", "3"), 2);
    assert_contains(complaint, "dequantize adds noise, so that it has no inverse to check");
}
END_TEST

Suite *refusals_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("refusals", &tests);
    tcase_add_loop_test(tests, bad_table, 0, COUNT(bad_tables));
    tcase_add_test(tests, truncated_array);
    tcase_add_test(tests, wrong_number_of_columns);
    tcase_add_test(tests, bad_models);
    tcase_add_test(tests, unwritable_output);
    tcase_add_test(tests, output_is_input);
    tcase_add_test(tests, beyond_reach);
    tcase_add_loop_test(tests, bad_formula, 0, COUNT(bad_formulas));
    return suite;
}
