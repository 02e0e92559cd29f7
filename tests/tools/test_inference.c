/* weir vi and weir nuts: what they tell of a target. */
#include <weir/models.h>
#include "tools/command.h"

#include <math.h>

/* A mean field for a correlated normal: KL = -½ log(1 - r²), whatever its threads. */
START_TEST(vi_tells_all)
{
    json_t *one = SUCCEED_JSON("vi", "gaussian(correlation=0.6)", "--objective", "stl", "--iters", "2000", "--lr",
                               "0.02", "--threads", "1", "-o", "g.safetensors");
    json_t *two = SUCCEED_JSON("vi", "gaussian(correlation=0.6)", "--objective", "stl", "--iters", "2000", "--lr",
                               "0.02", "--threads", "2");
    const double kl = -0.5 * log(1 - 0.36);
    ck_assert_double_eq_tol(number_in(one, "average_loss"), kl, 0.01);
    ck_assert_double_eq_tol(number_in(one, "elbo"), -kl, 5 * number_in(one, "elbo_stderr") + 0.001);
    ck_assert_double_eq_tol(number_in(one, "log_z"), 0, 0.02);
    ck_assert_double_lt(number_in(one, "khat"), 0.7);
    ck_assert_double_gt(number_in(one, "ess"), 1000);
    ck_assert_double_gt(number_in(one, "seconds"), 0);
    ck_assert_double_eq(number_in(one, "iterations"), 2000);
    static const char *const same[] = {"average_loss", "elbo", "khat", "log_z", "ess"};
    for (size_t i = 0; i < COUNT(same); i++) ck_assert_double_eq(number_in(one, same[i]), number_in(two, same[i]));
    json_decref(one);
    json_decref(two);

    SUCCEED("info", "g.safetensors");
    assert_contains(output, "target      gaussian(correlation=0.6)\n");
    assert_contains(output, "finished after 2000 iterations");
    assert_contains(output, "is the best possible: -log Z");
    assert_contains(output, "--objective 'stl'");
    assert_contains(output, "|gradient|");
    SUCCEED("sample", "g.safetensors", "-n", "5", "-o", "s.csv");
    char text[4096];
    slurp(scratch_path("s.csv").text, text, sizeof text);
    ck_assert_int_eq(strncmp(text, "x[1],x[2]\n", 10), 0);
    SUCCEED("help", "targets");
    assert_contains(output, "eight_schools_centered");
}
END_TEST

/* Draws are on the scale of the target's sites. */
START_TEST(vi_on_the_scale_of_the_sites)
{
    SUCCEED("vi", "eight_schools", "--iters", "500", "--lr", "0.02", "-o", "e.safetensors");
    assert_contains(output, "\ntau ");
    assert_contains(output, "k-hat ");
    SUCCEED("sample", "e.safetensors", "-n", "200", "-o", "e.csv");
    nf_table draws;
    ck_assert_int_eq(nf_table_read(scratch_path("e.csv").text, &draws, NULL), AD_OK);
    ck_assert_uint_eq(draws.columns, 10);
    ck_assert_str_eq(draws.names[1], "tau");
    for (size_t r = 0; r < draws.rows; r++) ck_assert_double_gt(draws.values[10 * r + 1], 0);
    nf_table_free(&draws);
}
END_TEST

