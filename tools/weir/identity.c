/* Are ranks alike? */
#include "identity.h"
#include "fingerprint.h"
#include "gather.h"

#include <weir/memory.h>
#include <weir/op.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

/* What a rank tells the others of one thing. */
struct fact {
    char host[64];
    char text[160]; /* as a message shows it */
    uint64_t hash;  /* of all of it */
};

const char *identity_host(char buffer[static 64])
{
    if (gethostname(buffer, 64)) buffer[0] = '\0';
    buffer[63] = '\0';
    return buffer;
}

/* ---- Comparing ------------------------------------------------------------------------------------------------- */

static void tell(struct fact *fact, const char *text)
{
    size_t length = strlen(text);
    snprintf(fact->text, sizeof fact->text, "%.*s%s", length < sizeof fact->text ? (int)length : 120, text,
             length < sizeof fact->text ? "" : "…");
    fact->hash = fingerprint_bytes(fact->hash, text, length);
}

/* `what` is the thing, `advice` what makes ranks alike. */
static ad_status compare(const ad_communicator *ranks, const struct fact *own, const char *what, const char *advice,
                         ad_error *error)
{
    const size_t size = (size_t)ranks->size;
    struct fact *all = ad_alloc(size, sizeof *all);
    ad_status status = all ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "no memory to compare %d ranks", ranks->size);
    if (!status) {
        all[ranks->rank] = *own;
        identity_host(all[ranks->rank].host);
        status = gather_from_all(ranks, all, sizeof *all, error);
    }
    for (size_t r = 1; !status && r < size; r++)
        if (all[r].hash != all[0].hash || strcmp(all[r].text, all[0].text) != 0)
            status = ad_error_set(
                error, AD_ERROR_IO, "rank %zu (%s) differs from rank 0 (%s) in %s: '%s', not '%s'%s%s", r, all[r].host,
                all[0].host, what, all[r].text, all[0].text, advice ? "; " : "", advice ? advice : "");
    ad_free(all);
    return status;
}

/* ---- The program ----------------------------------------------------------------------------------------------- */

static void tell_version(struct fact *fact)
{
    char text[64];
    snprintf(text, sizeof text, "%s, ABI %d", weir_version(), WEIR_ABI);
    tell(fact, text);
}

static void tell_isa(struct fact *fact)
{
    tell(fact, ad_isa_name());
}

/* BLIS goes by the CPU. */
static void tell_products(struct fact *fact)
{
    char text[256], line[200], model[160] = "";
    FILE *about = strcmp(ad_gemm_name(), "blis") == 0 ? fopen("/proc/cpuinfo", "r") : NULL;
    while (about && !*model && fgets(line, sizeof line, about))
        if (sscanf(line, "model name : %150[^\n]", model) != 1) model[0] = '\0';
    if (about) fclose(about);
    snprintf(text, sizeof text, "%s%s%s", ad_gemm_name(), *model ? " on " : "", model);
    tell(fact, text);
}

static void tell_cache(struct fact *fact)
{
    char text[64];
    snprintf(text, sizeof text, "%ld bytes", sysconf(_SC_LEVEL2_CACHE_SIZE));
    tell(fact, text);
}

static int by_text(const void *one, const void *other)
{
    return strcmp(*(char *const *)one, *(char *const *)other);
}

/* Where the plug-in lies is each machine's own. */
static bool matters(const char *variable)
{
    return (strncmp(variable, "WEIR_", 5) == 0 && strncmp(variable, "WEIR_MPI=", 9) != 0) ||
           strncmp(variable, "BLIS_", 5) == 0;
}

static void tell_texts(struct fact *fact, char **texts, size_t count)
{
    size_t room = 1;
    for (size_t i = 0; i < count; i++) room += strlen(texts[i]) + 1;
    char *joined = ad_alloc(room, 1), *at = joined;
    for (size_t i = 0; joined && i < count; i++) at += sprintf(at, "%s%s", i ? " " : "", texts[i]);
    if (joined) tell(fact, joined);
    /* Where one word ends and the next begins counts too. */
    for (size_t i = 0; i < count; i++) fact->hash = fingerprint_bytes(fact->hash, texts[i], strlen(texts[i]) + 1);
    ad_free(joined);
}

