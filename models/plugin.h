/* Plug-ins: shared objects that bring bijectors, base distributions, targets, optimisers, … to a program that runs,
 * such as the weir command.
 *
 *     static ad_status start(ad_error *error)
 *     {
 *         return nf_register(&ripple, error);
 *     }
 *
 *     WEIR_PLUGIN("ripple", "1.0", start)
 *
 *     cc -shared -fPIC ripple.c $(pkg-config --cflags weir) -o ripple.so
 *     weir --plugin ./ripple.so check ripple
 *
 * tools/examples has some of every kind. A plug-in needs no library of its own: it finds Weir's functions in the
 * program that loads it. That is one with the shared library, or with the static one and linked with -rdynamic. */
#ifndef WEIR_PLUGIN_H
#define WEIR_PLUGIN_H

#include <weir/autodiff.h>

WEIR_BEGIN_DECLARATIONS

/* What a plug-in defines, as the variable nf_plugin_entry. */
typedef struct {
    int abi;             /* WEIR_ABI, of the headers that it was compiled with; always first */
    const char *name;    /* letters, digits and '_' */
    const char *version; /* the plug-in's own: "1.0" */
    /* Register everything that it brings. On failure, say why in *error. */
    ad_status (*start)(ad_error *error);
} nf_plugin;

/* Once in a plug-in, behind its start function. */
#define WEIR_PLUGIN(plugin_name, plugin_version, plugin_start)                                                         \
    WEIR_BEGIN_DECLARATIONS                                                                                            \
    extern const nf_plugin nf_plugin_entry;                                                                            \
    const nf_plugin nf_plugin_entry = {WEIR_ABI, plugin_name, plugin_version, plugin_start};                           \
    WEIR_END_DECLARATIONS

/* Load the plug-in in this file and start it, at the start of the program, before other threads: what it registers can
 * then be named. It stays for the life of the process; loading the same file again does nothing. On failure: there is
 * no such file (AD_ERROR_IO); it is no shared object, no plug-in, or one for another WEIR_ABI (AD_ERROR_FORMAT); a
 * plug-in of its name was loaded from elsewhere (AD_ERROR_ARGUMENT); or what its start says, of which a part may have
 * been registered. error may be NULL. */
ad_status nf_plugin_load(const char *path, ad_error *error);

/* The plug-in of this name that is loaded; NULL: none is. From any thread. */
const nf_plugin *nf_plugin_find(const char *name);

WEIR_END_DECLARATIONS

#endif
