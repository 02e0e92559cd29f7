/* Targets on an unconstrained event: each site's map and its log-determinant. Formulas: Stan reference manual,
 * "Constraint transforms". All in log space; z may be large. */
#include "targets/target_external.h"

#include <weir/target.h>

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

static size_t square_root(size_t size)
{
    return (size_t)llround(sqrt((double)size));
}

/* Row i: L_ij = w_ij Π_{k<j} √(1 - w_ik²), L_ii = Π_{k<i} √(1 - w_ik²), w = tanh z. */
static ad_var correlation_cholesky(const nf_site *site, ad_var z, ad_var *log_det)
{
    ad_tape *tape = z.tape;
    size_t n = square_root(site->size);
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
    size_t n = square_root(size);
    return n * (n - 1) / 2;
}

static const struct {
    size_t (*unconstrained)(size_t size);
    ad_var (*map)(const nf_site *site, ad_var z, ad_var *log_det);
} constraints[] = {
    [NF_SITE_REAL] = {same, real},         [NF_SITE_POSITIVE_EXP] = {same, positive},
    [NF_SITE_INTERVAL] = {same, interval}, [NF_SITE_SIMPLEX] = {one_less, simplex},
    [NF_SITE_ORDERED] = {same, ordered},   [NF_SITE_CORRELATION_CHOLESKY] = {below_diagonal, correlation_cholesky},
};
enum { CONSTRAINTS = sizeof constraints / sizeof *constraints };

/* ---- The event ----------------------------------------------------------------------------------------------- */

/* What is wrong with a site, or NULL. */
static const char *fault_of(const nf_site *site)
{
    if ((size_t)site->constraint >= CONSTRAINTS) return "has no such constraint";
    if (site->size == 0) return "needs a size of at least 1";
    if (site->constraint == NF_SITE_INTERVAL && !(site->low < site->high && isfinite(site->high - site->low)))
        return "is an interval, and needs low < high, both finite";
    size_t root = square_root(site->size);
    if (site->constraint == NF_SITE_CORRELATION_CHOLESKY && root * root != site->size)
        return "is a matrix of K rows, and needs the size K²";
    return NULL;
}

static size_t unconstrained(const nf_site *site)
{
    return fault_of(site) ? 0 : constraints[site->constraint].unconstrained(site->size);
}

size_t nf_target_dim(const nf_target *target)
{
    size_t dim = 0;
    for (size_t i = 0; i < target->n_site; i++) dim += unconstrained(&target->site[i]);
    return dim;
}

size_t nf_target_size(const nf_target *target)
{
    size_t size = 0;
    for (size_t i = 0; i < target->n_site; i++) size += target->site[i].size;
    return size;
}

const char *nf_target_element(const nf_target *target, size_t i, char *buffer)
{
    const nf_site *site = target->site;
    while (i >= site->size) i -= site++->size;
    size_t columns = square_root(site->size);
    if (site->constraint == NF_SITE_CORRELATION_CHOLESKY)
        snprintf(buffer, 64, "%.20s[%zu,%zu]", site->name, i / columns + 1, i % columns + 1);
    else if (site->size > 1)
        snprintf(buffer, 64, "%.40s[%zu]", site->name, i + 1);
    else
        snprintf(buffer, 64, "%.63s", site->name);
    return buffer;
}

static bool is_sound(const nf_target *target, ad_var z)
{
    char got[128];
    size_t dim = nf_target_dim(target);
    for (size_t i = 0; i < target->n_site; i++) {
        const char *fault = fault_of(&target->site[i]);
        if (!fault) continue;
        ad_tape_fail(z.tape, AD_ERROR_ARGUMENT, "target '%s': site '%s' (size %zu) %s", target->name,
                     target->site[i].name, target->site[i].size, fault);
        return false;
    }
    if (!ad_is_valid(z)) return false;
    if (dim > 0 && ad_shape_equal(ad_shape_of(z), AD_SHAPE(dim))) return true;
    ad_tape_fail(z.tape, AD_ERROR_ARGUMENT, "target '%s' has %zu unconstrained features, got an event of shape %s",
                 target->name, dim, ad_shape_text(ad_shape_of(z), got));
    return false;
}

