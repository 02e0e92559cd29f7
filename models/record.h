/* Records: what a model file tells of where its flow comes from, beside its numbers. `weir info`, `weir plot`, `weir
 * sample` and `weir logprob` go by them.
 *
 *     nf_fit_report report;
 *     nf_fit(flow, x, rows, NULL, &report, &error);
 *     nf_record told = {.data = "trees.csv", .columns = (const char *[]){"girth", "height"}, .fit = &report};
 *     char *record = nf_record_text(flow, &told, &error);
 *     if (record) nf_save(flow, record, "trees.safetensors", &error);
 *     ad_free(record);
 *     ad_free(report.history);
 *
 * Any function here may be called from several threads at once.
 */
#ifndef WEIR_RECORD_H
#define WEIR_RECORD_H

#include <weir/columns.h>
#include <weir/vi.h>

WEIR_BEGIN_DECLARATIONS

/* All may be left zero: not on record. */
typedef struct {
    /* Of rows that the flow was fitted to: */
    const char *data;           /* where they came from: a file's name */
    const char *const *columns; /* the names of its features, nf_flow_dim() of them */
    const char *context; /* the columns that were the context: names, or numbers from 1, between commas: "age,dose" */
    const char *const *context_columns; /* the names of these columns, nf_flow_context_size() of them */
    const nf_fit_report *fit;           /* of more than 20000 epochs some are told, among them the best and the last */
    /* Of a target that it was fitted to, by nf_vi(). A target that nf_target_parse() has made is one again when the
     * model is used, and of one with a table the sites are told: samples are then on the scale of its sites. With the
     * report, the means of `draws` draws of the flow are told, which `seed` and `pool` are for; 0: as many as its
     * scores are of, up to 20000. None are told where there are no scores, or `interrupted`, polled between draws, was
     * true (NULL: none is asked). */
    const nf_target *target;
    const nf_vi_report *vi;
    uint64_t seed;
    ad_pool *pool;
    size_t draws;
    const char *options; /* how it was trained, as a JSON object: {"epochs": 100} */
    /* What the columns are that the flow's features, and its context, are of; NULL: plain numbers. With these,
     * `columns` may be left out. */
    const nf_columns *kinds, *context_kinds;
    bool (*interrupted)(void *asked);
    void *asked;
} nf_record;

/* The record as text, a JSON object: for nf_save(), and then for ad_free(). With a target, and a pool that has a
 * communicator, ranks divide the draws: each must call this, whoever it is that saves. Text that isn't UTF-8 has '?' in
 * place of its other bytes. NULL on failure: memory is out, the options are no JSON object, or the draws failed. */
char *nf_record_text(const nf_flow *flow, const nf_record *record, ad_error *error);

/* From a record that nf_load() gave: the names of the flow's features, nf_flow_dim() of them, and of the numbers in its
 * context, nf_flow_context_size() of them, the pointers and their text in one block; and what the context was. Each is
 * for ad_free(), or NULL where it isn't on record; so is a record that is NULL. AD_ERROR_FORMAT: it isn't a JSON
 * object. */
ad_status nf_record_columns(const char *record, size_t dim, char ***columns, ad_error *error);
ad_status nf_record_context_columns(const char *record, size_t size, char ***columns, ad_error *error);
ad_status nf_record_context(const char *record, char **context, ad_error *error);

/* The target that the flow was fitted to, for nf_target_free(): of one that had a table, its sites alone, without a
 * density. NULL where none is on record, or nothing is known here of the one that is; and with *error where the record
 * isn't a JSON object, its sites can't be, or memory is out. */
ad_status nf_record_target(const char *record, nf_target **target, ad_error *error);

/* And what its columns, and those of its context, are: for nf_columns_free(), or NULL. */
ad_status nf_record_kinds(const char *record, nf_columns **kinds, ad_error *error);
ad_status nf_record_context_kinds(const char *record, nf_columns **kinds, ad_error *error);

WEIR_END_DECLARATIONS

#endif
