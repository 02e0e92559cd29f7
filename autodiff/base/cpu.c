/* What the CPU can do. */
#include "base/cpu.h"

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
#endif
    return AD_ISA_portable;
}

ad__isa ad__isa_of_cpu(void)
{
    const char *wanted = getenv("WEIR_ISA");
    ad__isa isa = best_isa();
    if (wanted && strcmp(wanted, "portable") == 0) return AD_ISA_portable;
    if (wanted && strcmp(wanted, "avx2") == 0 && isa > AD_ISA_avx2) return AD_ISA_avx2;
    return isa;
}

size_t ad__l2_bytes(void)
{
    long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
    return bytes > 0 ? (size_t)bytes : (size_t)1 << 20;
}
