/* Callbacks of training loops: convergence of the parameters, and tracking of anything. */
#include "training/loop.h"

#include <weir/callbacks.h>

#include <math.h>
#include <string.h>

bool nf_call_back(nf_callback *const *callbacks, const nf_iteration *at)
{
    bool go_on = true;
    for (; callbacks && *callbacks; callbacks++) {
        nf_callback *one = *callbacks;
        if (one->every == 0 || at->iteration % one->every == 0) go_on &= one->call(one, at);
    }
    return go_on;
}

/* ---- Convergence --------------------------------------------------------------------------------------------- */

/* Replace q by the parameters, and return ‖d‖. */
static double move_on(nf_convergence *c, const nf_iteration *at)
{
    const double small = 1e-6, k = c->norm == 0 ? INFINITY : c->norm;
    double largest = 0, least = INFINITY, sum = 0;
    for (size_t i = 0; i < at->count; i++) {
        double p = ad_element(at->dtype, at->parameters, i), q = c->previous[i], d = fabs(p - q);
        if (!c->absolute) d = (d + small) / (fabs(q) + small);
        if (isfinite(k)) sum += pow(d, k);
        largest = isnan(d) || d > largest ? d : largest;
        least = isnan(d) || d < least ? d : least;
        c->previous[i] = p;
    }
    return isfinite(k) ? pow(sum, 1 / k) : k > 0 ? largest : least;
}

bool nf_stop_when_converged(nf_callback *self, const nf_iteration *at)
{
    if (!self || !at) return true;
    nf_convergence *c = (nf_convergence *)self;
    const size_t every = self->every ? self->every : 100;
    if (at->iteration % every != 0) return true;
    if (!c->previous) {
        c->previous = ad_alloc(at->count, sizeof *c->previous);
        if (!c->previous) {
            c->status = AD_ERROR_MEMORY;
            return false;
        }
        for (size_t i = 0; i < at->count; i++) c->previous[i] = ad_element(at->dtype, at->parameters, i);
        return true;
    }
    c->difference = move_on(c, at);
    c->converged = c->difference < (c->tolerance > 0 ? c->tolerance : 1e-3);
    return !c->converged;
}

void nf_convergence_free(nf_convergence *convergence)
{
    if (!convergence) return;
    ad_free(convergence->previous);
    convergence->previous = NULL;
}

static void list_convergence(nf_convergence *c, size_t number, size_t count, nf__state *state)
{
    char name[64];
    snprintf(name, sizeof name, "convergence.%zu", number);
    static const nf__field difference[] = {NF__FIELD(nf_convergence, difference, NF__NUMBER)};
    const size_t kept = nf__state_size(state, name, c->previous ? count : 0);
    nf__state_number(state, "tolerance", c->tolerance);
    if (nf__state_restores(state) && kept > 0 && !c->previous) {
        c->previous = ad_alloc(count, sizeof *c->previous);
        if (!c->previous) nf__state_fail(state, AD_ERROR_MEMORY, "out of memory to watch the parameters");
    }
    nf__state_array(state, name, AD_F64, c->previous, kept > 0 ? count : 0);
    snprintf(name, sizeof name, "difference.%zu", number);
    nf__state_structs(state, name, difference, 1, c, sizeof *c, 1);
}

/* ---- Tracking ------------------------------------------------------------------------------------------------ */

static void copy_elements(const nf_tracker *self, const nf_iteration *at, const void *values, double *numbers)
{
    for (size_t i = 0; i < self->width; i++)
        numbers[i] = self->first + i < at->count ? ad_element(at->dtype, values, self->first + i) : NAN;
}

void nf_record_parameters(const nf_tracker *self, const nf_iteration *at, double *numbers)
{
    if (!self || !at || !numbers) return;
    copy_elements(self, at, at->parameters, numbers);
}

void nf_record_gradient(const nf_tracker *self, const nf_iteration *at, double *numbers)
{
    if (!self || !at || !numbers) return;
    copy_elements(self, at, at->gradient, numbers);
}

