/* For tests: files that are written whole or not at all. */
#ifndef WEIR_TESTS_MODELS_FILE_TOOLS_H
#define WEIR_TESTS_MODELS_FILE_TOOLS_H

#include "models/data_tools.h"

#include <sys/stat.h>

static inline nf_file *create(const char *path)
{
    nf_file *file;
    ck_assert_msg(nf_file_create(path, &file, &error) == AD_OK, "%s", error.message);
    return file;
}

static inline void write_text(const char *path, const char *text)
{
    nf_file *file = create(path);
    nf_file_write(file, text, strlen(text));
    ck_assert_msg(nf_file_commit(file, &error) == AD_OK, "%s", error.message);
}

static inline void assert_content(const char *path, const char *expected)
{
    char text[256];
    slurp(path, text, sizeof text);
    ck_assert_str_eq(text, expected);
}

static inline mode_t mode_of(const char *path)
{
    struct stat about;
    ck_assert_int_eq(lstat(path, &about), 0);
    return about.st_mode & (S_IFMT | 07777);
}

#endif
