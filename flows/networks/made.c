/* MADE. */
#include <weir/memory.h>
#include <weir/networks.h>

nf_made nf_made_of(const nf_bijector *self, size_t outputs)
{
    if (!self) return (nf_made){0};
    return (nf_made){.dim = self->dim,
                     .outputs = outputs,
                     .hidden = self->size,
                     .n_hidden = self->n_size,
                     .lowest = self->context ? 0 : 1,
                     .activation = nf_argument_choice(self, "activation"),
                     .gain = nf_argument_value(self, "gain")};
}

/* Of the first `features` features. */
static size_t numbers_of(const nf_made *made, size_t features)
{
    return features * (made->numbers ? made->numbers : 1);
}

/* A layer as the masks see it. Layer n_hidden is the last, of outputs. */
static size_t layer_inputs(const nf_made *made, size_t layer)
{
    return layer == 0 ? numbers_of(made, made->dim) : made->hidden[layer - 1];
}

static size_t layer_outputs(const nf_made *made, size_t layer)
{
    return layer == made->n_hidden ? made->dim * made->outputs : made->hidden[layer];
}

/* Of hidden unit j, sorted. */
static size_t hidden_degree(const nf_made *made, size_t layer, size_t j)
{
    return made->lowest + j * (made->dim - made->lowest) / made->hidden[layer];
}

/* How many inputs of a layer have a degree of at most d: they are the first ones. */
static size_t inputs_up_to(const nf_made *made, size_t layer, size_t d)
{
    if (layer == 0) return numbers_of(made, d);
    size_t n = 0, units = made->hidden[layer - 1];
    while (n < units && hidden_degree(made, layer - 1, n) <= d) n++;
    return n;
}

/* How many of a layer's inputs its unit i may see. */
static size_t reach_of(const nf_made *made, size_t layer, size_t i)
{
    size_t d = layer == made->n_hidden ? i / made->outputs : hidden_degree(made, layer, i);
    return inputs_up_to(made, layer, d);
}

/* With D = 1 and without a context there are no hidden units: they would see nothing. */
static size_t first_layer(const nf_made *made)
{
    return made->dim == made->lowest ? made->n_hidden : 0;
}

static bool has_weight(const nf_made *made, size_t layer)
{
    return made->dim > 1 || layer > first_layer(made);
}

ad_status nf_made_declare(nf_bijector *self, const nf_made *made, ad_error *error)
{
    if (!self || !made)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "masked network: %s is NULL", self ? "made" : "self");
    if (made->n_hidden > NF_MADE_DEPTH)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "%s: at most %d hidden layers, got %zu", self->type->name,
                            NF_MADE_DEPTH, made->n_hidden);
    ad_status status = AD_OK;
    for (size_t layer = first_layer(made); layer <= made->n_hidden && status == AD_OK; layer++) {
        double gain = layer == made->n_hidden ? 0.1 : layer == 0 ? made->gain : 1;
        status = nf_layer_declare(self, layer, has_weight(made, layer) ? layer_inputs(made, layer) : 0,
                                  layer_outputs(made, layer), gain, error);
    }
    return status;
}

/* ---- All at once --------------------------------------------------------------------------------------------- */

/* W x, where W is zero beyond the staircase: a block for each step. */
static ad_var product(ad_var weight, ad_var x, const nf_made *made, size_t layer)
{
    size_t out = layer_outputs(made, layer), count = 0;
    size_t *end = ad_alloc(out, sizeof *end), *reach = ad_alloc(out, sizeof *reach),
           *none = ad_alloc(out, sizeof *none);
    ad_var y = {x.tape, -1};
    if (end && reach && none) {
        for (size_t i = 0; i < out; i++) {
            const size_t r = reach_of(made, layer, i);
            if (count == 0 || r != reach[count - 1]) count++;
            end[count - 1] = i + 1;
            reach[count - 1] = r;
        }
        y = ad_matmul_blocks(weight, x, &(ad_blocks){count, end, none, reach});
    } else {
        ad_tape_fail(x.tape, AD_ERROR_MEMORY, "out of memory for the blocks of a masked layer");
    }
    ad_free(none);
    ad_free(reach);
    ad_free(end);
    return y;
}

