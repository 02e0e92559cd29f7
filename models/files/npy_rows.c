/* Rows of a .npy file, read when they are needed. They are read and not mapped: of a mapped file that another program
 * cuts short, the process would be ended by a signal. */
#include "files/npy.h"

#include <weir/memory.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct nf_npy {
    int fd;
    char *path;
    nf__npy_format format;
    struct stat about; /* when it was opened */
};

/* ---- Opening ------------------------------------------------------------------------------------------------- */

static ad_status io_failed(const nf_npy *npy, const char *what, ad_error *error)
{
    return ad_error_set(error, AD_ERROR_IO, "cannot %s '%s': %s", what, npy->path, strerror(errno));
}

/* So many bytes from there, fewer only at the file's end; -1: errno says why. */
static ssize_t read_at(int fd, char *to, size_t bytes, off_t from)
{
    size_t filled = 0;
    while (filled < bytes) {
        const ssize_t got = pread(fd, to + filled, bytes - filled, from + (off_t)filled);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -1;
        if (got == 0) break;
        filled += (size_t)got;
    }
    return (ssize_t)filled;
}

static ad_status read_format(nf_npy *npy, ad_error *error)
{
    enum { MOST_HEADER = 1 << 20 };
    const uint64_t size = (uint64_t)npy->about.st_size;
    const size_t wanted = size < MOST_HEADER ? (size_t)size : MOST_HEADER;
    char *begin = ad_alloc(wanted + 1, 1);
    if (!begin) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the header of '%s'", npy->path);
    const ssize_t got = read_at(npy->fd, begin, wanted, 0);
    const ad_status status = got < 0 ? io_failed(npy, "read", error)
                                     : nf__npy_format_of(npy->path, begin, (size_t)got, size, &npy->format, error);
    ad_free(begin);
    return status;
}

static ad_status open_file(nf_npy *npy, ad_error *error)
{
    while ((npy->fd = open(npy->path, O_RDONLY | O_CLOEXEC)) < 0 && errno == EINTR) {
    }
    if (npy->fd < 0) return io_failed(npy, "open", error);
    if (fstat(npy->fd, &npy->about) != 0) return io_failed(npy, "look at", error);
    if (!S_ISREG(npy->about.st_mode))
        return ad_error_set(error, AD_ERROR_IO, "'%s' is no ordinary file, whose rows can be read in any order",
                            npy->path);
    return read_format(npy, error);
}

nf_npy *nf_npy_open(const char *path, ad_error *error)
{
    if (!path) {
        ad_error_set(error, AD_ERROR_ARGUMENT, "open: path is NULL");
        return NULL;
    }
    nf_npy *npy = ad_alloc(1, sizeof *npy);
    if (npy) npy->fd = -1;
    if (npy) npy->path = ad_strdup(path);
    if (!npy || !npy->path)
        ad_error_set(error, AD_ERROR_MEMORY, "no memory to open '%s'", path);
    else if (!open_file(npy, error))
        return npy;
    nf_npy_close(npy);
    return NULL;
}

void nf_npy_close(nf_npy *npy)
{
    if (!npy) return;
    if (npy->fd >= 0) close(npy->fd);
    ad_free(npy->path);
    ad_free(npy);
}

size_t nf_npy_rows(const nf_npy *npy)
{
    return npy ? npy->format.rows : 0;
}

size_t nf_npy_columns(const nf_npy *npy)
{
    return npy ? npy->format.columns : 0;
}

ad_shape nf_npy_event(const nf_npy *npy)
{
    return npy ? npy->format.event : (ad_shape){0};
}

ad_dtype nf_npy_dtype(const nf_npy *npy)
{
    return npy ? nf__npy_dtype(npy->format.element) : AD_F64;
}

/* ---- Reading ------------------------------------------------------------------------------------------------- */

static ad_status changed(const nf_npy *npy, ad_error *error)
{
    return ad_error_set(error, AD_ERROR_IO,
                        "'%s' was changed by another program while it was read; start again once it is complete",
                        npy->path);
}

/* Where an element begins, which may be beyond what a size_t counts, in bytes. */
static off_t place_of(const nf_npy *npy, size_t element)
{
    return (off_t)npy->format.begin + (off_t)element * (off_t)npy->format.element.size;
}

static ad_status read_elements(const nf_npy *npy, size_t first, size_t count, char *to, ad_error *error)
{
    const size_t size = npy->format.element.size;
    const ssize_t got = read_at(npy->fd, to, count * size, place_of(npy, first));
    if (got < 0) return io_failed(npy, "read", error);
    return (size_t)got == count * size ? AD_OK : changed(npy, error);
}

/* The elements are read to the end of the place of the numbers, which take as many bytes or more. */
static ad_status read_rows(const nf_npy *npy, size_t first, size_t rows, double *values, ad_error *error)
{
    const size_t columns = npy->format.columns, count = rows * columns;
    char *at = (char *)(values + count) - count * npy->format.element.size;
    const ad_status status = read_elements(npy, first * columns, count, at, error);
    if (!status) nf__npy_decode(npy->format.element, at, count, values, 1);
    return status;
}

static ad_status read_columns(const nf_npy *npy, size_t first, size_t rows, double *values, ad_error *error)
{
    const size_t columns = npy->format.columns;
    char *column = ad_alloc(rows, npy->format.element.size);
    ad_status status = column ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "no memory to read %zu rows", rows);
    for (size_t c = 0; c < columns && !status; c++) {
        status = read_elements(npy, c * npy->format.rows + first, rows, column, error);
        if (!status) nf__npy_decode(npy->format.element, column, rows, values + c, columns);
    }
    ad_free(column);
    return status;
}

ad_status nf_npy_read(const nf_npy *npy, size_t first, size_t rows, double *values, ad_error *error)
{
    const char *missing = !npy ? "npy" : rows && !values ? "values" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "read: %s is NULL", missing);
    if (first > npy->format.rows || rows > npy->format.rows - first)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "read: '%s' has %zu rows; expected none beyond, got %zu from %zu",
                            npy->path, npy->format.rows, rows, first);
    return npy->format.fortran_order ? read_columns(npy, first, rows, values, error)
                                     : read_rows(npy, first, rows, values, error);
}

void nf_npy_will_read(const nf_npy *npy, size_t first, size_t rows)
{
    if (!npy || first >= npy->format.rows) return;
    const nf__npy_format *format = &npy->format;
    const size_t size = format->element.size, runs = format->fortran_order ? format->columns : 1;
    const size_t of_row = format->fortran_order ? 1 : format->columns;
    for (size_t c = 0; c < runs; c++)
        posix_fadvise(npy->fd, place_of(npy, c * format->rows + first * of_row), (off_t)(rows * of_row * size),
                      POSIX_FADV_WILLNEED);
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

ad_status nf_npy_check(const nf_npy *npy, ad_error *error)
{
    struct stat now;
    if (!npy) return ad_error_set(error, AD_ERROR_ARGUMENT, "check: npy is NULL");
    if (fstat(npy->fd, &now) != 0) return io_failed(npy, "look at", error);
    const bool same = now.st_size == npy->about.st_size && same_time(now.st_mtim, npy->about.st_mtim);
    return same ? AD_OK : changed(npy, error);
}
