/* pot1 … pot4: U1 … U4 of Rezende & Mohamed 2015, "Variational inference with normalizing flows", table 1, log-density
 * -U; pot2 … pot4 with 0.1 |z1| added, as in PyMC3's notebook on normalizing flows: the integral of U2 … U4 alone is
 * infinite.
 *
 *     U1 = ½ ((‖z‖ - 2) / 0.4)² - log(exp(-½ ((z1 - 2) / 0.6)²) + exp(-½ ((z1 + 2) / 0.6)²))
 *     U2 = ½ ((z2 - w1) / 0.4)²
 *     U3 = -log(exp(-½ ((z2 - w1) / 0.35)²) + exp(-½ ((z2 - w1 + w2) / 0.35)²))
 *     U4 = -log(exp(-½ ((z2 - w1) / 0.4)²) + exp(-½ ((z2 - w1 + w3) / 0.35)²))
 *     w1 = sin(2π z1 / 4), w2 = 3 exp(-½ ((z1 - 1) / 0.6)²), w3 = 3 sigmoid((z1 - 1) / 0.3)
 *
 * log Z: pot1 by quadrature, as tests/test_target.c does it again; over z2 the others are Gaussian integrals whatever
 * z1 is, and over z1 that of exp(-0.1 |z1|) is 20. */
#include "target_types.h"

static const nf_site plane[] = {{.name = "z", .size = 2}};

/* -½ (x / sd)² */
static ad_var bump(ad_var x, double sd)
{
    return ad_mul_scalar(ad_square(x), -0.5 / (sd * sd));
}

static ad_var ring(const nf_target *self, const ad_var *value)
{
    (void)self;
    const double tiny = 1e-30; /* at the origin the norm has a gradient too */
    ad_var norm = ad_sqrt(ad_add_scalar(ad_sum(ad_square(value[0])), tiny)), z1 = nf_element(value[0], 0);
    ad_var lobes = nf_log_add_exp(bump(ad_add_scalar(z1, -2), 0.6), bump(ad_add_scalar(z1, 2), 0.6));
    return ad_add(bump(ad_add_scalar(norm, -2), 0.4), lobes);
}

/* z2 - w1 */
static ad_var height(ad_var z1, ad_var z2)
{
    const double half_pi = 1.57079632679489661923;
    return ad_sub(z2, ad_sin(ad_mul_scalar(z1, half_pi)));
}

/* The confining term. */
static ad_var confined(ad_var log_density, ad_var z1)
{
    return ad_sub(log_density, ad_mul_scalar(ad_abs(z1), 0.1));
}

static ad_var wave(const nf_target *self, const ad_var *value)
{
    (void)self;
    ad_var z1 = nf_element(value[0], 0), z2 = nf_element(value[0], 1);
    return confined(bump(height(z1, z2), 0.4), z1);
}

static ad_var split_wave(const nf_target *self, const ad_var *value)
{
    (void)self;
    ad_var z1 = nf_element(value[0], 0), z2 = nf_element(value[0], 1), h = height(z1, z2);
    ad_var w2 = ad_mul_scalar(ad_exp(bump(ad_add_scalar(z1, -1), 0.6)), 3);
    return confined(nf_log_add_exp(bump(h, 0.35), bump(ad_add(h, w2), 0.35)), z1);
}

static ad_var forked_wave(const nf_target *self, const ad_var *value)
{
    (void)self;
    ad_var z1 = nf_element(value[0], 0), z2 = nf_element(value[0], 1), h = height(z1, z2);
    ad_var w3 = ad_mul_scalar(ad_sigmoid(ad_mul_scalar(ad_add_scalar(z1, -1), 1 / 0.3)), 3);
    return confined(nf_log_add_exp(bump(h, 0.4), bump(ad_add(h, w3), 0.35)), z1);
}

#define POTENTIAL(number, density, integral, text)                                                                     \
    const nf_target_type nf_target_pot##number = {.target = {.name = "pot" #number,                                    \
                                                             .help = text,                                             \
                                                             .site = plane,                                            \
                                                             .n_site = 1,                                              \
                                                             .log_density = density,                                   \
                                                             .log_z = integral}}
POTENTIAL(1, ring, 1.8775016261097077, "U1 of Rezende & Mohamed 2015: two lobes of a ring");
POTENTIAL(2, wave, 2.9983800748845084 /* log(8 √2π) */, "U2, with 0.1 |z1|: a sine wave");
POTENTIAL(3, split_wave, 3.5579958628199310 /* log(14 √2π) */, "U3, with 0.1 |z1|: a wave that splits and joins");
POTENTIAL(4, forked_wave, 3.6269887343068827 /* log(15 √2π) */, "U4, with 0.1 |z1|: a wave that forks");
