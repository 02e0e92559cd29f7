/* Where parts of Weir's are that are loaded when they are needed. */
#include "plugin_place.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* From the directory of the command: where it is built, and where it is installed. */
static const char *const places[] = {".", WEIR_PLUGIN_PLACE};

/* Each MPI has a binary interface of its own, so that the build makes a plug-in for each. */
static const char *const mpis[] = {"openmpi", "mpich", "other"};

bool plugin_place_of(const char *name, char path[static PLUGIN_PLACE])
{
    char command[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", command, sizeof command - 1);
    if (length < 0) return false;
    command[length] = '\0';
    char *slash = strrchr(command, '/');
    if (slash) *slash = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(path, PLUGIN_PLACE, "%s/%s/%s.so", command, places[i], name);
        if (access(path, R_OK) == 0) return true;
    }
    return false;
}

static bool find_mpi(const char *mpi, char path[static PLUGIN_PLACE])
{
    char name[64];
    snprintf(name, sizeof name, "mpi-%.40s", mpi);
    return plugin_place_of(name, path);
}

bool plugin_place_find(const char *wanted, const char *likely, char path[static PLUGIN_PLACE])
{
    if (wanted && strchr(wanted, '/')) return snprintf(path, PLUGIN_PLACE, "%s", wanted) < PLUGIN_PLACE;
    if (wanted) return find_mpi(wanted, path);
    if (likely && find_mpi(likely, path)) return true;
    for (size_t i = 0; i < sizeof mpis / sizeof *mpis; i++)
        if (find_mpi(mpis[i], path)) return true;
    return false;
}
