/* The verifier: in one and two dimensions the density integrates to one, and samples follow it.
 *
 * A grid over the base sample's range is mapped to x; the cells that it makes there are measured by their corners (a
 * length, or the area of a quadrilateral), which owes nothing to the log-det, and weighted with exp(log p) at the image
 * of their centres, which owes its all to the inverse and its log-det. */
#include "verify/checker.h"

#include <weir/flow.h>
#include <weir/verify.h>

#include <math.h>

typedef struct {
    size_t cells, count; /* along one axis; in all */
    double *x, *weight;  /* of each cell: the image of its centre, its probability */
    double doubt; /* of the sum of the probabilities: by how much they would differ with the densities at the corners */
} grid;

static const double reach = 4.5; /* standard deviations: 1e-5 is beyond, a hundredth of what is told apart */

/* Of node (or, by offset 0.5, of centre) number k along an axis. */
static double place(const grid *g, double k)
{
    return reach * (2 * k / (double)g->cells - 1);
}

static void fill(const grid *g, size_t dim, size_t nodes, double offset, double *z)
{
    for (size_t i = 0; i < (dim == 2 ? nodes : 1); i++)
        for (size_t j = 0; j < nodes; j++) {
            double *event = z + (i * nodes + j) * dim;
            event[dim - 1] = place(g, (double)j + offset);
            if (dim == 2) event[0] = place(g, (double)i + offset);
        }
}

/* Of the cell with corner number k as its first. */
static double measure(const double *corner, size_t dim, size_t nodes, size_t k)
{
    if (dim == 1) return fabs(corner[k + 1] - corner[k]);
    const double *a = corner + 2 * k, *b = a + 2, *d = a + 2 * nodes, *c = d + 2;
    return 0.5 * fabs((c[0] - a[0]) * (d[1] - b[1]) - (d[0] - b[0]) * (c[1] - a[1]));
}

/* Of densities whose logarithms these are. */
static double mean_of_corners(const double *log_density, size_t dim, size_t nodes, size_t k)
{
    const double *a = log_density + k, *b = a + (dim == 2 ? nodes : 0);
    return 0.25 * (exp(a[0]) + exp(a[1]) + exp(b[0]) + exp(b[1]));
}

static ad_status map_all(nf__checker *c, const double *z, size_t rows, double *x, double *log_prob,
                         const double *context)
{
    ad_status status = nf_transform(c->flow[AD_F64], false, z, context, rows, x, NULL, NULL, c->error);
    return status == AD_OK && log_prob ? nf_log_prob(c->flow[AD_F64], x, context, rows, log_prob, NULL, c->error)
                                       : status;
}

static ad_status fill_grid(nf__checker *c, grid *g, const double *context)
{
    size_t nodes = g->cells + 1, corners = c->dim == 2 ? nodes * nodes : nodes;
    double *z = ad_alloc(corners, (2 * c->dim + 1) * sizeof *z), *corner = z + (z ? corners * c->dim : 0);
    double *density = corner + (z ? corners * c->dim : 0);
    ad_status status = z ? AD_OK : nf__check_out_of_memory(c);
    if (status == AD_OK) {
        fill(g, c->dim, nodes, 0, z);
        status = map_all(c, z, corners, corner, density, context);
    }
    if (status == AD_OK) {
        fill(g, c->dim, g->cells, 0.5, z);
        status = map_all(c, z, g->count, g->x, g->weight, context);
    }
    for (size_t k = 0; k < g->count && status == AD_OK; k++) {
        size_t first = c->dim == 2 ? k / g->cells * nodes + k % g->cells : k;
        double size = measure(corner, c->dim, nodes, first);
        g->weight[k] = size > 0 ? exp(g->weight[k]) * size : 0;
        const double doubt = fabs(mean_of_corners(density, c->dim, nodes, first) * size - g->weight[k]);
        if (isfinite(doubt)) g->doubt += doubt;
    }
    ad_free(z);
    return status;
}

