/* The safetensors format. */
#include "files/safetensors.h"
#include "scratch.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static ad_error error;

static const float weight[] = {1, -2.5f, 3e-20f, 4, 5, 6};
static const double bias[] = {0.1, -1e300, 3};
static const nf__safetensor tensors[] = {
    {"net/weight", AD_F32, {2, {2, 3}}, weight},
    {"bias", AD_F64, {1, {3}}, bias},
    {"scale", AD_F32, {0}, weight + 1},
    {"nothing", AD_F64, {4, {1, 0, 2, 3}}, bias},
};
static const nf__metadata metadata[] = {{"formula", "(maf(64,64)-flip)*3"}, {"note", "grüße, \"quoted\"\n"}, {"", ""}};

static ad_status write_example(const char *path)
{
    return nf__safetensors_write(path, tensors, COUNT(tensors), metadata, COUNT(metadata), true, &error);
}

static void assert_example(const nf__safetensors *file)
{
    size_t count;
    nf__safetensors_all(file, &count);
    ck_assert_uint_eq(count, COUNT(tensors));
    for (size_t i = 0; i < count; i++) {
        const nf__safetensor *got = nf__safetensors_find(file, tensors[i].name);
        ck_assert_ptr_nonnull(got);
        ck_assert_int_eq(got->dtype, tensors[i].dtype);
        ck_assert(ad_shape_equal(got->shape, tensors[i].shape));
        ck_assert_uint_eq((uintptr_t)got->data % 64, 0);
        ck_assert_mem_eq(got->data, tensors[i].data, ad_shape_size(got->shape) * ad_dtype_size(got->dtype));
    }
    for (size_t i = 0; i < COUNT(metadata); i++)
        ck_assert_str_eq(nf__safetensors_metadata(file, metadata[i].key), metadata[i].value);
    ck_assert_ptr_null(nf__safetensors_find(file, "weight"));
    ck_assert_ptr_null(nf__safetensors_metadata(file, "bias"));
}

START_TEST(round_trip)
{
    file_path path = scratch_path("a.safetensors");
    ck_assert_msg(write_example(path.text) == AD_OK, "%s", error.message);
    nf__safetensors *file = nf__safetensors_read(path.text, &error);
    ck_assert_msg(file != NULL, "%s", error.message);
    assert_example(file);
    nf__safetensors_free(file);

    unsigned char content[1024];
    size_t bytes = slurp(path.text, (char *)content, sizeof content);
    size_t length = content[0] + 256u * content[1];
    ck_assert_uint_eq((8 + length) % 64, 0);
    ck_assert_uint_eq(bytes, 8 + length + sizeof weight + sizeof bias + sizeof(float));
    ck_assert_mem_eq(content + 8 + length, weight, sizeof weight);
}
END_TEST

START_TEST(empty)
{
    file_path path = scratch_path("a.safetensors");
    ck_assert_int_eq(nf__safetensors_write(path.text, NULL, 0, NULL, 0, true, &error), AD_OK);
    nf__safetensors *file = nf__safetensors_read(path.text, &error);
    ck_assert_msg(file != NULL, "%s", error.message);
    size_t count;
    nf__safetensors_all(file, &count);
    ck_assert_uint_eq(count, 0);
    nf__safetensors_free(file);
}
END_TEST

