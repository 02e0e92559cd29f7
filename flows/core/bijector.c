/* Instances of bijectors: their arguments and children. */
#include "core/internal.h"

#include <weir/bijector.h>

#include <math.h>
#include <string.h>

static size_t count_of(const nf_argument *argument)
{
    size_t n = 0;
    while (argument && argument[n].name) n++;
    return n;
}

static bool is_allowed(const nf_argument *argument, double value, bool listed)
{
    double low = argument->low, high = argument->high;
    if (argument->kind == NF_FEATURES && listed) return value == NF_LISTED;
    if (argument->kind == NF_CHOICE || argument->kind == NF_FEATURES) {
        low = high = 0;
        for (const char *c = argument->choices; *c; c++) high += *c == '|';
    }
    return value >= low && value <= high && (argument->kind == NF_NUMBER || value == floor(value));
}

ad_status nf__check_features(const nf_bijector *self, ad_error *error)
{
    bool *seen = ad_alloc(self->dim, sizeof *seen);
    if (!seen) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a list of features");
    ad_status status = AD_OK;
    for (size_t i = 0; i < self->n_feature && status == AD_OK; i++) {
        size_t feature = self->feature[i];
        if (feature >= self->dim)
            status = ad_error_set(error, AD_ERROR_ARGUMENT, "%s: there is no feature %zu, an event has %zu",
                                  self->type->name, feature + 1, self->dim);
        else if (seen[feature])
            status = ad_error_set(error, AD_ERROR_ARGUMENT, "%s: feature %zu is listed twice", self->type->name,
                                  feature + 1);
        else
            seen[feature] = true;
    }
    ad_free(seen);
    return status;
}

/* That an argument's choice is one of its registry's, with values that it allows. */
static bool is_known(const nf_argument *argument, const nf_choice *choice)
{
    const nf_descriptor *d = choice->descriptor;
    if (!d || nf_registry_find(argument->registry, d->name, strlen(d->name)) != d) return false;
    for (size_t i = 0; i < count_of(d->argument); i++)
        if (!is_allowed(&d->argument[i], choice->value[i], false)) return false;
    return true;
}

/* A formula's are checked as they are read; these may come from code. */
static ad_status check_arguments(const nf_bijector *self, ad_error *error)
{
    const nf_bijector_type *type = self->type;
    for (size_t i = 0; i < count_of(type->argument); i++)
        if (type->argument[i].kind == NF_DESCRIPTOR && !is_known(&type->argument[i], &self->choice[i]))
            return ad_error_set(error, AD_ERROR_ARGUMENT, "%s: argument '%s': this %s is not a known one", type->name,
                                type->argument[i].name, type->argument[i].registry->kind);
        else if (type->argument[i].kind != NF_DESCRIPTOR &&
                 !is_allowed(&type->argument[i], self->argument[i], self->feature))
            return ad_error_set(error, AD_ERROR_ARGUMENT, "%s: argument '%s' can't be %g", type->name,
                                type->argument[i].name, self->argument[i]);
    bool takes_features = false;
    for (size_t i = 0; i < count_of(type->argument); i++) takes_features |= type->argument[i].kind == NF_FEATURES;
    if (self->feature && !takes_features)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "%s: takes no list of features, but one is given", type->name);
    for (size_t i = 0; i < self->n_size; i++)
        if (self->size[i] == 0)
            return ad_error_set(error, AD_ERROR_ARGUMENT, "%s: expected at least 1 of its %s, got 0", type->name,
                                type->positional);
    return self->feature ? nf__check_features(self, error) : AD_OK;
}

static nf_bijector *out_of_memory(nf_bijector *bijector, ad_error *error)
{
    nf_bijector_free(bijector);
    ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a bijector");
    return NULL;
}

/* What an argument names, or its default. False when memory is out. */
static bool copy_choice(nf_choice *to, const nf_argument *argument, const nf_choice *given)
{
    const nf_descriptor *d = given && given->descriptor
                                 ? given->descriptor
                                 : nf_registry_find(argument->registry, argument->initial, strlen(argument->initial));
    const size_t count = d ? count_of(d->argument) : 0;
    *to = (nf_choice){d, ad_alloc(count, sizeof *to->value)};
    for (size_t i = 0; to->value && i < count; i++)
        to->value[i] = given && given->descriptor && given->value ? given->value[i] : d->argument[i].value;
    return to->value;
}

