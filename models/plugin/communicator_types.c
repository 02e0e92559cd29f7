/* The kinds of communicators that are known: all of them come from outside. */
#include <weir/communicator_type.h>

enum { MOST_TYPES = 16 };

static const nf_communicator_type *types[MOST_TYPES + 1];
static const nf_registry registry = {"communicator", types, MOST_TYPES};

const nf_communicator_type *const *nf_communicator_types(void)
{
    return types;
}

ad_status nf_register_communicator(const nf_communicator_type *type, ad_error *error)
{
    if (!type) return ad_error_set(error, AD_ERROR_ARGUMENT, "registering a communicator: type is NULL");
    if (!type->open || !type->close)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "registering the communicator '%.60s': it has no %s",
                            type->name ? type->name : "", type->open ? "close" : "open");
    return nf_registry_add(&registry, type, error);
}
