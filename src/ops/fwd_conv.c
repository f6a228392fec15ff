/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions: one filter per channel directly; 1x1 as a matrix product of the filter with the
 * image; others as a product with the unrolled image (im2col), a band of output rows at a time.
 * Transposed ones: a product, then added up into the image (col2im). NHWC goes through NCHW.
 */
#include <math.h>

#include "ops/forward.h"

struct conv {
    int64_t n, groups;
    int64_t ci, co; /* channels of one group */
    int64_t h, w, oh, ow;
    struct qs_window win[2];
    const float *x, *filter, *bias;
    float *y;
};

/* Layouts */

struct swap {
    const float *from;
    float *to;
    int64_t rows, cols; /* of `from`, per image */
};

static enum qs_err
swap_image(struct qs_ctx *cx, void *arg, int64_t from, int64_t to)
{
    const struct swap *s = arg;
    (void)cx;
    for (int64_t i = from; i < to; i++)
        for (int64_t r = 0; r < s->rows; r++)
            for (int64_t c = 0; c < s->cols; c++)
                s->to[(i * s->cols + c) * s->rows + r] = s->from[(i * s->rows + r) * s->cols + c];
    return QS_OK;
}

/* One band of output rows of one group of one image. */

static void
unroll_row(const struct conv *c, const float *x, int64_t kx, float *col)
{
    const struct qs_window *w = &c->win[1];
    for (int64_t o = 0; o < c->ow; o++) {
        const int64_t i = o * w->stride - w->pad_before + kx * w->dilation;
        col[o] = i >= 0 && i < c->w ? x[i] : 0;
    }
}

/* Row ky of channel plane x for output rows from..to, kernel column kx. */
static void
unroll_tap(const struct conv *c, const float *x, int64_t ky, int64_t kx, int64_t from, int64_t to,
           float *col)
{
    const struct qs_window *h = &c->win[0];
    for (int64_t o = from; o < to; o++, col += c->ow) {
        const int64_t i = o * h->stride - h->pad_before + ky * h->dilation;
        if (i < 0 || i >= c->h)
            memset(col, 0, (size_t)c->ow * sizeof(*col));
        else
            unroll_row(c, x + i * c->w, kx, col);
    }
}

static void
unroll(const struct conv *c, const float *x, int64_t from, int64_t to, float *col)
{
    for (int64_t ch = 0; ch < c->ci; ch++, x += c->h * c->w)
        for (int64_t ky = 0; ky < c->win[0].kernel; ky++)
            for (int64_t kx = 0; kx < c->win[1].kernel; kx++, col += (to - from) * c->ow)
                unroll_tap(c, x, ky, kx, from, to, col);
}

static void
add_bias(const struct conv *c, const float *bias, int64_t channels, float *y, int64_t n)
{
    for (int64_t ch = 0; ch < channels; ch++, y += c->oh * c->ow)
        for (int64_t i = 0; i < n; i++)
            y[i] += bias[ch];
}

static bool
is_pointwise(const struct conv *c)
{
    for (int i = 0; i < 2; i++) {
        const struct qs_window *w = &c->win[i];
        if (w->kernel != 1 || w->stride != 1 || w->pad_before != 0 || w->pad_after != 0)
            return false;
    }
    return true;
}

/* Bands: of at most this many floats once unrolled, and a few for the threads. */
enum { BAND_FLOATS = 1 << 18 };

struct bands {
    const struct conv *c;
    int64_t rows;               /* of a band */
    int64_t count, parts, part; /* bands; parts of the channels and their size */
    bool pointwise;
};

