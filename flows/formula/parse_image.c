/* Images in formulas: image(height,width,channels,…), squeeze(…), split(…), and glow(…), which is short for these. The
 * shape that events have goes from the outside in, so that it is known wherever a term is read. */
#include "core/internal.h"
#include "formula/arguments.h"
#include "formula/parser.h"

#include <math.h>
#include <string.h>

/* A formula of events of another shape; NULL on failure. */
static nf_bijector *parse_shaped(nf__parser *p, ad_shape shape, const char *what)
{
    const ad_shape before = p->shape;
    const size_t dim = p->dim;
    p->shape = shape;
    p->dim = ad_shape_size(shape);
    nf_bijector *child =
        nf__take_room(&p->room, "image", dim, p->reader.error) == AD_OK ? nf__parse_enclosed(p, what) : NULL;
    p->shape = before;
    p->dim = dim;
    return child;
}

/* "8,8,3,", of which the last may be missing. */
static bool read_sizes(nf__parser *p, size_t size[3])
{
    static const char form[] = "image(height,width,channels,formula), or image(height,width,formula) of one channel";
    nf__reader *r = &p->reader;
    size_t count = 0;
    double value;
    if (!nf__take(r, '(')) return nf__fail(r, r->at, "image needs its size and what maps it", form);
    for (; count < 3; count++) {
        nf__skip_spaces(r);
        const char *start = r->at;
        if (count == 2 && !(*start >= '0' && *start <= '9')) break;
        if (!nf__read_number(r, &value) || value < 1 || value > 65536 || value != floor(value))
            return nf__fail(r, start, "image: expected a size, a whole number from 1 to 65536", form);
        if (!nf__take(r, ',')) return nf__fail(r, r->at, "image( needs what maps the image", form);
        size[count] = (size_t)value;
    }
    if (count == 2) size[2] = 1;
    return true;
}

bool nf__parse_image(nf__parser *p, nf__list *to)
{
    const char *start = p->reader.at - strlen("image");
    size_t size[3];
    if (!read_sizes(p, size)) return false;
    const ad_shape shape = AD_SHAPE(size[2], size[0], size[1]);
    if (p->shape.rank != 0) return nf__fail(&p->reader, start, "an image within an image", "squeeze(…), or split(…)");
    if (ad_shape_size(shape) != p->dim) {
        snprintf(p->what, sizeof p->what,
                 "an image of %zu x %zu pixels of %zu channel%s has %zu features, but an event has %zu", size[0],
                 size[1], size[2], size[2] == 1 ? "" : "s", ad_shape_size(shape), p->dim);
        return nf__fail(&p->reader, start, p->what, "sizes whose product is that");
    }
    nf_bijector *child = parse_shaped(p, shape, "image( isn't closed");
    return child && nf__list_push(p, to, nf_image(child, p->reader.error));
}

/* Behind "squeeze" or "split", whose name is `length` bytes long. */
static bool is_image(nf__parser *p, const char *name)
{
    if (p->shape.rank == 3) return true;
    snprintf(p->what, sizeof p->what, "%s is for images", name);
    return nf__fail(&p->reader, p->reader.at - strlen(name), p->what, "image(height,width,channels,…) around it");
}

static bool open_operator(nf__parser *p, const char *name)
{
    if (!is_image(p, name)) return false;
    snprintf(p->what, sizeof p->what, "%s needs what maps the image", name);
    return nf__take(&p->reader, '(') || nf__fail(&p->reader, p->reader.at, p->what, "'(' and a formula");
}

static bool refuse_size(nf__parser *p, const char *start, const char *name, const char *valid)
{
    snprintf(p->what, sizeof p->what, "%s of an image of %zu x %zu pixels of %zu channel%s", name, p->shape.dim[1],
             p->shape.dim[2], p->shape.dim[0], p->shape.dim[0] == 1 ? "" : "s");
    return nf__fail(&p->reader, start, p->what, valid);
}

