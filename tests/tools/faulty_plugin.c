/* Plug-ins with a fault each, which the build names: FAULT. */
#include <weir/models.h>

enum fault { NO_ENTRY, OTHER_ABI, BAD_NAME, FAILS, TAKEN, TWIN };

#if ENTRY
static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)at, (void)log_det;
    return z;
}

static const nf_bijector_type taken = {.name = "maf", .forward = forward};

static ad_status start(ad_error *error)
{
    if (FAULT == TAKEN) return nf_register(&taken, error);
    if (FAULT == FAILS) return ad_error_set(error, AD_ERROR_NUMERIC, "the stars aren't right");
    return AD_OK;
}

#define STRING(text)   #text
#define EXPANDED(text) STRING(text)

WEIR_BEGIN_DECLARATIONS
extern const nf_plugin nf_plugin_entry;
const nf_plugin nf_plugin_entry = {WEIR_ABI + (FAULT == OTHER_ABI),
                                   FAULT == TWIN       ? "cubic"
                                   : FAULT == BAD_NAME ? "not a name"
                                                       : EXPANDED(FAULT),
                                   "1.0", start};
WEIR_END_DECLARATIONS
#endif
