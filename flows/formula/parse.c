/* Formulas, by recursive descent:
 *
 *     flow     = [ distribution ':' ] chain
 *     chain    = term { '-' term }
 *     term     = factor [ '*' count ]
 *     factor   = name [ '(' argument { ',' argument } ')' ]  |  'invert' '(' chain ')'  |  '(' chain ')'
 *     distribution = name [ '(' argument { ',' argument } ')' ]
 *     argument = number | name '=' ( number | word | list )
 *     list     = '[' features { ',' features } ']'
 *     features = number [ '-' number ]
 */
#include "core/internal.h"

#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 64, MOST_STEPS = 100000, MOST_ARGUMENTS = 64 };

typedef struct {
    const char *text, *at;
    size_t dim, context;
    size_t steps; /* made so far, in all lists */
    int depth;
    ad_error *error;
} parser;

/* A growing list of children. */
typedef struct {
    nf_bijector **child;
    size_t count, capacity;
} list;

static void free_list(list *l)
{
    for (size_t i = 0; i < l->count; i++) nf_bijector_free(l->child[i]);
    ad_free(l->child);
    *l = (list){0};
}

static bool push(parser *p, list *l, nf_bijector *child)
{
    if (!child) return false;
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? 2 * l->capacity : 8;
        nf_bijector **grown = ad_realloc(l->child, capacity, sizeof *grown);
        if (!grown) {
            nf_bijector_free(child);
            ad_error_set(p->error, AD_ERROR_MEMORY, "out of memory for a formula");
            return false;
        }
        l->child = grown;
        l->capacity = capacity;
    }
    l->child[l->count++] = child;
    return true;
}

