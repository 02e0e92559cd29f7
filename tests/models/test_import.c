/* Flows of zuko and nflows: log p is theirs (tests/golden/imported.py), and what can't be imported is named. */
#include "flows/flow_tools.h"
#include "files/safetensors.h"
#include "golden_lines.h"
#include "scratch.h"

#include <weir/models.h>

#include <math.h>

static const nf_import_options options = {.tail = 3};

static file_path golden_file(const char *name)
{
    char file[128];
    snprintf(file, sizeof file, "imported_%s.safetensors", name);
    return golden_path(file);
}

static void check_line(reader *r)
{
    const char *name = next_field(r);
    const bool zuko = strncmp(name, "zuko", 4) == 0;
    nf_flow *flow = nf_import(golden_file(name).text, &(nf_import_options){.tail = zuko ? 5 : options.tail}, &error);
    ck_assert_msg(flow != NULL, "%s: %s", name, error.message);
    const bool f32 = strstr(name, "_32") != NULL;
    ck_assert_int_eq(nf_flow_dtype(flow), f32 ? AD_F32 : AD_F64);
    double *x = next_numbers(r, nf_flow_dim(flow)), *c = next_numbers(r, nf_flow_context_size(flow)), got;
    const double expected = next_number(r);
    ASSERT_OK(nf_log_prob(flow, x, c, 1, &got, NULL, &error));
    ck_assert_double_eq_tol(got, expected, (f32 ? 2e-6 : 1e-13) * (1 + fabs(expected)));
    free(c);
    free(x);
    nf_flow_free(flow);
}

START_TEST(densities_are_theirs)
{
    check_lines("imported.csv", check_line);
}
END_TEST

/* What each tensor of a golden file becomes in one that is wrong. */
static const struct {
    const char *golden, *tensor, *becomes, *message; /* becomes NULL: it is left out */
    bool cut;                                        /* its last row is left out */
} faults[] = {
    {"zuko_maf_64", "transform.transforms.1.hyper.2.bias", NULL, "no tensor 'transform.transforms.1.hyper.2.bias'"},
    {"zuko_maf_64", "transform.transforms.1.hyper.2.weight", NULL, "transform.transforms.1"},
    {"zuko_maf_64", "transform.transforms.0.hyper.0.bias", "", "transform.transforms.0.hyper.0.bias", true},
    {"zuko_maf_64", "transform.transforms.0.hyper.0.mask", "", "transform.transforms.0.hyper.0.mask", true},
    {"zuko_maf_64", "transform.transforms.0.hyper.4.weight", "", "'transform.transforms.0.hyper.4.weight'", true},
    {"zuko_maf_64", "transform.transforms.0.order", "", "transform.transforms.0", true},
    {"zuko_maf_64", "base.scale", "base.rate", "base.rate"},
    {"nflows_maf_64", "_transform._transforms.0._permutation", "_transform._transforms.0.order", "hyper.0.weight"},
    {"nflows_coupling_64", "_transform._transforms.0.transform_net.final_layer.bias",
     "_transform._transforms.0.transform_net.last_layer.bias", "final_layer.bias"},
    {"nflows_coupling_64", "_transform._transforms.2.transform_net.blocks.1.linear_layers.1.weight", NULL,
     "linear_layers.1.weight"},
};

START_TEST(what_is_wrong_is_named)
{
    size_t count;
    nf__safetensors *file = nf__safetensors_read_foreign(golden_file(faults[_i].golden).text, &error);
    ck_assert_ptr_nonnull(file);
    const nf__safetensor *all = nf__safetensors_all(file, &count);
    nf__safetensor *tensors = calloc(count, sizeof *tensors);
    size_t kept = 0, changed = 0;
    for (size_t i = 0; i < count; i++) {
        nf__safetensor tensor = all[i];
        if (strcmp(tensor.name, faults[_i].tensor) == 0) {
            changed++;
            if (!faults[_i].becomes) continue;
            if (*faults[_i].becomes) tensor.name = faults[_i].becomes;
            if (faults[_i].cut) tensor.shape.dim[0]--;
        }
        tensors[kept++] = tensor;
    }
    ck_assert_uint_eq(changed, 1);
    const file_path path = scratch_path("wrong.safetensors");
    ASSERT_OK(nf__safetensors_write(path.text, tensors, kept, NULL, 0, false, &error));
    ck_assert_ptr_null(nf_import(path.text, &options, &error));
    ck_assert_int_eq(error.status, AD_ERROR_FORMAT);
    ck_assert_msg(strstr(error.message, faults[_i].message) != NULL, "%s", error.message);
    free(tensors);
    nf__safetensors_free(file);
}
END_TEST

/* A spline's tail isn't in the file; an activation may be another. */
START_TEST(options_say_the_rest)
{
    const file_path path = golden_file("nflows_coupling_64");
    ck_assert_ptr_null(nf_import(path.text, NULL, &error));
    ck_assert_int_eq(error.status, AD_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "tail"));
    nf_flow *flow = nf_import(path.text, &(nf_import_options){.activation = "tanh", .tail = 2}, &error);
    ck_assert_ptr_nonnull(flow);
    char *formula = nf_flow_formula(flow, true);
    ck_assert_ptr_nonnull(strstr(formula, "activation=tanh"));
    ck_assert_ptr_nonnull(strstr(formula, "tail=2"));
    ad_free(formula);
    nf_flow_free(flow);
    ck_assert_ptr_null(nf_import(path.text, &(nf_import_options){.activation = "none", .tail = 2}, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "none"));
}
END_TEST

/* A model of Weir's own has tensors of other names. */
START_TEST(others_are_refused)
{
    ck_assert_ptr_null(nf_import(golden_path("conditioned_maf.safetensors").text, NULL, &error));
    ck_assert_int_eq(error.status, AD_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(error.message, "0.maf"));
    ck_assert_ptr_null(nf_load(golden_file("zuko_maf_64").text, NULL, &error));
    ck_assert_int_eq(error.status, AD_ERROR_FORMAT);
}
END_TEST

Suite *import_suite(void)
{
    Suite *suite = suite_create("import");
    TCase *tests = tcase_create("import");
    tcase_add_checked_fixture(tests, scratch_begin, scratch_end);
    tcase_add_test(tests, densities_are_theirs);
    tcase_add_loop_test(tests, what_is_wrong_is_named, 0, COUNT(faults));
    tcase_add_test(tests, options_say_the_rest);
    tcase_add_test(tests, others_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
