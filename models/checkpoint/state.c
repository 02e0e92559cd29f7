/* States: arrays of numbers, by name. */
#include "checkpoint/state.h"

#include <weir/memory.h>

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- Entries --------------------------------------------------------------------------------------------------- */

void nf__state_fail(nf__state *state, ad_status status, const char *message)
{
    if (!state->error.status) ad_error_set(&state->error, status, "%s", message);
}

static void out_of_memory(nf__state *state)
{
    nf__state_fail(state, AD_ERROR_MEMORY, "out of memory for what is to be kept");
}

static nf__state_entry *find(const nf__state *state, const char *name)
{
    for (size_t i = 0; i < state->count; i++)
        if (strcmp(state->entry[i].name, name) == 0) return &state->entry[i];
    return NULL;
}

static void add(nf__state *state, nf__state_entry entry)
{
    if (state->count == state->room) {
        const size_t room = 2 * state->room + 16;
        nf__state_entry *more = ad_realloc(state->entry, room, sizeof *more);
        if (!more) {
            if (entry.owned) ad_free(entry.data);
            out_of_memory(state);
            return;
        }
        state->entry = more;
        state->room = room;
    }
    state->entry[state->count++] = entry;
}

static size_t bytes_of(const nf__state_entry *entry)
{
    return entry->rows * entry->columns * ad_dtype_size(entry->dtype);
}

/* The same with numbers of its own. */
static void add_copy(nf__state *state, nf__state_entry entry)
{
    void *copy = ad_alloc(bytes_of(&entry), 1);
    if (!copy) {
        out_of_memory(state);
        return;
    }
    if (bytes_of(&entry)) memcpy(copy, entry.data, bytes_of(&entry));
    entry.data = copy;
    entry.owned = true;
    add(state, entry);
}

/* NULL, and told, where there is none of this kind. */
static const nf__state_entry *find_to_restore(nf__state *state, const char *name, ad_dtype dtype, size_t rows,
                                              size_t columns)
{
    const nf__state_entry *entry = find(state, name);
    if (entry && entry->dtype == dtype && entry->rows == rows && entry->columns == columns) return entry;
    char message[256];
    if (entry)
        snprintf(message, sizeof message, "its '%s' has %zu times %zu numbers of %s, expected %zu times %zu of %s",
                 name, entry->rows, entry->columns, ad_dtype_name(entry->dtype), rows, columns, ad_dtype_name(dtype));
    else
        snprintf(message, sizeof message, "'%s' is missing", name);
    nf__state_fail(state, AD_ERROR_FORMAT, message);
    return NULL;
}

/* ---- All of it ------------------------------------------------------------------------------------------------- */

static void clear(nf__state *state)
{
    for (size_t i = 0; i < state->count; i++)
        if (state->entry[i].owned) ad_free(state->entry[i].data);
    ad_free(state->settings);
    state->settings = NULL;
    state->count = 0;
}

void nf__state_free(nf__state *state)
{
    clear(state);
    ad_free(state->entry);
    *state = (nf__state){0};
}

static ad_status result_of(const nf__state *state, ad_error *error)
{
    return state->error.status ? ad_error_set(error, state->error.status, "%s", state->error.message) : AD_OK;
}

ad_status nf__state_fill(nf__state *state, nf__state_mode mode, nf__state_list *list, void *context, ad_error *error)
{
    clear(state);
    state->mode = mode;
    state->error.status = AD_OK;
    list(context, state);
    return result_of(state, error);
}

ad_status nf__state_restore(nf__state *state, nf__state_list *list, void *context, ad_error *error)
{
    state->mode = NF__STATE_RESTORES;
    state->error.status = AD_OK;
    list(context, state);
    ad_free(state->expected);
    state->expected = NULL;
    return result_of(state, error);
}

bool nf__state_restores(const nf__state *state)
{
    return state->mode == NF__STATE_RESTORES;
}

/* ---- Settings -------------------------------------------------------------------------------------------------- */

/* The line of this name, as the state has it; "" where there is none. */
static void find_setting(const char *settings, const char *name, char *value, size_t size)
{
    const size_t length = strlen(name);
    *value = '\0';
    for (const char *line = settings; line && *line; line = strchr(line, '\n') + 1) {
        if (strncmp(line, name, length) != 0 || line[length] != '=') continue;
        snprintf(value, size, "%.*s", (int)strcspn(line + length + 1, "\n"), line + length + 1);
        return;
    }
}

static void compare(nf__state *state, const char *name, const char *value)
{
    char before[512], message[1200];
    find_setting(state->settings, name, before, sizeof before);
    if (strcmp(before, value) == 0) return;
    snprintf(message, sizeof message, "it began with another %s: %.400s, not %.400s", name, before, value);
    nf__state_fail(state, AD_ERROR_ARGUMENT, message);
}

static void append(nf__state *state, const char *name, const char *value)
{
    const size_t before = state->settings ? strlen(state->settings) : 0, added = strlen(name) + strlen(value) + 3;
    char *longer = ad_realloc(state->settings, before + added, 1);
    if (!longer) {
        out_of_memory(state);
        return;
    }
    snprintf(longer + before, added, "%s=%s\n", name, value);
    state->settings = longer;
}

void nf__state_setting(nf__state *state, const char *name, const char *format, ...)
{
    char value[512];
    va_list arguments;
    if (state->error.status) return;
    va_start(arguments, format);
    vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    if (nf__state_restores(state))
        compare(state, name, value);
    else
        append(state, name, value);
}

/* As few digits as tell it from all others. */
void nf__state_number(nf__state *state, const char *name, double value)
{
    char text[32];
    int digits = 14;
    do {
        snprintf(text, sizeof text, "%.*g", ++digits, value);
    } while (digits < 17 && strtod(text, NULL) != value);
    nf__state_setting(state, name, "%s", text);
}

