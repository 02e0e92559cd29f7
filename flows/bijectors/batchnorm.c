/* batchnorm: batch normalisation as a bijector (Dinh et al. 2017, section 3.7; Papamakarios et al. 2017, eq. 15),
 *
 *     z = (x - m) / √(v + ε) * exp(γ) + β,      log|det dz/dx| = Σ γ - log(v + ε)/2,
 *
 * with γ and β learned, from 0. While training on data, m and v are the mini-batch's mean and variance of each feature,
 * and gradients pass through them. Everything else uses those that are kept with the parameters: at first the moments
 * of the data; then running averages (m ← (1-momentum) m + momentum m_batch), which nf_fit() replaces by the moments of
 * the training rows under the weights that it validates and keeps. Running averages lag behind weights that move fast,
 * and belong to no averaged weights at all. */
#include <weir/bijector.h>
#include <weir/features.h>

#include <math.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    ad_shape shape = AD_SHAPE(self->dim);
    const nf_parameter_spec specs[] = {{.name = "mean", .shape = shape, .fixed = true},
                                       {.name = "variance", .shape = shape, .value = 1, .fixed = true},
                                       {.name = "log_gain", .shape = shape},
                                       {.name = "offset", .shape = shape}};
    ad_status status = AD_OK;
    for (int i = 0; i < 4 && status == AD_OK; i++) status = nf_declare(self, &specs[i], error);
    return status;
}

/* log of √(v + ε) exp(-γ), what z - β is multiplied by. */
static ad_var log_scale(const nf_scope *at, ad_var variance)
{
    ad_var regular = ad_add_scalar(variance, nf_argument_value(at->self, "epsilon"));
    return ad_sub(ad_mul_scalar(ad_log(regular), 0.5), nf_param(at, "log_gain"));
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    ad_var scale = log_scale(at, nf_param(at, "variance"));
    *log_det = ad_sum(scale);
    return ad_add(ad_mul(ad_sub(z, nf_param(at, "offset")), ad_exp(scale)), nf_param(at, "mean"));
}

static ad_var running(const nf_scope *at, const char *name, ad_var of_batch)
{
    if (at->statistics) return of_batch;
    double momentum = nf_argument_value(at->self, "momentum");
    return ad_add(ad_mul_scalar(nf_param(at, name), 1 - momentum), ad_mul_scalar(of_batch, momentum));
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    ad_var mean = nf_param(at, "mean"), variance = nf_param(at, "variance");
    if (at->training) {
        ad_var rows = ad_row_count(x.tape);
        ad_var batch_mean = ad_div(ad_sum_rows(ad_to_rows(x)), rows);
        ad_var batch_variance = ad_div(ad_sum_rows(ad_square(ad_sub(ad_to_rows(x), batch_mean))), rows);
        nf_update(at, "mean", running(at, "mean", batch_mean));
        nf_update(at, "variance", running(at, "variance", batch_variance));
        mean = batch_mean;
        variance = batch_variance;
    }
    ad_var scale = log_scale(at, variance);
    *log_det = ad_neg(ad_sum(scale));
    return ad_add(ad_mul(ad_sub(x, mean), ad_exp(ad_neg(scale))), nf_param(at, "offset"));
}

static ad_status fit(nf_bijector *self, const double *x, size_t rows, ad_error *error)
{
    double *mean = nf_parameter_value(self, "mean"), *variance = nf_parameter_value(self, "variance");
    for (size_t j = 0; j < self->dim; j++) {
        double sd;
        if (!nf_column_moments(x, rows, self->dim, j, &mean[j], &sd))
            return ad_error_set(error, AD_ERROR_NUMERIC, "batchnorm: column %zu has no finite mean and variance",
                                j + 1);
        variance[j] = sd * sd;
    }
    return AD_OK;
}

static const nf_argument arguments[] = {
    {"momentum", NF_NUMBER, 0.1, 0, 1, NULL, "of the running averages: the weight of the newest batch"},
    {"epsilon", NF_NUMBER, 1e-5, 1e-12, 1, NULL, "added to the variance"},
    {0},
};

const nf_bijector_type nf__type_batchnorm = {
    .name = "batchnorm",
    .help = "z = (x - m) / sqrt(v + epsilon) * exp(log_gain) + offset, m and v of the batch in training",
    .argument = arguments,
    .build = build,
    .forward = forward,
    .inverse = inverse,
    .fit = fit,
};
