/* Ops that are fused into one loop against the same ops run one by one, as a run is that looks for faults: the very same
 * numbers. */
#include "autodiff/reference.h"

static const ad_op *op_number(int i)
{
    return ad_all_ops()[i];
}

static int count_ops(void)
{
    int count = 0;
    while (ad_all_ops()[count]) count++;
    return count;
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
            ck_assert_msg(fused[i][j] == alone[i][j], "%s, %s, output %d: element %zu is %.17g, alone %.17g", what,
                          ad_dtype_name(dtype), i, j, fused[i][j], alone[i][j]);
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

Suite *fusion_suite(void)
{
    Suite *suite = suite_create("fusion");
    TCase *table = tcase_create("table");
    tcase_add_loop_test(table, every_op, 0, count_ops());
    suite_add_tcase(suite, table);
    return suite;
}
