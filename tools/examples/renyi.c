/* renyi.c: a plug-in that brings an objective of inference, Rényi's divergence of order α (Li & Turner 2016, "Rényi
 * divergence variational inference"): of the draws' weights w = p/q,
 *
 *     1/(α - 1) log mean w^(1-α),
 *
 * which is the ELBO's near α = 1, and -log of the mean weight for α = 0. Its gradient is that of log q - log p, each
 * draw weighed by its part of Σ w^(1-α).
 *
 *     cc -shared -fPIC renyi.c $(pkg-config --cflags weir) -o renyi.so
 *     weir --plugin ./renyi.so vi pot1 --flow 'planar*4' --objective 'renyi(0.3)' --iters 500 -o pot1.safetensors */
#include <math.h>
#include <weir/models.h>

static ad_var term(const nf_objective_draw *draw)
{
    return ad_sub(draw->log_q, draw->log_p);
}

static double weigh(const nf_objective_type *self, const double *argument, const double *log_weight, size_t draws,
                    double *weight)
{
    (void)self;
    double power = 1 - argument[0], most = -INFINITY, sum = 0;
    for (size_t i = 0; i < draws; i++) most = fmax(most, power * log_weight[i]);
    for (size_t i = 0; i < draws; i++) sum += weight[i] = exp(power * log_weight[i] - most);
    for (size_t i = 0; i < draws; i++) weight[i] /= sum;
    return -(most + log(sum / (double)draws)) / power;
}

static const nf_argument arguments[] = {
    {.name = "alpha", .kind = NF_NUMBER, .value = 0.5, .low = 0, .high = 0.999, .help = "the order"}, {0}};

static const nf_objective_type renyi = {
    .name = "renyi", .help = "1/(α - 1) log mean (p/q)^(1-α)", .argument = arguments, .term = term, .weigh = weigh};

static ad_status start(ad_error *error)
{
    return nf_register_objective(&renyi, error);
}

WEIR_PLUGIN("renyi", "1.0", start)
