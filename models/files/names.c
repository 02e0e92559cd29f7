/* Names of columns: from the fields of a line to a table, where no two are the same. */
#include "files/excerpt.h"
#include "files/header.h"
#include "files/table.h"

#include <weir/memory.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUFFIX = 24 }; /* bytes for a point and a number */

/* Pointers and text in one block, with room for a suffix behind each, or NULL. */
static char **copy_names(const nf__field *fields, size_t count)
{
    size_t bytes = count * sizeof(char *);
    for (size_t i = 0; i < count; i++) bytes += fields[i].length + 1 + SUFFIX;
    char **names = ad_alloc(bytes, 1);
    if (!names) return NULL;
    char *text = (char *)(names + count);
    for (size_t i = 0; i < count; i++) {
        names[i] = text;
        text += nf__field_copy(&fields[i], text) + 1 + SUFFIX;
    }
    return names;
}

/* ---- Names that are given twice ---------------------------------------------------------------------------------- */

struct place {
    const char *name;
    size_t column;
};

static int by_name(const void *a, const void *b)
{
    const struct place *first = a, *second = b;
    int order = strcmp(first->name, second->name);
    return order ? order : first->column < second->column ? -1 : first->column > second->column;
}

static int find_name(const void *name, const void *place)
{
    return strcmp(name, ((const struct place *)place)->name);
}

/* The places are sorted by names. No two new names are the same: without the last point and what is behind it they are
 * what they were. room is for one. */
static ad_status rename_later(const nf__reader *reader, size_t line, nf_table *table, const struct place *places,
                              char *room)
{
    enum { TOLD = 3 };
    size_t count = table->columns, renamed = 0;
    for (size_t first = 0, next; first < count; first = next) {
        size_t number = 2;
        const char *name = places[first].name;
        for (next = first + 1; next < count && strcmp(places[next].name, name) == 0; next++) {
            if (name[0] == '\0') continue; /* there is none */
            do sprintf(room, "%s.%zu", name, number++);
            while (bsearch(room, places, count, sizeof *places, find_name));
            strcpy(table->names[places[next].column], room);
            if (++renamed > TOLD) continue;
            bool told =
                nf__table_remark(table, "%s:%zu: columns %zu and %zu are both named '%s'; the later is called '%s'",
                                 reader->path, line, places[first].column + 1, places[next].column + 1,
                                 nf__excerpt_of(name, strlen(name)).text, nf__excerpt_of(room, strlen(room)).text);
            if (!told) return nf__reader_no_memory(reader);
        }
    }
    if (renamed <= TOLD) return AD_OK;
    bool told = nf__table_remark(table, "%s:%zu: so it is with %zu columns more", reader->path, line, renamed - TOLD);
    return told ? AD_OK : nf__reader_no_memory(reader);
}

static ad_status tell_apart(const nf__reader *reader, size_t line, const nf__field *fields, nf_table *table)
{
    size_t longest = 0;
    char **given = copy_names(fields, table->columns);
    struct place *places = ad_alloc(table->columns, sizeof *places);
    for (size_t c = 0; c < table->columns; c++) longest = fields[c].length > longest ? fields[c].length : longest;
    char *room = ad_alloc(longest + 1 + SUFFIX, 1);
    ad_status status = given && places && room ? AD_OK : nf__reader_no_memory(reader);
    if (!status) {
        for (size_t c = 0; c < table->columns; c++) places[c] = (struct place){given[c], c};
        qsort(places, table->columns, sizeof *places, by_name);
        status = rename_later(reader, line, table, places, room);
    }
    ad_free(room);
    ad_free(places);
    ad_free(given);
    return status;
}

ad_status nf__take_names(const nf__reader *reader, size_t line, const nf__field *fields, nf_table *table)
{
    for (size_t c = 0; c < table->columns; c++) {
        ad_status status = nf__field_check_text(reader, line, c + 1, &fields[c]);
        if (status) return status;
    }
    table->names = copy_names(fields, table->columns);
    return table->names ? tell_apart(reader, line, fields, table) : nf__reader_no_memory(reader);
}