/* Points are on that scale, too: a mean field's entropy, and E[log tau] for the scale of tau. */
START_TEST(vi_logprob_of_draws)
{
    enum { ROWS = 5000, DIM = 10 };
    SUCCEED("vi", "eight_schools", "--flow", "scale-loc", "--iters", "500", "--lr", "0.02", "-o", "e.safetensors");
    SUCCEED("sample", "e.safetensors", "-n", "5000", "-o", "e.csv");
    nf_table draws;
    ck_assert_int_eq(nf_table_read(scratch_path("e.csv").text, &draws, NULL), AD_OK);
    double expected = 0;
    for (size_t j = 0; j < DIM; j++) {
        double sum = 0, squares = 0;
        for (size_t r = 0; r < ROWS; r++) {
            double z = draws.values[r * DIM + j];
            if (j == 1) z = log(z);
            sum += z;
            squares += z * z;
        }
        double mean = sum / ROWS, variance = squares / ROWS - mean * mean;
        expected += 0.5 * log(2 * 3.14159265358979323846 * 2.71828182845904523536 * variance);
        if (j == 1) expected += mean;
    }
    json_t *result = SUCCEED_JSON("logprob", "e.safetensors", "e.csv");
    ck_assert_double_eq_tol(number_in(result, "nll"), expected, 4 * number_in(result, "nll_stderr"));
    ck_assert_double_lt(number_in(result, "nll_stderr"), 0.1);
    json_decref(result);

    /* Columns have names; without, a tau below zero is told, and so is what the columns should be. */
    ck_assert_str_eq(draws.names[1], "tau");
    draws.names[1] = (char[]){"log_tau"};
    ck_assert_int_eq(nf_table_write(scratch_path("renamed.csv").text, &draws, NULL), AD_OK);
    ck_assert_int_eq(RUN("logprob", "e.safetensors", "renamed.csv"), 1);
    assert_contains(complaint, "missing: 'tau'");
    for (size_t r = 0; r < ROWS; r++) draws.values[r * DIM + 1] = log(draws.values[r * DIM + 1]);
    ck_assert_int_eq(nf_table_write(scratch_path("z.npy").text, &draws, NULL), AD_OK);
    SUCCEED("logprob", "e.safetensors", "z.npy");
    assert_contains(output, "have density 0");
    assert_contains(output, "on the scale of the target's sites");
    SUCCEED("transform", "e.safetensors", "e.csv", "-o", "base.npy");
    SUCCEED("transform", "e.safetensors", "base.npy", "--inverse", "-o", "back.csv");
    nf_table back;
    ck_assert_int_eq(nf_table_read(scratch_path("back.csv").text, &back, NULL), AD_OK);
    ck_assert_uint_eq(back.rows * back.columns, ROWS * DIM);
    ck_assert_str_eq(back.names[1], "tau");
    nf_table_free(&back);
    write_text("narrow.csv", "1,2,3\n");
    ck_assert_int_eq(RUN("logprob", "e.safetensors", "narrow.csv"), 1);
    assert_contains(complaint, "a flow of 10 features");
    nf_table_free(&draws);
}
END_TEST

/* With weight decay W, scale's rho settles where d KL / d rho + W rho = 0, KL = s²/2 - log s - 1/2, s = softplus(rho).
 */
START_TEST(vi_options_of_the_optimizer)
{
    const double decay = 0.5;
    double low = 0, high = 1;
    for (int i = 0; i < 60; i++) {
        double rho = (low + high) / 2, s = log1p(exp(rho));
        *((s - 1 / s) / (1 + exp(-rho)) + decay * rho < 0 ? &low : &high) = rho;
    }
    double s = log1p(exp(low));
    json_t *result = SUCCEED_JSON("vi", "gaussian(dim=1)", "--flow", "scale", "--weight-decay", "0.5", "--lr", "0.05",
                                  "--iters", "2000", "--mc", "200");
    ck_assert_double_eq_tol(number_in(json_array_get(member(result, "values"), 0), "sd"), s, 0.03);
    ck_assert_double_eq_tol(number_in(json_array_get(member(result, "values"), 0), "weighted_sd"), 1, 0.03);
    ck_assert_str_eq(text_in(result, "outcome"), "finished");
    json_decref(result);

    double loss[2];
    for (int i = 0; i < 2; i++) {
        result = SUCCEED_JSON("vi", "gaussian(dim=1)", "--iters", "50", "--beta2", i ? "0.9" : "0.99");
        loss[i] = number_in(result, "average_loss");
        json_decref(result);
    }
    ck_assert_double_ne(loss[0], loss[1]);

    /* An optimiser's arguments are those of --beta2, where it has that; where it hasn't, that changes nothing. */
    static const char *const same[][2][4] = {
        {{"--optimizer", "adam(beta2=0.9)"}, {"--beta2", "0.9"}},
        {{"--optimizer", "adam(beta1=0.5,beta2=0.9)"}, {"--optimizer", "adam(beta1=0.5)", "--beta2", "0.9"}},
        {{"--optimizer", "sgd"}, {"--optimizer", "sgd", "--beta2", "0.9"}},
        {{"--schedule", "exponential"}, {"--schedule", "exponential(end=0.01)"}},
    };
    for (size_t i = 0; i < COUNT(same); i++) {
        for (int j = 0; j < 2; j++) {
            const char *const *words = same[i][j];
            result = words[2] ? SUCCEED_JSON("vi", "gaussian(dim=1)", "--iters", "50", words[0], words[1], words[2],
                                             words[3])
                              : SUCCEED_JSON("vi", "gaussian(dim=1)", "--iters", "50", words[0], words[1]);
            loss[j] = number_in(result, "average_loss");
            json_decref(result);
        }
        ck_assert_double_eq(loss[0], loss[1]);
    }

    result = SUCCEED_JSON("vi", "gaussian(dim=1)", "--objective", "stl", "--lr", "0.05", "--iters", "100000",
                          "--tolerance", "0.001", "-o", "c.safetensors");
    ck_assert_str_eq(text_in(result, "outcome"), "converged");
    ck_assert_double_lt(number_in(result, "iterations"), 20000);
    ck_assert_double_eq(fmod(number_in(result, "iterations"), 100), 0);
    json_decref(result);
    SUCCEED("info", "c.safetensors");
    assert_contains(output, "converged after");
}
END_TEST

