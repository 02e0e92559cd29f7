/* Which elements depend on which: what the tape shows against what a change of each element does. */
#include <weir/flows.h>
#include "autodiff/reference.h"
#include "scratch.h"

/* Fills depends (size(y), size(x)). */
static void find_dependence(ad_var y, ad_var x, bool *depends)
{
    ad_error fault;
    memset(depends, 1, size_of(y) * size_of(x));
    ck_assert_msg(ad_dependence(y, x, depends, &fault) == AD_OK, "%s", fault.message);
}

/* ---- Every op ------------------------------------------------------------------------------------------------- */

enum { MOST = 8192 };

/* Does moving element j of leaf k, in all rows, by much and by little, move element i of y? */
static void find_changes(problem *p, ad_var y, int k, bool *changes)
{
    const size_t n_x = size_of(p->leaf[k]), n_y = size_of(y);
    double *x = (double *)(uintptr_t)p->value[k], *before = value_of(p, y, AD_F64);
    memset(changes, 0, n_x * n_y);
    double *saved = problem_array(p, extent_of(p, p->leaf[k]));
    memcpy(saved, x, extent_of(p, p->leaf[k]) * sizeof *x);
    for (size_t j = 0; j < n_x; j++)
        for (double by = 0.01; by < 2; by += 1.5) {
            for (size_t r = 0; r < extent_of(p, p->leaf[k]); r += n_x) x[r + j] += by;
            double *after = value_of(p, y, AD_F64);
            for (size_t i = 0; i < extent_of(p, y); i++) changes[i % n_y * n_x + j] |= after[i] != before[i];
            memcpy(x, saved, extent_of(p, p->leaf[k]) * sizeof *x);
        }
}

