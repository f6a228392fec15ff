/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/selftest_i8.h"

static uint32_t
next(uint64_t *r)
{
    *r = *r * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*r >> 32);
}

static int
between(uint64_t *r, int low, int high)
{
    return low + (int)(next(r) % (uint32_t)(high - low + 1));
}

static float
real(uint64_t *r) /* -1 .. 1 */
{
    return (float)(int32_t)next(r) * 0x1p-31f;
}

enum { GUARD = 64, GUARD_BYTE = 0xa5, WHY_MOST = sizeof(((struct qk_verdict *)0)->detail) };

/* 64-byte aligned, between guards. */
struct room {
    uint8_t *memory;
    int64_t n;
};

static struct room
room_new(int64_t n)
{
    struct room m = {.n = n};
    m.memory = aligned_alloc(64, (size_t)((n + 63) / 64 * 64 + 2 * GUARD));
    if (!m.memory)
        abort();
    memset(m.memory, GUARD_BYTE, (size_t)((n + 63) / 64 * 64 + 2 * GUARD));
    return m;
}

static uint8_t *
room_bytes(const struct room *r)
{
    return r->memory + GUARD;
}

static float *
room_floats(const struct room *r)
{
    return (float *)(void *)(r->memory + GUARD);
}

static bool
room_same(const struct room *a, const struct room *b)
{
    return memcmp(a->memory, b->memory, (size_t)(a->n + 2 * GUARD)) == 0;
}

static int
up(int n, int to)
{
    return (n + to - 1) / to * to;
}

/* ---- convolution ---- */

struct conv_case {
    int ic, oc, h, w, kh, kw, sh, sw, dh, dw, pad, lanes;
    bool depthwise, flat, wide_pixel, positive, add, y, q, direct, away, ties;
    enum qk_post_kind post;
};

static const struct qk_post posts[] = {
    [QK_POST_CLAMP] = {QK_POST_CLAMP, -0.5f, 1.5f, 0},
    [QK_POST_HARD_SWISH] = {QK_POST_HARD_SWISH, 3, 6, 1 / 6.0f},
    [QK_POST_HARD_SIGMOID] = {QK_POST_HARD_SIGMOID, 0.2f, 0.5f, 0},
    [QK_POST_LEAKY_RELU] = {QK_POST_LEAKY_RELU, 0.1f, 0, 0},
    [QK_POST_SIGMOID] = {QK_POST_SIGMOID, 0, 0, 0},
    [QK_POST_SWISH] = {QK_POST_SWISH, 1, 0, 0},
    [QK_POST_TANH] = {QK_POST_TANH, 0, 0, 0},
};

struct conv_data {
    int oh, ow, blocks;
    struct room x, w, packed, start, scale, bias, add, y, q;
    struct qk_i8_args a;
};

static void
make_input(const struct conv_case *c, struct conv_data *d, uint64_t *r)
{
    struct qk_i8_args *a = &d->a;
    const int pixel = c->ic <= 4 && !c->depthwise ? 4 : up(c->ic, 16) + (c->wide_pixel ? 16 : 0);
    a->ic = c->ic <= 4 && !c->depthwise ? 4 : up(c->ic, 16);
    a->x_pixel = pixel;
    a->x_row = (int64_t)pixel * (c->w + 2 * c->pad);
    d->x = room_new(a->x_row * (c->h + 2 * c->pad));
    uint8_t *x = room_bytes(&d->x);
    const bool extreme = next(r) % 4 == 0;
    for (int64_t i = 0; i < d->x.n; i++)
        x[i] = (uint8_t)((extreme ? (next(r) & 1 ? 255 : 0) : next(r)) | (c->positive ? 128 : 0));
    a->positive = c->positive;
    for (int i = 0; i < c->h + 2 * c->pad; i++)
        for (int j = 0; j < c->w + 2 * c->pad; j++)
            if (i < c->pad || j < c->pad || i >= c->h + c->pad || j >= c->w + c->pad)
                memset(x + i * a->x_row + j * pixel, QK_I8_ZERO, (size_t)pixel);
    a->x = x;
}

