/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verification of a model of method static that was just written: the files are opened again and
 * run on the first samples of the calibration data, simulated (the program as it is, in floats) and
 * in integers, beside the model they were made of. What is simulated is what Paddle computes, what
 * runs in integers is what a target computes: both should be equally good.
 */
#ifndef QS_APP_VERIFY_H
#define QS_APP_VERIFY_H

#include "app/app.h"

/* `written`: path of the program. `out` is released by the caller in any case. What cannot be run
 * in integers is no error: out->samples is 0 and out->reason says why. */
enum qs_err qs_app_verify(struct qs_ctx *cx, const struct qs_opened *o, const char *written,
                          const char *data, int samples, struct qs_verified *out) QS_MUST_CHECK;

/* Sets difference and ok from the metrics. */
void qs_verified_judge(struct qs_verified *v);

/* Rows for the store: "verify_int8_top1" ... */
void qs_verified_record(const struct qs_verified *v, struct qs_run *run);

/* Where both ways part on one sample: fills out->layer. */
struct qs_sample;
enum qs_err qs_verify_layers(struct qs_ctx *cx, const struct qs_opened *written,
                             struct qs_sample *sample, struct qs_verified *out) QS_MUST_CHECK;
/* What a layer adds: its rounded inputs and its output in integers have these SQNRs, simulated
 * being the signal. */
double qs_verify_lost_db(double in_db, double out_db);
/* The layers to name, at most `most`: the first that loses much, then those that lose the most.
 * Returns how many. */
int qs_verify_worst(const double *lost_db, int n, int *index, int most);

#endif
