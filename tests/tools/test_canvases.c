/* weir plot: formats, sizes and colours of pictures, terminals, and what gnuplot is told of columns that are hard to
 * show. */
#include <weir/models.h>
#include "tools/command.h"

#include <math.h>
#include <pty.h>
#include <sys/stat.h>

static char picture[1 << 23];

/* The same as assert_contains(), of what is too long to be told. */
static void assert_in(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "there is no '%s'", part);
}

/* ---- Formats ---------------------------------------------------------------------------------------------------- */

static unsigned long big_endian(const char *at)
{
    const unsigned char *bytes = (const unsigned char *)at;
    return (unsigned long)bytes[0] << 24 | (unsigned long)bytes[1] << 16 | (unsigned long)bytes[2] << 8 | bytes[3];
}

/* A PNG says its size in the first chunk. */
static void assert_png(const char *bytes, unsigned long width, unsigned long height)
{
    ck_assert_mem_eq(bytes, "\x89PNG\r\n\x1a\n", 8);
    ck_assert_mem_eq(bytes + 12, "IHDR", 4);
    ck_assert_uint_eq(big_endian(bytes + 16), width);
    ck_assert_uint_eq(big_endian(bytes + 20), height);
}

/* A newer Cairo packs most objects of a PDF: they are behind it, unpacked, in `picture`. Meson brings Python along. */
static size_t slurp_pdf(const char *name)
{
    static const char unpack[] =
        "import re, sys, zlib\n"
        "pdf = sys.stdin.buffer.read()\n"
        "sys.stdout.buffer.write(pdf)\n"
        "for packed in re.findall(rb'/FlateDecode\\s*>>\\s*stream\\n(.*?)\\nendstream', pdf, re.S):\n"
        "    sys.stdout.buffer.write(zlib.decompress(packed))\n";
    char line[sizeof unpack + 3 * sizeof(file_path)];
    snprintf(line, sizeof line, "python3 -c \"%s\" <'%s' >'%s'", unpack, scratch_path(name).text,
             scratch_path("unpacked").text);
    ck_assert_int_eq(system(line), 0);
    size_t got = slurp(scratch_path("unpacked").text, picture, sizeof picture);
    ck_assert_int_eq(unlink(scratch_path("unpacked").text), 0);
    return got;
}

START_TEST(formats_and_sizes)
{
    if (!have_gnuplot()) return;
    make_model();
    SUCCEED("plot", "moons.safetensors", "-n", "100", "-o", "p.png");
    slurp(scratch_path("p.png").text, picture, sizeof picture);
    assert_png(picture, 1600, 1000);
    SUCCEED("plot", "moons.safetensors", "-n", "100", "--size", "800x600", "-o", "p.PNG");
    slurp(scratch_path("p.PNG").text, picture, sizeof picture);
    assert_png(picture, 800, 600);
    SUCCEED("plot", "moons.safetensors", "-n", "100", "-o", "-"); /* a file, no terminal */
    assert_png(output, 1600, 1000);
    SUCCEED("plot", "moons.safetensors", "-n", "100", "--size", "800x600", "--dark", "--title", "it's _{x}", "-o",
            "p.svg");
    slurp(scratch_path("p.svg").text, picture, sizeof picture);
    assert_in(picture, "width=\"800\" height=\"600\"");
    ck_assert_ptr_nonnull(strstr(picture, "s _{x}"));
    ck_assert_ptr_nonnull(strstr(picture, "1c1c1e"));
    ck_assert_ptr_null(strstr(picture, "maf(16)"));
    SUCCEED("plot", "moons.safetensors", "-n", "100", "--title", "", "-o", "p.svg");
    slurp(scratch_path("p.svg").text, picture, sizeof picture);
    ck_assert_ptr_null(strstr(picture, "maf(16)"));
    ck_assert_ptr_null(strstr(picture, "1c1c1e"));
    /* 960 pixels are 5 inches of 72 points. */
    SUCCEED("plot", "moons.safetensors", "-n", "100", "--size", "960x576", "-o", "p.pdf");
    size_t got = slurp_pdf("p.pdf");
    ck_assert_mem_eq(picture, "%PDF", 4);
    ck_assert_ptr_nonnull(memmem(picture, got, "/MediaBox [ 0 0 360 216 ]", 25));
    ck_assert_ptr_nonnull(memmem(picture, got, "/FontFile", 9)); /* fonts are in it */
    ck_assert_int_eq(scratch_files(false), 6);
}
END_TEST

