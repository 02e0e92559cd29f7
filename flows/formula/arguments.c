/* The arguments in parentheses behind a name. */
#include "formula/arguments.h"
#include "core/internal.h"

#include <weir/environment.h>
#include <weir/memory.h>

#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <string.h>

void nf__arguments_free(nf__arguments *a)
{
    for (size_t i = 0; i < a->n_named; i++) ad_free(a->choice[i].value);
    ad_free(a->feature);
}

const char *nf__argument_help(const nf__arguments *a, char buffer[static 512])
{
    char names[256];
    size_t n = 0;
    if (a->type->positional) n += (size_t)snprintf(buffer, 512, "whole numbers of %s", a->type->positional);
    for (size_t i = 0; i < a->n_named && n < 400; i++) {
        const nf_argument *argument = &a->type->argument[i];
        n += (size_t)snprintf(buffer + n, 512 - n, "%s%s=%s%s", n ? ", " : "", argument->name,
                              argument->choices    ? argument->choices
                              : argument->registry ? nf_registry_names(argument->registry, "|", names, sizeof names)
                                                   : "number",
                              argument->kind == NF_FEATURES ? "|[features]" : "");
    }
    if (n == 0) snprintf(buffer, 512, "no arguments");
    return buffer;
}

static bool parse_choice(nf__reader *p, const nf_argument *argument, double *value)
{
    char what[200], valid[200], given[64];
    size_t length = nf__name_length(p->at), index = 0;
    const char *choice = argument->choices;
    for (; length; index++) {
        size_t n = strcspn(choice, "|");
        if (n == length && memcmp(choice, p->at, n) == 0) {
            *value = (double)index;
            p->at += length;
            return true;
        }
        if (!choice[n]) break;
        choice += n + 1;
    }
    snprintf(what, sizeof what, "'%s' has no such choice, %s", argument->name, nf__got(p->at, given));
    snprintf(valid, sizeof valid, "%s%s", argument->choices,
             argument->kind == NF_FEATURES ? ", or a list of features: [1,3-5]" : "");
    return nf__fail(p, p->at, what, valid);
}

/* A feature from `first` on. */
static bool parse_feature(nf__reader *p, const char *name, size_t dim, size_t first, size_t *feature)
{
    char what[200], valid[200], given[64];
    double number;
    nf__skip_spaces(p);
    const char *start = p->at;
    if (nf__read_number(p, &number) && number >= (double)first && number <= (double)dim && number == floor(number)) {
        *feature = (size_t)number;
        return true;
    }
    snprintf(what, sizeof what, "'%s' lists features of an event, %s", name, nf__got(start, given));
    snprintf(valid, sizeof valid, "a whole number from %zu to %zu, or a range of them, 1-%zu", first, dim, dim);
    return nf__fail(p, start, what, valid);
}

static bool too_many(nf__reader *p, const char *where, const char *name, size_t dim)
{
    char what[200];
    snprintf(what, sizeof what, "'%s' lists more features than the %zu of an event", name, dim);
    return nf__fail(p, where, what, "']', and each feature once");
}

bool nf__read_features(nf__reader *p, const char *name, size_t dim, size_t **feature, size_t *count)
{
    size_t first, last;
    do {
        if (!parse_feature(p, name, dim, 1, &first)) return false;
        last = first;
        const char *start = p->at;
        if (nf__take(p, '-') && !parse_feature(p, name, dim, first, &last)) return false;
        const size_t more = last - first + 1;
        if (more > dim - *count) return too_many(p, start, name, dim);
        if (nf__take_room(p->room, name, more, p->error) != AD_OK) return false;
        size_t *grown = ad_realloc(*feature, *count + more, sizeof *grown);
        if (!grown) {
            ad_error_set(p->error, AD_ERROR_MEMORY, "out of memory for a list of features");
            return false;
        }
        *feature = grown;
        for (size_t i = first; i <= last; i++) (*feature)[(*count)++] = i - 1;
    } while (nf__take(p, ','));
    return nf__take(p, ']') || nf__fail(p, p->at, "a list that isn't closed", "',', '-' or ']'");
}

