/* For tests: golden files whose lines are numbers and names with commas between them. */
#ifndef WEIR_TESTS_GOLDEN_LINES_H
#define WEIR_TESTS_GOLDEN_LINES_H

#include "scratch.h"

#include <stdio.h>

/* One line being read, from left to right. */
typedef struct {
    const char *file;
    size_t line;
    char *at;
} reader;

static inline char *next_field(reader *r)
{
    char *field = r->at, *end = field + strcspn(field, ",\n");
    ck_assert_msg(end > field, "%s:%zu ends too early", r->file, r->line);
    r->at = end + (*end != '\0');
    *end = '\0';
    return field;
}

static inline double next_number(reader *r)
{
    char *end, *field = next_field(r);
    double number = strtod(field, &end);
    ck_assert_msg(*end == '\0', "%s:%zu: '%s'", r->file, r->line, field);
    return number;
}

/* To be freed. */
static inline double *next_numbers(reader *r, size_t count)
{
    double *number = malloc((count + 1) * sizeof *number);
    for (size_t i = 0; i < count; i++) number[i] = next_number(r);
    return number;
}

/* Each line of a file of tests/golden, of which there must be some. */
static inline void check_lines(const char *name, void (*check)(reader *r))
{
    FILE *file = fopen(golden_path(name).text, "r");
    ck_assert_ptr_nonnull(file);
    char *line = NULL;
    size_t room = 0;
    reader r = {.file = name};
    while (getline(&line, &room, file) > 0) {
        r.at = line;
        r.line++;
        check(&r);
    }
    ck_assert_uint_gt(r.line, 0);
    free(line);
    fclose(file);
}

#endif
