/* Results: as JSON, and in words for a human reader. */
#ifndef WEIR_COMMAND_REPORT_H
#define WEIR_COMMAND_REPORT_H

#include <jansson.h>
#include <stdio.h>

/* JSON has neither NaN nor infinity: null stands for them. */
json_t *report_number(double number);
/* A file name may be no UTF-8; JSON must be. */
json_t *report_text(const char *text);

/* The same for eyes: texts and names from files, as a terminal can show them in a line. */
json_t *report_printable(const json_t *result);

/* A line on standard error: "weir: warning: …". */
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

void report_json(const json_t *result, FILE *to);

/* Members of an object: 0, "" or NaN where there is none of this kind. */
long long report_count_of(const json_t *object, const char *name);
const char *report_text_of(const json_t *object, const char *name);
double report_number_of(const json_t *object, const char *name);

/* "1.23M"; "1:05"; "4.31 s", or "1:05" from a minute on. These return buffer. */
const char *report_rate(double number, char buffer[static 32]);
const char *report_duration(double seconds, char buffer[static 32]);
const char *report_seconds(double seconds, char buffer[static 32]);
/* "; 4.31 s" of the member "seconds", behind `separator`; "" where there is none, as in what a model keeps. */
const char *report_spent(const json_t *object, const char *separator, char buffer[static 32]);

/* The member "warning", a line for each of its sentences. */
void report_warning(const json_t *object, FILE *to);

#endif
