/* Saving and loading flows: the same flow comes back, and nothing else is believed. */
#include "flows/flow_tools.h"
#include <weir/models.h>
#include "files/safetensors.h"
#include "scratch.h"

#include <math.h>

static file_path saved(const nf_flow *flow, const char *record)
{
    file_path path = scratch_path("flow.safetensors");
    ASSERT_OK(nf_save(flow, record, path.text, &error));
    return path;
}

static nf_flow *loaded(const char *path, char **record)
{
    nf_flow *flow = nf_load(path, record, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    return flow;
}

/* The same dtype, dimension and formula, and log p of some points, bit for bit. */
static bool same_flow(nf_flow *a, nf_flow *b)
{
    enum { ROWS = 20 };
    size_t dim = nf_flow_dim(a);
    if (nf_flow_dim(b) != dim || nf_flow_dtype(a) != nf_flow_dtype(b)) return false;
    char *formula[] = {nf_flow_formula(a, true), nf_flow_formula(b, true)};
    double *x = normals(ROWS * dim, 1, 1), log_prob[2][ROWS];
    ASSERT_OK(nf_log_prob(a, x, NULL, ROWS, log_prob[0], NULL, &error));
    ASSERT_OK(nf_log_prob(b, x, NULL, ROWS, log_prob[1], NULL, &error));
    bool same = strcmp(formula[0], formula[1]) == 0 && memcmp(log_prob[0], log_prob[1], sizeof log_prob[0]) == 0;
    ad_free(formula[0]);
    ad_free(formula[1]);
    free(x);
    return same;
}

/* ---- There and back ---------------------------------------------------------------------------------------------- */

static const struct {
    const char *formula;
    size_t dim;
} models[] = {
    {"(maf(128,128)-flip)*3-standardize", 2},
    {"loc-maf(9,7,activation=tanh,bound=0.7)-permute(seed=5)-scale-invert(maf(4)-flip-scale)-standardize", 6},
    {"invert(invert(loc-scale)*2)-maf(3,activation=elu)", 1},
    {"(realnvp(4,mask=[2,4])-rqs(4,bins=3,mask=[1-2],flipped=1))*2", 4},
    {"permute(order=[3,1,2])-scale-flip", 3},
    {"flip", 3}, /* without a tensor */
};

START_TEST(comes_back)
{
    static const char *const records[] = {NULL, "",
                                          "{\"seed\": 1, \"command\": \"weir fit 'grüße.csv' \\\"\\u0007\\\"\"}"};
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++)
        for (size_t i = 0; i < COUNT(records); i++) {
            nf_flow *flow = moved_flow(models[_i].formula, models[_i].dim, dtype);
            char *record;
            nf_flow *back = loaded(saved(flow, records[i]).text, &record);
            ck_assert(same_flow(flow, back));
            ck_assert_int_eq(record == NULL, records[i] == NULL);
            if (record) ck_assert_str_eq(record, records[i]);
            ad_free(record);
            size_t bytes = (nf_flow_trained_elements(flow) + nf_flow_fixed_elements(flow)) * ad_dtype_size(dtype);
            ck_assert_mem_eq(nf_flow_parameters(flow), nf_flow_parameters(back), bytes);
            /* the bijectors' own copies as well: pushing them changes nothing */
            nf_flow_push(back);
            ck_assert_mem_eq(nf_flow_parameters(flow), nf_flow_parameters(back), bytes);
            nf_flow_free(flow);
            nf_flow_free(back);
        }
}
END_TEST

START_TEST(a_trained_flow_comes_back)
{
    enum { N = 1000 };
    nf_flow *flow = nf_flow_parse("(maf(16)-flip)*2-standardize", 2, 0, AD_F32, 1, &error);
    double *x = malloc(2 * N * sizeof *x);
    nf_moons(N, 0.1, 1, x, NULL);
    ASSERT_OK(nf_fit(flow, x, N, &(nf_fit_options){.epochs = 2}, NULL, &error));
    nf_flow *back = loaded(saved(flow, NULL).text, NULL);
    ck_assert(same_flow(flow, back));
    nf_flow_free(flow);
    nf_flow_free(back);
    free(x);
}
END_TEST

