/* A step of variational inference with planar flows (Rezende & Mohamed 2015), recorded op by op: it is made of many
 * small instructions, where a MAF's is made of a few large ones. For K layers in two dimensions, from z ~ N(0, I):
 *
 *     û = u + (softplus(wᵀu) - 1 - wᵀu) w / (‖w‖² + 1e-10),    x = z + û tanh(wᵀz + b),
 *     log|det| = log|1 + (1 - tanh²) ûᵀw|,    loss: the mean over rows of U(x) - Σ log|det|
 *
 * with the energy U1 of that paper; then a step of Adam. */
#include "planar.h"
#include "trials.h"

#include <math.h>

enum { DIM = PLANAR_DIM, PER_LAYER = PLANAR_PER_LAYER, MOST_LAYERS = PLANAR_MOST_LAYERS };

static ad_var dot(ad_var a, ad_var b)
{
    return ad_sum(ad_mul(a, b));
}

/* One layer: z and the sum of log-dets so far. */
static ad_var layer(ad_var z, ad_var u, ad_var w, ad_var b, ad_var *log_det)
{
    ad_var wu = dot(w, u), norm = ad_add_scalar(dot(w, w), 1e-10);
    ad_var length = ad_div(ad_sub(ad_add_scalar(ad_softplus(wu), -1), wu), norm);
    ad_var u_hat = ad_add(u, ad_mul(length, w));
    ad_var t = ad_tanh(ad_add(dot(w, z), b));
    ad_var slope = ad_mul(ad_sub(ad_scalar(z.tape, 1), ad_square(t)), dot(u_hat, w));
    *log_det = ad_add(*log_det, ad_log(ad_abs(ad_add_scalar(slope, 1))));
    return ad_add(z, ad_mul(u_hat, t));
}

/* ((‖x‖ - 2) / 0.4)² / 2 - log(exp(-((x_1 - 2) / 0.6)² / 2) + exp(-((x_1 + 2) / 0.6)² / 2)) */
static ad_var energy(ad_var x)
{
    ad_var distance = ad_sqrt(dot(x, x)), first = ad_slice(x, 0, 0, 1);
    ad_var ring = ad_square(ad_mul_scalar(ad_add_scalar(distance, -2), 1 / 0.4));
    ad_var lobe[2];
    for (int i = 0; i < 2; i++)
        lobe[i] = ad_mul_scalar(ad_square(ad_mul_scalar(ad_add_scalar(first, i ? 2 : -2), 1 / 0.6)), -0.5);
    return ad_sub(ad_mul_scalar(ring, 0.5), ad_logsumexp(ad_concat(lobe, 2, 0)));
}

/* The loss of draws from noise, or from z where it isn't NULL; then its gradient with respect to u, w, b of each
 * layer. */
static ad_plan *plan_gradient(int layers, const float *parameters, const float *z, float *loss, float *gradient,
                              ad_error *error)
{
    ad_tape *tape = ad_tape_new();
    if (!tape) return NULL;
    ad_var start = z ? ad_input(tape, "z", AD_SHAPE(DIM)) : ad_normal(tape, AD_SHAPE(DIM), 0);
    ad_var x = start, log_det = ad_scalar(tape, 0), parameter[3 * MOST_LAYERS], output[1 + 3 * MOST_LAYERS];
    for (int k = 0; k < layers; k++) {
        ad_var *p = &parameter[3 * k];
        p[0] = ad_param(tape, "u", AD_SHAPE(DIM));
        p[1] = ad_param(tape, "w", AD_SHAPE(DIM));
        p[2] = ad_param(tape, "b", AD_SCALAR);
        x = layer(x, p[0], p[1], p[2], &log_det);
    }
    output[0] = ad_div(ad_sum_rows(ad_sub(energy(x), log_det)), ad_row_count(tape));
    ad_grad(output[0], parameter, 3 * layers, output + 1);
    ad_plan *plan = ad_plan_new(output, 1 + 3 * layers, NULL, error);
    if (z) ad_plan_set_input(plan, start, z);
    ad_plan_set_output(plan, 0, loss);
    for (int i = 0; i < 3 * layers; i++) {
        int at = i / 3 * PER_LAYER + i % 3 * DIM;
        ad_plan_set_input(plan, parameter[i], parameters + at);
        ad_plan_set_output(plan, 1 + i, gradient + at);
    }
    ad_tape_free(tape);
    return plan;
}

