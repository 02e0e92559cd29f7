/* Looking for modes. */
#include "modes.h"
#include "interrupt.h"
#include "ranks.h"
#include "report.h"

/* The normal with the largest mass of a mode: the first. */
static const nf_start_normal *chief_of(const nf_start *start, size_t mode)
{
    size_t k = 0;
    while (start->normal[k].mode != mode) k++;
    return &start->normal[k];
}

enum { MOST_ELEMENTS = 50 }; /* of a place, to look at */

static json_t *place_of(const nf_target *target, const double *z)
{
    const size_t size = nf_target_size(target);
    double value[MOST_ELEMENTS];
    json_t *place = json_object();
    if (size > MOST_ELEMENTS || nf_target_values(target, z, 1, value, NULL, NULL)) return place;
    for (size_t i = 0; i < size; i++) {
        char name[64];
        json_object_set_new(place, nf_target_element(target, i, name), report_number(value[i]));
    }
    return place;
}

json_t *modes_json(const nf_target *target, const nf_start *start, const nf_infer_mode *mode, size_t held)
{
    json_t *each = json_array();
    for (size_t m = 0; m < start->modes; m++)
        json_array_append_new(each,
                              json_pack("{s:o, s:o, s:b, s:o}", "target_share", report_number(mode[m].target_share),
                                        "flow_share", report_number(mode[m].flow_share), "held", mode[m].held, "place",
                                        place_of(target, chief_of(start, m)->location)));
    return json_pack("{s:I, s:I, s:I, s:I, s:o, s:o}", "searches", (json_int_t)start->searches, "failed",
                     (json_int_t)start->failed, "modes", (json_int_t)start->modes, "held", (json_int_t)held, "seconds",
                     report_number(start->seconds), "mode", each);
}

json_t *modes_looked_for(const nf_flow *flow, const nf_target *target, uint64_t seed, ad_pool *pool)
{
    nf_start start;
    size_t held;
    const nf_start_options options = {.seed = seed, .pool = pool, .interrupted = interrupt_noted};
    if (nf_find_start(target, &options, &start, NULL)) return NULL;
    nf_infer_mode *mode = ad_alloc(start.modes, sizeof *mode);
    json_t *found = NULL;
    if (!ranks_interrupt() && mode && !nf_infer_modes(flow, target, &start, seed, mode, &held, pool, NULL))
        found = modes_json(target, &start, mode, held);
    ad_free(mode);
    nf_start_free(&start);
    return found;
}

/* ---- For a human reader ---------------------------------------------------------------------------------------- */

long long modes_missed(const json_t *record)
{
    const json_t *found = json_object_get(record, "modes");
    return report_count_of(found, "modes") - report_count_of(found, "held");
}

static void print_place(const json_t *mode, FILE *to)
{
    enum { MOST = 4 };
    const char *name;
    json_t *value;
    json_t *place = json_object_get(mode, "place");
    size_t i = 0;
    fprintf(to, "            missed: ");
    json_object_foreach(place, name, value)
    {
        if (i++ < MOST) fprintf(to, "%s %.3g, ", name, json_number_value(value));
    }
    if (i > MOST) fprintf(to, "…, ");
    fprintf(to, "with %.2g %% of the target's mass and %.2g %% of the flow's\n",
            100 * report_number_of(mode, "target_share"), 100 * report_number_of(mode, "flow_share"));
}

void print_modes(const json_t *record, FILE *to)
{
    enum { MOST = 8 };
    const json_t *found = json_object_get(record, "modes"), *mode;
    if (!found) return;
    const long long modes = report_count_of(found, "modes"), missed = modes_missed(record);
    fprintf(to, "modes       %lld searches, from points up to 20 from 0, found %lld; ",
            report_count_of(found, "searches"), modes);
    if (missed == 0)
        fprintf(to, "the fit holds %s\n", modes == 1 ? "it" : modes == 2 ? "both" : "all");
    else
        fprintf(to, "the fit misses %lld\n", missed);
    size_t i, told = 0;
    json_array_foreach(json_object_get(found, "mode"), i, mode)
    {
        if (json_is_false(json_object_get(mode, "held")) && told++ < MOST) print_place(mode, to);
    }
}
