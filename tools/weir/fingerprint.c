/* Files that a command reads, known again. */
#include "fingerprint.h"
#include "files.h"
#include "report.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* FNV-1a of samples at fixed places, the first and the last bytes among them. */
static uint64_t hash_of(int fd, uint64_t bytes)
{
    enum { SAMPLES = 64, SAMPLE = 1 << 14 };
    static unsigned char sample[SAMPLE];
    uint64_t state = 0xcbf29ce484222325;
    const uint64_t last = bytes > SAMPLE ? bytes - SAMPLE : 0;
    for (uint64_t i = 0; i < SAMPLES; i++) {
        const ssize_t got =
            pread(fd, sample, SAMPLE, (off_t)(last / (SAMPLES - 1) * i + last % (SAMPLES - 1) * i / (SAMPLES - 1)));
        for (ssize_t k = 0; k < got; k++) state = (state ^ sample[k]) * 0x100000001b3;
        if (last == 0) break;
    }
    return state;
}

/* NULL of what is no ordinary file, or can't be read: who reads it will tell. */
static json_t *fingerprint(const char *path)
{
    struct stat about;
    if (stat(path, &about) != 0 || !S_ISREG(about.st_mode)) return NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return NULL;
    char digits[17];
    snprintf(digits, sizeof digits, "%016" PRIx64, hash_of(fd, (uint64_t)about.st_size));
    close(fd);
    return json_pack("{s:I, s:s}", "bytes", (json_int_t)about.st_size, "hash", digits);
}

json_t *fingerprints_of(const struct arguments *arguments)
{
    const char *files[MOST_FILES];
    const size_t count = files_of(arguments, INPUT_FILE, files);
    json_t *all = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *one = fingerprint(files[i]);
        json_array_append_new(all, one ? one : json_null());
    }
    return all;
}

ad_status fingerprints_check(const struct arguments *arguments, const json_t *files, const char *directory,
                             ad_error *error)
{
    const char *inputs[MOST_FILES];
    const size_t count = files_of(arguments, INPUT_FILE, inputs);
    for (size_t i = 0; i < count; i++) {
        const json_t *before = json_array_get(files, i);
        json_t *now = fingerprint(inputs[i]);
        const bool same = !json_is_object(before) || json_equal(before, (json_t *)now);
        const long long bytes = report_count_of(now, "bytes");
        const bool found = now != NULL;
        json_decref(now);
        if (same) continue;
        if (!found)
            return ad_error_set(error, AD_ERROR_IO, "cannot read '%.300s', which it began with in '%.300s'", inputs[i],
                                directory);
        return ad_error_set(
            error, AD_ERROR_ARGUMENT,
            "'%.300s' is another file than it began with: %s; bits would change: bring that back, or "
            "begin anew",
            inputs[i], bytes == report_count_of(before, "bytes") ? "its contents are others" : "its size is another");
    }
    return AD_OK;
}
