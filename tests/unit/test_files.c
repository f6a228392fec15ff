/* SPDX-License-Identifier: Apache-2.0 */
/* Readers of settings (YAML) and pictures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jpeglib.h>
#include <png.h>

#include "base/mem.h"
#include "base/str.h"
#include "io/image.h"
#include "io/yaml.h"

/* --- YAML ------------------------------------------------------------------------------------- */

struct settings {
    bool flag;
    int number, choice, pair[2];
    double real;
    char *text;
};
static const char *const choices[] = {"one", "two", NULL};
#define FIELD(name, type, min, max, n)                                               \
    {                                                                                \
#name, QS_YAML_##type, offsetof(struct settings, name), min, max, choices, n \
    }
static const struct qs_yaml_field fields[] = {
    FIELD(flag, FLAG, 0, 0, 0),      FIELD(number, INT, 0, 10, 0), FIELD(choice, CHOICE, 0, 0, 0),
    FIELD(pair, INTS, -100, 100, 2), FIELD(real, REAL, 0, 1, 0),   FIELD(text, TEXT, 0, 0, 0),
};

static enum qs_err
fill(struct qs_ctx *cx, const char *text, struct settings *s)
{
    struct qs_yaml *y = NULL;
    qs_ctx_init(cx);
    enum qs_err err = qs_yaml_parse(cx, text, strlen(text), "x.yaml", &y);
    if (!err)
        err = qs_yaml_fill(cx, y, y->root, fields, QS_LEN(fields), s);
    qs_yaml_free(y);
    return err;
}

static void
yaml_fills_a_struct(void **state)
{
    struct qs_ctx cx;
    struct settings s = {.number = 7};
    (void)state;
    assert_int_equal(fill(&cx,
                          "flag: yes\nchoice: two\npair: [-1, 2]\nreal: 1e-4\n"
                          "text: \"a b\"\nnumber: ~\n",
                          &s),
                     QS_OK);
    assert_true(s.flag);
    assert_int_equal(s.number, 7);
    assert_int_equal(s.choice, 1);
    assert_int_equal(s.pair[0], -1);
    assert_int_equal(s.pair[1], 2);
    assert_true(s.real == 1e-4);
    assert_string_equal(s.text, "a b");
    free(s.text);
}

static void
yaml_refuses_with_the_line(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", "there is nothing in it"},
        {"number: 1\nnumber: 2\n", "line 2: the key 'number' comes twice"},
        {"flag: true\nnumber: 11\n", "line 2: 'number' must be a whole number 0 .. 10"},
        {"number: 1.5\n", "line 1: 'number' must be a whole number 0 .. 10"},
        {"number: \"1\"\n", "line 1: 'number' must be"},
        {"real: nan\n", "line 1: 'real' must be a number 0 .. 1"},
        {"flag: maybe\n", "line 1: 'flag' must be true or false"},
        {"choice: three\n", "line 1: 'choice' must be one of one, two"},
        {"pair: [1, 2, 3]\n", "line 1: 'pair' must be a list of 2 numbers"},
        {"pair: [1, a]\n", "line 1: 'pair' must be"},
        {"text: [a]\n", "line 1: 'text' must be text"},
        {"[1, 2]\n", "line 1: expected lines 'key: value'"},
        {"text: &a [*a]\n", "line 1: an alias inside of what it names"},
        {"text: *b\n", "line 1: an alias of nothing"},
        {"a: [\n", "line 2: "},
        {"a: 1\n---\nb: 2\n", "line 2: a second document"},
        {"? [a]\n: 1\n", "line 1: a key must be plain text"},
        {"text: \"\\0\"\n", "line 1: a NUL character"},
        {"text: \xff\n", "line 1: "},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(cases); i++) {
        struct qs_ctx cx;
        struct settings s = {0};
        assert_int_equal(fill(&cx, cases[i].text, &s), QS_ERR_FORMAT);
        if (!strstr(qs_message(&cx), cases[i].want))
            fail_msg("'%s' gives: %s", cases[i].text, qs_message(&cx));
        free(s.text);
    }
}

