/* The blocks of an epoch that are in memory. */
#include "training/windows.h"
#include "training/fit.h"

#include <weir/memory.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { EMPTY, LOADING, READY };

/* Of a group; those of the windows after the next take their place. */
typedef struct {
    size_t window;
    uint64_t epoch;
    bool used;
    atomic_uchar *state; /* of each block */
    char *data[2];       /* x and context: (blocks, rows of a block, numbers) */
} set;

struct nf__windows {
    const nf_rows *from;
    ad_dtype dtype;
    size_t numbers[2]; /* dim, context size */
    size_t block_rows, sets;
    set *set; /* of each group, one behind the other */
    atomic_uchar *states;
    char *data[2];
    pthread_mutex_t lock;
    pthread_cond_t loaded;
};

enum { SET_BLOCKS = NF__WINDOW_BLOCKS + 1 }; /* a window may begin within a block */

nf__windows *nf__windows_new(const nf_rows *from, size_t dim, size_t context, ad_dtype dtype, const nf__order *order)
{
    nf__windows *w = ad_alloc(1, sizeof *w);
    if (!w) return NULL;
    const size_t sets = nf__order_sets(order), blocks = NF__GROUPS * sets * SET_BLOCKS;
    *w = (nf__windows){.from = from,
                       .dtype = dtype,
                       .numbers = {dim, context},
                       .block_rows = (size_t)1 << order->bits,
                       .sets = sets,
                       .set = ad_alloc(NF__GROUPS * sets, sizeof *w->set),
                       .states = ad_alloc(blocks, sizeof *w->states)};
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->loaded, NULL);
    bool complete = w->set && w->states;
    for (int i = 0; i < 2; i++) {
        const size_t bytes = w->block_rows * w->numbers[i] * ad_dtype_size(dtype);
        w->data[i] = ad_alloc(blocks, bytes);
        complete &= w->data[i] != NULL;
        for (size_t k = 0; complete && k < NF__GROUPS * sets; k++)
            w->set[k].data[i] = w->data[i] + k * SET_BLOCKS * bytes;
    }
    for (size_t k = 0; complete && k < NF__GROUPS * sets; k++) w->set[k].state = w->states + k * SET_BLOCKS;
    if (complete) return w;
    nf__windows_free(w);
    return NULL;
}

void nf__windows_free(nf__windows *w)
{
    if (!w) return;
    pthread_cond_destroy(&w->loaded);
    pthread_mutex_destroy(&w->lock);
    for (int i = 0; i < 2; i++) ad_free(w->data[i]);
    ad_free(w->states);
    ad_free(w->set);
    ad_free(w);
}

static set *set_of(const nf__windows *w, size_t group, size_t window)
{
    return &w->set[group * w->sets + window % w->sets];
}

void nf__windows_prepare(nf__windows *w, const nf__order *order, size_t batch)
{
    for (size_t group = 0, first, last; group < NF__GROUPS; group++) {
        if (!nf__order_windows(order, batch, group, &first, &last)) continue;
        for (size_t window = first; window <= last; window++) {
            set *s = set_of(w, group, window);
            if (s->used && s->window == window && s->epoch == order->epoch) continue;
            s->used = true;
            s->window = window;
            s->epoch = order->epoch;
            for (size_t b = 0; b < SET_BLOCKS; b++) atomic_store(&s->state[b], EMPTY);
        }
    }
}

/* ---- Loading ------------------------------------------------------------------------------------------------- */

/* The block in the same place of the group's next window. */
static void announce_next(const nf__windows *w, const nf__order *order, size_t block)
{
    const size_t next = block + NF__WINDOW_BLOCKS;
    size_t rows;
    if (!w->from->will_read || next >= ((order->n_train - 1) >> order->bits) + 1) return;
    const size_t first = nf__order_block(order, next, &rows);
    w->from->will_read(w->from->data, first, rows);
}

