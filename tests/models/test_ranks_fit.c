/* Fits on several ranks: the bits of one process, and an end that all come to at the same step. */
#include "models/rank_tools.h"

enum { DATA_ROWS = 700, DIM = 3, CONTEXT = 2 };

/* A fit, and what of it is another rank's to decide. */
typedef struct {
    const char *formula;
    nf_fit_options o;
    bool weights, context, own_validation, redrawn;
    size_t interrupted, refused; /* on the last rank: after so many steps, or epochs; 0: never */
    double tolerance;            /* 0: no callback */
    ad_dtype dtype;
} fit_case;

typedef struct {
    double x[DATA_ROWS * DIM], context[DATA_ROWS * CONTEXT], weights[DATA_ROWS];
} fit_data;

static fit_data *data_new(void)
{
    fit_data *d = calloc(1, sizeof *d);
    for (size_t i = 0; i < DATA_ROWS * CONTEXT; i++) d->context[i] = ad_random_uniform(3, 0, i);
    for (size_t i = 0; i < DATA_ROWS; i++) d->weights[i] = i % 7 ? ad_random_uniform(4, 0, i) : 0;
    for (size_t i = 0; i < DATA_ROWS * DIM; i++) {
        const double u = ad_random_normal(1, 0, i), v = ad_random_normal(2, 0, i / DIM);
        d->x[i] = u + v * v * d->context[i / DIM * CONTEXT];
    }
    return d;
}

typedef struct {
    asked last;
    const fit_data *data;
} fit_context;

static bool goes_on(void *context, const nf_progress *now)
{
    (void)now;
    return !stops_now(&((asked *)context)->told);
}

static void redraw(void *context, size_t epoch, const uint32_t *row, size_t rows, double *x)
{
    const fit_context *a = context;
    for (size_t i = 0; i < rows * DIM; i++)
        x[i] = a->data->x[row[i / DIM] * DIM + i % DIM] + 0.1 * ad_random_normal(epoch, row[i / DIM], i % DIM);
}

static void note_progress(outcome *o, const nf_progress *p)
{
    NOTE(o, p->epoch);
    NOTE(o, p->step);
    NOTE(o, p->rows);
    NOTE(o, p->train_nll);
    NOTE(o, p->val_nll);
    NOTE(o, p->best_epoch);
    NOTE(o, p->start);
}

static void note_report(outcome *o, const nf_fit_report *r)
{
    NOTE(o, r->outcome);
    NOTE(o, r->best_epoch);
    NOTE(o, r->best_nll);
    NOTE(o, r->diverged_step);
    note(o, &r->train, sizeof r->train);
    note(o, &r->val, sizeof r->val);
    note(o, r->warning, strlen(r->warning));
    for (size_t i = 0; i < r->last.epoch && r->history; i++) note_progress(o, &r->history[i]);
}

static ad_status fit(const void *what, ad_pool *pool, int rank, int ranks, outcome *o)
{
    const fit_case *c = what;
    fit_data *d = data_new();
    fit_context a = {asked_on_last(rank, ranks, c->interrupted, c->refused), d};
    nf_convergence converged = {.callback = {nf_stop_when_converged, 5}, .tolerance = c->tolerance};
    nf_fit_report report = {0};
    nf_fit_options f = c->o;
    f.pool = pool;
    f.context = &a;
    f.seed = 3;
    if (c->weights) f.row_weights = d->weights;
    if (c->context) f.row_context = d->context;
    if (c->interrupted) f.interrupted = interrupted;
    if (c->refused) f.progress = goes_on;
    if (c->redrawn) f.redraw = redraw;
    nf_callback *callbacks[] = {&converged.callback, NULL};
    if (c->tolerance > 0) f.callbacks = callbacks;
    size_t rows = DATA_ROWS;
    if (c->own_validation) {
        rows -= f.val_rows = 100;
        f.val_x = d->x + rows * DIM;
        f.val_context = c->context ? d->context + rows * CONTEXT : NULL;
        f.val_weights = c->weights ? d->weights + rows : NULL;
    }
    nf_flow *flow = nf_flow_parse(c->formula, DIM, c->context ? CONTEXT : 0, c->dtype, 5, &o->error);
    ad_status status = flow ? nf_fit(flow, d->x, rows, &f, &report, &o->error) : o->error.status;
    note_report(o, &report);
    note_flow(o, flow);
    nf_flow_free(flow);
    ad_free(report.history);
    nf_convergence_free(&converged);
    free(d);
    return status;
}

