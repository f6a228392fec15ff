/* SPDX-License-Identifier: Apache-2.0 */
/* Data files: settings, lists, samples, text boxes, texts and metrics. Against OpenCV, pyclipper,
 * shapely and Paddle: tests/parity/data.py. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "data/eval.h"
#include "data/resize.h"

static char folder[] = "/tmp/qslim-test.XXXXXX";

static char *
in_folder(const char *name)
{
    return qs_path_join(folder, name);
}

static void
write_file(const char *name, const char *text, size_t n)
{
    char *path = in_folder(name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    free(path);
}

static void
write_text(const char *name, const char *text)
{
    write_file(name, text, strlen(text));
}

/* --- settings --------------------------------------------------------------------------------- */

static void
data_file_has_the_defaults_of_its_type(void **state)
{
    struct qs_ctx cx;
    struct qs_data_config c;
    static const char text[] = "type: ocr_det\nlist: l/Label.txt\npreprocess: {limit_type: min}\n";
    (void)state;
    qs_ctx_init(&cx);
    assert_int_equal(qs_data_config_parse(&cx, text, strlen(text), "d/x.yaml", &c), QS_OK);
    assert_string_equal(c.list, "d/l/Label.txt");
    assert_string_equal(c.root, "d/l");
    assert_int_equal(c.pre.color, QS_COLOR_BGR);
    assert_int_equal(c.pre.limit_side_len, 960);
    assert_int_equal(c.pre.limit_type, QS_LIMIT_MIN);
    assert_true(c.pre.mean[0] == 0.485);
    assert_true(c.post.box_thresh == 0.6);
    assert_int_equal(c.post.max_candidates, 1000);
    qs_data_config_release(&c);
}

static void
data_file_is_refused(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"list: a\n", "'type' is missing"},
        {"type: video\nlist: a\n", "'type' must be one of classification, ocr_rec"},
        {"type: classification\n", "'list' is missing"},
        {"type: classification\nlist: [a]\n", "'list' must be the name of a file"},
        {"type: tensors\nlist: [a]\n", "'list' must be a file, or a file for each input"},
        {"type: ocr_rec\nlist: a\n", "'dict' is missing"},
        {"type: classification\nlist: a\npreprocess: {crop: 300}\n", "'crop' (300) is larger"},
        {"type: classification\nlist: a\npreprocess: {std: [0, 1, 1]}\n", "'std' must be"},
        {"type: classification\nlist: a\npreprocess: {size: [8, 8], resize_short: 9}\n", "exclude"},
        {"type: ocr_rec\ndict: d\nlist: a\npreprocess: {shape: [1, 32, 320]}\n", "3 channels"},
        {"type: ocr_det\nlist: a\npostprocess: {thresh: 2}\n", "'thresh' must be a number 0 .. 1"},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(cases); i++) {
        struct qs_ctx cx;
        struct qs_data_config c;
        qs_ctx_init(&cx);
        assert_int_equal(
            qs_data_config_parse(&cx, cases[i].text, strlen(cases[i].text), "x.yaml", &c),
            QS_ERR_FORMAT);
        if (!strstr(qs_message(&cx), cases[i].want))
            fail_msg("%s gives: %s", cases[i].text, qs_message(&cx));
    }
}

/* --- lists and samples ------------------------------------------------------------------------ */

static enum qs_err
open_data(struct qs_ctx *cx, const char *settings, int64_t samples, struct qs_dataset **d)
{
    const struct qs_dataset_options opt = {.samples = samples};
    char *path = in_folder("x.yaml");
    write_text("x.yaml", settings);
    qs_ctx_init(cx);
    *d = NULL;
    const enum qs_err err = qs_dataset_open(cx, path, &opt, d);
    free(path);
    return err;
}