/* The value of every site, to be freed; NULL when something is wrong. */
static ad_var *constrain(const nf_target *target, ad_var z, ad_var *log_det)
{
    if (!is_sound(target, z)) return NULL;
    ad_var *value = ad_alloc(target->n_site, sizeof *value), one;
    if (!value) {
        ad_tape_fail(z.tape, AD_ERROR_MEMORY, "out of memory for target '%s'", target->name);
        return NULL;
    }
    size_t first = 0;
    *log_det = ad_scalar(z.tape, 0);
    for (size_t i = 0; i < target->n_site; i++) {
        const nf_site *site = &target->site[i];
        size_t size = unconstrained(site);
        /* a simplex of 1 and a correlation matrix of 1 are constants */
        ad_var part = size > 0 ? ad_slice(z, 0, first, first + size) : z;
        ad_tape_enter(z.tape, site->name);
        value[i] = constraints[site->constraint].map(site, part, &one);
        ad_tape_leave(z.tape);
        *log_det = ad_add(*log_det, one);
        first += size;
    }
    return value;
}

/* All sites, one after the other. */
static ad_var join(const nf_target *target, ad_var *value)
{
    for (size_t i = 0; i < target->n_site; i++) value[i] = ad_reshape(value[i], AD_SHAPE(target->site[i].size));
    return ad_concat(value, (int)target->n_site, 0);
}

ad_var nf_target_constrain(const nf_target *target, ad_var z)
{
    ad_var log_det, all = {z.tape, -1}, *value = constrain(target, z, &log_det);
    if (!value) return all;
    all = join(target, value);
    ad_free(value);
    return all;
}

ad_var nf_target_log_density(const nf_target *target, ad_var z)
{
    char got[128];
    ad_var log_det, density = {z.tape, -1}, *value = constrain(target, z, &log_det);
    if (!value) return density;
    ad_tape_enter(z.tape, target->name);
    density = target->external ? nf__target_external(target, join(target, value)) : target->log_density(target, value);
    if (ad_is_valid(density) && ad_shape_of(density).rank != 0)
        ad_tape_fail(z.tape, AD_ERROR_ARGUMENT, "target '%s' gave a log-density of shape %s, expected ()", target->name,
                     ad_shape_text(ad_shape_of(density), got));
    ad_tape_leave(z.tape);
    ad_free(value);
    return ad_add(density, log_det);
}

/* ---- Rows ---------------------------------------------------------------------------------------------------- */

static ad_status evaluate(const nf_target *target, ad_var (*record)(const nf_target *, ad_var), const double *z,
                          size_t rows, double *result, ad_pool *pool, ad_error *error)
{
    ad_error own;
    if (!error) error = &own;
    ad_tape *tape = ad_tape_new();
    ad_var in = ad_input(tape, "z", AD_SHAPE(nf_target_dim(target)));
    ad_var out = ad_to_rows(record(target, in));
    ad_plan *plan = ad_plan_new(&out, 1, &(ad_plan_options){.dtype = AD_F64}, error);
    ad_tape_free(tape);
    if (!plan) return error->status;
    ad_plan_set_input(plan, in, z);
    ad_plan_set_output(plan, 0, result);
    ad_status status = ad_plan_run(plan, &(ad_run){.rows = rows, .pool = pool}, error);
    ad_plan_free(plan);
    return status;
}

ad_status nf_target_values(const nf_target *target, const double *z, size_t rows, double *value, ad_pool *pool,
                           ad_error *error)
{
    return evaluate(target, nf_target_constrain, z, rows, value, pool, error);
}

ad_status nf_target_log_densities(const nf_target *target, const double *z, size_t rows, double *log_density,
                                  ad_pool *pool, ad_error *error)
{
    return evaluate(target, nf_target_log_density, z, rows, log_density, pool, error);
}

/* ---- The gradient -------------------------------------------------------------------------------------------- */

/* A finite difference of a density that comes from elsewhere (of an ODE, say) may be this far off. */
static const double tolerance = 1e-4;

ad_status nf_target_check_gradient(const nf_target *target, const double *z, size_t rows, ad_error *error)
{
    ad_tape *tape = ad_tape_new();
    if (!tape) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory to check the target's gradient");
    ad_error cause = {AD_OK, ""}; /* in its own terms; ours name the target */
    ad_gradcheck_report found;
    size_t dim = nf_target_dim(target);
    ad_var in = ad_input(tape, "z", AD_SHAPE(dim)), log_density = nf_target_log_density(target, in);
    ad_status status = ad_gradcheck(log_density, &in, 1, &in, &z, 1,
                                    &(ad_gradcheck_options){.rows = rows, .tolerance = tolerance}, &found, &cause);
    if (status == AD_ERROR_NUMERIC)
        ad_error_set(
            error, status,
            "target '%s': its gradient disagrees with its value: along feature %zu at z = %.4g finite differences "
            "give %.6g, the gradient is %.6g",
            target->name, found.element % dim + 1, z[found.element], found.expected, found.got);
    else if (status != AD_OK)
        ad_error_set(error, status, "%s", cause.message);
    ad_tape_free(tape);
    return status;
}