/* Adam, whose rows are the parameters, in place. */
static ad_plan *plan_update(float *parameters, const float *gradient, float *first, float *second, ad_error *error)
{
    ad_tape *tape = ad_tape_new();
    if (!tape) return NULL;
    ad_var w = ad_input(tape, "w", AD_SCALAR), g = ad_input(tape, "g", AD_SCALAR);
    ad_var m = ad_input(tape, "m", AD_SCALAR), v = ad_input(tape, "v", AD_SCALAR);
    ad_var next_m = ad_add(ad_mul_scalar(m, 0.9), ad_mul_scalar(g, 0.1));
    ad_var next_v = ad_add(ad_mul_scalar(v, 0.999), ad_mul_scalar(ad_square(g), 0.001));
    ad_var step = ad_div(ad_mul_scalar(next_m, 1e-3), ad_add_scalar(ad_sqrt(next_v), 1e-8));
    ad_plan *plan = ad_plan_new((ad_var[]){ad_sub(w, step), next_m, next_v}, 3, NULL, error);
    ad_plan_set_input(plan, w, parameters);
    ad_plan_set_input(plan, g, gradient);
    ad_plan_set_input(plan, m, first);
    ad_plan_set_input(plan, v, second);
    ad_plan_set_output(plan, 0, parameters);
    ad_plan_set_output(plan, 1, first);
    ad_plan_set_output(plan, 2, second);
    ad_tape_free(tape);
    return plan;
}

void planar_start(int layers, float *parameters)
{
    for (int i = 0; i < layers * PER_LAYER; i++) parameters[i] = 0.3f * (float)ad_random_normal(1, 0, (uint64_t)i);
}

static ad_status check_layers(int layers, ad_error *error)
{
    if (layers >= 1 && layers <= MOST_LAYERS) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT, "layers: expected 1 … %d, got %d", MOST_LAYERS, layers);
}

ad_status planar_gradient(int layers, const float *parameters, size_t rows, const float *z, float *loss,
                          float *gradient, ad_error *error)
{
    ad_status status = check_layers(layers, error);
    if (status) return status;
    ad_plan *plan = plan_gradient(layers, parameters, z, loss, gradient, error);
    status = plan ? ad_plan_run(plan, &(ad_run){.rows = rows, .seed = 1}, error) : error->status;
    ad_plan_free(plan);
    return status;
}

ad_status planar_steps(int layers, size_t rows, ad_pool *pool, bool (*done)(void *context), void *context,
                       ad_error *error)
{
    float parameters[MOST_LAYERS * PER_LAYER], gradient[MOST_LAYERS * PER_LAYER] = {0}, loss = 0;
    float first[MOST_LAYERS * PER_LAYER] = {0}, second[MOST_LAYERS * PER_LAYER] = {0};
    const size_t count = (size_t)layers * PER_LAYER;
    ad_status status = check_layers(layers, error);
    if (status) return status;
    planar_start(layers, parameters);
    ad_plan *forward_backward = plan_gradient(layers, parameters, NULL, &loss, gradient, error);
    ad_plan *update = forward_backward ? plan_update(parameters, gradient, first, second, error) : NULL;
    status = update ? AD_OK : error->status;
    size_t step = 0;
    for (bool enough = false; status == AD_OK && !enough; enough = done(context)) {
        status = ad_plan_run(forward_backward, &(ad_run){.rows = rows, .seed = 1, .step = step++, .pool = pool}, error);
        if (status == AD_OK) status = ad_plan_run(update, &(ad_run){.rows = count}, error);
    }
    if (status == AD_OK && !isfinite(loss))
        status = ad_error_set(error, AD_ERROR_NUMERIC, "the loss is %g after %zu steps", (double)loss, step);
    ad_plan_free(update);
    ad_plan_free(forward_backward);
    return status;
}

ad_status planar_benchmark(int layers, size_t rows, int threads, trials *steps_per_second, ad_error *error)
{
    trials_timer timer = {steps_per_second};
    ad_pool *pool = ad_pool_new(threads, error);
    ad_status status = pool ? planar_steps(layers, rows, pool, trials_step_done, &timer, error) : error->status;
    ad_pool_free(pool);
    return status;
}
