/* SPDX-License-Identifier: Apache-2.0 */
#include "model/calib.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "kernels/kernel.h"
#include "kernels/observe.h"
#include "model/calib_internal.h"

const char *const qs_algo_names[] = {
#define ROW(name, ...) #name,
#include "model/algo.inc"
#undef ROW
    "auto", NULL};

enum {
    BINS = QS_CALIB_BINS,
    EXPONENT_LEAST = -100, /* smaller values share bin 0 */
    PART = 1 << 19,        /* elements that are worth a thread */
    PARTS_MOST = 64,
    RECENT_MOST = 1 << 30, /* elements in 32-bit counts */
};

struct qs_observer {
    struct qs_calib_options opt;
    float min, max;
    int64_t n_samples, n_bad, n_values, n_zero;
    double sum_largest; /* over samples, of the largest |x| */
    /* bins cover [0, 2^exponent) */
    int exponent;
    int64_t n_recent;
    uint32_t *recent;          /* [2][BINS] positive and negative, not yet in those below */
    int64_t *count, *negative; /* [BINS] of |x|; of those where x < 0 */
    struct qs_paddle *paddle;  /* NULL: ours alone */
    bool again;                /* second pass: only for Paddle's histogram */
};

struct qs_observer *
qs_observer_new(const struct qs_calib_options *opt)
{
    struct qs_observer *o = qs_xcalloc(1, sizeof(*o));
    o->opt = *opt;
    o->min = INFINITY;
    o->max = -INFINITY;
    o->exponent = EXPONENT_LEAST;
    o->recent = qs_xcalloc(2 * BINS, sizeof(*o->recent));
    o->count = qs_xcalloc(BINS, sizeof(*o->count));
    o->negative = qs_xcalloc(BINS, sizeof(*o->negative));
    o->paddle = opt->paddle ? qs_paddle_new(opt) : NULL;
    return o;
}

void
qs_observer_free(struct qs_observer *o)
{
    if (!o)
        return;
    qs_paddle_free(o->paddle);
    free(o->recent);
    free(o->count);
    free(o->negative);
    free(o);
}

int64_t
qs_observer_bytes(const struct qs_calib_options *opt)
{
    const int64_t counts = BINS * (int64_t)(2 * sizeof(uint32_t) + 2 * sizeof(int64_t));
    return (int64_t)sizeof(struct qs_observer) + counts + (opt->paddle ? qs_paddle_bytes() : 0);
}

int64_t
qs_observer_bad(const struct qs_observer *o)
{
    return o->n_bad;
}

/* ---- the histogram ---- */

static float
bins_per_unit(const struct qs_observer *o)
{
    return ldexpf(BINS, -o->exponent);
}

static void
flush_recent(struct qs_observer *o)
{
    for (int i = 0; i < BINS; i++) {
        o->count[i] += (int64_t)o->recent[i] + o->recent[BINS + i];
        o->negative[i] += o->recent[BINS + i];
    }
    memset(o->recent, 0, 2 * BINS * sizeof(*o->recent));
    o->n_recent = 0;
}

static void
merge_bins(int64_t *count, int shift)
{
    for (int i = 1; i < BINS; i++) {
        const int64_t n = count[i];
        count[i] = 0;
        count[shift < 31 ? i >> shift : 0] += n;
    }
}

/* Makes room for values up to `largest`. */
static void
grow(struct qs_observer *o, float largest)
{
    int exponent;
    frexpf(largest, &exponent);
    if (largest == 0 || exponent <= o->exponent)
        return;
    flush_recent(o);
    merge_bins(o->count, exponent - o->exponent);
    merge_bins(o->negative, exponent - o->exponent);
    o->exponent = exponent;
}

struct parts {
    const float *x;
    int64_t n, size; /* of a part */
    float per_unit;
    uint32_t *count; /* [parts][2][BINS] */
};

static enum qs_err
count_part(struct qs_ctx *cx, void *arg, int64_t i)
{
    const struct parts *p = arg;
    const int64_t from = i * p->size, left = p->n - from;
    (void)cx;
    qk_observe()->histogram(p->x + from, left < p->size ? left : p->size, p->per_unit, BINS,
                            p->count + i * 2 * BINS);
    return QS_OK;
}