/* A name of the argument's registry, with arguments of its own. */
static bool parse_descriptor(nf__reader *p, const nf_argument *argument, nf_choice *choice)
{
    char what[200], valid[512], given[64];
    const nf_descriptor *d = nf_registry_find(argument->registry, p->at, nf__name_length(p->at));
    if (!d) {
        snprintf(what, sizeof what, "'%s' has no such choice, %s", argument->name, nf__got(p->at, given));
        return nf__fail(p, p->at, what, nf_registry_names(argument->registry, "|", valid, sizeof valid));
    }
    p->at += strlen(d->name);
    nf__arguments own = {.type = &(const nf_bijector_type){.name = d->name, .argument = d->argument}};
    bool good = nf__read_arguments(p, &own);
    choice->value = good ? ad_alloc(own.n_named, sizeof *choice->value) : NULL;
    if (good && !choice->value) ad_error_set(p->error, AD_ERROR_MEMORY, "out of memory for '%s'", d->name);
    for (size_t i = 0; choice->value && i < own.n_named; i++) choice->value[i] = own.value[i];
    choice->descriptor = d;
    nf__arguments_free(&own);
    return choice->value;
}

static bool parse_value(nf__reader *p, nf__arguments *a, size_t i)
{
    char what[200], valid[200], given[64];
    const char *start = p->at;
    const nf_argument *argument = &a->type->argument[i];
    double *value = &a->value[i];
    if (argument->kind == NF_FEATURES && nf__take(p, '[')) {
        *value = NF_LISTED;
        return nf__read_features(p, argument->name, a->dim, &a->feature, &a->n_feature);
    }
    if (argument->kind == NF_DESCRIPTOR) return parse_descriptor(p, argument, &a->choice[i]);
    if (argument->choices) return parse_choice(p, argument, value);
    bool whole = argument->kind == NF_COUNT;
    if (nf__read_number(p, value) && *value >= argument->low && *value <= argument->high &&
        (!whole || *value == floor(*value)))
        return true;
    snprintf(what, sizeof what, "'%s' is out of range or not a number, %s", argument->name, nf__got(start, given));
    snprintf(valid, sizeof valid, "a %snumber from %g to %g", whole ? "whole " : "", argument->low, argument->high);
    return nf__fail(p, start, what, valid);
}

static bool parse_named(nf__reader *p, nf__arguments *a)
{
    char what[200], valid[512];
    const char *start = p->at;
    size_t length = nf__name_length(p->at), i = 0;
    while (i < a->n_named &&
           (strlen(a->type->argument[i].name) != length || memcmp(a->type->argument[i].name, start, length)))
        i++;
    if (i == a->n_named) {
        snprintf(what, sizeof what, "%s has no argument '%.*s'", a->type->name, (int)(length < 40 ? length : 40),
                 start);
        return nf__fail(p, start, what, nf__argument_help(a, valid));
    }
    if (a->given[i]) {
        snprintf(what, sizeof what, "argument '%s' is given twice", a->type->argument[i].name);
        return nf__fail(p, start, what, "each argument once");
    }
    p->at += length;
    if (!nf__take(p, '=')) return nf__fail(p, p->at, "a name without a value", "'=' and a value");
    nf__skip_spaces(p);
    a->given[i] = true;
    return parse_value(p, a, i);
}

