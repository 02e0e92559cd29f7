/* ring.c: a plug-in that brings a target: a ring in the plane, around the origin, with arguments for its size,
 *
 *     log p(x) = -((|x| - radius) / width)² / 2
 *
 *     cc -shared -fPIC ring.c $(pkg-config --cflags weir) -o ring.so
 *     weir --plugin ./ring.so vi 'ring(radius=3)' --flow 'planar*8' --iters 500 -o ring.safetensors
 *     weir --plugin ./ring.so sample ring.safetensors -n 100 -o samples.csv
 *     weir --plugin ./ring.so plot ring.safetensors -o ring.png
 *     weir --plugin ./ring.so nuts ring --chains 2 --tune 200 -n 200 */
#include <math.h>
#include <weir/models.h>

static ad_var log_density(const nf_target *self, const ad_var *value)
{
    ad_var radius = ad_sqrt(ad_sum(ad_square(value[0])));
    ad_var away = ad_add_scalar(radius, -nf_target_argument(self, "radius"));
    return ad_mul_scalar(ad_square(ad_mul_scalar(away, 1 / nf_target_argument(self, "width"))), -0.5);
}

static const nf_argument arguments[] = {
    {.name = "radius", .kind = NF_NUMBER, .value = 2, .low = 0.1, .high = 100, .help = "of the ring"},
    {.name = "width", .kind = NF_NUMBER, .value = 0.4, .low = 0.01, .high = 10, .help = "standard deviation across it"},
    {0}};

static const nf_site site = {.name = "x", .size = 2};

static const nf_target_type ring = {
    .name = "ring",
    .help = "-((|x| - radius) / width)^2 / 2, in the plane",
    .argument = arguments,
    .target = {.site = &site, .n_site = 1, .log_density = log_density, .log_z = NAN},
};

static ad_status start(ad_error *error)
{
    return nf_register_target(&ring, error);
}

WEIR_PLUGIN("ring", "1.0", start)
