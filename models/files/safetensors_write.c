/* The safetensors format, written. */
#include "files/json.h"
#include "files/safetensors_format.h"

#include <weir/file.h>
#include <weir/memory.h>

#include <string.h>

static ad_status out_of_memory(ad_error *error)
{
    return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a safetensors header");
}

static ad_status check_key(json_t *object, const char *key, ad_error *error)
{
    if (!nf__json_is_text(key))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "safetensors: '%s' cannot be stored: it is not UTF-8", key);
    if (json_object_get(object, key))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "safetensors: '%s' is there twice", key);
    return AD_OK;
}

static json_t *tensor_json(const nf__safetensor *tensor, size_t begin, size_t end)
{
    json_t *json = json_object(), *shape = json_array(), *offsets = json_array();
    for (int i = 0; i < tensor->shape.rank; i++)
        nf__json_append(&shape, json_integer((json_int_t)tensor->shape.dim[i]));
    nf__json_append(&offsets, json_integer((json_int_t)begin));
    nf__json_append(&offsets, json_integer((json_int_t)end));
    nf__json_put(&json, "dtype", json_string(dtype_names[tensor->dtype]));
    nf__json_put(&json, "shape", shape);
    nf__json_put(&json, "data_offsets", offsets);
    return json;
}

static ad_status add_metadata(json_t **texts, const nf__metadata *metadata, size_t count, ad_error *error)
{
    for (size_t i = 0; i < count; i++) {
        ad_status status = check_key(*texts, metadata[i].key, error);
        if (status) return status;
        if (!nf__json_is_text(metadata[i].value))
            return ad_error_set(error, AD_ERROR_ARGUMENT, "safetensors: '%s' cannot be stored: it is not UTF-8",
                                metadata[i].key);
        nf__json_put(texts, metadata[i].key, json_string(metadata[i].value));
    }
    return AD_OK;
}

static ad_status add_tensors(json_t **header, const nf__safetensor *tensors, size_t count, ad_error *error)
{
    size_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        ad_status status = check_key(*header, tensors[i].name, error);
        if (status) return status;
        size_t bytes = tensor_bytes(&tensors[i]);
        if (bytes > PTRDIFF_MAX - offset)
            return ad_error_set(error, AD_ERROR_ARGUMENT, "safetensors: '%s' is too large", tensors[i].name);
        nf__json_put(header, tensors[i].name, tensor_json(&tensors[i], offset, offset + bytes));
        offset += bytes;
    }
    return AD_OK;
}

/* Text, for ad_free(). */
static ad_status make_header(const nf__safetensor *tensors, size_t tensor_count, const nf__metadata *metadata,
                             size_t metadata_count, char **text, size_t *bytes, ad_error *error)
{
    json_t *header = json_object(), *texts = json_object();
    ad_status status = add_metadata(&texts, metadata, metadata_count, error);
    nf__json_put(&header, METADATA_KEY, texts);
    if (!status) status = add_tensors(&header, tensors, tensor_count, error);
    *text = status ? NULL : nf__json_dump(header, 0, bytes);
    if (!status && !*text) status = out_of_memory(error);
    json_decref(header);
    return status;
}

static size_t padded_header(size_t bytes)
{
    return (LENGTH_BYTES + bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT - LENGTH_BYTES;
}

static void write_content(nf_file *file, const char *header, size_t bytes, const nf__safetensor *tensors, size_t count)
{
    static const char spaces[ALIGNMENT] = "                                                                ";
    uint64_t length = padded_header(bytes);
    nf_file_write(file, &length, LENGTH_BYTES);
    nf_file_write(file, header, bytes);
    nf_file_write(file, spaces, (size_t)length - bytes);
    for (size_t i = 0; i < count; i++) nf_file_write(file, tensors[i].data, tensor_bytes(&tensors[i]));
}

ad_status nf__safetensors_write(const char *path, const nf__safetensor *tensors, size_t tensor_count,
                                const nf__metadata *metadata, size_t metadata_count, bool compared, ad_error *error)
{
    char *header;
    size_t bytes;
    nf_file *file;
    ad_status status = make_header(tensors, tensor_count, metadata, metadata_count, &header, &bytes, error);
    if (!status && padded_header(bytes) > MOST_HEADER_BYTES)
        status = ad_error_set(error, AD_ERROR_ARGUMENT, "safetensors: a header of %zu bytes; at most %d are allowed",
                              bytes, MOST_HEADER_BYTES);
    if (!status) status = nf_file_create(path, &file, error);
    if (!status) {
        write_content(file, header, bytes, tensors, tensor_count);
        if (compared) {
            nf_file_read_back(file);
            write_content(file, header, bytes, tensors, tensor_count);
        }
        status = nf_file_commit(file, error);
    }
    ad_free(header);
    return status;
}
