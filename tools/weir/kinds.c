/* What a user says of the kinds of columns. */
#include "kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Reading --------------------------------------------------------------------------------------------------- */

struct item {
    const char *name; /* as it is written, without quotes around it */
    size_t length;
    bool quoted; /* two quotes in it stand for one */
    const char *kind;
    size_t kind_length;
    const char *next; /* behind the item and its comma */
};

/* The item at the front; false: it isn't one. */
static bool read_item(const char *text, struct item *item)
{
    while (*text == ' ') text++;
    item->quoted = *text == '"';
    item->name = text + item->quoted;
    const char *at = item->name;
    if (item->quoted) {
        while (*at && (*at != '"' || at[1] == '"')) at += *at == '"' ? 2 : 1;
        item->length = (size_t)(at - item->name);
        if (*at) at++;
        while (*at == ' ') at++;
    } else {
        at += strcspn(at, ":,");
        item->length = (size_t)(at - item->name);
        while (item->length > 0 && item->name[item->length - 1] == ' ') item->length--;
    }
    if (*at != ':' || item->length == 0) return false;
    item->kind = ++at;
    for (int depth = 0; *at && (depth > 0 || *at != ','); at++)
        depth += (*at == '[' || *at == '(') - (*at == ']' || *at == ')');
    item->kind_length = (size_t)(at - item->kind);
    item->next = at + (*at == ',');
    return true;
}

static bool is_name(const struct item *item, const char *name)
{
    size_t i = 0;
    for (; i < item->length && *name && item->name[i] == *name; name++) i += item->quoted && *name == '"' ? 2 : 1;
    return i == item->length && !*name;
}

/* SIZE_MAX: there is no such column. */
static size_t column_of(const struct item *item, const nf_table *file)
{
    for (size_t c = 0; file->names && c < file->columns; c++)
        if (is_name(item, file->names[c])) return c;
    char *end;
    unsigned long number = strtoul(item->name, &end, 10);
    bool whole = end == item->name + item->length && *item->name >= '0' && *item->name <= '9';
    return whole && number >= 1 && number <= file->columns ? number - 1 : SIZE_MAX;
}

bool kinds_names(const char *text, const nf_table *file, size_t column)
{
    struct item item;
    for (const char *at = text; at && *at && read_item(at, &item); at = item.next)
        if (column_of(&item, file) == column) return true;
    return false;
}

/* ---- Writing --------------------------------------------------------------------------------------------------- */

static void put_name(FILE *to, const nf_table *file, size_t column, size_t place)
{
    if (!file->names) {
        fprintf(to, "%zu", place + 1);
        return;
    }
    fputc('"', to);
    for (const char *at = file->names[column]; *at; at++) fprintf(to, *at == '"' ? "\"\"" : "%c", *at);
    fputc('"', to);
}

static size_t place_of(const size_t *columns, size_t count, size_t column)
{
    size_t i = 0;
    while (i < count && columns[i] != column) i++;
    return i;
}

ad_status kinds_split(const char *text, const nf_table *file, const size_t *features, size_t n_features,
                      const size_t *conditions, size_t n_conditions, const size_t *dropped, size_t n_dropped,
                      struct kinds *kinds, ad_error *error)
{
    size_t bytes[2];
    FILE *to[] = {open_memstream(&kinds->features, bytes), open_memstream(&kinds->conditions, bytes + 1)};
    struct item item;
    const char *at = text ? text : "";
    for (; to[0] && to[1] && *at && read_item(at, &item); at = item.next) {
        size_t column = column_of(&item, file), place = place_of(conditions, n_conditions, column);
        bool given = place < n_conditions;
        if (!given) place = place_of(features, n_features, column);
        if (!given && place == n_features) break;
        put_name(to[given], file, column, place);
        fprintf(to[given], ":%.*s,", (int)item.kind_length, item.kind);
    }
    for (size_t i = 0; to[0] && i < n_dropped; i++) {
        put_name(to[0], file, dropped[i], place_of(features, n_features, dropped[i]));
        fprintf(to[0], ":drop,");
    }
    if (to[0]) fprintf(to[0], "%s", at);
    bool written = to[0] && to[1];
    for (size_t i = 0; i < 2; i++)
        if (to[i] && fclose(to[i])) written = false;
    return written ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "no memory for the kinds of columns");
}

void kinds_free(struct kinds *kinds)
{
    free(kinds->features);
    free(kinds->conditions);
}
