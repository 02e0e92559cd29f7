/* Flows in ONNX: files are what onnxruntime was given, which makes of them what Weir does
 * (tests/golden/onnx_export.py); tests/tools/open_onnx.py has it run more of them, where it is installed. And walking a
 * tape, which they are made by. */
#include "flows/flow_tools.h"
#include "golden_lines.h"
#include "scratch.h"

#include <weir/models.h>

#include <math.h>

static const char *const names[] = {"maf", "realnvp", "rqs"};

static nf_flow *golden_flow(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/conditioned_%s.safetensors", WEIR_GOLDEN_DIR, name);
    nf_flow *flow = nf_load(path, NULL, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    return flow;
}

/* A file from the function's name in the metadata on, behind which the graph ends it. What is before it names Weir's
 * version. */
static const char *graph_of(const char *file, size_t bytes, const char *function, size_t *size)
{
    char begin[32];
    const int length = snprintf(begin, sizeof begin, "\022%c%s", (int)strlen(function), function);
    for (size_t i = 0; i + (size_t)length < bytes; i++) {
        if (memcmp(file + i, begin, (size_t)length) != 0) continue;
        *size = bytes - i;
        return file + i;
    }
    ck_abort_msg("no graph %s", function);
    return NULL;
}

START_TEST(files_are_golden)
{
    static const char *const functions[] = {"log_prob", "sample"};
    nf_flow *flow = golden_flow(names[_i]);
    for (int f = 0; f < 2; f++) {
        const file_path path = scratch_path("o.onnx");
        char expected_path[512], *file, *expected;
        size_t bytes, expected_bytes, size, expected_size;
        snprintf(expected_path, sizeof expected_path, "%s/onnx_%s%s.onnx", WEIR_GOLDEN_DIR, names[_i],
                 f ? "_sample" : "");
        ASSERT_OK(nf_export_onnx(flow, NULL, NULL, (nf_onnx_function)f, path.text, &error));
        ASSERT_OK(nf_file_read(path.text, &file, &bytes, &error));
        ASSERT_OK(nf_file_read(expected_path, &expected, &expected_bytes, &error));
        const char *graph = graph_of(file, bytes, functions[f], &size);
        const char *expected_graph = graph_of(expected, expected_bytes, functions[f], &expected_size);
        ck_assert_uint_eq(size, expected_size);
        ck_assert_mem_eq(graph, expected_graph, size);
        ad_free(file);
        ad_free(expected);
    }
    nf_flow_free(flow);
}
END_TEST

/* What onnxruntime computed of such a file is what Weir does. */
static void check_line(reader *r)
{
    const char *name = next_field(r);
    nf_flow *flow = golden_flow(name);
    const size_t dim = nf_flow_dim(flow), context = nf_flow_context_size(flow);
    double *x = next_numbers(r, dim), *z = next_numbers(r, dim), *c = next_numbers(r, context);
    const double expected = next_number(r);
    double *drawn = next_numbers(r, dim), drawn_log_prob = next_number(r), log_prob, got[8], got_log_prob;
    ck_assert_uint_le(dim, COUNT(got));
    ASSERT_OK(nf_log_prob(flow, x, c, 1, &log_prob, NULL, &error));
    ck_assert_double_eq_tol(log_prob, expected, 1e-12 * (1 + fabs(expected)));
    ASSERT_OK(nf_transform(flow, false, z, c, 1, got, NULL, NULL, &error));
    ASSERT_OK(nf_log_prob(flow, got, c, 1, &got_log_prob, NULL, &error));
    for (size_t i = 0; i < dim; i++) ck_assert_double_eq_tol(got[i], drawn[i], 1e-12 * (1 + fabs(drawn[i])));
    ck_assert_double_eq_tol(got_log_prob, drawn_log_prob, 1e-12 * (1 + fabs(drawn_log_prob)));
    free(drawn);
    free(c);
    free(z);
    free(x);
    nf_flow_free(flow);
}

START_TEST(onnxruntime_agrees)
{
    check_lines("onnx_export.csv", check_line);
}
END_TEST

static const struct {
    const char *formula;
    nf_onnx_function function;
    const char *op, *scope;
} refused[] = {
    {"loc-bnaf", NF_ONNX_SAMPLE, "root_triangular", "bnaf"},
    {"planar", NF_ONNX_LOG_PROB, "root_elementwise", "planar"},
    {"gaussianize", NF_ONNX_LOG_PROB, "log_ndtr", "gaussianize"},
    {"cnf(4)", NF_ONNX_LOG_PROB, "ode", "cnf"},
};

/* The message names op and layer, and no file appears. */
START_TEST(refuses)
{
    const file_path path = scratch_path("refused.onnx");
    nf_flow *flow = nf_flow_parse(refused[_i].formula, 2, 0, AD_F32, 1, &error);
    ck_assert_ptr_nonnull(flow);
    ck_assert_int_eq(nf_export_onnx(flow, NULL, NULL, refused[_i].function, path.text, &error), AD_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, refused[_i].op));
    ck_assert_ptr_nonnull(strstr(error.message, refused[_i].scope));
    ck_assert_ptr_null(fopen(path.text, "r"));
    nf_flow_free(flow);
}
END_TEST

