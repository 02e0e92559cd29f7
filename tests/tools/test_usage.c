/* What the weir command says of itself, and of command lines that are none. */
#include <weir/models.h>
#include "tools/command.h"

#include <pty.h>

/* Of one command. */
static void assert_help(const char *name)
{
    char usage[64], before[sizeof output];
    snprintf(usage, sizeof usage, "usage: weir %s ", name);
    SUCCEED(name, "--help");
    ck_assert_int_eq(strncmp(output, usage, strlen(usage)), 0);
    assert_contains(output, "--json");
    assert_contains(output, "\nexample:\n  weir ");
    ck_assert_str_eq(complaint, "");
    strcpy(before, output);
    SUCCEED("help", name);
    ck_assert_str_eq(output, before);
    SUCCEED(name, "-h", "surplus", "--nonsense");
    ck_assert_str_eq(output, before);
}

START_TEST(help_of_every_command)
{
    char all[sizeof output], name[16], summary[128];
    SUCCEED("--help");
    strcpy(all, output);
    char *line = strstr(all, "\ncommands:\n");
    ck_assert_ptr_nonnull(line);
    line += strlen("\ncommands:\n");
    int count = 0;
    for (; sscanf(line, "  %15s %127[^\n]", name, summary) == 2 && *line == ' '; line = strchr(line, '\n') + 1) {
        assert_help(name);
        assert_contains(output, summary);
        count++;
    }
    ck_assert_int_ge(count, 10);
}
END_TEST

START_TEST(help_of_formulas)
{
    SUCCEED("help", "formulas");
    assert_contains(output, "\n  flip ");
    assert_contains(output, "\n  maf(");
    assert_contains(output, "activation=");
    /* Each bijector of the list is one that formulas know. */
    char all[sizeof output], *list;
    strcpy(all, output);
    list = strstr(all, "\nbijectors");
    ck_assert_ptr_nonnull(list);
    char *end = strstr(list, "\nbase distributions");
    ck_assert_ptr_nonnull(end);
    *end = '\0';
    for (char *line = strstr(list, "\n  "); line; line = strstr(line + 1, "\n  ")) {
        char name[32];
        if (line[3] == ' ' || strncmp(line + 3, "weir", 4) == 0) continue;
        ck_assert_int_eq(sscanf(line + 3, "%31[a-z_0-9]", name), 1);
        const char *formula = strcmp(name, "conv1x1") == 0 ? "image(1,1,2,conv1x1)" : name;
        ad_error error;
        nf_bijector *bijector = nf_bijector_parse(formula, 2, 0, 0, &error);
        ck_assert_msg(bijector != NULL, "%s: %s", formula, error.message);
        nf_bijector_free(bijector);
    }
}
END_TEST

static const char *optimizer_name(size_t i)
{
    return nf_optimizer_types()[i] ? nf_optimizer_types()[i]->name : NULL;
}

static const char *schedule_name(size_t i)
{
    return nf_schedule_types()[i] ? nf_schedule_types()[i]->name : NULL;
}

/* Takes blanks and ends of lines out of text. */
static const char *without_blanks(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++)
        if (!strchr(" \r\n", *from)) *to++ = *from;
    *to = '\0';
    return text;
}

static const char *const folded[][2] = {{"--help", NULL}, {"fit", "--help"}, {"help", "formulas"}, {"help", "priors"}};

/* On a terminal no line but a command is longer than it is wide, and the text is the same. */
START_TEST(help_fits_the_terminal)
{
    enum { COLUMNS = 72 };
    static char screen[sizeof output];
    const struct winsize window = {.ws_row = 24, .ws_col = COLUMNS};
    const char *const *words = folded[_i];
    int terminal, state;
    size_t filled = 0;
    SUCCEED(words[0], words[1]);
    pid_t child = forkpty(&terminal, NULL, NULL, &window);
    ck_assert_int_ge(child, 0);
    if (child == 0) become_command(WORDS(words[0], words[1]));
    for (ssize_t got; (got = read(terminal, screen + filled, sizeof screen - 1 - filled)) > 0;) filled += (size_t)got;
    close(terminal);
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert(WIFEXITED(state) && WEXITSTATUS(state) == 0);
    screen[filled] = '\0';
    for (const char *line = screen, *end; (end = strchr(line, '\n')); line = end + 1) {
        size_t columns = 0;
        for (const char *c = line; c < end; c++) columns += *c != '\r' && ((unsigned char)*c & 0xc0) != 0x80;
        ck_assert_msg(columns <= COLUMNS || strncmp(line, "  weir ", 7) == 0, "%.*s", (int)(end - line), line);
    }
    ck_assert_str_eq(without_blanks(screen), without_blanks(output));
}
END_TEST

