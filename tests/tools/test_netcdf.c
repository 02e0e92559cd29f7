/* Draws in NetCDF files, which ArviZ opens (open_netcdf.py, where it is): groups and numbers, as libnetcdf reads them;
 * and without libnetcdf, what is said. */
#include <weir/models.h>
#include "tools/command.h"

#ifdef WEIR_NETCDF

#include <netcdf.h>

#define SCHOOLS WEIR_PLUGIN_DIR "/schools.so"

static void write_schools(void)
{
    write_text("schools.csv", "school,effect,standard_error\nA,28,15\nB,8,10\nC,-3,16\nD,7,11\n");
}

#define ASSERT_NC(call)                                                                                                \
    do {                                                                                                               \
        int nc_status_of_call = (call);                                                                                \
        ck_assert_msg(nc_status_of_call == NC_NOERR, "%s: %s", #call, nc_strerror(nc_status_of_call));                 \
    } while (0)

/* The numbers of a variable, for free(), with its dimensions joined: "chain,draw,eta_dim_0". */
static double *values_of(int file, const char *group, const char *name, char dimensions[static 200])
{
    int in, variable, rank, dimension[NC_MAX_VAR_DIMS];
    size_t size = 1;
    ASSERT_NC(nc_inq_grp_ncid(file, group, &in));
    ASSERT_NC(nc_inq_varid(in, name, &variable));
    ASSERT_NC(nc_inq_var(in, variable, NULL, NULL, &rank, dimension, NULL));
    dimensions[0] = '\0';
    for (int i = 0; i < rank; i++) {
        char one[NC_MAX_NAME + 1];
        size_t length;
        ASSERT_NC(nc_inq_dim(in, dimension[i], one, &length));
        size *= length;
        snprintf(dimensions + strlen(dimensions), 200 - strlen(dimensions), "%s%s", i ? "," : "", one);
    }
    double *values = malloc(size * sizeof *values);
    ASSERT_NC(nc_get_var_double(in, variable, values));
    return values;
}

/* The same numbers as a table's columns. */
static void assert_column(int file, const char *group, const char *name, const char *expected, size_t per_draw,
                          const nf_table *table, size_t column)
{
    char dimensions[200];
    double *values = values_of(file, group, name, dimensions);
    ck_assert_str_eq(dimensions, expected);
    for (size_t r = 0; r < table->rows; r++)
        for (size_t k = 0; k < per_draw; k++)
            ck_assert_double_eq(values[r * per_draw + k], table->values[r * table->columns + column + k]);
    free(values);
}

START_TEST(of_chains)
{
    enum { CHAINS = 2, DRAWS = 30, ROWS = 4 };
    char dimensions[200], bytes[2][1 << 17];
    size_t size[2];
    write_schools();
    for (int i = 0; i < 2; i++) {
        SUCCEED("nuts", SCHOOLS, "--data", "schools.csv", "--chains", "2", "--tune", "40", "-n", "30", "--threads",
                i ? "1" : "3", "-o", "draws.nc");
        size[i] = slurp(scratch_path("draws.nc").text, bytes[i], sizeof bytes[i]);
    }
    ck_assert_uint_eq(size[0], size[1]);
    ck_assert_mem_eq(bytes[0], bytes[1], size[0]);
    SUCCEED("nuts", SCHOOLS, "--data", "schools.csv", "--chains", "2", "--tune", "40", "-n", "30", "--stats", "-o",
            "draws.csv");
    nf_table table;
    int file, groups;
    ck_assert_int_eq(nf_table_read(scratch_path("draws.csv").text, &table, NULL), AD_OK);
    ASSERT_NC(nc_open(scratch_path("draws.nc").text, NC_NOWRITE, &file));
    ASSERT_NC(nc_inq_grps(file, &groups, NULL));
    ck_assert_int_eq(groups, 4);
    assert_column(file, "posterior", "mu", "chain,draw", 1, &table, 0);
    assert_column(file, "posterior", "tau", "chain,draw", 1, &table, 1);
    assert_column(file, "posterior", "eta", "chain,draw,eta_dim_0", ROWS, &table, 2);
    for (size_t c = 8; c < table.columns; c++)
        assert_column(file, "sample_stats", table.names[c], "chain,draw", 1, &table, c);
    free(values_of(file, "log_likelihood", "log_lik", dimensions));
    ck_assert_str_eq(dimensions, "chain,draw,obs_id");
    double *effect = values_of(file, "observed_data", "effect", dimensions);
    ck_assert_str_eq(dimensions, "obs_id");
    ck_assert(effect[0] == 28 && effect[3] == 7);
    free(effect);
    ASSERT_NC(nc_close(file));
    nf_table_free(&table);
}
END_TEST

/* The mean of the flow's draws is the one that is told. */
START_TEST(of_a_flow)
{
    enum { DRAWS = 600 };
    char dimensions[200];
    int file;
    json_t *result = SUCCEED_JSON("vi", "mixture", "--flow", "scale-loc", "--iters", "50", "--draws", "600", "--dtype",
                                  "float64", "-o", "fit.nc");
    ASSERT_NC(nc_open(scratch_path("fit.nc").text, NC_NOWRITE, &file));
    double *x = values_of(file, "posterior", "x", dimensions), sum = 0;
    for (size_t r = 0; r < DRAWS; r++) sum += x[2 * r];
    ck_assert_str_eq(dimensions, "chain,draw,x_dim_0");
    ck_assert_double_eq_tol(sum / DRAWS, number_in(json_array_get(member(result, "values"), 0), "mean"), 1e-9);
    double *log_p = values_of(file, "sample_stats", "lp", dimensions), *density = malloc(DRAWS * sizeof *density);
    nf_target *target = nf_target_parse("mixture", NULL);
    ck_assert_int_eq(nf_target_log_densities(target, x, DRAWS, density, NULL, NULL), AD_OK);
    ck_assert_mem_eq(log_p, density, DRAWS * sizeof *density);
    free(values_of(file, "sample_stats", "log_q", dimensions));
    ASSERT_NC(nc_close(file));
    nf_target_free(target);
    free(density);
    free(log_p);
    free(x);
    json_decref(result);
}
END_TEST

/* A Cholesky factor is a matrix, which stands behind sites of several sizes. */
START_TEST(of_matrices)
{
    int file;
    static const char *const outputs[] = {"draws.nc", "draws.csv"};
    for (size_t i = 0; i < COUNT(outputs); i++)
        SUCCEED("--plugin", WEIR_PLUGIN_DIR "/posteriors.so", "nuts", "correlated_effects", "--chains", "1", "--tune",
                "10", "-n", "5", "-o", outputs[i]);
    nf_table table;
    ck_assert_int_eq(nf_table_read(scratch_path("draws.csv").text, &table, NULL), AD_OK);
    ASSERT_NC(nc_open(scratch_path("draws.nc").text, NC_NOWRITE, &file));
    size_t first = 0;
    while (strcmp(table.names[first], "L[1,1]") != 0) first++;
    ck_assert_uint_gt(first, 2);
    assert_column(file, "posterior", "L", "chain,draw,L_dim_0,L_dim_1", 4, &table, first);
    ASSERT_NC(nc_close(file));
    nf_table_free(&table);
}
END_TEST

#else

START_TEST(without_libnetcdf)
{
    ck_assert_int_eq(RUN("nuts", "gaussian", "-o", "draws.nc"), 1);
    assert_contains(complaint, "install libnetcdf-dev");
    ck_assert_int_eq(RUN("vi", "gaussian", "--iters", "1", "-o", "draws.nc"), 1);
    assert_contains(complaint, "install libnetcdf-dev");
    ck_assert(!exists("draws.nc"));
}
END_TEST

#endif

Suite *netcdf_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("netcdf", &tests);
#ifdef WEIR_NETCDF
    tcase_add_test(tests, of_chains);
    tcase_add_test(tests, of_a_flow);
    tcase_add_test(tests, of_matrices);
#else
    tcase_add_test(tests, without_libnetcdf);
#endif
    return suite;
}
