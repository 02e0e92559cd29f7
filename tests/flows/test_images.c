/* Flows of images: shapes in formulas and what is wrong with them, order of features, masks, fitting by channels, and
 * dequantization. Values and gradients are in test_golden.c, by another library. */
#include "flows/formula_tools.h"
#include <weir/models.h>

#include <math.h>

#define CONV "coupling(3,activation=silu,network=conv"

/* ---- What holds for all bijectors ------------------------------------------------------------------------------ */

static const struct {
    const char *formula;
    size_t dim, context;
} checked[] = {
    {"image(2,2,squeeze(actnorm-conv1x1))", 4, 0},
    {"image(1,1,3,conv1x1-" CONV "))", 3, 0},
    {"image(3,3," CONV ",mask=checkerboard)-" CONV "(kernel=5),mask=checkerboard,flipped=1))", 9, 0},
    {"image(2,2,2,split(conv1x1-actnorm)-" CONV "(kernel=1))-conv1x1)", 8, 0},
    {"image(1,2,2," CONV ",mask=[1,4]))", 4, 0},
    {"image(2,2," CONV ",mask=checkerboard))", 4, 2},
    {"image(2,2," CONV "(context=image),mask=checkerboard))", 4, 8},
    {"image(2,2,squeeze(conditional(conv1x1-actnorm,3)))", 4, 2},
    {"image(2,2,conditional(" CONV ",mask=checkerboard),2))", 4, 0},
    {"image(4,4,glow(levels=2,steps=1,width=2))", 16, 0},
    {"image(2,2,squeeze(rqs(3,network=conv,bins=3)-flip))", 4, 0},
    {"invert(image(2,2,squeeze(lu-" CONV "))))", 4, 0},
};

START_TEST(passes_the_check)
{
    nf_bijector *bijector = nf_bijector_parse(checked[_i].formula, checked[_i].dim, checked[_i].context, 1, &error);
    ck_assert_msg(bijector != NULL, "%s", error.message);
    nf_check_result result[NF_MOST_CHECKS];
    int count;
    ad_status status = nf_check_bijector(bijector, 2, result, &count, &error);
    ck_assert_msg(status == AD_OK, "%s: %s", checked[_i].formula, error.message);
    ck_assert_int_ge(count, 15);
    nf_bijector_free(bijector);
}
END_TEST

/* ---- Formulas -------------------------------------------------------------------------------------------------- */

START_TEST(canonical_formulas)
{
    static const char *const formulas[][2] = {
        {"image(2,2,1,squeeze(actnorm))", "image(2,2,squeeze(actnorm))"},
        {" image( 1 , 2 , 2 , split(loc)*1 )", "image(1,2,2,split(loc))"},
        {"image(2,2,glow(levels=1,steps=2,width=3))",
         "image(2,2,squeeze((coupling(3,3,activation=relu,network=conv)-conv1x1-actnorm)*2))"},
        {"image(2,2,(squeeze(loc))*2-scale)", "image(2,2,squeeze(loc)*2-scale)"},
    };
    for (size_t i = 0; i < COUNT(formulas); i++) {
        char *text = round_trip(formulas[i][0], 4);
        ck_assert_str_eq(text, formulas[i][1]);
        ad_free(text);
    }
}
END_TEST

/* By default, as many levels as there can be, at most three. */
START_TEST(levels_of_glow)
{
    nf_bijector *two = parsed("image(4,4,glow)", 16, 1), *three = parsed("image(16,8,glow(width=2))", 128, 1);
    const nf_bijector *at = two->child[0]->child[0];
    size_t squeezes = 0;
    for (; at->n_child; at = at->child[0]) squeezes += strcmp(at->type->name, "squeeze") == 0;
    ck_assert_uint_eq(squeezes, 2);
    for (squeezes = 0, at = three->child[0]->child[0]; at->n_child; at = at->child[0])
        squeezes += strcmp(at->type->name, "squeeze") == 0;
    ck_assert_uint_eq(squeezes, 3);
    nf_bijector_free(two);
    nf_bijector_free(three);
}
END_TEST

