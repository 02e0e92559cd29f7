/* Gradients: ordinary nodes on the same tape, of any order, and the stages that they make of a plan. */
#include "autodiff/engine.h"

static void assert_close(const double *got, const double *expected, size_t n, double tolerance)
{
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(fabs(got[i] - expected[i]) <= tolerance * fmax(1, fabs(expected[i])),
                      "element %zu: expected %.17g, got %.17g", i, expected[i], got[i]);
}

/* Recording may move the nodes at any length of the tape. */
START_TEST(tapes_of_all_lengths)
{
    for (int length = 1; length < 300; length++) {
        problem p = problem_new(2, 0);
        ad_var x = bind_random(&p, true, AD_SHAPE(2), -1, 1), y = x, unused = bind_random(&p, false, AD_SHAPE(3), 0, 1);
        for (int i = 0; i < length; i++) y = ad_neg(y);
        ad_var gradient[2];
        ad_grad(ad_sum(y), (ad_var[]){x, unused}, 2, gradient);
        double *value[2];
        if (length % 20 < 3) evaluate(&p, gradient, 2, AD_F64, value);
        for (int i = 0; i < 4 && length % 20 < 3; i++) ck_assert(value[0][i] == (length % 2 ? -1 : 1));
        ck_assert(ad_is_per_row(gradient[0]) && !ad_is_per_row(gradient[1]));
        ck_assert(ad_shape_equal(ad_shape_of(gradient[1]), AD_SHAPE(3)));
        problem_free(&p);
    }
}
END_TEST

/* f = Σ exp(a_i x_i) + (Σ x)⁴: H v = a² exp(a x) v + 12 (Σx)² Σv */
START_TEST(hessian_times_vector)
{
    enum { N = 5 };
    problem p = problem_new(3, 1);
    ad_var x = bind_random(&p, true, AD_SHAPE(N), -1, 1), v = bind_random(&p, false, AD_SHAPE(N), -1, 1);
    ad_var a = bind_random(&p, false, AD_SHAPE(N), -1, 1), sum = ad_sum(x);
    ad_var f = ad_add(ad_sum(ad_exp(ad_mul(a, x))), ad_square(ad_square(sum)));
    ad_var hv = ad_grad1(ad_sum(ad_mul(ad_grad1(f, x), v)), x);
    ck_assert(ad_is_per_row(hv));
    double expected[3 * N];
    for (size_t r = 0; r < 3; r++) {
        const double *xs = p.value[0] + r * N, *vs = p.value[1], *as = p.value[2];
        double sx = 0, sv = 0;
        for (size_t i = 0; i < N; i++) {
            sx += xs[i];
            sv += vs[i];
        }
        for (size_t i = 0; i < N; i++)
            expected[r * N + i] = as[i] * as[i] * exp(as[i] * xs[i]) * vs[i] + 12 * sx * sx * sv;
    }
    assert_close(value_of(&p, hv, AD_F64), expected, 3 * N, 1e-13);
    problem_free(&p);
}
END_TEST

/* d⁶/dx⁶ sin(2x) = -64 sin(2x) */
START_TEST(sixth_derivative)
{
    problem p = problem_new(4, 1);
    ad_var x = bind_random(&p, true, AD_SCALAR, -2, 2), y = ad_sin(ad_mul_scalar(x, 2));
    for (int i = 0; i < 6; i++) y = ad_grad1(y, x);
    double expected[4];
    for (int r = 0; r < 4; r++) expected[r] = -64 * sin(2 * p.value[0][r]);
    assert_close(value_of(&p, y, AD_F64), expected, 4, 1e-13);
    problem_free(&p);
}
END_TEST

/* y = tanh(W x): dy_i/dx_j = (1 - y_i²) W_ij */
START_TEST(jacobian)
{
    problem p = problem_new(6, 2);
    ad_var w = bind_random(&p, false, AD_SHAPE(3, 4), -1, 1), x = bind_random(&p, true, AD_SHAPE(4), -1, 1);
    ad_var y = ad_tanh(ad_matmul(w, x)), all = ad_jacobian(ad_reshape(y, AD_SHAPE(3, 1)), x);
    ck_assert(ad_shape_equal(ad_shape_of(all), AD_SHAPE(3, 4)) && ad_is_per_row(all));
    double *value = value_of(&p, all, AD_F64), *of_y = value_of(&p, y, AD_F64);
    for (size_t r = 0; r < 6; r++)
        for (size_t i = 0; i < 3; i++)
            for (size_t j = 0; j < 4; j++) {
                double expected = (1 - of_y[r * 3 + i] * of_y[r * 3 + i]) * p.value[0][i * 4 + j];
                ck_assert_double_eq_tol(value[(r * 3 + i) * 4 + j], expected, 1e-14);
            }
    problem_free(&p);
}
END_TEST

