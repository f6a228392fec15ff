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
#include "kernels/kernel.h"

/* ---- walking a tensor ---- */

/* Contiguous elements: n of one channel, or, by column, rows of n channels side by side. */
struct span {
    int64_t first; /* index of the first element in the tensor */
    int64_t rows, n;
    int64_t channel; /* of the first element */
    bool by_col;
};

static void
each_span(struct qs_channels ch, void (*visit)(void *arg, const struct span *s), void *arg)
{
    if (ch.n_outer <= 0 || ch.n_channels <= 0 || ch.n_inner <= 0)
        return;
    if (ch.n_inner == 1 && ch.n_channels > 1) {
        visit(arg, &(struct span){.rows = ch.n_outer, .n = ch.n_channels, .by_col = true});
        return;
    }
    struct span s = {.rows = 1, .n = ch.n_inner};
    for (int64_t outer = 0; outer < ch.n_outer; outer++)
        for (s.channel = 0; s.channel < ch.n_channels; s.channel++, s.first += ch.n_inner)
            visit(arg, &s);
}

static float
widen_float16(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, part = h & 1023;
    if (exponent == 0) { /* zero and subnormal: part * 2^-24 */
        const float v = (float)part * 0x1p-24f;
        return sign ? -v : v;
    }
    const uint32_t wide = exponent == 31 ? 255 : exponent + 127 - 15;
    const uint32_t bits = sign | wide << 23 | part << 13;
    float v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static float
widen_bfloat16(uint16_t h)
{
    const uint32_t bits = (uint32_t)h << 16;
    float v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static const uint8_t *
data_of(const struct qs_tensor *t)
{
    return t->buf->data + t->offset;
}

static void
widen(const struct qs_tensor *t, int64_t first, int64_t n, float *out)
{
    const uint8_t *p = data_of(t) + (size_t)first * sizeof(uint16_t);
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + (size_t)i * sizeof(h), sizeof(h));
        out[i] = t->dtype == QS_DTYPE_float16 ? widen_float16(h) : widen_bfloat16(h);
    }
}

static bool
can_read(const struct qs_tensor *t)
{
    return t->dtype == QS_DTYPE_float32 || t->dtype == QS_DTYPE_float16 ||
           t->dtype == QS_DTYPE_bfloat16;
}

/* Takes a span of the elements as float32; x may be unaligned. */
typedef void visit_floats(void *arg, const struct span *s, const void *x);

struct reader {
    const struct qs_tensor *t;
    visit_floats *visit;
    void *arg;
};

/* Halves are widened piece by piece: whole rows, or parts of one that is too long. */
static void
read_halves(const struct reader *r, const struct span *s)
{
    enum { CHUNK = 4096 };
    float x[CHUNK];
    const int64_t n = s->n < CHUNK ? s->n : CHUNK, rows = CHUNK / n;
    for (int64_t row = 0; row < s->rows; row += rows)
        for (int64_t col = 0; col < s->n; col += n) {
            struct span part = *s;
            part.first += row * s->n + col;
            part.channel += s->by_col ? col : 0;
            part.rows = s->rows - row < rows ? s->rows - row : rows;
            part.n = s->n - col < n ? s->n - col : n;
            widen(r->t, part.first, part.rows * part.n, x);
            r->visit(r->arg, &part, x);
        }
}

static void
read_span(void *arg, const struct span *s)
{
    const struct reader *r = arg;
    if (r->t->dtype == QS_DTYPE_float32)
        r->visit(r->arg, s, data_of(r->t) + (size_t)s->first * sizeof(float));
    else
        read_halves(r, s);
}

/* Nothing is visited when the elements are not float32, float16 or bfloat16. */
static void
each_floats(const struct qs_tensor *t, struct qs_channels ch, visit_floats *visit, void *arg)
{
    struct reader r = {t, visit, arg};
    if (can_read(t))
        each_span(ch, read_span, &r);
}

static struct qs_channels
flat(const struct qs_tensor *t)
{
    return (struct qs_channels){1, 1, t->n};
}

