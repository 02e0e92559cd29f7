#include <weir/environment.h>

/* Reading the registers is cheaper than saving the environment, and most have the default. */
static bool is_default(void)
{
#if defined(__x86_64__)
    enum { FLAGS = 0x3f, MXCSR = 0x1f80, X87 = 0x37f };
    unsigned short x87;
    __asm__ volatile("fnstcw %0" : "=m"(x87));
    return (__builtin_ia32_stmxcsr() & ~(unsigned)FLAGS) == MXCSR && x87 == X87;
#else
    return false;
#endif
}

ad_environment ad_environment_enter(void)
{
    ad_environment environment = {.differs = !is_default()};
    if (!environment.differs) return environment;
    fegetenv(&environment.saved);
    fesetenv(FE_DFL_ENV);
    return environment;
}

void ad_environment_leave(const ad_environment *environment)
{
    if (environment->differs) fesetenv(&environment->saved);
}
