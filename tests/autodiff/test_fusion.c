/* Ops that are fused into one loop against the same ops run one by one, as a run is that looks for faults: the very
 * same numbers. */
#include "autodiff/programs.h"

/* The same bits, or both NaN. */
static bool are_same(double a, double b)
{
    return isnan(a) ? isnan(b) : a == b && signbit(a) == signbit(b);
}

/* The same plan, run in both ways. */
static void check_both_ways(problem *p, const ad_var *y, int count, ad_dtype dtype, const char *what)
{
    double *fused[MAX_OUTPUTS], *alone[MAX_OUTPUTS];
    evaluate(p, y, count, dtype, fused);
    p->run.find_nan = true;
    evaluate(p, y, count, dtype, alone);
    p->run.find_nan = false;
    for (int i = 0; i < count; i++)
        for (size_t j = 0; j < extent_of(p, y[i]); j++)
            ck_assert_msg(are_same(fused[i][j], alone[i][j]), "%s, %s, output %d: element %zu is %.17g, alone %.17g",
                          what, ad_dtype_name(dtype), i, j, fused[i][j], alone[i][j]);
}

/* Each op, then its gradients and theirs, with shared and per-row arguments. */
static void check_sample(const ad_op *op, const ad_sample *sample, unsigned per_row, size_t rows)
{
    problem p = problem_new(rows, 1000 * per_row + (uint64_t)(sample - op->sample));
    for (int i = 0; i < sample->n_in; i++) bind_sample(&p, per_row >> i & 1, sample, i);
    ad_var y[1 + 2 * MAX_PARTS];
    y[0] = ad_apply(op, p.leaf, p.n_leaf, sample->attribute, sample->n_attribute, p.tape);
    ad_grad(project(&p, ad_square(y[0])), p.leaf, p.n_leaf, y + 1);
    ad_grad(gradient_of_squares(&p, y[0]), p.leaf, p.n_leaf, y + 1 + p.n_leaf);
    char what[128];
    snprintf(what, sizeof what, "op '%s', sample %td, per-row arguments 0x%x, %zu rows", op->name, sample - op->sample,
             per_row, rows);
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) check_both_ways(&p, y, 1 + 2 * p.n_leaf, dtype, what);
    problem_free(&p);
}

START_TEST(every_op)
{
    const ad_op *op = op_number(_i);
    for (const ad_sample *sample = op->sample; sample < op->sample + op->n_sample; sample++)
        for (unsigned per_row = 0; per_row < 1u << sample->n_in; per_row++) {
            if (op->flags & AD_OP_SUMS_ROWS && per_row + 1 != 1u << sample->n_in) continue;
            check_sample(op, sample, per_row, 1);
            check_sample(op, sample, per_row, 37);
        }
}
END_TEST

/* ---- Special values ------------------------------------------------------------------------------------------ */

static const double special[] = {0.0,    -0.0,  1,      -1,    0.5,   -0.5,  NAN,     INFINITY, -INFINITY,  1e-45,
                                 -1e-45, 1e-40, -1e-38, 1e-38, 88.8,  -88.8, -104,    18.05,    1e5,        -1e5,
                                 3.3e38, -3e38, 1e37,   2e37,  1e-30, 2.5,   8388609, -2.5,     0.99999994, 1e20};

