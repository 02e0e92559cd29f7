/* standardize: x = mean + sd * z, with the mean and standard deviation of the data, set by fit and not trained. As the
 * last step of a chain it gives the rest data of mean 0 and variance 1, and log-probabilities stay in the data's units.
 */
#include "internal.h"

#include <math.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    nf_parameter_spec mean = {.name = "mean", .shape = AD_SHAPE(self->dim), .fixed = true};
    nf_parameter_spec sd = {.name = "sd", .shape = AD_SHAPE(self->dim), .value = 1, .fixed = true};
    ad_status status = nf_declare(self, &mean, error);
    return status == AD_OK ? nf_declare(self, &sd, error) : status;
}

static ad_var forward(const nf_bijector *self, ad_var z, ad_var *log_det)
{
    *log_det = ad_sum(ad_log(nf_param(self, "sd")));
    return ad_add(ad_mul(z, nf_param(self, "sd")), nf_param(self, "mean"));
}

static ad_var inverse(const nf_bijector *self, ad_var x, ad_var *log_det)
{
    *log_det = ad_neg(ad_sum(ad_log(nf_param(self, "sd"))));
    return ad_div(ad_sub(x, nf_param(self, "mean")), nf_param(self, "sd"));
}

/* Two passes, so that a large mean doesn't cancel. A constant feature keeps its scale: sd 1. */
static ad_status fit(nf_bijector *self, const double *x, size_t rows, ad_error *error)
{
    double *mean = nf_parameter_value(self, "mean"), *sd = nf_parameter_value(self, "sd");
    for (size_t j = 0; j < self->dim; j++) {
        double sum = 0, squares = 0;
        for (size_t r = 0; r < rows; r++) sum += x[r * self->dim + j];
        mean[j] = sum / (double)rows;
        for (size_t r = 0; r < rows; r++)
            squares += (x[r * self->dim + j] - mean[j]) * (x[r * self->dim + j] - mean[j]);
        sd[j] = sqrt(squares / (double)rows);
        if (!isfinite(sd[j]))
            return ad_error_set(error, AD_ERROR_NUMERIC, "standardize: column %zu has no finite mean and variance",
                                j + 1);
        if (sd[j] == 0) sd[j] = 1;
    }
    return AD_OK;
}

const nf_bijector_type nf_type_standardize = {
    .name = "standardize",
    .help = "x = mean + sd * z, of the data it is fitted to",
    .build = build,
    .forward = forward,
    .inverse = inverse,
    .fit = fit,
};
