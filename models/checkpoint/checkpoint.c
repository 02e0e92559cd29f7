/* Checkpoints: files of states. */
#include "checkpoint/hash.h"
#include "checkpoint/work.h"
#include "files/json.h"
#include "files/place.h"
#include "training/clock.h"

#include <weir/communicator.h>
#include <weir/memory.h>
#include <weir/op.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const char format_name[] = "weir-checkpoint-1", format_family[] = "weir-checkpoint-";

/* Ten minutes; and where nobody has said how often, a hundred times as long as it takes. */
static const double default_seconds = 600, most_part = 0.01;

enum { MOST_DEPTH = 4, PREFIX = 128 };

/* Work that is part of the one before. */
typedef struct {
    const char *name;
    nf__state_list *list;
    void *context;
} part;

struct nf_checkpoint {
    char *path, *note;
    double seconds, due;   /* due: of nf__clock() */
    nf__safetensors *file; /* what is left to go on from; NULL: nothing */
    part part[MOST_DEPTH];
    size_t depth;
    size_t reached; /* parts that have gone on from the file: those behind them are new */
    size_t written;
    ad_error failure;
    void (*failed)(void *context, const char *reason); /* or NULL */
    void *context;
    char doubt[512];
};

/* ---- What is in a file ----------------------------------------------------------------------------------------- */

/* Metadata other than settings, and what of it the checksum is of, beside settings and numbers. */
enum { FORMAT, VERSION, ISA, GEMM, NOTE, KEYS };
static const char *const keys[KEYS] = {"format", "weir", "isa", "gemm", "note"};
static const char checksum_key[] = "checksum", settings_suffix[] = "settings";

static uint64_t hash_text(uint64_t state, const char *text)
{
    const size_t length = strlen(text);
    return nf__hash(nf__hash(state, &length, sizeof length), text, length);
}

static uint64_t hash_tensor(uint64_t state, const nf__safetensor *tensor)
{
    const size_t bytes = ad_shape_size(tensor->shape) * ad_dtype_size(tensor->dtype);
    return nf__hash(hash_text(state, tensor->name), tensor->data, bytes);
}

/* "automatic/fit/", of the parts up to this one. */
static void prefix_of(const nf_checkpoint *c, size_t depth, char prefix[static PREFIX])
{
    size_t filled = 0;
    *prefix = '\0';
    for (size_t i = 0; i <= depth && filled < PREFIX; i++)
        filled += (size_t)snprintf(prefix + filled, PREFIX - filled, "%s/", c->part[i].name);
}

/* ---- Made, read and removed ------------------------------------------------------------------------------------ */

static void set_due(nf_checkpoint *c, double took)
{
    const double most = c->seconds == 0 ? took / most_part : 0,
                 seconds = c->seconds == 0 ? default_seconds : c->seconds;
    c->due = nf__clock() + (most > seconds ? most : seconds);
}

static nf_checkpoint *make(const char *path, const nf_checkpoint_options *options, ad_error *error)
{
    const char *note = options && options->note ? options->note : "";
    if (!path) return ad_error_set(error, AD_ERROR_ARGUMENT, "checkpoint: path is NULL"), NULL;
    if (!nf__json_is_text(note))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "checkpoint: its note is not UTF-8"), NULL;
    nf_checkpoint *c = ad_alloc(1, sizeof *c);
    if (c) {
        c->path = ad_strdup(path);
        c->note = ad_strdup(note);
        c->seconds = options ? options->seconds : 0;
        c->failed = options ? options->failed : NULL;
        c->context = options ? options->context : NULL;
        set_due(c, 0);
    }
    if (c && c->path && c->note) return c;
    nf_checkpoint_free(c);
    ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a checkpoint");
    return NULL;
}

nf_checkpoint *nf_checkpoint_new(const char *path, const nf_checkpoint_options *options, ad_error *error)
{
    return make(path, options, error);
}

void nf_checkpoint_free(nf_checkpoint *c)
{
    if (!c) return;
    nf__safetensors_free(c->file);
    ad_free(c->note);
    ad_free(c->path);
    ad_free(c);
}

/* Of all but the settings, which are compared one by one. Tensors of no numbers are in no order. */
static uint64_t checksum(const char *const value[KEYS], const nf__safetensor *tensor, size_t count)
{
    uint64_t state = 0xcbf29ce484222325;
    for (int i = 0; i < KEYS; i++) state = hash_text(state, value[i]);
    for (size_t i = 0; i < count; i++) state += hash_tensor(0, &tensor[i]);
    return state;
}

