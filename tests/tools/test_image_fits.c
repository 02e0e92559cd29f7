/* Images at the command: the digits that scikit-learn ships, from the file to a sheet of samples. */
#include "tools/command.h"

#include <weir/data.h>

#include <math.h>

#define DIGITS WEIR_GOLDEN_DIR "/digits.npy"
#define SMALL  "glow(steps=1,width=4)"

static nf_table table_of(const char *name)
{
    nf_table table;
    ck_assert_int_eq(nf_table_read(scratch_path(name).text, &table, NULL), AD_OK);
    return table;
}

/* A part of the digits: of each row the first `columns` numbers, of the type that a table has. */
static void write_part(const char *name, size_t rows, size_t columns)
{
    nf_table all, part = {.rows = rows, .columns = columns, .dtype = AD_F32};
    ck_assert_int_eq(nf_table_read(DIGITS, &all, NULL), AD_OK);
    part.values = malloc(rows * columns * sizeof *part.values);
    for (size_t r = 0; r < rows; r++)
        memcpy(part.values + r * columns, all.values + r * all.columns, columns * sizeof *part.values);
    ck_assert_int_eq(nf_table_write(scratch_path(name).text, &part, NULL), AD_OK);
    free(part.values);
    nf_table_free(&all);
}

static void assert_refused(const char *part, const char *const words[])
{
    ck_assert_int_ne(run_words(words), 0);
    assert_contains(complaint, part);
}

/* Uniform pixels have log2(17) = 4.09 bits each. */
START_TEST(digits)
{
    json_t *result = SUCCEED_JSON("fit", DIGITS, "--flow", SMALL, "--epochs", "2", "-o", "digits.safetensors");
    const double bits = number_in(result, "bits_per_dim");
    ck_assert_double_eq_tol(bits, number_in(result, "val_nll") / (64 * log(2)), 1e-9);
    ck_assert_double_lt(bits, 3.4);
    ck_assert_double_gt(bits, 1.5);
    assert_contains(text_in(result, "formula"), "image(8,8,squeeze(split(squeeze(split(squeeze(");
    ck_assert(!json_is_true(json_object_get(result, "standardize_appended")));
    json_decref(result);

    SUCCEED("info", "digits.safetensors");
    assert_contains(output, "bits per dimension");
    assert_contains(output, "pixel: whole numbers, 0 to 16, with uniform noise");
    ck_assert_uint_lt(lines(output), 30); /* not one for each pixel */

    result = SUCCEED_JSON("logprob", "digits.safetensors", DIGITS);
    ck_assert_double_eq_tol(number_in(result, "bits_per_dim"), bits, 0.2);
    json_decref(result);

    SUCCEED("sample", "digits.safetensors", "-n", "50", "-o", "drawn.npy");
    nf_table drawn = table_of("drawn.npy");
    ck_assert(ad_shape_equal(drawn.event, (ad_shape){.rank = 2, .dim = {8, 8}}));
    for (size_t i = 0; i < 50 * 64; i++)
        ck_assert(drawn.values[i] >= 0 && drawn.values[i] <= 16 && drawn.values[i] == floor(drawn.values[i]));
    nf_table_free(&drawn);
}
END_TEST

/* Rows of a table are the same images, once it is said; and on a second run everything is the same. */
START_TEST(rows_with_a_shape)
{
    write_part("flat.npy", 200, 64);
    SUCCEED("fit", "flat.npy", "--shape", "8,8", "--flow", SMALL, "--epochs", "1", "-o", "a.safetensors");
    SUCCEED("fit", "flat.npy", "--flow", "image (8, 8, " SMALL ")", "--shape", "8,8,1", "--epochs", "1", "-o",
            "b.safetensors");
    SUCCEED("sample", "a.safetensors", "-n", "5", "-o", "a.npy");
    SUCCEED("sample", "b.safetensors", "-n", "5", "-o", "b.npy");
    nf_table a = table_of("a.npy"), b = table_of("b.npy");
    ck_assert_mem_eq(a.values, b.values, 5 * 64 * sizeof *a.values);
    nf_table_free(&a);
    nf_table_free(&b);
}
END_TEST

/* What isn't said, is glow; a column beside the pixels may be their context. */
START_TEST(context_and_channels)
{
    write_part("thirteen.npy", 100, 13);
    json_t *result = SUCCEED_JSON("fit", "thirteen.npy", "--shape", "2,2,3", "--context", "13", "--epochs", "1", "-o",
                                  "c.safetensors");
    assert_contains(text_in(result, "formula"), "image(2,2,3,squeeze((coupling(32,32,");
    json_decref(result);
    SUCCEED("fit", "thirteen.npy", "--shape", "2,2,3", "--context", "13", "--columns", "13:category", "--flow", SMALL,
            "--epochs", "1", "-o", "k.safetensors");
    SUCCEED("sample", "c.safetensors", "--context", "3", "-n", "4", "-o", "c.npy");
    nf_table drawn = table_of("c.npy");
    ck_assert(ad_shape_equal(drawn.event, (ad_shape){.rank = 3, .dim = {2, 2, 3}}));
    nf_table_free(&drawn);
}
END_TEST