static void
list_is_refused_with_the_line(void **state)
{
    static const struct {
        const char *type, *list, *want;
    } cases[] = {
        {"classification", "", "there is no sample in list"},
        {"classification", "\n \n", "there is no sample in list"},
        {"classification", "a.png 1\nb.png x\n", "line 2: the label is not a number of a class"},
        {"classification", "a.png -1\n", "line 1: the label is not a number of a class"},
        {"classification", "a.png 99999999999999999999\n", "line 1: the label is not"},
        {"classification", "a.png\n", "line 1: expected 'path label'"},
        {"classification", "a\xff.png 1\n", "it is not UTF-8"},
        {"ocr_rec", "a.png text\n", "line 1: expected the path, a tab and the label"},
        {"ocr_det", "a.png\t{}\n", "line 1: the label is not a list of texts"},
        {"ocr_det", "a.png\t[\n", "line 1: "},
        {"ocr_det", "a.png\t[{\"points\": [[0,0],[1,0],[1,1]]}]\n", "lacks its 'transcription'"},
        {"ocr_det", "a.png\t[{\"transcription\": \"a\", \"points\": [[0,0],[1,0]]}]\n",
         "at least three points"},
        {"ocr_det", "a.png\t[{\"transcription\": \"a\", \"points\": [[0,0],[1,0],[1]]}]\n",
         "a point must be [x, y]"},
    };
    (void)state;
    write_text("dict.txt", "a\nb\n");
    for (size_t i = 0; i < QS_LEN(cases); i++) {
        struct qs_ctx cx;
        struct qs_dataset *d;
        char settings[128];
        snprintf(settings, sizeof(settings), "type: %s\nlist: list.txt\ndict: dict.txt\n",
                 cases[i].type);
        write_text("list.txt", cases[i].list);
        assert_int_equal(open_data(&cx, settings, 0, &d), QS_ERR_FORMAT);
        if (!strstr(qs_message(&cx), cases[i].want))
            fail_msg("%s gives: %s", cases[i].list, qs_message(&cx));
    }
}

static void
list_names_may_hold_spaces(void **state)
{
    struct qs_ctx cx;
    struct qs_dataset *d;
    (void)state;
    write_text("list.txt", "\xef\xbb\xbf"
                           "a b.png 3 \r\n\r\nc.png\t4\r\nd.png 5");
    assert_int_equal(open_data(&cx, "type: classification\nlist: list.txt\n", 2, &d), QS_OK);
    assert_int_equal(d->n, 2);
    assert_string_equal(d->name[0], "a b.png");
    assert_int_equal(d->truth[0].label, 3);
    assert_string_equal(d->name[1], "c.png");
    assert_int_equal(d->truth[1].label, 4);
    qs_dataset_close(d);
}

/* A BMP of one grey row of `w` pixels. */
static void
write_picture(const char *name, int w, int grey)
{
    char bytes[54 + 64] = "BM";
    bytes[10] = 54;
    bytes[14] = 40;
    bytes[18] = (char)w;
    bytes[22] = 1;
    bytes[28] = 24;
    memset(bytes + 54, grey, 64);
    write_file(name, bytes, sizeof(bytes));
}

static const char small[] =
    "type: classification\nlist: list.txt\n"
    "preprocess: {size: [2, 2], scale: 1, mean: [1, 1, 1], std: [2, 2, 2]}\n";

static void
check_order(int threads)
{
    struct qs_ctx cx;
    struct qs_dataset *d;
    struct qs_sample *s;
    assert_int_equal(open_data(&cx, small, 0, &d), QS_OK);
    cx.threads = threads;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < (round ? 40 : 20); i++) {
            assert_int_equal(qs_dataset_next(&cx, d, &s), QS_OK);
            assert_int_equal(s->i, i);
            assert_int_equal(s->input[0].count, 12);
            assert_int_equal(s->image_w, 3);
            assert_true(s->input[0].f32[11] == ((float)i - 1) / 2);
            qs_sample_free(s);
        }
        if (round == 0)
            qs_dataset_rewind(d);
    }
    assert_int_equal(qs_dataset_next(&cx, d, &s), QS_OK);
    assert_null(s);
    qs_dataset_seek(d, 17);
    for (int i = 17; i < 19; i++) {
        assert_int_equal(qs_dataset_next(&cx, d, &s), QS_OK);
        assert_int_equal(s->i, i);
        qs_sample_free(s);
    }
    qs_dataset_seek(d, 40);
    assert_int_equal(qs_dataset_next(&cx, d, &s), QS_OK);
    assert_null(s);
    qs_dataset_rewind(d);
    assert_int_equal(qs_dataset_next(&cx, d, &s), QS_OK);
    assert_int_equal(s->i, 0);
    qs_sample_free(s);
    qs_dataset_close(d);
}

static void
samples_come_in_order_and_again(void **state)
{
    struct qs_str list;
    (void)state;
    qs_str_init(&list);
    for (int i = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof(name), "p%d.bmp", i);
        write_picture(name, 3, i);
        qs_str_printf(&list, "%s %d\n", name, i % 10);
    }
    write_text("list.txt", list.s);
    qs_str_release(&list);
    for (int threads = 1; threads <= 8; threads *= 2)
        check_order(threads);
}

