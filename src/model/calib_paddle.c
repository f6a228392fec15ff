/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calibrators as PaddleSlim's static quantization computes them, defects included. a = |x|,
 * L = 2^(bits-1) - 1; per batch where nothing else is said.
 *
 *   abs_max  running max of a
 *   avg      mean over samples of the sample's largest a; T = mean over batches
 *   hist     2048 bins over [min a, max a] of all batches (a pass of its own); T = (i - 0.5) w,
 *            i = 1 + first bin where the cumulative share reaches hist_percent (the last bin when
 *            none does, where Paddle gives -0.5 w)
 *   kl       the same histogram; see qs_kl_divergence; T = (i + 0.5) w
 *   mse      for s = 0.3, 0.32, ... up to 1 (added up in double), c = s max a:
 *              qdq        y = clip(rint(x / c * L), -L - 1, L) / L * c
 *              fakequant  y = rint(clip(x, 0, c) / c * L) / L * c
 *            loss = mean (x - y)^2; the c with the least loss of any batch, the later of equals
 *   emd      the same, loss = |mean x - mean y| + |std x - std y|
 *   ptf      c = max a / L / {8, 4, 2, 1}, y = clip(rint(x / c), 0, L) * c; T = L c of the least
 *            mean (x - y)^2, the first of equals; the last batch decides
 *
 * NumPy computes in float32 with pairwise sums (kernels/observe.h), and so do we: the choice
 * between neighbours hangs on the last bits.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "kernels/observe.h"
#include "model/calib_internal.h"

enum {
    BINS = 2048,
    TRIES_MOST = 40, /* values of s */
    SCALES = 4,      /* of ptf */
    WAYS_MOST = TRIES_MOST + SCALES,
    WIDTH_MOST = 2 * WAYS_MOST,
    CHUNK = 8192,    /* elements of NumPy's buffer */
    WORTH = 1 << 14, /* elements that are worth a thread */
};

struct qs_paddle {
    struct qs_calib_options opt;
    float min, max;  /* of a */
    double sum_mean; /* avg */
    int64_t n_batches;
    float best_loss[2]; /* mse, emd */
    double best[2];
    double ptf;
    /* second pass */
    bool counting;
    double edge[BINS + 1];
    int64_t count[BINS];
};

static bool
wants(const struct qs_paddle *p, enum qs_algo a)
{
    return p->opt.algos == 0 || (p->opt.algos >> a & 1);
}

struct qs_paddle *
qs_paddle_new(const struct qs_calib_options *opt)
{
    struct qs_paddle *p = qs_xcalloc(1, sizeof(*p));
    p->opt = *opt;
    p->min = INFINITY;
    p->best_loss[0] = p->best_loss[1] = INFINITY;
    return p;
}

void
qs_paddle_free(struct qs_paddle *p)
{
    free(p);
}

int64_t
qs_paddle_bytes(void)
{
    return (int64_t)sizeof(struct qs_paddle);
}

/* ---- pairwise sums ---- */

/* Sums of `width` terms per element over a leaf of at most QK_LEAF elements. */
struct terms {
    void (*leaf)(const struct terms *t, const float *x, int n, float *out);
    int width;
    const struct qk_rounding *way; /* [n_way] */
    int n_way;
    const float *mean; /* [n_way] */
};

static int64_t
first_half(int64_t n)
{
    return n / 2 - n / 2 % 8;
}

static void
pairwise(const struct terms *t, const float *x, int64_t n, float *out)
{
    float more[WIDTH_MOST];
    if (n <= QK_LEAF) {
        t->leaf(t, x, (int)n, out);
        return;
    }
    const int64_t half = first_half(n);
    pairwise(t, x, half, out);
    pairwise(t, x + half, n - half, more);
    for (int i = 0; i < t->width; i++)
        out[i] += more[i];
}

/* NumPy takes pieces of CHUNK elements through its buffer, and adds up their sums one by one. */
struct chunks {
    const struct terms *terms;
    const float *x;
    int64_t n;
    float *sum; /* [chunks][terms->width] */
};

static enum qs_err
sum_chunk(struct qs_ctx *cx, void *arg, int64_t i)
{
    const struct chunks *c = arg;
    const int64_t left = c->n - i * CHUNK;
    (void)cx;
    pairwise(c->terms, c->x + i * CHUNK, left < CHUNK ? left : CHUNK, c->sum + i * c->terms->width);
    return QS_OK;
}

