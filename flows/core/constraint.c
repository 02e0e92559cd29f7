/* Constrained parameters: the real ρ that is stored and trained, and the value that obeys.
 *
 * Positive values are softplus(ρ) = log(1 + e^ρ): linear for large ρ, so that a step of the optimiser moves a large
 * scale no more than a small one. */
#include "core/internal.h"

#include <weir/bijector.h>

#include <math.h>

/* softplus⁻¹(y) = log(eʸ - 1) = y + log(1 - e⁻ʸ) */
static double inverse_softplus(double y)
{
    return y + log(-expm1(-y));
}

static double logit(double p)
{
    return log(p) - log1p(-p);
}

double nf__unconstrain(const nf_parameter_spec *spec, double value, size_t i)
{
    switch (spec->constraint) {
    case NF_REAL:
        break;
    case NF_POSITIVE:
        return inverse_softplus(value);
    case NF_UNIT_INTERVAL:
        return logit(value);
    case NF_INTERVAL:
        return logit((value - spec->low) / (spec->high - spec->low));
    case NF_LOWER_TRIANGULAR:
    case NF_UNIT_LOWER_TRIANGULAR: {
        size_t row = i / spec->shape.dim[1], column = i % spec->shape.dim[1];
        if (row < column || (row == column && spec->constraint == NF_UNIT_LOWER_TRIANGULAR)) return 0;
        if (row == column) return inverse_softplus(value);
    }
    }
    return value;
}

/* (n,n), 1 below the diagonal (`below`) or on it, else 0. */
static ad_var mask(ad_tape *tape, size_t n, bool below)
{
    double *one = ad_alloc(n, n * sizeof *one);
    if (!one) {
        ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for a mask of %zu x %zu", n, n);
        return (ad_var){tape, -1};
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = below ? 0 : i; j < (below ? i : i + 1); j++) one[i * n + j] = 1;
    ad_var constant = ad_constant(tape, AD_SHAPE(n, n), one);
    ad_free(one);
    return constant;
}

ad_var nf__constrain(const nf_parameter_spec *spec, ad_var rho)
{
    switch (spec->constraint) {
    case NF_REAL:
        break;
    case NF_POSITIVE:
        return ad_softplus(rho);
    case NF_UNIT_INTERVAL:
        return ad_sigmoid(rho);
    case NF_INTERVAL:
        return ad_add_scalar(ad_mul_scalar(ad_sigmoid(rho), spec->high - spec->low), spec->low);
    case NF_LOWER_TRIANGULAR:
    case NF_UNIT_LOWER_TRIANGULAR: {
        size_t n = spec->shape.dim[0];
        ad_var diagonal = mask(rho.tape, n, false), below = ad_mul(rho, mask(rho.tape, n, true));
        if (spec->constraint == NF_LOWER_TRIANGULAR) diagonal = ad_mul(ad_softplus(rho), diagonal);
        return ad_add(below, diagonal);
    }
    }
    return rho;
}
