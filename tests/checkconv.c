/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels of the FP32 engine (kernels/conv.h), every variant against plain loops in double
 * precision, as TAP: checkconv [--seed N]. With --bench: the speed of convolutions instead.
 * Outputs lie between guard floats that must not change.
 */
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/conv.h"
#include "kernels/cpu.h"

static uint64_t state;

static float
next(void) /* -1 .. 1 */
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (float)((double)(state >> 33) / (double)(UINT64_C(1) << 30) - 1);
}

static float *
floats(int64_t n)
{
    float *p = aligned_alloc(64, (size_t)((n * 4 + 63) / 64 * 64 + 64));
    if (!p) {
        printf("Bail out! no memory\n");
        exit(99);
    }
    return p;
}

static float *
random_floats(int64_t n)
{
    float *p = floats(n);
    for (int64_t i = 0; i < n; i++)
        p[i] = next();
    return p;
}

/* ---- blocked images between guards ---- */

enum { GUARD = 64 };
static const float GUARD_VALUE = 12345.5f;

struct image {
    float *memory, *at; /* at: pixel (0, 0) of block 0 */
    int64_t block, row, pixel, n;
    int lanes, c, h, w, halo;
};

static struct image
image_new(int lanes, int c, int h, int w, int halo)
{
    struct image m = {.lanes = lanes, .c = c, .h = h, .w = w, .halo = halo, .pixel = lanes};
    m.row = (int64_t)(w + 2 * halo) * lanes;
    m.block = (h + 2 * halo) * m.row;
    m.n = (c + lanes - 1) / lanes * m.block + 2 * GUARD;
    m.memory = floats(m.n);
    for (int64_t i = 0; i < m.n; i++)
        m.memory[i] = i < GUARD || i >= m.n - GUARD ? GUARD_VALUE : 0;
    m.at = m.memory + GUARD + halo * (m.row + lanes);
    return m;
}

static float *
image_pixel(const struct image *m, int c, int y, int x)
{
    return m->at + c / m->lanes * m->block + y * m->row + x * m->pixel + c % m->lanes;
}

static void
image_fill(struct image *m, const float *x)
{
    for (int c = 0; c < m->c; c++)
        for (int i = 0; i < m->h; i++)
            for (int j = 0; j < m->w; j++)
                *image_pixel(m, c, i, j) = *x++;
}

/* Guards and, where there is one, the halo are as they were. */
static bool
image_intact(const struct image *m)
{
    for (int i = 0; i < GUARD; i++)
        if (m->memory[i] != GUARD_VALUE || m->memory[m->n - 1 - i] != GUARD_VALUE)
            return false;
    for (int c = 0; c < m->c; c++)
        for (int y = -m->halo; y < m->h + m->halo; y++)
            for (int x = -m->halo; x < m->w + m->halo; x++)
                if ((y < 0 || y >= m->h || x < 0 || x >= m->w) && *image_pixel(m, c, y, x) != 0)
                    return false;
    return true;
}

/* ---- convolution ---- */

struct conv_case {
    int ic, oc, h, w, kh, kw, sh, sw, dh, dw, pad, y_halo;
    bool depthwise, plain, flat, add;
    enum qk_post_kind post;
};

static int
out_size(int size, int pad, int k, int d, int s)
{
    return (size + 2 * pad - d * (k - 1) - 1) / s + 1;
}

static double
post_of(const struct qk_post *p, double v)
{
    switch (p->kind) {
    case QK_POST_CLAMP:
        return fmin(fmax(v, p->a), p->b);
    case QK_POST_HARD_SWISH:
        return v * fmin(fmax(v + p->a, 0), p->b) * p->c;
    case QK_POST_HARD_SIGMOID:
        return fmin(fmax(v * p->a + p->b, 0), 1);
    case QK_POST_LEAKY_RELU:
        return v >= 0 ? v : v * p->a;
    case QK_POST_SIGMOID:
        return 1 / (1 + exp(-v));
    case QK_POST_SWISH:
        return v / (1 + exp(-p->a * v));
    case QK_POST_TANH:
        return tanh(v);
    }
    return NAN;
}

static const struct qk_post posts[] = {
    [QK_POST_CLAMP] = {QK_POST_CLAMP, 0, 6, 0},
    [QK_POST_HARD_SWISH] = {QK_POST_HARD_SWISH, 3, 6, 1 / 6.0f},
    [QK_POST_HARD_SIGMOID] = {QK_POST_HARD_SIGMOID, 0.2f, 0.5f, 0},
    [QK_POST_LEAKY_RELU] = {QK_POST_LEAKY_RELU, 0.1f, 0, 0},
    [QK_POST_SIGMOID] = {QK_POST_SIGMOID, 0, 0, 0},
    [QK_POST_SWISH] = {QK_POST_SWISH, 1, 0, 0},
    [QK_POST_TANH] = {QK_POST_TANH, 0, 0, 0},
};

struct conv_data { /* plain tensors and the blocked ones made of them */
    int oh, ow;
    float *x, *w, *b, *add, *packed;
    struct image in, out, more;
    struct qk_conv_args a;
};