START_TEST(faults)
{
    static const struct {
        const char *formula;
        size_t dim;
        const char *part;
    } wrong[] = {
        {"image(3,2,loc)", 4, "3 x 2 pixels of 1 channel has 6 features, but an event has 4"},
        {"image(2,2,3,loc)", 4, "2 x 2 pixels of 3 channels has 12 features"},
        {"image", 4, "image needs its size"},
        {"image(2)", 4, "image( needs what maps the image"},
        {"image(2,2)", 4, "image( needs what maps the image"},
        {"image(0,4,loc)", 4, "a whole number from 1 to 65536"},
        {"image(2.5,4,loc)", 4, "a whole number from 1 to 65536"},
        {"image(2,2,loc", 4, "image( isn't closed"},
        {"image(2,2,image(2,2,loc))", 4, "an image within an image"},
        {"squeeze(loc)", 4, "squeeze is for images"},
        {"split(loc)", 4, "split is for images"},
        {"glow", 4, "glow is for images"},
        {"on([1-4],squeeze(loc))", 4, "squeeze is for images"},
        {"image(2,2,on([1,2],squeeze(loc)))", 4, "squeeze is for images"},
        {"image(3,2,squeeze(loc))", 6, "squeeze of an image of 3 x 2 pixels"},
        {"image(1,1,squeeze(loc))", 1, "an even height and width"},
        {"image(2,2,split(loc))", 4, "split of an image of 2 x 2 pixels of 1 channel"},
        {"image(2,2,squeeze)", 4, "squeeze needs what maps the image"},
        {"image(1,1,glow)", 1, "can be halved 0 times"},
        {"image(5,5,glow)", 25, "even sizes"},
        {"image(8,4,glow(levels=3))", 32, "3 levels, but 8 x 4 pixels can be halved 2 times"},
        {"image(2,2,glow(steps=0))", 4, "'steps'"},
        {"image(2,2," CONV "))", 4, "mask=checkerboard"},
        {"image(2,2," CONV "(kernel=2),mask=checkerboard))", 4, "an odd size"},
        {"coupling(3,mask=checkerboard)", 4, "none is left to map"},
        {"image(2,2,dequantize(loc)", 4, "isn't closed"},
        {"dequantize", 4, "dequantize needs the flow of its noise"},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        ck_assert_ptr_null(nf_bijector_parse(wrong[i].formula, wrong[i].dim, 0, 1, &error));
        ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, wrong[i].part);
    }
    ck_assert_ptr_null(nf_bijector_parse("image(2,2," CONV "(context=image),mask=checkerboard))", 4, 3, 1, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "a context of channels of 4 pixels, got 3 numbers");
}
END_TEST

