/* SPDX-License-Identifier: Apache-2.0 */
/* For tests/parity/data.py: the parts of src/data on raw bytes. Everything is read from stdin and
 * written to stdout in native order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"
#include "base/mem.h"
#include "data/boxes.h"
#include "data/eval.h"
#include "data/resize.h"
#include "io/image.h"
#include "io/npy.h"

static struct qs_ctx cx;

static bool
get(void *p, size_t size, size_t n)
{
    return fread(p, size, n, stdin) == n;
}

static void
put(const void *p, size_t size, size_t n)
{
    if (fwrite(p, size, n, stdout) != n)
        exit(1);
}

static int
fail(void)
{
    fprintf(stderr, "%s\n", qs_message(&cx));
    return 1;
}

/* FILE...: [w, h, bytes], or [0, 0] where it cannot be decoded. */
static int
do_image(int n, char **arg)
{
    for (int i = 0; i < n; i++) {
        struct qs_image im;
        if (qs_image_read(&cx, arg[i], QS_IMAGE_PIXELS_MOST, &im))
            fail();
        qs_clear(&cx);
        put(&im.w, 4, 1);
        put(&im.h, 4, 1);
        put(im.data, 3, (size_t)im.w * (size_t)im.h);
        qs_image_release(&im);
    }
    return 0;
}

/* [sw, sh, dw, dh, bytes]... -> bytes... */
static int
do_resize(int n, char **arg)
{
    int d[4];
    (void)n, (void)arg;
    while (get(d, 4, 4)) {
        const size_t from = 3 * (size_t)d[0] * (size_t)d[1], to = 3 * (size_t)d[2] * (size_t)d[3];
        uint8_t *src = qs_xmalloc(from), *dst = qs_xmalloc(to);
        if (!get(src, 1, from))
            return 1;
        qs_resize(src, d[0], d[1], dst, d[2], d[3]);
        put(dst, 1, to);
        free(src);
        free(dst);
    }
    return 0;
}

/* [n, points]... -> [corners, shorter side]... */
static int
do_rect(int n, char **arg)
{
    int m;
    (void)n, (void)arg;
    while (get(&m, 4, 1)) {
        struct qs_point *p = qs_xcalloc((size_t)m, sizeof(*p));
        float corner[4][2];
        if (!get(p, sizeof(*p), (size_t)m))
            return 1;
        const float side = qs_min_rect(p, m, corner);
        put(corner, 4, 8);
        put(&side, 4, 1);
        free(p);
    }
    return 0;
}

/* [w, h, bytes]... -> [n, [n points, points]...]..., in the order of OpenCV */
static int
do_contours(int n, char **arg)
{
    int d[2];
    (void)n, (void)arg;
    while (get(d, 4, 2)) {
        struct qs_contours c;
        uint8_t *b = qs_xmalloc((size_t)d[0] * (size_t)d[1]);
        if (!get(b, 1, (size_t)d[0] * (size_t)d[1]) || qs_contours_find(&cx, b, d[0], d[1], &c))
            return 1;
        put(&c.n, 4, 1);
        for (int i = c.n - 1; i >= 0; i--) {
            const int m = c.start[i + 1] - c.start[i];
            put(&m, 4, 1);
            put(c.point + c.start[i], sizeof(*c.point), (size_t)m);
        }
        qs_contours_release(&c);
        free(b);
    }
    return 0;
}

/* [w, h, 4 points]... -> mask... */
static int
do_fill(int n, char **arg)
{
    int d[2];
    struct qs_point p[4];
    (void)n, (void)arg;
    while (get(d, 4, 2) && get(p, sizeof(*p), 4)) {
        uint8_t *mask = qs_xcalloc((size_t)d[0], (size_t)d[1]);
        qs_fill_quad(p, mask, d[0], d[1]);
        put(mask, (size_t)d[0], (size_t)d[1]);
        free(mask);
    }
    return 0;
}

/* [distance, 4 corners, all double]... -> [n, hull points]... */
static int
do_grow(int n, char **arg)
{
    double d[9];
    (void)n, (void)arg;
    while (get(d, 8, 9)) {
        int m = 0;
        struct qs_point *p = qs_grow((const struct qs_vertex *)(d + 1), d[0], &m);
        struct qs_point *hull = qs_xcalloc(2 * (size_t)m + 1, sizeof(*hull));
        m = m ? qs_hull(p, m, hull) : 0;
        put(&m, 4, 1);
        put(hull, sizeof(*hull), (size_t)m);
        free(p);
        free(hull);
    }
    return 0;
}