/* Large tensors are shared out, each part with counts of its own. */
static enum qs_err
count_parts(struct qs_ctx *cx, struct qs_observer *o, const float *x, int64_t n, int64_t n_part)
{
    struct parts p = {
        .x = x, .n = n, .size = (n + n_part - 1) / n_part, .per_unit = bins_per_unit(o)};
    p.count = qs_xcalloc((size_t)n_part, 2 * BINS * sizeof(*p.count));
    const enum qs_err err = qs_parallel_for(cx, (n + p.size - 1) / p.size, count_part, &p);
    for (int64_t i = 0; i < n_part; i++)
        for (int k = 0; k < 2 * BINS; k++)
            o->recent[k] += p.count[i * 2 * BINS + k];
    free(p.count);
    return err;
}

static enum qs_err
count_values(struct qs_ctx *cx, struct qs_observer *o, const float *x, int64_t n)
{
    enum qs_err err = QS_OK;
    while (n > 0 && !err) {
        const int64_t here = n < RECENT_MOST ? n : RECENT_MOST;
        int64_t n_part = here / PART < cx->threads ? here / PART : cx->threads;
        n_part = n_part < PARTS_MOST ? n_part : PARTS_MOST;
        if (o->n_recent + here > RECENT_MOST)
            flush_recent(o);
        o->n_recent += here;
        if (n_part > 1)
            err = count_parts(cx, o, x, here, n_part);
        else
            qk_observe()->histogram(x, here, bins_per_unit(o), BINS, o->recent);
        x += here;
        n -= here;
    }
    return err;
}

/* ---- a batch ---- */

struct batch {
    const float *x; /* [rows][cols] of good samples, dense */
    int64_t rows, cols;
    float *largest; /* [rows] of |x| */
    float *copy;    /* NULL: x is the tensor itself */
    int64_t n_bad, n_zero;
    float min, max;
};

static void
look_at_row(struct batch *b, const float *x, bool *bad)
{
    struct qk_moments m;
    qk_weights()->moments(x, b->cols, &m);
    *bad = m.n_bad > 0;
    b->n_bad += *bad;
    if (*bad)
        return;
    b->n_zero += m.n_zero;
    b->min = m.min < b->min ? m.min : b->min;
    b->max = m.max > b->max ? m.max : b->max;
    b->largest[b->rows++] = -m.min > m.max ? -m.min : m.max;
}

/* Samples that are good come one after the other. */
static enum qs_err
leave_out_bad(struct qs_ctx *cx, struct batch *b, int64_t rows, const bool *bad)
{
    if (b->n_bad == 0 || b->rows == 0)
        return QS_OK;
    const size_t bytes = (size_t)b->cols * sizeof(float);
    b->copy = malloc((size_t)b->rows * bytes);
    if (!b->copy)
        return qs_fail(cx, QS_ERR_MEMORY, _("out of memory: %zu bytes wanted"),
                       (size_t)b->rows * bytes);
    int64_t to = 0;
    for (int64_t i = 0; i < rows; i++)
        if (!bad[i])
            memcpy(b->copy + to++ * b->cols, b->x + i * b->cols, bytes);
    b->x = b->copy;
    return QS_OK;
}

static enum qs_err
batch_init(struct qs_ctx *cx, struct batch *b, const struct qs_value *v)
{
    const int64_t rows = v->n > 0 ? v->d[0] : 1;
    bool *bad = qs_xcalloc((size_t)rows, sizeof(*bad));
    *b = (struct batch){.x = v->f32, .cols = v->count / rows, .min = INFINITY, .max = -INFINITY};
    b->largest = qs_xcalloc((size_t)rows, sizeof(*b->largest));
    for (int64_t i = 0; i < rows; i++)
        look_at_row(b, v->f32 + i * b->cols, &bad[i]);
    const enum qs_err err = leave_out_bad(cx, b, rows, bad);
    free(bad);
    return err;
}

