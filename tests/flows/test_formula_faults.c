/* Formulas that are none: what is said about them, and where the caret stands. */
#include "flows/formula_tools.h"
#include "scratch.h"

/* Formula; the caret's line; what the first line has; what the last line has. */
static const char *const faults[][4] = {
    {"", "^", "expected a bijector, the formula ends here", "loc, scale"},
    {"  ", "  ^", "the formula ends here", "maf"},
    {"loc-scal", "    ^", "expected a bijector, got 'scal'", "loc, scale, "},
    {"loc - ", "      ^", "the formula ends here", "loc, scale"},
    {"loc--loc", "    ^", "got '-'", "loc, scale"},
    {"-loc", "^", "got '-'", "loc, scale"},
    {"LOC", "^", "got 'LOC'", "loc, scale"},
    {"chain", "^", "got 'chain'", "loc, scale"},
    {"loc scale", "    ^", "expected the end, got 'scale'", "'-'"},
    {"loc)", "   ^", "expected the end, got ')'", "'-'"},
    {"loc*", "    ^", "copies", "whole number"},
    {"conditional", "           ^", "conditional needs", "formula"},
    {"conditional(loc", "               ^", "isn't closed", "',' or ')'"},
    {"conditional(loc,0)", "                ^", "hidden units", "activation="},
    {"loc*0", "    ^", "copies", "at least 1"},
    {"loc*-1", "    ^", "copies", "at least 1"},
    {"loc*1.5", "    ^", "copies", "whole number"},
    {"loc*nan", "    ^", "copies", "whole number"},
    {"loc*0x2", "    ^", "copies", "at least 1"},
    {"loc*1e9", "    ^", "copies", "100000"},
    {"(loc-scale", "          ^", "isn't closed", "')'"},
    {"((loc)-flip", "           ^", "isn't closed", "')'"},
    {"()", " ^", "got ')'", "loc, scale"},
    {"flip(3)", "     ^", "flip takes no argument, got '3'", "the name alone"},
    {"lu(1,2)", "     ^", "no further argument, got '2'", "')'"},
    {"permute(1,2)", "          ^", "'order' has no such choice, got '2'", "random, or a list of features"},
    {"permute(-1)", "        ^", "'seed'", "0 to 9.0072e+15"},
    {"permute(1.5)", "        ^", "'seed'", "whole number"},
    {"permute(1,seed=2)", "          ^", "given twice", "once"},
    {"maf(", "    ^", "the formula ends here", "hidden units"},
    {"maf()", "    ^", "got ')'", "hidden units"},
    {"maf(8", "     ^", "isn't closed", "',' or ')'"},
    {"maf(8 9)", "      ^", "isn't closed", "',' or ')'"},
    {"maf(8,)", "      ^", "got ')'", "hidden units"},
    {"loc-maf(0)", "        ^", "got '0'", "hidden units"},
    {"maf(-8)", "    ^", "1 to 65536", "hidden units"},
    {"maf(1.5)", "    ^", "1 to 65536", "hidden units"},
    {"maf(65537)", "    ^", "1 to 65536", "hidden units"},
    {"maf(0x10)", "    ^", "1 to 65536", "hidden units"},
    {"maf(1e999)", "    ^", "1 to 65536", "hidden units"},
    {"maf(8,size=3)", "      ^", "no argument 'size'", "|elu|silu|gelu|sin, bound=number"},
    {"maf(8,bound)", "           ^", "without a value", "'='"},
    {"maf(8,bound=)", "            ^", "'bound'", "a number from"},
    {"maf(8,bound=x)", "            ^", "got 'x'", "a number from"},
    {"maf(8,bound=-1)", "            ^", "'bound'", "a number from"},
    {"maf(8,bound=1e9)", "            ^", "out of range", "a number from"},
    {"maf(8,bound=inf)", "            ^", "got 'inf'", "a number from"},
    {"maf(8,bound=nan)", "            ^", "got 'nan'", "a number from"},
    {"rqs(8,mask=[])", "            ^", "lists features of an event, got ']'", "from 1 to 2"},
    {"rqs(8,mask=[0])", "            ^", "got '0'", "from 1 to 2"},
    {"rqs(8,mask=[1,3])", "              ^", "got '3'", "from 1 to 2"},
    {"rqs(8,mask=[2-1])", "              ^", "got '1'", "from 2 to 2"},
    {"rqs(8,mask=[1.5])", "            ^", "got '1.5'", "whole number"},
    {"rqs(8,mask=[1", "             ^", "isn't closed", "']'"},
    {"rqs(8,mask=[1 2])", "              ^", "isn't closed", "']'"},
    {"rqs(8,mask=[1-2])", "^", "all 2 features are to stay", "mask=half|alternating|random|checkerboard|[features]"},
    {"rqs(8,mask=[1,1])", "^", "feature 1 is listed twice", "mask=half"},
    {"flip-permute(order=[2])", "     ^", "the order lists 1 of 2 features", "order=random|[features]"},
    {"rqs(8,mask=1)", "           ^", "no such choice, got '1'", "half|alternating|random|checkerboard, or a list"},
    {"maf(8,mask=[1])", "      ^", "no argument 'mask'", "bound=number"},
    {"leaky([1])", "      ^", "no such choice, got '['", "one|each"},
    {"maf(8,bound=1,9)", "              ^", "positional argument after a named one", "bound=number"},
    {"maf(8,bound=1,bound=2)", "              ^", "'bound' is given twice", "once"},
    {"maf(8,activation=sine)", "                 ^", "got 'sine'", "|elu|silu"},
    {"maf(8,activation=1)", "                 ^", "got '1'", "|elu|silu"},
    {"loc-maf(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)", "    ^", "at most 16 hidden layers, got 17", "hidden units"},
    {"rqs(8,9,network=residual)", "^", "all of one width, got 8 and 9", "hidden units"},
    {"rqs(8,bins=1)", "           ^", "'bins'", "a whole number"},
    {"invert", "      ^", "invert needs what it inverts", "'('"},
    {"invert loc", "       ^", "invert needs what it inverts", "'('"},
    {"invert(", "       ^", "the formula ends here", "loc, scale"},
    {"invert()", "       ^", "got ')'", "loc, scale"},
    {"invert(loc", "          ^", "isn't closed", "')'"},
    {"invert*2", "      ^", "invert needs what it inverts", "'('"},
    {"on", "  ^", "on needs features", "on([1,3-5],"},
    {"on(loc)", "   ^", "needs a list of features", "on([1,3-5],"},
    {"on([3],loc)", "    ^", "'on' lists features of an event, got '3'", "from 1 to 2"},
    {"on([1,1],loc)", "    ^", "on: feature 1 is listed twice", "on([1,3-5],"},
    {"on([1)", "     ^", "isn't closed", "']'"},
    {"on([1])", "      ^", "needs what maps these features", "','"},
    {"on([1],)", "       ^", "got ')'", "loc, scale"},
    {"on([2],loc", "          ^", "on( isn't closed", "')'"},
    {"on([2],permute(order=[2]))", "                      ^", "got '2'", "from 1 to 1"},
    {"on([2],loc)-permute(order=[3])", "                           ^", "got '3'", "from 1 to 2"},
    {"flip – loc", "     ^", "got '–'", "'-'"},
    {"flip-größe", "     ^", "got 'gr", "loc, scale"},
    {"flip-\xff", "     ^", "got '\xff'", "loc, scale"},
    {"\tloc\t-scal", "\t   \t ^", "got 'scal'", "loc, scale"},
};

