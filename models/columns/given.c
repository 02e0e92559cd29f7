/* What a user says of columns: "income:positive, share:[0,1], children:count, \"a, b\":category". */
#include "columns/learn.h"

#include <weir/memory.h>

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const kinds_text =
    "real, positive, [0,1], (0,inf), integer, count, integer[1,5], category, angle, angle(360), drop, auto";

struct reader {
    const char *at;
    const nf_columns *columns;
    locale_t c_locale;
    ad_error *error;
};

static void skip_blanks(struct reader *reader)
{
    while (*reader->at == ' ' || *reader->at == '\t' || *reader->at == '\n') reader->at++;
}

/* ---- Names ----------------------------------------------------------------------------------------------------- */

/* A name up to the colon, without blanks around it, or in quotes, of which two stand for one; into `name`, which has
 * room for all of the text. */
static ad_status read_name(struct reader *reader, char *name)
{
    char *to = name;
    skip_blanks(reader);
    const char *begin = reader->at;
    if (*reader->at == '"') {
        while (*++reader->at && (*reader->at != '"' || *++reader->at == '"')) *to++ = *reader->at;
        if (reader->at[-1] != '"' || to == name)
            return ad_error_set(reader->error, AD_ERROR_ARGUMENT, "columns: a name's quote is never closed: %s", begin);
    } else {
        while (*reader->at && *reader->at != ':' && *reader->at != ',') *to++ = *reader->at++;
        while (to > name && to[-1] == ' ') to--;
    }
    *to = '\0';
    skip_blanks(reader);
    if (*reader->at == ':' && to > name) {
        reader->at++;
        return AD_OK;
    }
    return ad_error_set(reader->error, AD_ERROR_ARGUMENT,
                        "columns: '%s' has no kind; expected is NAME:KIND, …, where KIND is one of %s", name,
                        kinds_text);
}

static void list_names(const nf_columns *columns, char *text, size_t size)
{
    size_t used = 0;
    for (size_t c = 0; c < columns->count && used < size; c++) {
        const char *name = columns->column[c].face.name;
        int more = name ? snprintf(text + used, size - used, "%s%s", c ? ", " : "", name)
                        : snprintf(text + used, size - used, "%s%zu", c ? ", " : "", c + 1);
        used += (size_t)more;
    }
}

static ad_status find_column(const struct reader *reader, const char *name, size_t *c)
{
    const nf_columns *columns = reader->columns;
    for (*c = 0; *c < columns->count; ++*c)
        if (columns->column[*c].face.name && strcmp(columns->column[*c].face.name, name) == 0) return AD_OK;
    char *end;
    unsigned long number = strtoul(name, &end, 10);
    if (*name >= '0' && *name <= '9' && !*end && number >= 1 && number <= columns->count) {
        *c = number - 1;
        return AD_OK;
    }
    char known[400];
    list_names(columns, known, sizeof known);
    return ad_error_set(reader->error, AD_ERROR_ARGUMENT, "columns: there is no '%s'; there are: %s", name, known);
}

/* ---- Kinds ----------------------------------------------------------------------------------------------------- */

static bool take(const char **at, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(*at, word, length) != 0) return false;
    *at += length;
    return true;
}

static bool take_number(const struct reader *reader, const char **at, double *number)
{
    char *end;
    while (**at == ' ') ++*at;
    *number = strtod_l(*at, &end, reader->c_locale);
    bool there = end > *at && !isnan(*number);
    *at = end;
    while (**at == ' ') ++*at;
    return there;
}

/* [a,b], with either bracket for either end, into low, high, closed_low and closed_high. */
static bool take_interval(const struct reader *reader, const char **at, nf__given *given)
{
    if (**at != '[' && **at != '(') return false;
    given->closed_low = *(*at)++ == '[';
    if (!take_number(reader, at, &given->low) || *(*at)++ != ',' || !take_number(reader, at, &given->high))
        return false;
    given->closed_high = **at == ']';
    if (**at != ']' && **at != ')') return false;
    ++*at;
    return given->low < given->high;
}

