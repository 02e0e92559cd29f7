/* The sites of a target as JSON. */
#include "files/sites.h"
#include "files/json.h"
#include "targets/constraint.h"

#include <math.h>
#include <string.h>

static const char *const constraints[] = {
    [NF_SITE_REAL] = "real",         [NF_SITE_POSITIVE_EXP] = "positive",
    [NF_SITE_INTERVAL] = "interval", [NF_SITE_SIMPLEX] = "simplex",
    [NF_SITE_ORDERED] = "ordered",   [NF_SITE_CORRELATION_CHOLESKY] = "correlation_cholesky",
};
enum { CONSTRAINTS = sizeof constraints / sizeof *constraints };

json_t *nf__sites_json(const nf_target *target)
{
    json_t *sites = json_array();
    for (size_t i = 0; i < target->n_site; i++) {
        const nf_site *site = &target->site[i];
        json_t *one = json_object();
        nf__json_put(&one, "name", nf__json_text(site->name));
        nf__json_put(&one, "size", json_integer((json_int_t)site->size));
        nf__json_put(&one, "constraint",
                     json_string((size_t)site->constraint < CONSTRAINTS ? constraints[site->constraint] : ""));
        if (site->constraint == NF_SITE_INTERVAL) {
            nf__json_put(&one, "low", nf__json_number(site->low));
            nf__json_put(&one, "high", nf__json_number(site->high));
        }
        nf__json_append(&sites, one);
    }
    return sites;
}

/* False: this isn't one. */
static bool read_site(const json_t *json, nf_site *site)
{
    const char *name = json_string_value(json_object_get(json, "name"));
    const char *constraint = json_string_value(json_object_get(json, "constraint"));
    const json_int_t size = json_integer_value(json_object_get(json, "size")), most = 1 << 24;
    int found = 0;
    while (constraint && found < CONSTRAINTS && strcmp(constraints[found], constraint) != 0) found++;
    if (!name || !constraint || found == CONSTRAINTS || size < 1 || size > most) return false;
    *site = (nf_site){name, (size_t)size, (nf_site_constraint)found, json_number_value(json_object_get(json, "low")),
                      json_number_value(json_object_get(json, "high"))};
    return !nf__site_fault(site);
}

ad_status nf__sites_target(const json_t *sites, const char *text, nf_target **target, ad_error *error)
{
    const size_t count = json_array_size(sites);
    size_t bytes = strlen(text) + 1;
    nf_site site;
    for (size_t i = 0; i < count; i++) {
        if (!read_site(json_array_get(sites, i), &site))
            return ad_error_set(error, AD_ERROR_FORMAT, "site %zu of target '%.60s' on record can't be one", i + 1,
                                text);
        bytes += strlen(site.name) + 1;
    }
    if (count == 0) return ad_error_set(error, AD_ERROR_FORMAT, "target '%.60s' on record has no sites", text);
    /* One block, as nf_target_free() expects: the target, its sites, and their names. */
    nf_target *made = ad_alloc(1, sizeof *made + count * sizeof site + bytes);
    if (!made) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a target");
    nf_site *own = (nf_site *)(made + 1);
    char *to = (char *)(own + count);
    *made = (nf_target){.name = to, .text = to, .site = own, .n_site = count, .log_z = NAN};
    to = stpcpy(to, text) + 1;
    for (size_t i = 0; i < count; i++) {
        read_site(json_array_get(sites, i), &own[i]);
        const char *name = own[i].name;
        own[i].name = to;
        to = stpcpy(to, name) + 1;
    }
    *target = made;
    return AD_OK;
}
