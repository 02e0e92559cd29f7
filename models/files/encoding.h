/* Text in the encodings that people's files have, and UTF-8. */
#ifndef WEIR_MODELS_FILES_ENCODING_H
#define WEIR_MODELS_FILES_ENCODING_H

#include <weir/error.h>

#include <stdbool.h>
#include <stddef.h>

/* Make UTF-8, without a byte order mark, of a file's text, which a NUL follows and which is replaced where it has to
 * be. UTF-16 is told by its byte order mark, or by every second byte of the first being 0; bytes that aren't UTF-8 are
 * Windows-1252's. path is for messages. */
ad_status nf__text_to_utf8(const char *path, char **text, size_t *bytes, ad_error *error);
/* The same of text that comes in parts. UTF-16? Then it can't. */
bool nf__text_is_utf16(const char *text, size_t bytes);
/* How many of the bytes are of no UTF-8 character, and so Windows-1252's. A NUL is behind. */
size_t nf__count_foreign(const char *text, size_t bytes);
/* Make these UTF-8: at most two bytes more for each. Returns the length. */
size_t nf__from_windows_1252(const char *text, size_t bytes, char *to);
/* How long the character is that UTF-8 has here, in its shortest form and no surrogate; 0: none. A NUL is behind. */
size_t nf__utf8_length(const char *at);

#endif
