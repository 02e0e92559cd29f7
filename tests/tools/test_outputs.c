/* Where outputs go: never into an input, never mixed with what is told. */
#include "tools/command.h"

#include <weir/models.h>

/* A line of the shell, in the directory, where $W is the command. Its exit status; what it tells is in complaint. */
static int shell(const char *line)
{
    char whole[4096];
    snprintf(whole, sizeof whole, "exec 2>%s/told; cd %s; W=%s; %s", scratch, scratch, WEIR_COMMAND, line);
    int state = system(whole);
    slurp(scratch_path("told").text, complaint, sizeof complaint);
    unlink(scratch_path("told").text);
    ck_assert_msg(WIFEXITED(state), "%s", line);
    return WEXITSTATUS(state);
}

static void assert_same(const char *name, const char *other)
{
    static char one[1 << 16], two[1 << 16];
    size_t bytes = slurp(scratch_path(name).text, one, sizeof one);
    ck_assert_uint_gt(bytes, 0);
    ck_assert_uint_eq(slurp(scratch_path(other).text, two, sizeof two), bytes);
    ck_assert_mem_eq(one, two, bytes);
}

/* ---- Standard output ------------------------------------------------------------------------------------------- */

static const char *const writers[] = {
    "data moons -n 20",
    "sample m.safetensors -n 20",
    "logprob m.safetensors moons.csv",
    "transform m.safetensors moons.csv",
    "export m.safetensors",
    "nuts gaussian --chains 1 --tune 20 -n 20",
    "fit moons.csv --flow loc --epochs 1",
    "vi gaussian --flow loc --iters 1 --draws 10",
};

static void make_inputs(void)
{
    SUCCEED("data", "moons", "-n", "100", "-o", "moons.csv");
    SUCCEED("fit", "moons.csv", "--flow", "maf(8)-flip-maf(8)", "--epochs", "1", "-o", "m.safetensors");
}

static bool writes_model(const char *writer)
{
    return strncmp(writer, "fit", 3) == 0 || strncmp(writer, "vi", 2) == 0;
}

static void make_expected(const char *writer)
{
    char line[256];
    make_inputs();
    snprintf(line, sizeof line, "$W %s -o expected.csv >report", writer);
    ck_assert_int_eq(shell(line), 0);
    ck_assert_str_eq(told(), "");
}

/* Run with this ending, and look at out.csv. A model says how long it took, and so is another each time: that it can be
 * read shows that nothing else is in it. */
static void assert_written(const char *writer, const char *ending, bool reports)
{
    char line[256];
    snprintf(line, sizeof line, "$W %s %s", writer, ending);
    ck_assert_msg(shell(line) == 0, "%s: %s", line, complaint);
    ck_assert_msg((*told() != '\0') == reports, "%s: %s", line, complaint);
    if (strstr(ending, "--json")) assert_contains(complaint, "{");
    if (writes_model(writer))
        SUCCEED("info", "out.csv");
    else
        assert_same("expected.csv", "out.csv");
}

START_TEST(the_report_is_apart)
{
    const char *writer = writers[_i];
    make_expected(writer);
    assert_written(writer, "-o - >out.csv", true);
    assert_written(writer, "-o /dev/stdout | cat >out.csv", true);
    assert_written(writer, "-o /dev/fd/1 --json >out.csv", true);
    assert_written(writer, "-o /proc/self/fd/1 >out.csv", true);
    /* Through another descriptor, or by the name of the file, which standard output then has no more. */
    assert_written(writer, "-o /dev/fd/3 3>out.csv >&3", true);
    assert_written(writer, "-o out.csv >out.csv", true);
    /* Standard output that goes elsewhere has the report, and so it has where nothing is kept. */
    assert_written(writer, "-o /dev/fd/3 3>out.csv >report", false);
    assert_written(writer, "-o /dev/null >/dev/null", false);
}
END_TEST

/* What is opened doesn't take the place of a stream that is closed: a pipe that is kept open would have the report. */
START_TEST(closed_streams)
{
    static const char *const closed[] = {"2>&-", ">&-", "<&- >&- 2>&-"};
    const char *writer = writers[_i];
    make_expected(writer);
    for (size_t i = 0; i < COUNT(closed); i++) {
        char line[256];
        /* The pipe has a reader from the beginning, which takes what is in it afterwards: nobody has to wait. */
        snprintf(line, sizeof line,
                 "mkfifo pipe; exec 4<>pipe 5<pipe 4>&-; $W %s -o pipe %s; status=$?; cat <&5 >out.csv; rm pipe; "
                 "exit $status",
                 writer, closed[i]);
        ck_assert_msg(shell(line) == (i > 0), "%s: %s", line, complaint); /* where the report can't be told */
        if (writes_model(writer))
            SUCCEED("info", "out.csv");
        else
            assert_same("expected.csv", "out.csv");
    }
}
END_TEST

/* ---- Inputs ---------------------------------------------------------------------------------------------------- */