static void
yaml_is_bounded(void **state)
{
    struct qs_ctx cx;
    struct settings s = {0};
    struct qs_str text;
    (void)state;
    qs_str_init(&text);
    for (int i = 0; i < 1000; i++)
        qs_str_add(&text, "[");
    assert_int_equal(fill(&cx, text.s, &s), QS_ERR_FORMAT);
    assert_non_null(strstr(qs_message(&cx), "nested too deeply"));
    qs_str_clear(&text);
    for (int i = 0; i < 10000; i++)
        qs_str_printf(&text, "k%d: 1\n", i);
    assert_int_equal(fill(&cx, text.s, &s), QS_ERR_FORMAT);
    assert_non_null(strstr(qs_message(&cx), "more than 4096 keys"));
    qs_str_release(&text);
}

static void
yaml_gives_what_an_alias_names(void **state)
{
    struct qs_ctx cx;
    struct qs_yaml *y = NULL;
    static const char text[] = "a: &x {b: 1}\nc: *x\n";
    (void)state;
    qs_ctx_init(&cx);
    assert_int_equal(qs_yaml_parse(&cx, text, strlen(text), "x", &y), QS_OK);
    assert_ptr_equal(qs_yaml_get(y->root, "c"), qs_yaml_get(y->root, "a"));
    qs_yaml_free(y);
}

/* --- pictures --------------------------------------------------------------------------------- */

#define HEADER(bits, packing, w, h, at, used)                                                     \
    'B', 'M', 0, 0, 0, 0, 0, 0, 0, 0, at, 0, 0, 0, 40, 0, 0, 0, w, 0, 0, 0, (h)&255,              \
        (h) < 0 ? 255 : 0, (h) < 0 ? 255 : 0, (h) < 0 ? 255 : 0, 1, 0, bits, 0, packing, 0, 0, 0, \
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, used, 0, 0, 0, 0, 0, 0, 0
#define PALETTE 1, 2, 3, 0, 4, 5, 6, 0 /* of two colours */
static const uint8_t bmp24[] = {
    HEADER(24, 0, 2, 2, 54, 0), 7, 8, 9, 10, 11, 12, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0};
static const uint8_t bmp24_down[] = {
    HEADER(24, 0, 2, -2, 54, 0), 1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12, 0, 0};
static const uint8_t bmp1[] = {HEADER(1, 0, 3, 1, 62, 2), PALETTE, 0x40, 0, 0, 0};
static const uint8_t bmp4[] = {HEADER(4, 0, 3, 1, 62, 2), PALETTE, 0x01, 0, 0, 0};
static const uint8_t bmp8[] = {HEADER(8, 0, 3, 1, 62, 2), PALETTE, 0, 1, 0, 0};
static const uint8_t bmp_rle8[] = {HEADER(8, 1, 3, 1, 62, 2), PALETTE, 1, 0, 1, 1, 1, 0, 0, 1};
static const uint8_t bmp_rle8_literal[] = {
    HEADER(8, 1, 3, 1, 62, 2), PALETTE, 0, 3, 0, 1, 0, 0, 0, 1};
static const uint8_t bmp_rle4[] = {HEADER(4, 2, 3, 1, 62, 2), PALETTE, 3, 0x01, 0, 1};
static const uint8_t bmp_rle_out[] = {HEADER(8, 1, 3, 1, 62, 2), PALETTE, 9, 1, 0, 1};
static const uint8_t bmp_555[] = {HEADER(16, 0, 1, 1, 54, 0), 0x41, 0x0c, 0, 0};