static const struct {
    const char *option, *value, *part;
} refused[] = {
    {"-o", "p.gif", "'p.gif': a picture's name ends in .png, .svg or .pdf"},
    {"-o", "picture", "'picture': a picture's name ends in"},
    {"-o", "/dev/shm/picture", "'/dev/shm/picture': a picture's name ends in"},
    {"-o", "/tmp", "'/tmp': a picture's name ends in"},
    {"--size", "800", "--size: expected a width and a height from 20 to 20000, as in '1200x800', got '800'"},
    {"--size", "800x", "got '800x'"},
    {"--size", "0x600", "got '0x600'"},
    {"--size", "800x600x3", "got '800x600x3'"},
    {"--size", "800x99999999999999999999", "got '800x9"},
};

START_TEST(refusals)
{
    ck_assert_int_eq(RUN("plot", "none.safetensors", "-o", "p.png", refused[_i].option, refused[_i].value), 2);
    assert_contains(complaint, refused[_i].part);
    ck_assert_int_eq(scratch_files(false), 0);
}
END_TEST

/* ---- Terminals -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *term, *no_colour;
    bool escapes;
    const char *begins; /* of the picture, somewhere in what the terminal gets */
} terminals[] = {
    {"xterm", "1", false, "+----"},
    {"xterm", "", true, "----"}, /* an empty NO_COLOR doesn't count */
    {"foot", "1", true, "\x1bP"},
    {"screen.foot", "1", false, "+----"},
};

START_TEST(terminal)
{
    if (!have_gnuplot()) return;
    static char screen[1 << 20];
    size_t filled = 0;
    ssize_t got;
    int end, state;
    make_model();
    const struct winsize window = {.ws_row = 24, .ws_col = 90};
    pid_t child = forkpty(&end, NULL, NULL, &window);
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        setenv("TERM", terminals[_i].term, 1);
        unsetenv("TERM_PROGRAM");
        setenv("NO_COLOR", terminals[_i].no_colour, 1);
        become_command(WORDS("plot", "moons.safetensors", "-n", "500", "-o", "-"));
    }
    while (filled < sizeof screen - 1 && (got = read(end, screen + filled, sizeof screen - 1 - filled)) > 0)
        filled += (size_t)got;
    close(end);
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    screen[filled] = '\0';
    ck_assert_msg(WIFEXITED(state) && WEXITSTATUS(state) == 0, "%s", screen);
    ck_assert_int_eq(strchr(screen, '\x1b') != NULL, terminals[_i].escapes);
    assert_contains(screen, terminals[_i].begins);
    if (terminals[_i].escapes) return;
    assert_contains(screen, "Samples of the flow");
    for (const char *line = screen; *line; line += strcspn(line, "\n") + 1) {
        ck_assert_uint_le(strcspn(line, "\r\n"), 90);
        if (!strchr(line, '\n')) break;
    }
}
END_TEST

/* ---- What gnuplot is told --------------------------------------------------------------------------------------- */

/* In its place comes what keeps the script; returns that. */
static const char *script_of(const char *const words[])
{
    char path[PATH_MAX];
    write_text("gnuplot", "#!/bin/sh\ncat /dev/stdin > script\necho a picture\n");
    ck_assert_int_eq(chmod(scratch_path("gnuplot").text, 0755), 0);
    const char *all = getenv("PATH");
    if (strncmp(all, scratch, strlen(scratch)) != 0) {
        snprintf(path, sizeof path, "%s:%s", scratch, all);
        setenv("PATH", path, 1);
    }
    succeed(words);
    slurp(scratch_path("script").text, picture, sizeof picture);
    return picture;
}

#define SCRIPT(...) script_of(WORDS("plot", "m.st", "-o", "p.png", __VA_ARGS__))

/* What is in a block of data. */
static const char *block(const char *script, const char *name)
{
    char head[64];
    snprintf(head, sizeof head, "$%s << EOD\n", name);
    const char *at = strstr(script, head);
    ck_assert_msg(at != NULL, "there is no block '%s'", name);
    return at + strlen(head);
}

enum { ROWS = 400 };

