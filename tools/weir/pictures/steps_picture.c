/* The picture of what each step of a chain does, as a gnuplot script: the same draws after none, one, two … steps, each
 * in the colour of the angle it began at. */
#include "pictures/steps_picture.h"
#include "pictures/axis.h"
#include "pictures/gnuplot.h"

#include <math.h>
#include <string.h>

enum { DRAWS = 5000, ACROSS = 4, PANEL_SIZE = 400, LETTERS = 24 };

/* The chain of a flow, in panels: one for the base and one for each step; a standardization at the end shares that of
 * the step before. */
struct steps {
    const nf_flow *flow;
    const struct picture *picture;
    const double *context; /* (DRAWS, nf_flow_context_size()), NULL: none */
    uint64_t seed;
    size_t panels, down;
    double top;
};

static size_t count_panels(const nf_bijector *chain, ad_error *error)
{
    size_t steps = nf_chain_steps(chain);
    nf_bijector *last = nf_chain_slice(chain, steps - 1, steps, error);
    if (!last) return 0;
    bool standardizes = steps > 1 && strcmp(last->child[0]->type->name, "standardize") == 0;
    nf_bijector_free(last);
    return standardizes ? steps : steps + 1;
}

/* Of the base, in between, and in the end those of the features that the flow is of. */
static void name_axes(const struct steps *steps, size_t panel, char names[2][128])
{
    const nf_columns *columns = steps->picture->features;
    const nf_table *samples = steps->picture->samples;
    for (size_t i = 0; i < 2; i++) {
        snprintf(names[i], 128, panel == 0 ? "z[%zu]" : "feature %zu", i + 1);
        if (panel + 1 < steps->panels) continue;
        if (nf_columns_features(columns) > 0)
            nf_columns_feature_name(columns, i, names[i]);
        else if (samples && samples->names)
            snprintf(names[i], 128, "%s", samples->names[i]);
    }
}

/* Positions, and the angle that each began at. */
static void write_block(FILE *script, const nf_table *now, const struct axis *x, const struct axis *y, const double *z,
                        size_t panel)
{
    fprintf(script, "$step%zu << EOD\n", panel);
    for (size_t r = 0; r < DRAWS; r++) {
        const double *at = now->values + r * now->columns, *base = z + r * now->columns;
        fprintf(script, "%.15g %.15g %.5g\n", axis_position(x, at[0]), axis_position(y, at[1]),
                atan2(base[1], base[0]));
    }
    fprintf(script, "EOD\n");
}

static ad_status draw_panel(FILE *script, const struct steps *steps, const nf_table *now, const double *z, size_t panel,
                            const char *title, ad_error *error)
{
    const double width = 1.0 / ACROSS, height = steps->top / (double)steps->down;
    const struct picture shown = {.samples = now};
    struct box box = {.left = width * (double)(panel % ACROSS) + 0.22 * width,
                      .top = steps->top - height * (double)(panel / ACROSS) - 0.1 * height};
    struct axis x, y;
    char note[32], text[2][128], *names[] = {text[0], text[1]};
    if (axis_of(&shown, 0, &x, error) || axis_of(&shown, 1, &y, error)) return error->status;
    box.right = box.left + 0.75 * width;
    box.bottom = box.top - 0.7 * height;
    name_axes(steps, panel, text);
    write_block(script, now, &x, &y, z, panel);
    panel_begin(script, box, title);
    axes_set(script, &x, &y, 20);
    axis_label(script, "x", names, 0, LETTERS, axis_note(&x, note), false);
    axis_label(script, "y", names, 1, LETTERS, axis_note(&y, note), false);
    fprintf(script, "set xlabel offset 0, 0.4; set ylabel offset 1\n");
    fprintf(script, "plot $step%zu using 1:2:3 with points pt mark ps dot lc palette notitle\n", panel);
    return AD_OK;
}

/* x: draws of the base after the first `count` steps. */
static ad_status draw(const struct steps *steps, size_t count, double *x, ad_error *error)
{
    nf_flow *slice = nf_flow_slice(steps->flow, count, error);
    if (!slice) return error->status;
    ad_status status = nf_sample(slice, steps->context, DRAWS, steps->seed, x, NULL, steps->picture->pool, error);
    nf_flow_free(slice);
    return status;
}

static void name_panel(const nf_bijector *chain, size_t panel, bool standardizes, char title[static 96])
{
    ad_error error;
    nf_bijector *step = panel > 0 ? nf_chain_slice(chain, panel - 1, panel, &error) : NULL;
    snprintf(title, 96, "%zu: %.30s%s", panel, step ? step->child[0]->type->name : "the base",
             standardizes ? ", standardize" : "");
    nf_bijector_free(step);
}

static ad_status write_panels(FILE *script, const struct steps *steps, ad_error *error)
{
    const nf_bijector *chain = nf_flow_bijector(steps->flow);
    const size_t dim = nf_flow_dim(steps->flow);
    double *z = ad_alloc(DRAWS, 2 * dim * sizeof *z);
    if (!z) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for a picture");
    nf_table now = {.rows = DRAWS, .columns = dim, .values = z};
    ad_status status = AD_OK;
    for (size_t panel = 0; panel < steps->panels && !status; panel++) {
        char title[96];
        if (panel > 0) now.values = z + dim * DRAWS;
        size_t count = panel == 0 || panel + 1 < steps->panels ? panel : nf_chain_steps(chain);
        status = draw(steps, count, now.values, error);
        if (status) break;
        name_panel(chain, panel, count > panel, title);
        status = draw_panel(script, steps, &now, z, panel, title, error);
    }
    ad_free(z);
    return status;
}

static ad_status draw_steps(struct steps *steps, struct canvas *canvas, ad_error *error)
{
    steps->panels = count_panels(nf_flow_bijector(steps->flow), error);
    steps->down = (steps->panels + ACROSS - 1) / ACROSS;
    FILE *script = steps->panels > 0 ? gnuplot_begin(error) : NULL;
    if (!script) return error->status;
    const bool titled = canvas->title && *canvas->title;
    steps->top = titled ? 0.93 : 0.97;
    canvas_begin(script, canvas, ACROSS * PANEL_SIZE, (int)steps->down * PANEL_SIZE);
    /* Angles are cyclic, and so are the colours. */
    fprintf(script, "set palette model HSV functions gray, 0.8, 0.85; set cbrange [-pi:pi]; unset colorbox\n");
    panels_title(script, canvas, "");
    ad_status status = write_panels(script, steps, error);
    panels_end(script);
    if (!status) return gnuplot_finish(script, canvas->path, error);
    fclose(script);
    return status;
}

ad_status steps_picture_draw(const struct picture *picture, uint64_t seed, struct canvas *canvas, ad_error *error)
{
    nf_flow *flow = picture->flow;
    if (nf_flow_dim(flow) < 2)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "the picture of steps needs 2 features, the flow has 1");
    const size_t size = nf_flow_context_size(flow);
    double *context = size > 0 ? ad_alloc(DRAWS, size * sizeof *context) : NULL;
    if (size > 0 && !context) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for a picture");
    for (size_t r = 0; context && r < DRAWS; r++) memcpy(context + r * size, picture->given, size * sizeof *context);
    nf_flow_pull(flow);
    ad_status status =
        draw_steps(&(struct steps){.flow = flow, .picture = picture, .context = context, .seed = seed}, canvas, error);
    ad_free(context);
    return status;
}
