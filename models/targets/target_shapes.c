/* Targets with a known integral, 1, in any number of features. */
#include <weir/densities.h>
#include <weir/target.h>

#include <math.h>

/* The argument that most of them have. */
#define DIM(initial, least)                                                                                            \
    {                                                                                                                  \
        .name = "dim", .kind = NF_COUNT, .value = (initial), .low = (least), .high = 65536, .help = "features"         \
    }

static size_t count(const nf_target *self, const char *argument)
{
    return (size_t)nf_target_argument(self, argument);
}

static ad_status build(nf_target *self, nf_site *site, ad_error *error)
{
    (void)error;
    site[0].size = count(self, "dim");
    return AD_OK;
}

/* ---- banana: Haario, Saksman & Tamminen 1999, "Adaptive proposal distribution for random walk Metropolis" -------- */

/* x1 ~ N(0, 10²), x2 + b (x1² - 100) and the others ~ N(0, 1). */
static ad_var banana(const nf_target *self, const ad_var *value)
{
    const double b = nf_target_argument(self, "b");
    ad_tape *tape = value[0].tape;
    size_t dim = count(self, "dim");
    ad_var zero = ad_scalar(tape, 0), one = ad_scalar(tape, 1), first = nf_element(value[0], 0);
    ad_var bend = ad_mul_scalar(ad_add_scalar(ad_square(first), -100), b);
    ad_var second = ad_add(nf_element(value[0], 1), bend);
    ad_var density = ad_add(nf_log_normal(first, zero, ad_scalar(tape, 10)), nf_log_normal(second, zero, one));
    return dim > 2 ? ad_add(density, nf_log_normal(ad_slice(value[0], 0, 2, dim), zero, one)) : density;
}

const nf_target_type nf__target_banana = {
    .name = "banana",
    .help = "a normal bent along a parabola (Haario et al. 1999)",
    .target = {.site = &(const nf_site){.name = "x", .size = 2}, .n_site = 1, .log_density = banana},
    .argument =
        (const nf_argument[]){
            DIM(2, 2),
            {.name = "b", .kind = NF_NUMBER, .value = 0.03, .low = 0, .high = 10, .help = "how much it is bent"},
            {0}},
    .build = build,
};

/* ---- funnel: Neal 2003, "Slice sampling", section 8 ---------------------------------------------------------------
 */

/* v ~ N(0, 3²), x_i ~ N(0, exp(v/2)²). */
static ad_var funnel(const nf_target *self, const ad_var *value)
{
    (void)self;
    ad_tape *tape = value[0].tape;
    ad_var zero = ad_scalar(tape, 0), v = value[0], x = value[1];
    /* the scale in log space: x² e^-v, and its logarithm v/2 */
    ad_var scaled = ad_mul(x, ad_exp(ad_mul_scalar(v, -0.5)));
    ad_var log_scale = ad_mul_scalar(ad_sum(v), 0.5 * (double)ad_shape_size(ad_shape_of(x)));
    return ad_sub(ad_add(nf_log_normal(v, zero, ad_scalar(tape, 3)), nf_log_normal(scaled, zero, ad_scalar(tape, 1))),
                  log_scale);
}

static ad_status build_funnel(nf_target *self, nf_site *site, ad_error *error)
{
    (void)error;
    site[1].size = count(self, "dim") - 1;
    return AD_OK;
}

const nf_target_type nf__target_funnel = {
    .name = "funnel",
    .help = "Neal's funnel: v sets the scale of all others",
    .target = {.site = (const nf_site[]){{.name = "v", .size = 1}, {.name = "x", .size = 9}},
               .n_site = 2,
               .log_density = funnel},
    .argument = (const nf_argument[]){DIM(10, 2), {0}},
    .build = build_funnel,
};

/* ---- mixture ------------------------------------------------------------------------------------------------------
 */

/* Equal normals whose means lie evenly on a circle in the first two features. */
static ad_var mixture(const nf_target *self, const ad_var *value)
{
    const double radius = nf_target_argument(self, "radius"), sd = nf_target_argument(self, "sd");
    const double turn = 6.28318530717958647693;
    ad_tape *tape = value[0].tape;
    size_t dim = count(self, "dim"), modes = count(self, "modes");
    double *mean = ad_alloc(2 * modes, sizeof *mean);
    if (!mean) {
        ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for a mixture of %zu", modes);
        return (ad_var){tape, -1};
    }
    for (size_t k = 0; k < modes; k++) {
        mean[2 * k] = radius * cos(turn * (double)k / (double)modes);
        mean[2 * k + 1] = radius * sin(turn * (double)k / (double)modes);
    }
    ad_var means = ad_constant(tape, AD_SHAPE(modes, 2), mean), plane = ad_slice(value[0], 0, 0, 2);
    ad_free(mean);
    ad_var squares = ad_sum_axis(ad_square(ad_sub(plane, means)), 1);
    ad_var log_sum = ad_logsumexp(ad_mul_scalar(squares, -0.5 / (sd * sd)));
    ad_var density = ad_add_scalar(log_sum, -log((double)modes * turn * sd * sd));
    if (dim == 2) return density;
    return ad_add(density, nf_log_normal(ad_slice(value[0], 0, 2, dim), ad_scalar(tape, 0), ad_scalar(tape, sd)));
}

