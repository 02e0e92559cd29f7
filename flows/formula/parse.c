/* Formulas, by recursive descent:
 *
 *     flow     = [ distribution ':' ] chain
 *     chain    = term { '-' term }
 *     term     = factor [ '*' count ]
 *     factor   = name [ '(' argument { ',' argument } ')' ]  |  '(' chain ')'
 *                |  'invert' '(' chain ')'  |  'on' '(' list ',' chain ')'
 *                |  'conditional' '(' chain { ',' argument } ')'
 *                |  'image' '(' height ',' width [ ',' channels ] ',' chain ')'
 *                |  'squeeze' '(' chain ')'  |  'split' '(' chain ')'
 *                |  'dequantize' '(' chain { ',' argument } ')'
 *     distribution = name [ '(' argument { ',' argument } ')' ]  |  'mixture_of' '(' flow { '|' flow } ')'
 *                |  'product_of' '(' list ':' distribution { '|' list ':' distribution } ')'
 *     argument = number | name '=' ( number | word | list | named )
 *     named    = name [ '(' argument { ',' argument } ')' ], of a transformer, say
 *     list     = '[' features { ',' features } ']'
 *     features = number [ '-' number ]
 */
#include "core/internal.h"
#include "formula/arguments.h"
#include "formula/parser.h"

#include <weir/environment.h>
#include <weir/networks.h>
#include <weir/stochastic.h>
#include <weir/transformer.h>

#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <string.h>

enum { MOST_STEPS = 100000 };

void nf__list_free(nf__list *l)
{
    for (size_t i = 0; i < l->count; i++) nf_bijector_free(l->child[i]);
    ad_free(l->child);
    *l = (nf__list){0};
}

bool nf__list_push(nf__parser *p, nf__list *l, nf_bijector *child)
{
    if (!child) return false;
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? 2 * l->capacity : 8;
        nf_bijector **grown = ad_realloc(l->child, capacity, sizeof *grown);
        if (!grown) {
            nf_bijector_free(child);
            ad_error_set(p->reader.error, AD_ERROR_MEMORY, "out of memory for a formula");
            return false;
        }
        l->child = grown;
        l->capacity = capacity;
    }
    l->child[l->count++] = child;
    return true;
}

