/* The peak that the machine reaches in practice: multiply-adds on registers, as many in flight as hide their latency.
 */
#include "peak.h"
#include "trials.h"
#include <weir/autodiff.h>

#include <math.h>
#include <pthread.h>
#include <string.h>

enum { CHAINS = 16, ROUNDS = 2000, MAX_THREADS = 64 };
static const double seconds = 0.02;

/* CHAINS vectors of sums, ROUNDS times, by -ffp-contract=fast in fused multiply-adds. The result is returned so that
 * the work can't be left out. */
#define DEFINE_LOOP(name, attribute, lanes)                                                                            \
    attribute static float name(float factor)                                                                          \
    {                                                                                                                  \
        typedef float vector __attribute__((vector_size(lanes * sizeof(float))));                                      \
        vector sum[CHAINS], multiplier = {0}, total = {0};                                                             \
        multiplier += factor;                                                                                          \
        for (int i = 0; i < CHAINS; i++) sum[i] = multiplier * (float)i;                                               \
        for (int round = 0; round < ROUNDS; round++)                                                                   \
            _Pragma("GCC unroll 16") for (int i = 0; i < CHAINS; i++) sum[i] = sum[i] * multiplier + multiplier;       \
        for (int i = 0; i < CHAINS; i++) total += sum[i];                                                              \
        return total[0];                                                                                               \
    }

#ifdef AD_HAVE_X86
DEFINE_LOOP(loop_avx512, __attribute__((target("avx512f,fma"))), 16)
DEFINE_LOOP(loop_avx2, __attribute__((target("avx2,fma"))), 8)
#endif
DEFINE_LOOP(loop_portable, , 4)

typedef struct {
    pthread_t thread;
    double begin, end, operations;
} worker;

typedef float loop_function(float factor);

/* For what ad_isa_name() names. */
static loop_function *loop_of_isa(int *lanes)
{
#ifdef AD_HAVE_X86
    if (strcmp(ad_isa_name(), "avx512") == 0) return *lanes = 16, loop_avx512;
    if (strcmp(ad_isa_name(), "avx2") == 0) return *lanes = 8, loop_avx2;
#endif
    return *lanes = 4, loop_portable;
}

static void *run(void *argument)
{
    worker *self = argument;
    int lanes;
    loop_function *loop = loop_of_isa(&lanes);
    volatile float sink;
    self->begin = now();
    do {
        sink = loop(0.5f);
        self->operations += 2.0 * CHAINS * ROUNDS * lanes;
        self->end = now();
    } while (self->end - self->begin < seconds);
    (void)sink;
    return NULL;
}

double peak_flops(int threads)
{
    worker workers[MAX_THREADS] = {0};
    int started = 0;
    while (started < threads && started < MAX_THREADS &&
           pthread_create(&workers[started].thread, NULL, run, &workers[started]) == 0)
        started++;
    double begin = INFINITY, end = 0, operations = 0;
    for (int i = 0; i < started; i++) {
        pthread_join(workers[i].thread, NULL);
        begin = fmin(begin, workers[i].begin);
        end = fmax(end, workers[i].end);
        operations += workers[i].operations;
    }
    return operations / (end - begin);
}