struct qs_channels
qs_channels_of(const struct qs_tensor *t, int axis)
{
    if (axis < 0 || axis >= t->n_dims || t->dims[axis] == 1)
        return flat(t);
    struct qs_channels ch = {1, t->dims[axis], 1};
    for (int i = 0; i < axis; i++)
        ch.n_outer *= t->dims[i];
    for (int i = axis + 1; i < t->n_dims; i++)
        ch.n_inner *= t->dims[i];
    return ch;
}

/* ---- statistics ---- */

struct moments_arg {
    const struct qk_weights *k;
    struct qk_moments sum;
};

static void
add_moments(struct qk_moments *to, const struct qk_moments *m)
{
    to->min = m->min < to->min ? m->min : to->min;
    to->max = m->max > to->max ? m->max : to->max;
    to->sum += m->sum;
    to->sum_sq += m->sum_sq;
    to->n_zero += m->n_zero;
    to->n_bad += m->n_bad;
}

static void
visit_moments(void *arg, const struct span *s, const void *x)
{
    struct moments_arg *a = arg;
    struct qk_moments m;
    a->k->moments(x, s->rows * s->n, &m);
    add_moments(&a->sum, &m);
}

static struct qk_moments
moments_of(const struct qs_tensor *t)
{
    struct moments_arg a = {qk_weights(), {.min = INFINITY, .max = -INFINITY}};
    each_floats(t, flat(t), visit_moments, &a);
    return a.sum;
}

struct central_arg {
    const struct qk_weights *k;
    double mean, m2, m4;
};

static void
visit_central(void *arg, const struct span *s, const void *x)
{
    struct central_arg *a = arg;
    double m2, m4;
    a->k->central(x, s->rows * s->n, a->mean, &m2, &m4);
    a->m2 += m2;
    a->m4 += m4;
}

struct absmax_arg {
    const struct qk_weights *k;
    float *absmax;
};

static void
visit_absmax(void *arg, const struct span *s, const void *x)
{
    struct absmax_arg *a = arg;
    float *acc = a->absmax + s->channel;
    if (s->by_col) {
        a->k->col_absmax(x, s->rows, s->n, acc);
        return;
    }
    const float most = a->k->absmax(x, s->n);
    *acc = most > *acc ? most : *acc;
}

static void
absmax_of(const struct qs_tensor *t, struct qs_channels ch, float *absmax)
{
    struct absmax_arg a = {qk_weights(), absmax};
    for (int64_t c = 0; c < ch.n_channels; c++)
        absmax[c] = 0;
    each_floats(t, ch, visit_absmax, &a);
}

int64_t
qs_channel_absmax(const struct qs_tensor *t, struct qs_channels ch, float *absmax)
{
    absmax_of(t, ch, absmax);
    return moments_of(t).n_bad;
}

struct range_arg {
    const struct qk_weights *k;
    float *min, *max;
};

static void
visit_range(void *arg, const struct span *s, const void *x)
{
    struct range_arg *a = arg;
    float *min = a->min + s->channel, *max = a->max + s->channel;
    if (s->by_col) {
        a->k->col_minmax(x, s->rows, s->n, min, max);
        return;
    }
    struct qk_moments m;
    a->k->moments(x, s->n, &m);
    *min = m.min < *min ? m.min : *min;
    *max = m.max > *max ? m.max : *max;
}

void
qs_channel_range(const struct qs_tensor *t, struct qs_channels ch, float *min, float *max)
{
    struct range_arg a = {qk_weights(), min, max};
    for (int64_t c = 0; c < ch.n_channels; c++) {
        min[c] = INFINITY;
        max[c] = -INFINITY;
    }
    each_floats(t, ch, visit_range, &a);
    for (int64_t c = 0; c < ch.n_channels; c++)
        if (min[c] > max[c])
            min[c] = max[c] = NAN;
}

