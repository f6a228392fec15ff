/* SPDX-License-Identifier: Apache-2.0 */
/* Pooling: maximum or average of windows; averages of `exclusive` pooling count the cells inside
 * the image only, others those inside the padded image. Sums are in float32 in Paddle's order. */
#include <float.h>
#include <math.h>

#include "ops/forward.h"

struct pool {
    int64_t planes, channels; /* NHWC: channels of an image, else 1 */
    int64_t h, w, oh, ow;
    struct qs_window win[2];
    bool max, adaptive, exclusive, global;
    const float *x;
    float *y;
    int32_t *mask; /* position of the maximum in its plane, or NULL */
};

struct span {
    int64_t from, to; /* clipped to the image */
    int64_t cells;    /* not clipped, or clipped to the padded image */
};

static struct span
span_of(const struct pool *p, const struct qs_window *w, int64_t o, int64_t size, int64_t out)
{
    struct span s = {0, size, size};
    if (p->global)
        return s;
    if (p->adaptive) {
        s.from = o * size / out;
        s.to = ((o + 1) * size + out - 1) / out;
        s.cells = s.to - s.from;
        return s;
    }
    const int64_t from = o * w->stride - w->pad_before, reach = size + w->pad_after;
    const int64_t to = from + w->kernel < reach ? from + w->kernel : reach;
    s.cells = to - from;
    s.from = from > 0 ? from : 0;
    s.to = to < size ? to : size;
    return s;
}

static void
take_max(const struct pool *p, const float *x, struct span v, struct span h, int64_t at)
{
    float best = -FLT_MAX;
    int64_t where = -1;
    for (int64_t i = v.from; i < v.to; i++)
        for (int64_t j = h.from; j < h.to; j++) {
            const float e = x[(i * p->w + j) * p->channels];
            if (e > best || isnan(e) || where < 0) {
                best = e;
                where = i * p->w + j;
            }
            if (isnan(best))
                i = v.to - 1, j = h.to - 1;
        }
    p->y[at] = best;
    if (p->mask)
        p->mask[at] = (int32_t)where;
}

static void
take_mean(const struct pool *p, const float *x, struct span v, struct span h, int64_t at)
{
    float sum = 0;
    for (int64_t i = v.from; i < v.to; i++)
        for (int64_t j = h.from; j < h.to; j++)
            sum += x[(i * p->w + j) * p->channels];
    const int64_t inside = (v.to - v.from) * (h.to - h.from);
    const int64_t cells = p->exclusive || p->adaptive ? inside : v.cells * h.cells;
    p->y[at] = sum / (float)cells;
}

static enum qs_err
pool_planes(struct qs_ctx *cx, void *arg, int64_t from, int64_t to)
{
    const struct pool *p = arg;
    (void)cx;
    for (int64_t i = from; i < to; i++) {
        const int64_t image = i / p->channels, ch = i % p->channels;
        const float *x = p->x + image * p->channels * p->h * p->w + ch;
        for (int64_t oy = 0; oy < p->oh; oy++) {
            const struct span v = span_of(p, &p->win[0], oy, p->h, p->oh);
            for (int64_t ox = 0; ox < p->ow; ox++) {
                const struct span h = span_of(p, &p->win[1], ox, p->w, p->ow);
                const int64_t at = ((image * p->oh + oy) * p->ow + ox) * p->channels + ch;
                (p->max ? take_max : take_mean)(p, x, v, h, at);
            }
        }
    }
    return QS_OK;
}

static enum qs_err
read_windows(struct qs_step *st, struct pool *p)
{
    const struct qs_infer attrs = qs_fwd_attrs(st);
    int64_t k[2] = {1, 1};
    if (p->global || p->adaptive)
        return QS_OK;
    if (qs_attr_ints(st->node, "ksize", k, 2) == 1)
        k[1] = k[0];
    return qs_window_attrs(&attrs, k, (int64_t[2]){p->h, p->w}, p->win);
}

enum qs_err
qs_fwd_pool(struct qs_step *st)
{
    const struct qs_infer attrs = qs_fwd_attrs(st);
    const struct qs_layout at = qs_layout_of(&attrs, "data_format");
    const struct qs_value *x;
    struct qs_value *y, *mask = qs_step_out(st, "Mask", 0);
    enum qs_err err = qs_fwd_need(st, "X", QS_DTYPE_float32, &x);
    if (!err)
        err = qs_fwd_out(st, "Out", &y);
    if (err)
        return err;
    struct pool p = {.h = x->d[at.h], .w = x->d[at.w], .oh = y->d[at.h], .ow = y->d[at.w]};
    p.channels = at.c == 3 ? x->d[3] : 1;
    p.planes = x->d[0] * x->d[at.c];
    p.max = qs_infer_str_is(&attrs, "pooling_type", "max", "max");
    /* pool2d of Paddle slides plain windows over the image when it takes maxima */
    p.adaptive = qs_attr_int(st->node, "adaptive", 0) != 0 &&
                 !(p.max && strcmp(st->node->type, "pool2d") == 0);
    p.global = qs_attr_int(st->node, "global_pooling", 0) != 0;
    p.exclusive = qs_attr_int(st->node, "exclusive", 1) != 0;
    p.x = x->f32;
    p.y = y->f32;
    p.mask = mask && mask->dtype == QS_DTYPE_int32 ? mask->i32 : NULL;
    if (x->count == 0 || y->count == 0)
        return QS_OK;
    err = read_windows(st, &p);
    const int64_t taps = p.h * p.w / (p.oh * p.ow) + 1;
    return err ? err : qs_fwd_range(st, p.planes, 4 * p.oh * p.ow * taps, pool_planes, &p);
}
