/* Runs the tests: weir-tests [--seed N] [SUITE …], by default all suites. Suites, and the test cases and tests within
 * each, run in an order drawn from the seed, which is printed. The build names the suites, as WEIR_SUITES. */
#include "base/cpu.h"

#include <check.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DECLARE(name) Suite *name##_suite(void);
WEIR_SUITES(DECLARE)

#define ENTRY(name) {#name, name##_suite},
static struct {
    const char *name;
    Suite *(*make)(void);
} suites[] = {WEIR_SUITES(ENTRY)};

enum { SUITES = sizeof suites / sizeof suites[0] };

/* What a suite adds, kept until it is complete and can be shuffled: the linker's --wrap leads Check's functions here.
 */
static struct {
    Suite *suite;
    TCase *tcase;
} tcases[64];
static struct {
    TCase *tcase;
    const TTest *test;
    int signal, exit_value, start, end;
} tests[1024];
static size_t n_tcases, n_tests;

void __wrap_suite_add_tcase(Suite *suite, TCase *tcase);
void __real_suite_add_tcase(Suite *suite, TCase *tcase);
void __wrap__tcase_add_test(TCase *tcase, const TTest *test, int signal, int exit_value, int start, int end);
void __real__tcase_add_test(TCase *tcase, const TTest *test, int signal, int exit_value, int start, int end);

void __wrap_suite_add_tcase(Suite *suite, TCase *tcase)
{
    if (n_tcases == sizeof tcases / sizeof tcases[0]) abort();
    tcases[n_tcases].suite = suite;
    tcases[n_tcases++].tcase = tcase;
}

void __wrap__tcase_add_test(TCase *tcase, const TTest *test, int signal, int exit_value, int start, int end)
{
    if (n_tests == sizeof tests / sizeof tests[0]) abort();
    tests[n_tests].tcase = tcase;
    tests[n_tests].test = test;
    tests[n_tests].signal = signal;
    tests[n_tests].exit_value = exit_value;
    tests[n_tests].start = start;
    tests[n_tests++].end = end;
}

void __wrap__mark_point(const char *file, int line);
void __real__mark_point(const char *file, int line);

/* Check writes down each assertion that held, to a file, so that it can say after which one a test crashed. Tests that
 * assert something of each of many numbers would spend most of their time on that: of what is behind the first marks,
 * every so manieth is written. An assertion that fails tells its own place in any case. Each test is a process. */
void __wrap__mark_point(const char *file, int line)
{
    enum { FIRST = 1000 };
    static atomic_size_t marks;
    const size_t before = atomic_fetch_add_explicit(&marks, 1, memory_order_relaxed);
    if (before < FIRST || before % FIRST == 0) __real__mark_point(file, line);
}

static void shuffle(void *array, size_t count, size_t size)
{
    char *element = array, swap[64];
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)random() % i;
        memcpy(swap, element + (i - 1) * size, size);
        memcpy(element + (i - 1) * size, element + j * size, size);
        memcpy(element + j * size, swap, size);
    }
}

static Suite *make_shuffled(Suite *(*make)(void))
{
    n_tcases = n_tests = 0;
    Suite *suite = make();
    shuffle(tcases, n_tcases, sizeof tcases[0]);
    shuffle(tests, n_tests, sizeof tests[0]);
    for (size_t i = 0; i < n_tests; i++)
        __real__tcase_add_test(tests[i].tcase, tests[i].test, tests[i].signal, tests[i].exit_value, tests[i].start,
                               tests[i].end);
    for (size_t i = 0; i < n_tcases; i++) __real_suite_add_tcase(tcases[i].suite, tcases[i].tcase);
    return suite;
}

/* True when nothing failed. The last line is for tools/test to add up. */
static bool run_suite(const char *name, Suite *(*make)(void))
{
    SRunner *runner = srunner_create(make_shuffled(make));
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    printf("%s: %d passed, %d failed\n", name, srunner_ntests_run(runner) - failed, failed);
    fflush(stdout);
    srunner_free(runner);
    return failed == 0;
}

static bool is_wanted(const char *name, char *const wanted[], int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(wanted[i], name) == 0) return true;
    return count == 0;
}

static void usage(FILE *to)
{
    fputs("usage: weir-tests [--seed N] [SUITE ...]\nsuites:", to);
    for (int i = 0; i < SUITES; i++) fprintf(to, " %s", suites[i].name);
    fputc('\n', to);
}

/* False when text is not a whole number that fits. */
static bool parse_seed(const char *text, unsigned *seed)
{
    char *end;
    errno = 0;
    unsigned long given = strtoul(text, &end, 10);
    *seed = (unsigned)given;
    return !errno && end != text && !*end && given <= UINT_MAX;
}

static bool is_known(const char *name)
{
    for (int i = 0; i < SUITES; i++)
        if (strcmp(suites[i].name, name) == 0) return true;
    return false;
}

int main(int argc, char **argv)
{
    unsigned seed = (unsigned)time(NULL);
    /* Limits are for tests that hang: others come to their end, however busy the machine is. */
    setenv("CK_TIMEOUT_MULTIPLIER", "10", 0);
    static const struct option options[] = {{"seed", required_argument, NULL, 's'}, {0}};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option != 's' || !parse_seed(optarg, &seed)) {
            usage(stderr);
            return 2;
        }
    }
    ad_error absent;
    if (ad__isa_check(&absent)) {
        enum { SKIPPED = 77 };
        puts(absent.message);
        return SKIPPED;
    }
    /* Check's own four seconds are too few on a machine that has other things to do. */
    setenv("CK_DEFAULT_TIMEOUT", "60", 0);
    for (int i = optind; i < argc; i++) {
        if (is_known(argv[i])) continue;
        fprintf(stderr, "weir-tests: there is no suite '%s'\n", argv[i]);
        usage(stderr);
        return 2;
    }
    printf("seed %u\n", seed);
    fflush(stdout);
    srandom(seed);
    shuffle(suites, SUITES, sizeof suites[0]);
    bool passed = true;
    for (int i = 0; i < SUITES; i++)
        if (is_wanted(suites[i].name, argv + optind, argc - optind))
            passed = run_suite(suites[i].name, suites[i].make) && passed;
    return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
