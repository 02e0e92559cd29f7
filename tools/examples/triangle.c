/* triangle.c: a plug-in that brings a schedule of the learning rate, up and down again (Smith 2017, "Cyclical learning
 * rates for training neural networks"):
 *
 *     1 - (1 - low) |2t - 1|
 *
 *     cc -shared -fPIC triangle.c $(pkg-config --cflags weir) -o triangle.so
 *     weir --plugin ./triangle.so fit moons.npy --schedule 'triangle(low=0.05)' --epochs 4 -o moons.safetensors */
#include <math.h>
#include <weir/models.h>

static double factor(const nf_schedule_type *self, const double *argument, double t)
{
    (void)self;
    return 1 - (1 - argument[0]) * fabs(2 * t - 1);
}

static const nf_argument arguments[] = {
    {.name = "low", .kind = NF_NUMBER, .value = 0.01, .low = 0, .high = 1, .help = "where it begins and ends"}, {0}};

static const nf_schedule_type triangle = {
    .name = "triangle", .help = "1 - (1 - low) |2t - 1|, t from 0 to 1", .argument = arguments, .factor = factor};

static ad_status start(ad_error *error)
{
    return nf_register_schedule(&triangle, error);
}

WEIR_PLUGIN("triangle", "1.0", start)
