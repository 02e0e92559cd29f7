#include "fuzz.h"

#include <weir/file.h>
#include <weir/memory.h>

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fuzz_require(bool holds, const char *property)
{
    if (holds) return;
    fprintf(stderr, "fuzz: does not hold: %s\n", property);
    abort();
}

void fuzz_check_error(const ad_error *error)
{
    const char *message = error->message;
    fuzz_require(error->status > AD_OK && error->status <= AD_ERROR_INTERRUPTED, "an error has a status");
    fuzz_require(memchr(message, '\0', sizeof error->message) != NULL, "a message ends");
    fuzz_require(*message != '\0', "an error has a message");
    for (; *message; message++)
        fuzz_require(strchr("\n\t", *message) || ((unsigned char)*message >= ' ' && *message != 0x7f),
                     "a message has no control characters");
}

char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    fuzz_require(text != NULL, "there is memory for the text");
    if (size > 0) memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

enum { MOST_BYTES = 32 << 20 };
static _Atomic size_t in_use;

static void *reallocate(void *old, size_t bytes)
{
    size_t before = old ? malloc_usable_size(old) : 0;
    if (bytes > MOST_BYTES || in_use - before > MOST_BYTES - bytes) return NULL;
    void *memory = realloc(old, bytes);
    if (memory) in_use += malloc_usable_size(memory) - before;
    return memory;
}

static void *allocate(size_t bytes)
{
    return reallocate(NULL, bytes);
}

static void release(void *memory)
{
    if (memory) in_use -= malloc_usable_size(memory);
    free(memory);
}

void fuzz_limit_memory(void)
{
    static bool limited;
    if (!limited) ad_set_allocator(&(ad_allocator){allocate, reallocate, release});
    limited = true;
}

/* ---- Files ------------------------------------------------------------------------------------------------------- */

static char folder[64], used[4][128];
static size_t count;

static void remove_folder(void)
{
    for (size_t i = 0; i < count; i++) unlink(used[i]);
    rmdir(folder);
}

const char *fuzz_path(const char *name)
{
    if (!*folder) {
        /* In memory, where there is such a place: a file is on its disk before the next input is tried. */
        strcpy(folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm/weir-fuzz-XXXXXX" : "/tmp/weir-fuzz-XXXXXX");
        fuzz_require(mkdtemp(folder) != NULL, "there is a folder for files");
        atexit(remove_folder);
    }
    char path[sizeof *used];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (size_t i = 0; i < count; i++)
        if (strcmp(used[i], path) == 0) return used[i];
    fuzz_require(count < sizeof used / sizeof *used, "a target has four files or fewer");
    strcpy(used[count], path);
    return used[count++];
}

void fuzz_write(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "w");
    fuzz_require(file && fwrite(data, 1, size, file) == size && fclose(file) == 0, "the input's file can be written");
}

bool fuzz_same_files(const char *a, const char *b)
{
    char *first, *second;
    size_t first_bytes, second_bytes;
    fuzz_require(nf_file_read(a, &first, &first_bytes, NULL) == AD_OK, "the first file can be read");
    fuzz_require(nf_file_read(b, &second, &second_bytes, NULL) == AD_OK, "the second file can be read");
    bool same = first_bytes == second_bytes && memcmp(first, second, first_bytes) == 0;
    ad_free(first);
    ad_free(second);
    return same;
}