/* What --help offers is what the library has, in its order. */
static void assert_choices(const char *(*name)(size_t), const char *behind)
{
    char choices[400] = "";
    for (size_t i = 0; name(i); i++)
        snprintf(choices + strlen(choices), sizeof choices - strlen(choices), "%s%s", i ? " or " : ": ", name(i));
    strcat(choices, behind);
    assert_contains(output, choices);
}

START_TEST(help_shows_defaults)
{
    SUCCEED("fit", "--help");
    assert_contains(output, "[0.1]");
    assert_choices(optimizer_name, " [adam]");
    assert_choices(schedule_name, " [cosine]");
    assert_contains(output, "--output MODEL");
    SUCCEED("vi", "--help");
    assert_choices(optimizer_name, " [adam]");
    assert_choices(schedule_name, " [constant]");
    SUCCEED("help", "optimizers");
    for (size_t i = 0; optimizer_name(i); i++) assert_contains(output, nf_optimizer_types()[i]->help);
    SUCCEED("help", "schedules");
    for (size_t i = 0; schedule_name(i); i++) assert_contains(output, nf_schedule_types()[i]->help);
    SUCCEED("help", "objectives");
    for (size_t i = 0; nf_objective_types()[i]; i++) assert_contains(output, nf_objective_types()[i]->help);
    SUCCEED("help", "priors");
    for (size_t i = 0; nf_prior_types()[i]; i++) assert_contains(output, nf_prior_types()[i]->help);
    SUCCEED("demo", "--help");
    assert_contains(output, "[weir-demo]");
    SUCCEED("--version");
    ck_assert_int_eq(strncmp(output, "weir ", 5), 0);
    ck_assert_uint_eq(lines(output), 1);
}
END_TEST

static const struct {
    const char *words[8];
    const char *parts[3]; /* of the complaint */
} usage_mistakes[] = {
    {{NULL}, {"command is missing", "weir --help"}},
    {{"fti"}, {"'fti'", "'fit'"}},
    {{"help", "smaple"}, {"'smaple'", "'sample'"}},
    {{"qqqqqq"}, {"'qqqqqq'", "weir --help"}},
    {{"fit", "a.csv", "--epoch", "3"}, {"'--epoch'", "'--epochs'"}},
    {{"fit", "a.csv", "--weight_decay=1"}, {"'--weight_decay=1'", "'--weight-decay'"}},
    {{"fit", "a.csv", "-epochs", "3"}, {"'-epochs'", "'--epochs'"}},
    {{"fit", "a.csv", "--zzzzzzz"}, {"'--zzzzzzz'", "weir fit --help"}},
    {{"fit", "a.csv", "--epochs"}, {"--epochs", "whole number"}},
    {{"fit", "a.csv", "--epochs", "ten"}, {"--epochs", "'ten'", "whole number, 1 or more"}},
    {{"fit", "a.csv", "--epochs", "0"}, {"--epochs", "'0'", "1 or more"}},
    {{"fit", "a.csv", "--epochs", "-1"}, {"--epochs", "'-1'"}},
    {{"fit", "a.csv", "--epochs", "3.5"}, {"--epochs", "'3.5'"}},
    {{"fit", "a.csv", "--epochs", "5 "}, {"--epochs", "'5 '"}},
    {{"fit", "a.csv", "--epochs="}, {"--epochs", "''"}},
    {{"fit", "a.csv", "--seed", "99999999999999999999999"}, {"--seed", "'99999999999999999999999'"}},
    {{"fit", "a.csv", "--lr", "fast"}, {"--lr", "'fast'", "a number above 0"}},
    {{"fit", "a.csv", "--lr", "0"}, {"--lr", "'0'", "above 0"}},
    {{"fit", "a.csv", "--lr", "nan"}, {"--lr", "'nan'"}},
    {{"fit", "a.csv", "--lr", "inf"}, {"--lr", "'inf'"}},
    {{"fit", "a.csv", "--lr", "0x1p-3"}, {"--lr", "'0x1p-3'"}},
    {{"fit", "a.csv", "--lr", "1e999"}, {"--lr", "'1e999'"}},
    {{"fit", "a.csv", "--val-fraction", "1.5"}, {"--val-fraction", "'1.5'", "from 0 to 0.9"}},
    {{"fit", "a.csv", "--optimizer", "adams"}, {"--optimizer", "'adams'", "adam or adamw"}},
    {{"fit", "a.csv", "--optimizer", "ada"}, {"--optimizer", "'ada'", "rmsprop or adadelta"}},
    {{"fit", "a.csv", "--schedule", "sine"}, {"--schedule", "'sine'", "cosine or constant"}},
    {{"vi", "pot1", "--objective", "kl"},
     {"--objective", "'kl'", "elbo or stl or iwae or dreg or renyi or cubo or forward"}},
    {{"fit", "a.csv", "--json=yes"}, {"--json", "no value"}},
    {{"fit", "a.csv", "--flow", "", "-o", "m"}, {"--flow", "''"}},
    {{"fit", "a.csv"}, {"-o MODEL", "missing"}},
    {{"fit", "-o", "m.safetensors"}, {"DATA", "missing"}},
    {{"fit", "a.csv", "b.csv", "-o", "m"}, {"'b.csv'", "unexpected"}},
    {{"logprob", "m.safetensors"}, {"POINTS", "missing"}},
    {{"data", "moon", "-o", "m.npy"}, {"TARGET", "'moon'", "moons"}},
    {{"data", "moons", "-n", "1e3", "-o", "m.npy"}, {"-n", "'1e3'", "whole number"}},
    {{"data", "moons", "-nx", "-o", "m.npy"}, {"-n", "'x'"}},
    {{"data", "moons", "-o", "m.docx"}, {"m.docx", ".npy"}},
    {{"data", "pinwheel", "--noise", "0.1", "-o", "m.npy"}, {"--noise", "pinwheel", "moons"}},
    {{"plot", "m.safetensors", "-o", "m.jpeg"}, {"m.jpeg", ".png", ".svg"}},
    {{"demo", "moon"}, {"'moon'", "moons or banana or potentials or nfvi"}},
    {{"demo", "--seed", "2", "banana"}, {"weir demo banana [options]"}},
    {{"nuts"}, {"TARGET", "missing"}},
    {{"nuts", "pot5"}, {"'pot5'", "pot4", "eight_schools"}},
    {{"nuts", "pot1", "--target-accept", "1"}, {"--target-accept", "'1'", "0.9999"}},
    {{"nuts", "pot1", "--max-depth", "30"}, {"--max-depth", "'30'", "from 1 to 24"}},
    {{"nuts", "pot1", "-o", "draws.docx"}, {"draws.docx", ".npy"}},
    {{"check", "flip", "--dim", "0"}, {"--dim", "'0'", "from 1"}},
};

