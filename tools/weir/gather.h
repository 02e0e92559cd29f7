/* What each rank says, to all of them. */
#ifndef WEIR_COMMAND_GATHER_H
#define WEIR_COMMAND_GATHER_H

#include <weir/communicator.h>

/* `bytes` of each rank, one behind the other in `all`, where this rank's are at their place already. */
ad_status gather_from_all(const ad_communicator *ranks, void *all, size_t bytes, ad_error *error);

#endif
