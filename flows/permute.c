/* permute: x_i = z_p(i) for a fixed permutation p, random by its seed. log|det J| = 0. */
#include "internal.h"

static ad_var reorder(const nf_bijector *self, ad_var v, ad_var *log_det, bool inverse)
{
    *log_det = ad_scalar(v.tape, 0);
    size_t *index = ad_alloc(self->dim, sizeof *index);
    if (!index) {
        ad_tape_fail(v.tape, AD_ERROR_MEMORY, "out of memory for a permutation of %zu features", self->dim);
        return v;
    }
    for (size_t i = 0; i < self->dim; i++) {
        size_t image = ad_random_permutation((uint64_t)nf_argument_value(self, "seed"), 0, self->dim, i);
        if (inverse)
            index[image] = i;
        else
            index[i] = image;
    }
    ad_var y = ad_gather(v, index, self->dim);
    ad_free(index);
    return y;
}

static ad_var forward(const nf_bijector *self, ad_var z, ad_var *log_det)
{
    return reorder(self, z, log_det, false);
}

static ad_var inverse(const nf_bijector *self, ad_var x, ad_var *log_det)
{
    return reorder(self, x, log_det, true);
}

static const nf_argument arguments[] = {
    {"seed", NF_COUNT, 0, 0, 9007199254740992.0, NULL, "which permutation"},
    {0},
};

const nf_bijector_type nf_type_permute = {
    .name = "permute",
    .help = "x_i = z_p(i), p random by seed",
    .argument = arguments,
    .forward = forward,
    .inverse = inverse,
};