const nf_target_type nf__target_mixture = {
    .name = "mixture",
    .help = "equal normals on a circle",
    .target = {.site = &(const nf_site){.name = "x", .size = 2}, .n_site = 1, .log_density = mixture},
    .argument =
        (const nf_argument[]){
            DIM(2, 2),
            {.name = "modes", .kind = NF_COUNT, .value = 8, .low = 1, .high = 4096, .help = "normals"},
            {.name = "radius", .kind = NF_NUMBER, .value = 4, .low = 0, .high = 1e6, .help = "of the circle"},
            {.name = "sd", .kind = NF_NUMBER, .value = 0.5, .low = 1e-6, .high = 1e6, .help = "of each feature"},
            {0}},
    .build = build,
};

/* ---- gaussian -----------------------------------------------------------------------------------------------------
 */

/* Standard normals of which neighbours correlate: covariance r^|i-j|. x_1 ~ N(0, 1), x_i ~ N(r x_(i-1), 1 - r²). */
static ad_var gaussian(const nf_target *self, const ad_var *value)
{
    const double r = nf_target_argument(self, "correlation");
    ad_tape *tape = value[0].tape;
    size_t dim = count(self, "dim");
    ad_var x = value[0], density = nf_log_normal(nf_element(x, 0), ad_scalar(tape, 0), ad_scalar(tape, 1));
    if (dim == 1) return density;
    ad_var before = ad_mul_scalar(ad_slice(x, 0, 0, dim - 1), r);
    return ad_add(density, nf_log_normal(ad_slice(x, 0, 1, dim), before, ad_scalar(tape, sqrt(1 - r * r))));
}

const nf_target_type nf__target_gaussian = {
    .name = "gaussian",
    .help = "a normal with covariance correlation^|i-j|",
    .target = {.site = &(const nf_site){.name = "x", .size = 2}, .n_site = 1, .log_density = gaussian},
    .argument = (const nf_argument[]){DIM(2, 1),
                                      {.name = "correlation",
                                       .kind = NF_NUMBER,
                                       .value = 0.9,
                                       .low = -0.999999,
                                       .high = 0.999999,
                                       .help = "of neighbours"},
                                      {0}},
    .build = build,
};

/* ---- many_well: Noé, Olsson, Köhler & Wu 2019, "Boltzmann generators"; Midgley et al. 2023 ------------------------ */

/* For each pair of features, -x1⁴ + 6 x1² + x1 / 2 - x2² / 2: two wells, of which one holds more. */
static ad_var many_well(const nf_target *self, const ad_var *value)
{
    const size_t pairs = count(self, "dim") / 2;
    ad_var x = ad_reshape(value[0], AD_SHAPE(pairs, 2)), square = ad_square(x);
    ad_var first = ad_slice(x, 1, 0, 1), first_square = ad_slice(square, 1, 0, 1), second = ad_slice(square, 1, 1, 2);
    ad_var well = ad_mul(first_square, ad_sub(ad_scalar(x.tape, 6), first_square));
    return ad_sum(ad_add(well, ad_mul_scalar(ad_sub(first, second), 0.5)));
}

static ad_status build_many_well(nf_target *self, nf_site *site, ad_error *error)
{
    /* log ∫ exp(-x⁴ + 6 x² + x / 2) dx + log(2π) / 2, tests/golden/targets.py */
    const double log_z = 9.374541173869188 + 0.918938533204672742;
    site[0].size = count(self, "dim");
    self->log_z = (double)(site[0].size / 2) * log_z;
    if (site[0].size % 2 == 0) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT, "many_well: features are pairs: expected an even dim, got %zu",
                        site[0].size);
}

const nf_target_type nf__target_many_well = {
    .name = "many_well",
    .help = "two wells in each pair of features: 2^(dim / 2) modes (Midgley et al. 2023)",
    .target = {.site = &(const nf_site){.name = "x", .size = 2}, .n_site = 1, .log_density = many_well},
    .argument = (const nf_argument[]){DIM(2, 2), {0}},
    .build = build_many_well,
};
