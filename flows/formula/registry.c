/* Registries. Descriptors of all kinds begin with their name; lists are read and written as bytes, for each is an array
 * of pointers of a type of its own. */
#include <weir/memory.h>
#include <weir/registry.h>

#include <ctype.h>
#include <string.h>

static const void *entry(const nf_registry *registry, size_t i)
{
    const void *descriptor;
    memcpy(&descriptor, (const char *)registry->list + i * sizeof descriptor, sizeof descriptor);
    return descriptor;
}

static const char *name_of(const void *descriptor)
{
    return *(const char *const *)descriptor;
}

static bool is_name(const char *name)
{
    if (!name || !(isalpha((unsigned char)*name) || *name == '_')) return false;
    while (isalnum((unsigned char)*name) || *name == '_') name++;
    return *name == '\0';
}

/* ---- Where descriptors come from ------------------------------------------------------------------------------ */

typedef struct origin {
    struct origin *next;
    const char *kind, *plugin;
    const void *descriptor;
} origin;

static origin *origins; /* of what plug-ins brought, for the life of the process */
static const char *current_plugin;

void nf_registry_set_origin(const char *plugin)
{
    current_plugin = plugin;
}

const char *nf_registry_origin(const char *kind, const char *name, size_t length)
{
    for (const origin *o = kind && name ? origins : NULL; o; o = o->next) {
        const char *its = name_of(o->descriptor);
        if (strcmp(o->kind, kind) == 0 && strlen(its) == length && memcmp(its, name, length) == 0) return o->plugin;
    }
    return NULL;
}

static bool note_origin(const nf_registry *registry, const void *descriptor)
{
    if (!current_plugin) return true;
    origin *made = ad_alloc(1, sizeof *made);
    if (!made) return false;
    *made = (origin){origins, registry->kind, current_plugin, descriptor};
    origins = made;
    return true;
}

/* ---- Descriptors ---------------------------------------------------------------------------------------------- */

/* What is wrong with an argument; NULL: nothing. */
static const char *fault_of(const nf_registry *registry, const nf_argument *argument)
{
    const bool lists = argument->kind == NF_FEATURES, names = argument->kind == NF_DESCRIPTOR;
    if (!registry->wide && (lists || names)) return "isn't a number or a choice";
    if ((lists || argument->kind == NF_CHOICE) && !argument->choices) return "has no choices";
    if (names && !(argument->registry && argument->initial)) return "has no registry, or no default of it";
    return NULL;
}

static ad_status check_arguments(const nf_registry *registry, const nf_descriptor *descriptor, ad_error *error)
{
    const nf_argument *argument = descriptor->argument;
    size_t count = 0;
    for (; argument && argument[count].name; count++) {
        const nf_argument *a = &argument[count];
        const char *fault = fault_of(registry, a);
        if (fault)
            return ad_error_set(error, AD_ERROR_ARGUMENT, "registering the %s '%.60s': its argument '%.60s' %s",
                                registry->kind, descriptor->name, a->name, fault);
        if ((a->kind == NF_COUNT || a->kind == NF_NUMBER) && !(a->low <= a->value && a->value <= a->high))
            return ad_error_set(error, AD_ERROR_ARGUMENT,
                                "registering the %s '%.60s': the default of its argument '%.60s', %g, isn't from low "
                                "to high, which are %g and %g",
                                registry->kind, descriptor->name, a->name, a->value, a->low, a->high);
    }
    if (count <= NF_MOST_ARGUMENTS) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT,
                        "registering the %s '%.60s': it has %zu arguments; expected at most %d", registry->kind,
                        descriptor->name, count, NF_MOST_ARGUMENTS);
}

ad_status nf_registry_add(const nf_registry *registry, const void *descriptor, ad_error *error)
{
    if (!registry) return ad_error_set(error, AD_ERROR_ARGUMENT, "registering a descriptor: registry is NULL");
    const char *name = descriptor ? name_of(descriptor) : NULL;
    if (!is_name(name))
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "registering a %s: '%.60s' isn't a name: letters, digits and '_', a digit not first",
                            registry->kind, name ? name : "");
    if (nf_registry_find(registry, name, strlen(name)))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "registering a %s: the name '%.60s' is taken", registry->kind,
                            name);
    if (check_arguments(registry, descriptor, error) != AD_OK) return AD_ERROR_ARGUMENT;
    size_t count = 0;
    while (entry(registry, count)) count++;
    if (count >= registry->room)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "registering the %s '%.60s': there is room for %zu only",
                            registry->kind, name, registry->room);
    if (!note_origin(registry, descriptor))
        return ad_error_set(error, AD_ERROR_MEMORY, "registering the %s '%.60s': out of memory", registry->kind, name);
    memcpy((char *)registry->list + count * sizeof descriptor, &descriptor, sizeof descriptor);
    return AD_OK;
}

const void *nf_registry_find(const nf_registry *registry, const char *name, size_t length)
{
    const void *descriptor;
    for (size_t i = 0; registry && name && (descriptor = entry(registry, i)); i++)
        if (strlen(name_of(descriptor)) == length && memcmp(name_of(descriptor), name, length) == 0) return descriptor;
    return NULL;
}

const char *nf_registry_names(const nf_registry *registry, const char *separator, char *buffer, size_t room)
{
    size_t filled = 0;
    const void *descriptor;
    if (!buffer || room == 0) return "";
    buffer[0] = '\0';
    for (size_t i = 0; registry && (descriptor = entry(registry, i)) && filled < room; i++)
        filled += (size_t)snprintf(buffer + filled, room - filled, "%s%s", i && separator ? separator : "",
                                   name_of(descriptor));
    return buffer;
}

double nf_choice_value(const nf_choice *choice, const char *name)
{
    const nf_descriptor *descriptor = choice ? choice->descriptor : NULL;
    const nf_argument *argument = descriptor ? descriptor->argument : NULL;
    for (size_t i = 0; argument && choice->value && name && argument[i].name; i++)
        if (strcmp(argument[i].name, name) == 0) return choice->value[i];
    return 0;
}
