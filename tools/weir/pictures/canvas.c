/* The formats of pictures, and their colours. */
#include "pictures/canvas.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Formats ---------------------------------------------------------------------------------------------------- */

/* scale: of all that isn't the size, which is width x height in pixels. */
struct paper {
    int width, height;
    double scale;
    const char *background;
};

static void set_png(FILE *script, const struct paper *paper)
{
    fprintf(
        script,
        "letters = %.4g; dot = 0.3\n"
        "set terminal pngcairo size %d,%d font 'Sans'.sized(15) linewidth %.4g pointscale %.4g background rgb '%s'\n",
        paper->scale, paper->width, paper->height, paper->scale, sqrt(paper->scale), paper->background);
}

/* The family is the one that each viewer has. */
static void set_svg(FILE *script, const struct paper *paper)
{
    fprintf(script,
            "letters = %.4g; dot = 0.15\n"
            "set terminal svg size %d,%d font 'sans-serif'.sized(18) linewidth %.4g background rgb '%s'\n",
            paper->scale, paper->width, paper->height, paper->scale, paper->background);
}

/* 192 pixels are an inch, of 72 points, so that letters have those of print. Fonts are embedded. */
static void set_pdf(FILE *script, const struct paper *paper)
{
    const double inch = 192, scale = paper->scale * 72 / inch;
    fprintf(script,
            "letters = %.4g; dot = 0.3\n"
            "set terminal pdfcairo size %.6gin,%.6gin font 'Sans'.sized(15) fontscale 1 linewidth %.4g pointscale %.4g "
            "background rgb '%s'\n",
            scale, paper->width / inch, paper->height / inch, scale, sqrt(scale), paper->background);
}

static void set_sixel(FILE *script, const struct paper *paper)
{
    fprintf(script,
            "letters = %.4g; dot = %.4g\n"
            "set terminal sixelgd truecolor size %d,%d font 'Sans'.sized(15) linewidth %.4g background rgb '%s'\n",
            paper->scale, 0.3 * sqrt(paper->scale), paper->width, paper->height, paper->scale, paper->background);
}

/* https://no-color.org */
static bool wants_colour(void)
{
    const char *no_colour = getenv("NO_COLOR");
    return !no_colour || !*no_colour;
}

static void set_text(FILE *script, const struct paper *paper)
{
    fprintf(script, "letters = 1\nset terminal dumb size %d,%d aspect 1 %s; dot = 1\n", paper->width, paper->height,
            wants_colour() ? "ansi256" : "mono");
}

enum form { FORM_PNG, FORM_SVG, FORM_PDF, FORM_SIXEL, FORM_TEXT, FORMS };

static const struct {
    const char *ending; /* of a file's name; NULL: a terminal's */
    void (*set)(FILE *script, const struct paper *paper);
} forms[FORMS] = {
    [FORM_PNG] = {".png", set_png},   [FORM_SVG] = {".svg", set_svg}, [FORM_PDF] = {".pdf", set_pdf},
    [FORM_SIXEL] = {NULL, set_sixel}, [FORM_TEXT] = {NULL, set_text},
};

/* ---- Terminals -------------------------------------------------------------------------------------------------- */

/* Does it have sixels? These say so by their names. */
static bool has_sixels(void)
{
    static const struct {
        const char *variable, *begins;
    } terminals[] = {{"TERM", "foot"},    {"TERM", "mlterm"},          {"TERM", "yaft"},
                     {"TERM", "contour"}, {"TERM_PROGRAM", "WezTerm"}, {"TERM_PROGRAM", "iTerm"}};
    const char *term = getenv("TERM");
    /* A multiplexer in it hasn't, whose TERM_PROGRAM may be that of its terminal. */
    if (term && (strncmp(term, "screen", 6) == 0 || strncmp(term, "tmux", 4) == 0)) return false;
    for (size_t i = 0; i < sizeof terminals / sizeof *terminals; i++) {
        const char *value = getenv(terminals[i].variable);
        if (value && strncmp(value, terminals[i].begins, strlen(terminals[i].begins)) == 0) return true;
    }
    return false;
}

/* Standard output, whatever that is, or what is no ordinary file: its name tells nothing. */
static bool is_stream(const char *path)
{
    struct stat about;
    return strcmp(path, "/dev/stdout") == 0 ||
           (stat(path, &about) == 0 && !S_ISREG(about.st_mode) && !S_ISDIR(about.st_mode));
}

/* The terminal that a path leads to, to be closed; -1: another thing. */
static int open_terminal(const char *path)
{
    struct stat about;
    bool device = stat(path, &about) == 0 && S_ISCHR(about.st_mode);
    int fd = device ? open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC) : -1;
    if (fd < 0 || isatty(fd)) return fd;
    close(fd);
    return -1;
}

static bool is_terminal(const char *path)
{
    int fd = open_terminal(path);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

/* The form of a picture; FORMS: there is none of this name. */
static enum form form_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    enum form form = FORM_PNG;
    while (form < FORMS && !(dot && forms[form].ending && strcasecmp(dot, forms[form].ending) == 0)) form++;
    if (form < FORMS || !is_stream(path)) return form;
    return !is_terminal(path) ? FORM_PNG : has_sixels() ? FORM_SIXEL : FORM_TEXT;
}

/* As wide as the terminal, and no higher than that makes it, but of text high enough for panels to be told apart. A
 * character is twice as high as it is wide. */