static const uint8_t square[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static const uint8_t stripe[] = {1, 2, 3, 4, 5, 6, 1, 2, 3};
static const uint8_t dark[] = {8, 16, 24};

static void
bmp_of_each_kind_is_read(void **state)
{
    static const struct {
        const char *name;
        const uint8_t *bytes;
        size_t n;
        int w, h;
        const uint8_t *want;
    } cases[] = {
        {"24 bits", bmp24, sizeof(bmp24), 2, 2, square},
        {"top down", bmp24_down, sizeof(bmp24_down), 2, 2, square},
        {"1 bit", bmp1, sizeof(bmp1), 3, 1, stripe},
        {"4 bits", bmp4, sizeof(bmp4), 3, 1, stripe},
        {"8 bits", bmp8, sizeof(bmp8), 3, 1, stripe},
        {"runs", bmp_rle8, sizeof(bmp_rle8), 3, 1, stripe},
        {"literal run", bmp_rle8_literal, sizeof(bmp_rle8_literal), 3, 1, stripe},
        {"runs of 4 bits", bmp_rle4, sizeof(bmp_rle4), 3, 1, stripe},
        {"5-5-5", bmp_555, sizeof(bmp_555), 1, 1, dark},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(cases); i++) {
        struct qs_ctx cx;
        struct qs_image im;
        qs_ctx_init(&cx);
        if (qs_image_decode(&cx, cases[i].bytes, cases[i].n, "x", 100, &im) != QS_OK)
            fail_msg("%s: %s", cases[i].name, qs_message(&cx));
        assert_int_equal(im.w, cases[i].w);
        assert_int_equal(im.h, cases[i].h);
        if (memcmp(im.data, cases[i].want, (size_t)(3 * im.w * im.h)) != 0)
            fail_msg("%s: other pixels", cases[i].name);
        qs_image_release(&im);
    }
}

enum { W = 16, H = 8 };

/* A picture whose left half is black and right half white, turned as `orientation` says. */
static size_t
make_jpeg(int orientation, uint8_t **out)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned long n = 0;
    uint8_t row[3 * W], *rows = row;
    uint8_t exif[] = {'E', 'x',  'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1,
                      1,   0x12, 0,   3,   0, 0, 0,   1,   0, 0,  0, 0, 0, 0, 0, 0};
    memset(row, 0, sizeof(row));
    memset(row + sizeof(row) / 2, 255, sizeof(row) / 2);
    exif[25] = (uint8_t)orientation;
    *out = NULL;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, out, &n);
    jpeg.image_width = W;
    jpeg.image_height = H;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    jpeg_write_marker(&jpeg, JPEG_APP0 + 1, exif, sizeof(exif));
    for (int y = 0; y < H; y++)
        jpeg_write_scanlines(&jpeg, &rows, 1);
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    return n;
}

static void
jpeg_is_turned_as_its_exif_says(void **state)
{
    (void)state;
    for (int o = 1; o <= 8; o++) {
        struct qs_ctx cx;
        struct qs_image im;
        uint8_t *bytes;
        const size_t n = make_jpeg(o, &bytes);
        qs_ctx_init(&cx);
        assert_int_equal(qs_image_decode(&cx, bytes, n, "x", 1000, &im), QS_OK);
        assert_int_equal(im.w, o < 5 ? W : H);
        assert_int_equal(im.h, o < 5 ? H : W);
        /* The white half lies right, left, left, right, below, below, above, above. */
        static const bool first_is_white[] = {0, 1, 1, 0, 0, 0, 1, 1};
        assert_int_equal(im.data[0] > 128, first_is_white[o - 1]);
        assert_int_equal(im.data[3 * im.w * im.h - 1] > 128, !first_is_white[o - 1]);
        qs_image_release(&im);
        free(bytes);
    }
}

