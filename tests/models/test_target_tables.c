/* Targets of tables: what they read of them, what is said of tables that they can't take, their log-likelihoods, and
 * models of them, which know their sites. */
#include "flows/flow_tools.h"
#include "scratch.h"
#include <weir/models.h>

#include <check.h>
#include <math.h>

/* ---- Eight schools, from a table: Weir's own has the same data in it -----------------------------------------------
 */

static ad_var column(const nf_target *self, const char *name, ad_tape *tape)
{
    return ad_constant(tape, AD_SHAPE(nf_target_rows(self)), nf_target_column(self, name));
}

static ad_var each_school(const nf_target *self, const ad_var *value)
{
    ad_tape *tape = value[0].tape;
    ad_var theta = ad_add(value[0], ad_mul(value[1], value[2]));
    return nf_log_normal_each(column(self, "effect", tape), theta, column(self, "standard_error", tape));
}

static ad_var schools_density(const nf_target *self, const ad_var *value)
{
    ad_tape *tape = value[0].tape;
    ad_var zero = ad_scalar(tape, 0), five = ad_scalar(tape, 5);
    ad_var prior = ad_add(nf_log_normal(value[0], zero, five), nf_log_half_cauchy(value[1], five));
    return ad_add(ad_add(prior, nf_log_normal(value[2], zero, ad_scalar(tape, 1))), ad_sum(each_school(self, value)));
}

static ad_status build_schools(nf_target *self, nf_site *site, ad_error *cause)
{
    (void)cause;
    site[2].size = nf_target_rows(self);
    return AD_OK;
}

static const nf_site schools_sites[] = {{"mu", 1}, {"tau", 1, NF_SITE_POSITIVE_EXP}, {"eta", 1}};

static const nf_target_type schools = {
    .name = "table_schools",
    .target = {.site = schools_sites,
               .n_site = 3,
               .log_density = schools_density,
               .log_likelihood = each_school,
               .log_z = NAN},
    .build = build_schools,
    .column = (const nf_target_column_type[]){{.name = "effect"}, {.name = "standard_error"}, {0}},
};

static const char schools_text[] = "school,effect,standard_error\nA,28,15\nB,8,10\nC,-3,16\nD,7,11\nE,-1,9\nF,1,11\n"
                                   "G,18,10\nH,12,18\n";

/* ---- Columns of any table, and groups -------------------------------------------------------------------------------
 */

static ad_var sum_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_neg(ad_sum(ad_square(value[0])));
}

static const nf_target_type any_table = {
    .name = "any_table",
    .target = {.site = schools_sites, .n_site = 1, .log_density = sum_density, .log_z = NAN},
    .column = (const nf_target_column_type[]){{0}},
};

static const nf_target_type of_groups = {
    .name = "of_groups",
    .target = {.site = schools_sites, .n_site = 1, .log_density = sum_density, .log_z = NAN},
    .column = (const nf_target_column_type[]){{.name = "county", .groups = true}, {.name = "y"}, {0}},
};

static void register_all(void)
{
    scratch_begin();
    ASSERT_OK(nf_register_target(&schools, &error));
    ASSERT_OK(nf_register_target(&any_table, &error));
    ASSERT_OK(nf_register_target(&of_groups, &error));
}

static nf_table read_text(const char *text)
{
    nf_table table;
    const file_path path = scratch_write("table.csv", text, strlen(text));
    ASSERT_OK(nf_table_read_with(path.text, &(nf_read_options){.labels = true, .missing = true}, &table, &error));
    return table;
}

/* With the table of this text, which the target doesn't need afterwards. */
static nf_target *target_of_table(const char *name, const char *text)
{
    nf_table table = read_text(text);
    nf_target *target = nf_target_parse_with(name, &table, &error);
    nf_table_free(&table);
    return target;
}

/* ---- Tests ----------------------------------------------------------------------------------------------------------
 */

enum { ROWS = 6, DIM = 10, SCHOOLS = 8 };

