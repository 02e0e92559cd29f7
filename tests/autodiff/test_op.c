/* Ops from outside: one with kernels and a gradient of its own, and the objects that ops may have. */
#include "autodiff/reference.h"

#define DEFINE_CUBE(real, suffix)                                                                                      \
    static void cube_##suffix(const ad_tile *tile)                                                                     \
    {                                                                                                                  \
        const real *in = tile->in[0].data;                                                                             \
        real *out = tile->out.data;                                                                                    \
        size_t n = tile->out.size * (tile->out.per_row ? tile->rows : 1);                                              \
        for (size_t i = 0; i < n; i++) out[i] = (real)tile->attribute[0] * in[i] * in[i] * in[i];                      \
    }
DEFINE_CUBE(float, f32)
DEFINE_CUBE(double, f64)

static void cube_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad_mul(g, ad_mul_scalar(ad_square(call->in[0]), 3 * call->attribute[0]));
}

START_TEST(op_from_outside)
{
    static const ad_op cube = {
        .name = "cube", .n_in = 1, .flags = AD_OP_ELEMENTWISE, .evaluate = {cube_f32, cube_f64}, .vjp = cube_vjp};
    const double factor = 2;
    for (int per_row = 0; per_row < 2; per_row++) {
        problem p = problem_new(20, 1);
        ad_var x = bind_random(&p, per_row, AD_SHAPE(4), -2, 2);
        ad_var y = ad_apply(&cube, &x, 1, &factor, 1, p.tape);
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
            double *value = value_of(&p, y, dtype);
            for (size_t i = 0; i < extent_of(&p, y); i++)
                ck_assert_double_eq_tol(value[i], 2 * pow(p.value[0][i], 3), 1e-5);
        }
        ad_error error;
        ck_assert_msg(check_gradient(&p, y, &error) == AD_OK, "%s", error.message);
        ck_assert_msg(check_gradient(&p, gradient_of_squares(&p, y), &error) == AD_OK, "%s", error.message);
        ck_assert_ptr_null(ad_tape_error(p.tape));
        ck_assert(!ad_is_valid(ad_apply(&cube, (ad_var[]){x, y}, 2, &factor, 1, p.tape)));
        ck_assert_ptr_nonnull(strstr(ad_tape_error(p.tape)->message, "cube takes 1 argument"));
        problem_free(&p);
    }
}
END_TEST

/* a² + b, by loops over whatever the plan finds. */
#define DEFINE_SQUARE_ADD(real, name)                                                                                  \
    static void name(size_t n, const void *const in[], const size_t stride[], void *out, const double *attribute)      \
    {                                                                                                                  \
        const real *a = in[0], *b = in[1];                                                                             \
        (void)attribute;                                                                                               \
        ck_assert(stride[0] <= 1 && stride[1] <= 1 && stride[0] + stride[1] > 0);                                      \
        for (size_t i = 0; i < n; i++) ((real *)out)[i] = a[i * stride[0]] * a[i * stride[0]] + b[i * stride[1]];      \
    }
DEFINE_SQUARE_ADD(float, square_add_f32)
DEFINE_SQUARE_ADD(double, square_add_f64)

START_TEST(loops_from_outside)
{
    static const ad_op square_add = {
        .name = "square_add", .n_in = 2, .flags = AD_OP_ELEMENTWISE, .loop = {square_add_f32, square_add_f64}};
    const ad_shape shapes[] = {AD_SCALAR,         AD_SHAPE(4),       AD_SHAPE(3, 1),   AD_SHAPE(3, 4),
                               AD_SHAPE(2, 1, 4), AD_SHAPE(2, 3, 1), AD_SHAPE(2, 3, 4)};
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (size_t j = 0; j < COUNT(shapes); j++)
            for (unsigned kind = 0; kind < 4; kind++) {
                problem p = problem_new(37, i + 10 * j);
                const ad_var in[] = {bind_random(&p, kind & 1, shapes[i], -2, 2),
                                     bind_random(&p, kind & 2, shapes[j], -2, 2)};
                const ad_var y[] = {ad_apply(&square_add, in, 2, NULL, 0, p.tape), ad_add(ad_square(in[0]), in[1])};
                for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
                    double *value[2];
                    evaluate(&p, y, 2, dtype, value);
                    for (size_t k = 0; k < extent_of(&p, y[0]); k++)
                        ck_assert_double_eq_tol(value[0][k], value[1][k], dtype == AD_F32 ? 1e-6 : 1e-15);
                }
                problem_free(&p);
            }
}
END_TEST