static size_t
make_png(uint8_t **out)
{
    png_image im = {
        .version = PNG_IMAGE_VERSION, .width = 5, .height = 4, .format = PNG_FORMAT_BGR};
    uint8_t pixels[60];
    png_alloc_size_t n = 0;
    for (size_t i = 0; i < sizeof(pixels); i++)
        pixels[i] = (uint8_t)(i * 4);
    assert_true(png_image_write_to_memory(&im, NULL, &n, 0, pixels, 0, NULL));
    *out = qs_xmalloc(n);
    assert_true(png_image_write_to_memory(&im, *out, &n, 0, pixels, 0, NULL));
    return n;
}

static void
png_keeps_every_byte(void **state)
{
    struct qs_ctx cx;
    struct qs_image im;
    uint8_t *bytes;
    const size_t n = make_png(&bytes);
    (void)state;
    qs_ctx_init(&cx);
    assert_int_equal(qs_image_decode(&cx, bytes, n, "x", 20, &im), QS_OK);
    assert_int_equal(im.w, 5);
    assert_int_equal(im.h, 4);
    for (int i = 0; i < 60; i++)
        assert_int_equal(im.data[i], i * 4);
    qs_image_release(&im);
    free(bytes);
}

static void
expect_refusal(const uint8_t *bytes, size_t n, int64_t max_pixels, const char *want)
{
    struct qs_ctx cx;
    struct qs_image im;
    uint8_t *exact = qs_xmalloc(n ? n : 1); /* so that reading past the end is seen */
    if (n)
        memcpy(exact, bytes, n);
    qs_ctx_init(&cx);
    if (qs_image_decode(&cx, exact, n, "broken.bin", max_pixels, &im) != QS_ERR_FORMAT)
        fail_msg("%zu bytes are taken for a picture", n);
    assert_non_null(strstr(qs_message(&cx), "'broken.bin'"));
    if (!strstr(qs_message(&cx), want))
        fail_msg("%s", qs_message(&cx));
    assert_null(im.data);
    free(exact);
}

/* Cut off inside of the pixels; a JPEG may lack the two bytes of its end. */
static void
picture_cut_off_is_refused(void **state)
{
    uint8_t *jpeg, *png;
    const size_t n_jpeg = make_jpeg(1, &jpeg), n_png = make_png(&png);
    (void)state;
    for (size_t n = 0; n < n_jpeg - 6; n++)
        expect_refusal(jpeg, n, 1000, "");
    for (size_t n = 0; n < n_png; n++)
        expect_refusal(png, n, 1000, "");
    for (size_t n = 0; n < sizeof(bmp24) - 2; n++)
        expect_refusal(bmp24, n, 1000, "");
    free(jpeg);
    free(png);
}

static void
picture_out_of_bounds_is_refused(void **state)
{
    uint8_t *jpeg, *png;
    const size_t n_jpeg = make_jpeg(1, &jpeg), n_png = make_png(&png);
    (void)state;
    expect_refusal(jpeg, n_jpeg, W * H - 1, "16 x 8 pixels, at most 127 in all");
    expect_refusal(png, n_png, 19, "5 x 4 pixels, at most 19 in all");
    expect_refusal(bmp24, sizeof(bmp24), 3, "2 x 2 pixels, at most 3 in all");
    expect_refusal(bmp_rle_out, sizeof(bmp_rle_out), 100, "leaves the picture");
    expect_refusal((const uint8_t *)"GIF89a", 6, 100, "it is no JPEG, PNG or BMP file");
    expect_refusal(NULL, 0, 100, "the file is empty");
    free(jpeg);
    free(png);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml_fills_a_struct),
        cmocka_unit_test(yaml_refuses_with_the_line),
        cmocka_unit_test(yaml_is_bounded),
        cmocka_unit_test(yaml_gives_what_an_alias_names),
        cmocka_unit_test(bmp_of_each_kind_is_read),
        cmocka_unit_test(jpeg_is_turned_as_its_exif_says),
        cmocka_unit_test(png_keeps_every_byte),
        cmocka_unit_test(picture_cut_off_is_refused),
        cmocka_unit_test(picture_out_of_bounds_is_refused),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