/* Made by calls, not from a formula: alone, in chains within chains, in chains of one. */
START_TEST(made_by_calls)
{
    for (int i = 0; i < 4; i++) {
        const char *const formulas[] = {"maf(3)", "loc-maf(4)-scale", "standardize-maf(2)"};
        nf_bijector *b[3];
        for (int k = 0; k < 3; k++) b[k] = parsed(formulas[k], 2, (uint64_t)k);
        nf_bijector *made = nf_chain(b, 3, &error);
        if (i == 1) made = nf_invert(made, &error);
        if (i == 2) made = nf_chain((nf_bijector *[]){nf_invert(nf_chain(&made, 1, &error), &error)}, 1, &error);
        if (i == 3) made = nf_invert(nf_invert(made, &error), &error);
        ck_assert_ptr_nonnull(made);
        nf_flow *flow = nf_flow_new(NULL, made, AD_F64, &error), *back = loaded(saved(flow, NULL).text, NULL);
        ck_assert(same_flow(flow, back));
        nf_flow_free(flow);
        nf_flow_free(back);
    }
    const nf_bijector_type *loc = nf_bijector_types()[0];
    nf_flow *flow = nf_flow_new(NULL, nf_bijector_new(loc, 2, 0, NULL, &error), AD_F32, &error);
    nf_flow *back = loaded(saved(flow, NULL).text, NULL);
    ck_assert(same_flow(flow, back));
    nf_flow_free(flow);
    nf_flow_free(back);
}
END_TEST

START_TEST(what_is_in_the_file)
{
    nf_flow *flow = moved_flow("maf(3)-standardize-maf(3)-standardize", 2, AD_F32);
    nf__safetensors *file = nf__safetensors_read(saved(flow, "{}").text, &error);
    ck_assert_msg(file != NULL, "%s", error.message);
    ck_assert_str_eq(nf__safetensors_metadata(file, "format"), "weir-flow-1");
    ck_assert_str_eq(nf__safetensors_metadata(file, "formula"),
                     "normal:(maf(3,activation=tanh,bound=3,gain=1)-standardize)*2");
    ck_assert_str_eq(nf__safetensors_metadata(file, "dim"), "2");
    ck_assert_str_eq(nf__safetensors_metadata(file, "context"), "0");
    ck_assert_str_eq(nf__safetensors_metadata(file, "dtype"), "float32");
    ck_assert_str_eq(nf__safetensors_metadata(file, "training"), "{}");
    size_t count;
    nf__safetensors_all(file, &count);
    ck_assert_uint_eq(count, 12);
    const nf__safetensor *tensor = nf__safetensors_find(file, "2.maf.weight1");
    ck_assert_ptr_nonnull(tensor);
    ck_assert(tensor->dtype == AD_F32 && ad_shape_equal(tensor->shape, AD_SHAPE(4, 3)));
    const double *expected = nf_parameter_value(nf_flow_bijector(flow)->child[2], "weight1");
    for (int i = 0; i < 12; i++) ck_assert_float_eq(((const float *)tensor->data)[i], (float)expected[i]);
    tensor = nf__safetensors_find(file, "3.standardize.scale");
    ck_assert_ptr_nonnull(tensor);
    expected = nf_parameter_value(nf_flow_bijector(flow)->child[3], "scale");
    for (int i = 0; i < 2; i++) ck_assert_float_eq(((const float *)tensor->data)[i], (float)expected[i]);
    nf__safetensors_free(file);
    nf_flow_free(flow);
}
END_TEST

/* ---- What is not believed ---------------------------------------------------------------------------------------- */

static char content[1 << 14];

/* Saves a small flow, reads the file into content. */
static size_t small_file(nf_flow **flow)
{
    *flow = moved_flow("maf(3)-loc", 2, AD_F32);
    return slurp(saved(*flow, "{\"seed\":1}").text, content, sizeof content);
}

static nf_flow *load_bytes(size_t bytes, char **record)
{
    error = (ad_error){AD_OK, ""};
    return nf_load(scratch_write("damaged.safetensors", content, bytes).text, record, &error);
}

START_TEST(every_truncation)
{
    nf_flow *flow;
    size_t bytes = small_file(&flow);
    for (size_t length = 0; length < bytes; length++) {
        ck_assert_ptr_null(load_bytes(length, NULL));
        ASSERT_FAILS(error.status, AD_ERROR_FORMAT, "damaged.safetensors");
    }
    content[bytes] = 0; /* and one byte too many */
    ck_assert_ptr_null(load_bytes(bytes + 1, NULL));
    ASSERT_FAILS(error.status, AD_ERROR_FORMAT, "too long");
    nf_flow_free(flow);
}
END_TEST