/* From code, as formulas make them. */
START_TEST(from_code)
{
    const nf_bijector_type *loc = nf_registry_find(&nf_bijectors, "loc", 3);
    nf_bijector *inside = nf_bijector_new(loc, 8, 0, &(nf_arguments){.shape = AD_SHAPE(8, 1, 1)}, &error);
    nf_bijector *squeezed = nf_squeeze(nf_split(16, inside, &error), &error);
    nf_bijector *image = nf_image(squeezed, &error);
    ck_assert_msg(image != NULL, "%s", error.message);
    char *text = nf_formula(image);
    ck_assert_str_eq(text, "image(2,2,4,squeeze(split(loc)))");
    ad_free(text);
    ck_assert(ad_shape_equal(nf_image_shape(squeezed), AD_SHAPE(4, 2, 2)));
    ck_assert(ad_shape_equal(nf_image_shape(image), AD_SHAPE(16, 1, 1)));
    nf_bijector_free(image);

    ck_assert_ptr_null(nf_image(nf_bijector_new(loc, 8, 0, NULL, &error), &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "image: expected a bijector of images");
    ck_assert_ptr_null(
        nf_squeeze(nf_bijector_new(loc, 6, 0, &(nf_arguments){.shape = AD_SHAPE(6, 1, 1)}, &error), &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "a multiple of four channels");
    ck_assert_ptr_null(
        nf_split(6, nf_bijector_new(loc, 6, 0, &(nf_arguments){.shape = AD_SHAPE(6, 1, 1)}, &error), &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "fewer channels than are split");
    ck_assert_ptr_null(nf_bijector_new(loc, 8, 0, &(nf_arguments){.shape = AD_SHAPE(2, 2, 1)}, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "of 8 features, got (2,2,1)");
    ck_assert_ptr_null(nf_image(NULL, &error));
}
END_TEST

/* ---- Which features are which ---------------------------------------------------------------------------------- */

/* What a map does to 0: where its loc has gone. */
static void assert_moves(const char *formula, size_t dim, const double *expected)
{
    nf_bijector *bijector = parsed(formula, dim, 1);
    const nf_bijector *at = bijector;
    while (at->n_child) at = at->child[0];
    double *loc = nf_parameter_value(at, "loc"), *x = calloc(dim, sizeof *x), *zero = calloc(dim, sizeof *zero);
    const size_t size = ad_shape_size(at->parameter[0].spec.shape);
    for (size_t i = 0; i < size; i++) loc[i] = (double)i + 1;
    nf_flow *flow = nf_flow_new(NULL, bijector, AD_F64, &error);
    ASSERT_OK(nf_transform(flow, false, zero, NULL, 1, x, NULL, NULL, &error));
    for (size_t i = 0; i < dim; i++) ck_assert_msg(x[i] == expected[i], "%s: feature %zu is %g", formula, i + 1, x[i]);
    nf_flow_free(flow);
    free(zero);
    free(x);
}

START_TEST(order)
{
    /* Two channels of 1 x 2 pixels, side by side at each pixel. */
    assert_moves("image(1,2,2,loc)", 4, (const double[]){1, 3, 2, 4});
    /* Channel 2 i + j of the one pixel is pixel (i, j), and of 2 x 4 there are two such pixels. */
    assert_moves("image(2,2,squeeze(loc))", 4, (const double[]){1, 2, 3, 4});
    assert_moves("image(2,4,squeeze(loc))", 8, (const double[]){1, 3, 2, 4, 5, 7, 6, 8});
    assert_moves("image(1,2,2,split(loc))", 4, (const double[]){1, 0, 2, 0});
    assert_moves("image(2,2,squeeze(split(loc)))", 4, (const double[]){1, 2, 0, 0});
    assert_moves("image(1,2,3,actnorm)", 6, (const double[]){1, 2, 3, 1, 2, 3});
}
END_TEST

/* ---- Fitting --------------------------------------------------------------------------------------------------- */

/* Each channel has mean 0 and variance 1 then, over all of its pixels. */
START_TEST(actnorm_by_channels)
{
    enum { ROWS = 50, PIXELS = 6, CHANNELS = 2, DIM = PIXELS * CHANNELS };
    double *x = normals(ROWS * DIM, 1, 5), *z = malloc(ROWS * DIM * sizeof *z);
    for (size_t i = 0; i < ROWS * DIM; i++) x[i] = 1e6 + (i % CHANNELS ? 3 : 0.25) * x[i] + (double)(i % DIM);
    nf_flow *flow = nf_flow_new(NULL, parsed("image(2,3,2,actnorm)", DIM, 1), AD_F64, &error);
    ASSERT_OK(nf_flow_fit_data(flow, x, NULL, ROWS, &error));
    ASSERT_OK(nf_transform(flow, true, x, NULL, ROWS, z, NULL, NULL, &error));
    for (size_t c = 0; c < CHANNELS; c++) {
        double sum = 0, squares = 0;
        for (size_t i = c; i < ROWS * DIM; i += CHANNELS) {
            sum += z[i];
            squares += z[i] * z[i];
        }
        ck_assert_double_eq_tol(sum / (ROWS * PIXELS), 0, 1e-8);
        ck_assert_double_eq_tol(squares / (ROWS * PIXELS), 1, 1e-8);
    }
    nf_flow_free(flow);
    free(z);
    free(x);
}
END_TEST

/* ---- Dequantization -------------------------------------------------------------------------------------------- */

static const char dequantized[] =
    "image(1,2," CONV ",mask=checkerboard)-loc-scale-"
    "dequantize(" CONV "(context=image),mask=checkerboard,flipped=1)-conditional(loc,3)-scale,levels=3))";

/* Scales are such that the noise is wider than the density of what it is added to: a mean of ratios needs that. */
static bool set_scale(void *context, const char *name, nf_parameter *parameter)
{
    (void)context;
    if (strcmp(parameter->name, "rho") != 0) return true;
    const double scale = strstr(name, "dequantize") ? 1.8 : 0.6;
    for (size_t i = 0; i < 2; i++) parameter->value[i] = log(expm1(scale + 0.1 * (double)i));
    return true;
}

static nf_flow *dequantized_flow(ad_dtype dtype)
{
    nf_bijector *bijector = parsed(dequantized, 2, 1);
    nf_each_parameter(bijector, move_parameter, &(uint64_t){0});
    nf_each_parameter(bijector, set_scale, NULL);
    nf_flow *flow = nf_flow_new(NULL, bijector, dtype, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    return flow;
}

/* p_y |dy/du| / q is an estimate of P(x) without bias, so that its means add up to 1 over all x. */
START_TEST(probabilities_add_up)
{
    enum { LEVELS = 3, DRAWS = 40000, ALL = LEVELS * LEVELS };
    nf_flow *flow = dequantized_flow(AD_F64);
    double *x = malloc(2 * DRAWS * sizeof *x), *log_prob = malloc(DRAWS * sizeof *log_prob), total = 0, bound = 0;
    for (size_t k = 0; k < ALL; k++) {
        double mean = 0, mean_log = 0;
        for (size_t i = 0; i < DRAWS; i++) {
            x[2 * i] = (double)(k / LEVELS);
            x[2 * i + 1] = (double)(k % LEVELS);
        }
        ASSERT_OK(nf_log_prob(flow, x, NULL, DRAWS, log_prob, NULL, &error));
        for (size_t i = 0; i < DRAWS; i++) {
            mean += exp(log_prob[i]) / DRAWS;
            mean_log += log_prob[i] / DRAWS;
        }
        ck_assert_double_lt(mean_log, log(mean));
        total += mean;
        bound += exp(mean_log);
    }
    ck_assert_double_eq_tol(total, 1, 0.02);
    ck_assert_double_lt(bound, 1);
    nf_flow_free(flow);
    free(log_prob);
    free(x);
}
END_TEST

/* How often each comes is its probability. */
START_TEST(samples_of_whole_numbers)
{
    enum { LEVELS = 3, DRAWS = 40000, ALL = LEVELS * LEVELS };
    nf_flow *flow = dequantized_flow(AD_F32);
    double *x = malloc(2 * DRAWS * sizeof *x), *log_prob = malloc(DRAWS * sizeof *log_prob), often[ALL] = {0};
    ASSERT_OK(nf_sample(flow, NULL, DRAWS, 3, x, NULL, NULL, &error));
    for (size_t i = 0; i < DRAWS; i++) {
        for (size_t j = 0; j < 2; j++)
            ck_assert(x[2 * i + j] == floor(x[2 * i + j]) && x[2 * i + j] >= 0 && x[2 * i + j] < LEVELS);
        often[(size_t)(LEVELS * x[2 * i] + x[2 * i + 1])] += 1.0 / DRAWS;
    }
    for (size_t k = 0; k < ALL; k++) {
        double mean = 0;
        for (size_t i = 0; i < DRAWS; i++) {
            x[2 * i] = (double)(k / LEVELS);
            x[2 * i + 1] = (double)(k % LEVELS);
        }
        ASSERT_OK(nf_log_prob(flow, x, NULL, DRAWS, log_prob, NULL, &error));
        for (size_t i = 0; i < DRAWS; i++) mean += exp(log_prob[i]) / DRAWS;
        ck_assert_double_eq_tol(often[k], mean, 0.015);
    }
    nf_flow_free(flow);
    free(log_prob);
    free(x);
}
END_TEST

START_TEST(what_is_no_level)
{
    static const double x[][2] = {{0.5, 1},    {-1, 1},        {3, 0},   {1, 1e30}, {-0.3, 1},
                                  {-1e-30, 1}, {-INFINITY, 0}, {NAN, 1}, {2, 0}};
    double log_prob[COUNT(x)];
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        nf_flow *flow = dequantized_flow(dtype);
        ASSERT_OK(nf_log_prob(flow, x[0], NULL, COUNT(x), log_prob, NULL, &error));
        for (size_t i = 0; i < 7; i++) ck_assert_msg(log_prob[i] == -INFINITY, "row %zu: %g", i, log_prob[i]);
        ck_assert_double_nan(log_prob[7]);
        ck_assert_double_finite(log_prob[8]);
        nf_flow_free(flow);
    }
}
END_TEST

/* A fit moves the bound up, by the noise's flow too. */
START_TEST(noise_is_learned)
{
    enum { ROWS = 400 };
    double *x = malloc(2 * ROWS * sizeof *x), before = 0, after = 0, log_prob[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        x[2 * i] = ad_random_uniform(1, 0, i) < 0.7 ? 0 : 2;
        x[2 * i + 1] = x[2 * i] > 0 ? 1 : 0;
    }
    nf_flow *flow = nf_flow_parse(dequantized, 2, 0, AD_F64, 1, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    ASSERT_OK(nf_log_prob(flow, x, NULL, ROWS, log_prob, NULL, &error));
    for (size_t i = 0; i < ROWS; i++) before -= log_prob[i] / ROWS;
    ASSERT_OK(nf_fit(flow, x, ROWS, &(nf_fit_options){.epochs = 60, .batch = 100, .seed = 1}, NULL, &error));
    ASSERT_OK(nf_log_prob(flow, x, NULL, ROWS, log_prob, NULL, &error));
    for (size_t i = 0; i < ROWS; i++) after -= log_prob[i] / ROWS;
    ck_assert_double_lt(after, before - 0.5);
    ck_assert_double_gt(after, 0.6109); /* their entropy: -0.7 log 0.7 - 0.3 log 0.3 */
    nf_flow_free(flow);
    free(x);
}
END_TEST

Suite *images_suite(void)
{
    Suite *suite = suite_create("images");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, passes_the_check, 0, COUNT(checked));
    tcase_add_test(all, canonical_formulas);
    tcase_add_test(all, levels_of_glow);
    tcase_add_test(all, faults);
    tcase_add_test(all, from_code);
    tcase_add_test(all, order);
    tcase_add_test(all, actnorm_by_channels);
    tcase_add_test(all, probabilities_add_up);
    tcase_add_test(all, samples_of_whole_numbers);
    tcase_add_test(all, what_is_no_level);
    tcase_add_test(all, noise_is_learned);
    suite_add_tcase(suite, all);
    return suite;
}
