/* Checkpoints of commands: options, and what is in them of the command. */
#include "checkpoints.h"
#include "fingerprint.h"
#include "files.h"
#include "identity.h"
#include "meter.h"
#include "ranks.h"
#include "report.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const struct option checkpoint_options[] = {
    {.name = "checkpoint",
     .kind = OPTION_SECONDS,
     .value = "TIME",
     .help = "how often to write where it stands to OUTPUT.checkpoint, which ctrl-C does too: 30s, 10m, 1h; 0: never "
             "[10m]"},
    {.name = "resume",
     .kind = OPTION_TEXT,
     .value = "OUTPUT",
     .completes = true,
     .help = "go on from the checkpoint of this output, to the same bits as if it had never stopped; the command line "
             "is in it"},
    {0},
};

/* What doesn't change bits, and may be given anew. */
static const char *const free_options[] = {"threads", "checkpoint", "resume", "json", "help", NULL};

static const char suffix[] = ".checkpoint";

struct resumed {
    nf_checkpoint *checkpoint;
    char path[PATH_MAX], output[PATH_MAX];
    char **words; /* of the command line that began it */
    int count;
    bool taken; /* the checkpoint, by checkpoint_open() */
};

/* ---- Options by name -------------------------------------------------------------------------------------------- */

/* NULL where the command has none of this name. */
static struct option_value *value_of(struct arguments *arguments, const char *name)
{
    const struct option *option;
    for (size_t i = 0; (option = command_option(arguments->command, i)); i++)
        if (strcmp(option->name, name) == 0) return &arguments->values[i];
    return NULL;
}

static bool is_free(const char *name)
{
    size_t i = 0;
    while (free_options[i] && strcmp(free_options[i], name) != 0) i++;
    return free_options[i] != NULL;
}

/* ---- Paths ----------------------------------------------------------------------------------------------------- */

static bool is_named_so(const char *file)
{
    const size_t length = strlen(file), ending = sizeof suffix - 1;
    return length >= ending && strcmp(file + length - ending, suffix) == 0;
}

/* "m.safetensors", or "m.safetensors.checkpoint", to both. */
static bool name_both(const char *given, char path[static PATH_MAX], char output[static PATH_MAX])
{
    size_t length = strlen(given);
    if (is_named_so(given)) length -= sizeof suffix - 1;
    snprintf(output, PATH_MAX, "%.*s", (int)length, given);
    return snprintf(path, PATH_MAX, "%.*s%s", (int)length, given, suffix) < PATH_MAX;
}

/* Is there a file beside which there may be another? Not beside what isn't given, or a pipe. */
static bool is_file(const char *output)
{
    struct stat about;
    return output && strcmp(output, "/dev/stdout") != 0 && (stat(output, &about) != 0 || S_ISREG(about.st_mode));
}

/* ---- The note: {"command": "fit", "words": […], "directory": "…", "files": […]} ---------------------------------- */

/* Words as they are, in JSON, which has no bytes but those of UTF-8: '%' and what isn't ASCII as %XX. */
static json_t *encode_word(const char *word)
{
    char *text = malloc(3 * strlen(word) + 1), *to = text;
    if (!text) return NULL;
    for (; *word; word++) {
        const unsigned char byte = (unsigned char)*word;
        if (byte > ' ' && byte < 127 && byte != '%')
            *to++ = *word;
        else
            to += sprintf(to, "%%%02X", byte);
    }
    *to = '\0';
    json_t *json = json_string(text);
    free(text);
    return json;
}

/* For free(). */
static char *decode_word(const char *text)
{
    char *word = strdup(text), *to = word;
    unsigned byte;
    for (; word && *text; to++) {
        if (*text == '%' && sscanf(text + 1, "%2X", &byte) == 1) {
            *to = (char)byte;
            text += strlen(text) < 3 ? strlen(text) : 3;
        } else {
            *to = *text++;
        }
    }
    if (word) *to = '\0';
    return word;
}

/* For free(); NULL where memory is out. */
static char *make_note(const struct arguments *arguments)
{
    char directory[PATH_MAX];
    json_t *words = json_array();
    for (int i = 0; i < arguments->count; i++) json_array_append_new(words, encode_word(arguments->words[i]));
    json_t *note = json_pack("{s:s, s:o, s:o, s:o}", "command", arguments->command->name, "words", words, "directory",
                             encode_word(getcwd(directory, sizeof directory) ? directory : ""), "files",
                             fingerprints_of(arguments));
    char *text = json_dumps(note, JSON_COMPACT);
    json_decref(note);
    return text;
}

