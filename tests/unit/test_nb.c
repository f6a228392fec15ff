/* SPDX-License-Identifier: Apache-2.0 */
/* Paddle-Lite files: a small one of the fuzz corpus (one convolution), cut, damaged and whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "io/format.h"

extern const struct qs_format qs_format_nb;

enum { HEAD = 26 }; /* bytes before the program */

static char *
path_of(const char *root, const char *otherwise, const char *path)
{
    const char *src = getenv("srcdir");
    char *p = NULL;
    if (root ? asprintf(&p, "%s/%s", root, path)
             : asprintf(&p, "%s/%s/%s", src ? src : ".", otherwise, path))
        return p;
    abort();
}

static struct qs_buf *
load(void)
{
    struct qs_ctx cx;
    struct qs_buf *b = NULL;
    char *path = path_of(NULL, "tests/fuzz/corpus/nb", "conv_arm");
    qs_ctx_init(&cx);
    assert_int_equal(qs_buf_map(&cx, path, "program", &b), QS_OK);
    free(path);
    return b;
}

/* Reads the first n bytes, with byte `at` changed by `flip`. */
static struct qs_model *
read_changed(struct qs_ctx *cx, size_t n, size_t at, uint8_t flip)
{
    struct qs_buf *whole = load(), *b = NULL;
    struct qs_model *m = qs_model_new();
    qs_ctx_init(cx);
    assert_int_equal(qs_buf_new(cx, n, &b), QS_OK);
    memcpy(b->data, whole->data, n);
    if (at < n)
        b->data[at] ^= flip;
    const enum qs_err err = qs_format_nb.read(cx, b, m);
    qs_buf_unref(b);
    qs_buf_unref(whole);
    if (err) {
        assert_int_not_equal(cx->message[0], '\0');
        qs_model_unref(m);
        return NULL;
    }
    return m;
}

static size_t
size_of_file(void)
{
    struct qs_buf *b = load();
    const size_t n = b->size;
    qs_buf_unref(b);
    return n;
}

static void
program_and_parameters_are_read(void **state)
{
    (void)state;
    static const char *const types[] = {"feed", "conv2d", "reshape2", "softmax", "fetch"};
    struct qs_ctx cx;
    struct qs_model *m = read_changed(&cx, size_of_file(), SIZE_MAX, 0);
    assert_non_null(m);
    assert_int_equal(m->n_block, 1);
    assert_int_equal(m->block[0].parent, -1);
    assert_int_equal(m->block[0].n_node, 5);
    for (int i = 0; i < 5; i++)
        assert_string_equal(m->block[0].node[i].type, types[i]);
    const struct qs_node *conv = &m->block[0].node[1];
    int64_t strides[2];
    assert_int_equal(qs_attr_ints(conv, "strides", strides, 2), 2);
    assert_true(strides[0] == 1 && strides[1] == 1);
    assert_string_equal(qs_attr_str(conv, "padding_algorithm", ""), "EXPLICIT");
    const struct qs_var *w = &m->var[qs_node_input(conv, "Filter", 0)];
    assert_string_equal(w->name, "c.w_0");
    assert_non_null(w->data);
    assert_int_equal(w->data->dtype, QS_DTYPE_float32);
    assert_int_equal(w->data->n_dims, 4);
    assert_true(w->data->n == 3 * 2 * 3 * 3 && w->data->bytes == 4 * 54);
    assert_true(m->has_params);
    qs_model_unref(m);
}

static void
weights_lie_in_the_file(void **state)
{
    (void)state;
    struct qs_ctx cx;
    struct qs_buf *b = load();
    struct qs_model *m = qs_model_new();
    qs_ctx_init(&cx);
    assert_int_equal(qs_format_nb.read(&cx, b, m), QS_OK);
    const struct qs_tensor *t = m->var[qs_model_find_var(m, 0, "c.w_0")].data;
    assert_ptr_equal(t->buf, b);
    assert_true(t->offset + t->bytes <= b->size);
    qs_buf_unref(b);
    float sum = 0, w;
    for (size_t i = 0; i < t->bytes; i += sizeof(w)) {
        memcpy(&w, t->buf->data + t->offset + i, sizeof(w));
        sum += w * w;
    }
    assert_true(sum > 0 && sum < 54);
    qs_model_unref(m);
}

