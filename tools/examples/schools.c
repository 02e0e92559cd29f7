/* schools.c: a plug-in that brings a target of a table's data, by columns that it names: experiments of one kind, each
 * with its effect and the standard error of that (Rubin 1981, "Estimation in parallel randomized experiments"),
 *
 *     effect_j ~ N(theta_j, standard_error_j²), theta_j = mu + tau eta_j, eta_j ~ N(0, 1), mu ~ N(0, 5²),
 *     tau ~ Cauchy+(0, scale)
 *
 *     cc -shared -fPIC schools.c $(pkg-config --cflags weir) -o schools.so
 *     weir nuts ./schools.so --data schools.csv --chains 4 --tune 500 --draws 500 --stats -o draws.csv
 *     weir vi './schools.so(scale=10)' --data schools.csv --flow iaf-lu-loc --iters 500 -o schools.safetensors
 *     weir sample schools.safetensors -n 100 -o samples.csv */
#include <math.h>
#include <weir/models.h>

static ad_var column(const nf_target *self, const char *name, ad_tape *tape)
{
    return ad_constant(tape, AD_SHAPE(nf_target_rows(self)), nf_target_column(self, name));
}

static ad_var log_likelihood(const nf_target *self, const ad_var *value)
{
    ad_tape *tape = value[0].tape;
    ad_var theta = ad_add(value[0], ad_mul(value[1], value[2]));
    return nf_log_normal_each(column(self, "effect", tape), theta, column(self, "standard_error", tape));
}

static ad_var log_density(const nf_target *self, const ad_var *value)
{
    ad_tape *tape = value[0].tape;
    ad_var zero = ad_scalar(tape, 0), scale = ad_scalar(tape, nf_target_argument(self, "scale"));
    ad_var prior = ad_add(nf_log_normal(value[0], zero, ad_scalar(tape, 5)), nf_log_half_cauchy(value[1], scale));
    ad_var standard = nf_log_normal(value[2], zero, ad_scalar(tape, 1));
    return ad_add(ad_add(prior, standard), ad_sum(log_likelihood(self, value)));
}

static ad_status build(nf_target *self, nf_site *site, ad_error *error)
{
    (void)error;
    site[2].size = nf_target_rows(self);
    return AD_OK;
}

static const nf_site sites[] = {{.name = "mu", .size = 1},
                                {.name = "tau", .size = 1, .constraint = NF_SITE_POSITIVE_EXP},
                                {.name = "eta", .size = 1}};

static const nf_target_type schools = {
    .name = "schools",
    .help = "a hierarchical model of experiments: theta = mu + tau eta",
    .argument = (const nf_argument[]){{.name = "scale", .kind = NF_NUMBER, .value = 5, .low = 0.01, .high = 1e4}, {0}},
    .target = {.site = sites, .n_site = 3, .log_density = log_density, .log_likelihood = log_likelihood, .log_z = NAN},
    .build = build,
    .column = (const nf_target_column_type[]){{.name = "effect"}, {.name = "standard_error"}, {0}},
};

static ad_status start(ad_error *error)
{
    return nf_register_target(&schools, error);
}

WEIR_PLUGIN("schools", "1.0", start)
