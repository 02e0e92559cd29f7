/* What the author of a bijector leaves out: inverses and log-dets that Weir derives, held to what the verifier asks of
 * those that are written. */
#include "flows/flow_tools.h"
#include <weir/models.h>
#include "scratch.h"

#include <math.h>

/* ---- Maps of every structure ----------------------------------------------------------------------------------- */

static ad_status declare(nf_bijector *self, const char *name, ad_shape shape, ad_error *to)
{
    return nf_declare(self, &(nf_parameter_spec){.name = name, .shape = shape, .init = NF_INIT_NORMAL, .value = 0.5},
                      to);
}

static ad_status build_vector(nf_bijector *self, ad_error *to)
{
    return declare(self, "a", AD_SHAPE(self->dim), to);
}

static ad_status build_matrix(nf_bijector *self, ad_error *to)
{
    return declare(self, "a", AD_SHAPE(self->dim, self->dim), to);
}

/* x = z + 0.9 tanh(a) sin z: the slope keeps away from 0 when tanh a rounds to 1 */
static ad_var ripple(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)log_det;
    return ad_add(z, ad_mul(ad_mul_scalar(ad_tanh(nf_param(at, "a")), 0.9), ad_sin(z)));
}

/* x = -z³ - z, decreasing. */
static ad_var cube(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)at->self, (void)log_det;
    return ad_neg(ad_add(ad_mul(z, ad_square(z)), z));
}

/* x_d = z_d exp(tanh s) + a_d sin s, s being the sum of the later features. */
static ad_var staircase(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)log_det;
    ad_var before = ad_sub(ad_cumsum(z, 0, true), z), a = nf_param(at, "a");
    return ad_add(ad_mul(z, ad_exp(ad_tanh(before))), ad_mul(a, ad_sin(before)));
}

/* The same with the sum of the earlier ones. */
static ad_var ladder(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)log_det;
    ad_var before = ad_sub(ad_cumsum(z, 0, false), z), a = nf_param(at, "a");
    return ad_add(ad_mul(z, ad_exp(ad_tanh(before))), ad_mul(a, ad_sin(before)));
}

/* x = z + Aᵀ tanh(A z)/(1 + |A|²): every output depends on every input, and dx/dz is positive definite. */
static ad_var dense(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)log_det;
    ad_var a = nf_param(at, "a"), size = ad_add_scalar(ad_sum(ad_square(a)), 1);
    return ad_add(z, ad_div(ad_matmul(ad_transpose(a), ad_tanh(ad_matmul(a, z))), size));
}

static const struct {
    nf_bijector_type type;
    const char *log_det, *inverse; /* what the plan's print-out says of them */
} maps[] = {
    {{.name = "ripple", .build = build_vector, .forward = ripple}, "diagonal Jacobian", "element by element"},
    {{.name = "cube", .forward = cube}, "diagonal Jacobian", "element by element"},
    {{.name = "unripple", .build = build_vector, .inverse = ripple}, "diagonal Jacobian", "element by element"},
    {{.name = "staircase", .build = build_vector, .forward = staircase}, "triangular Jacobian", "feature by feature"},
    {{.name = "ladder", .build = build_vector, .forward = ladder}, "triangular Jacobian", "feature by feature"},
    {{.name = "dense", .build = build_matrix, .forward = dense}, "LU of the Jacobian", "whole event"},
    {{.name = "undense", .build = build_matrix, .inverse = dense}, "LU of the Jacobian", "whole event"},
};

static nf_bijector *made(size_t i, size_t dim)
{
    nf_bijector *bijector = nf_bijector_new(&maps[i].type, dim, 0, NULL, &error);
    ck_assert_msg(bijector != NULL, "%s", error.message);
    nf_initialize(bijector, 3);
    return bijector;
}

static const size_t dims[] = {1, 2, 3, 8};

