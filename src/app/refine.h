/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thresholds of single activations exchanged for those of other calibrators where what the model
 * computes comes nearer to FP32 (choose.h): one pass of coordinate descent, activations with the
 * largest relative error of their own first.
 */
#ifndef QS_APP_REFINE_H
#define QS_APP_REFINE_H

#include "app/choose.h"

enum { QS_REFINE_RUNS = 768 /* of samples, at most */ };
#define QS_REFINE_MACS (INT64_C(1) << 42) /* of all runs together, at most */

/* Starts from `best`, whose error is known (30 dB are left as they are), and sets it to what it
 * comes to. `open` [seen->n]: what may be changed. algo[seen->n], all -1, becomes the enum qs_algo
 * of those that were. */
enum qs_err qs_refine(struct qs_ctx *cx, struct qs_trial *t, const struct qs_calibrated *seen,
                      const bool *open, struct qs_choice *best, int *algo) QS_MUST_CHECK;

#endif
