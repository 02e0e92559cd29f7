/* Completion of what the library knows by name. */
#include "complete_names.h"

#include <weir/models.h>

#include <string.h>

/* ---- Descriptors of all kinds ---------------------------------------------------------------------------------------
 */

enum kind {
    BIJECTOR,
    DISTRIBUTION,
    TRANSFORMER,
    CONDITIONER,
    ACTIVATION,
    TARGET,
    OPTIMIZER,
    SCHEDULE,
    OBJECTIVE,
    KINDS
};

/* Each list is of structs that begin as nf_descriptor does. */
static const void *list_of(enum kind kind)
{
    switch (kind) {
    case BIJECTOR:
        return nf_bijector_types();
    case DISTRIBUTION:
        return nf_distribution_types();
    case TRANSFORMER:
        return nf_transformer_types();
    case CONDITIONER:
        return nf_conditioner_types();
    case ACTIVATION:
        return nf_activation_types();
    case TARGET:
        return nf_target_types();
    case OPTIMIZER:
        return nf_optimizer_types();
    case SCHEDULE:
        return nf_schedule_types();
    default:
        return nf_objective_types();
    }
}

static const nf_descriptor *descriptor_at(enum kind kind, size_t i)
{
    return ((const void *const *)list_of(kind))[i];
}

/* The first of this name, of `length` bytes, of a kind from `first` on; NULL: none. */
static const nf_descriptor *find(enum kind first, const char *name, size_t length)
{
    const nf_descriptor *found;
    for (enum kind kind = first; kind < KINDS; kind++)
        for (size_t i = 0; (found = descriptor_at(kind, i)); i++)
            if (strlen(found->name) == length && strncmp(found->name, name, length) == 0) return found;
    return NULL;
}

/* ---- Where the typed text ends --------------------------------------------------------------------------------------
 */

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

static bool is_letter(char c)
{
    return c && strchr(letters, c);
}

/* What of it is before the name that is being typed, and that name. */
struct place {
    const char *before, *typed; /* all that stands before, for each line */
    size_t length;              /* of typed without the name */
    const char *name;           /* the name's letters so far */
    char behind;                /* what it stands behind: '(', '=', …; 0: nothing */
    const char *outer;          /* the name whose parentheses it stands in; NULL: none, or those of a group */
    size_t outer_length;
};

static struct place find_place(const char *before, const char *typed)
{
    struct place place = {.before = before, .typed = typed, .length = strlen(typed)};
    while (place.length > 0 && is_letter(typed[place.length - 1])) place.length--;
    place.name = typed + place.length;
    place.behind = place.length > 0 ? typed[place.length - 1] : '\0';
    int depth = 0;
    for (size_t i = place.length; i-- > 0;) {
        if (typed[i] == ')') depth++;
        if (typed[i] != '(' || depth-- > 0) continue;
        size_t first = i;
        while (first > 0 && is_letter(typed[first - 1])) first--;
        place.outer = i > first ? typed + first : NULL;
        place.outer_length = i - first;
        break;
    }
    return place;
}

static void offer(const struct place *place, const char *name, const char *behind, const char *help, FILE *to)
{
    if (strncmp(name, place->name, strlen(place->name)) != 0) return;
    fprintf(to, "%s%.*s%s%s\t%s\n", place->before, (int)place->length, place->typed, name, behind, help ? help : "");
}

static void offer_kind(const struct place *place, enum kind kind, FILE *to)
{
    const nf_descriptor *one;
    for (size_t i = 0; (one = descriptor_at(kind, i)); i++) offer(place, one->name, "", one->help, to);
}

/* ---- Arguments ------------------------------------------------------------------------------------------------------
 */

/* "half|alternating" */
static void offer_choices(const struct place *place, const char *choices, FILE *to)
{
    char name[64];
    for (size_t length; *choices; choices += length + (choices[length] == '|')) {
        length = strcspn(choices, "|");
        snprintf(name, sizeof name, "%.*s", (int)length, choices);
        offer(place, name, "", "", to);
    }
}

/* Behind "transformer=", what that argument can be. */
static void offer_values(const struct place *place, const nf_descriptor *of, FILE *to)
{
    size_t end = place->length - 1, first = end;
    char names[1000];
    while (first > 0 && is_letter(place->typed[first - 1])) first--;
    for (const nf_argument *argument = of->argument; argument && argument->name; argument++) {
        if (strlen(argument->name) != end - first || strncmp(argument->name, place->typed + first, end - first) != 0)
            continue;
        if (argument->registry)
            offer_choices(place, nf_registry_names(argument->registry, "|", names, sizeof names), to);
        else if (argument->choices)
            offer_choices(place, argument->choices, to);
    }
}

/* In the parentheses of what is described so. */
static void offer_arguments(const struct place *place, const nf_descriptor *of, FILE *to)
{
    if (place->behind == '=')
        offer_values(place, of, to);
    else
        for (const nf_argument *argument = of->argument; argument && argument->name; argument++)
            offer(place, argument->name, "=", argument->help, to);
}

/* What stands in the parentheses: a name behind a '=' is no bijector, though one may be called so. */
static const nf_descriptor *described_outside(const struct place *place, enum kind first)
{
    if (!place->outer) return NULL;
    const bool value = place->outer > place->typed && place->outer[-1] == '=';
    return find(value ? TRANSFORMER : first, place->outer, place->outer_length);
}

void complete_formula(const char *before, const char *typed, FILE *to)
{
    static const char *const groups[] = {"invert(", "on(", "conditional("}, *const bases[] = {"mixture_of(",
                                                                                              "product_of("};
    const struct place place = find_place(before, typed);
    const nf_descriptor *outside = described_outside(&place, BIJECTOR);
    fprintf(to, ":more\n");
    if (outside) {
        offer_arguments(&place, outside, to);
        return;
    }
    offer_kind(&place, BIJECTOR, to);
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) offer(&place, groups[i], "", "", to);
    if (place.length > 0 && !place.outer) return;
    offer_kind(&place, DISTRIBUTION, to);
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) offer(&place, bases[i], "", "", to);
}

void complete_target(const char *before, const char *typed, FILE *to)
{
    const struct place place = find_place(before, typed);
    const nf_descriptor *outside = described_outside(&place, TARGET);
    if (outside)
        offer_arguments(&place, outside, to);
    else if (place.length == 0)
        offer_kind(&place, TARGET, to);
}

void complete_known(const char *before, const char *typed, const struct known *known, FILE *to)
{
    const struct place place = find_place(before, typed);
    const nf_descriptor *outside = described_outside(&place, OPTIMIZER);
    const char *name;
    if (outside) {
        offer_arguments(&place, outside, to);
        return;
    }
    for (size_t i = 0; place.length == 0 && (name = known->name(i)); i++) {
        const nf_descriptor *one = find(OPTIMIZER, name, strlen(name));
        offer(&place, name, "", one ? one->help : "", to);
    }
}
