/* SPDX-License-Identifier: Apache-2.0 */
#include "data/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { LOWER = 0, HIGHER = 1 };

const struct qs_metric qs_metrics[QS_N_METRIC] = {
#define ROW(name, unit, better, format, value, interval, when) \
    {#name, unit, format, better, QS_VALUE_##value, QS_INTERVAL_##interval, QS_WHEN_##when},
#include "data/metric.inc"
#undef ROW
};

int
qs_metric_find(const char *name, size_t n)
{
    for (int i = 0; i < QS_N_METRIC; i++)
        if (strlen(qs_metrics[i].name) == n && memcmp(qs_metrics[i].name, name, n) == 0)
            return i;
    return -1;
}

const struct qs_metric *
qs_metric_by_name(const char *name)
{
    const int i = qs_metric_find(name, strlen(name));
    return i < 0 ? NULL : &qs_metrics[i];
}

/* --- values and intervals --------------------------------------------------------------------- */

double
qs_metric_value(const struct qs_metric *m, struct qs_sum s)
{
    switch (m->value) {
    case QS_VALUE_RATIO:
        return s.b > 0 ? s.a / s.b : isnan(s.a + s.b) ? NAN : 0;
    case QS_VALUE_REST:
        return s.b > 0 ? 1 - s.a / s.b : 0;
    case QS_VALUE_DECIBEL:
        return s.b == 0 ? INFINITY : 10 * log10(s.a / s.b);
    }
    return NAN;
}

struct qs_interval
qs_wilson(double a, double b)
{
    const double z = 1.959963984540054, zz = z * z; /* 97.5 % of the normal distribution */
    if (!(b > 0))
        return (struct qs_interval){0, 0, 0};
    const double p = a / b, scale = 1 + zz / b, middle = (p + zz / (2 * b)) / scale;
    const double half = z * sqrt(p * (1 - p) / b + zz / (4 * b * b)) / scale;
    return (struct qs_interval){p, fmin(p, fmax(0, middle - half)),
                                fmax(p, fmin(1, middle + half))};
}

/* splitmix64 (Steele, Lea, Flood 2014), then a number below n without bias worth a word. */
static int64_t
pick(uint64_t *state, int64_t n)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return (int64_t)((unsigned __int128)z * (uint64_t)n >> 64);
}

static int
by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

enum { RESAMPLES = 1000, CUT = 25 }; /* 2.5 % on each side */

/* values: [n_metric][RESAMPLES] */
static enum qs_err
resample(struct qs_ctx *cx, const int *id, int n_metric, const struct qs_sum *sum, int64_t n,
         double *values)
{
    uint64_t state = 1;
    for (int b = 0; b < RESAMPLES; b++) {
        struct qs_sum total[QS_N_METRIC] = {{0, 0}};
        const enum qs_err err = qs_check_cancel(cx);
        if (err)
            return err;
        for (int64_t i = 0; i < n; i++) {
            const struct qs_sum *s = sum + pick(&state, n) * n_metric;
            for (int m = 0; m < n_metric; m++) {
                total[m].a += s[m].a;
                total[m].b += s[m].b;
            }
        }
        for (int m = 0; m < n_metric; m++)
            values[m * RESAMPLES + b] = qs_metric_value(&qs_metrics[id[m]], total[m]);
    }
    return QS_OK;
}

enum qs_err
qs_metric_intervals(struct qs_ctx *cx, const int *id, int n_metric, const struct qs_sum *sum,
                    int64_t n, struct qs_interval *out)
{
    double *values = qs_xcalloc((size_t)n_metric * RESAMPLES + 1, sizeof(*values));
    enum qs_err err = QS_OK;
    bool needed = false;
    for (int m = 0; m < n_metric; m++)
        needed |= qs_metrics[id[m]].interval == QS_INTERVAL_RESAMPLE;
    if (needed)
        err = resample(cx, id, n_metric, sum, n, values);
    for (int m = 0; m < n_metric && !err; m++) {
        struct qs_sum total = {0, 0};
        for (int64_t i = 0; i < n; i++) {
            total.a += sum[i * n_metric + m].a;
            total.b += sum[i * n_metric + m].b;
        }
        if (qs_metrics[id[m]].interval == QS_INTERVAL_TRIALS) {
            out[m] = qs_wilson(total.a, total.b);
            continue;
        }
        double *v = values + m * RESAMPLES;
        qsort(v, RESAMPLES, sizeof(*v), by_value);
        out[m] = (struct qs_interval){qs_metric_value(&qs_metrics[id[m]], total), v[CUT],
                                      v[RESAMPLES - 1 - CUT]};
    }
    free(values);
    return err;
}

/* --- one sample ------------------------------------------------------------------------------- */

int64_t
qs_rank_of(const float *row, int64_t n, int64_t label)
{
    int64_t before = 0;
    if (isnan(row[label]))
        return n;
    for (int64_t i = 0; i < n; i++)
        before += row[i] > row[label] || (row[i] == row[label] && i < label);
    return before;
}

int64_t
qs_largest(const float *row, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (row[i] > row[best] || (isnan(row[best]) && !isnan(row[i])))
            best = i;
    return best;
}

static bool
is_distribution(const float *row, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!(row[i] >= 0))
            return false;
        sum += row[i];
    }
    return fabs(sum - 1) < 1e-3;
}

/* log of the sum of exp, for log softmax. */
static double
log_sum_exp(const float *row, int64_t n)
{
    const double most = row[qs_largest(row, n)];
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += exp(row[i] - most);
    return most + log(sum);
}

static double
divergence(const float *r, const float *x, int64_t n)
{
    const double tiny = 1e-12;
    double sum = 0;
    if (is_distribution(r, n)) {
        for (int64_t i = 0; i < n; i++)
            if (r[i] > 0)
                sum += r[i] * log(r[i] / fmax(x[i], tiny));
        return sum;
    }
    const double lr = log_sum_exp(r, n), lx = log_sum_exp(x, n);
    for (int64_t i = 0; i < n; i++)
        sum += exp(r[i] - lr) * ((r[i] - lr) - (x[i] - lx));
    return sum;
}

void
qs_compare_outputs(const float *x, const float *r, int64_t rows, int64_t columns,
                   struct qs_sum sum[QS_N_METRIC])
{
    double rr = 0, xx = 0, rx = 0, ee = 0, kl = 0, same = 0;
    for (int64_t i = 0; i < rows * columns; i++) {
        const double p = r[i], q = x[i];
        rr += p * p;
        xx += q * q;
        rx += p * q;
        ee += (q - p) * (q - p);
    }
    for (int64_t i = 0; i < rows; i++) {
        kl += divergence(r + i * columns, x + i * columns, columns);
        same += qs_largest(r + i * columns, columns) == qs_largest(x + i * columns, columns);
    }
    const double norms = sqrt(rr) * sqrt(xx);
    sum[QS_METRIC_cosine] = (struct qs_sum){norms > 0 ? rx / norms : rr == xx, 1};
    sum[QS_METRIC_mse] = (struct qs_sum){ee, (double)(rows * columns)};
    sum[QS_METRIC_sqnr_db] = (struct qs_sum){rr, ee};
    sum[QS_METRIC_kl] = (struct qs_sum){kl, (double)rows};
    sum[QS_METRIC_top1_agreement] = (struct qs_sum){same, (double)rows};
}
