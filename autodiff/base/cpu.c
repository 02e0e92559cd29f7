/* What the CPU can do. */
#include "base/cpu.h"

#include <weir/op.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ad__isa best_isa(void)
{
#ifdef AD_HAVE_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        return AD_ISA_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return AD_ISA_avx2;
#elif defined AD_HAVE_NEON
    return AD_ISA_neon;
#endif
    return AD_ISA_portable;
}

#define AD_NAMED(isa) [AD_ISA_##isa] = #isa,
static const char *const names[AD_ISA_COUNT] = {AD_ISAS(AD_NAMED)};

/* The environment is read once, so that all parts of the program go by the same. */
static struct {
    ad__isa isa;
    ad_error error;
} chosen;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void choose(void)
{
    const char *wanted = getenv("WEIR_ISA");
    const ad__isa best = best_isa();
    ad__isa isa = AD_ISA_portable;
    char had[32] = "";
    chosen.isa = best;
    if (!wanted || !*wanted) return;
    for (; isa <= best && !(names[isa] && strcmp(wanted, names[isa]) == 0); isa++)
        if (names[isa]) snprintf(had + strlen(had), sizeof had - strlen(had), "%s%s", *had ? ", " : "", names[isa]);
    if (isa <= best)
        chosen.isa = isa;
    else
        ad_error_set(&chosen.error, AD_ERROR_ARGUMENT, "WEIR_ISA=%s: expected an instruction set of this CPU: %s",
                     wanted, had);
}

ad__isa ad__isa_of_cpu(void)
{
    pthread_once(&once, choose);
    return chosen.isa;
}

ad_status ad__isa_check(ad_error *error)
{
    pthread_once(&once, choose);
    if (chosen.error.status != AD_OK && error) *error = chosen.error;
    return chosen.error.status;
}

const char *ad_isa_name(void)
{
    return names[ad__isa_of_cpu()];
}

size_t ad__l2_bytes(void)
{
    long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
    return bytes > 0 ? (size_t)bytes : (size_t)1 << 20;
}