static ad_status check_file(nf_checkpoint *c, ad_error *error)
{
    const char *value[KEYS], *expected = nf__safetensors_metadata(c->file, checksum_key);
    size_t count;
    char digits[17];
    for (int i = 0; i < KEYS; i++) value[i] = nf__safetensors_metadata(c->file, keys[i]);
    if (!value[FORMAT] || strncmp(value[FORMAT], format_family, strlen(format_family)) != 0)
        return ad_error_set(error, AD_ERROR_FORMAT, "'%s' is no checkpoint", c->path);
    for (int i = 0; i < KEYS; i++)
        if (!value[i] || !expected)
            return ad_error_set(error, AD_ERROR_FORMAT, "the checkpoint '%s' is damaged: '%s' is missing", c->path,
                                expected ? keys[i] : checksum_key);
    if (strcmp(value[FORMAT], format_name) != 0 || strcmp(value[VERSION], weir_version()) != 0)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "the checkpoint '%s' is of Weir %.30s, and this is Weir %s: go on with that one, or begin "
                            "anew",
                            c->path, value[VERSION], weir_version());
    const nf__safetensor *tensor = nf__safetensors_all(c->file, &count);
    snprintf(digits, sizeof digits, "%016llx", (unsigned long long)checksum(value, tensor, count));
    if (strcmp(expected, digits) != 0)
        return ad_error_set(error, AD_ERROR_FORMAT,
                            "the checkpoint '%s' is damaged: its checksum is %.30s, but its content's is %s", c->path,
                            expected, digits);
    if (strcmp(value[ISA], ad_isa_name()) != 0 || strcmp(value[GEMM], ad_gemm_name()) != 0)
        snprintf(c->doubt, sizeof c->doubt,
                 "it was computed with %.30s and %.60s, and goes on with %.30s and %.60s: bits may differ from those "
                 "of one run",
                 value[ISA], value[GEMM], ad_isa_name(), ad_gemm_name());
    return AD_OK;
}

static ad_status take_note(nf_checkpoint *c, ad_error *error)
{
    if (*c->note) return AD_OK;
    ad_free(c->note);
    c->note = ad_strdup(nf__safetensors_metadata(c->file, keys[NOTE]));
    return c->note ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a checkpoint");
}

nf_checkpoint *nf_checkpoint_read(const char *path, const nf_checkpoint_options *options, ad_error *error)
{
    ad_error own;
    if (!error) error = &own;
    nf_checkpoint *c = make(path, options, error);
    if (!c) return NULL;
    c->file = nf__safetensors_read(path, error);
    ad_status status = c->file ? check_file(c, error) : error->status;
    if (!status) status = take_note(c, error);
    if (!status) return c;
    nf_checkpoint_free(c);
    return NULL;
}

ad_status nf_checkpoint_remove(nf_checkpoint *c, ad_error *error)
{
    if (!c) return ad_error_set(error, AD_ERROR_ARGUMENT, "checkpoint: checkpoint is NULL");
    const int reason = nf__place_clear(c->path);
    if (!reason) return AD_OK;
    return ad_error_set(error, AD_ERROR_IO, "cannot remove '%s': %s", c->path, strerror(reason));
}

const char *nf_checkpoint_note(const nf_checkpoint *c)
{
    return c ? c->note : "";
}

const char *nf_checkpoint_doubt(const nf_checkpoint *c)
{
    return c ? c->doubt : "";
}

const char *nf_checkpoint_failure(const nf_checkpoint *c)
{
    return c && c->failure.status ? c->failure.message : "";
}

size_t nf_checkpoint_written(const nf_checkpoint *c)
{
    return c ? c->written : 0;
}

/* ---- Going on -------------------------------------------------------------------------------------------------- */

static ad_status cannot_go_on(const nf_checkpoint *c, const ad_error *cause, ad_error *error)
{
    return ad_error_set(error, cause->status, "'%s' can't be gone on with: %.800s", c->path, cause->message);
}

/* From the part's own numbers in the file. */
static ad_status go_on(nf_checkpoint *c, const part *p, const char *prefix, const char *settings, ad_error *error)
{
    nf__state state = {0};
    ad_error cause;
    ad_status status = nf__state_from_file(&state, c->file, prefix, settings, &cause);
    if (!status) status = nf__state_restore(&state, p->list, p->context, &cause);
    nf__state_free(&state);
    return status ? cannot_go_on(c, &cause, error) : AD_OK;
}

/* Nothing but what is in it may follow. */
static void close_file(nf_checkpoint *c)
{
    nf__safetensors_free(c->file);
    c->file = NULL;
}

ad_status nf__checkpoint_enter(nf_checkpoint *c, const char *name, nf__state_list *list, void *context, bool *resumed,
                               ad_error *error)
{
    *resumed = false;
    if (!c) return AD_OK;
    if (c->depth == MOST_DEPTH) return ad_error_set(error, AD_ERROR_ARGUMENT, "checkpoint: too many parts");
    const size_t depth = c->depth++;
    c->part[depth] = (part){name, list, context};
    if (!c->file) return AD_OK;
    char prefix[PREFIX], key[PREFIX + sizeof settings_suffix];
    prefix_of(c, depth, prefix);
    snprintf(key, sizeof key, "%s%s", prefix, settings_suffix);
    const char *settings = nf__safetensors_metadata(c->file, key);
    if (depth == 0 && !settings)
        return cannot_go_on(c, &(ad_error){AD_ERROR_ARGUMENT, "it is of another kind of work"}, error);
    if (depth == c->reached && settings) {
        c->reached++;
        *resumed = true;
        return go_on(c, &c->part[depth], prefix, settings, error);
    }
    close_file(c);
    return AD_OK;
}

