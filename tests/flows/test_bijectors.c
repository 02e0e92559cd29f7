/* Bijectors: each map against its formula, inverses, log-dets, Jacobians. */
#include "flows/flow_tools.h"
#include <weir/models.h>
#include "scratch.h"

#include <math.h>

static const size_t dims[] = {1, 2, 3, 8, 33};

static const char *const chains[] = {
    "(maf(13,11,activation=relu)-flip)*2-standardize",
    "loc-scale-maf(16,activation=tanh)-permute(seed=3)-standardize",
    "maf(9,7,5,activation=elu)-scale-flip-maf(2,activation=silu)",
    "invert(maf(9,activation=silu)-loc)-permute(seed=1)-invert(scale)-maf(5,activation=sin)",
    "invert(invert(maf(4,bound=0.5)-flip)-standardize)*2",
    "(realnvp(9,7,mask=alternating,activation=gelu)-realnvp(9,mask=alternating,flipped=1,activation=silu))*2",
    "realnvp(6,6,network=residual)-flip-realnvp(6,mask=random,seed=4,activation=elu,bound=1)",
    "(rqs(7,bins=3,tail=2)-flip)*2-rqs(6,network=residual,activation=gelu,mask=random,seed=1)",
    "rqsar(9,8,bins=5,tail=2)-flip-iaf(7,activation=silu)-invert(rqsar(8,bins=2,activation=elu))",
    "affine(rank=0,form=diagonal)-radial-hh-affine(rank=5,form=diagonal)-softplus",
    "leaky(slopes=each)-lu(seed=5)",
    "leaky(bandwidth=0)-affine(rank=1)",
    "affine(rank=5)-hh",
    "on([1],affine-tanh)-maf(3)-invert(on([1],leaky-on([1],lu)))*2",
};

static size_t n_types(void)
{
    size_t n = 0;
    while (nf_bijector_types()[n]) n++;
    return n;
}

/* Every type that formulas know, then every chain. */
static size_t n_formulas(void)
{
    return n_types() + COUNT(chains);
}

/* By its name alone; but what takes long for each value, such as roots through all of a network, is small, and smaller
 * for many features. */
static const char *formula_number(size_t i, size_t dim)
{
    static const struct {
        const char *name, *few, *many;
    } small[] = {{"bnaf", "bnaf", "bnaf(1)"},
                 {"cnf", "cnf(6,6)", "cnf(3)"},
                 {"gaussianize", "gaussianize(3)", "gaussianize(2)"},
                 {"residual", "residual(8)", "residual(4)"}};
    if (i >= n_types()) return chains[i - n_types()];
    const char *name = nf_bijector_types()[i]->name;
    for (size_t k = 0; k < COUNT(small); k++)
        if (strcmp(name, small[k].name) == 0) return dim > 8 ? small[k].many : small[k].few;
    return name;
}

/* ---- What holds for all -------------------------------------------------------------------------------------- */

START_TEST(passes_the_check)
{
    size_t dim = dims[(size_t)_i / n_formulas()];
    const char *formula = formula_number((size_t)_i % n_formulas(), dim);
    nf_bijector *bijector = parsed(formula, dim, 1);
    nf_check_result result[NF_MOST_CHECKS];
    int count;
    ad_status status = nf_check_bijector(bijector, 2, result, &count, &error);
    ck_assert_msg(status == AD_OK, "%s at D = %zu: %s", formula, dim, error.message);
    ck_assert_int_ge(count, 15);
    nf_bijector_free(bijector);
}
END_TEST

/* With more than 64 features a diagonal affine goes by the determinant lemma and Woodbury's identity. */
START_TEST(wide_affine)
{
    static const struct {
        const char *formula;
        size_t dim;
    } wide[] = {{"affine(rank=3)", 65}, {"affine(rank=3,form=diagonal)", 65}, {"affine", 80}};
    for (size_t i = 0; i < COUNT(wide); i++) {
        nf_bijector *bijector = parsed(wide[i].formula, wide[i].dim, 1);
        nf_check_result result[NF_MOST_CHECKS];
        int count;
        ASSERT_OK(nf_check_bijector(bijector, 1, result, &count, &error));
        ck_assert_int_ge(count, 15);
        nf_bijector_free(bijector);
    }
}
END_TEST

