/* Networks laid out as Weir has them: masked ones (MADE), whose hidden units are sorted by their degree, the number of
 * features that they may see, with as many units of each; and those of couplings. */
#include "import/source.h"

#include <weir/networks.h>
#include <weir/plan.h>

#include <string.h>

static size_t lowest_of(const nf__source *s)
{
    return s->context ? 0 : 1;
}

static bool sees(const nf__linear *layer, size_t out, size_t in)
{
    return !layer->mask || layer->mask[out * layer->in + in] != 0;
}

/* Degrees of a layer's units from those of its inputs, of which there are so many that are no context. */
static void degrees_of(const nf__linear *layer, const size_t *in, size_t inputs, size_t *out)
{
    for (size_t i = 0; i < layer->out; i++) {
        out[i] = 0;
        for (size_t j = 0; j < inputs; j++)
            if (sees(layer, i, j) && in[j] > out[i]) out[i] = in[j];
    }
}

/* Units of one layer: their places in Weir's, by degree; SIZE_MAX for those that see nothing. */
static bool place_units(nf__source *s, nf__step *step, size_t l, const size_t *degree)
{
    const size_t lowest = lowest_of(s), units = step->layer[l].out;
    size_t *count = ad_tape_alloc(s->memory, s->dim, sizeof *count), most = 1;
    step->place[l] = ad_tape_alloc(s->memory, units, sizeof *step->place[l]);
    if (!count || !step->place[l]) return true;
    for (size_t i = 0; i < units; i++) {
        if (degree[i] >= s->dim) return false;
        if (++count[degree[i]] > most && degree[i] >= lowest) most = count[degree[i]];
    }
    memset(count, 0, s->dim * sizeof *count);
    for (size_t i = 0; i < units; i++)
        step->place[l][i] = degree[i] < lowest ? SIZE_MAX : (degree[i] - lowest) * most + count[degree[i]]++;
    step->size[l] = (s->dim - lowest) * most;
    return true;
}

ad_status nf__masked_layout(nf__source *s, nf__step *step)
{
    size_t *degree = ad_tape_alloc(s->memory, s->dim, sizeof *degree);
    for (size_t i = 0; degree && i < s->dim; i++) degree[i] = step->order[i] + 1;
    bool good = true;
    size_t inputs = s->dim;
    for (size_t l = 0; l + 1 < step->layers && good && degree; l++) {
        size_t *next = ad_tape_alloc(s->memory, step->layer[l].out, sizeof *next);
        if (next) {
            degrees_of(&step->layer[l], degree, inputs, next);
            good = place_units(s, step, l, next);
        }
        inputs = step->layer[l].out;
        degree = next;
    }
    const nf__linear *last = &step->layer[step->layers - 1];
    for (size_t i = 0; i < last->out && good && degree; i++)
        for (size_t j = 0; j < inputs; j++)
            good &= !sees(last, i, j) || degree[j] <= step->order[i / step->parameters.count];
    return good ? AD_OK : nf__source_fail(s, "masks of a network aren't those of its order: features see later ones");
}

/* Of values v (count), the activation of a bijector's network. */
static void activate(nf__source *s, const nf_bijector *of, double *v, size_t count)
{
    ad_tape *tape = ad_tape_new();
    const ad_var y = nf_activate(nf_argument_choice(of, "activation"), ad_constant(tape, AD_SHAPE(count), v));
    ad_plan *plan = ad_plan_new(&y, 1, &(ad_plan_options){.dtype = AD_F64}, s->error);
    ad_plan_set_output(plan, 0, v);
    if (plan) ad_plan_run(plan, NULL, s->error);
    ad_plan_free(plan);
    ad_tape_free(tape);
}

/* A layer whose constant inputs, with their values, have become part of its bias, and whose others are at places of
 * `width`. A context behind the inputs goes to its own matrix. */
static nf__linear lay_inputs(nf__source *s, const nf__linear *from, const size_t *place, const double *constant,
                             size_t inputs, size_t width)
{
    nf__linear to = {.out = from->out, .in = width};
    to.weight = ad_tape_alloc(s->memory, from->out * width, sizeof *to.weight);
    to.bias = ad_tape_alloc(s->memory, from->out, sizeof *to.bias);
    if (!to.weight || !to.bias) return to;
    for (size_t i = 0; i < from->out; i++) {
        to.bias[i] = from->bias[i];
        for (size_t j = 0; j < inputs; j++) {
            const double w = from->weight[i * from->in + j];
            if (place[j] == SIZE_MAX)
                to.bias[i] += w * constant[j];
            else
                to.weight[i * width + place[j]] = w;
        }
    }
    return to;
}

