/* Columns' maps in ONNX: models/columns/map.c once more, of tensors (batch, 1). */
#include "onnx/maps.h"
#include "columns/column.h"

#include <math.h>

static nf__value number(nf__onnx *g, double value)
{
    return nf__onnx_number(g, NF__ONNX_DOUBLE, value);
}

static nf__value binary(nf__onnx *g, const char *type, nf__value a, nf__value b)
{
    return NF__NODE(g, type, NULL, a, b);
}

static nf__value unary(nf__onnx *g, const char *type, nf__value a)
{
    return NF__NODE(g, type, NULL, a);
}

static nf__value add(nf__onnx *g, nf__value a, double b)
{
    return binary(g, "Add", a, number(g, b));
}

static nf__value multiply(nf__onnx *g, nf__value a, double b)
{
    return binary(g, "Mul", a, number(g, b));
}

/* ---- The maps --------------------------------------------------------------------------------------------------- */

/* g(x), log g'(x) and the inverse, without offset and scale. */
typedef struct {
    nf__value (*to)(nf__onnx *g, const nf__map *map, nf__value x, nf__value *log_slope);
    nf__value (*from)(nf__onnx *g, const nf__map *map, nf__value y);
} onnx_map;

static nf__value identity_to(nf__onnx *g, const nf__map *map, nf__value x, nf__value *log_slope)
{
    (void)map;
    *log_slope = multiply(g, x, 0);
    return x;
}

static nf__value identity_from(nf__onnx *g, const nf__map *map, nf__value y)
{
    (void)g, (void)map;
    return y;
}

static nf__value log_to(nf__onnx *g, const nf__map *map, nf__value x, nf__value *log_slope)
{
    const nf__value y = unary(g, "Log", add(g, x, -map->low));
    *log_slope = unary(g, "Neg", y);
    return y;
}

static nf__value log_from(nf__onnx *g, const nf__map *map, nf__value y)
{
    return add(g, unary(g, "Exp", y), map->low);
}

static nf__value softplus_to(nf__onnx *g, const nf__map *map, nf__value x, nf__value *log_slope)
{
    const nf__value y = multiply(g, add(g, x, -map->low), 1 / map->width);
    const nf__value rest = unary(g, "Neg", nf__onnx_expm1(g, NF__ONNX_DOUBLE, unary(g, "Neg", y)));
    const nf__value log_rest = unary(g, "Log", rest);
    *log_slope = unary(g, "Neg", log_rest);
    return multiply(g, binary(g, "Add", y, log_rest), map->width);
}

static nf__value softplus_from(nf__onnx *g, const nf__map *map, nf__value y)
{
    const nf__value t = nf__onnx_softplus(g, NF__ONNX_DOUBLE, multiply(g, y, 1 / map->width));
    return add(g, multiply(g, t, map->width), map->low);
}

static nf__value logit_to(nf__onnx *g, const nf__map *map, nf__value x, nf__value *log_slope)
{
    const nf__value below = unary(g, "Log", add(g, x, -map->low));
    const nf__value above = unary(g, "Log", add(g, unary(g, "Neg", x), map->high));
    *log_slope = add(g, unary(g, "Neg", binary(g, "Add", below, above)), log(map->high - map->low));
    return binary(g, "Sub", below, above);
}

/* From the nearer end, to be exact near both. */
static nf__value logit_from(nf__onnx *g, const nf__map *map, nf__value y)
{
    const nf__value from_end = add(g, unary(g, "Exp", unary(g, "Abs", y)), 1);
    const nf__value part = binary(g, "Div", number(g, map->high - map->low), from_end);
    const nf__value low = add(g, part, map->low), high = add(g, unary(g, "Neg", part), map->high);
    return NF__NODE(g, "Where", NULL, binary(g, "Less", y, number(g, 0)), low, high);
}

static const onnx_map maps[NF__MAPS] = {
    [NF__MAP_IDENTITY] = {identity_to, identity_from},
    [NF__MAP_LOG] = {log_to, log_from},
    [NF__MAP_SOFTPLUS] = {softplus_to, softplus_from},
    [NF__MAP_LOGIT] = {logit_to, logit_from},
};

/* ---- Columns ---------------------------------------------------------------------------------------------------- */

static bool is_map(const nf__column *column)
{
    const nf_column_kind kind = column->face.kind;
    return (kind == NF_COLUMN_REAL || kind == NF_COLUMN_POSITIVE || kind == NF_COLUMN_BOUNDED) &&
           column->cells.count == 0 && column->map.pull_low == 0 && column->map.pull_high == 0;
}

