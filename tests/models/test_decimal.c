/* Decimal numbers and the nearest binary ones: as the C library has them, bit for bit. */
#include "models/data_tools.h"
#include "files/decimal.h"

#include <float.h>
#include <locale.h>
#include <math.h>

static locale_t c_locale;

static void begin(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", NULL);
}

static void end(void)
{
    freelocale(c_locale);
}

/* ---- Reading --------------------------------------------------------------------------------------------------- */

static void assert_parsed(const char *given)
{
    char text[512], *stop, *expected_stop;
    strcpy(text, given);
    double value = nf__parse_number(text, &stop, '.', c_locale), expected = strtod(text, &expected_stop);
    ck_assert_msg(memcmp(&value, &expected, sizeof value) == 0, "'%s': %a and not %a", given, value, expected);
    ck_assert_msg(stop == expected_stop, "'%s': stopped at '%s'", given, stop);
}

START_TEST(hard_cases)
{
    static const char *const texts[] = {
        "0",
        "-0",
        "+0.0",
        "0e99999",
        "1",
        "-1",
        "+1",
        ".5",
        "5.",
        ".",
        "",
        "-",
        "+.",
        "e5",
        ".e5",
        "1e",
        "1e+",
        "1e-x",
        "1.e5",
        "1e5",
        "1E-5",
        "1e05",
        "0x1p3",
        "0X.8p1",
        "0x",
        "inf",
        "-Infinity",
        "nan",
        "NaN(7)",
        "1x",
        "1,5",
        "1.2.3",
        /* Halfway between two, just above and below. */
        "9007199254740993",
        "9007199254740992.99999999999999999999",
        "9007199254740993.00000000000000000001",
        "90071992547409930e-1",
        "4503599627370496.5",
        "4503599627370497.5",
        "4503599627370497.4999999999999999",
        "9007199254740995",
        "36028797018963970",
        "72057594037927945",
        "1.00000000000000011102230246251565404",
        "1.00000000000000011102230246251565405",
        "1.1102230246251565",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        "4.9e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "1.7976931348623157e308",
        "1.7976931348623159e308",
        "1e309",
        "-1e309",
        "1e-400",
        "123456789012345678",
        "1234567890123456789",
        "9999999999999999999",
        "12345678901234567890",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999",
        "0.1",
        "0.3",
        "1e22",
        "1e23",
        "1e-22",
        "1e-23",
        "8.5e22",
        "123456789e-50",
        "0.000000000000000000000000000001234567890123456789",
        "00000000000000000000000000000001.5",
        "1.50000000000000000000000000000000000",
        "6.0221407600000000000000e23",
        "9355950000000000000."
        "00000000000000000000000000000000001844674407370955161600000184467440737095516161844674407370955161407370955161"
        "61844674407370955161600018446744073709551616600000184467440737095516161844674407370955161407370955161618446744"
        "07370955161600018446744073709551616184467440737095516160001844674407370955161660000018446744073709551616184467"
        "44073709551614073709551616",
    };
    for (size_t i = 0; i < COUNT(texts); i++) assert_parsed(texts[i]);
}
END_TEST

/* Digits at random, of any number, with the point and the exponent anywhere. */
START_TEST(random_texts)
{
    uint64_t state = 1;
    for (int i = 0; i < 300000; i++) {
        char text[64], *to = text;
        const int digits = 1 + (int)(next_random(&state) % 22), point = (int)(next_random(&state) % 24);
        if (next_random(&state) % 4 == 0) *to++ = '-';
        for (int d = 0; d < digits; d++) {
            if (d == point) *to++ = '.';
            *to++ = (char)('0' + next_random(&state) % 10);
        }
        *to = '\0';
        if (next_random(&state) % 2) sprintf(to, "e%d", (int)(next_random(&state) % 140) - 70);
        assert_parsed(text);
    }
}
END_TEST

/* What is nearest to the middle between two numbers: its digits, rounded, up to 19 of them. */
START_TEST(near_the_middle)
{
    uint64_t state = 2;
    for (int i = 0; i < 100000; i++) {
        const int exponent = (int)(next_random(&state) % 400) - 200;
        const double low = ldexp((double)(next_random(&state) >> 12 | (uint64_t)1 << 52), exponent - 52);
        const long double middle = ((long double)low + (long double)nextafter(low, INFINITY)) / 2;
        for (int digits = 16; digits <= 21; digits++) {
            char text[64];
            snprintf(text, sizeof text, "%.*Le", digits - 1, middle);
            assert_parsed(text);
        }
    }
}
END_TEST

