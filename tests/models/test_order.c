/* The order of rows that are read in blocks, and the blocks that are in memory. */
#include "models/training_tools.h"

#include "training/order.h"
#include "training/windows.h"

#include <stdatomic.h>

/* As a fit has them: equal ones, or full ones and the rest. */
static nf__batches batches(size_t rows, size_t size, bool equal)
{
    const size_t steps = (rows - 1) / size + 1;
    if (!equal) return (nf__batches){size, rows / size, rows % size, rows % size > 0};
    return (nf__batches){rows / steps + 1, rows % steps, rows / steps, steps - rows % steps};
}

static const struct {
    size_t rows, numbers, batch;
    double fraction;
    int bits; /* -1: as it comes */
} cases[] = {
    {1, 1, 1, 0, -1},         {2, 1, 1, 0.5, -1},       {50, 3, 7, 0.1, -1},      {1000, 2, 128, 0.1, -1},
    {1000, 2, 1000, 0, -1},   {12345, 5, 100, 0.3, -1}, {30000, 2, 256, 0.1, 3},  {20003, 2, 250, 0, 2},
    {40000, 40, 16384, 0, 0}, {20011, 2, 20000, 0, 0},  {15001, 1, 3, 0.9, 4},
};

static nf__order order_of(int i, bool equal)
{
    nf__order order = nf__order_of(cases[i].rows, cases[i].numbers, cases[i].fraction, 7);
    if (cases[i].bits >= 0) {
        order.bits = (unsigned)cases[i].bits;
        order.blocks = order.rows >> order.bits;
        order.val_blocks = (size_t)(cases[i].fraction * (double)order.blocks);
        order.n_val = order.val_blocks << order.bits;
        order.n_train = order.rows - order.n_val;
    }
    const size_t batch = cases[i].batch < order.n_train ? cases[i].batch : order.n_train;
    order.batches = batches(order.n_train, batch, equal);
    return order;
}

/* Each row, of which `seen` are counted, once. */
static void assert_once(const unsigned char *seen, size_t rows)
{
    for (size_t r = 0; r < rows; r++) ck_assert_msg(seen[r] == 1, "row %zu of %zu: %d times", r, rows, seen[r]);
}

START_TEST(every_row_trains_or_validates)
{
    const nf__order order = order_of(_i, false);
    unsigned char *seen = ad_alloc(order.rows, 1);
    ck_assert_uint_ge(order.n_train, 1);
    if (cases[_i].fraction > 0 && order.blocks > 1) ck_assert_uint_ge(order.n_val, 1);
    for (int validation = 0; validation < 2; validation++) {
        const size_t all = validation ? order.n_val : order.n_train;
        for (size_t place = 0, n, row; place < all; place += n) {
            n = nf__order_run(&order, validation, place, all - place, &row);
            ck_assert_uint_ge(n, 1);
            ck_assert_uint_le(row + n, order.rows);
            for (size_t i = 0; i < n; i++) seen[row + i]++;
        }
    }
    assert_once(seen, order.rows);
    ad_free(seen);
}
END_TEST

/* The row at a place of an epoch. */
static size_t row_at(const nf__order *order, size_t place)
{
    size_t rows;
    const nf__stretch stretch = nf__order_stretch(order, place, place + 1);
    const size_t line = nf__order_in_line(&stretch, 0), block = line >> order->bits;
    const size_t within = line & (((size_t)1 << order->bits) - 1), first = nf__order_block(order, block, &rows);
    ck_assert_uint_lt(within, rows);
    ck_assert_uint_ge(block, stretch.first_block);
    ck_assert_uint_lt(block, stretch.first_block + stretch.blocks);
    ck_assert_uint_le(stretch.blocks, NF__WINDOW_BLOCKS + 1);
    return first + within;
}

START_TEST(an_epoch_has_each_training_row_once)
{
    nf__order order = order_of(_i / 2, _i % 2);
    size_t same = 0, *before = ad_alloc(order.n_train, sizeof *before);
    unsigned char *seen = ad_alloc(order.rows, 1);
    for (order.epoch = 0; order.epoch < 2; order.epoch++) {
        memset(seen, 0, order.rows);
        for (size_t place = 0, n, row; place < order.n_val; place += n) {
            n = nf__order_run(&order, true, place, order.n_val - place, &row);
            for (size_t i = 0; i < n; i++) seen[row + i]++;
        }
        for (size_t place = 0; place < order.n_train; place++) {
            const size_t row = row_at(&order, place);
            seen[row]++;
            same += order.epoch == 1 && row == before[place];
            before[place] = row;
        }
        assert_once(seen, order.rows);
    }
    if (order.n_train > 100) ck_assert_uint_lt(same, order.n_train / 20 + 10); /* epochs have orders of their own */
    ad_free(seen);
    ad_free(before);
}
END_TEST

/* A batch has its rows from all over the data, and a part of it from few blocks. */
START_TEST(a_batch_is_from_everywhere)
{
    enum { SIZE = 4096, PARTS = 10 };
    const int bits = sizeof(size_t) > 4 ? 40 : 31;
    nf__order order = nf__order_of((size_t)1 << bits, 43, 0.1, 3);
    order.batches = batches(order.n_train, SIZE, false);
    ck_assert_uint_gt(order.blocks, (size_t)1 << (bits - 10));
    for (size_t s = 0; s < 3; s++) {
        const size_t begin = nf__batch_begin(&order.batches, s * (order.batches.many / 3));
        size_t count[PARTS] = {0};
        for (size_t i = 0; i < SIZE; i++) count[row_at(&order, begin + i) / (order.rows / PARTS + 1)]++;
        for (size_t p = 0; p < PARTS; p++) ck_assert_uint_gt(count[p], SIZE / PARTS / 2);
    }
    for (size_t i = 0; i < SIZE; i++)
        ck_assert_uint_eq(nf__order_stretch(&order, i, SIZE).group, i / (SIZE / NF__GROUPS));
}
END_TEST

