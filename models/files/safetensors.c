/* The safetensors format, read. */
#include "files/excerpt.h"
#include "files/json.h"
#include "files/safetensors_format.h"

#include <weir/file.h>
#include <weir/memory.h>

#include <stdlib.h>
#include <string.h>

enum {
    FAULT_BYTES = 512, /* for a phrase */
    LEAST_BYTES = 48,  /* of a tensor in the header: a name, a dtype, a shape, offsets */
    MOST_BYTES = 4096, /* where there may be spaces */
};

/* Dtypes that are read, and what they become; those at the end in files of other programs alone. */
static const struct type {
    const char *name;
    size_t bytes;
    ad_dtype becomes;
    bool foreign;
} types[] = {{"F32", 4, AD_F32, false}, {"F64", 8, AD_F64, false}, {"I64", 8, AD_F64, true}, {"BOOL", 1, AD_F64, true}};

struct nf__safetensors {
    bool foreign;
    json_t *metadata;
    char *names; /* of all tensors */
    nf__safetensor *tensors;
    const nf__safetensor **by_name; /* sorted */
    size_t count;
    char *data;
};

/* Where a tensor's data are in the file, counted from the header's end. */
struct entry {
    nf__safetensor tensor;
    const struct type *type;
    size_t begin, end;
};

/* What a size_t can't hold, which may have 32 bits, is none. */
static bool size_of_json(const json_t *json, size_t *size)
{
    json_int_t value = json_integer_value(json);
    *size = (size_t)value;
    return json_is_integer(json) && value >= 0 && (uint64_t)value == *size;
}

/* On failure false, with a phrase in `fault`, which is empty where memory is out. */
static bool parse_entry(json_t *json, bool foreign, struct entry *entry, char fault[FAULT_BYTES])
{
    const char *dtype;
    json_t *shape, *offsets;
    json_error_t reason;
    nf__safetensor *tensor = &entry->tensor;
    if (json_unpack_ex(json, &reason, 0, "{s:s, s:o, s:o}", "dtype", &dtype, "shape", &shape, "data_offsets",
                       &offsets) != 0) {
        bool out = json_error_code(&reason) == json_error_out_of_memory;
        snprintf(fault, FAULT_BYTES, "%s", out ? "" : nf__excerpt_of(reason.text, strlen(reason.text)).text);
        return false;
    }
    if (json_object_size(json) > 3) {
        snprintf(fault, FAULT_BYTES, "%zu object item(s) left unpacked", json_object_size(json) - 3);
        return false;
    }
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(dtype, types[i].name) == 0 && (foreign || !types[i].foreign)) entry->type = &types[i];
    if (!entry->type) {
        snprintf(fault, FAULT_BYTES, "dtype is %s; F32 and F64 are read%s", nf__excerpt_of(dtype, strlen(dtype)).text,
                 foreign ? ", and I64 and BOOL" : "");
        return false;
    }
    tensor->dtype = entry->type->becomes;
    bool is_shape = json_is_array(shape) && json_array_size(shape) <= AD_MAX_RANK;
    for (size_t i = 0; is_shape && i < json_array_size(shape); i++, tensor->shape.rank++)
        is_shape = size_of_json(json_array_get(shape, i), &tensor->shape.dim[i]);
    if (!is_shape) {
        snprintf(fault, FAULT_BYTES, "shape is not a list of at most %d sizes", AD_MAX_RANK);
        return false;
    }
    if (json_array_size(offsets) != 2 || !size_of_json(json_array_get(offsets, 0), &entry->begin) ||
        !size_of_json(json_array_get(offsets, 1), &entry->end) || entry->begin > entry->end) {
        snprintf(fault, FAULT_BYTES, "data_offsets are not [begin, end]");
        return false;
    }
    const size_t size = ad_shape_size(tensor->shape), given = entry->end - entry->begin;
    const size_t bytes = size < SIZE_MAX / sizeof(double) ? size * entry->type->bytes : SIZE_MAX;
    if (bytes != given) {
        char text[128];
        snprintf(fault, FAULT_BYTES, "shape %s of dtype %s takes %zu bytes, data_offsets give it %zu",
                 ad_shape_text(tensor->shape, text), dtype, bytes, given);
        return false;
    }
    return true;
}

static ad_status check_metadata(const char *path, json_t *metadata, ad_error *error)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata))
        return ad_error_set(error, AD_ERROR_FORMAT, "'%s': bad header: " METADATA_KEY " is not an object", path);
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value))
            return ad_error_set(error, AD_ERROR_FORMAT, "'%s': bad header: " METADATA_KEY " '%s' is not text", path,
                                nf__excerpt_of(key, strlen(key)).text);
    }
    return AD_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* Sorted by place, the tensors must cover the data exactly. */
