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
#ifdef AD_HAVE_X86
DECLARE(avx2)
DECLARE(avx512)
#endif

static const struct {
    const char *isa;
    const nf__optimizer_set *set[2];
} compiled[] = {
    POINTERS(portable),
#ifdef AD_HAVE_X86
    POINTERS(avx2),
    POINTERS(avx512),
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

ad_status nf__check_arguments(const char *what, const char *name, const nf_argument *argument, ad_error *error)
{
    size_t count = 0;
    for (; argument && argument[count].name; count++)
        if (argument[count].kind == NF_FEATURES || argument[count].kind == NF_DESCRIPTOR)
            return ad_error_set(error, AD_ERROR_ARGUMENT,
                                "registering the %s '%.60s': its argument '%.60s' isn't a number or a choice", what,
                                name, argument[count].name);
    if (count <= NF_MOST_ARGUMENTS) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT,
                        "registering the %s '%.60s': it has %zu arguments; expected at most %d", what, name, count,
                        NF_MOST_ARGUMENTS);
}

ad_status nf_register_optimizer(const nf_optimizer_type *type, ad_error *error)
{
    pthread_once(&once, register_own);
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
    ad_status status = nf__check_arguments("optimizer", name, type->argument, error);
    return status ? status : nf_registry_add(&registry, type, error);
}

static const nf_argument *arguments_of(const void *type)
{
    return ((const nf_optimizer_type *)type)->argument;
}

const nf_optimizer_type *nf__optimizer_parse(const char *text, double value[static NF_MOST_ARGUMENTS], ad_error *error)
{
    pthread_once(&once, register_own);
    return nf_registry_parse(&registry, text, arguments_of, value, NF_MOST_ARGUMENTS, error);
}