/* What a name is that isn't a bijector's, and where it would belong; "" of an unknown one. */
static const char *other_kind(const char *name, size_t length)
{
    static const struct {
        const nf_registry *registry;
        const char *hint;
    } others[] = {
        {&nf_distributions, ", a base distribution: it goes first in a flow's formula, before a ':'"},
        {&nf_transformers, ", a transformer: coupling(transformer=…) and autoregressive(transformer=…) take it"},
        {&nf_conditioners, ", a network: couplings take it, as coupling(network=…)"},
        {&nf_activations, ", an activation: bijectors with a network take it, as maf(activation=…)"},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (nf_registry_find(others[i].registry, name, length)) return others[i].hint;
    if (nf__is_base_operator(name, length))
        return ", a base distribution: it goes first in a flow's formula, before a ':'";
    return "";
}

/* ---- Terms --------------------------------------------------------------------------------------------------- */

nf_bijector *nf__parse_instance(nf__parser *p, const nf_bijector_type *type, size_t length)
{
    char valid[512];
    const char *start = p->reader.at;
    nf__arguments a = {.type = type, .dim = p->dim};
    p->reader.at += length;
    ad_error error = {AD_OK, ""};
    nf_bijector *made = NULL;
    bool good = nf__read_arguments(&p->reader, &a);
    const nf_arguments given = {.value = a.value,
                                .choice = a.choice,
                                .size = a.size,
                                .n_size = a.n_size,
                                .feature = a.feature,
                                .n_feature = a.n_feature,
                                .shape = p->shape};
    if (good) made = nf__bijector_within(type, p->dim, p->context, &given, &p->room, &error);
    if (!made && good && error.status == AD_ERROR_ARGUMENT)
        nf__fail(&p->reader, start, error.message, nf__argument_help(&a, valid));
    else if (!made && good && p->reader.error)
        *p->reader.error = error;
    nf__arguments_free(&a);
    return made;
}

static bool parse_named_factor(nf__parser *p, nf__list *to)
{
    char given[64];
    const char *start = p->reader.at;
    size_t length = nf__name_length(start);
    const nf_bijector_type *type = nf_registry_find(&nf_bijectors, start, length);
    if (!type) type = nf_registry_find(&nf_stochastic_steps, start, length);
    if (!type) {
        snprintf(p->what, sizeof p->what, "expected a bijector, %s%s", nf__got(start, given),
                 other_kind(start, length));
        char steps[256];
        snprintf(p->valid, sizeof p->valid,
                 "%s, invert(…), on([1,3-5],…), conditional(…), image(8,8,…), squeeze(…), split(…), glow, "
                 "dequantize(…), '(', or a step that draws: %s",
                 nf_registry_names(&nf_bijectors, ", ", p->names, sizeof p->names),
                 nf_registry_names(&nf_stochastic_steps, ", ", steps, sizeof steps));
        return nf__fail(&p->reader, start, p->what, p->valid);
    }
    if (++p->steps > MOST_STEPS)
        return nf__fail(&p->reader, start, "the formula is too long", "no more than 100000 bijectors in all");
    if (!nf__list_push(p, to, nf__parse_instance(p, type, length))) return false;
    p->context = nf__context_after(to->child[to->count - 1]);
    return true;
}

/* A chain as one bijector, whose embeddings of the context end with it; NULL on failure. */
static nf_bijector *parse_inside(nf__parser *p)
{
    nf__list inside = {0};
    const size_t context = p->context;
    const bool good = nf__parse_chain(p, &inside);
    p->context = context;
    if (!good) {
        nf__list_free(&inside);
        return NULL;
    }
    nf_bijector *child = inside.count == 1 ? inside.child[0] : nf_chain(inside.child, inside.count, p->reader.error);
    ad_free(inside.child);
    return child;
}

nf_bijector *nf__parse_enclosed(nf__parser *p, const char *what)
{
    nf_bijector *child = parse_inside(p);
    if (!child || nf__take(&p->reader, ')')) return child;
    nf_bijector_free(child);
    nf__fail(&p->reader, p->reader.at, what, "'-', '*' or ')'");
    return NULL;
}

/* Behind "invert". */
static bool parse_inverted(nf__parser *p, nf__list *to)
{
    if (!nf__take(&p->reader, '('))
        return nf__fail(&p->reader, p->reader.at, "invert needs what it inverts", "'(' and a formula");
    nf_bijector *child = nf__parse_enclosed(p, "invert( isn't closed");
    return child && nf__list_push(p, to, nf_invert(child, p->reader.error));
}

/* Behind the features of `on`: the inner formula's events have these alone. */
static nf_bijector *parse_inner(nf__parser *p, size_t count)
{
    const size_t dim = p->dim;
    const ad_shape shape = p->shape;
    p->dim = count;
    p->shape = (ad_shape){0};
    nf_bijector *child = nf__parse_enclosed(p, "on( isn't closed");
    p->dim = dim;
    p->shape = shape;
    return child;
}

/* Behind "on". */
static bool parse_on(nf__parser *p, nf__list *to)
{
    static const char form[] = "on([1,3-5],formula)";
    nf__reader *r = &p->reader;
    size_t *feature = NULL, count = 0;
    if (!nf__take(r, '(')) return nf__fail(r, r->at, "on needs features and what maps them", form);
    if (!nf__take(r, '[')) return nf__fail(r, r->at, "on( needs a list of features", form);
    const char *start = r->at;
    nf_bijector *made = NULL, *child = NULL;
    if (nf__read_features(r, "on", p->dim, &feature, &count) &&
        nf__take_room(&p->room, "on", p->dim, r->error) == AD_OK) {
        if (nf__take(r, ','))
            child = parse_inner(p, count);
        else
            nf__fail(r, r->at, "on([…] needs what maps these features", "',' and a formula");
    }
    if (child && !(made = nf_on(p->dim, feature, count, child, &p->fault))) {
        if (p->fault.status == AD_ERROR_ARGUMENT)
            nf__fail(r, start, p->fault.message, form);
        else if (r->error)
            *r->error = p->fault;
    }
    ad_free(feature);
    return made && nf__list_push(p, to, made);
}

/* Behind the formula of `conditional`: its network's arguments. */
static bool parse_network(nf__parser *p, nf_bijector *child, const char *start, nf__list *to)
{
    nf__arguments a = {.type = &nf__type_conditional, .dim = p->dim};
    nf_bijector *made = NULL;
    if (nf__read_further_arguments(&p->reader, &a)) {
        const nf_arguments given = {.value = a.value, .choice = a.choice, .size = a.size, .n_size = a.n_size};
        made = nf__conditional(child, &given, &p->room, &p->fault);
        if (!made && p->fault.status == AD_ERROR_ARGUMENT)
            nf__fail(&p->reader, start, p->fault.message, "conditional(formula,64,64)");
        else if (!made && p->reader.error)
            *p->reader.error = p->fault;
    } else {
        nf_bijector_free(child);
    }
    nf__arguments_free(&a);
    return nf__list_push(p, to, made);
}

/* Behind "conditional". */
static bool parse_conditional(nf__parser *p, nf__list *to)
{
    const char *start = p->reader.at;
    if (!nf__take(&p->reader, '('))
        return nf__fail(&p->reader, start, "conditional needs what it makes so", "'(' and a formula");
    nf_bijector *child = parse_inside(p);
    return child && parse_network(p, child, start, to);
}

/* Behind "dequantize": a formula of noise whose context is what is dequantized, and arguments. */
static bool parse_dequantize(nf__parser *p, nf__list *to)
{
    const char *start = p->reader.at;
    const size_t context = p->context;
    if (!nf__take(&p->reader, '('))
        return nf__fail(&p->reader, start, "dequantize needs the flow of its noise", "'(' and a formula");
    p->context = p->dim;
    nf_bijector *child = parse_inside(p), *made = NULL;
    p->context = context;
    if (!child) return false;
    nf__arguments a = {.type = &nf__type_dequantize, .dim = p->dim};
    if (nf__read_further_arguments(&p->reader, &a)) {
        made = nf__dequantize(child, context, &(nf_arguments){.value = a.value}, &p->room, &p->fault);
        if (!made && p->fault.status == AD_ERROR_ARGUMENT)
            nf__fail(&p->reader, start, p->fault.message, "dequantize(formula,levels=256)");
        else if (!made && p->reader.error)
            *p->reader.error = p->fault;
    } else {
        nf_bijector_free(child);
    }
    nf__arguments_free(&a);
    return nf__list_push(p, to, made);
}

/* What is no bijector's name, but takes formulas. */
static const struct {
    const char *name;
    bool (*parse)(nf__parser *p, nf__list *to);
} operators[] = {{"invert", parse_inverted},         {"on", parse_on},
                 {"conditional", parse_conditional}, {"image", nf__parse_image},
                 {"squeeze", nf__parse_squeeze},     {"split", nf__parse_split},
                 {"glow", nf__parse_glow},           {"dequantize", parse_dequantize}};

bool nf__is_operator(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (strlen(operators[i].name) == length && memcmp(operators[i].name, name, length) == 0) return true;
    return false;
}

static bool parse_factor(nf__parser *p, nf__list *to)
{
    nf__skip_spaces(&p->reader);
    size_t length = nf__name_length(p->reader.at);
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (strlen(operators[i].name) == length && memcmp(operators[i].name, p->reader.at, length) == 0) {
            p->reader.at += length;
            return operators[i].parse(p, to);
        }
    if (!nf__take(&p->reader, '(')) return parse_named_factor(p, to);
    return nf__parse_chain(p, to) &&
           (nf__take(&p->reader, ')') || nf__fail(&p->reader, p->reader.at, "a '(' isn't closed", "'-', '*' or ')'"));
}

static bool parse_term(nf__parser *p, nf__list *to)
{
    size_t first = to->count, steps_before = p->steps, context = p->context;
    if (!parse_factor(p, to)) return false;
    while (nf__take(&p->reader, '*')) {
        nf__skip_spaces(&p->reader);
        const char *start = p->reader.at;
        double times;
        size_t length = to->count - first, steps = p->steps - steps_before;
        if (!nf__read_number(&p->reader, &times) || times < 1 || times != floor(times) ||
            (double)p->steps + (times - 1) * (double)steps > MOST_STEPS)
            return nf__fail(&p->reader, start, "'*' needs how many copies",
                            "a whole number, at least 1; and no more than 100000 bijectors in all");
        if (p->context != context)
            return nf__fail(&p->reader, start, "copies of what embeds the context would embed it again and again",
                            "embed(…) before what is repeated");
        p->steps += ((size_t)times - 1) * steps;
        for (size_t k = 1; k < (size_t)times; k++)
            for (size_t i = 0; i < length; i++)
                if (!nf__list_push(p, to, nf__bijector_copy(to->child[first + i], &p->room, p->reader.error)))
                    return false;
    }
    return true;
}

bool nf__parse_chain(nf__parser *p, nf__list *to)
{
    if (p->depth == NF__DEEPEST + 1)
        return nf__fail(&p->reader, p->reader.at - 1, "parentheses are nested too deep", "at most 64 levels");
    p->depth++;
    do
        if (!parse_term(p, to)) return false;
    while (nf__take(&p->reader, '-'));
    p->depth--;
    return true;
}

static nf_bijector *parse(const char *formula, size_t dim, size_t context, uint64_t seed, size_t room,
                          nf_bijector **base, ad_error *error)
{
    nf__parser p = {.reader = {formula, formula, error, NULL}, .dim = dim, .context = context, .room = room};
    p.reader.room = &p.room;
    nf__list steps = {0};
    bool good = (!base || nf__parse_base(&p, base)) && nf__parse_chain(&p, &steps);
    nf__skip_spaces(&p.reader);
    if (good && *p.reader.at) {
        char what[100], given[64];
        snprintf(what, sizeof what, "expected the end, %s", nf__got(p.reader.at, given));
        good = nf__fail(&p.reader, p.reader.at, what, "'-' and a further bijector, or '*' and a number");
    }
    if (!good) {
        nf__list_free(&steps);
        return NULL;
    }
    nf_bijector *chain = nf_chain(steps.child, steps.count, error);
    ad_free(steps.child);
    if (chain) nf_initialize(chain, seed);
    if (base && *base) nf_initialize(*base, ~seed);
    return chain;
}

nf_bijector *nf__parse_flow(const char *formula, size_t dim, size_t context, uint64_t seed, size_t room,
                            nf_bijector **base, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    if (base) *base = NULL;
    if (!formula) {
        ad_error_set(error, AD_ERROR_ARGUMENT, "expected a formula, got NULL");
        return NULL;
    }
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", NULL);
    if (!c_locale) {
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a formula");
        return NULL;
    }
    locale_t before = uselocale(c_locale); /* a number has a point, wherever we are */
    nf_bijector *bijector = parse(formula, dim, context, seed, room, base, error);
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
    return nf__parse_flow(formula, dim, context, seed, SIZE_MAX, NULL, error);
}
