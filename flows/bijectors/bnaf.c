/* bnaf: a block neural autoregressive flow (De Cao, Titov & Aziz 2019, "Block neural autoregressive flow", section 3),
 * from the last feature to the first as all that are autoregressive here: a multilayer perceptron from x to z with
 * `hidden` units for each feature, in which those of feature d see the ones of d … D alone, their own through positive
 * weights, so that z_d increases in x_d:
 *
 *     h_0 = x,    h_(l+1) = tanh(W_l h_l + b_l),    z = α (W_L h_L + b_L) + (1 - α) x,      0.01 < α < 0.99
 *
 * (eq. 7 and 8, and "gated" residual connections, section 3.4, of every flow, for the last layer alone is bounded). A
 * row of W_l is e^{s} v / ‖v‖ (eq. 11; Salimans & Kingma 2016), with v the exponential of its parameters where it is
 * positive. dz_d/dx_d goes forward with the units, by the blocks on the diagonal: t_0 = 1, t_(l+1) = (1 - h²) W_l t_l,
 * and all of it is positive, so that nothing cancels. x of z is a root, feature by feature.
 *
 * Starts so that a layer averages a feature's units, with α = 1/2: about z = x/2 + tanh(…tanh(x))/2. */
#include <weir/features.h>
#include <weir/memory.h>
#include <weir/networks.h>

#include <math.h>

/* Layer l of `out` units a feature from `in`, of which there are D each. */
typedef struct {
    size_t number, in, out;
} layer;

static size_t depth(const nf_bijector *self)
{
    return self->n_size + 1;
}

static layer layer_of(const nf_bijector *self, size_t number)
{
    return (layer){number, number ? self->size[number - 1] : 1, number < self->n_size ? self->size[number] : 1};
}

static const char *norm_name(char name[static 32], size_t number)
{
    snprintf(name, 32, "log_norm%zu", number);
    return name;
}

static ad_status build(nf_bijector *self, ad_error *error)
{
    const size_t n = self->dim;
    ad_status status = AD_OK;
    for (size_t number = 0; number < depth(self) && status == AD_OK; number++) {
        const layer l = layer_of(self, number);
        char name[32];
        nf_parameter_spec norm = {
            .name = norm_name(name, number), .shape = AD_SHAPE(n * l.out), .value = -0.5 * log((double)l.in)};
        status = nf_layer_declare(self, number, n * l.in, n * l.out, 1, error);
        if (status == AD_OK) status = nf_declare(self, &norm, error);
    }
    nf_parameter_spec gate = {
        .name = "gate", .shape = AD_SCALAR, .value = 0.5, .constraint = NF_INTERVAL, .low = 0.01, .high = 0.99};
    return status == AD_OK ? nf_declare(self, &gate, error) : status;
}

/* (D out, D in): 1 in the blocks of a feature with itself, or of one with those before it. */
static ad_var mask(ad_tape *tape, size_t dim, layer l, bool own)
{
    const size_t rows = dim * l.out, columns = dim * l.in;
    double *one = ad_alloc(rows, columns * sizeof *one);
    if (!one) {
        ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for a mask of %zu x %zu", rows, columns);
        return (ad_var){tape, -1};
    }
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) one[i * columns + j] = own ? i / l.out == j / l.in : j / l.in < i / l.out;
    ad_var constant = ad_constant(tape, AD_SHAPE(rows, columns), one);
    ad_free(one);
    return constant;
}

/* W_l in its two parts. */
typedef struct {
    ad_var own, before;
} weight;

static weight weight_of(const nf_scope *at, layer l)
{
    const double most = 30, least = 1e-30; /* of an exponent; of a square */
    const size_t rows = at->self->dim * l.out;
    char name[32];
    ad_var v = nf_layer_weight(at, l.number), top = ad_scalar(at->tape, most);
    ad_var own = ad_mul(ad_exp(ad_minimum(v, top)), mask(at->tape, at->self->dim, l, true));
    ad_var before = ad_mul(v, mask(at->tape, at->self->dim, l, false));
    ad_var squares = ad_sum_axis(ad_add(ad_square(own), ad_square(before)), 1);
    ad_var norm = ad_sqrt(ad_maximum(squares, ad_scalar(at->tape, least)));
    ad_var factor = ad_reshape(ad_div(ad_exp(nf_param(at, norm_name(name, l.number))), norm), AD_SHAPE(rows, 1));
    return (weight){ad_mul(own, factor), ad_mul(before, factor)};
}

/* W v, of the blocks on the diagonal, or of those below it too. */
static ad_var product(ad_var w, ad_var v, size_t dim, layer l, bool diagonal)
{
    size_t *end = ad_alloc(3 * dim, sizeof *end), *begin = end + (end ? dim : 0), *stop = begin + (end ? dim : 0);
    if (!end) {
        ad_tape_fail(v.tape, AD_ERROR_MEMORY, "out of memory for %zu blocks", dim);
        return (ad_var){v.tape, -1};
    }
    for (size_t d = 0; d < dim; d++) {
        end[d] = (d + 1) * l.out;
        begin[d] = diagonal ? d * l.in : 0;
        stop[d] = (d + 1) * l.in;
    }
    ad_var y = ad_matmul_blocks(w, v, &(ad_blocks){dim, end, begin, stop});
    ad_free(end);
    return y;
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    const size_t dim = at->self->dim, last = depth(at->self) - 1;
    ad_var one = ad_scalar(x.tape, 1), reversed = nf_reverse(x), h = nf_network_input(reversed);
    ad_var slope = ad_broadcast(one, AD_SHAPE(dim)), gate = nf_param(at, "gate"), rest = ad_sub(one, gate);
    for (size_t number = 0; number <= last; number++) {
        const layer l = layer_of(at->self, number);
        const weight w = weight_of(at, l);
        h = ad_add(product(ad_add(w.own, w.before), h, dim, l, false), nf_layer_bias(at, number));
        slope = product(w.own, slope, dim, l, true);
        if (number == last) break;
        h = ad_tanh(h);
        slope = ad_mul(slope, ad_sub(one, ad_square(h)));
    }
    *log_det = ad_sum(ad_log(ad_add(ad_mul(gate, slope), rest)));
    return nf_reverse(ad_add(ad_mul(gate, h), ad_mul(rest, reversed)));
}

const nf_bijector_type nf__type_bnaf = {
    .name = "bnaf",
    .help = "z_d = alpha f_d(x_d, …, x_D) + (1 - alpha) x_d, f a network in blocks, increasing in x_d",
    .positional = "hidden units of each feature",
    .sizes = (const size_t[]){8, 8, 0},
    .build = build,
    .inverse = inverse,
};
