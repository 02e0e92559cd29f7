/* Targets of a user's own at the command, by their file and with a table; and what is told of each draw. */
#include <weir/models.h>
#include "tools/command.h"

#include <math.h>

#define PLUGIN(name) WEIR_PLUGIN_DIR "/" name ".so"
#define SCHOOLS      PLUGIN("schools")

static const char schools_text[] = "standard_error,school,effect\n15,A,28\n10,B,8\n16,C,-3\n11,D,7\n9,E,-1\n11,F,1\n"
                                   "10,G,18\n18,H,12\n";

static nf_table read_draws(const char *name)
{
    nf_table table;
    ck_assert_int_eq(nf_table_read(scratch_path(name).text, &table, NULL), AD_OK);
    return table;
}

/* The means are those of posteriordb (Magnusson et al. 2024), eight_schools-eight_schools_noncentered, whose own errors
 * are below 0.034. */
START_TEST(nuts_by_file)
{
    write_text("schools.csv", schools_text);
    json_t *result = SUCCEED_JSON("nuts", SCHOOLS, "--data", "schools.csv", "--chains", "4", "--tune", "500", "-n",
                                  "1000", "--target-accept", "0.9", "-o", "draws.csv");
    json_t *mu = json_array_get(member(result, "parameters"), 0),
           *tau = json_array_get(member(result, "parameters"), 1);
    ck_assert_str_eq(text_in(result, "target"), "schools");
    ck_assert_double_eq_tol(number_in(mu, "mean"), 4.41051833695493, 4 * hypot(number_in(mu, "mcse_mean"), 0.033));
    ck_assert_double_eq_tol(number_in(tau, "mean"), 3.60205952364059, 4 * hypot(number_in(tau, "mcse_mean"), 0.032));
    json_decref(result);
    nf_table draws = read_draws("draws.csv");
    ck_assert_uint_eq(draws.columns, 10);
    ck_assert_str_eq(draws.names[9], "eta[8]");
    nf_table_free(&draws);
}
END_TEST

/* The model knows its sites: what is done with it needs neither plug-in nor data. */
START_TEST(vi_by_file)
{
    write_text("schools.csv", schools_text);
    SUCCEED("vi", SCHOOLS "(scale=10)", "--data", "schools.csv", "--flow", "scale-loc", "--iters", "200", "-o",
            "m.safetensors");
    assert_contains(output, "target      schools(scale=10)\n");
    assert_contains(output, "\ntau ");
    SUCCEED("sample", "m.safetensors", "-n", "50", "-o", "s.csv");
    nf_table draws = read_draws("s.csv");
    ck_assert_str_eq(draws.names[1], "tau");
    for (size_t r = 0; r < draws.rows; r++) ck_assert_double_gt(draws.values[r * draws.columns + 1], 0);
    nf_table_free(&draws);
    SUCCEED("logprob", "m.safetensors", "s.csv");
    SUCCEED("nuts", PLUGIN("ring") "(radius=3)", "--tune", "50", "-n", "50");
    assert_contains(output, "target      ring(radius=3)\n");
    SUCCEED("--plugin", SCHOOLS, "help", "targets");
    assert_contains(output, "--data: standard_error");
}
END_TEST

static const struct {
    const char *words[6];
    int status;
    const char *parts[2];
} faults[] = {
    {{"nuts", SCHOOLS}, 2, {"needs data: a table with the columns 'effect', 'standard_error'", "--data TABLE"}},
    {{"vi", SCHOOLS, "--data", "other.csv"}, 1, {"other.csv: target 'schools' needs a column 'effect'", "'a', 'b'"}},
    {{"vi", SCHOOLS, "--data", "none.csv"}, 1, {"none.csv"}},
    {{"vi", "banana", "--data", "other.csv"}, 2, {"'banana' takes no data"}},
    {{"vi", SCHOOLS "(sd=1)", "--data", "other.csv"}, 2, {"no argument 'sd'"}},
    {{"nuts", "./nowhere.so"}, 1, {"plug-in './nowhere.so': No such file"}},
    {{"nuts", "./model.c"},
     2,
     {"'./model.c' is source; compile it first: cc -shared -fPIC ./model.c", "-o ./model.so"}},
    {{"nuts", PLUGIN("cubic")}, 2, {"brings no target"}},
    {{"nuts", PLUGIN("posteriors")}, 2, {"brings several targets", "weir --plugin FILE"}},
    {{"nuts", "./copy.so", "-o", "copy.so"}, 2, {"copy.so"}},
    {{"vi", "./copy.so", "-o", "copy.so"}, 2, {"output 'copy.so' is the input"}},
    {{"nuts", "pot1", "--stats"}, 2, {"--stats: they go where draws go; give a file as -o"}},
    {{"nuts", "gaussian", "-n", "3000000000"}, 2, {"expected less than 2^31 draws"}},
    {{"nuts", "none.so"}, 1, {"plug-in 'none.so': No such file"}},
};

