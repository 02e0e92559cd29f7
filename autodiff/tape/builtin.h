/* The ops by name: the one place that lists them. Each is a descriptor `ad_op` beside its kernels, in the file of ops/
 * that is said here. */
#ifndef WEIR_AUTODIFF_TAPE_BUILTIN_H
#define WEIR_AUTODIFF_TAPE_BUILTIN_H

#include <weir/op.h>

/* clang-format off */

/* X(name): one argument, recorded by ad_name(x). */
#define AD_UNARY_OPS(X)                                                                                                \
    X(neg) X(sqrt) X(square) X(abs) X(sign) X(floor)                                    /* arithmetic.c */             \
    X(relu)                                                                             /* selection.c */              \
    X(exp) X(log) X(log1p) X(expm1) X(tanh) X(sigmoid) X(softplus) X(sin) X(cos)        /* transcendental.c */         \
    X(erf) X(erfc)                                                                      /* error_function.c */         \
    X(ndtri) X(ndtri_exp) X(erfinv)                                                     /* normal_quantile.c */        \
    X(lgamma)                                                                           /* gamma.c */                  \
    X(cholesky)                                                                         /* cholesky.c */               \
    X(stop_gradient)                                                                    /* layout.c */

/* X(name): two arguments that broadcast, recorded by ad_name(a, b). */
#define AD_BINARY_OPS(X)                                                                                               \
    X(add) X(sub) X(mul) X(div)                                                         /* arithmetic.c */             \
    X(maximum) X(minimum) X(greater) X(greater_equal) X(equal)                          /* selection.c */              \
    X(pow) X(atan2)                                                                     /* power.c */                  \
    X(lbeta)                                                                            /* beta.c */

/* X(name): two ops in one pass, which ad__simplify() makes of pairs. */
#define AD_FUSED_OPS(X)                                                                                                \
    X(mul_add)                                                                          /* arithmetic.c */             \
    X(mul_sum)                                                                          /* sum.c */

/* X(name): recorded by a function of its own, in tape/record.c; leaves in tape.c, products in matmul.c, convolutions
 * in convolution.c, roots in root_program.c, differential equations in ode_program.c. */
#define AD_OTHER_OPS(X)                                                                                                \
    X(tanh_slope)                                                                       /* transcendental.c */         \
    X(log_ndtr)                                                                         /* error_function.c */         \
    X(polygamma)                                                                        /* gamma.c */                  \
    X(lbeta_slope)                                                                      /* beta.c */                   \
    X(where) X(inside) X(leaky_relu) X(gate)                                            /* selection.c */              \
    X(input) X(param) X(constant) X(row_count)                                          /* leaf.c */                   \
    X(normal) X(uniform)                                                                /* noise.c */                  \
    X(sum) X(cumsum) X(sum_rows)                                                        /* sum.c */                    \
    X(max) X(logsumexp)                                                                 /* max.c */                    \
    X(reshape) X(transpose) X(broadcast) X(to_rows) X(slice) X(pad) X(concat)           /* layout.c */                 \
    X(gather) X(scatter)                                                                /* gather.c */                 \
    X(matmul) X(matmul_rows)                                                            /* matmul.c */                 \
    X(conv2d)                                                                           /* convolution.c */            \
    X(conv2d_weight) X(conv2d_weight_rows)                                              /* convolution_weight.c */     \
    X(solve_triangular)                                                                 /* triangular.c */             \
    X(solve) X(log_abs_det)                                                             /* lu.c */                     \
    X(root_elementwise) X(root_triangular) X(root_general)                              /* root.c */                   \
    X(ode) X(ode_rows) X(ode_shared)                                                    /* ode.c */

/* clang-format on */

#define AD_ALL_OPS(X) AD_UNARY_OPS(X) AD_BINARY_OPS(X) AD_FUSED_OPS(X) AD_OTHER_OPS(X)

#define AD_OP_ENUM(name) AD_OP_##name,
typedef enum { AD_ALL_OPS(AD_OP_ENUM) AD_OP_COUNT } ad__op_id;
#undef AD_OP_ENUM

/* The op with the kernels of this CPU: files of ops/ are compiled once for each instruction set and dtype, and each
 * compilation has its own copy of the descriptors, in which only .evaluate or .loop of that dtype is set. From any
 * thread. */
const ad_op *ad__builtin(ad__op_id id);

#endif
