/* Rows that are images. */
#include "images.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- Their size ------------------------------------------------------------------------------------------------ */

/* "8,8" or "8,8,3" */
static ad_status read_shape(const char *text, ad_shape *size, ad_error *error)
{
    enum { MOST = 65536 };
    const char *at = text;
    *size = (ad_shape){.rank = 0};
    while (size->rank < 3) {
        char *end;
        const unsigned long number = strtoul(at, &end, 10);
        if (!(*at >= '0' && *at <= '9') || number < 1 || number > MOST) break;
        size->dim[size->rank++] = number;
        at = end;
        if (*at != ',') break;
        at++;
    }
    if (*at || size->rank < 2 || at[-1] == ',')
        return ad_error_set(
            error, AD_ERROR_ARGUMENT,
            "--shape: expected a height, a width and, where there are several, a number of channels, as "
            "in '8,8' or '32,32,3', got '%s'",
            text);
    if (size->rank == 2) size->dim[size->rank++] = 1;
    return AD_OK;
}

/* What the file's own dimensions are: nothing of one that can't be opened yet, or is no array. */
static ad_shape shape_of_file(const char *path)
{
    const char *dot = strrchr(path, '.');
    nf_npy *npy = dot && strcasecmp(dot, ".npy") == 0 ? nf_npy_open(path, NULL) : NULL;
    ad_shape size = nf_npy_event(npy);
    nf_npy_close(npy);
    if (size.rank == 2) size.dim[size.rank++] = 1;
    return size;
}

ad_status images_size(const struct arguments *arguments, const char *path, ad_shape *size, ad_error *error)
{
    const char *told = option_text(arguments, "shape");
    *size = shape_of_file(path);
    if (!told) return AD_OK;
    ad_shape given;
    if (read_shape(told, &given, error) != AD_OK) return error->status;
    if (size->rank > 0 && !ad_shape_equal(given, *size))
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "--shape %s: the images in %s are of %zu x %zu pixels of %zu channel%s; leave it out", told,
                            path, size->dim[0], size->dim[1], size->dim[2], size->dim[2] == 1 ? "" : "s");
    *size = given;
    return AD_OK;
}

ad_shape images_event(ad_shape size)
{
    if (size.rank == 3 && size.dim[2] == 1) size.rank = 2;
    return size;
}

/* ---- Flows of them --------------------------------------------------------------------------------------------- */

/* The noise sees the pixels that it is added to, and goes by checkerboards. */
#define NOISE_COUPLING "coupling(32,32,activation=relu,network=conv(context=image),mask=checkerboard"
static const char noise[] = "-dequantize((" NOISE_COUPLING ")-" NOISE_COUPLING ",flipped=1))*2,levels=";

static bool has_image(const char *formula)
{
    for (const char *at = formula; (at = strstr(at, "image"));)
        if (*(at += strlen("image") + strspn(at + strlen("image"), " \t\n")) == '(') return true;
    return false;
}

char *images_formula(const char *formula, ad_shape size, size_t levels)
{
    /* Behind a base distribution and its ':', which may have others in parentheses. */
    int depth = 0, begin = 0;
    for (const char *at = formula; *at; at++) {
        depth += (*at == '(' || *at == '[') - (*at == ')' || *at == ']');
        if (*at == ':' && depth == 0) begin = (int)(at - formula) + 1;
    }
    char *complete = NULL;
    char learned[sizeof noise + 32] = "";
    if (has_image(formula)) return strdup(formula);
    if (levels > 0) snprintf(learned, sizeof learned, "%s%zu)", noise, levels);
    const int length = asprintf(&complete, "%.*simage(%zu,%zu,%zu,%s%s)", begin, formula, size.dim[0], size.dim[1],
                                size.dim[2], formula + begin, learned);
    return length < 0 ? NULL : complete;
}

static ad_shape image_within(const nf_bijector *bijector)
{
    if (strcmp(bijector->type->name, "image") == 0) {
        const size_t *of = bijector->child[0]->shape.dim;
        return AD_SHAPE(of[1], of[2], of[0]);
    }
    for (size_t i = 0; bijector->is_chain && i < bijector->n_child; i++) {
        const ad_shape found = image_within(bijector->child[i]);
        if (found.rank) return found;
    }
    return (ad_shape){.rank = 0};
}

ad_shape images_of_flow(const nf_flow *flow)
{
    return image_within(nf_flow_bijector(flow));
}

static bool dequantizes(const nf_bijector *bijector)
{
    bool does = strcmp(bijector->type->name, "dequantize") == 0;
    for (size_t i = 0; i < bijector->n_child; i++) does = does || dequantizes(bijector->child[i]);
    return does;
}

bool images_bound(const nf_flow *flow)
{
    return dequantizes(nf_flow_bijector(flow));
}

/* ---- Bits per dimension ---------------------------------------------------------------------------------------- */

void images_tell_bits(json_t *result, const nf_flow *flow, const char *nll, const char *standard_error)
{
    const double unit = (double)nf_flow_dim(flow) * M_LN2;
    if (images_of_flow(flow).rank == 0 || isnan(report_number_of(result, nll))) return;
    json_object_set_new(result, "bits_per_dim", report_number(report_number_of(result, nll) / unit));
    json_object_set_new(result, "bits_per_dim_stderr", report_number(report_number_of(result, standard_error) / unit));
    if (images_bound(flow)) json_object_set_new(result, "log_prob_is_lower_bound", json_true());
}

void images_print_bits(const json_t *result, const char *title, FILE *to)
{
    const double bits = report_number_of(result, "bits_per_dim");
    const double standard_error = report_number_of(result, "bits_per_dim_stderr");
    if (isnan(bits)) return;
    fprintf(to, "%s%.4f", title, bits);
    if (!isnan(standard_error)) fprintf(to, " ± %.4f", standard_error);
    const bool bound = json_is_true(json_object_get(result, "log_prob_is_lower_bound"));
    fprintf(to, " bits per dimension%s\n", bound ? " at most: log p is a lower bound" : "");
}
