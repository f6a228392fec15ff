/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weights fitted to the calibration data: thresholds of least error, adaptive rounding (fit/
 * rounding.h), biases corrected. One more pass over the data; more where the second moments of all
 * layers would not fit in QS_FIT_MEMORY together.
 */
#ifndef QS_APP_FIT_H
#define QS_APP_FIT_H

#include "app/app.h"
#include "model/static_notes.h"

#define QS_FIT_MEMORY (INT64_C(512) << 20)

/* Whether the plan asks for anything of it. */
bool qs_fit_wanted(const struct qs_plan *plan);

/* threshold[n_var]: T of activations, NaN: not rounded. Writes corrected biases into m, a clone of
 * o's model; weight[*n]: fitted ones, in the order of the layers, to be released with
 * qs_fit_release. */
enum qs_err qs_fit_weights(struct qs_ctx *cx, const struct qs_opened *o, const struct qs_plan *plan,
                           const struct qs_decisions *d, const double *threshold,
                           struct qs_model *m, struct qs_quant_weight **weight,
                           int *n) QS_MUST_CHECK;
void qs_fit_release(struct qs_quant_weight *weight, int n);

#endif
