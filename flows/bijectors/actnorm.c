/* actnorm: x = loc + scale * z, both learned, of each feature by itself or, of images, of each channel (Kingma &
 * Dhariwal 2018, Glow, section 3.1). Fitted to the data before training, so that z starts with mean 0 and variance 1;
 * without data, at the identity. log|det dx/dz| = Σ log scale, over all features. */
#include <weir/bijector.h>
#include <weir/features.h>

#include <math.h>

/* How many have a scale of their own, and how many features share each. */
static size_t channels_of(const nf_bijector *self)
{
    return nf_image_shape(self).dim[0];
}

static size_t pixels_of(const nf_bijector *self)
{
    return self->dim / channels_of(self);
}

static ad_status build(nf_bijector *self, ad_error *error)
{
    nf_parameter_spec loc = {.name = "loc", .shape = AD_SHAPE(channels_of(self))};
    nf_parameter_spec log_scale = {.name = "log_scale", .shape = AD_SHAPE(channels_of(self))};
    ad_status status = nf_declare(self, &loc, error);
    return status == AD_OK ? nf_declare(self, &log_scale, error) : status;
}

/* A parameter, of each feature. */
static ad_var spread(const nf_scope *at, const char *name)
{
    const size_t channels = channels_of(at->self), pixels = pixels_of(at->self);
    ad_var parameter = nf_param(at, name);
    if (pixels == 1) return parameter;
    ad_var column = ad_reshape(parameter, AD_SHAPE(channels, 1));
    return ad_reshape(ad_broadcast(column, AD_SHAPE(channels, pixels)), AD_SHAPE(at->self->dim));
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    ad_var log_scale = spread(at, "log_scale");
    *log_det = ad_sum(log_scale);
    return ad_add(ad_mul(z, ad_exp(log_scale)), spread(at, "loc"));
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    ad_var log_scale = spread(at, "log_scale");
    *log_det = ad_neg(ad_sum(log_scale));
    return ad_mul(ad_sub(x, spread(at, "loc")), ad_exp(ad_neg(log_scale)));
}

/* Mean and standard deviation of the pixels of channel c, from each one's. */
static ad_status moments_of(const nf_bijector *self, const double *x, size_t rows, size_t c, double *mean, double *sd,
                            ad_error *error)
{
    const size_t pixels = pixels_of(self);
    double sum = 0, squares = 0, first = 0;
    for (size_t j = c * pixels; j < (c + 1) * pixels; j++) {
        if (!nf_column_moments(x, rows, self->dim, j, mean, sd))
            return ad_error_set(error, AD_ERROR_NUMERIC, "actnorm: column %zu has no finite mean and variance", j + 1);
        if (j == c * pixels) first = *mean;
        sum += *mean - first;
        squares += *sd * *sd + (*mean - first) * (*mean - first);
    }
    if (pixels == 1) return AD_OK;
    const double shift = sum / (double)pixels, variance = squares / (double)pixels - shift * shift;
    *mean = first + shift;
    *sd = sqrt(variance > 0 ? variance : 0);
    return AD_OK;
}

static ad_status fit(nf_bijector *self, const double *x, size_t rows, ad_error *error)
{
    double *loc = nf_parameter_value(self, "loc"), *log_scale = nf_parameter_value(self, "log_scale");
    for (size_t c = 0; c < channels_of(self); c++) {
        double sd;
        ad_status status = moments_of(self, x, rows, c, &loc[c], &sd, error);
        if (status != AD_OK) return status;
        log_scale[c] = sd > 0 ? log(sd) : 0;
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