/* ---- Windows ------------------------------------------------------------------------------------------------- */

struct made {
    atomic_size_t rows, announced;
    size_t broken; /* a row that can't be read; SIZE_MAX: none */
};

/* Numbers that tell their row and epoch. */
static ad_status make_rows(void *data, size_t epoch, size_t first, size_t rows, double *x, double *context,
                           ad_error *why)
{
    struct made *made = data;
    if (made->broken >= first && made->broken < first + rows)
        return ad_error_set(why, AD_ERROR_IO, "row %zu is broken", made->broken);
    atomic_fetch_add(&made->rows, rows);
    for (size_t r = 0; r < rows; r++) {
        x[2 * r] = (double)(first + r);
        x[2 * r + 1] = (double)epoch;
        context[r] = -(double)(first + r);
    }
    return AD_OK;
}

static void announce_rows(void *data, size_t first, size_t rows)
{
    (void)first;
    atomic_fetch_add(&((struct made *)data)->announced, rows);
}

struct batch {
    nf__windows *windows;
    const nf__order *order;
    size_t begin, rows;
};

enum { TILE = 100 };

static void read_tile_of(void *context, size_t tile, int worker)
{
    const struct batch *batch = context;
    const size_t first = tile * TILE, rows = batch->rows - first < TILE ? batch->rows - first : TILE;
    double x[2][TILE], given[TILE];
    ad_error why;
    (void)worker;
    ck_assert_int_eq(nf__windows_read(batch->windows, batch->order, false, batch->begin + first, rows, x, TILE, &why),
                     0);
    ck_assert_int_eq(
        nf__windows_read(batch->windows, batch->order, true, batch->begin + first, rows, given, TILE, &why), 0);
    for (size_t r = 0; r < rows; r++) {
        const double row = (double)row_at(batch->order, batch->begin + first + r);
        ck_assert_double_eq(x[0][r], row);
        ck_assert_double_eq(x[1][r], (double)(batch->order->epoch + 1));
        ck_assert_double_eq(given[r], -row);
    }
}

START_TEST(windows_have_the_rows_of_their_epoch)
{
    nf__order order = order_of(_i / 2, _i % 2);
    struct made made = {.broken = SIZE_MAX};
    const nf_rows from = {order.rows, &made, make_rows, announce_rows, NULL};
    nf__windows *windows = nf__windows_new(&from, 2, 1, AD_F64, &order);
    ad_pool *pool = ad_pool_new(3, &error);
    ck_assert(windows && pool);
    for (order.epoch = 0; order.epoch < 2; order.epoch++)
        for (size_t s = 0; s < order.batches.many + order.batches.others; s++) {
            struct batch batch = {windows, &order, nf__batch_begin(&order.batches, s),
                                  nf__batch_rows(&order.batches, s)};
            nf__windows_prepare(windows, &order, s);
            ad_pool_run(pool, (batch.rows + TILE - 1) / TILE, read_tile_of, &batch);
        }
    /* Each block is read once, but for those in two groups. */
    ck_assert_uint_ge(made.rows, 2 * order.n_train);
    ck_assert_uint_le(
        made.rows, 2 * (order.n_train +
                        ((2 * NF__GROUPS * order.n_train / ((size_t)NF__WINDOW_BLOCKS << order.bits) + 2 * NF__GROUPS)
                         << order.bits)));
    ck_assert_uint_le(made.announced, made.rows);
    ad_pool_free(pool);
    nf__windows_free(windows);
}
END_TEST

START_TEST(windows_tell_what_cannot_be_read)
{
    nf__order order = order_of(6, false);
    struct made made = {.broken = 4321};
    const nf_rows from = {order.rows, &made, make_rows, NULL, NULL};
    nf__windows *windows = nf__windows_new(&from, 2, 1, AD_F64, &order);
    size_t failed = 0;
    double x[2][256];
    for (size_t s = 0; s < order.batches.many; s++) {
        nf__windows_prepare(windows, &order, s);
        if (!nf__windows_read(windows, &order, false, nf__batch_begin(&order.batches, s), 256, x, 256, &error))
            continue;
        failed++;
        ck_assert_int_eq(error.status, AD_ERROR_IO);
        ck_assert_str_eq(error.message, "row 4321 is broken");
    }
    bool validates = false;
    for (size_t place = 0, row; place < order.n_val; place++) {
        nf__order_run(&order, true, place, 1, &row);
        validates |= row == 4321;
    }
    ck_assert(validates || failed > 0);
    nf__windows_free(windows);
}
END_TEST

Suite *order_suite(void)
{
    Suite *suite = suite_create("order");
    TCase *order = tcase_create("order");
    tcase_add_loop_test(order, every_row_trains_or_validates, 0, COUNT(cases));
    tcase_add_loop_test(order, an_epoch_has_each_training_row_once, 0, 2 * COUNT(cases));
    tcase_add_test(order, a_batch_is_from_everywhere);
    tcase_add_loop_test(order, windows_have_the_rows_of_their_epoch, 0, 2 * COUNT(cases));
    tcase_add_test(order, windows_tell_what_cannot_be_read);
    suite_add_tcase(suite, order);
    return suite;
}
