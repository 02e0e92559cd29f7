/* The picture of what each step of a chain does, as a gnuplot script: the same draws after none, one, two … steps, each
 * in the colour of the angle it began at. */
#include "steps_picture.h"
#include "gnuplot.h"
#include "panels.h"

#include <math.h>
#include <string.h>

enum { DRAWS = 5000, ACROSS = 4, PANEL_SIZE = 400, STREAM = 0x73746570 };

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
    fprintf(script, "plot $step%zu using 1:2:3 with points pt 7 ps dot lc palette notitle\n", panel);
}

static void write_block(FILE *script, const nf_table *now, const double *z, size_t panel)
{
    fprintf(script, "$step%zu << EOD\n", panel);
    for (size_t r = 0; r < DRAWS; r++)
        fprintf(script, "%.7g %.7g %.5g\n", now->values[2 * r], now->values[2 * r + 1], atan2(z[2 * r + 1], z[2 * r]));
    fprintf(script, "EOD\n");
}

/* x: the draws z after the first `steps` steps. */
static ad_status push_forward(const nf_bijector *chain, size_t steps, const double *z, double *x, ad_pool *pool,
                              ad_error *error)
{
    nf_bijector *slice = nf_chain_slice(chain, 0, steps, error);
    nf_flow *flow = slice ? nf_flow_new(NULL, slice, AD_F64, error) : NULL;
    if (!flow) return error->status;
    ad_status status = nf_transform(flow, false, z, NULL, DRAWS, x, NULL, pool, error);
    nf_flow_free(flow);
    return status;
}

static void name_panel(const nf_bijector *chain, size_t panel, char title[static 64])
{
    ad_error error;
    nf_bijector *step = panel > 0 ? nf_chain_slice(chain, panel - 1, panel, &error) : NULL;
    snprintf(title, 64, "%zu: %s", panel, step ? step->child[0]->type->name : "the base");
    nf_bijector_free(step);
}

static ad_status write_panels(FILE *script, const nf_bijector *chain, size_t panels, uint64_t seed, ad_pool *pool,
                              ad_error *error)
{
    double *z = ad_alloc(DRAWS, 4 * sizeof *z);
    if (!z) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for a picture");
    for (size_t i = 0; i < 2 * DRAWS; i++) z[i] = ad_random_normal(seed, STREAM, i);
    nf_table now = {.rows = DRAWS, .columns = 2, .values = z};
    const size_t down = (panels + ACROSS - 1) / ACROSS;
    ad_status status = AD_OK;
    for (size_t panel = 0; panel < panels && !status; panel++) {
        char title[64];
        if (panel > 0) {
            now.values = z + 2 * (size_t)DRAWS;
            size_t steps = panel + 1 < panels ? panel : nf_chain_steps(chain);
            status = push_forward(chain, steps, z, now.values, pool, error);
        }
        name_panel(chain, panel, title);
        write_block(script, &now, z, panel);
        draw_panel(script, &now, panel, down, title);
    }
    ad_free(z);
    return status;
}

ad_status steps_picture_draw(nf_flow *flow, uint64_t seed, const char *path, ad_pool *pool, ad_error *error)
{
    nf_flow_pull(flow);
    const nf_bijector *chain = nf_flow_bijector(flow);
    size_t panels = count_panels(chain, error);
    FILE *script = panels > 0 ? gnuplot_begin(error) : NULL;
    if (!script) return error->status;
    panels_begin(script, path, ACROSS * PANEL_SIZE, (int)((panels + ACROSS - 1) / ACROSS) * PANEL_SIZE);
    /* Angles are cyclic, and so are the colours. */
    fprintf(script, "set palette model HSV functions gray, 0.8, 0.85; set cbrange [-pi:pi]; unset colorbox\n");
    fprintf(script, "set multiplot\n");
    ad_status status = write_panels(script, chain, panels, seed, pool, error);
    panels_end(script);
    if (!status) return gnuplot_finish(script, path, error);
    fclose(script);
    return status;
}
