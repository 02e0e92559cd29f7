/* The tape: shapes, mistakes and how they are told, memory, and print-outs. */
#include "autodiff/engine.h"

/* ---- Shapes -------------------------------------------------------------------------------------------------- */

START_TEST(shapes)
{
    char text[128], largest[32];
    ck_assert_str_eq(ad_shape_text(AD_SCALAR, text), "()");
    ck_assert_str_eq(ad_shape_text(AD_SHAPE(3), text), "(3)");
    ck_assert_str_eq(ad_shape_text(AD_SHAPE(3, 4), text), "(3,4)");
    const ad_shape huge = AD_SHAPE(SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX);
    snprintf(largest, sizeof largest, ",%zu)", SIZE_MAX);
    ck_assert_ptr_nonnull(strstr(ad_shape_text(huge, text), largest));
    ck_assert_uint_eq(ad_shape_size(huge), SIZE_MAX);
    ck_assert_uint_eq(ad_shape_size(AD_SHAPE(2, 3, 4)), 24);
    ck_assert_uint_eq(ad_shape_size(AD_SCALAR), 1);
    ck_assert(ad_shape_equal(AD_SHAPE(2, 3), AD_SHAPE(2, 3)));
    ck_assert(!ad_shape_equal(AD_SHAPE(2, 3), AD_SHAPE(3, 2)));
    ck_assert(!ad_shape_equal(AD_SHAPE(2), AD_SHAPE(2, 1)));
    ck_assert_uint_eq(ad_dtype_size(AD_F32), 4);
    ck_assert_uint_eq(ad_dtype_size(AD_F64), 8);
    ck_assert_str_eq(ad_dtype_name(AD_F32), "float32");
    ck_assert_str_eq(ad_dtype_name(AD_F64), "float64");
}
END_TEST

START_TEST(kinds_and_names)
{
    problem p = problem_new(3, 0);
    ad_var x = bind_random(&p, true, AD_SHAPE(4, 1), 0, 1), w = bind_random(&p, false, AD_SHAPE(3), 0, 1);
    ck_assert(ad_is_per_row(x) && !ad_is_per_row(w));
    ck_assert(ad_is_per_row(ad_mul(x, w)) && ad_is_per_row(ad_mul(w, x)) && !ad_is_per_row(ad_mul(w, w)));
    ck_assert(!ad_is_per_row(ad_sum_rows(x)) && ad_is_per_row(ad_to_rows(w)) && !ad_is_per_row(ad_row_count(p.tape)));
    ck_assert(ad_is_per_row(ad_normal(p.tape, AD_SHAPE(2), 0)) && ad_is_per_row(ad_uniform(p.tape, AD_SCALAR, 1)));
    ck_assert(ad_shape_equal(ad_shape_of(ad_mul(x, w)), AD_SHAPE(4, 3)));
    ck_assert_str_eq(ad_name_of(x), "leaf0");
    ck_assert_str_eq(ad_name_of(ad_neg(x)), "");
    problem_free(&p);
}
END_TEST

/* ---- Mistakes ------------------------------------------------------------------------------------------------ */

static const size_t far_index[] = {0, 9}, few_rows[] = {1}, none[] = {0}, backwards[] = {2}, outside[] = {9};

/* What the mistakes are made of, on a tape of their own. */
typedef struct {
    ad_tape *tape;
    ad_var x, m, s, c; /* per-row (3); shared (2,3), () and a constant (3) */
    ad_var foreign;    /* (3), of another tape */
} values;

#define MISTAKE(name, mistake)                                                                                         \
    static ad_var name(values v)                                                                                       \
    {                                                                                                                  \
        return mistake;                                                                                                \
    }

static ad_shape shape_of_rank(int rank)
{
    return (ad_shape){.rank = rank, .dim = {1, 1, 1, 1}};
}

