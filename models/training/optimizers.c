/* Weir's own optimisers: each is the formula for one parameter, as <weir/optimizer.h> gives it, and a row of the table
 * at the end. As the ops, this file is compiled for each instruction set and dtype. */
#include "training/kernel.h"
#include "training/optimizer.h"

/* What the formulas are made of. */
typedef struct {
    real rate, momentum, epsilon;
    real beta1, rest1, beta2, rest2, rho, rest; /* rest: 1 - β1, 1 - β2, 1 - ρ */
    real kept;                                  /* of w, where it decays */
    real adam_rate;                             /* rate √(1-β2ᵗ) / (1-β1ᵗ) */
    real adamw_epsilon;                         /* ε √(1-β2ᵗ) */
    real adamax_rate;                           /* rate / (1-β1ᵗ) */
} numbers;

/* Arguments are in the order of the tables below. */
static numbers sgd_numbers(const nf_optimizer_update *at)
{
    return (numbers){.rate = (real)at->learning_rate};
}

static numbers momentum_numbers(const nf_optimizer_update *at)
{
    return (numbers){.rate = (real)at->learning_rate, .momentum = (real)at->argument[0]};
}

static numbers adagrad_numbers(const nf_optimizer_update *at)
{
    return (numbers){.rate = (real)at->learning_rate, .epsilon = (real)at->argument[0]};
}

static numbers rmsprop_numbers(const nf_optimizer_update *at)
{
    const double rho = at->argument[0], epsilon = at->argument[1];
    return (numbers){
        .rate = (real)at->learning_rate, .rho = (real)rho, .rest = (real)(1 - rho), .epsilon = (real)epsilon};
}

static numbers adam_numbers(const nf_optimizer_update *at)
{
    const double rate = at->learning_rate, beta1 = at->argument[0], beta2 = at->argument[1], epsilon = at->argument[2];
    const double first = 1 - pow(beta1, (double)at->step), second = 1 - pow(beta2, (double)at->step);
    return (numbers){.epsilon = (real)epsilon,
                     .beta1 = (real)beta1,
                     .rest1 = (real)(1 - beta1),
                     .beta2 = (real)beta2,
                     .rest2 = (real)(1 - beta2),
                     .kept = (real)(1 - rate * at->weight_decay),
                     .adam_rate = (real)(rate * sqrt(second) / first),
                     .adamw_epsilon = (real)(epsilon * sqrt(second)),
                     .adamax_rate = (real)(rate / first)};
}

/* ---- For one parameter --------------------------------------------------------------------------------------- */

static inline void sgd(const numbers *c, real g, real *w)
{
    *w -= c->rate * g;
}

static inline void momentum(const numbers *c, real g, real *w, real *v)
{
    *v = c->momentum * *v - c->rate * g;
    *w += *v;
}

static inline void nesterov(const numbers *c, real g, real *w, real *v)
{
    *v = c->momentum * *v - c->rate * g;
    *w += c->momentum * *v - c->rate * g;
}

static inline void adagrad(const numbers *c, real g, real *w, real *s)
{
    *s += g * g;
    *w -= c->rate * g / sqrt(*s + c->epsilon);
}

static inline void rmsprop(const numbers *c, real g, real *w, real *s)
{
    *s = c->rho * *s + c->rest * g * g;
    *w -= c->rate * g / sqrt(*s + c->epsilon);
}

static inline void adadelta(const numbers *c, real g, real *w, real *s, real *u)
{
    *s = c->rho * *s + c->rest * g * g;
    const real d = g * sqrt(*u + c->epsilon) / sqrt(*s + c->epsilon);
    *u = c->rho * *u + c->rest * d * d;
    *w -= c->rate * d;
}

static inline void adam(const numbers *c, real g, real *w, real *m, real *v)
{
    *m = c->beta1 * *m + c->rest1 * g;
    *v = c->beta2 * *v + c->rest2 * g * g;
    *w -= c->adam_rate * *m / (sqrt(*v) + c->epsilon);
}

static inline void adamw(const numbers *c, real g, real *w, real *m, real *v)
{
    *m = c->beta1 * *m + c->rest1 * g;
    *v = c->beta2 * *v + c->rest2 * g * g;
    *w = c->kept * *w - c->adam_rate * *m / (sqrt(*v) + c->adamw_epsilon);
}

