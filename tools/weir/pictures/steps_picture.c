/* The picture of what each step of a chain does, as a gnuplot script: the same draws after none, one, two … steps, each
 * in the colour of the angle it began at. */
#include "pictures/steps_picture.h"
#include "pictures/gnuplot.h"
#include "pictures/panels.h"

#include <math.h>
#include <string.h>

enum { DRAWS = 5000, ACROSS = 4, PANEL_SIZE = 400 };

/* One for the base and one for each step; a standardization at the end shares that of the step before. */
static size_t count_panels(const nf_bijector *chain, ad_error *error)
{
    size_t steps = nf_chain_steps(chain);
    nf_bijector *last = nf_chain_slice(chain, steps - 1, steps, error);
    if (!last) return 0;
    bool standardizes = steps > 1 && strcmp(last->child[0]->type->name, "standardize") == 0;
    nf_bijector_free(last);
    return standardizes ? steps : steps + 1;
}

static void draw_panel(FILE *script, const nf_table *now, size_t panel, size_t down, const char *title)
{
    double width = 1.0 / ACROSS, height = 0.97 / (double)down;
    struct box box = {.left = width * (double)(panel % ACROSS) + 0.2 * width,
                      .top = 0.97 - height * (double)(panel / ACROSS) - 0.08 * height};
    box.right = box.left + 0.76 * width;
    box.bottom = box.top - 0.74 * height;
    panel_begin(script, box, title);
    panel_ranges(script, range_of_column(now, 0), range_of_column(now, 1));
    panel_tics(script, "x", range_of_column(now, 0));
    for (const char *axis = "xy"; *axis; axis++)
        fprintf(script, "set %clabel (strlen(%coffset) ? 'feature %d'.%coffset : '')%s\n", *axis, *axis,
                *axis == 'x' ? 1 : 2, *axis, *axis == 'x' ? " offset 0, 0.5" : "");
    fprintf(script, "plot $step%zu using 1:2:3 with points pt 7 ps dot lc palette notitle\n", panel);
}

static void write_block(FILE *script, const nf_table *now, const double *z, size_t panel)
{
    fprintf(script, "$step%zu << EOD\n", panel);
    for (size_t r = 0; r < DRAWS; r++) {
        const double *x = now->values + r * now->columns, *base = z + r * now->columns;
        fprintf(script, "%.15g %.15g %.5g\n", x[0], x[1], atan2(base[1], base[0]));
    }
    fprintf(script, "EOD\n");
}

/* x: draws of the base after the first `steps` steps. */
static ad_status draw(const nf_flow *flow, size_t steps, const double *context, uint64_t seed, double *x, ad_pool *pool,
                      ad_error *error)
{
    nf_flow *slice = nf_flow_slice(flow, steps, error);
    if (!slice) return error->status;
    ad_status status = nf_sample(slice, context, DRAWS, seed, x, NULL, pool, error);
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

static ad_status write_panels(FILE *script, const nf_flow *flow, size_t panels, const double *context, uint64_t seed,
                              ad_pool *pool, ad_error *error)
{
    const nf_bijector *chain = nf_flow_bijector(flow);
    const size_t dim = nf_flow_dim(flow), down = (panels + ACROSS - 1) / ACROSS;
    double *z = ad_alloc(DRAWS, 2 * dim * sizeof *z);
    if (!z) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for a picture");
    nf_table now = {.rows = DRAWS, .columns = dim, .values = z};
    ad_status status = AD_OK;
    for (size_t panel = 0; panel < panels && !status; panel++) {
        char title[96];
        if (panel > 0) now.values = z + dim * DRAWS;
        size_t steps = panel == 0 || panel + 1 < panels ? panel : nf_chain_steps(chain);
        status = draw(flow, steps, context, seed, now.values, pool, error);
        name_panel(chain, panel, steps > panel, title);
        write_block(script, &now, z, panel);
        draw_panel(script, &now, panel, down, title);
    }
    ad_free(z);
    return status;
}

ad_status steps_picture_draw(nf_flow *flow, const double *given, uint64_t seed, const char *path, ad_pool *pool,
                             ad_error *error)
{
    if (nf_flow_dim(flow) < 2)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "the picture of steps needs 2 features, the flow has 1");
    const size_t size = nf_flow_context_size(flow);
    double *context = size > 0 ? ad_alloc(DRAWS, size * sizeof *context) : NULL;
    if (size > 0 && !context) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for a picture");
    for (size_t r = 0; context && r < DRAWS; r++) memcpy(context + r * size, given, size * sizeof *context);
    nf_flow_pull(flow);
    size_t panels = count_panels(nf_flow_bijector(flow), error);
    FILE *script = panels > 0 ? gnuplot_begin(error) : NULL;
    if (!script) {
        ad_free(context);
        return error->status;
    }
    panels_begin(script, path, ACROSS * PANEL_SIZE, (int)((panels + ACROSS - 1) / ACROSS) * PANEL_SIZE);
    /* Angles are cyclic, and so are the colours. */
    fprintf(script, "set palette model HSV functions gray, 0.8, 0.85; set cbrange [-pi:pi]; unset colorbox\n");
    fprintf(script, "set multiplot\n");
    ad_status status = write_panels(script, flow, panels, context, seed, pool, error);
    panels_end(script);
    ad_free(context);
    if (!status) return gnuplot_finish(script, path, error);
    fclose(script);
    return status;
}
