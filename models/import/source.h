/* What the files of import/ share: tensors of another program's file, and the steps that they become. */
#ifndef WEIR_MODELS_IMPORT_SOURCE_H
#define WEIR_MODELS_IMPORT_SOURCE_H

#include "files/safetensors.h"

#include <weir/flow.h>
#include <weir/import.h>

/* A tensor as float64. */
typedef struct {
    ad_shape shape;
    double *value;
} nf__array;

/* y = (W where mask isn't 0) x + b. */
typedef struct {
    size_t out, in;
    double *weight, *bias; /* weight is 0 where the mask is */
    const double *mask;    /* (out, in); NULL: 1 */
} nf__linear;

enum { NF__MOST_LAYERS = 64 };

/* How the outputs of a network are a feature's parameters: output number p of them is Weir's parameter order(p), of
 * which it is factor(p) u + offset(p). */
typedef struct {
    enum { NF__ZUKO_AFFINE, NF__NFLOWS_AFFINE, NF__NFLOWS_COUPLED_AFFINE, NF__NFLOWS_SPLINE, NF__ZUKO_SPLINE } kind;
    size_t count;      /* of each feature */
    double factor;     /* of a spline's widths and heights */
    bool by_parameter; /* outputs are (count, features), else (features, count) */
} nf__parameters;

size_t nf__parameter_place(const nf__parameters *of, size_t p);
/* The layer with its outputs as Weir's parameters, (features, count) or (count, features), as Weir lays them out. */
void nf__parameters_apply(const nf__parameters *of, size_t p, const nf__linear *from, size_t from_row, nf__linear *to,
                          size_t to_row);

/* One transform of the file. */
typedef struct {
    nf__linear layer[NF__MOST_LAYERS];
    size_t layers;
    nf__parameters parameters;
    size_t *order;                  /* of a masked network: of each feature its place; else NULL */
    size_t *seen, n_seen;           /* of a coupling: the features that stay */
    size_t *place[NF__MOST_LAYERS]; /* of a masked network: of each hidden unit its place in Weir's, or SIZE_MAX */
    size_t size[NF__MOST_LAYERS];   /* and how many units Weir's has */
    size_t child;                   /* of the chain */
} nf__step;

typedef struct {
    const char *path;
    nf__safetensors *file;
    bool *used;      /* of the file's tensors */
    ad_tape *memory; /* whose memory all is */
    ad_error *error;
    nf_import_options options;
    size_t dim, context;
} nf__source;

/* The tensor of this name, which is then used; false where there is none. */
bool nf__source_find(nf__source *s, nf__array *array, const char *format, ...) AD_PRINTF(3, 4);
/* A linear layer, PREFIX.weight and PREFIX.bias, with PREFIX.mask where there is one. AD_ERROR_FORMAT where they don't
 * fit each other. */
ad_status nf__source_linear(nf__source *s, nf__linear *layer, const char *prefix);
ad_status nf__source_fail(nf__source *s, const char *format, ...) AD_PRINTF(2, 3);

/* Lay out the hidden units of a masked network. */
ad_status nf__masked_layout(nf__source *s, nf__step *step);
/* Set the parameters of a bijector, which is autoregressive or a coupling, from a step. */
void nf__masked_fill(nf__source *s, const nf__step *step, nf_bijector *to);
void nf__coupling_fill(nf__source *s, const nf__step *step, nf_bijector *to);

#endif