START_TEST(usage_mistake)
{
    const char *words[10] = {"weir"};
    for (size_t i = 0; usage_mistakes[_i].words[i]; i++) words[i + 1] = usage_mistakes[_i].words[i];
    ck_assert_int_eq(run_words(words), 2);
    ck_assert_str_eq(output, "");
    ck_assert_uint_eq(lines(complaint), 1);
    ck_assert_int_eq(strncmp(complaint, "weir", 4), 0);
    for (size_t i = 0; i < 3 && usage_mistakes[_i].parts[i]; i++)
        assert_contains(complaint, usage_mistakes[_i].parts[i]);
    ck_assert_int_eq(scratch_files(false), 0);
}
END_TEST

/* Their arguments are shown, with a caret under the fault. */
START_TEST(mistakes_in_arguments_of_options)
{
    ck_assert_int_eq(run_words((const char *[]){"weir", "fit", "a.csv", "--optimizer", "adam(beta3=1)", NULL}), 2);
    assert_contains(complaint, "option --optimizer: ");
    assert_contains(complaint, "no argument 'beta3'");
    assert_contains(complaint, "beta2=number");
    ck_assert_int_eq(run_words((const char *[]){"weir", "vi", "pot1", "--schedule", "steps(0)", NULL}), 2);
    assert_contains(complaint, "option --schedule: ");
    assert_contains(complaint, "a whole number from 1 to 1000");
    ck_assert_int_eq(
        run_words((const char *[]){"weir", "vi", "pot1", "--optimizer", "adam(beta2=0.5)", "--beta2", "0.9", NULL}), 2);
    assert_contains(complaint, "'beta2' is given twice");
}
END_TEST