static ad_var missing(const nf_scope *at, const char *argument)
{
    ad_tape *tape = at ? at->tape : NULL;
    ad_tape_fail(tape, AD_ERROR_ARGUMENT, "masked network: %s is NULL", argument);
    return (ad_var){tape, -1};
}

ad_var nf_made_all(const nf_scope *at, const nf_made *made, ad_var x)
{
    if (!made) return missing(at, "made");
    for (size_t layer = first_layer(made); layer <= made->n_hidden; layer++) {
        ad_var bias = nf_layer_bias(at, layer);
        x = has_weight(made, layer) ? ad_add(product(nf_layer_weight(at, layer), x, made, layer), bias)
                                    : ad_to_rows(bias);
        if (layer < made->n_hidden) x = nf_activate(made->activation, x);
    }
    return ad_reshape(x, AD_SHAPE(made->dim, made->outputs));
}

/* ---- Feature by feature -------------------------------------------------------------------------------------- */

/* W[begin:end, first:last] in[first:last], of a layer. */
static ad_var part(const nf_scope *at, size_t layer, size_t begin, size_t end, ad_var in, size_t first, size_t last)
{
    ad_var weight = ad_slice(ad_slice(nf_layer_weight(at, layer), 0, begin, end), 1, first, last);
    return ad_matmul(weight, ad_slice(in, 0, first, last));
}

/* What of a layer's inputs up to `known` reaches its units begin … end-1. */
static void look_ahead(const nf_scope *at, nf_made_layer *here, size_t layer, size_t begin, size_t end, ad_var in,
                       size_t known)
{
    if (end == begin) return;
    ad_var bias = ad_slice(nf_layer_bias(at, layer), 0, begin, end);
    here->ahead = known ? ad_add(part(at, layer, begin, end, in, 0, known), bias) : bias;
    here->ahead_from = begin;
    here->ahead_known = known;
}

/* Units begin … end-1 before activation, all `known` inputs that they may see being there. */
static ad_var finish(const nf_scope *at, const nf_made_layer *here, size_t layer, size_t begin, size_t end, ad_var in,
                     size_t known)
{
    ad_var ahead = ad_slice(here->ahead, 0, begin - here->ahead_from, end - here->ahead_from);
    if (known == here->ahead_known) return ahead;
    return ad_add(part(at, layer, begin, end, in, here->ahead_known, known), ahead);
}

/* Steps d … d+BLOCK-1 begin: one product for all that they get from what is known. */
static void begin_block(const nf_scope *at, const nf_made *made, nf_made_state *state, ad_var known, size_t d)
{
    size_t next = d + NF_MADE_BLOCK < made->dim ? d + NF_MADE_BLOCK : made->dim, last = made->n_hidden;
    for (size_t layer = first_layer(made); layer < last; layer++) {
        nf_made_layer *here = &state->layer[layer], *before = here - 1;
        look_ahead(at, here, layer, here->count, inputs_up_to(made, layer + 1, next - 1), layer ? before->unit : known,
                   layer ? before->count : numbers_of(made, d));
    }
    bool hidden = first_layer(made) < last;
    look_ahead(at, &state->layer[last], last, d * made->outputs, next * made->outputs,
               hidden ? state->layer[last - 1].unit : known, hidden ? state->layer[last - 1].count : 0);
}

ad_var nf_made_next(const nf_scope *at, const nf_made *made, nf_made_state *state, ad_var known, size_t d)
{
    if (!made || !state) return missing(at, made ? "state" : "made");
    if (d % NF_MADE_BLOCK == 0) begin_block(at, made, state, known, d);
    ad_var in = known;
    size_t n_in = numbers_of(made, d), last = made->n_hidden;
    for (size_t layer = first_layer(made); layer < last; layer++) {
        nf_made_layer *here = &state->layer[layer];
        size_t end = inputs_up_to(made, layer + 1, d);
        if (end > here->count) {
            ad_var unlocked = nf_activate(made->activation, finish(at, here, layer, here->count, end, in, n_in));
            ad_var both[] = {here->unit, unlocked};
            here->unit = here->count ? ad_concat(both, 2, 0) : unlocked;
            here->count = end;
        }
        in = here->unit;
        n_in = here->count;
    }
    if (first_layer(made) == last) n_in = 0;
    return finish(at, &state->layer[last], last, d * made->outputs, (d + 1) * made->outputs, in, n_in);
}