void nf_record_loss(const nf_tracker *self, const nf_iteration *at, double *numbers)
{
    if (!self || !at || !numbers) return;
    *numbers = at->loss;
}

static void settle(nf_tracker *t, const nf_iteration *at)
{
    if (!t->record) t->record = nf_record_parameters;
    if (t->width > 0) return;
    bool of_parameters = t->record == nf_record_parameters || t->record == nf_record_gradient;
    t->width = of_parameters && at->count > t->first ? at->count - t->first : 1;
}

static bool grow(nf_tracker *t)
{
    if (t->records < t->room) return true;
    const size_t room = t->room ? 2 * t->room : 64;
    size_t *iteration = ad_realloc(t->iteration, room, sizeof *iteration);
    if (iteration) t->iteration = iteration;
    double *values = ad_realloc(t->values, room, t->width * sizeof *values);
    if (values) t->values = values;
    if (iteration && values) t->room = room;
    return iteration && values;
}

bool nf_track(nf_callback *self, const nf_iteration *at)
{
    if (!self || !at) return true;
    nf_tracker *t = (nf_tracker *)self;
    settle(t, at);
    if (!grow(t)) {
        t->status = AD_ERROR_MEMORY;
        return false;
    }
    t->iteration[t->records] = at->iteration;
    t->record(t, at, t->values + t->records * t->width);
    t->records++;
    return true;
}

void nf_tracker_free(nf_tracker *tracker)
{
    if (!tracker) return;
    ad_free(tracker->iteration);
    ad_free(tracker->values);
    tracker->iteration = NULL;
    tracker->values = NULL;
    tracker->records = tracker->room = 0;
}

typedef struct {
    const char *name;
    size_t at, width;
} search;

static bool is_other(void *context, const char *name, nf_parameter *parameter)
{
    search *s = context;
    if (parameter->spec.fixed) return true;
    size_t size = ad_shape_size(parameter->spec.shape);
    if (strcmp(name, s->name) == 0)
        s->width = size;
    else
        s->at += size;
    return s->width == 0;
}

ad_status nf_find_parameter(const nf_flow *flow, const char *name, size_t *first, size_t *width, ad_error *error)
{
    const char *missing = !flow ? "flow" : !name ? "name" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "find parameter: %s is NULL", missing);
    search s = {.name = name};
    nf_flow_each_parameter(flow, is_other, &s);
    if (s.width == 0) return ad_error_set(error, AD_ERROR_ARGUMENT, "the flow has no trained parameter '%s'", name);
    if (first) *first = s.at;
    if (width) *width = s.width;
    return AD_OK;
}

/* ---- Checkpoints ----------------------------------------------------------------------------------------------- */

static void list_tracker(nf_tracker *t, size_t number, nf__state *state)
{
    char name[64], of_values[64];
    snprintf(name, sizeof name, "tracked iterations.%zu", number);
    snprintf(of_values, sizeof of_values, "tracked.%zu", number);
    static const nf__field iteration[] = {{0, NF__COUNT}};
    const size_t records = nf__state_size(state, name, t->records);
    const size_t values = nf__state_size(state, of_values, t->records * t->width);
    if (nf__state_restores(state)) {
        t->width = records ? values / records : t->width;
        while (t->room < records && grow(t)) t->records = t->room;
        if (t->room < records) nf__state_fail(state, AD_ERROR_MEMORY, "out of memory for what was tracked");
        t->records = records;
    }
    nf__state_structs(state, name, iteration, 1, t->iteration, sizeof *t->iteration, records);
    nf__state_array(state, of_values, AD_F64, t->values, values);
}

void nf__callbacks_list(nf_callback *const *callbacks, size_t count, nf__state *state)
{
    for (size_t i = 0; callbacks && callbacks[i]; i++) {
        nf_callback *one = callbacks[i];
        if (one->call == nf_stop_when_converged) list_convergence((nf_convergence *)one, i, count, state);
        if (one->call == nf_track) list_tracker((nf_tracker *)one, i, state);
    }
}
