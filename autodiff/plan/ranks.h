/* Runs on several ranks: each has run the pass on its own rows, and all shall have the whole.
 *
 * A sum over rows that ranks share is added up as one rank would, node by node of the tree of lanes. Its elements are
 * dealt to the ranks as well. To the rank that has an element each other rank sends what it has of it, the fewest nodes
 * that hold all its lanes: one, where the number of ranks is a power of two. That rank adds them and sends the sum to
 * all. So of a sum of P bytes each of S ranks sends 2 P (S - 1) / S bytes, and receives as many, which is the least
 * that there is (Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", 2009); for
 * other numbers of ranks, the first half of it some times, for as many nodes. Sums of few bytes are sent to everybody
 * at once, who all add them: then the number of messages counts more. */
#ifndef WEIR_AUTODIFF_PLAN_RANKS_H
#define WEIR_AUTODIFF_PLAN_RANKS_H

#include "plan/execution.h"

/* The first row of a rank in a stage's pass; that of rank number `size` is the number of rows. */
size_t ad__first_row_of_rank(const ad__execution *e, int rank);
/* After a pass: put together its sums over rows, and what it stores of each row. */
ad_status ad__join_ranks(ad__execution *e);

#endif
