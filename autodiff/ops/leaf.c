/* What a tape starts from: inputs, parameters, constants. */
#include "ops/kernels.h"

/* The executor binds inputs and parameters: there is nothing to evaluate. */
AD_DEFINE_OP(input) = {.name = "input"};

AD_DEFINE_OP(param) = {.name = "param"};

static void constant_evaluate(const ad_tile *tile)
{
    real *out = tile->out.data;
    for (size_t i = 0; i < tile->n_attribute; i++) out[i] = (real)tile->attribute[i];
}

AD_DEFINE_OP(constant) = {.name = "constant", .evaluate[AD_DTYPE] = constant_evaluate};

static void row_count_evaluate(const ad_tile *tile)
{
    *(real *)tile->out.data = (real)tile->total_rows;
}

AD_DEFINE_OP(row_count) = {.name = "row_count", .evaluate[AD_DTYPE] = row_count_evaluate};
