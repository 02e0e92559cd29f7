/* Whole files: read into memory, or written and put in their place when complete. */
#include "files/place.h"
#include "files/table.h"

#include <weir/file.h>
#include <weir/memory.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* ---- Reading ------------------------------------------------------------------------------------------------- */

static ad_status read_all(int fd, char **data, size_t *bytes)
{
    struct stat about;
    size_t filled = 0, capacity = 1 << 16;
    /* Room for the NUL, and for one byte more, so that the end is seen before the buffer is full. A file may be longer
     * than memory can be. */
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && about.st_size > 0 && about.st_size < PTRDIFF_MAX / 2)
        capacity = (size_t)about.st_size + 2;
    char *buffer = ad_alloc(capacity, 1);
    while (buffer) {
        ssize_t got = read(fd, buffer + filled, capacity - 1 - filled);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            int reason = errno;
            ad_free(buffer);
            errno = reason;
            return AD_ERROR_IO;
        }
        if (got == 0) {
            buffer[filled] = '\0';
            *data = buffer;
            *bytes = filled;
            return AD_OK;
        }
        filled += (size_t)got;
        if (filled < capacity - 1) continue;
        char *larger = ad_realloc(buffer, capacity, 2);
        if (!larger) ad_free(buffer);
        buffer = larger;
        capacity *= 2;
    }
    return AD_ERROR_MEMORY;
}

ad_status nf_file_read(const char *path, char **data, size_t *bytes, ad_error *error)
{
    if (data) *data = NULL;
    if (bytes) *bytes = 0;
    const char *missing = !path ? "path" : !data ? "data" : !bytes ? "bytes" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "read: %s is NULL", missing);
    int fd;
    while ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0 && errno == EINTR) {
    }
    if (fd < 0) return ad_error_set(error, AD_ERROR_IO, "cannot open '%s': %s", path, strerror(errno));
    ad_status status = read_all(fd, data, bytes);
    if (status == AD_ERROR_IO) ad_error_set(error, status, "cannot read '%s': %s", path, strerror(errno));
    if (status == AD_ERROR_MEMORY) ad_error_set(error, status, "no memory to read '%s'", path);
    close(fd);
    return status;
}

/* ---- Writing ------------------------------------------------------------------------------------------------- */

struct nf_file {
    int fd;
    int failure;         /* errno of the first write that failed */
    char path[PATH_MAX]; /* as asked for, for messages */
    bool direct;         /* written to as it is, not anew */
    nf__place place;
    bool written; /* all of it: from here on it is compared */
    off_t compared;
    size_t filled;
    char buffer[1 << 16];
};

/* The descriptor that a path such as /dev/stdout or /dev/fd/3 names, or -1. Opening the path anew would begin at the
 * start of a file that others are writing to as well. */
static int descriptor_of(const char *path)
{
    int fd, length = 0;
    if (strcmp(path, "/dev/stdout") == 0) return STDOUT_FILENO;
    if (strcmp(path, "/dev/stderr") == 0) return STDERR_FILENO;
    bool named =
        sscanf(path, "/dev/fd/%9d%n", &fd, &length) == 1 || sscanf(path, "/proc/self/fd/%9d%n", &fd, &length) == 1;
    return named && path[length] == '\0' ? fd : -1;
}

/* Open what is no ordinary file, to be written to directly. A pipe that nobody reads from would keep the caller waiting
 * for ever, so that opening it doesn't wait; writing does. Returns the descriptor, or -1 with errno. */
static int open_directly(const char *path)
{
    int fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);
    if (flags >= 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0) return fd;
    int reason = errno;
    if (fd >= 0) close(fd);
    errno = reason;
    return -1;
}

static ad_status cannot_create(const char *path, ad_error *error)
{
    const int reason = errno;
    struct stat about;
    if (reason == ENXIO && stat(path, &about) == 0 && S_ISFIFO(about.st_mode))
        return ad_error_set(error, AD_ERROR_IO,
                            "cannot create '%s': nobody reads from this pipe; start its reader first, as in 'cat %s &'",
                            path, path);
    return ad_error_set(error, AD_ERROR_IO, "cannot create '%s': %s", path, strerror(reason));
}

/* Sets file->fd. */
static ad_status open_target(nf_file *file, ad_error *error)
{
    struct stat old;
    const int descriptor = descriptor_of(file->path);
    const bool exists = descriptor < 0 && stat(file->path, &old) == 0;
    if (descriptor < 0 && !exists && errno != ENOENT) return cannot_create(file->path, error);
    file->direct = descriptor >= 0 || (exists && !S_ISREG(old.st_mode));
    if (!file->direct) return nf__place_open(&file->place, file->path, exists ? &old : NULL, &file->fd, error);
    file->fd = descriptor >= 0 ? fcntl(descriptor, F_DUPFD_CLOEXEC, 0) : open_directly(file->path);
    return file->fd < 0 ? cannot_create(file->path, error) : AD_OK;
}

