/* step.c: a plug-in that brings a transformer, a map of one feature whose parameters a network computes: a line with a
 * smooth step in it,
 *
 *     x = e^s z + c + height softplus(a) tanh(z - b),
 *
 * of which only this is written: it increases and reaches all reals, and Weir solves for z by bracketing.
 *
 *     cc -shared -fPIC step.c $(pkg-config --cflags weir) -o step.so
 *     weir --plugin ./step.so check 'autoregressive(8,transformer=step)' --dim 3
 *     weir --plugin ./step.so fit moons.npy --flow '(coupling(16,transformer=step(height=2))-flip)*2' --epochs 4 \
 *         -o moons.safetensors
 *     weir --plugin ./step.so plot moons.safetensors -o moons.png */
#include <weir/models.h>

static size_t parameters(const nf_choice *self)
{
    (void)self;
    return 4;
}

static ad_var forward(const nf_choice *self, ad_var z, ad_var p, ad_var *log_derivative)
{
    (void)log_derivative; /* left to the engine */
    ad_var line = ad_add(ad_mul(ad_exp(ad_tanh(nf_row(p, 0))), z), nf_row(p, 1));
    ad_var height = ad_mul_scalar(ad_softplus(nf_row(p, 2)), nf_choice_value(self, "height"));
    return ad_add(line, ad_mul(height, ad_tanh(ad_sub(z, nf_row(p, 3)))));
}

static const nf_argument arguments[] = {
    {.name = "height", .kind = NF_NUMBER, .value = 1, .low = 0, .high = 100, .help = "of the step, at first"}, {0}};

static const nf_transformer_type step = {.name = "step",
                                         .help = "x = e^s z + c + height softplus(a) tanh(z - b)",
                                         .argument = arguments,
                                         .parameters = parameters,
                                         .forward = forward};

static ad_status start(ad_error *error)
{
    return nf_register_transformer(&step, error);
}

WEIR_PLUGIN("step", "1.0", start)
