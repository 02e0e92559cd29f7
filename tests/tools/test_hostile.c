/* Files that are after memory, time or the terminal of whoever opens them: model files of any content. */
#include "sanitized.h"
#include "tools/command.h"

#include <stdint.h>
#include <sys/resource.h>

enum { MOST_KB = 100000 };

/* ---- Files ------------------------------------------------------------------------------------------------------- */

/* The header is text between these, with `middle` in it `count` times, separated by commas. */
static void write_header(const char *begin, const char *middle, size_t count, const char *end)
{
    FILE *file = fopen(scratch_path("m.safetensors").text, "wb");
    ck_assert_ptr_nonnull(file);
    const uint64_t length = strlen(begin) + count * strlen(middle) + (count > 0 ? count - 1 : 0) + strlen(end);
    fwrite(&length, sizeof length, 1, file);
    fputs(begin, file);
    for (size_t i = 0; i < count; i++) fprintf(file, "%s%s", i ? "," : "", middle);
    fputs(end, file);
    ck_assert_int_eq(fclose(file), 0);
}

#define MODEL(formula, dim, context)                                                                                   \
    "{\"__metadata__\":{\"format\":\"weir-flow-1\",\"dtype\":\"float64\",\"dim\":\"" dim "\",\"context\":\"" context   \
    "\",\"formula\":\"" formula "\""

/* A flow without parameters, with a record. */
static void write_record(const char *record)
{
    json_t *text = json_string(record);
    char *quoted = json_dumps(text, JSON_ENCODE_ANY);
    ck_assert_ptr_nonnull(quoted);
    write_header(MODEL("flip", "2", "0") ",\"training\":", quoted, 1, "}}");
    free(quoted);
    json_decref(text);
}

/* A status; what was told is in complaint, and the most memory that it had is in *kilobytes. */
static int run_measured(const char *const words[], long *kilobytes)
{
    int status = run_words(words);
    struct rusage usage;
    ck_assert_int_eq(getrusage(RUSAGE_CHILDREN, &usage), 0);
    *kilobytes = usage.ru_maxrss;
    return status;
}

static void assert_modest(const char *const words[], int expected)
{
    long kilobytes;
    int status = run_measured(words, &kilobytes);
    ck_assert_msg(expected < 0 || status == expected, "weir %s: exit status %d: %s", words[1], status, complaint);
    ck_assert_msg(SANITIZED || kilobytes < MOST_KB, "weir %s: %ld kB", words[1], kilobytes);
}

/* No command takes much memory before it refuses the file. */
static void assert_all_refuse(void)
{
    write_text("two.csv", "1,2\n3,4\n");
    assert_modest(WORDS("info", "m.safetensors"), 1);
    assert_modest(WORDS("sample", "m.safetensors", "-n", "10", "-o", "s.csv"), 1);
    assert_modest(WORDS("logprob", "m.safetensors", "two.csv"), 1);
    assert_modest(WORDS("plot", "m.safetensors", "-o", "p.svg"), 1);
    assert_contains(complaint, "m.safetensors");
    ck_assert_int_eq(scratch_files(false), 2);
}

/* ---- Formulas ---------------------------------------------------------------------------------------------------- */

#define ALL_60000 "1-60000"

