/* For tests: running the weir command, and reading what it tells. */
#ifndef WEIR_TESTS_TOOLS_COMMAND_H
#define WEIR_TESTS_TOOLS_COMMAND_H

#include "scratch.h"

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- Running it ---------------------------------------------------------------------------------------------- */

static char output[1 << 16], complaint[1 << 14];

static inline void read_back(FILE *file, char *text, size_t size)
{
    rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

static inline void become_command(const char *const words[])
{
    if (chdir(scratch) == 0) execv(WEIR_COMMAND, (char *const *)(uintptr_t)words);
    _exit(127);
}

/* Its exit status; what it wrote is in output and complaint. */
static inline int run_words(const char *const words[])
{
    FILE *out = tmpfile(), *err = tmpfile();
    ck_assert_ptr_nonnull(out);
    ck_assert_ptr_nonnull(err);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        dup2(fileno(out), STDOUT_FILENO);
        dup2(fileno(err), STDERR_FILENO);
        become_command(words);
    }
    int state;
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    read_back(out, output, sizeof output);
    read_back(err, complaint, sizeof complaint);
    ck_assert_msg(WIFEXITED(state), "killed by signal %d: %s", WTERMSIG(state), complaint);
    return WEXITSTATUS(state);
}

#define WORDS(...)        ((const char *const[]){"weir", __VA_ARGS__, NULL})
#define RUN(...)          run_words(WORDS(__VA_ARGS__))
#define SUCCEED(...)      succeed(WORDS(__VA_ARGS__))
#define SUCCEED_JSON(...) succeed_json(WORDS(__VA_ARGS__, "--json"))

/* Complaint without lines that tell how far the work is, " 40%  …": they come where it takes long on a busy machine. */
static inline const char *told(void)
{
    char *to = complaint;
    for (const char *line = complaint, *next; *line; line = next) {
        next = line + strcspn(line, "\n");
        next += *next == '\n';
        const char *number = line + strspn(line, " ");
        const size_t length = (size_t)(next - line), digits = strspn(number, "0123456789");
        if (digits > 0 && number[digits] == '%') continue;
        memmove(to, line, length);
        to += length;
    }
    *to = '\0';
    return complaint;
}

static inline void succeed(const char *const words[])
{
    int status = run_words(words);
    ck_assert_msg(status == 0, "weir %s: exit status %d: %s", words[1], status, complaint);
}

static inline json_t *parse_output(void)
{
    json_error_t error;
    json_t *result = json_loads(output, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(json_is_object(result), "%s in: %s", error.text, output);
    return result;
}

static inline json_t *succeed_json(const char *const words[])
{
    succeed(words);
    return parse_output();
}

static inline size_t lines(const char *text)
{
    size_t count = 0;
    for (; *text; text++) count += *text == '\n';
    return count;
}

static inline void assert_contains(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "'%s' is not in: %s", part, text);
}

static inline bool exists(const char *name)
{
    return access(scratch_path(name).text, F_OK) == 0;
}

static inline json_t *member(const json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    ck_assert_msg(value != NULL, "no '%s' in the result", name);
    return value;
}

static inline double number_in(const json_t *object, const char *name)
{
    ck_assert(json_is_number(member(object, name)));
    return json_number_value(member(object, name));
}

static inline const char *text_in(const json_t *object, const char *name)
{
    ck_assert(json_is_string(member(object, name)));
    return json_string_value(member(object, name));
}

/* moons.npy and a flow that saw a little of it. */
static inline void make_model(void)
{
    SUCCEED("data", "moons", "-n", "500", "-o", "moons.npy");
    SUCCEED("fit", "moons.npy", "--flow", "maf(16)-flip-maf(16)", "--epochs", "3", "-o", "moons.safetensors");
}

static inline void write_text(const char *name, const char *text)
{
    scratch_write(name, text, strlen(text));
}

static inline bool have_gnuplot(void)
{
    return system("gnuplot --version >/dev/null 2>&1") == 0;
}

/* ---- Suites -------------------------------------------------------------------------------------------------- */

/* Signals end the command even where the tests were started in the background, with ctrl-C ignored. */
static inline void command_begin(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGXCPU, SIGALRM, SIGUSR1, SIGUSR2, SIGPIPE};
    for (size_t i = 0; i < COUNT(signals); i++) signal(signals[i], SIG_DFL);
    scratch_begin();
}

/* A suite of this name, and its tests, each with a directory of its own. */
static inline Suite *command_suite(const char *name, TCase **tests)
{
    Suite *suite = suite_create(name);
    *tests = tcase_create(name);
    tcase_add_checked_fixture(*tests, command_begin, scratch_end);
    tcase_set_timeout(*tests, 120);
    suite_add_tcase(suite, *tests);
    return suite;
}

#endif
