/* Where files are written to: links, the access that an old file gives, and what killed processes left. */
#include "models/file_tools.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <sys/xattr.h>

START_TEST(file_permissions)
{
    file_path path = scratch_path("a");
    mode_t old = umask(027);
    write_text(path.text, "1");
    ck_assert_int_eq(mode_of(path.text), S_IFREG | 0640);
    ck_assert_int_eq(chmod(path.text, 0606), 0);
    write_text(path.text, "2");
    ck_assert_int_eq(mode_of(path.text), S_IFREG | 0606);
    umask(old);
    ck_assert_int_eq(chmod(path.text, 0444), 0);
    nf_file *file;
    if (geteuid() != 0) { /* whom nothing is forbidden */
        ck_assert_int_eq(nf_file_create(path.text, &file, &error), AD_ERROR_IO);
        assert_message("Permission denied");
    }
}
END_TEST

/* Of an old file, all that says who may do what. */
START_TEST(file_access)
{
    /* user::rw-, user:1:rw-, group::r--, mask::rw-, other::---, as linux/posix_acl_xattr.h lays them out */
    static const char list[] = "\2\0\0\0\1\0\6\0\377\377\377\377\2\0\6\0\1\0\0\0\4\0\4\0\377\377\377\377"
                               "\20\0\6\0\377\377\377\377\40\0\0\0\377\377\377\377";
    static const char access[] = "system.posix_acl_access";
    file_path path = scratch_write("a", "old", 3);
    struct stat about;
    char kept[100];
    ck_assert_int_eq(chmod(path.text, 0640), 0);
    bool root = chown(path.text, 12, 34) == 0;
    write_text(path.text, "new");
    ck_assert_int_eq(stat(path.text, &about), 0);
    ck_assert_uint_eq(about.st_uid, root ? 12 : geteuid());
    ck_assert_uint_eq(about.st_gid, root ? 34 : getegid());
    ck_assert_int_eq(mode_of(path.text), S_IFREG | 0640);

    if (setxattr(path.text, access, list, sizeof list - 1, 0) != 0) return; /* the file system has none */
    write_text(path.text, "newer");
    ck_assert_int_eq(getxattr(path.text, access, kept, sizeof kept), sizeof list - 1);
    ck_assert_mem_eq(kept, list, sizeof list - 1);
    ck_assert_int_eq(mode_of(path.text), S_IFREG | 0660); /* the group's are the mask's */

    /* A list that the directory gives to what is new there is not an old file's. */
    path = scratch_write("b", "old", 3);
    ck_assert_int_eq(chmod(path.text, 0640), 0);
    ck_assert_int_eq(setxattr(scratch, "system.posix_acl_default", list, sizeof list - 1, 0), 0);
    write_text(path.text, "new");
    ck_assert_int_eq(getxattr(path.text, access, kept, sizeof kept), -1);
    ck_assert_int_eq(mode_of(path.text), S_IFREG | 0640);
}
END_TEST

/* Run as another user, whom a child becomes, where this is root's process. */
static bool as_nobody(bool (*body)(const char *path), const char *path)
{
    if (geteuid() != 0) return true;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) _exit(setgid(65534) == 0 && setuid(65534) == 0 && body(path) ? 0 : 1);
    int state;
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    return WIFEXITED(state) && WEXITSTATUS(state) == 0;
}

static bool is_refused_for_its_owner(const char *path)
{
    nf_file *file;
    return nf_file_create(path, &file, &error) == AD_ERROR_IO && !file && strstr(error.message, "owner") &&
           strstr(error.message, strerror(EPERM)) && scratch_files(false) == 1;
}

static bool is_refused_for_its_directory(const char *path)
{
    nf_file *file;
    return nf_file_create(path, &file, &error) == AD_ERROR_IO && strstr(error.message, "directory") &&
           strstr(error.message, strerror(EACCES));
}

