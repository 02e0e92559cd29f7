/* For tests, to be preloaded: one call of a program fails, or ends the process. WEIR_FAILING is WHAT:FIRST:HOW:LASTS.
 *
 *   WHAT   system (calls of the system that open, write, name, look at or close files), memory (allocations), or the
 *          name of one of those calls
 *   FIRST  the number of the call that fails, from 1 on
 *   HOW    "count": none fails, and their number is what the file at the end holds; an errno; "kill", the process,
 *          before the call; "lie": what is written is another byte, and success is told
 *   LASTS  one: this call alone; all: those behind it too
 *
 * Where it did that, the file that WEIR_FAILED names is made. Calls that the C library makes by itself aren't seen, but
 * for allocations. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

static struct {
    char what[32];
    long first;
    int reason; /* an errno */
    bool kill, lie, lasts, count;
    atomic_long calls;
} plan;

static long tell(void)
{
    const char *told = getenv("WEIR_FAILED");
    return told ? syscall(SYS_openat, AT_FDCWD, told, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
}

static bool tell_and_fail(void)
{
    syscall(SYS_close, tell());
    if (plan.kill) syscall(SYS_kill, getpid(), SIGKILL);
    errno = plan.reason;
    return true;
}

/* Is this call to fail? */
static bool fails(const char *kind, const char *name)
{
    if (!plan.first || (strcmp(plan.what, kind) != 0 && strcmp(plan.what, name) != 0)) return false;
    if (plan.lasts && strcmp(name, "unlink") == 0) return false; /* what is cleared away then isn't looked for */
    long number = ++plan.calls;
    if (plan.count) return false;
    return (plan.lasts ? number >= plan.first : number == plan.first) && tell_and_fail();
}

__attribute__((constructor)) static void read_plan(void)
{
    char text[128], *at = text, *part[4] = {NULL};
    const char *given = getenv("WEIR_FAILING");
    if (!given || strlen(given) >= sizeof text) return;
    strcpy(text, given);
    for (int i = 0; i < 4; i++) part[i] = strsep(&at, ":");
    if (!part[3] || strlen(part[0]) >= sizeof plan.what) return;
    strcpy(plan.what, part[0]);
    plan.reason = atoi(part[2]);
    plan.count = strcmp(part[2], "count") == 0;
    plan.kill = strcmp(part[2], "kill") == 0;
    plan.lie = strcmp(part[2], "lie") == 0;
    plan.lasts = strcmp(part[3], "all") == 0;
    plan.first = atol(part[1]);
}

__attribute__((destructor)) static void tell_count(void)
{
    char text[24];
    if (!plan.count) return;
    long fd = tell(), length = snprintf(text, sizeof text, "%ld\n", (long)plan.calls);
    syscall(SYS_write, fd, text, length);
    syscall(SYS_close, fd);
}

/* ---- Allocations ---------------------------------------------------------------------------------------------- */

void *malloc(size_t bytes)
{
    return fails("memory", "malloc") ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t size)
{
    return fails("memory", "calloc") ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t bytes)
{
    return fails("memory", "realloc") ? NULL : __libc_realloc(old, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    return fails("memory", "aligned_alloc") ? NULL : __libc_memalign(alignment, bytes);
}

int posix_memalign(void **memory, size_t alignment, size_t bytes)
{
    if (fails("memory", "posix_memalign")) return ENOMEM;
    *memory = __libc_memalign(alignment, bytes);
    return *memory ? 0 : ENOMEM;
}

/* ---- Calls of the system --------------------------------------------------------------------------------------- */

static int open_in(int directory, const char *path, int flags, va_list rest)
{
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? (mode_t)va_arg(rest, int) : 0;
    return fails("system", "open") ? -1 : (int)syscall(SYS_openat, directory, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    int fd = open_in(AT_FDCWD, path, flags, rest);
    va_end(rest);
    return fd;
}

int openat(int directory, const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    int fd = open_in(directory, path, flags, rest);
    va_end(rest);
    return fd;
}

/* The last byte, as a bit on the way might flip. */
ssize_t write(int fd, const void *data, size_t bytes)
{
    if (!fails("system", "write")) return (ssize_t)syscall(SYS_write, fd, data, bytes);
    if (!plan.lie || !bytes) return -1;
    const char wrong = (char)(((const char *)data)[bytes - 1] ^ 1);
    if (bytes > 1) syscall(SYS_write, fd, data, bytes - 1);
    return (ssize_t)(bytes - 1) + (ssize_t)syscall(SYS_write, fd, &wrong, 1);
}

/* The descriptor is closed even so, as Linux does. */
int close(int fd)
{
    bool failed = fails("system", "close");
    int reason = errno, result = (int)syscall(SYS_close, fd);
    if (failed) errno = reason;
    return failed ? -1 : result;
}

#define CALL(type, name, parameters, call)                                                                             \
    type name parameters                                                                                               \
    {                                                                                                                  \
        return fails("system", #name) ? -1 : (type)(call);                                                             \
    }

CALL(int, fsync, (int fd), syscall(SYS_fsync, fd))
CALL(int, fdatasync, (int fd), syscall(SYS_fdatasync, fd))
CALL(int, ftruncate, (int fd, off_t size), syscall(SYS_ftruncate, fd, size))
CALL(int, linkat, (int from, const char *old, int to, const char *new, int flags),
     syscall(SYS_linkat, from, old, to, new, flags))
CALL(int, rename, (const char *old, const char *new), syscall(SYS_renameat2, AT_FDCWD, old, AT_FDCWD, new, 0))
CALL(int, unlink, (const char *path), syscall(SYS_unlinkat, AT_FDCWD, path, 0))
CALL(int, fchmod, (int fd, mode_t mode), syscall(SYS_fchmod, fd, mode))
CALL(int, fchown, (int fd, uid_t user, gid_t group), syscall(SYS_fchown, fd, user, group))
CALL(int, flock, (int fd, int operation), syscall(SYS_flock, fd, operation))
CALL(ssize_t, read, (int fd, void *data, size_t bytes), syscall(SYS_read, fd, data, bytes))
CALL(ssize_t, pread, (int fd, void *data, size_t bytes, off_t from), syscall(SYS_pread64, fd, data, bytes, from))
CALL(ssize_t, readlink, (const char *path, char *text, size_t size),
     syscall(SYS_readlinkat, AT_FDCWD, path, text, size))
CALL(ssize_t, getxattr, (const char *path, const char *name, void *value, size_t size),
     syscall(SYS_getxattr, path, name, value, size))
CALL(ssize_t, fgetxattr, (int fd, const char *name, void *value, size_t size),
     syscall(SYS_fgetxattr, fd, name, value, size))
CALL(int, fsetxattr, (int fd, const char *name, const void *value, size_t size, int flags),
     syscall(SYS_fsetxattr, fd, name, value, size, flags))

CALL(int, fremovexattr, (int fd, const char *name), syscall(SYS_fremovexattr, fd, name))
CALL(int, access, (const char *path, int mode), syscall(SYS_faccessat, AT_FDCWD, path, mode))

/* These the system has in other forms, and the C library's own are called. With 64-bit offsets they go by other names.
 */
#define PASS(name, symbol, parameters, arguments)                                                                      \
    int name parameters                                                                                                \
    {                                                                                                                  \
        int(*own) parameters;                                                                                          \
        *(void **)&own = dlsym(RTLD_NEXT, symbol);                                                                     \
        return fails("system", #name) ? -1 : own arguments;                                                            \
    }

PASS(stat, "stat64", (const char *path, struct stat *about), (path, about))
PASS(lstat, "lstat64", (const char *path, struct stat *about), (path, about))
PASS(fstat, "fstat64", (int fd, struct stat *about), (fd, about))
PASS(faccessat, "faccessat", (int directory, const char *path, int mode, int flags), (directory, path, mode, flags))
