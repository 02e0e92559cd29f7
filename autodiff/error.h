/* Errors: a status, and a sentence for the user. Any function here may be called from several threads at once, with an
 * ad_error for each.
 *
 * What may be NULL is said with each function. Elsewhere, throughout Weir, NULL is a mistake that does no harm:
 * AD_ERROR_ARGUMENT, and a sentence that names the argument; on a tape the error sticks to it, and what is recorded is
 * none; and of what has no error to give, nothing is done, and the result is NULL, 0, false or an empty text. */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

#include <weir/version.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

WEIR_BEGIN_DECLARATIONS

#if defined(__GNUC__)
#define AD_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define AD_PRINTF(text, first)
#endif

typedef enum {
    AD_OK = 0,
    AD_ERROR_ARGUMENT,    /* the caller's mistake: a shape, an option, a formula */
    AD_ERROR_MEMORY,      /* an allocation failed */
    AD_ERROR_IO,          /* the operating system refused to read or write */
    AD_ERROR_FORMAT,      /* a file is not what it should be */
    AD_ERROR_NUMERIC,     /* a NaN, a divergence, a solve that did not converge */
    AD_ERROR_INTERRUPTED, /* stopped on request */
} ad_status;

typedef struct {
    ad_status status;
    char message[1024]; /* one sentence: what was wrong, what was given, what was expected, what to do */
} ad_error;

/* Write status and message into *error (which may be NULL); returns the status. A message too long is cut, and
 * control characters in it, but the ends of lines, are shown as '?'. */
ad_status ad_error_set(ad_error *error, ad_status status, const char *format, ...) AD_PRINTF(3, 4);

/* Text from anywhere, so that a terminal only shows it: '?' in the place of control characters other than newline and
 * tab, and of those that turn the direction of writing. Returns text. With messages that is done. */
char *ad_printable(char *text);

WEIR_END_DECLARATIONS

#endif
