/* A flow whose formula is given: what is chosen is how to train it. */
#include "automatic/search.h"

#include <weir/memory.h>

#include <stdio.h>
#include <string.h>

/* Tried in this order: what suits most, then slower and without haste, then faster in larger batches, then with weights
 * that decay. */
static const struct {
    double learning_rate, ema, weight_decay, visits;
    size_t batch;
} settings[] = {
    {.003, .99, 0, 2e6, 128},
    {.001, .99, 0, 4e6, 128},
    {.006, .999, 0, 4e6, 256},
    {.003, .99, .1, 2e6, 128},
};

bool nf__suggest_settings(const nf__search *s, size_t i, nf__suggestion *suggestion)
{
    if (i >= sizeof settings / sizeof *settings) return false;
    *suggestion = (nf__suggestion){.formula = s->o.formula,
                                   .epochs = nf__epochs(s, settings[i].visits, 300),
                                   .batch = settings[i].batch,
                                   .learning_rate = settings[i].learning_rate,
                                   .ema = settings[i].ema,
                                   .weight_decay = settings[i].weight_decay,
                                   .seed = s->o.seed};
    return true;
}

typedef struct {
    const char *name;
    const double *value;
} wanted;

static bool find(void *context, const char *name, nf_parameter *parameter)
{
    wanted *w = context;
    if (strcmp(name, w->name) != 0) return true;
    w->value = parameter->value;
    return false;
}

typedef struct {
    const nf_flow *trained;
    const double *scaling[2]; /* of the term that was appended */
    size_t filled;
} source;

/* By its name; what the trained flow hasn't are those of the term that was appended, in their order. */
static bool take(void *context, const char *name, nf_parameter *parameter)
{
    source *from = context;
    wanted w = {.name = name};
    nf_flow_each_parameter(from->trained, find, &w);
    if (!w.value && from->filled == 2) return false;
    const double *value = w.value ? w.value : from->scaling[from->filled++];
    memcpy(parameter->value, value, ad_shape_size(parameter->spec.shape) * sizeof *value);
    return true;
}

nf_flow *nf__unscaled(nf__search *s, nf_flow *trained, ad_error *error)
{
    char *formula = nf_flow_formula(trained, true), *complete = NULL;
    const size_t room = formula ? strlen(formula) + sizeof "-standardize" : 0;
    const char *scaling = nf_flow_is_circular(trained) ? "" : "-standardize"; /* of angles there is none */
    if (formula && (complete = ad_alloc(room, 1))) snprintf(complete, room, "%s%s", formula, scaling);
    if (!complete) ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a formula");
    nf_flow *flow = complete ? nf_flow_parse(complete, s->dim, s->context, s->o.dtype, 0, error) : NULL;
    ad_free(complete);
    ad_free(formula);
    if (!flow) return NULL;
    nf_flow_pull(trained);
    nf_flow_each_parameter(flow, take, &(source){.trained = trained, .scaling = {s->mean, s->scale}});
    nf_flow_push(flow);
    return flow;
}
