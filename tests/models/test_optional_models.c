/* What may be NULL may be NULL: every public function of files, targets, samplers and checks, and those of flows and
 * training beneath them, without an error to fill, without options, a pool and results that nobody wants; where it
 * succeeds, where the user is wrong, and where any of its allocations fails. */
#include "flows/flow_tools.h"
#include "scratch.h"
#include <weir/models.h>

#include <check.h>
#include <math.h>

static nf_flow *flow;
static nf_target *target;
static const double points[8] = {0.1, -0.4, 1.2, 0.3, -0.7, 0.9, 0.2, 0.5};

static void set_up(void)
{
    scratch_begin();
    flow = moved_flow("affine-maf(4)", 2, AD_F64);
    target = target_of("banana");
}

static void tear_down(void)
{
    nf_target_free(target);
    nf_flow_free(flow);
    scratch_end();
}

static double wrong_gradient(const nf_target *self, const double *value, double *gradient)
{
    (void)self;
    for (int i = 0; i < 2; i++) gradient[i] = 5 * value[i];
    return -value[0] * value[0] - value[1] * value[1];
}

static const nf_site plane[] = {{.name = "x", .size = 2}}, nothing[] = {{.name = "x"}};
static const nf_target wrong = {.name = "wrong", .site = plane, .n_site = 1, .external = wrong_gradient};
static const nf_target empty = {.name = "empty", .site = nothing, .n_site = 1, .external = wrong_gradient};

static ad_var fold(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)at;
    (void)log_det;
    return ad_square(z);
}

static const nf_bijector_type folded = {.name = "folded", .forward = fold, .inverse = fold};

/* ---- The calls: each true where it did what it was asked for --------------------------------------------------- */

static bool read_table(void)
{
    nf_table table;
    bool good = nf_table_read(scratch_write("t.csv", "1,2\n3,4\n", 8).text, &table, NULL) == AD_OK;
    good = nf_table_check_finite(&table, "t.csv", NULL) == AD_OK && good;
    nf_table_free(&table);
    nf_table_free(&table);
    return good;
}

static bool write_table(void)
{
    const nf_table table = {.rows = 2, .columns = 2, .values = (double *)(uintptr_t)points, .dtype = AD_F64};
    return nf_table_check_path("a.csv", NULL) == AD_OK &&
           nf_table_write(scratch_path("t.npy").text, &table, NULL) == AD_OK &&
           nf_table_write(scratch_path("t.csv").text, &table, NULL) == AD_OK;
}

static bool read_no_table(void)
{
    nf_table table;
    return nf_table_read(scratch_write("t.csv", "1,2\n3\n", 6).text, &table, NULL) == AD_OK;
}

static bool read_a_nan(void)
{
    nf_table table = {.rows = 1, .columns = 1, .values = (double[]){NAN}};
    return nf_table_check_finite(&table, "t.csv", NULL) == AD_OK;
}

static bool read_no_extension(void)
{
    nf_table table;
    return nf_table_check_path("a.xls", NULL) == AD_OK || nf_table_read("a.xls", &table, NULL) == AD_OK;
}

static bool write_nowhere(void)
{
    return nf_table_write(scratch_path("none/t.npy").text, &(nf_table){.rows = 0}, NULL) == AD_OK;
}

static bool draw_moons(void)
{
    double values[8];
    nf_moons(4, 0.1, 1, values, NULL);
    return isfinite(values[7]);
}

static bool read_file(void)
{
    char *data;
    size_t bytes;
    bool good = nf_file_read(scratch_write("f", "abc", 3).text, &data, &bytes, NULL) == AD_OK;
    ad_free(data);
    return good;
}

static bool write_file(void)
{
    nf_file *file;
    if (nf_file_create(scratch_path("f").text, &file, NULL) != AD_OK) return false;
    nf_file_write(file, "abc", 3);
    return nf_file_commit(file, NULL) == AD_OK;
}

static bool no_file(void)
{
    nf_file *file;
    char *data;
    size_t bytes;
    return nf_file_read(scratch_path("none").text, &data, &bytes, NULL) == AD_OK ||
           nf_file_create(scratch_path("none/f").text, &file, NULL) == AD_OK;
}

static bool save_and_load(void)
{
    if (nf_save(flow, NULL, scratch_path("m").text, NULL) != AD_OK) return false;
    nf_flow *loaded = nf_load(scratch_path("m").text, NULL, NULL);
    nf_flow_free(loaded);
    return loaded != NULL;
}

static bool load_no_model(void)
{
    return nf_load(scratch_write("m", "abcdefghi", 9).text, NULL, NULL) != NULL;
}

static bool save_nowhere(void)
{
    return nf_save(flow, NULL, scratch_path("none/m").text, NULL) == AD_OK;
}

static bool parse_target(void)
{
    nf_target *parsed_target = nf_target_parse("funnel(dim=3)", NULL);
    nf_target_free(parsed_target);
    nf_target_free(NULL);
    return parsed_target != NULL;
}

