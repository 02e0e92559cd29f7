/* Files that are written whole or not at all. */
#include "models/file_tools.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

START_TEST(file_appears_whole)
{
    file_path path = scratch_path("a");
    nf_file *file = create(path.text);
    nf_file_write(file, "new", 3);
    ck_assert_int_ne(access(path.text, F_OK), 0);
    ck_assert_int_eq(nf_file_commit(file, &error), AD_OK);
    assert_content(path.text, "new");
    write_text(path.text, "newer");
    assert_content(path.text, "newer");
    ck_assert_int_eq(scratch_files(false), 1);
}
END_TEST

/* Where the file system has files without a name. */
START_TEST(file_of_a_killed_process)
{
    int fd = open(scratch, O_WRONLY | O_TMPFILE, 0600);
    if (fd < 0) return;
    close(fd);
    file_path path = scratch_write("a", "old", 3);
    pid_t child = fork();
    if (child == 0) {
        nf_file_write(create(path.text), "new", 3);
        kill(getpid(), SIGKILL);
    }
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    assert_content(path.text, "old");
    ck_assert_int_eq(scratch_files(false), 1);
}
END_TEST

START_TEST(file_abort_keeps_the_old)
{
    file_path path = scratch_write("a", "old", 3);
    nf_file *file = create(path.text);
    nf_file_write(file, "new", 3);
    nf_file_abort(file);
    assert_content(path.text, "old");
    ck_assert_int_eq(scratch_files(false), 1);
}
END_TEST

START_TEST(file_two_at_once)
{
    file_path path = scratch_path("a");
    nf_file *one = create(path.text), *two = create(path.text);
    nf_file_write(one, "one", 3);
    nf_file_write(two, "two", 3);
    ck_assert_int_eq(nf_file_commit(two, &error), AD_OK);
    assert_content(path.text, "two");
    ck_assert_int_eq(nf_file_commit(one, &error), AD_OK);
    assert_content(path.text, "one");
    ck_assert_int_eq(scratch_files(false), 1);
}
END_TEST

START_TEST(file_of_pieces)
{
    enum { PIECES = 700 };
    static char expected[PIECES * PIECES], got[PIECES * PIECES];
    size_t length = 0;
    nf_file *file = create(scratch_path("a").text);
    for (size_t i = 0; i < PIECES; i++) {
        memset(expected + length, (int)('a' + i % 26), i);
        nf_file_write(file, expected + length, i);
        length += i;
    }
    nf_file_write(file, expected, length); /* larger than any buffer */
    ck_assert_int_eq(nf_file_commit(file, &error), AD_OK);
    ck_assert_uint_eq(slurp(scratch_path("a").text, got, sizeof got), 2 * length);
    ck_assert_mem_eq(got, expected, length);
    ck_assert_mem_eq(got + length, expected, length);
}
END_TEST

/* What is said to have been written is compared with what was. */
START_TEST(file_read_back)
{
    static const char *const again[] = {"new", "ne", "newer", "neq", ""};
    file_path path = scratch_write("a", "old", 3);
    for (size_t i = 0; i < sizeof again / sizeof *again; i++) {
        nf_file *file = create(path.text);
        nf_file_write(file, "new", 3);
        nf_file_read_back(file);
        assert_content(path.text, i ? "new" : "old");
        nf_file_write(file, again[i], strlen(again[i]));
        ck_assert_int_eq(nf_file_commit(file, &error), i ? AD_ERROR_IO : AD_OK);
        if (i) assert_message("cannot write '");
        assert_content(path.text, "new");
        ck_assert_int_eq(scratch_files(false), 1);
    }

    enum { MANY = 300000 };
    static char text[MANY];
    for (size_t i = 0; i < MANY; i++) text[i] = (char)(i * i >> 7);
    for (size_t wrong = 0; wrong <= MANY; wrong += MANY / 2) { /* none where there is no such byte */
        nf_file *file = create(path.text);
        nf_file_write(file, text, MANY);
        nf_file_read_back(file);
        if (wrong < MANY) text[wrong] ^= 1;
        nf_file_write(file, text, 1000);
        nf_file_write(file, text + 1000, MANY - 1000);
        if (wrong < MANY) text[wrong] ^= 1;
        ck_assert_int_eq(nf_file_commit(file, &error), wrong < MANY ? AD_ERROR_IO : AD_OK);
    }
}
END_TEST

/* A device of /dev that this test couldn't do harm to: root, who could replace it by a file, gets a node of its own. */
static bool device(const char *name, unsigned minor_number, file_path *path)
{
    snprintf(path->text, sizeof path->text, "/dev/%s", name);
    if (geteuid() != 0) return true;
    *path = scratch_path(name);
    if (mknod(path->text, S_IFCHR | 0666, makedev(1, minor_number)) != 0) return false;
    int fd = open(path->text, O_WRONLY); /* refused where the directory's file system has no devices */
    if (fd >= 0) close(fd);
    return fd >= 0;
}

