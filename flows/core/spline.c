/* One bin of a monotone rational-quadratic spline (Gregory & Delbourgo 1982; Durkan et al. 2019, "Neural spline flows",
 * eq. 4 to 8 and appendix A.2). */
#include <weir/features.h>

static ad_var excess(const nf_spline_bin *b)
{
    return ad_sub(ad_add(b->left, b->right), ad_mul_scalar(b->slope, 2));
}

ad_var nf_spline_bin_value(const nf_spline_bin *b, ad_var xi, ad_var *log_slope)
{
    if (!b) {
        ad_tape_fail(xi.tape, AD_ERROR_ARGUMENT, "spline: bin is NULL");
        return (ad_var){xi.tape, -1};
    }
    const ad_var rest = ad_sub(ad_scalar(xi.tape, 1), xi), both = ad_mul(xi, rest);
    const ad_var beta = ad_add(b->slope, ad_mul(excess(b), both));
    const ad_var ends = ad_add(ad_mul(b->right, ad_square(xi)), ad_mul(b->left, ad_square(rest)));
    const ad_var sum = ad_add(ends, ad_mul_scalar(ad_mul(b->slope, both), 2));
    if (log_slope) *log_slope = ad_add(ad_log(sum), ad_mul_scalar(ad_log(ad_div(b->slope, beta)), 2));
    return ad_div(ad_add(ad_mul(b->slope, ad_square(xi)), ad_mul(b->left, both)), beta);
}

/* The root of a ξ² + b ξ + c, a = s - b, b = δ - ση, c = -sη, without cancellation: 2c / (-b - √(b² - 4ac)) for b >= 0,
 * else (-b + √(b² - 4ac)) / 2a, where a > 0. */
ad_var nf_spline_bin_root(const nf_spline_bin *at, ad_var eta)
{
    if (!at) {
        ad_tape_fail(eta.tape, AD_ERROR_ARGUMENT, "spline: bin is NULL");
        return (ad_var){eta.tape, -1};
    }
    const ad_var b = ad_sub(at->left, ad_mul(excess(at), eta)), a = ad_sub(at->slope, b);
    const ad_var minus_c = ad_mul(at->slope, eta);
    const ad_var discriminant = ad_add(ad_square(b), ad_mul_scalar(ad_mul(a, minus_c), 4));
    const ad_var usual = ad_greater_equal(b, ad_scalar(b.tape, 0));
    const ad_var root = ad_sqrt(ad_maximum(discriminant, ad_scalar(b.tape, 1e-30)));
    const ad_var q = ad_add(ad_where(usual, b, ad_neg(b)), root);
    return ad_div(ad_where(usual, ad_mul_scalar(minus_c, 2), q), ad_where(usual, q, ad_mul_scalar(a, 2)));
}
