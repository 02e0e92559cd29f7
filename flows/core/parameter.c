/* Parameters of bijectors: declaring them, their initial values, and walking over them. */
#include "core/internal.h"

#include <weir/environment.h>
#include <weir/random.h>

#include <math.h>
#include <string.h>

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
    if (!spec->name)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "%s: expected a parameter with a name, got none",
                            self->type->name);
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

/* The bijector's own copy and the flow's; SIZE_MAX where that is beyond all numbers. */
static size_t room_of(const nf_parameter_spec *spec)
{
    const size_t size = ad_shape_size(spec->shape);
    return size <= SIZE_MAX / 2 ? 2 * size : SIZE_MAX;
}

ad_status nf__take_room(size_t *room, const char *name, size_t numbers, ad_error *error)
{
    if (numbers > *room)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "%s: it needs %zu numbers, where %zu are left for the formula",
                            name, numbers, *room);
    *room -= numbers;
    return AD_OK;
}

ad_status nf_declare(nf_bijector *self, const nf_parameter_spec *spec, ad_error *error)
{
    if (!self || !spec)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "expected a parameter of a bijector, got NULL for %s",
                            self ? "spec" : "self");
    if (check_spec(self, spec, error) != AD_OK) return AD_ERROR_ARGUMENT;
    if (self->room && nf__take_room(self->room, self->type->name, room_of(spec), error) != AD_OK)
        return AD_ERROR_ARGUMENT;
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
    *parameter = (nf_parameter){.name = name, .spec = *spec, .value = value};
    parameter->spec.name = name;
    for (size_t i = 0; i < ad_shape_size(spec->shape); i++) value[i] = initial_value(spec, 0, i);
    return AD_OK;
}

nf_parameter *nf__find_parameter(const nf_bijector *self, const char *name)
{
    for (size_t i = 0; self && name && i < self->n_parameter; i++)
        if (strcmp(self->parameter[i].name, name) == 0) return &self->parameter[i];
    return NULL;
}

double *nf_parameter_value(const nf_bijector *self, const char *name)
{
    nf_parameter *parameter = nf__find_parameter(self, name);
    return parameter ? parameter->value : NULL;
}

bool nf_parameter_set(nf_bijector *self, const char *name, const double *value)
{
    nf_parameter *parameter = nf__find_parameter(self, name);
    if (!parameter || !value) return false;
    for (size_t i = 0; i < ad_shape_size(parameter->spec.shape); i++)
        parameter->value[i] = nf__unconstrain(&parameter->spec, value[i], i);
    return true;
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
    AD_DEFAULT_ENVIRONMENT;
    uint64_t state[2] = {seed, 0};
    nf_each_parameter(bijector, initialize_one, state);
}

typedef struct {
    bool (*visit)(void *context, const char *name, nf_parameter *parameter);
    void *context;
    char name[512];
} walk;

/* The name is that of its place in the formula, in which chains within chains are written as their steps. */
static bool walk_parameters(const nf_bijector *bijector, walk *w, size_t length, size_t *place)
{
    if (bijector->is_chain) {
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

bool nf_each_parameter(const nf_bijector *bijector,
                       bool (*visit)(void *context, const char *name, nf_parameter *parameter), void *context)
{
    if (!bijector || !visit) return true;
    walk w = {.visit = visit, .context = context};
    size_t place = 0;
    return walk_parameters(bijector, &w, 0, &place);
}

bool nf__each_base_parameter(const nf_bijector *base,
                             bool (*visit)(void *context, const char *name, nf_parameter *parameter), void *context)
{
    walk w = {.visit = visit, .context = context, .name = "base."};
    size_t place = 0;
    return walk_parameters(base, &w, strlen(w.name), &place);
}
