/* Loading plug-ins. */
#include <weir/plugin.h>
#include <weir/registry.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct loaded {
    struct loaded *next;
    const nf_plugin *plugin;
    char *path; /* of the file, without links */
} loaded;

static loaded *all; /* for the life of the process */

static const loaded *find(const char *name)
{
    const loaded *l = all;
    while (l && strcmp(l->plugin->name, name) != 0) l = l->next;
    return l;
}

const nf_plugin *nf_plugin_find(const char *name)
{
    const loaded *l = find(name);
    return l ? l->plugin : NULL;
}

/* The loader's own message for a file of another format is of no help. */
static bool is_object(const char *path)
{
    char magic[4] = "";
    FILE *file = fopen(path, "rb");
    if (!file) return true; /* the loader says why */
    size_t got = fread(magic, 1, sizeof magic, file);
    fclose(file);
    return got == sizeof magic && memcmp(magic, "\177ELF", sizeof magic) == 0;
}

/* The entry of the plug-in that a file is; NULL, and nothing left open, when it can't be one. */
static const nf_plugin *open_plugin(const char *path, const char *file, ad_error *error)
{
    const bool is_shared = is_object(file);
    void *object = is_shared ? dlopen(file, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!object) {
        const char *why = is_shared ? dlerror() : "it isn't a shared object; cc -shared -fPIC makes one";
        ad_error_set(error, AD_ERROR_FORMAT, "plug-in '%.300s' can't be loaded: %.600s", path, why);
        return NULL;
    }
    const nf_plugin *plugin = dlsym(object, "nf_plugin_entry");
    if (!plugin) {
        ad_error_set(
            error, AD_ERROR_FORMAT,
            "'%.300s' is a shared object, but no plug-in of Weir's: it has no WEIR_PLUGIN(…), or that of headers "
            "before ABI 1; then compile it again, with this version's headers",
            path);
    } else if (plugin->abi != WEIR_ABI) {
        ad_error_set(
            error, AD_ERROR_FORMAT,
            "plug-in '%.300s' was compiled for ABI %d of Weir, and this is ABI %d (Weir %s): compile it again, "
            "with this version's headers",
            path, plugin->abi, WEIR_ABI, WEIR_VERSION);
        plugin = NULL;
    } else if (!plugin->name || !plugin->name[0] ||
               plugin->name[strspn(plugin->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] ||
               !plugin->start) {
        ad_error_set(error, AD_ERROR_FORMAT,
                     "plug-in '%.300s' needs a name of letters, digits and '_', and a start function", path);
        plugin = NULL;
    }
    if (!plugin) dlclose(object);
    return plugin;
}

/* From here on the object stays, whatever its start returns: it may have registered a part. */
static ad_status start(const nf_plugin *plugin, const char *path, ad_error *error)
{
    ad_error cause = {AD_OK, ""};
    nf_registry_set_origin(plugin->name);
    ad_status status = plugin->start(&cause);
    nf_registry_set_origin(NULL);
    if (!status) return AD_OK;
    return ad_error_set(error, status, "plug-in \"%s\" ('%.300s') can't start: %.600s", plugin->name, path,
                        cause.message);
}

ad_status nf_plugin_load(const char *path, ad_error *error)
{
    if (!path) return ad_error_set(error, AD_ERROR_ARGUMENT, "plug-in: path is NULL");
    char *file = realpath(path, NULL);
    if (!file) return ad_error_set(error, AD_ERROR_IO, "plug-in '%.300s': %s", path, strerror(errno));
    ad_status status = AD_OK;
    const nf_plugin *plugin = open_plugin(path, file, error);
    const loaded *same = plugin ? find(plugin->name) : NULL;
    loaded *made = plugin && !same ? ad_alloc(1, sizeof *made) : NULL;
    if (!plugin)
        status = AD_ERROR_FORMAT;
    else if (same && same->plugin != plugin)
        status =
            ad_error_set(error, AD_ERROR_ARGUMENT, "plug-in '%.300s': there is a plug-in \"%s\" already, from '%.300s'",
                         path, plugin->name, same->path);
    else if (!same && !made)
        status = ad_error_set(error, AD_ERROR_MEMORY, "plug-in '%.300s': out of memory", path);
    else if (!same)
        status = start(plugin, path, error);
    if (made && !status) {
        *made = (loaded){all, plugin, file};
        all = made;
        return AD_OK;
    }
    ad_free(made);
    free(file);
    return status;
}
