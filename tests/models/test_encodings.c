/* Text files of other encodings than UTF-8. */
#include "models/data_tools.h"

typedef struct {
    const char *bytes;
    size_t length;
    const char *name, *label; /* of the first column */
} encoded;

#define BYTES(text) text, sizeof(text) - 1

static const encoded files[] = {
    {BYTES("Gr\xc3\xb6\xc3\x9f"
           "e,y\n\xe2\x82\xac,1\n\xf0\x9f\x98\x80,2\n"),
     "Gr\xc3\xb6\xc3\x9f"
     "e",
     "\xe2\x82\xac"},
    {BYTES("\xef\xbb\xbf"
           "a,y\nb,1\n"),
     "a", "b"},
    /* Latin-1, and what Windows-1252 has besides: the euro, quotes, and bytes that mean nothing */
    {BYTES("Gr\xf6\xdf"
           "e,y\n\x80\x93\x94\x81,1\n"),
     "Gr\xc3\xb6\xc3\x9f"
     "e",
     "\xe2\x82\xac\xe2\x80\x9c\xe2\x80\x9d\xc2\x81"},
    /* no UTF-8: too long a form, a surrogate, too large, cut off */
    {BYTES("\xc0\x80,y\n\xed\xa0\x80\xe2\x82,1\n"), "\xc3\x80\xe2\x82\xac",
     "\xc3\xad\xc2\xa0\xe2\x82\xac\xc3\xa2\xe2\x80\x9a"},
    {BYTES("\xf4\x90\x80\x80,y\nlong enough for eight bytes \xe9,1\n"), "\xc3\xb4\xc2\x90\xe2\x82\xac\xe2\x82\xac",
     "long enough for eight bytes \xc3\xa9"},
    {BYTES("\xe0\x80\x80,y\n\xf0\x80\x80\x80,1\n"), "\xc3\xa0\xe2\x82\xac\xe2\x82\xac",
     "\xc3\xb0\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"},
    /* one beside the other */
    {BYTES("\xc3\xa9,y\n\xe9,1\n"), "\xc3\xa9", "\xc3\xa9"},
    {BYTES("\xff\xfe\xe9\0,\0y\0\n\0\xac\x20,\0\x31\0\n\0"), "\xc3\xa9", "\xe2\x82\xac"},
    {BYTES("\xfe\xff\0\xe9\0,\0y\0\n\x20\xac\0,\0\x31\0\n"), "\xc3\xa9", "\xe2\x82\xac"},
    {BYTES("\xff\xfe\x3d\xd8\x00\xde,\0y\0\r\0\n\0b\0,\0\x31\0"), "\xf0\x9f\x98\x80", "b"},
    {BYTES("a\0,\0y\0\n\0b\0,\0\x31\0\n\0"), "a", "b"},
    {BYTES("\0a\0,\0y\0\n\0b\0,\0\x31\0\n"), "a", "b"},
};

START_TEST(encodings)
{
    nf_table table;
    nf_read_options options = {.labels = true};
    file_path path = scratch_write("a.csv", files[_i].bytes, files[_i].length);
    ck_assert_msg(nf_table_read_with(path.text, &options, &table, &error) == AD_OK, "%s", error.message);
    ck_assert_uint_eq(table.columns, 2);
    ck_assert_str_eq(table.names[0], files[_i].name);
    ck_assert_str_eq(table.labels[0][(size_t)table.values[0]], files[_i].label);
    ck_assert_double_eq(table.values[1], 1);
    nf_table_free(&table);
}
END_TEST

static const struct {
    const char *bytes;
    size_t length;
    const char *message;
} faults[] = {
    {BYTES("\xff\xfe\x31\0,"), "a.csv' is UTF-16, but its last character is cut off: it has an odd number of bytes"},
    {BYTES("\xff\xfe\x31\0\x3d\xd8,\0"), "a.csv' is UTF-16, but its byte 5 begins half a character"},
    {BYTES("\xff\xfe\x31\0\x3d\xd8"), "byte 5 begins half a character"},
    {BYTES("\xfe\xff\0\x31\xde\x00\0,"), "byte 5 begins half a character"},
    {BYTES("\xff\xfe"), "holds nothing but empty lines"},
    {BYTES("\xef\xbb\xbf"), "holds nothing but empty lines"},
};

START_TEST(encoding_faults)
{
    assert_refused(scratch_write("a.csv", faults[_i].bytes, faults[_i].length).text, AD_ERROR_FORMAT,
                   faults[_i].message);
}
END_TEST

Suite *encodings_suite(void)
{
    Suite *suite = suite_create("encodings");
    TCase *all = tcase_create("encodings");
    tcase_add_checked_fixture(all, scratch_begin, scratch_end);
    tcase_add_loop_test(all, encodings, 0, COUNT(files));
    tcase_add_loop_test(all, encoding_faults, 0, COUNT(faults));
    suite_add_tcase(suite, all);
    return suite;
}
