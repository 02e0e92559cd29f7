/* For tests: a table of ten columns of all kinds, with missing values. */
#ifndef WEIR_TESTS_TOOLS_MIXED_H
#define WEIR_TESTS_TOOLS_MIXED_H

#include <weir/models.h>
#include "tools/command.h"

#include <math.h>

enum { MIXED_COLUMNS = 10 };

static const char mixed_names[] = "height,height_cm,unit,age,visits,income,share,spent,phase,city";
enum { HEIGHT, HEIGHT_CM, UNIT, AGE, VISITS, INCOME, SHARE, SPENT, PHASE, CITY };

/* Text, of which NULL is missing: 5 % of ages, incomes, shares and cities are. Incomes grow with age, and those in Oslo
 * are larger; 30 % have spent nothing. */
static inline void mixed_row(uint64_t seed, size_t row, char text[MIXED_COLUMNS][32])
{
    double u[12], z[4];
    for (size_t i = 0; i < COUNT(u); i++) u[i] = ad_random_uniform(seed, 2000 + i, row);
    for (size_t i = 0; i < COUNT(z); i++) z[i] = ad_random_normal(seed, 3000 + i, row);
    double height = round(1000 * (1.7 + 0.1 * z[0])) / 1000, age = floor(18 + 72 * u[0] * u[1]), visits = 0;
    for (double p = u[2], term = exp(-2), below = term; p > below && visits < 20; below += term) term *= 2 / ++visits;
    const char *city = u[3] < 0.5 ? "Oslo" : u[3] < 0.8 ? "Rome" : "Bonn, am Rhein";
    double income = exp(9 + age / 50 + (u[3] < 0.5 ? 0.5 : 0) + 0.3 * z[1]);
    snprintf(text[HEIGHT], 32, "%.3f", height);
    snprintf(text[HEIGHT_CM], 32, "%.1f", 100 * height);
    snprintf(text[UNIT], 32, "7");
    snprintf(text[AGE], 32, "%.0f", age);
    snprintf(text[VISITS], 32, "%.0f", visits);
    snprintf(text[INCOME], 32, "%.2f", income);
    snprintf(text[SHARE], 32, "%.4f", 1 / (1 + exp(-1.5 * z[2])));
    snprintf(text[SPENT], 32, "%.2f", u[4] < 0.3 ? 0 : exp(2 + 0.5 * z[3]));
    snprintf(text[PHASE], 32, "%.1f", fmod(360 + 40 * z[1], 360));
    snprintf(text[CITY], 32, strchr(city, ',') ? "\"%s\"" : "%s", city);
    static const size_t some[] = {AGE, INCOME, SHARE, CITY};
    for (size_t i = 0; i < COUNT(some); i++)
        if (u[5 + i] < 0.05) strcpy(text[some[i]], i % 2 ? "" : "NA");
}

static inline void mixed_write(const char *name, uint64_t seed, size_t rows)
{
    FILE *to = fopen(scratch_path(name).text, "w");
    ck_assert_ptr_nonnull(to);
    fprintf(to, "%s\n", mixed_names);
    for (size_t r = 0; r < rows; r++) {
        char text[MIXED_COLUMNS][32];
        mixed_row(seed, r, text);
        for (size_t c = 0; c < MIXED_COLUMNS; c++) fprintf(to, "%s%s", text[c], c + 1 < MIXED_COLUMNS ? "," : "\n");
    }
    ck_assert_int_eq(fclose(to), 0);
}

#endif