static ad_status check_places(const char *path, struct entry *entries, size_t count, size_t data_bytes, ad_error *error)
{
    if (count > 0) qsort(entries, count, sizeof *entries, by_place);
    size_t end = 0;
    for (size_t i = 0; i < count; i++) {
        if (entries[i].begin != end)
            return ad_error_set(
                error, AD_ERROR_FORMAT,
                "'%s': bad header: tensor '%s' begins at byte %zu of the data, where those before it end "
                "at byte %zu",
                path, nf__excerpt_of(entries[i].tensor.name, strlen(entries[i].tensor.name)).text, entries[i].begin,
                end);
        end = entries[i].end;
    }
    if (end != data_bytes)
        return ad_error_set(error, AD_ERROR_FORMAT, "'%s' is %s: %zu bytes of data expected, got %zu", path,
                            end > data_bytes ? "cut short" : "too long", end, data_bytes);
    return AD_OK;
}

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void copy_elements(const struct entry *entry, const char *from, void *to)
{
    const size_t count = ad_shape_size(entry->tensor.shape);
    if (!entry->type->foreign) memcpy(to, from, count * entry->type->bytes);
    for (size_t i = 0; i < count && entry->type->foreign; i++) {
        int64_t whole = from[i];
        if (entry->type->bytes == sizeof whole) memcpy(&whole, from + i * sizeof whole, sizeof whole);
        ((double *)to)[i] = (double)whole;
    }
}

/* Give each tensor an aligned copy of its data. */
static ad_status copy_tensors(const char *path, nf__safetensors *file, const struct entry *entries, const char *data,
                              ad_error *error)
{
    size_t bytes = 0;
    for (size_t i = 0; i < file->count; i++) bytes += aligned(tensor_bytes(&entries[i].tensor));
    file->tensors = ad_alloc(file->count, sizeof *file->tensors);
    file->data = ad_alloc_aligned(bytes, 1);
    if (!file->tensors || !file->data)
        return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the tensors of '%s'", path);
    char *place = file->data;
    for (size_t i = 0; i < file->count; i++) {
        file->tensors[i] = entries[i].tensor;
        file->tensors[i].data = place;
        copy_elements(&entries[i], data + entries[i].begin, place);
        place += aligned(tensor_bytes(&entries[i].tensor));
    }
    return AD_OK;
}

