/* NUTS with progress on stderr: what nuts and the demos have in common. */
#ifndef WEIR_COMMAND_CHAINS_H
#define WEIR_COMMAND_CHAINS_H

#include <weir/nuts.h>

/* nf_nuts(), showing how far it is behind `label`. Ctrl-C stops it, as nf_nuts_result.stopped says. Call it
 * between interrupt_catch() and interrupt_release(), and write the draws in between too. */
ad_status draw_chains(const nf_target *target, const nf_nuts_options *options, const char *label,
                      nf_nuts_result *result, ad_error *error);

#endif