static enum qs_err
observe(struct qs_ctx *cx, struct qs_observer *o, const struct batch *b)
{
    const int64_t n = b->rows * b->cols;
    o->n_bad += b->n_bad;
    o->n_samples += b->rows;
    o->n_values += n;
    o->n_zero += b->n_zero;
    o->count[0] += b->n_zero;
    if (b->rows == 0)
        return QS_OK;
    for (int64_t i = 0; i < b->rows; i++)
        o->sum_largest += b->largest[i];
    o->min = b->min < o->min ? b->min : o->min;
    o->max = b->max > o->max ? b->max : o->max;
    grow(o, fmaxf(-b->min, b->max));
    return count_values(cx, o, b->x, n);
}

enum qs_err
qs_observer_add(struct qs_ctx *cx, struct qs_observer *o, const struct qs_value *v)
{
    struct batch b = {0};
    if (v->dtype != QS_DTYPE_float32 || v->count == 0 || !v->data)
        return QS_OK;
    enum qs_err err = batch_init(cx, &b, v);
    if (!err && !o->again)
        err = observe(cx, o, &b);
    if (!err && o->paddle && b.rows > 0)
        err = qs_paddle_add(cx, o->paddle, b.x, b.rows, b.cols, b.largest);
    free(b.largest);
    free(b.copy);
    return err;
}

bool
qs_observer_again(struct qs_observer *o)
{
    o->again = true;
    return o->paddle && qs_paddle_again(o->paddle);
}

/* ---- thresholds ---- */

/* Where the share of |x| reaches `percent`: the bin, and the place in it from 0 to 1. */
static int
percentile(const struct qs_observed *s, double percent, double *place)
{
    const double want = percent * (double)s->n_values;
    double below = 0;
    for (int i = 0; i < s->n_bin; i++) {
        const double here = (double)s->count[i];
        if (here > 0 && below + here >= want) {
            *place = (want - below) / here;
            return i;
        }
        below += here;
    }
    *place = 1;
    return s->n_bin - 1;
}

/* Counts of KL_BINS bins over [0, largest], without zeros; values are evenly spread in a bin. */
enum { KL_BINS = 2048, KL_STRIDE = 4 };

static double *
spread_counts(const struct qs_density *d, double largest)
{
    double *count = qs_xcalloc(KL_BINS, sizeof(*count)), before = 0;
    for (int i = 0; i < KL_BINS; i++) {
        const double n = qs_density_below(d, largest * (i + 1) / KL_BINS);
        count[i] = n - before;
        before = n;
    }
    return count;
}

/* As Paddle, in the upper half of the range. */
static double
least_divergence(const struct qs_density *d, int bits, double largest)
{
    const int steps = (1 << (bits - 1)) - 1;
    double *count = spread_counts(d, largest), best = INFINITY;
    struct qs_kl k;
    int at = KL_BINS;
    qs_kl_init(&k, count, KL_BINS);
    for (int i = KL_BINS; i >= KL_BINS / 2 && i >= 2 * steps; i -= KL_STRIDE) {
        const double loss = qs_kl_divergence(&k, i, steps);
        if (loss < best) {
            best = loss;
            at = i;
        }
    }
    qs_kl_release(&k);
    free(count);
    return largest * at / KL_BINS;
}

/* The threshold with the least loss. */
struct search {
    double loss, threshold;
};

static void
try_threshold(struct search *s, double loss, double threshold)
{
    if (loss < s->loss)
        *s = (struct search){loss, threshold};
}

enum { TRIES_PER_OCTAVE = 8, OCTAVES = 8, FINE_TRIES = 8 };

/* mse and emd: a coarse search over eight octaves, then a fine one around the best of each. */
static void
search(const struct qs_density *d, int bits, double largest, double *mse, double *emd)
{
    struct search best[2] = {{INFINITY, largest}, {INFINITY, largest}};
    const double ratio = exp2(1.0 / TRIES_PER_OCTAVE);
    for (int i = 0; i <= TRIES_PER_OCTAVE * OCTAVES; i++) {
        const double t = largest * exp2(-(double)i / TRIES_PER_OCTAVE);
        const struct qs_rounded r = qs_density_round(d, bits, t);
        try_threshold(&best[0], r.err, t);
        try_threshold(&best[1], qs_density_emd(d, &r), t);
    }
    for (int k = 0; k < 2; k++) {
        const double middle = best[k].threshold, low = middle / ratio,
                     high = fmin(middle * ratio, largest);
        for (int i = 1; i < 2 * FINE_TRIES; i++) {
            const double t = low + (high - low) * i / (2 * FINE_TRIES);
            const struct qs_rounded r = qs_density_round(d, bits, t);
            try_threshold(&best[k], k ? qs_density_emd(d, &r) : r.err, t);
        }
    }
    *mse = best[0].threshold;
    *emd = best[1].threshold;
}