/* With the target alone, nothing is left to settings; modes are looked for. */
START_TEST(vi_without_settings)
{
    json_t *result = SUCCEED_JSON("vi", "gaussian(dim=1)", "--seed", "2", "-o", "g.safetensors");
    json_t *modes = member(result, "modes");
    ck_assert_str_eq(text_in(result, "formula"), "rqsar(64,64)-affine(rank=0)-whiten");
    ck_assert_str_eq(text_in(result, "outcome"), "converged");
    ck_assert_double_eq_tol(number_in(result, "elbo"), 0, 0.01);
    ck_assert_double_eq(number_in(modes, "searches"), 24);
    ck_assert_double_eq(number_in(modes, "modes"), 1);
    ck_assert_double_eq(number_in(modes, "held"), 1);
    ck_assert(!json_object_get(member(result, "options"), "iters"));
    json_decref(result);
    SUCCEED("info", "g.safetensors");
    assert_contains(output, "24 searches, from points up to 20 from 0, found 1; the fit holds it");
    assert_contains(output, "0.0000 is exact");
    assert_contains(output, ": good, for the weights hardly differ\n");

    result = SUCCEED_JSON("vi", "gaussian", "--flow", "affine-whiten", "--budget", "1m");
    ck_assert_str_eq(text_in(result, "formula"), "affine-whiten");
    ck_assert_str_eq(text_in(member(result, "options"), "flow"), "affine-whiten");
    ck_assert_str_eq(text_in(result, "outcome"), "converged");
    json_decref(result);
    SUCCEED("vi", "banana", "--flow", "scale-loc", "--budget", "0.01s");
    assert_contains(output, "out of time after");

    ck_assert_int_eq(RUN("vi", "gaussian", "--budget", "5q"), 2);
    assert_contains(complaint, "--budget: '5q' given, expected a time, as 90s, 2m or 1h");
    ck_assert_int_eq(RUN("vi", "gaussian", "--budget", "5s", "--lr", "0.1"), 2);
    assert_contains(complaint, "--lr is one");
}
END_TEST

/* A mode that no draw has seen takes the trust from k-hat; so does a log Z that is known to be another. */
START_TEST(vi_tells_of_missed_modes)
{
    SUCCEED("vi", "mixture(modes=2,radius=20)", "--flow", "scale-loc", "--iters", "4000", "--lr", "0.05");
    assert_contains(output, "found 2; the fit misses 1\n");
    assert_contains(output, "missed: x[1] ");
    assert_contains(output, "% of the target's mass and 0 % of the flow's");
    assert_contains(output, "don't trust the fit");
    ck_assert_ptr_null(strstr(output, ": good"));
    SUCCEED("vi", "gaussian(correlation=0.6)", "--flow", "scale-loc", "--iters", "3000", "--lr", "0.02");
    assert_contains(output, "the flow's own draws are ");
}
END_TEST

START_TEST(nuts_tells_all)
{
    json_t *result = SUCCEED_JSON("nuts", "eight_schools", "--chains", "3", "--tune", "300", "-n", "200", "--seed", "4",
                                  "--target-accept", "0.9", "--dense", "-o", "draws.csv");
    json_t *parameters = member(result, "parameters"), *tau = json_array_get(parameters, 1);
    ck_assert_uint_eq(json_array_size(parameters), 10);
    ck_assert_str_eq(text_in(tau, "name"), "tau");
    ck_assert_double_gt(number_in(tau, "q5"), 0);
    ck_assert_double_lt(number_in(tau, "rhat"), 1.1);
    ck_assert_double_gt(number_in(tau, "ess_tail"), 10);
    ck_assert_uint_eq(json_array_size(member(result, "step_size")), 3);
    ck_assert_uint_eq(json_array_size(member(result, "bfmi")), 3);
    ck_assert_double_gt(number_in(result, "gradients"), 1500);
    ck_assert(json_is_false(member(result, "interrupted")));

    nf_table draws;
    double sum = 0;
    ck_assert_int_eq(nf_table_read(scratch_path("draws.csv").text, &draws, NULL), AD_OK);
    ck_assert_uint_eq(draws.rows, 600);
    ck_assert_uint_eq(draws.columns, 10);
    ck_assert_str_eq(draws.names[9], "theta_trans[8]");
    for (size_t r = 0; r < draws.rows; r++) sum += draws.values[10 * r + 1];
    ck_assert_double_eq_tol(sum / 600, number_in(tau, "mean"), 1e-10);
    nf_table_free(&draws);
    json_decref(result);

    /* Steps that are too long for where this density is narrow: nearly all diverge. */
    SUCCEED("nuts", "eight_schools_centered", "--chains", "8", "--tune", "20", "-n", "100", "--target-accept", "0.5");
    assert_contains(output, "ESS bulk");
    assert_contains(output, "\ntheta[8] ");
    assert_contains(output, "divergent ");
    assert_contains(output, "--target-accept");
}
END_TEST

