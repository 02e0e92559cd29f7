/* Files that a command reads, known again. */
#include "fingerprint.h"
#include "files.h"
#include "report.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t fingerprint_bytes(uint64_t state, const void *bytes, size_t count)
{
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < count; i++) state = (state ^ byte[i]) * UINT64_C(0x100000001b3);
    return state;
}

bool fingerprint_file(int fd, uint64_t size, uint64_t *state)
{
    enum { SAMPLES = 64, SAMPLE = 1 << 14 };
    unsigned char sample[SAMPLE];
    const uint64_t last = size > SAMPLE ? size - SAMPLE : 0;
    for (uint64_t i = 0; i < SAMPLES; i++) {
        const uint64_t at = last / (SAMPLES - 1) * i + last % (SAMPLES - 1) * i / (SAMPLES - 1);
        const ssize_t got = pread(fd, sample, SAMPLE, (off_t)at);
        if (got < 0) return false;
        *state = fingerprint_bytes(*state, sample, (size_t)got);
        if (last == 0) break;
    }
    return true;
}

/* NULL of what is no ordinary file, or can't be read: who reads it will tell. */
static json_t *fingerprint(const char *path)
{
    struct stat about;
    uint64_t hash = FINGERPRINT_OF_NOTHING;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return NULL;
    const bool known =
        fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && fingerprint_file(fd, (uint64_t)about.st_size, &hash);
    close(fd);
    if (!known) return NULL;
    char digits[17];
    snprintf(digits, sizeof digits, "%016" PRIx64, hash);
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
