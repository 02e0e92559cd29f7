/* A bijector's canonical formula: the shortest that parses to the same one, found by dynamic programming over its
 * steps. Of equally short ones, that with the fewest, longest repetitions. Chains of more than 400 steps are written in
 * parts. */
#include "core/internal.h"

#include <weir/environment.h>
#include <weir/flow.h>

#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

/* Text that grows. */
typedef struct {
    char *data;
    size_t length, capacity;
    bool with_defaults; /* defaults too */
    bool failed;
} text;

AD_PRINTF(2, 3) static void append(text *t, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int needed = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    size_t total = t->length + (size_t)(needed < 0 ? 0 : needed) + 1;
    if (total > t->capacity) {
        char *grown = ad_realloc(t->data, 2 * total, 1);
        if (!grown) {
            t->failed = true;
            return;
        }
        t->data = grown;
        t->capacity = 2 * total;
    }
    va_start(arguments, format);
    t->length += (size_t)vsnprintf(t->data + t->length, t->capacity - t->length, format, arguments);
    va_end(arguments);
}

/* Shortest decimal that reads back as the same number; counts without an exponent, 20 and not 2e+01. */
static void append_number(text *t, double value)
{
    char buffer[40];
    if (fabs(value) < 1e6 && value == floor(value)) {
        append(t, "%.0f", value);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        double back;
        snprintf(buffer, sizeof buffer, "%.*g", digits, value);
        if (sscanf(buffer, "%lf", &back) == 1 && back == value) break;
    }
    append(t, "%s", buffer);
}

static void print_chain(text *t, const nf_bijector *const *step, size_t count);

typedef struct {
    const nf_bijector **step;
    size_t count, capacity;
    bool failed;
} steps;

/* Chains within chains are the same as their steps. */
static void flatten(const nf_bijector *bijector, steps *s)
{
    if (bijector->type == &nf__type_chain) {
        for (size_t i = 0; i < bijector->n_child; i++) flatten(bijector->child[i], s);
        return;
    }
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 16;
        const nf_bijector **grown = ad_realloc(s->step, capacity, sizeof *grown);
        if (!grown) {
            s->failed = true;
            return;
        }
        s->step = grown;
        s->capacity = capacity;
    }
    s->step[s->count++] = bijector;
}

static void print_flat(text *t, const nf_bijector *bijector)
{
    steps s = {0};
    flatten(bijector, &s);
    t->failed |= s.failed;
    if (!t->failed) print_chain(t, s.step, s.count);
    ad_free(s.step);
}

static void print_value(text *t, const nf_argument *argument, double value)
{
    if (!argument->choices) {
        append_number(t, value);
        return;
    }
    const char *choice = argument->choices;
    for (size_t i = 0; i < (size_t)value; i++) choice += strcspn(choice, "|") + 1;
    append(t, "%.*s", (int)strcspn(choice, "|"), choice);
}

/* "rational_quadratic(bins=16)" */
static void print_descriptor(text *t, const nf_choice *choice)
{
    const nf_descriptor *d = choice->descriptor;
    const char *separator = "(";
    append(t, "%s", d->name);
    for (size_t i = 0; d->argument && d->argument[i].name; i++) {
        if (!t->with_defaults && choice->value[i] == d->argument[i].value) continue;
        append(t, "%s%s=", separator, d->argument[i].name);
        print_value(t, &d->argument[i], choice->value[i]);
        separator = ",";
    }
    if (*separator == ',') append(t, ")");
}

static bool same_choice(const nf_choice *a, const nf_choice *b)
{
    const nf_argument *argument = ((const nf_descriptor *)a->descriptor)->argument;
    if (a->descriptor != b->descriptor) return false;
    for (size_t i = 0; argument && argument[i].name; i++)
        if (a->value[i] != b->value[i]) return false;
    return true;
}

static bool is_default(const nf_bijector *bijector, size_t i)
{
    const nf_argument *argument = &bijector->type->argument[i];
    if (argument->kind != NF_DESCRIPTOR) return bijector->argument[i] == argument->value;
    const nf_descriptor *d = bijector->choice[i].descriptor;
    if (strcmp(d->name, argument->initial) != 0) return false;
    for (size_t k = 0; d->argument && d->argument[k].name; k++)
        if (bijector->choice[i].value[k] != d->argument[k].value) return false;
    return true;
}

/* "[1,3,5-8]" */
static void print_features(text *t, const size_t *feature, size_t count)
{
    const char *separator = "[";
    for (size_t first = 0, last; first < count; first = last + 1, separator = ",") {
        last = first;
        while (last + 1 < count && feature[last + 1] == feature[last] + 1) last++;
        append(t, last > first ? "%s%zu-%zu" : "%s%zu", separator, feature[first] + 1, feature[last] + 1);
    }
    append(t, "]");
}