/* Weights as [oc][ic or 1][kh][kw], then packed. */
static void
make_weights(const struct conv_case *c, struct conv_data *d, uint64_t *r)
{
    struct qk_i8_args *a = &d->a;
    const int taps = c->kh * c->kw, per_oc = c->depthwise ? taps : c->ic * taps;
    const int padded = d->blocks * QK_I8_BLOCK;
    d->w = room_new((int64_t)c->oc * per_oc);
    d->start = room_new(padded * 4);
    int8_t *w = (int8_t *)room_bytes(&d->w);
    int32_t *start = (int32_t *)(void *)room_bytes(&d->start);
    const bool extreme = next(r) % 4 == 0;
    for (int64_t i = 0; i < d->w.n; i++)
        w[i] = (int8_t)(extreme ? (next(r) & 1 ? -128 : 127) : (int)next(r));
    if (c->depthwise) {
        d->packed = room_new((int64_t)taps * padded);
        int8_t *to = (int8_t *)room_bytes(&d->packed);
        memset(to, 0, (size_t)(taps * padded));
        memset(start, 0, (size_t)padded * 4);
        for (int o = 0; o < c->oc; o++)
            for (int t = 0; t < taps; t++) {
                to[t * padded + o] = w[o * taps + t];
                start[o] -= QK_I8_ZERO * w[o * taps + t];
            }
    } else {
        const struct qk_i8_pack p = {.oc = c->oc,
                                     .ic = c->ic,
                                     .kh = c->kh,
                                     .kw = c->kw,
                                     .bytes = a->ic,
                                     .w = w,
                                     .w_oc = per_oc,
                                     .w_ic = taps,
                                     .w_kh = c->kw,
                                     .w_kw = 1};
        d->packed = room_new(qk_i8_packed(c->oc, a->ic, c->kh, c->kw));
        qk_i8_pack(&p, (int8_t *)room_bytes(&d->packed), start);
    }
    a->w = (const int8_t *)room_bytes(&d->packed);
    a->start = start;
}

/* Many outputs lie in the middle of two integers. */
static void
set_ties(struct conv_data *d)
{
    for (int64_t i = 0; i < d->scale.n / 4; i++) {
        room_floats(&d->scale)[i] = i % 3 ? 0x1p-7f : -0x1p-7f;
        room_floats(&d->bias)[i] = (float)(i % 5) * 0.25f;
    }
    for (int64_t i = 0; i < d->add.n / 4; i++)
        room_floats(&d->add)[i] = (float)(i % 7 - 3) * 0.25f;
    d->a.unit = 1;
    d->a.q_scale = 0.5f;
}

static void
make_outputs(const struct conv_case *c, struct conv_data *d, uint64_t *r)
{
    struct qk_i8_args *a = &d->a;
    const int padded = d->blocks * QK_I8_BLOCK;
    const int64_t image = (int64_t)(d->ow + 1) * d->oh * padded;
    const float size = 1 / (100.0f * sqrtf((float)(c->kh * c->kw * (c->depthwise ? 1 : c->ic))));
    d->scale = room_new(padded * 4);
    d->bias = room_new(padded * 4);
    d->add = room_new(image * 4);
    d->y = room_new(image * 4);
    d->q = room_new((int64_t)(d->ow + 1) * d->oh * (padded + 16));
    for (int i = 0; i < padded; i++) {
        room_floats(&d->scale)[i] = real(r) * size * 0.1f;
        room_floats(&d->bias)[i] = real(r);
    }
    for (int64_t i = 0; i < image; i++)
        room_floats(&d->add)[i] = real(r);
    a->scale = room_floats(&d->scale);
    a->bias = room_floats(&d->bias);
    a->lanes = c->lanes;
    a->wrap = d->ow;
    a->y_pixel = a->add_pixel = c->lanes;
    a->y_row = a->add_row = (int64_t)(d->ow + 1) * c->lanes;
    a->y_block = a->add_block = a->y_row * d->oh;
    a->q_pixel = padded + 16;
    a->q_row = (d->ow + 1) * a->q_pixel;
    a->add = c->add ? room_floats(&d->add) : NULL;
    a->unit = next(r) & 1 ? 1 : 1 + 0.5f * real(r);
    a->q_scale = 40 + 5 * real(r);
    a->low = (int8_t)(next(r) & 1 ? -128 : between(r, -127, 0));
    a->high = (int8_t)(next(r) & 1 ? 127 : between(r, 1, 126));
    a->direct = c->direct;
    a->away = c->away;
    if (c->ties)
        set_ties(d);
    a->post = posts[c->post];
}

