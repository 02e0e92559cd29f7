/* The table of ops: the one place that lists them. Each is a descriptor `ad_op` beside its kernels. */
#ifndef WEIR_AUTODIFF_OPS_OPS_H
#define WEIR_AUTODIFF_OPS_OPS_H

/* clang-format off */

/* X(name): one argument, recorded by ad_name(x). In elementwise.c, transcendental.c. */
#define AD_UNARY_OPS(X)                                                                                                \
    X(neg) X(exp) X(log) X(log1p) X(expm1) X(tanh) X(sigmoid) X(softplus) X(relu) X(sqrt) X(square) X(abs) X(sign)     \
    X(sin) X(cos) X(stop_gradient)

/* X(name): two arguments that broadcast, recorded by ad_name(a, b). In elementwise.c. */
#define AD_BINARY_OPS(X)                                                                                               \
    X(add) X(sub) X(mul) X(div) X(maximum) X(minimum) X(greater) X(greater_equal) X(equal)

/* X(name): two ops in one pass, which the plan makes of pairs; see simplify.c. */
#define AD_FUSED_OPS(X)                                                                                                \
    X(mul_add)                                                                          /* elementwise.c */            \
    X(mul_sum)                                                                          /* reduce.c */

/* X(name): recorded by a function of its own in record.c, leaves in tape.c. */
#define AD_OTHER_OPS(X)                                                                                                \
    X(where) X(leaky_relu) X(gate) X(tanh_slope)                                        /* elementwise.c */            \
    X(input) X(param) X(constant) X(row_count)                                          /* leaf.c */                   \
    X(normal) X(uniform)                                                                /* noise.c */                  \
    X(sum) X(max) X(logsumexp) X(cumsum) X(sum_rows) X(to_rows)                         /* reduce.c */                 \
    X(reshape) X(transpose) X(broadcast) X(slice) X(pad) X(concat) X(gather) X(scatter) /* layout.c */                 \
    X(matmul) X(matmul_rows) X(solve_triangular)                                        /* linear.c */                 \
    X(solve) X(log_abs_det)                                                             /* lu.c */                     \
    X(root_elementwise) X(root_triangular) X(root_general)                              /* root.c */

/* clang-format on */

#define AD_ALL_OPS(X) AD_UNARY_OPS(X) AD_BINARY_OPS(X) AD_FUSED_OPS(X) AD_OTHER_OPS(X)

#endif
