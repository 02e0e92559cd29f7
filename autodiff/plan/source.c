/* Rows of an input that come from a source. */
#include "plan/execution.h"

#include <string.h>

static void pad(char *to, size_t size, size_t of_one, size_t valid, size_t rows)
{
    for (size_t f = 0; f < size; f++)
        for (size_t r = valid; r < rows; r++)
            memcpy(to + (f * rows + r) * of_one, to + (f * rows + valid - 1) * of_one, of_one);
}

bool ad__read_source(ad__execution *e, const ad_source *source, size_t first, size_t valid, size_t rows,
                     const ad_tensor *to)
{
    if (atomic_load(&e->unread)) return false;
    const uint32_t *index = e->run->index ? e->run->index + first : NULL;
    ad_error error = {AD_OK, ""};
    const ad_status status = source->read(source->context, first, index, valid, to->data, rows, &error);
    if (status == AD_OK) {
        pad(to->data, to->size, ad_dtype_size(e->plan->dtype), valid, rows);
        return true;
    }
    if (!atomic_exchange(&e->unread, true)) { /* the first tells why */
        e->why = status;
        ad_error_set(e->error, status, "%s", error.message);
    }
    return false;
}