MISTAKE(add_shapes, ad_add(v.x, ad_param(v.tape, "w", AD_SHAPE(4))))
MISTAKE(where_shapes, ad_where(v.x, v.x, ad_param(v.tape, "w", AD_SHAPE(2))))
MISTAKE(add_foreign, ad_add(v.x, v.foreign))
MISTAKE(foreign_first, ad_mul((ad_var){v.tape, v.foreign.id + 100}, v.x))
MISTAKE(where_foreign, ad_where(v.x, v.x, v.foreign))
MISTAKE(concat_foreign, ad_concat((ad_var[]){v.x, v.foreign}, 2, 0))
MISTAKE(matmul_foreign, ad_matmul(v.m, v.foreign))
MISTAKE(solve_foreign, ad_solve_triangular(ad_matmul(v.m, ad_transpose(v.m)), v.foreign, AD_LOWER))
MISTAKE(matmul_shapes, ad_matmul(v.m, v.m))
MISTAKE(matmul_vector, ad_matmul(v.m, ad_param(v.tape, "w", AD_SHAPE(4))))
MISTAKE(matmul_of_vector, ad_matmul(v.x, v.m))
MISTAKE(blocks_end, ad_matmul_blocks(v.m, v.x, &(ad_blocks){1, few_rows, none, none}))
MISTAKE(blocks_outside, ad_matmul_blocks(v.m, v.x, &(ad_blocks){1, backwards, none, outside}))
MISTAKE(blocks_backwards, ad_matmul_blocks(v.m, v.x, &(ad_blocks){1, backwards, backwards, few_rows}))
MISTAKE(solve_shapes, ad_solve_triangular(v.m, v.x, AD_LOWER))
MISTAKE(general_solve_shapes, ad_solve(ad_matmul(v.m, ad_transpose(v.m)), v.x))
MISTAKE(det_shape, ad_log_abs_det(v.m))
MISTAKE(solve_triangle, ad_solve_triangular(ad_matmul(v.m, ad_transpose(v.m)), v.s, 4))
MISTAKE(transpose_vector, ad_transpose(v.x))
MISTAKE(reshape_size, ad_reshape(v.x, AD_SHAPE(2, 2)))
MISTAKE(reshape_zero, ad_reshape(v.x, AD_SHAPE(0)))
MISTAKE(reshape_rank, ad_reshape(v.x, shape_of_rank(5)))
MISTAKE(broadcast_down, ad_broadcast(v.m, AD_SHAPE(3)))
MISTAKE(slice_axis, ad_slice(v.x, 1, 0, 1))
MISTAKE(slice_range, ad_slice(v.x, 0, 1, 4))
MISTAKE(slice_empty, ad_slice(v.x, 0, 2, 2))
MISTAKE(slice_backwards, ad_slice(v.x, 0, 2, 1))
MISTAKE(concat_shapes, ad_concat((ad_var[]){v.m, v.x}, 2, 0))
MISTAKE(concat_axis, ad_concat((ad_var[]){v.x, v.x}, 2, 1))
MISTAKE(gather_index, ad_gather(v.x, far_index, 2))
MISTAKE(gather_nothing, ad_gather(v.x, far_index, 0))
MISTAKE(gather_scalar, ad_gather(v.s, far_index, 1))
MISTAKE(scatter_index, ad_scatter(ad_slice(v.x, 0, 0, 2), far_index, 2, 5))
MISTAKE(scatter_count, ad_scatter(v.x, far_index, 2, 10))
MISTAKE(sum_axis, ad_sum_axis(v.x, 1))
MISTAKE(max_axis, ad_max_axis(v.x, -1))
MISTAKE(logsumexp_axis, ad_logsumexp_axis(v.s, 0))
MISTAKE(cumsum_axis, ad_cumsum(v.m, 2, false))
MISTAKE(input_zero, ad_input(v.tape, "empty", AD_SHAPE(3, 0)))
MISTAKE(input_rank, ad_input(v.tape, "deep", shape_of_rank(5)))
MISTAKE(param_negative, ad_param(v.tape, "odd", shape_of_rank(-1)))
MISTAKE(param_huge, ad_param(v.tape, "huge", AD_SHAPE(1 << 20, 1 << 20)))
MISTAKE(broadcast_huge, ad_broadcast(v.s, AD_SHAPE(1 << 20, 1 << 20)))
MISTAKE(noise_stream, ad_normal(v.tape, AD_SHAPE(3), 4096))
MISTAKE(noise_size, ad_uniform(v.tape, AD_SHAPE(1 << 21), 0))
MISTAKE(noise_zero, ad_normal(v.tape, AD_SHAPE(0), 0))
MISTAKE(grad_shape, ad_grad1(v.x, v.x))
MISTAKE(grad_foreign, ad_grad1(ad_sum(v.x), v.foreign))
MISTAKE(grad_invalid, ad_grad1((ad_var){v.tape, -1}, v.x))
MISTAKE(nothing_first, ad_mul((ad_var){0}, v.x))
MISTAKE(matmul_nothing_first, ad_matmul((ad_var){0}, v.x))
MISTAKE(grad_nothing, ad_grad1((ad_var){0}, v.x))
MISTAKE(blocks_null, ad_matmul_blocks(v.m, v.x, NULL))
MISTAKE(blocks_without_ends, ad_matmul_blocks(v.m, v.x, &(ad_blocks){1, outside, none, NULL}))
MISTAKE(constant_null, ad_constant(v.tape, AD_SHAPE(3), NULL))
MISTAKE(gather_null, ad_gather(v.x, NULL, 2))

