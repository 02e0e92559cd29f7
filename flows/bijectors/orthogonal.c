/* orthogonal: x = Q z with an orthogonal Q, of a skew-symmetric A = B - Bᵀ, B lower triangular with 0 on its diagonal;
 * log|det J| = 0 and the inverse is Qᵀ.
 *
 *     form=exponential    Q = e^A        (Golinski, Lezcano-Casado & Rainforth 2019, "Improving normalizing flows via
 *                                         better orthogonal parameterizations", section 3): every rotation
 *     form=cayley         Q = (1 - A/2)⁻¹ (1 + A/2)    (the same, eq. 5): every rotation that turns nothing by π
 *
 * `hh*D` has every orthogonal matrix, from reflections.
 *
 * e^A is the diagonal Padé approximant of degree 13 of A / 2^8, squared 8 times (Higham 2005, "The scaling and squaring
 * method for the matrix exponential revisited", eq. 3.1): to rounding while |A| < 1300, and beyond orthogonal, too, for
 * p(A) / p(-A) of a skew-symmetric A is. Starts at A = 0, the identity. */
#include <weir/bijector.h>
#include <weir/features.h>

enum { EXPONENTIAL, CAYLEY, SQUARINGS = 8 };

static ad_status build(nf_bijector *self, ad_error *error)
{
    const size_t n = self->dim, below = n * (n - 1) / 2;
    return below ? nf_declare(self, &(nf_parameter_spec){.name = "skew", .shape = AD_SHAPE(below)}, error) : AD_OK;
}

/* A, from its elements below the diagonal, row by row. */
static ad_var skew_of(const nf_scope *at)
{
    const size_t n = at->self->dim, below = n * (n - 1) / 2;
    size_t *place = ad_alloc(below, sizeof *place), filled = 0;
    if (!place) {
        ad_tape_fail(at->tape, AD_ERROR_MEMORY, "out of memory for a matrix of %zu x %zu", n, n);
        return (ad_var){at->tape, -1};
    }
    for (size_t i = 1; i < n; i++)
        for (size_t j = 0; j < i; j++) place[filled++] = i * n + j;
    ad_var b = ad_reshape(ad_scatter(nf_param(at, "skew"), place, below, n * n), AD_SHAPE(n, n));
    ad_free(place);
    return ad_sub(b, ad_transpose(b));
}

/* (even + odd) / (even - odd): of degree 13, with the coefficients of Higham's table 2.3. */
static ad_var exponential(ad_var a, size_t n)
{
    static const double b[] = {64764752532480000.,
                               32382376266240000.,
                               7771770303897600.,
                               1187353796428800.,
                               129060195264000.,
                               10559470521600.,
                               670442572800.,
                               33522128640.,
                               1323241920.,
                               40840800.,
                               960960.,
                               16380.,
                               182.,
                               1.};
    a = ad_mul_scalar(a, 1.0 / (1 << SQUARINGS));
    ad_var one = nf_identity(a.tape, n), square = ad_matmul(a, a), power = one;
    ad_var even = one, odd = ad_mul_scalar(one, b[1] / b[0]);
    for (int k = 2; k < 14; k += 2) {
        power = ad_matmul(power, square);
        even = ad_add(even, ad_mul_scalar(power, b[k] / b[0]));
        odd = ad_add(odd, ad_mul_scalar(power, b[k + 1] / b[0]));
    }
    odd = ad_matmul(a, odd);
    ad_var q = ad_solve(ad_sub(even, odd), ad_add(even, odd));
    for (int k = 0; k < SQUARINGS; k++) q = ad_matmul(q, q);
    return q;
}

static ad_var matrix_of(const nf_scope *at)
{
    ad_var a = skew_of(at), one = nf_identity(at->tape, at->self->dim), half = ad_mul_scalar(a, 0.5);
    if (nf_argument_value(at->self, "form") == EXPONENTIAL) return exponential(a, at->self->dim);
    return ad_solve(ad_sub(one, half), ad_add(one, half));
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    *log_det = ad_scalar(z.tape, 0);
    return at->self->dim > 1 ? ad_matmul(matrix_of(at), z) : z;
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    *log_det = ad_scalar(x.tape, 0);
    return at->self->dim > 1 ? ad_matmul(ad_transpose(matrix_of(at)), x) : x;
}

static const nf_argument arguments[] = {
    {"form", NF_CHOICE, EXPONENTIAL, 0, 0, "exponential|cayley", "of Q, from a skew-symmetric matrix"},
    {0},
};

const nf_bijector_type nf__type_orthogonal = {
    .name = "orthogonal",
    .help = "x = Q z, a rotation: Q = exp(A), A skew-symmetric",
    .argument = arguments,
    .build = build,
    .forward = forward,
    .inverse = inverse,
};
