/* Instances of bijectors: arguments, parameters, children; and recording them. */
#include "core/internal.h"

#include <weir/bijector.h>

#include <math.h>
#include <string.h>

static size_t argument_count(const nf_bijector_type *type)
{
    size_t n = 0;
    while (type->argument && type->argument[n].name) n++;
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

static ad_status check_features(const nf_bijector *self, ad_error *error)
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

/* A formula's are checked as they are read; these may come from code. */
static ad_status check_arguments(const nf_bijector *self, ad_error *error)
{
    const nf_bijector_type *type = self->type;
    for (size_t i = 0; i < argument_count(type); i++)
        if (!is_allowed(&type->argument[i], self->argument[i], self->feature))
            return ad_error_set(error, AD_ERROR_ARGUMENT, "%s: argument '%s' can't be %g", type->name,
                                type->argument[i].name, self->argument[i]);
    bool takes_features = false;
    for (size_t i = 0; i < argument_count(type); i++) takes_features |= type->argument[i].kind == NF_FEATURES;
    if (self->feature && !takes_features)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "%s: takes no list of features, but one is given", type->name);
    for (size_t i = 0; i < self->n_size; i++)
        if (self->size[i] == 0)
            return ad_error_set(error, AD_ERROR_ARGUMENT, "%s: expected at least 1 of its %s, got 0", type->name,
                                type->positional);
    return self->feature ? check_features(self, error) : AD_OK;
}

static nf_bijector *out_of_memory(nf_bijector *bijector, ad_error *error)
{
    nf_bijector_free(bijector);
    ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a bijector");
    return NULL;
}

/* False when memory is out. */
static bool copy_arguments(nf_bijector *self, const nf_arguments *given)
{
    const nf_bijector_type *type = self->type;
    const size_t *size = given->size, n_argument = argument_count(type);
    self->n_size = given->n_size;
    if (self->n_size == 0 && type->sizes) {
        size = type->sizes;
        while (size[self->n_size]) self->n_size++;
    }
    self->argument = ad_alloc(n_argument, sizeof *self->argument);
    self->size = ad_alloc(self->n_size, sizeof *self->size);
    self->n_feature = given->feature ? given->n_feature : 0;
    self->feature = given->feature ? ad_alloc(self->n_feature, sizeof *self->feature) : NULL;
    if (!self->argument || !self->size || (given->feature && !self->feature)) return false;
    for (size_t i = 0; i < n_argument; i++) {
        bool listed = given->feature && type->argument[i].kind == NF_FEATURES;
        self->argument[i] = listed ? NF_LISTED : given->value ? given->value[i] : type->argument[i].value;
    }
    for (size_t i = 0; i < self->n_size; i++) self->size[i] = size[i];
    for (size_t i = 0; i < self->n_feature; i++) self->feature[i] = given->feature[i];
    return true;
}

nf_bijector *nf_bijector_new(const nf_bijector_type *type, size_t dim, size_t context, const nf_arguments *given,
                             ad_error *error)
{
    if (dim == 0) {
        ad_error_set(error, AD_ERROR_ARGUMENT, "%s: an event needs at least 1 feature, got 0", type->name);
        return NULL;
    }
    nf_bijector *self = ad_alloc(1, sizeof *self);
    if (!self) return out_of_memory(NULL, error);
    self->type = type;
    self->dim = dim;
    self->context = context;
    if (!copy_arguments(self, given ? given : &(nf_arguments){0})) return out_of_memory(self, error);
    if (check_arguments(self, error) != AD_OK || (type->build && type->build(self, error) != AD_OK)) {
        nf_bijector_free(self);
        return NULL;
    }
    return self;
}

nf_bijector *nf__bijector_with_children(const nf_bijector_type *type, nf_bijector **child, size_t count,
                                        ad_error *error)
{
    nf_bijector *self = ad_alloc(1, sizeof *self);
    nf_bijector **children = ad_alloc(count, sizeof *children);
    bool good = self && children && count > 0;
    for (size_t i = 0; i < count; i++)
        good = good && child[i] && child[i]->dim == child[0]->dim && child[i]->context == child[0]->context;
    if (good) {
        memcpy(children, child, count * sizeof(nf_bijector *));
        *self = (nf_bijector){
            .type = type, .dim = child[0]->dim, .context = child[0]->context, .child = children, .n_child = count};
        return self;
    }
    if (self && children)
        ad_error_set(error, AD_ERROR_ARGUMENT, "%s: expected one or more bijectors of the same dimension and context",
                     type->name);
    else
        out_of_memory(NULL, error);
    for (size_t i = 0; i < count; i++) nf_bijector_free(child[i]);
    ad_free(children);
    ad_free(self);
    return NULL;
}

