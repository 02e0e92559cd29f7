#ifndef WEIR_TOOLS_BENCH_PEAK_H
#define WEIR_TOOLS_BENCH_PEAK_H

/* Floating-point operations per second (a fused multiply-add is two) of so many threads that do nothing but
 * multiply-adds of floats in registers, with the instruction set that Weir uses. */
double peak_flops(int threads);

#endif