static void
make_input(const struct qk_conv *k, const struct conv_case *c, struct conv_data *d)
{
    const int lanes = c->plain ? 1 : k->lanes;
    d->in = image_new(lanes, c->ic, c->h, c->w, c->pad);
    image_fill(&d->in, d->x);
    d->a.x = d->in.at - c->pad * (d->in.row + d->in.pixel);
    d->a.x_block = d->in.block;
    d->a.x_row = d->in.row;
    d->a.x_pixel = d->in.pixel;
    d->a.x_lane = c->plain ? d->in.block : 1;
    d->a.block = c->plain ? c->ic : k->lanes;
}

static void
make_weights(const struct qk_conv *k, const struct conv_case *c, struct conv_data *d)
{
    const int taps = c->kh * c->kw, per_oc = c->depthwise ? taps : c->ic * taps;
    const int padded = (c->oc + k->lanes - 1) / k->lanes * k->lanes;
    float *bias = floats(padded);
    for (int i = 0; i < padded; i++)
        bias[i] = i < c->oc ? d->b[i] : 0;
    d->a.bias = bias;
    if (c->depthwise) {
        d->packed = floats((int64_t)padded * taps);
        for (int o = 0; o < padded; o++)
            for (int t = 0; t < taps; t++)
                d->packed[(o / k->lanes * taps + t) * k->lanes + o % k->lanes] =
                    o < c->oc ? d->w[o * taps + t] : 0;
    } else {
        const struct qk_pack p = {.lanes = k->lanes,
                                  .block = d->a.block,
                                  .oc = c->oc,
                                  .ic = c->ic,
                                  .kh = c->kh,
                                  .kw = c->kw,
                                  .w = d->w,
                                  .w_oc = per_oc,
                                  .w_ic = taps,
                                  .w_kh = c->kw,
                                  .w_kw = 1};
        d->packed = floats(qk_conv_packed(k->lanes, c->oc, c->ic, c->kh, c->kw));
        qk_conv_pack(&p, d->packed);
    }
    d->a.w = d->packed;
}

static struct conv_data
make(const struct qk_conv *k, const struct conv_case *c)
{
    struct conv_data d = {.oh = out_size(c->h, c->pad, c->kh, c->dh, c->sh),
                          .ow = out_size(c->w, c->pad, c->kw, c->dw, c->sw)};
    const int64_t n_out = (int64_t)c->oc * d.oh * d.ow;
    d.x = random_floats((int64_t)c->ic * c->h * c->w);
    d.w = random_floats((int64_t)c->oc * (c->depthwise ? 1 : c->ic) * c->kh * c->kw);
    d.b = random_floats(c->oc);
    d.add = random_floats(n_out);
    d.a = (struct qk_conv_args){.ic = c->ic,
                                .kh = c->kh,
                                .kw = c->kw,
                                .stride_h = c->sh,
                                .stride_w = c->sw,
                                .dilation_h = c->dh,
                                .dilation_w = c->dw,
                                .wrap = d.ow,
                                .oc_blocks = (c->oc + k->lanes - 1) / k->lanes,
                                .post = posts[c->post]};
    make_input(k, c, &d);
    make_weights(k, c, &d);
    d.out = image_new(k->lanes, c->oc, d.oh, d.ow, c->y_halo);
    d.a.y = d.out.at;
    d.a.y_block = d.out.block;
    d.a.y_row = d.out.row;
    d.a.y_pixel = d.out.pixel;
    d.more = image_new(k->lanes, c->oc, d.oh, d.ow, 1);
    image_fill(&d.more, d.add);
    if (c->add) {
        d.a.add = d.more.at;
        d.a.add_block = d.more.block;
        d.a.add_row = d.more.row;
        d.a.add_pixel = d.more.pixel;
    }
    return d;
}

static void
drop(struct conv_data *d)
{
    free(d->x);
    free(d->w);
    free(d->b);
    free(d->add);
    free(d->packed);
    free((void *)d->a.bias);
    free(d->in.memory);
    free(d->out.memory);
    free(d->more.memory);
}

/* In two parts along each way to split the work. */
static void
run(const struct qk_conv *k, const struct conv_case *c, const struct conv_data *d)
{
    const int blocks = d->a.oc_blocks, panels = (blocks + 1) / 2;
    const int rows = c->flat ? 1 : d->oh, cols = c->flat ? d->oh * d->ow : d->ow;
    const int p = panels / 2, r = rows / 2, b = blocks / 2, q = c->flat ? cols / 3 : 0;
    if (c->depthwise) {
        k->depthwise(&d->a, 0, b, 0, rows);
        k->depthwise(&d->a, b, blocks, 0, r);
        k->depthwise(&d->a, b, blocks, r, rows);
        return;
    }
    k->conv(&d->a, 0, p, 0, rows, 0, cols);
    k->conv(&d->a, p, panels, 0, r, 0, cols);
    k->conv(&d->a, p, panels, r, rows, 0, q);
    k->conv(&d->a, p, panels, r, rows, q, cols);
}

