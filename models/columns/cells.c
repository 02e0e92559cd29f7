/* A standard normal that is cut into cells, one for each value of a column. Each is as wide as its value is probable,
 * so that uniform noise within the cells makes a column's feature exactly N(0, 1): a flow has only to learn how columns
 * depend on each other. Probabilities are summed from both sides, for cells in either tail to keep their widths. */
#include "columns/column.h"

#include <weir/memory.h>

#include <math.h>

static const double log_root_2pi = 0.91893853320467274178;

/* A rational approximation (Abramowitz & Stegun 1964, 26.2.23, good to 4.5e-4), and two steps of Halley's method, each
 * of which cubes its error. */
double nf__normal_quantile(double p)
{
    double t = sqrt(-2 * log(p));
    double z = (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))) - t;
    for (int i = 0; i < 2; i++) {
        double newton = (erfc(-z * M_SQRT1_2) / 2 - p) * exp(z * z / 2 + log_root_2pi);
        z -= newton / (1 + z * newton / 2);
    }
    return z;
}

/* Φ⁻¹ of a probability and its complement. */
static double quantile(double below, double above)
{
    return below <= above ? nf__normal_quantile(below) : -nf__normal_quantile(above);
}

ad_status nf__cells_make(const double *mass, size_t count, nf__cells *cells, ad_error *error)
{
    *cells = (nf__cells){.count = count};
    double *numbers = ad_alloc(4 * count + 3, sizeof *numbers), total = 0;
    if (!numbers) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a column of %zu values", count);
    cells->mass = numbers;
    cells->below = cells->mass + count;
    cells->above = cells->below + count + 1;
    cells->end = cells->above + count + 1;
    for (size_t k = 0; k < count; k++) total += cells->mass[k] = mass[k];
    for (size_t k = 0; k < count; k++) cells->below[k + 1] = cells->below[k] + cells->mass[k];
    for (size_t k = count; k-- > 0;) cells->above[k] = cells->above[k + 1] + cells->mass[k];
    cells->end[0] = -INFINITY;
    cells->end[count] = INFINITY;
    for (size_t k = 1; k < count; k++) cells->end[k] = quantile(cells->below[k], cells->above[k]);
    bool apart = count > 0 && fabs(total - 1) < 1e-9;
    for (size_t k = 0; k < count; k++) apart = apart && cells->end[k] < cells->end[k + 1];
    if (apart) return AD_OK;
    nf__cells_free(cells);
    return ad_error_set(error, AD_ERROR_FORMAT, "the probabilities of a column's %zu values are none", count);
}

void nf__cells_free(nf__cells *cells)
{
    ad_free(cells->mass);
    *cells = (nf__cells){0};
}

double nf__cells_to(const nf__cells *cells, size_t k, double u, double *log_slope)
{
    double mass = cells->mass[k];
    double z = quantile(cells->below[k] + u * mass, cells->above[k + 1] + (1 - u) * mass);
    /* Rounding leaves a point in its cell. */
    z = fmin(fmax(z, cells->end[k]), nextafter(cells->end[k + 1], -INFINITY));
    *log_slope = log(mass) + z * z / 2 + log_root_2pi;
    return z;
}

size_t nf__cells_from(const nf__cells *cells, double z)
{
    size_t low = 0, high = cells->count; /* end[low] <= z < end[high] */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (z < cells->end[middle])
            high = middle;
        else
            low = middle;
    }
    return low;
}
