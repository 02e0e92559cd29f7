/* What this CPU is. */
#ifndef WEIR_AUTODIFF_BASE_CPU_H
#define WEIR_AUTODIFF_BASE_CPU_H

#include <stddef.h>

typedef enum { AD_ISA_portable, AD_ISA_avx2, AD_ISA_avx512, AD_ISA_COUNT } ad__isa;
ad__isa ad__isa_of_cpu(void); /* after WEIR_ISA */
size_t ad__l2_bytes(void);    /* a core's L2 cache */

#endif
