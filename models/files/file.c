/* Whole files: read into memory, or written beside their place and moved there when complete. */
#include <weir/file.h>
#include <weir/memory.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Reading ------------------------------------------------------------------------------------------------- */

static ad_status read_all(int fd, char **data, size_t *bytes)
{
    struct stat about;
    size_t filled = 0, capacity = 1 << 16;
    /* Room for the NUL, and for one byte more, so that the end is seen before the buffer is full. */
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && about.st_size > 0) capacity = (size_t)about.st_size + 2;
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
    *data = NULL;
    *bytes = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
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
    int failure;              /* errno of the first write that failed */
    char path[PATH_MAX];      /* as asked for, for messages */
    char target[PATH_MAX];    /* what path leads to; "": written directly */
    char temporary[PATH_MAX]; /* beside the target; "": it has no name yet, or the target is written directly */
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

/* Put what path leads to through symbolic links, where there need not be a file yet, into target. Returns 0 or errno.
 */
static int follow_links(const char *path, char target[PATH_MAX])
{
    enum { MOST_LINKS = 40 }; /* as many as Linux follows */
    if (path[0] == '\0') return ENOENT;
    if (strlen(path) >= PATH_MAX) return ENAMETOOLONG;
    strcpy(target, path);
    for (int i = 0; i <= MOST_LINKS; i++) {
        char link[PATH_MAX], joined[PATH_MAX];
        ssize_t length = readlink(target, link, sizeof link - 1);
        if (length < 0) return errno == EINVAL || errno == ENOENT ? 0 : errno;
        link[length] = '\0';
        const char *slash = strrchr(target, '/');
        size_t directory = link[0] != '/' && slash ? (size_t)(slash + 1 - target) : 0;
        if (directory + (size_t)length >= sizeof joined) return ENAMETOOLONG;
        memcpy(joined, target, directory);
        strcpy(joined + directory, link);
        strcpy(target, joined);
    }
    return ELOOP;
}

/* Temporary name number i, hidden and in the target's directory; false, with errno, when it is too long. */
static bool name_temporary(nf_file *file, unsigned i)
{
    const char *slash = strrchr(file->target, '/');
    const char *name = slash ? slash + 1 : file->target;
    int length = snprintf(file->temporary, sizeof file->temporary, "%.*s.%.200s.%ld-%u", (int)(name - file->target),
                          file->target, name, (long)getpid(), i);
    errno = ENAMETOOLONG;
    return (size_t)length < sizeof file->temporary;
}

enum { MOST_TEMPORARIES = 1000 };

/* Open a new file in the target's directory: one without a name where the file system has such, of which nothing is
 * left whenever the process ends. Otherwise its name is made unique here and not by mkstemp(), which would ignore the
 * umask. */
static int open_beside(nf_file *file, mode_t mode)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(file->target, '/');
    snprintf(directory, sizeof directory, "%.*s.", slash ? (int)(slash + 1 - file->target) : 0, file->target);
    int fd = access("/proc/self/fd", X_OK) == 0 ? open(directory, O_WRONLY | O_TMPFILE | O_CLOEXEC, mode) : -1;
    for (unsigned i = 0; fd < 0 && i < MOST_TEMPORARIES && name_temporary(file, i); i++) {
        fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (fd < 0 && errno != EEXIST) break;
    }
    return fd;
}

