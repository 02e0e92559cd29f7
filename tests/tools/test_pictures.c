/* weir plot: pictures of flows, of data and of targets. */
#include <weir/models.h>
#include "tools/mixed.h"

#include <math.h>
#include <sys/stat.h>

/* One, two and more features; names that gnuplot must not take for its own. */
static const char *const headers[] = {"a", "it's \"_{x}^2`ls`\",b", "a,b,c", "a,b,c,d,epsilon"};

START_TEST(pictures)
{
    if (!have_gnuplot()) return;
    char table[1 << 14], start[64];
    size_t filled = (size_t)snprintf(table, sizeof table, "%s\n", headers[_i]);
    static const size_t columns[] = {1, 2, 3, 5};
    for (size_t r = 0; r < 60; r++)
        for (size_t c = 0; c < columns[_i]; c++)
            filled += (size_t)snprintf(table + filled, sizeof table - filled, "%g%c", sin((double)(r * 7 + c * c * r)),
                                       c + 1 < columns[_i] ? ',' : '\n');
    write_text("data.csv", table);
    SUCCEED("fit", "data.csv", "--flow", "maf(8)", "--epochs", "3", "-o", "m.safetensors");
    SUCCEED("plot", "m.safetensors", "--data", "data.csv", "-o", "it's \"a\" picture;.png");
    slurp(scratch_path("it's \"a\" picture;.png").text, start, sizeof start);
    ck_assert_mem_eq(start, "\x89PNG\r\n\x1a\n", 8);
    json_t *plot = SUCCEED_JSON("plot", "m.safetensors", "-n", "100", "-o", "picture.SVG");
    ck_assert_str_eq(text_in(plot, "output"), "picture.SVG");
    json_decref(plot);
    static char svg[1 << 22];
    slurp(scratch_path("picture.SVG").text, svg, sizeof svg);
    ck_assert_int_eq(strncmp(svg, "<?xml", 5), 0);
    ck_assert_int_eq(strstr(svg, "Density of the flow") != NULL, columns[_i] == 2);
    assert_contains(svg, "validation");
    if (columns[_i] == 5) assert_contains(svg, "epsilon");
    if (columns[_i] == 2) {
        SUCCEED("plot", "m.safetensors", "--steps", "-o", "picture.SVG");
        slurp(scratch_path("picture.SVG").text, svg, sizeof svg);
        assert_contains(svg, "1: maf, standardize");
    }
    ck_assert_int_eq(scratch_files(false), 4);
}
END_TEST

/* Numbers that differ in their last digits alone: tics tell them apart, as what is left of an offset. */
START_TEST(far_from_zero)
{
    if (!have_gnuplot()) return;
    char table[1 << 14];
    static char svg[1 << 22];
    static const char *const options[] = {NULL, "--steps"};
    for (int columns = 2; columns <= 3; columns++) {
        size_t filled = (size_t)snprintf(table, sizeof table, columns == 2 ? "time,y\n" : "time,y,z\n");
        for (int r = 0; r < 80; r++) {
            filled += (size_t)snprintf(table + filled, sizeof table - filled, "%.9g,%g", 1.7e9 + 12 * r, sin(7 * r));
            filled += (size_t)snprintf(table + filled, sizeof table - filled, columns == 2 ? "\n" : ",%d\n", r);
        }
        write_text("data.csv", table);
        SUCCEED("fit", "data.csv", "--flow", "scale", "--dtype", "float64", "--epochs", "3", "-o", "m.safetensors");
        for (size_t i = 0; i < (columns == 2 ? 2 : 1); i++) {
            SUCCEED("plot", "m.safetensors", "--data", "data.csv", "-n", "500", "-o", "p.svg", options[i]);
            slurp(scratch_path("p.svg").text, svg, sizeof svg);
            if (i == 0) assert_contains(svg, "time − 17000");
            ck_assert_ptr_null(strstr(svg, ">-0<"));
            ck_assert_ptr_null(strstr(svg, "1.7e+09"));
        }
    }
}
END_TEST

static size_t occurrences(const char *text, const char *part)
{
    size_t count = 0;
    for (; (text = strstr(text, part)); text++) count++;
    return count;
}

