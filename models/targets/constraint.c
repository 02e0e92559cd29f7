/* Constraints of sites: each one's map from the real line, its log-determinant, and the way back. Formulas: Stan
 * reference manual, "Constraint transforms". All in log space; z may be large. */
#include "targets/constraint.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- Maps: z of this site, shape (unconstrained size), to its value; *log_det is of shape () ----------------- */

static ad_var real(const nf_site *site, ad_var z, ad_var *log_det)
{
    (void)site;
    *log_det = ad_scalar(z.tape, 0);
    return z;
}

static ad_var positive(const nf_site *site, ad_var z, ad_var *log_det)
{
    (void)site;
    *log_det = ad_sum(z);
    return ad_exp(z);
}

/* log(s (1 - s)) of s = sigmoid(z). */
static ad_var log_sigmoid_slope(ad_var z)
{
    return ad_neg(ad_add(ad_softplus(z), ad_softplus(ad_neg(z))));
}

static ad_var interval(const nf_site *site, ad_var z, ad_var *log_det)
{
    double width = site->high - site->low;
    *log_det = ad_add_scalar(ad_sum(log_sigmoid_slope(z)), (double)site->size * log(width));
    return ad_add_scalar(ad_mul_scalar(ad_sigmoid(z), width), site->low);
}

/* Σ_{j<i} v_j */
static ad_var sum_before(ad_var v)
{
    return ad_sub(ad_cumsum(v, 0, false), v);
}

/* Of what is left of the stick, piece k takes the part sigmoid(y_k), y_k = z_k - log(size - k), k from 1. */
static ad_var simplex(const nf_site *site, ad_var z, ad_var *log_det)
{
    ad_tape *tape = z.tape;
    *log_det = ad_scalar(tape, 0);
    if (site->size == 1) return ad_constant(tape, AD_SHAPE(1), (double[]){1});
    double *centre = ad_alloc(site->size - 1, sizeof *centre);
    if (!centre) {
        ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for a simplex of %zu", site->size);
        return z;
    }
    for (size_t k = 0; k + 1 < site->size; k++) centre[k] = log((double)(site->size - 1 - k));
    ad_var y = ad_sub(z, ad_constant(tape, AD_SHAPE(site->size - 1), centre));
    ad_free(centre);
    ad_var log_rest = ad_neg(ad_softplus(y)); /* log(1 - sigmoid y) */
    ad_var log_left = sum_before(log_rest);
    ad_var log_piece = ad_add(log_left, ad_neg(ad_softplus(ad_neg(y))));
    ad_var log_last = ad_reshape(ad_sum(log_rest), AD_SHAPE(1));
    *log_det = ad_sum(ad_add(log_left, log_sigmoid_slope(y)));
    return ad_exp(ad_concat((ad_var[]){log_piece, log_last}, 2, 0));
}

static ad_var ordered(const nf_site *site, ad_var z, ad_var *log_det)
{
    *log_det = ad_scalar(z.tape, 0);
    if (site->size == 1) return z;
    ad_var first = ad_slice(z, 0, 0, 1), steps = ad_slice(z, 0, 1, site->size);
    *log_det = ad_sum(steps);
    return ad_cumsum(ad_concat((ad_var[]){first, ad_exp(steps)}, 2, 0), 0, false);
}

/* log(1 - tanh² z) */
static ad_var log_tanh_slope(ad_var z)
{
    return ad_mul_scalar(ad_add_scalar(ad_neg(ad_add(z, ad_softplus(ad_mul_scalar(z, -2)))), log(2)), 2);
}

size_t nf__square_root(size_t size)
{
    return (size_t)llround(sqrt((double)size));
}

/* Row i: L_ij = w_ij Π_{k<j} √(1 - w_ik²), L_ii = Π_{k<i} √(1 - w_ik²), w = tanh z. */
static ad_var correlation_cholesky(const nf_site *site, ad_var z, ad_var *log_det)
{
    ad_tape *tape = z.tape;
    size_t n = nf__square_root(site->size);
    ad_var *row = ad_alloc(n, sizeof *row);
    double *zero = ad_alloc(n, sizeof *zero);
    *log_det = ad_scalar(tape, 0);
    if (!row || !zero) ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for a correlation matrix of %zu", n);
    for (size_t i = 0; row && zero && i < n; i++) {
        ad_var diagonal = ad_constant(tape, AD_SHAPE(1), (double[]){1}), part[3];
        int parts = 0;
        if (i > 0) {
            ad_var y = ad_slice(z, 0, i * (i - 1) / 2, i * (i + 1) / 2);
            ad_var log_slope = log_tanh_slope(y), log_left = ad_mul_scalar(sum_before(log_slope), 0.5);
            part[parts++] = ad_mul(ad_tanh(y), ad_exp(log_left));
            diagonal = ad_reshape(ad_exp(ad_mul_scalar(ad_sum(log_slope), 0.5)), AD_SHAPE(1));
            *log_det = ad_add(*log_det, ad_sum(ad_add(log_left, log_slope)));
        }
        part[parts++] = diagonal;
        if (i + 1 < n) part[parts++] = ad_constant(tape, AD_SHAPE(n - 1 - i), zero);
        row[i] = ad_reshape(ad_concat(part, parts, 0), AD_SHAPE(1, n));
    }
    ad_var factor = row && zero ? ad_concat(row, (int)n, 0) : z;
    ad_free(zero);
    ad_free(row);
    return factor;
}