ad_status nf_file_create(const char *path, nf_file **created, ad_error *error)
{
    const char *missing = !path ? "path" : !created ? "file" : NULL;
    if (created) *created = NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "write: %s is NULL", missing);
    nf_file *file = ad_alloc(1, sizeof *file);
    if (!file) return ad_error_set(error, AD_ERROR_MEMORY, "no memory to write '%s'", path);
    errno = ENAMETOOLONG;
    ad_status status = snprintf(file->path, sizeof file->path, "%s", path) < (int)sizeof file->path
                           ? open_target(file, error)
                           : cannot_create(path, error);
    if (status)
        ad_free(file);
    else
        *created = file;
    return status;
}

static void write_through(nf_file *file, const char *data, size_t bytes)
{
    while (bytes > 0 && !file->failure) {
        ssize_t written = write(file->fd, data, bytes);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0 && errno == EAGAIN && poll(&(struct pollfd){file->fd, POLLOUT, 0}, 1, -1) >= 0) continue;
        if (written <= 0) {
            file->failure = written < 0 ? errno : EIO;
            return;
        }
        data += written;
        bytes -= (size_t)written;
    }
}

static void flush(nf_file *file)
{
    write_through(file, file->buffer, file->filled);
    file->filled = 0;
}

/* All is written, and on the disk. */
static void finish(nf_file *file)
{
    flush(file);
    if (!file->failure && !file->direct) file->failure = nf__place_sync(file->fd);
    file->written = true;
}

/* Compare with what the file has at this place. */
static void compare(nf_file *file, const char *data, size_t bytes)
{
    while (bytes > 0 && !file->failure) {
        size_t most = bytes < sizeof file->buffer ? bytes : sizeof file->buffer;
        ssize_t got = pread(file->fd, file->buffer, most, file->compared);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0 || memcmp(file->buffer, data, (size_t)got) != 0) {
            file->failure = got < 0 ? errno : EIO;
            return;
        }
        data += got;
        bytes -= (size_t)got;
        file->compared += got;
    }
}

void nf_file_write(nf_file *file, const void *data, size_t bytes)
{
    if (!file || bytes == 0) return;
    if (!data) file->failure = EFAULT;
    if (file->failure) return;
    if (file->written) {
        if (!file->direct) compare(file, data, bytes);
        return;
    }
    if (bytes > sizeof file->buffer - file->filled) flush(file);
    if (bytes > sizeof file->buffer) {
        write_through(file, data, bytes);
        return;
    }
    memcpy(file->buffer + file->filled, data, bytes);
    file->filled += bytes;
}

void nf_file_write_at(nf_file *file, uint64_t offset, const void *data, size_t bytes)
{
    const char *at = data;
    if (!file || bytes == 0 || file->failure) return;
    flush(file);
    if (!data || file->direct || file->written) file->failure = data ? ESPIPE : EFAULT;
    while (bytes > 0 && !file->failure) {
        ssize_t written = pwrite(file->fd, at, bytes, (off_t)offset);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) file->failure = written < 0 ? errno : EIO;
        if (written <= 0) return;
        at += written;
        offset += (uint64_t)written;
        bytes -= (size_t)written;
    }
}

ad_status nf__file_check(const nf_file *file, ad_error *error)
{
    if (!file->failure) return AD_OK;
    return ad_error_set(error, AD_ERROR_IO, "cannot write '%s': %s", file->path, strerror(file->failure));
}

bool nf__file_is_direct(const nf_file *file)
{
    return file->direct;
}

ad_status nf__file_check_room(const nf_file *file, double bytes, ad_error *error)
{
    struct statvfs disk;
    if (file->direct || fstatvfs(file->fd, &disk) != 0) return AD_OK;
    const double room = (double)disk.f_bfree * (double)disk.f_frsize; /* with what root alone may use */
    if (bytes <= room) return AD_OK;
    return ad_error_set(error, AD_ERROR_IO,
                        "cannot write '%s': it takes at least %.3f GB, and its disk has %.3f GB free", file->path,
                        bytes / 1e9, room / 1e9);
}

static bool is_compared(const nf_file *file)
{
    struct stat about;
    return fstat(file->fd, &about) == 0 && about.st_size == file->compared;
}

/* From the disk, as far as the system can be asked for it, and not from its memory. */
void nf_file_read_back(nf_file *file)
{
    if (!file) return;
    finish(file);
    if (!file->failure && !file->direct) (void)posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED);
}

ad_status nf_file_commit(nf_file *file, ad_error *error)
{
    if (!file) return ad_error_set(error, AD_ERROR_ARGUMENT, "write: file is NULL");
    ad_status status = AD_OK;
    bool taken = false;
    if (!file->written)
        finish(file);
    else if (!file->failure && !file->direct && !is_compared(file))
        file->failure = EIO;
    if (!file->failure && !file->direct) file->failure = nf__place_take(&file->place, file->fd, &taken);
    if (!taken) nf__place_leave(&file->place);
    /* What is to be on the disk is there already. */
    if (close(file->fd) != 0 && !file->failure && file->direct && errno != EINTR) file->failure = errno;
    if (file->failure && taken)
        status = ad_error_set(error, AD_ERROR_IO, "'%s' is written, but may not outlive a power cut: its directory: %s",
                              file->path, strerror(file->failure));
    else
        status = nf__file_check(file, error);
    ad_free(file);
    return status;
}

void nf_file_abort(nf_file *file)
{
    if (!file) return;
    nf__place_leave(&file->place);
    close(file->fd);
    ad_free(file);
}