/* y = Σ (x u)² with u = exp(x): with respect to u alone, to x through all, to y itself, and to what isn't in it. */
START_TEST(with_respect_to_intermediates)
{
    problem p = problem_new(2, 3);
    ad_var x = bind_random(&p, true, AD_SHAPE(3), -1, 1), z = bind_random(&p, false, AD_SHAPE(2, 2), -1, 1);
    ad_var other = bind_random(&p, true, AD_SHAPE(2), -1, 1), u = ad_exp(x);
    ad_var y = ad_sum(ad_square(ad_mul(x, u))), late = ad_neg(y), g[6];
    ad_grad(y, (ad_var[]){u, x, y, z, other, late}, 6, g);
    ck_assert(ad_is_per_row(g[0]) && ad_is_per_row(g[2]) && !ad_is_per_row(g[3]) && ad_is_per_row(g[4]));
    double *value[6], to_u[6], to_x[6];
    evaluate(&p, g, 6, AD_F64, value);
    for (int i = 0; i < 6; i++) {
        double t = p.value[0][i];
        to_u[i] = 2 * t * t * exp(t);
        to_x[i] = 2 * t * exp(2 * t) + 2 * t * t * exp(2 * t);
    }
    assert_close(value[0], to_u, 6, 1e-14);
    assert_close(value[1], to_x, 6, 1e-14);
    assert_close(value[2], (double[]){1, 1}, 2, 0);
    assert_close(value[3], (double[4]){0}, 4, 0);
    assert_close(value[4], (double[4]){0}, 4, 0);
    assert_close(value[5], (double[2]){0}, 2, 0);
    problem_free(&p);
}
END_TEST

/* A shared value in a per-row one gets the sum over rows; a per-row one in a sum over rows gets each row's own. */
START_TEST(kinds_of_gradients)
{
    enum { ROWS = 5 };
    problem p = problem_new(ROWS, 4);
    ad_var x = bind_random(&p, true, AD_SCALAR, -1, 1), w = bind_random(&p, false, AD_SCALAR, -1, 1), g[6];
    ad_var per_row = ad_mul(ad_square(x), w), total = ad_sum_rows(per_row), both = ad_mul(total, total);
    ad_grad(per_row, p.leaf, 2, g);
    ad_grad(total, p.leaf, 2, g + 2);
    ad_grad(both, p.leaf, 2, g + 4);
    double *value[6], sum = 0;
    evaluate(&p, g, 6, AD_F64, value);
    for (int r = 0; r < ROWS; r++) sum += p.value[0][r] * p.value[0][r];
    for (int r = 0; r < ROWS; r++) {
        double slope = 2 * p.value[0][r] * *p.value[1];
        assert_close(value[0] + r, &slope, 1, 1e-14);
        assert_close(value[2] + r, &slope, 1, 1e-14);
        assert_close(value[4] + r, &(double){2 * *p.value[1] * sum * slope}, 1, 1e-14);
    }
    assert_close(value[1], &sum, 1, 1e-14);
    assert_close(value[3], &sum, 1, 1e-14);
    assert_close(value[5], &(double){2 * *p.value[1] * sum * sum}, 1, 1e-14);

    /* of a shared value alone, summed over rows: their number */
    ad_var n = ad_grad1(ad_sum_rows(ad_exp(w)), w);
    assert_close(value_of(&p, n, AD_F64), &(double){ROWS * exp(*p.value[1])}, 1, 1e-14);
    ad_var spread = ad_grad1(ad_mul(ad_to_rows(w), x), w);
    double sum_x = 0;
    for (int r = 0; r < ROWS; r++) sum_x += p.value[0][r];
    assert_close(value_of(&p, spread, AD_F64), &sum_x, 1, 1e-14);
    problem_free(&p);
}
END_TEST