/* There and back from `in`, in float64; but for events outside the support. */
static void assert_inverts(nf_flow *flow, bool inverse, const double *in, size_t rows)
{
    size_t dim = nf_flow_dim(flow);
    double *out = malloc(rows * dim * sizeof *out), *back = malloc(rows * dim * sizeof *back);
    double *there = malloc(rows * sizeof *there), *again = malloc(rows * sizeof *again);
    ASSERT_OK(nf_transform(flow, inverse, in, NULL, rows, out, there, NULL, &error));
    ASSERT_OK(nf_transform(flow, !inverse, out, NULL, rows, back, again, NULL, &error));
    for (size_t r = 0; r < rows; r++) {
        if (there[r] == -INFINITY) continue;
        for (size_t i = r * dim; i < (r + 1) * dim; i++) ck_assert_double_eq_tol(back[i], in[i], 1e-10);
        ck_assert_double_eq_tol(there[r] + again[r], 0, 1e-10);
    }
    free(out);
    free(back);
    free(there);
    free(again);
}

START_TEST(inverts)
{
    enum { ROWS = 300 };
    for (size_t i = 0; i < n_formulas(); i++) {
        size_t dim = dims[_i];
        nf_flow *flow = moved_flow(formula_number(i, dim), dim, AD_F64);
        double *z = normals(ROWS * dim, 1.5, 4);
        assert_inverts(flow, false, z, ROWS);
        if (dim <= 8) assert_inverts(flow, true, z, ROWS);
        free(z);
        nf_flow_free(flow);
    }
}
END_TEST

/* ---- Each against its formula -------------------------------------------------------------------------------- */

enum { D = 4, ROWS = 50 };

/* x and log-det of a bijector with the given parameter values, from z (ROWS, D). */
static double *forward_of(const char *formula, const char *const *name, const double (*value)[D], size_t count,
                          const double *z, double *log_det)
{
    nf_bijector *bijector = parsed(formula, D, 1);
    for (size_t i = 0; i < count; i++)
        memcpy(nf_parameter_value(bijector->child[0], name[i]), value[i], sizeof value[i]);
    nf_flow *flow = nf_flow_new(NULL, bijector, AD_F64, &error);
    double *x = malloc(ROWS * D * sizeof *x);
    ASSERT_OK(nf_transform(flow, false, z, NULL, ROWS, x, log_det, NULL, &error));
    nf_flow_free(flow);
    return x;
}

static const double shift[D] = {3, -0.5, 0, 1e3}, factor[D] = {0.5, 2, 1e-3, 40};

#define EACH_ELEMENT                                                                                                   \
    for (size_t r = 0, i = 0; r < ROWS; r++)                                                                           \
        for (size_t j = 0; j < D; j++, i++)