static struct conv_data
make(const struct conv_case *c, uint64_t *r)
{
    struct conv_data d = {.oh = (c->h + 2 * c->pad - c->dh * (c->kh - 1) - 1) / c->sh + 1,
                          .ow = (c->w + 2 * c->pad - c->dw * (c->kw - 1) - 1) / c->sw + 1,
                          .blocks = up(c->oc, QK_I8_BLOCK) / QK_I8_BLOCK};
    d.a = (struct qk_i8_args){.kh = c->kh,
                              .kw = c->kw,
                              .stride_h = c->sh,
                              .stride_w = c->sw,
                              .dilation_h = c->dh,
                              .dilation_w = c->dw,
                              .oc_blocks = d.blocks};
    make_input(c, &d, r);
    make_weights(c, &d, r);
    make_outputs(c, &d, r);
    return d;
}

static void
drop(struct conv_data *d)
{
    struct room *const all[] = {&d->x,    &d->w,   &d->packed, &d->start, &d->scale,
                                &d->bias, &d->add, &d->y,      &d->q};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        free(all[i]->memory);
}

/* In parts along each way to split the work. */
static void
run(const struct qk_conv_i8 *k, const struct conv_case *c, const struct conv_data *d,
    const struct room *y, const struct room *q)
{
    const int rows = c->flat ? 1 : d->oh, cols = c->flat ? d->oh * d->ow : d->ow;
    const int b = d->blocks / 2, half = rows / 2, p = c->flat ? cols / 3 : 0;
    struct qk_i8_args a = d->a;
    a.y = c->y ? room_floats(y) : NULL;
    a.q = c->q ? room_bytes(q) : NULL;
    if (c->depthwise) {
        k->depthwise(&a, 0, b, 0, rows);
        k->depthwise(&a, b, d->blocks, 0, half);
        k->depthwise(&a, b, d->blocks, half, rows);
        return;
    }
    k->conv(&a, 0, b, 0, rows, 0, cols);
    k->conv(&a, b, d->blocks, 0, half, 0, cols);
    k->conv(&a, b, d->blocks, half, rows, 0, p);
    k->conv(&a, b, d->blocks, half, rows, p, cols);
}

/* The sum of (u - 128) w, from plain weights. */
static int32_t
sum_of(const struct conv_case *c, const struct conv_data *d, int o, int i, int j)
{
    const int taps = c->kh * c->kw, n = c->depthwise ? 1 : c->ic;
    const int8_t *w = (const int8_t *)room_bytes(&d->w) + (int64_t)o * n * taps;
    int32_t sum = 0;
    for (int t = 0; t < taps; t++) {
        const uint8_t *x = d->a.x + (i * c->sh + t / c->kw * c->dh) * d->a.x_row +
                           (j * c->sw + t % c->kw * c->dw) * d->a.x_pixel;
        for (int ch = 0; ch < n; ch++)
            sum += (x[c->depthwise ? o : ch] - QK_I8_ZERO) * w[ch * taps + t];
    }
    return sum;
}

static int
byte_of(float v, int low, int high, bool away)
{
    const float whole = away ? roundf(v) : rintf(v);
    return (whole < (float)low ? low : whole > (float)high ? high : (int)whole) + QK_I8_ZERO;
}

static bool
is_exact(const struct conv_case *c, const struct conv_data *d, int o, int i, int j)
{
    const struct qk_i8_args *a = &d->a;
    const int64_t at = o / c->lanes * a->y_block + i * a->y_row + j * a->y_pixel + o % c->lanes;
    float v = fmaf((float)sum_of(c, d, o, i, j), a->scale[o] * a->unit, a->bias[o]);
    if (c->add)
        v = v + a->add[at];
    if (!c->direct && c->post == QK_POST_CLAMP)
        v = fminf(fmaxf(v, a->post.a), a->post.b);
    if (!c->direct && c->post == QK_POST_HARD_SWISH)
        v = v * fminf(fmaxf(v + a->post.a, 0), a->post.b) * a->post.c;
    if (!c->direct && c->post == QK_POST_LEAKY_RELU)
        v = v >= 0 ? v : v * a->post.a;
    if (c->y && room_floats(&d->y)[at] != v)
        return false;
    return !c->q || room_bytes(&d->q)[i * a->q_row + j * a->q_pixel + o] ==
                        byte_of(v * a->q_scale, a->low, a->high, c->away);
}