static int
by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Largest over median of the values that are not zero; reorders them. */
static double
range_ratio(float *absmax, int64_t n)
{
    int64_t used = 0;
    for (int64_t c = 0; c < n; c++)
        if (absmax[c] > 0)
            absmax[used++] = absmax[c];
    if (used == 0)
        return 1;
    qsort(absmax, (size_t)used, sizeof(*absmax), by_value);
    const double median = ((double)absmax[(used - 1) / 2] + absmax[used / 2]) / 2;
    return absmax[used - 1] / median;
}

static double
channel_range_ratio(const struct qs_tensor *t, int axis)
{
    const struct qs_channels ch = qs_channels_of(t, axis);
    if (ch.n_channels <= 1)
        return 1;
    float *absmax = qs_xcalloc((size_t)ch.n_channels, sizeof(*absmax));
    absmax_of(t, ch, absmax);
    const double ratio = range_ratio(absmax, ch.n_channels);
    free(absmax);
    return ratio;
}

void
qs_layer_stats_of(const struct qs_tensor *t, int axis, struct qs_layer_stats *out)
{
    *out = (struct qs_layer_stats){.channel_range_ratio = 1};
    if (!can_read(t))
        return;
    const struct qk_moments m = moments_of(t);
    const double n = (double)(t->n - m.n_bad);
    out->n_bad = m.n_bad;
    if (n == 0)
        return;
    struct central_arg a = {.k = qk_weights(), .mean = m.sum / n};
    each_floats(t, flat(t), visit_central, &a);
    out->valid = true;
    out->min = m.min;
    out->max = m.max;
    out->absmax = fmax(-(double)m.min, m.max);
    out->mean = a.mean;
    out->std = sqrt(a.m2 / n);
    out->sparsity = (double)m.n_zero / (double)t->n;
    out->kurtosis = a.m2 > 0 ? n * a.m4 / (a.m2 * a.m2) : NAN;
    out->channel_range_ratio = channel_range_ratio(t, axis);
}

/* ---- scales ---- */

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
visit_error(void *arg, const struct span *s, const void *x)
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
    each_floats(t, ch, visit_error, &a);
    return a.sum == 0 ? INFINITY : 10 * log10(sum_sq / a.sum);
}

double
qs_sqnr_db(const struct qs_tensor *t, int axis, int bits)
{
    const struct qs_channels ch = qs_channels_of(t, axis);
    const float range = qs_quant_range(bits);
    float *scale = qs_xcalloc((size_t)ch.n_channels, sizeof(*scale));
    const struct qk_moments m = moments_of(t);
    if (ch.n_channels == 1)
        scale[0] = fmaxf(fmaxf(-m.min, m.max), 0);
    else
        absmax_of(t, ch, scale);
    for (int64_t c = 0; c < ch.n_channels; c++)
        scale[c] = (float)scale_of(scale[c], bits);
    const double db = sqnr_db(t, ch, scale, range, m.sum_sq);
    free(scale);
    return db;
}

/* ---- histograms ---- */

/* Bins as numpy.histogram makes them for float32 elements: index by a float32 quotient, then put
 * right by the edges, which are computed in double and rounded to float32. */
struct bins {
    int n;
    float lo, hi, width; /* width of all bins together, times unit */
    float unit;          /* 0.5 when hi - lo is no float32, else 1 */
    float *edge;         /* [n + 1] */
    int64_t *count;      /* [n] */
    bool magnitude;      /* of |x| */
};

static bool
bins_init(struct bins *b, double lo, double hi, int n, int64_t *count)
{
    if (n < 1 || !(lo <= hi) || lo < -FLT_MAX || hi > FLT_MAX)
        return false;
    if (lo == hi) {
        lo -= 0.5;
        hi += 0.5;
    }
    b->n = n;
    b->lo = (float)lo;
    b->hi = (float)hi;
    b->unit = hi - lo > FLT_MAX ? 0.5f : 1.0f;
    b->width = (float)((hi - lo) * (double)b->unit);
    b->count = count;
    b->edge = qs_xcalloc((size_t)n + 1, sizeof(*b->edge));
    const double step = (hi - lo) / n;
    for (int i = 0; i < n; i++)
        b->edge[i] = (float)(i * step + lo);
    b->edge[n] = b->hi;
    return true;
}