static inline void adamax(const numbers *c, real g, real *w, real *m, real *u)
{
    const real faded = c->beta2 * *u, size = fabs(g);
    *m = c->beta1 * *m + c->rest1 * g;
    *u = faded > size ? faded : size;
    *w -= c->adamax_rate * *m / (*u + c->epsilon);
}

/* ---- For all of them ----------------------------------------------------------------------------------------- */

/* The arguments are what the formula changes, of parameter i. */
#define UPDATE(name, family, ...)                                                                                      \
    static void update_##name(const nf_optimizer_update *at, size_t begin, size_t end)                                 \
    {                                                                                                                  \
        const numbers c = family##_numbers(at);                                                                        \
        const real scale = (real)at->scale, decay = (real)at->decay;                                                   \
        const real *gradient = at->gradient;                                                                           \
        real *w = at->parameter, *state = at->state;                                                                   \
        const size_t count = at->count;                                                                                \
        (void)state, (void)count;                                                                                      \
        AD_SIMD for (size_t i = begin; i < end; i++) name(&c, scale *gradient[i] + decay * w[i], __VA_ARGS__);         \
    }

#define FIRST  &state[i]
#define SECOND &state[count + i]
UPDATE(sgd, sgd, &w[i])
UPDATE(momentum, momentum, &w[i], FIRST)
UPDATE(nesterov, momentum, &w[i], FIRST)
UPDATE(adagrad, adagrad, &w[i], FIRST)
UPDATE(rmsprop, rmsprop, &w[i], FIRST)
UPDATE(adadelta, rmsprop, &w[i], FIRST, SECOND)
UPDATE(adam, adam, &w[i], FIRST, SECOND)
UPDATE(adamw, adam, &w[i], FIRST, SECOND)
UPDATE(adamax, adam, &w[i], FIRST, SECOND)

static size_t window_states(const nf_optimizer_type *self, const double *argument)
{
    (void)self;
    return (size_t)argument[0];
}

/* The last `window` squares of each, the newest in the place of the oldest. */
static void update_adagrad_window(const nf_optimizer_update *at, size_t begin, size_t end)
{
    enum { BLOCK = 256 };
    const real rate = (real)at->learning_rate, epsilon = (real)at->argument[1];
    const real scale = (real)at->scale, decay = (real)at->decay;
    const size_t count = at->count, window = (size_t)at->argument[0];
    for (; begin < end; begin += BLOCK) {
        const size_t n = end - begin < BLOCK ? end - begin : BLOCK;
        const real *gradient = (const real *)at->gradient + begin;
        real *w = (real *)at->parameter + begin, *squares = (real *)at->state + begin;
        real *newest = squares + at->step % window * count, g[BLOCK], sum[BLOCK];
        AD_SIMD for (size_t i = 0; i < n; i++)
        {
            g[i] = scale * gradient[i] + decay * w[i];
            newest[i] = g[i] * g[i];
            sum[i] = epsilon;
        }
        for (size_t k = 0; k < window; k++, squares += count)
            AD_SIMD for (size_t i = 0; i < n; i++) sum[i] += squares[i];
        AD_SIMD for (size_t i = 0; i < n; i++) w[i] -= rate * g[i] / sqrt(sum[i]);
    }
}

/* In float64, and in an order that depends on their number alone. */
static double squares(const void *gradient, size_t begin, size_t end)
{
    enum { WIDTH = 16 };
    const real *g = gradient;
    double sum[WIDTH] = {0}, total = 0;
    for (; begin + WIDTH <= end; begin += WIDTH)
        AD_SIMD for (size_t k = 0; k < WIDTH; k++) sum[k] += (double)g[begin + k] * (double)g[begin + k];
    for (; begin < end; begin++) total += (double)g[begin] * (double)g[begin];
    for (size_t k = 0; k < WIDTH; k++) total += sum[k];
    return total;
}

/* Exponential moving averages, see average.c. */
static void average(void *average, const void *parameter, size_t begin, size_t end, double part)
{
    real *a = average;
    const real *w = parameter, step = (real)part;
    AD_SIMD for (size_t i = begin; i < end; i++) a[i] += step * (w[i] - a[i]);
}

/* ---- The table ----------------------------------------------------------------------------------------------- */

