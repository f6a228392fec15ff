/* SPDX-License-Identifier: Apache-2.0 */
#include "model/quant_static.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"

struct work {
    const struct qs_tensor *t;
    struct qs_channels ch;
    float range;
    float *scale, *inv; /* [ch.n_channels] */
    int8_t *q8;         /* one of the two is set */
    int16_t *q16;
};

static void
start(struct work *w, const struct qs_tensor *t, int axis, int bits, const double *threshold)
{
    *w = (struct work){.t = t, .range = qs_quant_range(bits), .ch = qs_channels_of(t, axis)};
    w->scale = qs_xcalloc((size_t)w->ch.n_channels, sizeof(*w->scale));
    w->inv = qs_xcalloc((size_t)w->ch.n_channels, sizeof(*w->inv));
    for (int64_t c = 0; c < w->ch.n_channels; c++) {
        const float s = (float)threshold[c];
        w->scale[c] = s;
        w->inv[c] = s <= 1e-30F ? 1.0F / (s + 1e-6F) : 1.0F / s;
    }
}

static void
finish(struct work *w)
{
    free(w->scale);
    free(w->inv);
}

static void
set_integers(struct work *w, int bits, const struct qs_buf *q)
{
    w->q8 = bits <= 8 ? (int8_t *)q->data : NULL;
    w->q16 = bits <= 8 ? NULL : (int16_t *)(void *)q->data;
}

static enum qs_err
new_integers(struct qs_ctx *cx, struct work *w, int bits, struct qs_buf **out)
{
    const size_t size = bits <= 8 ? sizeof(int8_t) : sizeof(int16_t);
    const enum qs_err err = qs_buf_new(cx, (size_t)w->t->n * size, out);
    if (!err)
        set_integers(w, bits, *out);
    return err;
}

static float
element(const struct qs_tensor *t, int64_t i)
{
    float v;
    memcpy(&v, t->buf->data + t->offset + (size_t)i * sizeof(v), sizeof(v));
    return v;
}

static float
integer(const struct work *w, int64_t i)
{
    return w->q8 ? (float)w->q8[i] : (float)w->q16[i];
}

static void
put_integer(const struct work *w, int64_t i, float q)
{
    if (w->q8)
        w->q8[i] = (int8_t)q;
    else
        w->q16[i] = (int16_t)q;
}

static float
clamp(float v, float lo, float hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static inline float
round_one(enum qs_static_rounding how, float r, float s, float inv, float x)
{
    switch (how) {
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
quantize_all(const struct work *w, enum qs_static_rounding how)
{
    const bool offline = how == QS_STATIC_QDQ || how == QS_STATIC_FAKE;
    int64_t i = 0;
    for (int64_t o = 0; o < w->ch.n_outer; o++)
        for (int64_t c = 0; c < w->ch.n_channels; c++) {
            const float s = offline && w->scale[c] == 0 ? 1e-8F : w->scale[c];
            for (int64_t k = 0; k < w->ch.n_inner; k++, i++)
                put_integer(w, i, round_one(how, w->range, s, w->inv[c], element(w->t, i)));
        }
}

enum qs_err
qs_static_quantize(struct qs_ctx *cx, const struct qs_tensor *t, int axis, int bits,
                   const double *threshold, enum qs_static_rounding how, struct qs_buf **out)
{
    struct work w;
    int64_t bad = 0;
    if (t->dtype != QS_DTYPE_float32)
        return qs_fail(cx, QS_ERR_FORMAT, _("its type is %s, not float32"),
                       qs_dtype_name(t->dtype));
    for (int64_t i = 0; i < t->n; i++)
        bad += !isfinite(element(t, i));
    if (bad > 0)
        return qs_fail(cx, QS_ERR_FORMAT,
                       _("%" PRId64 " of %" PRId64 " elements are NaN or infinite"), bad, t->n);
    start(&w, t, axis, bits, threshold);
    const enum qs_err err = new_integers(cx, &w, bits, out);
    if (!err)
        quantize_all(&w, how);
    finish(&w);
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
    struct work w = {.t = t, .range = qs_quant_range(bits)};
    if (t->dtype != QS_DTYPE_int8 && t->dtype != QS_DTYPE_int16 && t->dtype != QS_DTYPE_float32)
        return qs_fail(cx, QS_ERR_FORMAT, _("its type is %s, not of integers or float32"),
                       t->dtype >= 0 && qs_dtype_name(t->dtype) ? qs_dtype_name(t->dtype) : "?");
    const enum qs_err err = new_integers(cx, &w, bits, out);
    for (int64_t i = 0; i < t->n && !err; i++) {
        float v;
        if (!read_integer(t, i, &v) || !(v >= -w.range - 1 && v <= w.range)) {
            qs_buf_unref(*out);
            *out = NULL;
            return qs_fail(cx, QS_ERR_FORMAT, _("element %" PRId64 " is %g, no integer of %d bits"),
                           i, (double)v, bits);
        }
        put_integer(&w, i, v);
    }
    return err;
}

enum qs_err
qs_static_dequantize(struct qs_ctx *cx, const struct qs_tensor *t, int axis, int bits,
                     const double *threshold, const struct qs_buf *q, struct qs_buf **out)
{
    struct work w;
    const enum qs_err err = qs_buf_new(cx, (size_t)t->n * sizeof(float), out);
    if (err)
        return err;
    float *y = (float *)(void *)(*out)->data;
    int64_t i = 0;
    start(&w, t, axis, bits, threshold);
    set_integers(&w, bits, q);
    for (int64_t o = 0; o < w.ch.n_outer; o++)
        for (int64_t c = 0; c < w.ch.n_channels; c++)
            for (int64_t k = 0; k < w.ch.n_inner; k++, i++)
                y[i] = integer(&w, i) * w.scale[c] / w.range;
    finish(&w);
    return QS_OK;
}

double
qs_static_sqnr_db(const struct qs_tensor *t, int axis, int bits, const double *threshold,
                  const struct qs_buf *q)
{
    struct work w;
    double signal = 0, noise = 0;
    int64_t i = 0;
    start(&w, t, axis, bits, threshold);
    set_integers(&w, bits, q);
    for (int64_t o = 0; o < w.ch.n_outer; o++)
        for (int64_t c = 0; c < w.ch.n_channels; c++)
            for (int64_t k = 0; k < w.ch.n_inner; k++, i++) {
                const double x = (double)element(t, i);
                const double e = x - (double)(integer(&w, i) * w.scale[c] / w.range);
                signal += x * x;
                noise += e * e;
            }
    finish(&w);
    return noise > 0 ? 10 * log10(signal / noise) : INFINITY;
}
