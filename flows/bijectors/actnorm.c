/* actnorm: x = loc + scale * z, each feature by itself, both learned (Kingma & Dhariwal 2018, Glow, section 3.1).
 * Fitted to the data before training, so that z starts with mean 0 and variance 1; without data, at the identity.
 * log|det dx/dz| = Σ log scale. */
#include <weir/bijector.h>
#include <weir/features.h>

#include <math.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    nf_parameter_spec loc = {.name = "loc", .shape = AD_SHAPE(self->dim)};
    nf_parameter_spec log_scale = {.name = "log_scale", .shape = AD_SHAPE(self->dim)};
    ad_status status = nf_declare(self, &loc, error);
    return status == AD_OK ? nf_declare(self, &log_scale, error) : status;
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    ad_var log_scale = nf_param(at, "log_scale");
    *log_det = ad_sum(log_scale);
    return ad_add(ad_mul(z, ad_exp(log_scale)), nf_param(at, "loc"));
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    ad_var log_scale = nf_param(at, "log_scale");
    *log_det = ad_neg(ad_sum(log_scale));
    return ad_mul(ad_sub(x, nf_param(at, "loc")), ad_exp(ad_neg(log_scale)));
}

static ad_status fit(nf_bijector *self, const double *x, size_t rows, ad_error *error)
{
    double *loc = nf_parameter_value(self, "loc"), *log_scale = nf_parameter_value(self, "log_scale");
    for (size_t j = 0; j < self->dim; j++) {
        double sd;
        if (!nf_column_moments(x, rows, self->dim, j, &loc[j], &sd))
            return ad_error_set(error, AD_ERROR_NUMERIC, "actnorm: column %zu has no finite mean and variance", j + 1);
        log_scale[j] = sd > 0 ? log(sd) : 0;
    }
    return AD_OK;
}

const nf_bijector_type nf__type_actnorm = {
    .name = "actnorm",
    .help = "x = loc + exp(log_scale) * z, started from the data's moments and learned",
    .build = build,
    .forward = forward,
    .inverse = inverse,
    .fit = fit,
    .fits_moments = true,
};