static void
every_cut_is_refused(void **state)
{
    (void)state;
    const size_t n = size_of_file();
    for (size_t i = HEAD; i < n; i += i < 64 ? 1 : 7) {
        struct qs_ctx cx;
        struct qs_model *m = read_changed(&cx, i, SIZE_MAX, 0);
        if (m)
            fail_msg("the first %zu of %zu bytes were read as a model", i, n);
    }
}

/* Whatever byte is wrong: a model or a sentence (the sanitizers watch). */
static void
every_changed_byte_is_survived(void **state)
{
    (void)state;
    static const uint8_t flips[] = {0x01, 0x80, 0xff};
    const size_t n = size_of_file();
    int n_refused = 0;
    for (size_t i = HEAD; i < n; i += 3) {
        struct qs_ctx cx;
        struct qs_model *m = read_changed(&cx, n, i, flips[i % sizeof(flips)]);
        n_refused += !m;
        qs_model_unref(m);
    }
    assert_true(n_refused > 100);
}

static const struct {
    const char *name;
    size_t at;
    uint8_t flip;
    const char *want;
} damaged[] = {
    {"meta version 0", 0, 2, "meta version 0"},
    {"meta version 3", 0, 1, "meta version 3"},
    {"program longer than the file", HEAD - 8 + 3, 0x40, "cut off"},
    {"root beyond the program", HEAD + 2, 0x10, "damaged"},
};

static void
damaged_files_are_refused_with_a_sentence(void **state)
{
    (void)state;
    const size_t n = size_of_file();
    for (size_t i = 0; i < sizeof(damaged) / sizeof(*damaged); i++) {
        struct qs_ctx cx;
        assert_null(read_changed(&cx, n, damaged[i].at, damaged[i].flip));
        if (!strstr(cx.message, damaged[i].want))
            fail_msg("%s: '%s'", damaged[i].name, cx.message);
    }
}

static void
other_formats_are_not_taken_for_it(void **state)
{
    (void)state;
    static const char json[] = "{\"base_code\":{\"magic\":\"pir\",\"version\":1}}";
    static const uint8_t program[] = {0x0a, 0x20, 0x08, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                      0,    0,    0,    0, 0,    0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    assert_false(qs_format_nb.probe((const uint8_t *)json, sizeof(json)));
    assert_false(qs_format_nb.probe(program, sizeof(program)));
    assert_false(qs_format_nb.probe(program, 0));
}

static const struct {
    const char *path;
    int n_node, n_data; /* n_node 0: an old meta version, refused */
} models[] = {
    {"models/nb/ch_PP-OCRv2_rec/model.nb", 111, 82},
    {"models/nb/ch_ppocr_mobile_v2.0_cls_opt/model.nb", 115, 106},
    {"models/nb/ch_ppocr_mobile_v2.0_cls_slim_opt_v212/model.nb", 136, 108},
    {"models/nb/ch_ppocr_mobile_v2.0_det_slim_opt/model.nb", 146, 108},
    {"models/nb/mask_detector_for_cpu/model.nb", 0, 0},
};

static void
real_models_have_their_nodes_and_parameters(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(models) / sizeof(*models); i++) {
        char *path = path_of(getenv("QSLIM_SHARED"), "../shared", models[i].path);
        if (!qs_exists(path)) {
            print_message("no reference models at %s\n", path);
            free(path);
            skip();
        }
        struct qs_ctx cx;
        struct qs_model *m = NULL;
        qs_ctx_init(&cx);
        const enum qs_err err = qs_model_read(&cx, path, NULL, &m);
        free(path);
        if (models[i].n_node == 0) {
            assert_int_equal(err, QS_ERR_UNSUPPORTED);
            assert_non_null(strstr(cx.message, "meta version 0"));
            continue;
        }
        assert_int_equal(err, QS_OK);
        int n_data = 0;
        for (int v = 0; v < m->n_var; v++)
            n_data += m->var[v].data != NULL;
        assert_int_equal(n_data, models[i].n_data);
        assert_int_equal(m->block[0].n_node, models[i].n_node);
        assert_string_equal(m->format, "nb");
        qs_model_unref(m);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(program_and_parameters_are_read),
        cmocka_unit_test(weights_lie_in_the_file),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(every_changed_byte_is_survived),
        cmocka_unit_test(damaged_files_are_refused_with_a_sentence),
        cmocka_unit_test(other_formats_are_not_taken_for_it),
        cmocka_unit_test(real_models_have_their_nodes_and_parameters),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