START_TEST(passes_the_check)
{
    size_t dim = dims[(size_t)_i / COUNT(maps)];
    nf_bijector *bijector = made((size_t)_i % COUNT(maps), dim);
    nf_check_result result[NF_MOST_CHECKS];
    int count;
    ad_status status = nf_check_bijector(bijector, 4, result, &count, &error);
    ck_assert_msg(status == AD_OK, "%s at D = %zu: %s", bijector->type->name, dim, error.message);
    nf_bijector_free(bijector);
}
END_TEST

/* ---- Against the closed form ------------------------------------------------------------------------------------ */

/* sinh, whose inverse and log-det are known. */
static ad_var sinh_forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)at->self, (void)log_det;
    return ad_mul_scalar(ad_sub(ad_exp(z), ad_exp(ad_neg(z))), 0.5);
}

START_TEST(arsinh)
{
    enum { ROWS = 64, DIM = 3 };
    static const nf_bijector_type type = {.name = "sinh", .forward = sinh_forward};
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        nf_flow *flow = nf_flow_new(NULL, nf_bijector_new(&type, DIM, 0, NULL, &error), dtype, &error);
        double *x = normals(ROWS * DIM, 30, 2), z[ROWS][DIM], log_det[ROWS];
        for (size_t i = 0; i < ROWS * DIM; i++) x[i] = (float)x[i];
        ASSERT_OK(nf_transform(flow, true, x, NULL, ROWS, z[0], log_det, NULL, &error));
        double tolerance = dtype == AD_F64 ? 1e-14 : 1e-6;
        for (size_t r = 0; r < ROWS; r++) {
            double expected = 0;
            for (size_t j = 0; j < DIM; j++) {
                ck_assert_double_eq_tol(z[r][j], asinh(x[r * DIM + j]), 10 * tolerance);
                expected -= log(cosh(asinh(x[r * DIM + j])));
            }
            ck_assert_double_eq_tol(log_det[r], expected, 30 * tolerance);
        }
        free(x);
        nf_flow_free(flow);
    }
}
END_TEST

/* Slope 0 far out: no root beyond ±1. */
static ad_var squash(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)at->self, (void)log_det;
    return ad_tanh(z);
}

START_TEST(out_of_range_is_nan)
{
    static const nf_bijector_type type = {.name = "squash", .forward = squash};
    nf_flow *flow = nf_flow_new(NULL, nf_bijector_new(&type, 1, 0, NULL, &error), AD_F64, &error);
    const double x[] = {0.5, 2, -0.9};
    double log_prob[3];
    ASSERT_OK(nf_log_prob(flow, x, NULL, 3, log_prob, NULL, &error));
    for (int i = 0; i < 3; i += 2) {
        double z = atanh(x[i]), expected = -0.5 * z * z - 0.5 * log(2 * acos(-1)) - log1p(-x[i] * x[i]);
        ck_assert_double_eq_tol(log_prob[i], expected, 1e-12);
    }
    ck_assert(isnan(log_prob[1]));
    nf_flow_free(flow);
}
END_TEST

/* R (z + z³ / 10), R a rotation: far from its roots Newton's step is good for a thousandth of itself. */
static ad_var turned_cube(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)at->self, (void)log_det;
    const double turn[] = {cos(0.6), -sin(0.6), sin(0.6), cos(0.6)};
    ad_var cubic = ad_add(z, ad_mul_scalar(ad_mul(z, ad_square(z)), 0.1));
    return ad_matmul(ad_constant(z.tape, AD_SHAPE(2, 2), turn), cubic);
}

