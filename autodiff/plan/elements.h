/* What an op computes, said in a few operations on single elements, so that a plan can run chains of ops in one pass
 * over the rows whose intermediates stay in registers.
 *
 * An op says it by recording: the functions below append an operation to a list and return its result, as those of
 * <weir/tape.h> do for whole tensors. An element stands for one number in each row, or for one number if it is shared.
 *
 *     static ad__element square_element(ad__elements *list, const ad__element *in, const double *attribute)
 *     {
 *         (void)attribute;
 *         return ad__element_mul(list, in[0], in[0]);
 *     }
 *
 * It must compute the very bits that the op's loop or function does, since a plan runs the one or the other. Every
 * operation rounds once, in the plan's dtype. Where memory is out elements are meaningless, and the list says so. */
#ifndef WEIR_AUTODIFF_PLAN_ELEMENTS_H
#define WEIR_AUTODIFF_PLAN_ELEMENTS_H

#include <weir/op.h>

typedef int32_t ad__element; /* its number in the list */

/* All but unequal and unordered are false where a number is NaN. */
typedef enum {
    AD_EQUAL,
    AD_UNEQUAL,
    AD_LESS,
    AD_LESS_EQUAL,
    AD_GREATER,
    AD_GREATER_EQUAL,
    AD_UNORDERED, /* one of them is NaN */
} ad__comparison;

typedef void ad__function(void); /* of one vector */

typedef enum {
    AD_ELEMENT_LOAD,     /* a number of each row, from pointer[at] on */
    AD_ELEMENT_SCALAR,   /* the number at pointer[at], for all rows */
    AD_ELEMENT_CONSTANT, /* .number */
    AD_ELEMENT_ADD,
    AD_ELEMENT_SUB,
    AD_ELEMENT_MUL,
    AD_ELEMENT_DIV,
    AD_ELEMENT_MAX,    /* a > b ? a : b */
    AD_ELEMENT_MIN,    /* a < b ? a : b */
    AD_ELEMENT_AND,    /* of bits */
    AD_ELEMENT_ANDNOT, /* ~a & b */
    AD_ELEMENT_OR,
    AD_ELEMENT_XOR,
    AD_ELEMENT_FMA, /* a b + c, rounded once */
    AD_ELEMENT_SQRT,
    AD_ELEMENT_FLOOR,
    AD_ELEMENT_CHOOSE,       /* a .comparison b ? c : d */
    AD_ELEMENT_CALL,         /* .function(a) */
    AD_ELEMENT_POWER_OF_TWO, /* 2^n of 1.5·2^23 + n; float32, as the next three */
    AD_ELEMENT_ADD_INTEGERS, /* of the numbers' bits */
    AD_ELEMENT_SUB_INTEGERS,
    AD_ELEMENT_EXPONENT, /* the bits but the last 23, an integer with a sign, as a number */
    AD_ELEMENT_LOW,      /* the first half of a vector of float32 as doubles, */
    AD_ELEMENT_HIGH,     /* and the second */
    AD_ELEMENT_ADD_WIDE, /* of such halves */
    AD_ELEMENT_NARROW,   /* a low half and a high one, rounded to float32 */
    AD_ELEMENT_STORE,    /* a, to pointer[at] on */
    AD_ELEMENT_SUM_ROWS, /* a is added to sum[at], */
    AD_ELEMENT_SUM_HALF, /* and a half, as doubles */
    AD_ELEMENT_KINDS,
} ad__element_kind;

typedef struct {
    ad__element_kind kind;
    ad__comparison comparison;
    int n_in;
    ad__element in[4];
    size_t at;
    size_t vector; /* of those that a round of the loop takes at once */
    bool at_once;  /* loads: before anything is stored, for a result may take their place */
    double number;
    ad__function *function;
} ad__element_operation;

enum { AD_MOST_KNOWN_CONSTANTS = 64 };

typedef struct ad__elements {
    ad__element_operation *operation;
    size_t count, capacity;
    ad_dtype dtype;
    bool failed;                                    /* memory is out */
    ad__element constants[AD_MOST_KNOWN_CONSTANTS]; /* so that each is there once */
    size_t n_constants;
} ad__elements;

ad__element ad__element_append(ad__elements *list, ad__element_operation operation);

ad__element ad__element_constant(ad__elements *list, double number); /* rounded to the dtype */
ad__element ad__element_add(ad__elements *list, ad__element a, ad__element b);
ad__element ad__element_sub(ad__elements *list, ad__element a, ad__element b);
ad__element ad__element_mul(ad__elements *list, ad__element a, ad__element b);
ad__element ad__element_div(ad__elements *list, ad__element a, ad__element b);
ad__element ad__element_fma(ad__elements *list, ad__element a, ad__element b, ad__element c);
ad__element ad__element_neg(ad__elements *list, ad__element a);
ad__element ad__element_abs(ad__elements *list, ad__element a);
ad__element ad__element_copysign(ad__elements *list, ad__element size, ad__element sign);
ad__element ad__element_sqrt(ad__elements *list, ad__element a);
ad__element ad__element_floor(ad__elements *list, ad__element a);
ad__element ad__element_choose(ad__elements *list, ad__comparison comparison, ad__element a, ad__element b,
                               ad__element x, ad__element y);
/* The larger, the smaller; NaN if one is. */
ad__element ad__element_maximum(ad__elements *list, ad__element a, ad__element b);
ad__element ad__element_minimum(ad__elements *list, ad__element a, ad__element b);
/* f(a), by a function of whole vectors of the instruction set that the op is compiled for: __m256 f(__m256) in float32
 * with AVX2, __m512d f(__m512d) in float64 with AVX-512. What it gives must not depend on a number's place. */
ad__element ad__element_call(ad__elements *list, ad__function *f, ad__element a);
ad__element ad__element_power_of_two(ad__elements *list, ad__element a);
/* k and m of a = 2ᵏ m with 3/4 <= m < 3/2; of positive float32 that are not subnormal. */
void ad__element_split(ad__elements *list, ad__element a, ad__element *k, ad__element *m);
/* A sum in float64, term by term, that is rounded when it is asked for. */
typedef struct {
    size_t terms;
    ad__element total[2], first; /* in float32 halves, from the second term on */
} ad__element_sum;
void ad__element_sum_add(ad__elements *list, ad__element_sum *sum, ad__element term);
ad__element ad__element_sum_total(ad__elements *list, const ad__element_sum *sum);

/* Number of the element of an argument, of shape `in`, that broadcasts to element i of a result of shape `out`. */
size_t ad__stretched(const ad_shape *out, const ad_shape *in, size_t i);

/* An op that isn't elementwise: its arguments and its result. The last axes, over which a pass runs, are left out of
 * the shapes: a result of shape (16, 8, D) may come as (16, 8), and element (i, j) is number 8 i + j of `out`. An
 * argument may lack them, being the same all along. */
typedef struct {
    ad__elements *list;
    int n_in;
    const ad_shape *in_shape;
    const ad__element *const *in;
    ad_shape out_shape;
    ad__element *out; /* to be filled in */
    const double *attribute;
    size_t n_attribute;
} ad__fused_call;

/* How an op is fused with others: one of the two. */
typedef struct ad__fusing {
    /* Elementwise ops: the result from one element of each argument. */
    ad__element (*element)(ad__elements *list, const ad__element *in, const double *attribute);
    /* Others; and whether they can be where so many of the result's axes are written out (NULL: always). */
    void (*call)(const ad__fused_call *call);
    bool (*accepts)(const double *attribute, int lead);
    bool is_function; /* exp, tanh and the like: many operations, one waiting for the other */
} ad__fusing;

#endif
