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

static bool is_told(const json_t *column)
{
    return strcmp(report_text_of(column, "kind"), nf_column_kind_name(NF_COLUMN_REAL)) != 0 ||
           report_number_of(column, "missing") != 0;
}

/* How many from this one on are told the same of: the pixels of an image. */
static size_t count_alike(const json_t *list, size_t first)
{
    const char *why = report_text_of(json_array_get(list, first), "why");
    size_t next = first + 1;
    while (next < json_array_size(list) && strcmp(report_text_of(json_array_get(list, next), "why"), why) == 0) next++;
    return next - first;
}

static void print_list(const json_t *list, const char *title, FILE *to)
{
    static const char blank[] = "";
    enum { MANY = 3, MOST = 24 };
    const json_t *column;
    size_t i, widest = 0;
    json_array_foreach(list, i, column) widest =
        (size_t)fmax((double)widest, (double)strlen(report_text_of(column, "name")));
    for (i = 0; i < json_array_size(list);) {
        column = json_array_get(list, i);
        const size_t alike = count_alike(list, i), count = alike > MANY ? alike : 1;
        char name[256];
        snprintf(name, sizeof name, "%.100s%s%.100s", report_text_of(column, "name"), count > 1 ? " … " : "",
                 count > 1 ? report_text_of(json_array_get(list, i + count - 1), "name") : "");
        if (is_told(column)) {
            fprintf(to, "%-11s %-*s  %s\n", title, (int)(widest < MOST ? widest : MOST), name,
                    report_text_of(column, "why"));
            title = blank;
        }
        i += count;
    }
}

void describe_print(const json_t *result, FILE *to)
{
    print_list(json_object_get(result, "column_kinds"), "columns", to);
    print_list(json_object_get(result, "context_column_kinds"), "context", to);
}