/* As golden/safetensors_file.py tells. */
START_TEST(reads_what_python_wrote)
{
    nf__safetensors *file = nf__safetensors_read(golden_path("python.safetensors").text, &error);
    ck_assert_msg(file != NULL, "%s", error.message);
    const nf__safetensor *got = nf__safetensors_find(file, "weight");
    ck_assert_ptr_nonnull(got);
    ck_assert(got->dtype == AD_F32 && ad_shape_equal(got->shape, AD_SHAPE(2, 3)));
    for (int i = 0; i < 6; i++) ck_assert_float_eq(((const float *)got->data)[i], (float)i / 4);
    got = nf__safetensors_find(file, "bias");
    ck_assert_ptr_nonnull(got);
    ck_assert(got->dtype == AD_F64 && ad_shape_equal(got->shape, AD_SHAPE(2)));
    ck_assert_double_eq(((const double *)got->data)[0], -1.5);
    ck_assert_double_eq(((const double *)got->data)[1], 1e300);
    got = nf__safetensors_find(file, "scale");
    ck_assert_ptr_nonnull(got);
    ck_assert(got->dtype == AD_F32 && got->shape.rank == 0);
    ck_assert_float_eq(*(const float *)got->data, 0.1f);
    got = nf__safetensors_find(file, "nothing");
    ck_assert_ptr_nonnull(got);
    ck_assert(ad_shape_equal(got->shape, AD_SHAPE(0, 3)));
    ck_assert_str_eq(nf__safetensors_metadata(file, "formula"), "scale-loc");
    ck_assert_str_eq(nf__safetensors_metadata(file, "note"), "grüße, \"quoted\"");
    nf__safetensors_free(file);
}
END_TEST

START_TEST(writer_refuses)
{
    file_path path = scratch_path("a.safetensors");
    nf__safetensor twice[] = {tensors[0], tensors[0]};
    ck_assert_int_eq(nf__safetensors_write(path.text, twice, 2, NULL, 0, true, &error), AD_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "'net/weight' is there twice"));
    nf__metadata keys[] = {{"a", "1"}, {"a", "2"}};
    ck_assert_int_eq(nf__safetensors_write(path.text, NULL, 0, keys, 2, true, &error), AD_ERROR_ARGUMENT);
    nf__safetensor reserved = {"__metadata__", AD_F32, {0}, weight};
    ck_assert_int_eq(nf__safetensors_write(path.text, &reserved, 1, NULL, 0, true, &error), AD_ERROR_ARGUMENT);
    nf__metadata latin1 = {"a", "\xfc"};
    ck_assert_int_eq(nf__safetensors_write(path.text, NULL, 0, &latin1, 1, true, &error), AD_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "UTF-8"));
    nf__safetensor huge = {"a", AD_F64, {2, {SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 1}}, bias};
    ck_assert_int_eq(nf__safetensors_write(path.text, &huge, 1, NULL, 0, true, &error), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(scratch_files(false), 0);
    ck_assert_int_eq(nf__safetensors_write(scratch_path("none/a").text, tensors, 1, NULL, 0, true, NULL), AD_ERROR_IO);
}
END_TEST

static void assert_refused(const char *path, ad_status status, const char *part)
{
    memset(&error, 0, sizeof error);
    ck_assert_ptr_null(nf__safetensors_read(path, &error));
    ck_assert_int_eq(error.status, status);
    ck_assert_msg(strstr(error.message, part) != NULL, "'%s' is not in the message: %s", part, error.message);
    ck_assert_msg(strstr(error.message, path) != NULL, "the file's name is not in the message: %s", error.message);
    ck_assert_ptr_null(nf__safetensors_read(path, NULL));
}

/* A file of this header and `data` bytes. */
static file_path file_of(const char *header, size_t data)
{
    char content[1024] = {0};
    size_t length = strlen(header);
    content[0] = (char)(length % 256);
    content[1] = (char)(length / 256);
    memcpy(content + 8, header, length);
    return scratch_write("a.safetensors", content, 8 + length + data);
}

#define A "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"

