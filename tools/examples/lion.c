/* lion.c: a plug-in that brings an optimiser (Chen et al. 2023, "Symbolic discovery of optimization algorithms"): steps
 * of one size, in the direction of the sign of an average gradient m:
 *
 *     w -= lr (sign(β1 m + (1-β1) g) + weight_decay w),   m = β2 m + (1-β2) g
 *
 *     cc -shared -fPIC lion.c $(pkg-config --cflags weir) -o lion.so
 *     weir --plugin ./lion.so vi pot1 --flow 'planar*4' --optimizer 'lion(beta2=0.98)' --iters 500 -o pot1.safetensors
 *     weir info pot1.safetensors */
#include <weir/models.h>

#define DEFINE_UPDATE(real, name)                                                                                      \
    static void name(const nf_optimizer_update *at, size_t begin, size_t end)                                          \
    {                                                                                                                  \
        const real *gradient = at->gradient, beta1 = (real)at->argument[0], beta2 = (real)at->argument[1];             \
        real *w = at->parameter, *m = at->state;                                                                       \
        for (size_t i = begin; i < end; i++) {                                                                         \
            real g = (real)at->scale * gradient[i], u = beta1 * m[i] + (1 - beta1) * g;                                \
            w[i] -= (real)at->learning_rate * ((real)((u > 0) - (u < 0)) + (real)at->weight_decay * w[i]);             \
            m[i] = beta2 * m[i] + (1 - beta2) * g;                                                                     \
        }                                                                                                              \
    }
DEFINE_UPDATE(float, update_f32)
DEFINE_UPDATE(double, update_f64)

static const nf_argument arguments[] = {
    {.name = "beta1", .kind = NF_NUMBER, .value = 0.9, .high = 1, .help = "how slowly the direction turns"},
    {.name = "beta2", .kind = NF_NUMBER, .value = 0.99, .high = 1, .help = "how slowly m forgets"},
    {0}};

static const nf_optimizer_type lion = {.name = "lion",
                                       .help = "w -= lr sign(β1 m + (1-β1) g), m = β2 m + (1-β2) g",
                                       .argument = arguments,
                                       .learning_rate = 1e-3,
                                       .states = 1,
                                       .decays = true,
                                       .update = {update_f32, update_f64}};

static ad_status start(ad_error *error)
{
    return nf_register_optimizer(&lion, error);
}

WEIR_PLUGIN("lion", "1.0", start)
