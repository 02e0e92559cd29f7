/* A plug-in with posteriors of posteriordb's kind, on data that are made from each model: what `weir vi` and `weir
 * nuts` are tried on.
 *
 *     weir --plugin .build/posteriors.so vi radon_centered -o radon.safetensors
 *     weir --plugin .build/posteriors.so nuts garch --chains 4 --tune 1000 --draws 1000 */
#include "posteriors.h"

static ad_status start(ad_error *error)
{
#define ENTRY(name) &name,
    static const nf_target_type *const all[] = {POSTERIORS(ENTRY)};
    ad_status status = AD_OK;
    for (size_t i = 0; i < sizeof all / sizeof *all && status == AD_OK; i++) status = nf_register_target(all[i], error);
    return status;
}

WEIR_PLUGIN("posteriors", "1.0", start)
