/* The place that a file is written to. */
#include "files/place.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* ---- Names ---------------------------------------------------------------------------------------------------- */

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

static const char *name_in(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* As many as can be written at once to one place. */
enum { MOST_TEMPORARIES = 8 };

/* Temporary name number i, or, with errno, "" when it is too long. */
static void name_temporary(nf__place *place, unsigned i)
{
    const char *name = name_in(place->target);
    int length = snprintf(place->temporary, sizeof place->temporary, "%.*s.%.200s.weir-%u", (int)(name - place->target),
                          place->target, name, i);
    errno = ENAMETOOLONG;
    if ((size_t)length >= sizeof place->temporary) place->temporary[0] = '\0';
}

/* The target's directory; "" when its name is too long. */
static void name_directory(const nf__place *place, char directory[PATH_MAX])
{
    int length = (int)(name_in(place->target) - place->target);
    if (snprintf(directory, PATH_MAX, "%.*s.", length, place->target) >= PATH_MAX) directory[0] = '\0';
}

static int open_again(const char *path, int flags, mode_t mode)
{
    int fd;
    while ((fd = open(path, flags | O_CLOEXEC, mode)) < 0 && errno == EINTR) {
    }
    return fd;
}

/* ---- A new file ----------------------------------------------------------------------------------------------- */

static bool is_named(int fd, const char *name)
{
    struct stat opened, named;
    return fstat(fd, &opened) == 0 && lstat(name, &named) == 0 && S_ISREG(opened.st_mode) &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

/* What processes that were killed have left. A name is looked at again once its file is locked: in between its owner
 * may have renamed that, and another taken the name. */
static void remove_rests(nf__place *place)
{
    for (unsigned i = 0; i < MOST_TEMPORARIES; i++) {
        name_temporary(place, i);
        int fd = open_again(place->temporary, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
        if (fd < 0) continue;
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 && is_named(fd, place->temporary)) unlink(place->temporary);
        close(fd);
    }
    place->temporary[0] = '\0';
}

/* A new file's name is made unique here and not by mkstemp(), which would ignore the umask. Between its making and the
 * lock it looks like a rest, and may be removed. */
static int open_named(nf__place *place, mode_t mode)
{
    int fd = -1;
    for (unsigned i = 0; fd < 0 && i < MOST_TEMPORARIES; i++) {
        name_temporary(place, i);
        if (!place->temporary[0]) return -1;
        fd = open_again(place->temporary, O_RDWR | O_CREAT | O_EXCL, mode);
        if (fd < 0 && errno != EEXIST) break;
        if (fd < 0 || (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno != EWOULDBLOCK)) continue; /* or there are no locks */
        if (is_named(fd, place->temporary)) break;
        close(fd);
        fd = -1;
    }
    if (fd < 0) place->temporary[0] = '\0';
    return fd;
}

/* Through /proc a file without a name gets one. */
static int open_new(nf__place *place, mode_t mode)
{
    char directory[PATH_MAX];
    name_directory(place, directory);
    int fd = access("/proc/self/fd", X_OK) == 0 ? open_again(directory, O_RDWR | O_TMPFILE, mode) : -1;
    if (fd < 0) return open_named(place, mode);
    (void)flock(fd, LOCK_EX | LOCK_NB); /* where there are locks */
    return fd;
}

/* Who may do what with the old file. Its list of access includes its permissions; where it has none, one that the
 * directory gives to new files goes. Returns 0 or errno. */
static int keep_access(const nf__place *place, const struct stat *old, int fd)
{
    static const char list[] = "system.posix_acl_access";
    char access[4096];
    struct stat now;
    if (fstat(fd, &now) != 0) return errno;
    if ((now.st_uid != old->st_uid || now.st_gid != old->st_gid) && fchown(fd, old->st_uid, old->st_gid) != 0)
        return errno;
    ssize_t bytes = getxattr(place->target, list, access, sizeof access);
    if (bytes < 0 && errno != ENODATA && errno != EOPNOTSUPP) return errno;
    if (bytes > 0 && fsetxattr(fd, list, access, (size_t)bytes, 0) != 0) return errno;
    if (bytes <= 0 && fgetxattr(fd, list, NULL, 0) > 0 && fremovexattr(fd, list) != 0) return errno;
    if (fstat(fd, &now) != 0) return errno;
    return (now.st_mode ^ old->st_mode) & 0777 && fchmod(fd, old->st_mode & 0777) != 0 ? errno : 0;
}

/* One that another file is mounted on, as containers do it with single files, can't be replaced. */
static bool is_mounted(const nf__place *place)
{
    struct statx about;
    return statx(AT_FDCWD, place->target, AT_SYMLINK_NOFOLLOW, 0, &about) == 0 &&
           about.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

ad_status nf__place_open(nf__place *place, const char *path, const struct stat *old, int *fd, ad_error *error)
{
    const char *what = "";
    place->temporary[0] = '\0';
    *fd = -1;
    int reason = follow_links(path, place->target);
    /* A rename would replace a file that may not be written to. */
    if (!reason && old && faccessat(AT_FDCWD, place->target, W_OK, AT_EACCESS) != 0) reason = errno;
    if (!reason && old && is_mounted(place)) {
        reason = EBUSY;
        what = "another file is mounted there, which can't be replaced: ";
    }
    if (!reason) {
        remove_rests(place);
        *fd = open_new(place, old ? old->st_mode & 0777 : 0666);
        if (*fd < 0) reason = errno;
        if (*fd < 0 && old) what = "no new file can be made in its directory: ";
    }
    if (!reason && old) {
        reason = keep_access(place, old, *fd);
        what =
            "a new file can't be given the old one's owner and permissions; remove that first, or give another name: ";
    }
    if (!reason) return AD_OK;
    if (*fd >= 0) close(*fd);
    nf__place_leave(place);
    return ad_error_set(error, AD_ERROR_IO, "cannot create '%s': %s%s", path, what, strerror(reason));
}

/* ---- In its place --------------------------------------------------------------------------------------------- */

int nf__place_sync(int fd)
{
    int result;
    while ((result = fsync(fd)) != 0 && errno == EINTR) {
    }
    return result == 0 ? 0 : errno;
}

/* A directory that can't be opened, for its user may not read it, can't be synchronised; nor can some file systems'. */
static int sync_directory(const nf__place *place)
{
    char directory[PATH_MAX];
    name_directory(place, directory);
    int fd = open_again(directory, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) return errno == EACCES ? 0 : errno;
    int failure = nf__place_sync(fd);
    close(fd);
    return failure == EINVAL ? 0 : failure;
}

/* Give the file that was opened without a name the target's, or, where that is taken, one beside it. */
static int give_name(nf__place *place, int fd)
{
    char unnamed[40];
    snprintf(unnamed, sizeof unnamed, "/proc/self/fd/%d", fd);
    if (linkat(AT_FDCWD, unnamed, AT_FDCWD, place->target, AT_SYMLINK_FOLLOW) == 0) return 0;
    for (unsigned i = 0; errno == EEXIST && i < MOST_TEMPORARIES; i++) {
        name_temporary(place, i);
        if (!place->temporary[0]) break;
        if (linkat(AT_FDCWD, unnamed, AT_FDCWD, place->temporary, AT_SYMLINK_FOLLOW) == 0) return 0;
    }
    place->temporary[0] = '\0';
    return errno;
}

int nf__place_take(nf__place *place, int fd, bool *taken)
{
    *taken = false;
    int failure = place->temporary[0] ? 0 : give_name(place, fd);
    if (!failure && place->temporary[0] && rename(place->temporary, place->target) != 0) failure = errno;
    if (failure) return failure;
    place->temporary[0] = '\0';
    *taken = true;
    return sync_directory(place);
}

int nf__place_clear(const char *path)
{
    nf__place place;
    const int failure = follow_links(path, place.target);
    if (failure) return failure;
    remove_rests(&place);
    return unlink(place.target) == 0 || errno == ENOENT ? 0 : errno;
}

void nf__place_leave(nf__place *place)
{
    if (place->temporary[0]) unlink(place->temporary);
    place->temporary[0] = '\0';
}
