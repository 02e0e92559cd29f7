/* Texts of a table's columns: hashed while they come, sorted at the end. */
#include "files/labels.h"

#include <weir/memory.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct text {
    size_t at, length; /* in the characters */
    uint64_t hash;
};

struct column {
    struct text *texts;
    size_t count, capacity;
    size_t *slots; /* one more than a text's number, or 0; a power of two of them, at most half of them taken */
    size_t slot_count;
};

struct nf__labels {
    size_t columns;
    struct column *column; /* [columns] */
    char *characters;      /* of all texts, each ended by a NUL */
    size_t filled, capacity;
};

nf__labels *nf__labels_new(size_t columns)
{
    nf__labels *labels = ad_alloc(1, sizeof *labels);
    if (!labels) return NULL;
    labels->columns = columns;
    labels->column = ad_alloc(columns, sizeof *labels->column);
    if (labels->column) return labels;
    ad_free(labels);
    return NULL;
}

void nf__labels_free(nf__labels *labels)
{
    if (!labels) return;
    for (size_t c = 0; c < labels->columns; c++) {
        ad_free(labels->column[c].texts);
        ad_free(labels->column[c].slots);
    }
    ad_free(labels->column);
    ad_free(labels->characters);
    ad_free(labels);
}

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv, whose low bits are mixed well. */
static uint64_t hash_of(const char *text, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3;
    return hash;
}

/* The slot of this text, or the one where it belongs. */
static size_t *find_slot(const nf__labels *labels, const struct column *column, const char *text, size_t length,
                         uint64_t hash)
{
    size_t mask = column->slot_count - 1;
    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        if (column->slots[i] == 0) return &column->slots[i];
        const struct text *other = &column->texts[column->slots[i] - 1];
        if (other->hash == hash && other->length == length && memcmp(labels->characters + other->at, text, length) == 0)
            return &column->slots[i];
    }
}

static bool make_room(nf__labels *labels, struct column *column, size_t length)
{
    if (column->count == column->capacity) {
        size_t capacity = column->capacity ? 2 * column->capacity : 8;
        struct text *texts = ad_realloc(column->texts, capacity, sizeof *texts);
        if (!texts) return false;
        column->texts = texts;
        column->capacity = capacity;
    }
    if (2 * column->count >= column->slot_count) {
        size_t slot_count = column->slot_count ? 2 * column->slot_count : 16;
        size_t *slots = ad_alloc(slot_count, sizeof *slots);
        if (!slots) return false;
        ad_free(column->slots);
        column->slots = slots;
        column->slot_count = slot_count;
        for (size_t i = 0; i < column->count; i++) {
            const struct text *text = &column->texts[i];
            *find_slot(labels, column, labels->characters + text->at, text->length, text->hash) = i + 1;
        }
    }
    if (labels->capacity - labels->filled <= length) {
        size_t capacity = 2 * labels->capacity + length + 64;
        char *characters = ad_realloc(labels->characters, capacity, 1);
        if (!characters) return false;
        labels->characters = characters;
        labels->capacity = capacity;
    }
    return true;
}

bool nf__labels_index(nf__labels *labels, size_t c, const char *text, size_t length, size_t *index)
{
    struct column *column = &labels->column[c];
    if (!make_room(labels, column, length)) return false;
    uint64_t hash = hash_of(text, length);
    size_t *slot = find_slot(labels, column, text, length, hash);
    if (*slot == 0) {
        column->texts[column->count++] = (struct text){labels->filled, length, hash};
        memcpy(labels->characters + labels->filled, text, length);
        labels->filled += length;
        labels->characters[labels->filled++] = '\0';
        *slot = column->count;
    }
    *index = *slot - 1;
    return true;
}

/* ---- Sorting --------------------------------------------------------------------------------------------------- */

struct ranked {
    const char *text;
    size_t index;
};

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct ranked *)a)->text, ((const struct ranked *)b)->text);
}

/* Sort a column's texts into the list; ranks[index]: where text number `index` went. */
static void sort_column(const char *characters, const struct column *column, struct ranked *ranked, size_t *ranks,
                        char **list)
{
    for (size_t i = 0; i < column->count; i++) ranked[i] = (struct ranked){characters + column->texts[i].at, i};
    qsort(ranked, column->count, sizeof *ranked, by_text);
    for (size_t i = 0; i < column->count; i++) {
        list[i] = (char *)ranked[i].text;
        ranks[ranked[i].index] = i;
    }
}

bool nf__labels_finish(const nf__labels *labels, nf_table *table)
{
    size_t most = 0, pointers = labels->columns;
    for (size_t c = 0; c < labels->columns; c++) {
        size_t count = labels->column[c].count;
        if (count > most) most = count;
        if (count > 0) pointers += count + 1;
    }
    struct ranked *ranked = ad_alloc(most, sizeof *ranked);
    size_t *ranks = ad_alloc(most, sizeof *ranks);
    /* The lists of columns, the columns' lists, and the texts. A char *** is as long as a char **. */
    char ***lists = ad_alloc(pointers * sizeof *lists + labels->filled, 1);
    if (ranked && ranks && lists) {
        char **list = (char **)(lists + labels->columns), *characters = (char *)(lists + pointers);
        memcpy(characters, labels->characters, labels->filled);
        for (size_t c = 0; c < labels->columns; c++) {
            const struct column *column = &labels->column[c];
            if (column->count == 0) continue;
            lists[c] = list;
            sort_column(characters, column, ranked, ranks, list);
            list += column->count + 1;
            for (double *value = table->values + c, *end = value + table->rows * table->columns; value < end;
                 value += table->columns)
                if (!isnan(*value)) *value = (double)ranks[(size_t)*value];
        }
        table->labels = lists;
    }
    ad_free(ranks);
    ad_free(ranked);
    return table->labels != NULL;
}