/* Bounded functions of an event, whose means over samples and over the grid must agree. */
static double probe(int which, const double *x, size_t dim)
{
    double a = x[0], b = x[dim - 1];
    switch (which) {
    case 0:
        return tanh(a);
    case 1:
        return cos(a);
    case 2:
        return tanh(b);
    case 3:
        return sin(a + b);
    default:
        return 1 / (1 + (a - b) * (a - b));
    }
}

/* Makes the grid; free what is in it. */
static ad_status make_grid(nf__checker *c, size_t cells, grid *g, double *total)
{
    *g = (grid){.cells = cells, .count = c->dim == 2 ? cells * cells : cells};
    g->x = ad_alloc(g->count, c->dim * sizeof *g->x);
    g->weight = ad_alloc(g->count, sizeof *g->weight);
    double *context = nf__check_context(c, g->count + 2 * cells + 1, true);
    bool good = g->x && g->weight && (context || !c->bijector->context);
    ad_status status = good ? fill_grid(c, g, context) : nf__check_out_of_memory(c);
    *total = 0;
    for (size_t k = 0; k < g->count && status == AD_OK; k++) *total += g->weight[k];
    ad_free(context);
    return status;
}

static void free_grid(grid *g)
{
    ad_free(g->weight);
    ad_free(g->x);
}

/* What a finer grid changes, and what the cells' corners would, is the error of the grid, which is large for steep maps
 * and where they bend; a fault stays. */
static ad_status integrate(nf__checker *c, grid *g, double *total)
{
    nf_check_result *result = nf__check_result_add(c, "the density integrates to 1", 1e-3);
    const double little = 1e-4;
    size_t cells = c->dim == 2 ? 208 : 1000;
    double of_grid = 0;
    ad_status status = make_grid(c, cells, g, total);
    if (status == AD_OK && c->dim == 1 && !(fabs(*total - 1) + g->doubt <= little)) {
        cells = 14000; /* a map that is steep or bends somewhere */
        free_grid(g);
        status = make_grid(c, cells, g, total);
    }
    if (status == AD_OK && fabs(*total - 1) > result->bound) {
        double coarse = *total;
        free_grid(g);
        status = make_grid(c, 2 * cells, g, total);
        of_grid = fabs(*total - coarse);
    }
    const double off = fabs(*total - 1) - of_grid - g->doubt;
    nf__check_worse(result, off > 0 || isnan(off) ? off : 0);
    snprintf(result->at, sizeof result->at, "the integral is %.6g", *total);
    return status;
}

ad_status nf__check_density(nf__checker *c)
{
    enum { SAMPLES = 20000, PROBES = 5 };
    if (c->dim > 2) return AD_OK;
    grid g = {0};
    double total, *sample = ad_alloc(SAMPLES, c->dim * sizeof *sample), *context = nf__check_context(c, SAMPLES, true);
    bool good = sample && (context || !c->bijector->context);
    ad_status status = good ? integrate(c, &g, &total) : nf__check_out_of_memory(c);
    if (status == AD_OK) status = nf_sample(c->flow[AD_F64], context, SAMPLES, c->seed, sample, NULL, NULL, c->error);
    if (status == AD_OK) {
        nf_check_result *result = nf__check_result_add(c, "samples follow the density (standard errors)", 5);
        for (int p = 0; p < PROBES; p++) {
            double sum = 0, squares = 0, expected = 0;
            for (size_t k = 0; k < g.count; k++) expected += g.weight[k] * probe(p, g.x + k * c->dim, c->dim);
            for (size_t i = 0; i < SAMPLES; i++) {
                double y = probe(p, sample + i * c->dim, c->dim);
                sum += y;
                squares += y * y;
            }
            double mean = sum / SAMPLES, variance = fmax(squares / SAMPLES - mean * mean, 0);
            double allowance = sqrt(variance / SAMPLES) + 1e-4 + fabs(total - 1) + g.doubt; /* the grid's own error */
            if (nf__check_worse(result, fabs(mean - expected) / allowance))
                snprintf(result->at, sizeof result->at,
                         "mean of a bounded function: %.5g of samples, %.5g of the density", mean, expected);
        }
    }
    ad_free(context);
    ad_free(sample);
    free_grid(&g);
    return status;
}