/* ---- And back: false where no z has this value --------------------------------------------------------------- */

/* Files keep few digits, and rounding may put a value on the edge of its support, where z would be infinite. Such a
 * value is taken as the number next to it, inside. */
static bool real_back(const nf_site *site, const double *x, double *z)
{
    memcpy(z, x, site->size * sizeof *z);
    return true;
}

static bool positive_back(const nf_site *site, const double *x, double *z)
{
    for (size_t i = 0; i < site->size; i++) {
        if (x[i] < 0) return false;
        z[i] = log(x[i] == 0 ? DBL_MIN : x[i]);
    }
    return true;
}

static bool interval_back(const nf_site *site, const double *x, double *z)
{
    for (size_t i = 0; i < site->size; i++) {
        if (x[i] < site->low || x[i] > site->high) return false;
        double inside = fmin(fmax(x[i], nextafter(site->low, site->high)), nextafter(site->high, site->low));
        z[i] = log(inside - site->low) - log(site->high - inside);
    }
    return true;
}

/* Of numbers that add up to 1 to this precision: what single precision leaves of it. */
static const double rounding = 1e-4;

static bool simplex_back(const nf_site *site, const double *x, double *z)
{
    double rest = 0; /* of the stick, behind piece k */
    for (size_t k = site->size; k-- > 0;) {
        if (x[k] < 0) return false;
        double piece = fmax(x[k], DBL_MIN);
        if (k + 1 < site->size) z[k] = log(piece) - log(rest) + log((double)(site->size - 1 - k));
        rest += piece;
    }
    return fabs(rest - 1) <= rounding;
}

static bool ordered_back(const nf_site *site, const double *x, double *z)
{
    z[0] = x[0];
    for (size_t i = 1; i < site->size; i++) {
        if (x[i] < x[i - 1]) return false;
        z[i] = log(x[i] > x[i - 1] ? x[i] - x[i - 1] : nextafter(x[i], INFINITY) - x[i]);
    }
    return true;
}

/* tanh z_ij = w_ij = L_ij / √(Σ_{k>=j} L_ik²), for what is left of row i is the square of what follows; so sinh z_ij =
 * L_ij / √(Σ_{k>j} L_ik²), in which nothing cancels. */
static bool correlation_cholesky_back(const nf_site *site, const double *x, double *z)
{
    const size_t n = nf__square_root(site->size);
    for (size_t i = 0; i < n; i++) {
        const double *row = x + i * n;
        for (size_t j = i + 1; j < n; j++)
            if (row[j] != 0) return false;
        if (row[i] < 0) return false;
        double left = fmax(row[i] * row[i], DBL_MIN);
        for (size_t j = i; j-- > 0;) {
            z[i * (i - 1) / 2 + j] = asinh(row[j] / sqrt(left));
            left += row[j] * row[j];
        }
        if (!(fabs(left - 1) <= rounding)) return false;
    }
    return true;
}

/* ---- The table ------------------------------------------------------------------------------------------------ */

static size_t same(size_t size)
{
    return size;
}

static size_t one_less(size_t size)
{
    return size - 1;
}

static size_t below_diagonal(size_t size)
{
    size_t n = nf__square_root(size);
    return n * (n - 1) / 2;
}

static const struct {
    size_t (*dim)(size_t size);
    ad_var (*map)(const nf_site *site, ad_var z, ad_var *log_det);
    bool (*back)(const nf_site *site, const double *x, double *z);
} constraints[] = {
    [NF_SITE_REAL] = {same, real, real_back},
    [NF_SITE_POSITIVE_EXP] = {same, positive, positive_back},
    [NF_SITE_INTERVAL] = {same, interval, interval_back},
    [NF_SITE_SIMPLEX] = {one_less, simplex, simplex_back},
    [NF_SITE_ORDERED] = {same, ordered, ordered_back},
    [NF_SITE_CORRELATION_CHOLESKY] = {below_diagonal, correlation_cholesky, correlation_cholesky_back},
};
enum { CONSTRAINTS = sizeof constraints / sizeof *constraints };

const char *nf__site_fault(const nf_site *site)
{
    if ((size_t)site->constraint >= CONSTRAINTS) return "has no such constraint";
    if (!site->name) return "has no name";
    if (site->size == 0) return "needs a size of at least 1";
    if (site->constraint == NF_SITE_INTERVAL && !(site->low < site->high && isfinite(site->high - site->low)))
        return "is an interval, and needs low < high, both finite";
    size_t root = nf__square_root(site->size);
    if (site->constraint == NF_SITE_CORRELATION_CHOLESKY && root * root != site->size)
        return "is a matrix of K rows, and needs the size K²";
    return NULL;
}

size_t nf__site_dim(const nf_site *site)
{
    return nf__site_fault(site) ? 0 : constraints[site->constraint].dim(site->size);
}

ad_var nf__site_constrain(const nf_site *site, ad_var z, ad_var *log_det)
{
    return constraints[site->constraint].map(site, z, log_det);
}

bool nf__site_unconstrain(const nf_site *site, const double *x, double *z)
{
    return constraints[site->constraint].back(site, x, z);
}
