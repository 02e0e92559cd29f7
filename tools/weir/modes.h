/* Looking for modes: what was done, and whether a fit holds them. */
#ifndef WEIR_COMMAND_MODES_H
#define WEIR_COMMAND_MODES_H

#include <weir/models.h>

#include <jansson.h>

/* What searches found and what of it a flow holds: how many searches and modes, and of each mode its place on the scale
 * of the sites, its share of the target's mass and of the flow's. NULL when memory is out. */
json_t *modes_json(const nf_target *target, const nf_start *start, const nf_infer_mode *mode, size_t held);
/* The same of a flow that was fitted without a start: searches are made now. NULL: they failed. */
json_t *modes_looked_for(const nf_flow *flow, const nf_target *target, uint64_t seed, ad_pool *pool);
/* "modes  24 searches found 2; the fit holds both", of a record that has them; and how many it lacks. */
void print_modes(const json_t *record, FILE *to);
long long modes_missed(const json_t *record);

#endif