static int n_warnings;
static char warning[1024];

static void
count_warnings(void *arg, const struct qs_event *ev)
{
    (void)arg;
    if (ev->kind != QS_EVENT_WARNING)
        return;
    n_warnings++;
    snprintf(warning, sizeof(warning), "%s", ev->text);
}

static void
broken_pictures_are_named_and_left_out(void **state)
{
    struct qs_ctx cx;
    struct qs_dataset *d;
    struct qs_sample *s;
    int n = 0;
    (void)state;
    write_text("list.txt", "p1.bmp 1\nmissing.bmp 1\nx.yaml 1\np2.bmp 2\n");
    assert_int_equal(open_data(&cx, small, 0, &d), QS_OK);
    cx.sink = count_warnings;
    n_warnings = 0;
    while (qs_dataset_next(&cx, d, &s) == QS_OK && s) {
        n++;
        qs_sample_free(s);
    }
    assert_int_equal(n, 2);
    assert_int_equal(cx.err, QS_OK);
    assert_int_equal(d->n_broken, 2);
    assert_int_equal(n_warnings, 2);
    assert_non_null(strstr(warning, "x.yaml"));
    qs_dataset_close(d);
}

static void
all_pictures_broken_is_an_error(void **state)
{
    struct qs_ctx cx;
    struct qs_dataset *d;
    struct qs_sample *s;
    (void)state;
    write_text("list.txt", "missing1.bmp 1\nmissing2.bmp 1\n");
    assert_int_equal(open_data(&cx, small, 0, &d), QS_OK);
    assert_int_equal(qs_dataset_next(&cx, d, &s), QS_ERR_NOT_FOUND);
    assert_null(s);
    assert_non_null(strstr(qs_message(&cx), "none of 2 samples can be read"));
    assert_non_null(strstr(qs_message(&cx), "missing2.bmp"));
    qs_dataset_close(d);
}

static void
a_thin_picture_does_not_grow_without_bound(void **state)
{
    struct qs_ctx cx;
    struct qs_dataset *d;
    struct qs_sample *s;
    const struct qs_dataset_options opt = {.max_pixels = 1000};
    char *path = in_folder("x.yaml");
    (void)state;
    write_text("list.txt", "p1.bmp 1\n");
    write_text("x.yaml", "type: classification\nlist: list.txt\n");
    qs_ctx_init(&cx);
    assert_int_equal(qs_dataset_open(&cx, path, &opt, &d), QS_OK);
    assert_int_equal(qs_dataset_next(&cx, d, &s), QS_ERR_FORMAT);
    assert_non_null(strstr(qs_message(&cx), "resized to 768 x 256 it has too many pixels"));
    qs_dataset_close(d);
    free(path);
}

/* --- preprocessing ---------------------------------------------------------------------------- */

/* What cv2.resize of OpenCV 4.6 gives. */
static void
resize_is_opencvs(void **state)
{
    static const uint8_t src[] = {10, 20, 30, 200, 100, 0, 255, 254, 253, 1, 2, 3};
    static const uint8_t larger[] = {10,  20,  30,  105, 60,  15,  200, 100, 0,
                                     133, 137, 142, 117, 94,  72,  101, 51,  2,
                                     255, 254, 253, 128, 128, 128, 1,   2,   3};
    static const uint8_t wider[] = {133, 137, 142, 129, 128, 127, 117, 94,
                                    72,  103, 59,  16,  101, 51,  2};
    static const uint8_t least[] = {117, 94, 72};
    static const struct {
        int w, h;
        const uint8_t *want;
    } cases[] = {{3, 3, larger}, {5, 1, wider}, {1, 1, least}, {2, 2, src}};
    (void)state;
    for (size_t i = 0; i < QS_LEN(cases); i++) {
        uint8_t got[27];
        qs_resize(src, 2, 2, got, cases[i].w, cases[i].h);
        assert_memory_equal(got, cases[i].want, (size_t)(3 * cases[i].w * cases[i].h));
    }
}

/* --- boxes ------------------------------------------------------------------------------------ */

