/* Files that commands read and write. */
#include "files.h"
#include "identity.h"
#include "plugins.h"
#include "ranks.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

ad_status read_table(const char *path, nf_header header, nf_table *table, ad_error *error)
{
    const nf_read_options options = {.header = header, .labels = true, .missing = true};
    return nf_table_read_with(path, &options, table, error);
}

void table_warn(const nf_table *table)
{
    for (const char *line = table->remarks; line && *line;) {
        size_t length = strcspn(line, "\n");
        warn("%.*s", (int)length, line);
        line += length + (line[length] == '\n');
    }
}

nf_flow *load_model(const char *path, json_t **record, ad_error *error)
{
    char *text = NULL;
    *record = NULL;
    nf_flow *flow = nf_load(path, &text, error);
    if (!flow) {
        if (error->status == AD_ERROR_ARGUMENT)
            error->status = AD_ERROR_FORMAT; /* the file's mistake, not the user's */
        return NULL;
    }
    json_t *parsed = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    ad_free(text);
    *record = json_is_object(parsed) ? json_incref(parsed) : json_object();
    json_decref(parsed);
    if (!plugins_check(*record, path, error)) return flow;
    json_decref(*record);
    *record = NULL;
    nf_flow_free(flow);
    return NULL;
}

/* What changes no bit of a model, as its time and threads, is told, but not kept: the same data and options make the
 * same file. */
static void remove_circumstances(json_t *record)
{
    const char *name;
    json_t *member;
    size_t i;
    static const char *const circumstances[] = {"seconds", "threads", "checkpoint"};
    for (i = 0; i < sizeof circumstances / sizeof *circumstances; i++) json_object_del(record, circumstances[i]);
    json_object_foreach(record, name, member) remove_circumstances(member);
    json_array_foreach(record, i, member) remove_circumstances(member);
}