/* To a few units of rounding in either dtype, at any distance. */
START_TEST(far_roots)
{
    enum { ROWS = 2000 };
    static const nf_bijector_type type = {.name = "turned_cube", .forward = turned_cube};
    for (double size = 1; size <= 1000; size *= 10)
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
            nf_flow *flow = nf_flow_new(NULL, nf_bijector_new(&type, 2, 0, NULL, &error), dtype, &error);
            double *z = normals(2 * ROWS, size, 1), x[ROWS][2], back[ROWS][2];
            ASSERT_OK(nf_transform(flow, false, z, NULL, ROWS, x[0], NULL, NULL, &error));
            ASSERT_OK(nf_transform(flow, true, x[0], NULL, ROWS, back[0], NULL, NULL, &error));
            for (size_t r = 0; r < ROWS; r++) {
                double y[2], most = fmax(fabs(x[r][0]), fabs(x[r][1]));
                for (int j = 0; j < 2; j++) y[j] = back[r][j] + 0.1 * pow(back[r][j], 3);
                double off = fmax(fabs(cos(0.6) * y[0] - sin(0.6) * y[1] - x[r][0]),
                                  fabs(sin(0.6) * y[0] + cos(0.6) * y[1] - x[r][1]));
                ck_assert_msg(off <= 8 * most * (dtype == AD_F32 ? 0x1p-23 : 0x1p-52),
                              "%s, x = (%.9g, %.9g): off by %g", ad_dtype_name(dtype), x[r][0], x[r][1], off);
            }
            free(z);
            nf_flow_free(flow);
        }
}
END_TEST

/* ---- What the reader is told ----------------------------------------------------------------------------------- */

START_TEST(print_out_says_how)
{
    nf_bijector *bijector = made((size_t)_i, 3);
    bool inverse = bijector->type->forward != NULL; /* the direction that is left out */
    ad_tape *tape = ad_tape_new();
    const nf_scope *at = nf_bind(bijector, tape);
    ad_var in = ad_input(tape, "in", AD_SHAPE(3)), log_det;
    ad_var out[2] = {inverse ? nf_inverse(at, in, &log_det) : nf_forward(at, in, &log_det)};
    out[1] = log_det;
    ad_plan *plan = ad_plan_new(out, 2, &(ad_plan_options){.dtype = AD_F64}, &error);
    ck_assert_msg(plan != NULL, "%s", error.message);
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    ad_plan_print(plan, to);
    fclose(to);
    ck_assert_msg(strstr(text, maps[_i].log_det) != NULL, "no '%s' in\n%s", maps[_i].log_det, text);
    ck_assert_msg(strstr(text, maps[_i].inverse) != NULL, "no '%s' in\n%s", maps[_i].inverse, text);
    free(text);
    ad_plan_free(plan);
    ad_tape_free(tape);
    nf_bijector_free(bijector);
}
END_TEST

/* ---- From outside ------------------------------------------------------------------------------------------------ */