/* ---- Objects of ops from outside --------------------------------------------------------------------------------- */

static struct {
    int opened, closed, destroyed;
    bool refuse;
} life;

static void destroy_number(void *data)
{
    life.destroyed++;
    free(data);
}

static void *open_number(const ad_object *object, ad_dtype dtype, size_t rows, ad_error *fault)
{
    if (life.refuse) {
        ad_error_set(fault, AD_ERROR_IO, "nothing in store");
        return NULL;
    }
    ck_assert(dtype == AD_F64 && rows == 16);
    life.opened++;
    double *copy = malloc(sizeof *copy);
    *copy = *(double *)ad_object_data(object);
    return copy;
}

static void close_number(void *state)
{
    life.closed++;
    free(state);
}

static void add_number(const ad_tile *tile)
{
    const double *in = tile->in[0].data, sum = *(double *)tile->state + *(double *)ad_object_data(tile->object);
    double *out = tile->out.data;
    for (size_t i = 0; i < tile->out.size * tile->rows; i++) out[i] = in[i] + sum;
}

START_TEST(objects)
{
    static const ad_op op = {.name = "add_number",
                             .n_in = 1,
                             .evaluate = {[AD_F64] = add_number},
                             .open = open_number,
                             .close = close_number};
    memset(&life, 0, sizeof life);
    problem p = problem_new(30, 0);
    ad_var x = bind_random(&p, true, AD_SCALAR, 0, 1), y[3];
    for (int i = 0; i < 2; i++) {
        double *number = malloc(sizeof *number);
        *number = i + 1;
        ad_object *object = ad_object_new(number, destroy_number);
        y[i] = ad_apply_object(&op, &x, 1, NULL, 0, object, p.tape);
        if (i == 1) y[2] = ad_apply_object(&op, &x, 1, NULL, 0, object, p.tape); /* the same again */
        ad_object_release(object);
    }
    double *value[3];
    evaluate(&p, y, 3, AD_F64, value);
    for (size_t r = 0; r < 30; r++)
        ck_assert(value[0][r] == p.value[0][r] + 2 && value[1][r] == p.value[0][r] + 4 && value[2][r] == value[1][r]);
    ck_assert(life.opened == 2 && life.closed == 2 && life.destroyed == 0);

    ad_error fault;
    ad_plan *plan = ad_plan_new(y, 3, &(ad_plan_options){AD_F64, 16}, NULL);
    ad_plan_set_input(plan, x, p.value[0]);
    problem_free(&p);
    ck_assert_int_eq(life.destroyed, 0);
    life.refuse = true;
    ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = 30}, &fault), AD_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(fault.message, "op 'add_number'"));
    ck_assert_ptr_nonnull(strstr(fault.message, "nothing in store"));
    ad_plan_free(plan);
    ck_assert(life.opened == life.closed && life.destroyed == 2);
}
END_TEST

Suite *op_suite(void)
{
    Suite *suite = suite_create("op");
    TCase *outside = tcase_create("outside");
    tcase_set_timeout(outside, 60);
    tcase_add_test(outside, op_from_outside);
    tcase_add_test(outside, loops_from_outside);
    tcase_add_test(outside, objects);
    suite_add_tcase(suite, outside);
    return suite;
}
