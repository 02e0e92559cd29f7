/* mesquite.c: a plug-in that brings a target with its data: Bayesian regression, of the leaves of 46 mesquite bushes on
 * the volume of their canopies, with flat priors on beta and sigma (Gelman & Hill 2007, "Data Analysis Using Regression
 * and Multilevel/Hierarchical Models", section 4.6):
 *
 *     log weight_i ~ N(beta_1 + beta_2 log volume_i, sigma²)
 *
 *     cc -shared -fPIC mesquite.c $(pkg-config --cflags weir) -o mesquite.so
 *     weir --plugin ./mesquite.so vi mesquite --flow 'lu-iaf(16)-loc' --lr 0.02 --iters 5000 -o leaves.safetensors
 *     weir --plugin ./mesquite.so nuts mesquite --chains 4 --tune 500 --draws 500 */
#include <math.h>
#include <weir/models.h>

enum { BUSHES = 46 };

static const struct bush {
    double diameter1, diameter2, height; /* m, of the canopy */
    double weight;                       /* g */
} bushes[BUSHES] = {
    {1.8, 1.15, 1, 401.3},   {1.7, 1.35, 1.33, 513.7}, {2.8, 2.55, 0.6, 1179.2}, {1.3, 0.85, 1.2, 308},
    {3.3, 1.9, 1.05, 855.2}, {1.4, 1.4, 1, 268.7},     {1.5, 0.5, 0.9, 155.5},   {3.9, 2.3, 1.3, 1253.2},
    {1.8, 1.35, 0.6, 328},   {2.1, 1.6, 0.8, 614.6},   {0.8, 0.63, 0.6, 60.2},   {1.3, 0.95, 0.95, 269.6},
    {1.2, 0.9, 1.2, 448.4},  {1.5, 0.7, 0.7, 120.4},   {2.8, 1.7, 1.2, 378.7},   {1.4, 0.85, 1.1, 266.4},
    {1.5, 0.6, 0.64, 138.9}, {2.4, 2.4, 1.2, 1020.8},  {1.9, 1.55, 1.2, 635.7},  {2.3, 1.6, 1.3, 621.8},
    {2.1, 1.7, 1, 579.8},    {2.4, 1.3, 0.9, 326.8},   {1, 0.4, 1, 66.7},        {1.3, 0.6, 0.5, 68},
    {1.1, 0.7, 0.9, 153.1},  {1.3, 1.2, 0.6, 256.4},   {2.5, 2.3, 1.4, 723},     {5.2, 4, 2.5, 4052},
    {2, 1.6, 1.4, 345},      {1.6, 1.6, 1.3, 330.9},   {1.4, 1, 1.1, 163.5},     {3.2, 1.9, 1.5, 1160},
    {1.9, 1.8, 0.8, 386.6},  {2.4, 2.4, 1.1, 693.5},   {2.5, 1.8, 1.3, 674.4},   {2.1, 1.5, 0.85, 217.5},
    {2.4, 2.2, 1.5, 771.3},  {2.4, 1.7, 1.2, 341.7},   {1.9, 1.2, 1.15, 125.7},  {2.7, 2.5, 1.5, 462.5},
    {1.3, 1.1, 0.7, 64.5},   {2.9, 2.7, 1.9, 850.6},   {2.1, 1, 1.5, 226},       {4.1, 3.8, 1.5, 1745.1},
    {2.8, 2.5, 1.5, 908},    {1.27, 1, 0.62, 213.5}};

static ad_var log_density(const nf_target *self, const ad_var *value)
{
    const struct bush *bush = self->data;
    double log_volume[BUSHES], log_weight[BUSHES];
    for (int i = 0; i < BUSHES; i++) {
        log_volume[i] = log(bush[i].diameter1 * bush[i].diameter2 * bush[i].height);
        log_weight[i] = log(bush[i].weight);
    }
    ad_tape *tape = value[0].tape;
    ad_var x = ad_constant(tape, AD_SHAPE(BUSHES), log_volume), y = ad_constant(tape, AD_SHAPE(BUSHES), log_weight);
    ad_var mean = ad_add(ad_slice(value[0], 0, 0, 1), ad_mul(ad_slice(value[0], 0, 1, 2), x)), sigma = value[1];
    return ad_neg(ad_sum(ad_add(ad_mul_scalar(ad_square(ad_div(ad_sub(y, mean), sigma)), 0.5), ad_log(sigma))));
}

static const nf_site sites[] = {{.name = "beta", .size = 2},
                                {.name = "sigma", .size = 1, .constraint = NF_SITE_POSITIVE_EXP}};

static const nf_target_type mesquite = {
    .name = "mesquite",
    .help = "the regression of 46 bushes' leaves on their volume",
    .target = {.site = sites, .n_site = 2, .log_density = log_density, .log_z = NAN, .data = bushes},
};

static ad_status start(ad_error *error)
{
    return nf_register_target(&mesquite, error);
}

WEIR_PLUGIN("mesquite", "1.0", start)