static const struct {
    const char *name;
    ad_var (*make)(values);
    const char *words[4]; /* of the message: the op, what was given, what is wanted */
} mistakes[] = {
    {"add: shapes", add_shapes, {"add", "(3)", "(4)", "equal or 1"}},
    {"where: shapes", where_shapes, {"where", "(3)", "(2)", "reshape"}},
    {"add: another tape", add_foreign, {"add", "argument 2", "not a value of this tape"}},
    {"mul: not on the tape", foreign_first, {"mul", "argument 1", "not a value of this tape"}},
    {"where: another tape", where_foreign, {"where", "argument 3", "not a value of this tape"}},
    {"concat: another tape", concat_foreign, {"concat", "argument 2", "not a value of this tape"}},
    {"matmul: another tape", matmul_foreign, {"matmul", "argument 2", "not a value of this tape"}},
    {"solve: another tape", solve_foreign, {"solve_triangular", "argument 2", "not a value of this tape"}},
    {"matmul: shapes", matmul_shapes, {"matmul", "(2,3) times (2,3)", "as many columns"}},
    {"matmul: vector", matmul_vector, {"matmul", "(2,3)", "(4,1)"}},
    {"matmul: of a vector", matmul_of_vector, {"matmul", "(3) times (2,3)", "(m,k)"}},
    {"blocks: end", blocks_end, {"matmul_blocks", "last block must end at row 2"}},
    {"blocks: outside", blocks_outside, {"matmul_blocks", "block 0", "columns 0 to 9", "(2,3)"}},
    {"blocks: backwards", blocks_backwards, {"matmul_blocks", "block 0", "columns 2 to 1"}},
    {"solve: shapes", solve_shapes, {"solve_triangular", "(2,3)", "(3)", "(n,n)"}},
    {"solve: general", general_solve_shapes, {"solve:", "(2,2)", "(3)", "(n,n)"}},
    {"log_abs_det", det_shape, {"log_abs_det", "(2,3)", "(n,n)"}},
    {"solve: triangle", solve_triangle, {"solve_triangular", "triangle 4", "AD_LOWER or AD_UPPER"}},
    {"transpose", transpose_vector, {"transpose", "(3)", "takes a matrix", "reshape"}},
    {"reshape: size", reshape_size, {"reshape", "(3) has 3", "(2,2) has 4"}},
    {"reshape: empty", reshape_zero, {"reshape", "at least 1"}},
    {"reshape: rank", reshape_rank, {"reshape", "rank from 0 to 4"}},
    {"broadcast", broadcast_down, {"broadcast", "(2,3)", "(3)", "equal or 1"}},
    {"slice: axis", slice_axis, {"slice", "axis 1", "(3)"}},
    {"slice: range", slice_range, {"slice", "1 to 4", "has 3"}},
    {"slice: empty", slice_empty, {"slice", "2 to 2", "start < stop"}},
    {"slice: backwards", slice_backwards, {"slice", "2 to 1"}},
    {"concat: shapes", concat_shapes, {"concat", "(2,3)", "part 1", "(3)"}},
    {"concat: axis", concat_axis, {"concat", "axis 1", "(3)"}},
    {"gather: index", gather_index, {"gather", "index[1] is 9", "3 elements"}},
    {"gather: nothing", gather_nothing, {"gather", "at least one"}},
    {"gather: scalar", gather_scalar, {"gather", "()", "reshape"}},
    {"scatter: index", scatter_index, {"scatter", "index[1] is 9", "5 elements"}},
    {"scatter: count", scatter_count, {"scatter", "2 indices for 3"}},
    {"sum: axis", sum_axis, {"sum", "axis 1", "(3)", "from 0"}},
    {"max: axis", max_axis, {"max", "axis -1", "(3)"}},
    {"logsumexp: axis", logsumexp_axis, {"logsumexp", "axis 0", "()"}},
    {"cumsum: axis", cumsum_axis, {"cumsum", "axis 2", "(2,3)"}},
    {"input: empty", input_zero, {"input", "'empty'", "(3,0)", "at least 1"}},
    {"input: rank", input_rank, {"input", "'deep'", "rank at most 4"}},
    {"param: rank", param_negative, {"param", "'odd'"}},
    {"param: huge", param_huge, {"param", "'huge'", "(1048576,1048576)", "2^31"}},
    {"broadcast: huge", broadcast_huge, {"broadcast", "2^31"}},
    {"noise: stream", noise_stream, {"stream 4096", "0 to 4095"}},
    {"noise: size", noise_size, {"2097152 features", "1048576", "concat"}},
    {"noise: empty", noise_zero, {"normal", "at least 1"}},
    {"grad: shape", grad_shape, {"grad", "(3)", "()", "sum it"}},
    {"grad: another tape", grad_foreign, {"grad", "wrt[0]", "y's tape"}},
    {"grad: invalid", grad_invalid, {"grad", "not a value"}},
    {"mul: nothing", nothing_first, {"mul", "argument 1", "not a value of this tape"}},
    {"matmul: nothing", matmul_nothing_first, {"matmul", "argument 1", "not a value of this tape"}},
    {"grad: nothing", grad_nothing, {"grad", "not a value"}},
    {"blocks: NULL", blocks_null, {"matmul_blocks", "got NULL", "ad_matmul()"}},
    {"blocks: no ends", blocks_without_ends, {"matmul_blocks", "column_end", "got NULL"}},
    {"constant: NULL", constant_null, {"constant", "values is NULL"}},
    {"gather: NULL", gather_null, {"gather", "index is NULL"}},
};

