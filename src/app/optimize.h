/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers that are better left in float on this CPU, found by measuring: the model runs on a sample
 * of the calibration data in floats and with all layers of a plan in integers, and the layers whose
 * part of the run takes less time in floats become candidates. Where integers and floats meet
 * values are converted, which costs what only the whole shows: a few sets of layers, one for each
 * guess of that cost, are measured as a whole, and the fastest is taken.
 *
 * Times are the shortest of several runs with cx->threads threads.
 */
#ifndef QS_APP_OPTIMIZE_H
#define QS_APP_OPTIMIZE_H

#include "app/app.h"

struct qs_faster {
    bool *layer;                       /* [layers->n] to leave in float */
    int n;                             /* how many */
    double *int8_ms, *fp32_ms;         /* [layers->n] of its part of the run; NaN */
    double int8_all, fp32_all, chosen; /* ms of the model */
};

/* Of method static. When all of the model in FP32 is fastest, nothing is chosen. `out` is released
 * by the caller in any case. QS_ERR_UNSUPPORTED: the model cannot run in integers. */
enum qs_err qs_app_optimize(struct qs_ctx *cx, const struct qs_opened *o,
                            const struct qs_plan *plan, const struct qs_decisions *d,
                            struct qs_faster *out) QS_MUST_CHECK;
void qs_faster_release(struct qs_faster *f);

/* Which of n parts in a row to run in floats so that their times and `change` for each change
 * between floats and integers are least in sum; before the first and after the last are floats. */
void qs_optimize_choose(const double *int8, const double *fp32, int n, double change,
                        bool *in_float);

#endif
