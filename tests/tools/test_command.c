/* The weir command from outside: what it prints, how it exits, what it leaves behind. */
#include <weir/models.h>
#include "scratch.h"

#include <jansson.h>
#include <math.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- Running it ---------------------------------------------------------------------------------------------- */

static char output[1 << 16], complaint[1 << 14];

static void read_back(FILE *file, char *text, size_t size)
{
    rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

static void become_command(const char *const words[])
{
    if (chdir(scratch) == 0) execv(WEIR_COMMAND, (char *const *)(uintptr_t)words);
    _exit(127);
}

/* Its exit status; what it wrote is in output and complaint. */
static int run_words(const char *const words[])
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

static void succeed(const char *const words[])
{
    int status = run_words(words);
    ck_assert_msg(status == 0, "weir %s: exit status %d: %s", words[1], status, complaint);
}

static json_t *parse_output(void)
{
    json_error_t error;
    json_t *result = json_loads(output, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(json_is_object(result), "%s in: %s", error.text, output);
    return result;
}

static json_t *succeed_json(const char *const words[])
{
    succeed(words);
    return parse_output();
}

static size_t lines(const char *text)
{
    size_t count = 0;
    for (; *text; text++) count += *text == '\n';
    return count;
}

static void assert_contains(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "'%s' is not in: %s", part, text);
}

static bool exists(const char *name)
{
    return access(scratch_path(name).text, F_OK) == 0;
}

static json_t *member(const json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    ck_assert_msg(value != NULL, "no '%s' in the result", name);
    return value;
}

static double number_in(const json_t *object, const char *name)
{
    ck_assert(json_is_number(member(object, name)));
    return json_number_value(member(object, name));
}

static const char *text_in(const json_t *object, const char *name)
{
    ck_assert(json_is_string(member(object, name)));
    return json_string_value(member(object, name));
}

/* moons.npy and a flow that saw a little of it. */
static void make_model(void)
{
    SUCCEED("data", "moons", "-n", "500", "-o", "moons.npy");
    SUCCEED("fit", "moons.npy", "--flow", "maf(16)-flip-maf(16)", "--epochs", "3", "-o", "moons.safetensors");
}

static void write_text(const char *name, const char *text)
{
    scratch_write(name, text, strlen(text));
}

static bool have_gnuplot(void)
{
    return system("gnuplot --version >/dev/null 2>&1") == 0;
}

/* ---- Help and usage ------------------------------------------------------------------------------------------- */

static const char *const commands[] = {"data", "fit",   "sample", "logprob", "plot",
                                       "info", "check", "nuts",   "vi",      "demo"};

START_TEST(help_of_every_command)
{
    char usage[64], before[sizeof output];
    snprintf(usage, sizeof usage, "usage: weir %s ", commands[_i]);
    SUCCEED(commands[_i], "--help");
    ck_assert_int_eq(strncmp(output, usage, strlen(usage)), 0);
    assert_contains(output, "--json");
    assert_contains(output, "\nexample:\n  weir ");
    ck_assert_str_eq(complaint, "");
    strcpy(before, output);
    SUCCEED("help", commands[_i]);
    ck_assert_str_eq(output, before);
    SUCCEED(commands[_i], "-h", "surplus", "--nonsense");
    ck_assert_str_eq(output, before);
    SUCCEED("--help");
    snprintf(usage, sizeof usage, "\n  %s ", commands[_i]);
    assert_contains(output, usage);
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
        ck_assert_int_eq(sscanf(line + 3, "%31[a-z_]", name), 1);
        SUCCEED("check", name, "--dim", "2");
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

/* ---- What it is for ------------------------------------------------------------------------------------------- */

START_TEST(from_data_to_scores)
{
    json_t *data = SUCCEED_JSON("data", "moons", "-n", "500", "--noise", "0.1", "--seed", "5", "-o", "moons.csv");
    ck_assert_str_eq(text_in(data, "output"), "moons.csv");
    ck_assert_double_eq(number_in(data, "rows"), 500);
    json_decref(data);

    json_t *fit = SUCCEED_JSON("fit", "moons.csv", "--flow", "maf(16) - flip - maf(16)", "--epochs", "4", "--batch",
                               "100", "--val-fraction", "0.2", "--schedule", "cosine", "-o", "moons.safetensors");
    ck_assert_str_eq(text_in(fit, "formula"), "maf(16)-flip-maf(16)-standardize");
    ck_assert(json_is_true(member(fit, "standardize_appended")));
    ck_assert_str_eq(text_in(fit, "output"), "moons.safetensors");
    ck_assert_str_eq(text_in(fit, "outcome"), "finished");
    ck_assert_double_eq(number_in(fit, "rows"), 500);
    ck_assert_double_eq(number_in(fit, "train_rows"), 400);
    ck_assert_double_eq(number_in(fit, "val_rows"), 100);
    ck_assert_double_eq(number_in(fit, "epochs"), 4);
    ck_assert_double_eq(number_in(fit, "steps"), 16);
    ck_assert_double_gt(number_in(fit, "seconds"), 0);
    ck_assert_double_gt(number_in(fit, "rows_per_second"), 0);
    json_t *val_nll = member(member(fit, "history"), "val_nll");
    ck_assert_uint_eq(json_array_size(val_nll), 4);
    size_t best = (size_t)number_in(fit, "best_epoch");
    ck_assert_double_eq(json_number_value(json_array_get(val_nll, best - 1)), number_in(fit, "val_nll"));
    for (size_t i = 0; i < 4; i++)
        ck_assert_double_ge(json_number_value(json_array_get(val_nll, i)), number_in(fit, "val_nll"));

    json_t *info = SUCCEED_JSON("info", "moons.safetensors"), *training = member(info, "training");
    ck_assert_str_eq(text_in(info, "formula"), text_in(fit, "formula"));
    ck_assert_double_eq(number_in(info, "dim"), 2);
    ck_assert_str_eq(text_in(info, "dtype"), "float32");
    ck_assert_double_eq(number_in(info, "parameters"), number_in(fit, "parameters"));
    ck_assert_double_eq(number_in(training, "val_nll"), number_in(fit, "val_nll"));
    ck_assert_str_eq(text_in(training, "data"), "moons.csv");
    ck_assert_double_eq(number_in(member(training, "options"), "batch"), 100);
    ck_assert_str_eq(text_in(member(training, "options"), "schedule"), "cosine");
    ck_assert_double_eq(number_in(member(training, "options"), "seed"), 1);
    SUCCEED("info", "moons.safetensors");
    assert_contains(output, "maf(16)-flip-maf(16)-standardize");
    assert_contains(output, "moons.csv: 500 rows");
    ck_assert_ptr_null(strstr(output, "--lr")); /* an option that was not given and has no value */
    json_decref(fit);
    json_decref(info);

    json_t *sample = SUCCEED_JSON("sample", "moons.safetensors", "-n", "50", "--seed", "9", "-o", "samples.csv");
    ck_assert_double_eq(number_in(sample, "rows"), 50);
    ck_assert_double_eq(number_in(sample, "columns"), 2);
    json_decref(sample);
    char text[1 << 14];
    slurp(scratch_path("samples.csv").text, text, sizeof text);
    ck_assert_uint_eq(lines(text), 51);
    ck_assert_int_eq(strncmp(text, "x,y\n", 4), 0); /* named as the data was */

    json_t *score = SUCCEED_JSON("logprob", "moons.safetensors", "samples.csv", "-o", "logp.csv");
    slurp(scratch_path("logp.csv").text, text, sizeof text);
    double sum = 0, squares = 0;
    char *at = strchr(text, '\n');
    for (int i = 0; i < 50; i++) {
        double log_prob = strtod(at, &at);
        sum += log_prob;
        squares += log_prob * log_prob;
    }
    ck_assert_str_eq(at, "\n");
    ck_assert_double_eq_tol(number_in(score, "nll"), -sum / 50, 1e-6);
    ck_assert_double_eq_tol(number_in(score, "nll_stderr"), sqrt((squares - sum * sum / 50) / 49 / 50), 1e-6);
    json_decref(score);
    SUCCEED("logprob", "moons.safetensors", "samples.csv");
    ck_assert_uint_eq(lines(output), 1);
}
END_TEST

START_TEST(same_seed_same_flow)
{
    char first[1 << 12], other[1 << 12];
    size_t bytes = 0;
    static const char *const seeds[] = {"1", "1", "2"}, *const threads[] = {"1", "3", "1"};
    SUCCEED("data", "moons", "-n", "300", "-o", "moons.npy");
    for (size_t i = 0; i < 3; i++) {
        SUCCEED("fit", "moons.npy", "--flow", "maf(16)", "--epochs", "2", "--seed", seeds[i], "--threads", threads[i],
                "-o", "m.safetensors");
        SUCCEED("sample", "m.safetensors", "-n", "20", "--threads", threads[i], "-o", "samples.npy");
        bytes = slurp(scratch_path("samples.npy").text, i ? other : first, sizeof first);
        if (i == 1) ck_assert_mem_eq(first, other, bytes);
        if (i == 2) ck_assert_mem_ne(first, other, bytes);
    }
}
END_TEST

START_TEST(standardize)
{
    write_text("far.csv", "1000,5\n1001,7\n1002,6\n1003,5\n");
    static const struct {
        const char *flow, *option, *formula;
        bool appended;
    } cases[] = {
        {"flip", "--json", "flip-standardize", true},
        {"flip", "--no-standardize", "flip", false},
        {"standardize-maf(4)", "--json", "standardize-maf(4)", false},
        {"(flip-standardize)*2", "--json", "(flip-standardize)*2", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_t *fit = SUCCEED_JSON("fit", "far.csv", "--flow", cases[i].flow, cases[i].option, "--epochs", "1", "-o",
                                   "m.safetensors");
        ck_assert_str_eq(text_in(fit, "formula"), cases[i].formula);
        ck_assert_int_eq(json_is_true(member(fit, "standardize_appended")), cases[i].appended);
        json_decref(fit);
    }
}
END_TEST

/* So few rows are soon learnt by heart, and the validation loss rises. */
START_TEST(scores_are_of_the_best_epoch)
{
    SUCCEED("data", "moons", "-n", "60", "-o", "moons.npy");
    json_t *fit = SUCCEED_JSON("fit", "moons.npy", "--flow", "maf(64,64)*2", "--epochs", "60", "--lr", "0.02",
                               "--batch", "20", "--val-fraction", "0.3", "-o", "m.safetensors");
    size_t best = (size_t)number_in(fit, "best_epoch");
    ck_assert_uint_lt(best, 60);
    static const char *const names[] = {"train_nll", "val_nll"};
    for (size_t i = 0; i < 2; i++) {
        const json_t *losses = member(member(fit, "history"), names[i]);
        ck_assert_double_eq(number_in(fit, names[i]), json_number_value(json_array_get(losses, best - 1)));
    }
    json_decref(fit);
}
END_TEST

START_TEST(zero_turns_validation_off)
{
    SUCCEED("data", "moons", "-n", "100", "-o", "moons.npy");
    json_t *fit = SUCCEED_JSON("fit", "moons.npy", "--flow", "maf(8)", "--epochs", "2", "--val-fraction", "0", "-o",
                               "m.safetensors");
    ck_assert_double_eq(number_in(fit, "train_rows"), 100);
    ck_assert_double_eq(number_in(fit, "val_rows"), 0);
    ck_assert(json_is_null(member(fit, "val_nll")));
    ck_assert(json_is_number(member(fit, "train_nll")));
    json_decref(fit);
}
END_TEST

START_TEST(check_tells_all)
{
    json_t *result = SUCCEED_JSON("check", "(maf(8)-flip)*2", "--dim", "3"), *check;
    size_t i;
    ck_assert(json_is_true(member(result, "passed")));
    ck_assert_double_eq(number_in(result, "dim"), 3);
    ck_assert_uint_ge(json_array_size(member(result, "checks")), 5);
    json_array_foreach(member(result, "checks"), i, check)
    {
        ck_assert_double_le(number_in(check, "worst"), number_in(check, "bound"));
        ck_assert_str_ne(text_in(check, "property"), "");
    }
    json_decref(result);
}
END_TEST

/* A mean field for a correlated normal: KL = -½ log(1 - r²), whatever its threads. */
START_TEST(vi_tells_all)
{
    json_t *one = SUCCEED_JSON("vi", "gaussian(correlation=0.6)", "--objective", "stl", "--iters", "2000", "--lr",
                               "0.02", "--threads", "1", "-o", "g.safetensors");
    json_t *two = SUCCEED_JSON("vi", "gaussian(correlation=0.6)", "--objective", "stl", "--iters", "2000", "--lr",
                               "0.02", "--threads", "2");
    const double kl = -0.5 * log(1 - 0.36);
    ck_assert_double_eq_tol(number_in(one, "average_loss"), kl, 0.01);
    ck_assert_double_eq_tol(number_in(one, "elbo"), -kl, 5 * number_in(one, "elbo_stderr") + 0.001);
    ck_assert_double_eq_tol(number_in(one, "log_z"), 0, 0.02);
    ck_assert_double_lt(number_in(one, "khat"), 0.7);
    ck_assert_double_gt(number_in(one, "ess"), 1000);
    ck_assert_double_gt(number_in(one, "seconds"), 0);
    ck_assert_double_eq(number_in(one, "iterations"), 2000);
    static const char *const same[] = {"average_loss", "elbo", "khat", "log_z", "ess"};
    for (size_t i = 0; i < COUNT(same); i++) ck_assert_double_eq(number_in(one, same[i]), number_in(two, same[i]));
    json_decref(one);
    json_decref(two);

    SUCCEED("info", "g.safetensors");
    assert_contains(output, "target      gaussian(correlation=0.6)\n");
    assert_contains(output, "finished after 2000 iterations");
    assert_contains(output, "is the best possible: -log Z");
    assert_contains(output, "--objective 'stl'");
    assert_contains(output, "|gradient|");
    SUCCEED("sample", "g.safetensors", "-n", "5", "-o", "s.csv");
    char text[4096];
    slurp(scratch_path("s.csv").text, text, sizeof text);
    ck_assert_int_eq(strncmp(text, "x[1],x[2]\n", 10), 0);
    SUCCEED("help", "targets");
    assert_contains(output, "eight_schools_centered");
}
END_TEST

/* Draws are on the scale of the target's sites. */
START_TEST(vi_on_the_scale_of_the_sites)
{
    SUCCEED("vi", "eight_schools", "--iters", "500", "--lr", "0.02", "-o", "e.safetensors");
    assert_contains(output, "\ntau ");
    assert_contains(output, "k-hat ");
    SUCCEED("sample", "e.safetensors", "-n", "200", "-o", "e.csv");
    nf_table draws;
    ck_assert_int_eq(nf_table_read(scratch_path("e.csv").text, &draws, NULL), AD_OK);
    ck_assert_uint_eq(draws.columns, 10);
    ck_assert_str_eq(draws.names[1], "tau");
    for (size_t r = 0; r < draws.rows; r++) ck_assert_double_gt(draws.values[10 * r + 1], 0);
    nf_table_free(&draws);
}
END_TEST

/* With weight decay W, scale's rho settles where d KL / d rho + W rho = 0, KL = s²/2 - log s - 1/2, s = softplus(rho).
 */
START_TEST(vi_options_of_the_optimizer)
{
    const double decay = 0.5;
    double low = 0, high = 1;
    for (int i = 0; i < 60; i++) {
        double rho = (low + high) / 2, s = log1p(exp(rho));
        *((s - 1 / s) / (1 + exp(-rho)) + decay * rho < 0 ? &low : &high) = rho;
    }
    double s = log1p(exp(low));
    json_t *result = SUCCEED_JSON("vi", "gaussian(dim=1)", "--flow", "scale", "--weight-decay", "0.5", "--lr", "0.05",
                                  "--iters", "2000", "--mc", "200");
    ck_assert_double_eq_tol(number_in(json_array_get(member(result, "values"), 0), "sd"), s, 0.03);
    ck_assert_double_eq_tol(number_in(json_array_get(member(result, "values"), 0), "weighted_sd"), 1, 0.03);
    ck_assert_str_eq(text_in(result, "outcome"), "finished");
    json_decref(result);

    double loss[2];
    for (int i = 0; i < 2; i++) {
        result = SUCCEED_JSON("vi", "gaussian(dim=1)", "--iters", "50", "--beta2", i ? "0.9" : "0.99");
        loss[i] = number_in(result, "average_loss");
        json_decref(result);
    }
    ck_assert_double_ne(loss[0], loss[1]);

    /* An optimiser's arguments are those of --beta2, where it has that; where it hasn't, that changes nothing. */
    static const char *const same[][2][4] = {
        {{"--optimizer", "adam(beta2=0.9)"}, {"--beta2", "0.9"}},
        {{"--optimizer", "adam(beta1=0.5,beta2=0.9)"}, {"--optimizer", "adam(beta1=0.5)", "--beta2", "0.9"}},
        {{"--optimizer", "sgd"}, {"--optimizer", "sgd", "--beta2", "0.9"}},
        {{"--schedule", "exponential"}, {"--schedule", "exponential(end=0.01)"}},
    };
    for (size_t i = 0; i < COUNT(same); i++) {
        for (int j = 0; j < 2; j++) {
            const char *const *words = same[i][j];
            result = words[2] ? SUCCEED_JSON("vi", "gaussian(dim=1)", "--iters", "50", words[0], words[1], words[2],
                                             words[3])
                              : SUCCEED_JSON("vi", "gaussian(dim=1)", "--iters", "50", words[0], words[1]);
            loss[j] = number_in(result, "average_loss");
            json_decref(result);
        }
        ck_assert_double_eq(loss[0], loss[1]);
    }

    result = SUCCEED_JSON("vi", "gaussian(dim=1)", "--objective", "stl", "--lr", "0.05", "--iters", "100000",
                          "--tolerance", "0.001", "-o", "c.safetensors");
    ck_assert_str_eq(text_in(result, "outcome"), "converged");
    ck_assert_double_lt(number_in(result, "iterations"), 20000);
    ck_assert_double_eq(fmod(number_in(result, "iterations"), 100), 0);
    json_decref(result);
    SUCCEED("info", "c.safetensors");
    assert_contains(output, "converged after");
}
END_TEST

START_TEST(nuts_tells_all)
{
    json_t *result = SUCCEED_JSON("nuts", "eight_schools", "--chains", "3", "--tune", "300", "-n", "200", "--seed", "4",
                                  "--target-accept", "0.9", "--dense", "-o", "draws.csv");
    json_t *parameters = member(result, "parameters"), *tau = json_array_get(parameters, 1);
    ck_assert_uint_eq(json_array_size(parameters), 10);
    ck_assert_str_eq(text_in(tau, "name"), "tau");
    ck_assert_double_gt(number_in(tau, "q5"), 0);
    ck_assert_double_lt(number_in(tau, "rhat"), 1.1);
    ck_assert_double_gt(number_in(tau, "ess_tail"), 10);
    ck_assert_uint_eq(json_array_size(member(result, "step_size")), 3);
    ck_assert_uint_eq(json_array_size(member(result, "bfmi")), 3);
    ck_assert_double_gt(number_in(result, "gradients"), 1500);
    ck_assert(json_is_false(member(result, "interrupted")));

    nf_table draws;
    double sum = 0;
    ck_assert_int_eq(nf_table_read(scratch_path("draws.csv").text, &draws, NULL), AD_OK);
    ck_assert_uint_eq(draws.rows, 600);
    ck_assert_uint_eq(draws.columns, 10);
    ck_assert_str_eq(draws.names[9], "theta_trans[8]");
    for (size_t r = 0; r < draws.rows; r++) sum += draws.values[10 * r + 1];
    ck_assert_double_eq_tol(sum / 600, number_in(tau, "mean"), 1e-10);
    nf_table_free(&draws);
    json_decref(result);

    SUCCEED("nuts", "eight_schools_centered", "--chains", "2", "--tune", "200", "-n", "100", "--threads", "1");
    assert_contains(output, "ESS bulk");
    assert_contains(output, "\ntheta[8] ");
    assert_contains(output, "divergent ");
    assert_contains(output, "--target-accept");
}
END_TEST

START_TEST(nuts_with_a_flow)
{
    make_model();
    json_t *result = SUCCEED_JSON("nuts", "gaussian(dim=2)", "--flow", "moons.safetensors", "-n", "50");
    ck_assert_uint_eq(json_array_size(member(result, "parameters")), 2);
    json_decref(result);
    ck_assert_int_eq(RUN("nuts", "gaussian(dim=3)", "--flow", "moons.safetensors"), 2);
    assert_contains(complaint, "the flow has 2 features, but target 'gaussian' has 3");
    ck_assert_int_eq(RUN("nuts", "gaussian(dim=2)", "--flow", "moons.npy"), 1);
    assert_contains(complaint, "moons.npy");
}
END_TEST

START_TEST(numbers_to_standard_output)
{
    make_model();
    SUCCEED("sample", "moons.safetensors", "-n", "5", "-o", "/dev/stdout");
    ck_assert_uint_eq(lines(output), 5 + (output[0] == 'x'));
    assert_contains(complaint, "5 samples");
}
END_TEST

/* What a shell makes of a line, in the scratch directory with `weir` on the path. */
static int shell(const char *line)
{
    static char whole[4096];
    const char *slash = strrchr(WEIR_COMMAND, '/');
    snprintf(whole, sizeof whole, "cd %s && PATH=%.*s:$PATH && exec 2>/dev/null; %s", scratch,
             (int)(slash - WEIR_COMMAND), WEIR_COMMAND, line);
    int state = system(whole);
    ck_assert(WIFEXITED(state));
    return WEXITSTATUS(state);
}

START_TEST(standard_input_and_output)
{
    make_model();
    char piped[4096], direct[4096];
    ck_assert_int_eq(shell("weir data moons -n 20 -o - >direct.csv && weir data moons -n 20 -o - | tee points.csv |"
                           "weir logprob moons.safetensors - -o - >piped.csv"),
                     0);
    SUCCEED("logprob", "moons.safetensors", "points.csv", "-o", "logp.csv");
    slurp(scratch_path("piped.csv").text, piped, sizeof piped);
    slurp(scratch_path("logp.csv").text, direct, sizeof direct);
    ck_assert_uint_eq(lines(direct), 21);
    ck_assert_str_eq(piped, direct);
    ck_assert_int_eq(shell("weir fit - --flow loc --epochs 1 -o - <moons.npy >m.safetensors"), 0);
    ck_assert_int_eq(shell("weir info - <m.safetensors >info.txt"), 0);
    ck_assert(!exists("-"));
}
END_TEST

START_TEST(full_standard_output)
{
    int state = system("\"" WEIR_COMMAND "\" --help >/dev/full 2>/dev/null");
    ck_assert_int_eq(WEXITSTATUS(state), 1);
}
END_TEST

START_TEST(demo)
{
    bool pictures = have_gnuplot();
    int status = RUN("demo", "moons", "-o", "demo", "--flow", "maf(8)", "--epochs", "2", "--json");
    ck_assert_int_eq(status, pictures ? 0 : 1);
    json_t *result = parse_output();
    double nll = number_in(result, "test_nll");
    ck_assert_double_gt(number_in(result, "test_nll_stderr"), 0);
    ck_assert_double_lt(number_in(result, "test_nll_stderr"), 0.1);
    ck_assert_double_gt(number_in(result, "seconds"), 0);
    ck_assert_double_eq(number_in(result, "rows"), 10000);
    ck_assert_double_eq(number_in(result, "test_rows"), 20000);
    ck_assert_double_gt(nll, number_in(result, "entropy")); /* as any density's must be, but for chance */
    json_decref(result);
    /* The score is that of the saved flow. */
    SUCCEED("data", "moons", "-n", "20000", "--seed", "2", "-o", "test.npy");
    json_t *score = SUCCEED_JSON("logprob", "demo/moons.safetensors", "test.npy");
    ck_assert_double_eq_tol(number_in(score, "nll"), nll, 1e-12);
    json_decref(score);
    ck_assert(!pictures || exists("demo/density.png"));
    ck_assert(exists("demo/samples.npy"));
    char remove[128];
    snprintf(remove, sizeof remove, "rm -r '%s/demo'", scratch);
    ck_assert_int_eq(system(remove), 0);
}
END_TEST

/* Few epochs are enough. */
START_TEST(demo_banana)
{
    bool pictures = have_gnuplot();
    int status = RUN("demo", "banana", "-o", "banana", "--epochs", "600", "--json");
    ck_assert_int_eq(status, pictures ? 0 : 1);
    json_t *result = parse_output();
    double nll = number_in(result, "test_nll");
    ck_assert_double_eq(number_in(result, "rows"), 512);
    ck_assert_double_gt(nll, number_in(result, "entropy"));
    ck_assert_double_lt(nll, 4.15); /* a Gaussian's: 1/2 log((2 pi e)^2 * 9 * 11.125) = 5.14 nats */
    ck_assert_double_eq(number_in(json_object_get(result, "options"), "weight-decay"), 1.0 / 512);
    json_decref(result);
    SUCCEED("data", "banana", "-n", "20000", "--seed", "2", "-o", "test.npy");
    json_t *score = SUCCEED_JSON("logprob", "banana/banana.safetensors", "test.npy");
    ck_assert_double_eq_tol(number_in(score, "nll"), nll, 1e-12);
    json_decref(score);
    ck_assert(exists("banana/banana.npy"));
    ck_assert(exists("banana/banana-samples.npy"));
    ck_assert(!pictures || (exists("banana/banana.png") && exists("banana/banana-steps.png")));
    char remove[128];
    snprintf(remove, sizeof remove, "rm -r '%s/banana'", scratch);
    ck_assert_int_eq(system(remove), 0);
}
END_TEST

/* ---- Pictures ------------------------------------------------------------------------------------------------- */

/* One, two and more features; names that gnuplot must not take for its own. */
static const char *const headers[] = {"a", "it's \"_{x}^2`ls`\",b", "a,b,c", "a,b,c,d,e"};

START_TEST(pictures)
{
    if (!have_gnuplot()) return;
    char table[1 << 14], start[64];
    size_t filled = (size_t)snprintf(table, sizeof table, "%s\n", headers[_i]);
    static const size_t columns[] = {1, 2, 3, 5};
    for (size_t r = 0; r < 60; r++)
        for (size_t c = 0; c < columns[_i]; c++)
            filled += (size_t)snprintf(table + filled, sizeof table - filled, "%g%c", sin((double)(r * 7 + c * c * r)),
                                       c + 1 < columns[_i] ? ',' : '\n');
    write_text("data.csv", table);
    SUCCEED("fit", "data.csv", "--flow", "maf(8)", "--epochs", "3", "-o", "m.safetensors");
    SUCCEED("plot", "m.safetensors", "--data", "data.csv", "-o", "it's \"a\" picture;.png");
    slurp(scratch_path("it's \"a\" picture;.png").text, start, sizeof start);
    ck_assert_mem_eq(start, "\x89PNG\r\n\x1a\n", 8);
    json_t *plot = SUCCEED_JSON("plot", "m.safetensors", "-n", "100", "-o", "picture.SVG");
    ck_assert_str_eq(text_in(plot, "output"), "picture.SVG");
    json_decref(plot);
    static char svg[1 << 22];
    slurp(scratch_path("picture.SVG").text, svg, sizeof svg);
    ck_assert_int_eq(strncmp(svg, "<?xml", 5), 0);
    ck_assert_int_eq(strstr(svg, "Density of the flow") != NULL, columns[_i] == 2);
    assert_contains(svg, "validation");
    ck_assert_int_eq(scratch_files(false), 4);
}
END_TEST

/* a, b given c: its density there, and what each step does. */
START_TEST(a_conditional_flow)
{
    char table[1 << 14], steps[3][2048];
    static char svg[1 << 22];
    size_t filled = (size_t)snprintf(table, sizeof table, "a,c,b\n");
    for (int r = 0; r < 80; r++)
        filled += (size_t)snprintf(table + filled, sizeof table - filled, "%g,%g,%g\n", sin(7 * r), cos(r), cos(3 * r));
    write_text("data.csv", table);
    SUCCEED("fit", "data.csv", "--context", "c", "--flow", "flip-rqs(4)-flip", "--no-standardize", "--epochs", "3",
            "-o", "m.safetensors");
    for (int k = 0; k < 3; k++) {
        static const char *const number[] = {"0", "1", "3"};
        SUCCEED("sample", "m.safetensors", "--context", "0.5", "--steps", number[k], "-n", "5", "-o", "s.csv");
        slurp(scratch_path("s.csv").text, steps[k], sizeof steps[k]);
    }
    double z[2], x[2];
    ck_assert_int_eq(sscanf(steps[0], "%lf,%lf", &z[0], &z[1]), 2);
    ck_assert_int_eq(sscanf(steps[1], "%lf,%lf", &x[0], &x[1]), 2);
    ck_assert(z[0] == x[1] && z[1] == x[0]);
    SUCCEED("sample", "m.safetensors", "--context", "0.5", "-n", "5", "-o", "s.csv");
    slurp(scratch_path("s.csv").text, table, sizeof table);
    ck_assert_str_eq(table, steps[2]);
    ck_assert_int_eq(strncmp(table, "a,b\n", 4), 0);
    ck_assert_int_eq(RUN("sample", "m.safetensors", "--context", "0.5", "--steps", "4", "-o", "s.csv"), 2);
    assert_contains(complaint, "--steps: flip-rqs(4)-flip has 3 steps, got 4");
    ck_assert_int_eq(RUN("sample", "m.safetensors", "--context", "0.5,1", "-o", "s.csv"), 2);
    assert_contains(complaint, "expected 1 number, got '0.5,1'");
    ck_assert_int_eq(RUN("sample", "m.safetensors", "--context", "nan", "-o", "s.csv"), 2);
    assert_contains(complaint, "number 1 of 'nan' is not finite");
    ck_assert_int_eq(RUN("plot", "m.safetensors", "-o", "p.svg"), 2);
    assert_contains(complaint, "give its context of 1 number with --context");
    ck_assert_int_eq(RUN("plot", "m.safetensors", "--context", "1,2", "-o", "p.svg"), 2);
    assert_contains(complaint, "expected 1 number, got '1,2'");
    if (!have_gnuplot()) return;
    SUCCEED("plot", "m.safetensors", "--context", "0.5", "--data", "data.csv", "-n", "500", "-o", "p.svg");
    slurp(scratch_path("p.svg").text, svg, sizeof svg);
    assert_contains(svg, "flip-rqs(4)-flip, given c = 0.5");
    assert_contains(svg, "Data, of any context");
    assert_contains(svg, "Density of the flow");
    SUCCEED("plot", "m.safetensors", "--context", "0.5", "--steps", "-o", "p.png");
    slurp(scratch_path("p.png").text, svg, sizeof svg);
    ck_assert_mem_eq(svg, "\x89PNG\r\n\x1a\n", 8);
}
END_TEST

/* Of a fit to a target, in the plane and beyond. */
START_TEST(pictures_of_targets)
{
    if (!have_gnuplot()) return;
    static char svg[1 << 24];
    SUCCEED("vi", "pot1", "--flow", "planar*2", "--iters", "50", "-o", "m.safetensors");
    SUCCEED("plot", "m.safetensors", "-n", "500", "-o", "m.svg");
    slurp(scratch_path("m.svg").text, svg, sizeof svg);
    assert_contains(svg, "planar*2 for pot1");
    assert_contains(svg, "Density of the target");
    assert_contains(svg, "-1.8775 possible");
    ck_assert_ptr_null(strstr(svg, "β grows"));
    SUCCEED("plot", "m.safetensors", "--target", "pot4", "-n", "500", "-o", "m.svg");
    slurp(scratch_path("m.svg").text, svg, sizeof svg);
    assert_contains(svg, "planar*2 for pot4");
    ck_assert_int_eq(RUN("plot", "m.safetensors", "--target", "funnel", "-o", "m.svg"), 2);
    assert_contains(complaint, "target 'funnel' has 10 features, but the flow has 2");
    SUCCEED("vi", "funnel(3)", "--iters", "50", "--anneal", "20", "-o", "f.safetensors");
    SUCCEED("plot", "f.safetensors", "-n", "500", "-o", "f.svg");
    slurp(scratch_path("f.svg").text, svg, sizeof svg);
    assert_contains(svg, "x[2]");
    assert_contains(svg, "Loss: ");
    assert_contains(svg, "β grows");
}
END_TEST

START_TEST(figures_of_papers)
{
    if (!have_gnuplot()) return;
    json_t *made = SUCCEED_JSON("demo", "potentials", "-o", "demo", "--iters", "3", "--mc", "16");
    ck_assert_uint_eq(json_array_size(member(made, "fits")), 12);
    json_decref(made);
    ck_assert(exists("demo/potentials.png") && exists("demo/u4-32.safetensors"));
    made = SUCCEED_JSON("demo", "nfvi", "-o", "demo", "--iters", "20", "--nuts-draws", "20", "--threads", "1");
    ck_assert_uint_eq(json_array_size(member(made, "rows")), 18);
    /* pot2: z1 is Laplace of scale b = 10, z2 a normal of sd 0.4 around sin(πz1/2), and E cos(πz1) = 1 / (1 + π²b²) */
    json_t *exact = json_array_get(member(made, "rows"), 8);
    ck_assert_str_eq(text_in(exact, "target"), "pot2");
    ck_assert_str_eq(text_in(exact, "method"), "quadrature");
    ck_assert_double_eq_tol(number_in(exact, "mean1"), 0, 1e-9);
    ck_assert_double_eq_tol(number_in(exact, "mean2"), 0, 1e-9);
    ck_assert_double_eq_tol(number_in(exact, "sd1"), sqrt(200), 1e-4);
    const double pi = acos(-1);
    ck_assert_double_eq_tol(number_in(exact, "sd2"), sqrt(0.16 + 0.5 - 0.5 / (1 + 100 * pi * pi)), 1e-4);
    ck_assert_str_eq(text_in(json_array_get(member(made, "rows"), 6), "method"), "NUTS through the flow");
    json_decref(made);
    char remove[128];
    snprintf(remove, sizeof remove, "rm -r '%s/demo'", scratch);
    ck_assert_int_eq(system(remove), 0);
}
END_TEST

/* What takes gnuplot's place; NULL: nothing does. */
static const struct {
    const char *script, *part;
} bad_gnuplots[] = {
    {NULL, "gnuplot-nox"},
    {"#!/bin/sh\nexit 0\n", "drew nothing"},
    {"#!/bin/sh\necho half a picture\necho line 7: no such terminal >&2\nexit 1\n", "line 7: no such terminal"},
};

START_TEST(picture_without_gnuplot)
{
    make_model();
    if (bad_gnuplots[_i].script) {
        write_text("gnuplot", bad_gnuplots[_i].script);
        ck_assert_int_eq(chmod(scratch_path("gnuplot").text, 0755), 0);
    }
    int before = scratch_files(false);
    setenv("PATH", scratch, 1);
    ck_assert_int_eq(RUN("plot", "moons.safetensors", "-o", "density.png"), 1);
    ck_assert_uint_eq(lines(complaint), 1);
    assert_contains(complaint, bad_gnuplots[_i].part);
    ck_assert_int_eq(scratch_files(false), before);
}
END_TEST

/* ---- Bad input ------------------------------------------------------------------------------------------------ */

static const struct {
    const char *text; /* of bad.csv; NULL: there is none */
    const char *parts[3];
} bad_tables[] = {
    {NULL, {"bad.csv", "No such file"}},
    {"", {"bad.csv", "empty"}},
    {"a,b\n", {"bad.csv"}},
    {"1,2\n3,4\n5\n", {"bad.csv:3"}},
    {"1,2\n3,4,5\n", {"bad.csv:2"}},
    {"1,2\n3,4\n5,six\n", {"bad.csv:3:2", "'six'"}},
    {"1,2\n,4\n", {"bad.csv:2:1"}},
    {"1,2\n3,nan\n", {"bad.csv", "row 2", "NaN"}},
    {"1,2\n3,4\n-inf,4\n", {"bad.csv", "row 3", "infinit"}},
};

/* A refusal: status 1, one line with these parts, nothing on standard output, and no other files than before. */
static void assert_refused(const char *const words[], const char *const parts[3])
{
    int before = scratch_files(false);
    int status = run_words(words);
    ck_assert_msg(status == 1, "weir %s: exit status %d: %s", words[1], status, complaint);
    ck_assert_str_eq(output, "");
    ck_assert_msg(lines(complaint) == 1, "not one line: %s", complaint);
    ck_assert_int_eq(strncmp(complaint, "weir ", 5), 0);
    for (size_t i = 0; i < 3 && parts[i]; i++) assert_contains(complaint, parts[i]);
    ck_assert_int_eq(scratch_files(false), before);
}

#define REFUSED(words, ...) assert_refused(words, (const char *const[3]){__VA_ARGS__})

START_TEST(bad_table)
{
    make_model();
    if (bad_tables[_i].text) write_text("bad.csv", bad_tables[_i].text);
    assert_refused(WORDS("fit", "bad.csv", "-o", "m.safetensors"), bad_tables[_i].parts);
    assert_refused(WORDS("logprob", "moons.safetensors", "bad.csv", "-o", "logp.npy"), bad_tables[_i].parts);
    assert_refused(WORDS("plot", "moons.safetensors", "--data", "bad.csv", "-o", "m.png"), bad_tables[_i].parts);
}
END_TEST

START_TEST(truncated_array)
{
    char bytes[1 << 14];
    SUCCEED("data", "moons", "-n", "100", "-o", "moons.npy");
    size_t size = slurp(scratch_path("moons.npy").text, bytes, sizeof bytes);
    for (size_t kept = 0; kept < size; kept += 61) {
        scratch_write("cut.npy", bytes, kept);
        REFUSED(WORDS("fit", "cut.npy", "-o", "m.safetensors"), "cut.npy");
    }
}
END_TEST

START_TEST(wrong_number_of_columns)
{
    make_model();
    write_text("three.csv", "1,2,3\n4,5,6\n");
    REFUSED(WORDS("logprob", "moons.safetensors", "three.csv", "-o", "l.npy"), "three.csv has 3 columns",
            "moons.safetensors", "2 features");
    write_text("one.csv", "1\n2\n");
    REFUSED(WORDS("logprob", "moons.safetensors", "one.csv", "-o", "l.npy"), "one.csv has 1 column,");
    SUCCEED("fit", "three.csv", "--context", "3", "--flow", "scale-loc", "--epochs", "1", "-o", "c.safetensors");
    REFUSED(WORDS("logprob", "c.safetensors", "one.csv", "-o", "l.npy"), "one.csv has 1 column,",
            "needs 3: 2 features and a context of 1");
    REFUSED(WORDS("plot", "moons.safetensors", "--data", "three.csv", "-o", "p.png"), "three.csv has 3 columns");
}
END_TEST

static void assert_no_model(const char *name, const char *part)
{
    write_text("points.csv", "0,1\n");
    REFUSED(WORDS("info", name), name, part);
    REFUSED(WORDS("sample", name, "-o", "s.npy"), name, part);
    REFUSED(WORDS("logprob", name, "points.csv", "-o", "l.npy"), name, part);
    REFUSED(WORDS("plot", name, "-o", "p.png"), name, part);
}

START_TEST(bad_models)
{
    make_model();
    assert_no_model("missing.safetensors", "No such file");
    assert_no_model("moons.npy", "safetensors");
    char bytes[1 << 16], header[1 << 12];
    slurp(golden_path("python.safetensors").text, bytes, sizeof bytes);
    assert_no_model(golden_path("python.safetensors").text, "not one of Weir's");
    size_t size = slurp(scratch_path("moons.safetensors").text, bytes, sizeof bytes);
    ck_assert_uint_lt(size, sizeof bytes - 1);
    for (size_t kept = 0; kept < size; kept += size / 20 + 1) {
        scratch_write("cut.safetensors", bytes, kept);
        REFUSED(WORDS("info", "cut.safetensors"), "cut.safetensors");
    }
    scratch_write("long.safetensors", bytes, size + 1);
    REFUSED(WORDS("info", "long.safetensors"), "long.safetensors");
    memcpy(header, bytes, sizeof header);
    for (size_t bit = 0; bit < 72; bit++) { /* the length, and the opening brace */
        bytes[bit / 8] = (char)(header[bit / 8] ^ (1 << bit % 8));
        scratch_write("flip.safetensors", bytes, size);
        REFUSED(WORDS("info", "flip.safetensors"), "flip.safetensors");
        bytes[bit / 8] = header[bit / 8];
    }
    /* Farther on, text may change into other valid text. */
    for (size_t byte = 9; byte < 600; byte += 5) {
        bytes[byte] = (char)(header[byte] ^ 1 << byte % 7);
        scratch_write("flip.safetensors", bytes, size);
        int status = RUN("info", "flip.safetensors");
        ck_assert_int_le(status, 1);
        if (status) assert_contains(complaint, "flip.safetensors");
        bytes[byte] = header[byte];
    }
}
END_TEST

START_TEST(unwritable_output)
{
    make_model();
    REFUSED(WORDS("data", "moons", "-o", "no/where.npy"), "no/where.npy");
    REFUSED(WORDS("fit", "moons.npy", "--epochs", "1000000", "-o", "no/where.safetensors"), "no/where.safetensors");
    REFUSED(WORDS("sample", "moons.safetensors", "-o", "no/where.npy"), "no/where.npy");
    REFUSED(WORDS("logprob", "moons.safetensors", "moons.npy", "-o", "no/where.npy"), "no/where.npy");
    REFUSED(WORDS("plot", "moons.safetensors", "-o", "no/where.png"), "no/where.png");
    REFUSED(WORDS("demo", "moons", "-o", "no/where"), "no/where");
    REFUSED(WORDS("demo", "moons", "-o", "moons.npy"), "moons.npy");
    REFUSED(WORDS("sample", "moons.safetensors", "-n", "10", "-o", "/dev/full"), "/dev/full");
}
END_TEST

START_TEST(output_is_input)
{
    make_model();
    write_text("points.csv", "0,1\n");
    char before[1 << 14], after[1 << 14];
    slurp(scratch_path("moons.npy").text, before, sizeof before);
    ck_assert_int_eq(RUN("fit", "moons.npy", "-o", "./moons.npy"), 2);
    assert_contains(complaint, "is the input");
    ck_assert_int_eq(RUN("logprob", "moons.safetensors", "points.csv", "-o", "points.csv"), 2);
    assert_contains(complaint, "is the input");
    size_t bytes = slurp(scratch_path("moons.npy").text, after, sizeof after);
    ck_assert_mem_eq(before, after, bytes);
}
END_TEST

static const struct {
    const char *formula, *part;
    int column; /* of the caret; -1: any */
} bad_formulas[] = {
    {"maf(128,128)-flop", "flop", 13}, {"maf(128", "", 7}, {"(flip-flip", "", 10}, {"flip*0", "", 5},
    {"maf(hidden=3)", "hidden", 4},    {"flip)", "", 4},
};

START_TEST(bad_formula)
{
    write_text("data.csv", "1,2\n3,4\n5,7\n");
    const char *formula = bad_formulas[_i].formula;
    const char *const *runs[] = {WORDS("fit", "data.csv", "--flow", formula, "-o", "m.safetensors"),
                                 WORDS("check", formula, "--dim", "2")};
    for (size_t i = 0; i < COUNT(runs); i++) {
        ck_assert_int_eq(run_words(runs[i]), 2);
        ck_assert_str_eq(output, "");
        assert_contains(complaint, bad_formulas[_i].part);
        /* The formula on a line of its own, and a caret under the fault. */
        char *line = strstr(complaint, formula), *caret = strstr(complaint, "^");
        while (line && line > complaint && strchr(line, '\n') && line[-1] != '\n' && line[-1] != ' ')
            line = strstr(line + 1, formula);
        ck_assert_ptr_nonnull(line);
        ck_assert_ptr_nonnull(caret);
        char *line_start = line, *caret_start = caret;
        while (line_start > complaint && line_start[-1] != '\n') line_start--;
        while (caret_start > complaint && caret_start[-1] != '\n') caret_start--;
        ck_assert_int_eq((caret - caret_start) - (line - line_start), bad_formulas[_i].column);
    }
    ck_assert_int_eq(scratch_files(false), 1);
}
END_TEST

/* ---- Trainings that end early ---------------------------------------------------------------------------------- */

START_TEST(divergence_keeps_weights)
{
    SUCCEED("data", "moons", "-n", "500", "-o", "moons.npy");
    ck_assert_int_eq(RUN("fit", "moons.npy", "--flow", "maf(16)*2", "--lr", "1e30", "--epochs", "5", "--json", "-o",
                         "m.safetensors"),
                     1);
    assert_contains(complaint, "step");
    assert_contains(complaint, "'m.safetensors'");
    json_t *fit = parse_output();
    ck_assert_str_eq(text_in(fit, "outcome"), "diverged");
    json_decref(fit);
    json_t *info = SUCCEED_JSON("info", "m.safetensors");
    ck_assert_str_eq(text_in(member(info, "training"), "outcome"), "diverged");
    json_decref(info);
    json_t *score = SUCCEED_JSON("logprob", "m.safetensors", "moons.npy");
    ck_assert(isfinite(number_in(score, "nll")));
    json_decref(score);
    ck_assert_int_eq(scratch_files(false), 2);
}
END_TEST

enum { TERMINAL_COLUMNS = 100 };

/* Run on a terminal, and type ctrl-C when `cue` is on the screen. */
static int interrupt_on_terminal(const char *const words[], const char *cue, char *screen, size_t size)
{
    struct winsize window = {.ws_row = 24, .ws_col = TERMINAL_COLUMNS};
    int terminal, state;
    size_t filled = 0;
    bool typed = false;
    pid_t child = forkpty(&terminal, NULL, NULL, &window);
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        setenv("TERM", "xterm", 1);
        become_command(words);
    }
    for (ssize_t got; filled < size - 1 && (got = read(terminal, screen + filled, size - 1 - filled)) > 0;) {
        filled += (size_t)got;
        screen[filled] = '\0';
        if (!typed && strstr(screen, cue)) typed = write(terminal, "\x03", 1) == 1;
    }
    close(terminal);
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert_msg(WIFEXITED(state), "killed by signal %d", WTERMSIG(state));
    return WEXITSTATUS(state);
}

START_TEST(interrupt_keeps_weights)
{
    static char screen[1 << 18];
    SUCCEED("data", "moons", "-n", "2000", "-o", "moons.npy");
    const char *const *words =
        WORDS("fit", "moons.npy", "--flow", "maf(16)", "--epochs", "1000000", "-o", "m.safetensors");
    ck_assert_int_eq(interrupt_on_terminal(words, "train ", screen, sizeof screen), 130);
    assert_contains(screen, "interrupted in epoch");
    assert_contains(screen, "'m.safetensors'");
    assert_contains(screen, "rows/s");
    /* Each redrawing of the bar fits the terminal (which then shows ^C), and the last one is taken away. */
    size_t bars = 0;
    char *last = NULL;
    for (char *bar = screen; (bar = strstr(bar, "\r\033[K")); last = bar, bars++) {
        bar += 4;
        ck_assert_uint_lt(strcspn(bar, "\r\n^"), TERMINAL_COLUMNS);
    }
    ck_assert_uint_ge(bars, 2);
    assert_contains(screen, "\033[K[");
    ck_assert_int_eq(strncmp(last, "flow ", 5), 0);
    json_t *info = SUCCEED_JSON("info", "m.safetensors"), *training = member(info, "training");
    ck_assert_str_eq(text_in(training, "outcome"), "interrupted");
    ck_assert_double_ge(number_in(training, "best_epoch"), 1);
    ck_assert_double_lt(number_in(training, "epochs"), 1000000);
    json_decref(info);
    ck_assert_int_eq(scratch_files(false), 2);
}
END_TEST

/* As batch systems and closed terminals do it; a hang-up that the process was started to ignore is ignored. */
START_TEST(signals_keep_weights)
{
    static const int signals[] = {SIGTERM, SIGHUP};
    const char *const *words =
        WORDS("fit", "moons.npy", "--flow", "maf(16)", "--epochs", "1000000", "-o", "m.safetensors");
    SUCCEED("data", "moons", "-n", "2000", "-o", "moons.npy");
    for (size_t i = 0; i < COUNT(signals); i++) {
        int ends[2], state;
        char line[1000];
        ck_assert_int_eq(pipe(ends), 0);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            if (signals[i] == SIGTERM) signal(SIGHUP, SIG_IGN);
            dup2(ends[1], STDERR_FILENO);
            if (freopen("/dev/null", "w", stdout)) become_command(words);
        }
        close(ends[1]);
        FILE *progress = fdopen(ends[0], "r");
        ck_assert_ptr_nonnull(fgets(line, sizeof line, progress));
        if (signals[i] == SIGTERM) kill(child, SIGHUP);
        kill(child, signals[i]);
        while (fgets(line, sizeof line, progress)) continue;
        fclose(progress);
        ck_assert_int_eq(waitpid(child, &state, 0), child);
        ck_assert_msg(WIFEXITED(state), "killed by signal %d", WTERMSIG(state));
        ck_assert_int_eq(WEXITSTATUS(state), 128 + signals[i]);
        assert_contains(line, "are in 'm.safetensors'");
        SUCCEED("info", "m.safetensors");
        ck_assert_int_eq(scratch_files(false), 2);
    }
}
END_TEST

START_TEST(interrupt_keeps_fit)
{
    static char screen[1 << 18];
    const char *const *words =
        WORDS("vi", "pot1", "--flow", "planar*2", "--iters", "1000000000", "-o", "m.safetensors");
    ck_assert_int_eq(interrupt_on_terminal(words, "loss ", screen, sizeof screen), 130);
    assert_contains(screen, "of 1000000000 iterations; the parameters at hand are in 'm.safetensors'");
    json_t *info = SUCCEED_JSON("info", "m.safetensors"), *training = member(info, "training");
    ck_assert_str_eq(text_in(training, "outcome"), "interrupted");
    ck_assert_double_ge(number_in(training, "iterations"), 1);
    ck_assert(json_is_number(member(training, "elbo")));
    json_decref(info);
}
END_TEST

START_TEST(interrupt_keeps_draws)
{
    static char screen[1 << 18];
    const char *const *words =
        WORDS("nuts", "gaussian", "--chains", "2", "--tune", "100", "-n", "3000000", "-o", "d.npy");
    ck_assert_int_eq(interrupt_on_terminal(words, "draws  ", screen, sizeof screen), 130);
    assert_contains(screen, "of 3000000 draws of each chain, which are in d.npy");
    assert_contains(screen, "gradients/s");
    nf_table draws;
    ck_assert_int_eq(nf_table_read(scratch_path("d.npy").text, &draws, NULL), AD_OK);
    ck_assert_uint_ge(draws.rows, 2);
    ck_assert_uint_lt(draws.rows, 6000000);
    nf_table_free(&draws);
}
END_TEST

/* gnuplot lets ctrl-C pass, and so does this one. */
START_TEST(interrupt_ends_gnuplot)
{
    make_model();
    write_text("gnuplot", "#!/bin/sh\ntrap '' INT\necho $$ >started && mv started pid\nexec sleep 60\n");
    ck_assert_int_eq(chmod(scratch_path("gnuplot").text, 0755), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s:%s", scratch, getenv("PATH"));
        setenv("PATH", path, 1);
        if (freopen(scratch_path("complaint").text, "w", stderr))
            become_command(WORDS("plot", "moons.safetensors", "-n", "10", "-o", "p.png"));
    }
    while (!exists("pid")) usleep(1000);
    kill(child, SIGINT);
    int state;
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert(WIFEXITED(state) && WEXITSTATUS(state) == 130);
    char text[256];
    slurp(scratch_path("pid").text, text, sizeof text);
    ck_assert_int_eq(kill(atoi(text), 0), -1);
    slurp(scratch_path("complaint").text, text, sizeof text);
    assert_contains(text, "there is no picture");
    ck_assert(!exists("p.png"));
}
END_TEST

START_TEST(progress_off_a_terminal)
{
    SUCCEED("data", "moons", "-n", "2000", "-o", "moons.npy");
    SUCCEED("fit", "moons.npy", "--flow", "maf(64,64)*4", "--epochs", "20", "-o", "m.safetensors");
    ck_assert_ptr_null(strpbrk(complaint, "\r\033"));
    ck_assert_uint_le(lines(complaint), 20);
    if (*complaint) assert_contains(complaint, "rows/s");
}
END_TEST

Suite *command_suite(void)
{
    Suite *suite = suite_create("command");
    TCase *usage = tcase_create("usage"), *work = tcase_create("work"), *bad = tcase_create("bad input"),
          *early = tcase_create("early ends");
    TCase *const all[] = {usage, work, bad, early};
    for (size_t i = 0; i < COUNT(all); i++) {
        tcase_add_checked_fixture(all[i], scratch_begin, scratch_end);
        tcase_set_timeout(all[i], 120);
        suite_add_tcase(suite, all[i]);
    }
    tcase_add_loop_test(usage, help_of_every_command, 0, COUNT(commands));
    tcase_add_test(usage, help_of_formulas);
    tcase_add_test(usage, help_shows_defaults);
    tcase_add_loop_test(usage, usage_mistake, 0, COUNT(usage_mistakes));
    tcase_add_test(usage, mistakes_in_arguments_of_options);
    tcase_add_test(usage, options_in_every_form);
    tcase_add_test(work, from_data_to_scores);
    tcase_add_test(work, same_seed_same_flow);
    tcase_add_test(work, standardize);
    tcase_add_test(work, scores_are_of_the_best_epoch);
    tcase_add_test(work, zero_turns_validation_off);
    tcase_add_test(work, check_tells_all);
    tcase_add_test(work, vi_tells_all);
    tcase_add_test(work, vi_on_the_scale_of_the_sites);
    tcase_add_test(work, vi_options_of_the_optimizer);
    tcase_add_test(work, nuts_tells_all);
    tcase_add_test(work, nuts_with_a_flow);
    tcase_add_test(work, numbers_to_standard_output);
    tcase_add_test(work, standard_input_and_output);
    tcase_add_test(work, full_standard_output);
    tcase_add_test(work, demo);
    tcase_add_test(work, demo_banana);
    tcase_add_loop_test(work, pictures, 0, COUNT(headers));
    tcase_add_test(work, a_conditional_flow);
    tcase_add_test(work, pictures_of_targets);
    tcase_add_test(work, figures_of_papers);
    tcase_add_loop_test(work, picture_without_gnuplot, 0, COUNT(bad_gnuplots));
    tcase_add_loop_test(bad, bad_table, 0, COUNT(bad_tables));
    tcase_add_test(bad, truncated_array);
    tcase_add_test(bad, wrong_number_of_columns);
    tcase_add_test(bad, bad_models);
    tcase_add_test(bad, unwritable_output);
    tcase_add_test(bad, output_is_input);
    tcase_add_loop_test(bad, bad_formula, 0, COUNT(bad_formulas));
    tcase_add_test(early, divergence_keeps_weights);
    tcase_add_test(early, interrupt_keeps_weights);
    tcase_add_test(early, signals_keep_weights);
    tcase_add_test(early, interrupt_keeps_fit);
    tcase_add_test(early, interrupt_keeps_draws);
    tcase_add_test(early, interrupt_ends_gnuplot);
    tcase_add_test(early, progress_off_a_terminal);
    return suite;
}
