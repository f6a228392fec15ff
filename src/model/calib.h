/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What calibration learns of one activation, and the thresholds it gives: all calibrators from one
 * pass over the data, in memory that does not depend on how many samples there are.
 *
 * Ours. |x| is counted in QS_CALIB_BINS bins over [0, 2^k), 2^k being the first power of two above
 * the largest |x| so far. When that grows, neighbouring bins are added up; their edges are
 * multiples of a power of two, so the counts are those that a second pass with the final range
 * would give, whatever the order in which values came. Positive and negative values are counted
 * apart. From the counts, with values taken as evenly spread within a bin (calib_error.c), where
 * y is x as quantize_linear and dequantize_linear give it:
 *
 *   abs_max     the largest |x|
 *   avg         mean over samples of the largest |x| of each
 *   hist        middle of the bin in which the share of |x| reaches hist_percent
 *   percentile  the same, at its place within the bin
 *   kl          least divergence between the distribution cut at T and its form in 2^(bits-1) - 1
 *               steps, in 2048 bins; exact zeros, which rounding keeps, are left out
 *   mse         least mean of (x - y)^2
 *   emd         least |mean x - mean y| + |std x - std y|
 *   ptf         of max / 1, 2, 4, 8 the one with the least mean of (x - y)^2
 *   min_max     as abs_max: the range in two numbers is in min and max
 *
 * Paddle's (options.paddle; python/paddle/static/quantization/post_training_quantization.py and
 * cal_kl_threshold.py), to the bit of the float32 arithmetic of NumPy: calib_paddle.c.
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

enum { QS_CALIB_BINS = 4096 };

struct qs_calib_options {
    int bits;            /* of activations, 2..16 */
    double hist_percent; /* hist, percentile */
    bool paddle;         /* the exact variants of Paddle's calibrators (--compat paddle) */
    bool qdq;            /* which of Paddle's two variants of mse and emd (onnx_format) */
    int algos;           /* Paddle's variants cost time each: set of 1 << enum qs_algo, 0: all */
};

struct qs_observer; /* of one variable */

struct qs_observer *qs_observer_new(const struct qs_calib_options *opt);
void qs_observer_free(struct qs_observer *o); /* NULL is fine */
/* One batch: the tensor as the model made it. Samples (first dimension) with a NaN or an infinity
 * are left out and counted; a tensor that is empty or not of float32 is passed over. */
enum qs_err qs_observer_add(struct qs_ctx *cx, struct qs_observer *o,
                            const struct qs_value *v) QS_MUST_CHECK;
/* Whether the same batches are to be added once more (Paddle's histograms need the range first).
 * Ask after each pass over all data. */
bool qs_observer_again(struct qs_observer *o);
int64_t qs_observer_bad(const struct qs_observer *o);          /* samples left out so far */
int64_t qs_observer_bytes(const struct qs_calib_options *opt); /* memory one takes, at most */

/* How much the square of what is clipped counts against that of what is rounded, for `best`. */
enum { QS_CLIPPED_COUNTS = 64 };

struct qs_observed {
    double min, max; /* 0 when n_values is 0 */
    int64_t n_samples, n_bad, n_values, n_zero;
    double threshold[QS_N_ALGO]; /* T, not T / R; NaN: nothing was seen, or not asked for */
    double sqnr_db[QS_N_ALGO];   /* of the values seen when rounded with that T; +inf: exact */
    int best;                    /* enum qs_algo: least cost; what `auto` takes */
    int n_bin;
    double width;            /* of a bin of |x|, from 0 */
    const int64_t *count;    /* [n_bin] of |x|, zeros among them; of the observer */
    const int64_t *negative; /* [n_bin] of |x| where x < 0 */
};
void qs_observer_result(struct qs_observer *o, struct qs_observed *out);
/* SQNR in dB that a threshold of one's own would give, from the histogram. */
double qs_observed_sqnr(const struct qs_observed *seen, int bits, double threshold);

#endif
