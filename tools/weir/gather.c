#include "gather.h"

#include <weir/memory.h>

ad_status gather_from_all(const ad_communicator *ranks, void *all, size_t bytes, ad_error *error)
{
    const size_t size = (size_t)ranks->size;
    size_t *each = ad_alloc(size, sizeof *each);
    if (!each) return ad_error_set(error, AD_ERROR_MEMORY, "no memory to hear %zu ranks", size);
    for (size_t r = 0; r < size; r++) each[r] = bytes;
    const ad_status status = ranks->gather(ranks, all, each, error);
    ad_free(each);
    return status;
}