/* The exact value, and the sum of magnitudes that bounds its rounding. */
static double
exact(const struct conv_case *c, const struct conv_data *d, int o, int i, int j, double *size)
{
    const int from = c->depthwise ? o : 0, to = c->depthwise ? o + 1 : c->ic;
    const int taps = c->kh * c->kw;
    double sum = d->b[o];
    *size = fabs(sum) + 1;
    for (int ch = from; ch < to; ch++)
        for (int t = 0; t < taps; t++) {
            const int y = i * c->sh + t / c->kw * c->dh - c->pad;
            const int x = j * c->sw + t % c->kw * c->dw - c->pad;
            if (y < 0 || y >= c->h || x < 0 || x >= c->w)
                continue;
            const int64_t at = ((int64_t)o * (to - from) + (ch - from)) * taps + t;
            const double v = (double)d->x[((int64_t)ch * c->h + y) * c->w + x] * d->w[at];
            sum += v;
            *size += fabs(v);
        }
    if (c->add) {
        const double v = d->add[((int64_t)o * d->oh + i) * d->ow + j];
        sum += v;
        *size += fabs(v);
    }
    return sum;
}

static bool
check_conv(const struct qk_conv *k, const struct conv_case *c, char *why)
{
    struct conv_data d = make(k, c);
    run(k, c, &d);
    bool ok = image_intact(&d.out);
    sprintf(why, "wrote outside the image");
    for (int o = 0; ok && o < c->oc; o++)
        for (int i = 0; ok && i < d.oh; i++)
            for (int j = 0; ok && j < d.ow; j++) {
                double size;
                const double want = post_of(&d.a.post, exact(c, &d, o, i, j, &size));
                const double got = *image_pixel(&d.out, o, i, j);
                ok = fabs(got - want) <= 1e-6 * size * (c->post == QK_POST_HARD_SWISH ? 4 : 1);
                sprintf(why, "channel %d pixel %d,%d: %.9g, exact %.9g", o, i, j, got, want);
            }
    drop(&d);
    return ok;
}

#define SQUARE(k, s, d, p) .kh = k, .kw = k, .sh = s, .sw = s, .dh = d, .dw = d, .pad = p
#define IMAGE(i, o, height, width) .ic = i, .oc = o, .h = height, .w = width

static const struct conv_case conv_cases[] = {
    {IMAGE(3, 32, 17, 19), SQUARE(3, 2, 1, 1), .plain = true, .post = QK_POST_HARD_SWISH},
    {IMAGE(1, 5, 9, 9), SQUARE(5, 1, 1, 2), .plain = true},
    {IMAGE(3, 70, 23, 23), SQUARE(7, 2, 1, 3), .plain = true, .y_halo = 1},
    {IMAGE(32, 64, 14, 14), SQUARE(1, 1, 1, 0), .flat = true},
    {IMAGE(32, 64, 14, 14), SQUARE(1, 1, 1, 0), .flat = true, .y_halo = 2, .add = true},
    {IMAGE(24, 40, 5, 9), SQUARE(1, 1, 1, 0), .flat = true, .y_halo = 1},
    {IMAGE(33, 17, 7, 7), SQUARE(1, 1, 1, 0), .flat = true, .add = true},
    {IMAGE(7, 300, 1, 1), SQUARE(1, 1, 1, 0), .flat = true, .post = QK_POST_HARD_SIGMOID},
    {IMAGE(100, 333, 1, 1), SQUARE(1, 1, 1, 0), .post = QK_POST_SIGMOID},
    {IMAGE(40, 130, 1, 2), SQUARE(1, 1, 1, 0), .flat = true},
    {IMAGE(40, 130, 1, 4), SQUARE(1, 1, 1, 0), .post = QK_POST_TANH},
    {IMAGE(64, 128, 7, 7), SQUARE(3, 1, 1, 1)},
    {IMAGE(16, 64, 15, 6), SQUARE(3, 1, 1, 1), .add = true, .y_halo = 1},
    {IMAGE(16, 48, 9, 5), SQUARE(3, 1, 1, 1), .post = QK_POST_LEAKY_RELU},
    {IMAGE(16, 48, 9, 4), SQUARE(3, 1, 1, 1)},
    {IMAGE(16, 48, 9, 3), SQUARE(3, 1, 1, 1)},
    {IMAGE(16, 48, 9, 2), SQUARE(3, 1, 1, 1)},
    {IMAGE(16, 48, 9, 1), SQUARE(3, 1, 1, 1)},
    {IMAGE(20, 16, 13, 29), SQUARE(3, 1, 1, 1), .post = QK_POST_SWISH},
    {IMAGE(48, 32, 28, 28), SQUARE(3, 2, 1, 1)},
    {IMAGE(32, 32, 11, 43), SQUARE(1, 2, 1, 0), .y_halo = 1},
    {IMAGE(16, 32, 16, 16), SQUARE(3, 1, 2, 2)},
    {IMAGE(16, 32, 20, 13), SQUARE(3, 3, 1, 1)},
    {IMAGE(16, 32, 9, 11), .kh = 1, .kw = 3, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .pad = 1},
    {IMAGE(16, 32, 9, 11), .kh = 5, .kw = 2, .sh = 2, .sw = 1, .dh = 1, .dw = 3, .pad = 4},
    {IMAGE(32, 32, 14, 14), SQUARE(3, 1, 1, 1), .depthwise = true, .y_halo = 1},
    {IMAGE(24, 24, 15, 15), SQUARE(3, 2, 1, 1), .depthwise = true},
    {IMAGE(24, 24, 15, 21), SQUARE(5, 1, 1, 2), .depthwise = true, .add = true},
    {IMAGE(24, 24, 16, 9), SQUARE(5, 2, 1, 2), .depthwise = true, .post = QK_POST_HARD_SWISH},
    {IMAGE(40, 40, 9, 13), SQUARE(3, 1, 2, 2), .depthwise = true, .post = QK_POST_SIGMOID},
    {IMAGE(40, 40, 9, 13), SQUARE(7, 3, 1, 3), .depthwise = true},
    {IMAGE(8, 8, 9, 13), .kh = 3, .kw = 3, .sh = 2, .sw = 1, .dh = 1, .dw = 1, .pad = 1,
     .depthwise = true},
    {IMAGE(3, 3, 1, 1), SQUARE(3, 1, 1, 1), .depthwise = true, .y_halo = 3},
};