static bool inside_character(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

/* The formula, or the part of a long one that is around `where`, with a caret under it (columns are characters, not
 * bytes), and what would be valid there. */
static bool fail(parser *p, const char *where, const char *what, const char *valid)
{
    enum { AROUND = 70 };
    char shown[2 * AROUND + 1], caret[AROUND + 1];
    const char *from = where - p->text > AROUND ? where - AROUND : p->text, *to = where + strnlen(where, AROUND);
    while (from < where && inside_character(*from)) from++;
    while (to > where && inside_character(*to)) to--;
    size_t bytes = 0, column = 0;
    for (const char *c = from; c < to; c++) {
        shown[bytes++] = *c != '\t' && isspace((unsigned char)*c) ? ' ' : *c;
        if (c < where && !inside_character(*c)) caret[column++] = *c == '\t' ? '\t' : ' ';
    }
    shown[bytes] = caret[column] = '\0';
    bool cut = from > p->text;
    ad_error_set(p->error, AD_ERROR_ARGUMENT, "formula: %.300s\n  %s%s%s\n  %s%s^\n  valid here: %s", what,
                 cut ? "…" : "", shown, *to ? "…" : "", cut ? " " : "", caret, valid);
    return false;
}

static void skip_spaces(parser *p)
{
    while (isspace((unsigned char)*p->at)) p->at++;
}

static bool take(parser *p, char c)
{
    skip_spaces(p);
    if (*p->at != c) return false;
    p->at++;
    return true;
}

static size_t name_length(const char *s)
{
    size_t n = 0;
    if (isalpha((unsigned char)*s) || *s == '_')
        while (isalnum((unsigned char)s[n]) || s[n] == '_') n++;
    return n;
}

/* "got 'x'", or "the formula ends here". */
static const char *got(const char *at, char buffer[static 64])
{
    size_t n = name_length(at);
    if (!*at) return "the formula ends here";
    if (n == 0)
        for (n = 1; inside_character(at[n]);) n++;
    snprintf(buffer, 64, "got '%.*s'", (int)(n < 40 ? n : 40), at);
    return buffer;
}

static const char *type_names(char buffer[static 512])
{
    size_t n = 0;
    for (const nf_bijector_type *const *t = nf_bijector_types(); *t && n < 400; t++)
        n += (size_t)snprintf(buffer + n, 512 - n, "%s, ", (*t)->name);
    snprintf(buffer + n, 512 - n, "invert(…), or '('");
    return buffer;
}

static bool parse_chain(parser *p, list *to);

/* ---- Arguments ----------------------------------------------------------------------------------------------- */

typedef struct {
    const nf_bijector_type *type;
    double value[MOST_ARGUMENTS];
    bool given[MOST_ARGUMENTS];
    size_t *feature, n_feature; /* of a list */
    size_t n_named, positional;
    size_t size[MOST_ARGUMENTS], n_size;
} arguments;

static const char *argument_help(const arguments *a, char buffer[static 512])
{
    size_t n = 0;
    if (a->type->positional) n += (size_t)snprintf(buffer, 512, "whole numbers of %s", a->type->positional);
    for (size_t i = 0; i < a->n_named && n < 400; i++) {
        const nf_argument *argument = &a->type->argument[i];
        n += (size_t)snprintf(buffer + n, 512 - n, "%s%s=%s%s", n ? ", " : "", argument->name,
                              argument->choices ? argument->choices : "number",
                              argument->kind == NF_FEATURES ? "|[features]" : "");
    }
    if (n == 0) snprintf(buffer, 512, "no arguments");
    return buffer;
}

static bool parse_choice(parser *p, const nf_argument *argument, double *value)
{
    char what[200], valid[200], given[64];
    size_t length = name_length(p->at), index = 0;
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
    snprintf(what, sizeof what, "'%s' has no such choice, %s", argument->name, got(p->at, given));
    snprintf(valid, sizeof valid, "%s%s", argument->choices,
             argument->kind == NF_FEATURES ? ", or a list of features: [1,3-5]" : "");
    return fail(p, p->at, what, valid);
}

/* strtod also takes hexadecimal, "inf" and "nan": those are no numbers in a formula. */
static bool parse_number(parser *p, double *value)
{
    const char *digits = p->at + (*p->at == '-' || *p->at == '+');
    char *end;
    if ((!isdigit((unsigned char)*digits) && *digits != '.') || (digits[0] == '0' && (digits[1] | 0x20) == 'x'))
        return false;
    *value = strtod(p->at, &end);
    if (end == p->at || !isfinite(*value)) return false;
    p->at = end;
    return true;
}

/* A feature from `first` on. */
static bool parse_feature(parser *p, const nf_argument *argument, size_t first, size_t *feature)
{
    char what[200], valid[200], given[64];
    double number;
    skip_spaces(p);
    const char *start = p->at;
    if (parse_number(p, &number) && number >= (double)first && number <= (double)p->dim && number == floor(number)) {
        *feature = (size_t)number;
        return true;
    }
    snprintf(what, sizeof what, "'%s' lists features of an event, %s", argument->name, got(start, given));
    snprintf(valid, sizeof valid, "a whole number from %zu to %zu, or a range of them, 1-%zu", first, p->dim, p->dim);
    return fail(p, start, what, valid);
}

/* Behind the '['. */
static bool parse_features(parser *p, const nf_argument *argument, arguments *a, double *value)
{
    size_t first, last;
    do {
        if (!parse_feature(p, argument, 1, &first)) return false;
        last = first;
        if (take(p, '-') && !parse_feature(p, argument, first, &last)) return false;
        size_t *grown = ad_realloc(a->feature, a->n_feature + last - first + 1, sizeof *grown);
        if (!grown) {
            ad_error_set(p->error, AD_ERROR_MEMORY, "out of memory for a list of features");
            return false;
        }
        a->feature = grown;
        for (size_t i = first; i <= last; i++) a->feature[a->n_feature++] = i - 1;
    } while (take(p, ','));
    *value = NF_LISTED;
    return take(p, ']') || fail(p, p->at, "a list that isn't closed", "',', '-' or ']'");
}

static bool parse_value(parser *p, arguments *a, size_t i)
{
    char what[200], valid[200], given[64];
    const char *start = p->at;
    const nf_argument *argument = &a->type->argument[i];
    double *value = &a->value[i];
    if (argument->kind == NF_FEATURES && take(p, '[')) return parse_features(p, argument, a, value);
    if (argument->choices) return parse_choice(p, argument, value);
    bool whole = argument->kind == NF_COUNT;
    if (parse_number(p, value) && *value >= argument->low && *value <= argument->high &&
        (!whole || *value == floor(*value)))
        return true;
    snprintf(what, sizeof what, "'%s' is out of range or not a number, %s", argument->name, got(start, given));
    snprintf(valid, sizeof valid, "a %snumber from %g to %g", whole ? "whole " : "", argument->low, argument->high);
    return fail(p, start, what, valid);
}

static bool parse_named(parser *p, arguments *a)
{
    char what[200], valid[512];
    const char *start = p->at;
    size_t length = name_length(p->at), i = 0;
    while (i < a->n_named &&
           (strlen(a->type->argument[i].name) != length || memcmp(a->type->argument[i].name, start, length)))
        i++;
    if (i == a->n_named) {
        snprintf(what, sizeof what, "%s has no argument '%.*s'", a->type->name, (int)(length < 40 ? length : 40),
                 start);
        return fail(p, start, what, argument_help(a, valid));
    }
    if (a->given[i]) {
        snprintf(what, sizeof what, "argument '%s' is given twice", a->type->argument[i].name);
        return fail(p, start, what, "each argument once");
    }
    p->at += length;
    if (!take(p, '=')) return fail(p, p->at, "a name without a value", "'=' and a value");
    skip_spaces(p);
    a->given[i] = true;
    return parse_value(p, a, i);
}

static bool parse_positional(parser *p, arguments *a)
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
                 got(start, given));
        return fail(p, start, what, a->n_named ? "')'" : "the name alone");
    }
    if (parse_number(p, &value) && value >= 1 && value <= 65536 && value == floor(value) &&
        a->n_size < MOST_ARGUMENTS) {
        a->size[a->n_size++] = (size_t)value;
        return true;
    }
    snprintf(what, sizeof what, "%s: expected a number of %s from 1 to 65536, %s", a->type->name, a->type->positional,
             got(start, given));
    return fail(p, start, what, argument_help(a, valid));
}

