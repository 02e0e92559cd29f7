/* The ops by name. */
#ifndef WEIR_AUTODIFF_OPS_BUILTIN_H
#define WEIR_AUTODIFF_OPS_BUILTIN_H

#include "ops/ops.h"

#include <weir/op.h>

#define AD_OP_ENUM(name) AD_OP_##name,
typedef enum { AD_ALL_OPS(AD_OP_ENUM) AD_OP_COUNT } ad__op_id;
#undef AD_OP_ENUM

/* The op with the kernels of this CPU. */
const ad_op *ad__builtin(ad__op_id id);

/* Op files are compiled once for each instruction set and dtype, with -DAD_ISA=avx512 -DAD_DTYPE=AD_F32 and the like;
 * each compilation defines its own copy of the descriptors, of which only .evaluate[AD_DTYPE] differs. table.c picks.
 */

#endif
