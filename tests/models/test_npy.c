/* Tables in NumPy's files, .npy: what NumPy wrote is read, and the other way round. */
#include "models/data_tools.h"

/* As golden/npy.py tells. */
static const struct {
    const char *name;
    double offset;
    ad_dtype dtype;
} numpy_tables[] = {
    {"little_f4_c", 0.25, AD_F32},
    {"little_f4_fortran", 0.25, AD_F32},
    {"big_f4_c", 0.25, AD_F32},
    {"big_f4_fortran", 0.25, AD_F32},
    {"little_f8_c", 0.25, AD_F64},
    {"little_f8_fortran", 0.25, AD_F64},
    {"big_f8_c", 0.25, AD_F64},
    {"big_f8_fortran", 0.25, AD_F64},
    {"i1", -1, AD_F64},
    {"little_i2", -1, AD_F64},
    {"big_i4", -1, AD_F64},
    {"little_i8", -1, AD_F64},
    {"big_i8", -1, AD_F64},
    {"u1", 0, AD_F64},
    {"big_u2", 0, AD_F64},
    {"little_u4", 0, AD_F64},
    {"little_u8", 0, AD_F64},
    {"version_1", 0.25, AD_F64},
    {"version_2", 0.25, AD_F64},
    {"version_3", 0.25, AD_F64},
};

START_TEST(npy_reads_what_numpy_wrote)
{
    nf_table table = read_table(numpy_path(numpy_tables[_i].name).text);
    ck_assert_uint_eq(table.rows, 3);
    ck_assert_uint_eq(table.columns, 2);
    ck_assert_int_eq(table.dtype, numpy_tables[_i].dtype);
    ck_assert_ptr_null(table.names);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 2; j++) ck_assert_double_eq(table.values[2 * i + j], 10 * i + j + numpy_tables[_i].offset);
    nf_table_free(&table);
    ck_assert_ptr_null(table.values);
}
END_TEST

START_TEST(npy_one_dimension_is_a_column)
{
    nf_table table = read_table(numpy_path("one_dimension").text);
    ck_assert_uint_eq(table.rows, 3);
    ck_assert_uint_eq(table.columns, 1);
    for (int i = 0; i < 3; i++) ck_assert_double_eq(table.values[i], 10 * i + 1.25);
    nf_table_free(&table);
}
END_TEST

/* As it comes through a pipe. */
START_TEST(npy_without_extension)
{
    char bytes[1024];
    size_t size = slurp(numpy_path("one_dimension").text, bytes, sizeof bytes);
    nf_table table = read_table(scratch_write("pipe", bytes, size).text);
    ck_assert_uint_eq(table.rows, 3);
    ck_assert_double_eq(table.values[2], 21.25);
    nf_table_free(&table);
}
END_TEST

/* Images, as rows in C's order, and written again as they were. */
START_TEST(npy_images)
{
    static const struct {
        const char *name;
        ad_shape event;
    } images[] = {{"three_dimensions", {.rank = 2, .dim = {2, 3}}}, {"four_dimensions", {.rank = 3, .dim = {1, 2, 3}}}};
    for (size_t i = 0; i < COUNT(images); i++) {
        nf_table table = read_table(numpy_path(images[i].name).text);
        nf_npy *npy = nf_npy_open(numpy_path(images[i].name).text, NULL);
        ck_assert_uint_eq(table.rows, 2);
        ck_assert_uint_eq(table.columns, 6);
        ck_assert_uint_eq(nf_npy_columns(npy), 6);
        ck_assert(ad_shape_equal(table.event, images[i].event) && ad_shape_equal(nf_npy_event(npy), images[i].event));
        for (size_t k = 0; k < 12; k++) ck_assert_double_eq(table.values[k], (double)k);
        const file_path copy = scratch_path("copy.npy");
        ck_assert_int_eq(nf_table_write(copy.text, &table, NULL), AD_OK);
        nf_table again = read_table(copy.text);
        ck_assert(ad_shape_equal(again.event, images[i].event));
        ck_assert_mem_eq(again.values, table.values, 12 * sizeof(double));
        again.event.dim[0] = 7; /* of other columns than there are */
        ck_assert_int_eq(nf_table_write(copy.text, &again, NULL), AD_OK);
        nf_table_free(&again);
        again = read_table(copy.text);
        ck_assert_int_eq(again.event.rank, 0);
        nf_table_free(&again);
        nf_table_free(&table);
        nf_npy_close(npy);
    }
    ck_assert_int_eq(nf_npy_event(NULL).rank, 0);
}
END_TEST