START_TEST(density_of_the_data)
{
    nf_target *ours = target_of_table("table_schools", schools_text), *own = target_of("eight_schools");
    ck_assert_msg(ours != NULL, "%s", error.message);
    ck_assert_uint_eq(nf_target_dim(ours), DIM);
    ck_assert_str_eq(ours->text, "table_schools");
    double *z = normals(ROWS * DIM, 1, 3), density[2][ROWS];
    ASSERT_OK(nf_target_log_densities(ours, z, ROWS, density[0], NULL, &error));
    ASSERT_OK(nf_target_log_densities(own, z, ROWS, density[1], NULL, &error));
    for (size_t r = 0; r < ROWS; r++)
        ck_assert_double_eq_tol(density[0][r], density[1][r], 1e-12 * fabs(density[1][r]));
    free(z);
    nf_target_free(own);
    nf_target_free(ours);
}
END_TEST

/* -½ ((y - theta) / s)² - log s - ½ log 2π, of each school. */
START_TEST(log_likelihood_of_each_row)
{
    static const double y[SCHOOLS] = {28, 8, -3, 7, -1, 1, 18, 12}, s[SCHOOLS] = {15, 10, 16, 11, 9, 11, 10, 18};
    nf_target *ours = target_of_table("table_schools", schools_text), *own = target_of("eight_schools"),
              *centered = target_of("eight_schools_centered"), *none = target_of("banana");
    double *z = normals(ROWS * DIM, 1, 4), each[ROWS * SCHOOLS];
    const nf_target *non_centered[] = {ours, own};
    for (int t = 0; t < 2; t++) {
        ck_assert_uint_eq(nf_target_observations(non_centered[t]), SCHOOLS);
        ASSERT_OK(nf_target_log_likelihoods(non_centered[t], z, ROWS, SCHOOLS, each, NULL, &error));
        for (size_t i = 0; i < ROWS * SCHOOLS; i++) {
            const double *row = z + i / SCHOOLS * DIM, theta = row[0] + exp(row[1]) * row[2 + i % SCHOOLS],
                         away = (y[i % SCHOOLS] - theta) / s[i % SCHOOLS];
            ck_assert_double_eq_tol(each[i], -0.5 * away * away - log(s[i % SCHOOLS]) - 0.91893853320467274, 1e-12);
        }
    }
    ASSERT_OK(nf_target_log_likelihoods(centered, z, 1, SCHOOLS, each, NULL, &error));
    ck_assert_double_eq_tol(each[0], -0.5 * pow((28 - z[2]) / 15, 2) - log(15) - 0.91893853320467274, 1e-12);
    ck_assert_uint_eq(nf_target_observations(none), 0);
    ASSERT_FAILS(nf_target_log_likelihoods(own, z, 1, 7, each, NULL, &error), AD_ERROR_ARGUMENT,
                 "of 8 observations, not of 7");
    ck_assert_int_eq(nf_target_log_likelihoods(none, z, 1, 1, each, NULL, NULL), AD_ERROR_ARGUMENT);
    free(z);
    nf_target_free(none);
    nf_target_free(centered);
    nf_target_free(own);
    nf_target_free(ours);
}
END_TEST