/* Chains begin at what searches found, in each of several modes; with points from (-2, 2) none reaches them. */
START_TEST(nuts_starts)
{
    json_t *result = SUCCEED_JSON("nuts", "mixture(modes=2,radius=40)", "--chains", "8", "--tune", "100", "-n", "50",
                                  "-o", "draws.npy");
    ck_assert_double_eq(number_in(result, "modes"), 2);
    json_decref(result);
    nf_table draws;
    int right = 0;
    ck_assert_int_eq(nf_table_read(scratch_path("draws.npy").text, &draws, NULL), AD_OK);
    for (size_t chain = 0; chain < 8; chain++) right += draws.values[2 * 50 * chain] > 0;
    ck_assert(right >= 2 && right <= 6);
    nf_table_free(&draws);
    result = SUCCEED_JSON("nuts", "gaussian", "--start", "uniform", "--tune", "50", "-n", "50");
    ck_assert_ptr_null(json_object_get(result, "modes"));
    json_decref(result);
    SUCCEED("nuts", "gaussian", "--tune", "50", "-n", "50");
    assert_contains(output, "24 searches found 1 mode\n");
}
END_TEST

/* A model of paths is drawn from with the target on its record, and has no log p. */
START_TEST(stochastic_flows)
{
    nf_table table;
    SUCCEED("vi", "many_well", "--flow", "planar*2-metropolis-planar-hmc", "--iters", "50", "-o", "m.st");
    assert_contains(output, "k-hat");
    SUCCEED("info", "m.st");
    SUCCEED("sample", "m.st", "-n", "200", "-o", "x.csv");
    ck_assert_int_eq(nf_table_read(scratch_path("x.csv").text, &table, NULL), AD_OK);
    ck_assert_uint_eq(table.rows, 200);
    nf_table_free(&table);
    SUCCEED("sample", "m.st", "--steps", "3", "-n", "20", "-o", "y.csv");
    ck_assert_int_eq(RUN("logprob", "m.st", "x.csv"), 2);
    assert_contains(complaint, "no log p of a point");
    ck_assert_int_eq(RUN("transform", "m.st", "x.csv", "-o", "z.csv"), 2);
    ck_assert_int_eq(RUN("nuts", "many_well", "--flow", "m.st"), 2);
    assert_contains(complaint, "steps that draw");
    ck_assert_int_eq(RUN("check", "metropolis", "--dim", "2"), 2);
    assert_contains(complaint, "no bijectors");
    ck_assert_int_eq(RUN("fit", "x.csv", "--flow", "metropolis", "-o", "f.st"), 2);
    assert_contains(complaint, "draws at random");
}
END_TEST

START_TEST(nuts_with_a_flow)
{
    make_model();
    json_t *result = SUCCEED_JSON("nuts", "gaussian(dim=2)", "--flow", "moons.safetensors", "-n", "50");
    ck_assert_uint_eq(json_array_size(member(result, "parameters")), 2);
    json_decref(result);
    ck_assert_int_eq(RUN("nuts", "gaussian(dim=3)", "--flow", "moons.safetensors"), 2);
    assert_contains(complaint, "target 'gaussian' has 3 unconstrained features, but the flow is of dimension 2");
    ck_assert_int_eq(RUN("nuts", "gaussian(dim=2)", "--flow", "moons.npy"), 1);
    assert_contains(complaint, "moons.npy");
}
END_TEST

Suite *inference_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("inference", &tests);
    tcase_add_test(tests, vi_tells_all);
    tcase_add_test(tests, vi_on_the_scale_of_the_sites);
    tcase_add_test(tests, vi_logprob_of_draws);
    tcase_add_test(tests, vi_options_of_the_optimizer);
    tcase_add_test(tests, vi_without_settings);
    tcase_add_test(tests, vi_tells_of_missed_modes);
    tcase_add_test(tests, nuts_tells_all);
    tcase_add_test(tests, nuts_starts);
    tcase_add_test(tests, stochastic_flows);
    tcase_add_test(tests, nuts_with_a_flow);
    return suite;
}