/* Batch normalisation: mean and variance over the rows, then each row with them. Its gradient is known in closed form:
 * dx = s/σ (g - mean g - x̂ mean(g x̂)). */
START_TEST(batch_normalisation)
{
    enum { D = 3, ROWS = 40 };
    problem p = problem_new(ROWS, 5);
    ad_var x = bind_random(&p, true, AD_SHAPE(D), -2, 3), s = bind_random(&p, false, AD_SHAPE(D), 0.5, 2);
    ad_var b = bind_random(&p, false, AD_SHAPE(D), -1, 1), t = bind_random(&p, true, AD_SHAPE(D), -1, 1);
    ad_var n = ad_row_count(p.tape), mean = ad_div(ad_sum_rows(x), n), centred = ad_sub(x, mean);
    ad_var variance = ad_div(ad_sum_rows(ad_square(centred)), n);
    ad_var normal = ad_div(centred, ad_sqrt(variance)), y = ad_add(ad_mul(s, normal), b);
    ad_var loss = ad_sum_rows(ad_sum(ad_mul(t, ad_square(y)))), g[3];
    ad_grad(loss, p.leaf, 3, g);
    double *value[3];
    evaluate(&p, g, 3, AD_F64, value);

    const double *xs = p.value[0], *ts = p.value[3];
    for (size_t d = 0; d < D; d++) {
        double mu = 0, var = 0, hat[ROWS], gy[ROWS], sum_g = 0, sum_g_hat = 0;
        for (size_t r = 0; r < ROWS; r++) mu += xs[r * D + d] / ROWS;
        for (size_t r = 0; r < ROWS; r++) var += (xs[r * D + d] - mu) * (xs[r * D + d] - mu) / ROWS;
        for (size_t r = 0; r < ROWS; r++) {
            hat[r] = (xs[r * D + d] - mu) / sqrt(var);
            gy[r] = 2 * ts[r * D + d] * (p.value[1][d] * hat[r] + p.value[2][d]);
            sum_g += gy[r];
            sum_g_hat += gy[r] * hat[r];
        }
        for (size_t r = 0; r < ROWS; r++) {
            double dx = p.value[1][d] / sqrt(var) * (gy[r] - sum_g / ROWS - hat[r] * sum_g_hat / ROWS);
            assert_close(&value[0][r * D + d], &dx, 1, 1e-12);
        }
        assert_close(&value[1][d], &sum_g_hat, 1, 1e-12);
        assert_close(&value[2][d], &sum_g, 1, 1e-12);
    }

    ad_error error;
    ad_status status = check_gradient(&p, loss, &error);
    ck_assert_msg(status == AD_OK, "%s", error.message);
    ad_var curvature = ad_add(ad_sum_rows(ad_sum(ad_square(g[0]))), ad_sum(ad_square(g[1])));
    status = check_gradient(&p, curvature, &error);
    ck_assert_msg(status == AD_OK, "second: %s", error.message);
    problem_free(&p);
}
END_TEST

/* Three rounds of sums over rows, each of which needs the one before. */
START_TEST(stages)
{
    problem p = problem_new(33, 6);
    ad_var x = bind_random(&p, true, AD_SHAPE(2), -1, 1), w = bind_random(&p, false, AD_SHAPE(2, 2), -1, 1), h = x;
    for (int i = 0; i < 3; i++) {
        ad_var mean = ad_div(ad_sum_rows(ad_tanh(ad_matmul(w, h))), ad_row_count(p.tape));
        h = ad_sin(ad_add(h, mean));
    }
    ad_error error;
    ad_status status = check_gradient(&p, h, &error);
    ck_assert_msg(status == AD_OK, "%s", error.message);
    problem_free(&p);
}
END_TEST

Suite *grad_suite(void)
{
    Suite *suite = suite_create("grad");
    TCase *gradients = tcase_create("gradients");
    tcase_set_timeout(gradients, 60);
    tcase_add_test(gradients, tapes_of_all_lengths);
    tcase_add_test(gradients, hessian_times_vector);
    tcase_add_test(gradients, sixth_derivative);
    tcase_add_test(gradients, jacobian);
    tcase_add_test(gradients, with_respect_to_intermediates);
    tcase_add_test(gradients, kinds_of_gradients);
    tcase_add_test(gradients, batch_normalisation);
    tcase_add_test(gradients, stages);
    suite_add_tcase(suite, gradients);
    return suite;
}
