/* Recording operations on elements. */
#include "plan/elements.h"

#include <weir/memory.h>

#include <math.h>

#include <string.h>

ad__element ad__element_append(ad__elements *list, ad__element_operation operation)
{
    if (list->failed) return 0;
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : 64;
        ad__element_operation *grown = ad_realloc(list->operation, capacity, sizeof *grown);
        if (!grown) {
            list->failed = true;
            return 0;
        }
        list->operation = grown;
        list->capacity = capacity;
    }
    list->operation[list->count] = operation;
    return (ad__element)list->count++;
}

static ad__element unary(ad__elements *list, ad__element_kind kind, ad__element a)
{
    return ad__element_append(list, (ad__element_operation){.kind = kind, .n_in = 1, .in = {a}});
}

static ad__element binary(ad__elements *list, ad__element_kind kind, ad__element a, ad__element b)
{
    return ad__element_append(list, (ad__element_operation){.kind = kind, .n_in = 2, .in = {a, b}});
}

static bool is_constant(const ad__elements *list, ad__element a, double number)
{
    const ad__element_operation *operation = &list->operation[a];
    return operation->kind == AD_ELEMENT_CONSTANT && memcmp(&operation->number, &number, sizeof number) == 0;
}

ad__element ad__element_constant(ad__elements *list, double number)
{
    if (list->failed) return 0;
    if (list->dtype == AD_F32) number = (double)(float)number;
    for (size_t i = 0; i < list->n_constants; i++) /* there are few */
        if (is_constant(list, list->constants[i], number)) return list->constants[i];
    const ad__element made =
        ad__element_append(list, (ad__element_operation){.kind = AD_ELEMENT_CONSTANT, .number = number});
    if (!list->failed && list->n_constants < AD_MOST_KNOWN_CONSTANTS) list->constants[list->n_constants++] = made;
    return made;
}

ad__element ad__element_add(ad__elements *list, ad__element a, ad__element b)
{
    return binary(list, AD_ELEMENT_ADD, a, b);
}

ad__element ad__element_sub(ad__elements *list, ad__element a, ad__element b)
{
    return binary(list, AD_ELEMENT_SUB, a, b);
}

ad__element ad__element_mul(ad__elements *list, ad__element a, ad__element b)
{
    return binary(list, AD_ELEMENT_MUL, a, b);
}

ad__element ad__element_div(ad__elements *list, ad__element a, ad__element b)
{
    return binary(list, AD_ELEMENT_DIV, a, b);
}

ad__element ad__element_fma(ad__elements *list, ad__element a, ad__element b, ad__element c)
{
    return ad__element_append(list, (ad__element_operation){.kind = AD_ELEMENT_FMA, .n_in = 3, .in = {a, b, c}});
}

static ad__element sign_bit(ad__elements *list)
{
    return ad__element_constant(list, -0.0);
}

ad__element ad__element_neg(ad__elements *list, ad__element a)
{
    return binary(list, AD_ELEMENT_XOR, a, sign_bit(list));
}

ad__element ad__element_abs(ad__elements *list, ad__element a)
{
    return binary(list, AD_ELEMENT_ANDNOT, sign_bit(list), a);
}

ad__element ad__element_copysign(ad__elements *list, ad__element size, ad__element sign)
{
    const ad__element bits = binary(list, AD_ELEMENT_AND, sign, sign_bit(list));
    return binary(list, AD_ELEMENT_OR, ad__element_abs(list, size), bits);
}

ad__element ad__element_sqrt(ad__elements *list, ad__element a)
{
    return unary(list, AD_ELEMENT_SQRT, a);
}

ad__element ad__element_floor(ad__elements *list, ad__element a)
{
    return unary(list, AD_ELEMENT_FLOOR, a);
}