/* ---- Going on -------------------------------------------------------------------------------------------------- */

/* There is no checkpoint: was there one? */
static ad_status tell_missing(const struct resumed *r, ad_error *error)
{
    json_t *record = NULL;
    ad_error unwanted;
    nf_flow *flow = load_model(r->output, &record, &unwanted);
    const char *outcome = flow ? report_text_of(record, "outcome") : "";
    const bool finished = *outcome && strcmp(outcome, "interrupted") != 0;
    ad_error_set(error, AD_ERROR_IO,
                 finished ? "there is nothing to resume: '%.300s' is finished, and has no "
                            "checkpoint '%.300s'"
                          : "there is nothing to resume: '%.300s' has no checkpoint '%.300s'",
                 r->output, r->path);
    nf_flow_free(flow);
    json_decref(record);
    return error->status;
}

static ad_status take_words(struct resumed *r, const json_t *words, ad_error *error)
{
    const size_t count = json_array_size(words);
    r->words = calloc(count + 1, sizeof *r->words);
    for (size_t i = 0; i < count && r->words; i++) {
        const char *text = json_string_value(json_array_get(words, i));
        r->words[i] = decode_word(text ? text : "");
        if (!r->words[i]) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for a command line");
        r->count++;
    }
    return r->words ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "no memory for a command line");
}

/* What is given again must be as it was. */
static ad_status compare(const struct arguments *given, const struct arguments *before, ad_error *error)
{
    const struct option *option;
    for (size_t i = 0; i < MOST_POSITIONALS; i++)
        if (given->positionals[i] && strcmp(given->positionals[i], before->positionals[i]) != 0)
            return ad_error_set(error, AD_ERROR_ARGUMENT, "it began with %s '%.300s', not '%.300s': leave it out",
                                given->command->positionals[i].name, before->positionals[i], given->positionals[i]);
    for (size_t i = 0; (option = command_option(given->command, i)); i++) {
        const struct option_value *now = &given->values[i], *then = &before->values[i];
        if (!now->given || is_free(option->name)) continue;
        if (option->kind == OPTION_FLAG ? then->flag : then->text && strcmp(now->text, then->text) == 0) continue;
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "it began %s--%s%s%.300s, and goes on so: leave that option out, or begin anew",
                            then->text || then->flag ? "with " : "without ", option->name, then->text ? " " : "",
                            then->text ? then->text : "");
    }
    return AD_OK;
}

/* The command line of then, with what may be given anew. */
static ad_status merge(struct arguments *arguments, struct resumed *r, ad_error *error)
{
    struct arguments before;
    ad_status status = arguments_parse(&before, arguments->command, r->count, r->words, error);
    if (status) return status;
    value_of(&before, "output")->text = r->output; /* where the checkpoint is now */
    if (compare(arguments, &before, error)) return error->status;
    for (size_t i = 0; free_options[i]; i++) {
        const struct option_value *given = value_of(arguments, free_options[i]);
        if (given && given->given) *value_of(&before, free_options[i]) = *given;
    }
    before.resumed = r;
    *arguments = before;
    return AD_OK;
}

static ad_status begin_again(struct arguments *arguments, struct resumed *r, const json_t *note, ad_error *error)
{
    const char *command = report_text_of(note, "command");
    if (strcmp(command, arguments->command->name) != 0)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "'%.300s' is of 'weir %.30s', not of 'weir %s'", r->path, command,
                            arguments->command->name);
    ad_status status = take_words(r, json_object_get(note, "words"), error);
    if (!status) status = merge(arguments, r, error);
    if (status) return status;
    char *directory = decode_word(report_text_of(note, "directory"));
    status = fingerprints_check(arguments, json_object_get(note, "files"), directory ? directory : "", error);
    free(directory);
    return status;
}

/* At once: there may be days to mend it in. */
static void tell_failure(void *unused, const char *reason)
{
    (void)unused;
    if (meter_would_wait()) return;
    if (isatty(STDERR_FILENO)) fputc('\n', stderr); /* below the bar */
    warn("no checkpoint can be written, and the work goes on: %s", reason);
}

