/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which way each weight is rounded: integers q with the least squared error of the layer's output,
 *     E(q) = trace D H D^T / n,   D = s q - W,
 * among the two neighbours of W / s.
 *
 * Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization": q = floor(W / s) +
 * h(a), h the rectified sigmoid clip(1.2 sigmoid(a) - 0.1, 0, 1), trained by Adam on E with its
 * gradient 2 D H s h'(a) / n and a growing push of h to 0 or 1; then h >= 1/2 is up. At the end
 * single weights are turned over as long as that lessens E, so the result is never worse than
 * rounding to the nearest. (Paddle's adaround_weight.py has no gradient of E; see
 * qslim-quantize(1).)
 */
#ifndef QS_FIT_ROUNDING_H
#define QS_FIT_ROUNDING_H

#include "fit/moments.h"

struct qs_rounding {
    const struct qs_moments *moments; /* with h */
    const float *w;                   /* [rows][k] */
    const double *step;               /* [rows] s: T / R */
    int lo, hi;                       /* integers allowed */
    int iterations;                   /* of Adam; 0: only turning over, from the nearest */
    /* results */
    int32_t *q;                 /* [rows][k], of the caller; in: to nearest (qs_round_nearest) */
    double error_before, error; /* E, summed over rows */
};

/* q = clamp(round half to even of w / s). */
void qs_round_nearest(struct qs_rounding *r);
/* Improves q; results do not depend on cx->threads. */
enum qs_err qs_round_adaptive(struct qs_ctx *cx, struct qs_rounding *r) QS_MUST_CHECK;

/* The threshold between 0.3 and 1 times max|w| with the least squared error of n weights clipped
 * and rounded at `bits`. */
double qs_least_error_threshold(const float *w, int64_t n, int bits);

#endif
