/* Communicators by name: how a program that was started as several processes finds the others.
 *
 * Weir has none of its own and knows no MPI. A plug-in brings one: that for MPI is tools/mpi/mpi.c, which is compiled
 * for each MPI that is found, and which the weir command loads when a launcher (mpirun, srun) has started it. A program
 * of your own does the same:
 *
 *     nf_plugin_load("/usr/local/lib/weir/mpi-openmpi.so", &error);
 *     const nf_communicator_type *type = nf_communicator_types()[0];
 *     const ad_communicator *ranks = type->open(type, &error);
 *     ad_pool_set_communicator(pool, ranks, &error);
 *     ...
 *     type->close(type);
 */
#ifndef WEIR_COMMUNICATOR_TYPE_H
#define WEIR_COMMUNICATOR_TYPE_H

#include <weir/communicator.h>
#include <weir/registry.h>

WEIR_BEGIN_DECLARATIONS

/* A kind of communicators, of which a process has one. */
typedef struct nf_communicator_type nf_communicator_type;
struct nf_communicator_type {
    const char *name;            /* "mpi" */
    const char *help;            /* one line */
    const nf_argument *argument; /* NULL: it takes none */
    /* Meet the other processes: all of them call it, once, at the start of the program, from the thread that will use
     * the communicator. What is returned lives until close. NULL on failure; error may be NULL. */
    const ad_communicator *(*open)(const nf_communicator_type *self, ad_error *error);
    /* Part from the others: all of them call it, when none has anything more to say. May wait for them. */
    void (*close)(const nf_communicator_type *self);
    const void *data; /* of its author's */
};

/* Make a kind known, at the start of the program, before other threads. It must outlive all use. AD_ERROR_ARGUMENT: its
 * name is taken or isn't a name, or it lacks a function. error may be NULL. */
ad_status nf_register_communicator(const nf_communicator_type *type, ad_error *error);
/* All that are known, in the order in which they were made so, ended by NULL. From any thread. */
const nf_communicator_type *const *nf_communicator_types(void);

WEIR_END_DECLARATIONS

#endif
