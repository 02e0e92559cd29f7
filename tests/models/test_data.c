/* Tables and their files, whole-file writing, the two moons and the banana. */
#include <weir/file.h>
#include <weir/data.h>
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/sysmacros.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static ad_error error;

static void assert_message(const char *part)
{
    ck_assert_msg(strstr(error.message, part) != NULL, "'%s' is not in the message: %s", part, error.message);
}

static void assert_refused(const char *path, ad_status status, const char *part)
{
    nf_table table;
    memset(&error, 0, sizeof error);
    ck_assert_int_eq(nf_table_read(path, &table, &error), status);
    ck_assert_int_eq(error.status, status);
    assert_message(part);
    ck_assert_ptr_null(table.values);
    ck_assert_ptr_null(table.names);
    ck_assert_uint_eq(table.rows, 0);
    ck_assert_int_eq(nf_table_read(path, &table, NULL), status);
}

static nf_table read_table(const char *path)
{
    nf_table table;
    ck_assert_msg(nf_table_read(path, &table, &error) == AD_OK, "%s", error.message);
    return table;
}

/* ---- .npy ---------------------------------------------------------------------------------------------------- */

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

static file_path numpy_path(const char *name)
{
    char file[64];
    snprintf(file, sizeof file, "npy/%s.npy", name);
    return golden_path(file);
}

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

START_TEST(npy_booleans)
{
    nf_table table = read_table(numpy_path("bool").text);
    for (int i = 0; i < 4; i++) ck_assert_double_eq(table.values[i], i == 1 || i == 2);
    nf_table_free(&table);
}
END_TEST

