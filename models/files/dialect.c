/* What separates the fields of a .csv file: commas, unless its first lines are better read otherwise. */
#include "files/dialect.h"

#include <string.h>

enum { LINES = 20 };

/* How the first lines look with a delimiter. */
struct look {
    size_t columns;         /* of the first */
    size_t lines, alike;    /* how many there are, and how many of them have as many columns */
    size_t fields, numbers; /* of the lines behind the first */
};

/* A fault is told when the file is read: here it is none of a table. */
static struct look look_at(nf__reader reader, char delimiter)
{
    struct look look = {0};
    ad_error ignored;
    reader.delimiter = delimiter;
    reader.decimal = delimiter == ',' ? '.' : 0;
    reader.error = &ignored;
    for (; look.lines < LINES && nf__find_line(&reader); look.lines++) {
        nf__field field;
        size_t columns = 0;
        do {
            if (nf__read_field(&reader, columns + 1, &field)) return (struct look){0};
            columns++;
            if (look.lines == 0) continue;
            look.fields++;
            look.numbers += field.is_number;
        } while (!field.last);
        if (look.lines == 0) look.columns = columns;
        look.alike += columns == look.columns;
    }
    return look;
}

static bool is_table(const struct look *look)
{
    return look->columns > 1 && 2 * look->alike > look->lines;
}

/* Is a larger part of a's fields numbers? */
static bool more_numeric(const struct look *a, const struct look *b)
{
    return (double)a->numbers * (double)b->fields > (double)b->numbers * (double)a->fields;
}

char nf__find_delimiter(const nf__reader *reader)
{
    static const char others[] = ";\t";
    char best = ',';
    struct look best_look = look_at(*reader, best);
    for (const char *other = others; *other; other++) {
        struct look look = look_at(*reader, *other);
        if (!is_table(&look) || (is_table(&best_look) && !more_numeric(&look, &best_look))) continue;
        best = *other;
        best_look = look;
    }
    return best;
}