ad_status resume_arguments(struct arguments *arguments, ad_error *error)
{
    const struct option_value *given = value_of(arguments, "resume");
    if (!given || !given->given) return AD_OK;
    struct resumed *r = arguments->resumed = calloc(1, sizeof *r);
    if (!r) return ad_error_set(error, AD_ERROR_MEMORY, "no memory to resume");
    if (!name_both(given->text, r->path, r->output))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "option --resume: the name is too long");
    const char *path = r->path;
    if (ranks_communicator() && identity_check_files(ranks_communicator(), &path, 1, error)) return error->status;
    if (access(path, F_OK) != 0) return tell_missing(r, error);
    const struct option_value *every = value_of(arguments, "checkpoint");
    const double seconds = !every->given ? 0 : every->number > 0 ? every->number : -1;
    r->checkpoint =
        nf_checkpoint_read(path, &(nf_checkpoint_options){.seconds = seconds, .failed = tell_failure}, error);
    if (!r->checkpoint) return error->status;
    json_t *note = json_loads(nf_checkpoint_note(r->checkpoint), 0, NULL);
    ad_status status = note ? begin_again(arguments, r, note, error)
                            : ad_error_set(error, AD_ERROR_FORMAT, "'%.300s' is not of a command of weir's", r->path);
    json_decref(note);
    return status;
}

void resume_free(struct arguments *arguments)
{
    struct resumed *r = arguments->resumed;
    if (!r) return;
    if (!r->taken) nf_checkpoint_free(r->checkpoint);
    for (int i = 0; i < r->count; i++) free(r->words[i]);
    free(r->words);
    free(r);
}

/* ---- Around the work ------------------------------------------------------------------------------------------- */

/* Less than 0 seconds: there are to be none. */
static ad_status make_checkpoint(const struct arguments *arguments, double seconds, nf_checkpoint **checkpoint,
                                 ad_error *error)
{
    char path[PATH_MAX], output[PATH_MAX];
    if (!name_both(option_text(arguments, "output"), path, output)) return AD_OK;
    if (access(path, F_OK) == 0)
        warn("'%s' is of work that was interrupted, and 'weir %s --resume' goes on with it; this begins anew, and %s",
             path, arguments->command->name, seconds < 0 ? "leaves it there" : "takes its place");
    if (seconds < 0) return AD_OK;
    char *note = make_note(arguments);
    *checkpoint = note ? nf_checkpoint_new(path, &(nf_checkpoint_options){seconds, note, tell_failure}, error) : NULL;
    free(note);
    if (!note) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for a checkpoint");
    return *checkpoint ? AD_OK : error->status;
}

ad_status checkpoint_open(const struct arguments *arguments, nf_checkpoint **checkpoint, ad_error *error)
{
    const bool given = option_named(arguments, "checkpoint");
    const char *file = option_text(arguments, "output");
    double seconds = given ? option_seconds(arguments, "checkpoint") : 0;
    *checkpoint = NULL;
    if (arguments->resumed) {
        arguments->resumed->taken = true;
        *checkpoint = arguments->resumed->checkpoint;
        if (*nf_checkpoint_doubt(*checkpoint)) warn("%s", nf_checkpoint_doubt(*checkpoint));
        return AD_OK;
    }
    if (given && seconds == 0) seconds = -1;
    if (file && is_named_so(file))
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "output '%.300s': checkpoints are called so, and are removed when work is done; give "
                            "another name",
                            file);
    if (is_file(file)) return make_checkpoint(arguments, seconds, checkpoint, error);
    if (!given || seconds < 0) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT,
                        "--checkpoint: it is written beside the output, and there is none: give a file as -o");
}

ad_status checkpoint_close(const struct arguments *arguments, nf_checkpoint *checkpoint, ad_status status,
                           ad_error *error)
{
    if (!checkpoint) return status;
    const bool has_file = arguments->resumed || nf_checkpoint_written(checkpoint) > 0;
    ad_error left = {0};
    char reason[sizeof error->message];
    /* What has diverged would diverge again. */
    if (ranks_is_first() && (!status || (status == AD_ERROR_NUMERIC && has_file)))
        nf_checkpoint_remove(checkpoint, &left);
    if (left.status) warn("%s", left.message);
    if (status == AD_ERROR_INTERRUPTED && has_file) {
        snprintf(reason, sizeof reason, "%s", error->message);
        ad_error_set(error, status, "%.700s; 'weir %s --resume %.200s' goes on", reason, arguments->command->name,
                     option_text(arguments, "output"));
    }
    nf_checkpoint_free(checkpoint);
    return status;
}
