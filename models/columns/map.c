/* Increasing maps of an interval to the real line. */
#include "columns/column.h"

#include <math.h>

/* The feature before offset and scale, and the log of its derivative. */
typedef struct {
    const char *name;
    double (*to)(const nf__map *map, double x, double *log_slope);
    double (*from)(const nf__map *map, double g);
} map_functions;

static double identity_to(const nf__map *map, double x, double *log_slope)
{
    (void)map;
    *log_slope = 0;
    return x;
}

static double identity_from(const nf__map *map, double g)
{
    (void)map;
    return g;
}

static double log_to(const nf__map *map, double x, double *log_slope)
{
    double g = log(x - map->low);
    *log_slope = -g;
    return g;
}

static double log_from(const nf__map *map, double g)
{
    return map->low + exp(g);
}

/* c log(e^y - 1) of y = (x - low)/c, whose derivative is 1/(1 - e^-y). */
static double softplus_to(const nf__map *map, double x, double *log_slope)
{
    double y = (x - map->low) / map->width, log_rest = log(-expm1(-y));
    *log_slope = -log_rest;
    return map->width * (y + log_rest);
}

static double softplus_from(const nf__map *map, double g)
{
    double t = g / map->width;
    return map->low + map->width * (t > 0 ? t + log1p(exp(-t)) : log1p(exp(t)));
}

static double logit_to(const nf__map *map, double x, double *log_slope)
{
    double log_below = log(x - map->low), log_above = log(map->high - x);
    *log_slope = log(map->high - map->low) - log_below - log_above;
    return log_below - log_above;
}

/* From the nearer end, to be exact near both. */
static double logit_from(const nf__map *map, double g)
{
    double part = (map->high - map->low) / (1 + exp(fabs(g)));
    return g < 0 ? map->low + part : map->high - part;
}

static const map_functions functions[NF__MAPS] = {
    [NF__MAP_IDENTITY] = {"identity", identity_to, identity_from},
    [NF__MAP_LOG] = {"log", log_to, log_from},
    [NF__MAP_SOFTPLUS] = {"softplus", softplus_to, softplus_from},
    [NF__MAP_LOGIT] = {"logit", logit_to, logit_from},
};

const char *nf__map_name(nf__map_type type)
{
    return functions[type].name;
}

nf__map nf__map_of(double low, double high, double width)
{
    nf__map_type type = isfinite(high)   ? NF__MAP_LOGIT
                        : !isfinite(low) ? NF__MAP_IDENTITY
                        : width > 0      ? NF__MAP_SOFTPLUS
                                         : NF__MAP_LOG;
    return (nf__map){.type = type, .low = low, .high = high, .width = width, .scale = 1};
}

bool nf__map_admits(const nf__map *map, double x)
{
    return isfinite(x) && (x > map->low || (x == map->low && map->pull_low > 0)) &&
           (x < map->high || (x == map->high && map->pull_high > 0));
}

double nf__map_to(const nf__map *map, double x, double *log_slope)
{
    if (x == map->low) x = map->low + map->pull_low;
    if (x == map->high) x = map->high - map->pull_high;
    double g = functions[map->type].to(map, x, log_slope);
    *log_slope -= log(map->scale);
    return (g - map->offset) / map->scale;
}

double nf__map_from(const nf__map *map, double feature)
{
    double x = functions[map->type].from(map, map->scale * feature + map->offset);
    /* A little more than the pull, for the round trip of the end itself. */
    if (map->pull_low > 0 && x - map->low <= 1.000001 * map->pull_low) return map->low;
    if (map->pull_high > 0 && map->high - x <= 1.000001 * map->pull_high) return map->high;
    if (x <= map->low) return nextafter(map->low, INFINITY);
    if (x >= map->high) return nextafter(map->high, -INFINITY);
    return x;
}