static struct bands
cut(const struct conv *c)
{
    struct bands b = {.c = c, .pointwise = is_pointwise(c)};
    const int64_t k = c->ci * c->win[0].kernel * c->win[1].kernel;
    const int64_t most = c->oh > 4 ? (c->oh + 3) / 4 : c->oh;
    b.rows = qs_mul_sat(k, c->ow) > 0 ? BAND_FLOATS / qs_mul_sat(k, c->ow) : 1;
    if (b.rows > most && c->oh * c->ow > 256)
        b.rows = most;
    else if (b.rows > c->oh)
        b.rows = c->oh;
    if (b.rows < 1)
        b.rows = 1;
    b.count = (c->oh + b.rows - 1) / b.rows;
    /* few pixels, many channels: the channels are shared out, too */
    b.parts = b.count == 1 && c->n * c->groups == 1 && c->co >= 128 ? 4 : 1;
    b.part = (c->co + b.parts - 1) / b.parts;
    return b;
}

static enum qs_err
conv_band(struct qs_ctx *cx, void *arg, int64_t i)
{
    const struct bands *b = arg;
    const struct conv *c = b->c;
    const int64_t part = i % b->parts, image = i / b->parts / b->count;
    const int64_t from = i / b->parts % b->count * b->rows, group = image % c->groups;
    const int64_t to = from + b->rows < c->oh ? from + b->rows : c->oh;
    const int64_t k = c->ci * c->win[0].kernel * c->win[1].kernel, pixels = (to - from) * c->ow;
    const int64_t first = part * b->part;
    const int64_t channels = c->co - first < b->part ? c->co - first : b->part;
    const float *x = c->x + image * c->ci * c->h * c->w;
    float *y = c->y + (image * c->co + first) * c->oh * c->ow + from * c->ow;
    const struct qk_matrix filter = {c->filter + (group * c->co + first) * k, k, 0};
    struct qk_matrix image_of = {x + from * c->ow, c->h * c->w, 0};
    struct qs_buf *buf = NULL;
    float *col;
    if (channels < 1)
        return QS_OK;
    if (!b->pointwise) {
        const enum qs_err err = qs_fwd_floats(cx, qs_mul_sat(k, pixels), &buf, &col);
        if (err)
            return err;
        unroll(c, x, from, to, col);
        image_of = (struct qk_matrix){col, pixels, 0};
    }
    qk_sgemm(channels, pixels, k, 1, filter, image_of, 0, y, c->oh * c->ow);
    if (c->bias)
        add_bias(c, c->bias + group * c->co + first, channels, y, pixels);
    qs_buf_unref(buf);
    return QS_OK;
}

static enum qs_err
conv_by_gemm(struct qs_step *st, const struct conv *c)
{
    struct bands b = cut(c);
    const int64_t n = c->n * c->groups * b.count * b.parts;
    enum qs_err err = QS_OK;
    const int64_t k = c->ci * c->win[0].kernel * c->win[1].kernel;
    if (qs_mul_sat(qs_mul_sat(c->n * c->groups * c->co, c->oh * c->ow), k) > 1 << 17)
        return qs_parallel_for(st->cx, n, conv_band, &b);
    for (int64_t i = 0; i < n && !err; i++)
        err = conv_band(st->cx, &b, i);
    return err;
}

/* One filter per channel. */

/* Output positions whose input lies inside, for one tap: from..to. */
static void
tap_span(const struct qs_window *w, int64_t k, int64_t size, int64_t out, int64_t *from,
         int64_t *to)
{
    const int64_t at = w->pad_before - k * w->dilation; /* input of position o: o*stride - at */
    *from = at > 0 ? (at + w->stride - 1) / w->stride : 0;
    const int64_t last = size - 1 + at;
    *to = last < 0 ? 0 : last / w->stride + 1;
    if (*to > out)
        *to = out;
}

static void
add_scaled(float *restrict y, const float *restrict x, int64_t n, int64_t stride, float k)
{
    if (stride == 1)
        for (int64_t i = 0; i < n; i++)
            y[i] += k * x[i];
    else
        for (int64_t i = 0; i < n; i++)
            y[i] += k * x[i * stride];
}

