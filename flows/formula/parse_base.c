/* Base distributions in formulas: one by name, mixtures of flows, and products of several on different features. */
#include "core/internal.h"
#include "formula/arguments.h"
#include "formula/parser.h"

#include <string.h>

static const char mixture_name[] = "mixture_of", product_name[] = "product_of";

/* One flow of a mixture: its base distribution and its bijector. */
static bool parse_member(nf__parser *p, nf__list *to)
{
    nf_bijector *base = NULL, *bijector = NULL;
    nf__list steps = {0};
    if (!nf__parse_base(p, &base)) {
        nf_bijector_free(base);
        return false;
    }
    if (!base) base = nf_bijector_new(&nf__type_normal, p->dim, p->context, NULL, p->reader.error);
    if (!nf__list_push(p, to, base)) return false;
    const size_t context = p->context;
    const bool good = nf__parse_chain(p, &steps);
    p->context = context;
    if (!good) {
        nf__list_free(&steps);
        return false;
    }
    bijector = nf_chain(steps.child, steps.count, p->reader.error);
    ad_free(steps.child);
    return nf__list_push(p, to, bijector);
}

/* Behind "mixture_of"; NULL on failure. */
static nf_bijector *parse_mixture(nf__parser *p)
{
    nf__list flows = {0};
    nf_bijector *made = NULL;
    const char *start = p->reader.at - strlen(mixture_name);
    bool good = nf__take(&p->reader, '(') ||
                nf__fail(&p->reader, p->reader.at, "mixture_of needs flows", "'(' and formulas with '|' between");
    if (good && p->depth++ == NF__DEEPEST)
        good = nf__fail(&p->reader, p->reader.at - 1, "parentheses are nested too deep", "at most 64 levels");
    if (good) do
            good = parse_member(p, &flows);
        while (good && nf__take(&p->reader, '|'));
    if (good)
        good = nf__take(&p->reader, ')') ||
               nf__fail(&p->reader, p->reader.at, "mixture_of( isn't closed", "'|', '-', '*' or ')'");
    p->depth--;
    if (!good)
        nf__list_free(&flows);
    else
        made = nf__mixture_of(flows.child, flows.count, &p->fault);
    if (good) ad_free(flows.child);
    if (good && !made && p->fault.status == AD_ERROR_ARGUMENT)
        nf__fail(&p->reader, start, p->fault.message, "a mixture of other flows");
    else if (good && !made && p->reader.error)
        *p->reader.error = p->fault;
    return made;
}

/* "[1,3]:student(df=3)"; NULL on failure. */
static nf_bijector *parse_part(nf__parser *p)
{
    char given[64];
    nf__reader *r = &p->reader;
    size_t *feature = NULL, count = 0;
    const size_t dim = p->dim;
    nf_bijector *child = NULL, *made = NULL;
    const bool listed = (nf__take(r, '[') || nf__fail(r, r->at, "product_of( needs lists of features", "'['")) &&
                        nf__read_features(r, product_name, dim, &feature, &count) &&
                        nf__take_room(&p->room, product_name, dim, r->error) == AD_OK &&
                        (nf__take(r, ':') || nf__fail(r, r->at, "features without a distribution", "':' and its name"));
    nf__skip_spaces(r);
    const nf_bijector_type *type = listed ? nf_registry_find(&nf_distributions, r->at, nf__name_length(r->at)) : NULL;
    if (type) {
        p->dim = count;
        child = nf__parse_instance(p, type, nf__name_length(r->at));
        p->dim = dim;
    } else if (listed) {
        snprintf(p->what, sizeof p->what, "expected a base distribution, %s", nf__got(r->at, given));
        nf__fail(r, r->at, p->what, nf_registry_names(&nf_distributions, ", ", p->names, sizeof p->names));
    }
    if (child) made = nf_on(dim, feature, count, child, r->error);
    ad_free(feature);
    return made;
}

/* Behind "product_of"; NULL on failure. */
static nf_bijector *parse_product(nf__parser *p)
{
    nf__list parts = {0};
    nf_bijector *made = NULL;
    const char *start = p->reader.at - strlen(product_name), *form = "product_of([1,3]:student(df=3)|[2]:uniform)";
    bool good = nf__take(&p->reader, '(') || nf__fail(&p->reader, p->reader.at, "product_of needs distributions", form);
    if (good) do
            good = nf__list_push(p, &parts, parse_part(p));
        while (good && nf__take(&p->reader, '|'));
    if (good)
        good =
            nf__take(&p->reader, ')') || nf__fail(&p->reader, p->reader.at, "product_of( isn't closed", "'|' or ')'");
    if (!good) {
        nf__list_free(&parts);
        return NULL;
    }
    made = nf_product_of(parts.child, parts.count, &p->fault);
    ad_free(parts.child);
    if (!made && p->fault.status == AD_ERROR_ARGUMENT)
        nf__fail(&p->reader, start, p->fault.message, form);
    else if (!made && p->reader.error)
        *p->reader.error = p->fault;
    return made;
}

/* What is no distribution's name, but takes formulas. */
static nf_bijector *(*operator_of(const char *name, size_t length))(nf__parser *p)
{
    static const struct {
        const char *name;
        nf_bijector *(*parse)(nf__parser *p);
    } operators[] = {{mixture_name, parse_mixture}, {product_name, parse_product}};
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (strlen(operators[i].name) == length && memcmp(operators[i].name, name, length) == 0)
            return operators[i].parse;
    return NULL;
}

bool nf__is_base_operator(const char *name, size_t length)
{
    return operator_of(name, length) != NULL;
}

bool nf__parse_base(nf__parser *p, nf_bijector **base)
{
    nf__skip_spaces(&p->reader);
    const char *name = p->reader.at;
    const size_t length = nf__name_length(name);
    const nf_bijector_type *type = nf_registry_find(&nf_distributions, name, length);
    if (!type && !nf__is_base_operator(name, length)) return true;
    if (!type) p->reader.at += length;
    *base = type ? nf__parse_instance(p, type, length) : operator_of(name, length)(p);
    return *base && (nf__take(&p->reader, ':') ||
                     nf__fail(&p->reader, p->reader.at, "a base distribution without a bijector", "':' and a formula"));
}
