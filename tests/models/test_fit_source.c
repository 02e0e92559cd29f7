/* Fits to rows that are read when they are needed. */
#include "models/rank_tools.h"
#include "models/training_tools.h"

#include "training/order.h"

#include <weir/features.h>

#include <math.h>
#include <stdatomic.h>
#include <unistd.h>

enum { MANY = 3000, DIM = 2 };

static double points[MANY * DIM], conditions[MANY];

static void make_points(void)
{
    nf_moons(MANY, 0.1, 3, points, NULL);
    for (size_t r = 0; r < MANY; r++) conditions[r] = points[r * DIM] * 0.5 + ad_random_normal(1, 1, r);
    for (size_t i = 0; i < MANY * DIM; i++) points[i] = (float)points[i];
}

struct table {
    bool conditional;
    atomic_size_t checks, changed; /* changed: number of the check that fails; 0: none */
    size_t lost;                   /* this row can't be read; SIZE_MAX: none */
};

static ad_status read_points(void *data, size_t epoch, size_t first, size_t rows, double *x, double *context,
                             ad_error *why)
{
    const struct table *table = data;
    (void)epoch;
    ck_assert(!context == !table->conditional);
    if (table->lost >= first && table->lost < first + rows)
        return ad_error_set(why, AD_ERROR_IO, "row %zu is lost", table->lost);
    memcpy(x, points + first * DIM, rows * DIM * sizeof *x);
    if (context) memcpy(context, conditions + first, rows * sizeof *context);
    return AD_OK;
}

static ad_status check_points(void *data, ad_error *why)
{
    struct table *table = data;
    const size_t check = atomic_fetch_add(&table->checks, 1) + 1;
    return check == table->changed ? ad_error_set(why, AD_ERROR_IO, "changed") : AD_OK;
}