#define PART(name_, initial, what)                                                                                     \
    {                                                                                                                  \
        .name = name_, .value = (initial), .high = 0.999999, .kind = NF_NUMBER, .help = what                           \
    }
#define EPSILON(initial)                                                                                               \
    {                                                                                                                  \
        .name = "epsilon", .value = (initial), .low = 1e-30, .high = 1e30, .kind = NF_NUMBER,                          \
        .help = "what keeps a divisor from zero"                                                                       \
    }
static const nf_argument momentum_arguments[] = {PART("momentum", 0.9, "part of the last step in the next"), {0}};
static const nf_argument adagrad_arguments[] = {EPSILON(1e-6), {0}};
static const nf_argument window_arguments[] = {
    {.name = "window", .value = 10, .low = 1, .high = 1000, .kind = NF_COUNT, .help = "steps remembered"},
    EPSILON(0.1),
    {0}};
static const nf_argument rmsprop_arguments[] = {
    PART("rho", 0.9, "how slowly the size of gradients is forgotten"), EPSILON(1e-6), {0}};
static const nf_argument adadelta_arguments[] = {
    PART("rho", 0.95, "how slowly the size of gradients is forgotten"), EPSILON(1e-6), {0}};
static const nf_argument adam_arguments[] = {PART("beta1", 0.9, "how slowly gradients are forgotten"),
                                             PART("beta2", 0.999, "how slowly their size is forgotten"),
                                             EPSILON(1e-8),
                                             {0}};

#define BITS (AD_REAL_BITS == 32 ? AD_F32 : AD_F64)
static const nf_optimizer_type types[] = {
    {.name = "adam",
     .help = "steps of the mean gradient, over the root of its mean square (Kingma & Ba 2015)",
     .argument = adam_arguments,
     .learning_rate = 1e-3,
     .states = 2,
     .update[BITS] = update_adam},
    {.name = "adamw",
     .help = "adam with weight decay apart from the gradient, 0.01 by default (Loshchilov & Hutter 2019)",
     .argument = adam_arguments,
     .learning_rate = 1e-3,
     .weight_decay = 0.01,
     .states = 2,
     .decays = true,
     .update[BITS] = update_adamw},
    {.name = "adamax",
     .help = "adam with the largest size of a gradient instead of its mean square (Kingma & Ba 2015)",
     .argument = adam_arguments,
     .learning_rate = 2e-3,
     .states = 2,
     .update[BITS] = update_adamax},
    {.name = "sgd", .help = "w -= lr g: gradient descent", .learning_rate = 1e-3, .update[BITS] = update_sgd},
    {.name = "momentum",
     .help = "v = momentum v - lr g, w += v: gradient descent that goes on",
     .argument = momentum_arguments,
     .learning_rate = 1e-3,
     .states = 1,
     .update[BITS] = update_momentum},
    {.name = "nesterov",
     .help = "momentum that looks ahead (Sutskever et al. 2013)",
     .argument = momentum_arguments,
     .learning_rate = 1e-3,
     .states = 1,
     .update[BITS] = update_nesterov},
    {.name = "adagrad",
     .help = "gradients over the root of the sum of all their squares (Duchi et al. 2011)",
     .argument = adagrad_arguments,
     .learning_rate = 1,
     .states = 1,
     .update[BITS] = update_adagrad},
    {.name = "adagrad_window",
     .help = "adagrad with the squares of the last steps only, as PyMC3's",
     .argument = window_arguments,
     .learning_rate = 1e-3,
     .states_of = window_states,
     .update[BITS] = update_adagrad_window},
    {.name = "rmsprop",
     .help = "gradients over the root of their mean square (Tieleman & Hinton 2012)",
     .argument = rmsprop_arguments,
     .learning_rate = 1,
     .states = 1,
     .update[BITS] = update_rmsprop},
    {.name = "adadelta",
     .help = "rmsprop whose steps are as large as the last ones (Zeiler 2012)",
     .argument = adadelta_arguments,
     .learning_rate = 1,
     .states = 2,
     .update[BITS] = update_adadelta},
};

extern const nf__optimizer_set AD_NAME(nf__optimizers);
const nf__optimizer_set AD_NAME(nf__optimizers) = {types, sizeof types / sizeof *types, squares, average};
