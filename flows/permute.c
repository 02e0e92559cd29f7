/* permute: x_i = z_p(i) for a fixed permutation p, random by its seed; flip: the features in reverse. log|det J| = 0.
 */
#include "internal.h"

static uint64_t permuted(const nf_bijector *self, uint64_t i)
{
    return ad_random_permutation((uint64_t)nf_argument_value(self, "seed"), 0, self->dim, i);
}

static uint64_t flipped(const nf_bijector *self, uint64_t i)
{
    return self->dim - 1 - i;
}

/* y_i = v_p(i), or inverse: y_p(i) = v_i. */
static ad_var reorder(const nf_bijector *self, uint64_t (*p)(const nf_bijector *, uint64_t), bool inverse, ad_var v,
                      ad_var *log_det)
{
    size_t *index = ad_alloc(self->dim, sizeof *index);
    if (!index) {
        ad_tape_fail(v.tape, AD_ERROR_MEMORY, "out of memory for a permutation of %zu features", self->dim);
        return v;
    }
    for (size_t i = 0; i < self->dim; i++) {
        if (inverse)
            index[p(self, i)] = i;
        else
            index[i] = p(self, i);
    }
    *log_det = ad_scalar(v.tape, 0);
    ad_var y = ad_gather(v, index, self->dim);
    ad_free(index);
    return y;
}

static ad_var permute_forward(const nf_bijector *self, ad_var z, ad_var *log_det)
{
    return reorder(self, permuted, false, z, log_det);
}

static ad_var permute_inverse(const nf_bijector *self, ad_var x, ad_var *log_det)
{
    return reorder(self, permuted, true, x, log_det);
}

/* Its own inverse. */
static ad_var flip_either(const nf_bijector *self, ad_var v, ad_var *log_det)
{
    return reorder(self, flipped, false, v, log_det);
}

static const nf_argument permute_arguments[] = {
    {"seed", NF_NUMBER, 0, 0, 9007199254740992.0, NULL, "which permutation"},
    {0},
};

const nf_bijector_type nf_type_permute = {
    .name = "permute",
    .help = "x_i = z_p(i), p random by seed",
    .argument = permute_arguments,
    .forward = permute_forward,
    .inverse = permute_inverse,
};

const nf_bijector_type nf_type_flip = {
    .name = "flip",
    .help = "x_i = z_(D+1-i)",
    .forward = flip_either,
    .inverse = flip_either,
};