/* False when memory is out. */
static bool copy_arguments(nf_bijector *self, const nf_arguments *given)
{
    const nf_bijector_type *type = self->type;
    const size_t *size = given->size, n_argument = count_of(type->argument);
    self->n_size = given->n_size;
    if (self->n_size == 0 && type->sizes) {
        size = type->sizes;
        while (size[self->n_size]) self->n_size++;
    }
    self->argument = ad_alloc(n_argument, sizeof *self->argument);
    self->choice = ad_alloc(n_argument, sizeof *self->choice);
    self->size = ad_alloc(self->n_size, sizeof *self->size);
    self->n_feature = given->feature ? given->n_feature : 0;
    self->feature = given->feature ? ad_alloc(self->n_feature, sizeof *self->feature) : NULL;
    if (!self->argument || !self->choice || !self->size || (given->feature && !self->feature)) return false;
    for (size_t i = 0; i < n_argument; i++) {
        bool listed = given->feature && type->argument[i].kind == NF_FEATURES;
        if (type->argument[i].kind == NF_DESCRIPTOR &&
            !copy_choice(&self->choice[i], &type->argument[i], given->choice ? &given->choice[i] : NULL))
            return false;
        self->argument[i] = listed ? NF_LISTED : given->value ? given->value[i] : type->argument[i].value;
    }
    for (size_t i = 0; i < self->n_size; i++) self->size[i] = size[i];
    for (size_t i = 0; i < self->n_feature; i++) self->feature[i] = given->feature[i];
    return true;
}

nf_bijector *nf_bijector_new(const nf_bijector_type *type, size_t dim, size_t context, const nf_arguments *given,
                             ad_error *error)
{
    return nf__bijector_within(type, dim, context, given, NULL, error);
}

nf_bijector *nf__bijector_within(const nf_bijector_type *type, size_t dim, size_t context, const nf_arguments *given,
                                 size_t *room, ad_error *error)
{
    if (!type || !type->name) {
        ad_error_set(error, AD_ERROR_ARGUMENT, "bijector: expected a type with a name, got none");
        return NULL;
    }
    if (dim == 0) {
        ad_error_set(error, AD_ERROR_ARGUMENT, "%s: an event needs at least 1 feature, got 0", type->name);
        return NULL;
    }
    if (given && given->n_size && !given->size) {
        ad_error_set(error, AD_ERROR_ARGUMENT, "%s: expected %zu sizes, got NULL", type->name, given->n_size);
        return NULL;
    }
    const ad_shape shape = given ? given->shape : (ad_shape){0};
    if (shape.rank != 0 && (shape.rank != 3 || ad_shape_size(shape) != dim)) {
        char text[128];
        ad_error_set(error, AD_ERROR_ARGUMENT, "%s: expected an image (channels,height,width) of %zu features, got %s",
                     type->name, dim, ad_shape_text(shape, text));
        return NULL;
    }
    if (room && nf__take_room(room, type->name, dim, error) != AD_OK) return NULL;
    nf_bijector *self = ad_alloc(1, sizeof *self);
    if (!self) return out_of_memory(NULL, error);
    self->type = type;
    self->dim = dim;
    self->context = context;
    self->room = room;
    self->shape = shape;
    if (!copy_arguments(self, given ? given : &(nf_arguments){0})) return out_of_memory(self, error);
    if (check_arguments(self, error) != AD_OK || (type->build && type->build(self, error) != AD_OK)) {
        nf_bijector_free(self);
        return NULL;
    }
    self->room = NULL;
    return self;
}

nf_bijector *nf__adopt(nf_bijector *self, nf_bijector *child, ad_error *error)
{
    nf_bijector **children = self ? ad_alloc(1, sizeof *children) : NULL;
    if (children) {
        children[0] = child;
        self->child = children;
        self->n_child = 1;
        return self;
    }
    if (self) ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a bijector");
    nf_bijector_free(self);
    nf_bijector_free(child);
    return NULL;
}

nf_bijector *nf__bijector_with_children(const nf_bijector_type *type, nf_bijector **child, size_t count,
                                        ad_error *error)
{
    if (!child) count = 0;
    nf_bijector *self = ad_alloc(1, sizeof *self);
    nf_bijector **children = ad_alloc(count, sizeof *children);
    bool good = self && children && count > 0, whole = true;
    for (size_t i = 0; i < count; i++) whole = whole && child[i];
    size_t context = whole && count ? child[0]->context : 0;
    for (size_t i = 0; i < count && whole; i++) {
        good = good && child[i]->dim == child[0]->dim && child[i]->context == context &&
               ad_shape_equal(child[i]->shape, child[0]->shape);
        if (type == &nf__type_chain) context = nf__context_after(child[i]);
    }
    for (size_t i = 0; i < count && whole && good && type != &nf__type_chain; i++)
        if (nf__refuse_stochastic(type->name, child[i], error)) whole = false;
    if (good && whole) {
        memcpy(children, child, count * sizeof(nf_bijector *));
        *self = (nf_bijector){.type = type,
                              .dim = child[0]->dim,
                              .context = child[0]->context,
                              .child = children,
                              .n_child = count,
                              .shape = child[0]->shape};
        return self;
    }
    if (self && children && whole)
        ad_error_set(error, AD_ERROR_ARGUMENT,
                     "%s: expected one or more bijectors (child) of the same dimension and context%s", type->name,
                     child ? "" : ", got NULL");
    else if (whole)
        out_of_memory(NULL, error);
    for (size_t i = 0; i < count; i++) nf_bijector_free(child[i]);
    ad_free(children);
    ad_free(self);
    return NULL;
}