static const struct {
    const char *header;
    size_t data;
    const char *message;
} faults[] = {
    {"", 0, "not a safetensors file"},
    {"[]", 0, "not a safetensors file"},
    {" {}", 0, "not a safetensors file"},
    {"{", 0, "not a safetensors file: byte 1 of its header"},
    {"{} x", 0, "not a safetensors file: byte"},
    {A ",\"\\u0061\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[8,8]}}", 8, "tensor 'a' is there twice"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__ is there twice"},
    {"{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", 0, "duplicate object key"},
    {"{\"__metadata__\":{},}", 0, "byte 19 of its header: a name in quotes"},
    {"{\"a\" 1}", 0, "byte 5 of its header: ':'"},
    {"{\"a\":}", 0, "not a safetensors file: byte 5"},
    {"{\"a\":[}", 0, "byte"},
    {"{\"a\":]}", 0, "not a safetensors file: byte"},
    {"{\"a", 0, "byte 3 of its header: ':'"},
    {A "}}", 8, "the end is expected"},
    {"{\"\xff\":1}", 0, "not a safetensors file: byte"},
    {"{\"a\":1}", 0, "tensor 'a': Expected object"},
    {"{\"\\u001b[2J\":1}", 0, "tensor '?[2J': Expected object"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "tensor 'a': Object item not found: data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"b\":0}}", 8,
     "tensor 'a': 1 object item(s) left"},
    {"{\"a\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4,
     "'a': dtype is BF16; F32 and F64 are read"},
    {"{\"a\":{\"dtype\":32,\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "tensor 'a': Expected string"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", 8, "shape is not a list of at most 4 sizes"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":{},\"data_offsets\":[0,4]}}", 4, "shape is not a list of at most 4 sizes"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, "shape is not a list of at most 4 sizes"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", 8, "shape is not a list of at most 4 sizes"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,2],\"data_offsets\":[0,8]}}", 8, "shape is not a list of at most 4"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,8]}}", 8, "too big integer"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0, "'a': shape "},
    {"{\"a\":{\"dtype\":\"F64\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0, "'a': shape "},
    /* What would be 2 elements, and 8 bytes, in a size_t of 32 bits. */
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967298],\"data_offsets\":[0,8]}}", 8, "'a': shape "},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4294967304]}}", 8, "data_offsets "},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8, "takes 12 bytes, data_offsets give it 8"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, "data_offsets are not [begin, end]"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", 8, "data_offsets are not [begin, end]"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,8]}}", 8, "data_offsets are not [begin, end]"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":{\"0\":0,\"8\":8}}}", 8, "data_offsets are not"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}", 16,
     "'a' begins at byte 8 of the data, where"},
    {A ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "tensor 'b' begins at byte 4"},
    {A ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[12,16]}}", 16,
     "'b' begins at byte 12 of the data, where"},
    {A ",\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "begins at byte 0"},
    {A "}", 7, "cut short: 8 bytes of data expected, got 7"},
    {A "}", 9, "too long: 8 bytes of data expected, got 9"},
    {A ",\"__metadata__\":[]}", 8, "__metadata__ is not an object"},
    {A ",\"__metadata__\":{\"k\":1}}", 8, "__metadata__ 'k' is not text"},
};

START_TEST(reader_refuses)
{
    assert_refused(file_of(faults[_i].header, faults[_i].data).text, AD_ERROR_FORMAT, faults[_i].message);
}
END_TEST

/* The order of names in the header isn't that of the data, which needn't be aligned. */
START_TEST(reader_accepts)
{
    const char *header = "{\"b\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[8,16]},"
                         "\"c\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[8,8]},"
                         "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}} \n ";
    nf__safetensors *file = nf__safetensors_read(file_of(header, 16).text, &error);
    ck_assert_msg(file != NULL, "%s", error.message);
    size_t count;
    const nf__safetensor *all = nf__safetensors_all(file, &count);
    ck_assert_uint_eq(count, 3);
    ck_assert_str_eq(all[0].name, "a");
    ck_assert_str_eq(all[1].name, "c");
    ck_assert_str_eq(all[2].name, "b");
    ck_assert_uint_eq((uintptr_t)all[2].data % 64, 0);
    ck_assert_double_eq(*(const double *)all[2].data, 0);
    ck_assert_ptr_null(nf__safetensors_metadata(file, "a"));
    nf__safetensors_free(file);
}
END_TEST