ad_status save_model(const nf_flow *flow, json_t *record, const char *path, ad_error *error)
{
    plugins_note(record);
    json_t *kept = json_deep_copy(record);
    remove_circumstances(kept);
    char *text = kept ? json_dumps(kept, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(kept);
    if (!text) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the training record of '%s'", path);
    ad_status status = nf_save(flow, text, path, error);
    free(text);
    return status;
}

json_t *make_record(const nf_flow *flow, nf_record record, const json_t *options, ad_error *error)
{
    char *given = options ? json_dumps(options, JSON_REAL_PRECISION(17)) : NULL;
    record.options = given;
    char *text = nf_record_text(flow, &record, error);
    json_t *json = text ? json_loads(text, 0, NULL) : NULL;
    free(given);
    ad_free(text);
    return json;
}

json_t *record_of_work(const nf_flow *flow, nf_record record, const json_t *options, ad_status *status, ad_error *error)
{
    ad_error untold;
    json_t *made = make_record(flow, record, options, &untold);
    if (made) return made;
    *error = untold;
    *status = untold.status;
    const nf_target *target = record.target;
    return json_pack("{s:o*}", "target", target ? report_text(target->text ? target->text : target->name) : NULL);
}

size_t files_of(const struct arguments *arguments, enum file_role role, const char *files[MOST_FILES])
{
    const struct command *command = arguments->command;
    const struct option *option;
    size_t count = 0;
    for (size_t i = 0; i < MOST_POSITIONALS; i++)
        if (command->positionals[i].file == role && arguments->positionals[i])
            files[count++] = arguments->positionals[i];
    for (size_t i = 0; (option = command_option(command, i)); i++)
        if (option->file == role && arguments->values[i].text) files[count++] = arguments->values[i].text;
    return count;
}

static bool are_one_file(const struct stat *one, const struct stat *other)
{
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

/* Is there a file? Where the path leads nowhere, or may be no path at all but values, there is none; otherwise a file
 * that can't be looked at could be any. */
static ad_status look_at(const char *path, struct stat *about, bool *exists, ad_error *error)
{
    static const int nowhere[] = {ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG};
    *exists = stat(path, about) == 0;
    bool known = *exists;
    for (size_t i = 0; i < sizeof nowhere / sizeof *nowhere; i++) known = known || errno == nowhere[i];
    return known ? AD_OK : ad_error_set(error, AD_ERROR_IO, "cannot look at '%s': %s", path, strerror(errno));
}

static ad_status check_pair(const char *input, const char *output, const struct stat *to, ad_error *error)
{
    struct stat from;
    bool exists;
    if (look_at(input, &from, &exists, error)) return error->status;
    if (!exists || !are_one_file(&from, to)) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT, "output '%s' is the input '%s'; give another name", output, input);
}

/* Of an output that is there, what its check needs. */
struct output {
    const char *path;
    struct stat about;
    ad_error *error;
};

/* Of each shared object in the process, the plug-ins among them; without a name: what comes from no file. */
static int check_object(struct dl_phdr_info *object, size_t size, void *context)
{
    const struct output *output = context;
    (void)size;
    return *object->dlpi_name == '/' &&
           check_pair(object->dlpi_name, output->path, &output->about, output->error) != AD_OK;
}

/* A terminal or a pipe may well be both input and output. */
static ad_status check_apart(const char **inputs, size_t n_inputs, const char **outputs, size_t n_outputs,
                             ad_error *error)
{
    for (size_t o = 0; o < n_outputs; o++) {
        struct output output = {.path = outputs[o], .error = error};
        bool exists;
        if (look_at(output.path, &output.about, &exists, error)) return error->status;
        if (!exists || !S_ISREG(output.about.st_mode)) continue;
        for (size_t i = 0; i < n_inputs; i++)
            if (check_pair(inputs[i], output.path, &output.about, error)) return error->status;
        if (dl_iterate_phdr(check_object, &output)) return error->status;
    }
    return AD_OK;
}

ad_status check_files(const struct arguments *arguments, ad_error *error)
{
    const char *inputs[MOST_FILES], *outputs[MOST_FILES];
    size_t n_inputs = files_of(arguments, INPUT_FILE, inputs), n_outputs = files_of(arguments, OUTPUT_FILE, outputs);
    if (ranks_communicator() && identity_check_files(ranks_communicator(), inputs, n_inputs, error))
        return error->status;
    ad_status status = ranks_is_first() ? check_apart(inputs, n_inputs, outputs, n_outputs, error) : AD_OK;
    return ranks_agree(status, error);
}
/* A device that is no terminal, as /dev/null, keeps nothing that could get mixed. Without /proc the name alone tells.
 */
FILE *report_stream(const struct arguments *arguments)
{
    const char *outputs[MOST_FILES];
    size_t count = files_of(arguments, OUTPUT_FILE, outputs);
    struct stat standard, output;
    bool known = fstat(STDOUT_FILENO, &standard) == 0 && (!S_ISCHR(standard.st_mode) || isatty(STDOUT_FILENO));
    for (size_t o = 0; o < count; o++)
        if (strcmp(outputs[o], "/dev/stdout") == 0 ||
            (known && stat(outputs[o], &output) == 0 && are_one_file(&standard, &output)))
            return stderr;
    return stdout;
}

/* A disk that is full, or a limit that leaves no room for a file, shows when one without a name is given a block; where
 * there are no such files, it doesn't. */
static ad_status check_room(const char *output, ad_error *error)
{
    enum { BLOCK = 4096 };
    char path[PATH_MAX];
    if (!realpath(output, path)) snprintf(path, sizeof path, "%s", output);
    char *slash = strrchr(path, '/');
    strcpy(slash ? slash + 1 : path, slash ? "" : ".");
    int fd = open(path, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
    int reason = fd < 0 ? 0 : posix_fallocate(fd, 0, BLOCK);
    if (fd >= 0) close(fd);
    if (reason != ENOSPC && reason != EDQUOT && reason != EFBIG) return AD_OK;
    return ad_error_set(error, AD_ERROR_IO, "no room for '%s': %s; make some, or give another place", output,
                        strerror(reason));
}

/* The reader of a pipe would take the end of the trial for the end of all, so that a pipe stays open to the end of the
 * process. */
static ad_status try_output(const char *output, ad_error *error)
{
    static nf_file *held;
    struct stat to;
    nf_file *trial;
    ad_status status = nf_file_create(output, &trial, error);
    if (status) return status;
    bool exists = stat(output, &to) == 0;
    if (!held && exists && S_ISFIFO(to.st_mode))
        held = trial;
    else
        nf_file_abort(trial);
    /* Whoever has read enough of what is told, the file is to be written. */
    if (strcmp(output, "/dev/stdout") != 0) signal(SIGPIPE, SIG_IGN);
    return exists && !S_ISREG(to.st_mode) ? AD_OK : check_room(output, error);
}

ad_status check_output(const char *output, ad_error *error)
{
    return ranks_agree(ranks_is_first() ? try_output(output, error) : AD_OK, error);
}

ad_status check_table(const char *output, ad_error *error)
{
    return nf_table_check_path(output, error) ? error->status : check_output(output, error);
}

ad_status make_directory(const char *directory, ad_error *error)
{
    if (strlen(directory) > PATH_MAX - 64)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "the directory's name is too long");
    if (mkdir(directory, 0777) == 0 || errno == EEXIST) return AD_OK;
    return ad_error_set(error, AD_ERROR_IO, "cannot create the directory '%s': %s", directory, strerror(errno));
}