/* What each has in the middle so many times, where it is said. */
static const struct {
    const char *begin, *middle;
    size_t count;
    const char *end;
} formulas[] = {
    {MODEL("maf(12000,12000)", "2", "0") "}}", "", 0, ""},
    {MODEL("iaf(12000,12000)", "2", "0") "}}", "", 0, ""},
    {MODEL("realnvp(12000,12000,network=residual)", "2", "0") "}}", "", 0, ""},
    {MODEL("coupling(60000,60000,transformer=rational_quadratic(bins=60))", "9", "0") "}}", "", 0, ""},
    {MODEL("loc*300", "1000000", "0") "}}", "", 0, ""},
    {MODEL("loc*100000", "50000", "0") "}}", "", 0, ""},
    {MODEL("affine*100", "3000", "0") "}}", "", 0, ""},
    {MODEL("lu", "60000", "0") "}}", "", 0, ""},
    {MODEL("whiten", "60000", "0") "}}", "", 0, ""},
    {MODEL("sylvester(60000)", "60000", "0") "}}", "", 0, ""},
    {MODEL("marginal*40", "60000", "0") "}}", "", 0, ""},
    {MODEL("gaussian_mixture(components=1000):flip", "1000", "0") "}}", "", 0, ""},
    {MODEL("mixture(components=60000):flip", "60000", "0") "}}", "", 0, ""},
    {MODEL("mixture_of(", "2", "0"), "", 0, ""}, /* the text ends early */
    {MODEL("invert(on([1-60000],maf(12000)))", "60000", "0") "}}", "", 0, ""},
    {MODEL("maf(60000)", "2", "60000") "}}", "", 0, ""},
    {MODEL("maf(100)", "2", "1000000") "}}", "", 0, ""},
    {MODEL("flip", "1000000", "0") "}}", "", 0, ""},
    {MODEL("flip*1000000", "2", "0") "}}", "", 0, ""},
    {MODEL("flip*100000", "60000", "0") "}}", "", 0, ""},
    {MODEL("permute(order=[1-60000])*1000", "60000", "0") "}}", "", 0, ""},
    {"{\"__metadata__\":{\"format\":\"weir-flow-1\",\"dtype\":\"float32\",\"dim\":\"60000\",\"formula\":\"permute("
     "order=[",
     ALL_60000, 150, "])\"}}"},
    {"{\"__metadata__\":{\"format\":\"weir-flow-1\",\"dtype\":\"float32\",\"dim\":\"1000000\",\"formula\":\"permute("
     "order=[",
     "1-1000000", 150, "])\"}}"},
    {"{\"__metadata__\":{\"format\":\"weir-flow-1\",\"dtype\":\"float32\",\"dim\":\"60000\",\"formula\":\"on([1-60000]",
     "on([1-60000]", 60, ",loc))))))))\"}}"},
    {"{\"__metadata__\":{\"format\":\"weir-flow-1\",\"dtype\":\"float32\",\"dim\":\"2\",\"formula\":\"loc-invert([1]",
     "invert(", 200000, "loc\"}}"},
};

START_TEST(formula)
{
    write_header(formulas[_i].begin, formulas[_i].middle, formulas[_i].count, formulas[_i].end);
    assert_all_refuse();
}
END_TEST

/* Sizes are digits: what strtoull makes of a sign or of blanks is none, and may be what the tensors agree with. */
static const char *const sizes[] = {"-18446744073709551615", "+1", " 1", "1 ", "", "18446744073709551617", "1.", "0x1"};

START_TEST(size)
{
    char header[400];
    for (int of_context = 0; of_context < 2; of_context++) {
        snprintf(header, sizeof header,
                 "{\"__metadata__\":{\"format\":\"weir-flow-1\",\"dtype\":\"float64\",\"dim\":\"%s\","
                 "\"context\":\"%s\",\"formula\":\"flip\"}}",
                 of_context ? "1" : sizes[_i], of_context ? sizes[_i] : "1");
        write_header(header, "", 0, "");
        assert_modest(WORDS("info", "m.safetensors"), 1);
        assert_contains(complaint, "bad metadata");
    }
}
END_TEST

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

enum { BYTES = 10000000 };

static const struct {
    const char *begin, *middle, *end;
} headers[] = {
    {"{\"a\":[", "{}", "]}"},
    {"{\"a\":[", "[]", "]}"},
    {"{\"a\":[", "1", "]}"},
    {"{\"a\":", "[{", "}"},
    {"{\"__metadata__\":{\"a\":\"", "\\u0041", "\"}}"},
    {"{\"__metadata__\":{\"a\":[", "{}", "]}}"},
    {"{", "\"a\":1", "}"},
    {"{", "\"a\"", "}"},
    {"{", ",", "}"},
    {MODEL("flip", "2", "0") ",\"training\":\"{\\\"a\\\":[", "{}", "]}\"}}"},
    {MODEL("flip", "2", "0") ",\"training\":\"{\\\"a\\\":[", "1", "]}\"}}"},
    {MODEL("flip", "2", "0") ",\"training\":\"{\\\"kinds\\\":\\\"{\\\\\\\"version\\\\\\\":1,\\\\\\\"columns\\\\\\\":[",
     "{}", "]}\\\"}\"}}"},
};

START_TEST(values)
{
    write_header(headers[_i].begin, headers[_i].middle, BYTES / (strlen(headers[_i].middle) + 1), headers[_i].end);
    assert_modest(WORDS("info", "m.safetensors"), 1);
    ck_assert_str_eq(output, "");
}
END_TEST

/* ---- Pictures ---------------------------------------------------------------------------------------------------- */

static const char *const histories[] = {
    "5e-324,1",
    "5e-324",
    "1e308,-1e308",
    "1e-308,1e308",
    "1e308",
    "1,1.0000000000000002",
    "1e17,1e17",
    "-1e-320,1e-320",
    "null",
    "",
    "\"x\",[1]",
    "0,0",
    "3",
};

