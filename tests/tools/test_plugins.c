/* Plug-ins: loading them, what they bring, and what is said of those that can't be loaded. */
#include <weir/models.h>
#include "tools/command.h"

#define PLUGIN(name) WEIR_PLUGIN_DIR "/" name ".so"

START_TEST(by_option)
{
    SUCCEED("--plugin", PLUGIN("cubic"), "check", "cubic(start=0.2)");
    SUCCEED("--plugin=" PLUGIN("cubic"), "check", "cubic");
    SUCCEED("--plugin", PLUGIN("cubic"), "--plugin", PLUGIN("secant"), "help", "formulas");
    assert_contains(output, "a > 0 (of the plug-in \"cubic\")\n      start=number");
    assert_contains(output, "(of the plug-in \"secant\")");
    SUCCEED("help", "formulas");
    ck_assert_ptr_null(strstr(output, "plug-in"));
    ck_assert_int_eq(RUN("check", "cubic"), 2);
    assert_contains(complaint, "expected a bijector, got 'cubic'");
    SUCCEED("--help");
    assert_contains(output, "--plugin FILE");
    assert_contains(output, "WEIR_PLUGINS");
}
END_TEST

START_TEST(by_environment)
{
    setenv("WEIR_PLUGINS", PLUGIN("cubic") ":" PLUGIN("secant") ":", 1);
    SUCCEED("data", "moons", "-n", "300", "-o", "moons.npy");
    SUCCEED("fit", "moons.npy", "--flow", "secant:cubic-lu", "--epochs", "2", "-o", "m.safetensors");
    SUCCEED("sample", "m.safetensors", "-n", "5", "-o", "s.csv");
    SUCCEED("--plugin", PLUGIN("cubic"), "info", "m.safetensors"); /* once more is no mistake */
    assert_contains(output, "secant:cubic-lu-standardize");
    setenv("WEIR_PLUGINS", "nowhere.so", 1);
    ck_assert_int_eq(RUN("info", "m.safetensors"), 1);
    assert_contains(complaint, "WEIR_PLUGINS: plug-in 'nowhere.so': No such file");
}
END_TEST

/* The posteriors of tools/bench. */
START_TEST(posteriors)
{
    SUCCEED("--plugin", PLUGIN("posteriors"), "help", "targets");
    assert_contains(output, "radon_noncentered");
    SUCCEED("--plugin", PLUGIN("posteriors"), "nuts", "surgical", "--chains", "2", "--tune", "20", "--draws", "10",
            "-o", "trace.npy");
}
END_TEST

/* What a model needs, and what it was only trained with. */
START_TEST(missing_plugin_is_named)
{
    SUCCEED("data", "moons", "-n", "300", "-o", "moons.npy");
    SUCCEED("--plugin", PLUGIN("cubic"), "--plugin", PLUGIN("secant"), "fit", "moons.npy", "--flow",
            "secant:lu-invert((cubic-loc)*2)", "--epochs", "1", "-o", "m.safetensors");
    ck_assert_int_eq(RUN("--plugin", PLUGIN("secant"), "info", "m.safetensors"), 1);
    assert_contains(complaint, "m.safetensors: this model needs the plug-in \"cubic\", which is not loaded");
    ck_assert_int_eq(RUN("--plugin", PLUGIN("cubic"), "sample", "m.safetensors", "-o", "s.csv"), 1);
    assert_contains(complaint, "this model needs the plug-in \"secant\", which is not loaded: weir --plugin");

    SUCCEED("--plugin", PLUGIN("cubic"), "--plugin", PLUGIN("lion"), "fit", "moons.npy", "--optimizer",
            "lion(beta2=0.9)", "--flow", "lu", "--epochs", "1", "-o", "m.safetensors");
    json_t *info = SUCCEED_JSON("info", "m.safetensors"), *plugins = member(member(info, "training"), "plugins");
    ck_assert_uint_eq(json_object_size(plugins), 1);
    ck_assert_str_eq(text_in(plugins, "optimizer"), "lion");
    json_decref(info);

    SUCCEED("--plugin", PLUGIN("cubic"), "fit", "moons.npy", "--flow", "lu", "--epochs", "1", "-o", "m.safetensors");
    char bytes[1 << 14];
    size_t size = slurp(scratch_path("m.safetensors").text, bytes, sizeof bytes);
    ck_assert_ptr_null(memmem(bytes, size, "plugins", 7));
}
END_TEST

/* Without it, draws have no scale. */
START_TEST(missing_target_is_named)
{
    SUCCEED("--plugin", PLUGIN("ring"), "vi", "ring(radius=3)", "--iters", "50", "-o", "m.safetensors");
    SUCCEED("--plugin", PLUGIN("ring"), "sample", "m.safetensors", "-n", "5", "-o", "s.csv");
    ck_assert_int_eq(RUN("sample", "m.safetensors", "-o", "s.csv"), 1);
    assert_contains(complaint, "m.safetensors: this model needs the plug-in \"ring\", which is not loaded");
    SUCCEED("--plugin", PLUGIN("ring"), "help", "targets");
    assert_contains(output, "(of the plug-in \"ring\")\n      radius=number");
}
END_TEST