static bool
check_convs(const struct qk_conv *k, bool depthwise, char *why)
{
    for (size_t i = 0; i < sizeof(conv_cases) / sizeof(*conv_cases); i++) {
        char detail[128];
        if (conv_cases[i].depthwise != depthwise || check_conv(k, &conv_cases[i], detail))
            continue;
        sprintf(why, "case %zu: %s", i, detail);
        return false;
    }
    return true;
}

static bool
check_dense(const struct qk_conv *k, char *why)
{
    return check_convs(k, false, why);
}

static bool
check_depthwise(const struct qk_conv *k, char *why)
{
    return check_convs(k, true, why);
}

/* Every width and height of tile, so that no tile goes untested. */
static bool
check_tiles(const struct qk_conv *k, char *why)
{
    for (int w = 1; w <= 29; w++)
        for (int h = 1; h <= 5; h++)
            for (int oc = 1; oc <= 2; oc++) {
                const struct conv_case c = {IMAGE(k->lanes + 1, oc * k->lanes, h, w),
                                            SQUARE(3, 1, 1, 1), .add = true};
                char detail[128];
                if (check_conv(k, &c, detail))
                    continue;
                sprintf(why, "%d blocks of %dx%d: %s", oc, h, w, detail);
                return false;
            }
    return true;
}

/* ---- Winograd ---- */

static float *
winograd_weights(const struct qk_conv *k, const struct conv_case *c, const struct conv_data *d,
                 int m)
{
    const int points = (m + 2) * (m + 2);
    const int64_t n = (int64_t)c->oc * c->ic, one = qk_conv_packed(k->lanes, c->oc, c->ic, 1, 1);
    float *out = floats(points * one), *at = floats(n);
    double g[9], u[36];
    for (int p = 0; p < points; p++) {
        for (int64_t i = 0; i < n; i++) {
            for (int t = 0; t < 9; t++)
                g[t] = (double)d->w[i * 9 + t];
            qk_winograd_filter(m, g, u);
            at[i] = (float)u[p];
        }
        const struct qk_pack pack = {.lanes = k->lanes,
                                     .block = k->lanes,
                                     .oc = c->oc,
                                     .ic = c->ic,
                                     .kh = 1,
                                     .kw = 1,
                                     .w = at,
                                     .w_oc = c->ic,
                                     .w_ic = 1};
        qk_conv_pack(&pack, out + p * one);
    }
    free(at);
    return out;
}

/* Squares first .. first + n - 1. */
static void
run_winograd(const struct qk_conv *k, const struct conv_case *c, const struct conv_data *d,
             const struct qk_winograd_args *a, const float *u, int first, int n)
{
    const int points = (a->m + 2) * (a->m + 2);
    const int64_t one = qk_conv_packed(k->lanes, c->oc, c->ic, 1, 1);
    const float zero[2 * QK_CONV_LANES_MOST * 4] __attribute__((aligned(64))) = {0};
    struct qk_conv_args g = d->a;
    k->winograd_input(a, first, n);
    g.kh = g.kw = 1;
    g.x_block = g.y_block = (int64_t)n * k->lanes;
    g.x_pixel = g.y_pixel = k->lanes;
    g.bias = zero;
    g.add = NULL;
    g.wrap = n;
    g.post = (struct qk_post){QK_POST_CLAMP, -INFINITY, INFINITY, 0};
    for (int p = 0; p < points; p++) {
        g.x = a->v + p * a->ic_blocks * g.x_block;
        g.w = u + p * one;
        g.y = (float *)(uintptr_t)a->p + p * a->oc_blocks * g.y_block;
        k->conv(&g, 0, (a->oc_blocks + 1) / 2, 0, 1, 0, n);
    }
    k->winograd_output(a, first, n);
}