START_TEST(npy_booleans)
{
    nf_table table = read_table(numpy_path("bool").text);
    for (int i = 0; i < 4; i++) ck_assert_double_eq(table.values[i], i == 1 || i == 2);
    nf_table_free(&table);
}
END_TEST

START_TEST(npy_refuses)
{
    assert_refused(numpy_path("five_dimensions").text, AD_ERROR_FORMAT, "has 5 dimensions");
    assert_refused(numpy_path("three_fortran").text, AD_ERROR_FORMAT, "numpy.ascontiguousarray(array)");
    assert_refused(numpy_path("no_dimension").text, AD_ERROR_FORMAT, "has 0 dimensions");
    assert_refused(numpy_path("no_rows").text, AD_ERROR_FORMAT, "has 0 rows");
    assert_refused(numpy_path("complex").text, AD_ERROR_FORMAT, "dtype <c16; float32, float64");
    assert_refused(numpy_path("structured").text, AD_ERROR_FORMAT, "dtype structured");
    assert_refused(scratch_write("a.npy", "1,2\n3,4\n", 8).text, AD_ERROR_FORMAT, "is not a .npy file");
    assert_refused(scratch_write("a.npy", "\x93NUMPY\4\0\1\0\0\0\n", 13).text, AD_ERROR_FORMAT, "version 4.0");
}
END_TEST

START_TEST(npy_refuses_every_other_length)
{
    static const char *const names[] = {"version_1", "version_2", "big_f4_fortran"};
    char content[512];
    size_t bytes = slurp(numpy_path(names[_i]).text, content, sizeof content);
    for (size_t length = 0; length < bytes; length++)
        assert_refused(scratch_write("a.npy", content, length).text, AD_ERROR_FORMAT,
                       length > 0 ? "cut short" : "is empty");
    char expected[64];
    snprintf(expected, sizeof expected, "%d bytes of data expected", _i == 2 ? 24 : 48);
    assert_refused(scratch_write("a.npy", content, bytes - 1).text, AD_ERROR_FORMAT, expected);
    assert_refused(scratch_write("a.npy", content, bytes + 1).text, AD_ERROR_FORMAT, "too long");
}
END_TEST

static file_path npy_with_header(const char *header)
{
    char content[512] = "\x93NUMPY\1";
    size_t length = strlen(header);
    content[8] = (char)length;
    strcpy(content + 10, header);
    return scratch_write("a.npy", content, 10 + length + 16);
}

