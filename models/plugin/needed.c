/* The plug-ins that a saved model needs, by the names in its formula. */
#include "plugin/needed.h"

#include <weir/plugin.h>
#include <weir/registry.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* The plug-in that brought what a formula names so; NULL: none did. */
static const char *plugin_of(const char *name, size_t length)
{
    static const char *const kinds[] = {"bijector", "base distribution", "transformer", "conditioner", "activation"};
    const char *plugin = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !plugin; i++)
        plugin = nf_registry_origin(kinds[i], name, length);
    return plugin;
}

/* The name that begins at *at, or behind it, and its length; NULL behind the last. Names of arguments, which '='
 * follows, are none. */
static const char *next_name(const char **at, size_t *length)
{
    const char *c = *at;
    for (; *c; c += *length) {
        *length = 0;
        while (isalnum((unsigned char)c[*length]) || c[*length] == '_') ++*length;
        if (*length == 0)
            *length = 1;
        else if (c[*length] != '=' && !isdigit((unsigned char)*c))
            break;
    }
    *at = *c ? c + *length : c;
    return *c ? c : NULL;
}

/* Is name one of those in list, "ripple cubic"? */
static bool is_listed(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = list; (at = strstr(at, name)); at += length)
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0')) return true;
    return false;
}

const char *nf__needed_plugins(const char *formula, char *text, size_t size)
{
    const char *name, *plugin;
    size_t length, filled = 0;
    text[0] = '\0';
    while ((name = next_name(&formula, &length))) {
        plugin = plugin_of(name, length);
        if (!plugin || is_listed(text, plugin) || filled + strlen(plugin) + 2 > size) continue;
        filled += (size_t)snprintf(text + filled, size - filled, "%s%s", filled ? " " : "", plugin);
    }
    return filled ? text : NULL;
}

bool nf__missing_plugin(const char *list, char name[64])
{
    for (size_t length; list && *list; list += length + (list[length] == ' ')) {
        length = strcspn(list, " ");
        snprintf(name, 64, "%.*s", (int)(length < 63 ? length : 63), list);
        if (!nf_plugin_find(name)) return true;
    }
    return false;
}
