/* Models as commands use them: a flow, and what its columns are. */
#ifndef WEIR_COMMAND_MODEL_H
#define WEIR_COMMAND_MODEL_H

#include "files.h"

struct model {
    const char *path; /* of its file, for messages */
    nf_flow *flow;
    json_t *record;    /* of its training: an object, which may be empty */
    nf_target *target; /* that the flow was fitted to, where it is known here; else NULL */
    /* What the flow models; of a target's, the elements of its sites on the user's scale. */
    nf_columns *features;
    nf_columns *conditions; /* what it is conditioned on; NULL: nothing */
};

/* The seed of the noise that rows are scored with: none that a user would draw data with, which would know of it. */
static const uint64_t score_noise = UINT64_C(0x6e6f697365);

/* Columns that the record doesn't tell the kinds of are plain numbers. */
ad_status model_open(const char *path, struct model *model, ad_error *error);
void model_close(struct model *model);

/* The names of columns, but for those that are dropped: as many as columns_kept() says, for ad_free(); NULL where they
 * have none. */
char **columns_names(const nf_columns *columns);
size_t columns_kept(const nf_columns *columns);
/* Are the features the very values, as in models that know no kinds? */
bool columns_plain(const nf_columns *columns);
/* AD_ERROR_ARGUMENT when a table of such columns can't be an array, and the path is one's: it has labels. columns may
 * be NULL. */
ad_status columns_check_output(const nf_columns *columns, const char *path, ad_error *error);

/* Numbers that float32 has become those that their fewest digits mean in float64: the same in float32, and shorter in
 * text. */
void write_briefly(double *values, size_t count);

/* Draw from the flow, or, where it isn't the model's own (its first steps), from that one: a table of the model's
 * columns; on the scale of its sites where the model is of a target; or of plain features. context: of each row, as the
 * flow takes it. Of a larger sample, rows from number `first` on. For nf_table_free(). */
ad_status model_sample(const struct model *model, const double *context, size_t first, size_t rows, uint64_t seed,
                       nf_table *table, ad_pool *pool, ad_error *error);

/* Rows of a table of the model's features to what the flow takes, and back, to a table for nf_table_free(); x becomes
 * brief. */
ad_status model_encode(const struct model *model, const nf_table *table, uint64_t seed, double *x, ad_pool *pool,
                       ad_error *error);
ad_status model_decode(const struct model *model, double *x, size_t rows, nf_table *table, ad_pool *pool,
                       ad_error *error);

/* log p of each row of a table of the model's features into log_prob, in nats. A NaN is AD_ERROR_NUMERIC, and the
 * message tells its row. */
ad_status model_log_prob(const struct model *model, const nf_table *features, const double *context, double *log_prob,
                         ad_pool *pool, ad_error *error);

#endif