START_TEST(maps)
{
    double *z = normals(ROWS * D, 1.5, 5), log_det[ROWS], rho[D], sum = 0;
    for (size_t j = 0; j < D; j++) {
        rho[j] = log(expm1(factor[j]));
        sum += log(factor[j]);
    }

    double *x = forward_of("loc", (const char *[]){"loc"}, &shift, 1, z, log_det);
    EACH_ELEMENT ck_assert_double_eq_tol(x[i], z[i] + shift[j], 1e-12);
    for (size_t r = 0; r < ROWS; r++) ck_assert_double_eq(log_det[r], 0);
    free(x);

    x = forward_of("scale", (const char *[]){"rho"}, (const double(*)[D])rho, 1, z, log_det);
    EACH_ELEMENT ck_assert_double_eq_tol(x[i], z[i] * factor[j], 1e-12);
    for (size_t r = 0; r < ROWS; r++) ck_assert_double_eq_tol(log_det[r], sum, 1e-12);
    free(x);

    double both[2][D];
    memcpy(both[0], shift, sizeof shift);
    memcpy(both[1], factor, sizeof factor);
    x = forward_of("standardize", (const char *[]){"mean", "scale"}, (const double(*)[D])both, 2, z, log_det);
    EACH_ELEMENT ck_assert_double_eq_tol(x[i], z[i] * factor[j] + shift[j], 1e-12);
    for (size_t r = 0; r < ROWS; r++) ck_assert_double_eq_tol(log_det[r], sum, 1e-12);
    free(x);

    x = forward_of("flip", NULL, NULL, 0, z, log_det);
    EACH_ELEMENT ck_assert_double_eq(x[i], z[r * D + D - 1 - j]);
    free(x);

    x = forward_of("invert(standardize)-loc", NULL, NULL, 0, z, log_det);
    EACH_ELEMENT ck_assert_double_eq(x[i], z[i]); /* initial values are the identity */
    free(x);

    x = forward_of("actnorm-batchnorm(epsilon=1e-12)", NULL, NULL, 0, z, log_det);
    EACH_ELEMENT ck_assert_double_eq_tol(x[i], z[i], 1e-11);
    for (size_t r = 0; r < ROWS; r++) ck_assert_double_eq_tol(log_det[r], 0, 1e-11);
    free(x);
    free(z);
}
END_TEST

/* Widths of initial values, as the headers of the bijectors have them: over 4000 draws the standard deviation is known
 * to 1.1%. */
START_TEST(starts_as_wide_as_it_says)
{
    static const struct {
        const char *formula;
        size_t dim;
        const char *name;
        double sd;
    } starts[] = {
        {"planar", 4000, "u", 0.01},
        {"planar", 4000, "w", 1 / 63.2455532}, /* 1/√D */
        {"affine(form=diagonal)", 4000, "v", 0.8 / 63.2455532},
        {"affine(form=diagonal)", 4000, "shift", 0.1},
        {"affine(rank=64)", 64, "v", 0.1},
    };
    for (size_t k = 0; k < COUNT(starts); k++) {
        nf_bijector *chain = parsed(starts[k].formula, starts[k].dim, 7), *bijector = chain->child[0];
        const nf_parameter *parameter = bijector->parameter;
        while (strcmp(parameter->name, starts[k].name) != 0) parameter++;
        size_t size = ad_shape_size(parameter->spec.shape);
        double square = 0;
        for (size_t i = 0; i < size; i++) square += parameter->value[i] * parameter->value[i];
        ck_assert_uint_ge(size, 4000);
        ck_assert_double_eq_tol(sqrt(square / (double)size) / starts[k].sd, 1, 0.06);
        nf_bijector_free(chain);
    }
}
END_TEST

/* What batchnorm makes of a batch while it is trained on one, written out; and d log_det / dx_r of the batch's
 * variance, -(x_r - m) / (n (v + ε)). Of all rows, its statistics are kept as they are. */