static void
depthwise_row(const struct conv *c, const float *x, const float *filter, int64_t o, float *y)
{
    const struct qs_window *h = &c->win[0], *w = &c->win[1];
    for (int64_t ky = 0; ky < h->kernel; ky++) {
        const int64_t i = o * h->stride - h->pad_before + ky * h->dilation;
        if (i < 0 || i >= c->h)
            continue;
        for (int64_t kx = 0; kx < w->kernel; kx++) {
            int64_t from, to;
            tap_span(w, kx, c->w, c->ow, &from, &to);
            if (from < to)
                add_scaled(y + from,
                           x + i * c->w + from * w->stride - w->pad_before + kx * w->dilation,
                           to - from, w->stride, filter[ky * w->kernel + kx]);
        }
    }
}

static enum qs_err
depthwise_planes(struct qs_ctx *cx, void *arg, int64_t from, int64_t to)
{
    const struct conv *c = arg;
    const int64_t channels = c->groups * c->co, taps = c->win[0].kernel * c->win[1].kernel;
    (void)cx;
    for (int64_t i = from; i < to; i++) {
        const int64_t image = i / channels, ch = i % channels;
        const float *x = c->x + (image * c->groups + ch / c->co) * c->h * c->w;
        float *y = c->y + i * c->oh * c->ow;
        for (int64_t o = 0; o < c->oh; o++, y += c->ow) {
            for (int64_t k = 0; k < c->ow; k++)
                y[k] = c->bias ? c->bias[ch] : 0;
            depthwise_row(c, x, c->filter + ch * taps, o, y);
        }
    }
    return QS_OK;
}

static enum qs_err
conv_nchw(struct qs_step *st, struct conv *c)
{
    const int64_t taps = c->win[0].kernel * c->win[1].kernel;
    if (c->ci != 1 || c->groups == 1)
        return conv_by_gemm(st, c);
    return qs_fwd_range(st, c->n * c->groups * c->co, qs_mul_sat(c->oh * c->ow, taps),
                        depthwise_planes, c);
}

/* Transposed */

static void
fold_row(const struct conv *c, const float *col, int64_t kx, float *y)
{
    const struct qs_window *w = &c->win[1];
    for (int64_t i = 0; i < c->w; i++) {
        const int64_t o = i * w->stride - w->pad_before + kx * w->dilation;
        if (o >= 0 && o < c->ow)
            y[o] += col[i];
    }
}

/* Adds the taps of one channel, col [kh][kw][h][w], into its plane. */
static void
fold(const struct conv *c, const float *col, float *y)
{
    const struct qs_window *h = &c->win[0];
    for (int64_t ky = 0; ky < h->kernel; ky++)
        for (int64_t kx = 0; kx < c->win[1].kernel; kx++)
            for (int64_t i = 0; i < c->h; i++, col += c->w) {
                const int64_t o = i * h->stride - h->pad_before + ky * h->dilation;
                if (o >= 0 && o < c->oh)
                    fold_row(c, col, kx, y + o * c->ow);
            }
}

struct transposed {
    const struct conv *c;
    int64_t part, parts; /* output channels at a time */
};

static enum qs_err
transposed_part(struct qs_ctx *cx, void *arg, int64_t i)
{
    const struct transposed *t = arg;
    const struct conv *c = t->c;
    const int64_t image = i / t->parts, group = image % c->groups, first = i % t->parts * t->part;
    const int64_t channels = c->co - first < t->part ? c->co - first : t->part;
    const int64_t taps = c->win[0].kernel * c->win[1].kernel, pixels = c->h * c->w;
    struct qs_buf *buf;
    float *col;
    const enum qs_err err =
        qs_fwd_floats(cx, qs_mul_sat(qs_mul_sat(channels, taps), pixels), &buf, &col);
    if (err)
        return err;
    const struct qk_matrix x = {c->x + image * c->ci * pixels, pixels, 0};
    const struct qk_matrix filter = {c->filter + group * c->ci * c->co * taps + first * taps,
                                     c->co * taps, 1};
    qk_sgemm(channels * taps, pixels, c->ci, 1, filter, x, 0, col, pixels);
    float *y = c->y + (image * c->co + first) * c->oh * c->ow;
    for (int64_t ch = 0; ch < channels; ch++, y += c->oh * c->ow) {
        for (int64_t k = 0; k < c->oh * c->ow; k++)
            y[k] = c->bias ? c->bias[group * c->co + first + ch] : 0;
        fold(c, col + ch * taps * pixels, y);
    }
    qs_buf_unref(buf);
    return QS_OK;
}

