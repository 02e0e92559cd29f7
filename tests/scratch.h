/* For tests: a directory of files that is gone afterwards, and allocations that fail. */
#ifndef WEIR_TESTS_SCRATCH_H
#define WEIR_TESTS_SCRATCH_H

#include <weir/autodiff.h>

#include <check.h>
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Files --------------------------------------------------------------------------------------------------- */

static char scratch[64];

/* For tcase_add_checked_fixture(). */
static inline void scratch_begin(void)
{
    strcpy(scratch, "/tmp/weir-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scratch));
}

/* Number of files in the directory, which are removed if asked. */
static inline int scratch_files(bool remove)
{
    int count = 0;
    DIR *directory = opendir(scratch);
    ck_assert_ptr_nonnull(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        count++;
        if (remove) ck_assert_int_eq(unlinkat(dirfd(directory), entry->d_name, 0), 0);
    }
    closedir(directory);
    return count;
}

static inline void scratch_end(void)
{
    scratch_files(true);
    ck_assert_int_eq(rmdir(scratch), 0);
}

typedef struct {
    char text[PATH_MAX];
} file_path;

/* Without a directory that would be a file of the root's. */
static inline file_path scratch_path(const char *name)
{
    file_path path;
    ck_assert_str_ne(scratch, "");
    snprintf(path.text, sizeof path.text, "%s/%s", scratch, name);
    return path;
}

static inline file_path golden_path(const char *name)
{
    file_path path;
    snprintf(path.text, sizeof path.text, "%s/%s", WEIR_GOLDEN_DIR, name);
    return path;
}

static inline file_path scratch_write(const char *name, const void *data, size_t bytes)
{
    file_path path = scratch_path(name);
    unlink(path.text); /* truncating an old file is slow on ext4, which then writes it to the disk */
    FILE *file = fopen(path.text, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, bytes, file), bytes);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

/* Returns the number of bytes, followed by a NUL. */
static inline size_t slurp(const char *path, char *buffer, size_t size)
{
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "cannot open %s", path);
    size_t bytes = fread(buffer, 1, size - 1, file);
    fclose(file);
    buffer[bytes] = '\0';
    return bytes;
}

/* ---- Memory -------------------------------------------------------------------------------------------------- */

static struct {
    size_t allowed;
    bool denied;
} memory;

static inline bool memory_allows(void)
{
    if (memory.allowed > 0) {
        memory.allowed--;
        return true;
    }
    memory.denied = true;
    return false;
}

static inline void *allocate_or_fail(size_t bytes)
{
    return memory_allows() ? malloc(bytes) : NULL;
}

static inline void *reallocate_or_fail(void *old, size_t bytes)
{
    return memory_allows() ? realloc(old, bytes) : NULL;
}

/* Fail every allocation after the first `allowed`; memory.denied tells whether there was one. */
static inline void memory_limit(size_t allowed)
{
    memory.allowed = allowed;
    memory.denied = false;
    ad_set_allocator(&(ad_allocator){allocate_or_fail, reallocate_or_fail, free});
}

static inline void memory_unlimited(void)
{
    ad_set_allocator(NULL);
}

#endif