START_TEST(batchnorm_in_training)
{
    static const double mean[D] = {1, -2, 0.5, 10}, variance[D] = {4, 0.25, 1, 9}, gain[D] = {0.3, -0.2, 0, 1};
    static const char *const names[] = {"mean", "variance", "log_gain", "offset"};
    const double *const values[] = {mean, variance, gain, shift}, epsilon = 1e-3, momentum = _i ? 1 : 0.3;
    nf_bijector *chain = parsed("batchnorm(momentum=0.3,epsilon=1e-3)", D, 1), *bijector = chain->child[0];
    for (size_t i = 0; i < COUNT(names); i++) memcpy(nf_parameter_value(bijector, names[i]), values[i], sizeof mean);

    ad_tape *tape = ad_tape_new();
    nf_scope *at = nf_bind(bijector, tape);
    (_i ? nf_set_statistics : nf_set_training)(at);
    ad_var x = ad_input(tape, "x", AD_SHAPE(D)), log_det, z = nf_inverse(at, x, &log_det);
    ad_var out[] = {ad_to_rows(z), ad_to_rows(ad_grad1(log_det, x)), log_det, at->parameter[0].update,
                    at->parameter[1].update};
    ad_plan *plan = ad_plan_new(out, COUNT(out), &(ad_plan_options){.dtype = AD_F64}, &error);
    ck_assert_msg(plan != NULL, "%s", error.message);
    double *batch = normals(ROWS * D, 2, 8), got[ROWS][D], slope[ROWS][D], got_log_det, new_mean[D], new_variance[D];
    for (size_t r = 0; r < ROWS; r++) batch[r * D] += 5;
    ad_plan_set_input(plan, x, batch);
    nf_bind_plan(at, plan);
    void *const to[] = {got, slope, &got_log_det, new_mean, new_variance};
    for (int i = 0; i < (int)COUNT(to); i++) ad_plan_set_output(plan, i, to[i]);
    ASSERT_OK(ad_plan_run(plan, &(ad_run){.rows = ROWS}, &error));

    double log_det_by_hand = 0;
    for (size_t j = 0; j < D; j++) {
        double m = 0, v = 0;
        for (size_t r = 0; r < ROWS; r++) m += batch[r * D + j] / ROWS;
        for (size_t r = 0; r < ROWS; r++) v += (batch[r * D + j] - m) * (batch[r * D + j] - m) / ROWS;
        log_det_by_hand += gain[j] - log(v + epsilon) / 2;
        ck_assert_double_eq_tol(new_mean[j], (1 - momentum) * mean[j] + momentum * m, 1e-12);
        ck_assert_double_eq_tol(new_variance[j], (1 - momentum) * variance[j] + momentum * v, 1e-12);
        for (size_t r = 0; r < ROWS; r++) {
            double centred = batch[r * D + j] - m;
            ck_assert_double_eq_tol(got[r][j], centred / sqrt(v + epsilon) * exp(gain[j]) + shift[j], 1e-10);
            ck_assert_double_eq_tol(slope[r][j], -centred / (ROWS * (v + epsilon)), 1e-12);
        }
    }
    ck_assert_double_eq_tol(got_log_det, log_det_by_hand, 1e-12);
    ad_plan_free(plan);
    ad_tape_free(tape);
    free(batch);
    nf_bijector_free(chain);
}
END_TEST

/* x_i = z_p(i) with a true permutation p, and different seeds give different ones. */
START_TEST(permutes)
{
    enum { SEEDS = 6, N = 33 };
    double z[N], x[SEEDS][N], log_det;
    for (size_t j = 0; j < N; j++) z[j] = (double)j;
    for (int seed = 0; seed < SEEDS; seed++) {
        char formula[40];
        sprintf(formula, "permute(seed=%d)", seed);
        nf_flow *flow = nf_flow_parse(formula, N, 0, AD_F32, 0, &error);
        ASSERT_OK(nf_transform(flow, false, z, NULL, 1, x[seed], &log_det, NULL, &error));
        ck_assert_double_eq(log_det, 0);
        bool seen[N] = {false};
        for (size_t j = 0; j < N; j++) seen[(size_t)x[seed][j]] = true;
        for (size_t j = 0; j < N; j++) ck_assert(seen[j]);
        for (int other = 0; other < seed; other++) ck_assert_mem_ne(x[seed], x[other], sizeof x[seed]);
        nf_flow_free(flow);
    }
    /* golden/permutation.py: permutation(3, 8) */
    static const double expected[] = {2, 3, 1, 7, 4, 6, 0, 5};
    nf_flow *flow = nf_flow_parse("permute(seed=3)", 8, 0, AD_F32, 0, &error);
    ASSERT_OK(nf_transform(flow, false, z, NULL, 1, x[0], NULL, NULL, &error));
    ck_assert_mem_eq(x[0], expected, sizeof expected);
    nf_flow_free(flow);
}
END_TEST

