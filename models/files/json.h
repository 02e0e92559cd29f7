/* JSON that is being made, or read, while memory may run out. Jansson takes its memory from malloc: its allocator is
 * one for the whole process, and so isn't ours to set. */
#ifndef WEIR_MODELS_FILES_JSON_H
#define WEIR_MODELS_FILES_JSON_H

#include <weir/error.h>

#include <jansson.h>

/* Add a value, which is theirs then, to an object or an array. Where that fails, which it does for a value that is
 * NULL, the whole becomes NULL and stays so: one look at the end is enough. */
void nf__json_put(json_t **object, const char *key, json_t *value);
void nf__json_append(json_t **array, json_t *value);

/* JSON has neither NaN nor infinity: null stands for them. */
json_t *nf__json_number(double number);
/* '?' for bytes that aren't UTF-8's. */
json_t *nf__json_text(const char *text);
bool nf__json_is_text(const char *text); /* UTF-8, as JSON must be */

/* As compact text, for ad_free(); NULL: memory is out, or json is NULL. */
char *nf__json_dump(const json_t *json, size_t flags, size_t *bytes);
/* Are values nested no deeper than 64 levels? So deep may be what is read. */
bool nf__json_is_shallow(const char *text, size_t bytes);
/* A few bytes make a value of two hundred: does the text have no more than a record or a header has? */
bool nf__json_is_moderate(const char *text, size_t bytes);
/* Read a value, or an object. AD_ERROR_MEMORY, or AD_ERROR_FORMAT where the text isn't one, or isn't moderate and
 * shallow, and *reason says why. */
ad_status nf__json_value(const char *text, size_t bytes, json_t **value, json_error_t *reason);
ad_status nf__json_load(const char *text, size_t bytes, json_t **object, json_error_t *reason);
/* Call visit for every member of an object, one after another, so that they needn't all be values at once: with its
 * name and the text of its value, which has yet to be read, and names may be the same. What it returns other than AD_OK
 * ends it. */
typedef ad_status nf__json_visit(void *context, const char *name, const char *text, size_t bytes, json_error_t *reason);
ad_status nf__json_each(const char *text, size_t bytes, nf__json_visit *visit, void *context, json_error_t *reason);

#endif