START_TEST(npy_refuses)
{
    assert_refused(numpy_path("three_dimensions").text, AD_ERROR_FORMAT, "has 3 dimensions");
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
        "{'descr':'<f8','fortran_order':False,'shape':(2)",
        "{'descr':'<f8','fortran_order':False,'shape':(2}",
        "{'descr':'<f8','fortran_order':False,'shape':(-2,)}",
        "{'descr':'<f8','fortran_order':False,'shape':(,2)}",
        "{'descr':'<f8','fortran_order':False,'shape':(18446744073709551618,)}",
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
    static const char *const huge[] = {"4294967296,4294967296", "2305843009213693952,1", "1152921504606846976,"};
    for (size_t i = 0; i < COUNT(huge); i++) {
        char header[128];
        snprintf(header, sizeof header, "{'descr':'<f8','fortran_order':False,'shape':(%s)}", huge[i]);
        assert_refused(npy_with_header(header).text, AD_ERROR_FORMAT, "cut short");
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

/* ---- Text ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *extension, *text;
    size_t rows, columns;
    double values[6];
    const char *names[3];
} text_table;

static const text_table text_tables[] = {
    {".csv", "1,2\n3,4\n", 2, 2, {1, 2, 3, 4}, {0}},
    {".csv", "1,2\n3,4", 2, 2, {1, 2, 3, 4}, {0}},
    {".CSV", "1,2\r\n3,4\r\n", 2, 2, {1, 2, 3, 4}, {0}},
    {".csv", "1,2\r3,4\r", 2, 2, {1, 2, 3, 4}, {0}},
    {".csv", "\xef\xbb\xbf\"1\",2\n3,4\n", 2, 2, {1, 2, 3, 4}, {0}},
    {".csv", "\n\r\n  \t\n1,2\n\n3,4\n\n \n", 2, 2, {1, 2, 3, 4}, {0}},
    {".csv", " 1 ,\t2\n3  , 4 \n", 2, 2, {1, 2, 3, 4}, {0}},
    {".csv", "x,y\n1,2\n", 1, 2, {1, 2}, {"x", "y"}},
    {".csv", "\xef\xbb\xbfx,y\n1,2\n", 1, 2, {1, 2}, {"x", "y"}},
    {".csv", " x 1 , y\n1,2\n", 1, 2, {1, 2}, {"x 1", "y"}},
    {".csv", ",0,x\n1,2,3\n", 1, 3, {1, 2, 3}, {"", "0", "x"}},
    {".csv", "\"a,b\",\"say \"\"x\"\"\",\"two\nlines\"\n1,2,3", 1, 3, {1, 2, 3}, {"a,b", "say \"x\"", "two\nlines"}},
    {".csv", "\"1\",\"-2.5\" \n\" 3 \",4\n", 2, 2, {1, -2.5, 3, 4}, {0}},
    {".csv", "-1.5e3,+.25\n1E-2,0x1p4\n", 2, 2, {-1500, 0.25, 0.01, 16}, {0}},
    {".csv", "inf,-Infinity\n1e999,-1e-999\n", 2, 2, {INFINITY, -INFINITY, INFINITY, -0.0}, {0}},
    {".csv", "7", 1, 1, {7}, {0}},
    {".csv", "size\n7\n\n8\n", 2, 1, {7, 8}, {"size"}},
    {".tsv", "a b\tc\n1\t2\n 3 \t4\n", 2, 2, {1, 2, 3, 4}, {"a b", "c"}},
    {".txt", "1 2\n3 4\n", 2, 2, {1, 2, 3, 4}, {0}},
    {".txt", "  1\t  2 \n\t3 4\t\r\n", 2, 2, {1, 2, 3, 4}, {0}},
    {".txt", "\"a b\" c\n1 2\n3 4\n", 2, 2, {1, 2, 3, 4}, {"a b", "c"}},
    {".txt", "# x y\n1 2\n3 4\n", 2, 2, {1, 2, 3, 4}, {"x", "y"}},
    {".csv", "# made by hand\n#x,y\n1,2\n # between\n3,4\n#", 2, 2, {1, 2, 3, 4}, {"x", "y"}},
    {".csv", "# one, two\n# x, \"y\n1,2\n3,4\n", 2, 2, {1, 2, 3, 4}, {0}},
    {".csv", "# of 1, 2\r\na,b\r\n1,2\r\n3,4\r\n", 2, 2, {1, 2, 3, 4}, {"a", "b"}},
    {".csv", "#1,2\n3,4\n#x,y\n5,6\n", 2, 2, {3, 4, 5, 6}, {0}},
};

static void assert_text_table(const char *path, const text_table *expected)
{
    nf_table table = read_table(path);
    ck_assert_uint_eq(table.rows, expected->rows);
    ck_assert_uint_eq(table.columns, expected->columns);
    for (size_t i = 0; i < table.rows * table.columns; i++) ck_assert_double_eq(table.values[i], expected->values[i]);
    ck_assert_int_eq(table.names != NULL, expected->names[0] != NULL);
    for (size_t i = 0; table.names && i < table.columns; i++) ck_assert_str_eq(table.names[i], expected->names[i]);
    ck_assert_int_eq(table.dtype, AD_F64);
    nf_table_free(&table);
}

START_TEST(text_reads)
{
    const text_table *expected = &text_tables[_i];
    char name[16];
    snprintf(name, sizeof name, "a%s", expected->extension);
    file_path path = scratch_write(name, expected->text, strlen(expected->text));
    assert_text_table(path.text, expected);
}
END_TEST

static const struct {
    const char *extension, *text, *message;
} text_faults[] = {
    {".csv", "", "a.csv' is empty"},
    {".csv", "\n \r\n", "nothing but empty lines"},
    {".csv", "# x,y\n\n#", "nothing but empty lines and comments"},
    {".csv", "# a\n1,2\n# b\n3,4#\n", "a.csv:4:2: '4#' is not a number"},
    {".csv", "x,y\n\n", "names of columns but no rows"},
    {".csv", "x,y\n1,2\n3,abc\n", "a.csv:3:2: 'abc' is not a number"},
    {".csv", "1,2\n\n\n3,4x\n", "a.csv:4:2: '4x' is not a number"},
    {".csv", "1,2\r\n\r\n\r\n3,4 x\r\n", "a.csv:4:2: '4 x' is not a number"},
    {".csv", "1,2\n3,\xff\xfe\033[2J\n", "a.csv:2:2: '\xff\xfe?[2J' is not a number"},
    {".csv", "x,y\n1,2\n,4\n", "a.csv:3:1: this field is empty"},
    {".csv", "1,\n", "a.csv:1:2: this field is empty"},
    {".csv", "1,2\n3,\"\"\n", "a.csv:2:2: this field is empty"},
    {".csv", "1,2\n3\n", "a.csv:2:2: this line has 1 column where line 1 has 2"},
    {".csv", "\nx,y\n1,2\n3,4,5\n", "a.csv:4:3: this line has 3 columns where line 2 has 2"},
    {".csv", "\"a\nb\",y\n1\n", "a.csv:3:2: this line has 1 column where line 1 has 2"},
    {".csv", "x,y\n1,\"2\n3,4\n", "a.csv:2:2: this field's quote is never closed"},
    {".csv", "x,y\n1,\"2\" 3\n", "a.csv:2:2: there is text after the closing quote"},
    {".csv", "1,2\n3,\v\n4\n", "a.csv:2:2: '?' is not a number"},
    {".csv", "1;2\n3;4\n", "a.csv:2:1: '3;4' is not a number; commas separate the fields of a .csv file"},
    {".tsv", "1 2\n3 4\n", "a.tsv:2:1: '3 4' is not a number; tabs separate"},
    {".txt", "1,2\n3,4\n", "a.txt:2:1: '3,4' is not a number; blanks separate"},
    {".tsv", "1\t2\n3\t\n", "a.tsv:2:2: this field is empty"},
    {".txt", "1 2\n3 4 5\n", "a.txt:2:3: this line has 3 columns where line 1 has 2"},
    {".txt", "1 2\n3 \"4\"5\n", "a.txt:2:2: there is text after"},
};

START_TEST(text_refuses)
{
    char name[16];
    snprintf(name, sizeof name, "a%s", text_faults[_i].extension);
    const char *text = text_faults[_i].text;
    assert_refused(scratch_write(name, text, strlen(text)).text, AD_ERROR_FORMAT, text_faults[_i].message);
}
END_TEST

START_TEST(text_with_nul)
{
    assert_refused(scratch_write("a.csv", "1,2\n3,4\0005\n", 10).text, AD_ERROR_FORMAT, "a.csv:2:2: '4?5' is not");
}
END_TEST

/* A file cut anywhere is read as far as it goes, or refused with a message: never more than that. */
START_TEST(text_of_every_length)
{
    const char *text = "\xef\xbb\xbf\"a\"\"b\",c\r\n1.5e-3, \"2\"\r\n\n-4,nan\n";
    for (size_t length = 0; length <= strlen(text); length++) {
        nf_table table;
        memset(&error, 0, sizeof error);
        ad_status status = nf_table_read(scratch_write("a.csv", text, length).text, &table, &error);
        ck_assert(status == AD_OK || (status == AD_ERROR_FORMAT && error.message[0] != '\0'));
        if (!status) ck_assert(table.rows >= 1 && table.rows <= 2 && table.columns == 2);
        nf_table_free(&table);
    }
}
END_TEST

START_TEST(text_many_rows)
{
    enum { ROWS = 1000 };
    static char text[ROWS * 16];
    size_t length = 0;
    for (int i = 0; i < ROWS; i++) length += (size_t)sprintf(text + length, "%d,%d\n", i, -2 * i);
    nf_table table = read_table(scratch_write("a.csv", text, length).text);
    ck_assert_uint_eq(table.rows, ROWS);
    for (int i = 0; i < ROWS; i++) {
        ck_assert_double_eq(table.values[2 * i], i);
        ck_assert_double_eq(table.values[2 * i + 1], -2 * i);
    }
    nf_table_free(&table);
}
END_TEST

START_TEST(text_line_too_long)
{
    static char text[100000] = "1,2\n3";
    size_t length = strlen(text);
    for (int i = 0; i < 20000; i++) length += (size_t)sprintf(text + length, ",4");
    assert_refused(scratch_write("a.csv", text, length).text, AD_ERROR_FORMAT,
                   "a.csv:2:3: this line has 20001 columns where line 1 has 2");
}
END_TEST

START_TEST(text_writes)
{
    double values[] = {0.1, -1, 1.0 / 3, 1e300, NAN, -INFINITY};
    char *names[] = {"#x", "a \"b\""};
    char text[256];
    file_path path = scratch_path("a.csv");
    ck_assert_int_eq(nf_table_write(path.text, &(nf_table){3, 2, values, names, AD_F64}, &error), AD_OK);
    slurp(path.text, text, sizeof text);
    ck_assert_str_eq(text, "\"#x\",\"a \"\"b\"\"\"\n0.1,-1\n0.3333333333333333,1e+300\nnan,-inf\n");
    values[3] = 3;
    ck_assert_int_eq(nf_table_write(path.text, &(nf_table){2, 2, values, NULL, AD_F32}, &error), AD_OK);
    slurp(path.text, text, sizeof text);
    ck_assert_str_eq(text, "0.1,-1\n0.33333334,3\n");
    path = scratch_path("a.txt");
    ck_assert_int_eq(nf_table_write(path.text, &(nf_table){2, 2, values, NULL, AD_F64}, &error), AD_OK);
    slurp(path.text, text, sizeof text);
    ck_assert_str_eq(text, "0.1 -1\n0.3333333333333333 3\n");
}
END_TEST

/* ---- Both ---------------------------------------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15; /* splitmix64 */
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* Numbers of every size come back as the same bits. */
static void assert_round_trip(const char *name, ad_dtype dtype)
{
    enum { ROWS = 4000, COLUMNS = 2 };
    static double values[ROWS * COLUMNS];
    uint64_t state = 1;
    for (size_t i = 0; i < COUNT(values); i++) {
        uint64_t bits = next_random(&state);
        uint32_t half = (uint32_t)bits;
        float value;
        memcpy(&value, &half, sizeof value);
        memcpy(&values[i], &bits, sizeof bits);
        if (dtype == AD_F32) values[i] = (double)value;
        if (!isfinite(values[i])) values[i] = 0;
    }
    double edges[] = {-0.0, DBL_MAX, DBL_MIN, DBL_TRUE_MIN, -DBL_EPSILON, 0.1 + 0.2, 9007199254740993.0};
    double float_edges[] = {-0.0, (double)FLT_MAX, (double)FLT_MIN, (double)FLT_TRUE_MIN};
    if (dtype == AD_F64)
        memcpy(values, edges, sizeof edges);
    else
        memcpy(values, float_edges, sizeof float_edges);
    file_path path = scratch_path(name);
    ck_assert_int_eq(nf_table_write(path.text, &(nf_table){ROWS, COLUMNS, values, NULL, dtype}, &error), AD_OK);
    nf_table table = read_table(path.text);
    ck_assert_uint_eq(table.rows, ROWS);
    ck_assert_uint_eq(table.columns, COLUMNS);
    for (size_t i = 0; i < COUNT(values); i++) {
        if (dtype == AD_F32) table.values[i] = (double)(float)table.values[i];
        ck_assert_mem_eq(&table.values[i], &values[i], sizeof(double));
    }
    nf_table_free(&table);
}

START_TEST(round_trips)
{
    static const char *const names[] = {"a.npy", "a.csv", "a.tsv", "a.txt", "no_extension"};
    assert_round_trip(names[_i], AD_F64);
    assert_round_trip(names[_i], AD_F32);
}
END_TEST

/* Where the system has a locale with a decimal comma. */
START_TEST(locale_changes_nothing)
{
    static const char *const locales[] = {"de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8", "es_ES.UTF-8"};
    const char *locale = NULL;
    for (size_t i = 0; i < COUNT(locales) && !locale; i++) locale = setlocale(LC_ALL, locales[i]);
    assert_round_trip("a.csv", AD_F64);
    assert_text_table(scratch_write("b.csv", text_tables[13].text, strlen(text_tables[13].text)).text,
                      &text_tables[13]);
    setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(finite_values)
{
    nf_table table = read_table(numpy_path("not_finite").text);
    ck_assert(isnan(table.values[2]));
    ck_assert_int_eq(nf_table_check_finite(&table, "data.npy", &error), AD_ERROR_FORMAT);
    assert_message("data.npy: row 2, column 1 is NaN");
    table.values[2] = 0;
    char *names[] = {"x", "y"};
    table.names = names;
    ck_assert_int_eq(nf_table_check_finite(&table, "data.npy", &error), AD_ERROR_FORMAT);
    assert_message("data.npy: row 2, column 2 ('y') is infinite");
    table.names = NULL;
    table.values[3] = 0;
    ck_assert_int_eq(nf_table_check_finite(&table, "data.npy", &error), AD_OK);
    nf_table_free(&table);
}
END_TEST

START_TEST(bad_paths)
{
    assert_refused(scratch_path("none.csv").text, AD_ERROR_IO, "none.csv': No such file or directory");
    assert_refused(scratch, AD_ERROR_IO, "Is a directory");
    assert_refused("/dev/null", AD_ERROR_FORMAT, "is empty");
    assert_refused(scratch_write("a.dat", "1,2", 3).text, AD_ERROR_ARGUMENT, "extension '.dat'; known are .npy, .csv");
    ck_assert_int_eq(nf_table_write(scratch_path("b.dat").text, &(nf_table){0}, &error), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(nf_table_write(scratch_path("none/b.npy").text, &(nf_table){0}, &error), AD_ERROR_IO);
    assert_message("none/b.npy': No such file or directory");
}
END_TEST

START_TEST(every_allocation_fails)
{
    static char text[8192] = "name,other\n";
    for (int i = 0; i < 100; i++) strcat(text, "1,2\n");
    scratch_write("a.csv", text, strlen(text));
    scratch_write("b.csv", text + 11, strlen(text) - 11);
    const file_path sources[] = {scratch_path("a.csv"), scratch_path("b.csv"), numpy_path("version_1"),
                                 numpy_path("big_f4_c")};
    int files = scratch_files(false);
    for (size_t i = 0; i < COUNT(sources); i++) {
        for (size_t allowed = 0;; allowed++) {
            nf_table table;
            memory_limit(allowed);
            ad_status status = nf_table_read(sources[i].text, &table, &error);
            bool denied = memory.denied;
            memory_unlimited();
            ck_assert(status == AD_ERROR_MEMORY || status == AD_OK);
            nf_table_free(&table);
            if (!denied) break;
        }
    }
    double value = 1;
    memory_limit(0);
    ad_status status = nf_table_write(scratch_path("c.npy").text, &(nf_table){1, 1, &value, NULL, AD_F64}, &error);
    memory_unlimited();
    ck_assert_int_eq(status, AD_ERROR_MEMORY);
    ck_assert_int_eq(scratch_files(false), files);
}
END_TEST

/* ---- Whole files --------------------------------------------------------------------------------------------- */

static nf_file *create(const char *path)
{
    nf_file *file;
    ck_assert_msg(nf_file_create(path, &file, &error) == AD_OK, "%s", error.message);
    return file;
}

static void write_text(const char *path, const char *text)
{
    nf_file *file = create(path);
    nf_file_write(file, text, strlen(text));
    ck_assert_msg(nf_file_commit(file, &error) == AD_OK, "%s", error.message);
}

static void assert_content(const char *path, const char *expected)
{
    char text[256];
    slurp(path, text, sizeof text);
    ck_assert_str_eq(text, expected);
}

START_TEST(file_appears_whole)
{
    file_path path = scratch_path("a");
    nf_file *file = create(path.text);
    nf_file_write(file, "new", 3);
    ck_assert_int_ne(access(path.text, F_OK), 0);
    ck_assert_int_eq(nf_file_commit(file, &error), AD_OK);
    assert_content(path.text, "new");
    write_text(path.text, "newer");
    assert_content(path.text, "newer");
    ck_assert_int_eq(scratch_files(false), 1);
}
END_TEST

/* Where the file system has files without a name. */
START_TEST(file_of_a_killed_process)
{
    int fd = open(scratch, O_WRONLY | O_TMPFILE, 0600);
    if (fd < 0) return;
    close(fd);
    file_path path = scratch_write("a", "old", 3);
    pid_t child = fork();
    if (child == 0) {
        nf_file_write(create(path.text), "new", 3);
        kill(getpid(), SIGKILL);
    }
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    assert_content(path.text, "old");
    ck_assert_int_eq(scratch_files(false), 1);
}
END_TEST

START_TEST(file_abort_keeps_the_old)
{
    file_path path = scratch_write("a", "old", 3);
    nf_file *file = create(path.text);
    nf_file_write(file, "new", 3);
    nf_file_abort(file);
    assert_content(path.text, "old");
    ck_assert_int_eq(scratch_files(false), 1);
}
END_TEST

START_TEST(file_two_at_once)
{
    file_path path = scratch_path("a");
    nf_file *one = create(path.text), *two = create(path.text);
    nf_file_write(one, "one", 3);
    nf_file_write(two, "two", 3);
    ck_assert_int_eq(nf_file_commit(two, &error), AD_OK);
    assert_content(path.text, "two");
    ck_assert_int_eq(nf_file_commit(one, &error), AD_OK);
    assert_content(path.text, "one");
    ck_assert_int_eq(scratch_files(false), 1);
}
END_TEST

START_TEST(file_of_pieces)
{
    enum { PIECES = 700 };
    static char expected[PIECES * PIECES], got[PIECES * PIECES];
    size_t length = 0;
    nf_file *file = create(scratch_path("a").text);
    for (size_t i = 0; i < PIECES; i++) {
        memset(expected + length, (int)('a' + i % 26), i);
        nf_file_write(file, expected + length, i);
        length += i;
    }
    nf_file_write(file, expected, length); /* larger than any buffer */
    ck_assert_int_eq(nf_file_commit(file, &error), AD_OK);
    ck_assert_uint_eq(slurp(scratch_path("a").text, got, sizeof got), 2 * length);
    ck_assert_mem_eq(got, expected, length);
    ck_assert_mem_eq(got + length, expected, length);
}
END_TEST

static mode_t mode_of(const char *path)
{
    struct stat about;
    ck_assert_int_eq(lstat(path, &about), 0);
    return about.st_mode & (S_IFMT | 07777);
}

START_TEST(file_permissions)
{
    file_path path = scratch_path("a");
    mode_t old = umask(027);
    write_text(path.text, "1");
    ck_assert_int_eq(mode_of(path.text), S_IFREG | 0640);
    ck_assert_int_eq(chmod(path.text, 0606), 0);
    write_text(path.text, "2");
    ck_assert_int_eq(mode_of(path.text), S_IFREG | 0606);
    umask(old);
    ck_assert_int_eq(chmod(path.text, 0444), 0);
    nf_file *file;
    if (geteuid() != 0) { /* whom nothing is forbidden */
        ck_assert_int_eq(nf_file_create(path.text, &file, &error), AD_ERROR_IO);
        assert_message("Permission denied");
    }
}
END_TEST

START_TEST(file_through_links)
{
    file_path link = scratch_path("link"), second = scratch_path("second"), target = scratch_path("target");
    ck_assert_int_eq(symlink("target", link.text), 0);
    ck_assert_int_eq(symlink(link.text, second.text), 0);
    write_text(second.text, "into nothing");
    assert_content(target.text, "into nothing");
    write_text(second.text, "replaced");
    assert_content(target.text, "replaced");
    ck_assert_int_eq(mode_of(link.text) & S_IFMT, S_IFLNK);
    ck_assert_int_eq(mode_of(second.text) & S_IFMT, S_IFLNK);
    ck_assert_int_eq(scratch_files(false), 3);

    file_path loop = scratch_path("loop");
    ck_assert_int_eq(symlink("loop", loop.text), 0);
    nf_file *file;
    ck_assert_int_eq(nf_file_create(loop.text, &file, &error), AD_ERROR_IO);
    ck_assert_ptr_null(file);
    assert_message("symbolic links");
}
END_TEST

/* A device of /dev that this test couldn't do harm to: root, who could replace it by a file, gets a node of its own. */
static bool device(const char *name, unsigned minor_number, file_path *path)
{
    snprintf(path->text, sizeof path->text, "/dev/%s", name);
    if (geteuid() != 0) return true;
    *path = scratch_path(name);
    if (mknod(path->text, S_IFCHR | 0666, makedev(1, minor_number)) != 0) return false;
    int fd = open(path->text, O_WRONLY); /* refused where the directory's file system has no devices */
    if (fd >= 0) close(fd);
    return fd >= 0;
}

START_TEST(file_to_devices)
{
    file_path null, full, fifo = scratch_path("fifo");
    nf_file *file;
    if (device("null", 3, &null)) {
        write_text(null.text, "gone");
        ck_assert_int_eq(mode_of(null.text) & S_IFMT, S_IFCHR);
    }
    if (device("full", 7, &full)) {
        file = create(full.text);
        nf_file_write(file, "x", 1);
        ck_assert_int_eq(nf_file_commit(file, &error), AD_ERROR_IO);
        assert_message("full': No space left on device");
        ck_assert_int_eq(mode_of(full.text) & S_IFMT, S_IFCHR);
    }
    ck_assert_int_eq(nf_file_create(scratch, &file, &error), AD_ERROR_IO);
    assert_message("Is a directory");

    char got[16] = "";
    ck_assert_int_eq(mkfifo(fifo.text, 0600), 0);
    int files = scratch_files(false);
    int reader = open(fifo.text, O_RDONLY | O_NONBLOCK);
    write_text(fifo.text, "through");
    ck_assert_int_eq(mode_of(fifo.text) & S_IFMT, S_IFIFO);
    ck_assert_int_eq(read(reader, got, sizeof got), 7);
    ck_assert_str_eq(got, "through");
    close(reader);
    ck_assert_int_eq(scratch_files(false), files);
}
END_TEST

/* An open file is written to at its place, not anew. */
START_TEST(file_to_descriptor)
{
    char name[32];
    file_path path = scratch_path("a");
    int fd = open(path.text, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_eq(write(fd, "one ", 4), 4);
    snprintf(name, sizeof name, "/dev/fd/%d", fd);
    write_text(name, "two ");
    ck_assert_int_eq(write(fd, "three", 5), 5);
    close(fd);
    assert_content(path.text, "one two three");
    nf_file *file;
    ck_assert_int_eq(nf_file_create(name, &file, &error), AD_ERROR_IO);
    assert_message("Bad file descriptor");
}
END_TEST

/* A disk that fills up, here by a limit on the size of files. */
static void assert_write_fails(size_t bytes)
{
    static char zeros[1 << 20];
    file_path path = scratch_write("a", "old", 3);
    struct rlimit old, small;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 1000;
    setrlimit(RLIMIT_FSIZE, &small);
    nf_file *file = create(path.text);
    nf_file_write(file, zeros, bytes);
    nf_file_write(file, zeros, bytes);
    ad_status status = nf_file_commit(file, &error);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, handler);
    ck_assert_int_eq(status, AD_ERROR_IO);
    assert_message(strerror(EFBIG));
    assert_content(path.text, "old");
    ck_assert_int_eq(scratch_files(false), 1);
}

START_TEST(file_write_fails)
{
    assert_write_fails(501);    /* found when the buffer is emptied at last, */
    assert_write_fails(100000); /* or at once */
}
END_TEST

START_TEST(file_names)
{
    char name[NAME_MAX + 2];
    memset(name, 'n', sizeof name - 1);
    name[NAME_MAX] = '\0';
    write_text(scratch_path(name).text, "long");
    assert_content(scratch_path(name).text, "long");
    name[NAME_MAX] = 'n';
    name[NAME_MAX + 1] = '\0';
    nf_file *file;
    ck_assert_int_eq(nf_file_create(scratch_path(name).text, &file, &error), AD_ERROR_IO);
    static char endless[2 * PATH_MAX];
    memset(endless, '/', sizeof endless - 1);
    ck_assert_int_eq(nf_file_create(endless, &file, &error), AD_ERROR_IO);
    assert_message("cannot create");
    ck_assert_int_eq(nf_file_create("", &file, &error), AD_ERROR_IO);
    ck_assert_int_eq(chdir(scratch), 0);
    write_text("here", "relative");
    assert_content(scratch_path("here").text, "relative");
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

/* ---- Moons --------------------------------------------------------------------------------------------------- */

/* Without noise: the points of golden/moons.py in some order. */
START_TEST(moons_are_scikit_learns)
{
    static const int sizes[] = {1, 2, 7, 20};
    char name[32];
    snprintf(name, sizeof name, "moons_%d.csv", sizes[_i]);
    nf_table expected = read_table(golden_path(name).text);
    size_t n = expected.rows;
    double values[40];
    int labels[20];
    bool used[20] = {false};
    nf_moons(n, 0, 3, values, labels);
    for (size_t r = 0; r < n; r++) {
        bool found = false;
        for (size_t e = 0; e < n && !found; e++) {
            const double *row = expected.values + 3 * e;
            found = !used[e] && row[2] == labels[r] && fabs(row[0] - values[2 * r]) < 1e-14 &&
                    fabs(row[1] - values[2 * r + 1]) < 1e-14;
            used[e] |= found;
        }
        ck_assert_msg(found, "(%g, %g) of moon %d is not expected", values[2 * r], values[2 * r + 1], labels[r]);
    }
    nf_table_free(&expected);
}
END_TEST

START_TEST(moons_noise_and_order)
{
    enum { N = 20000 };
    static double exact[2 * N], noisy[2 * N], again[2 * N], other[2 * N];
    static int labels[N];
    const double sd = 0.3;
    nf_moons(N, 0, 5, exact, labels);
    nf_moons(N, sd, 5, noisy, NULL);
    nf_moons(N, sd, 5, again, NULL);
    nf_moons(N, sd, 6, other, NULL);
    ck_assert_mem_eq(noisy, again, sizeof noisy);
    ck_assert_mem_ne(noisy, other, sizeof noisy);
    double mean[2] = {0}, square[2] = {0}, product = 0;
    for (int r = 0; r < N; r++) {
        double d[2] = {noisy[2 * r] - exact[2 * r], noisy[2 * r + 1] - exact[2 * r + 1]};
        for (int c = 0; c < 2; c++) {
            mean[c] += d[c] / N;
            square[c] += d[c] * d[c] / N;
        }
        product += d[0] * d[1] / N;
    }
    /* Within five standard errors. */
    for (int c = 0; c < 2; c++) {
        ck_assert_double_eq_tol(mean[c], 0, 5 * sd / sqrt(N));
        ck_assert_double_eq_tol(square[c], sd * sd, 5 * sd * sd * sqrt(2.0 / N));
    }
    ck_assert_double_eq_tol(product, 0, 5 * sd * sd / sqrt(N));
    /* In the first half of a random order, half of the points are of the first moon. */
    int lower = 0;
    for (int r = 0; r < N / 2; r++) lower += labels[r];
    ck_assert_int_le(abs(lower - N / 4), (int)(5 * sqrt(N / 16.0)));
}
END_TEST

/* x2 / 3 and x1 - x2²/4 are independent, N(0, 1). */
START_TEST(banana_is_a_bent_normal)
{
    enum { N = 20000 };
    static double x[2 * N], fewer[2 * 10], other[2 * 10];
    nf_banana(N, 5, x);
    nf_banana(10, 5, fewer);
    nf_banana(10, 6, other);
    ck_assert_mem_eq(x, fewer, sizeof fewer);
    ck_assert_mem_ne(x, other, sizeof other);
    double mean[2] = {0}, square[2] = {0}, fourth[2] = {0}, product = 0, bend = 0;
    for (int r = 0; r < N; r++) {
        double u[2] = {x[2 * r + 1] / 3, x[2 * r] - x[2 * r + 1] * x[2 * r + 1] / 4};
        for (int c = 0; c < 2; c++) {
            mean[c] += u[c] / N;
            square[c] += u[c] * u[c] / N;
            fourth[c] += pow(u[c], 4) / N;
        }
        product += u[0] * u[1] / N;
        bend += (u[0] * u[0] - 1) * u[1] / N;
    }
    /* Within five standard errors; Var u⁴ = 105 - 9. */
    for (int c = 0; c < 2; c++) {
        ck_assert_double_eq_tol(mean[c], 0, 5 / sqrt(N));
        ck_assert_double_eq_tol(square[c], 1, 5 * sqrt(2.0 / N));
        ck_assert_double_eq_tol(fourth[c], 3, 5 * sqrt(96.0 / N));
    }
    ck_assert_double_eq_tol(product, 0, 5 / sqrt(N));
    ck_assert_double_eq_tol(bend, 0, 5 * sqrt(2.0 / N));
}
END_TEST

Suite *data_suite(void)
{
    Suite *suite = suite_create("data");
    TCase *npy = tcase_create("npy"), *text = tcase_create("text"), *both = tcase_create("tables");
    TCase *file = tcase_create("file"), *moons = tcase_create("moons");
    TCase *cases[] = {npy, text, both, file, moons};
    for (size_t i = 0; i < COUNT(cases); i++) {
        tcase_add_checked_fixture(cases[i], scratch_begin, scratch_end);
        suite_add_tcase(suite, cases[i]);
    }
    tcase_add_loop_test(npy, npy_reads_what_numpy_wrote, 0, COUNT(numpy_tables));
    tcase_add_test(npy, npy_one_dimension_is_a_column);
    tcase_add_test(npy, npy_booleans);
    tcase_add_test(npy, npy_without_extension);
    tcase_add_test(npy, npy_refuses);
    tcase_add_loop_test(npy, npy_refuses_every_other_length, 0, 3);
    tcase_add_test(npy, npy_headers);
    tcase_add_test(npy, npy_writes_what_numpy_writes);
    tcase_add_loop_test(text, text_reads, 0, COUNT(text_tables));
    tcase_add_loop_test(text, text_refuses, 0, COUNT(text_faults));
    tcase_add_test(text, text_with_nul);
    tcase_add_test(text, text_of_every_length);
    tcase_add_test(text, text_many_rows);
    tcase_add_test(text, text_line_too_long);
    tcase_add_test(text, text_writes);
    tcase_add_loop_test(both, round_trips, 0, 5);
    tcase_add_test(both, locale_changes_nothing);
    tcase_add_test(both, finite_values);
    tcase_add_test(both, bad_paths);
    tcase_add_test(both, every_allocation_fails);
    tcase_add_test(file, file_appears_whole);
    tcase_add_test(file, file_of_a_killed_process);
    tcase_add_test(file, file_abort_keeps_the_old);
    tcase_add_test(file, file_two_at_once);
    tcase_add_test(file, file_of_pieces);
    tcase_add_test(file, file_permissions);
    tcase_add_test(file, file_through_links);
    tcase_add_test(file, file_to_devices);
    tcase_add_test(file, file_to_descriptor);
    tcase_add_test(file, file_write_fails);
    tcase_add_test(file, file_names);
    tcase_add_loop_test(moons, moons_are_scikit_learns, 0, 4);
    tcase_add_test(moons, moons_noise_and_order);
    tcase_add_test(moons, banana_is_a_bent_normal);
    return suite;
}