static bool parse_arguments(parser *p, arguments *a)
{
    char valid[512];
    for (a->n_named = 0; a->type->argument && a->type->argument[a->n_named].name; a->n_named++)
        a->value[a->n_named] = a->type->argument[a->n_named].value;
    if (!take(p, '(')) return true;
    bool named = false;
    do {
        skip_spaces(p);
        const char *start = p->at;
        bool word = name_length(p->at) > 0;
        if (!word && named) return fail(p, start, "a positional argument after a named one", argument_help(a, valid));
        if (!(word ? parse_named(p, a) : parse_positional(p, a))) return false;
        named |= word;
    } while (take(p, ','));
    if (take(p, ')')) return true;
    return fail(p, p->at, "an argument list that isn't closed", "',' or ')'");
}

/* ---- Terms --------------------------------------------------------------------------------------------------- */

/* A name that is known, with its arguments. */
static nf_bijector *parse_instance(parser *p, const nf_bijector_type *type, size_t length)
{
    char valid[512];
    const char *start = p->at;
    arguments a = {.type = type};
    p->at += length;
    ad_error error = {AD_OK, ""};
    nf_bijector *made = NULL;
    bool good = parse_arguments(p, &a);
    const nf_arguments given = {a.value, a.size, a.n_size, a.feature, a.n_feature};
    if (good) made = nf_bijector_new(type, p->dim, p->context, &given, &error);
    ad_free(a.feature);
    if (made || !good) return made;
    if (error.status == AD_ERROR_ARGUMENT)
        fail(p, start, error.message, argument_help(&a, valid));
    else if (p->error)
        *p->error = error;
    return NULL;
}

static bool parse_named_factor(parser *p, list *to)
{
    char what[200], valid[512], given[64];
    const char *start = p->at;
    size_t length = name_length(start);
    const nf_bijector_type *type = nf__bijector_named(start, length);
    if (!type) {
        snprintf(what, sizeof what, "expected a bijector, %s%s", got(start, given),
                 nf__distribution_named(start, length)
                     ? ", a base distribution: it goes first in a flow's formula, before a ':'"
                     : "");
        return fail(p, start, what, type_names(valid));
    }
    p->steps++;
    return push(p, to, parse_instance(p, type, length));
}

/* False on failure only: a formula needs no base distribution. */
static bool parse_base(parser *p, nf_bijector **base)
{
    skip_spaces(p);
    size_t length = name_length(p->at);
    const nf_bijector_type *type = nf__distribution_named(p->at, length);
    if (!type) return true;
    *base = parse_instance(p, type, length);
    return *base && (take(p, ':') || fail(p, p->at, "a base distribution without a bijector", "':' and a formula"));
}

/* The children between parentheses become one bijector. */
static bool parse_inverted(parser *p, list *to)
{
    list inside = {0};
    if (!take(p, '(')) return fail(p, p->at, "invert needs what it inverts", "'(' and a formula");
    bool good = parse_chain(p, &inside) && (take(p, ')') || fail(p, p->at, "invert( isn't closed", "'-', '*' or ')'"));
    if (!good) {
        free_list(&inside);
        return false;
    }
    nf_bijector *child = inside.count == 1 ? inside.child[0] : nf_chain(inside.child, inside.count, p->error);
    ad_free(inside.child);
    return child && push(p, to, nf_invert(child, p->error));
}