/* Tails of many decades bend the axis; numbers with exponents have a unit; names that are alike have numbers; and a
 * column by itself has all the room where no loss needs it. */
START_TEST(axes_that_suit)
{
    if (!have_gnuplot()) return;
    enum { ROWS = 200, COLUMNS = 12 };
    static char table[1 << 16], svg[1 << 23];
    size_t cauchy = 0, small = 0;
    for (int r = 0; r < ROWS; r++)
        cauchy +=
            (size_t)snprintf(table + cauchy, sizeof table - cauchy, "%.6g\n", tan(M_PI * ((r + 0.5) / ROWS - 0.5)));
    write_text("cauchy.csv", table);
    SUCCEED("fit", "cauchy.csv", "--flow", "scale-loc", "--epochs", "1", "-o", "m.st");
    SUCCEED("plot", "m.st", "--data", "cauchy.csv", "-n", "200", "-o", "p.svg");
    slurp(scratch_path("p.svg").text, svg, sizeof svg);
    ck_assert_ptr_nonnull(strstr(svg, "density, per decade"));
    for (int r = 0; r < ROWS; r++)
        small += (size_t)snprintf(table + small, sizeof table - small, "%g,%g\n", 1e-30 * sin(r), 1e-30 * cos(5 * r));
    write_text("small.csv", table);
    SUCCEED("fit", "small.csv", "--flow", "maf(4)", "--dtype", "float64", "--epochs", "1", "-o", "m.st");
    SUCCEED("plot", "m.st", "--data", "small.csv", "-n", "200", "-o", "p.svg");
    slurp(scratch_path("p.svg").text, svg, sizeof svg);
    ck_assert_ptr_nonnull(strstr(svg, "in 1e58"));
    ck_assert_ptr_nonnull(strstr(svg, "feature 1 / 1e-30"));
    ck_assert_ptr_null(strstr(svg, ">-1e-30<"));
    for (int r = -1, filled = 0; r < 40; r++)
        for (int c = 0; c < COLUMNS; c++) {
            char *to = table + filled;
            const size_t room = sizeof table - (size_t)filled;
            filled += r < 0 ? snprintf(to, room, "measurement number %d of them", c)
                            : snprintf(to, room, "%g", sin(r * c + r));
            table[filled++] = c + 1 < COLUMNS ? ',' : '\n';
            table[filled] = '\0';
        }
    write_text("wide.csv", table);
    SUCCEED("fit", "wide.csv", "--flow", "loc", "--epochs", "1", "-o", "m.st");
    SUCCEED("plot", "m.st", "-n", "50", "-o", "p.svg");
    slurp(scratch_path("p.svg").text, svg, sizeof svg);
    ck_assert_ptr_nonnull(strstr(svg, ">12: "));
}
END_TEST

/* After each step, where it is on an axis of decades too. */
START_TEST(steps_are_where_their_axes_say)
{
    if (!have_gnuplot()) return;
    static char table[1 << 14], svg[1 << 23];
    size_t filled = 0;
    for (int r = 0; r < 100; r++)
        filled +=
            (size_t)snprintf(table + filled, sizeof table - filled, "%g,%g\n", exp(exp(sin(r))), exp(exp(cos(3 * r))));
    write_text("data.csv", table);
    SUCCEED("fit", "data.csv", "--columns", "1:real,2:real", "--flow", "loc-exp-exp", "--no-standardize", "--dtype",
            "float64", "--epochs", "1", "-o", "m.st");
    SUCCEED("plot", "m.st", "--steps", "-o", "p.svg");
    slurp(scratch_path("p.svg").text, svg, sizeof svg);
    ck_assert_uint_gt(occurrences(svg, "<use xlink:href="), 4 * 4800); /* of four times 5000 */
}
END_TEST