/* ---- Arrays ---------------------------------------------------------------------------------------------------- */

static nf__state_entry entry_of(const char *name, ad_dtype dtype, size_t rows, size_t columns, void *data)
{
    nf__state_entry entry = {.dtype = dtype, .rows = rows, .columns = columns, .data = data};
    snprintf(entry.name, sizeof entry.name, "%s", name);
    return entry;
}

void nf__state_array(nf__state *state, const char *name, ad_dtype dtype, void *values, size_t count)
{
    if (state->error.status) return;
    if (nf__state_restores(state)) {
        const nf__state_entry *from = find_to_restore(state, name, dtype, count, 1);
        if (from && count > 0) memcpy(values, from->data, bytes_of(from));
        return;
    }
    const nf__state_entry entry = entry_of(name, dtype, count, 1, values);
    if (state->mode == NF__STATE_COPIES)
        add_copy(state, entry);
    else
        add(state, entry);
}

/* ---- Structs --------------------------------------------------------------------------------------------------- */

/* A count that isn't a double's stands for all that are too large: "as many as it takes". */
double nf__field_read(const void *of_struct, nf__field field)
{
    const void *at = (const char *)of_struct + field.offset;
    switch (field.kind) {
    case NF__COUNT:
        return *(const size_t *)at == SIZE_MAX ? -1 : (double)*(const size_t *)at;
    case NF__STEPS:
        return (double)*(const uint64_t *)at;
    case NF__NUMBER:
        return *(const double *)at;
    case NF__FLAG:
        return *(const bool *)at;
    case NF__WORD:
        return *(const uint32_t *)at;
    }
    return 0;
}

void nf__field_write(void *of_struct, nf__field field, double value)
{
    void *at = (char *)of_struct + field.offset;
    switch (field.kind) {
    case NF__COUNT:
        *(size_t *)at = value < 0 ? SIZE_MAX : (size_t)value;
        break;
    case NF__STEPS:
        *(uint64_t *)at = (uint64_t)value;
        break;
    case NF__NUMBER:
        *(double *)at = value;
        break;
    case NF__FLAG:
        *(bool *)at = value != 0;
        break;
    case NF__WORD:
        *(uint32_t *)at = (uint32_t)value;
        break;
    }
}

void nf__state_structs(nf__state *state, const char *name, const nf__field *field, size_t fields, void *structs,
                       size_t size, size_t count)
{
    if (state->error.status) return;
    const nf__state_entry *from = NULL;
    double *numbers;
    if (nf__state_restores(state)) {
        from = find_to_restore(state, name, AD_F64, count, fields);
        if (!from) return;
        numbers = from->data;
    } else {
        numbers = ad_alloc(count, fields * sizeof *numbers);
        if (!numbers) {
            out_of_memory(state);
            return;
        }
    }
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < fields; k++) {
            void *one = (char *)structs + i * size;
            double *number = &numbers[i * fields + k];
            if (from)
                nf__field_write(one, field[k], *number);
            else
                *number = nf__field_read(one, field[k]);
        }
    if (from) return;
    nf__state_entry entry = entry_of(name, AD_F64, count, fields, numbers);
    entry.owned = true;
    add(state, entry);
}

size_t nf__state_size(const nf__state *state, const char *name, size_t now)
{
    if (!nf__state_restores(state)) return now;
    const nf__state_entry *entry = find(state, name);
    return entry ? entry->rows : 0;
}

/* ---- States in states, and in files ---------------------------------------------------------------------------- */

void nf__state_nest(nf__state *state, const char *name, nf__state *inner)
{
    const size_t length = strlen(name);
    if (!nf__state_restores(state)) {
        for (size_t i = 0; i < inner->count && !state->error.status; i++) {
            nf__state_entry entry = inner->entry[i];
            if (snprintf(entry.name, sizeof entry.name, "%s.%s", name, inner->entry[i].name) >= (int)sizeof entry.name)
                nf__state_fail(state, AD_ERROR_ARGUMENT, "a name is too long");
            entry.owned = false;
            add(state, entry);
        }
        return;
    }
    clear(inner);
    for (size_t i = 0; i < state->count && !inner->error.status; i++) {
        nf__state_entry entry = state->entry[i];
        if (strncmp(entry.name, name, length) != 0 || entry.name[length] != '.') continue;
        memmove(entry.name, entry.name + length + 1, strlen(entry.name) - length);
        add_copy(inner, entry);
    }
    if (inner->error.status) out_of_memory(state);
}

ad_status nf__state_from_file(nf__state *state, const nf__safetensors *file, const char *prefix, const char *settings,
                              ad_error *error)
{
    size_t count;
    const size_t length = strlen(prefix);
    const nf__safetensor *tensor = nf__safetensors_all(file, &count);
    clear(state);
    for (size_t i = 0; i < count; i++) {
        const ad_shape *shape = &tensor[i].shape;
        if (strncmp(tensor[i].name, prefix, length) != 0) continue;
        if (strlen(tensor[i].name + length) >= sizeof state->entry->name || shape->rank != 2)
            return ad_error_set(error, AD_ERROR_FORMAT, "its tensor '%.60s' is none of a checkpoint", tensor[i].name);
        /* The list that it is restored by writes to nothing that is in the file. */
        add(state, entry_of(tensor[i].name + length, tensor[i].dtype, shape->dim[0], shape->dim[1],
                            (void *)(uintptr_t)tensor[i].data));
    }
    state->settings = ad_strdup(settings);
    if (!state->settings) out_of_memory(state);
    return result_of(state, error);
}
