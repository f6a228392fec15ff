/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the calibrators (calib.h). */
#ifndef QS_MODEL_CALIB_INTERNAL_H
#define QS_MODEL_CALIB_INTERNAL_H

#include "model/calib.h"

/* calib_error.c: what rounding does to values of which a histogram is known. */

/* The values of one sign by size: prefix sums over bins of how many, of x, of x^2. */
struct qs_side {
    double *n, *x, *xx; /* [n_bin + 1] */
    int last;           /* bin of the largest; -1: no values */
    double largest;
};
struct qs_density {
    double width;
    struct qs_side side[2]; /* positive, negative */
    double n;               /* values, with zeros */
    double energy;          /* sum x^2 */
};
void qs_density_init(struct qs_density *d, const struct qs_observed *seen);
void qs_density_release(struct qs_density *d);

/* How many values, of both signs but without zeros, have |x| < t. */
double qs_density_below(const struct qs_density *d, double t);
/* Sum of (|x| - t)^2 over the values beyond t. */
double qs_density_clipped(const struct qs_density *d, double t);

/* Of all values: sum (x - y)^2, sum y, sum y^2. */
struct qs_rounded {
    double err, y, yy;
};
/* y = clamp(round(x / T * R), -R - 1, R) * T / R, R = 2^(bits-1) - 1. */
struct qs_rounded qs_density_round(const struct qs_density *d, int bits, double threshold);
/* |mean x - mean y| + |std x - std y| */
double qs_density_emd(const struct qs_density *d, const struct qs_rounded *r);
double qs_density_sqnr(const struct qs_density *d, const struct qs_rounded *r); /* dB */

/* calib_kl.c: Kullback-Leibler divergence of a histogram cut at bin `i`. */
struct qs_kl {
    double *n, *entropy; /* [n_bin + 1] prefix sums: counts, count * ln(count) */
    int *filled;         /* [n_bin + 1] prefix sums: bins that are not empty */
    int n_bin;
};
void qs_kl_init(struct qs_kl *k, const double *count, int n_bin);
void qs_kl_release(struct qs_kl *k);
/* Bins [0, i) in `steps` groups of i / steps bins, rounded down, the last takes the rest; what lies
 * above is added to bin i - 1. INFINITY when it would stand in a group that is empty without it. */
double qs_kl_divergence(const struct qs_kl *k, int i, int steps);

/* calib_paddle.c: Paddle's variants. */
struct qs_paddle;
struct qs_paddle *qs_paddle_new(const struct qs_calib_options *opt);
void qs_paddle_free(struct qs_paddle *p);
int64_t qs_paddle_bytes(void);
/* A batch of finite values [rows][cols], dense; largest[rows]: of |x| in each row. */
enum qs_err qs_paddle_add(struct qs_ctx *cx, struct qs_paddle *p, const float *x, int64_t rows,
                          int64_t cols, const float *largest) QS_MUST_CHECK;
bool qs_paddle_again(struct qs_paddle *p);
void qs_paddle_result(const struct qs_paddle *p, double threshold[QS_N_ALGO]);

#endif