/* Of (0, 1), evenly, in another order for each of twelve columns. */
static double unit(size_t row, size_t column)
{
    static const size_t strides[] = {3, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43};
    return ((double)(row * strides[column] % ROWS) + 0.5) / ROWS;
}

static void write_columns(const char *names, double (*value)(size_t row, size_t column), size_t columns)
{
    static char table[1 << 20];
    size_t filled = (size_t)snprintf(table, sizeof table, "%s\n", names);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t c = 0; c < columns; c++)
            filled += (size_t)snprintf(table + filled, sizeof table - filled, "%.9g%c", value(r, c),
                                       c + 1 < columns ? ',' : '\n');
    write_text("data.csv", table);
}

static void fit_columns(const char *names, double (*value)(size_t row, size_t column), size_t columns)
{
    write_columns(names, value, columns);
    SUCCEED("fit", "data.csv", "--flow", "maf(4)", "--epochs", "2", "-o", "m.st");
}

static double decades(size_t row, size_t column)
{
    return column == 0 ? pow(10, 12 * unit(row, 0) - 6) : unit(row, 1) - 0.5;
}

/* A dose of 1e-6 to 1e6 is at its logarithm, and so are the grid and its density: log p of log10 x. */
START_TEST(twelve_decades)
{
    fit_columns("dose,b", decades, 2);
    const char *script = SCRIPT("--data", "data.csv", "-n", "300");
    assert_in(script, "Density of the flow, per decade");
    assert_in(script, "tens(0) 0");
    const char *points = block(script, "data");
    double least = INFINITY, most = -INFINITY, position, b;
    for (int read; sscanf(points, "%lf %lf%n", &position, &b, &read) == 2; points += read) {
        least = fmin(least, position);
        most = fmax(most, position);
    }
    ck_assert_double_eq_tol(least, -5.985, 1e-6);
    ck_assert_double_eq_tol(most, 5.985, 1e-6);
    /* p(x) dx is p(x) x ln 10 d(log10 x), of a cell in the middle and of another. */
    double low[2], high[2], log_p[3];
    ck_assert_int_eq(sscanf(strstr(script, "set xrange ["), "set xrange [%lf:%lf]", &low[0], &high[0]), 2);
    ck_assert_int_eq(sscanf(strstr(script, "set yrange ["), "set yrange [%lf:%lf]", &low[1], &high[1]), 2);
    static const size_t cells[][2] = {{200, 200}, {250, 180}, {140, 230}};
    char text[512] = "dose,b\n";
    double dose[3], density[3];
    for (size_t k = 0; k < 3; k++) {
        dose[k] = pow(10, low[0] + (high[0] - low[0]) * ((double)cells[k][0] + 0.5) / 400);
        b = low[1] + (high[1] - low[1]) * ((double)cells[k][1] + 0.5) / 400;
        snprintf(text + strlen(text), sizeof text - strlen(text), "%.17g,%.17g\n", dose[k], b);
        const char *at = block(script, "density");
        for (size_t i = 0; i <= cells[k][1] * 400 + cells[k][0]; i++) density[k] = strtod(at, (char **)&at);
    }
    write_text("points.csv", text);
    SUCCEED("logprob", "m.st", "points.csv", "-o", "p.csv");
    slurp(scratch_path("p.csv").text, text, sizeof text);
    ck_assert_int_eq(sscanf(strchr(text, '\n'), "%lf %lf %lf", &log_p[0], &log_p[1], &log_p[2]), 3);
    for (size_t k = 0; k < 3; k++) ck_assert_double_eq_tol(density[k] / (exp(log_p[k]) * dose[k] * M_LN10), 1, 1e-4);
}
END_TEST

static double cauchy(size_t row, size_t column)
{
    return column == 0 ? tan(M_PI * (unit(row, 0) - 0.5)) : unit(row, 1);
}

/* Of a Cauchy distribution 98 % are within 31.8, and the others up to 255: the axis is bent at 1, the power of ten in half
 * of the distance of the quartiles, and has room for them all: asinh(255 / 2) / log(10) = 2.41 on either side. */