/* The names of plug-ins are under the checksum. */
START_TEST(damaged_name)
{
    char bytes[1 << 14];
    SUCCEED("data", "moons", "-n", "300", "-o", "moons.npy");
    SUCCEED("--plugin", PLUGIN("cubic"), "fit", "moons.npy", "--flow", "cubic", "--epochs", "1", "-o", "m.safetensors");
    size_t size = slurp(scratch_path("m.safetensors").text, bytes, sizeof bytes);
    char *name = memmem(bytes, size, "\"plugins\":\"cubic\"", 17);
    ck_assert_ptr_nonnull(name);
    memcpy(name, "\"plugins\":\"conic\"", 17);
    scratch_write("m.safetensors", bytes, size);
    ck_assert_int_eq(RUN("--plugin", PLUGIN("cubic"), "info", "m.safetensors"), 1);
    assert_contains(complaint, "damaged");
}
END_TEST

static const struct {
    const char *words[6];
    int status;
    const char *parts[3];
} faults[] = {
    {{"--plugin", "nowhere.so", "--version"}, 1, {"plug-in 'nowhere.so': No such file"}},
    {{"--plugin", "/", "--version"}, 1, {"plug-in '/' can't be loaded"}},
    {{"--plugin", WEIR_SOURCE_DIR "/README.md", "--version"}, 1, {"it isn't a shared object", "cc -shared -fPIC"}},
    {{"--plugin", PLUGIN("faulty_NO_ENTRY"), "--version"}, 1, {"no plug-in of Weir's", "WEIR_PLUGIN"}},
    {{"--plugin", PLUGIN("faulty_BAD_NAME"), "--version"}, 1, {"needs a name of letters, digits and '_'"}},
    {{"--plugin", PLUGIN("faulty_FAILS"), "--version"},
     1,
     {"plug-in \"FAILS\"", "can't start: the stars aren't right"}},
    {{"--plugin", PLUGIN("faulty_TAKEN"), "--version"}, 2, {"plug-in \"TAKEN\"", "the name 'maf' is taken"}},
    {{"--plugin", PLUGIN("cubic"), "--plugin", PLUGIN("faulty_TWIN"), "--version"},
     2,
     {"there is a plug-in \"cubic\" already", PLUGIN("cubic")}},
    {{"--plugin"}, 2, {"--plugin needs a value"}},
    {{"--plugin="}, 2, {"--plugin needs a value"}},
    {{"--plugins", "x.so"}, 2, {"unknown command '--plugins'"}},
    {{"check", "flip", "--plugin", "x.so"}, 2, {"--plugin stands before the command: weir --plugin FILE check"}},
};

static void assert_fault(const char *const words[], int status, const char *const parts[3])
{
    ck_assert_int_eq(run_words(words), status);
    ck_assert_str_eq(output, "");
    ck_assert_uint_eq(lines(complaint), 1);
    for (size_t i = 0; i < 3 && parts[i]; i++) assert_contains(complaint, parts[i]);
}

START_TEST(fault)
{
    const char *words[8] = {"weir"};
    for (size_t i = 0; i < 6 && faults[_i].words[i]; i++) words[i + 1] = faults[_i].words[i];
    assert_fault(words, faults[_i].status, faults[_i].parts);
}
END_TEST

START_TEST(other_abi)
{
    char numbers[64];
    snprintf(numbers, sizeof numbers, "for ABI %d of Weir, and this is ABI %d", WEIR_ABI + 1, WEIR_ABI);
    assert_fault(WORDS("--plugin", PLUGIN("faulty_OTHER_ABI"), "--version"), 1,
                 (const char *const[3]){numbers, "compile it again"});
}
END_TEST

START_TEST(from_a_program)
{
    ad_error error;
    ck_assert_int_eq(nf_plugin_load("nowhere.so", NULL), AD_ERROR_IO);
    ck_assert_int_eq(nf_plugin_load(PLUGIN("faulty_OTHER_ABI"), NULL), AD_ERROR_FORMAT);
    ck_assert_int_eq(nf_plugin_load(PLUGIN("faulty_NO_ENTRY"), &error), AD_ERROR_FORMAT);
    ck_assert_int_eq(error.status, AD_ERROR_FORMAT);
    ck_assert_ptr_null(nf_plugin_find("OTHER_ABI"));
    ck_assert_ptr_null(nf_registry_origin("bijector", "maf", 3));
}
END_TEST

Suite *plugins_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("plugins", &tests);
    unsetenv("WEIR_PLUGINS");
    tcase_add_test(tests, by_option);
    tcase_add_test(tests, by_environment);
    tcase_add_test(tests, posteriors);
    tcase_add_test(tests, missing_plugin_is_named);
    tcase_add_test(tests, missing_target_is_named);
    tcase_add_test(tests, damaged_name);
    tcase_add_loop_test(tests, fault, 0, COUNT(faults));
    tcase_add_test(tests, other_abi);
    tcase_add_test(tests, from_a_program);
    return suite;
}