START_TEST(registered)
{
    static const nf_bijector_type unnamed = {.name = "no-name", .forward = squash};
    static const nf_bijector_type taken = {.name = "maf", .forward = squash};
    static const nf_bijector_type empty = {.name = "empty"};
    ASSERT_FAILS(nf_register(&unnamed, &error), AD_ERROR_ARGUMENT, "isn't a name");
    ASSERT_FAILS(nf_register(&taken, &error), AD_ERROR_ARGUMENT, "taken");
    ASSERT_FAILS(nf_register(&empty, &error), AD_ERROR_ARGUMENT, "neither forward nor inverse");
    ASSERT_OK(nf_register(&maps[0].type, &error));
    ASSERT_FAILS(nf_register(&maps[0].type, &error), AD_ERROR_ARGUMENT, "taken");
    nf_flow *flow = nf_flow_parse("(ripple-lu)*2", 2, 0, AD_F64, 1, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    double *x = normals(2 * 200, 1, 4), before, after;
    ASSERT_OK(nf_nll(flow, x, NULL, 200, &before, NULL, NULL, &error));
    ASSERT_OK(nf_fit(flow, x, 200, &(nf_fit_options){.epochs = 10}, NULL, &error));
    ASSERT_OK(nf_nll(flow, x, NULL, 200, &after, NULL, NULL, &error));
    ck_assert_double_lt(after, before);
    file_path path = scratch_path("ripple.safetensors");
    ASSERT_OK(nf_save(flow, NULL, path.text, &error));
    nf_flow *back = nf_load(path.text, NULL, &error);
    ck_assert_msg(back != NULL, "%s", error.message);
    ASSERT_OK(nf_nll(back, x, NULL, 200, &before, NULL, NULL, &error));
    ck_assert_double_eq(before, after);
    nf_flow_free(back);
    nf_flow_free(flow);
    free(x);
}
END_TEST

/* ---- Slices ------------------------------------------------------------------------------------------------------ */

START_TEST(slices_of_a_chain)
{
    nf_bijector *chain = parsed("(scale-loc)*2-flip", 2, 1);
    ck_assert_uint_eq(nf_chain_steps(chain), 5);
    for (size_t i = 0; i < 2; i++) {
        nf_parameter_set(chain->child[2 * i], "rho", (const double[]){2 + (double)i, 3});
        nf_parameter_set(chain->child[2 * i + 1], "loc", (const double[]){10 + (double)i, 20});
    }
    const double z[] = {1, -1};
    double x[2] = {z[0], z[1]};
    for (size_t steps = 1; steps <= 5; steps++) {
        nf_bijector *slice = nf_chain_slice(chain, 0, steps, &error),
                    *one = nf_chain_slice(chain, steps - 1, steps, &error);
        nf_flow *flow = nf_flow_new(NULL, slice, AD_F64, &error), *last = nf_flow_new(NULL, one, AD_F64, &error);
        double all[2], next[2];
        ASSERT_OK(nf_transform(flow, false, z, NULL, 1, all, NULL, NULL, &error));
        ASSERT_OK(nf_transform(last, false, x, NULL, 1, next, NULL, NULL, &error));
        for (int j = 0; j < 2; j++) {
            ck_assert_double_eq(all[j], next[j]);
            x[j] = next[j];
        }
        nf_flow_free(last);
        nf_flow_free(flow);
    }
    ck_assert_ptr_null(nf_chain_slice(chain, 2, 1, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "got 2 … 1");
    ck_assert_ptr_null(nf_chain_slice(chain, 0, 6, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "0 … 5");
    nf_bijector_free(chain);
}
END_TEST

/* A flow's draws after each step are those of its base, mapped; and its own, after all. */
START_TEST(slices_of_a_flow)
{
    enum { ROWS = 50 };
    nf_flow *flow = nf_flow_parse("student(df=4):(maf(5)-flip)*2-affine", 3, 0, AD_F64, 1, &error);
    double z[ROWS * 3], x[ROWS * 3], mapped[ROWS * 3], log_prob[ROWS], of_slice[ROWS];
    for (size_t steps = 0; steps <= 5; steps++) {
        nf_flow *slice = nf_flow_slice(flow, steps, &error);
        ck_assert_msg(slice != NULL, "%s", error.message);
        ASSERT_OK(nf_sample(slice, NULL, ROWS, 7, steps ? x : z, of_slice, NULL, &error));
        ASSERT_OK(nf_transform(slice, false, z, NULL, ROWS, mapped, NULL, NULL, &error));
        for (size_t i = 0; i < ROWS * 3; i++) ck_assert_double_eq_tol(mapped[i], steps ? x[i] : z[i], 1e-14);
        nf_flow_free(slice);
    }
    ASSERT_OK(nf_sample(flow, NULL, ROWS, 7, mapped, log_prob, NULL, &error));
    ck_assert_mem_eq(mapped, x, sizeof x);
    ck_assert_mem_eq(log_prob, of_slice, sizeof log_prob);
    ck_assert_ptr_null(nf_flow_slice(flow, 6, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "0 … 5, got 0 … 6");
    nf_flow_free(flow);
}
END_TEST

Suite *derive_suite(void)
{
    Suite *suite = suite_create("derive");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 120);
    tcase_add_checked_fixture(all, scratch_begin, scratch_end);
    tcase_add_loop_test(all, passes_the_check, 0, COUNT(maps) * COUNT(dims));
    tcase_add_loop_test(all, print_out_says_how, 0, COUNT(maps));
    tcase_add_test(all, arsinh);
    tcase_add_test(all, out_of_range_is_nan);
    tcase_add_test(all, far_roots);
    tcase_add_test(all, registered);
    tcase_add_test(all, slices_of_a_chain);
    tcase_add_test(all, slices_of_a_flow);
    suite_add_tcase(suite, all);
    return suite;
}