ad_status nf__maps_check(const nf_columns *columns, ad_error *error)
{
    char text[160];
    for (size_t c = 0; c < columns->count; c++)
        if (!is_map(&columns->column[c]))
            return ad_error_set(error, AD_ERROR_ARGUMENT,
                                "%s can't be exported: %s. Only open intervals of real numbers without atoms and "
                                "missing values can, whose log p is a function of them alone",
                                nf__column_text(columns, c, text), columns->column[c].face.why);
    return AD_OK;
}

bool nf__maps_needed(const nf_columns *columns)
{
    for (size_t c = 0; columns && c < columns->count; c++) {
        const nf__map *map = &columns->column[c].map;
        if (map->type != NF__MAP_IDENTITY || map->offset != 0 || map->scale != 1) return true;
    }
    return false;
}

static nf__value column_of(nf__onnx *g, nf__value rows, size_t c)
{
    const int64_t start = (int64_t)c, stop = start + 1, axis = 1;
    return NF__NODE(g, "Slice", NULL, rows, nf__onnx_integers(g, &start, 1), nf__onnx_integers(g, &stop, 1),
                    nf__onnx_integers(g, &axis, 1));
}

/* A point of the interval in the place of what isn't in it; NaN stays. *outside becomes which they are. */
static nf__value admitted(nf__onnx *g, const nf__map *map, nf__value x, nf__value *outside)
{
    const double inner = isfinite(map->high)  ? map->low + (map->high - map->low) / 2
                         : isfinite(map->low) ? map->low + 1
                                              : 0;
    *outside = binary(g, "Or", binary(g, "LessOrEqual", x, number(g, map->low)),
                      binary(g, "GreaterOrEqual", x, number(g, map->high)));
    return NF__NODE(g, "Where", NULL, *outside, number(g, inner), x);
}

/* The feature of a column's values, and the log of its derivative. */
static nf__value feature_of(nf__onnx *g, const nf__map *map, nf__value x, nf__value *log_slope)
{
    nf__value outside;
    const nf__value inside = admitted(g, map, x, &outside), y = maps[map->type].to(g, map, inside, log_slope);
    *log_slope = add(g, *log_slope, -log(map->scale));
    *log_slope = NF__NODE(g, "Where", NULL, outside, number(g, -INFINITY), *log_slope);
    return multiply(g, add(g, y, -map->offset), 1 / map->scale);
}

static nf__value value_of(nf__onnx *g, const nf__map *map, nf__value feature)
{
    const nf__value x = maps[map->type].from(g, map, add(g, multiply(g, feature, map->scale), map->offset));
    const nf__value low = number(g, nextafter(map->low, INFINITY)), high = number(g, nextafter(map->high, -INFINITY));
    return binary(g, "Min", binary(g, "Max", x, low), high);
}

/* What becomes of each column, side by side, and the sum of the slopes. */
static nf__value map_columns(nf__onnx *g, const nf_columns *columns, nf__value rows, bool inverse, nf__value *log_slope)
{
    nf__value *result = ad_alloc(2 * columns->count, sizeof *result), *slope = result + columns->count;
    g->nodes.failed |= !result;
    if (!result) return -1;
    for (size_t c = 0; c < columns->count; c++) {
        const nf__map *map = &columns->column[c].map;
        const nf__value in = column_of(g, rows, c);
        result[c] = inverse ? value_of(g, map, in) : feature_of(g, map, in, &slope[c]);
        if (inverse) feature_of(g, map, result[c], &slope[c]);
    }
    const nf__onnx_attribute *side_by_side = NF__ATTRIBUTES({"axis", 1});
    const int64_t axis = 1;
    const nf__value all = nf__onnx_node(g, "Concat", result, (int)columns->count, side_by_side);
    const nf__value slopes = nf__onnx_node(g, "Concat", slope, (int)columns->count, side_by_side);
    *log_slope = NF__NODE(g, "ReduceSum", NF__ATTRIBUTES({"keepdims", 0}), slopes, nf__onnx_integers(g, &axis, 1));
    ad_free(result);
    return all;
}

nf__value nf__maps_to(nf__onnx *g, const nf_columns *columns, nf__mapped_values *values)
{
    const nf__value features = map_columns(g, columns, values->x, false, &values->log_slope);
    return nf__onnx_cast(g, features, nf__onnx_type_of(g));
}

nf__value nf__maps_from(nf__onnx *g, const nf_columns *columns, nf__mapped_values *values)
{
    const nf__value features = nf__onnx_cast(g, values->features, NF__ONNX_DOUBLE);
    return map_columns(g, columns, features, true, &values->log_slope);
}

nf__value nf__maps_log_prob(nf__onnx *g, const nf__mapped_values *values, nf__value log_prob)
{
    return binary(g, "Add", nf__onnx_cast(g, log_prob, NF__ONNX_DOUBLE), values->log_slope);
}