/* Whole numbers for ends, which belong to it. */
static bool is_range(const nf__given *given)
{
    return isfinite(given->low) && given->closed_low && given->low == floor(given->low) &&
           (isinf(given->high) || (given->closed_high && given->high == floor(given->high)));
}

static bool read_kind(const struct reader *reader, const char *text, nf__given *given)
{
    static const struct {
        const char *name;
        nf__request request;
        double low, high;
    } words[] = {
        {"auto", NF__AUTO, 0, 0},
        {"real", NF__INTERVAL, -INFINITY, INFINITY},
        {"positive", NF__INTERVAL, 0, INFINITY},
        {"integer", NF__INTEGER, -INFINITY, INFINITY},
        {"count", NF__INTEGER, 0, INFINITY},
        {"category", NF__CATEGORY, 0, 0},
        {"angle", NF__ANGLE, 0, 0},
        {"drop", NF__DROP, 0, 0},
    };
    const char *at = text;
    if (take_interval(reader, &at, given)) {
        given->request = NF__INTERVAL;
        /* Infinite ends are open, however they are written; what is bounded above alone has no map. */
        given->closed_low = given->closed_low && isfinite(given->low);
        given->closed_high = given->closed_high && isfinite(given->high);
        return !*at && (isfinite(given->low) || !isfinite(given->high));
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        at = text;
        if (!take(&at, words[i].name)) continue;
        given->request = words[i].request;
        given->low = words[i].low;
        given->high = words[i].high;
        if (given->request == NF__ANGLE && take(&at, "("))
            return take_number(reader, &at, &given->period) && given->period > 0 && isfinite(given->period) &&
                   take(&at, ")") && !*at;
        if (given->request == NF__INTEGER && *at == '[')
            return take_interval(reader, &at, given) && !*at && is_range(given);
        if (!*at) return true;
    }
    return false;
}

static ad_status read_one(struct reader *reader, char *room, nf__given *all)
{
    char text[160];
    size_t c;
    ad_status status = read_name(reader, room);
    if (!status) status = find_column(reader, room, &c);
    if (status) return status;
    nf__given *given = &all[c];
    if (given->text[0])
        return ad_error_set(reader->error, AD_ERROR_ARGUMENT, "columns: %s is there twice",
                            nf__column_text(reader->columns, c, text));
    skip_blanks(reader);
    const char *begin = reader->at, *end;
    for (int depth = 0; *reader->at && (depth > 0 || *reader->at != ','); reader->at++)
        depth += (*reader->at == '[' || *reader->at == '(') - (*reader->at == ']' || *reader->at == ')');
    for (end = reader->at; end > begin && end[-1] == ' '; end--) {
    }
    snprintf(given->text, sizeof given->text, "%.*s", (int)(end - begin), begin);
    if ((size_t)(end - begin) >= sizeof given->text || !read_kind(reader, given->text, given))
        return ad_error_set(reader->error, AD_ERROR_ARGUMENT, "columns: '%.*s' of %s is no kind; known are %s",
                            (int)(end - begin), begin, nf__column_text(reader->columns, c, text), kinds_text);
    return AD_OK;
}

ad_status nf__given_parse(const char *text, const nf_columns *columns, nf__given **given, ad_error *error)
{
    struct reader reader = {.at = text ? text : "", .columns = columns, .error = error};
    char *room = ad_alloc(strlen(reader.at) + 1, 1);
    ad_status status = AD_OK;
    *given = ad_alloc(columns->count + 1, sizeof **given);
    reader.c_locale = newlocale(LC_ALL_MASK, "C", NULL);
    if (!room || !*given || !reader.c_locale)
        status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu columns", columns->count);
    skip_blanks(&reader);
    while (!status && *reader.at) {
        status = read_one(&reader, room, *given);
        if (*reader.at == ',') reader.at++;
        skip_blanks(&reader);
    }
    if (reader.c_locale) freelocale(reader.c_locale);
    ad_free(room);
    if (!status) return AD_OK;
    ad_free(*given);
    *given = NULL;
    return status;
}