static enum qs_err
sum_terms(struct qs_ctx *cx, const struct terms *t, const float *x, int64_t n, float *out)
{
    const int64_t n_chunk = (n + CHUNK - 1) / CHUNK;
    struct chunks c = {.terms = t, .x = x, .n = n};
    c.sum = qs_xcalloc((size_t)n_chunk, (size_t)t->width * sizeof(*c.sum));
    const enum qs_err err = qs_parallel_for(cx, n_chunk, sum_chunk, &c);
    for (int k = 0; k < t->width; k++) {
        out[k] = 0;
        for (int64_t i = 0; i < n_chunk; i++)
            out[k] += c.sum[i * t->width + k];
    }
    free(c.sum);
    return err;
}

/* ---- what is summed ---- */

static void
leaf_of_x(const struct terms *t, const float *x, int n, float *out)
{
    float lane[8] = {0}, rest = 0;
    const int whole = n - n % 8;
    (void)t;
    for (int i = 0; i < whole; i++)
        lane[i % 8] += x[i];
    rest =
        ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
    for (int i = whole; i < n; i++)
        rest += x[i];
    *out = rest;
}

static void
leaf_of_spread(const struct terms *t, const float *x, int n, float *out)
{
    float d[QK_LEAF];
    for (int i = 0; i < n; i++) {
        d[i] = x[i] - t->mean[0];
        d[i] *= d[i];
    }
    leaf_of_x(t, d, n, out);
}

/* out: sums of (x - y)^2 of all ways, then of y. */
static void
leaf_of_rounding(const struct terms *t, const float *x, int n, float *out)
{
    qk_observe()->rounding(x, n, t->way, t->n_way, out, out + t->n_way);
}

static void
leaf_of_rounded_spread(const struct terms *t, const float *x, int n, float *out)
{
    qk_observe()->spread(x, n, t->way, t->n_way, t->mean, out);
}

/* numpy.mean of a float32 array: its sum divided in double. */
static float
mean_of(float sum, int64_t n)
{
    return (float)((double)sum / (double)n);
}

/* The mean that numpy.std takes off: divided in float32. */
static float
center_of(float sum, int64_t n)
{
    return sum / (float)n;
}

/* ---- mse, emd, ptf ---- */

static struct qk_rounding
way_of_try(const struct qs_paddle *p, double scale)
{
    const float L = (float)((1 << (p->opt.bits - 1)) - 1), s = (float)scale;
    struct qk_rounding w = {
        .scale = s, .mul = L, .x_low = -INFINITY, .x_high = INFINITY, .q_low = -L - 1, .q_high = L};
    if (!p->opt.qdq) {
        w.x_low = 0;
        w.x_high = s;
        w.q_low = -1; /* never reached */
        w.q_high = L + 1;
    }
    return w;
}

static struct qk_rounding
way_of_ptf(const struct qs_paddle *p, double scale)
{
    const float L = (float)((1 << (p->opt.bits - 1)) - 1);
    return (struct qk_rounding){.scale = (float)scale,
                                .mul = 1,
                                .x_low = -INFINITY,
                                .x_high = INFINITY,
                                .q_low = 0,
                                .q_high = L};
}

/* Losses of all ways of rounding one batch. */
struct trial {
    const float *x;
    int64_t n;
    double scale[WAYS_MOST]; /* of the tries, then of ptf */
    struct qk_rounding way[WAYS_MOST];
    int n_try, n_way;
    float sum[WIDTH_MOST]; /* of (x - y)^2 [n_way], of y [n_way] */
};

static void
set_ways(const struct qs_paddle *p, struct trial *t, double largest)
{
    const double most = largest == 0 ? 1e-8 : largest;
    const int L = (1 << (p->opt.bits - 1)) - 1;
    if (wants(p, QS_ALGO_mse) || wants(p, QS_ALGO_emd))
        for (double s = 0.3; s <= 1.0 && t->n_try < TRIES_MOST; s += 0.02)
            t->scale[t->n_try++] = s * most;
    for (int i = 0; i < t->n_try; i++)
        t->way[i] = way_of_try(p, t->scale[i]);
    t->n_way = t->n_try;
    double scale = largest / L / 8; /* powers of two: as Paddle divides one by one */
    for (int i = 0; i < SCALES && largest > 0 && wants(p, QS_ALGO_ptf); i++, scale *= 2) {
        t->scale[t->n_way] = scale;
        t->way[t->n_way++] = way_of_ptf(p, scale);
    }
}

/* The later of equals wins, as the reference has it. */
static void
keep_best(struct qs_paddle *p, int which, float loss, double threshold)
{
    if (loss <= p->best_loss[which]) {
        p->best_loss[which] = loss;
        p->best[which] = threshold;
    }
}

