/* Random numbers, on tapes and off. */
#include "autodiff/engine.h"

static double *noise_of(problem *p, bool normal, ad_shape shape, unsigned stream, ad_dtype dtype)
{
    return value_of(p, normal ? ad_normal(p->tape, shape, stream) : ad_uniform(p->tape, shape, stream), dtype);
}

/* As Philox has it, at any seed, step, row number, tile, thread. */
START_TEST(noise_is_philox)
{
    static const struct {
        uint64_t seed, step, first_row;
        unsigned stream;
        size_t tile;
    } cases[] = {{0, 0, 0, 0, 16}, {1, 2, 3, 4, 0}, {0x123456789abcdef0, 0xffffffff, (1ull << 32) - 20, 4095, 48}};
    enum { ROWS = 50, N = 5 };
    ad_pool *pool = ad_pool_new(3, NULL);
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int normal = 0; normal < 2; normal++) {
            problem p = problem_new(ROWS, 0);
            p.tile_rows = cases[i].tile;
            p.run = (ad_run){.rows = ROWS,
                             .seed = cases[i].seed,
                             .step = cases[i].step,
                             .first_row = cases[i].first_row,
                             .pool = i % 2 ? pool : NULL};
            double *wide = noise_of(&p, normal, AD_SHAPE(N), cases[i].stream, AD_F64);
            double *narrow = noise_of(&p, normal, AD_SHAPE(N), cases[i].stream, AD_F32);
            for (size_t k = 0; k < ROWS * N; k++) {
                uint64_t source = (uint64_t)cases[i].stream << 20 | (normal ? 0 : 1u << 19);
                uint32_t bits[4];
                double u[2];
                ad_random_bits(cases[i].seed, cases[i].step | (source + k % N / 2) << 32, cases[i].first_row + k / N,
                               bits);
                for (int j = 0; j < 2; j++)
                    u[j] = ((double)(((uint64_t)bits[2 * j] << 32 | bits[2 * j + 1]) >> 12) + 0.5) * 0x1p-52;
                double angle = 2 * M_PI * u[1], radius = sqrt(-2 * log(u[0]));
                if (normal)
                    ck_assert_double_eq_tol(wide[k], radius * (k % N % 2 ? sin(angle) : cos(angle)), 1e-14);
                else
                    ck_assert(wide[k] == u[k % N % 2]);
                ck_assert((float)narrow[k] == (float)wide[k]);
            }
            problem_free(&p);
        }
    ad_pool_free(pool);
}
END_TEST