nf_bijector *nf__bijector_copy(const nf_bijector *bijector, ad_error *error)
{
    if (bijector->n_child == 0)
        return nf_bijector_new(bijector->type, bijector->dim, bijector->context,
                               &(nf_arguments){bijector->argument, bijector->size, bijector->n_size, bijector->feature,
                                               bijector->n_feature},
                               error);
    nf_bijector **child = ad_alloc(bijector->n_child, sizeof *child), *copy = NULL;
    if (!child) return out_of_memory(NULL, error);
    size_t n = 0;
    while (n < bijector->n_child && (child[n] = nf__bijector_copy(bijector->child[n], error))) n++;
    if (n == bijector->n_child)
        copy = nf__bijector_with_children(bijector->type, child, n, error);
    else
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
    ad_free(bijector->argument);
    ad_free(bijector);
}

/* ---- Parameters and arguments -------------------------------------------------------------------------------- */

static bool is_triangular(nf_constraint constraint)
{
    return constraint == NF_LOWER_TRIANGULAR || constraint == NF_UNIT_LOWER_TRIANGULAR;
}

/* Of ρ, element i; drawn: a uniform on (-1, 1) or a normal, or 0. */
static double initial_value(const nf_parameter_spec *spec, double drawn, size_t i)
{
    if (is_triangular(spec->constraint)) {
        size_t row = i / spec->shape.dim[1], column = i % spec->shape.dim[1];
        if (row == column) return nf__unconstrain(spec, 1, i);
        if (row < column) return 0;
        return spec->init == NF_INIT_CONSTANT ? spec->value : spec->value * drawn;
    }
    return spec->init == NF_INIT_CONSTANT ? nf__unconstrain(spec, spec->value, i) : spec->value * drawn;
}

static ad_status check_spec(const nf_bijector *self, const nf_parameter_spec *spec, ad_error *error)
{
    bool square = spec->shape.rank == 2 && spec->shape.dim[0] == spec->shape.dim[1];
    char shape[128];
    if (is_triangular(spec->constraint) && !square)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "%s: parameter '%s' is triangular, so (n,n), and not %s",
                            self->type->name, spec->name, ad_shape_text(spec->shape, shape));
    if (spec->constraint == NF_INTERVAL && !(spec->low < spec->high))
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "%s: parameter '%s' is in the interval from %g to %g, which is empty", self->type->name,
                            spec->name, spec->low, spec->high);
    bool constant = spec->init == NF_INIT_CONSTANT && !is_triangular(spec->constraint);
    if (constant && !isfinite(nf__unconstrain(spec, spec->value, 0)))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "%s: parameter '%s' can't start at %g, its constraint forbids it",
                            self->type->name, spec->name, spec->value);
    return AD_OK;
}

ad_status nf_declare(nf_bijector *self, const nf_parameter_spec *spec, ad_error *error)
{
    if (check_spec(self, spec, error) != AD_OK) return AD_ERROR_ARGUMENT;
    nf_parameter *grown = ad_realloc(self->parameter, self->n_parameter + 1, sizeof *grown);
    if (grown) self->parameter = grown;
    char *name = grown ? ad_strdup(spec->name) : NULL;
    double *value = name ? ad_alloc(ad_shape_size(spec->shape), sizeof *value) : NULL;
    if (!value) {
        ad_free(name);
        return ad_error_set(error, AD_ERROR_MEMORY, "%s: out of memory for parameter '%s'", self->type->name,
                            spec->name);
    }
    nf_parameter *parameter = &self->parameter[self->n_parameter++];
    *parameter = (nf_parameter){.name = name, .spec = *spec, .value = value, .var = {NULL, -1}, .update = {NULL, -1}};
    parameter->spec.name = name;
    for (size_t i = 0; i < ad_shape_size(spec->shape); i++) value[i] = initial_value(spec, 0, i);
    return AD_OK;
}

static nf_parameter *find_parameter(const nf_bijector *self, const char *name)
{
    for (size_t i = 0; i < self->n_parameter; i++)
        if (strcmp(self->parameter[i].name, name) == 0) return &self->parameter[i];
    return NULL;
}

