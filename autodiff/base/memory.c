/* All memory of the library, through one replaceable allocator, and the one place that multiplies sizes. */
#include "base/arena.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

static ad_allocator current = {malloc, realloc, free};

void ad_set_allocator(const ad_allocator *allocator)
{
    current = allocator ? *allocator : (ad_allocator){malloc, realloc, free};
}

bool ad__size_product(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

void *ad_alloc(size_t count, size_t size)
{
    size_t bytes;
    if (!ad__size_product(count, size, &bytes)) return NULL;
    void *memory = current.allocate(bytes ? bytes : 1);
    return memory ? memset(memory, 0, bytes) : NULL;
}

void *ad_realloc(void *memory, size_t count, size_t size)
{
    size_t bytes;
    if (!ad__size_product(count, size, &bytes)) return NULL;
    return current.reallocate(memory, bytes ? bytes : 1);
}

void ad_free(void *memory)
{
    if (memory) current.release(memory);
}

/* The block's own address is kept just below the aligned one. */
void *ad_alloc_aligned(size_t count, size_t size)
{
    size_t bytes;
    if (!ad__size_product(count, size, &bytes) || bytes > SIZE_MAX - ALIGNMENT - sizeof(void *)) return NULL;
    char *block = ad_alloc(bytes + ALIGNMENT + sizeof(void *), 1);
    if (!block) return NULL;
    uintptr_t first = (uintptr_t)block + sizeof(void *);
    void **aligned = (void **)(block + sizeof(void *) + (ALIGNMENT - first % ALIGNMENT) % ALIGNMENT);
    aligned[-1] = block;
    return aligned;
}

void ad_free_aligned(void *memory)
{
    if (memory) ad_free(((void **)memory)[-1]);
}

char *ad_strdup(const char *text)
{
    if (!text) return NULL;
    size_t length = strlen(text) + 1;
    char *copy = ad_alloc(length, 1);
    return copy ? memcpy(copy, text, length) : NULL;
}

/* ---- Objects ------------------------------------------------------------------------------------------------- */

struct ad_object {
    atomic_size_t references;
    void *data;
    void (*destroy)(void *data);
};

ad_object *ad_object_new(void *data, void (*destroy)(void *data))
{
    ad_object *object = ad_alloc(1, sizeof *object);
    if (!object) return NULL;
    atomic_init(&object->references, 1);
    object->data = data;
    object->destroy = destroy;
    return object;
}

void ad__object_retain(ad_object *object)
{
    if (object) atomic_fetch_add(&object->references, 1);
}

void ad_object_release(ad_object *object)
{
    if (!object || atomic_fetch_sub(&object->references, 1) > 1) return;
    if (object->destroy) object->destroy(object->data);
    ad_free(object);
}

void *ad_object_data(const ad_object *object)
{
    return object ? object->data : NULL;
}

/* ---- Arena --------------------------------------------------------------------------------------------------- */

struct ad__arena {
    ad__arena *previous;
    size_t used, capacity;
    _Alignas(16) char data[];
};

void *ad__arena_alloc(ad__arena **arena, size_t count, size_t size)
{
    enum { CHUNK = 1 << 16 };
    size_t bytes;
    if (!ad__size_product(count, size, &bytes) || bytes > SIZE_MAX / 2) return NULL;
    bytes = (bytes + 15) & ~(size_t)15;
    if (!*arena || (*arena)->capacity - (*arena)->used < bytes) {
        size_t capacity = bytes > CHUNK ? bytes : CHUNK;
        ad__arena *chunk = ad_alloc(sizeof *chunk + capacity, 1);
        if (!chunk) return NULL;
        chunk->previous = *arena;
        chunk->capacity = capacity;
        *arena = chunk;
    }
    void *memory = (*arena)->data + (*arena)->used;
    (*arena)->used += bytes;
    return memory;
}

void ad__arena_free(ad__arena *arena)
{
    while (arena) {
        ad__arena *previous = arena->previous;
        ad_free(arena);
        arena = previous;
    }
}