static bool
check_scalar(const struct conv_case *c, const struct conv_data *d, char *why)
{
    run(qk_conv_i8_all[0], c, d, &d->y, &d->q);
    const bool plain = c->direct || c->post == QK_POST_CLAMP || c->post == QK_POST_HARD_SWISH ||
                       c->post == QK_POST_LEAKY_RELU;
    for (int o = 0; plain && o < c->oc; o++)
        for (int i = 0; i < d->oh; i++)
            for (int j = 0; j < d->ow; j++)
                if (!is_exact(c, d, o, i, j)) {
                    snprintf(why, WHY_MOST, "channel %d pixel %d,%d is wrong", o, i, j);
                    return false;
                }
    return true;
}

static bool
check_conv(const struct qk_conv_i8 *k, const struct conv_case *c, uint64_t *r, char *why)
{
    struct conv_data d = make(c, r);
    bool ok;
    if (k == qk_conv_i8_all[0]) {
        ok = check_scalar(c, &d, why);
    } else {
        const struct room y = room_new(d.y.n), q = room_new(d.q.n);
        run(qk_conv_i8_all[0], c, &d, &d.y, &d.q);
        run(k, c, &d, &y, &q);
        ok = room_same(&y, &d.y) && room_same(&q, &d.q);
        if (!ok)
            snprintf(why, WHY_MOST, "differs from scalar");
        free(y.memory);
        free(q.memory);
    }
    drop(&d);
    return ok;
}

static int
lanes_for(const struct qk_conv_i8 *k, uint64_t *r)
{
    static const int all[] = {4, 8, 16};
    int lanes;
    do
        lanes = all[next(r) % 3];
    while (lanes % k->lanes != 0);
    return lanes;
}

static void
draw_end(const struct qk_conv_i8 *k, struct conv_case *c, uint64_t *r)
{
    c->lanes = lanes_for(k, r);
    c->add = next(r) % 3 == 0;
    c->direct = next(r) % 2;
    c->q = c->direct || next(r) % 3;
    c->y = !c->direct && (!c->q || next(r) % 2);
    c->post = next(r) % 2 ? QK_POST_CLAMP : next(r) % (QK_POST_TANH + 1);
    c->wide_pixel = next(r) % 4 == 0;
    c->positive = next(r) % 3 == 0;
    c->away = next(r) % 2;
    c->ties = next(r) % 4 == 0;
}

static struct conv_case
draw(const struct qk_conv_i8 *k, bool depthwise, uint64_t *r)
{
    static const int sizes[] = {1, 2, 3, 3, 3, 5, 5, 7};
    struct conv_case c = {.ic = next(r) % 4 ? between(r, 5, 70) : between(r, 1, 4),
                          .oc = between(r, 1, depthwise ? 150 : 100),
                          .kh = sizes[next(r) % 8],
                          .sh = between(r, 1, 3),
                          .sw = between(r, 1, 3),
                          .dh = next(r) % 4 ? 1 : 2,
                          .dw = next(r) % 4 ? 1 : 2,
                          .depthwise = depthwise};
    c.kw = next(r) % 3 ? c.kh : sizes[next(r) % 8];
    c.ic = depthwise ? c.oc : c.ic;
    c.pad = between(r, 0, 3);
    c.h = between(r, 1, 17) + c.dh * (c.kh - 1);
    c.w = between(r, 1, 17) + c.dw * (c.kw - 1);
    draw_end(k, &c, r);
    return c;
}

static void
describe(const struct conv_case *c, const char *detail, char *why)
{
    snprintf(why, WHY_MOST,
             "%d to %d channels, %dx%d, kernel %dx%d, stride %d,%d, dilation %d,%d, pad %d, lanes "
             "%d%s%s%s%s%s%s%s%s%s, post %d: %s",
             c->ic, c->oc, c->h, c->w, c->kh, c->kw, c->sh, c->sw, c->dh, c->dw, c->pad, c->lanes,
             c->flat ? ", flat" : "", c->wide_pixel ? ", wide pixel" : "",
             c->positive ? ", positive" : "", c->add ? ", add" : "", c->y ? ", y" : "",
             c->q ? ", q" : "", c->direct ? ", direct" : "", c->away ? ", away" : "",
             c->ties ? ", ties" : "", (int)c->post, detail);
}