START_TEST(permutes_in_order)
{
    nf_flow *flow = nf_flow_parse("permute(order=[3,1,4,2])", 4, 0, AD_F64, 0, &error);
    const double z[] = {1, 2, 3, 4}, expected[] = {3, 1, 4, 2};
    double x[4], back[4], log_det;
    ASSERT_OK(nf_transform(flow, false, z, NULL, 1, x, &log_det, NULL, &error));
    ASSERT_OK(nf_transform(flow, true, x, NULL, 1, back, NULL, NULL, &error));
    ck_assert_mem_eq(x, expected, sizeof x);
    ck_assert_mem_eq(back, z, sizeof z);
    ck_assert_double_eq(log_det, 0);
    nf_flow_free(flow);
}
END_TEST

START_TEST(standardizes)
{
    /* a mean that dwarfs the spread; a constant that is no sum of powers of two; a plain one */
    enum { N = 1000 };
    double x[N][3], mean = 0, squares = 0;
    for (size_t r = 0; r < N; r++) {
        x[r][0] = 1e9 + (double)(r % 2);
        x[r][1] = 0.1;
        x[r][2] = 3 * ad_random_normal(1, 0, r) - 7;
        mean += x[r][2] / N;
    }
    for (size_t r = 0; r < N; r++) squares += (x[r][2] - mean) * (x[r][2] - mean);
    nf_bijector *bijector = parsed("flip-standardize", 3, 0);
    ASSERT_OK(nf_bijector_fit(bijector, x[0], NULL, N, &error));
    const double *got_mean = nf_parameter_value(bijector->child[1], "mean");
    const double *got_scale = nf_parameter_value(bijector->child[1], "scale");
    ck_assert_double_eq_tol(got_mean[0], 1e9 + 0.5, 1e-6);
    ck_assert_double_eq_tol(got_scale[0], 2 * 0.5, 1e-6);
    ck_assert_double_eq_tol(got_mean[1], 0.1, 1e-15);
    ck_assert_double_eq(got_scale[1], 1);
    ck_assert_double_eq_tol(got_mean[2], mean, 1e-12);
    ck_assert_double_eq_tol(got_scale[2], 2 * sqrt(squares / N), 1e-12);
    nf_bijector_free(bijector);

    /* each at its place: the first of two sees data of mean 0 and standard deviation 1/2 */
    bijector = parsed("standardize-scale-flip-standardize", 3, 0);
    ASSERT_OK(nf_bijector_fit(bijector, x[0], NULL, N, &error));
    for (size_t j = 0; j < 3; j++) {
        ck_assert_double_eq_tol(nf_parameter_value(bijector->child[0], "mean")[j], 0, 1e-6);
        ck_assert_double_eq_tol(nf_parameter_value(bijector->child[0], "scale")[j], 1, 1e-9);
    }
    x[5][2] = NAN;
    ck_assert_int_eq(nf_bijector_fit(bijector, x[0], NULL, N, &error), AD_ERROR_NUMERIC);
    ck_assert_ptr_nonnull(strstr(error.message, "column 3"));
    nf_bijector_free(bijector);
}
END_TEST

/* ---- MAF: which output depends on which input ------------------------------------------------------------------ */

enum { FEATURES = 8 };

/* paths[i][j]: output i's network sees input j. Germain et al. 2015: masks from degrees; from the last to the first. */
static void find_paths(const size_t *hidden, size_t layers, bool paths[FEATURES][FEATURES])
{
    for (size_t j = 0; j < FEATURES; j++) {
        size_t reached = j + 1; /* the lowest degree that knows input j, in each layer */
        for (size_t layer = 0; layer < layers; layer++) {
            size_t lowest = FEATURES;
            for (size_t u = hidden[layer]; u-- > 0;) {
                size_t degree = 1 + u * (FEATURES - 1) / hidden[layer];
                if (degree >= reached) lowest = degree;
            }
            reached = lowest;
        }
        for (size_t i = 0; i < FEATURES; i++) paths[FEATURES - 1 - i][FEATURES - 1 - j] = i + 1 > reached;
    }
}