static bool
check_winograd_of(const struct qk_conv *k, const struct conv_case *c, int m, char *why)
{
    struct conv_data d = make(k, c);
    float *u = winograd_weights(k, c, &d, m);
    const int squares = d.oh / m * (d.ow / m), points = (m + 2) * (m + 2);
    const int ic_blocks = (c->ic + k->lanes - 1) / k->lanes;
    float *v = floats((int64_t)points * ic_blocks * squares * k->lanes);
    float *p = floats((int64_t)points * d.a.oc_blocks * squares * k->lanes);
    const struct qk_winograd_args a = {
        m,       d.ow / m, d.a.x, d.a.x_block, d.a.x_row, ic_blocks, d.a.oc_blocks, v,
        p,       d.a.bias, d.a.y, d.a.y_block, d.a.y_row, d.a.add,   d.a.add_block, d.a.add_row,
        d.a.post};
    run_winograd(k, c, &d, &a, u, 0, squares / 3);
    run_winograd(k, c, &d, &a, u, squares / 3, squares - squares / 3);
    bool ok = image_intact(&d.out);
    sprintf(why, "wrote outside the image");
    for (int o = 0; ok && o < c->oc; o++)
        for (int i = 0; ok && i < d.oh * d.ow; i++) {
            double size;
            const double want = post_of(&d.a.post, exact(c, &d, o, i / d.ow, i % d.ow, &size));
            const double got = (double)*image_pixel(&d.out, o, i / d.ow, i % d.ow);
            ok = fabs(got - want) <= 1e-5 * size;
            sprintf(why, "m %d channel %d pixel %d: %.9g, exact %.9g", m, o, i, got, want);
        }
    free(u);
    free(v);
    free(p);
    drop(&d);
    return ok;
}

