/* Memory that holds machine code. */
#ifndef WEIR_AUTODIFF_BASE_EXECUTABLE_H
#define WEIR_AUTODIFF_BASE_EXECUTABLE_H

#include <stddef.h>

/* A copy of the code that can be run and is never written again; NULL where there is no memory for it, or where the
 * system lets none be run. */
void *ad__executable_new(const void *code, size_t bytes);
void ad__executable_free(void *code, size_t bytes);

#endif
