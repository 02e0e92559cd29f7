/* Where Weir's own plug-ins for MPI are. */
#ifndef WEIR_COMMAND_PLUGIN_PLACE_H
#define WEIR_COMMAND_PLUGIN_PLACE_H

#include <limits.h>
#include <stdbool.h>

enum { PLUGIN_PLACE = 2 * PATH_MAX };

/* The plug-in that was asked for: a file, or the name of an MPI, as "mpich". NULL: that of the MPI that is likely
 * (NULL: any), or of another where there is none of it. False: none is there. */
bool plugin_place_find(const char *wanted, const char *likely, char path[static PLUGIN_PLACE]);

#endif