static void
note_mse(struct qs_paddle *p, const struct trial *t)
{
    for (int i = 0; i < t->n_try; i++)
        keep_best(p, 0, mean_of(t->sum[i], t->n), t->scale[i]);
}

static float
deviation(float sum_sq, int64_t n)
{
    return sqrtf(mean_of(sum_sq, n));
}

static enum qs_err
note_emd(struct qs_ctx *cx, struct qs_paddle *p, const struct trial *t)
{
    float sum, sum_sq, center, centers[WAYS_MOST], spread[WAYS_MOST];
    const float *sum_y = t->sum + t->n_way;
    const struct terms of_x = {.leaf = leaf_of_x, .width = 1};
    const struct terms of_spread = {.leaf = leaf_of_spread, .width = 1, .mean = &center};
    const struct terms of_rounded = {.leaf = leaf_of_rounded_spread,
                                     .width = t->n_try,
                                     .way = t->way,
                                     .n_way = t->n_try,
                                     .mean = centers};
    for (int i = 0; i < t->n_try; i++)
        centers[i] = center_of(sum_y[i], t->n);
    enum qs_err err = sum_terms(cx, &of_x, t->x, t->n, &sum);
    if (err)
        return err;
    center = center_of(sum, t->n);
    err = sum_terms(cx, &of_spread, t->x, t->n, &sum_sq);
    if (!err)
        err = sum_terms(cx, &of_rounded, t->x, t->n, spread);
    for (int i = 0; i < t->n_try && !err; i++) {
        const float means = fabsf(mean_of(sum, t->n) - mean_of(sum_y[i], t->n));
        const float stds = fabsf(deviation(sum_sq, t->n) - deviation(spread[i], t->n));
        keep_best(p, 1, means + stds, t->scale[i]);
    }
    return err;
}

/* The first of equals wins, that is the smallest scale. */
static void
note_ptf(struct qs_paddle *p, const struct trial *t)
{
    const int L = (1 << (p->opt.bits - 1)) - 1;
    int best = t->n_try;
    for (int i = t->n_try; i < t->n_way; i++)
        if (t->sum[i] < t->sum[best])
            best = i;
    p->ptf = t->n_way > t->n_try ? L * t->scale[best] : 0;
}

static enum qs_err
try_ways(struct qs_ctx *cx, struct qs_paddle *p, const float *x, int64_t n, double largest)
{
    struct trial t = {.x = x, .n = n};
    set_ways(p, &t, largest);
    const struct terms of_rounding = {
        .leaf = leaf_of_rounding, .width = 2 * t.n_way, .way = t.way, .n_way = t.n_way};
    enum qs_err err = t.n_way > 0 ? sum_terms(cx, &of_rounding, x, n, t.sum) : QS_OK;
    if (err)
        return err;
    note_mse(p, &t);
    note_ptf(p, &t);
    return t.n_try > 0 && wants(p, QS_ALGO_emd) ? note_emd(cx, p, &t) : QS_OK;
}

/* ---- hist and KL ---- */

/* numpy.histogram's edges: a range of no width is made one wide. */
static void
set_edges(struct qs_paddle *p)
{
    const bool flat = p->min == p->max;
    const double low = flat ? p->min - 0.5 : p->min, high = flat ? p->max + 0.5 : p->max;
    const double step = (high - low) / BINS;
    for (int i = 0; i < BINS; i++)
        p->edge[i] = i * step + low;
    p->edge[BINS] = high;
}

struct slices {
    const struct qs_paddle *p;
    const float *x;
    int64_t n, size;
    int64_t (*count)[BINS];
};

/* Bin i holds edge[i] <= a < edge[i + 1], the last one its upper edge, too. */
static int
find_bin(const struct qs_paddle *p, double a, double per_unit)
{
    int i = (int)((a - p->edge[0]) * per_unit);
    i = i < BINS ? i : BINS - 1;
    while (i > 0 && a < p->edge[i])
        i--;
    while (i < BINS - 1 && a >= p->edge[i + 1])
        i++;
    return i;
}

static enum qs_err
count_slice(struct qs_ctx *cx, void *arg, int64_t k)
{
    const struct slices *s = arg;
    const double per_unit = BINS / (s->p->edge[BINS] - s->p->edge[0]);
    const int64_t end = (k + 1) * s->size < s->n ? (k + 1) * s->size : s->n;
    (void)cx;
    for (int64_t i = k * s->size; i < end; i++)
        s->count[k][find_bin(s->p, fabsf(s->x[i]), per_unit)]++;
    return QS_OK;
}