/* Every public op on values that failed to record, and on good ones of a tape that failed. */
static void record_everything(values v, ad_var bad)
{
    static const size_t index[] = {0, 1}, row_end[] = {2}, end[] = {3};
    ad_var (*const unary[])(ad_var) = {ad_neg,
                                       ad_exp,
                                       ad_log,
                                       ad_log1p,
                                       ad_expm1,
                                       ad_tanh,
                                       ad_sigmoid,
                                       ad_softplus,
                                       ad_relu,
                                       ad_sqrt,
                                       ad_square,
                                       ad_abs,
                                       ad_sign,
                                       ad_sin,
                                       ad_cos,
                                       ad_stop_gradient,
                                       ad_sum,
                                       ad_mean,
                                       ad_max,
                                       ad_logsumexp,
                                       ad_sum_rows,
                                       ad_to_rows,
                                       ad_transpose,
                                       ad_floor,
                                       ad_erf,
                                       ad_erfc,
                                       ad_erfinv,
                                       ad_ndtr,
                                       ad_log_ndtr,
                                       ad_ndtri,
                                       ad_ndtri_exp,
                                       ad_lgamma,
                                       ad_digamma,
                                       ad_trigamma,
                                       ad_cholesky,
                                       ad_diagonal,
                                       ad_cholesky_log_det};
    ad_var (*const binary[])(ad_var, ad_var) = {ad_add,     ad_sub,     ad_mul,           ad_div,           ad_maximum,
                                                ad_minimum, ad_greater, ad_greater_equal, ad_equal,         ad_matmul,
                                                ad_pow,     ad_atan2,   ad_lbeta,         ad_cholesky_solve};
    const ad_var operand[] = {bad, v.x, v.m};
    for (size_t i = 0; i < COUNT(operand); i++) {
        const ad_var a = operand[i];
        for (size_t k = 0; k < COUNT(unary); k++) unary[k](a);
        for (size_t k = 0; k < COUNT(binary); k++) {
            binary[k](a, v.x);
            binary[k](v.x, a);
        }
        ad_where(a, v.x, v.x);
        ad_leaky_relu(a, 0.1);
        ad_add_scalar(a, 1);
        ad_mul_scalar(a, 2);
        ad_sum_axis(a, 0);
        ad_max_axis(a, 0);
        ad_logsumexp_axis(a, 0);
        ad_cumsum(a, 0, true);
        ad_reshape(a, AD_SHAPE(3, 1));
        ad_broadcast(a, AD_SHAPE(2, 3));
        ad_slice(a, 0, 0, 1);
        ad_concat((ad_var[]){v.x, a}, 2, 0);
        ad_concat(&a, 1, 0);
        ad_gather(a, index, 2);
        ad_scatter(a, index, 2, 4);
        ad_matmul_blocks(a, v.x, &(ad_blocks){1, row_end, index, end});
        ad_matmul_blocks(v.m, a, &(ad_blocks){1, row_end, index, end});
        ad_solve_triangular(a, v.x, AD_UPPER);
        ad_solve(a, v.x);
        ad_solve(v.x, a);
        ad_log_abs_det(a);
        ad_polygamma(a, 2);
        ck_assert(!ad_is_valid(ad_grad1(a, v.x)));
        ck_assert(!ad_is_valid(ad_grad1(v.s, a)));
    }
    ad_input(v.tape, "more", AD_SCALAR);
    ad_param(v.tape, "more", AD_SHAPE(0));
    ad_scalar(v.tape, 1);
    ad_row_count(v.tape);
    ad_normal(v.tape, AD_SHAPE(2), 5000);
    ad_uniform(v.tape, AD_SHAPE(2), 0);
}

