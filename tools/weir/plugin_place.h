/* Where parts of Weir's are that are loaded when they are needed: its own plug-ins for MPI, and what writes NetCDF. */
#ifndef WEIR_COMMAND_PLUGIN_PLACE_H
#define WEIR_COMMAND_PLUGIN_PLACE_H

#include <limits.h>
#include <stdbool.h>

enum { PLUGIN_PLACE = 2 * PATH_MAX };

/* The part that is called NAME.so. False: it isn't there. */
bool plugin_place_of(const char *name, char path[static PLUGIN_PLACE]);

/* The plug-in for MPI that was asked for: a file, or the name of an MPI, as "mpich". NULL: that of the MPI that is
 * likely (NULL: any), or of another where there is none of it. False: none is there. */
bool plugin_place_find(const char *wanted, const char *likely, char path[static PLUGIN_PLACE]);

#endif
