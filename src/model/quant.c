/* SPDX-License-Identifier: Apache-2.0 */
#include "model/quant.h"

#include <assert.h>
#include <float.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "model/quant_parts.h"

float
qs_quant_range(int bits)
{
    assert(bits >= 2 && bits <= 16);
    return (float)((1 << (bits - 1)) - 1);
}

/* Paddle divides the float32 maximum by an integer: in numpy a float64, which becomes float32
 * again where it divides the weights. A subnormal scale may be rounded so far down that the
 * maximum leaves the range. At 8 and 16 bits that is kept, as Paddle has it (wrap_overflow); at the
 * widths that only we have, the next scale up holds the maximum. */
static double
scale_of(double absmax, int bits)
{
    const float range = qs_quant_range(bits);
    const double exact = absmax / (double)range;
    const float scale = (float)exact;
    const float most = (float)fmin(absmax, FLT_MAX); /* a threshold may lie just above */
    if (bits == 8 || bits == 16 || scale == 0 || rintf(most / scale) <= range)
        return exact;
    return nextafterf(scale, INFINITY);
}

struct error_arg {
    const struct qk_weights *k;
    const float *scale;
    float range;
    double sum;
};

static void
visit_error(void *arg, const struct qs_span *s, const void *x)
{
    struct error_arg *a = arg;
    const float *scale = a->scale + s->channel;
    a->sum += s->by_col ? a->k->error_cols(x, s->rows, s->n, scale, a->range)
                        : a->k->error(x, s->n, *scale, a->range);
}

static double
sqnr_db(const struct qs_tensor *t, struct qs_channels ch, const float *scale, float range,
        double sum_sq)
{
    struct error_arg a = {qk_weights(), scale, range, 0};
    qs_each_floats(t, ch, visit_error, &a);
    return a.sum == 0 ? INFINITY : 10 * log10(sum_sq / a.sum);
}

double
qs_sqnr_db(const struct qs_tensor *t, int axis, int bits)
{
    const struct qs_channels ch = qs_channels_of(t, axis);
    const float range = qs_quant_range(bits);
    float *scale = qs_xcalloc((size_t)ch.n_channels, sizeof(*scale));
    const struct qk_moments m = qs_moments_of(t);
    if (ch.n_channels == 1)
        scale[0] = fmaxf(fmaxf(-m.min, m.max), 0);
    else
        qs_absmax_of(t, ch, scale);
    for (int64_t c = 0; c < ch.n_channels; c++)
        scale[c] = (float)scale_of(scale[c], bits);
    const double db = sqnr_db(t, ch, scale, range, m.sum_sq);
    free(scale);
    return db;
}

/* Quantizing */

struct quantize_arg {
    const struct qk_weights *k;
    const float *scale;
    float limit;
    bool narrow; /* int8 */
    void *q;
};

static void
visit_quantize(void *arg, const struct qs_span *s, const void *x)
{
    const struct quantize_arg *a = arg;
    const float *scale = a->scale + s->channel;
    if (a->narrow) {
        int8_t *q = (int8_t *)a->q + s->first;
        if (s->by_col)
            a->k->quant_cols_s8(x, s->rows, s->n, scale, q);
        else
            a->k->quant_s8(x, s->n, *scale, a->limit, q);
        return;
    }
    int16_t *q = (int16_t *)a->q + s->first;
    if (s->by_col)
        a->k->quant_cols_s16(x, s->rows, s->n, scale, q);
    else
        a->k->quant_s16(x, s->n, *scale, a->limit, q);
}

/* numpy's cast of an integer that does not fit keeps its low bits. Only subnormal scales lead
 * there, in channels whose weights are about 1e-40. */
static void
visit_wrap(void *arg, const struct qs_span *s, const void *x)
{
    const struct quantize_arg *a = arg;
    for (int64_t i = 0; i < s->rows * s->n; i++) {
        const float scale = a->scale[s->channel + (s->by_col ? i % s->n : 0)];
        if (scale == 0 || scale >= FLT_MIN)
            continue;
        float v;
        memcpy(&v, (const char *)x + (size_t)i * sizeof(v), sizeof(v));
        const int32_t q = (int32_t)rintf(fmaxf(-a->limit, fminf(v, a->limit)) / scale);
        if (a->narrow)
            ((int8_t *)a->q)[s->first + i] = (int8_t)(uint8_t)q;
        else
            ((int16_t *)a->q)[s->first + i] = (int16_t)(uint16_t)q;
    }
}