static int by_name(const void *a, const void *b)
{
    const nf__safetensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static ad_status sort_names(const char *path, nf__safetensors *file, ad_error *error)
{
    file->by_name = ad_alloc(file->count, sizeof *file->by_name);
    if (!file->by_name) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the tensors of '%s'", path);
    for (size_t i = 0; i < file->count; i++) file->by_name[i] = &file->tensors[i];
    if (file->count > 0) qsort(file->by_name, file->count, sizeof *file->by_name, by_name);
    for (size_t i = 1; i < file->count; i++)
        if (by_name(&file->by_name[i - 1], &file->by_name[i]) == 0)
            return ad_error_set(error, AD_ERROR_FORMAT, "'%s': bad header: tensor '%s' is there twice", path,
                                nf__excerpt_of(file->by_name[i]->name, strlen(file->by_name[i]->name)).text);
    return AD_OK;
}

struct header {
    const char *path;
    nf__safetensors *file;
    struct entry *entries; /* room for as many as the header can have, and one that is wrong */
    char *name;            /* the place of the next one */
    ad_error *error;
    bool told; /* in error */
};

static ad_status tell(struct header *header, ad_status status)
{
    header->told = true;
    return status;
}

static ad_status out_of_memory_for(struct header *header)
{
    return tell(header,
                ad_error_set(header->error, AD_ERROR_MEMORY, "no memory for the tensors of '%s'", header->path));
}

static ad_status visit_metadata(struct header *header, json_t *value)
{
    if (header->file->metadata) {
        json_decref(value);
        return tell(header, ad_error_set(header->error, AD_ERROR_FORMAT,
                                         "'%s': bad header: " METADATA_KEY " is there twice", header->path));
    }
    header->file->metadata = value;
    return check_metadata(header->path, value, header->error) ? tell(header, AD_ERROR_FORMAT) : AD_OK;
}

static ad_status visit_tensor(struct header *header, const char *name, json_t *value)
{
    char fault[FAULT_BYTES];
    struct entry *entry = &header->entries[header->file->count++];
    entry->tensor.name = header->name;
    header->name = stpcpy(header->name, name) + 1;
    bool good = parse_entry(value, header->file->foreign, entry, fault);
    json_decref(value);
    if (good) return AD_OK;
    if (!*fault) return out_of_memory_for(header);
    return tell(header, ad_error_set(header->error, AD_ERROR_FORMAT, "'%s': bad header: tensor '%s': %s", header->path,
                                     nf__excerpt_of(name, strlen(name)).text, fault));
}

static ad_status visit_member(void *context, const char *name, const char *text, size_t bytes, json_error_t *reason)
{
    struct header *header = context;
    bool metadata = strcmp(name, METADATA_KEY) == 0;
    json_t *value;
    if (!metadata && bytes > MOST_BYTES)
        return tell(header, ad_error_set(header->error, AD_ERROR_FORMAT,
                                         "'%s': bad header: tensor '%s': %zu bytes of JSON, more than a dtype, a shape "
                                         "and data_offsets have",
                                         header->path, nf__excerpt_of(name, strlen(name)).text, bytes));
    ad_status status = nf__json_value(text, bytes, &value, reason);
    if (status) return status;
    return metadata ? visit_metadata(header, value) : visit_tensor(header, name, value);
}

/* Each tensor's entry, and the metadata. The first that is none ends it. */
static ad_status parse_header(struct header *header, const char *text, size_t bytes)
{
    json_error_t reason;
    header->entries = ad_alloc(bytes / LEAST_BYTES + 2, sizeof *header->entries);
    header->name = header->file->names = ad_alloc(bytes, 1); /* escapes are longer than what they stand for */
    if (!header->entries || !header->name) return out_of_memory_for(header);
    ad_status status = nf__json_each(text, bytes, visit_member, header, &reason);
    if (!status || header->told) return status;
    if (status == AD_ERROR_MEMORY)
        return ad_error_set(header->error, status, "no memory for the header of '%s'", header->path);
    return ad_error_set(header->error, status, "'%s' is not a safetensors file: byte %d of its header: %s",
                        header->path, reason.position, nf__excerpt_of(reason.text, strlen(reason.text)).text);
}

static ad_status parse(const char *path, nf__safetensors *file, const char *bytes, size_t size, ad_error *error)
{
    uint64_t length;
    if (size < LENGTH_BYTES)
        return ad_error_set(error, AD_ERROR_FORMAT,
                            "'%s' is cut short: a safetensors file has at least %d bytes, got %zu", path, LENGTH_BYTES,
                            size);
    memcpy(&length, bytes, LENGTH_BYTES);
    const char *text = bytes + LENGTH_BYTES;
    size_t rest = size - LENGTH_BYTES;
    if (length > MOST_HEADER_BYTES || (rest > 0 && text[0] != '{'))
        return ad_error_set(error, AD_ERROR_FORMAT,
                            "'%s' is not a safetensors file: it doesn't begin with a length and a JSON header", path);
    if (length > rest)
        return ad_error_set(error, AD_ERROR_FORMAT, "'%s' is cut short: a header of %zu bytes expected, got %zu", path,
                            (size_t)length, rest);
    struct header header = {.path = path, .file = file, .error = error};
    const size_t data_bytes = rest - (size_t)length;
    ad_status status = parse_header(&header, text, (size_t)length);
    if (!status) status = check_places(path, header.entries, file->count, data_bytes, error);
    if (!status) status = copy_tensors(path, file, header.entries, text + length, error);
    ad_free(header.entries);
    return status ? status : sort_names(path, file, error);
}

static nf__safetensors *read_file(const char *path, bool foreign, ad_error *error)
{
    char *bytes;
    size_t size;
    if (nf_file_read(path, &bytes, &size, error) != AD_OK) return NULL;
    nf__safetensors *file = ad_alloc(1, sizeof *file);
    if (file) file->foreign = foreign;
    ad_status status = file ? parse(path, file, bytes, size, error)
                            : ad_error_set(error, AD_ERROR_MEMORY, "no memory to read '%s'", path);
    ad_free(bytes);
    if (status) {
        nf__safetensors_free(file);
        return NULL;
    }
    return file;
}

nf__safetensors *nf__safetensors_read(const char *path, ad_error *error)
{
    return read_file(path, false, error);
}

nf__safetensors *nf__safetensors_read_foreign(const char *path, ad_error *error)
{
    return read_file(path, true, error);
}

void nf__safetensors_free(nf__safetensors *file)
{
    if (!file) return;
    json_decref(file->metadata);
    ad_free(file->names);
    ad_free(file->by_name);
    ad_free(file->tensors);
    ad_free_aligned(file->data);
    ad_free(file);
}

const nf__safetensor *nf__safetensors_all(const nf__safetensors *file, size_t *count)
{
    *count = file->count;
    return file->tensors;
}

const nf__safetensor *nf__safetensors_find(const nf__safetensors *file, const char *name)
{
    const nf__safetensor sought = {.name = name}, *key = &sought;
    const nf__safetensor *const *found = bsearch(&key, file->by_name, file->count, sizeof *file->by_name, by_name);
    return found ? *found : NULL;
}

const char *nf__safetensors_metadata(const nf__safetensors *file, const char *key)
{
    return json_string_value(json_object_get(file->metadata, key));
}