static bool
check_draws(const struct qk_conv_i8 *k, bool depthwise, uint64_t *r, char *why)
{
    enum { DRAWS = 300 };
    char detail[WHY_MOST];
    for (int i = 0; i < DRAWS; i++) {
        const struct conv_case c = draw(k, depthwise, r);
        if (check_conv(k, &c, r, detail))
            continue;
        describe(&c, detail, why);
        return false;
    }
    return true;
}

static bool
check_dense(const struct qk_conv_i8 *k, uint64_t *r, char *why)
{
    return check_draws(k, false, r, why);
}

/* Sums that are long, and cut into pieces that are not equal: a prime number of blocks of input. */
static bool
check_long(const struct qk_conv_i8 *k, uint64_t *r, char *why)
{
    static const int channels[] = {160, 176, 272, 304, 496};
    char detail[WHY_MOST];
    for (int i = 0; i < 40; i++) {
        struct conv_case c = {.ic = channels[i % 5],
                              .oc = between(r, 1, 50),
                              .kh = i % 3 == 0 ? 2 : 1,
                              .kw = i % 4 == 0 ? 3 : 1,
                              .sh = 1,
                              .sw = between(r, 1, 2),
                              .dh = 1,
                              .dw = between(r, 1, 2)};
        c.h = between(r, 2, 5);
        c.w = between(r, 1, 40) + c.dw * (c.kw - 1);
        draw_end(k, &c, r);
        c.flat = c.kh * c.kw * c.sw == 1;
        if (check_conv(k, &c, r, detail))
            continue;
        describe(&c, detail, why);
        return false;
    }
    return true;
}

static bool
check_depthwise(const struct qk_conv_i8 *k, uint64_t *r, char *why)
{
    return check_draws(k, true, r, why);
}

/* Every width of tile and number of blocks, rows and long rows. */
static bool
check_tiles(const struct qk_conv_i8 *k, uint64_t *r, char *why)
{
    char detail[WHY_MOST];
    for (int w = 1; w <= 30; w++)
        for (int blocks = 1; blocks <= 6; blocks++) {
            struct conv_case c = {.ic = 20,
                                  .oc = blocks * QK_I8_BLOCK,
                                  .h = 3,
                                  .w = w,
                                  .kh = 1,
                                  .kw = 1,
                                  .sh = 1,
                                  .sw = 1,
                                  .dh = 1,
                                  .dw = 1,
                                  .flat = w % 2};
            draw_end(k, &c, r);
            if (check_conv(k, &c, r, detail))
                continue;
            describe(&c, detail, why);
            return false;
        }
    return true;
}

/* ---- from floats ---- */

/* Around ties and limits, and what is not a number. */
static float
any_float(uint64_t *r)
{
    static const float special[] = {INFINITY, -INFINITY, NAN, 3e9f, -3e9f, 0.0f, -0.0f, 1e-40f};
    const uint32_t kind = next(r) % 8;
    if (kind == 0)
        return special[next(r) % 8];
    return kind < 4 ? (float)between(r, -260, 260) * 0.5f : real(r) * 140;
}

static bool
check_from(const struct qk_conv_i8 *k, uint64_t *r, char *why)
{
    enum { MOST = 300 };
    const struct room x = room_new(MOST * 4);
    bool ok = true;
    for (int i = 0; ok && i < 500; i++) {
        const struct qk_i8_quant quant = {next(r) & 1 ? 1 : 1 + 0.2f * real(r),
                                          (int8_t)between(r, -128, -100),
                                          (int8_t)between(r, 100, 127), (int)(next(r) % 2)};
        const struct room want = room_new(MOST), got = room_new(MOST);
        const int lanes = lanes_for(k, r), n = between(r, 1, 64), blocks = MOST / 16 / n;
        for (int j = 0; j < MOST; j++)
            room_floats(&x)[j] = any_float(r);
        for (int pass = 0; pass < 2; pass++) {
            const struct qk_conv_i8 *v = pass ? k : qk_conv_i8_all[0];
            uint8_t *to = room_bytes(pass ? &got : &want);
            if (i % 3 == 0)
                v->from_row(&quant, room_floats(&x) + n % 3, n, to);
            else if (i % 3 == 1)
                v->from_planes(&quant, room_floats(&x) + n % 2, n, 1 + n % 4, n, to);
            else
                v->from_blocked(&quant, room_floats(&x), n * lanes, lanes, blocks, n, to,
                                blocks * 16);
        }
        ok = room_same(&want, &got);
        for (int j = 0; ok && i % 3 == 0 && j < n; j++) {
            const float f = room_floats(&x)[n % 3 + j] * quant.scale;
            const bool fits = f >= -0x1p31f && f < 0x1p31f;
            ok =
                room_bytes(&got)[j] == byte_of(fits ? f : -1000, quant.low, quant.high, quant.away);
        }
        if (!ok)
            snprintf(why, WHY_MOST, "draw %d (row, planes, blocked in turn), %d pixels", i, n);
        free(want.memory);
        free(got.memory);
    }
    free(x.memory);
    return ok;
}