static void fit_terminal(struct canvas *canvas, enum form form, double aspect)
{
    enum { COLUMNS = 80, MOST_COLUMNS = 160, LEAST_ROWS = 44, COLUMN_PIXELS = 10 };
    struct winsize window = {0};
    int fd = open_terminal(canvas->path);
    if (fd >= 0) {
        ioctl(fd, TIOCGWINSZ, &window);
        close(fd);
    }
    int columns = window.ws_col > 0 ? window.ws_col : COLUMNS;
    if (columns > MOST_COLUMNS) columns = MOST_COLUMNS;
    canvas->width = form == FORM_TEXT ? columns : window.ws_xpixel > 0 ? window.ws_xpixel : COLUMN_PIXELS * columns;
    canvas->height = (int)(canvas->width * aspect / (form == FORM_TEXT ? 2 : 1));
    if (form == FORM_TEXT && canvas->height < LEAST_ROWS) canvas->height = LEAST_ROWS;
}

/* ---- Canvases --------------------------------------------------------------------------------------------------- */

ad_status canvas_check(const char *path, ad_error *error)
{
    if (form_of(path) < FORMS) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT, "'%s': a picture's name ends in .png, .svg or .pdf", path);
}

ad_status canvas_parse_size(const char *text, struct canvas *canvas, ad_error *error)
{
    enum { LEAST = 20, MOST = 20000 };
    if (!text) return AD_OK;
    char *end;
    long width = strtol(text, &end, 10), height = *end == 'x' || *end == 'X' ? strtol(end + 1, &end, 10) : 0;
    if (*end || width < LEAST || width > MOST || height < LEAST || height > MOST)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "--size: expected a width and a height from %d to %d, as in '1200x800', got '%s'", LEAST,
                            MOST, text);
    canvas->width = (int)width;
    canvas->height = (int)height;
    return AD_OK;
}

bool canvas_is_text(const struct canvas *canvas)
{
    return form_of(canvas->path) == FORM_TEXT;
}

/* Blue and vermilion, sky blue and orange are told apart by the colour-blind too (Okabe & Ito 2008). Viridis (van der
 * Walt & Smith 2015) has equal steps that look equal, to them and in grey. Letters of a text are
 * to be grey, which can be read on any terminal; of 256 colours gnuplot takes lighter ones than these. */
static void set_colours(FILE *script, bool dark, bool text)
{
    static const struct {
        const char *name, *light, *dark, *text;
    } colours[] = {{"ink", "0x202020", "0xdcdcdc", "0x404040"},
                   {"faint", "0x606060", "0xa0a0a0", "0x404040"},
                   {"shade", "0xe8e8e8", "0x3a3a3e", "0x404040"},
                   {"data_colour", "0x0072b2", "0x56b4e9", "0x0072b2"},
                   {"sample_colour", "0xd55e00", "0xe69f00", "0xb34a00"}};
    for (size_t i = 0; i < sizeof colours / sizeof *colours; i++)
        fprintf(script, "%s_number = %s; %s = sprintf('#%%06x', %s_number)\n", colours[i].name,
                text   ? colours[i].text
                : dark ? colours[i].dark
                       : colours[i].light,
                colours[i].name, colours[i].name);
    fprintf(script,
            "set border lw 1.2 lc rgb ink\n"
            "set title tc rgb ink\n"
            "set xtics tc rgb ink; set ytics tc rgb ink; set cbtics tc rgb ink\n"
            "set palette defined (0 '#440154', 1 '#472c7a', 2 '#3b518b', 3 '#2c718e', 4 '#21908d', 5 '#27ad81', "
            "6 '#5cc863', 7 '#aadc32', 8 '#fde725')\n");
}

void canvas_begin(FILE *script, struct canvas *canvas, int width, int height)
{
    const enum form form = form_of(canvas->path);
    if (canvas->width == 0) {
        canvas->width = width;
        canvas->height = height;
        if (!forms[form].ending) fit_terminal(canvas, form, (double)height / width);
    }
    fprintf(script, "sized(points) = sprintf(',%%.3g', points * letters)\n");
    const double across = (double)canvas->width / width, up = (double)canvas->height / height;
    forms[form].set(script, &(struct paper){canvas->width, canvas->height, across < up ? across : up,
                                            canvas->dark ? "#1c1c1e" : "#ffffff"});
    fprintf(script, "set encoding utf8\nset datafile missing 'nan'\nset tics out nomirror scale 0.6\n");
    set_colours(script, canvas->dark, form == FORM_TEXT);
    fprintf(script, "small = sized(13); tiny = sized(11)\n"); /* legends and tics take no function */
    fprintf(script, "headroom = %.6g\n", form == FORM_TEXT ? 2.0 / canvas->height : 75.0 / height);
    /* In a text a name up the side would be as long as the panel is wide. */
    fprintf(
        script,
        form == FORM_TEXT
            ? "mark = '.'; shades = ' .:-=+*#%%@'; tens(k) = sprintf('1e%%d', k)\n"
              "shade_of(v) = (n = 1 + int(9.99 * v / cells_max), shades[n:n])\n"
              "thin = 'every 5:10'; heat = '(shade_of($3)):3 with labels tc palette'; key_place = 'top right'\n"
              "y_label = 'set label 9'; y_place = 'at graph 0, graph 1 left offset -6, 1 tc rgb ink'; title_up = 1\n"
            : "mark = 7; tens(k) = sprintf('10^{%%d}', k); thin = ''; heat = '3 with image'\n"
              "key_place = 'at graph 1, graph 1.02 right bottom horizontal'\n"
              "y_label = 'set ylabel'; y_place = ''; title_up = 0\n");
}
