/* The optimisers: each is the formula for one parameter, as models.h gives it. As the ops, this file is compiled for
 * each instruction set and dtype. */
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

static numbers numbers_of(const nf__step *s)
{
    const nf_optimizer_options *o = s->o;
    const double first = 1 - pow(o->beta1, (double)s->t), second = 1 - pow(o->beta2, (double)s->t);
    return (numbers){.rate = (real)s->rate,
                     .momentum = (real)o->momentum,
                     .epsilon = (real)o->epsilon,
                     .beta1 = (real)o->beta1,
                     .rest1 = (real)(1 - o->beta1),
                     .beta2 = (real)o->beta2,
                     .rest2 = (real)(1 - o->beta2),
                     .rho = (real)o->rho,
                     .rest = (real)(1 - o->rho),
                     .kept = (real)(1 - s->rate * o->weight_decay),
                     .adam_rate = (real)(s->rate * sqrt(second) / first),
                     .adamw_epsilon = (real)(o->epsilon * sqrt(second)),
                     .adamax_rate = (real)(s->rate / first)};
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
#define RUN(name, ...)                                                                                                 \
    static void run_##name(const nf__step *step, size_t begin, size_t end)                                             \
    {                                                                                                                  \
        const numbers c = numbers_of(step);                                                                            \
        const real factor = (real)step->clip_factor, decay = (real)step->decay;                                        \
        const real *gradient = step->gradient;                                                                         \
        real *w = step->w, *state = step->state;                                                                       \
        const size_t count = step->count;                                                                              \
        (void)state, (void)count;                                                                                      \
        AD_SIMD for (size_t i = begin; i < end; i++) name(&c, factor *gradient[i] + decay * w[i], __VA_ARGS__);        \
    }

#define FIRST  &state[i]
#define SECOND &state[count + i]
RUN(sgd, &w[i])
RUN(momentum, &w[i], FIRST)
RUN(nesterov, &w[i], FIRST)
RUN(adagrad, &w[i], FIRST)
RUN(rmsprop, &w[i], FIRST)
RUN(adadelta, &w[i], FIRST, SECOND)
RUN(adam, &w[i], FIRST, SECOND)
RUN(adamw, &w[i], FIRST, SECOND)
RUN(adamax, &w[i], FIRST, SECOND)

/* The last `window` squares of each, the newest in the place of the oldest. */
static void run_adagrad_window(const nf__step *step, size_t begin, size_t end)
{
    enum { BLOCK = 256 };
    const numbers c = numbers_of(step);
    const real factor = (real)step->clip_factor, decay = (real)step->decay;
    const size_t count = step->count, window = step->o->window;
    for (; begin < end; begin += BLOCK) {
        const size_t n = end - begin < BLOCK ? end - begin : BLOCK;
        const real *gradient = (const real *)step->gradient + begin;
        real *w = (real *)step->w + begin, *squares = (real *)step->state + begin;
        real *newest = squares + step->t % window * count, g[BLOCK], sum[BLOCK];
        AD_SIMD for (size_t i = 0; i < n; i++)
        {
            g[i] = factor * gradient[i] + decay * w[i];
            newest[i] = g[i] * g[i];
            sum[i] = c.epsilon;
        }
        for (size_t k = 0; k < window; k++, squares += count)
            AD_SIMD for (size_t i = 0; i < n; i++) sum[i] += squares[i];
        AD_SIMD for (size_t i = 0; i < n; i++) w[i] -= c.rate * g[i] / sqrt(sum[i]);
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

/* ---- The table ----------------------------------------------------------------------------------------------- */

#define ADAM .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8

extern const nf__optimizer_set AD_NAME(nf__optimizers);
const nf__optimizer_set AD_NAME(nf__optimizers) = {
    .type =
        {
            [NF_ADAM] = {"adam", {.learning_rate = 1e-3, ADAM}, .states = 2, .run = run_adam},
            [NF_ADAMW] = {"adamw",
                          {.learning_rate = 1e-3, ADAM, .weight_decay = 0.01},
                          .states = 2,
                          .decays = true,
                          .run = run_adamw},
            [NF_ADAMAX] = {"adamax", {.learning_rate = 2e-3, ADAM}, .states = 2, .run = run_adamax},
            [NF_SGD] = {"sgd", {.learning_rate = 1e-3}, .run = run_sgd},
            [NF_MOMENTUM] = {"momentum", {.learning_rate = 1e-3, .momentum = 0.9}, .states = 1, .run = run_momentum},
            [NF_NESTEROV] = {"nesterov", {.learning_rate = 1e-3, .momentum = 0.9}, .states = 1, .run = run_nesterov},
            [NF_ADAGRAD] = {"adagrad", {.learning_rate = 1, .epsilon = 1e-6}, .states = 1, .run = run_adagrad},
            [NF_ADAGRAD_WINDOW] = {"adagrad_window",
                                   {.learning_rate = 1e-3, .epsilon = 0.1, .window = 10},
                                   .run = run_adagrad_window},
            [NF_RMSPROP] =
                {"rmsprop", {.learning_rate = 1, .rho = 0.9, .epsilon = 1e-6}, .states = 1, .run = run_rmsprop},
            [NF_ADADELTA] =
                {"adadelta", {.learning_rate = 1, .rho = 0.95, .epsilon = 1e-6}, .states = 2, .run = run_adadelta},
        },
    .squares = squares,
};