static bool
check_absmax(const struct qk_conv_i8 *k, uint64_t *r, char *why)
{
    enum { MOST = 300 };
    static const int all[] = {1, 4, 8, 16};
    const struct room x = room_new(MOST * 4);
    bool ok = true;
    for (int i = 0; ok && i < 500; i++) {
        const int lanes = all[next(r) % 4], n = between(r, 1, MOST / lanes);
        const int some = between(r, 1, lanes);
        float want = 0;
        for (int j = 0; j < MOST; j++)
            room_floats(&x)[j] = any_float(r);
        for (int j = 0; j < n * lanes; j++)
            if (j % lanes < some && fabsf(room_floats(&x)[j]) > want)
                want = fabsf(room_floats(&x)[j]);
        ok = k->absmax(room_floats(&x), n, lanes, some) == want;
        snprintf(why, WHY_MOST, "%d pixels, %d of %d lanes", n, some, lanes);
    }
    free(x.memory);
    return ok;
}

static bool
check_pool(const struct qk_conv_i8 *k, uint64_t *r, char *why)
{
    enum { H = 7, W = 9, BYTES = 48, PIXEL = 64 };
    static const int32_t y0[] = {0, 1, 3, 2}, y1[] = {2, 4, 7, 2}, x0[] = {0, 0, 2, 8},
                         x1[] = {9, 1, 5, 9};
    const struct room x = room_new(H * W * PIXEL), y = room_new(16 * PIXEL);
    for (int i = 0; i < H * W * PIXEL; i++)
        room_bytes(&x)[i] = (uint8_t)next(r);
    const struct qk_i8_pool_args a = {
        room_bytes(&x), W * PIXEL, PIXEL, room_bytes(&y), 4 * PIXEL, PIXEL, y0, y1, x0, x1, 4,
        BYTES};
    k->max_pool(&a, 0, 4);
    bool ok = true;
    for (int i = 0; ok && i < 16 * PIXEL; i++) {
        const int oy = i / PIXEL / 4, ox = i / PIXEL % 4, c = i % PIXEL;
        int most = 0;
        for (int v = y0[oy]; v < y1[oy]; v++)
            for (int h = x0[ox]; h < x1[ox]; h++) {
                const int b = room_bytes(&x)[(v * W + h) * PIXEL + c];
                most = b > most ? b : most;
            }
        ok = room_bytes(&y)[i] == (c < BYTES ? most : GUARD_BYTE);
        snprintf(why, WHY_MOST, "byte %d", i);
    }
    free(x.memory);
    free(y.memory);
    return ok;
}

static const struct {
    const char *function;
    bool (*check)(const struct qk_conv_i8 *k, uint64_t *r, char *why);
} checks[] = {
    {"conv_i8", check_dense},     {"conv_i8 tiles", check_tiles},
    {"conv_i8 long", check_long}, {"depthwise_i8", check_depthwise},
    {"float to i8", check_from},  {"absmax of images", check_absmax},
    {"max_pool_i8", check_pool},
};
const int qk_i8_n_checks = sizeof(checks) / sizeof(checks[0]);

int
qk_selftest_i8(const struct qk_conv_i8 *variant, uint64_t seed, struct qk_verdict *verdict)
{
    int n_failed = 0;
    for (int i = 0; i < qk_i8_n_checks; i++) {
        struct qk_verdict *v = &verdict[i];
        uint64_t r = seed;
        *v = (struct qk_verdict){.function = checks[i].function, .n_cases = 1};
        v->ok = checks[i].check(variant, &r, v->detail);
        if (v->ok)
            v->detail[0] = '\0';
        n_failed += !v->ok;
    }
    return n_failed;
}
