/* Memory: where the library has it from. */
#ifndef WEIR_MEMORY_H
#define WEIR_MEMORY_H

#include <weir/version.h>
#include <stddef.h>

WEIR_BEGIN_DECLARATIONS

/* All memory of the library comes through these three; set them before the first other call. NULL restores malloc's. */
typedef struct {
    void *(*allocate)(size_t bytes);
    void *(*reallocate)(void *old, size_t bytes);
    void (*release)(void *memory);
} ad_allocator;

void ad_set_allocator(const ad_allocator *allocator);

/* Zeroed, 64-byte aligned; NULL when count * size overflows or memory is out. Release with ad_free_aligned(). */
void *ad_alloc_aligned(size_t count, size_t size);
void ad_free_aligned(void *memory);

/* Zeroed array; NULL when count * size overflows or memory is out. Release with ad_free(). */
void *ad_alloc(size_t count, size_t size);
/* Grow or shrink to count elements (new ones are not zeroed); on failure NULL, and the old array stays valid. */
void *ad_realloc(void *memory, size_t count, size_t size);
void ad_free(void *memory);
char *ad_strdup(const char *text);

/* What a node may own besides numbers: a table, an inner program. It is counted, and destroyed with the last tape or
 * plan that refers to it. */
typedef struct ad_object ad_object;

/* One reference, the caller's, to be released; NULL when memory is out. destroy may be called from any thread; NULL:
 * data is not the object's. */
ad_object *ad_object_new(void *data, void (*destroy)(void *data));
void ad_object_release(ad_object *object);
void *ad_object_data(const ad_object *object); /* NULL of NULL */

WEIR_END_DECLARATIONS

#endif