static void print_step(text *t, const nf_bijector *bijector);

/* What isn't as by default, behind `separator`, a '(' which is closed then, or a ','. */
static void print_arguments(text *t, const nf_bijector *bijector, const char *separator)
{
    const nf_bijector_type *type = bijector->type;
    const bool opens = *separator == '(';
    for (size_t i = 0; i < bijector->n_size; i++, separator = ",") append(t, "%s%zu", separator, bijector->size[i]);
    for (size_t i = 0; type->argument && type->argument[i].name; i++) {
        const nf_argument *argument = &type->argument[i];
        if (!t->with_defaults && is_default(bijector, i)) continue;
        append(t, "%s%s=", separator, argument->name);
        separator = ",";
        if (argument->kind == NF_DESCRIPTOR)
            print_descriptor(t, &bijector->choice[i]);
        else if (bijector->argument[i] == NF_LISTED && argument->kind == NF_FEATURES)
            print_features(t, bijector->feature, bijector->n_feature);
        else
            print_value(t, argument, bijector->argument[i]);
    }
    if (opens && *separator == ',') append(t, ")");
}

static void print_flow(text *t, const nf_bijector *base, const nf_bijector *bijector)
{
    if (base && (t->with_defaults || base->type != &nf__type_normal)) {
        print_step(t, base);
        append(t, ":");
    }
    print_flat(t, bijector);
}

static void print_step(text *t, const nf_bijector *bijector)
{
    const nf_bijector_type *type = bijector->type;
    append(t, "%s", type->name);
    if (type == &nf__type_mixture_of) {
        for (size_t i = 0; i < bijector->n_child; i += 2) {
            append(t, i ? "|" : "(");
            print_flow(t, bijector->child[i], bijector->child[i + 1]);
        }
        append(t, ")");
        return;
    }
    if (type == &nf__type_product_of) {
        for (size_t i = 0; i < bijector->n_child; i++) {
            append(t, i ? "|" : "(");
            print_features(t, bijector->child[i]->feature, bijector->child[i]->n_feature);
            append(t, ":");
            print_step(t, bijector->child[i]->child[0]);
        }
        append(t, ")");
        return;
    }
    if (bijector->n_child) {
        append(t, "(");
        const ad_shape image = bijector->child[0]->shape;
        const size_t channels = image.dim[0];
        if (type == &nf__type_on) {
            print_features(t, bijector->feature, bijector->n_feature);
            append(t, ",");
        } else if (type == &nf__type_image) {
            append(t, channels == 1 && !t->with_defaults ? "%zu,%zu," : "%zu,%zu,%zu,", image.dim[1], image.dim[2],
                   channels);
        }
        print_flat(t, bijector->child[0]);
        print_arguments(t, bijector, ",");
        append(t, ")");
        return;
    }
    print_arguments(t, bijector, "(");
}

/* Copies of each other; what embeds the context is no copy, for it sees another one. */
static bool same_step(const nf_bijector *a, const nf_bijector *b)
{
    if (a == b) return true;
    if (a->type->embed) return false;
    if (a->type != b->type || a->n_size != b->n_size || a->n_child != b->n_child) return false;
    for (size_t i = 0; i < a->n_size; i++)
        if (a->size[i] != b->size[i]) return false;
    for (size_t i = 0; a->type->argument && a->type->argument[i].name; i++)
        if (a->argument[i] != b->argument[i] || (a->choice[i].descriptor && !same_choice(&a->choice[i], &b->choice[i])))
            return false;
    if (a->n_feature != b->n_feature || !ad_shape_equal(a->shape, b->shape)) return false;
    for (size_t i = 0; i < a->n_feature; i++)
        if (a->feature[i] != b->feature[i]) return false;
    for (size_t i = 0; i < a->n_child; i++)
        if (!same_step(a->child[i], b->child[i])) return false;
    return true;
}

/* How steps i … i+n-1 are written best. */
typedef struct {
    size_t length;
    size_t split;  /* 0: not split; else the first part's number of steps */
    size_t period; /* 0: not a repetition; else the steps of one copy */
} best;

typedef struct {
    size_t count, *kind; /* of each step: the first one that is equal */
    text *step;          /* what each kind looks like */
    best *table;         /* [count][count + 1] */
} plan;

static best *at(const plan *p, size_t i, size_t n)
{
    return &p->table[i * (p->count + 1) + n];
}

static size_t digits(size_t n)
{
    size_t d = 1;
    while (n >= 10) n /= 10, d++;
    return d;
}