/* Ops that take more to move, or of which the tape knows less. */
static bool may_be_coarse(const char *op)
{
    static const char *const names[] = {"greater",
                                        "greater_equal",
                                        "equal",
                                        "sign",
                                        "relu",
                                        "maximum",
                                        "minimum",
                                        "max",
                                        "where",
                                        "gate",
                                        "solve",
                                        "log_abs_det",
                                        "sum_rows",
                                        "matmul_rows",
                                        "conv2d_weight_rows",
                                        "solve_triangular",
                                        "cholesky"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (strcmp(op, names[i]) == 0) return true;
    return false;
}

static void check_sample(const ad_op *op, const ad_sample *sample, unsigned per_row)
{
    static bool depends[MOST], changes[MOST];
    problem p = problem_new(5, per_row);
    for (int i = 0; i < sample->n_in; i++) bind_sample(&p, per_row >> i & 1, sample, i);
    ad_var y = ad_apply(op, p.leaf, p.n_leaf, sample->attribute, sample->n_attribute, p.tape);
    for (int k = 0; k < p.n_leaf; k++) {
        const size_t n = size_of(y) * size_of(p.leaf[k]);
        ck_assert_uint_le(n, MOST);
        find_dependence(y, p.leaf[k], depends);
        find_changes(&p, y, k, changes);
        for (size_t e = 0; e < n; e++)
            ck_assert_msg(depends[e] || !changes[e], "op '%s': element %zu of argument %d moves element %zu", op->name,
                          e % size_of(p.leaf[k]), k, e / size_of(p.leaf[k]));
        for (size_t e = 0; e < n && !may_be_coarse(op->name); e++)
            ck_assert_msg(depends[e] == changes[e], "op '%s': element %zu of argument %d can't move element %zu",
                          op->name, e % size_of(p.leaf[k]), k, e / size_of(p.leaf[k]));
    }
    problem_free(&p);
}

START_TEST(every_op)
{
    for (const ad_op *const *op = ad_all_ops(); *op; op++)
        for (const ad_sample *sample = (*op)->sample; sample < (*op)->sample + (*op)->n_sample; sample++) {
            const unsigned all = (1u << sample->n_in) - 1;
            if (ad_shape_size(sample->in[0].shape) > 100) continue; /* long to move one by one */
            check_sample(*op, sample, all);
            if (!((*op)->flags & AD_OP_SUMS_ROWS)) check_sample(*op, sample, 0);
        }
}
END_TEST

/* ---- Compositions ---------------------------------------------------------------------------------------------- */

enum { D = 6 };

/* Against rows of '1' and '.', one for each element of y. */
static void assert_pattern(ad_var y, ad_var x, const char *const *pattern, const char *what)
{
    static bool depends[MOST];
    find_dependence(y, x, depends);
    for (size_t i = 0; i < size_of(y); i++)
        for (size_t j = 0; j < size_of(x); j++)
            ck_assert_msg(depends[i * size_of(x) + j] == (pattern[i][j] == '1'), "%s: %zu of %zu should be %c", what, i,
                          j, pattern[i][j]);
}

#define DIAGONAL                                                                                                       \
    {                                                                                                                  \
        "1.....", ".1....", "..1...", "...1..", "....1.", ".....1"                                                     \
    }
#define LOWER                                                                                                          \
    {                                                                                                                  \
        "1.....", "11....", "111...", "1111..", "11111.", "111111"                                                     \
    }
#define ALL                                                                                                            \
    {                                                                                                                  \
        "111111", "111111", "111111", "111111", "111111", "111111"                                                     \
    }
#define NONE                                                                                                           \
    {                                                                                                                  \
        "......", "......", "......", "......", "......", "......"                                                     \
    }

/* A constant (D,D), 1 where keep(i, j). */
static ad_var mask_of(ad_tape *tape, bool (*keep)(size_t i, size_t j))
{
    double value[D * D];
    for (size_t i = 0; i < D; i++)
        for (size_t j = 0; j < D; j++) value[i * D + j] = keep(i, j);
    return ad_constant(tape, AD_SHAPE(D, D), value);
}

static bool up_to(size_t i, size_t j)
{
    return j <= i;
}

static bool beyond(size_t i, size_t j)
{
    return j > i;
}

static ad_var elementwise(ad_var x, ad_var w)
{
    ad_var a = ad_slice(ad_reshape(w, AD_SHAPE(D * D)), 0, 3, 4);
    return ad_add(x, ad_mul(ad_tanh(a), ad_sin(ad_div(x, ad_exp(a)))));
}

static ad_var masked(ad_var x, ad_var w)
{
    return ad_matmul(ad_mul(ad_tanh(w), mask_of(x.tape, up_to)), x);
}

/* The same mask, written 1 - its complement; and weights that are normalised, halved and negated. */
static ad_var masked_by_complement(ad_var x, ad_var w)
{
    ad_var mask = ad_sub(ad_scalar(x.tape, 1), mask_of(x.tape, beyond));
    ad_var v = ad_neg(ad_mul_scalar(ad_mul(w, mask), 0.5));
    return ad_matmul(ad_div(v, ad_sqrt(ad_sum(ad_square(v)))), ad_relu(x));
}

static ad_var masked_by_where(ad_var x, ad_var w)
{
    return ad_matmul(ad_where(mask_of(x.tape, beyond), ad_scalar(x.tape, 0), w), x);
}

static ad_var masked_twice(ad_var x, ad_var w)
{
    return masked(ad_softplus(masked(x, w)), w);
}

static ad_var blocked(ad_var x, ad_var w)
{
    static const size_t end[] = {1, 2, 3, 4, 5, 6}, begin[D] = {0};
    return ad_matmul_blocks(w, x, &(ad_blocks){D, end, begin, end});
}

static ad_var running_sum(ad_var x, ad_var w)
{
    return ad_cumsum(ad_mul(x, ad_sum(w)), 0, false);
}

/* The second half is moved by a function of the first. */
static ad_var coupling(ad_var x, ad_var w)
{
    ad_var first = ad_slice(x, 0, 0, D / 2), second = ad_slice(x, 0, D / 2, D);
    ad_var net = ad_matmul(ad_slice(w, 0, 0, D / 2), ad_tanh(ad_matmul(ad_slice(w, 1, 0, D / 2), first)));
    return ad_concat((ad_var[]){first, ad_add(second, net)}, 2, 0);
}

static ad_var coupling_by_mask(ad_var x, ad_var w)
{
    static const double kept[D] = {1, 1, 1};
    ad_var mask = ad_constant(x.tape, AD_SHAPE(D), kept), net = ad_matmul(w, ad_mul(x, mask));
    return ad_where(mask, x, ad_add(ad_mul(x, ad_exp(net)), net));
}

static ad_var permuted(ad_var x, ad_var w)
{
    static const size_t index[D] = {5, 3, 1, 0, 2, 4};
    return ad_scatter(ad_gather(ad_mul(x, ad_max(w)), index, D), (const size_t[]){0, 2, 1, 3, 5, 4}, D, D);
}

/* Softmax weights of each element's own components. */
static ad_var mixtures(ad_var x, ad_var w)
{
    ad_var each = ad_mul(ad_reshape(x, AD_SHAPE(D, 1)), w);
    return ad_logsumexp_axis(ad_sub(each, ad_reshape(ad_max_axis(each, 1), AD_SHAPE(D, 1))), 1);
}

static ad_var distances(ad_var x, ad_var w)
{
    return ad_div(x, ad_add_scalar(ad_sqrt(ad_sum(ad_square(x))), ad_shape_of(w).rank));
}

static ad_var difference(ad_var x, ad_var w)
{
    return ad_matmul(w, ad_sub(x, x));
}

static ad_var of_zero(ad_var x, ad_var w)
{
    return ad_add(ad_mul_scalar(x, 0), ad_matmul(w, ad_broadcast(ad_scalar(x.tape, 0), AD_SHAPE(D))));
}

static ad_var triangle(ad_var x, ad_var w)
{
    return ad_solve_triangular(w, x, AD_LOWER);
}

START_TEST(compositions)
{
    static const struct {
        const char *name;
        ad_var (*record)(ad_var x, ad_var w);
        const char *pattern[D];
    } cases[] = {
        {"elementwise", elementwise, DIAGONAL},
        {"masked", masked, LOWER},
        {"masked by a complement", masked_by_complement, LOWER},
        {"masked by where", masked_by_where, LOWER},
        {"masked twice", masked_twice, LOWER},
        {"blocked", blocked, LOWER},
        {"cumsum", running_sum, LOWER},
        {"coupling", coupling, {"1.....", ".1....", "..1...", "1111..", "111.1.", "111..1"}},
        {"coupling by a mask", coupling_by_mask, {"1.....", ".1....", "..1...", "1111..", "111.1.", "111..1"}},
        {"permuted", permuted, {".....1", ".1....", "...1..", "1.....", "....1.", "..1..."}},
        {"mixtures", mixtures, DIAGONAL},
        {"norm", distances, ALL},
        {"x - x", difference, ALL}, /* the tape doesn't know better */
        {"zero", of_zero, NONE},
        {"solve", triangle, ALL},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int per_row = 0; per_row < 4; per_row++) {
            if (cases[i].record == blocked && per_row & 2) continue;
            problem p = problem_new(1, 0);
            ad_var x = bind_random(&p, per_row & 1, AD_SHAPE(D), -1, 1);
            ad_var w = bind_random(&p, per_row & 2, AD_SHAPE(D, D), -1, 1);
            assert_pattern(cases[i].record(x, w), x, cases[i].pattern, cases[i].name);
            problem_free(&p);
        }
}
END_TEST

/* Of values on the way, and of what comes before. */
START_TEST(any_value)
{
    static const char *const diagonal[] = DIAGONAL, *const lower[] = LOWER, *const none[] = NONE;
    problem p = problem_new(1, 0);
    ad_var x = bind_random(&p, true, AD_SHAPE(D), -1, 1), w = bind_random(&p, false, AD_SHAPE(D, D), -1, 1);
    ad_var h = ad_matmul(w, x), c = ad_constant(p.tape, AD_SHAPE(D), (double[D]){0}), y = masked(ad_mul(h, c), w);
    assert_pattern(masked(h, w), h, lower, "an intermediate value");
    assert_pattern(x, x, diagonal, "itself");
    assert_pattern(x, y, none, "something later");
    assert_pattern(h, ad_normal(p.tape, AD_SHAPE(D), 1), none, "something else");
    assert_pattern(y, c, lower, "a constant, if it weren't one");
    problem_free(&p);
}
END_TEST

/* A MAF's Jacobian is triangular, from the last feature to the first; also in a chain, and with hidden layers that are
 * cut into blocks. */
START_TEST(autoregressive_flows)
{
    static const struct {
        const char *formula;
        bool last_first; /* x_i of z_i … z_D */
    } flows[] = {{"maf(16,16)", true}, {"maf(64,48)", true}, {"maf*3", true}, {"flip-maf-maf-flip-loc-scale", false}};
    for (size_t f = 0; f < COUNT(flows); f++)
        for (int inverse = 0; inverse < 2; inverse++) {
            nf_bijector *bijector = nf_bijector_parse(flows[f].formula, 12, 0, 1, NULL);
            ck_assert_ptr_nonnull(bijector);
            ad_tape *tape = ad_tape_new();
            const nf_scope *at = nf_bind(bijector, tape);
            ad_var x = ad_input(tape, "x", AD_SHAPE(12)), log_det;
            ad_var y = (inverse ? nf_inverse : nf_forward)(at, x, &log_det);
            bool depends[12][12];
            find_dependence(y, x, *depends);
            for (int i = 0; i < 12; i++)
                for (int j = 0; j < 12; j++)
                    ck_assert_msg(depends[i][j] == (flows[f].last_first ? j >= i : j <= i), "%s: %d of %d",
                                  flows[f].formula, i, j);
            ad_tape_free(tape);
            nf_bijector_free(bijector);
        }
}
END_TEST

/* Flags that can't be meant are not believed. */
START_TEST(odd_flags)
{
    static const char *const all[] = ALL;
    static const ad_op ops[] = {{.name = "sums", .n_in = 3, .flags = AD_OP_SUMS_ROWS | AD_OP_LINEAR},
                                {.name = "three", .n_in = 3, .flags = AD_OP_BILINEAR},
                                {.name = "plain", .n_in = 3}};
    for (size_t i = 0; i < COUNT(ops); i++) {
        problem p = problem_new(1, 0);
        ad_var x = bind_random(&p, true, AD_SHAPE(D), -1, 1), zero = ad_broadcast(ad_scalar(p.tape, 0), AD_SHAPE(D));
        assert_pattern(ad_apply(&ops[i], (ad_var[]){zero, x, zero}, 3, NULL, 0, p.tape), x, all, ops[i].name);
        problem_free(&p);
    }
}
END_TEST

START_TEST(mistakes)
{
    ad_error fault;
    bool depends[4];
    ad_tape *tape = ad_tape_new(), *other = ad_tape_new();
    ad_var x = ad_input(tape, "x", AD_SHAPE(2)), foreign = ad_scalar(other, 1);
    ck_assert_int_eq(ad_dependence(x, foreign, depends, &fault), AD_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(fault.message, "values of the same tape"));
    ck_assert_int_eq(ad_dependence((ad_var){0}, x, depends, NULL), AD_ERROR_ARGUMENT);
    ad_var y = ad_add(x, ad_param(tape, "w", AD_SHAPE(3)));
    ck_assert_int_eq(ad_dependence(y, x, depends, &fault), AD_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(fault.message, "don't broadcast"));
    ad_tape_free(other);
    ad_tape_free(tape);
}
END_TEST

START_TEST(every_allocation_fails)
{
    problem p = problem_new(1, 0);
    ad_var x = bind_random(&p, true, AD_SHAPE(D), -1, 1), w = bind_random(&p, false, AD_SHAPE(D, D), -1, 1);
    ad_var y = coupling(masked(x, w), w);
    bool denied = true, depends[D * D];
    for (size_t allowed = 0; denied; allowed++) {
        memory_limit(allowed);
        ad_status status = ad_dependence(y, x, depends, NULL);
        denied = memory.denied;
        memory_unlimited();
        ck_assert_int_eq(status, denied ? AD_ERROR_MEMORY : AD_OK);
    }
    problem_free(&p);
}
END_TEST

Suite *dependence_suite(void)
{
    Suite *suite = suite_create("dependence");
    TCase *all = tcase_create("dependence");
    tcase_set_timeout(all, 60);
    tcase_add_test(all, every_op);
    tcase_add_test(all, compositions);
    tcase_add_test(all, any_value);
    tcase_add_test(all, autoregressive_flows);
    tcase_add_test(all, odd_flags);
    tcase_add_test(all, mistakes);
    tcase_add_test(all, every_allocation_fails);
    suite_add_tcase(suite, all);
    return suite;
}
