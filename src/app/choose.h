/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which thresholds of activations serve a model best, by what it computes with them: it runs in
 * integers as the plan has it, once with each choice, on samples spread evenly over the calibration
 * data, beside itself in FP32. Labels are not looked at.
 */
#ifndef QS_APP_CHOOSE_H
#define QS_APP_CHOOSE_H

#include "app/app.h"

/* Samples are held in memory while the choices take their turns. */
enum { QS_CHOOSE_SAMPLES = 32, QS_CHOOSE_BYTES = 128 << 20 };

struct qs_choice {
    double *threshold; /* [n_var] T of activations */
    double error; /* out: squared difference of the outputs from FP32's relative to their square, at
                     most 1, mean over samples and outputs; 1 where they cannot be compared */
};

/* Sets the errors; *samples is how many were run. Weights are rounded to nearest here, however the
 * plan rounds them. QS_ERR_UNSUPPORTED: the model does not run in integers. */
enum qs_err qs_choices_measure(struct qs_ctx *cx, const struct qs_opened *o,
                               const struct qs_plan *plan, const struct qs_decisions *d,
                               struct qs_choice *choice, int n, int *samples) QS_MUST_CHECK;
/* The one to take: the least error. One that stands further behind wins only when it is better by
 * more than a hundredth. */
int qs_choices_best(const struct qs_choice *choice, int n);

#endif
