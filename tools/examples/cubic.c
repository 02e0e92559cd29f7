/* cubic.c: a plug-in that brings a bijector, of which only the forward map is written,
 *
 *     x_d = z_d + a_d z_d³,   a_d > 0
 *
 * which makes tails heavier. Weir works out the inverse, the log-determinant and every gradient.
 *
 *     cc -shared -fPIC cubic.c $(pkg-config --cflags weir) -o cubic.so
 *     weir --plugin ./cubic.so check 'cubic(start=0.2)'
 *     weir --plugin ./cubic.so fit moons.npy --flow '(cubic-lu)*3-loc' --epochs 4 -o moons.safetensors
 *     weir --plugin ./cubic.so sample moons.safetensors -n 100 -o samples.csv
 *     weir --plugin ./cubic.so plot moons.safetensors --data moons.npy -o moons.png */
#include <weir/models.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    nf_parameter_spec a = {.name = "a",
                           .shape = AD_SHAPE(self->dim),
                           .value = nf_argument_value(self, "start"),
                           .constraint = NF_POSITIVE};
    return nf_declare(self, &a, error);
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)log_det;
    return ad_add(z, ad_mul(nf_param(at, "a"), ad_mul(z, ad_square(z))));
}

static const nf_argument arguments[] = {
    {.name = "start", .kind = NF_NUMBER, .value = 0.1, .low = 0.001, .high = 10, .help = "what a starts at"}, {0}};

static const nf_bijector_type cubic = {
    .name = "cubic", .help = "x = z + a z^3, a > 0", .argument = arguments, .build = build, .forward = forward};

static ad_status start(ad_error *error)
{
    return nf_register(&cubic, error);
}

WEIR_PLUGIN("cubic", "1.0", start)
