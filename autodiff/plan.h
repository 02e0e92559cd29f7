/* Plans: what was recorded on a tape, compiled to run over rows.
 *
 * A plan is one thread's at a time, which runs it on all threads of a pool; a run while it runs already is
 * AD_ERROR_ARGUMENT. Several threads may make and run plans of their own at once, with one pool too, and of one tape
 * while nobody records on it. So it is with every function here. A plan may go on in a child process, after fork(),
 * unless it ran in another thread then. */
#ifndef WEIR_PLAN_H
#define WEIR_PLAN_H

#include <weir/pool.h>
#include <weir/tape.h>

WEIR_BEGIN_DECLARATIONS

typedef struct ad_plan ad_plan;

/* Zero means the default; new members go at the end. */
typedef struct {
    ad_dtype dtype;   /* of every value in the plan and of every bound array */
    size_t tile_rows; /* rows in a tile, a multiple of 16; 0: chosen so that a tile's intermediates fit the L2 cache */
} ad_plan_options;

/* Compile what the outputs need: dead nodes dropped, equal ones merged, split into stages where rows are summed, ops
 * that follow one another fused into loops, buffers laid out. Loops are machine code, for x86-64 with AVX2 or AVX-512;
 * elsewhere, or where the system lets no memory of a program's own be run, ops run one by one, with the same bits. The
 * tape may be freed afterwards; but vars in the calls below are those of this tape. NULL with *error on failure: what
 * was wrong in recording, an op without a function for this dtype, AD_ERROR_MEMORY where there was no tape to record on
 * (so nothing need be asked of ad_tape_new() before), and so on. options may be NULL. */
ad_plan *ad_plan_new(const ad_var *outputs, int count, const ad_plan_options *options, ad_error *error);
void ad_plan_free(ad_plan *plan);
/* Print stages, instructions and which are fused, offsets and sizes of buffers, and the tile; nothing for NULL. */
void ad_plan_print(const ad_plan *plan, FILE *to);
size_t ad_plan_tile_rows(const ad_plan *plan); /* 0 for NULL */

/* Bind an array to an input (dtype data[rows][size], row-major) or a parameter (dtype data[size]). It is not copied and
 * must outlive the runs. Binding what the outputs don't depend on, or no value at all, is no error and does nothing,
 * and so is binding to a NULL plan. A value of another tape is a mistake: it sticks to the plan, and its runs report
 * it. NULL data takes the array away. */
void ad_plan_set_input(ad_plan *plan, ad_var input, const void *data);
/* Rows that come from elsewhere than an array, such as a file: they are read as tiles are run, and never all at once.
 */
typedef struct {
    void *context;
    /* Rows first … first + rows - 1 of the run or, where that has an index, those with the numbers index[0] …
     * index[rows - 1], in the plan's dtype: number i of row r goes to to[i * stride + r]. Called from several threads
     * of the pool at once, for other rows each, and once for each pass that reads the input, in which a row must be
     * the same. What it fails with, with a message in *error, the run fails with. */
    ad_status (*read)(void *context, size_t first, const uint32_t *index, size_t rows, void *to, size_t stride,
                      ad_error *error);
} ad_source;
/* Bind a source to an input of rows, in the place of an array, which the next ad_plan_set_input() is again. It is not
 * copied and must outlive the runs; what it reads must not be written by their outputs. NULL takes it away. A value of
 * another tape, or one that isn't an input of rows, is a mistake that sticks to the plan. */
void ad_plan_set_source(ad_plan *plan, ad_var input, const ad_source *source);
/* Where output number i goes: [rows][size] when per-row, [size] when shared. NULL: not wanted. Data for an output that
 * isn't there is a mistake that sticks to the plan, as above. Runs refuse what overlaps another output or what they
 * read; but a per-row output may take the very place of an input of its size, where no pass after its own reads that
 * and without an index. */
void ad_plan_set_output(ad_plan *plan, int i, void *data);
/* Where the sum of the squares of output number i goes, which must be shared; NULL: not wanted. In float64, in an order
 * that depends on the output's size alone. Of a sum over rows, as most gradients are, it is had for little more than
 * the sum. */
void ad_plan_set_squares(ad_plan *plan, int i, double *squares);

/* Zero means the default; new members go at the end. */
typedef struct {
    size_t rows;           /* at least 1, but where nothing is per-row */
    const uint32_t *index; /* not NULL: row r reads row index[r] of every per-row input (a shuffled mini-batch) */
    uint64_t seed, step;   /* of noise; step < 2^32 */
    uint64_t first_row;    /* number of the first row, for noise */
    ad_pool *pool;         /* NULL: this thread only */
    bool find_nan; /* report the first NaN or infinity that is bound, or made from finite arguments, with name or op,
                    * scope and row; slow */
} ad_run;

/* Run the plan: read what is bound as inputs, write the outputs. run may be NULL where no rows are wanted. With a pool
 * that has a communicator, every rank runs the same plan of the same rows: each reads a part of the rows, and has all
 * outputs at the end (but with find_nan, each runs all of them). On failure
 * outputs are undefined, and *error says why: AD_ERROR_ARGUMENT for what is not bound or wrongly, AD_ERROR_MEMORY,
 * AD_ERROR_NUMERIC from find_nan, AD_ERROR_IO where a communicator fails. Allocates nothing after the first run with
 * this pool size and these rows or fewer, but where matrices are of new sizes: a kernel of LIBXSMM's for them, which is
 * done without where memory is out.
 *
 * Results are the same bits for any number of threads and of ranks, in any floating-point environment; a per-row
 * output's bits depend on its own row alone. Another machine may give other bits: with another instruction set
 * (ad_isa_name()) or other libraries, and sums over rows with another L2 cache, unless tile_rows is set. Where LIBXSMM
 * multiplies matrices (ad_gemm_name()), no variable of the environment but WEIR_ISA changes them; BLIS adds up in an
 * order that it chooses by the CPU, or by BLIS_ARCH_TYPE. And BLIS ends the process when memory is out: it is seen to
 * first that there is some for its buffers, but another thread may take that. */
ad_status ad_plan_run(ad_plan *plan, const ad_run *run, ad_error *error);

WEIR_END_DECLARATIONS

#endif