/* A picture ends, whatever a history holds. */
START_TEST(history)
{
    char record[600];
    static const long long counts[] = {0, 2, -5, 9000000000000000000};
    if (system("gnuplot --version >/dev/null 2>&1") != 0) return;
    const char *h = histories[_i];
    snprintf(record, sizeof record,
             "{\"outcome\":\"finished\",\"target\":\"gaussian\",\"iterations\":%lld,\"history\":{\"iteration\":[1,2],"
             "\"loss\":[%s],\"gradient_norm\":[%s],\"parameter_norm\":[%s],\"beta\":[%s]}}",
             counts[(size_t)_i % COUNT(counts)], h, h, h, h);
    write_record(record);
    SUCCEED("plot", "m.safetensors", "-n", "10", "-o", "p.svg");
    snprintf(record, sizeof record,
             "{\"outcome\":\"finished\",\"epochs\":%lld,\"val_rows\":1,\"history\":{\"epoch\":[1,2],"
             "\"train_nll\":[%s],\"val_nll\":[%s]}}",
             counts[(size_t)_i % COUNT(counts)], h, h);
    write_record(record);
    SUCCEED("plot", "m.safetensors", "-n", "10", "-o", "p.svg");
}
END_TEST

/* ---- What is told ------------------------------------------------------------------------------------------------ */

static void assert_shown(const char *text)
{
    for (const char *at = text; *at; at++) {
        const unsigned char byte = (unsigned char)*at, next = (unsigned char)at[1];
        ck_assert_msg((byte >= ' ' && byte != 0x7f) || byte == '\n' || byte == '\t', "byte %d in: %s", byte, text);
        ck_assert_msg(byte != 0xc2 || next >= 0xa0, "a control character in: %s", text);
    }
    ck_assert_ptr_null(strstr(text, "\xe2\x80\xae"));
}

#define EVIL "\\u001b[2J\\u0007\\u009b31m\\u202e\\u007f\\r"

START_TEST(escapes)
{
    json_t *result;
    write_text("evil.csv", "a\x1b[2J,b\xc2\x9b"
                           "1m\n1,x\x1b]0;t\x07\n2,y\n3,x\x1b]0;t\x07\n");
    write_record("{\"outcome\":\"" EVIL "\",\"weir\":\"" EVIL "\",\"target\":\"" EVIL "\",\"options\":{\"" EVIL
                 "\":\"" EVIL "\"},\"columns\":[\"" EVIL "\",\"b\"],\"data\":\"" EVIL "\",\"history\":{}}");
    SUCCEED("info", "m.safetensors");
    assert_shown(output);
    assert_contains(output, "?[2J");
    result = SUCCEED_JSON("info", "m.safetensors");
    ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(json_object_get(result, "training"), "weir")),
                                 "\x1b[2J\x07\xc2\x9b"
                                 "31m\xe2\x80\xae\x7f\r"));
    json_decref(result);
    ck_assert_int_ne(RUN("logprob", "m.safetensors", "evil.csv"), 0);
    assert_shown(complaint);
    SUCCEED("fit", "evil.csv", "--flow", "affine", "--epochs", "1", "-o", "e.st");
    assert_shown(output);
    SUCCEED("info", "e.st");
    assert_shown(output);
    ck_assert_int_ne(RUN("sample", "e.st", "-n", "9", "-o", "s.npy"), 0); /* which has no labels */
    assert_shown(complaint);
    SUCCEED("sample", "e.st", "-n", "50", "-o", "s.csv"); /* which has them as they are */
    char table[1 << 14];
    slurp(scratch_path("s.csv").text, table, sizeof table);
    assert_contains(table, "a\x1b[2J");
    assert_contains(table, "x\x1b]0;t\x07");
    ck_assert_int_ne(RUN("info", "no\x1b[2Jne"), 0);
    assert_shown(complaint);
    ck_assert_int_ne(RUN("in\x1b[2Jfo"), 0);
    assert_shown(complaint);
}
END_TEST

Suite *hostile_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("hostile", &tests);
    tcase_add_loop_test(tests, formula, 0, COUNT(formulas));
    tcase_add_loop_test(tests, size, 0, COUNT(sizes));
    tcase_add_loop_test(tests, values, 0, COUNT(headers));
    tcase_add_loop_test(tests, history, 0, COUNT(histories));
    tcase_add_test(tests, escapes);
    return suite;
}
