/* The posteriors of tools/bench: models as users write them with <weir/densities.h>. */
#include "flows/flow_tools.h"
#include "posteriors/posteriors.h"

#define ENTRY(name) &name,
static const nf_target_type *const all[] = {POSTERIORS(ENTRY)};

enum { POINTS_TRIED = 5 };

START_TEST(gradients)
{
    const nf_target *target = &all[_i]->target;
    const size_t dim = nf_target_dim(target);
    double *z = normals(POINTS_TRIED * dim, 0.5, 3), log_density[POINTS_TRIED];
    ASSERT_OK(nf_target_log_densities(target, z, POINTS_TRIED, log_density, NULL, &error));
    for (size_t r = 0; r < POINTS_TRIED; r++) ck_assert_double_finite(log_density[r]);
    ck_assert_double_ne(log_density[0], log_density[1]);
    ASSERT_OK(nf_target_check_gradient(target, z, POINTS_TRIED, &error));
    free(z);
}
END_TEST

/* The parts of a density in float32 are those of float64, to what their sum of hundreds of terms is rounded to. */
START_TEST(in_float32)
{
    const nf_target *target = &all[_i]->target;
    const size_t dim = nf_target_dim(target);
    double *z = normals(POINTS_TRIED * dim, 0.5, 3), expected[POINTS_TRIED];
    float *narrow = malloc(POINTS_TRIED * dim * sizeof *narrow), got[POINTS_TRIED];
    for (size_t i = 0; i < POINTS_TRIED * dim; i++) z[i] = (double)(narrow[i] = (float)z[i]);
    ASSERT_OK(nf_target_log_densities(target, z, POINTS_TRIED, expected, NULL, &error));
    ad_tape *tape = ad_tape_new();
    ad_var input = ad_input(tape, "z", AD_SHAPE(dim)), y = ad_to_rows(nf_target_log_density(target, input));
    ad_plan *plan = ad_plan_new(&y, 1, &(ad_plan_options){.dtype = AD_F32}, &error);
    ck_assert_msg(plan != NULL, "%s", error.message);
    ad_plan_set_input(plan, input, narrow);
    ad_plan_set_output(plan, 0, got);
    ASSERT_OK(ad_plan_run(plan, &(ad_run){.rows = POINTS_TRIED}, &error));
    for (size_t r = 0; r < POINTS_TRIED; r++) {
        const double off = fabs((double)got[r] - expected[r]);
        ck_assert_msg(off <= 2e-5 * (1 + fabs(expected[r])), "%s: %.9g, in float64 %.9g", target->name, (double)got[r],
                      expected[r]);
    }
    ad_plan_free(plan);
    ad_tape_free(tape);
    free(narrow);
    free(z);
}
END_TEST

/* With alpha = mu + tau alpha_trans, the densities differ by log tau for each county. */
START_TEST(centering_changes_the_coordinates_only)
{
    const size_t dim = nf_target_dim(&radon_centered.target);
    double *z = normals(dim, 0.7, 5), trans, centered;
    ASSERT_OK(nf_target_log_densities(&radon_noncentered.target, z, 1, &trans, NULL, &error));
    for (size_t j = 4; j < dim; j++) z[j] = z[0] + exp(z[1]) * z[j];
    ASSERT_OK(nf_target_log_densities(&radon_centered.target, z, 1, &centered, NULL, &error));
    ck_assert_double_eq_tol(centered, trans - (double)(dim - 4) * z[1], 1e-9);
    free(z);
}
END_TEST

Suite *bench_posteriors_suite(void)
{
    Suite *suite = suite_create("bench_posteriors");
    TCase *table = tcase_create("table");
    tcase_set_timeout(table, 60);
    tcase_add_loop_test(table, gradients, 0, COUNT(all));
    tcase_add_loop_test(table, in_float32, 0, COUNT(all));
    tcase_add_test(table, centering_changes_the_coordinates_only);
    suite_add_tcase(suite, table);
    return suite;
}
