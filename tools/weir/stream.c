/* Rows of a .npy file that are read when they are needed. */
#include "stream.h"
#include "model.h"

#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* The columns of one role, of rows of the file: (rows, count). */
static void select_columns(const double *file, size_t columns, size_t rows, const size_t *column, size_t count,
                           double *to)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < count; i++) to[r * count + i] = file[r * columns + column[i]];
}

/* As features; of plain columns the values are that. */
static ad_status encode(const struct stream *s, const nf_columns *columns, const nf_table *part, size_t epoch,
                        double *to, ad_error *error)
{
    ad_error why;
    if (!columns || (s->plain && columns == s->roles->features)) {
        memcpy(to, part->values, part->rows * part->columns * sizeof *to);
        return AD_OK;
    }
    if (!nf_columns_encode_part(columns, part, s->seed, epoch, to, &why)) return AD_OK;
    return ad_error_set(error, why.status, "%s: %.900s; say with --columns what it is, if this is right", s->path,
                        why.message);
}

static ad_status read_rows(void *data, size_t epoch, size_t first, size_t rows, double *x, double *context,
                           ad_error *error)
{
    const struct stream *s = data;
    const struct roles *roles = s->roles;
    const size_t columns = nf_npy_columns(s->npy);
    double *file = ad_alloc(rows, 2 * columns * sizeof *file), *some = file ? file + rows * columns : NULL;
    if (!file) return ad_error_set(error, AD_ERROR_MEMORY, "no memory to read %zu rows", rows);
    ad_status status = nf_npy_read(s->npy, first, rows, file, error);
    const struct {
        const nf_table *like;
        const size_t *place;
        const nf_columns *columns;
        double *to;
    } part[] = {{&roles->table, roles->place, roles->features, x},
                {&roles->conditions, roles->condition_place, roles->given, context}};
    for (int i = 0; i < 2 && !status; i++) {
        if (!part[i].to) continue;
        nf_table selected = *part[i].like;
        selected.first_row = first;
        selected.rows = rows;
        selected.values = some;
        select_columns(file, columns, rows, part[i].place, selected.columns, some);
        status = encode(s, part[i].columns, &selected, epoch, part[i].to, error);
    }
    ad_free(file);
    return status;
}

static void will_read_rows(void *data, size_t first, size_t rows)
{
    nf_npy_will_read(((const struct stream *)data)->npy, first, rows);
}

static ad_status check_rows(void *data, ad_error *error)
{
    return nf_npy_check(((const struct stream *)data)->npy, error);
}

bool stream_is_worth_it(const char *path)
{
    const off_t least = (off_t)64 << 20;
    struct stat about;
    const char *dot = strrchr(path, '.');
    return dot && strcasecmp(dot, ".npy") == 0 && stat(path, &about) == 0 && S_ISREG(about.st_mode) &&
           about.st_size > least;
}

void stream_begin(struct stream *s, nf_npy *npy, const char *path, const struct roles *roles, uint64_t seed)
{
    *s = (struct stream){.npy = npy,
                         .path = path,
                         .roles = roles,
                         .plain = !roles->features || columns_plain(roles->features),
                         .seed = seed,
                         .rows = {nf_npy_rows(npy), s, read_rows, will_read_rows, check_rows}};
}

void stream_end(struct stream *s)
{
    nf_npy_close(s->npy);
    *s = (struct stream){0};
}
