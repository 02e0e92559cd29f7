/* The plug-ins that a saved model needs. */
#ifndef WEIR_MODELS_PLUGIN_NEEDED_H
#define WEIR_MODELS_PLUGIN_NEEDED_H

#include <stdbool.h>
#include <stddef.h>

/* The names of the plug-ins that brought what a formula names, "ripple cubic", into text; NULL: none did. */
const char *nf__needed_plugins(const char *formula, char *text, size_t size);

/* The first plug-in of such a list (or NULL) that isn't loaded, into name; false: all are. */
bool nf__missing_plugin(const char *list, char name[64]);

#endif