ad_var nf_param(const nf_bijector *self, const char *name)
{
    const nf_parameter *parameter = find_parameter(self, name);
    return parameter ? nf__constrain(&parameter->spec, parameter->var) : (ad_var){NULL, -1};
}

ad_var nf_context(const nf_bijector *self)
{
    return self->context_var;
}

void nf_update(const nf_bijector *self, const char *name, ad_var value)
{
    nf_parameter *parameter = find_parameter(self, name);
    if (parameter && parameter->spec.fixed)
        parameter->update = value;
    else
        ad_tape_fail(value.tape, AD_ERROR_ARGUMENT, "nf_update: %s has no fixed parameter '%s'", self->type->name,
                     name);
}

double *nf_parameter_value(const nf_bijector *self, const char *name)
{
    nf_parameter *parameter = find_parameter(self, name);
    return parameter ? parameter->value : NULL;
}

bool nf_parameter_set(nf_bijector *self, const char *name, const double *value)
{
    nf_parameter *parameter = find_parameter(self, name);
    if (!parameter) return false;
    for (size_t i = 0; i < ad_shape_size(parameter->spec.shape); i++)
        parameter->value[i] = nf__unconstrain(&parameter->spec, value[i], i);
    return true;
}

double nf_argument_value(const nf_bijector *self, const char *name)
{
    for (size_t i = 0; i < argument_count(self->type); i++)
        if (strcmp(self->type->argument[i].name, name) == 0) return self->argument[i];
    return 0;
}

static bool initialize_one(void *context, const char *name, nf_parameter *parameter)
{
    (void)name;
    if (parameter->spec.fixed) return true;
    uint64_t *state = context; /* seed, number of the parameter */
    const nf_parameter_spec *spec = &parameter->spec;
    for (size_t i = 0; i < ad_shape_size(spec->shape); i++) {
        double drawn = spec->init == NF_INIT_NORMAL ? ad_random_normal(state[0], state[1], i)
                                                    : 2 * ad_random_uniform(state[0], state[1], i) - 1;
        parameter->value[i] = initial_value(spec, drawn, i);
    }
    state[1]++;
    return true;
}

void nf_initialize(nf_bijector *bijector, uint64_t seed)
{
    uint64_t state[2] = {seed, 0};
    nf_each_parameter(bijector, initialize_one, state);
}

typedef struct {
    bool (*visit)(void *context, const char *name, nf_parameter *parameter);
    void *context;
    char name[512];
} walk;

/* The name is that of its place in the formula, in which chains within chains are written as their steps. */
static bool walk_parameters(nf_bijector *bijector, walk *w, size_t length, size_t *place)
{
    if (bijector->type == &nf__type_chain) {
        for (size_t i = 0; i < bijector->n_child; i++)
            if (!walk_parameters(bijector->child[i], w, length, place)) return false;
        return true;
    }
    size_t room = sizeof w->name - length;
    length += (size_t)snprintf(w->name + length, room, "%zu.", (*place)++);
    if (length >= sizeof w->name) length = sizeof w->name - 1;
    room = sizeof w->name - length;
    for (size_t i = 0; i < bijector->n_parameter; i++) {
        snprintf(w->name + length, room, "%s.%s", bijector->type->name, bijector->parameter[i].name);
        if (!w->visit(w->context, w->name, &bijector->parameter[i])) return false;
    }
    size_t inside = 0;
    for (size_t i = 0; i < bijector->n_child; i++)
        if (!walk_parameters(bijector->child[i], w, length, &inside)) return false;
    return true;
}

bool nf_each_parameter(nf_bijector *bijector, bool (*visit)(void *context, const char *name, nf_parameter *parameter),
                       void *context)
{
    walk w = {.visit = visit, .context = context};
    size_t place = 0;
    return walk_parameters(bijector, &w, 0, &place);
}

bool nf__each_base_parameter(nf_bijector *base, bool (*visit)(void *context, const char *name, nf_parameter *parameter),
                             void *context)
{
    walk w = {.visit = visit, .context = context, .name = "base."};
    size_t place = 0;
    return walk_parameters(base, &w, strlen(w.name), &place);
}

/* ---- Recording ----------------------------------------------------------------------------------------------- */

static bool bind_one(void *tape, const char *name, nf_parameter *parameter)
{
    parameter->var = ad_param(tape, name, parameter->spec.shape);
    parameter->update = (ad_var){tape, -1};
    return true;
}