/* Whole numbers, labels and what is missing have their places; and there are the columns that are asked for. */
START_TEST(ten_columns)
{
    if (!have_gnuplot()) return;
    static char svg[1 << 23];
    mixed_write("mixed.csv", 1, 300);
    SUCCEED("fit", "mixed.csv", "--columns", "phase:angle", "--flow", "maf(8)", "--epochs", "2", "-o", "m.st");
    json_t *plot = SUCCEED_JSON("plot", "m.st", "--data", "mixed.csv", "-n", "300", "-o", "p.svg");
    ck_assert_double_eq(number_in(plot, "columns"), MIXED_COLUMNS);
    ck_assert_double_eq(number_in(plot, "columns_shown"), MIXED_COLUMNS);
    json_decref(plot);
    slurp(scratch_path("p.svg").text, svg, sizeof svg);
    static const char *const shown[] = {"height_cm", "height", "age",  "visits", "income",  "share",
                                        "spent",     "phase",  "city", "Oslo",   "missing "};
    for (size_t i = 0; i < COUNT(shown); i++) assert_contains(svg, shown[i]);
    ck_assert_ptr_null(strstr(svg, "of its 10 columns"));
    SUCCEED("plot", "m.st", "--show", "city,height_cm", "-n", "300", "-o", "p.svg");
    assert_contains(output, "2 of the 10 columns are shown");
    slurp(scratch_path("p.svg").text, svg, sizeof svg);
    assert_contains(svg, "height_cm");
    ck_assert_ptr_null(strstr(svg, "income"));
    ck_assert_int_eq(RUN("plot", "m.st", "--show", "weight", "-o", "q.svg"), 2);
    assert_contains(complaint, "--show: m.st has no column 'weight'");
}
END_TEST

/* a, b given c: its density there, and what each step does. */
START_TEST(a_conditional_flow)
{
    char table[1 << 14], steps[3][2048];
    static char svg[1 << 22];
    size_t filled = (size_t)snprintf(table, sizeof table, "a,c,b\n");
    for (int r = 0; r < 80; r++)
        filled += (size_t)snprintf(table + filled, sizeof table - filled, "%g,%g,%g\n", sin(7 * r), cos(r), cos(3 * r));
    write_text("data.csv", table);
    SUCCEED("fit", "data.csv", "--context", "c", "--flow", "flip-rqs(4)-flip", "--no-standardize", "--epochs", "3",
            "-o", "m.safetensors");
    for (int k = 0; k < 3; k++) {
        static const char *const number[] = {"0", "1", "3"};
        SUCCEED("sample", "m.safetensors", "--context", "0.5", "--steps", number[k], "-n", "5", "-o", "s.csv");
        slurp(scratch_path("s.csv").text, steps[k], sizeof steps[k]);
    }
    double z[2], x[2];
    ck_assert_int_eq(sscanf(steps[0], "%lf,%lf", &z[0], &z[1]), 2);
    ck_assert_int_eq(sscanf(steps[1], "%lf,%lf", &x[0], &x[1]), 2);
    ck_assert(z[0] == x[1] && z[1] == x[0]);
    SUCCEED("sample", "m.safetensors", "--context", "0.5", "-n", "5", "-o", "s.csv");
    slurp(scratch_path("s.csv").text, table, sizeof table);
    ck_assert_str_eq(table, steps[2]);
    ck_assert_int_eq(strncmp(table, "a,b,c\n", 6), 0); /* the context is beside */
    SUCCEED("sample", "m.safetensors", "--context", "0.5", "-n", "5", "--write-context", "no", "-o", "s.csv");
    slurp(scratch_path("s.csv").text, table, sizeof table);
    ck_assert_int_eq(strncmp(table, "a,b\n", 4), 0);
    ck_assert_int_eq(RUN("sample", "m.safetensors", "--context", "0.5", "--steps", "4", "-o", "s.csv"), 2);
    assert_contains(complaint, "--steps: flip-rqs(4)-flip has 3 steps, got 4");
    ck_assert_int_eq(RUN("sample", "m.safetensors", "--context", "0.5,1", "-o", "s.csv"), 2);
    assert_contains(complaint, "expected 1 number, got '0.5,1'");
    ck_assert_int_eq(RUN("sample", "m.safetensors", "--context", "nan", "-o", "s.csv"), 2);
    assert_contains(complaint, "number 1 of 'nan' is not finite");
    ck_assert_int_eq(RUN("plot", "m.safetensors", "-o", "p.svg"), 2);
    assert_contains(complaint, "give its context of 1 number with --context");
    ck_assert_int_eq(RUN("plot", "m.safetensors", "--context", "1,2", "-o", "p.svg"), 2);
    assert_contains(complaint, "expected 1 number, got '1,2'");
    if (!have_gnuplot()) return;
    SUCCEED("plot", "m.safetensors", "--context", "0.5", "--data", "data.csv", "-n", "500", "-o", "p.svg");
    slurp(scratch_path("p.svg").text, svg, sizeof svg);
    assert_contains(svg, "flip-rqs(4)-flip, given c = 0.5");
    assert_contains(svg, "Data, the 80 of the nearest context");
    assert_contains(svg, "Density of the flow");
    SUCCEED("plot", "m.safetensors", "--context", "0.5", "--steps", "-o", "p.png");
    slurp(scratch_path("p.png").text, svg, sizeof svg);
    ck_assert_mem_eq(svg, "\x89PNG\r\n\x1a\n", 8);
}
END_TEST

