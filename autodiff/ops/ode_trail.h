/* The steps that a solution leaves for its gradient (ad__ode_trail).
 *
 * A plan evaluates the two one after the other on a tile, in one thread, as a rule. So each thread keeps the steps of
 * what it solved last, with what that was: a gradient that finds its own problem there, to the bit, goes back through
 * these steps, and any other one solves by itself, to the same bits. That takes D + 2 numbers for each step of each row
 * of a tile and thread, and a copy of what the equation captures, for as long as there is the program. */
#ifndef WEIR_AUTODIFF_OPS_ODE_TRAIL_H
#define WEIR_AUTODIFF_OPS_ODE_TRAIL_H

#include "ops/kernels.h"
#include "tape/ode_program.h"

#include <weir/memory.h>

static inline ad__ode_trail *trail_new(ad__ode_program *program, const void *thread)
{
    ad__ode_trail *trail = ad_alloc(1, sizeof *trail);
    if (!trail) return NULL;
    *trail = (ad__ode_trail){.thread = thread, .next = atomic_load(&program->trail)};
    while (!atomic_compare_exchange_weak(&program->trail, &trail->next, trail)) continue;
    return trail;
}

/* With room for tiles of so many rows. */
static inline bool make_room(ad__ode_trail *trail, size_t rows)
{
    if (trail->rows >= rows) return true;
    for (size_t i = 0; i < trail->n_begun; i++) ad_free(trail->begun[i]);
    ad_free(trail->taken);
    ad_free(trail->failed);
    trail->n_begun = trail->solved = trail->rows = 0;
    trail->taken = ad_alloc(rows, sizeof *trail->taken);
    trail->failed = ad_alloc(rows, sizeof *trail->failed);
    if (!trail->taken || !trail->failed) return false;
    trail->rows = rows;
    return true;
}

/* This thread's; NULL where memory is out. */
static inline ad__ode_trail *trail_of(ad__ode_program *program, size_t rows)
{
    static _Thread_local char this_thread; /* of this dtype */
    ad__ode_trail *trail = atomic_load(&program->trail);
    while (trail && trail->thread != &this_thread) trail = trail->next;
    if (!trail) trail = trail_new(program, &this_thread);
    return trail && make_room(trail, rows) ? trail : NULL;
}

/* Room for step i of each row; NULL where memory is out. */
static inline real *begun_at(ad__ode_trail *trail, size_t i, size_t dim)
{
    if (i < trail->n_begun) return trail->begun[i];
    if (i % 64 == 0) {
        void **more = ad_realloc(trail->begun, i + 64, sizeof *more);
        if (!more) return NULL;
        trail->begun = more;
    }
    real *room = ad_alloc(trail->rows * (dim + 2), sizeof *room);
    if (room) trail->begun[trail->n_begun++] = room;
    return room;
}

static inline size_t bytes_of(const ad_tensor *in, size_t tile_rows)
{
    return in->size * (in->per_row ? tile_rows : 1) * sizeof(real);
}

static inline size_t bytes_of_all(const ad_tensor *in, int n_in, size_t tile_rows)
{
    size_t bytes = 0;
    for (int i = 0; i < n_in; i++) bytes += bytes_of(&in[i], tile_rows);
    return bytes;
}

/* Is it that of these arguments of `ode`, on a tile of so many rows, of which some are valid? */
static inline bool is_solved(const ad__ode_trail *trail, const ad_tensor *in, int n_in, size_t tile_rows, size_t valid)
{
    const char *problem = trail->problem;
    if (trail->solved != valid || trail->problem_bytes != bytes_of_all(in, n_in, tile_rows)) return false;
    for (int i = 0; i < n_in; problem += bytes_of(&in[i++], tile_rows))
        if (memcmp(problem, in[i].data, bytes_of(&in[i], tile_rows)) != 0) return false;
    return true;
}

static inline void note_solved(ad__ode_trail *trail, const ad_tensor *in, int n_in, size_t tile_rows, size_t valid)
{
    const size_t bytes = bytes_of_all(in, n_in, tile_rows);
    if (!trail->problem || bytes != trail->problem_bytes) {
        ad_free(trail->problem);
        trail->problem = ad_alloc(bytes, 1);
        trail->problem_bytes = bytes;
    }
    char *problem = trail->problem;
    if (!problem) return;
    for (int i = 0; i < n_in; problem += bytes_of(&in[i++], tile_rows))
        memcpy(problem, in[i].data, bytes_of(&in[i], tile_rows));
    trail->solved = valid;
}

#endif