static enum qs_err
count_all(struct qs_ctx *cx, struct qs_paddle *p, const float *x, int64_t n)
{
    const int64_t most = n / WORTH + 1, n_slice = cx->threads < most ? cx->threads : most;
    struct slices s = {.p = p, .x = x, .n = n, .size = (n + n_slice - 1) / n_slice};
    s.count = qs_xcalloc((size_t)n_slice, sizeof(*s.count));
    const enum qs_err err = qs_parallel_for(cx, n_slice, count_slice, &s);
    for (int64_t k = 0; k < n_slice; k++)
        for (int i = 0; i < BINS; i++)
            p->count[i] += s.count[k][i];
    free(s.count);
    return err;
}

static double
hist_threshold(const struct qs_paddle *p)
{
    const double w = p->edge[1] - p->edge[0];
    double n = 0, sum = 0;
    for (int i = 0; i < BINS; i++)
        n += (double)p->count[i];
    for (int i = 0; i < BINS; i++) {
        sum += (double)p->count[i] / n;
        if (sum >= p->opt.hist_percent)
            return (i + 1 - 0.5) * w;
    }
    return (BINS - 0.5) * w;
}

static double
kl_threshold(const struct qs_paddle *p)
{
    const int steps = (1 << (p->opt.bits - 1)) - 1, start = (BINS - 1) / 2;
    struct qs_kl k;
    double count[BINS], least = 0;
    int best = 0;
    for (int i = 0; i < BINS; i++)
        count[i] = (double)p->count[i];
    qs_kl_init(&k, count, BINS);
    for (int i = start; i < BINS; i++) {
        if (p->count[i - 1] == 0)
            continue;
        const double d = qs_kl_divergence(&k, i, steps);
        if (best == 0 || d < least) {
            least = d;
            best = i;
        }
    }
    qs_kl_release(&k);
    if (best == 0)
        for (best = start; best > 0 && p->count[best] == 0;)
            best--;
    return (best + 0.5) * (p->edge[1] - p->edge[0]);
}

/* ---- entry ---- */

static void
note_range(struct qs_paddle *p, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const float a = fabsf(x[i]);
        p->min = a < p->min ? a : p->min;
        p->max = a > p->max ? a : p->max;
    }
}

enum qs_err
qs_paddle_add(struct qs_ctx *cx, struct qs_paddle *p, const float *x, int64_t rows, int64_t cols,
              const float *largest)
{
    const int64_t n = rows * cols;
    const struct terms of_x = {.leaf = leaf_of_x, .width = 1};
    float most = 0, sum;
    if (p->counting)
        return count_all(cx, p, x, n);
    const enum qs_err err = sum_terms(cx, &of_x, largest, rows, &sum);
    if (err)
        return err;
    note_range(p, x, n);
    for (int64_t i = 0; i < rows; i++)
        most = largest[i] > most ? largest[i] : most;
    p->sum_mean += mean_of(sum, rows);
    p->n_batches++;
    return try_ways(cx, p, x, n, most);
}

bool
qs_paddle_again(struct qs_paddle *p)
{
    if (p->counting || p->n_batches == 0 || !(wants(p, QS_ALGO_hist) || wants(p, QS_ALGO_kl)))
        return false;
    set_edges(p);
    p->counting = true;
    return true;
}

void
qs_paddle_result(const struct qs_paddle *p, double threshold[QS_N_ALGO])
{
    const double answer[QS_N_ALGO] = {
        [QS_ALGO_abs_max] = p->max,
        [QS_ALGO_min_max] = p->max,
        [QS_ALGO_avg] = p->sum_mean / (double)p->n_batches,
        [QS_ALGO_hist] = p->counting && wants(p, QS_ALGO_hist) ? hist_threshold(p) : NAN,
        [QS_ALGO_kl] = p->counting && wants(p, QS_ALGO_kl) ? kl_threshold(p) : NAN,
        [QS_ALGO_mse] = wants(p, QS_ALGO_mse) ? p->best[0] : NAN,
        [QS_ALGO_emd] = wants(p, QS_ALGO_emd) ? p->best[1] : NAN,
        [QS_ALGO_ptf] = wants(p, QS_ALGO_ptf) ? p->ptf : NAN,
        [QS_ALGO_percentile] = threshold[QS_ALGO_percentile],
    };
    memcpy(threshold, answer, sizeof(answer));
}