static enum qs_err
transposed_nchw(struct qs_step *st, struct conv *c)
{
    struct transposed t = {.c = c};
    const int64_t each = qs_mul_sat(c->win[0].kernel * c->win[1].kernel, c->h * c->w);
    const int64_t fit = each > 0 ? BAND_FLOATS / each : 1;
    t.part = fit < 1 ? 1 : fit > c->co ? c->co : fit;
    if (c->co < 1)
        return QS_OK;
    t.parts = (c->co + t.part - 1) / t.part;
    return qs_parallel_for(st->cx, c->n * c->groups * t.parts, transposed_part, &t);
}

/* Entry */

static enum qs_err
read_conv(struct qs_step *st, bool transposed, struct conv *c, struct qs_layout *at)
{
    const struct qs_value *x, *f;
    struct qs_value *y;
    const struct qs_infer attrs = qs_fwd_attrs(st);
    enum qs_err err = qs_fwd_need(st, "Input", QS_DTYPE_float32, &x);
    if (!err)
        err = qs_fwd_need(st, "Filter", QS_DTYPE_float32, &f);
    if (!err)
        err = qs_fwd_out(st, "Output", &y);
    if (err)
        return err;
    *at = qs_layout_of(&attrs, "data_format");
    const int64_t groups = qs_attr_int(st->node, "groups", 1);
    *c = (struct conv){.n = x->d[0], .groups = groups, .h = x->d[at->h], .w = x->d[at->w]};
    c->oh = y->d[at->h];
    c->ow = y->d[at->w];
    c->ci = x->d[at->c] / groups;
    c->co = transposed ? f->d[1] : f->d[0] / groups;
    c->x = x->f32;
    c->filter = f->f32;
    c->y = y->f32;
    err = qs_fwd_optional(st, "Bias", c->co * groups, &c->bias);
    return err ? err : qs_window_attrs(&attrs, &f->d[2], (int64_t[2]){c->h, c->w}, c->win);
}

typedef enum qs_err conv_fn(struct qs_step *st, struct conv *c);

/* x to NCHW, compute, y back. */
static enum qs_err
run_nhwc(struct qs_step *st, struct conv *c, conv_fn *fn)
{
    struct qs_buf *in = NULL, *out = NULL;
    float *x, *y, *result = c->y;
    const int64_t ci = c->ci * c->groups, co = c->co * c->groups;
    const int64_t pixels = c->h * c->w, out_pixels = c->oh * c->ow;
    enum qs_err err = qs_fwd_floats(st->cx, c->n * ci * pixels, &in, &x);
    if (!err)
        err = qs_fwd_floats(st->cx, c->n * co * out_pixels, &out, &y);
    struct swap s = {c->x, x, pixels, ci};
    if (!err)
        err = qs_fwd_range(st, c->n, pixels * ci, swap_image, &s);
    if (!err) {
        c->x = x;
        c->y = y;
        err = fn(st, c);
    }
    s = (struct swap){y, result, co, out_pixels};
    if (!err)
        err = qs_fwd_range(st, c->n, out_pixels * co, swap_image, &s);
    qs_buf_unref(in);
    qs_buf_unref(out);
    return err;
}

static enum qs_err
run_conv(struct qs_step *st, bool transposed, conv_fn *fn)
{
    struct conv c;
    struct qs_layout at;
    const enum qs_err err = read_conv(st, transposed, &c, &at);
    if (err || c.n * c.groups * c.co * c.oh * c.ow == 0)
        return err;
    return at.c == 1 ? fn(st, &c) : run_nhwc(st, &c, fn);
}

enum qs_err
qs_fwd_conv(struct qs_step *st)
{
    return run_conv(st, false, conv_nchw);
}

enum qs_err
qs_fwd_conv_transpose(struct qs_step *st)
{
    return run_conv(st, true, transposed_nchw);
}
