/* The table of ops, with the kernels of this CPU. */
#include "base/cpu.h"
#include "tape/builtin.h"

#include <pthread.h>

#define AD_DECLARE(name, isa)                                                                                          \
    extern const ad_op ad__op_##name##_##isa##_f32;                                                                    \
    extern const ad_op ad__op_##name##_##isa##_f64;
#define AD_POINTERS(name, isa) [AD_OP_##name] = {&ad__op_##name##_##isa##_f32, &ad__op_##name##_##isa##_f64},

#define AD_DECLARE_portable(name)  AD_DECLARE(name, portable)
#define AD_POINTERS_portable(name) AD_POINTERS(name, portable)
#define AD_DECLARE_neon(name)      AD_DECLARE(name, neon)
#define AD_POINTERS_neon(name)     AD_POINTERS(name, neon)
#define AD_DECLARE_avx2(name)      AD_DECLARE(name, avx2)
#define AD_POINTERS_avx2(name)     AD_POINTERS(name, avx2)
#define AD_DECLARE_avx512(name)    AD_DECLARE(name, avx512)
#define AD_POINTERS_avx512(name)   AD_POINTERS(name, avx512)

#define AD_DECLARE_ALL(isa)  AD_ALL_OPS(AD_DECLARE_##isa)
#define AD_POINTERS_ALL(isa) [AD_ISA_##isa] = {AD_ALL_OPS(AD_POINTERS_##isa)},
AD_ISAS(AD_DECLARE_ALL)

/* Each op's compilations for AD_F32 and AD_F64. */
static const ad_op *const compiled[AD_ISA_COUNT][AD_OP_COUNT][2] = {AD_ISAS(AD_POINTERS_ALL)};

static ad_op table[AD_OP_COUNT];
static const ad_op *list[AD_OP_COUNT + 1];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void build(void)
{
    for (int id = 0; id < AD_OP_COUNT; id++) {
        const ad_op *const *op = compiled[ad__isa_of_cpu()][id];
        table[id] = *op[AD_F64];
        table[id].evaluate[AD_F32] = op[AD_F32]->evaluate[AD_F32];
        table[id].loop[AD_F32] = op[AD_F32]->loop[AD_F32];
        table[id].fusing[AD_F32] = op[AD_F32]->fusing[AD_F32];
        list[id] = &table[id];
    }
}

const ad_op *ad__builtin(ad__op_id id)
{
    pthread_once(&once, build);
    return &table[id];
}

const ad_op *const *ad_all_ops(void)
{
    pthread_once(&once, build);
    return list;
}