static void
contours_are_outer_and_inner_borders(void **state)
{
    static const uint8_t bitmap[] = {
        0, 1, 1, 1, 0, 0, //
        0, 1, 0, 1, 0, 1, //
        0, 1, 1, 1, 0, 0, //
    };
    struct qs_ctx cx;
    struct qs_contours c;
    (void)state;
    qs_ctx_init(&cx);
    assert_int_equal(qs_contours_find(&cx, bitmap, 6, 3, &c), QS_OK);
    assert_int_equal(c.n, 3);
    assert_int_equal(c.start[1], 4); /* the corners of the ring */
    assert_int_equal(c.point[0].x, 1);
    assert_int_equal(c.point[0].y, 0);
    assert_int_equal(c.start[2] - c.start[1], 4); /* around its hole */
    assert_int_equal(c.start[3] - c.start[2], 1); /* the dot */
    assert_int_equal(c.point[c.start[2]].x, 5);
    qs_contours_release(&c);
}

static void
overlap_is_the_common_area(void **state)
{
    static const struct qs_vertex a[] = {{0, 0}, {10, 0}, {10, 10}, {0, 10}},
                                  b[] = {{5, 5}, {15, 5}, {15, 15}, {5, 15}},
                                  c[] = {{20, 20}, {30, 20}, {30, 30}},
                                  arrow[] = {{0, 0}, {10, 5}, {0, 10}, {5, 5}},
                                  bow[] = {{0, 0}, {10, 10}, {10, 0}, {0, 10}},
                                  line[] = {{0, 0}, {5, 5}, {10, 10}};
    (void)state;
    assert_true(fabs(qs_polygon_overlap(a, 4, b, 4) - 25) < 1e-9);
    assert_true(fabs(qs_polygon_overlap(a, 4, a, 4) - 100) < 1e-9);
    assert_true(qs_polygon_overlap(a, 4, c, 3) == 0);
    assert_true(fabs(qs_polygon_overlap(a, 4, arrow, 4) - 25) < 1e-9);
    assert_true(qs_polygon_is_simple(arrow, 4));
    assert_false(qs_polygon_is_simple(bow, 4));
    assert_false(qs_polygon_is_simple(line, 3));
    assert_false(qs_polygon_is_simple(a, 2));
}

static void
text_is_found_in_a_map(void **state)
{
    enum { MAP_W = 64, MAP_H = 48 };
    static float map[MAP_W * MAP_H];
    static const struct qs_postprocess post = {0.3, 0.6, 1.5, 1000};
    static struct qs_vertex truth[] = {{16, 16}, {104, 16}, {104, 44}, {16, 44}},
                            other[] = {{0, 60}, {20, 60}, {20, 90}, {0, 90}};
    static const struct qs_text_area area[] = {
        {truth, 4, false, true}, {other, 4, false, true}, {other, 4, true, true}};
    struct qs_ctx cx;
    struct qs_boxes boxes;
    struct qs_match m;
    (void)state;
    for (int y = 10; y < 20; y++)
        for (int x = 10; x < 50; x++)
            map[y * MAP_W + x] = 0.9f;
    map[40 * MAP_W + 40] = 1; /* too small for a text */
    map[0] = NAN;
    qs_ctx_init(&cx);
    assert_int_equal(qs_boxes_find(&cx, map, MAP_W, MAP_H, 2 * MAP_W, 2 * MAP_H, &post, &boxes),
                     QS_OK);
    assert_int_equal(boxes.n, 1);
    assert_in_range(boxes.box[0].p[0].x, 6, 14); /* grown around (20, 20) .. (98, 38) */
    assert_in_range(boxes.box[0].p[2].x, 104, 112);
    qs_boxes_match(&boxes, area, 3, &m);
    assert_int_equal(m.matched, 1);
    assert_int_equal(m.n_found, 1);
    assert_int_equal(m.n_truth, 2);
    qs_boxes_release(&boxes);
}

/* --- texts ------------------------------------------------------------------------------------ */

static void
ctc_drops_blanks_and_repetitions(void **state)
{
    static char blank[] = "", a[] = "a", e[] = "\xc3\xa9", *key[] = {blank, a, e};
    static const struct qs_dict dict = {.key = key, .n = 3};
    static const int path[] = {0, 1, 1, 0, 1, 2, 2, 0};
    float prob[8][3] = {{0}};
    struct qs_str out;
    (void)state;
    for (int t = 0; t < 8; t++)
        prob[t][path[t]] = 1;
    qs_str_init(&out);
    qs_ctc_decode(&dict, prob[0], 8, 3, &out);
    assert_string_equal(out.s, "aa\xc3\xa9");
    qs_str_release(&out);
}