static nf_flow *flow_of(const char *formula, bool conditional, ad_dtype dtype)
{
    nf_flow *flow = nf_flow_parse(formula, DIM, conditional, dtype, 1, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    return flow;
}

/* The same weights, history and scores, from arrays that are shuffled by blocks, by 1 thread and 3, and from a source.
 */
START_TEST(source_is_as_arrays)
{
    static const struct {
        const char *formula;
        nf_fit_options options;
        bool conditional;
        ad_dtype dtype;
    } cases[] = {
        {"maf(8)-flip-maf(8)-standardize", {.epochs = 3}, false, AD_F32},
        {"maf(8)-flip-maf(8)-standardize", {.epochs = 2, .batch = 1000, .ema = 0.9}, true, AD_F32},
        {"maf(8)-batchnorm-standardize", {.epochs = 2, .batch = 333, .val_fraction = -1}, false, AD_F64},
        {"rqs(8)-actnorm", {.epochs = 4, .batch = SIZE_MAX, .starts = 2, .patience = 3}, true, AD_F64},
        {"gaussian_mixture(components=2):standardize", {.epochs = 1, .val_fraction = 0.5}, false, AD_F64},
    };
    nf_flow *flow[3];
    nf_fit_report report[3];
    make_points();
    for (int k = 0; k < 3; k++) {
        struct table table = {.conditional = cases[_i].conditional, .lost = SIZE_MAX};
        const nf_rows source = {.rows = MANY, .data = &table, .read = read_points, .check = check_points};
        nf_fit_options o = cases[_i].options;
        ad_pool *pool = o.pool = ad_pool_new(k == 1 ? 1 : 3, &error);
        o.seed = 5;
        if (k == 2)
            o.source = &source;
        else
            o.shuffle = NF_SHUFFLE_BLOCKS;
        if (k < 2 && cases[_i].conditional) o.row_context = conditions;
        flow[k] = flow_of(cases[_i].formula, cases[_i].conditional, cases[_i].dtype);
        ck_assert_msg(!nf_fit(flow[k], k == 2 ? NULL : points, k == 2 ? 0 : MANY, &o, &report[k], &error), "%s",
                      error.message);
        if (k == 2) ck_assert_uint_ge(table.checks, report[k].last.epoch);
        ck_assert_uint_eq(report[k].train_rows + report[k].val_rows, MANY);
        ad_pool_free(pool);
        if (k == 0) continue;
        ck_assert_mem_eq(nf_flow_parameters(flow[0]), nf_flow_parameters(flow[k]), parameter_bytes(flow[0]));
        ck_assert_uint_eq(report[0].last.epoch, report[k].last.epoch);
        for (size_t e = 0; e < report[0].last.epoch; e++) {
            ck_assert(report[0].history[e].train_nll == report[k].history[e].train_nll);
            ck_assert(report[0].val_rows == 0 || report[0].history[e].val_nll == report[k].history[e].val_nll);
        }
        ck_assert_uint_eq(report[0].train.worst_row, report[k].train.worst_row);
        ck_assert(report[0].train.median == report[k].train.median);
    }
    for (int k = 0; k < 3; k++) {
        ad_free(report[k].history);
        nf_flow_free(flow[k]);
    }
}
END_TEST

/* As good as one that shuffles rows. */
START_TEST(blocks_are_as_good_as_rows)
{
    double nll[2];
    make_points();
    for (int blocks = 0; blocks < 2; blocks++) {
        nf_flow *flow = flow_of("(rqs(16)-flip)*2-standardize", false, AD_F32);
        const nf_fit_options o = {.epochs = 20, .optimizer.learning_rate = 0.01, .shuffle = (nf_shuffle)blocks};
        ASSERT_OK(nf_fit(flow, points, MANY, &o, NULL, &error));
        ASSERT_OK(nf_nll(flow, points, NULL, MANY, &nll[blocks], NULL, NULL, &error));
        nf_flow_free(flow);
    }
    ck_assert_double_eq_tol(nll[0], nll[1], 0.1);
}
END_TEST

START_TEST(validation_rows_of_their_own)
{
    double nll;
    make_points();
    struct table table = {.lost = SIZE_MAX};
    const nf_rows source = {.rows = MANY, .data = &table, .read = read_points};
    const nf_fit_options o = {.epochs = 2, .source = &source, .val_x = points, .val_rows = 100};
    nf_flow *flow = flow_of("maf(8)-standardize", false, AD_F64);
    nf_fit_report report;
    ASSERT_OK(nf_fit(flow, NULL, 0, &o, &report, &error));
    ck_assert_uint_eq(report.train_rows, MANY);
    ck_assert_uint_eq(report.val_rows, 100);
    ASSERT_OK(nf_nll(flow, points, NULL, 100, &nll, NULL, NULL, &error));
    ck_assert_double_eq_tol(nll, report.best_nll, 1e-12);
    ad_free(report.history);
    nf_flow_free(flow);
}
END_TEST

/* ---- Ranks --------------------------------------------------------------------------------------------------- */

enum { RANK_ROWS = 1 << 16, RANK_BATCH = 8192 };

static atomic_size_t read_on[MOST_RANKS];

static ad_status make_rows(void *data, size_t epoch, size_t first, size_t rows, double *x, double *context,
                           ad_error *why)
{
    (void)context, (void)why;
    if (epoch > 0) atomic_fetch_add((atomic_size_t *)data, rows);
    for (size_t i = 0; i < rows * DIM; i++) x[i] = ad_random_normal(1, 0, first * DIM + i);
    return AD_OK;
}

static ad_status fit_on_rank(const void *what, ad_pool *pool, int rank, int ranks, outcome *o)
{
    (void)ranks;
    atomic_store(&read_on[rank], 0);
    const nf_rows source = {.rows = RANK_ROWS, .data = &read_on[rank], .read = make_rows};
    const nf_fit_options options = {.epochs = 1, .batch = RANK_BATCH, .source = &source, .pool = pool};
    nf_flow *flow = nf_flow_parse(what, DIM, 0, AD_F32, 1, &o->error);
    const ad_status status = flow ? nf_fit(flow, NULL, 0, &options, NULL, &o->error) : o->error.status;
    if (flow) note_flow(o, flow);
    nf_flow_free(flow);
    return status;
}

/* Each reads about its share. */
START_TEST(ranks_read_their_own_rows)
{
    assert_ranks_succeed(fit_on_rank, "maf(8)-standardize", false);
    size_t all = 0;
    for (int rank = 0; rank < MOST_RANKS; rank++) {
        ck_assert_uint_gt(read_on[rank], 0);
        ck_assert_uint_lt(read_on[rank], RANK_ROWS / 2);
        all += read_on[rank];
    }
    ck_assert_uint_ge(all, RANK_ROWS * 9 / 10);
}
END_TEST

/* The moments are those of all training rows, where what has a fit sees a sample. */
START_TEST(moments_are_of_all_rows)
{
    enum { LARGE = 100000 };
    static atomic_size_t unwanted;
    const nf_rows source = {.rows = LARGE, .data = &unwanted, .read = make_rows};
    const nf_fit_options o = {.epochs = 1, .batch = 50000, .val_fraction = -1, .source = &source};
    nf_flow *flow = flow_of("affine-standardize", false, AD_F64);
    ASSERT_OK(nf_fit(flow, NULL, 0, &o, NULL, &error));
    double *all = ad_alloc(LARGE, DIM * sizeof *all);
    ASSERT_OK(make_rows(&unwanted, 0, 0, LARGE, all, NULL, &error));
    const nf_bijector *chain = nf_flow_bijector(flow), *last = chain->child[chain->n_child - 1];
    for (size_t c = 0; c < DIM; c++) {
        double mean, sd;
        ck_assert(nf_column_moments(all, LARGE, DIM, c, &mean, &sd));
        ck_assert_double_eq_tol(nf_parameter_value(last, "mean")[c], mean, 1e-13);
        ck_assert_double_eq_tol(nf_parameter_value(last, "scale")[c], 2 * sd, 1e-13);
    }
    ad_free(all);
    nf_flow_free(flow);
}
END_TEST

START_TEST(what_goes_wrong_is_told)
{
    static const struct {
        struct table table;
        double value; /* of row 5 */
        ad_dtype dtype;
        const char *message;
    } cases[] = {
        {{.lost = 1234}, 0, AD_F32, "row 1234 is lost"},
        {{.lost = SIZE_MAX, .changed = 2}, 0, AD_F32, "changed"},
        {{.lost = SIZE_MAX}, NAN, AD_F64, "row 6, column 1 is not finite"},
        {{.lost = SIZE_MAX}, -INFINITY, AD_F32, "row 6, column 1 is not finite"},
        {{.lost = SIZE_MAX}, 1e39, AD_F32, "row 6, column 1 is too large for float32"},
    };
    make_points();
    if (cases[_i].value != 0) points[5 * DIM] = cases[_i].value;
    struct table table = cases[_i].table;
    const nf_rows source = {.rows = MANY, .data = &table, .read = read_points, .check = check_points};
    nf_flow *flow = flow_of("maf(8)-standardize", false, cases[_i].dtype);
    const nf_fit_options o = {.epochs = 3, .source = &source};
    nf_fit_report report;
    ck_assert_int_ne(nf_fit(flow, NULL, 0, &o, &report, &error), AD_OK);
    ck_assert_msg(strstr(error.message, cases[_i].message) != NULL, "%s", error.message);
    ad_free(report.history);
    nf_flow_free(flow);
}
END_TEST

/* Values of which one is far off. */
static ad_status read_normals(void *data, size_t epoch, size_t first, size_t rows, double *x, double *context,
                              ad_error *why)
{
    const size_t far = *(const size_t *)data;
    (void)epoch;
    (void)context;
    (void)why;
    for (size_t r = 0; r < rows; r++) x[r] = first + r == far ? 1e5 : (double)((first + r) * 37 % 101) / 50 - 1;
    return AD_OK;
}

/* It is behind those that are looked at before the first step, and the fit goes on; but not to anywhere. */
START_TEST(far_rows_are_no_divergence)
{
    enum { LOOKED_AT = 1 << 20, ALL = LOOKED_AT + (1 << 16), SEED = 7 };
    const bool validated = _i & 1, astray = _i & 2;
    const nf__order order = nf__order_of(ALL, 1, validated ? 0.01 : 0, SEED);
    size_t far;
    nf__order_run(&order, false, order.n_train - 1, 1, &far);
    const nf_rows source = {.rows = ALL, .data = &far, .read = read_normals};
    const nf_fit_options options = {.source = &source,
                                    .epochs = 1,
                                    .batch = 1 << 15,
                                    .seed = SEED,
                                    .val_fraction = validated ? 0.01 : -1,
                                    .optimizer.clip = astray ? -1 : 1,
                                    .optimizer.learning_rate = astray ? 1e6 : 1e-3};
    nf_flow *flow = nf_flow_parse("scale-loc", 1, 0, AD_F64, 1, &error);
    ck_assert_uint_gt(order.n_train, LOOKED_AT);
    const ad_status status = nf_fit(flow, NULL, 0, &options, NULL, &error);
    if (astray)
        ck_assert_int_eq(status, AD_ERROR_NUMERIC);
    else
        ck_assert_msg(status == AD_OK, "%s", error.message);
    nf_flow_free(flow);
}
END_TEST

struct counted {
    size_t far;               /* as read_normals() has it */
    atomic_size_t rows, then; /* that were read in all, and when the fit was interrupted */
};

static ad_status read_counted(void *data, size_t epoch, size_t first, size_t rows, double *x, double *context,
                              ad_error *why)
{
    atomic_fetch_add(&((struct counted *)data)->rows, rows);
    return read_normals(data, epoch, first, rows, x, context, why);
}

static bool interrupt(void *context)
{
    struct counted *counted = context;
    atomic_store(&counted->then, counted->rows);
    return true;
}

/* Not even for the scores of many rows. */
START_TEST(an_interrupt_does_not_wait)
{
    enum { ALL = 1 << 18 };
    struct counted counted = {.far = SIZE_MAX};
    const nf_rows source = {.rows = ALL, .data = &counted, .read = read_counted};
    const nf_fit_options options = {
        .source = &source, .interrupted = interrupt, .context = &counted, .batch = 1024, .val_fraction = 0.5};
    nf_fit_report report;
    nf_flow *flow = nf_flow_parse("scale-loc", 1, 0, AD_F64, 1, &error);
    ck_assert_msg(nf_fit(flow, NULL, 0, &options, &report, &error) == AD_OK, "%s", error.message);
    ck_assert_int_eq(report.outcome, NF_STOPPED_BY_CALLER);
    ck_assert(isfinite(report.train.worst) && isfinite(report.val.worst));
    ck_assert_uint_lt(counted.rows - counted.then, ALL / 4);
    ad_free(report.history);
    nf_flow_free(flow);
}
END_TEST

START_TEST(options_that_contradict)
{
    struct table table = {.lost = SIZE_MAX};
    const nf_rows source = {.rows = MANY, .data = &table, .read = read_points}, empty = {.read = read_points},
                  blind = {.rows = 1};
    const struct {
        const double *x;
        size_t rows;
        nf_fit_options options;
        const char *message;
    } cases[] = {
        {points, MANY, {.source = &source}, "either x or a source"},
        {NULL, 0, {.source = &empty}, "0 rows"},
        {NULL, 0, {.source = &blind}, "none that reads"},
        {NULL, 0, {.source = &source, .row_weights = conditions}, "no row_weights"},
        {points, MANY, {.shuffle = NF_SHUFFLE_BLOCKS, .row_weights = conditions}, "no row_weights"},
        {NULL, 0, {.shuffle = NF_SHUFFLE_BLOCKS}, "got 0"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        nf_flow *flow = flow_of("maf(8)-standardize", false, AD_F32);
        ck_assert_int_eq(nf_fit(flow, cases[i].x, cases[i].rows, &cases[i].options, NULL, &error), AD_ERROR_ARGUMENT);
        ck_assert_msg(strstr(error.message, cases[i].message) != NULL, "%s", error.message);
        nf_flow_free(flow);
    }
}
END_TEST

Suite *fit_source_suite(void)
{
    Suite *suite = suite_create("fit_source");
    TCase *source = tcase_create("fit_source");
    tcase_add_loop_test(source, source_is_as_arrays, 0, 5);
    tcase_add_test(source, blocks_are_as_good_as_rows);
    tcase_add_test(source, validation_rows_of_their_own);
    tcase_add_test(source, ranks_read_their_own_rows);
    tcase_add_test(source, moments_are_of_all_rows);
    tcase_add_loop_test(source, what_goes_wrong_is_told, 0, 5);
    tcase_add_loop_test(source, far_rows_are_no_divergence, 0, 4);
    tcase_add_test(source, an_interrupt_does_not_wait);
    tcase_add_test(source, options_that_contradict);
    suite_add_tcase(suite, source);
    return suite;
}
