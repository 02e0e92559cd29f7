/* The loops of limit.c, which limit_kernels.c has for each instruction set. */
#ifndef WEIR_TOOLS_BENCH_LIMIT_KERNELS_H
#define WEIR_TOOLS_BENCH_LIMIT_KERNELS_H

#include "planar.h"

#include <stddef.h>
#include <stdint.h>

enum {
    LIMIT_LAYERS = PLANAR_MOST_LAYERS,
    LIMIT_BLOCK = 64, /* rows at a time, at most: what a pass keeps of them for 32 layers fits the L1 cache */
    LIMIT_JOBS = 16,  /* at most */
    LIMIT_LANES = 16, /* of a sum over rows, at most */
    LIMIT_SUMS = 6, /* over rows, for each layer: gradients of û, w, b and ûᵀw where each is taken for a variable */
};

/* A number of each layer. */
typedef float limit_numbers[LIMIT_LAYERS];

typedef struct {
    int layers;
    size_t rows;
    uint64_t seed, step; /* of noise */
    const float *z;      /* [rows][2], instead of noise; or NULL */
    float loss;
    /* [5][layers]: u_1, u_2, w_1, w_2, b. The moments are Adam's. */
    float parameter[5 * LIMIT_LAYERS], gradient[5 * LIMIT_LAYERS], first[5 * LIMIT_LAYERS], second[5 * LIMIT_LAYERS];
    /* Of the parameters: wᵀu, the factor of w in û and that one's denominator, û, ûᵀw. */
    limit_numbers wu, length, norm, u_hat[2], dot;
    /* Of rows: what each job has added up. */
    struct {
        _Alignas(64) float sum[LIMIT_LAYERS][LIMIT_SUMS][LIMIT_LANES];
        double loss;
    } job[LIMIT_JOBS];
} limit_model;

typedef struct {
    size_t lanes;                                                        /* rows in a vector */
    void (*layers)(limit_model *);                                       /* what follows from parameters */
    void (*rows)(limit_model *, size_t job, size_t begin, size_t count); /* adds a block to a job's sums */
    void (*gradient)(limit_model *, size_t jobs);                        /* from them: the loss and its gradient */
    void (*update)(limit_model *);                                       /* Adam */
} limit_kernels;

#endif