START_TEST(file_to_devices)
{
    file_path null, full, fifo = scratch_path("fifo");
    nf_file *file;
    if (device("null", 3, &null)) {
        write_text(null.text, "gone");
        ck_assert_int_eq(mode_of(null.text) & S_IFMT, S_IFCHR);
    }
    if (device("full", 7, &full)) {
        file = create(full.text);
        nf_file_write(file, "x", 1);
        ck_assert_int_eq(nf_file_commit(file, &error), AD_ERROR_IO);
        assert_message("full': No space left on device");
        ck_assert_int_eq(mode_of(full.text) & S_IFMT, S_IFCHR);
    }
    ck_assert_int_eq(nf_file_create(scratch, &file, &error), AD_ERROR_IO);
    assert_message("Is a directory");

    char got[16] = "";
    ck_assert_int_eq(mkfifo(fifo.text, 0600), 0);
    int files = scratch_files(false);
    int reader = open(fifo.text, O_RDONLY | O_NONBLOCK);
    write_text(fifo.text, "through");
    ck_assert_int_eq(mode_of(fifo.text) & S_IFMT, S_IFIFO);
    ck_assert_int_eq(read(reader, got, sizeof got), 7);
    ck_assert_str_eq(got, "through");
    ck_assert_int_eq(scratch_files(false), files);

    /* More than the pipe holds: a write waits for the reader, which comes late. */
    enum { MANY = 1 << 20 };
    static char zeros[MANY];
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        file = create(fifo.text);
        nf_file_write(file, zeros, sizeof zeros);
        _exit(nf_file_commit(file, &error) == AD_OK ? 0 : 1);
    }
    size_t total = 0;
    while (total < MANY) {
        ssize_t part = read(reader, zeros, 1000);
        if (part > 0)
            total += (size_t)part;
        else
            poll(NULL, 0, 1);
    }
    int state;
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert(WIFEXITED(state) && WEXITSTATUS(state) == 0);
    close(reader);

    ck_assert_int_eq(nf_file_create(fifo.text, &file, &error), AD_ERROR_IO);
    ck_assert_ptr_null(file);
    assert_message("nobody reads from this pipe; start its reader first");
    ck_assert_int_eq(scratch_files(false), files);
}
END_TEST

/* An open file is written to at its place, not anew. */
START_TEST(file_to_descriptor)
{
    char name[32];
    file_path path = scratch_path("a");
    int fd = open(path.text, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_eq(write(fd, "one ", 4), 4);
    snprintf(name, sizeof name, "/dev/fd/%d", fd);
    write_text(name, "two ");
    ck_assert_int_eq(write(fd, "three", 5), 5);
    close(fd);
    assert_content(path.text, "one two three");
    nf_file *file;
    ck_assert_int_eq(nf_file_create(name, &file, &error), AD_ERROR_IO);
    assert_message("Bad file descriptor");
}
END_TEST

/* A disk that fills up, here by a limit on the size of files. */
static void assert_write_fails(size_t bytes)
{
    static char zeros[1 << 20];
    file_path path = scratch_write("a", "old", 3);
    struct rlimit old, small;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 1000;
    setrlimit(RLIMIT_FSIZE, &small);
    nf_file *file = create(path.text);
    nf_file_write(file, zeros, bytes);
    nf_file_write(file, zeros, bytes);
    ad_status status = nf_file_commit(file, &error);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, handler);
    ck_assert_int_eq(status, AD_ERROR_IO);
    assert_message(strerror(EFBIG));
    assert_content(path.text, "old");
    ck_assert_int_eq(scratch_files(false), 1);
}

START_TEST(file_write_fails)
{
    assert_write_fails(501);    /* found when the buffer is emptied at last, */
    assert_write_fails(100000); /* or at once */
}
END_TEST

Suite *file_suite(void)
{
    Suite *suite = suite_create("file");
    TCase *file = tcase_create("file");
    tcase_add_checked_fixture(file, scratch_begin, scratch_end);
    tcase_add_test(file, file_appears_whole);
    tcase_add_test(file, file_of_a_killed_process);
    tcase_add_test(file, file_abort_keeps_the_old);
    tcase_add_test(file, file_two_at_once);
    tcase_add_test(file, file_of_pieces);
    tcase_add_test(file, file_read_back);
    tcase_add_test(file, file_to_devices);
    tcase_add_test(file, file_to_descriptor);
    tcase_add_test(file, file_write_fails);
    suite_add_tcase(suite, file);
    return suite;
}