/* An op from outside is refused, whatever its name. */
static ad_var own_forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    static const ad_op add = {.name = "add", .n_in = 1};
    (void)at, (void)log_det;
    return ad_apply(&add, &z, 1, NULL, 0, NULL);
}

START_TEST(refuses_ops_from_outside)
{
    static const nf_bijector_type type = {.name = "outside", .help = "x = z", .forward = own_forward};
    ASSERT_OK(nf_register(&type, &error));
    nf_flow *flow = nf_flow_parse("outside", 2, 0, AD_F32, 1, &error);
    ck_assert_int_eq(nf_export_onnx(flow, NULL, NULL, NF_ONNX_SAMPLE, scratch_path("refused.onnx").text, &error),
                     AD_ERROR_ARGUMENT);
    nf_flow_free(flow);
}
END_TEST

/* ---- Walking a tape ---------------------------------------------------------------------------------------------- */

START_TEST(walks_a_tape)
{
    ad_tape *tape = ad_tape_new();
    ad_tape_enter(tape, "here");
    const ad_var x = ad_input(tape, "x", AD_SHAPE(2, 3)), unused = ad_exp(x);
    const ad_var w = ad_scalar(tape, 2), y = ad_sum_axis(ad_mul(x, w), 1);
    ad_tape_leave(tape);
    bool needed[8] = {0};
    ck_assert_uint_eq(ad_tape_size(tape), 5);
    ASSERT_OK(ad_needed(&y, 1, needed, &error));
    ck_assert(needed[x.id] && needed[w.id] && needed[y.id] && !needed[unused.id]);
    ad_node node;
    ck_assert(ad_tape_node(tape, (size_t)x.id, &node));
    ck_assert_str_eq(node.name, "x");
    ck_assert_str_eq(node.scope, "here");
    ck_assert(node.per_row && node.shape.rank == 2 && node.shape.dim[1] == 3);
    ck_assert(ad_tape_node(tape, (size_t)w.id, &node));
    ck_assert(!node.per_row && node.n_attribute == 1 && node.attribute[0] == 2);
    ck_assert(ad_tape_node(tape, (size_t)y.id, &node));
    ck_assert_str_eq(node.op->name, "sum");
    ck_assert(node.n_in == 1 && node.in[0] == y.id - 1 && node.attribute[0] == 1 && node.shape.dim[0] == 2);
    ck_assert(!ad_tape_node(tape, 5, &node) && node.op == NULL);
    ad_tape *other = ad_tape_new();
    const ad_var both[] = {y, ad_scalar(other, 1)};
    ck_assert_int_eq(ad_needed(both, 2, needed, &error), AD_ERROR_ARGUMENT);
    ad_tape_free(other);
    ad_tape_free(tape);
}
END_TEST

Suite *onnx_suite(void)
{
    Suite *suite = suite_create("onnx");
    TCase *tests = tcase_create("onnx");
    tcase_add_checked_fixture(tests, scratch_begin, scratch_end);
    tcase_add_loop_test(tests, files_are_golden, 0, COUNT(names));
    tcase_add_test(tests, onnxruntime_agrees);
    tcase_add_loop_test(tests, refuses, 0, COUNT(refused));
    tcase_add_test(tests, refuses_ops_from_outside);
    tcase_add_test(tests, walks_a_tape);
    suite_add_tcase(suite, tests);
    return suite;
}