/* [n, m, points of both as double]... -> [overlap, simple, simple as double]... */
static int
do_overlap(int n, char **arg)
{
    int d[2];
    (void)n, (void)arg;
    while (get(d, 4, 2)) {
        struct qs_vertex *v = qs_xcalloc((size_t)d[0] + (size_t)d[1], sizeof(*v));
        if (!get(v, sizeof(*v), (size_t)d[0] + (size_t)d[1]))
            return 1;
        const double out[] = {qs_polygon_overlap(v, d[0], v + d[0], d[1]),
                              qs_polygon_is_simple(v, d[0]), qs_polygon_is_simple(v + d[0], d[1])};
        put(out, 8, 3);
        free(v);
    }
    return 0;
}

/* DATA SAMPLES: [dims[4], input]... */
static int
do_inputs(int n, char **arg)
{
    struct qs_dataset *d = NULL;
    struct qs_sample *s = NULL;
    const struct qs_dataset_options opt = {.samples = n > 1 ? atoi(arg[1]) : 0};
    if (n < 1 || qs_dataset_open(&cx, arg[0], &opt, &d))
        return fail();
    while (!qs_dataset_next(&cx, d, &s) && s) {
        put(s->input[0].d, 8, 4);
        put(s->input[0].data, 4, (size_t)s->input[0].count);
        qs_sample_free(s);
    }
    qs_dataset_close(d);
    return cx.err ? fail() : 0;
}

/* The output of the model for a sample, from FOLDER/<i>.npy. */
static int
add_output(struct qs_eval *e, const struct qs_sample *s, const char *folder)
{
    struct qs_npy a;
    char path[4096];
    snprintf(path, sizeof(path), "%s/%lld.npy", folder, (long long)s->i);
    if (qs_npy_read(&cx, path, &a))
        return fail();
    struct qs_value v = {.dtype = a.dtype, .n = a.n, .count = a.count};
    memcpy(v.d, a.d, sizeof(v.d));
    v.data = qs_xmalloc((size_t)a.count * 4);
    memcpy(v.data, a.buf->data, (size_t)a.count * 4);
    const int failed = qs_eval_add(&cx, e, s, &v, &v) ? fail() : 0;
    free(v.data);
    qs_npy_release(&a);
    return failed;
}

/* DATA SAMPLES FOLDER: a prediction a line, then "name value low high" lines. The reference is the
 * model itself. */
static int
do_eval(int n, char **arg)
{
    struct qs_dataset *d = NULL;
    struct qs_sample *s = NULL;
    struct qs_eval e;
    struct qs_str predictions;
    struct qs_run_metric metric[QS_N_METRIC] = {{0}};
    int failed = 0;
    qs_str_init(&predictions);
    if (n < 3)
        return 2;
    const struct qs_dataset_options opt = {.samples = atoi(arg[1])};
    if (qs_dataset_open(&cx, arg[0], &opt, &d) || qs_eval_init(&cx, &e, d, NULL, true))
        return fail();
    e.predictions = &predictions;
    while (!failed && !qs_dataset_next(&cx, d, &s) && s) {
        failed = add_output(&e, s, arg[2]);
        qs_sample_free(s);
    }
    if (failed || cx.err || qs_eval_result(&cx, &e, metric))
        return fail();
    fputs(predictions.s, stdout);
    for (int i = 0; i < e.n_metric; i++) {
        printf("%s %.9g %.9g %.9g\n", metric[i].name, metric[i].value, metric[i].low,
               metric[i].high);
        free(metric[i].name);
    }
    qs_str_release(&predictions);
    qs_eval_release(&e);
    qs_dataset_close(d);
    return 0;
}

static const struct {
    const char *name;
    int (*run)(int n, char **arg);
} modes[] = {
    {"image", do_image},       {"resize", do_resize}, {"rect", do_rect},
    {"contours", do_contours}, {"fill", do_fill},     {"grow", do_grow},
    {"overlap", do_overlap},   {"inputs", do_inputs}, {"eval", do_eval},
};

int
main(int argc, char **argv)
{
    qs_ctx_init(&cx);
    for (size_t i = 0; argc > 1 && i < QS_LEN(modes); i++)
        if (strcmp(argv[1], modes[i].name) == 0)
            return modes[i].run(argc - 2, argv + 2);
    fprintf(stderr, "usage: data_raw MODE [ARG]...\n");
    return 2;
}
