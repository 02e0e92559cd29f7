/* Plug-ins that the command line and the environment ask for. */
#include "plugins.h"
#include "front.h"

#include <weir/models.h>

#include <stdlib.h>
#include <string.h>

/* ---- Loading -------------------------------------------------------------------------------------------------- */

static ad_status load_from_environment(ad_error *error)
{
    const char *at = getenv("WEIR_PLUGINS");
    char path[4096];
    ad_status status = AD_OK;
    while (at && *at && !status) {
        size_t length = strcspn(at, ":");
        ad_error cause;
        if (length >= sizeof path)
            return ad_error_set(error, AD_ERROR_ARGUMENT, "WEIR_PLUGINS: the path '%.60s…' is too long", at);
        snprintf(path, sizeof path, "%.*s", (int)length, at);
        if (length > 0) status = nf_plugin_load(path, &cause);
        if (status) ad_error_set(error, status, "WEIR_PLUGINS: %.1000s", cause.message);
        at += length + (at[length] == ':');
    }
    return status;
}

ad_status plugins_load(int count, char **words, ad_error *error)
{
    ad_status status = load_from_environment(error);
    enum front_option option;
    const char *path;
    for (int at = 0; !status && (option = front_next(count, words, &at, &path)) != FRONT_END;) {
        if (option != FRONT_PLUGIN) continue;
        if (!path || !*path)
            status = ad_error_set(error, AD_ERROR_ARGUMENT, "option --plugin needs a value: the plug-in's FILE");
        else
            status = nf_plugin_load(path, error);
    }
    return status;
}

/* ---- Records -------------------------------------------------------------------------------------------------- */

static void note(json_t *plugins, const json_t *from, const char *key)
{
    const char *text = json_string_value(json_object_get(from, key));
    const char *plugin = text ? nf_registry_origin(key, text, strcspn(text, " (")) : NULL;
    if (plugin) json_object_set_new(plugins, key, json_string(plugin));
}

void plugins_note(json_t *record)
{
    static const char *const options[] = {"optimizer", "schedule", "objective"};
    json_t *plugins = json_object();
    note(plugins, record, "target");
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        note(plugins, json_object_get(record, "options"), options[i]);
    if (json_object_size(plugins) > 0) json_object_set(record, "plugins", plugins);
    json_decref(plugins);
}

ad_status plugins_check(const json_t *record, const char *model, ad_error *error)
{
    const char *plugin = json_string_value(json_object_get(json_object_get(record, "plugins"), "target"));
    if (!plugin || nf_plugin_find(plugin) || json_object_get(record, "sites")) return AD_OK;
    return ad_error_set(error, AD_ERROR_FORMAT,
                        "%s: this model needs the plug-in \"%s\", which is not loaded: weir --plugin FILE …", model,
                        plugin);
}