START_TEST(shows_the_fault)
{
    const char *const *fault = faults[_i];
    ck_assert_ptr_null(nf_bijector_parse(fault[0], 2, 0, 0, &error));
    ck_assert_int_eq(error.status, AD_ERROR_ARGUMENT);
    char expected[256];
    snprintf(expected, sizeof expected, "\n  %s\n  %s\n  valid here: ", fault[0], fault[1]);
    const char *middle = strstr(error.message, expected);
    ck_assert_msg(middle != NULL, "expected%s\ngot\n%s", expected, error.message);
    const char *what = strstr(error.message, fault[2]), *valid = strstr(middle + strlen(expected), fault[3]);
    ck_assert_msg(strncmp(error.message, "formula: ", 9) == 0 && what && what < middle, "expected %s, got\n%s",
                  fault[2], error.message);
    ck_assert_msg(valid != NULL, "expected %s, got\n%s", fault[3], error.message);
    ck_assert_ptr_null(nf_bijector_parse(fault[0], 2, 0, 0, NULL));
}
END_TEST

/* The character above the caret; the message has four lines, of which the middle ones are short enough for a terminal.
 */
static char above_caret(void)
{
    const char *line[5] = {error.message};
    for (int i = 1; i < 4; i++) {
        line[i] = strchr(line[i - 1], '\n');
        ck_assert_msg(line[i] != NULL, "%s", error.message);
        line[i]++;
    }
    ck_assert_msg(strncmp(line[3], "  valid here: ", 14) == 0, "%s", error.message);
    const char *shown = line[1];
    for (size_t column = strcspn(line[2], "^"); column > 0; column--) {
        shown++;
        while (((unsigned char)*shown & 0xC0) == 0x80) shown++;
    }
    ck_assert_int_lt(line[2] - line[1], 200);
    return *shown;
}

