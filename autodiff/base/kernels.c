/* LIBXSMM's generator alone: its own cache of kernels opens a file of a known name in /tmp, takes 128 KiB of the
 * caller's stack, goes by environment variables, and holds locks that a fork() may leave locked in the child. */
#include "base/cpu.h"
#include "base/executable.h"
#include "base/kernels.h"

#include <libxsmm_cpuid.h>
#include <libxsmm_generator.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    ad__product product;
    ad__kernel kernel;
    struct entry *next;
} entry;

/* Chains that only grow, at their heads. */
enum { CHAINS = 1024 };
static _Atomic(entry *) chains[CHAINS];

/* By multiplications that don't wait for each other: a convolution asks for a kernel with every product. */
static _Atomic(entry *) *chain_of(const ad__product *p)
{
    const uint64_t kind = p->f64 + 2u * p->transpose_b + 4u * p->adds;
    const uint64_t hash = p->m * UINT64_C(0x9e3779b97f4a7c15) + p->n * UINT64_C(0xc2b2ae3d27d4eb4f) +
                          p->k * UINT64_C(0xff51afd7ed558ccd) + p->lda * UINT64_C(0xd6e8feb86659fd93) +
                          p->ldb * UINT64_C(0xa0761d6478bd642f) + p->ldc * UINT64_C(0xe7037ed1a0b428db) +
                          kind * UINT64_C(0x8ebc6af09c88c6e3);
    return &chains[hash >> 54];
}

static bool are_equal(const ad__product *a, const ad__product *b)
{
    return a->m == b->m && a->n == b->n && a->k == b->k && a->lda == b->lda && a->ldb == b->ldb && a->ldc == b->ldc &&
           a->f64 == b->f64 && a->transpose_b == b->transpose_b && a->adds == b->adds;
}

/* Kernels add up each element of C in the order of k, by fused multiply-adds: the same bits wherever the element lies.
 * But those of AVX-512 split the sum, to hide latency, where a single vector of rows, or a part of one, is multiplied
 * with few columns: of all rows, or of those that four vectors at a time leave. Those of AVX2 don't. */
static unsigned architecture_of(const ad__product *p)
{
    const size_t vector = p->f64 ? 8 : 16, rest = p->m % (4 * vector);
    const bool splits = rest > 0 && rest <= vector && (p->m > vector || p->n < 16);
    return ad__isa_of_cpu() == AD_ISA_avx512 && !splits ? LIBXSMM_X86_AVX512_CORE : LIBXSMM_X86_AVX2;
}

/* The machine code, which is the caller's; NULL where there is no memory for it or LIBXSMM has none. */
static void *generate(const ad__product *p, size_t *bytes)
{
    enum { LONGEST = 1 << 17, LARGEST = INT32_MAX };
    if ((p->m | p->n | p->k | p->lda | p->ldb | p->ldc) > LARGEST) return NULL;
    typedef libxsmm_blasint size;
    const size m = (size)p->m, n = (size)p->n, k = (size)p->k;
    const size lda = (size)p->lda, ldb = (size)p->ldb, ldc = (size)p->ldc;
    const int flags = p->transpose_b ? LIBXSMM_GEMM_FLAG_TRANS_B : LIBXSMM_GEMM_FLAG_NONE;
    const int prefetch = LIBXSMM_GEMM_PREFETCH_NONE;
    libxsmm_descriptor_blob blob;
    const libxsmm_gemm_descriptor *descriptor =
        p->f64 ? libxsmm_dgemm_descriptor_init(&blob, m, n, k, lda, ldb, ldc, 1, p->adds, flags, prefetch)
               : libxsmm_sgemm_descriptor_init(&blob, m, n, k, lda, ldb, ldc, 1, p->adds, flags, prefetch);
    libxsmm_generated_code code = {
        .generated_code = malloc(LONGEST), .buffer_size = LONGEST, .code_type = 2, .arch = architecture_of(p)};
    if (descriptor && code.generated_code) libxsmm_generator_gemm_kernel(&code, descriptor);
    *bytes = code.code_size;
    if (code.code_size > 0 && code.last_error == 0) return code.generated_code;
    free(code.generated_code);
    return NULL;
}

static entry *make(const ad__product *p)
{
    size_t bytes;
    void *code = generate(p, &bytes);
    entry *made = code ? malloc(sizeof *made) : NULL;
    if (made) *made = (entry){*p, {ad__executable_new(code, bytes)}, NULL};
    free(code);
    if (made && made->kernel.code) return made;
    free(made);
    return NULL;
}

ad__kernel ad__kernel_of(const ad__product *product)
{
    _Atomic(entry *) *chain = chain_of(product);
    for (entry *e = atomic_load_explicit(chain, memory_order_acquire); e; e = e->next)
        if (are_equal(&e->product, product)) return e->kernel;
    entry *made = make(product);
    if (!made) return (ad__kernel){NULL};
    /* Threads that make the same one at once each add it: that does no harm. */
    made->next = atomic_load(chain);
    while (!atomic_compare_exchange_weak(chain, &made->next, made))
        ;
    return made->kernel;
}
