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

/* The model in integers, the samples, and what FP32 makes of them. Weights are rounded to nearest
 * here, however the plan rounds them. */
struct qs_trial;
/* QS_ERR_UNSUPPORTED, here or when it first runs: the model does not run in integers. */
enum qs_err qs_trial_new(struct qs_ctx *cx, const struct qs_opened *o, const struct qs_plan *plan,
                         const struct qs_decisions *d, struct qs_trial **out) QS_MUST_CHECK;
void qs_trial_free(struct qs_trial *t); /* NULL is fine */
int qs_trial_samples(const struct qs_trial *t);
int64_t qs_trial_macs(const struct qs_trial *t); /* of a run; -1: unknown */
/* Runs n samples with these thresholds [n_var] of activations. Sets error[i] of each sample i of
 * these: squared difference of the outputs from FP32's relative to their square, at most 1, mean
 * over outputs; 1 where they cannot be compared. */
enum qs_err qs_trial_run(struct qs_ctx *cx, struct qs_trial *t, const double *threshold,
                         const int *sample, int n, double *error) QS_MUST_CHECK;

struct qs_choice {
    double *threshold; /* [n_var] T of activations */
    double error;      /* out: mean over all samples */
};

/* Sets the errors. */
enum qs_err qs_choices_measure(struct qs_ctx *cx, struct qs_trial *t, struct qs_choice *choice,
                               int n) QS_MUST_CHECK;
/* The one to take: the least error. One that stands further behind wins only when it is better by
 * more than a hundredth. */
int qs_choices_best(const struct qs_choice *choice, int n);

#endif