/* A fault far inside a long formula. */
START_TEST(long_formulas)
{
    enum { TERMS = 20000 };
    char *text = malloc(5 * TERMS + 8);
    for (int i = 0; i < TERMS; i++) strcpy(text + 5 * i, "flip-");
    strcpy(text + 5 * (TERMS - 1), "flip");
    nf_bijector_free(parsed(text, 2, 0));
    static const size_t places[] = {0, 5, 50, 100, 200, 1000, 50000, 5 * (TERMS - 1)};
    for (size_t i = 0; i < COUNT(places); i++) {
        text[places[i]] = '?';
        ck_assert_ptr_null(nf_bijector_parse(text, 2, 0, 0, &error));
        ck_assert_msg(above_caret() == '?', "at %zu:\n%s", places[i], error.message);
        text[places[i]] = 'f';
    }
    memset(text, 'a', 5 * TERMS);
    ck_assert_ptr_null(nf_bijector_parse(text, 2, 0, 0, &error));
    ck_assert_int_eq(above_caret(), 'a');
    for (int i = 0; i < TERMS; i++) memcpy(text + 2 * i, "ö", 2);
    text[2 * TERMS] = '\0';
    ck_assert_ptr_null(nf_bijector_parse(text, 2, 0, 0, &error));
    above_caret();
    free(text);
}
END_TEST

/* `levels` times open, "loc", and as often close. */
static nf_bijector *parse_nested(const char *open, const char *close, int levels)
{
    size_t length = strlen(open);
    char *text = malloc((size_t)levels * (length + strlen(close)) + 8), *at = text;
    for (int i = 0; i < levels; i++) at = stpcpy(at, open);
    at = stpcpy(at, "loc");
    for (int i = 0; i < levels; i++) at = stpcpy(at, close);
    nf_bijector *bijector = nf_bijector_parse(text, 1, 0, 0, &error);
    free(text);
    return bijector;
}

START_TEST(deep_formulas)
{
    static const char *const pairs[][2] = {
        {"(", ")"}, {"invert(", ")"}, {"(", "-loc)"}, {"invert(flip-", ")"}, {"on([1],", ")"}};
    for (size_t i = 0; i < COUNT(pairs); i++) {
        nf_bijector *bijector = parse_nested(pairs[i][0], pairs[i][1], 64);
        ck_assert_msg(bijector != NULL, "%s", error.message);
        char *text = nf_formula(bijector);
        ad_free(round_trip(text, 1));
        ad_free(text);
        nf_bijector_free(bijector);
        ck_assert_ptr_null(parse_nested(pairs[i][0], pairs[i][1], 65));
        ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "too deep");
        ck_assert_ptr_null(parse_nested(pairs[i][0], pairs[i][1], 1000000));
        ck_assert_int_eq(error.status, AD_ERROR_ARGUMENT);
    }
    /* repetitions multiply */
    static const char *const bombs[] = {"((((flip*999)*999)*999)*999)", "invert(invert(invert(flip*999)*999)*999)",
                                        "flip*99999-flip*99999"};
    for (size_t i = 0; i < COUNT(bombs); i++) {
        ck_assert_ptr_null(nf_bijector_parse(bombs[i], 2, 0, 0, &error));
        ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "copies");
    }
    nf_bijector_free(parsed("flip*99999-flip", 2, 0));
    ck_assert_ptr_null(nf_bijector_parse("flip*99999-invert(flip)-flip", 2, 0, 0, &error)); /* nor without copies */
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "no more than 100000 bijectors");
}
END_TEST

