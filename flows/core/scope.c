/* Scopes: what recording a bijector needs beside its argument. All of it is the tape's memory. */
#include "core/internal.h"

#include <weir/stochastic.h>

#include <string.h>

size_t nf__parameters_below(const nf_bijector *bijector)
{
    size_t count = bijector->n_parameter;
    for (size_t i = 0; i < bijector->n_child; i++) count += nf__parameters_below(bijector->child[i]);
    return count;
}

/* The parameters of a bijector and of all below it are neighbours, in nf_each_parameter()'s order. */
static bool open_scope(nf_scope *at, const nf_bijector *self, ad_tape *tape, nf_bound_parameter **next)
{
    *at = (nf_scope){.self = self, .tape = tape, .parameter = *next, .context = {tape, -1}};
    at->child = ad_tape_alloc(tape, self->n_child, sizeof *at->child);
    *next += self->n_parameter;
    for (size_t i = 0; at->child && i < self->n_child; i++)
        if (!open_scope(&at->child[i], self->child[i], tape, next)) return false;
    return at->child;
}

nf_scope *nf__scope_new(const nf_bijector *self, ad_tape *tape)
{
    nf_scope *at = ad_tape_alloc(tape, 1, sizeof *at);
    nf_bound_parameter *parameter = ad_tape_alloc(tape, nf__parameters_below(self), sizeof *parameter);
    return at && parameter && open_scope(at, self, tape, &parameter) ? at : NULL;
}

static bool bind_one(void *context, const char *name, nf_parameter *parameter)
{
    nf_scope *next = context;
    ad_tape *tape = next->tape;
    *next->parameter++ = (nf_bound_parameter){ad_param(tape, name, parameter->spec.shape), {tape, -1}};
    return true;
}

nf_scope *nf_bind(const nf_bijector *bijector, ad_tape *tape)
{
    nf_scope *at = bijector ? nf__scope_new(bijector, tape) : NULL;
    if (!at) return NULL;
    nf_each_parameter(bijector, bind_one, &(nf_scope){.tape = tape, .parameter = at->parameter});
    if (bijector->context) nf_set_context(at, ad_input(tape, "context", AD_SHAPE(bijector->context)));
    return at;
}

nf_scope *nf__scope_like(const nf_scope *at, ad_tape *tape, ad_var (*replace)(void *context, ad_var var), void *context)
{
    nf_scope *like = nf__scope_new(at->self, tape);
    if (!like) return NULL;
    const size_t count = nf__parameters_below(at->self);
    for (size_t i = 0; i < count; i++)
        like->parameter[i] = (nf_bound_parameter){replace(context, at->parameter[i].var), {tape, -1}};
    if (at->training) nf_set_training(like);
    if (at->statistics) nf_set_statistics(like);
    nf_set_densities(like, at->base, at->target);
    return like;
}

static ad_var stop(void *context, ad_var var)
{
    (void)context;
    return ad_stop_gradient(var);
}

nf_scope *nf_stop_gradient(const nf_scope *at)
{
    nf_scope *stopped = at ? nf__scope_like(at, at->tape, stop, NULL) : NULL;
    nf_set_context(stopped, nf_context(at));
    return stopped;
}

ad_var nf__scope_context_after(const nf_scope *at)
{
    if (!at) return (ad_var){NULL, -1};
    const nf_bijector *self = at->self;
    if (self->is_chain && self->n_child) return nf__scope_context_after(&at->child[self->n_child - 1]);
    return self->type->embed && ad_is_valid(at->context) ? self->type->embed(at) : at->context;
}

/* Returns the context of what follows in a chain. */
static ad_var pass_context(nf_scope *at, ad_var context)
{
    at->context = context;
    if (at->self->type->embed && ad_is_valid(context)) return at->self->type->embed(at);
    for (size_t i = 0; i < at->self->n_child; i++) {
        ad_var after = pass_context(&at->child[i], context);
        if (at->self->is_chain) context = after;
    }
    return context;
}

void nf_set_context(nf_scope *at, ad_var context)
{
    if (at) pass_context(at, context);
}

void nf_set_training(nf_scope *at)
{
    if (!at) return;
    at->training = true;
    for (size_t i = 0; i < at->self->n_child; i++) nf_set_training(&at->child[i]);
}

void nf_set_statistics(nf_scope *at)
{
    if (!at) return;
    at->training = at->statistics = true;
    for (size_t i = 0; i < at->self->n_child; i++) nf_set_statistics(&at->child[i]);
}

/* Those that there are help where one is misspelt. */
static void no_such_parameter(const nf_scope *at, const char *function, const char *what, const char *name)
{
    char names[256] = "";
    size_t length = 0;
    for (size_t i = 0; i < at->self->n_parameter && length < sizeof names; i++)
        length += (size_t)snprintf(names + length, sizeof names - length, "%s'%s'", i ? ", " : "",
                                   at->self->parameter[i].name);
    ad_tape_fail(at->tape, AD_ERROR_ARGUMENT, "%s: '%s' has no %s '%s'; its parameters: %s", function,
                 at->self->type->name, what, name ? name : "NULL", *names ? names : "none");
}

ad_var nf_param(const nf_scope *at, const char *name)
{
    if (!at) return (ad_var){NULL, -1};
    const nf_parameter *parameter = nf__find_parameter(at->self, name);
    if (!parameter) {
        no_such_parameter(at, "nf_param", "parameter", name);
        return (ad_var){at->tape, -1};
    }
    return nf__constrain(&parameter->spec, at->parameter[parameter - at->self->parameter].var);
}

ad_var nf_context(const nf_scope *at)
{
    return at ? at->context : (ad_var){NULL, -1};
}

void nf_update(const nf_scope *at, const char *name, ad_var value)
{
    if (!at) return;
    const nf_parameter *parameter = nf__find_parameter(at->self, name);
    if (parameter && parameter->spec.fixed)
        at->parameter[parameter - at->self->parameter].update = value;
    else
        no_such_parameter(at, "nf_update", "fixed parameter", name);
}

typedef struct {
    const nf_bound_parameter *next;
    ad_plan *plan;
} binding;

static bool bind_value(void *context, const char *name, nf_parameter *parameter)
{
    (void)name;
    binding *b = context;
    ad_plan_set_input(b->plan, (b->next++)->var, parameter->value);
    return true;
}

void nf_bind_plan(const nf_scope *at, ad_plan *plan)
{
    if (at) nf_each_parameter(at->self, bind_value, &(binding){at->parameter, plan});
}