static bool
check_winograd(const struct qk_conv *k, char *why)
{
    static const struct conv_case cases[] = {
        {IMAGE(40, 50, 8, 12), SQUARE(3, 1, 1, 1), .add = true, .y_halo = 1},
        {IMAGE(16, 16, 4, 4), SQUARE(3, 1, 1, 1), .post = QK_POST_SIGMOID},
        {IMAGE(5, 3, 16, 8), SQUARE(3, 1, 1, 1), .post = QK_POST_HARD_SIGMOID},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        if (!check_winograd_of(k, &cases[i], 2, why) || !check_winograd_of(k, &cases[i], 4, why))
            return false;
    return true;
}

/* ---- the rest ---- */

static bool
near(double got, double want, double tolerance, char *why, const char *what, int64_t i)
{
    if (fabs(got - want) <= tolerance * fmax(fabs(want), 1e-6))
        return true;
    sprintf(why, "%s %" PRId64 ": %.9g, exact %.9g", what, i, got, want);
    return false;
}

static bool
check_posts(const struct qk_conv *k, char *why)
{
    enum { PIXELS = 4096 };
    const int64_t n = (int64_t)PIXELS * k->lanes;
    float *x = floats(n), *y = floats(n), *zero = floats(k->lanes);
    bool ok = true;
    memset(zero, 0, sizeof(float) * (size_t)k->lanes);
    for (size_t p = 0; ok && p < sizeof(posts) / sizeof(*posts); p++) {
        for (int64_t i = 0; i < n; i++)
            x[i] = next() * powf(10, 2 * next());
        k->binary(QK_ADD, &posts[p], PIXELS, x, k->lanes, zero, 0, y);
        for (int64_t i = 0; ok && i < n; i++)
            if (fabsf(x[i]) < 80) {
                const bool hard = posts[p].kind == QK_POST_HARD_SIGMOID; /* cancels near 0 */
                ok = near(y[i] + hard, post_of(&posts[p], x[i]) + hard, 4e-7, why, "post", i);
            }
    }
    free(x);
    free(y);
    free(zero);
    return ok;
}

static bool
check_binary(const struct qk_conv *k, char *why)
{
    enum { PIXELS = 13 };
    const int64_t n = PIXELS * k->lanes;
    const struct qk_post none = {QK_POST_CLAMP, -INFINITY, INFINITY, 0};
    float *x = random_floats(n), *y = random_floats(n), *z = floats(n);
    bool ok = true;
    for (int op = QK_ADD; ok && op <= QK_MIN; op++)
        for (int step = 0; ok && step < 2; step++) {
            k->binary(op, &none, PIXELS, x, k->lanes, y, step * k->lanes, z);
            for (int64_t i = 0; ok && i < n; i++) {
                const float a = x[i], b = y[step ? i : i % k->lanes];
                const float want[] = {a + b, a - b, a * b, a / b, a > b ? a : b, a < b ? a : b};
                ok = near(z[i], want[op], 0, why, "binary", i);
            }
        }
    if (ok) {
        k->affine(&none, PIXELS, x, y, y + k->lanes, z);
        for (int64_t i = 0; ok && i < n; i++) {
            const int lane = (int)(i % k->lanes);
            ok = near(z[i], (double)x[i] * y[lane] + y[k->lanes + lane], 1e-5, why, "affine", i);
        }
    }
    free(x);
    free(y);
    free(z);
    return ok;
}

/* Ties, ends of the range, NaN, and what a value between comes to. */
static bool
check_round(const struct qk_conv *k, char *why)
{
    static const float ties[] = {0,    0.5f,   1.5f, -0.5f, -2.5f,   200,
                                 -200, 127.4f, -128, NAN,   INFINITY};
    static const float even[] = {0, 0, 2, 0, -2, 127, -128, 127, -128, NAN, 127};
    static const float away[] = {0, 1, 2, -1, -3, 127, -127, 127, -127, NAN, 127};
    enum { TIES = sizeof(ties) / sizeof(*ties), N = 1000 };
    const struct qk_round one = qk_round_of(127, 8), r16 = qk_round_of(0.7f, 16);
    float *x = random_floats(N + 1), *y = floats(N + 1), got[TIES];
    bool ok = true;
    k->round(&one, TIES, ties, got);
    for (int i = 0; ok && i < TIES; i++)
        ok = isnan(even[i]) ? isnan(got[i]) : near(got[i], even[i], 0, why, "tie", i);
    struct qk_round other = one;
    other.away = 1;
    k->round(&other, TIES, ties, got);
    for (int i = 0; ok && i < TIES; i++)
        ok = isnan(away[i]) ? isnan(got[i]) : near(got[i], away[i], 0, why, "tie, away", i);
    for (int n = 1; ok && n <= N; n += n < 70 ? 1 : 31) {
        y[n] = GUARD_VALUE;
        k->round(&r16, n, x + 1, y);
        for (int i = 0; ok && i < n; i++) {
            const float v = x[1 + i] * (32767.0f * (1 / 0.7f));
            const float q = rintf(v < -32768 ? -32768 : v > 32767 ? 32767 : v);
            ok = near(y[i], q * 0.7f / 32767, 0, why, "round", i);
        }
        ok = ok && near(y[n], GUARD_VALUE, 0, why, "guard", n);
    }
    free(x);
    free(y);
    return ok;
}

static bool
check_pools(const struct qk_conv *k, char *why)
{
    enum { H = 7, W = 9 };
    static const int32_t y0[] = {0, 1, 3}, y1[] = {2, 4, 7}, x0[] = {0, 0, 2, 8},
                         x1[] = {9, 1, 5, 9};
    struct image in = image_new(k->lanes, k->lanes, H, W, 0);
    struct image out = image_new(k->lanes, k->lanes, 3, 4, 0);
    float *x = random_floats((int64_t)k->lanes * H * W);
    image_fill(&in, x);
    bool ok = true;
    for (int kind = 0; ok && kind < 3; kind++) { /* max, average, average with a divisor */
        const struct qk_pool_args a = {in.at,   in.row,    in.pixel, out.at,
                                       out.row, out.pixel, y0,       y1,
                                       x0,      x1,        4,        kind == 2 ? 5.0f : 0};
        (kind == 0 ? k->max_pool : k->avg_pool)(&a, 0, 3);
        for (int i = 0; ok && i < k->lanes * 12; i++) {
            const int c = i / 12, oy = i / 4 % 3, ox = i % 4;
            double most = -INFINITY, sum = 0;
            for (int y = y0[oy]; y < y1[oy]; y++)
                for (int j = x0[ox]; j < x1[ox]; j++) {
                    const double v = x[(c * H + y) * W + j];
                    most = fmax(most, v);
                    sum += v;
                }
            const double n = kind == 2 ? 5 : (y1[oy] - y0[oy]) * (x1[ox] - x0[ox]);
            ok = near(*image_pixel(&out, c, oy, ox) + 1, (kind ? sum / n : most) + 1, 1e-5, why,
                      "pool", i);
        }
        ok = ok && image_intact(&out);
    }
    free(x);
    free(in.memory);
    free(out.memory);
    return ok;
}

static bool
check_resize(const struct qk_conv *k, char *why)
{
    enum { H = 4, W = 5, OH = 3, OW = 7 };
    static const int32_t top[] = {0, 1, 3}, bottom[] = {1, 2, 3}, left[] = {0, 0, 1, 2, 3, 3, 4},
                         right[] = {1, 1, 2, 3, 4, 4, 4};
    static const float v[] = {0.25f, 0.5f, 0}, h[] = {0, 0.5f, 0.125f, 0.75f, 0.25f, 1, 0};
    struct image in = image_new(k->lanes, k->lanes, H, W, 0);
    struct image out = image_new(k->lanes, k->lanes, OH, OW, 1);
    float *x = random_floats((int64_t)k->lanes * H * W), *twice = floats(2 * W * k->lanes);
    image_fill(&in, x);
    const struct qk_bilinear_args a = {in.at,  in.row, in.pixel, out.at, out.row, out.pixel, top,
                                       bottom, left,   right,    v,      h,       OW};
    k->bilinear(&a, 0, OH);
    bool ok = image_intact(&out);
    for (int i = 0; ok && i < k->lanes * OH * OW; i++) {
        const int c = i / (OH * OW), oy = i / OW % OH, ox = i % OW;
        const float *p = x + c * H * W;
        const double up =
            (1 - h[ox]) * p[top[oy] * W + left[ox]] + h[ox] * p[top[oy] * W + right[ox]];
        const double down =
            (1 - h[ox]) * p[bottom[oy] * W + left[ox]] + h[ox] * p[bottom[oy] * W + right[ox]];
        ok = near(*image_pixel(&out, c, oy, ox) + 2, up * (1 - v[oy]) + down * v[oy] + 2, 1e-6, why,
                  "bilinear", i);
    }
    k->repeat(W, 2, in.at, twice);
    for (int i = 0; ok && i < 2 * W * k->lanes; i++)
        ok = near(twice[i], in.at[i / (2 * k->lanes) * k->lanes + i % k->lanes], 0, why, "repeat",
                  i);
    free(x);
    free(twice);
    free(in.memory);
    free(out.memory);
    return ok;
}

static bool
check_layout(const struct qk_conv *k, char *why)
{
    enum { PIXELS = 37 };
    bool ok = true;
    for (int c = 1; ok && c <= k->lanes; c++) {
        float *x = random_floats((int64_t)c * PIXELS), *y = random_floats(PIXELS * k->lanes);
        float *back = random_floats((int64_t)c * PIXELS);
        k->to_blocked(x, PIXELS, c, PIXELS, y);
        for (int i = 0; ok && i < PIXELS * k->lanes; i++) {
            const int lane = i % k->lanes;
            ok = near(y[i], lane < c ? x[lane * PIXELS + i / k->lanes] : 0, 0, why, "blocked", i);
        }
        k->from_blocked(y, c, PIXELS, back, PIXELS);
        for (int i = 0; ok && i < c * PIXELS; i++)
            ok = near(back[i], x[i], 0, why, "plain", i);
        free(x);
        free(y);
        free(back);
    }
    return ok;
}

static bool
check_softmax(const struct qk_conv *k, char *why)
{
    bool ok = true;
    for (int n = 1; ok && n < 70; n++) {
        float *x = random_floats(n), *y = floats(n + 1);
        double sum = 0;
        for (int i = 0; i < n; i++) {
            x[i] *= 20;
            sum += exp(x[i]);
        }
        y[n] = GUARD_VALUE;
        k->softmax(n, x, y);
        for (int i = 0; ok && i < n; i++)
            ok = near(y[i], exp(x[i]) / sum, 2e-6, why, "softmax", i);
        ok = ok && near(y[n], GUARD_VALUE, 0, why, "guard", n);
        free(x);
        free(y);
    }
    return ok;
}

static double
sigmoid(double v)
{
    return 1 / (1 + exp(-v));
}

static bool
check_lstm(const struct qk_conv *k, char *why)
{
    const int n = 3 * k->lanes;
    float *gate = random_floats(4 * n), *c = random_floats(n), *h = floats(n), *before = floats(n);
    memcpy(before, c, sizeof(float) * (size_t)n);
    for (int i = 0; i < 4 * n; i++)
        gate[i] *= 5;
    k->lstm(n, gate, c, h);
    bool ok = true;
    for (int i = 0; ok && i < n; i++) {
        const double cell =
            sigmoid(gate[n + i]) * before[i] + sigmoid(gate[i]) * tanh(gate[2 * n + i]);
        ok = near(c[i] + 2, cell + 2, 1e-6, why, "cell", i) &&
             near(h[i] + 2, sigmoid(gate[3 * n + i]) * tanh(cell) + 2, 1e-6, why, "hidden", i);
    }
    free(gate);
    free(c);
    free(h);
    free(before);
    return ok;
}

static const struct {
    const char *fact;
    bool (*check)(const struct qk_conv *k, char *why);
} checks[] = {
    {"convolution is exact up to rounding", check_dense},
    {"every tile is exact up to rounding", check_tiles},
    {"depthwise convolution is exact up to rounding", check_depthwise},
    {"Winograd's convolution is exact up to 1e-5", check_winograd},
    {"activations are exact up to 4e-7", check_posts},
    {"elementwise operations round once", check_binary},
    {"rounding to a grid is exact", check_round},
    {"pooling is exact up to rounding", check_pools},
    {"resizing is exact up to rounding", check_resize},
    {"layouts convert there and back", check_layout},
    {"softmax is exact up to 2e-6", check_softmax},
    {"an LSTM cell is exact up to 1e-6", check_lstm},
};
enum { N_CHECKS = sizeof(checks) / sizeof(*checks) };

static int
check(uint64_t seed)
{
    int n_variants = 0, n_failed = 0, test = 0;
    while (qk_conv_all[n_variants])
        n_variants++;
    printf("1..%d\n# seed %" PRIu64 " (--seed repeats it)\n", n_variants * N_CHECKS, seed);
    for (int i = 0; i < n_variants; i++)
        for (int j = 0; j < N_CHECKS; j++) {
            const struct qk_conv *k = qk_conv_all[i];
            char why[256] = "";
            state = seed;
            if (!qk_cpu_has(k->need)) {
                printf("ok %d - %s: %s # SKIP not on this machine\n", ++test, k->isa,
                       checks[j].fact);
                continue;
            }
            const bool ok = checks[j].check(k, why);
            printf("%s %d - %s: %s\n", ok ? "ok" : "not ok", ++test, k->isa, checks[j].fact);
            if (!ok)
                printf("# %s\n", why);
            n_failed += !ok;
        }
    return n_failed ? 1 : 0;
}

/* ---- speed ---- */

static const struct conv_case bench_cases[] = {
    {IMAGE(3, 32, 224, 224), SQUARE(3, 2, 1, 1), .plain = true},
    {IMAGE(3, 64, 224, 224), SQUARE(7, 2, 1, 3), .plain = true},
    {IMAGE(32, 64, 112, 112), SQUARE(1, 1, 1, 0), .flat = true},
    {IMAGE(128, 128, 56, 56), SQUARE(1, 1, 1, 0), .flat = true},
    {IMAGE(256, 256, 28, 28), SQUARE(1, 1, 1, 0), .flat = true},
    {IMAGE(512, 512, 14, 14), SQUARE(1, 1, 1, 0), .flat = true},
    {IMAGE(1024, 1024, 7, 7), SQUARE(1, 1, 1, 0), .flat = true},
    {IMAGE(2048, 512, 7, 7), SQUARE(1, 1, 1, 0), .flat = true},
    {IMAGE(16, 24, 112, 112), SQUARE(1, 1, 1, 0), .flat = true},
    {IMAGE(240, 40, 28, 28), SQUARE(1, 1, 1, 0), .flat = true},
    {IMAGE(64, 64, 56, 56), SQUARE(3, 1, 1, 1)},
    {IMAGE(128, 128, 28, 28), SQUARE(3, 1, 1, 1)},
    {IMAGE(256, 256, 14, 14), SQUARE(3, 1, 1, 1)},
    {IMAGE(512, 512, 7, 7), SQUARE(3, 1, 1, 1)},
    {IMAGE(128, 128, 56, 56), SQUARE(3, 2, 1, 1)},
    {IMAGE(96, 24, 160, 160), SQUARE(3, 1, 1, 1)},
    {IMAGE(1024, 1000, 1, 1), SQUARE(1, 1, 1, 0), .flat = true},
    {IMAGE(960, 240, 1, 1), SQUARE(1, 1, 1, 0), .flat = true},
    {IMAGE(32, 32, 112, 112), SQUARE(3, 1, 1, 1), .depthwise = true},
    {IMAGE(64, 64, 112, 112), SQUARE(3, 2, 1, 1), .depthwise = true},
    {IMAGE(512, 512, 14, 14), SQUARE(3, 1, 1, 1), .depthwise = true},
    {IMAGE(672, 672, 14, 14), SQUARE(5, 1, 1, 2), .depthwise = true},
    {IMAGE(960, 960, 7, 7), SQUARE(5, 1, 1, 2), .depthwise = true},
};

/* Of this thread: other work on the machine does not count. */
static double
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void
run_whole(const struct qk_conv *k, const struct conv_case *c, const struct conv_data *d)
{
    const int rows = c->flat ? 1 : d->oh, cols = c->flat ? d->oh * d->ow : d->ow;
    if (c->depthwise)
        k->depthwise(&d->a, 0, d->a.oc_blocks, 0, rows);
    else
        k->conv(&d->a, 0, (d->a.oc_blocks + 1) / 2, 0, rows, 0, cols);
}

static double
best_seconds(const struct qk_conv *k, const struct conv_case *c)
{
    struct conv_data d = make(k, c);
    double best = INFINITY;
    const double start = now();
    for (int i = 0; i < 5 || now() - start < 0.05; i++) {
        const double t0 = now();
        run_whole(k, c, &d);
        const double t = now() - t0;
        best = t < best ? t : best;
    }
    drop(&d);
    return best;
}

static int
bench(void)
{
    printf("%s; 1e9 multiply-accumulates a second\n%-34s", qk_cpu_model(), "convolution");
    for (int i = 0; qk_conv_all[i]; i++)
        if (qk_cpu_has(qk_conv_all[i]->need))
            printf("%10s", qk_conv_all[i]->isa);
    printf("\n");
    for (size_t j = 0; j < sizeof(bench_cases) / sizeof(*bench_cases); j++) {
        const struct conv_case *c = &bench_cases[j];
        const double macs = (double)c->oc * (c->depthwise ? 1 : c->ic) * c->kh * c->kw *
                            out_size(c->h, c->pad, c->kh, c->dh, c->sh) *
                            out_size(c->w, c->pad, c->kw, c->dw, c->sw);
        char name[64];
        snprintf(name, sizeof(name), "%s %dx%dx%d to %d, %dx%d /%d", c->depthwise ? "dw" : "  ",
                 c->ic, c->h, c->w, c->oc, c->kh, c->kw, c->sh);
        printf("%-34s", name);
        for (int i = 0; qk_conv_all[i]; i++)
            if (qk_cpu_has(qk_conv_all[i]->need))
                printf("%10.1f", 1e-9 * macs / best_seconds(qk_conv_all[i], c));
        printf("\n");
    }
    return 0;
}

int
main(int argc, char **argv)
{
    uint64_t seed = 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bench") == 0)
            return bench();
        if (strcmp(argv[i], "--seed") != 0 || i + 1 == argc) {
            fprintf(stderr, "usage: checkconv [--seed N] [--bench]\n");
            return 2;
        }
        seed = strtoull(argv[++i], NULL, 0);
    }
    return check(seed);
}