#define MAF "maf(16)-flip-maf(16)-standardize"

static const fit_case same_bits[] = {
    {MAF, {.epochs = 3}},
    {MAF, {.epochs = 2, .batch = 256, .ema = 0.9}, .dtype = AD_F64},
    {MAF, {.epochs = 2, .val_fraction = -1, .prior = "*.weight*:laplace(0.1)"}, .weights = true},
    {MAF, {.epochs = 10, .starts = 3, .batch = 64, .ema = 0.9}},
    {"(rqs(8)-flip)*2-standardize", {.epochs = 2}, .context = true, .weights = true, .own_validation = true},
    {"batchnorm-affine-batchnorm-affine-standardize", {.epochs = 3, .batch = 200}},
    {"gaussian_mixture(components=2):affine-marginal", {.epochs = 2, .batch = 512}},
    {MAF, {.epochs = 3}, .redrawn = true},
    {"cnf(6,6,rtol=1e-3)-standardize", {.epochs = 2}, .context = true},
    {"cnf(6,6)-standardize", {.epochs = 3, .objective = NF_OT_FLOW_MATCHING}, .dtype = AD_F64},
    {MAF, {.epochs = 30, .schedule = "plateau", .patience = 3}},
    {MAF, {.epochs = 5, .seconds = 3000}},
    {"affine-standardize", {.epochs = 100, .optimizer.learning_rate = 1e-3}, .tolerance = 0.05},
    {MAF, {.epochs = 9, .optimizer = {.learning_rate = 1e9, .clip = -1, .name = "sgd"}}},
};

START_TEST(fits_have_the_same_bits)
{
    outcome alone = assert_ranks_agree(fit, &same_bits[_i], false);
    const bool diverges = same_bits[_i].o.optimizer.clip < 0;
    ck_assert_msg(alone.status == (diverges ? AD_ERROR_NUMERIC : AD_OK), "%s", alone.error.message);
    free(alone.bytes);
}
END_TEST

/* The last rank's answer counts for all, at the step at which it was given. */
static const fit_case stopped_on_one[] = {
    {MAF, {.epochs = 30}, .interrupted = 1},
    {MAF, {.epochs = 30}, .interrupted = 23},
    {MAF, {.epochs = 30, .starts = 2, .ema = 0.9}, .interrupted = 17},
    {MAF, {.epochs = 30}, .refused = 2},
};

START_TEST(one_rank_stops_all)
{
    assert_ranks_succeed(fit, &stopped_on_one[_i], false);
}
END_TEST

/* How far they get depends on the clock of one, and is the same for all. */
static const fit_case limited[] = {
    {MAF, {.seconds = 0.08}},
    {MAF, {.epochs = 100000, .seconds = 0.08, .ema = 0.9}},
    {MAF, {.seconds = 0.2, .starts = 3}},
};

START_TEST(one_clock_counts)
{
    assert_ranks_succeed(fit, &limited[_i], true);
}
END_TEST

Suite *ranks_fit_suite(void)
{
    Suite *suite = suite_create("ranks_fit");
    TCase *tcase = tcase_create("ranks_fit");
    tcase_add_loop_test(tcase, fits_have_the_same_bits, 0, COUNT(same_bits));
    tcase_add_loop_test(tcase, one_rank_stops_all, 0, COUNT(stopped_on_one));
    tcase_add_loop_test(tcase, one_clock_counts, 0, COUNT(limited));
    suite_add_tcase(suite, tcase);
    return suite;
}