START_TEST(decimal_commas)
{
    static const char *const texts[] = {"1,5", "-0,25e3", ",5", "5,", "1,2345678901234567", "123456789,123456789e-60"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        char text[64], with_point[64], *stop;
        strcpy(text, texts[i]);
        strcpy(with_point, texts[i]);
        *strchr(with_point, ',') = '.';
        ck_assert_double_eq(nf__parse_number(text, &stop, ',', c_locale), strtod(with_point, NULL));
        ck_assert_int_eq(*stop, '\0');
        ck_assert_str_eq(text, texts[i]);
    }
}
END_TEST

/* ---- Writing --------------------------------------------------------------------------------------------------- */

static void assert_formatted(double value, ad_dtype dtype)
{
    char text[NF__NUMBER_ROOM], expected[NF__NUMBER_ROOM] = "";
    if (dtype == AD_F32) value = (double)(float)value;
    const bool subnormal = fabs(value) < (dtype == AD_F32 ? (double)FLT_MIN : DBL_MIN);
    for (int digits = subnormal ? 1 : dtype == AD_F32 ? 6 : 15; digits <= (dtype == AD_F32 ? 9 : 17); digits++) {
        snprintf(expected, sizeof expected, "%.*g", digits, value);
        double back = strtod(expected, NULL);
        if ((dtype == AD_F32 ? (double)(float)back : back) == value) break;
    }
    text[nf__format_number(value, dtype, text)] = '\0';
    ck_assert_msg(strcmp(text, expected) == 0, "%a: '%s' and not '%s'", value, text, expected);
}

static void assert_formatted_as_both(double value)
{
    assert_formatted(value, AD_F32);
    assert_formatted(value, AD_F64);
    assert_formatted(-value, AD_F64);
}

START_TEST(written_hard_cases)
{
    static const double values[] = {0,
                                    1,
                                    0.1,
                                    0.3,
                                    1e15,
                                    1e16,
                                    1e17,
                                    999999999999999,
                                    9999999999999998.0,
                                    99999.95,
                                    999999.5,
                                    9999995,
                                    1e-4,
                                    1e-5,
                                    9.99999e-5,
                                    0.00099999999999999999,
                                    1e22,
                                    1e23,
                                    123456,
                                    1234567,
                                    5e-324,
                                    DBL_MIN,
                                    DBL_MAX,
                                    FLT_MIN,
                                    FLT_MAX,
                                    FLT_TRUE_MIN,
                                    INFINITY,
                                    NAN,
                                    0x1p-44,
                                    0x1p57,
                                    144115188075855872.0,
                                    9007199254740994.0,
                                    0.5,
                                    0.25,
                                    2.5,
                                    1e100,
                                    1e-100,
                                    1e60,
                                    1e-38};
    for (size_t i = 0; i < COUNT(values); i++) assert_formatted_as_both(values[i]);
    for (int e = -330; e < 310; e++) {
        char text[32];
        snprintf(text, sizeof text, "1e%d", e);
        assert_formatted_as_both(strtod(text, NULL));
        assert_formatted_as_both(nextafter(strtod(text, NULL), 0));
        assert_formatted_as_both(nextafter(strtod(text, NULL), INFINITY));
    }
}
END_TEST

START_TEST(written_random_numbers)
{
    uint64_t state = 3;
    for (int i = 0; i < 100000; i++) {
        const uint64_t bits = next_random(&state);
        double any, near = (double)(int64_t)next_random(&state) * 0x1p-62;
        memcpy(&any, &bits, sizeof any);
        assert_formatted_as_both(any);
        assert_formatted_as_both(near);
        assert_formatted_as_both((double)(bits % 100000000) / 1000);
        assert_formatted_as_both(ldexp(near, (int)(bits % 300) - 150));
        assert_formatted_as_both((double)(bits >> bits % 64));
    }
}
END_TEST

Suite *decimal_suite(void)
{
    Suite *suite = suite_create("decimal");
    TCase *decimal = tcase_create("decimal");
    tcase_add_checked_fixture(decimal, begin, end);
    tcase_set_timeout(decimal, 120);
    tcase_add_test(decimal, hard_cases);
    tcase_add_test(decimal, random_texts);
    tcase_add_test(decimal, near_the_middle);
    tcase_add_test(decimal, decimal_commas);
    tcase_add_test(decimal, written_hard_cases);
    tcase_add_test(decimal, written_random_numbers);
    suite_add_tcase(suite, decimal);
    return suite;
}