static bool parse_no_target(void)
{
    return nf_target_parse("funnel(dim=0)", NULL) != NULL || nf_target_parse("none", NULL) != NULL;
}

static bool evaluate_target(void)
{
    double out[8];
    return nf_target_values(target, points, 4, out, NULL, NULL) == AD_OK &&
           nf_target_log_densities(target, points, 4, out, NULL, NULL) == AD_OK;
}

static bool evaluate_no_target(void)
{
    double out[8];
    return nf_target_values(&empty, points, 4, out, NULL, NULL) == AD_OK ||
           nf_target_log_densities(&empty, points, 4, out, NULL, NULL) == AD_OK;
}

static bool check_gradient(void)
{
    return nf_target_check_gradient(target, points, 4, NULL) == AD_OK;
}

static bool check_wrong_gradient(void)
{
    return nf_target_check_gradient(&wrong, points, 4, NULL) == AD_OK;
}

static bool check_no_gradient(void)
{
    return nf_target_check_gradient(&empty, points, 4, NULL) == AD_OK;
}

static bool draw_chains(void)
{
    nf_nuts_result result;
    ad_status status = nf_nuts(target, &(nf_nuts_options){.chains = 2, .tune = 20, .draws = 10}, &result, NULL);
    nf_nuts_free(&result);
    nf_nuts_free(&result);
    return status == AD_OK;
}

static bool draw_chains_of_a_flow(void)
{
    nf_nuts_result result;
    nf_nuts_options options = {.chains = 2, .tune = 20, .draws = 10, .flow = flow};
    ad_status status = nf_nuts(target, &options, &result, NULL);
    nf_nuts_free(&result);
    return status == AD_OK;
}

static bool draw_wrong_chains(void)
{
    nf_nuts_result result;
    return nf_nuts(&wrong, NULL, &result, NULL) == AD_OK || nf_nuts(&empty, NULL, &result, NULL) == AD_OK;
}

static bool summarize(void)
{
    nf_summary summary[2];
    return nf_summarize(points, 1, 4, 2, summary, NULL, NULL) == AD_OK;
}

static bool smooth(void)
{
    double weights[8], khat;
    memcpy(weights, points, sizeof weights);
    return nf_psis(weights, 8, &khat, NULL) == AD_OK;
}

static bool smooth_a_nan(void)
{
    double weights[2] = {NAN, 0}, khat;
    return nf_psis(weights, 2, &khat, NULL) == AD_OK;
}

static bool check_folded(void)
{
    nf_bijector *bijector = nf_bijector_new(&folded, 1, 0, NULL, NULL);
    nf_check_result result[NF_MOST_CHECKS];
    int count;
    bool good = bijector && nf_check_bijector(bijector, 1, result, &count, NULL) == AD_OK;
    nf_bijector_free(bijector);
    return good;
}

static bool parse_flow(void)
{
    nf_flow *made = nf_flow_parse("student:(maf(4)-flip)*2-standardize", 2, 0, AD_F32, 1, NULL);
    nf_flow_free(made);
    nf_flow_free(NULL);
    return made != NULL;
}

static bool parse_no_flow(void)
{
    return nf_flow_parse("maf(", 2, 0, AD_F32, 1, NULL) != NULL || nf_bijector_parse("mof", 2, 0, 1, NULL) != NULL;
}

static bool evaluate_flow(void)
{
    double x[8], log_prob[4];
    return nf_log_prob(flow, points, NULL, 4, log_prob, NULL, NULL) == AD_OK &&
           nf_sample(flow, NULL, 4, 1, x, NULL, NULL, NULL) == AD_OK &&
           nf_transform(flow, true, points, NULL, 4, x, NULL, NULL, NULL) == AD_OK &&
           nf_nll(flow, points, NULL, 4, log_prob, NULL, NULL, NULL) == AD_OK;
}

static bool fit(void)
{
    nf_flow *fitted = nf_flow_parse("affine-standardize", 2, 0, AD_F64, 1, NULL);
    bool good = fitted && nf_fit(fitted, points, 4, &(nf_fit_options){.epochs = 2}, NULL, NULL) == AD_OK;
    nf_flow_free(fitted);
    return good;
}

static bool fit_nothing(void)
{
    return nf_fit(flow, (double[]){NAN, 0, 0, 0}, 2, NULL, NULL, NULL) == AD_OK;
}

static bool infer(void)
{
    nf_flow *fitted = nf_flow_parse("scale-loc", 2, 0, AD_F64, 1, NULL);
    const nf_vi_options options = {.iters = 3, .mc = 4, .draws = 10};
    nf_vi_score score;
    nf_vi_moments moments[2];
    bool good = fitted && nf_vi(fitted, target, &options, NULL, NULL) == AD_OK &&
                nf_vi_evaluate(fitted, target, 10, 1, &score, NULL, NULL) == AD_OK &&
                nf_vi_summarize(fitted, target, 10, 1, moments, NULL, NULL, NULL) == AD_OK;
    nf_flow_free(fitted);
    return good;
}