START_TEST(fault)
{
    const char *words[8] = {"weir"};
    for (size_t i = 0; i < 6 && faults[_i].words[i]; i++) words[i + 1] = faults[_i].words[i];
    write_text("other.csv", "a,b\n1,2\n");
    ck_assert_int_eq(symlink(PLUGIN("ring"), scratch_path("copy.so").text), 0);
    ck_assert_int_eq(run_words(words), faults[_i].status);
    ck_assert_str_eq(output, "");
    ck_assert_int_eq(strncmp(complaint, "weir ", 5), 0);
    for (size_t i = 0; i < 2 && faults[_i].parts[i]; i++) assert_contains(complaint, faults[_i].parts[i]);
}
END_TEST

/* What is told of each draw stands behind it: the draws are the same, and their readers. */
START_TEST(statistics_of_draws)
{
    static const char *const names[] = {"x[1]",      "x[2]",       "chain",   "draw",      "lp",    "acceptance_rate",
                                        "step_size", "tree_depth", "n_steps", "diverging", "energy"};
    enum { CHAINS = 3, DRAWS = 40, COLUMNS = COUNT(names) };

    json_t *result = SUCCEED_JSON("nuts", "gaussian(correlation=0)", "--chains", "3", "--tune", "60", "-n", "40",
                                  "--start", "uniform", "--stats", "-o", "told.csv");
    SUCCEED("nuts", "gaussian(correlation=0)", "--chains", "3", "--tune", "60", "-n", "40", "--start", "uniform", "-o",
            "plain.csv");
    nf_table told = read_draws("told.csv"), plain = read_draws("plain.csv");
    ck_assert_uint_eq(told.columns, COLUMNS);
    for (size_t c = 0; c < COLUMNS; c++) ck_assert_str_eq(told.names[c], names[c]);
    double steps = 0, divergent = 0;
    for (size_t r = 0; r < CHAINS * DRAWS; r++) {
        const double *row = told.values + r * COLUMNS, *x = plain.values + 2 * r;
        ck_assert_mem_eq(row, x, 2 * sizeof *x);
        ck_assert_double_eq(row[2], (double)(r / DRAWS));
        ck_assert_double_eq(row[3], (double)(r % DRAWS));
        ck_assert_double_eq_tol(row[4], -0.5 * (x[0] * x[0] + x[1] * x[1]) - 1.8378770664093453, 1e-12);
        ck_assert(row[5] > 0 && row[5] <= 1);
        ck_assert_double_eq_tol(row[6], json_number_value(json_array_get(member(result, "step_size"), r / DRAWS)),
                                1e-12);
        ck_assert(row[8] >= pow(2, row[7] - 1) && row[8] < pow(2, row[7] + 1));
        /* A trajectory begins at the draw before, with a kinetic energy. */
        if (r % DRAWS > 0) ck_assert_double_gt(row[10], -row[4 - (int)COLUMNS]);
        steps += row[8];
        divergent += row[9];
    }
    ck_assert_double_lt(steps, number_in(result, "gradients"));
    ck_assert_double_eq(divergent, number_in(result, "divergent"));
    json_decref(result);
    nf_table_free(&plain);
    nf_table_free(&told);
    SUCCEED("nuts", "gaussian", "--tune", "60", "-n", "40", "--stats", "-o", "told.npy");
    told = read_draws("told.npy");
    ck_assert_uint_eq(told.columns, COLUMNS);
    nf_table_free(&told);
}
END_TEST

Suite *own_targets_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("own_targets", &tests);
    tcase_add_test(tests, nuts_by_file);
    tcase_add_test(tests, vi_by_file);
    tcase_add_loop_test(tests, fault, 0, COUNT(faults));
    tcase_add_test(tests, statistics_of_draws);
    return suite;
}
