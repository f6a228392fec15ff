/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What calibration learns of one activation, and the thresholds it gives: all calibrators from one
 * pass over the data, in memory that does not depend on how many samples there are.
 *
 * Paddle: python/paddle/static/quantization/post_training_quantization.py, cal_kl_threshold.py;
 * formulas with the reference's variants (QS_COMPAT_PADDLE) beside each function in calib.c.
 */
#ifndef QS_MODEL_CALIB_H
#define QS_MODEL_CALIB_H

#include "model/step.h"

enum qs_algo {
#define ROW(name, ...) QS_ALGO_##name,
#include "model/algo.inc"
#undef ROW
    QS_N_ALGO,
    QS_ALGO_auto = QS_N_ALGO, /* per tensor the one with the least error */
};
extern const char *const qs_algo_names[QS_N_ALGO + 2]; /* "abs_max" ... "auto", NULL */

struct qs_calib_options {
    int bits;            /* of activations, 2..16 */
    double hist_percent; /* hist, percentile */
    bool paddle;         /* the exact variants of Paddle's calibrators (--compat paddle) */
    bool qdq;            /* which of Paddle's two variants of mse and emd (onnx_format) */
};

struct qs_observer; /* of one variable */

struct qs_observer *qs_observer_new(const struct qs_calib_options *opt);
void qs_observer_free(struct qs_observer *o); /* NULL is fine */
/* One batch: the tensor as the model made it. Samples (first dimension) with a NaN or an infinity
 * are left out and counted. */
enum qs_err qs_observer_add(struct qs_ctx *cx, struct qs_observer *o,
                            const struct qs_value *v) QS_MUST_CHECK;
int64_t qs_observer_bytes(const struct qs_observer *o); /* memory it takes, bounded */

struct qs_observed {
    double min, max;
    int64_t n_samples, n_bad, n_values;
    double threshold[QS_N_ALGO]; /* T, not T / R; NaN: does not apply */
    double sqnr_db[QS_N_ALGO];   /* of the values seen when rounded with that T */
    int best;                    /* enum qs_algo: least error; what `auto` takes */
    int n_bin;
    double width;         /* of a bin of |x|, from 0 */
    const int64_t *count; /* [n_bin], of the observer */
};
void qs_observer_result(const struct qs_observer *o, struct qs_observed *out);
/* SQNR in dB that a threshold of one's own would give, from the histogram. */
double qs_observed_sqnr(const struct qs_observed *seen, int bits, double threshold);

#endif
