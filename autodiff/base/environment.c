#include <weir/environment.h>

#if defined(__x86_64__)

/* Reading registers is cheaper than saving the environment, and most have the default: so only what is raised need be
 * restored. All arithmetic is in these registers, but for the x87's, which has its own control and is not used here. */
static bool is_default(unsigned *raised)
{
    enum { RAISED = 0x3f, MXCSR = 0x1f80, X87 = 0x37f };
    unsigned short x87;
    __asm__ volatile("fnstcw %0" : "=m"(x87));
    *raised = __builtin_ia32_stmxcsr();
    return (*raised & ~(unsigned)RAISED) == MXCSR && x87 == X87;
}

static void restore(unsigned raised)
{
    if (__builtin_ia32_stmxcsr() != raised) __builtin_ia32_ldmxcsr(raised);
}

#else

static bool is_default(unsigned *raised)
{
    *raised = 0;
    return false;
}

static void restore(unsigned raised)
{
    (void)raised;
}

#endif

ad_environment ad_environment_enter(void)
{
    ad_environment environment;
    environment.differs = !is_default(&environment.raised);
    if (!environment.differs) return environment;
    fegetenv(&environment.saved);
    fesetenv(FE_DFL_ENV);
    return environment;
}

void ad_environment_leave(const ad_environment *environment)
{
    if (!environment) return;
    if (environment->differs)
        fesetenv(&environment->saved);
    else
        restore(environment->raised);
}