/* Every combination of special numbers by a loop of one op, against what the op's own function makes of them. */
static void check_special(const ad_op *op, const ad_sample *sample, ad_dtype dtype)
{
    enum { N = COUNT(special) };
    const int n_in = sample->n_in;
    const size_t rows = n_in == 1 ? N : n_in == 2 ? N * N : N * N * N;
    problem p = problem_new(rows, 0);
    const void *in[3];
    for (int j = 0; j < n_in; j++) {
        double *number = problem_array(&p, rows);
        void *rounded = problem_array(&p, rows);
        for (size_t i = 0; i < rows; i++) {
            number[i] = special[i / (size_t[]){1, N, N * N}[j] % N];
            ad_set_element(dtype, rounded, i, number[i]);
        }
        bind(&p, true, AD_SHAPE(), number);
        in[j] = rounded;
    }
    const ad_var y = ad_apply(op, p.leaf, n_in, sample->attribute, sample->n_attribute, p.tape);
    const double *fused = value_of(&p, y, dtype);
    void *alone = problem_array(&p, rows);
    op->loop[dtype](rows, in, (const size_t[]){1, 1, 1}, alone, sample->attribute);
    for (size_t i = 0; i < rows; i++) {
        double expected = dtype == AD_F32 ? (double)((float *)alone)[i] : ((double *)alone)[i];
        ck_assert_msg(are_same(fused[i], expected), "op '%s', %s, %g and %g: %.17g, alone %.17g", op->name,
                      ad_dtype_name(dtype), special[i % N], special[i / N % N], fused[i], expected);
    }
    problem_free(&p);
}

START_TEST(special_values)
{
    const ad_op *op = op_number(_i);
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++)
        if (op->flags & AD_OP_ELEMENTWISE && op->fusing[dtype] && op->loop[dtype])
            for (size_t s = 0; s < op->n_sample; s++) check_special(op, &op->sample[s], dtype);
}
END_TEST

/* Rows of a matrix are turned over; what lies across two of them can't be. */
START_TEST(views_across_turns)
{
    problem p = problem_new(5, 1);
    const ad_var m = ad_square(bind_random(&p, true, AD_SHAPE(2, 5), -1, 1));
    const ad_var across = ad_slice(ad_reshape(m, AD_SHAPE(10)), 0, 3, 8);
    ad_var y[] = {ad_add_scalar(across, 1), ad_mul_scalar(m, 2)};
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) check_both_ways(&p, y, 2, dtype, "a view across turns");
    problem_free(&p);
}
END_TEST

/* So few may be fused, which are then added one after another. */
START_TEST(sums_of_few_shared_numbers)
{
    for (size_t n = 1; n <= 33; n++) {
        problem p = problem_new(1, n);
        const ad_var x = bind_random(&p, false, AD_SHAPE(n), -1, 1);
        ad_var y[] = {ad_sum_axis(ad_sin(x), 0), ad_mul_scalar(ad_sum_axis(ad_exp(x), 0), 3)};
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) check_both_ways(&p, y, 2, dtype, "a sum of few");
        problem_free(&p);
    }
}
END_TEST

static void check_program(uint64_t seed)
{
    program g = program_new(seed, FUSED, 1 + (size_t)(seed % (seed % 3 ? 40 : 300)), 10 + (int)(seed % 51));
    g.p.tile_rows = (size_t[]){16, 32, 0}[seed % 3];
    ad_var y[12];
    for (int i = 0; i < 12; i++) y[i] = g.var[i == 0 ? g.count - 1 : pick(&g)];
    char what[128];
    snprintf(what, sizeof what, "program %d", (int)seed);
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) check_both_ways(&g.p, y, 12, dtype, what);
    problem_free(&g.p);
}

START_TEST(random_programs)
{
    for (uint64_t seed = 300; seed < 360; seed++) check_program(seed);
}
END_TEST

Suite *fusion_suite(void)
{
    Suite *suite = suite_create("fusion");
    TCase *table = tcase_create("table");
    tcase_add_loop_test(table, every_op, 0, count_ops());
    suite_add_tcase(suite, table);
    TCase *cases = tcase_create("cases");
    tcase_add_test(cases, views_across_turns);
    tcase_add_test(cases, sums_of_few_shared_numbers);
    tcase_add_loop_test(cases, special_values, 0, count_ops());
    suite_add_tcase(suite, cases);
    TCase *programs = tcase_create("programs");
    tcase_set_timeout(programs, 60);
    tcase_add_test(programs, random_programs);
    suite_add_tcase(suite, programs);
    return suite;
}