static bool infer_wrongly(void)
{
    return nf_vi(flow, &wrong, NULL, NULL, NULL) == AD_OK || nf_vi(flow, &empty, NULL, NULL, NULL) == AD_OK;
}

static bool find_start(void)
{
    nf_start start;
    double z[4], q[2];
    nf_infer_mode mode[24];
    size_t held;
    if (nf_find_start(target, &(nf_start_options){.searches = 2}, &start, NULL)) return false;
    bool good = nf_start_draw(&start, 2, 1, z, NULL) == AD_OK && nf_start_log_prob(&start, z, 2, q, NULL) == AD_OK &&
                nf_infer_modes(flow, target, &start, 1, mode, &held, NULL, NULL) == AD_OK;
    nf_start_free(&start);
    return good;
}

static bool find_no_start(void)
{
    nf_start start;
    return nf_find_start(&empty, NULL, &start, NULL) == AD_OK;
}

static bool infer_alone(void)
{
    nf_inference fitted;
    bool good = nf_infer(target, &(nf_infer_options){.formula = "whiten", .budget = 1e-6, .searches = 2, .draws = 10},
                         &fitted, NULL) == AD_OK;
    nf_inference_free(&fitted);
    return good;
}

static bool score_on_the_users_scale(void)
{
    double z[8], log_det[4];
    return nf_target_unconstrain(target, points, 4, z, log_det, NULL, NULL) == AD_OK &&
           nf_vi_log_prob(flow, target, points, 4, log_det, NULL, NULL) == AD_OK;
}

static const struct {
    const char *name;
    bool (*call)(void);
    bool succeeds, slow; /* slow: only some of its allocations fail */
} calls[] = {
    {"read_table", read_table, true},
    {"write_table", write_table, true},
    {"read_no_table", read_no_table, false},
    {"read_a_nan", read_a_nan, false},
    {"read_no_extension", read_no_extension, false},
    {"write_nowhere", write_nowhere, false},
    {"draw_moons", draw_moons, true},
    {"read_file", read_file, true},
    {"write_file", write_file, true},
    {"no_file", no_file, false},
    {"save_and_load", save_and_load, true},
    {"load_no_model", load_no_model, false},
    {"save_nowhere", save_nowhere, false},
    {"parse_target", parse_target, true},
    {"parse_no_target", parse_no_target, false},
    {"evaluate_target", evaluate_target, true},
    {"evaluate_no_target", evaluate_no_target, false},
    {"check_gradient", check_gradient, true},
    {"check_wrong_gradient", check_wrong_gradient, false},
    {"check_no_gradient", check_no_gradient, false},
    {"draw_chains", draw_chains, true},
    {"draw_chains_of_a_flow", draw_chains_of_a_flow, true},
    {"draw_wrong_chains", draw_wrong_chains, false},
    {"summarize", summarize, true},
    {"smooth", smooth, true},
    {"smooth_a_nan", smooth_a_nan, false},
    {"check_folded", check_folded, false, .slow = true},
    {"parse_flow", parse_flow, true},
    {"parse_no_flow", parse_no_flow, false},
    {"evaluate_flow", evaluate_flow, true},
    {"fit", fit, true},
    {"fit_nothing", fit_nothing, false},
    {"infer", infer, true},
    {"infer_wrongly", infer_wrongly, false},
    {"find_start", find_start, true},
    {"find_no_start", find_no_start, false},
    {"infer_alone", infer_alone, true, .slow = true},
    {"score_on_the_users_scale", score_on_the_users_scale, true},
};

START_TEST(null_is_welcome)
{
    ck_assert_msg(calls[_i].call() == calls[_i].succeeds, "%s", calls[_i].name);
}
END_TEST

/* What succeeds with less memory has found another way, and done all that it was asked for. */
START_TEST(null_is_welcome_when_memory_is_out)
{
    bool denied = true;
    for (size_t allowed = 0; denied; allowed += calls[_i].slow ? 400 : 1 + allowed / 16) {
        memory_limit(allowed);
        bool done = calls[_i].call();
        memory_unlimited();
        denied = memory.denied;
        if (!denied) ck_assert_msg(done == calls[_i].succeeds, "%s", calls[_i].name);
    }
}
END_TEST

Suite *optional_models_suite(void)
{
    Suite *suite = suite_create("optional_models");
    TCase *tcase = tcase_create("NULL");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, null_is_welcome, 0, (int)COUNT(calls));
    tcase_add_loop_test(tcase, null_is_welcome_when_memory_is_out, 0, (int)COUNT(calls));
    suite_add_tcase(suite, tcase);
    return suite;
}