static void
distance_counts_characters(void **state)
{
    static const struct {
        const char *a, *b;
        double want;
    } cases[] = {
        {"", "", 0},
        {"abc", "", 1},
        {"kitten", "sitting", 3.0 / 7},
        {"a b c", "abc", 0},
        {"\xe4\xb8\xad\xe6\x96\x87", "\xe4\xb8\xad", 0.5},
        {"ab", "ba", 1},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(cases); i++) {
        bool equal;
        assert_true(fabs(qs_text_distance(cases[i].a, cases[i].b, &equal) - cases[i].want) < 1e-12);
        assert_int_equal(equal, cases[i].want == 0);
    }
}

static void
only_valid_utf8_is_taken(void **state)
{
    static const char *const bad[] = {"\x80",         "\xc0\x80",         "\xe4\xb8",
                                      "\xed\xa0\x80", "\xf5\x80\x80\x80", "a\xff"};
    (void)state;
    assert_true(qs_utf8_is_valid("a\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80", 10));
    for (size_t i = 0; i < QS_LEN(bad); i++)
        assert_false(qs_utf8_is_valid(bad[i], strlen(bad[i])));
    assert_false(qs_utf8_is_valid("a\0", 2));
}

/* --- metrics ---------------------------------------------------------------------------------- */

/* Known values of Wilson's interval. */
static void
proportions_have_wilsons_interval(void **state)
{
    static const struct {
        double a, b, low, high;
    } cases[] = {{0, 10, 0, 0.277533}, {10, 10, 0.722467, 1}, {81, 263, 0.255289, 0.366206}};
    (void)state;
    for (size_t i = 0; i < QS_LEN(cases); i++) {
        const struct qs_interval in = qs_wilson(cases[i].a, cases[i].b);
        if (fabs(in.low - cases[i].low) > 1e-5 || fabs(in.high - cases[i].high) > 1e-5)
            fail_msg("%g of %g: %f %f", cases[i].a, cases[i].b, in.low, in.high);
    }
}

static void
bootstrap_is_the_same_each_time(void **state)
{
    enum { N = 200 };
    struct qs_sum sum[N];
    struct qs_interval first, second;
    struct qs_ctx cx;
    const int id = QS_METRIC_hmean;
    (void)state;
    qs_ctx_init(&cx);
    for (int i = 0; i < N; i++)
        sum[i] = (struct qs_sum){i % 3, 4};
    assert_int_equal(qs_metric_intervals(&cx, &id, 1, sum, N, &first), QS_OK);
    assert_int_equal(qs_metric_intervals(&cx, &id, 1, sum, N, &second), QS_OK);
    assert_memory_equal(&first, &second, sizeof(first));
    assert_true(first.low < first.value && first.value < first.high);
    /* the standard error of the mean of i % 3 over 4 */
    const double half = 1.96 * sqrt(2.0 / 3 / N) / 4;
    assert_true(fabs(first.high - first.low - 2 * half) < 0.2 * half);
}

static void
classes_rank_by_value_then_order(void **state)
{
    static const float row[] = {1, 3, NAN, 3, 2};
    static const int64_t want[] = {3, 0, 5, 1, 2};
    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(qs_rank_of(row, 5, i), want[i]);
    assert_int_equal(qs_largest(row, 5), 1);
    assert_int_equal(qs_largest(row + 2, 2), 1);
}

static void
outputs_are_compared(void **state)
{
    static const float r[] = {1, 0, 0, 1}, x[] = {1, 1, 0, 1};
    struct qs_sum s[QS_N_METRIC];
    (void)state;
    qs_compare_outputs(x, r, 2, 2, s);
    assert_true(fabs(s[QS_METRIC_cosine].a - 2 / sqrt(6)) < 1e-12);
    assert_true(qs_metric_value(&qs_metrics[QS_METRIC_mse], s[QS_METRIC_mse]) == 0.25);
    assert_true(fabs(qs_metric_value(&qs_metrics[QS_METRIC_sqnr_db], s[QS_METRIC_sqnr_db]) -
                     10 * log10(2)) < 1e-12);
    assert_true(s[QS_METRIC_top1_agreement].a == 2);
    assert_true(s[QS_METRIC_kl].a == 0); /* both are certain of the same */
    qs_compare_outputs(r, r, 2, 2, s);
    assert_true(isinf(qs_metric_value(&qs_metrics[QS_METRIC_sqnr_db], s[QS_METRIC_sqnr_db])));
}

