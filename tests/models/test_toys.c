/* Distributions to try a flow on, against golden/toys.py. */
#include "models/data_tools.h"

#include <math.h>

enum { CELLS = 24, N = 100000 };

/* Of toys.csv, the column of a toy: its entropy, the ends of a box, and the probabilities of its cells. */
static double *golden_of(const nf_toy *toy)
{
    nf_table table = read_table(golden_path("toys.csv").text);
    size_t column = 0;
    while (column < table.columns && strcmp(table.names[column], toy->name) != 0) column++;
    ck_assert_msg(column < table.columns, "toys.csv has no %s", toy->name);
    double *of = calloc(table.rows, sizeof *of);
    ck_assert_uint_eq(table.rows, 5 + CELLS * CELLS);
    for (size_t r = 0; r < table.rows; r++) of[r] = table.values[r * table.columns + column];
    nf_table_free(&table);
    return of;
}

/* Pearson's statistic of N rows in the cells; those that expect fewer than five rows, and what is outside of the box,
 * are one cell together. It is near the number of cells, and in a million at most once five standard deviations above.
 */
static double statistic(const double *x, const double *golden, size_t *cells)
{
    static int count[CELLS * CELLS + 1];
    memset(count, 0, sizeof count);
    for (size_t r = 0; r < N; r++) {
        const double at[] = {(x[2 * r] - golden[1]) / (golden[2] - golden[1]),
                             (x[2 * r + 1] - golden[3]) / (golden[4] - golden[3])};
        const bool inside = at[0] >= 0 && at[0] < 1 && at[1] >= 0 && at[1] < 1;
        count[inside ? (int)(at[0] * CELLS) * CELLS + (int)(at[1] * CELLS) : CELLS * CELLS]++;
    }
    double sum = 0, rest = N, seen = count[CELLS * CELLS];
    *cells = 0;
    for (size_t i = 0; i < CELLS * CELLS; i++) {
        const double expected = N * golden[5 + i];
        if (expected < 5) {
            seen += count[i];
            continue;
        }
        sum += pow(count[i] - expected, 2) / expected;
        rest -= expected;
        ++*cells;
    }
    ck_assert_double_gt(rest, -5);
    return sum + pow(seen - rest, 2) / fmax(rest, 5);
}

START_TEST(rows_follow_the_density)
{
    static double x[2 * N];
    const nf_toy *toy = &nf_toys()[_i];
    double *golden = golden_of(toy);
    size_t cells;
    nf_toy_draw(toy, N, toy->noise, 7, x, NULL);
    const double found = statistic(x, golden, &cells), most = (double)cells + 5 * sqrt(2.0 * (double)cells);
    ck_assert_msg(found < most, "%s: %g of %zu cells, at most %g expected", toy->name, found, cells, most);
    free(golden);
}
END_TEST

START_TEST(entropies_are_true)
{
    for (const nf_toy *toy = nf_toys(); toy->name; toy++) {
        double *golden = golden_of(toy);
        ck_assert_msg(fabs(toy->entropy - golden[0]) < 1e-4, "%s: %g, expected %g", toy->name, toy->entropy, golden[0]);
        free(golden);
    }
}
END_TEST

/* How many labels each has, which are about equally often. */
static const struct {
    const char *name;
    int labels;
} parts[] = {{"moons", 2},    {"banana", 1},    {"8gaussians", 8}, {"checkerboard", 8}, {"pinwheel", 5},
             {"2spirals", 2}, {"swissroll", 1}, {"circles", 2},    {"rings", 4}};

START_TEST(labels_are_of_the_rows)
{
    enum { FEW = 8000 };
    static double x[2 * FEW], again[2 * FEW];
    static int label[FEW];
    for (size_t i = 0; i < COUNT(parts); i++) {
        const nf_toy *toy = nf_toy_named(parts[i].name);
        ck_assert_ptr_eq(toy, &nf_toys()[i]);
        int count[8] = {0};
        nf_toy_draw(toy, FEW, 0.05, 3, x, label);
        nf_toy_draw(toy, FEW, 0.05, 3, again, NULL);
        ck_assert_mem_eq(x, again, sizeof x);
        nf_toy_draw(toy, FEW, 0.05, 4, again, NULL);
        ck_assert_mem_ne(x, again, sizeof x);
        for (int r = 0; r < FEW; r++) {
            ck_assert_int_ge(label[r], 0);
            ck_assert_int_lt(label[r], parts[i].labels);
            count[label[r]]++;
        }
        const double each = (double)FEW / parts[i].labels;
        for (int k = 0; k < parts[i].labels; k++) ck_assert_double_eq_tol(count[k], each, 5 * sqrt(each));
    }
    ck_assert_ptr_null(nf_toys()[COUNT(parts)].name);
    ck_assert_ptr_null(nf_toy_named("gaussians"));
    /* Where parts are far from each other, a row is where its label says. */
    nf_toy_draw(nf_toy_named("8gaussians"), FEW, 0, 3, x, label);
    for (int r = 0; r < FEW; r++) {
        const double turn = atan2(x[2 * r + 1], x[2 * r]) / (2 * acos(-1)) * 8 - label[r];
        ck_assert_double_lt(fabs(turn - 8 * round(turn / 8)), 1);
    }
}
END_TEST

Suite *toys_suite(void)
{
    Suite *suite = suite_create("toys");
    TCase *toys = tcase_create("toys");
    tcase_add_loop_test(toys, rows_follow_the_density, 0, COUNT(parts));
    tcase_add_test(toys, entropies_are_true);
    tcase_add_test(toys, labels_are_of_the_rows);
    suite_add_tcase(suite, toys);
    return suite;
}
