/* The optimisers that are known: Weir's own, with the kernels of this CPU, and those registered from outside. */
#include "training/optimizer.h"

#include <pthread.h>
#include <string.h>

#define DECLARE(isa) extern const nf__optimizer_set nf__optimizers_##isa##_f32, nf__optimizers_##isa##_f64;
#define POINTERS(isa)                                                                                                  \
    {                                                                                                                  \
#isa,                                                                                                          \
        {                                                                                                              \
            [AD_F32] = &nf__optimizers_##isa##_f32, [AD_F64] = &nf__optimizers_##isa##_f64                             \
        }                                                                                                              \
    }

DECLARE(portable)
#if defined AD_HAVE_X86
DECLARE(avx2)
DECLARE(avx512)
#elif defined AD_HAVE_NEON
DECLARE(neon)
#endif

static const struct {
    const char *isa;
    const nf__optimizer_set *set[2];
} compiled[] = {
    POINTERS(portable),
#if defined AD_HAVE_X86
    POINTERS(avx2),
    POINTERS(avx512),
#elif defined AD_HAVE_NEON
    POINTERS(neon),
#endif
};

const nf__optimizer_set *nf__optimizers(ad_dtype dtype)
{
    size_t i = 0;
    while (strcmp(compiled[i].isa, ad_isa_name()) != 0) i++;
    return compiled[i].set[dtype];
}

enum { MOST_TYPES = 256 };

static nf_optimizer_type own[MOST_TYPES];
static const nf_optimizer_type *types[MOST_TYPES + 1];
static const nf_registry registry = {"optimizer", types, MOST_TYPES};
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Each of Weir's own is one type with the updates of both compilations. */
static void register_own(void)
{
    const nf__optimizer_set *f32 = nf__optimizers(AD_F32), *f64 = nf__optimizers(AD_F64);
    for (size_t i = 0; i < f64->count; i++) {
        own[i] = f64->type[i];
        own[i].update[AD_F32] = f32->type[i].update[AD_F32];
        nf_registry_add(&registry, &own[i], NULL);
    }
}

const nf_optimizer_type *const *nf_optimizer_types(void)
{
    pthread_once(&once, register_own);
    return types;
}

ad_status nf_register_optimizer(const nf_optimizer_type *type, ad_error *error)
{
    pthread_once(&once, register_own);
    if (!type) return ad_error_set(error, AD_ERROR_ARGUMENT, "registering an optimizer: type is NULL");
    const char *name = type->name ? type->name : "";
    if (!type->update[AD_F32] || !type->update[AD_F64])
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "registering the optimizer '%.60s': an update is missing; expected one for float32 and one "
                            "for float64",
                            name);
    if (!(type->learning_rate > 0))
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "registering the optimizer '%.60s': its learning rate is %g; expected a positive number",
                            name, type->learning_rate);
    return nf_registry_add(&registry, type, error);
}

const nf_optimizer_type *nf__optimizer_parse(const char *text, double value[static NF_MOST_ARGUMENTS], ad_error *error)
{
    pthread_once(&once, register_own);
    return nf_registry_parse(&registry, text, value, error);
}
