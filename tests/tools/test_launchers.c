/* What launchers tell a process in its environment, and what the command makes of it, without any MPI. */
#include "tools/command.h"

#define FIT "fit", "moons.npy", "--flow", "loc", "--epochs", "1", "-o", "m.safetensors"

/* A plug-in that isn't there stands for one that would be loaded. */
static void launched(const char *rank_variable, const char *rank, const char *size_variable, const char *size)
{
    SUCCEED("data", "moons", "-n", "200", "-o", "moons.npy");
    setenv("WEIR_MPI", "missing", 1);
    setenv(rank_variable, rank, 1);
    if (size_variable) setenv(size_variable, size, 1);
}

static const struct {
    const char *rank, *size, *launcher;
} launchers[] = {
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "Open MPI's mpirun"},
    {"PMI_RANK", "PMI_SIZE", "mpiexec"},
    {"MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", "MVAPICH's mpirun"},
    {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "srun"},
    {"PMIX_RANK", NULL, "a PMIx launcher"},
};

START_TEST(a_launcher_needs_the_plugin)
{
    launched(launchers[_i].rank, "0", launchers[_i].size, "2");
    ck_assert_int_eq(RUN(FIT), 1);
    assert_contains(complaint, launchers[_i].launcher);
    assert_contains(complaint, "plug-in for MPI is not there");
    assert_contains(complaint, "weir --no-mpi");
}
END_TEST

/* The first one says it. All at once, for each waits until that has been read. */
START_TEST(others_leave_it_to_the_first)
{
    pid_t child[COUNT(launchers)];
    char told[256] = "";
    SUCCEED("data", "moons", "-n", "200", "-o", "moons.npy");
    setenv("WEIR_MPI", "missing", 1);
    for (size_t i = 0; i < COUNT(launchers); i++) {
        child[i] = fork();
        ck_assert_int_ge(child[i], 0);
        if (child[i] > 0) continue;
        setenv(launchers[i].rank, "1", 1);
        if (launchers[i].size) setenv(launchers[i].size, "2", 1);
        if (freopen(scratch_path("told").text, "ab", stderr)) become_command(WORDS(FIT));
        _exit(127);
    }
    for (size_t i = 0; i < COUNT(launchers); i++) {
        int state;
        ck_assert_int_eq(waitpid(child[i], &state, 0), child[i]);
        ck_assert_msg(WIFEXITED(state) && WEXITSTATUS(state) == 1, "%s: state %d", launchers[i].launcher, state);
    }
    slurp(scratch_path("told").text, told, sizeof told);
    ck_assert_str_eq(told, "");
    ck_assert(!exists("m.safetensors"));
    unlink(scratch_path("told").text);
}
END_TEST

START_TEST(one_process_is_alone)
{
    launched(launchers[_i].rank, "0", launchers[_i].size, "1");
    if (launchers[_i].size) SUCCEED(FIT);
}
END_TEST

/* sbatch and salloc set these for a shell, in which nothing was started side by side. */
START_TEST(a_shell_of_slurms_is_alone)
{
    launched("SLURM_PROCID", "0", "SLURM_NTASKS", "4");
    SUCCEED(FIT);
}
END_TEST

START_TEST(independent_runs)
{
    launched("OMPI_COMM_WORLD_RANK", "1", "OMPI_COMM_WORLD_SIZE", "2");
    SUCCEED("--no-mpi", FIT);
    SUCCEED("--no-mpi", "info", "m.safetensors");
    assert_contains(output, "flow ");
    setenv("WEIR_MPI", "no", 1);
    SUCCEED(FIT);
    ck_assert_int_eq(RUN("--mpi=missing", FIT), 1);
}
END_TEST

/* Such commands are the first one's. */
START_TEST(others_are_quiet)
{
    launched("OMPI_COMM_WORLD_RANK", "0", "OMPI_COMM_WORLD_SIZE", "2");
    SUCCEED("--version");
    assert_contains(output, "weir ");
    ck_assert_int_eq(RUN("info", "nothing.safetensors"), 1);
    setenv("OMPI_COMM_WORLD_RANK", "1", 1);
    SUCCEED("--version");
    ck_assert_str_eq(output, "");
    SUCCEED("info", "nothing.safetensors");
    SUCCEED("data", "moons", "-o", "none.npy");
    ck_assert_int_ne(access(scratch_path("none.npy").text, F_OK), 0);
    ck_assert_str_eq(complaint, "");
}
END_TEST

START_TEST(asked_for)
{
    SUCCEED("data", "moons", "-n", "200", "-o", "moons.npy");
    ck_assert_int_eq(RUN("--mpi=missing", FIT), 1);
    assert_contains(complaint, "--mpi is given, and");
    assert_contains(complaint, "plug-in for MPI is not there by the name 'missing'");
    ck_assert_int_eq(RUN("--mpi=./moons.npy", FIT), 1);
    assert_contains(complaint, "moons.npy");
    ck_assert_int_eq(RUN("--mpi=" WEIR_PLUGIN_DIR "/cubic.so", FIT), 1);
    assert_contains(complaint, "brings no communicator");
    SUCCEED("--mpi=missing", "--help");
    assert_contains(output, "--no-mpi");
    assert_contains(output, "WEIR_MPI");
}
END_TEST

Suite *launchers_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("launchers", &tests);
    for (size_t i = 0; i < COUNT(launchers); i++) {
        unsetenv(launchers[i].rank);
        if (launchers[i].size) unsetenv(launchers[i].size);
    }
    unsetenv("WEIR_MPI");
    tcase_add_loop_test(tests, a_launcher_needs_the_plugin, 0, COUNT(launchers));
    tcase_add_test(tests, others_leave_it_to_the_first);
    tcase_add_loop_test(tests, one_process_is_alone, 0, COUNT(launchers));
    tcase_add_test(tests, a_shell_of_slurms_is_alone);
    tcase_add_test(tests, independent_runs);
    tcase_add_test(tests, others_are_quiet);
    tcase_add_test(tests, asked_for);
    return suite;
}
