/* Recording convolutions, and their gradients. */
#include "tape/builtin.h"
#include "tape/record.h"

static ad_var convolve(ad_var x, ad_var weight, bool transposed)
{
    const double attribute = transposed;
    return ad_apply(ad__builtin(AD_OP_conv2d), (ad_var[]){x, weight}, 2, &attribute, 1, x.tape);
}

ad_var ad_conv2d(ad_var x, ad_var weight)
{
    return convolve(x, weight, false);
}

/* Of a shared weight the gradient is summed over rows at once, where both images are per-row. */
static ad_var weight_gradient(ad_var weight, ad_var g, ad_var x)
{
    const ad_shape shape = ad_shape_of(weight);
    const double attribute[] = {(double)shape.dim[0], (double)shape.dim[1]};
    const bool sums = !ad_is_per_row(weight) && ad_is_per_row(g) && ad_is_per_row(x);
    return ad_apply(ad__builtin(sums ? AD_OP_conv2d_weight_rows : AD_OP_conv2d_weight), (ad_var[]){g, x}, 2, attribute,
                    2, g.tape);
}

void ad__conv2d_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    const ad_var x = call->in[0], weight = call->in[1];
    const bool transposed = call->attribute[0] != 0;
    gradient[0] = convolve(g, weight, !transposed);
    gradient[1] = transposed ? weight_gradient(weight, x, g) : weight_gradient(weight, g, x);
}

/* h is of the weight's shape. */
void ad__conv2d_weight_vjp(const ad_call *call, ad_var y, ad_var h, ad_var *gradient)
{
    (void)y;
    gradient[0] = convolve(call->in[1], h, false);
    gradient[1] = convolve(call->in[0], h, true);
}