static int
bin_of(const struct bins *b, float v)
{
    const float f = (v * b->unit - b->lo * b->unit) / b->width * (float)b->n;
    int i = f >= (float)b->n ? b->n - 1 : f > 0 ? (int)f : 0;
    if (i > 0 && v < b->edge[i])
        i--;
    if (i < b->n - 1 && v >= b->edge[i + 1])
        i++;
    return i;
}

static void
visit_bins(void *arg, const struct span *s, const void *x)
{
    struct bins *b = arg;
    const int64_t n = s->rows * s->n;
    for (int64_t i = 0; i < n; i++) {
        float v;
        memcpy(&v, (const char *)x + (size_t)i * sizeof(v), sizeof(v));
        v = b->magnitude ? fabsf(v) : v;
        if (v >= b->lo && v <= b->hi)
            b->count[bin_of(b, v)]++;
    }
}

void
qs_histogram(const struct qs_tensor *t, double lo, double hi, int n_bins, int64_t *counts)
{
    struct bins b = {0};
    for (int i = 0; i < n_bins; i++)
        counts[i] = 0;
    if (!bins_init(&b, lo, hi, n_bins, counts))
        return;
    each_floats(t, flat(t), visit_bins, &b);
    free(b.edge);
}

/* In double, as numpy multiplies an index by a float32 width. */
static double
hist_threshold(const struct qs_tensor *t, double rate)
{
    enum { N_BINS = 5000 };
    int64_t count[N_BINS] = {0}, total = 0;
    struct bins b = {.magnitude = true};
    float absmax;
    absmax_of(t, flat(t), &absmax);
    if (!bins_init(&b, 0, absmax, N_BINS, count))
        return 0;
    each_floats(t, flat(t), visit_bins, &b);
    const float bin_width = b.edge[1] - b.edge[0];
    free(b.edge);
    for (int i = 0; i < N_BINS; i++)
        total += count[i];
    double share = 0;
    for (int i = 0; i < N_BINS && total > 0; i++) {
        share += (double)count[i] / (double)total;
        if (share >= 1.0 - rate)
            return (i + 1) * (double)bin_width;
    }
    return 0;
}

float
qs_hist_threshold(const struct qs_tensor *t, double rate)
{
    return (float)hist_threshold(t, rate);
}

/* ---- quantizing ---- */

struct quantize_arg {
    const struct qk_weights *k;
    const float *scale;
    float limit;
    bool narrow; /* int8 */
    void *q;
};

static void
visit_quantize(void *arg, const struct span *s, const void *x)
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
visit_wrap(void *arg, const struct span *s, const void *x)
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
            each_floats(t, ch, visit_wrap, a);
            return;
        }
}

/* Scales into `out`; returns the magnitude at which weights are clipped. */
static float
fill_scales(const struct qs_tensor *t, struct qs_channels ch, int bits, double rate,
            struct qs_quantized *out)
{
    float limit = INFINITY;
    absmax_of(t, ch, out->scale);
    for (int64_t c = 0; c < ch.n_channels; c++)
        out->exact[c] = scale_of(out->scale[c], bits);
    if (rate >= 1e-10) { /* what is below counts as 0 for Paddle */
        const double threshold = hist_threshold(t, rate);
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
    if (!can_read(t) || ch.n_channels > INT_MAX)
        return qs_fail(cx, QS_ERR_UNSUPPORTED, _("not a tensor of floats"));
    if (t->n == 0)
        return qs_fail(cx, QS_ERR_FORMAT, _("it has no elements"));
    const struct qk_moments m = moments_of(t);
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
    each_floats(t, ch, visit_quantize, &a);
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
visit_dequantize(void *arg, const struct span *s)
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
    each_span(ch, visit_dequantize, &a);
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