START_TEST(every_flipped_bit_of_the_header)
{
    nf_flow *flow;
    size_t bytes = small_file(&flow), header = 8 + (unsigned char)content[0] + 256u * (unsigned char)content[1];
    size_t believed = 0;
    for (size_t bit = 0; bit < 8 * header; bit++) {
        content[bit / 8] ^= (char)(1 << bit % 8);
        char *record;
        nf_flow *back = load_bytes(bytes, &record);
        if (back) {
            ck_assert_msg(same_flow(flow, back), "bit %zu of byte %zu: another flow", bit % 8, bit / 8);
            believed++;
        } else {
            ck_assert_ptr_null(record);
            ASSERT_FAILS(error.status, AD_ERROR_FORMAT, "damaged.safetensors");
        }
        ad_free(record);
        nf_flow_free(back);
        content[bit / 8] ^= (char)(1 << bit % 8);
    }
    ck_assert_uint_lt(believed, 8 * 64); /* in the record, and in the spaces at the end */
    nf_flow_free(flow);
}
END_TEST

/* A file of a loc-maf(2) flow, but for what a case changes. */
typedef struct {
    const char *format, *formula, *dim, *dtype;
    int without;       /* this tensor is left out */
    const char *extra; /* one more */
    ad_dtype bias_dtype;
    size_t bias_size;
} forgery;

static ad_status load_forgery(const forgery *f)
{
    static const double zeros[16];
    nf__safetensor all[] = {
        {"0.loc.loc", AD_F64, {1, {2}}, zeros},
        {"1.maf.weight0", AD_F64, {2, {2, 2}}, zeros},
        {"1.maf.bias0", AD_F64, {1, {2}}, zeros},
        {"1.maf.weight1", AD_F64, {2, {4, 2}}, zeros},
        {"1.maf.bias1", f->bias_dtype, {1, {f->bias_size}}, zeros},
        {f->extra, AD_F64, {0}, zeros},
    };
    nf__safetensor tensors[COUNT(all)];
    size_t count = 0, n_metadata = 0;
    for (size_t i = 0; i < COUNT(all); i++)
        if (all[i].name && (int)i != f->without) tensors[count++] = all[i];
    const nf__metadata given[] = {{"format", f->format}, {"formula", f->formula}, {"dim", f->dim}, {"dtype", f->dtype}};
    nf__metadata metadata[COUNT(given)];
    for (size_t i = 0; i < COUNT(given); i++)
        if (given[i].value) metadata[n_metadata++] = given[i];
    file_path path = scratch_path("forged.safetensors");
    ASSERT_OK(nf__safetensors_write(path.text, tensors, count, metadata, n_metadata, true, &error));
    error = (ad_error){AD_OK, ""};
    nf_flow *flow = nf_load(path.text, NULL, &error);
    ck_assert_int_eq(flow == NULL, error.status != AD_OK);
    nf_flow_free(flow);
    return error.status;
}

START_TEST(forgeries)
{
    const forgery genuine = {.format = "weir-flow-1",
                             .formula = "loc-maf(2)",
                             .dim = "2",
                             .dtype = "float64",
                             .without = -1,
                             .bias_dtype = AD_F64,
                             .bias_size = 4};
    ASSERT_OK(load_forgery(&genuine));
#define FORGE(field, as, text)                                                                                         \
    do {                                                                                                               \
        forgery f = genuine;                                                                                           \
        f.field = as;                                                                                                  \
        ASSERT_FAILS(load_forgery(&f), AD_ERROR_FORMAT, text);                                                         \
        ASSERT_FAILS(error.status, AD_ERROR_FORMAT, "forged.safetensors");                                             \
    } while (0)
    FORGE(format, NULL, "not one of Weir's");
    FORGE(format, "weir-flow", "not one of Weir's");
    FORGE(format, "weir-flow-2",
          "its format is weir-flow-2, and Weir " WEIR_VERSION " reads weir-flow-1: a newer Weir");
    FORGE(format, "weir-flow-10", "its format is weir-flow-10");
    FORGE(formula, NULL, "not one of Weir's");
    FORGE(formula, "", "the formula ends here");
    FORGE(formula, "loc-mof(2)", "expected a bijector, got 'mof'");
    FORGE(formula, "loc", "5 tensors, but its formula has 1");
    FORGE(formula, "loc-maf(2)-flip*99999-flip", "can't be used");
    FORGE(formula, "loc-maf(3)", "tensor '1.maf.weight0' is float64 (2,2), but the formula needs float64 (3,2)");
    FORGE(formula, "loc-maf(2)-loc", "tensor '2.loc.loc' of its formula is missing");
    FORGE(formula, "maf(2)-loc", "tensor '0.maf.weight0' of its formula is missing");
    FORGE(dim, NULL, "not one of Weir's");
    FORGE(dim, "", "dim ''");
    FORGE(dim, "0", "dim '0'");
    FORGE(dim, "-2", "dim '-2'");
    FORGE(dim, "2x", "dim '2x'");
    FORGE(dim, "1000001", "dim '1000001'");
    FORGE(dim, "18446744073709551618", "dim '18446744073709551618'");
    FORGE(dim, "3", "tensor '0.loc.loc' is float64 (2), but the formula needs float64 (3)");
    FORGE(dtype, NULL, "not one of Weir's");
    FORGE(dtype, "float16", "dtype 'float16'");
    FORGE(dtype, "float32", "is float64 (2), but the formula needs float32 (2)");
    FORGE(without, 0, "'0.loc.loc' of its formula is missing");
    FORGE(without, 4, "'1.maf.bias1' of its formula is missing");
    FORGE(extra, "more", "6 tensors, but its formula has 5");
    FORGE(bias_dtype, AD_F32, "'1.maf.bias1' is float32 (4), but the formula needs float64 (4)");
    FORGE(bias_size, 5, "'1.maf.bias1' is float64 (5), but the formula needs float64 (4)");
}
END_TEST

