/* The target that a command line names: by its name, or by the file of the plug-in that brings it. */
#include "target.h"
#include "files.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 4096 };

/* How many bytes of the text are the path of a plug-in, before what stands in parentheses; 0: it is a name. */
static size_t path_length(const char *text)
{
    static const char suffix[] = ".so";
    const size_t length = strlen(text), ending = sizeof suffix - 1;
    if (length > ending && strcmp(text + length - ending, suffix) == 0) return length;
    const char *found = NULL;
    for (const char *at = text; (at = strstr(at, ".so(")); at++) found = at;
    if (found) return (size_t)(found - text) + ending;
    return strchr(text, '/') ? strcspn(text, "(") : 0;
}

static bool ends_in(const char *text, const char *suffix)
{
    const size_t length = strlen(text), ending = strlen(suffix);
    return length > ending && strcmp(text + length - ending, suffix) == 0;
}

/* The name of the plug-in that was loaded from this file; it stays. */
static const char *plugin_name(const char *path)
{
    char file[PATH_MAX];
    void *object = realpath(path, file) ? dlopen(file, RTLD_NOW | RTLD_NOLOAD) : NULL;
    const nf_plugin *plugin = object ? dlsym(object, "nf_plugin_entry") : NULL;
    if (object) dlclose(object);
    return plugin ? plugin->name : "";
}

/* The one target that the plug-in of this file brings. */
static const char *target_of_plugin(const char *path, ad_error *error)
{
    char names[300] = "";
    const char *plugin = plugin_name(path), *found = NULL;
    size_t count = 0, filled = 0;
    for (const nf_target_type *const *type = nf_target_types(); *type; type++) {
        const char *origin = nf_registry_origin("target", (*type)->name, strlen((*type)->name));
        if (!origin || strcmp(origin, plugin) != 0) continue;
        found = (*type)->name;
        if (filled < sizeof names)
            filled += (size_t)snprintf(names + filled, sizeof names - filled, "%s%s", count ? ", " : "", found);
        count++;
    }
    if (count == 1) return found;
    if (count == 0)
        ad_error_set(error, AD_ERROR_ARGUMENT, "'%.300s' brings no target: its start function calls no %s", path,
                     "nf_register_target()");
    else
        ad_error_set(error, AD_ERROR_ARGUMENT,
                     "'%.300s' brings several targets, %.300s: weir --plugin FILE … names one", path, names);
    return NULL;
}

/* "./model.so(df=4)" as "model(df=4)". */
static ad_status load(const char *given, size_t length, char text[static ROOM], ad_error *error)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%.*s", (int)length, given) >= PATH_MAX)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "the path '%.60s…' is too long", path);
    if (ends_in(path, ".c"))
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "'%.300s' is source; compile it first: cc -shared -fPIC %.300s $(pkg-config --cflags weir) "
                            "-o %.*s.so",
                            path, path, (int)strlen(path) - 2, path);
    if (nf_plugin_load(path, error)) return error->status;
    const char *name = target_of_plugin(path, error);
    if (!name) return error->status;
    if (snprintf(text, ROOM, "%s%s", name, given + length) < ROOM) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT, "target: '%.60s…' is too long", given);
}

static bool is_of_data(const char *text)
{
    const size_t length = strcspn(text, " (");
    for (const nf_target_type *const *type = nf_target_types(); *type; type++)
        if (strlen((*type)->name) == length && strncmp((*type)->name, text, length) == 0)
            return (*type)->column != NULL;
    return false;
}

nf_target *target_open(const struct arguments *arguments, ad_error *error)
{
    const char *given = arguments->positionals[0], *data = option_text(arguments, "data");
    const size_t length = path_length(given);
    char text[ROOM], why[sizeof error->message];
    if (strlen(given) >= ROOM)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "target: '%.60s…' is too long", given), NULL;
    /* The plug-in is an input from now on. */
    if (length > 0 && (load(given, length, text, error) || check_files(arguments, error))) return NULL;
    nf_table table = {0};
    if (data && read_table(data, NF_HEADER_AUTO, &table, error)) return NULL;
    if (length == 0) snprintf(text, sizeof text, "%s", given);
    nf_target *target = nf_target_parse_with(text, data ? &table : NULL, error);
    if (target)
        table_warn(&table);
    else
        snprintf(why, sizeof why, "%s", error->message);
    if (!target && !data && is_of_data(text))
        ad_error_set(error, error->status, "%.900s; give it as --data TABLE", why);
    else if (!target && error->status == AD_ERROR_FORMAT)
        ad_error_set(error, error->status, "%.300s: %.700s", data, why);
    nf_table_free(&table);
    return target;
}