/* Give the file that was opened without a name one beside the target. Returns 0 or errno. */
static int link_beside(nf_file *file)
{
    char descriptor[40];
    snprintf(descriptor, sizeof descriptor, "/proc/self/fd/%d", file->fd);
    for (unsigned i = 0; i < MOST_TEMPORARIES && name_temporary(file, i); i++) {
        if (linkat(AT_FDCWD, descriptor, AT_FDCWD, file->temporary, AT_SYMLINK_FOLLOW) == 0) return 0;
        if (errno != EEXIST) break;
    }
    file->temporary[0] = '\0';
    return errno;
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

/* Sets file->fd; on failure it stays -1, with errno. */
static void open_target(nf_file *file)
{
    struct stat old;
    int descriptor = descriptor_of(file->path);
    if (descriptor >= 0) {
        file->fd = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
        return;
    }
    bool exists = stat(file->path, &old) == 0;
    if (!exists && errno != ENOENT) return;
    if (exists && !S_ISREG(old.st_mode)) {
        file->fd = open_directly(file->path);
        return;
    }
    errno = follow_links(file->path, file->target);
    if (errno) return;
    /* A rename would replace a file that may not be written to. */
    if (exists && access(file->target, W_OK) != 0) return;
    file->fd = open_beside(file, exists ? old.st_mode & 0777 : 0666);
    /* What the umask took away; not every file system has permissions to set. */
    if (exists && file->fd >= 0) (void)!fchmod(file->fd, old.st_mode & 0777);
}

ad_status nf_file_create(const char *path, nf_file **created, ad_error *error)
{
    const char *missing = !path ? "path" : !created ? "file" : NULL;
    if (created) *created = NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "write: %s is NULL", missing);
    nf_file *file = ad_alloc(1, sizeof *file);
    if (!file) return ad_error_set(error, AD_ERROR_MEMORY, "no memory to write '%s'", path);
    file->fd = -1;
    errno = ENAMETOOLONG;
    if (snprintf(file->path, sizeof file->path, "%s", path) < (int)sizeof file->path) open_target(file);
    if (file->fd >= 0) {
        *created = file;
        return AD_OK;
    }
    int reason = errno;
    ad_free(file);
    struct stat about;
    if (reason == ENXIO && stat(path, &about) == 0 && S_ISFIFO(about.st_mode))
        return ad_error_set(error, AD_ERROR_IO,
                            "cannot create '%s': nobody reads from this pipe; start its reader first, as in 'cat %s &'",
                            path, path);
    return ad_error_set(error, AD_ERROR_IO, "cannot create '%s': %s", path, strerror(reason));
}

static void write_through(nf_file *file, const char *data, size_t bytes)
{
    while (bytes > 0 && !file->failure) {
        ssize_t written = write(file->fd, data, bytes);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) {
            file->failure = errno;
            return;
        }
        data += written;
        bytes -= (size_t)written;
    }
}

void nf_file_write(nf_file *file, const void *data, size_t bytes)
{
    if (!file || bytes == 0) return;
    if (!data) file->failure = EFAULT;
    if (file->failure) return;
    if (bytes > sizeof file->buffer - file->filled) {
        write_through(file, file->buffer, file->filled);
        file->filled = 0;
    }
    if (bytes > sizeof file->buffer) {
        write_through(file, data, bytes);
        return;
    }
    memcpy(file->buffer + file->filled, data, bytes);
    file->filled += bytes;
}

ad_status nf_file_commit(nf_file *file, ad_error *error)
{
    if (!file) return ad_error_set(error, AD_ERROR_ARGUMENT, "write: file is NULL");
    bool beside = file->target[0] != '\0';
    write_through(file, file->buffer, file->filled);
    if (!file->failure && beside && fsync(file->fd) != 0) file->failure = errno;
    if (!file->failure && beside && !file->temporary[0]) file->failure = link_beside(file);
    if (close(file->fd) != 0 && !file->failure) file->failure = errno;
    if (!file->failure && beside && rename(file->temporary, file->target) != 0) file->failure = errno;
    ad_status status = AD_OK;
    if (file->failure) {
        if (file->temporary[0]) unlink(file->temporary);
        status = ad_error_set(error, AD_ERROR_IO, "cannot write '%s': %s", file->path, strerror(file->failure));
    }
    ad_free(file);
    return status;
}

void nf_file_abort(nf_file *file)
{
    if (!file) return;
    close(file->fd);
    if (file->temporary[0] != '\0') unlink(file->temporary);
    ad_free(file);
}