ad__element ad__element_choose(ad__elements *list, ad__comparison comparison, ad__element a, ad__element b,
                               ad__element x, ad__element y)
{
    if (list->failed) return 0;
    /* The choice by a condition that was made by a comparison is a choice by that comparison. */
    const ad__element_operation condition = list->operation[a];
    if (comparison == AD_UNEQUAL && is_constant(list, b, 0) && condition.kind == AD_ELEMENT_CHOOSE &&
        is_constant(list, condition.in[2], 1) && is_constant(list, condition.in[3], 0))
        return ad__element_choose(list, condition.comparison, condition.in[0], condition.in[1], x, y);
    return ad__element_append(
        list,
        (ad__element_operation){.kind = AD_ELEMENT_CHOOSE, .comparison = comparison, .n_in = 4, .in = {a, b, x, y}});
}

/* The CPU's maximum and minimum give b where a number is NaN. */
ad__element ad__element_maximum(ad__elements *list, ad__element a, ad__element b)
{
    return ad__element_choose(list, AD_UNORDERED, a, a, a, binary(list, AD_ELEMENT_MAX, a, b));
}

ad__element ad__element_minimum(ad__elements *list, ad__element a, ad__element b)
{
    return ad__element_choose(list, AD_UNORDERED, a, a, a, binary(list, AD_ELEMENT_MIN, a, b));
}

ad__element ad__element_call(ad__elements *list, ad__function *f, ad__element a)
{
    return ad__element_append(list,
                              (ad__element_operation){.kind = AD_ELEMENT_CALL, .n_in = 1, .in = {a}, .function = f});
}

ad__element ad__element_power_of_two(ad__elements *list, ad__element a)
{
    return binary(list, AD_ELEMENT_POWER_OF_TWO, a, ad__element_constant(list, 1)); /* to whose bits n is added */
}

/* The bits of -6 are what takes those of 3/4 away when they are added, and those of -∞ the sign and the exponent. */
void ad__element_split(ad__elements *list, ad__element a, ad__element *k, ad__element *m)
{
    const ad__element from_3_4 = binary(list, AD_ELEMENT_ADD_INTEGERS, a, ad__element_constant(list, -6));
    const ad__element bits = binary(list, AD_ELEMENT_AND, from_3_4, ad__element_constant(list, -INFINITY));
    *k = unary(list, AD_ELEMENT_EXPONENT, from_3_4);
    *m = binary(list, AD_ELEMENT_SUB_INTEGERS, a, bits);
}

/* The sum of two numbers is rounded to the same bits whether float64 comes between or not: it has more than twice the
 * digits of float32. */
void ad__element_sum_add(ad__elements *list, ad__element_sum *sum, ad__element term)
{
    sum->terms++;
    if (sum->terms == 1) {
        sum->first = term;
    } else if (list->dtype == AD_F64) {
        sum->first = ad__element_add(list, sum->first, term);
    } else {
        for (int half = 0; half < 2; half++) {
            const ad__element_kind kind = half ? AD_ELEMENT_HIGH : AD_ELEMENT_LOW;
            if (sum->terms == 2) sum->total[half] = unary(list, kind, sum->first);
            sum->total[half] = binary(list, AD_ELEMENT_ADD_WIDE, sum->total[half], unary(list, kind, term));
        }
        if (sum->terms == 2) sum->first = ad__element_add(list, sum->first, term);
    }
}

ad__element ad__element_sum_total(ad__elements *list, const ad__element_sum *sum)
{
    if (sum->terms == 0) return ad__element_constant(list, 0);
    if (list->dtype == AD_F64 || sum->terms <= 2) return sum->first;
    return binary(list, AD_ELEMENT_NARROW, sum->total[0], sum->total[1]);
}

size_t ad__stretched(const ad_shape *out, const ad_shape *in, size_t i)
{
    size_t at = 0, step = 1;
    for (int axis = out->rank; axis-- > 0;) {
        const size_t index = i % out->dim[axis];
        const int own = axis - (out->rank - in->rank);
        i /= out->dim[axis];
        if (own < 0) break;
        if (in->dim[own] > 1) at += index * step;
        step *= in->dim[own];
    }
    return at;
}