static void
wrap_overflow(const struct qs_tensor *t, struct qs_channels ch, struct quantize_arg *a)
{
    for (int64_t c = 0; c < ch.n_channels; c++)
        if (a->scale[c] != 0 && a->scale[c] < FLT_MIN) {
            qs_each_floats(t, ch, visit_wrap, a);
            return;
        }
}

/* Scales into `out`; returns the magnitude at which weights are clipped. */
static float
fill_scales(const struct qs_tensor *t, struct qs_channels ch, int bits, double rate,
            struct qs_quantized *out)
{
    float limit = INFINITY;
    qs_absmax_of(t, ch, out->scale);
    for (int64_t c = 0; c < ch.n_channels; c++)
        out->exact[c] = scale_of(out->scale[c], bits);
    if (rate >= 1e-10) { /* what is below counts as 0 for Paddle */
        const double threshold = qs_hist_threshold(t, rate);
        limit = (float)threshold;
        out->exact[0] = scale_of(threshold, bits);
    }
    for (int64_t c = 0; c < ch.n_channels; c++)
        out->scale[c] = (float)out->exact[c];
    return limit;
}

enum qs_err
qs_quantize(struct qs_ctx *cx, const struct qs_tensor *t, int axis, int bits, double rate,
            struct qs_quantized *out)
{
    const struct qs_channels ch = qs_channels_of(t, axis);
    const bool narrow = bits <= 8;
    *out = (struct qs_quantized){.dtype = narrow ? QS_DTYPE_int8 : QS_DTYPE_int16};
    if (!qs_has_floats(t) || ch.n_channels > INT_MAX)
        return qs_fail(cx, QS_ERR_UNSUPPORTED, _("not a tensor of floats"));
    if (t->n == 0)
        return qs_fail(cx, QS_ERR_FORMAT, _("it has no elements"));
    const struct qk_moments m = qs_moments_of(t);
    if (m.n_bad > 0)
        return qs_fail(cx, QS_ERR_FORMAT,
                       _("%" PRId64 " of %" PRId64 " elements are NaN or infinite"), m.n_bad, t->n);
    const enum qs_err err =
        qs_buf_new(cx, (size_t)t->n * (narrow ? sizeof(int8_t) : sizeof(int16_t)), &out->q);
    if (err)
        return err;
    out->n_scales = (int)ch.n_channels;
    out->scale = qs_xcalloc((size_t)ch.n_channels, sizeof(*out->scale));
    out->exact = qs_xcalloc((size_t)ch.n_channels, sizeof(*out->exact));
    const float limit = fill_scales(t, ch, bits, axis < 0 ? rate : 0, out);
    struct quantize_arg a = {qk_weights(), out->scale, limit, narrow, out->q->data};
    qs_each_floats(t, ch, visit_quantize, &a);
    if (bits == 8 || bits == 16)
        wrap_overflow(t, ch, &a);
    out->sqnr_db = sqnr_db(t, ch, out->scale, qs_quant_range(bits), m.sum_sq);
    return QS_OK;
}

struct dequantize_arg {
    const struct qk_weights *k;
    const double *scale;
    bool narrow;
    const void *q;
    float *y;
};

static void
visit_dequantize(void *arg, const struct qs_span *s)
{
    const struct dequantize_arg *a = arg;
    const double *scale = a->scale + s->channel;
    float *y = a->y + s->first;
    if (a->narrow) {
        const int8_t *q = (const int8_t *)a->q + s->first;
        if (s->by_col)
            a->k->dequant_cols_s8(q, s->rows, s->n, scale, y);
        else
            a->k->dequant_s8(q, s->n, *scale, y);
        return;
    }
    const int16_t *q = (const int16_t *)a->q + s->first;
    if (s->by_col)
        a->k->dequant_cols_s16(q, s->rows, s->n, scale, y);
    else
        a->k->dequant_s16(q, s->n, *scale, y);
}

enum qs_err
qs_dequantize(struct qs_ctx *cx, const struct qs_tensor *t, int axis, const struct qs_quantized *q,
              struct qs_buf **out)
{
    const struct qs_channels ch = qs_channels_of(t, axis);
    assert(ch.n_channels == q->n_scales);
    const enum qs_err err = qs_buf_new(cx, (size_t)t->n * sizeof(float), out);
    if (err)
        return err;
    struct dequantize_arg a = {qk_weights(), q->exact, q->dtype == QS_DTYPE_int8, q->q->data,
                               (float *)(void *)(*out)->data};
    qs_each_span(ch, visit_dequantize, &a);
    return QS_OK;
}

void
qs_quantized_release(struct qs_quantized *q)
{
    qs_buf_unref(q->q);
    free(q->scale);
    free(q->exact);
    *q = (struct qs_quantized){0};
}