static bool parse_positional(nf__reader *p, nf__arguments *a)
{
    char what[200], valid[512], given[64];
    const char *start = p->at;
    double value;
    if (!a->type->positional) {
        if (a->positional < a->n_named) {
            a->given[a->positional] = true;
            a->positional++;
            return parse_value(p, a, a->positional - 1);
        }
        snprintf(what, sizeof what, "%s takes no%s argument, %s", a->type->name, a->n_named ? " further" : "",
                 nf__got(start, given));
        return nf__fail(p, start, what, a->n_named ? "')'" : "the name alone");
    }
    if (nf__read_number(p, &value) && value >= 1 && value <= 65536 && value == floor(value) &&
        a->n_size < NF_MOST_ARGUMENTS) {
        a->size[a->n_size++] = (size_t)value;
        return true;
    }
    snprintf(what, sizeof what, "%s: expected a number of %s from 1 to 65536, %s", a->type->name, a->type->positional,
             nf__got(start, given));
    return nf__fail(p, start, what, nf__argument_help(a, valid));
}

static void take_defaults(nf__arguments *a)
{
    for (a->n_named = 0; a->type->argument && a->type->argument[a->n_named].name; a->n_named++)
        a->value[a->n_named] = a->type->argument[a->n_named].value;
}

/* One or more, and the ')' behind them. */
static bool read_list(nf__reader *p, nf__arguments *a)
{
    char valid[512];
    bool named = false;
    do {
        nf__skip_spaces(p);
        const char *start = p->at;
        bool word = nf__name_length(p->at) > 0;
        if (!word && named)
            return nf__fail(p, start, "a positional argument after a named one", nf__argument_help(a, valid));
        if (!(word ? parse_named(p, a) : parse_positional(p, a))) return false;
        named |= word;
    } while (nf__take(p, ','));
    if (nf__take(p, ')')) return true;
    return nf__fail(p, p->at, "an argument list that isn't closed", "',' or ')'");
}

bool nf__read_arguments(nf__reader *p, nf__arguments *a)
{
    take_defaults(a);
    return !nf__take(p, '(') || read_list(p, a);
}

bool nf__read_further_arguments(nf__reader *p, nf__arguments *a)
{
    take_defaults(a);
    if (nf__take(p, ')')) return true;
    if (nf__take(p, ',')) return read_list(p, a);
    return nf__fail(p, p->at, "a formula that isn't closed", "'-', '*', ',' or ')'");
}

bool nf_parse_arguments(const char *text, size_t length, const nf_argument *argument, double *value, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    char name[64], given[64];
    if (!text)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "expected a text of a name and its arguments, got NULL"), false;
    snprintf(name, sizeof name, "%.*s", (int)(length < 60 ? length : 60), text);
    const nf_bijector_type type = {.name = name, .argument = argument};
    nf__arguments a = {.type = &type};
    nf__reader p = {.text = text, .at = text + length, .error = error};
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", NULL);
    if (!c_locale) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for '%s'", name), false;
    locale_t before = uselocale(c_locale);
    bool good = nf__read_arguments(&p, &a);
    uselocale(before);
    freelocale(c_locale);
    nf__arguments_free(&a);
    if (!good) return false;
    nf__skip_spaces(&p);
    if (*p.at) return nf__fail(&p, p.at, nf__got(p.at, given), "the end");
    for (size_t i = 0; i < a.n_named && value; i++) value[i] = a.value[i];
    return true;
}

static void unknown(const nf_registry *registry, const char *text, size_t length, ad_error *error)
{
    char names[800];
    ad_error_set(error, AD_ERROR_ARGUMENT, "unknown %s '%.*s'; expected one of %s", registry->kind,
                 (int)(length < 60 ? length : 60), text, nf_registry_names(registry, ", ", names, sizeof names));
}

const void *nf_registry_parse(const nf_registry *registry, const char *text, double *value, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    if (!registry || !text) {
        ad_error_set(error, AD_ERROR_ARGUMENT, "expected the name of %s, got NULL: %s",
                     registry ? registry->kind : "one", registry ? "text" : "registry");
        return NULL;
    }
    size_t length = strcspn(text, " (");
    const nf_descriptor *descriptor = nf_registry_find(registry, text, length);
    if (!descriptor) unknown(registry, text, length, error);
    return descriptor && nf_parse_arguments(text, length, descriptor->argument, value, error) ? descriptor : NULL;
}
