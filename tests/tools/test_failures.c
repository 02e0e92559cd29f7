/* Every call that may fail while a result is written, failed: it is there, whole, or what was there before is, and a
 * complaint. Under sanitizers, which have such calls of their own, there is nothing here. */
#include "tools/command.h"

#ifdef WEIR_FAILING

#include <weir/models.h>

#include <errno.h>

static const char old[] = "what was there before";

static const struct {
    const char *words[16], *output;
} works[] = {
    {{"fit", "d.csv", "--flow", "affine", "--epochs", "1", "--threads", "1"}, "o.safetensors"},
    {{"vi", "gaussian", "--flow", "loc", "--iters", "1", "--draws", "10", "--threads", "1"}, "o.safetensors"},
    {{"data", "moons", "-n", "20"}, "o.npy"},
    {{"sample", "m.safetensors", "-n", "20", "--threads", "1"}, "o.csv"},
    {{"logprob", "m.safetensors", "d.csv", "--threads", "1"}, "o.csv"},
    {{"transform", "m.safetensors", "d.csv", "--threads", "1"}, "o.npy"},
    {{"export", "m.safetensors"}, "o.onnx"},
    {{"nuts", "gaussian", "--chains", "1", "--tune", "5", "-n", "20", "--threads", "1"}, "o.csv"},
};
enum { MODELS = 2, FEW = 3, WORKS = COUNT(works), BYTES = 1 << 16 }; /* the first of them */

static struct {
    const char *words[20], *output;
    char expected[BYTES]; /* of the table, or the model's parameters */
    size_t bytes;
    int files;
} work;

/* What the file has: a model's parameters, for it says how long it took besides. */
static size_t content(const char *name, char bytes[BYTES])
{
    if (!strstr(name, ".safetensors")) return slurp(scratch_path(name).text, bytes, BYTES);
    ad_error error;
    nf_flow *flow = nf_load(scratch_path(name).text, NULL, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    size_t size = (nf_flow_trained_elements(flow) + nf_flow_fixed_elements(flow)) * sizeof(float);
    memcpy(bytes, nf_flow_parameters(flow), size);
    nf_flow_free(flow);
    return size;
}

static bool is_whole(const char *name)
{
    char now[BYTES];
    return content(name, now) == work.bytes && memcmp(now, work.expected, work.bytes) == 0;
}

static bool is_old(void)
{
    char now[BYTES];
    if (!exists(work.output)) return false;
    slurp(scratch_path(work.output).text, now, sizeof now);
    return strcmp(now, old) == 0;
}

static void begin(int number)
{
    size_t count = 0;
    work.words[count++] = "weir";
    for (size_t i = 0; works[number].words[i]; i++) work.words[count++] = works[number].words[i];
    work.words[count++] = "-o";
    work.words[count++] = work.output = works[number].output;
    work.words[count] = NULL;
    SUCCEED("data", "moons", "-n", "60", "-o", "d.csv");
    SUCCEED("fit", "d.csv", "--flow", "maf(4)", "--epochs", "1", "-o", "m.safetensors");
    setenv("TMPDIR", scratch, 1);
    setenv("WEIR_FAILED", "told", 1);
    succeed(work.words);
    work.bytes = content(work.output, work.expected);
    work.files = scratch_files(false);
}

/* The command's state at its end. */
static int run_failing(const char *what, long first, const char *how, const char *lasts)
{
    char plan[128];
    int state;
    unlink(scratch_path("told").text);
    snprintf(plan, sizeof plan, "%s:%ld:%s:%s", what, first, how, lasts);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        setenv("LD_PRELOAD", WEIR_FAILING, 1);
        setenv("WEIR_FAILING", plan, 1);
        if (!freopen(scratch_path("complaint").text, "w", stderr)) _exit(126);
        if (!freopen("/dev/null", "w", stdout)) _exit(126);
        become_command(work.words);
    }
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    slurp(scratch_path("complaint").text, complaint, sizeof complaint);
    unlink(scratch_path("complaint").text);
    return state;
}

/* Nothing, or the old file, is there when the command begins. */
static void put_old(bool replaces)
{
    unlink(scratch_path(work.output).text);
    if (replaces) write_text(work.output, old);
}

static long count_calls(bool replaces, const char *what)
{
    char text[32];
    put_old(replaces);
    ck_assert_int_eq(run_failing(what, 1, "count", "one"), 0);
    slurp(scratch_path("told").text, text, sizeof text);
    unlink(scratch_path("told").text);
    return atol(text);
}

/* A model that could not be put in its place may be in another, which the complaint names. */
static int files_elsewhere(void)
{
    char name[256];
    const char *instead = strstr(complaint, " instead"), *place = strstr(complaint, " in './");
    if (!instead || !place) return 0;
    ck_assert_int_eq(sscanf(place, " in './%255[^']", name), 1);
    ck_assert_msg(is_whole(name), "%s", complaint);
    unlink(scratch_path(name).text);
    return 1;
}

