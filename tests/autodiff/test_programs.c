/* Random programs: what plans make of any mixture of ops, against plain loops and finite differences. */
#include "autodiff/programs.h"

/* Fifty whole numbers, of which some are asked for: exact in any dtype, tile and number of threads. */
START_TEST(random_programs)
{
    ad_pool *pool = ad_pool_new(3, NULL);
    for (uint64_t seed = 0; seed < 1000; seed++) {
        program g = program_new(seed, WHOLE_NUMBERS, 1 + (size_t)(seed % 50), 50);
        g.p.run.pool = seed % 2 ? pool : NULL;
        g.p.tile_rows = seed % 3 ? 16 : 0;
        int item[10];
        ad_var y[10];
        for (int i = 0; i < 10; i++) {
            item[i] = i == 0 ? g.count - 1 : pick(&g);
            y[i] = g.var[item[i]];
        }
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
            double *value[10];
            evaluate(&g.p, y, 10, dtype, value);
            for (int i = 0; i < 10; i++)
                for (size_t k = 0; k < extent_of(&g.p, y[i]); k++)
                    if (value[i][k] != g.value[item[i]][k]) {
                        ad_tape_print(g.p.tape, stdout);
                        ck_abort_msg("seed %d, %s, %%%d, element %zu: expected %g, got %g", (int)seed,
                                     ad_dtype_name(dtype), y[i].id, k, g.value[item[i]][k], value[i][k]);
                    }
        }
        problem_free(&g.p);
    }
    ad_pool_free(pool);
}
END_TEST

START_TEST(gradients_of_random_programs)
{
    for (uint64_t seed = 0; seed < 150; seed++) {
        program g = program_new(seed, SMOOTH, 1 + (size_t)(seed % 20), 22);
        problem *p = &g.p;
        if (p->n_leaf == 0) { /* all of it is made of numbers */
            problem_free(p);
            continue;
        }
        ad_var y = ad_sin(project(p, p->leaf[0])); /* so that there is something to check */
        for (int i = 0; i < 3; i++) y = ad_add(y, ad_sin(project(p, g.var[i == 0 ? g.count - 1 : pick(&g)])));
        ad_error error;
        if (check_gradient(p, y, &error) != AD_OK) {
            ad_tape_print(p->tape, stdout);
            ck_abort_msg("seed %d: %s", (int)seed, error.message);
        }
        problem_free(p);
    }
}
END_TEST

Suite *programs_suite(void)
{
    Suite *suite = suite_create("programs");
    TCase *all = tcase_create("programs");
    tcase_set_timeout(all, 120);
    tcase_add_test(all, random_programs);
    tcase_add_test(all, gradients_of_random_programs);
    suite_add_tcase(suite, all);
    return suite;
}
