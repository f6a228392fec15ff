/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics as sums over samples, with intervals. Rows in metric.inc.
 *   top1, top5: classes by falling output, equal ones in their order.
 *   accuracy, norm_edit_distance: texts without spaces (PaddleOCR's RecMetric, without its 1e-5).
 *   hmean, precision, recall: boxes of all samples together (PaddleOCR's DetMetric).
 * Against a reference model, r its output and x that of the model:
 *   cosine: mean over samples of r.x / |r||x|;   mse: mean of (x - r)^2 over all elements;
 *   sqnr_db: 10 log10 of the sum of r^2 by that of (x - r)^2;
 *   kl: mean over rows (last dimension) of sum p log(p / q), p and q the rows where they are
 *   distributions, their softmax else;   top1_agreement: rows with the same largest element.
 */
#ifndef QS_DATA_METRICS_H
#define QS_DATA_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"

enum qs_metric_id {
#define ROW(name, ...) QS_METRIC_##name,
#include "data/metric.inc"
#undef ROW
    QS_N_METRIC
};

struct qs_metric {
    const char *name, *unit, *format;
    bool higher_is_better;
    enum { QS_VALUE_RATIO, QS_VALUE_REST, QS_VALUE_DECIBEL } value;
    enum { QS_INTERVAL_TRIALS, QS_INTERVAL_RESAMPLE } interval;
    enum {
        QS_WHEN_CLASSES,
        QS_WHEN_TEXTS,
        QS_WHEN_AREAS,
        QS_WHEN_REFERENCE,
        QS_WHEN_REFERENCE_CLASSES, /* not for maps of probabilities */
    } when;
};
extern const struct qs_metric qs_metrics[QS_N_METRIC];

/* -1: there is no such metric. */
int qs_metric_find(const char *name, size_t n);
/* The metric of a name, for views that read stored runs; NULL: not one of these. */
const struct qs_metric *qs_metric_by_name(const char *name);

struct qs_sum { /* what one sample adds */
    double a, b;
};

/* Value of sums. 0 by 0 is 0 (no text found: precision 0), a sqnr without error is infinite. */
double qs_metric_value(const struct qs_metric *m, struct qs_sum s);

struct qs_interval {
    double value, low, high;
};
/* Wilson's score interval of a successes in b trials at 95 %. */
struct qs_interval qs_wilson(double a, double b);
/* sum: [n][n_metric]. Bootstrap with 1000 resamples from a fixed seed, the same samples for all
 * metrics; polls cx->cancel. */
enum qs_err qs_metric_intervals(struct qs_ctx *cx, const int *id, int n_metric,
                                const struct qs_sum *sum, int64_t n,
                                struct qs_interval *out) QS_MUST_CHECK;

/* Rank of class `label` in row[n]: how many come before it. */
int64_t qs_rank_of(const float *row, int64_t n, int64_t label);
/* First of the largest; 0 when nothing compares. */
int64_t qs_largest(const float *row, int64_t n);
/* What one sample adds to the metrics against a reference: [rows][columns] of model and reference.
 * sum is indexed by enum qs_metric_id. */
void qs_compare_outputs(const float *x, const float *r, int64_t rows, int64_t columns,
                        struct qs_sum sum[QS_N_METRIC]);

#endif
