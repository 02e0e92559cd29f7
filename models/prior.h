/* Priors on what a fit trains: those that there are, and writing others. */
#ifndef WEIR_PRIOR_H
#define WEIR_PRIOR_H

#include <weir/autodiff.h>
#include <weir/registry.h>

WEIR_BEGIN_DECLARATIONS

/* With a prior a fit looks for the most probable parameters (MAP, maximum a posteriori) in the place of the most likely
 * ones: over N training rows it minimises
 *
 *     -1/N (Σ log p(x_i) + Σ log prior(w)),
 *
 * w being the numbers that are trained: those of networks as they are, and of a parameter with a constraint, such as a
 * scale, the real number ρ that stands for it (<weir/bijector.h>). Where rows have weights they count as so many rows,
 * and N is the sum of the weights. In a batch the mean over its rows stands for that over all, and the prior's part is
 * the same. Scores, and the validation loss that chooses the epoch, are those of the likelihood alone.
 *
 * The priors, of each number:
 *   normal   N(w; mean, sd²); mean 0, sd 1. Of gradient descent with all rows this is a weight decay of 1/(N sd²).
 *            AdamW's decay is something else: it isn't divided by the size of gradients, as the prior's gradient is
 *   laplace  exp(-|w - location| / scale) / (2 scale); location 0, scale 1. Numbers that little speaks for come near 0
 *   student  Student's t, of df degrees of freedom; df 3, location 0, scale 1. Few of them may be large
 *
 * Which numbers have which is told by names of parameters, as they stand in model files ("0.maf.weight1"), with * for
 * any letters and ? for one, the first that fits: "*.weight*:normal(sd=0.1), *.loc:laplace(scale=2)". What fits nowhere
 * has none. A prior without a name is that of all: "normal(sd=0.5)". */
typedef struct nf_prior_type nf_prior_type;
struct nf_prior_type {
    const char *name;            /* in options */
    const char *help;            /* one line, with the formula */
    const nf_argument *argument; /* ended by {0}; NULL for none; numbers and choices */
    /* Record Σ log prior over the elements of w, a parameter on the tape: shared, shape (), in nats. `argument` has the
     * values. */
    ad_var (*log_density)(const nf_prior_type *self, const double *argument, ad_var w);
    const void *data; /* of its author's */
};

/* Make a prior known, at the start of the program, before other threads. The type must outlive all use.
 * AD_ERROR_ARGUMENT: its name is taken or isn't a name, it has no density, or too many arguments. error may be NULL. */
ad_status nf_register_prior(const nf_prior_type *type, ad_error *error);
/* All that are known, ended by NULL. From any thread. */
const nf_prior_type *const *nf_prior_types(void);

WEIR_END_DECLARATIONS

#endif