static double
power_of_two_factor(const struct qs_density *d, int bits, double largest)
{
    struct search best = {INFINITY, largest};
    for (int i = 0; i < 4; i++) {
        const double t = ldexp(largest, -i);
        try_threshold(&best, qs_density_round(d, bits, t).err, t);
    }
    return best.threshold;
}

static void
set_thresholds(const struct qs_observer *o, const struct qs_density *d, struct qs_observed *out)
{
    const double largest = fmax(-out->min, out->max);
    double place, *t = out->threshold;
    const int bin = percentile(out, o->opt.hist_percent, &place);
    t[QS_ALGO_abs_max] = t[QS_ALGO_min_max] = largest;
    t[QS_ALGO_avg] = o->sum_largest / (double)o->n_samples;
    t[QS_ALGO_hist] = (bin + 0.5) * out->width;
    t[QS_ALGO_percentile] = (bin + place) * out->width;
    t[QS_ALGO_kl] = least_divergence(d, o->opt.bits, largest);
    t[QS_ALGO_ptf] = power_of_two_factor(d, o->opt.bits, largest);
    search(d, o->opt.bits, largest, &t[QS_ALGO_mse], &t[QS_ALGO_emd]);
    for (int i = 0; i < QS_N_ALGO; i++)
        t[i] = fmin(t[i], largest);
}

/* What a threshold costs behind the next layer, which sums over many inputs: errors of rounding are
 * independent of each other and lose themselves in the sum; what is clipped is missing in the same
 * direction wherever a feature is strong. So its squares count more. */
static double
cost_of(const struct qs_density *d, const struct qs_rounded *r, double threshold)
{
    return r->err + (QS_CLIPPED_COUNTS - 1) * qs_density_clipped(d, threshold);
}

/* What every threshold would do, and which is best. */
static void
judge(const struct qs_observer *o, const struct qs_density *d, struct qs_observed *out)
{
    double least = INFINITY;
    for (int i = 0; i < QS_N_ALGO; i++) {
        if (!(out->threshold[i] > 0))
            continue;
        const struct qs_rounded r = qs_density_round(d, o->opt.bits, out->threshold[i]);
        out->sqnr_db[i] = qs_density_sqnr(d, &r);
        const double cost = cost_of(d, &r, out->threshold[i]);
        if (cost < least) {
            least = cost;
            out->best = i;
        }
    }
}

/* One value, or one value and its negative: no spread within bins, and nothing to choose. */
static void
set_constant(struct qs_observed *out)
{
    for (int i = 0; i < QS_N_ALGO; i++) {
        out->threshold[i] = fabs(out->max);
        out->sqnr_db[i] = INFINITY;
    }
}

static void
describe(struct qs_observer *o, struct qs_observed *out)
{
    *out = (struct qs_observed){
        .n_samples = o->n_samples,
        .n_bad = o->n_bad,
        .n_values = o->n_values,
        .n_zero = o->n_zero,
        .min = o->n_values ? o->min : 0,
        .max = o->n_values ? o->max : 0,
        .best = QS_ALGO_abs_max,
        .n_bin = BINS,
        .width = ldexp(1, o->exponent) / BINS,
        .count = o->count,
        .negative = o->negative,
    };
    for (int i = 0; i < QS_N_ALGO; i++)
        out->threshold[i] = out->sqnr_db[i] = NAN;
}

void
qs_observer_result(struct qs_observer *o, struct qs_observed *out)
{
    struct qs_density d;
    flush_recent(o);
    describe(o, out);
    if (o->n_values == 0)
        return;
    qs_density_init(&d, out);
    if (out->min == out->max)
        set_constant(out);
    else
        set_thresholds(o, &d, out);
    if (o->paddle)
        qs_paddle_result(o->paddle, out->threshold);
    if (out->min != out->max || o->paddle)
        judge(o, &d, out);
    qs_density_release(&d);
}