static bool parse_factor(parser *p, list *to)
{
    skip_spaces(p);
    size_t length = name_length(p->at);
    if (length == 6 && memcmp(p->at, "invert", 6) == 0) {
        p->at += length;
        return parse_inverted(p, to);
    }
    if (!take(p, '(')) return parse_named_factor(p, to);
    return parse_chain(p, to) && (take(p, ')') || fail(p, p->at, "a '(' isn't closed", "'-', '*' or ')'"));
}

static bool parse_term(parser *p, list *to)
{
    size_t first = to->count, steps_before = p->steps;
    if (!parse_factor(p, to)) return false;
    while (take(p, '*')) {
        skip_spaces(p);
        const char *start = p->at;
        double times;
        size_t length = to->count - first, steps = p->steps - steps_before;
        if (!parse_number(p, &times) || times < 1 || times != floor(times) ||
            (double)p->steps + (times - 1) * (double)steps > MOST_STEPS)
            return fail(p, start, "'*' needs how many copies",
                        "a whole number, at least 1; and no more than 100000 bijectors in all");
        p->steps += ((size_t)times - 1) * steps;
        for (size_t k = 1; k < (size_t)times; k++)
            for (size_t i = 0; i < length; i++)
                if (!push(p, to, nf__bijector_copy(to->child[first + i], p->error))) return false;
    }
    return true;
}

static bool parse_chain(parser *p, list *to)
{
    if (p->depth == DEEPEST + 1) return fail(p, p->at - 1, "parentheses are nested too deep", "at most 64 levels");
    p->depth++;
    do
        if (!parse_term(p, to)) return false;
    while (take(p, '-'));
    p->depth--;
    return true;
}

static nf_bijector *parse(const char *formula, size_t dim, size_t context, uint64_t seed, nf_bijector **base,
                          ad_error *error)
{
    parser p = {.text = formula, .at = formula, .dim = dim, .context = context, .error = error};
    list steps = {0};
    bool good = (!base || parse_base(&p, base)) && parse_chain(&p, &steps);
    skip_spaces(&p);
    if (good && *p.at) {
        char what[100], given[64];
        snprintf(what, sizeof what, "expected the end, %s", got(p.at, given));
        good = fail(&p, p.at, what, "'-' and a further bijector, or '*' and a number");
    }
    if (!good) {
        free_list(&steps);
        return NULL;
    }
    nf_bijector *chain = nf_chain(steps.child, steps.count, error);
    ad_free(steps.child);
    if (chain) nf_initialize(chain, seed);
    if (base && *base) nf_initialize(*base, ~seed);
    return chain;
}

nf_bijector *nf__parse_flow(const char *formula, size_t dim, size_t context, uint64_t seed, nf_bijector **base,
                            ad_error *error)
{
    if (base) *base = NULL;
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", NULL);
    if (!c_locale) {
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a formula");
        return NULL;
    }
    locale_t before = uselocale(c_locale); /* a number has a point, wherever we are */
    nf_bijector *bijector = parse(formula, dim, context, seed, base, error);
    uselocale(before);
    freelocale(c_locale);
    if (!bijector && base) {
        nf_bijector_free(*base);
        *base = NULL;
    }
    return bijector;
}

nf_bijector *nf_bijector_parse(const char *formula, size_t dim, size_t context, uint64_t seed, ad_error *error)
{
    return nf__parse_flow(formula, dim, context, seed, NULL, error);
}

bool nf_parse_arguments(const char *text, size_t length, const nf_argument *argument, double *value, ad_error *error)
{
    char name[64], given[64];
    snprintf(name, sizeof name, "%.*s", (int)(length < 60 ? length : 60), text);
    const nf_bijector_type type = {.name = name, .argument = argument};
    arguments a = {.type = &type};
    parser p = {.text = text, .at = text + length, .error = error};
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", NULL);
    if (!c_locale) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for '%s'", name), false;
    locale_t before = uselocale(c_locale);
    bool good = parse_arguments(&p, &a);
    uselocale(before);
    freelocale(c_locale);
    if (!good) return false;
    skip_spaces(&p);
    if (*p.at) return fail(&p, p.at, got(p.at, given), "the end");
    for (size_t i = 0; i < a.n_named; i++) value[i] = a.value[i];
    return true;
}