START_TEST(numbers_are_finite)
{
    static const double bad[] = {NAN, -INFINITY};
    for (int i = 0; i < 4; i++) {
        nf_flow *flow = moved_flow("loc-maf(2)-standardize", 2, i & 1 ? AD_F64 : AD_F32);
        size_t last = nf_flow_trained_elements(flow) + (i & 2 ? nf_flow_fixed_elements(flow) : 0) - 1;
        if (i & 1)
            ((double *)nf_flow_parameters(flow))[last] = bad[i / 2];
        else
            ((float *)nf_flow_parameters(flow))[last] = (float)bad[i / 2];
        ck_assert_ptr_null(nf_load(saved(flow, NULL).text, NULL, &error));
        ASSERT_FAILS(error.status, AD_ERROR_FORMAT,
                     i & 2 ? "'2.standardize.scale' is infinite" : "'1.maf.bias1' is NaN");
        nf_flow_free(flow);
    }
}
END_TEST

START_TEST(other_files)
{
    char *record = content;
    ck_assert_ptr_null(nf_load(golden_path("python.safetensors").text, &record, &error));
    ASSERT_FAILS(error.status, AD_ERROR_FORMAT, "not one of Weir's");
    ck_assert_ptr_null(record);
    ck_assert_ptr_null(nf_load(golden_path("maf_points.csv").text, NULL, &error));
    ASSERT_FAILS(error.status, AD_ERROR_FORMAT, "not a safetensors file");
    ck_assert_ptr_null(nf_load(scratch_path("none").text, NULL, &error));
    ck_assert_int_eq(error.status, AD_ERROR_IO);
    ck_assert_ptr_null(nf_load(scratch_path("none").text, NULL, NULL));
}
END_TEST

/* As many as would take minutes if each were looked for among all. */
START_TEST(many_tensors)
{
    nf_flow *flow = moved_flow("loc*100000", 2, AD_F32), *back = loaded(saved(flow, NULL).text, NULL);
    const size_t bytes = nf_flow_trained_elements(flow) * sizeof(float);
    ck_assert_uint_eq(nf_flow_trained_elements(back), 200000);
    ck_assert_mem_eq(nf_flow_parameters(back), nf_flow_parameters(flow), bytes);
    nf_flow_free(back);
    nf_flow_free(flow);
}
END_TEST

/* A formula has the room that it is given, to the last number. */
START_TEST(room)
{
    static const struct {
        const char *formula;
        size_t needs; /* in four features, with a context of one number */
    } flows[] = {
        {"flip", 4},
        {"loc", 4 + 8},
        {"loc*3", 3 * (4 + 8)},
        {"(loc-flip)*2*2", 4 * (4 + 8 + 4)},
        {"invert(loc)", 4 + 8},
        {"permute(order=[4,1-3])*2", 2 * (4 + 4)},
        {"on([2,4],loc)*2", 2 * (2 + 4 + 2 + 4)},
        {"diagonal_normal:loc", 4 + 16 + 4 + 8},
        {"mixture_of(diagonal_normal:loc|normal:flip):flip", 4 + 16 + 4 + 8 + 4 + 4 + 4},
    };
    for (size_t i = 0; i < COUNT(flows); i++) {
        nf_flow *flow = nf_flow_parse_within(flows[i].formula, 4, 1, AD_F32, 0, flows[i].needs, &error);
        ck_assert_msg(flow != NULL, "%s: %s", flows[i].formula, error.message);
        nf_flow_free(flow);
        ck_assert_ptr_null(nf_flow_parse_within(flows[i].formula, 4, 1, AD_F32, 0, flows[i].needs - 1, &error));
        ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "are left for the formula");
        ck_assert_ptr_null(nf_flow_parse_within(flows[i].formula, 4, 1, AD_F32, 0, flows[i].needs - 1, NULL));
    }
    ck_assert_ptr_null(nf_flow_parse("permute(order=[1-4,1-4])", 4, 0, AD_F32, 0, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "lists more features than the 4 of an event");
}
END_TEST

