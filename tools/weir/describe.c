/* What is told of the kinds of columns. */
#include "describe.h"
#include "report.h"

#include <math.h>
#include <string.h>

static json_t *describe(const nf_columns *columns)
{
    json_t *list = json_array();
    for (size_t c = 0; c < nf_columns_count(columns); c++) {
        const nf_column *column = nf_columns_column(columns, c);
        char number[32];
        snprintf(number, sizeof number, "%zu", c + 1);
        json_array_append_new(list, json_pack("{s:o, s:s, s:o, s:o}", "name",
                                              report_text(column->name ? column->name : number), "kind",
                                              nf_column_kind_name(column->kind), "why", report_text(column->why),
                                              "missing", report_number(column->missing)));
    }
    return list;
}

void describe_columns(json_t *result, const nf_columns *features, const nf_columns *given)
{
    if (features) json_object_set_new(result, "column_kinds", describe(features));
    if (given) json_object_set_new(result, "context_column_kinds", describe(given));
}

static void print_list(const json_t *list, const char *title, FILE *to)
{
    static const char blank[] = "";
    const json_t *column;
    size_t i, widest = 0;
    json_array_foreach(list, i, column) widest =
        (size_t)fmax((double)widest, (double)strlen(report_text_of(column, "name")));
    json_array_foreach(list, i, column)
    {
        bool plain = strcmp(report_text_of(column, "kind"), nf_column_kind_name(NF_COLUMN_REAL)) == 0 &&
                     report_number_of(column, "missing") == 0;
        if (plain) continue;
        fprintf(to, "%-11s %-*s  %s\n", title, (int)(widest < 24 ? widest : 24), report_text_of(column, "name"),
                report_text_of(column, "why"));
        title = blank;
    }
}

void describe_print(const json_t *result, FILE *to)
{
    print_list(json_object_get(result, "column_kinds"), "columns", to);
    print_list(json_object_get(result, "context_column_kinds"), "context", to);
}