START_TEST(mistakes_stick)
{
    ad_tape *other = ad_tape_new();
    values v = {.tape = ad_tape_new()};
    v.foreign = ad_input(other, "foreign", AD_SHAPE(3)); /* its id is one of v.tape, too */
    v.x = ad_input(v.tape, "x", AD_SHAPE(3));
    v.m = ad_param(v.tape, "m", AD_SHAPE(2, 3));
    v.s = ad_scalar(v.tape, 2);
    v.c = ad_constant(v.tape, AD_SHAPE(3), (double[]){1, 2, 3});
    ck_assert_ptr_null(ad_tape_error(v.tape));
    ad_tape_enter(v.tape, "outer");
    ad_tape_enter(v.tape, "inner");

    ad_var bad = mistakes[_i].make(v);
    ck_assert(!ad_is_valid(bad) && bad.tape == v.tape);
    ck_assert(ad_shape_of(bad).rank == 0 && !ad_is_per_row(bad));
    ck_assert_str_eq(ad_name_of(bad), "");
    const ad_error *error = ad_tape_error(v.tape);
    ck_assert_msg(error != NULL, "%s: no error", mistakes[_i].name);
    ck_assert_int_eq(error->status, AD_ERROR_ARGUMENT);
    ck_assert_msg(strncmp(error->message, "in outer/inner: ", 16) == 0, "%s", error->message);
    for (size_t i = 0; i < COUNT(mistakes[_i].words) && mistakes[_i].words[i]; i++)
        ck_assert_msg(strstr(error->message, mistakes[_i].words[i]) != NULL, "%s: '%s' is not in: %s",
                      mistakes[_i].name, mistakes[_i].words[i], error->message);

    const ad_error first = *error;
    record_everything(v, bad);
    ad_tape_fail(v.tape, AD_ERROR_MEMORY, "later");
    ck_assert_str_eq(ad_tape_error(v.tape)->message, first.message);
    ad_error reported;
    ck_assert_ptr_null(ad_plan_new(&v.x, 1, NULL, &reported));
    ck_assert_int_eq(reported.status, first.status);
    ck_assert_str_eq(reported.message, first.message);
    ck_assert_ptr_null(ad_plan_new(&bad, 1, NULL, NULL));
    ad_tape_free(v.tape);
    ad_tape_free(other);
}
END_TEST

