/* Was this process started as one of several, by mpirun or its like? Launchers tell it in the environment. */
#ifndef WEIR_COMMAND_LAUNCHER_H
#define WEIR_COMMAND_LAUNCHER_H

struct launch {
    const char *launcher; /* "srun"; NULL: none started this process */
    const char *mpi;      /* that it most likely starts processes of: "openmpi"; NULL: any */
    int rank, size;       /* size 0: it doesn't tell */
};

/* What the environment tells. Where one process was started there is no launcher. */
struct launch launcher_find(void);

#endif
