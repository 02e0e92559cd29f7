/* pot1 … pot4: U1 … U4 of Rezende & Mohamed 2015, "Variational inference with normalizing flows", table 1, log-density
 * -U. The integral of U2 … U4 alone is infinite: pot2 … pot4 have 0.1 |z1| added, as in PyMC3's notebook on normalizing
 * flows; u2 … u4 have walls instead at the ends of the paper's figure, ½ ((|z1| - 4) / 0.1)² outside.
 *
 *     U1 = ½ ((‖z‖ - 2) / 0.4)² - log(exp(-½ ((z1 - 2) / 0.6)²) + exp(-½ ((z1 + 2) / 0.6)²))
 *     U2 = ½ ((z2 - w1) / 0.4)²
 *     U3 = -log(exp(-½ ((z2 - w1) / 0.35)²) + exp(-½ ((z2 - w1 + w2) / 0.35)²))
 *     U4 = -log(exp(-½ ((z2 - w1) / 0.4)²) + exp(-½ ((z2 - w1 + w3) / 0.35)²))
 *     w1 = sin(2π z1 / 4), w2 = 3 exp(-½ ((z1 - 1) / 0.6)²), w3 = 3 sigmoid((z1 - 1) / 0.3)
 *
 * log Z: pot1 by quadrature, as tests/models/test_target_types.c does it again; over z2 the others are Gaussian
 * integrals whatever z1 is, and over z1 that of exp(-0.1 |z1|) is 20, that of the walls 8 + 0.1 √2π. */
#include <weir/densities.h>
#include <weir/target.h>

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

static ad_var wave(ad_var z1, ad_var z2)
{
    return bump(height(z1, z2), 0.4);
}

static ad_var split_wave(ad_var z1, ad_var z2)
{
    ad_var h = height(z1, z2), w2 = ad_mul_scalar(ad_exp(bump(ad_add_scalar(z1, -1), 0.6)), 3);
    return nf_log_add_exp(bump(h, 0.35), bump(ad_add(h, w2), 0.35));
}

static ad_var forked_wave(ad_var z1, ad_var z2)
{
    ad_var h = height(z1, z2), w3 = ad_mul_scalar(ad_sigmoid(ad_mul_scalar(ad_add_scalar(z1, -1), 1 / 0.3)), 3);
    return nf_log_add_exp(bump(h, 0.4), bump(ad_add(h, w3), 0.35));
}

static ad_var slope(ad_var z1)
{
    return ad_mul_scalar(ad_abs(z1), -0.1);
}

static ad_var walls(ad_var z1)
{
    return bump(ad_relu(ad_add_scalar(ad_abs(z1), -4)), 0.1);
}

/* A wave, and what confines it. */
typedef struct {
    ad_var (*wave)(ad_var z1, ad_var z2);
    ad_var (*confinement)(ad_var z1);
} energy;

static ad_var confined(const nf_target *self, const ad_var *value)
{
    const energy *e = self->data;
    ad_var z1 = nf_element(value[0], 0), z2 = nf_element(value[0], 1);
    return ad_add(e->wave(z1, z2), e->confinement(z1));
}

const nf_target_type nf__target_pot1 = {
    .name = "pot1",
    .help = "U1 of Rezende & Mohamed 2015: two lobes of a ring",
    .target = {.site = plane, .n_site = 1, .log_density = ring, .log_z = 1.8775016261097077}};

#define ENERGY(text, shape, confinement, integral, meaning)                                                            \
    {                                                                                                                  \
        .name = text, .help = meaning, .target = {                                                                     \
            .site = plane,                                                                                             \
            .n_site = 1,                                                                                               \
            .log_density = confined,                                                                                   \
            .log_z = integral,                                                                                         \
            .data = &(const energy){shape, confinement}                                                                \
        }                                                                                                              \
    }
const nf_target_type nf__target_pot2 =
    ENERGY("pot2", wave, slope, 2.9983800748845084 /* log(8 √2π) */, "U2, with 0.1 |z1|: a sine wave");
const nf_target_type nf__target_pot3 = ENERGY("pot3", split_wave, slope, 3.5579958628199310 /* log(14 √2π) */,
                                              "U3, with 0.1 |z1|: a wave that splits and joins");
const nf_target_type nf__target_pot4 =
    ENERGY("pot4", forked_wave, slope, 3.6269887343068827 /* log(15 √2π) */, "U4, with 0.1 |z1|: a wave that forks");
const nf_target_type nf__target_u2 = ENERGY("u2", wave, walls, 2.1129413411726037, "U2 where |z1| < 4, between walls");
const nf_target_type nf__target_u3 = ENERGY("u3", split_wave, walls, 2.6725571291080263, "U3 between walls");
const nf_target_type nf__target_u4 = ENERGY("u4", forked_wave, walls, 2.7415500005949776, "U4 between walls");
