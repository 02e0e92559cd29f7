/* Descriptors that are found by name, Weir's own and those that others add: their arguments, and the registries that
 * list them. */
#ifndef WEIR_REGISTRY_H
#define WEIR_REGISTRY_H

#include <weir/error.h>

WEIR_BEGIN_DECLARATIONS

typedef struct nf_registry nf_registry;

typedef enum {
    NF_COUNT,      /* a whole number */
    NF_NUMBER,     /* a number */
    NF_CHOICE,     /* one of its choices */
    NF_FEATURES,   /* one of its choices, or a list of features, each once, from 1: [1,3,5-8]; a type has one at most */
    NF_DESCRIPTOR, /* the name of one of a registry's descriptors, with numbers and choices as arguments of its own:
                    * transformer=rational_quadratic(bins=16) */
} nf_argument_kind;

enum { NF_LISTED = -1 }; /* the value of an NF_FEATURES argument that is a list */

/* A named argument, of a bijector in formulas or of another descriptor. */
typedef struct {
    const char *name;
    nf_argument_kind kind;
    double value;        /* default; of choices the index */
    double low, high;    /* allowed, inclusive, of both kinds of numbers; so must the default be */
    const char *choices; /* "half|alternating|random" */
    const char *help;
    const char *initial;         /* of NF_DESCRIPTOR: the default's name */
    const nf_registry *registry; /* of NF_DESCRIPTOR */
} nf_argument;

/* Everything that a formula or an option names is described by a struct of its kind (nf_bijector_type,
 * nf_transformer_type, …), which begins with these three. */
typedef struct {
    const char *name;            /* letters, digits and '_', a digit not first */
    const char *help;            /* one line, or NULL */
    const nf_argument *argument; /* ended by {0}; NULL for none */
} nf_descriptor;

/* A descriptor, with a value for each of its arguments. */
typedef struct {
    const void *descriptor;
    double *value;
} nf_choice;

/* The value of a choice's argument; 0 when there is none of this name, or no choice: NULL. */
double nf_choice_value(const nf_choice *choice, const char *name);

/* Read the arguments behind a name of `length` bytes at the beginning of text, "funnel(dim=10)", as a formula's are
 * read: a value for each of argument[], which ends with {0} (NULL: none), unless value is NULL. False on failure; error
 * may be NULL. */
bool nf_parse_arguments(const char *text, size_t length, const nf_argument *argument, double *value, ad_error *error);

/* The list of all descriptors of a kind. They are added at the start of the program, before other threads; from then on
 * any thread may read. */
struct nf_registry {
    const char *kind; /* what messages call a descriptor: "optimizer" */
    void *list;       /* an array of pointers to descriptors, the last of which is followed by NULL */
    size_t room;      /* for so many of them, NULL not counted */
    bool wide;        /* arguments may list features and name other descriptors; else they are numbers and choices */
};

enum { NF_MOST_ARGUMENTS = 64 }; /* of a descriptor */

/* Make a descriptor known, which must outlive all use. AD_ERROR_ARGUMENT: it is NULL, its name isn't a name or is
 * taken, its arguments are too many, of a wrong kind, without what their kind needs or with a default that isn't
 * allowed, or there is no room. error may be NULL. */
ad_status nf_registry_add(const nf_registry *registry, const void *descriptor, ad_error *error);

/* "tanh, relu, elu": their names, with `separator` between them (NULL: nothing), as far as there is room in buffer;
 * returns it. */
const char *nf_registry_names(const nf_registry *registry, const char *separator, char *buffer, size_t room);

/* The descriptor of this name, of `length` bytes; NULL when there is none. */
const void *nf_registry_find(const nf_registry *registry, const char *name, size_t length);

/* The descriptor that a text such as "adam(beta2=0.98)" begins with, and, from the parentheses behind its name, a value
 * for each of its arguments: as many as it has, at most NF_MOST_ARGUMENTS. NULL on failure, and *error (which may be
 * NULL) then lists the names that there are, or shows the fault in the arguments. */
const void *nf_registry_parse(const nf_registry *registry, const char *text, double *value, ad_error *error);

/* What is added from now on comes from the plug-in of this name, which must outlive all use; NULL: from the program.
 * For nf_plugin_load(). */
void nf_registry_set_origin(const char *plugin);

/* The plug-in that the descriptor of this name, of `length` bytes, came from; kind is its registry's ("bijector").
 * NULL: from Weir or the program, or there is none of the name. */
const char *nf_registry_origin(const char *kind, const char *name, size_t length);

WEIR_END_DECLARATIONS

#endif