START_TEST(reader_refuses_lengths)
{
    assert_refused(scratch_path("none").text, AD_ERROR_IO, "No such file");
    assert_refused(scratch_write("a", "\x93NUMPY\1\0v\0{'descr': '<f8'", 25).text, AD_ERROR_FORMAT,
                   "not a safetensors file");
    assert_refused(scratch_write("a", "\1\341\365\5\0\0\0\0{}", 10).text, AD_ERROR_FORMAT, "not a safetensors file");
    assert_refused(scratch_write("a", "\0\341\365\5\0\0\0\0{}", 10).text, AD_ERROR_FORMAT,
                   "cut short: a header of 100000000 bytes expected, got 2");
    assert_refused(scratch_write("a", "\2\0\0\0\0\0\0\200{}", 10).text, AD_ERROR_FORMAT, "not a safetensors file");

    char content[1024];
    file_path path = scratch_path("a.safetensors");
    ck_assert_int_eq(write_example(path.text), AD_OK);
    size_t bytes = slurp(path.text, content, sizeof content);
    for (size_t length = 0; length < bytes; length++)
        assert_refused(scratch_write("a.safetensors", content, length).text, AD_ERROR_FORMAT, "cut short");
    content[bytes] = 0;
    assert_refused(scratch_write("a.safetensors", content, bytes + 1).text, AD_ERROR_FORMAT, "too long");
}
END_TEST

/* Whatever single bit is wrong in the length or the header: a clean refusal, or a file that can be used. */
START_TEST(every_bit_flipped)
{
    char content[1024];
    file_path path = scratch_path("a.safetensors");
    ck_assert_int_eq(write_example(path.text), AD_OK);
    size_t bytes = slurp(path.text, content, sizeof content);
    size_t header = bytes - sizeof weight - sizeof bias - sizeof(float);
    for (size_t bit = 0; bit < 8 * header; bit++) {
        content[bit / 8] ^= (char)(1 << bit % 8);
        scratch_write("a.safetensors", content, bytes);
        content[bit / 8] ^= (char)(1 << bit % 8);
        memset(&error, 0, sizeof error);
        nf__safetensors *file = nf__safetensors_read(path.text, &error);
        if (!file) {
            ck_assert_int_eq(error.status, AD_ERROR_FORMAT);
            ck_assert_ptr_nonnull(strstr(error.message, "a.safetensors"));
            continue;
        }
        size_t count, total = 0;
        const nf__safetensor *all = nf__safetensors_all(file, &count);
        for (size_t i = 0; i < count; i++) {
            size_t size = ad_shape_size(all[i].shape) * ad_dtype_size(all[i].dtype);
            char *copy = malloc(size + 1);
            memcpy(copy, all[i].data, size);
            free(copy);
            total += size;
            ck_assert_uint_gt(strlen(all[i].name), 0);
        }
        ck_assert_uint_eq(total, bytes - header);
        nf__safetensors_free(file);
    }
}
END_TEST

START_TEST(every_allocation_fails)
{
    file_path path = scratch_path("a.safetensors");
    for (size_t allowed = 0;; allowed++) {
        memory_limit(allowed);
        ad_status status = write_example(path.text);
        bool denied = memory.denied;
        memory_unlimited();
        ck_assert_int_eq(status, denied ? AD_ERROR_MEMORY : AD_OK);
        ck_assert_int_eq(scratch_files(false), denied ? 0 : 1);
        if (!denied) break;
    }
    for (size_t allowed = 0;; allowed++) {
        memory_limit(allowed);
        nf__safetensors *file = nf__safetensors_read(path.text, &error);
        bool denied = memory.denied;
        memory_unlimited();
        ck_assert_int_eq(file == NULL, denied);
        if (!file) ck_assert_int_eq(error.status, AD_ERROR_MEMORY);
        if (file) assert_example(file);
        nf__safetensors_free(file);
        if (!denied) break;
    }
}
END_TEST

Suite *safetensors_suite(void)
{
    Suite *suite = suite_create("safetensors");
    TCase *all = tcase_create("safetensors");
    tcase_add_checked_fixture(all, scratch_begin, scratch_end);
    tcase_add_test(all, round_trip);
    tcase_add_test(all, empty);
    tcase_add_test(all, reads_what_python_wrote);
    tcase_add_test(all, writer_refuses);
    tcase_add_loop_test(all, reader_refuses, 0, COUNT(faults));
    tcase_add_test(all, reader_accepts);
    tcase_add_test(all, reader_refuses_lengths);
    tcase_add_test(all, every_bit_flipped);
    tcase_add_test(all, every_allocation_fails);
    suite_add_tcase(suite, all);
    return suite;
}
