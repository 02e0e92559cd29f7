/* What shells complete, as the command tells them: from the tables that it parses by. */
#include <weir/models.h>
#include "tools/command.h"

/* With these words, of which the last is being typed, a line of this word alone, with what it means, is told. */
static const struct {
    const char *words[8], *offered, *not_offered;
} cases[] = {
    {{""}, "fit", "--plugin"},
    {{"f"}, "fit", "vi"},
    {{"-"}, "--plugin", "fit"},
    {{"--mpi", "sa"}, "sample", "fit"},
    {{"--plugin", ""}, ":files", "fit"},
    {{"help", "o"}, "optimizers", "formulas"},
    {{"help", "v"}, "vi", "fit"},
    {{"demo", ""}, "banana", ":files"},
    {{"data", "c"}, "convert", "moons"},
    {{"data", "moons", "-"}, "--noise", "moons"},
    {{"data", "convert", ""}, ":files", "moons"},
    {{"fit", ""}, ":files", "--epochs"},
    {{"fit", "a.csv", "--ep"}, "--epochs", "--batch"},
    {{"fit", "a.csv", "--epochs", ""}, NULL, ":files"},
    {{"fit", "a.csv", "-o", ""}, ":files", "--epochs"},
    {{"fit", "a.csv", "--json", "--dtype", "float"}, "float64", NULL},
    {{"fit", "a.csv", "--dtype=float"}, "--dtype=float64", "float64"},
    {{"fit", "a.csv", "--optimizer", "ada"}, "adamw", "sgd"},
    {{"fit", "a.csv", "--optimizer", "adam("}, "adam(beta2=", "adam(adam"},
    {{"fit", "a.csv", "--schedule", "c"}, "cosine", "linear"},
    {{"vi", "pot1", "--objective", ""}, "stl", "adam"},
    {{"fit", "a.csv", "--flow", "ma"}, "maf", "flip"},
    {{"fit", "a.csv", "--flow", "stu"}, "student", NULL},
    {{"fit", "a.csv", "--flow", "(maf(64,64)-fl"}, "(maf(64,64)-flip", "flip"},
    {{"fit", "a.csv", "--flow", "student:"}, "student:maf", "student:student"},
    {{"fit", "a.csv", "--flow", "invert(lu-"}, "invert(lu-flip", NULL},
    {{"fit", "a.csv", "--flow", "coupling(64,"}, "coupling(64,transformer=", "coupling(64,maf"},
    {{"fit", "a.csv", "--flow", "coupling(transformer=ra"}, "coupling(transformer=rational_quadratic", NULL},
    {{"fit", "a.csv", "--flow", "coupling(mask="}, "coupling(mask=alternating", "coupling(mask=affine"},
    {{"fit", "a.csv", "--flow", "coupling(transformer=rational_quadratic("},
     "coupling(transformer=rational_quadratic(bins=",
     "coupling(transformer=rational_quadratic(transformer="},
    {{"fit", "a.csv", "--flow", "maf(activation="}, "maf(activation=tanh", NULL},
    {{"check", "pla"}, "planar", NULL},
    {{"vi", ""}, "eight_schools", "flip"},
    {{"vi", ""}, ":files", NULL},
    {{"nuts", "funnel("}, "funnel(dim=", NULL},
    {{"vi", "pot1", "--flow", "(lu-p"}, "(lu-planar", NULL},
    {{"nuts", "pot1", "--flow", ""}, ":files", "maf"},
    {{"plot", "m.safetensors", "--target", "eight"}, "eight_schools_centered", "funnel"},
    {{"--plugin", WEIR_PLUGIN_DIR "/ring.so", "vi", "ri"}, "ring", NULL},
    {{"--plugin", WEIR_PLUGIN_DIR "/cubic.so", "check", "cu"}, "cubic", NULL},
    {{"nonsense", ""}, NULL, "fit"},
};

/* A line that is this word, or begins with it and a tab. */
static bool is_offered(const char *word)
{
    const size_t length = strlen(word);
    for (const char *line = output; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, word, length) == 0 && (line[length] == '\t' || line[length] == '\n')) return true;
    return false;
}

START_TEST(what_a_word_can_become)
{
    const char *words[12] = {"weir", "--complete"};
    for (size_t i = 0; i < 8 && cases[_i].words[i]; i++) words[i + 2] = cases[_i].words[i];
    succeed(words);
    ck_assert_str_eq(complaint, "");
    const char *wanted = cases[_i].offered, *unwanted = cases[_i].not_offered;
    ck_assert_msg(!wanted || is_offered(wanted), "'%s' is not in: %s", wanted ? wanted : "", output);
    ck_assert_msg(!unwanted || !is_offered(unwanted), "'%s' is in: %s", unwanted ? unwanted : "", output);
}
END_TEST

/* Every name that formulas and options know. */
START_TEST(all_names)
{
    SUCCEED("--complete", "check", "");
    for (size_t i = 0; nf_bijector_types()[i]; i++) ck_assert(is_offered(nf_bijector_types()[i]->name));
    for (size_t i = 0; nf_distribution_types()[i]; i++) ck_assert(is_offered(nf_distribution_types()[i]->name));
    SUCCEED("--complete", "vi", "");
    for (size_t i = 0; nf_target_types()[i]; i++) ck_assert(is_offered(nf_target_types()[i]->name));
    SUCCEED("--complete", "fit", "--optimizer", "");
    for (size_t i = 0; nf_optimizer_types()[i]; i++) ck_assert(is_offered(nf_optimizer_types()[i]->name));
    SUCCEED("--complete", "fit", "--schedule", "");
    for (size_t i = 0; nf_schedule_types()[i]; i++) ck_assert(is_offered(nf_schedule_types()[i]->name));
    SUCCEED("--complete", "vi", "--objective", "");
    for (size_t i = 0; nf_objective_types()[i]; i++) ck_assert(is_offered(nf_objective_types()[i]->name));
    SUCCEED("--complete", "check", "coupling(transformer=");
    for (size_t i = 0; nf_transformer_types()[i]; i++) {
        char word[80];
        snprintf(word, sizeof word, "coupling(transformer=%s", nf_transformer_types()[i]->name);
        ck_assert(is_offered(word));
    }
}
END_TEST

/* Each option that help tells of, and no other. */
START_TEST(all_options)
{
    SUCCEED("--complete", "vi", "pot1", "-");
    char offered[sizeof output], name[64];
    strcpy(offered, output);
    SUCCEED("vi", "--help");
    size_t count = 0;
    for (const char *line = strstr(output, "\noptions,"); (line = strchr(line + 1, '\n'));) {
        if (sscanf(line, "\n  -%*c, --%60[a-z0-9-]", name) != 1 && sscanf(line, "\n      --%60[a-z0-9-]", name) != 1)
            continue;
        char word[80];
        snprintf(word, sizeof word, "--%s\t", name);
        assert_contains(offered, word);
        count++;
    }
    ck_assert_uint_gt(count, 20);
    ck_assert_uint_eq(lines(offered), count);
}
END_TEST

Suite *completion_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("completion", &tests);
    unsetenv("WEIR_PLUGINS");
    tcase_add_loop_test(tests, what_a_word_can_become, 0, COUNT(cases));
    tcase_add_test(tests, all_names);
    tcase_add_test(tests, all_options);
    return suite;
}