static int compare_numbers(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Moments, correlations of neighbours and the Kolmogorov-Smirnov distance, each within 5 σ. */
START_TEST(noise_is_distributed_right)
{
    enum { ROWS = 20000, N = 5, ALL = ROWS * N };
    for (int normal = 0; normal < 2; normal++) {
        problem p = problem_new(ROWS, 0);
        p.run.seed = 11;
        p.tile_rows = 0;
        double *z = noise_of(&p, normal, AD_SHAPE(N), 2, AD_F64), mean = 0, square = 0, along = 0, across = 0;
        const double centre = normal ? 0 : 0.5, variance = normal ? 1 : 1 / 12., fourth = normal ? 3 : 1 / 80.;
        for (size_t i = 0; i < ALL; i++) {
            double d = z[i] - centre;
            mean += d / ALL;
            square += d * d / ALL;
            if (i + 1 < ALL) along += d * (z[i + 1] - centre) / ALL;
            if (i + N < ALL) across += d * (z[i + N] - centre) / ALL;
        }
        ck_assert_double_lt(fabs(mean), 5 * sqrt(variance / ALL));
        ck_assert_double_lt(fabs(square - variance), 5 * sqrt((fourth - variance * variance) / ALL));
        ck_assert_double_lt(fabs(along), 5 * variance / sqrt(ALL));
        ck_assert_double_lt(fabs(across), 5 * variance / sqrt(ALL));
        qsort(z, ALL, sizeof *z, compare_numbers);
        double distance = 0;
        for (size_t i = 0; i < ALL; i++) {
            double cdf = normal ? erfc(-z[i] / sqrt(2)) / 2 : z[i];
            distance = fmax(distance, fmax(cdf - (double)i / ALL, (double)(i + 1) / ALL - cdf));
        }
        ck_assert_double_lt(distance * sqrt(ALL), 2.73); /* 2 exp(-2 · 2.73²) is 5 σ's probability */
        problem_free(&p);
    }
}
END_TEST

/* Another seed, step, stream, row or kind: other numbers. The same: the same, node or not. */
START_TEST(noise_sources_differ)
{
    enum { ROWS = 40, N = 3, ALL = ROWS * N };
    problem p = problem_new(ROWS, 0);
    double *other[] = {[0] = noise_of(&p, true, AD_SHAPE(N), 0, AD_F64),
                       [1] = noise_of(&p, true, AD_SHAPE(N), 1, AD_F64),
                       [2] = noise_of(&p, false, AD_SHAPE(N), 0, AD_F64),
                       [3] = (p.run.seed = 1, noise_of(&p, true, AD_SHAPE(N), 0, AD_F64)),
                       [4] = (p.run.seed = 1ull << 32, noise_of(&p, true, AD_SHAPE(N), 0, AD_F64)),
                       [5] = (p.run.seed = 0, p.run.step = 1, noise_of(&p, true, AD_SHAPE(N), 0, AD_F64)),
                       [6] =
                           (p.run.step = 0, p.run.first_row = 1ull << 32, noise_of(&p, true, AD_SHAPE(N), 0, AD_F64))};
    for (size_t a = 0; a < COUNT(other); a++)
        for (size_t b = 0; b < COUNT(other); b++)
            for (size_t i = 0; i < ALL && a != b; i++) ck_assert(other[a][i] != other[b][i]);
    p.run.first_row = 7;
    double *moved = noise_of(&p, true, AD_SHAPE(N), 0, AD_F64);
    ck_assert_mem_eq(moved, other[0] + 7 * N, (ROWS - 7) * N * sizeof(double));
    problem_free(&p);
}
END_TEST

/* float32 rounds to 1 what is nearest to it; but uniforms stay below. In this row there is such a one. */
START_TEST(uniforms_are_below_one)
{
    problem p = problem_new(1, 0);
    p.run.first_row = 19311594;
    ck_assert((float)noise_of(&p, false, AD_SHAPE(2), 0, AD_F64)[1] == 1);
    ck_assert(noise_of(&p, false, AD_SHAPE(2), 0, AD_F32)[1] == 1 - 0x1p-24);
    problem_free(&p);
}
END_TEST

/* Known answers of Philox4x32-10, from Random123. */
START_TEST(random_bits)
{
    static const struct {
        uint64_t seed, stream, index;
        uint32_t bits[4];
    } known[] = {
        {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
    for (size_t i = 0; i < COUNT(known); i++) {
        uint32_t bits[4];
        ad_random_bits(known[i].seed, known[i].stream, known[i].index, bits);
        ck_assert_mem_eq(bits, known[i].bits, sizeof bits);
    }
    enum { N = 100000 };
    double mean = 0, square = 0;
    for (uint64_t i = 0; i < N; i++) {
        uint32_t bits[4];
        ad_random_bits(3, 4, i, bits);
        double z = ad_random_normal(3, 4, i), u = ad_random_uniform(3, 4, i);
        double angle = 2 * M_PI * ((double)(((uint64_t)bits[2] << 32 | bits[3]) >> 12) + 0.5) * 0x1p-52;
        ck_assert_double_eq_tol(z, sqrt(-2 * log(u)) * cos(angle), 1e-14);
        mean += z / N;
        square += z * z / N;
        ck_assert(u > 0 && u < 1);
    }
    ck_assert_double_lt(fabs(mean), 5 / sqrt(N));
    ck_assert_double_lt(fabs(square - 1), 5 * sqrt(2. / N));
}
END_TEST

START_TEST(random_permutations)
{
    static const uint64_t sizes[] = {1, 2, 3, 10, 255, 256, 257, 4097, 70000};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        const uint64_t n = sizes[i];
        char *seen = calloc((size_t)n, 1);
        uint64_t fixed = 0, same = 0;
        const ad_permutation kept = ad_permutation_of(1, 2, n);
        for (uint64_t k = 0; k < n; k++) {
            uint64_t image = ad_random_permutation(1, 2, n, k);
            ck_assert(image < n && !seen[image]);
            ck_assert_uint_eq(image, ad_permutation_image(&kept, k));
            seen[image] = 1;
            fixed += image == k;
            same += image == ad_random_permutation(1, 3, n, k);
        }
        ck_assert(n < 10 || (fixed < 10 && same < 10));
        free(seen);
    }
}
END_TEST

Suite *noise_suite(void)
{
    Suite *suite = suite_create("noise");
    TCase *all = tcase_create("noise");
    tcase_set_timeout(all, 60);
    tcase_add_test(all, noise_is_philox);
    tcase_add_test(all, noise_is_distributed_right);
    tcase_add_test(all, noise_sources_differ);
    tcase_add_test(all, uniforms_are_below_one);
    tcase_add_test(all, random_bits);
    tcase_add_test(all, random_permutations);
    suite_add_tcase(suite, all);
    return suite;
}
