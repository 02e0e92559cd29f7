/* What the tests of formulas share: the round trip through the canonical form, and formulas to try. */
#ifndef WEIR_TESTS_FLOWS_FORMULA_TOOLS_H
#define WEIR_TESTS_FLOWS_FORMULA_TOOLS_H

#include "flows/flow_tools.h"

typedef struct {
    char *name;
    nf_parameter *parameter;
} named;

typedef struct {
    named item[512];
    size_t count;
} parameter_list;

static inline bool collect(void *context, const char *name, nf_parameter *parameter)
{
    parameter_list *list = context;
    ck_assert_uint_lt(list->count, COUNT(list->item));
    list->item[list->count++] = (named){strdup(name), parameter};
    return true;
}

static inline void list_free(parameter_list *list)
{
    for (size_t i = 0; i < list->count; i++) free(list->item[i].name);
}

static inline void assert_same_parameters(nf_bijector *a, nf_bijector *b)
{
    static parameter_list in_a, in_b;
    in_a.count = in_b.count = 0;
    nf_each_parameter(a, collect, &in_a);
    nf_each_parameter(b, collect, &in_b);
    ck_assert_uint_eq(in_a.count, in_b.count);
    for (size_t i = 0; i < in_a.count; i++) {
        const nf_parameter *p = in_a.item[i].parameter, *q = in_b.item[i].parameter;
        ck_assert_str_eq(in_a.item[i].name, in_b.item[i].name);
        ck_assert(ad_shape_equal(p->spec.shape, q->spec.shape));
        ck_assert_mem_eq(p->value, q->value, ad_shape_size(p->spec.shape) * sizeof(double));
    }
    list_free(&in_a);
    list_free(&in_b);
}

/* Parse, print, parse: the same flow, and the same text. Returns the text; ad_free(). */
static inline char *round_trip(const char *formula, size_t dim)
{
    nf_bijector *first = parsed(formula, dim, 7);
    char *text = nf_formula(first);
    ck_assert_ptr_nonnull(text);
    nf_bijector *second = parsed(text, dim, 7);
    assert_same_parameters(first, second);
    char *again = nf_formula(second);
    ck_assert_str_eq(text, again);
    ad_free(again);
    nf_bijector_free(first);
    nf_bijector_free(second);
    return text;
}

static const char *const canonical[][2] = {
    {"loc", "loc"},
    {" ( loc\t-\nscale ) * 2 ", "(loc-scale)*2"},
    {"((flip))*1", "flip"},
    {"loc-loc", "loc*2"},
    {"loc-scale-loc-scale", "(loc-scale)*2"},
    {"(loc-scale)*2-loc-scale", "(loc-scale)*3"},
    {"loc*2*3", "loc*6"},
    {"(loc*2)*3", "loc*6"},
    {"(loc*2-scale)*3", "(loc*2-scale)*3"},
    {"loc-loc-scale-loc*2-scale-(loc-loc)-scale", "(loc*2-scale)*3"},
    {"((loc-scale)*2-flip)*3", "((loc-scale)*2-flip)*3"},
    {"loc-scale-loc-scale-flip-loc-scale-loc-scale-flip", "((loc-scale)*2-flip)*2"},
    {"loc*1e1", "loc*10"},
    {"metropolis(2e1)", "metropolis(steps=20)"},
    {" on ( [ 1 , 3 ] , loc - (loc) ) ", "on([1,3],loc*2)"},
    {"on([3,1-2],maf(4))-on([3,1-2],maf(4))-on([3,2,1],maf(4))", "on([3,1-2],maf(4))*2-on([3,2,1],maf(4))"},
    {"on([2],on([1],invert(scale)))*3", "on([2],on([1],invert(scale)))*3"},
    {"permute(seed=0)", "permute"},
    {"permute( 7 )", "permute(seed=7)"},
    {"permute(seed = 9007199254740992)", "permute(seed=9007199254740992)"},
    {"maf( 8 , 9 )", "maf(8,9)"},
    {"maf(8,bound=.25,activation=elu)", "maf(8,activation=elu,bound=0.25)"},
    {"maf(8,activation=elu)-maf(8,activation=silu)", "maf(8,activation=elu)-maf(8,activation=silu)"},
    {"maf(8,bound=0.1)*2", "maf(8,bound=0.1)*2"},
    {"maf(4)-maf(4,4)-maf(4)-maf(4,4)", "(maf(4)-maf(4,4))*2"},
    {"invert(loc)", "invert(loc)"},
    {"invert(((loc-scale)))", "invert(loc-scale)"},
    {"invert ( loc-loc-loc ) -invert(loc*3)", "invert(loc*3)*2"},
    {"invert(invert(loc)-flip)*2", "invert(invert(loc)-flip)*2"},
    {"realnvp(8,mask=[2])", "realnvp(8,mask=[2])"},
    {"rqs(8, mask = [ 3 , 1 ], seed=2)", "rqs(8,mask=[1,3],seed=2)"},
    {"rqs(8,mask=[2,1, 3 - 3],flipped=1)", "rqs(8,mask=[1-3],flipped=1)"},
    {"permute(order=[3,1,2])", "permute(order=[3,1-2])"},
    {"permute(order=[2-3,1])-permute", "permute(order=[2-3,1])-permute"},
    {"rqs(mask=[1-3],flipped=1)", "rqs(64,64,mask=[1-3],flipped=1)"},
    {"realnvp(8,mask=[1])-realnvp(8,mask=[2])-realnvp(8,mask=[1])-realnvp(8,mask=[2])",
     "(realnvp(8,mask=[1])-realnvp(8,mask=[2]))*2"},
    {"realnvp(8,mask=[1])-realnvp(8)-realnvp(8,mask=[1-2])", "realnvp(8,mask=[1])-realnvp(8)-realnvp(8,mask=[1-2])"},
};

/* A random number below n. */
static inline unsigned below(unsigned n)
{
    return (unsigned)random() % n;
}

#endif