static void set_training(nf_bijector *bijector, bool training)
{
    bijector->training = training;
    for (size_t i = 0; i < bijector->n_child; i++) set_training(bijector->child[i], training);
}

void nf_set_training(nf_bijector *bijector)
{
    set_training(bijector, true);
}

void nf_set_context(nf_bijector *bijector, ad_var context)
{
    bijector->context_var = context;
    for (size_t i = 0; i < bijector->n_child; i++) nf_set_context(bijector->child[i], context);
}

void nf_bind(nf_bijector *bijector, ad_tape *tape)
{
    nf_each_parameter(bijector, bind_one, tape);
    nf_set_context(bijector,
                   bijector->context ? ad_input(tape, "context", AD_SHAPE(bijector->context)) : (ad_var){tape, -1});
    set_training(bijector, false);
}

static ad_var record(const nf_bijector *bijector, ad_var in, ad_var *log_det, const char *direction, nf__map *map,
                     nf__map *opposite)
{
    ad_tape *tape = in.tape;
    char got[128], expected[128];
    ad_shape shape = AD_SHAPE(bijector->dim);
    *log_det = (ad_var){tape, -1};
    ad_tape_enter(tape, bijector->type->name);
    ad_var out = {tape, -1};
    if (ad_is_valid(in) && !ad_shape_equal(ad_shape_of(in), shape))
        ad_tape_fail(tape, AD_ERROR_ARGUMENT, "%s: the event has shape %s, expected %s", direction,
                     ad_shape_text(ad_shape_of(in), got), ad_shape_text(shape, expected));
    else if (map)
        out = map(bijector, in, log_det);
    else
        out = nf__derive_inverse(bijector, opposite, in, log_det);
    if (ad_is_valid(out) && !ad_shape_equal(ad_shape_of(out), shape))
        ad_tape_fail(tape, AD_ERROR_ARGUMENT, "%s gave shape %s, expected %s", direction,
                     ad_shape_text(ad_shape_of(out), got), ad_shape_text(shape, expected));
    else if (ad_is_valid(out) && !ad_is_valid(*log_det))
        *log_det = nf__derive_log_det(out, in);
    if (ad_is_valid(*log_det) && ad_shape_of(*log_det).rank != 0)
        ad_tape_fail(tape, AD_ERROR_ARGUMENT, "%s gave a log_det of shape %s, expected ()", direction,
                     ad_shape_text(ad_shape_of(*log_det), got));
    ad_tape_leave(tape);
    return out;
}

ad_var nf_forward(const nf_bijector *bijector, ad_var z, ad_var *log_det)
{
    return record(bijector, z, log_det, "forward", bijector->type->forward, bijector->type->inverse);
}

ad_var nf_inverse(const nf_bijector *bijector, ad_var x, ad_var *log_det)
{
    return record(bijector, x, log_det, "inverse", bijector->type->inverse, bijector->type->forward);
}

static bool give_value(void *plan, const char *name, nf_parameter *parameter)
{
    (void)name;
    ad_plan_set_input(plan, parameter->var, parameter->value);
    return true;
}

ad_status nf__bijector_inverse_rows(nf_bijector *bijector, const double *x, const double *context, size_t rows,
                                    double *z, ad_error *error)
{
    ad_tape *tape = ad_tape_new();
    if (!tape) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a tape");
    nf_bind(bijector, tape);
    ad_var in = ad_input(tape, "x", AD_SHAPE(bijector->dim)), log_det, out = nf_inverse(bijector, in, &log_det);
    ad_plan *plan = ad_plan_new(&out, 1, &(ad_plan_options){.dtype = AD_F64}, error);
    ad_tape_free(tape);
    if (!plan) return error ? error->status : AD_ERROR_MEMORY;
    nf_each_parameter(bijector, give_value, plan);
    ad_plan_set_input(plan, in, x);
    ad_plan_set_input(plan, nf_context(bijector), context);
    ad_plan_set_output(plan, 0, z);
    ad_status status = ad_plan_run(plan, &(ad_run){.rows = rows}, error);
    ad_plan_free(plan);
    return status;
}

ad_status nf_bijector_fit(nf_bijector *bijector, const double *x, const double *context, size_t rows, ad_error *error)
{
    if (bijector->type == &nf__type_chain) return nf__chain_fit(bijector, x, context, rows, error);
    return bijector->type->fit ? bijector->type->fit(bijector, x, rows, error) : AD_OK;
}
