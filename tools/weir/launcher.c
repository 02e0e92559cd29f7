/* Was this process started as one of several? */
#include "launcher.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

/* The first that has set its variables is it: mpirun itself may run in a step of Slurm's. A shell of sbatch or salloc
 * is no rank: SLURM_PROCID and SLURM_NTASKS are there too, but SLURM_STEP_NUM_TASKS is only where srun has started
 * tasks. */
static const struct {
    const char *launcher, *mpi;
    const char *rank, *size; /* variables; size NULL: it has none */
} launchers[] = {
    {"Open MPI's mpirun", "openmpi", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
    {"MVAPICH's mpirun", "mpich", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"},
    {"mpiexec", "mpich", "PMI_RANK", "PMI_SIZE"},
    {"srun", NULL, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"},
    {"a PMIx launcher", "openmpi", "PMIX_RANK", NULL},
};
enum { LAUNCHERS = sizeof launchers / sizeof *launchers };

static bool read_count(const char *variable, int *count)
{
    const char *text = variable ? getenv(variable) : NULL;
    char *end;
    long number = text ? strtol(text, &end, 10) : -1;
    bool valid = text && end != text && !*end && number >= 0 && number < INT_MAX;
    if (valid) *count = (int)number;
    return valid;
}

struct launch launcher_find(void)
{
    for (int i = 0; i < LAUNCHERS; i++) {
        struct launch found = {launchers[i].launcher, launchers[i].mpi, 0, 0};
        if (!read_count(launchers[i].rank, &found.rank)) continue;
        if (launchers[i].size && !read_count(launchers[i].size, &found.size)) continue;
        return found.size == 1 ? (struct launch){0} : found;
    }
    return (struct launch){0};
}