static double *values_of(nf_bijector *to, const char *name, size_t layer)
{
    char text[32];
    snprintf(text, sizeof text, "%s%zu", name, layer);
    return nf_parameter_value(to, text);
}

/* Rows of a layer into a bijector's, row i to place[i]. */
static void put_rows(const nf__linear *from, const size_t *place, size_t layer, nf_bijector *to, size_t rows)
{
    double *weight = values_of(to, "weight", layer), *bias = values_of(to, "bias", layer);
    memset(weight, 0, rows * from->in * sizeof *weight);
    memset(bias, 0, rows * sizeof *bias);
    for (size_t i = 0; i < from->out; i++) {
        if (place[i] == SIZE_MAX) continue;
        memcpy(weight + place[i] * from->in, from->weight + i * from->in, from->in * sizeof *weight);
        bias[place[i]] = from->bias[i];
    }
}

/* The columns of the context, which are the last of layer 0. */
static void put_context(const nf__source *s, const nf__linear *from, const size_t *place, nf_bijector *to, size_t rows)
{
    double *context = nf_parameter_value(to, "context");
    if (!context) return;
    memset(context, 0, rows * s->context * sizeof *context);
    for (size_t i = 0; i < from->out; i++)
        if (place[i] != SIZE_MAX)
            memcpy(context + place[i] * s->context, from->weight + (i + 1) * from->in - s->context,
                   s->context * sizeof *context);
}

static size_t *counted(nf__source *s, size_t count)
{
    size_t *number = ad_tape_alloc(s->memory, count, sizeof *number);
    for (size_t i = 0; number && i < count; i++) number[i] = i;
    return number;
}

void nf__masked_fill(nf__source *s, const nf__step *step, nf_bijector *to)
{
    const size_t last = step->layers - 1, count = step->parameters.count;
    const size_t *place = step->order;
    size_t width = s->dim, inputs = s->dim;
    double *constant = NULL;
    for (size_t l = 0; l < last; l++) {
        const nf__linear layer = lay_inputs(s, &step->layer[l], place, constant, inputs, width);
        constant = ad_tape_alloc(s->memory, layer.out, sizeof *constant);
        if (!layer.bias || !constant) return;
        memcpy(constant, layer.bias, layer.out * sizeof *constant);
        activate(s, to, constant, layer.out);
        place = step->place[l];
        put_rows(&layer, place, l, to, step->size[l]);
        if (l == 0) put_context(s, &step->layer[0], place, to, step->size[0]);
        width = step->size[l];
        inputs = layer.out;
    }
    const nf__linear layer = lay_inputs(s, &step->layer[last], place, constant, inputs, width);
    nf__linear out = {layer.out, layer.in, values_of(to, "weight", last), values_of(to, "bias", last), NULL};
    if (!layer.weight || !layer.bias) return;
    for (size_t i = 0; i < s->dim; i++)
        for (size_t p = 0; p < count; p++)
            nf__parameters_apply(&step->parameters, p, &layer, i * count + p, &out,
                                 step->order[i] * count + nf__parameter_place(&step->parameters, p));
}

void nf__coupling_fill(nf__source *s, const nf__step *step, nf_bijector *to)
{
    const size_t last = step->layers - 1, count = step->parameters.count, moved = s->dim - step->n_seen;
    for (size_t l = 0; l < last; l++) {
        const nf__linear *from = &step->layer[l];
        const size_t inputs = l ? from->in : step->n_seen;
        size_t *rows = counted(s, from->out), *columns = counted(s, inputs);
        if (!rows || !columns) return;
        const nf__linear layer = lay_inputs(s, from, columns, NULL, inputs, inputs);
        if (!layer.weight || !layer.bias) return;
        put_rows(&layer, rows, l, to, from->out);
        if (l == 0) put_context(s, from, rows, to, from->out);
    }
    const nf__linear *layer = &step->layer[last];
    nf__linear out = {layer->out, layer->in, values_of(to, "weight", last), values_of(to, "bias", last), NULL};
    for (size_t i = 0; i < moved; i++)
        for (size_t p = 0; p < count; p++)
            nf__parameters_apply(&step->parameters, p, layer,
                                 step->parameters.by_parameter ? p * moved + i : i * count + p, &out,
                                 nf__parameter_place(&step->parameters, p) * moved + i);
}
