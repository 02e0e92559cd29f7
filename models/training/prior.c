/* Priors by the names of parameters, and those that are known: Weir's own, and those registered from outside. */
#include "training/prior.h"

#include <fnmatch.h>
#include <string.h>

/* ---- Which there are -------------------------------------------------------------------------------------------- */

#define PRIORS(X) X(normal) X(laplace) X(student)

#define DECLARE(name) extern const nf_prior_type nf__prior_##name;
#define POINTER(name) &nf__prior_##name,

PRIORS(DECLARE)

enum { MOST_TYPES = 256 };

static const nf_prior_type *types[MOST_TYPES + 1] = {PRIORS(POINTER)};
static const nf_registry registry = {"prior", types, MOST_TYPES};

const nf_prior_type *const *nf_prior_types(void)
{
    return types;
}

ad_status nf_register_prior(const nf_prior_type *type, ad_error *error)
{
    if (!type) return ad_error_set(error, AD_ERROR_ARGUMENT, "registering a prior: type is NULL");
    if (!type->log_density)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "registering the prior '%.60s': it has no log_density",
                            type->name ? type->name : "");
    return nf_registry_add(&registry, type, error);
}

/* ---- Which is whose --------------------------------------------------------------------------------------------- */

enum { MOST_ENTRIES = 32, MOST_TEXT = 1024 };

/* "PATTERN:PRIOR" of a list. */
typedef struct {
    const char *pattern;
    const nf_prior_type *type;
    double argument[NF_MOST_ARGUMENTS];
    size_t fits; /* parameters */
} entry;

typedef struct {
    const nf_flow_scope *at;
    entry list[MOST_ENTRIES];
    size_t count;
    size_t place;    /* of the next trained parameter */
    char names[200]; /* of those that there are, as far as there is room */
    ad_var sum;
} assignment;

/* Where the next of these separators is that stands in no parentheses, or the end. */
static char *find_outside(char *text, const char *separators)
{
    int depth = 0;
    for (; *text; text++) {
        if (depth == 0 && strchr(separators, *text)) break;
        depth += (*text == '(') - (*text == ')');
    }
    return text;
}

static char *trim(char *text)
{
    text += strspn(text, " \t");
    for (size_t n = strlen(text); n > 0 && strchr(" \t", text[n - 1]); n--) text[n - 1] = '\0';
    return text;
}

static ad_status read_entry(char *text, entry *to, ad_error *error)
{
    char *colon = find_outside(text, ":");
    const bool is_named = *colon == ':';
    *colon = '\0';
    to->pattern = is_named ? trim(text) : "*";
    to->type = nf_registry_parse(&registry, trim(is_named ? colon + 1 : text), to->argument, error);
    return to->type ? AD_OK : error->status;
}

/* Cuts `text` into its entries, which point into it. */
static ad_status read_list(char *text, assignment *to, ad_error *error)
{
    bool more = true;
    while (more) {
        char *end = find_outside(text, ",");
        more = *end == ',';
        *end = '\0';
        if (to->count == MOST_ENTRIES)
            return ad_error_set(error, AD_ERROR_ARGUMENT, "expected at most %d priors", MOST_ENTRIES);
        if (read_entry(text, &to->list[to->count++], error)) return error->status;
        text = end + 1;
    }
    return AD_OK;
}

static bool add_prior(void *context, const char *name, nf_parameter *parameter)
{
    assignment *a = context;
    if (parameter->spec.fixed) return true;
    const size_t place = a->place++, used = strlen(a->names);
    snprintf(a->names + used, sizeof a->names - used, "%s%s", used ? ", " : "", name);
    for (size_t i = 0; i < a->count; i++) {
        entry *e = &a->list[i];
        if (fnmatch(e->pattern, name, 0) != 0) continue;
        e->fits++;
        a->sum = ad_add(a->sum, e->type->log_density(e->type, e->argument, nf_flow_bound_parameter(a->at, place).var));
        break;
    }
    return true;
}

ad_var nf__record_prior(const char *text, const nf_flow_scope *at)
{
    ad_error error = {AD_OK, ""};
    char copy[MOST_TEXT];
    assignment a = {.at = at, .sum = ad_scalar(at->tape, 0)};
    if (strlen(text) >= sizeof copy)
        ad_error_set(&error, AD_ERROR_ARGUMENT, "expected less than %d characters", MOST_TEXT);
    else
        read_list(strcpy(copy, text), &a, &error);
    if (!error.status) nf_flow_each_parameter(at->flow, add_prior, &a);
    if (!error.status && a.place == 0) ad_error_set(&error, AD_ERROR_ARGUMENT, "the flow has nothing that is trained");
    for (size_t i = 0; i < a.count && !error.status; i++)
        if (!a.list[i].fits)
            ad_error_set(&error, AD_ERROR_ARGUMENT, "'%.100s' is no trained parameter that is without one: %s%s",
                         a.list[i].pattern, a.names, strlen(a.names) + 1 == sizeof a.names ? "…" : "");
    if (!error.status) return a.sum;
    ad_tape_fail(at->tape, error.status, "prior: %.900s", error.message);
    return (ad_var){at->tape, -1};
}
