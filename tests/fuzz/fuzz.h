/* What fuzz targets share: each is a function LLVMFuzzerTestOneInput(), which ends the process when a property that its
 * comment names doesn't hold for the bytes that it is given. */
#ifndef WEIR_TESTS_FUZZ_H
#define WEIR_TESTS_FUZZ_H

#include <weir/autodiff.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* End the process, having told which property doesn't hold. */
void fuzz_require(bool holds, const char *property);
/* An error is one of ad_status, and has a message without control characters but the lines' ends. */
void fuzz_check_error(const ad_error *error);

/* From here on the library has 32 MB and no more: where a formula may ask for any size, being refused is right. */
void fuzz_limit_memory(void);

/* A text that ends before the first NUL of the data; for free(). */
char *fuzz_text(const uint8_t *data, size_t size);
/* A path in a folder of this process, which is removed with all that is in it when it ends: up to four of them. */
const char *fuzz_path(const char *name);
void fuzz_write(const char *path, const void *data, size_t size);
/* Do two files hold the same bytes? */
bool fuzz_same_files(const char *a, const char *b);

#endif