static const struct {
    const char *line, *input;
} overwriters[] = {
    {"$W fit moons.csv -o moons.csv", "moons.csv"},
    {"$W fit moons.csv -o ./soft.csv", "moons.csv"},
    {"$W fit soft.csv -o hard.csv", "moons.csv"},
    {"$W fit moons.csv -o /dev/fd/3 3>>moons.csv", "moons.csv"},
    {"$W fit moons.csv -o - >>moons.csv", "moons.csv"},
    {"$W logprob m.safetensors - -o moons.csv <moons.csv", "moons.csv"},
    {"$W logprob m.safetensors /dev/fd/3 -o /proc/self/fd/4 3<moons.csv 4>>moons.csv", "moons.csv"},
    {"$W logprob m.safetensors moons.csv -o m.safetensors", "m.safetensors"},
    {"$W transform m.safetensors moons.csv -o hard.csv", "moons.csv"},
    {"$W transform m.safetensors moons.csv -o m.safetensors", "m.safetensors"},
    {"$W sample c.safetensors --context context.csv -o context.csv", "context.csv"},
    {"$W sample c.safetensors --context .5 -o c.safetensors", "c.safetensors"},
    {"$W plot m.safetensors --data moons.csv -o moons.csv", "moons.csv"},
    {"$W nuts gaussian --flow m.safetensors -o m.safetensors", "m.safetensors"},
    {"$W --plugin ./ring.so vi ring -o ring.so", "ring.so"},
    {"$W --plugin ./ring.so fit moons.csv -o plugin.so", "ring.so"},
    {"$W --plugin ./plugin.so data moons -o ring.so", "ring.so"},
    {"WEIR_PLUGINS=$PWD/ring.so $W sample m.safetensors -o ring.so", "ring.so"},
};

START_TEST(an_input_is_no_output)
{
    make_inputs();
    SUCCEED("fit", "moons.csv", "--context", "2", "--flow", "maf(4)", "--epochs", "1", "-o", "c.safetensors");
    write_text("context.csv", "y\n.5\n.25\n");
    ck_assert_int_eq(shell("ln -s moons.csv soft.csv; ln moons.csv hard.csv; cp " WEIR_PLUGIN_DIR
                           "/ring.so . && ln -s ring.so plugin.so"),
                     0);
    for (size_t i = 0; i < COUNT(overwriters); i++) {
        char line[256];
        snprintf(line, sizeof line, "cp %s before; %s", overwriters[i].input, overwriters[i].line);
        ck_assert_msg(shell(line) == 2, "%s: %s", line, complaint);
        assert_contains(complaint, "is the input '");
        assert_contains(complaint, "give another name");
        snprintf(line, sizeof line, "cmp before %s", overwriters[i].input);
        ck_assert_msg(shell(line) == 0, "%s", overwriters[i].line);
    }
    /* What is no name of a file is no input. */
    ck_assert_int_eq(shell("$W logprob m.safetensors moons.csv -o new.csv"), 0);
    ck_assert_int_eq(shell("$W sample c.safetensors --context .5 -o new.csv"), 0);
}
END_TEST

/* Of another library's spline flow: what isn't in its file is said by options, or by the formula that it is to be. And
 * its picture, of one column and no loss, takes all the room. */
START_TEST(imported_flows)
{
    static char by_option[1 << 16], by_formula[1 << 16], svg[1 << 21];
    const file_path golden = golden_path("imported_zuko_nsf_64.safetensors");
    const char *theirs = golden.text;
    ck_assert_int_eq(RUN("import", theirs, "-o", "a.st"), 2);
    assert_contains(complaint, "14 parameters of each feature");
    json_t *result = SUCCEED_JSON("import", theirs, "--tail", "5", "--activation", "elu", "-o", "a.st");
    char formula[2048];
    snprintf(formula, sizeof formula, "%s", text_in(result, "formula"));
    json_decref(result);
    SUCCEED("import", theirs, "--as", formula, "-o", "b.st");
    slurp(scratch_path("a.st").text, by_option, sizeof by_option);
    slurp(scratch_path("b.st").text, by_formula, sizeof by_formula);
    ck_assert_mem_eq(by_option, by_formula, sizeof by_option);
    ck_assert_int_eq(RUN("import", theirs, "--as", "(rqsar(8,8)-flip)*3", "-o", "c.st"), 2);
    assert_contains(complaint, "not of that flow, but of invert(permute(order=[");
    ck_assert_int_eq(RUN("import", theirs, "--as", "maf(", "-o", "c.st"), 2);
    if (!have_gnuplot()) return;
    SUCCEED("plot", "a.st", "--show", "2", "-n", "100", "-o", "p.svg");
    slurp(scratch_path("p.svg").text, svg, sizeof svg);
    double left = 0, right = 0;
    for (const char *at = svg; (at = strstr(at, "d='M")); at++) {
        double from, to, y;
        if (sscanf(at, "d='M%lf,%lf L%lf", &from, &y, &to) != 3) continue;
        if (left == 0 || from < left) left = from;
        if (to > right) right = to;
    }
    ck_assert_double_gt(right - left, 1200); /* of 1600 */
}
END_TEST

Suite *outputs_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("outputs", &tests);
    tcase_add_loop_test(tests, the_report_is_apart, 0, COUNT(writers));
    tcase_add_loop_test(tests, closed_streams, 0, COUNT(writers));
    tcase_add_test(tests, an_input_is_no_output);
    tcase_add_test(tests, imported_flows);
    return suite;
}