START_TEST(npy_headers)
{
    static const char *const good[] = {
        "{'descr':'<f8','fortran_order':False,'shape':(2,)}",
        "{'shape': (2L, 1L), \"descr\": \"<f8\", 'fortran_order': True, }  \n",
        "  { 'fortran_order' :False , 'descr' : '>f4' , 'shape' : ( 2 , 2 , ) , } ",
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        nf_table table = read_table(npy_with_header(good[i]).text);
        ck_assert_uint_eq(table.rows, 2);
        nf_table_free(&table);
    }
    static const char *const bad[] = {
        "",
        "{",
        "{}",
        "{'descr':'<f8','fortran_order':False}",
        "{'descr':'<f8','fortran_order':False,'shape':(2,)",
        "{'descr':'<f8','fortran_order':False,'shape':(2)}", /* no tuple */
        "{'descr':'<f8','fortran_order':False,'shape':(2L)}",
        "{'descr':'<f8','fortran_order':False,'shape':(2,}",
        "{'descr':'<f8','fortran_order':False,'shape':(-2,)}",
        "{'descr':'<f8','fortran_order':False,'shape':(,2)}",
        "{'descr':'<f8','fortran_order':Maybe,'shape':(2,)}",
        "{'descr':'<f8','fortran_order':False,'shape':(2,)} x",
        "{'descr':'<f8' 'fortran_order':False,'shape':(2,)}",
        "{'descr':'<f8','fortran_order':False,'shape':(2,),'more':1}",
        "{'descr':'<f8','descr':'<f8','fortran_order':False,'shape':(2,)}",
        "{'descr:'<f8','fortran_order':False,'shape':(2,)}",
        "{'descr':8,'fortran_order':False,'shape':(2,)}",
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_refused(npy_with_header(bad[i]).text, AD_ERROR_FORMAT, "broken .npy header");
    static const char *const dtypes[] = {"<f2", "<f", "f8", "<f88", "|f8", "<U4", ""};
    for (size_t i = 0; i < COUNT(dtypes); i++) {
        char header[128];
        snprintf(header, sizeof header, "{'descr':'%s','fortran_order':False,'shape':(2,)}", dtypes[i]);
        assert_refused(npy_with_header(header).text, AD_ERROR_FORMAT, "float64");
    }
    static const char *const huge[] = {"1152921504606846976,", "4294967296,4294967296", "2305843009213693952,1",
                                       "18446744073709551618,", "184467440737095516180000000002,1"};
    for (size_t i = 0; i < COUNT(huge); i++) {
        char header[128];
        snprintf(header, sizeof header, "{'descr':'<f8','fortran_order':False,'shape':(%s)}", huge[i]);
        assert_refused(npy_with_header(header).text, AD_ERROR_FORMAT,
                       i == 0 && sizeof(size_t) > 4 ? "cut short" : "than can be addressed here");
    }
    /* A header that says it is longer than the file. */
    assert_refused(scratch_write("a.npy", "\x93NUMPY\2\0\xff\xff\xff\xff{}", 14).text, AD_ERROR_FORMAT,
                   "a header of 4294967295 bytes expected, got 2");
}
END_TEST

START_TEST(npy_writes_what_numpy_writes)
{
    double values[6];
    for (int i = 0; i < 6; i++) values[i] = 10 * (i / 2) + i % 2 + 0.25;
    static const char *const names[] = {[AD_F32] = "little_f4_c", [AD_F64] = "version_1"};
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        char ours[512], numpy[512];
        file_path path = scratch_path("a.npy");
        ck_assert_int_eq(nf_table_write(path.text, &(nf_table){3, 2, values, NULL, dtype}, &error), AD_OK);
        size_t bytes = slurp(path.text, ours, sizeof ours);
        ck_assert_uint_eq(bytes, slurp(numpy_path(names[dtype]).text, numpy, sizeof numpy));
        ck_assert_mem_eq(ours, numpy, bytes);
    }
}
END_TEST

Suite *npy_suite(void)
{
    Suite *suite = suite_create("npy");
    TCase *npy = tcase_create("npy");
    tcase_add_checked_fixture(npy, scratch_begin, scratch_end);
    tcase_add_loop_test(npy, npy_reads_what_numpy_wrote, 0, COUNT(numpy_tables));
    tcase_add_test(npy, npy_one_dimension_is_a_column);
    tcase_add_test(npy, npy_booleans);
    tcase_add_test(npy, npy_images);
    tcase_add_test(npy, npy_without_extension);
    tcase_add_test(npy, npy_refuses);
    tcase_add_loop_test(npy, npy_refuses_every_other_length, 0, 3);
    tcase_add_test(npy, npy_headers);
    tcase_add_test(npy, npy_writes_what_numpy_writes);
    suite_add_tcase(suite, npy);
    return suite;
}