static bool repeats(const plan *p, size_t i, size_t n, size_t period)
{
    for (size_t k = period; k < n; k++)
        if (p->kind[i + k] != p->kind[i + k - period]) return false;
    return true;
}

static void choose(const plan *p, size_t i, size_t n)
{
    best *b = at(p, i, n);
    *b = (best){.length = n == 1 ? p->step[p->kind[i]].length : SIZE_MAX};
    for (size_t period = 1; period < n; period++) {
        if (n % period || !repeats(p, i, n, period)) continue;
        size_t length = at(p, i, period)->length + (period > 1 ? 2 : 0) + 1 + digits(n / period);
        if (length < b->length) *b = (best){.length = length, .period = period};
        break; /* a longer period is this one, repeated */
    }
    for (size_t split = 1; split < n; split++) {
        size_t length = at(p, i, split)->length + 1 + at(p, i + split, n - split)->length;
        if (length < b->length) *b = (best){.length = length, .split = split};
    }
}

static void print_best(text *t, const plan *p, size_t i, size_t n)
{
    const best *b = at(p, i, n);
    if (b->split) {
        print_best(t, p, i, b->split);
        append(t, "-");
        print_best(t, p, i + b->split, n - b->split);
    } else if (b->period) {
        append(t, b->period > 1 ? "(" : "");
        print_best(t, p, i, b->period);
        append(t, b->period > 1 ? ")*%zu" : "*%zu", n / b->period);
    } else {
        append(t, "%s", p->step[p->kind[i]].data);
    }
}

enum { MOST = 400 }; /* steps that are written best: that takes cubic time */

/* How many steps at the beginning are copies of the first `period`. */
static size_t repeated(const nf_bijector *const *step, size_t count, size_t period)
{
    size_t length = period;
    while (length < count && same_step(step[length], step[length - period])) length++;
    return length / period * period;
}

/* Of more than MOST steps, the beginning: as a repetition where there is one that is longer than that. Returns how
 * many.
 */
static size_t print_beginning(text *t, const nf_bijector *const *step, size_t count)
{
    size_t length = MOST, period = 0;
    for (size_t p = 1; p <= MOST; p++) {
        size_t covered = repeated(step, count, p);
        if (covered <= length) continue;
        length = covered;
        period = p;
    }
    append(t, period > 1 ? "(" : "");
    print_chain(t, step, period ? period : MOST);
    if (period) append(t, period > 1 ? ")*%zu" : "*%zu", length / period);
    return length;
}

static void print_chain(text *t, const nf_bijector *const *step, size_t count)
{
    while (count > MOST) {
        size_t printed = print_beginning(t, step, count);
        step += printed;
        count -= printed;
        if (count == 0) return;
        append(t, "-");
    }
    plan p = {.count = count,
              .kind = ad_alloc(count, sizeof *p.kind),
              .step = ad_alloc(count, sizeof *p.step),
              .table = ad_alloc(count, (count + 1) * sizeof *p.table)};
    bool good = p.kind && p.step && p.table;
    for (size_t i = 0; i < count && good; i++) {
        while (!same_step(step[p.kind[i]], step[i])) p.kind[i]++;
        p.step[i].with_defaults = t->with_defaults;
        if (p.kind[i] == i) print_step(&p.step[i], step[i]);
        good = !p.step[i].failed;
    }
    if (good && count > 0) {
        for (size_t n = 1; n <= count; n++)
            for (size_t i = 0; i + n <= count; i++) choose(&p, i, n);
        print_best(t, &p, 0, count);
    }
    t->failed |= !good;
    for (size_t i = 0; i < count && p.step; i++) ad_free(p.step[i].data);
    ad_free(p.table);
    ad_free(p.step);
    ad_free(p.kind);
}

static char *print_formula(const nf_bijector *base, const nf_bijector *bijector, bool with_defaults)
{
    if (!bijector) return NULL;
    text t = {.with_defaults = with_defaults};
    append(&t, "%s", ""); /* of a slice without steps */
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", NULL);
    if (!c_locale) return NULL;
    locale_t before = uselocale(c_locale); /* a number has a point, wherever we are */
    print_flow(&t, base, bijector);
    uselocale(before);
    freelocale(c_locale);
    if (!t.failed) return t.data;
    ad_free(t.data);
    return NULL;
}

char *nf_formula(const nf_bijector *bijector)
{
    AD_DEFAULT_ENVIRONMENT;
    return print_formula(NULL, bijector, false);
}

char *nf_flow_formula(const nf_flow *flow, bool with_defaults)
{
    AD_DEFAULT_ENVIRONMENT;
    return print_formula(nf_flow_base(flow), nf_flow_bijector(flow), with_defaults);
}
