/* SPDX-License-Identifier: Apache-2.0 */
#include "model/quant_static.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/i18n.h"

struct work {
    const struct qs_tensor *t;
    int bits;
    float range;
    enum qs_static_rounding how;
    int8_t *q8; /* one of the two is set */
    int16_t *q16;
    float *y;
};

/* Elements first .. first + n of one channel. */
typedef void visit_run(const struct work *w, float threshold, int64_t first, int64_t n);

static void
each_run(const struct work *w, int axis, const double *threshold, visit_run *visit)
{
    const struct qs_channels ch = qs_channels_of(w->t, axis);
    int64_t first = 0;
    for (int64_t o = 0; o < ch.n_outer; o++)
        for (int64_t c = 0; c < ch.n_channels; c++, first += ch.n_inner)
            visit(w, (float)threshold[c], first, ch.n_inner);
}

static float
element(const struct qs_tensor *t, int64_t i)
{
    float v;
    memcpy(&v, t->buf->data + t->offset + (size_t)i * sizeof(v), sizeof(v));
    return v;
}

static float
clamp(float v, float lo, float hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static float
round_one(const struct work *w, float s, float inv, float x)
{
    const float r = w->range;
    switch (w->how) {
    case QS_STATIC_QDQ:
        return clamp(rintf(x / s * r), -r - 1, r);
    case QS_STATIC_FAKE:
        return rintf(clamp(x, -s, s) / s * r);
    case QS_STATIC_EVEN:
        return clamp(rintf(r * inv * x), -r - 1, r);
    case QS_STATIC_AWAY:
        return roundf(r * inv * clamp(x, -s, s));
    }
    return 0;
}

static void
quantize_run(const struct work *w, float s, int64_t first, int64_t n)
{
    const bool offline = w->how == QS_STATIC_QDQ || w->how == QS_STATIC_FAKE;
    const float inv = s <= 1e-30F ? 1.0F / (s + 1e-6F) : 1.0F / s;
    if (offline && s == 0)
        s = 1e-8F;
    for (int64_t i = first; i < first + n; i++) {
        const float q = round_one(w, s, inv, element(w->t, i));
        if (w->q8)
            w->q8[i] = (int8_t)q;
        else
            w->q16[i] = (int16_t)q;
    }
}

static void
dequantize_run(const struct work *w, float s, int64_t first, int64_t n)
{
    for (int64_t i = first; i < first + n; i++) {
        const float q = w->q8 ? (float)w->q8[i] : (float)w->q16[i];
        w->y[i] = q * s / w->range;
    }
}

static enum qs_err
new_integers(struct qs_ctx *cx, struct work *w, struct qs_buf **out)
{
    const size_t size = w->bits <= 8 ? sizeof(int8_t) : sizeof(int16_t);
    const enum qs_err err = qs_buf_new(cx, (size_t)w->t->n * size, out);
    if (err)
        return err;
    w->q8 = w->bits <= 8 ? (int8_t *)(*out)->data : NULL;
    w->q16 = w->bits <= 8 ? NULL : (int16_t *)(void *)(*out)->data;
    return QS_OK;
}

enum qs_err
qs_static_quantize(struct qs_ctx *cx, const struct qs_tensor *t, int axis, int bits,
                   const double *threshold, enum qs_static_rounding how, struct qs_buf **out)
{
    struct work w = {.t = t, .bits = bits, .range = qs_quant_range(bits), .how = how};
    int64_t bad = 0;
    if (t->dtype != QS_DTYPE_float32)
        return qs_fail(cx, QS_ERR_FORMAT, _("its type is %s, not float32"),
                       qs_dtype_name(t->dtype));
    for (int64_t i = 0; i < t->n; i++)
        bad += !isfinite(element(t, i));
    if (bad > 0)
        return qs_fail(cx, QS_ERR_FORMAT,
                       _("%" PRId64 " of %" PRId64 " elements are NaN or infinite"), bad, t->n);
    const enum qs_err err = new_integers(cx, &w, out);
    if (!err)
        each_run(&w, axis, threshold, quantize_run);
    return err;
}

static bool
read_integer(const struct qs_tensor *t, int64_t i, float *out)
{
    const uint8_t *p = t->buf->data + t->offset;
    int16_t wide;
    if (t->dtype == QS_DTYPE_int8)
        *out = ((const int8_t *)p)[i];
    else if (t->dtype == QS_DTYPE_int16) {
        memcpy(&wide, p + (size_t)i * sizeof(wide), sizeof(wide));
        *out = wide;
    } else
        *out = element(t, i);
    return *out == rintf(*out);
}

enum qs_err
qs_static_integers(struct qs_ctx *cx, const struct qs_tensor *t, int bits, struct qs_buf **out)
{
    struct work w = {.t = t, .bits = bits, .range = qs_quant_range(bits)};
    if (t->dtype != QS_DTYPE_int8 && t->dtype != QS_DTYPE_int16 && t->dtype != QS_DTYPE_float32)
        return qs_fail(cx, QS_ERR_FORMAT, _("its type is %s, not of integers or float32"),
                       qs_dtype_name(t->dtype));
    const enum qs_err err = new_integers(cx, &w, out);
    if (err)
        return err;
    for (int64_t i = 0; i < t->n; i++) {
        float v;
        if (!read_integer(t, i, &v) || !(v >= -w.range - 1 && v <= w.range)) {
            qs_buf_unref(*out);
            *out = NULL;
            return qs_fail(cx, QS_ERR_FORMAT, _("element %" PRId64 " is %g, no integer of %d bits"),
                           i, (double)v, bits);
        }
        if (w.q8)
            w.q8[i] = (int8_t)v;
        else
            w.q16[i] = (int16_t)v;
    }
    return QS_OK;
}

enum qs_err
qs_static_dequantize(struct qs_ctx *cx, const struct qs_tensor *t, int axis, int bits,
                     const double *threshold, const struct qs_buf *q, struct qs_buf **out)
{
    struct work w = {.t = t, .bits = bits, .range = qs_quant_range(bits)};
    const enum qs_err err = qs_buf_new(cx, (size_t)t->n * sizeof(float), out);
    if (err)
        return err;
    if (bits <= 8)
        w.q8 = (int8_t *)q->data;
    else
        w.q16 = (int16_t *)(void *)q->data;
    w.y = (float *)(void *)(*out)->data;
    each_run(&w, axis, threshold, dequantize_run);
    return QS_OK;
}