START_TEST(what_cannot_be_saved)
{
    nf_flow *flow = moved_flow("maf(3)", 2, AD_F32);
    ASSERT_FAILS(nf_save(flow, NULL, scratch_path("none/flow.safetensors").text, &error), AD_ERROR_IO, "none");
    ASSERT_FAILS(nf_save(flow, "\xff", scratch_path("a").text, &error), AD_ERROR_ARGUMENT, "UTF-8");
    static char deep[2 * 65 + 1];
    memset(deep, '[', 65);
    memset(deep + 65, ']', 65);
    ASSERT_FAILS(nf_save(flow, deep, scratch_path("a").text, &error), AD_ERROR_ARGUMENT, "nested too deep");
    nf_flow *wide = nf_flow_parse("flip", 65537, 0, AD_F32, 0, &error), /* which nf_load() wouldn't take */
        *fits = nf_flow_parse("flip", 65536, 0, AD_F32, 0, &error);
    ASSERT_FAILS(nf_save(wide, NULL, scratch_path("a").text, &error), AD_ERROR_ARGUMENT, "can't be saved");
    ck_assert_int_eq(scratch_files(false), 0);
    nf_flow_free(loaded(saved(fits, NULL).text, NULL));
    scratch_files(true);
    nf_flow_free(fits);
    nf_flow_free(wide);
    ck_assert_int_eq(scratch_files(false), 0);
    ck_assert_int_eq(nf_save(flow, "{\"a\":\"[[[\\\"[\"}", scratch_path("a").text, &error), AD_OK);
    nf_flow_free(flow);
}
END_TEST

START_TEST(memory_runs_out)
{
    nf_flow *flow;
    small_file(&flow);
    file_path path = scratch_path("flow.safetensors"), copy = scratch_path("copy.safetensors");
    bool denied = true;
    for (size_t allowed = 0; denied; allowed++) {
        char *record;
        memory_limit(allowed);
        nf_flow *back = nf_load(path.text, &record, &error);
        denied = memory.denied;
        ck_assert(denied == !back);
        if (denied) ck_assert_msg(error.status == AD_ERROR_MEMORY, "after %zu: %s", allowed, error.message);
        ad_free(record);
        nf_flow_free(back);
    }
    denied = true;
    for (size_t allowed = 0; denied; allowed++) {
        memory_limit(allowed);
        ad_status status = nf_save(flow, "{}", copy.text, &error);
        denied = memory.denied;
        ck_assert_msg(status == (denied ? AD_ERROR_MEMORY : AD_OK), "after %zu: %d: %s", allowed, status,
                      error.message);
        ck_assert_int_eq(scratch_files(false), denied ? 1 : 2);
    }
    nf_flow_free(flow);
}
END_TEST

Suite *save_suite(void)
{
    Suite *suite = suite_create("save");
    TCase *tcase = tcase_create("save");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, scratch_begin, scratch_end);
    tcase_add_loop_test(tcase, comes_back, 0, COUNT(models));
    tcase_add_test(tcase, many_tensors);
    tcase_add_test(tcase, room);
    tcase_add_test(tcase, a_trained_flow_comes_back);
    tcase_add_test(tcase, made_by_calls);
    tcase_add_test(tcase, what_is_in_the_file);
    tcase_add_test(tcase, every_truncation);
    tcase_add_test(tcase, every_flipped_bit_of_the_header);
    tcase_add_test(tcase, forgeries);
    tcase_add_test(tcase, numbers_are_finite);
    tcase_add_test(tcase, other_files);
    tcase_add_test(tcase, what_cannot_be_saved);
    tcase_add_test(tcase, memory_runs_out);
    suite_add_tcase(suite, tcase);
    return suite;
}