static ad_status load(const nf__windows *w, const nf__order *order, const set *s, const nf__stretch *stretch,
                      size_t slot, ad_error *error)
{
    static const char *const what[] = {"column", "number of the context"};
    size_t rows;
    const size_t first = nf__order_block(order, stretch->first_block + slot, &rows);
    double *x = ad_alloc(w->block_rows, (w->numbers[0] + w->numbers[1]) * sizeof *x);
    if (!x) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory to read %zu rows", rows);
    double *const part[] = {x, x + w->block_rows * w->numbers[0]};
    ad_status status = w->from->read(w->from->data, (size_t)order->epoch + 1, first, rows, part[0],
                                     w->numbers[1] ? part[1] : NULL, error);
    for (int i = 0; i < 2 && !status; i++) {
        const size_t bytes = w->block_rows * w->numbers[i] * ad_dtype_size(w->dtype);
        status = nf__check_values(what[i], "", part[i], first, rows, w->numbers[i], w->dtype, error);
        if (!status) ad_from_double(w->dtype, part[i], s->data[i] + slot * bytes, rows * w->numbers[i]);
    }
    ad_free(x);
    if (!status) announce_next(w, order, stretch->first_block + slot);
    return status;
}

/* Others wait for the thread that loads it; where it fails, the next one tries, and tells why too. */
static ad_status need(nf__windows *w, const nf__order *order, const set *s, const nf__stretch *stretch, size_t slot,
                      ad_error *error)
{
    atomic_uchar *state = &s->state[slot];
    if (atomic_load_explicit(state, memory_order_acquire) == READY) return AD_OK;
    pthread_mutex_lock(&w->lock);
    while (atomic_load(state) == LOADING) pthread_cond_wait(&w->loaded, &w->lock);
    ad_status status = AD_OK;
    if (atomic_load(state) == EMPTY) {
        atomic_store(state, LOADING);
        pthread_mutex_unlock(&w->lock);
        status = load(w, order, s, stretch, slot, error);
        pthread_mutex_lock(&w->lock);
        atomic_store_explicit(state, status ? EMPTY : READY, memory_order_release);
        pthread_cond_broadcast(&w->loaded);
    }
    pthread_mutex_unlock(&w->lock);
    return status;
}

/* ---- Reading ------------------------------------------------------------------------------------------------- */

#define DEFINE_GATHER(real, suffix)                                                                                    \
    static inline void gather_##suffix(real *to, const real *row, size_t numbers, size_t stride)                       \
    {                                                                                                                  \
        for (size_t i = 0; i < numbers; i++) to[i * stride] = row[i];                                                  \
    }
DEFINE_GATHER(float, f32)
DEFINE_GATHER(double, f64)

static ad_status read_stretch(nf__windows *w, const nf__order *order, const nf__stretch *stretch, bool context,
                              char *to, size_t stride, ad_error *error)
{
    const set *s = set_of(w, stretch->group, stretch->window);
    const size_t numbers = w->numbers[context], origin = stretch->first_block << order->bits;
    const size_t bytes = ad_dtype_size(w->dtype);
    for (size_t i = 0; i < stretch->rows; i++) {
        const size_t row = nf__order_in_line(stretch, i) - origin;
        const ad_status status = need(w, order, s, stretch, row >> order->bits, error);
        if (status) return status;
        const char *from = s->data[context] + row * numbers * bytes;
        if (w->dtype == AD_F32)
            gather_f32((float *)(void *)(to + i * bytes), (const float *)(const void *)from, numbers, stride);
        else
            gather_f64((double *)(void *)(to + i * bytes), (const double *)(const void *)from, numbers, stride);
    }
    return AD_OK;
}

ad_status nf__windows_read(nf__windows *w, const nf__order *order, bool context, size_t place, size_t rows, void *to,
                           size_t stride, ad_error *error)
{
    ad_status status = AD_OK;
    for (size_t done = 0; done < rows && !status;) {
        const nf__stretch stretch = nf__order_stretch(order, place + done, place + rows);
        status = read_stretch(w, order, &stretch, context, (char *)to + done * ad_dtype_size(w->dtype), stride, error);
        done += stretch.rows;
    }
    return status;
}
