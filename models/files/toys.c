/* Distributions in the plane to try a flow on. Those behind moons and banana are those of FFJORD's toy_data.py
 * (Grathwohl et al. 2019), with its constants; where it has equal parts of the rows on each arm or ring, here each row
 * is on any. */
#include <weir/data.h>
#include <weir/environment.h>
#include <weir/random.h>

#include <math.h>
#include <string.h>

/* Random streams of this file's own, whatever else is drawn with the same seed. */
enum { STREAM_ORDER = 0x6d6f6f6e, STREAM_MOONS, STREAM_BANANA = 0x62616e61, STREAM = 0x746f7973 };

/* Where row number `row` of `rows` is drawn from; the next number of its own is number `next` of the last stream. */
struct nf_toy_source {
    uint64_t seed, next;
    size_t row, rows;
    double noise;
};
typedef struct nf_toy_source source;

enum { NUMBERS_OF_ROW = 8 };

static const double pi = 3.14159265358979323846;

static double uniform(source *from)
{
    return ad_random_uniform(from->seed, STREAM, from->next++);
}

static double normal(source *from)
{
    return ad_random_normal(from->seed, STREAM, from->next++);
}

/* One of 0 … count - 1. */
static int any_of(source *from, int count)
{
    return (int)(count * uniform(from));
}

static void add_noise(source *from, double sd, double x[2])
{
    for (int c = 0; c < 2; c++) x[c] += sd * normal(from);
}

static int moons(source *from, double x[2])
{
    const size_t upper = from->rows / 2,
                 i = (size_t)ad_random_permutation(from->seed, STREAM_ORDER, from->rows, from->row);
    const bool lower = i >= upper;
    const size_t place = lower ? i - upper : i, places = lower ? from->rows - upper : upper;
    const double angle = places > 1 ? pi * (double)place / (double)(places - 1) : 0;
    x[0] = lower ? 1 - cos(angle) : cos(angle);
    x[1] = lower ? 0.5 - sin(angle) : sin(angle);
    for (size_t c = 0; c < 2; c++) x[c] += from->noise * ad_random_normal(from->seed, STREAM_MOONS, 2 * from->row + c);
    return lower;
}

static int banana(source *from, double x[2])
{
    x[1] = 3 * ad_random_normal(from->seed, STREAM_BANANA, 2 * from->row);
    x[0] = x[1] * x[1] / 4 + ad_random_normal(from->seed, STREAM_BANANA, 2 * from->row + 1);
    return 0;
}

static int eight_gaussians(source *from, double x[2])
{
    const int label = any_of(from, 8);
    const double angle = 2 * pi * label / 8;
    x[0] = 4 * cos(angle) / sqrt(2);
    x[1] = 4 * sin(angle) / sqrt(2);
    add_noise(from, 0.5 / sqrt(2), x);
    return label;
}

static int two_spirals(source *from, double x[2])
{
    const int label = any_of(from, 2);
    const double side = label ? -1 : 1, angle = 3 * pi * sqrt(uniform(from));
    x[0] = side * (-angle * cos(angle) + 0.5 * uniform(from)) / 3;
    x[1] = side * (angle * sin(angle) + 0.5 * uniform(from)) / 3;
    add_noise(from, 0.1, x);
    return label;
}

/* Of four columns, each has two squares of 2 by 2; in every other one they stand 2 higher. */
static int checkerboard(source *from, double x[2])
{
    const int column = any_of(from, 4), row = 2 * any_of(from, 2) + column % 2;
    x[0] = 2 * (column - 2 + uniform(from));
    x[1] = 2 * (row - 2 + uniform(from));
    return 2 * column + row / 2;
}

/* Normals that are drawn out along the first axis, and turned by one of five angles and the more the further out. */
static int pinwheel(source *from, double x[2])
{
    const int label = any_of(from, 5);
    const double out = 1 + 0.3 * normal(from), aside = 0.1 * normal(from);
    const double angle = 2 * pi * label / 5 + 0.25 * exp(out);
    x[0] = 2 * (out * cos(angle) + aside * sin(angle));
    x[1] = 2 * (aside * cos(angle) - out * sin(angle));
    return label;
}

static int swissroll(source *from, double x[2])
{
    const double angle = 1.5 * pi * (1 + 2 * uniform(from));
    x[0] = angle * cos(angle) / 5;
    x[1] = angle * sin(angle) / 5;
    add_noise(from, 0.2, x);
    return 0;
}

/* Around 0, of radius `step` or `count` times as much or between, with noise. */
static int any_circle(source *from, int count, double step, double sd, double x[2])
{
    const int label = any_of(from, count);
    const double angle = 2 * pi * uniform(from);
    x[0] = (label + 1) * step * cos(angle);
    x[1] = (label + 1) * step * sin(angle);
    add_noise(from, sd, x);
    return label;
}

static int circles(source *from, double x[2])
{
    return any_circle(from, 2, 1.5, 0.24, x);
}

static int rings(source *from, double x[2])
{
    return any_circle(from, 4, 0.75, 0.08, x);
}

/* Entropies: golden/toys.py. */
static const nf_toy toys[] = {
    {"moons", "two interleaved half circles, as in scikit-learn", 0.05, 0.28923, moons},
    {"banana", "a normal bent along a parabola", 0, 3.93649, banana},
    {"8gaussians", "eight normals on a circle", 0, 2.83158, eight_gaussians},
    {"checkerboard", "eight squares that touch at their corners", 0, 3.46574, checkerboard},
    {"pinwheel", "five normals, drawn out and bent", 0, 2.31779, pinwheel},
    {"2spirals", "two spirals, one inside the other", 0, 2.64541, two_spirals},
    {"swissroll", "one spiral, with more noise", 0, 2.66963, swissroll},
    {"circles", "two circles around one centre", 0, 3.26814, circles},
    {"rings", "four circles around one centre", 0, 2.62318, rings},
    {0},
};

const nf_toy *nf_toys(void)
{
    return toys;
}

const nf_toy *nf_toy_named(const char *name)
{
    for (const nf_toy *toy = toys; name && toy->name; toy++)
        if (strcmp(toy->name, name) == 0) return toy;
    return NULL;
}

void nf_toy_draw(const nf_toy *toy, size_t n, double noise, uint64_t seed, double *values, int *labels)
{
    AD_DEFAULT_ENVIRONMENT;
    if (!toy || !toy->draw || !values) return;
    for (size_t r = 0; r < n; r++) {
        source from = {.seed = seed, .next = NUMBERS_OF_ROW * r, .row = r, .rows = n, .noise = noise};
        const int label = toy->draw(&from, values + 2 * r);
        if (labels) labels[r] = label;
    }
}

void nf_moons(size_t n, double noise, uint64_t seed, double *values, int *labels)
{
    nf_toy_draw(nf_toy_named("moons"), n, noise, seed, values, labels);
}

void nf_banana(size_t n, uint64_t seed, double *values)
{
    nf_toy_draw(nf_toy_named("banana"), n, 0, seed, values, NULL);
}