START_TEST(learned_noise)
{
    write_part("flat.npy", 300, 64);
    json_t *result = SUCCEED_JSON("fit", "flat.npy", "--shape", "8,8", "--flow", SMALL, "--dequantization",
                                  "variational", "--epochs", "1", "-o", "d.safetensors");
    assert_contains(text_in(result, "formula"), "levels=17");
    ck_assert(json_is_true(member(result, "log_prob_is_lower_bound")));
    json_decref(result);
    SUCCEED("logprob", "d.safetensors", DIGITS);
    assert_contains(output, "bits per dimension at most: log p is a lower bound");
    SUCCEED("sample", "d.safetensors", "-n", "20", "-o", "d.npy");
    nf_table drawn = table_of("d.npy");
    for (size_t i = 0; i < 20 * 64; i++)
        ck_assert(drawn.values[i] >= 0 && drawn.values[i] <= 16 && drawn.values[i] == floor(drawn.values[i]));
    nf_table_free(&drawn);
    if (!have_gnuplot()) return;
    SUCCEED("plot", "d.safetensors", "--data", DIGITS, "-n", "20", "-o", "d.png");
    SUCCEED("plot", "d.safetensors", "-n", "1", "-o", "one.svg");
    ck_assert(exists("d.png") && exists("one.svg"));
}
END_TEST

START_TEST(mistakes)
{
    write_part("flat.npy", 20, 64);
    write_part("odd.npy", 20, 15);
    assert_refused("--shape: expected a height, a width",
                   WORDS("fit", "flat.npy", "--shape", "8", "-o", "m.safetensors"));
    assert_refused("--shape: expected a height, a width",
                   WORDS("fit", "flat.npy", "--shape", "8,8,", "-o", "m.safetensors"));
    assert_refused("--shape: expected a height, a width",
                   WORDS("fit", "flat.npy", "--shape", "8,-8", "-o", "m.safetensors"));
    assert_refused("8 x 7 pixels of 1 channel are 56 numbers, but a row of flat.npy has 64",
                   WORDS("fit", "flat.npy", "--shape", "8,7", "-o", "m.safetensors"));
    assert_refused("are of 8 x 8 pixels of 1 channel; leave it out",
                   WORDS("fit", DIGITS, "--shape", "4,16", "-o", "m.safetensors"));
    assert_refused("even sizes", WORDS("fit", "odd.npy", "--shape", "3,5", "-o", "m.safetensors"));
    assert_refused("pixels are all of one kind",
                   WORDS("fit", "flat.npy", "--shape", "8,8", "--columns", "1:real", "-o", "m.safetensors"));
    assert_refused("--tune isn't for images", WORDS("fit", DIGITS, "--tune", "-o", "m.safetensors"));
    assert_refused("--dequantization is of images",
                   WORDS("fit", "flat.npy", "--flow", "loc", "--dequantization", "variational", "-o", "m.safetensors"));
    write_text("fractions.csv", "0.5,1\n0.25,0\n");
    assert_refused("got numbers with fractions from 0 to 1 in fractions.csv",
                   WORDS("fit", "fractions.csv", "--shape", "1,2", "--flow", "maf(4)", "--dequantization",
                         "variational", "-o", "m.safetensors"));
    write_text("huge.csv", "16777216,1\n2,0\n");
    assert_refused("up to 16777215 at most, got whole numbers from 0 to 16777216",
                   WORDS("fit", "huge.csv", "--shape", "1,2", "--flow", "maf(4)", "--dequantization", "variational",
                         "-o", "m.safetensors"));
    write_text("missing.csv", "1,2,3,4\n1,2,3,4\n1,NA,3,4\n");
    assert_refused("row 3, pixel 2: nan is no value",
                   WORDS("fit", "missing.csv", "--shape", "2,2", "-o", "m.safetensors"));
    write_text("real.csv", "1,2,3,4\n1,2,3.5,4\n1,2,3,4\n");
    assert_refused("pixels of whole numbers", WORDS("fit", "real.csv", "--shape", "2,2", "--dequantization",
                                                    "variational", "-o", "m.safetensors"));
    ck_assert(!exists("m.safetensors"));
}
END_TEST

/* Without validation bits are those of the training rows, of which there may be one. */
START_TEST(without_validation)
{
    write_part("flat.npy", 1, 64);
    json_t *result = SUCCEED_JSON("fit", "flat.npy", "--shape", "8,8", "--flow", SMALL, "--dequantization",
                                  "variational", "--epochs", "1", "-o", "n.safetensors");
    ck_assert_double_eq_tol(number_in(result, "bits_per_dim"), number_in(result, "train_nll") / (64 * log(2)), 1e-9);
    json_decref(result);
    SUCCEED("info", "n.safetensors");
    assert_contains(output, "bits per dimension at most");
}
END_TEST

Suite *image_fits_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("image_fits", &tests);
    tcase_add_test(tests, digits);
    tcase_add_test(tests, rows_with_a_shape);
    tcase_add_test(tests, context_and_channels);
    tcase_add_test(tests, learned_noise);
    tcase_add_test(tests, without_validation);
    tcase_add_test(tests, mistakes);
    return suite;
}
