/* Memory that only the engine sees: blocks that are freed together, and objects that are counted. */
#ifndef WEIR_AUTODIFF_BASE_ARENA_H
#define WEIR_AUTODIFF_BASE_ARENA_H

#include <weir/memory.h>

#include <stdbool.h>

bool ad__size_product(size_t a, size_t b, size_t *product); /* false when it overflows */

/* Small blocks that are freed together; grows as needed. */
typedef struct ad__arena ad__arena;
void *ad__arena_alloc(ad__arena **arena, size_t count, size_t size);
void ad__arena_free(ad__arena *arena);

void ad__object_retain(ad_object *object); /* NULL: nothing */

#endif