START_TEST(columns_and_groups)
{
    nf_target *target = target_of_table("of_groups", "county,y,class\nwest,1.5,30\neast,2,10\nwest,-1,20\n");
    ck_assert_msg(target != NULL, "%s", error.message);
    size_t count;
    const size_t *county = nf_target_groups(target, "county", &count);
    ck_assert_uint_eq(count, 2);
    ck_assert(county[0] == 1 && county[1] == 0 && county[2] == 1);
    const size_t *class = nf_target_groups(target, "class", &count);
    ck_assert_uint_eq(count, 3);
    ck_assert(class[0] == 2 && class[1] == 0 && class[2] == 1);
    ck_assert_double_eq(nf_target_column(target, "y")[2], -1);
    ck_assert_double_eq(nf_target_column(target, "class")[0], 30);
    ck_assert_ptr_null(nf_target_column(target, "county"));
    ck_assert_ptr_null(nf_target_column(target, "x"));
    ck_assert_ptr_null(nf_target_groups(target, "x", &count));
    ck_assert_uint_eq(count, 0);
    ck_assert_str_eq(nf_target_column_name(target, 2), "class");
    ck_assert_ptr_null(nf_target_column_name(target, 3));
    nf_target_free(target);

    /* Of what isn't needed by name, columns that aren't numbers throughout aren't there as such. */
    target = target_of_table("any_table", "a,b,c\n1,,x\n2,3,y\n");
    ck_assert_uint_eq(nf_target_rows(target), 2);
    ck_assert_double_eq(nf_target_column(target, "a")[1], 2);
    ck_assert_ptr_null(nf_target_column(target, "b"));
    ck_assert_ptr_null(nf_target_groups(target, "b", NULL));
    ck_assert_ptr_null(nf_target_column(target, "c"));
    ck_assert_ptr_nonnull(nf_target_groups(target, "c", NULL));
    nf_target_free(target);
}
END_TEST

static const struct {
    const char *target, *table;
    ad_status status;
    const char *parts[2];
} faults[] = {
    {"table_schools", NULL, AD_ERROR_ARGUMENT, {"'table_schools' needs data", "'effect', 'standard_error'"}},
    {"banana", "a,b\n1,2\n", AD_ERROR_ARGUMENT, {"'banana' takes no data"}},
    {"table_schools", "effect,sd\n1,2\n", AD_ERROR_FORMAT, {"needs a column 'standard_error'", "'effect', 'sd'"}},
    {"table_schools", "1,2\n3,4\n", AD_ERROR_FORMAT, {"and the table has none"}},
    {"table_schools", "effect,standard_error\n1,2\n,3\n", AD_ERROR_FORMAT, {"column 'effect', and row 2 has no value"}},
    {"table_schools",
     "effect,standard_error\n1,2\n4,inf\n",
     AD_ERROR_FORMAT,
     {"'standard_error' is infinite in row 2"}},
    {"table_schools", "effect,standard_error\n1,2\n4,3\n5,few\n", AD_ERROR_FORMAT, {"row 3 has 'few'"}},
    {"of_groups", "county,y\na,1\n,2\n", AD_ERROR_FORMAT, {"column 'county', and row 2 has no value"}},
};

START_TEST(fault)
{
    nf_table table = {0};
    if (faults[_i].table) table = read_text(faults[_i].table);
    nf_target *target = nf_target_parse_with(faults[_i].target, faults[_i].table ? &table : NULL, &error);
    ck_assert_ptr_null(target);
    for (int i = 0; i < 2 && faults[_i].parts[i]; i++)
        ASSERT_FAILS(error.status, faults[_i].status, faults[_i].parts[i]);
    ck_assert_ptr_null(nf_target_parse_with(faults[_i].target, faults[_i].table ? &table : NULL, NULL));
    nf_table_free(&table);
}
END_TEST

