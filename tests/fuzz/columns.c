/* What a table's columns are: text that begins with a brace is that of a model's record, and other text is what a user
 * says of them. Columns that are read are written as text that is read as the same, and what their features decode to
 * has the density of a row. */
#include "fuzz.h"

#include <weir/columns.h>
#include <weir/memory.h>

#include <stdlib.h>
#include <string.h>

enum { ROWS = 6, COLUMNS = 4, FEW_FEATURES = 64 };

static nf_columns *learn(const char *given, bool context, ad_error *error)
{
    static double values[ROWS * COLUMNS] = {0.5,  1, 0, 20, 0.25, 3, 1, 181, 0.125, 2, 0, 300,
                                            0.75, 1, 1, 9,  0.5,  5, 1, 0.5, 1,     8, 0, 77};
    static char *names[COLUMNS] = {"share", "count", "city", "angle"};
    static char *cities[] = {"Oslo", "Rome", NULL}, **labels[COLUMNS] = {NULL, NULL, cities, NULL};
    const nf_table table = {.rows = ROWS, .columns = COLUMNS, .values = values, .names = names, .labels = labels};
    return nf_columns_learn(&table, given, &(nf_columns_options){.context = context}, error);
}

static void decode(const nf_columns *columns)
{
    static const double features[FEW_FEATURES] = {0.25, -1, 3, 0.5, -7};
    ad_error error;
    nf_table table;
    if (nf_columns_is_context(columns) || nf_columns_features(columns) > FEW_FEATURES) return;
    if (nf_columns_decode(columns, features, 1, &table, &error)) {
        fuzz_check_error(&error);
        return;
    }
    if (table.columns == nf_columns_count(columns) && nf_columns_check(columns, &table, "row", &error))
        fuzz_check_error(&error);
    nf_table_free(&table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ad_error error;
    char *text = fuzz_text(data, size);
    bool context = size > 0 && text[0] == '!';
    nf_columns *columns = text[0] == '{' ? nf_columns_parse(text, &error) : learn(text + context, context, &error);
    free(text);
    if (!columns) {
        fuzz_check_error(&error);
        return 0;
    }
    char *written = nf_columns_text(columns, &error), name[128];
    fuzz_require(written != NULL, "columns have a text");
    nf_columns *copy = nf_columns_parse(written, &error);
    fuzz_require(copy != NULL, "the text of columns is one");
    char *again = nf_columns_text(copy, &error);
    fuzz_require(again && strcmp(written, again) == 0, "the text of columns is read as the same columns");
    for (size_t i = 0; i < nf_columns_features(columns) && i < FEW_FEATURES; i++)
        fuzz_require(strlen(nf_columns_feature_name(columns, i, name)) < sizeof name, "a feature's name ends");
    decode(columns);
    ad_free(again);
    ad_free(written);
    nf_columns_free(copy);
    nf_columns_free(columns);
    return 0;
}
