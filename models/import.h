/* Flows that others have trained: zuko's and nflows', from PyTorch, as flows of Weir's with the same density.
 *
 *     safetensors.torch.save_file(flow.state_dict(), "zuko.safetensors")              # Python
 *
 *     nf_flow *flow = nf_import("zuko.safetensors", NULL, &error);
 *     nf_save(flow, NULL, "model.safetensors", &error);
 *
 * Which transforms there are, their order, masks, sizes and kind are read from the tensors' names and shapes; what
 * isn't in them is said by the options. Read are, of a base N(0, I),
 *
 *   zuko     MAF (in any order, with or without a context) and NICE, of affine maps, and NSF
 *   nflows   MaskedAffineAutoregressiveTransform and MaskedPiecewiseRationalQuadraticAutoregressiveTransform without
 *            residual blocks and context, AffineCouplingTransform and PiecewiseRationalQuadraticCouplingTransform with
 * a ResidualNet without context, permutations: alone or in a CompositeTransform, in a Flow
 *
 * with the activation ReLU, or another that the options name, no dropout, no batch normalisation, and the libraries'
 * default least widths, heights and slopes. Masked networks are laid out anew: Weir sorts hidden units by their degree,
 * and has as many of each, so that there may be more of them, with weights 0; units that depend on nothing become part
 * of biases. */
#ifndef WEIR_IMPORT_H
#define WEIR_IMPORT_H

#include <weir/flow.h>

WEIR_BEGIN_DECLARATIONS

/* Zero means the default; new members go at the end. */
typedef struct {
    const char *activation; /* as in formulas; NULL: relu, the default of both libraries */
    double tail; /* of splines: nflows' tail_bound, with tails="linear"; 5 of zuko's NSF. There is no default: whether
                  * parameters are those of a spline isn't in the file either */
    double slope; /* of zuko's splines: slope; 1e-3 */
} nf_import_options;

/* A new flow in the dtype of the tensors; NULL with *error on failure: not there, no safetensors file (AD_ERROR_IO,
 * AD_ERROR_FORMAT), a tensor that is missing, of another shape, or of something that isn't among the above, by its name
 * (AD_ERROR_FORMAT). options and error may be NULL. May be called from several threads at once. */
nf_flow *nf_import(const char *path, const nf_import_options *options, ad_error *error);

WEIR_END_DECLARATIONS

#endif