/* One that others may write to would come to belong to whom writes it anew, and isn't replaced at all. */
START_TEST(file_of_another_user)
{
    file_path path = scratch_write("a", "old", 3);
    ck_assert_int_eq(chmod(path.text, 0666), 0);
    ck_assert_int_eq(chmod(scratch, 0777), 0);
    ck_assert(as_nobody(is_refused_for_its_owner, path.text));
    ck_assert_int_eq(chmod(scratch, 0755), 0);
    ck_assert(as_nobody(is_refused_for_its_directory, path.text));
    assert_content(path.text, "old");
}
END_TEST

static bool is_refused_for_its_link(const char *path)
{
    nf_file *file;
    return nf_file_create(path, &file, &error) == AD_ERROR_IO && !file && strstr(error.message, strerror(EACCES));
}

/* Links of others aren't followed in a directory like /tmp, where the system is set so, nor by hand. */
START_TEST(file_through_a_protected_link)
{
    char set[8] = "0";
    file_path link = scratch_path("link"), target = scratch_write("target", "old", 3);
    int fd = open("/proc/sys/fs/protected_symlinks", O_RDONLY);
    if (fd >= 0 && read(fd, set, sizeof set - 1) < 0) set[0] = '0';
    if (fd >= 0) close(fd);
    if (geteuid() != 0 || set[0] == '0') return;
    ck_assert_int_eq(chmod(scratch, 01777), 0);
    ck_assert_int_eq(chmod(target.text, 0666), 0);
    ck_assert_int_eq(symlink("target", link.text), 0);
    ck_assert_int_eq(lchown(link.text, 1, 1), 0);
    ck_assert(as_nobody(is_refused_for_its_link, link.text));
    assert_content(target.text, "old");
}
END_TEST

/* Where this process may mount: found out at once, and not when the work is done. */
START_TEST(file_mounted)
{
    file_path path = scratch_write("a", "old", 3), other = scratch_write("other", "mounted", 7);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        nf_file *file;
        if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount(other.text, path.text, NULL, MS_BIND, NULL) != 0)
            _exit(0);
        ad_status status = nf_file_create(path.text, &file, &error);
        _exit(status == AD_ERROR_IO && strstr(error.message, "mounted") ? 0 : 1);
    }
    int state;
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert(WIFEXITED(state) && WEXITSTATUS(state) == 0);
    assert_content(path.text, "old");
}
END_TEST

/* A path that can't be looked at isn't one where nothing is. */
START_TEST(file_behind_a_file)
{
    nf_file *file;
    file_path path = scratch_write("a", "old", 3), private = scratch_path("private");
    ck_assert_int_eq(nf_file_create(scratch_path("a/b").text, &file, &error), AD_ERROR_IO);
    assert_message(strerror(ENOTDIR));
    ck_assert_int_eq(nf_file_create(scratch_path("a/").text, &file, &error), AD_ERROR_IO);
    assert_message(strerror(ENOTDIR));
    ck_assert_int_eq(mkdir(private.text, 0), 0);
    ck_assert(as_nobody(is_refused_for_its_link, scratch_path("private/a").text));
    ck_assert_int_eq(rmdir(private.text), 0);
    assert_content(path.text, "old");
    ck_assert_int_eq(scratch_files(false), 1);
}
END_TEST

/* What a killed process left goes, and what another writes at this moment stays: that is locked. */
START_TEST(file_rests)
{
    file_path path = scratch_path("a");
    scratch_write(".a.weir-0", "half", 4);
    scratch_write(".a.weir-7", "half", 4);
    scratch_write(".b.weir-0", "other", 5);
    int fd = open(scratch_write(".a.weir-1", "busy", 4).text, O_RDWR);
    ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
    ck_assert_int_eq(mkdir(scratch_path(".a.weir-2").text, 0700), 0);
    ck_assert_int_eq(symlink("a", scratch_path(".a.weir-3").text), 0);
    write_text(path.text, "new");
    assert_content(path.text, "new");
    assert_content(scratch_path(".a.weir-1").text, "busy");
    assert_content(scratch_path(".a.weir-3").text, "new");
    ck_assert_int_eq(rmdir(scratch_path(".a.weir-2").text), 0);
    ck_assert_int_eq(scratch_files(false), 4);
    close(fd);
    write_text(path.text, "newer");
    assert_content(path.text, "newer");
    ck_assert_int_eq(scratch_files(false), 3);
}
END_TEST