/* That a result which is there can't be told of is an error as well. */
static void assert_outcome(bool replaces, const char *what, long first, const char *how, const char *lasts)
{
    put_old(replaces);
    int state = run_failing(what, first, how, lasts);
    const char *command = work.words[1];
    ck_assert_msg(WIFEXITED(state), "%s, %s %ld fails by %s: killed by signal %d: %s", command, what, first, how,
                  WTERMSIG(state), complaint);
    bool failed = WEXITSTATUS(state) != 0, told = strstr(complaint, "is written, but may not outlive") ||
                                                  strstr(complaint, "out of memory for what is to be told");
    bool unchanged = replaces ? is_old() : !exists(work.output);
    ck_assert_msg(!failed || *complaint, "%s, %s %ld fails by %s: no complaint", command, what, first, how);
    ck_assert_msg(failed && !told ? unchanged
                  : unchanged     ? failed
                                  : is_whole(work.output),
                  "%s, %s %ld fails by %s: status %d, but the file is %s: %s", command, what, first, how,
                  WEXITSTATUS(state), unchanged ? "the old one" : "another", complaint);
    const int kept = files_elsewhere();
    unlink(scratch_path("told").text);
    ck_assert_msg(scratch_files(false) + kept == work.files + kept - (!replaces && unchanged),
                  "%s, %s %ld fails by %s: files are left: %s", command, what, first, how, complaint);
}

/* ---- Calls of the system ---------------------------------------------------------------------------------------- */

static const int reasons[] = {EIO, ENOSPC, EINTR, EMFILE, EACCES, EDQUOT, EPERM};

/* Those of the saving, each for one of the reasons; or it and all behind it, as where a disk is full. */
START_TEST(system_calls)
{
    enum { SAVING = 45 };
    char reason[16];
    begin(_i);
    for (int replaces = _i < FEW ? 0 : 1; replaces < 2; replaces++) {
        const long calls = count_calls(replaces, "system"), first = calls > SAVING ? calls - SAVING : 1;
        for (long i = first; i <= calls; i++) {
            snprintf(reason, sizeof reason, "%d", i % 5 ? reasons[(size_t)(i + _i) % COUNT(reasons)] : ENOSPC);
            assert_outcome(replaces, "system", i, reason, i % 5 ? "one" : "all");
        }
    }
}
END_TEST

/* ---- Allocations ------------------------------------------------------------------------------------------------ */

START_TEST(allocations)
{
    enum { SAVING = 150 };
    char reason[16];
    begin(_i);
    const long calls = count_calls(true, "memory"), first = calls > SAVING ? calls - SAVING : 1;
    snprintf(reason, sizeof reason, "%d", ENOMEM);
    for (long i = first; i <= calls; i += 9) {
        assert_outcome(true, "memory", i, reason, "one");
        assert_outcome(true, "memory", i + 4, reason, "all");
    }
}
END_TEST

/* ---- Other faults ----------------------------------------------------------------------------------------------- */

/* A bit that flips on its way to the disk: what was there before stays, and the model is kept elsewhere. */
START_TEST(a_wrong_byte_is_seen)
{
    begin(_i);
    put_old(true);
    int state = run_failing("write", 1, "lie", "one");
    ck_assert(WIFEXITED(state));
    ck_assert_int_eq(WEXITSTATUS(state), 1);
    assert_contains(complaint, "cannot write 'o.safetensors'");
    ck_assert(is_old());
    ck_assert_int_eq(files_elsewhere(), 1);
}
END_TEST

/* Killed before a call: the file is the old or the new, and no other is left, but for one that replaces another: it has
 * a hidden name for a moment. The next that writes there removes that. */
START_TEST(kills)
{
    static const char *const calls[] = {"flock", "write", "fsync", "pread", "linkat", "rename"};
    begin(_i);
    int rests = 0, killed = 0;
    for (int replaces = 0; replaces < 2; replaces++)
        for (size_t c = 0; c < COUNT(calls); c++)
            for (long i = 1;; i++) {
                put_old(replaces);
                int state = run_failing(calls[c], i, "kill", "one");
                if (!exists("told")) break; /* there is no such call any more */
                unlink(scratch_path("told").text);
                ck_assert(WIFSIGNALED(state));
                ck_assert_int_eq(WTERMSIG(state), SIGKILL);
                bool unchanged = replaces ? is_old() : !exists(work.output);
                ck_assert(unchanged || is_whole(work.output));
                const int files = work.files - (!replaces && unchanged), left = scratch_files(false) - files;
                ck_assert_int_le(left, strcmp(calls[c], "rename") == 0);
                if (left) succeed(work.words);
                ck_assert_int_eq(scratch_files(false), files);
                rests += left;
                killed++;
            }
    ck_assert_int_eq(rests, 1);
    ck_assert_int_ge(killed, 10);
}
END_TEST

/* The last step of all: the file is there, and whole, but its directory isn't on the disk. */
START_TEST(a_directory_that_cannot_be_synchronised)
{
    char reason[16];
    begin(_i);
    snprintf(reason, sizeof reason, "%d", EIO);
    put_old(true);
    int state = run_failing("fsync", 2, reason, "one");
    ck_assert(WIFEXITED(state));
    ck_assert_int_eq(WEXITSTATUS(state), 1);
    assert_contains(complaint, "is written, but may not outlive a power cut");
    ck_assert(is_whole(work.output));
    files_elsewhere();
}
END_TEST

#endif

Suite *failures_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("failures", &tests);
#ifdef WEIR_FAILING
    tcase_add_loop_test(tests, system_calls, 0, WORKS);
    tcase_add_loop_test(tests, allocations, 0, FEW);
    tcase_add_loop_test(tests, a_wrong_byte_is_seen, 0, MODELS);
    tcase_add_loop_test(tests, a_directory_that_cannot_be_synchronised, 0, FEW);
    tcase_add_loop_test(tests, kills, 1, FEW);
#endif
    return suite;
}