static ad_status tell_variables(struct fact *fact, ad_error *error)
{
    size_t count = 0, all = 0;
    while (environ && environ[all]) all++;
    char **chosen = ad_alloc(all + 1, sizeof *chosen);
    if (!chosen) return ad_error_set(error, AD_ERROR_MEMORY, "no memory to compare variables of the environment");
    for (size_t i = 0; i < all; i++)
        if (matters(environ[i])) chosen[count++] = environ[i];
    qsort(chosen, count, sizeof *chosen, by_text);
    tell_texts(fact, chosen, count);
    ad_free(chosen);
    return AD_OK;
}

static const struct {
    const char *what;
    void (*tell)(struct fact *fact);
    const char *advice;
} facts[] = {
    {"its version of Weir", tell_version, NULL},
    {"the instruction set, on which bits depend", tell_isa,
     "the variable WEIR_ISA, set to the lesser one for all of them, makes them alike"},
    {"what multiplies matrices, on which bits depend", tell_products, "take machines of one kind"},
    {"the size of the L2 cache, on which the order of sums depends", tell_cache, "take machines of one kind"},
};

ad_status identity_check(const ad_communicator *ranks, int count, char **words, ad_error *error)
{
    ad_status status = AD_OK;
    for (size_t i = 0; !status && i < sizeof facts / sizeof *facts; i++) {
        struct fact own = {.hash = FINGERPRINT_OF_NOTHING};
        facts[i].tell(&own);
        status = compare(ranks, &own, facts[i].what, facts[i].advice, error);
    }
    struct fact line = {.hash = FINGERPRINT_OF_NOTHING}, variables = {.hash = FINGERPRINT_OF_NOTHING};
    tell_texts(&line, words, (size_t)count);
    if (!status)
        status = compare(ranks, &line, "its command line",
                         "--no-mpi, before the command, is for runs that have nothing to do with each other", error);
    if (!status) status = tell_variables(&variables, error);
    if (!status) status = compare(ranks, &variables, "the variables of its environment", NULL, error);
    return status;
}

/* ---- Files ----------------------------------------------------------------------------------------------------- */

/* A path may be none, but values: then it is nothing on all ranks. */
static void tell_file(struct fact *fact, const char *path)
{
    char text[160];
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    uint64_t hash = FINGERPRINT_OF_NOTHING;
    if (fd < 0 || fstat(fd, &about))
        snprintf(text, sizeof text, "%s", strerror(errno));
    else if (!S_ISREG(about.st_mode))
        snprintf(text, sizeof text, "no regular file");
    else if (!fingerprint_file(fd, (uint64_t)about.st_size, &hash))
        snprintf(text, sizeof text, "unreadable: %s", strerror(errno));
    else
        snprintf(text, sizeof text, "%jd bytes, samples %08" PRIx32, (intmax_t)about.st_size, (uint32_t)hash);
    if (fd >= 0) close(fd);
    fact->hash = hash;
    tell(fact, text);
}

/* Standard input comes to the first rank only, and what is read from a pipe is gone for the others. */
static ad_status refuse_streams(const ad_communicator *ranks, const char *path, ad_error *error)
{
    struct stat about;
    const bool is_standard = strcmp(path, "/dev/stdin") == 0;
    int stream = is_standard || (stat(path, &about) == 0 && S_ISFIFO(about.st_mode));
    ad_status status = ranks->broadcast(ranks, &stream, sizeof stream, 0, error);
    if (status || !stream) return status;
    return ad_error_set(error, AD_ERROR_ARGUMENT, "%s: %d ranks read it, which takes a file that each of them can open",
                        is_standard ? "-" : path, ranks->size);
}

ad_status identity_check_files(const ad_communicator *ranks, const char *const *files, size_t count, ad_error *error)
{
    ad_status status = AD_OK;
    for (size_t i = 0; !status && i < count; i++) {
        char what[400];
        struct fact own = {.hash = FINGERPRINT_OF_NOTHING};
        status = refuse_streams(ranks, files[i], error);
        if (status) break;
        tell_file(&own, files[i]);
        snprintf(what, sizeof what, "the file '%.300s'", files[i]);
        status = compare(ranks, &own, what, "each needs the same file under this name", error);
    }
    return status;
}
