/* What this CPU is. */
#ifndef WEIR_AUTODIFF_BASE_CPU_H
#define WEIR_AUTODIFF_BASE_CPU_H

#include <weir/error.h>

#include <stddef.h>

/* X(isa): what this library has kernels for. */
#if defined AD_HAVE_X86
#define AD_ISAS(X) X(portable) X(avx2) X(avx512)
#elif defined AD_HAVE_NEON
#define AD_ISAS(X) X(portable) X(neon)
#else
#define AD_ISAS(X) X(portable)
#endif

/* From the least to the best of a kind of CPU. */
typedef enum { AD_ISA_portable, AD_ISA_neon, AD_ISA_avx2, AD_ISA_avx512, AD_ISA_COUNT } ad__isa;
/* The best that the CPU has, or what WEIR_ISA names, as it was when this was first asked for. */
ad__isa ad__isa_of_cpu(void);
/* AD_ERROR_ARGUMENT where WEIR_ISA names what there is not, or not in this CPU: the best is taken then. */
ad_status ad__isa_check(ad_error *error);
size_t ad__l2_bytes(void); /* a core's L2 cache */

#endif