START_TEST(heavy_tails)
{
    fit_columns("a,b", cauchy, 2);
    const char *script = SCRIPT("--data", "data.csv", "-n", "300");
    double low, high;
    ck_assert_int_eq(sscanf(strstr(script, "set xrange ["), "set xrange [%lf:%lf]", &low, &high), 2);
    ck_assert(low < -2.41 && low > -2.9 && high > 2.41 && high < 2.9);
    ck_assert_ptr_null(strstr(script, "% shown)"));
    ck_assert_ptr_null(strstr(script, "'b'.' ("));
}
END_TEST

static double bounded(size_t row, size_t column)
{
    static const double values[] = {1, 2, 300};
    double value = values[column] * unit(row, column);
    return column == 0 ? value : floor(value);
}

/* No bin of a histogram is outside of what there is: not beyond [0, 1], and of whole numbers each has as many. */
START_TEST(bins)
{
    fit_columns("share,flag,count", bounded, 3);
    const char *script = SCRIPT("--data", "data.csv", "-n", "300");
    double first, second, ignored;
    const char *share = block(script, "histogram0");
    ck_assert_int_eq(sscanf(share, "%lf %lf %lf %lf", &first, &ignored, &ignored, &second), 4);
    ck_assert_double_ge(first - (second - first) / 2, -1e-9);
    const char *end = strstr(share, "EOD"), *last = end - 1;
    while (last[-1] != '\n') last--;
    ck_assert_double_le(strtod(last, NULL) + (second - first) / 2, 1 + 1e-9);
    ck_assert_int_eq(sscanf(block(script, "histogram1"), "%lf %lf %lf %lf", &first, &ignored, &ignored, &second), 4);
    ck_assert(first == 0 && second == 1);
    ck_assert_int_eq(sscanf(block(script, "histogram2"), "%lf %lf %lf %lf", &first, &ignored, &ignored, &second), 4);
    ck_assert(second - first >= 1 && second - first == floor(second - first));
    assert_in(script, "set xtics norotate ('0' 0, '1' 1)");
}
END_TEST

static double normal(size_t row, size_t column)
{
    return log(unit(row, column) / (1 - unit(row, column)));
}

/* All columns of a table are shown, and in a terminal as many as it has room for. */
START_TEST(twelve_columns)
{
    fit_columns("c_1,c_2,c_3,c_4,c_5,c_6,c_7,c_8,c_9,c_10,c_11,a name of more letters than a panel has room for: _12",
                normal, 12);
    const char *script = SCRIPT("--data", "data.csv", "-n", "300");
    for (int c = 1; c < 12; c++) {
        char name[32];
        snprintf(name, sizeof name, "'c_%d'", c);
        assert_in(script, name);
    }
    assert_in(script, "…");
    assert_in(script, ": _12'");
    assert_in(script, "size 2400,2100");
    ck_assert_ptr_null(strstr(script, "of its"));
}
END_TEST

static double given(size_t row, size_t column)
{
    return column == 0   ? 8 * unit(row, 0) - 3
           : column == 1 ? 100 * unit(row, 0)
                         : log(unit(row, 1) / (1 - unit(row, 1)));
}

/* Beside a density given c = 0 are the 100 rows of 400 whose c is nearest: -1 to 1, of which a = 100 (c + 3) / 8 tells.
 */
START_TEST(near_a_context)
{
    write_columns("c,a,b", given, 3);
    SUCCEED("fit", "data.csv", "--context", "c", "--flow", "maf(4)", "--epochs", "2", "-o", "m.st");
    const char *script = SCRIPT("--data", "data.csv", "--context", "0", "-n", "300");
    assert_in(script, "Data, the 100 of the nearest context");
    const char *points = block(script, "data");
    double a, b;
    size_t count = 0;
    for (int read; sscanf(points, "%lf %lf%n", &a, &b, &read) == 2; points += read, count++)
        ck_assert_msg(a >= 25 && a <= 50, "c is %g", 8 * a / 100 - 3);
    ck_assert_uint_eq(count, 100);
}
END_TEST

Suite *canvases_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("canvases", &tests);
    tcase_add_test(tests, formats_and_sizes);
    tcase_add_loop_test(tests, refusals, 0, COUNT(refused));
    tcase_add_loop_test(tests, terminal, 0, COUNT(terminals));
    tcase_add_test(tests, twelve_decades);
    tcase_add_test(tests, heavy_tails);
    tcase_add_test(tests, bins);
    tcase_add_test(tests, twelve_columns);
    tcase_add_test(tests, near_a_context);
    return suite;
}