/* Softmax of (0, ln 3) is (1/4, 3/4): KL from (1/2, 1/2). */
static void
divergence_takes_logits_too(void **state)
{
    static const float r[] = {2, 2}, x[] = {0, 1.0986123f};
    struct qs_sum s[QS_N_METRIC];
    (void)state;
    qs_compare_outputs(x, r, 1, 2, s);
    assert_true(fabs(s[QS_METRIC_kl].a - (0.5 * log(2) + 0.5 * log(2.0 / 3))) < 1e-6);
}

static void
evaluation_counts(void **state)
{
    struct qs_ctx cx;
    struct qs_dataset *d;
    struct qs_eval e;
    struct qs_run_metric metric[QS_N_METRIC];
    float row[10] = {0};
    struct qs_value out = {.dtype = QS_DTYPE_float32, .n = 2, .d = {1, 10}, .count = 10};
    struct qs_sample s = {0};
    (void)state;
    write_text("list.txt", "a 1\nb 2\nc 3\nd 4\n");
    assert_int_equal(open_data(&cx, small, 0, &d), QS_OK);
    assert_int_equal(qs_eval_init(&cx, &e, d, NULL, false), QS_OK);
    assert_int_equal(e.n_metric, 2);
    row[2] = 1;
    out.f32 = row;
    for (s.i = 0; s.i < 4; s.i++)
        assert_int_equal(qs_eval_add(&cx, &e, &s, &out, NULL), QS_OK);
    assert_int_equal(qs_eval_result(&cx, &e, metric), QS_OK);
    for (int i = 0; i < e.n_metric; i++)
        assert_float_equal(qs_eval_value(&e, i), metric[i].value, 0);
    assert_string_equal(metric[0].name, "top1");
    assert_true(metric[0].value == 0.25);
    assert_true(metric[1].value == 1); /* equal outputs in their order: 2, 0, 1, 3, 4 */
    for (int i = 0; i < 2; i++)
        free(metric[i].name);
    s.i = 3;
    out.d[1] = out.count = 4;
    assert_int_equal(qs_eval_add(&cx, &e, &s, &out, NULL), QS_ERR_FORMAT);
    assert_non_null(strstr(qs_message(&cx), "label 4 of 'd' is beyond the 4 classes"));
    qs_eval_release(&e);
    qs_clear(&cx);
    assert_int_equal(qs_eval_init(&cx, &e, d, "top1,best", false), QS_ERR_USAGE);
    qs_clear(&cx);
    assert_int_equal(qs_eval_init(&cx, &e, d, "hmean", false), QS_ERR_UNSUPPORTED);
    qs_dataset_close(d);
}

static int
make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int
remove_folder(void **state)
{
    (void)state;
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));)
        unlinkat(dirfd(dir), e->d_name, 0);
    if (dir)
        closedir(dir);
    return rmdir(folder);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_file_has_the_defaults_of_its_type),
        cmocka_unit_test(data_file_is_refused),
        cmocka_unit_test(list_is_refused_with_the_line),
        cmocka_unit_test(list_names_may_hold_spaces),
        cmocka_unit_test(samples_come_in_order_and_again),
        cmocka_unit_test(broken_pictures_are_named_and_left_out),
        cmocka_unit_test(all_pictures_broken_is_an_error),
        cmocka_unit_test(a_thin_picture_does_not_grow_without_bound),
        cmocka_unit_test(resize_is_opencvs),
        cmocka_unit_test(contours_are_outer_and_inner_borders),
        cmocka_unit_test(overlap_is_the_common_area),
        cmocka_unit_test(text_is_found_in_a_map),
        cmocka_unit_test(ctc_drops_blanks_and_repetitions),
        cmocka_unit_test(distance_counts_characters),
        cmocka_unit_test(only_valid_utf8_is_taken),
        cmocka_unit_test(proportions_have_wilsons_interval),
        cmocka_unit_test(bootstrap_is_the_same_each_time),
        cmocka_unit_test(classes_rank_by_value_then_order),
        cmocka_unit_test(outputs_are_compared),
        cmocka_unit_test(divergence_takes_logits_too),
        cmocka_unit_test(evaluation_counts),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