START_TEST(file_through_links)
{
    file_path link = scratch_path("link"), second = scratch_path("second"), target = scratch_path("target");
    ck_assert_int_eq(symlink("target", link.text), 0);
    ck_assert_int_eq(symlink(link.text, second.text), 0);
    write_text(second.text, "into nothing");
    assert_content(target.text, "into nothing");
    write_text(second.text, "replaced");
    assert_content(target.text, "replaced");
    ck_assert_int_eq(mode_of(link.text) & S_IFMT, S_IFLNK);
    ck_assert_int_eq(mode_of(second.text) & S_IFMT, S_IFLNK);
    ck_assert_int_eq(scratch_files(false), 3);

    /* More links in all than the system follows, though fewer in each part of the path: what is written there could
     * not be read again. */
    char from[32], to[32];
    for (int i = 0; i < 25; i++) {
        snprintf(from, sizeof from, "directory%d", i);
        snprintf(to, sizeof to, i ? "directory%d" : ".", i - 1);
        ck_assert_int_eq(symlink(to, scratch_path(from).text), 0);
        snprintf(from, sizeof from, "file%d", i);
        snprintf(to, sizeof to, i ? "file%d" : "end", i - 1);
        ck_assert_int_eq(symlink(to, scratch_path(from).text), 0);
    }
    nf_file *file;
    write_text(scratch_path("directory9/file9").text, "few links");
    assert_content(scratch_path("end").text, "few links");
    ck_assert_int_eq(nf_file_create(scratch_path("directory24/file24").text, &file, &error), AD_ERROR_IO);
    assert_message("symbolic links");

    file_path loop = scratch_path("loop");
    ck_assert_int_eq(symlink("loop", loop.text), 0);
    ck_assert_int_eq(nf_file_create(loop.text, &file, &error), AD_ERROR_IO);
    ck_assert_ptr_null(file);
    assert_message("symbolic links");
}
END_TEST

START_TEST(file_names)
{
    char name[NAME_MAX + 2];
    memset(name, 'n', sizeof name - 1);
    name[NAME_MAX] = '\0';
    write_text(scratch_path(name).text, "long");
    assert_content(scratch_path(name).text, "long");
    name[NAME_MAX] = 'n';
    name[NAME_MAX + 1] = '\0';
    nf_file *file;
    ck_assert_int_eq(nf_file_create(scratch_path(name).text, &file, &error), AD_ERROR_IO);
    static char endless[2 * PATH_MAX];
    memset(endless, '/', sizeof endless - 1);
    ck_assert_int_eq(nf_file_create(endless, &file, &error), AD_ERROR_IO);
    assert_message("cannot create");
    ck_assert_int_eq(nf_file_create("", &file, &error), AD_ERROR_IO);
    ck_assert_int_eq(chdir(scratch), 0);
    write_text("here", "relative");
    assert_content(scratch_path("here").text, "relative");
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

Suite *file_places_suite(void)
{
    Suite *suite = suite_create("file_places");
    TCase *file = tcase_create("file_places");
    tcase_add_checked_fixture(file, scratch_begin, scratch_end);
    tcase_add_test(file, file_permissions);
    tcase_add_test(file, file_access);
    tcase_add_test(file, file_of_another_user);
    tcase_add_test(file, file_mounted);
    tcase_add_test(file, file_behind_a_file);
    tcase_add_test(file, file_rests);
    tcase_add_test(file, file_through_a_protected_link);
    tcase_add_test(file, file_through_links);
    tcase_add_test(file, file_names);
    suite_add_tcase(suite, file);
    return suite;
}