/* Memory, but no large block: a formula may ask for more than there is. */
static void *allocate_little(size_t bytes)
{
    return bytes > 1 << 17 ? NULL : malloc(bytes);
}

static void *reallocate_little(void *old, size_t bytes)
{
    return bytes > 1 << 17 ? NULL : realloc(old, bytes);
}

static void assert_parses_or_fails(const char *formula)
{
    error = (ad_error){AD_OK, ""};
    nf_bijector *bijector = nf_bijector_parse(formula, 2, 0, 0, &error);
    if (bijector) {
        nf_bijector_free(bijector);
    } else if (error.status != AD_ERROR_MEMORY) {
        ck_assert_int_eq(error.status, AD_ERROR_ARGUMENT);
        ck_assert_msg(strncmp(error.message, "formula: ", 9) == 0 && strstr(error.message, "^\n  valid here: "), "%s",
                      error.message);
    }
}

START_TEST(fuzz)
{
    static const char *const tokens[] = {"maf",   "loc", "flip", "scale", "permute", "invert", "(", ")",    "(",  ")",
                                         "-",     "-",   "*",    ",",     "=",       "2",      "3", "16",   "0",  "1.5",
                                         "bound", " ",   "relu", "seed",  "\n",      "ä",      "x", "\xff", "1e5"};
    ad_set_allocator(&(ad_allocator){allocate_little, reallocate_little, free});
    srandom(2);
    for (int i = 0; i < 10000; i++) {
        char text[256] = "";
        for (unsigned n = below(14); n > 0; n--) strcat(text, tokens[below(COUNT(tokens))]);
        assert_parses_or_fails(text);
    }
    for (int i = 0; i < 10000; i++) { /* one byte of a good one changed, or gone */
        char text[256];
        strcpy(text, canonical[below(COUNT(canonical))][0]);
        size_t at = below((unsigned)strlen(text));
        if (below(3))
            text[at] = (char)(1 + below(255));
        else
            memmove(text + at, text + at + 1, strlen(text + at));
        assert_parses_or_fails(text);
    }
}
END_TEST

START_TEST(memory_runs_out)
{
    static const char formula[] = "(maf(4)-flip)*3-invert(loc-scale*2)*2-permute(seed=2)";
    bool denied = true;
    for (size_t allowed = 0; denied; allowed++) {
        memory_limit(allowed);
        nf_bijector *bijector = nf_bijector_parse(formula, 3, 0, 0, &error);
        char *text = bijector ? nf_formula(bijector) : NULL;
        denied = memory.denied;
        ck_assert(denied == !text);
        if (!bijector) ck_assert_int_eq(error.status, AD_ERROR_MEMORY);
        ad_free(text);
        nf_bijector_free(bijector);
    }
    memory_unlimited();
}
END_TEST

Suite *formula_faults_suite(void)
{
    Suite *suite = suite_create("formula_faults");
    TCase *reading = tcase_create("faults");
    tcase_set_timeout(reading, 60);
    tcase_add_loop_test(reading, shows_the_fault, 0, COUNT(faults));
    tcase_add_test(reading, long_formulas);
    tcase_add_test(reading, deep_formulas);
    tcase_add_test(reading, fuzz);
    tcase_add_test(reading, memory_runs_out);
    suite_add_tcase(suite, reading);
    return suite;
}