/* Where memory was out for the tape itself. */
START_TEST(no_tape)
{
    ck_assert_int_eq(ad_tape_error(NULL)->status, AD_ERROR_MEMORY);
    ad_tape_enter(NULL, "scope");
    ad_tape_leave(NULL);
    ad_tape_fail(NULL, AD_ERROR_NUMERIC, "later");
    ad_var nothing = ad_input(NULL, "x", AD_SHAPE(3));
    values v = {.x = nothing, .m = ad_param(NULL, "m", AD_SHAPE(2, 3)), .s = ad_scalar(NULL, 2)};
    ck_assert(!ad_is_valid(v.x) && !ad_is_valid(v.m) && !ad_is_valid(v.s));
    record_everything(v, nothing);
    ck_assert(!ad_is_valid(ad_concat(NULL, 0, 0)) && !ad_is_valid(ad_concat(&nothing, 0, 0)));
    ck_assert_ptr_null(ad_plan_new(&nothing, 1, NULL, NULL));
    ck_assert_int_eq(ad_dependence(nothing, nothing, NULL, NULL), AD_ERROR_ARGUMENT);
}
END_TEST

START_TEST(own_errors)
{
    ad_tape *tape = ad_tape_new();
    ad_tape_fail(tape, AD_ERROR_NUMERIC, "%s is %d", "the answer", 42);
    ck_assert_int_eq(ad_tape_error(tape)->status, AD_ERROR_NUMERIC);
    ck_assert_str_eq(ad_tape_error(tape)->message, "the answer is 42");
    ad_tape_free(tape);
    ad_tape_free(NULL);
    ad_error error;
    ck_assert_int_eq(ad_error_set(&error, AD_ERROR_IO, "%d", 7), AD_ERROR_IO);
    ck_assert_str_eq(error.message, "7");
    ck_assert_int_eq(ad_error_set(NULL, AD_ERROR_IO, "%d", 7), AD_ERROR_IO);
    ad_error_set(&error, AD_ERROR_IO, "%s",
                 "\x1b[2J\r\x07\x7f\n\tgr\xc3\xbc\xc3\x9f\xc2\x9b\xe2\x80\xae\xe2\x88\x92\x9b\xff");
    ck_assert_str_eq(error.message, "?[2J???\n\tgr\xc3\xbc\xc3\x9f??\xe2\x88\x92?\xff");
}
END_TEST

START_TEST(scopes_too_deep)
{
    ad_tape *tape = ad_tape_new();
    for (int i = 0; i < 100; i++) ad_tape_enter(tape, "a-rather-long-name");
    ck_assert_ptr_nonnull(strstr(ad_tape_error(tape)->message, "too deep"));
    for (int i = 0; i < 200; i++) ad_tape_leave(tape);
    ad_tape_free(tape);
}
END_TEST