bool nf__parse_squeeze(nf__parser *p, nf__list *to)
{
    const char *start = p->reader.at - strlen("squeeze");
    if (!open_operator(p, "squeeze")) return false;
    const size_t *size = p->shape.dim;
    if (size[1] % 2 || size[2] % 2) return refuse_size(p, start, "squeeze", "an even height and width");
    nf_bijector *child = parse_shaped(p, AD_SHAPE(4 * size[0], size[1] / 2, size[2] / 2), "squeeze( isn't closed");
    return child && nf__list_push(p, to, nf_squeeze(child, p->reader.error));
}

bool nf__parse_split(nf__parser *p, nf__list *to)
{
    const char *start = p->reader.at - strlen("split");
    if (!open_operator(p, "split")) return false;
    const size_t *size = p->shape.dim, channels = size[0];
    if (channels < 2) return refuse_size(p, start, "split", "two channels or more: squeeze(…) around it");
    nf_bijector *child = parse_shaped(p, AD_SHAPE((channels + 1) / 2, size[1], size[2]), "split( isn't closed");
    return child && nf__list_push(p, to, nf_split(channels, child, p->reader.error));
}

/* ---- glow ------------------------------------------------------------------------------------------------------ */

enum { LEVELS, STEPS, WIDTH, MOST_LEVELS = 16 };

static const nf_bijector_type glow = {
    .name = "glow",
    .argument =
        (const nf_argument[]){
            {"levels", NF_COUNT, 0, 0, MOST_LEVELS, NULL, "scales; 0: as many as there can be, at most 3"},
            {"steps", NF_COUNT, 4, 1, 1024, NULL, "of flow at each"},
            {"width", NF_COUNT, 32, 1, 65536, NULL, "channels of the networks' hidden layers"},
            {0}},
};

/* How often an image can be halved. */
static size_t halvings(ad_shape shape)
{
    size_t count = 0;
    while (shape.dim[1] % 2 == 0 && shape.dim[2] % 2 == 0 && count < MOST_LEVELS) {
        shape.dim[1] /= 2;
        shape.dim[2] /= 2;
        count++;
    }
    return count;
}

/* squeeze(split(squeeze(split(squeeze(step*4))-step*4))-step*4), for three levels (Kingma & Dhariwal 2018, figure 2).
 */
static char *write_glow(const double *value, size_t levels)
{
    enum { STEP = 200 };
    char step[STEP];
    const size_t room = levels * (STEP + 32) + 1;
    char *text = ad_alloc(room, 1);
    if (!text) return NULL;
    snprintf(step, sizeof step, "(coupling(%.0f,%.0f,activation=relu,network=conv)-conv1x1-actnorm)*%.0f)",
             value[WIDTH], value[WIDTH], value[STEPS]);
    size_t length = 0;
    for (size_t level = 0; level < levels; level++)
        length += (size_t)snprintf(text + length, room - length, level + 1 < levels ? "squeeze(split(" : "squeeze(");
    for (size_t level = 0; level < levels; level++)
        length += (size_t)snprintf(text + length, room - length, "%s%s", level ? ")-" : "", step);
    return text;
}

bool nf__parse_glow(nf__parser *p, nf__list *to)
{
    const char *start = p->reader.at - strlen("glow");
    nf__arguments a = {.type = &glow, .dim = p->dim};
    if (!is_image(p, "glow") || !nf__read_arguments(&p->reader, &a)) return false;
    const size_t most = halvings(p->shape), levels = a.value[LEVELS] > 0 ? (size_t)a.value[LEVELS]
                                                     : most < 3          ? most
                                                                         : 3;
    if (levels == 0 || levels > most) {
        snprintf(p->what, sizeof p->what, "glow: %zu level%s, but %zu x %zu pixels can be halved %zu time%s",
                 levels ? levels : 1, levels > 1 ? "s" : "", p->shape.dim[1], p->shape.dim[2], most,
                 most == 1 ? "" : "s");
        return nf__fail(&p->reader, start, p->what, "fewer levels, or images of even sizes");
    }
    char *text = write_glow(a.value, levels);
    if (!text) return ad_error_set(p->reader.error, AD_ERROR_MEMORY, "out of memory for a formula"), false;
    const nf__reader outside = p->reader;
    p->reader.text = p->reader.at = text;
    const bool good = nf__parse_chain(p, to);
    p->reader = outside;
    ad_free(text);
    return good;
}