static const struct {
    const char *formula;
    size_t hidden[3], layers;
} networks[] = {
    {"maf(1,activation=tanh)", {1}, 1},
    {"maf(3,activation=tanh)", {3}, 1},
    {"maf(8,activation=tanh)", {8}, 1},
    {"maf(40,activation=tanh)", {40}, 1},
    {"maf(13,11,activation=tanh)", {13, 11}, 2},
    {"maf(100,5,activation=tanh)", {100, 5}, 2},
    {"maf(3,64,activation=silu)", {3, 64}, 2},
    {"maf(2,3,7,activation=silu)", {2, 3, 7}, 3},
    {"maf(64,64,64,activation=elu)", {64, 64, 64}, 3},
};

/* The Jacobian at a few events, (row, i, j). */
static void jacobian_of(nf_flow *flow, bool inverse, const double *in, size_t rows, double *jacobian)
{
    ad_tape *tape = ad_tape_new();
    const nf_flow_scope at = nf_flow_bind(flow, tape);
    ad_var v = ad_input(tape, "v", AD_SHAPE(FEATURES)), log_det, row[FEATURES];
    ad_var out = (inverse ? nf_inverse : nf_forward)(at.bijector, v, &log_det);
    for (size_t i = 0; i < FEATURES; i++) row[i] = ad_to_rows(ad_grad1(ad_sum(ad_slice(out, 0, i, i + 1)), v));
    ad_var all = ad_concat(row, FEATURES, 0);
    ad_plan *plan = ad_plan_new(&all, 1, &(ad_plan_options){.dtype = AD_F64}, &error);
    ck_assert_msg(plan != NULL, "%s", error.message);
    nf_flow_bind_plan(&at, plan);
    ad_plan_set_input(plan, v, in);
    ad_plan_set_output(plan, 0, jacobian);
    ASSERT_OK(ad_plan_run(plan, &(ad_run){.rows = rows}, &error));
    ad_plan_free(plan);
    ad_tape_free(tape);
}

START_TEST(jacobian_is_triangular)
{
    enum { EVENTS = 5 };
    double jacobian[EVENTS][FEATURES][FEATURES], *in = normals(EVENTS * FEATURES, 1, 6);
    bool paths[FEATURES][FEATURES];
    find_paths(networks[_i].hidden, networks[_i].layers, paths);
    nf_flow *flow = moved_flow(networks[_i].formula, FEATURES, AD_F64);
    jacobian_of(flow, true, in, EVENTS, jacobian[0][0]);
    for (size_t r = 0; r < EVENTS; r++)
        for (size_t i = 0; i < FEATURES; i++)
            for (size_t j = 0; j < FEATURES; j++)
                ck_assert_msg((jacobian[r][i][j] != 0) == (i == j || paths[i][j]), "%s: dz_%zu/dx_%zu is %g",
                              networks[_i].formula, i + 1, j + 1, jacobian[r][i][j]);
    jacobian_of(flow, false, in, EVENTS, jacobian[0][0]);
    for (size_t r = 0; r < EVENTS; r++)
        for (size_t i = 0; i < FEATURES; i++)
            for (size_t j = 0; j <= i; j++) ck_assert((jacobian[r][i][j] != 0) == (i == j));
    nf_flow_free(flow);
    free(in);
}
END_TEST

Suite *bijectors_suite(void)
{
    Suite *suite = suite_create("bijectors");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 120);
    tcase_add_loop_test(all, passes_the_check, 0, (int)(n_formulas() * COUNT(dims)));
    tcase_add_test(all, wide_affine);
    tcase_add_loop_test(all, inverts, 0, COUNT(dims));
    suite_add_tcase(suite, all);
    TCase *each = tcase_create("each");
    tcase_set_timeout(each, 60);
    tcase_add_test(each, maps);
    tcase_add_test(each, starts_as_wide_as_it_says);
    tcase_add_loop_test(each, batchnorm_in_training, 0, 2);
    tcase_add_test(each, permutes);
    tcase_add_test(each, permutes_in_order);
    tcase_add_test(each, standardizes);
    tcase_add_loop_test(each, jacobian_is_triangular, 0, COUNT(networks));
    suite_add_tcase(suite, each);
    return suite;
}