size_t nf__context_after(const nf_bijector *bijector)
{
    if (bijector->is_chain && bijector->n_child) return nf__context_after(bijector->child[bijector->n_child - 1]);
    return bijector->type->embed && bijector->context ? bijector->type->embedded(bijector) : bijector->context;
}

nf_bijector *nf__bijector_copy(const nf_bijector *bijector, size_t *room, ad_error *error)
{
    const bool is_on = nf__maps_features(bijector);
    const size_t listed = bijector->n_feature + (is_on ? bijector->dim : 0);
    if (nf__take_room(room, bijector->type->name, listed, error) != AD_OK) return NULL;
    if (bijector->n_child == 0)
        return nf__bijector_within(bijector->type, bijector->dim, bijector->context,
                                   &(nf_arguments){.value = bijector->argument,
                                                   .choice = bijector->choice,
                                                   .size = bijector->size,
                                                   .n_size = bijector->n_size,
                                                   .feature = bijector->feature,
                                                   .n_feature = bijector->n_feature,
                                                   .shape = bijector->shape},
                                   room, error);
    nf_bijector **child = ad_alloc(bijector->n_child, sizeof *child), *copy = NULL;
    if (!child) return out_of_memory(NULL, error);
    size_t n = 0;
    while (n < bijector->n_child && (child[n] = nf__bijector_copy(bijector->child[n], room, error))) n++;
    if (n == bijector->n_child && bijector->type == &nf__type_dequantize) {
        copy = nf__dequantize(child[0], bijector->context, &(nf_arguments){.value = bijector->argument}, room, error);
    } else if (n == bijector->n_child && bijector->type == &nf__type_conditional) {
        copy = nf__conditional(child[0],
                               &(nf_arguments){.value = bijector->argument,
                                               .choice = bijector->choice,
                                               .size = bijector->size,
                                               .n_size = bijector->n_size},
                               room, error);
    } else if (n == bijector->n_child) {
        copy = is_on ? nf__on(bijector->type, bijector->shape, bijector->dim, bijector->feature, bijector->n_feature,
                              child[0], error)
                     : nf__bijector_with_children(bijector->type, child, n, error);
        if (copy) copy->is_chain = bijector->is_chain;
    } else
        while (n > 0) nf_bijector_free(child[--n]);
    ad_free(child);
    return copy;
}

void nf_bijector_free(nf_bijector *bijector)
{
    if (!bijector) return;
    for (size_t i = 0; i < bijector->n_child && !bijector->borrows; i++) nf_bijector_free(bijector->child[i]);
    for (size_t i = 0; i < bijector->n_parameter; i++) {
        ad_free(bijector->parameter[i].name);
        ad_free(bijector->parameter[i].value);
    }
    ad_free(bijector->parameter);
    ad_free(bijector->child);
    ad_free(bijector->feature);
    ad_free(bijector->size);
    for (size_t i = 0; bijector->choice && i < count_of(bijector->type->argument); i++)
        ad_free(bijector->choice[i].value);
    ad_free(bijector->choice);
    ad_free(bijector->argument);
    ad_free(bijector);
}

double nf_argument_value(const nf_bijector *self, const char *name)
{
    for (size_t i = 0; self && name && i < count_of(self->type->argument); i++)
        if (strcmp(self->type->argument[i].name, name) == 0) return self->argument[i];
    return 0;
}

const nf_choice *nf_argument_choice(const nf_bijector *self, const char *name)
{
    for (size_t i = 0; self && name && i < count_of(self->type->argument); i++)
        if (strcmp(self->type->argument[i].name, name) == 0) return &self->choice[i];
    return NULL;
}

ad_shape nf_image_shape(const nf_bijector *self)
{
    if (!self) return (ad_shape){0};
    return self->shape.rank == 3 ? self->shape : AD_SHAPE(self->dim, 1, 1);
}