/* Of a fit to a target, in the plane and beyond. */
START_TEST(pictures_of_targets)
{
    if (!have_gnuplot()) return;
    static char svg[1 << 24];
    SUCCEED("vi", "pot1", "--flow", "planar*2", "--iters", "50", "-o", "m.safetensors");
    SUCCEED("plot", "m.safetensors", "-n", "500", "-o", "m.svg");
    slurp(scratch_path("m.svg").text, svg, sizeof svg);
    assert_contains(svg, "planar*2 for pot1");
    assert_contains(svg, "Density of the target");
    assert_contains(svg, "-1.8775 possible");
    ck_assert_ptr_null(strstr(svg, "β grows"));
    SUCCEED("plot", "m.safetensors", "--target", "pot4", "-n", "500", "-o", "m.svg");
    slurp(scratch_path("m.svg").text, svg, sizeof svg);
    assert_contains(svg, "planar*2 for pot4");
    ck_assert_int_eq(RUN("plot", "m.safetensors", "--target", "funnel", "-o", "m.svg"), 2);
    assert_contains(complaint, "target 'funnel' has 10 features, but the flow has 2");
    SUCCEED("vi", "funnel(3)", "--iters", "50", "--anneal", "20", "-o", "f.safetensors");
    SUCCEED("plot", "f.safetensors", "-n", "500", "-o", "f.svg");
    slurp(scratch_path("f.svg").text, svg, sizeof svg);
    assert_contains(svg, "x[2]");
    assert_contains(svg, "Loss: ");
    assert_contains(svg, "β grows");
}
END_TEST

/* What takes gnuplot's place; NULL: nothing does. */
static const struct {
    const char *script, *part;
} bad_gnuplots[] = {
    {NULL, "gnuplot-nox"},
    {"#!/bin/sh\nexit 0\n", "drew nothing"},
    {"#!/bin/sh\necho half a picture\necho line 7: no such terminal >&2\nexit 1\n", "line 7: no such terminal"},
};

START_TEST(picture_without_gnuplot)
{
    make_model();
    if (bad_gnuplots[_i].script) {
        write_text("gnuplot", bad_gnuplots[_i].script);
        ck_assert_int_eq(chmod(scratch_path("gnuplot").text, 0755), 0);
    }
    int before = scratch_files(false);
    setenv("PATH", scratch, 1);
    ck_assert_int_eq(RUN("plot", "moons.safetensors", "-o", "density.png"), 1);
    ck_assert_uint_eq(lines(complaint), 1);
    assert_contains(complaint, bad_gnuplots[_i].part);
    ck_assert_int_eq(scratch_files(false), before);
}
END_TEST

Suite *pictures_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("pictures", &tests);
    tcase_add_loop_test(tests, pictures, 0, COUNT(headers));
    tcase_add_test(tests, far_from_zero);
    tcase_add_test(tests, axes_that_suit);
    tcase_add_test(tests, steps_are_where_their_axes_say);
    tcase_add_test(tests, ten_columns);
    tcase_add_test(tests, a_conditional_flow);
    tcase_add_test(tests, pictures_of_targets);
    tcase_add_loop_test(tests, picture_without_gnuplot, 0, COUNT(bad_gnuplots));
    return suite;
}
