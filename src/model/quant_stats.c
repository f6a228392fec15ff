/* SPDX-License-Identifier: Apache-2.0 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/quant_parts.h"

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
visit_moments(void *arg, const struct qs_span *s, const void *x)
{
    struct moments_arg *a = arg;
    struct qk_moments m;
    a->k->moments(x, s->rows * s->n, &m);
    add_moments(&a->sum, &m);
}

struct qk_moments
qs_moments_of(const struct qs_tensor *t)
{
    struct moments_arg a = {qk_weights(), {.min = INFINITY, .max = -INFINITY}};
    qs_each_floats(t, qs_channels_flat(t), visit_moments, &a);
    return a.sum;
}

struct central_arg {
    const struct qk_weights *k;
    double mean, m2, m4;
};

static void
visit_central(void *arg, const struct qs_span *s, const void *x)
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
visit_absmax(void *arg, const struct qs_span *s, const void *x)
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

void
qs_absmax_of(const struct qs_tensor *t, struct qs_channels ch, float *absmax)
{
    struct absmax_arg a = {qk_weights(), absmax};
    for (int64_t c = 0; c < ch.n_channels; c++)
        absmax[c] = 0;
    qs_each_floats(t, ch, visit_absmax, &a);
}

int64_t
qs_channel_absmax(const struct qs_tensor *t, struct qs_channels ch, float *absmax)
{
    qs_absmax_of(t, ch, absmax);
    return qs_moments_of(t).n_bad;
}

struct range_arg {
    const struct qk_weights *k;
    float *min, *max;
};

static void
visit_range(void *arg, const struct qs_span *s, const void *x)
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
    qs_each_floats(t, ch, visit_range, &a);
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
    qs_absmax_of(t, ch, absmax);
    const double ratio = range_ratio(absmax, ch.n_channels);
    free(absmax);
    return ratio;
}

void
qs_layer_stats_of(const struct qs_tensor *t, int axis, struct qs_layer_stats *out)
{
    *out = (struct qs_layer_stats){.channel_range_ratio = 1};
    if (!qs_has_floats(t))
        return;
    const struct qk_moments m = qs_moments_of(t);
    const double n = (double)(t->n - m.n_bad);
    out->n_bad = m.n_bad;
    if (n == 0)
        return;
    struct central_arg a = {.k = qk_weights(), .mean = m.sum / n};
    qs_each_floats(t, qs_channels_flat(t), visit_central, &a);
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

/* Histograms */

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
visit_bins(void *arg, const struct qs_span *s, const void *x)
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
    qs_each_floats(t, qs_channels_flat(t), visit_bins, &b);
    free(b.edge);
}

double
qs_hist_threshold(const struct qs_tensor *t, double rate)
{
    enum { N_BINS = 5000 };
    int64_t count[N_BINS] = {0}, total = 0;
    struct bins b = {.magnitude = true};
    float absmax;
    qs_absmax_of(t, qs_channels_flat(t), &absmax);
    if (!bins_init(&b, 0, absmax, N_BINS, count))
        return 0;
    qs_each_floats(t, qs_channels_flat(t), visit_bins, &b);
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
