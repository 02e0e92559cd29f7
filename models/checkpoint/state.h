/* What something that takes long goes on from: arrays of numbers, by name. One function lists them, and the list goes
 * all ways: it refers to where they are, for a file; copies them, to come back to them later; and puts them back.
 *
 *     static void list(void *context, nf__state *state)
 *     {
 *         training *t = context;
 *         nf__state_setting(state, "batch", "%zu", t->batch);
 *         nf__state_array(state, "weights", AD_F32, t->weights, t->count);
 *         nf__state_structs(state, "now", progress_fields, FIELDS, &t->now, sizeof t->now, 1);
 *     }
 *
 * A first failure sticks: what is listed behind it is left alone. */
#ifndef WEIR_MODELS_CHECKPOINT_STATE_H
#define WEIR_MODELS_CHECKPOINT_STATE_H

#include "files/safetensors.h"

/* A member of a struct, which a state keeps as a double: a size_t (SIZE_MAX is as good) or a uint64_t below 2^53, a
 * double, a bool, or an int, uint32_t or enumeration. */
typedef enum { NF__COUNT, NF__STEPS, NF__NUMBER, NF__FLAG, NF__WORD } nf__field_kind;
typedef struct {
    size_t offset;
    nf__field_kind kind;
} nf__field;
double nf__field_read(const void *of_struct, nf__field field);
void nf__field_write(void *of_struct, nf__field field, double value);
#define NF__FIELD(type, member, kind)                                                                                  \
    {                                                                                                                  \
        offsetof(type, member), kind                                                                                   \
    }

typedef enum { NF__STATE_REFERS, NF__STATE_COPIES, NF__STATE_RESTORES } nf__state_mode;

typedef struct {
    char name[64];
    ad_dtype dtype;
    size_t rows, columns; /* 1 column: of an array */
    void *data;
    bool owned;
} nf__state_entry;

typedef struct {
    nf__state_mode mode;
    nf__state_entry *entry;
    size_t count, room;
    char *settings; /* "batch=128\n…"; what is restored must have the same */
    char *expected; /* those of now, while it is restored */
    ad_error error; /* the first */
} nf__state;

typedef void nf__state_list(void *context, nf__state *state);

/* An empty state is {0}. Fill it by a list anew, or put back what it has. What it refers to must outlive it. */
ad_status nf__state_fill(nf__state *state, nf__state_mode mode, nf__state_list *list, void *context, ad_error *error);
ad_status nf__state_restore(nf__state *state, nf__state_list *list, void *context, ad_error *error);
void nf__state_free(nf__state *state);

/* ---- For lists ------------------------------------------------------------------------------------------------- */

bool nf__state_restores(const nf__state *state);
/* What must be the same when it goes on: said before anything else. */
void nf__state_setting(nf__state *state, const char *name, const char *format, ...) AD_PRINTF(3, 4);
void nf__state_number(nf__state *state, const char *name, double value); /* the same, of a number */
void nf__state_array(nf__state *state, const char *name, ad_dtype dtype, void *values, size_t count);
/* These members of `count` structs of `size` bytes each. */
void nf__state_structs(nf__state *state, const char *name, const nf__field *field, size_t fields, void *structs,
                       size_t size, size_t count);
/* How many elements, or structs, there are to be restored, for which there must be room; otherwise `now`. */
size_t nf__state_size(const nf__state *state, const char *name, size_t now);
/* Another state, in this one. */
void nf__state_nest(nf__state *state, const char *name, nf__state *inner);
/* For what a list finds out itself. */
void nf__state_fail(nf__state *state, ad_status status, const char *message);

/* ---- For files ------------------------------------------------------------------------------------------------- */

/* Of the tensors whose names begin so: they must outlive the state. `settings` is copied. */
ad_status nf__state_from_file(nf__state *state, const nf__safetensors *file, const char *prefix, const char *settings,
                              ad_error *error);

#endif
