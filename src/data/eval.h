/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An evaluation under way: takes the outputs of a model sample by sample, keeps what each adds to
 * the metrics, and gives values with 95 % intervals. The last output of a model is the one that
 * counts, as in Paddle's evaluation scripts.
 */
#ifndef QS_DATA_EVAL_H
#define QS_DATA_EVAL_H

#include "data/dataset.h"
#include "data/metrics.h"
#include "model/run.h"

struct qs_eval {
    const struct qs_dataset *data;
    int id[QS_N_METRIC]; /* the metrics that are asked for, in the order of metric.inc */
    int n_metric;
    struct qs_sum *sum; /* [n][n_metric] */
    int64_t n, cap;
    int64_t n_not_finite;       /* samples whose output has a NaN or an infinity */
    struct qs_str *predictions; /* NULL: not wanted; else JSON, a line for each sample */
};

/* `metrics`: names joined by ',', NULL: all that data and reference allow. A name that does not
 * exist is wrong usage, one that the data do not allow (no labels) an error. Borrows `data`. */
enum qs_err qs_eval_init(struct qs_ctx *cx, struct qs_eval *e, const struct qs_dataset *data,
                         const char *metrics, bool reference) QS_MUST_CHECK;
/* Whether any of the metrics needs the outputs of the reference. */
bool qs_eval_needs_reference(const struct qs_eval *e);
/* out: the output of the model for the sample; ref: that of the reference, NULL without one. */
enum qs_err qs_eval_add(struct qs_ctx *cx, struct qs_eval *e, const struct qs_sample *s,
                        const struct qs_value *out, const struct qs_value *ref) QS_MUST_CHECK;
/* Metric m of those asked for, so far. */
double qs_eval_value(const struct qs_eval *e, int m);
/* metric: [e->n_metric], names owned by the receiver. */
enum qs_err qs_eval_result(struct qs_ctx *cx, const struct qs_eval *e,
                           struct qs_run_metric *metric) QS_MUST_CHECK;
void qs_eval_release(struct qs_eval *e);

#endif
