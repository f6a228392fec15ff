/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels that look at activations: histograms, and the errors of rounding as Paddle's calibrators
 * compute them. One struct of functions per instruction set, picked once; every variant gives the
 * bits of the scalar one. Elements must be finite. Kernels allocate nothing.
 */
#ifndef QK_OBSERVE_H
#define QK_OBSERVE_H

#include <stdint.h>

/* NumPy adds float32 pairwise: halves (the first of a multiple of 8 elements) down to leaves of at
 * most QK_LEAF, which are summed in 8 lanes that are then added in pairs; what does not fill the
 * lanes comes after. */
enum { QK_LEAF = 128 };

/* y = rint(clamp(clamp(x, x_low, x_high) / scale * mul, q_low, q_high)) / mul * scale, every step
 * rounded to float32; |q_low| and |q_high| are at most 2^20. */
struct qk_rounding {
    float scale, mul, x_low, x_high, q_low, q_high;
};

struct qk_observe {
    const char *isa;
    uint32_t need; /* enum qk_cpu flags (cpu.h) */

    /* Adds to count[2][n_bin]: [0] of positive, [1] of negative elements; zeros are not counted.
     * The bin is |x| * per_width, rounded down, at most n_bin - 1; n_bin is a power of two. */
    void (*histogram)(const float *x, int64_t n, float per_width, int64_t n_bin, uint32_t *count);

    /* A leaf of n <= QK_LEAF elements, for each of n_r ways of rounding: err = sum (x - y)^2,
     * sum = sum y. */
    void (*rounding)(const float *x, int n, const struct qk_rounding *r, int n_r, float *err,
                     float *sum);
    /* The same: out = sum (y - mean[r])^2 */
    void (*spread)(const float *x, int n, const struct qk_rounding *r, int n_r, const float *mean,
                   float *out);
};

/* All variants, scalar first, best last, ends with NULL. */
extern const struct qk_observe *const qk_observe_all[];
/* The best that this machine has and the cap (qk_cpu_cap) allows. */
const struct qk_observe *qk_observe(void);

#endif
