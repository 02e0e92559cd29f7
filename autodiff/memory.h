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

WEIR_END_DECLARATIONS

#endif