START_TEST(options_in_every_form)
{
    char first[4096], other[4096];
    SUCCEED("data", "moons", "-n", "7", "--seed", "3", "-o", "first.csv");
    slurp(scratch_path("first.csv").text, first, sizeof first);
    ck_assert_uint_eq(lines(first), 8);
    static const char *const forms[][8] = {
        {"data", "-n7", "--seed=3", "-oother.csv", "moons"},
        {"data", "--rows=7", "--seed", "3", "--output=other.csv", "--", "moons"},
        {"data", "--rows", "70", "moons", "--rows", "7", "--seed=3", "-oother.csv"}, /* the last one counts */
    };
    for (size_t i = 0; i < COUNT(forms); i++) {
        const char *words[10] = {"weir"};
        for (size_t w = 0; w < 8 && forms[i][w]; w++) words[w + 1] = forms[i][w];
        succeed(words);
        slurp(scratch_path("other.csv").text, other, sizeof other);
        ck_assert_str_eq(first, other);
    }
    SUCCEED("data", "moons", "-n", "7", "--seed", "4", "-o", "other.csv");
    slurp(scratch_path("other.csv").text, other, sizeof other);
    ck_assert_str_ne(first, other);
    /* Behind "--" nothing is an option. */
    ck_assert_int_eq(RUN("info", "--", "--json"), 1);
    assert_contains(complaint, "'--json'");
}
END_TEST

/* 'weir data' draws all that the library has, and tells their entropies; with other noise that isn't theirs. */
START_TEST(every_distribution_is_drawn)
{
    char text[4096];
    SUCCEED("data", "--help");
    for (const nf_toy *toy = nf_toys(); toy->name; toy++) assert_contains(output, toy->name);
    for (const nf_toy *toy = nf_toys(); toy->name; toy++) {
        double expected[4], x[4];
        json_t *result = SUCCEED_JSON("data", toy->name, "-n", "2", "--seed", "5", "-o", "toy.csv");
        ck_assert_str_eq(text_in(result, "target"), toy->name);
        ck_assert_double_eq_tol(number_in(result, "entropy"), toy->entropy, 1e-12);
        json_decref(result);
        nf_toy_draw(toy, 2, toy->noise, 5, expected, NULL);
        slurp(scratch_path("toy.csv").text, text, sizeof text);
        ck_assert_int_eq(sscanf(text, "x,y\n%lf,%lf\n%lf,%lf", &x[0], &x[1], &x[2], &x[3]), 4);
        ck_assert_mem_eq(x, expected, sizeof x);
    }
    json_t *noisy = SUCCEED_JSON("data", "moons", "-n", "2", "--noise", "0.2", "-o", "toy.csv");
    ck_assert_ptr_null(json_object_get(noisy, "entropy"));
    json_decref(noisy);
}
END_TEST

/* Flow matching fits the flow that the help of --flow names for it, and its --ema is what the help of that says. */
START_TEST(flow_matching_has_defaults)
{
    static const struct {
        const char *ema;
        bool as_default;
    } cases[] = {{"0.999", true}, {"0.05", false}, {"0", false}};
    char quoted[200];
    double nll;
    SUCCEED("data", "moons", "-n", "50", "-o", "moons.csv");
    SUCCEED("fit", "moons.csv", "--objective", "flow-matching", "--epochs", "2", "-o", "m");
    json_t *result = SUCCEED_JSON("info", "m");
    const char *formula = text_in(result, "formula"), *appended = strstr(formula, "-standardize");
    ck_assert_msg(strncmp(formula, "cnf(", 4) == 0 && appended, "%s", formula);
    snprintf(quoted, sizeof quoted, "'%.*s'", (int)(appended - formula), formula);
    json_decref(result);
    SUCCEED("fit", "--help");
    assert_contains(output, quoted);
    assert_contains(output, "it is 0.999 of flow matching");
    result = SUCCEED_JSON("logprob", "m", "moons.csv", "-o", "l.csv");
    nll = number_in(result, "nll");
    json_decref(result);
    for (size_t i = 0; i < COUNT(cases); i++) {
        SUCCEED("fit", "moons.csv", "--objective", "flow-matching", "--epochs", "2", "--ema", cases[i].ema, "-o", "m");
        result = SUCCEED_JSON("logprob", "m", "moons.csv", "-o", "l.csv");
        ck_assert_msg((number_in(result, "nll") == nll) == cases[i].as_default, "--ema %s", cases[i].ema);
        json_decref(result);
    }
}
END_TEST

Suite *usage_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("usage", &tests);
    tcase_add_test(tests, help_of_every_command);
    tcase_add_test(tests, help_of_formulas);
    tcase_add_loop_test(tests, help_fits_the_terminal, 0, COUNT(folded));
    tcase_add_test(tests, help_shows_defaults);
    tcase_add_loop_test(tests, usage_mistake, 0, COUNT(usage_mistakes));
    tcase_add_test(tests, mistakes_in_arguments_of_options);
    tcase_add_test(tests, options_in_every_form);
    tcase_add_test(tests, every_distribution_is_drawn);
    tcase_add_test(tests, flow_matching_has_defaults);
    return suite;
}
