#include "base/executable.h"

#include <string.h>
#include <sys/mman.h>

void *ad__executable_new(const void *code, size_t bytes)
{
    void *mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return NULL;
    memcpy(mapped, code, bytes);
    if (mprotect(mapped, bytes, PROT_READ | PROT_EXEC) == 0) return mapped;
    munmap(mapped, bytes);
    return NULL;
}

void ad__executable_free(void *code, size_t bytes)
{
    if (code) munmap(code, bytes);
}