/* ---- Print-out ----------------------------------------------------------------------------------------------- */

static char *print_to_string(ad_tape *tape)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    ad_tape_print(tape, to);
    fclose(to);
    return text;
}

/* Small blocks share a chunk of the arena, large ones have their own. */
START_TEST(memory_of_the_tape)
{
    ad_tape *tape = ad_tape_new();
    enum { BLOCKS = 40, ELEMENTS = 5000 };
    double *block[BLOCKS];
    for (int b = 0; b < BLOCKS; b++) {
        block[b] = ad_tape_alloc(tape, ELEMENTS, sizeof *block[b]);
        ck_assert_ptr_nonnull(block[b]);
        ck_assert_uint_eq((uintptr_t)block[b] % 16, 0);
        for (size_t i = 0; i < ELEMENTS; i++) ck_assert(block[b][i] == 0);
        for (size_t i = 0; i < ELEMENTS; i++) block[b][i] = b + 1;
    }
    ck_assert_ptr_nonnull(ad_tape_alloc(tape, 0, 8));
    for (int b = 0; b < BLOCKS; b++)
        for (size_t i = 0; i < ELEMENTS; i++) ck_assert(block[b][i] == b + 1);
    ck_assert_ptr_null(ad_tape_error(tape));

    ck_assert_ptr_null(ad_tape_alloc(tape, SIZE_MAX / 2, 4));
    ck_assert_ptr_nonnull(ad_tape_error(tape));
    ck_assert_int_eq(ad_tape_error(tape)->status, AD_ERROR_MEMORY);
    ck_assert_ptr_nonnull(ad_tape_alloc(tape, 1, 1));
    ad_tape_free(tape);
    ck_assert_ptr_null(ad_tape_alloc(NULL, 1, 1));
}
END_TEST

START_TEST(print_out)
{
    ad_tape *tape = ad_tape_new();
    ad_var x = ad_input(tape, "x", AD_SHAPE(3)), w = ad_param(tape, "w", AD_SHAPE(2, 3));
    ad_tape_enter(tape, "layer[0]");
    ad_tape_enter(tape, "net");
    ad_var h = ad_matmul(w, x);
    ad_tape_leave(tape);
    ad_slice(ad_leaky_relu(h, 0.25), 0, 1, 2);
    ad_tape_leave(tape);
    ad_sum_rows(h);
    char *text = print_to_string(tape);
    static const char *const lines[] = {"%0     per-row (3)        = input 'x'\n",
                                        "%1     shared  (2,3)      = param 'w'\n",
                                        "   # layer[0]/net\n",
                                        "= leaky_relu %4 [0.25]   # layer[0]\n",
                                        "per-row (1)        = slice %5 [0,1,2]   # layer[0]\n",
                                        "shared  (2)        = sum_rows %4\n"};
    for (size_t i = 0; i < COUNT(lines); i++)
        ck_assert_msg(strstr(text, lines[i]) != NULL, "'%s' is not in:\n%s", lines[i], text);
    free(text);
    ad_add(x, w);
    ad_reshape(x, AD_SHAPE(5));
    text = print_to_string(tape);
    ck_assert_msg(strstr(text, "error: reshape: ") != NULL, "%s", text);
    free(text);
    ad_tape_free(tape);
}
END_TEST

Suite *tape_suite(void)
{
    Suite *suite = suite_create("tape");
    TCase *recording = tcase_create("recording");
    tcase_add_test(recording, shapes);
    tcase_add_test(recording, kinds_and_names);
    tcase_add_loop_test(recording, mistakes_stick, 0, COUNT(mistakes));
    tcase_add_test(recording, own_errors);
    tcase_add_test(recording, no_tape);
    tcase_add_test(recording, scopes_too_deep);
    tcase_add_test(recording, memory_of_the_tape);
    tcase_add_test(recording, print_out);
    suite_add_tcase(suite, recording);
    return suite;
}
