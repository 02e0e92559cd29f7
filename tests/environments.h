/* For tests: floating-point environments, as programs may set them for one of their threads. */
#ifndef WEIR_TESTS_ENVIRONMENTS_H
#define WEIR_TESTS_ENVIRONMENTS_H

#include <check.h>
#include <fenv.h>

static inline void leave_as_it_is(void)
{
}

static inline void round_upward(void)
{
    ck_assert_int_eq(fesetround(FE_UPWARD), 0);
}

static inline void round_to_zero(void)
{
    ck_assert_int_eq(fesetround(FE_TOWARDZERO), 0);
}

static inline void flush_small_numbers(void)
{
#if defined(__SSE2__)
    enum { FTZ = 1 << 15, DAZ = 1 << 6 };
    __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | FTZ | DAZ);
#elif defined(__aarch64__)
    unsigned long control;
    const unsigned long flush_to_zero = 1ul << 24;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("msr fpcr, %0" : : "r"(control | flush_to_zero));
#endif
}

/* Few CPUs but x86 can; there the environment stays as it was. */
static inline void trap(void)
{
    const int enabled = feenableexcept(FE_DIVBYZERO | FE_INVALID | FE_OVERFLOW | FE_UNDERFLOW | FE_INEXACT);
#if defined(__SSE2__)
    ck_assert_int_ne(enabled, -1);
#else
    (void)enabled;
#endif
}

static void (*const environments[])(void) = {round_upward, round_to_zero, flush_small_numbers, trap};

#endif