/* The record of a fit has the sites: without the data, draws are on their scale, but there is no density. */
START_TEST(sites_on_record)
{
    nf_target *target = target_of_table("table_schools", schools_text), *found;
    nf_flow *flow = nf_flow_parse("scale-loc", DIM, 0, AD_F64, 1, &error);
    char *record = nf_record_text(flow, &(nf_record){.target = target}, &error), name[64];
    ck_assert_msg(record != NULL, "%s", error.message);
    ASSERT_OK(nf_record_target(record, &found, &error));
    ck_assert_ptr_nonnull(found);
    ck_assert_str_eq(found->text, "table_schools");
    ck_assert_uint_eq(nf_target_size(found), DIM);
    ck_assert_str_eq(nf_target_element(found, 9, name), "eta[8]");
    double *z = normals(DIM, 1, 5), value[2][DIM], density;
    ASSERT_OK(nf_target_values(target, z, 1, value[0], NULL, &error));
    ASSERT_OK(nf_target_values(found, z, 1, value[1], NULL, &error));
    ck_assert_mem_eq(value[0], value[1], sizeof value[0]);
    ASSERT_FAILS(nf_target_log_densities(found, z, 1, &density, NULL, &error), AD_ERROR_ARGUMENT,
                 "its sites alone are known");
    nf_target_free(found);
    ad_free(record);

    /* A target that its text makes again needs no sites. */
    nf_target *own = target_of("eight_schools");
    record = nf_record_text(flow, &(nf_record){.target = own}, &error);
    ck_assert_ptr_null(strstr(record, "\"sites\""));
    ASSERT_OK(nf_record_target(record, &found, &error));
    ck_assert_ptr_eq(found->log_density, own->log_density);
    nf_target_free(found);
    ad_free(record);
    nf_target_free(own);
    free(z);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

/* Each kind of site comes back; what is none is refused. */
START_TEST(sites_of_each_kind)
{
    static const char each[] =
        "{\"target\": \"t\", \"sites\": [{\"name\": \"a\", \"size\": 2, \"constraint\": \"real\"}, "
        "{\"name\": \"b\", \"size\": 1, \"constraint\": \"positive\"}, {\"name\": \"c\", \"size\": 1, \"constraint\": "
        "\"interval\", \"low\": -2.5, \"high\": 4}, {\"name\": \"d\", \"size\": 3, \"constraint\": \"simplex\"}, "
        "{\"name\": \"e\", \"size\": 2, \"constraint\": \"ordered\"}, {\"name\": \"f\", \"size\": 9, \"constraint\": "
        "\"correlation_cholesky\"}]}";
    nf_target *found;
    ASSERT_OK(nf_record_target(each, &found, &error));
    for (size_t i = 0; i < 6; i++) ck_assert_int_eq(found->site[i].constraint, (int)i);
    ck_assert_double_eq(found->site[2].low, -2.5);
    ck_assert_double_eq(found->site[2].high, 4);
    ck_assert_uint_eq(nf_target_dim(found), 2 + 1 + 1 + 2 + 2 + 3);
    nf_target_free(found);
    static const char *const none[] = {
        "{\"target\": \"t\", \"sites\": []}",
        "{\"target\": \"t\", \"sites\": [{\"name\": \"a\", \"size\": 0, \"constraint\": \"real\"}]}",
        "{\"target\": \"t\", \"sites\": [{\"name\": \"a\", \"size\": 1, \"constraint\": \"round\"}]}",
        "{\"target\": \"t\", \"sites\": [{\"size\": 1, \"constraint\": \"real\"}]}",
        "{\"target\": \"t\", \"sites\": [{\"name\": \"a\", \"size\": 1e300, \"constraint\": \"real\"}]}",
        "{\"target\": \"t\", \"sites\": [{\"name\": \"a\", \"size\": 8, \"constraint\": \"correlation_cholesky\"}]}",
        "[]",
    };
    for (size_t i = 0; i < COUNT(none); i++) {
        ck_assert_int_eq(nf_record_target(none[i], &found, &error), AD_ERROR_FORMAT);
        ck_assert_ptr_null(found);
    }
    ASSERT_OK(nf_record_target("{\"target\": \"nobody_knows\"}", &found, &error));
    ck_assert_ptr_null(found);
    ASSERT_OK(nf_record_target(NULL, &found, &error));
    ck_assert_ptr_null(found);
}
END_TEST

Suite *target_tables_suite(void)
{
    Suite *suite = suite_create("target_tables");
    TCase *tests = tcase_create("target_tables");
    tcase_add_checked_fixture(tests, register_all, scratch_end);
    tcase_add_test(tests, density_of_the_data);
    tcase_add_test(tests, log_likelihood_of_each_row);
    tcase_add_test(tests, columns_and_groups);
    tcase_add_loop_test(tests, fault, 0, COUNT(faults));
    tcase_add_test(tests, sites_on_record);
    tcase_add_test(tests, sites_of_each_kind);
    suite_add_tcase(suite, tests);
    return suite;
}
