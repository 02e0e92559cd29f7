/* Registries: lists of descriptors that are found by name, Weir's own and those that others add. */
#ifndef WEIR_REGISTRY_H
#define WEIR_REGISTRY_H

#include <weir/bijector.h>

WEIR_BEGIN_DECLARATIONS

/* Everything that a formula or an option names is described by a struct of its kind (nf_bijector_type,
 * nf_optimizer_type, …), whose first two members are
 *
 *     const char *name; // letters, digits and '_', a digit not first
 *     const char *help; // one line, or NULL
 *
 * A registry is the list of all descriptors of a kind, ended by NULL. Descriptors are added at the start of the
 * program, before other threads; from then on any thread may read. */
typedef struct {
    const char *kind; /* what messages call a descriptor: "optimizer" */
    void *list;       /* an array of pointers to descriptors, the last of which is followed by NULL */
    size_t room;      /* for so many of them, NULL not counted */
} nf_registry;

enum { NF_MOST_ARGUMENTS = 16 }; /* of an optimiser, a schedule or an objective */

/* Make a descriptor known, which must outlive all use. AD_ERROR_ARGUMENT: its name isn't a name or is taken, or there
 * is no room. error may be NULL. */
ad_status nf_registry_add(const nf_registry *registry, const void *descriptor, ad_error *error);

/* The descriptor of this name, of `length` bytes; NULL when there is none. */
const void *nf_registry_find(const nf_registry *registry, const char *name, size_t length);

/* The descriptor that a text such as "adam(beta2=0.98)" begins with, and, from the parentheses behind its name, a value
 * for each of its arguments: `argument` says where a descriptor of this kind has them ({0}-ended, or NULL for none),
 * and value has room for `most` of them. NULL on failure, and *error (which may be NULL) then lists the names that
 * there are, or shows the fault in the arguments. */
const void *nf_registry_parse(const nf_registry *registry, const char *text,
                              const nf_argument *(*argument)(const void *descriptor), double *value, size_t most,
                              ad_error *error);

WEIR_END_DECLARATIONS

#endif