void nf__checkpoint_leave(nf_checkpoint *c, const void *context)
{
    if (c && c->depth > 0 && c->part[c->depth - 1].context == context) c->depth--;
}

/* ---- Writing --------------------------------------------------------------------------------------------------- */

bool nf__checkpoint_is_due(const nf_checkpoint *c)
{
    return c && c->seconds >= 0 && nf__clock() >= c->due;
}

/* Names of tensors, and keys and values of settings, for a file. */
typedef struct {
    nf__state state[MOST_DEPTH];
    char key[MOST_DEPTH][PREFIX + sizeof settings_suffix];
    nf__safetensor *tensor;
    char (*name)[PREFIX + sizeof((nf__state_entry *)NULL)->name];
    size_t tensors;
} content;

static ad_status gather(nf_checkpoint *c, content *all, ad_error *error)
{
    size_t count = 0;
    for (size_t d = 0; d < c->depth; d++) {
        ad_status status = nf__state_fill(&all->state[d], NF__STATE_REFERS, c->part[d].list, c->part[d].context, error);
        if (status) return status;
        count += all->state[d].count;
    }
    all->tensor = ad_alloc(count, sizeof *all->tensor);
    all->name = ad_alloc(count, sizeof *all->name);
    if (!all->tensor || !all->name) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a checkpoint");
    for (size_t d = 0; d < c->depth; d++) {
        char prefix[PREFIX];
        prefix_of(c, d, prefix);
        snprintf(all->key[d], sizeof all->key[d], "%s%s", prefix, settings_suffix);
        for (size_t i = 0; i < all->state[d].count; i++) {
            const nf__state_entry *entry = &all->state[d].entry[i];
            const size_t t = all->tensors++;
            snprintf(all->name[t], sizeof *all->name, "%s%s", prefix, entry->name);
            all->tensor[t] =
                (nf__safetensor){all->name[t], entry->dtype, AD_SHAPE(entry->rows, entry->columns), entry->data};
        }
    }
    return AD_OK;
}

static ad_status write_content(const nf_checkpoint *c, const content *all, ad_error *error)
{
    nf__metadata metadata[KEYS + 1 + MOST_DEPTH];
    const char *value[KEYS] = {format_name, weir_version(), ad_isa_name(), ad_gemm_name(), c->note};
    char digits[17];
    size_t count = 0;
    for (; count < KEYS; count++) metadata[count] = (nf__metadata){keys[count], value[count]};
    for (size_t d = 0; d < c->depth; d++)
        metadata[count++] = (nf__metadata){all->key[d], all->state[d].settings ? all->state[d].settings : ""};
    snprintf(digits, sizeof digits, "%016llx", (unsigned long long)checksum(value, all->tensor, all->tensors));
    metadata[count++] = (nf__metadata){checksum_key, digits};
    return nf__safetensors_write(c->path, all->tensor, all->tensors, metadata, count, false, error);
}

void nf__checkpoint_write(nf_checkpoint *c, const ad_pool *pool)
{
    const ad_communicator *communicator = ad_pool_communicator(pool);
    if (!c) return;
    const double began = nf__clock();
    if (!communicator || communicator->rank == 0) {
        content all = {0};
        const bool failed_before = c->failure.status != AD_OK;
        c->failure.status = AD_OK;
        ad_status status = gather(c, &all, &c->failure);
        if (!status) status = write_content(c, &all, &c->failure);
        if (!status) c->written++;
        if (status && !failed_before && c->failed) c->failed(c->context, c->failure.message);
        for (size_t d = 0; d < c->depth; d++) nf__state_free(&all.state[d]);
        ad_free(all.tensor);
        ad_free(all.name);
    }
    set_due(c, nf__clock() - began);
}

/* ---- Data ------------------------------------------------------------------------------------------------------ */

size_t nf__hash_text(const char *text)
{
    return (size_t)(hash_text(0, text) >> 11);
}

uint64_t nf__hash_numbers(uint64_t state, const double *numbers, size_t count)
{
    enum { MOST = 1 << 21, SAMPLES = 2048, SAMPLE = MOST / SAMPLES };
    state = nf__hash(state, &count, sizeof count);
    if (!numbers) return state;
    if (count <= MOST) return nf__hash(state, numbers, count * sizeof *numbers);
    for (size_t i = 0; i < SAMPLES; i++)
        state = nf__hash(state, numbers + (size_t)((double)(count - SAMPLE) * (double)i / (SAMPLES - 1)),
                         SAMPLE * sizeof *numbers);
    return state;
}
