/* Memory: where the library has it from, and objects that are counted.
 *
 * Any function here may be called from several threads at once, but for ad_set_allocator(). */
#ifndef WEIR_MEMORY_H
#define WEIR_MEMORY_H

#include <weir/version.h>
#include <stddef.h>

WEIR_BEGIN_DECLARATIONS

/* All memory that the library allocates itself comes through these three, which must be safe to call from several
 * threads at once. None may be NULL. */
typedef struct {
    void *(*allocate)(size_t bytes);
    void *(*reallocate)(void *old, size_t bytes);
    void (*release)(void *memory);
} ad_allocator;

/* Before the first other call, or when everything has been freed; from one thread. The struct is copied; NULL restores
 * malloc(), realloc() and free(). The libraries that multiply matrices go on calling malloc() itself. */
void ad_set_allocator(const ad_allocator *allocator);

/* Zeroed, 64-byte aligned; NULL when count * size overflows or memory is out. Release with ad_free_aligned(), which
 * takes NULL too. */
void *ad_alloc_aligned(size_t count, size_t size);
void ad_free_aligned(void *memory);

/* Zeroed array; NULL when count * size overflows or memory is out. Release with ad_free(), which takes NULL too. */
void *ad_alloc(size_t count, size_t size);
/* Grow or shrink to count elements (new ones are not zeroed); on failure NULL, and the old array stays valid.
 * Of NULL it makes a new one. */
void *ad_realloc(void *memory, size_t count, size_t size);
void ad_free(void *memory);
/* A copy to release with ad_free(); NULL of NULL, or when memory is out. */
char *ad_strdup(const char *text);

/* What a node may own besides numbers: a table, an inner program. It is counted, and destroyed with the last tape or
 * plan that refers to it. */
typedef struct ad_object ad_object;

/* A new object with one reference, which is the caller's and to be released; NULL when memory is out. data may be NULL.
 * destroy is called with it at the end, in any thread; NULL: data is not the object's. */
ad_object *ad_object_new(void *data, void (*destroy)(void *data));
void ad_object_release(ad_object *object);     /* nothing for NULL */
void *ad_object_data(const ad_object *object); /* NULL of NULL */

WEIR_END_DECLARATIONS

#endif
