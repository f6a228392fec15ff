/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels on raw arrays. One struct of functions per instruction set, picked once; the scalar one
 * is always there and is the oracle: every other variant must give the same bits (the order of
 * accumulation is fixed: QK_LANES partial sums, lane i takes elements i, i + QK_LANES, ... of the
 * array or, column-wise, of each row; qk_reduce adds them up), so results depend neither on the
 * machine nor on threads.
 *
 * Input arrays may be unaligned (weights lie in the parameter file as they come).
 * Kernels allocate nothing.
 */
#ifndef QK_KERNEL_H
#define QK_KERNEL_H

#include <stdint.h>

enum { QK_LANES = 16 };

struct qk_moments { /* of n floats; elements that are not finite are left out and counted */
    float min, max; /* +inf and -inf when nothing is finite; never -0 */
    double sum, sum_sq;
    int64_t n_zero, n_bad;
};

struct qk_weights {
    const char *isa; /* "scalar", "avx2", "avx512" */
    uint32_t need;   /* enum qk_cpu flags (cpu.h) */

    /* one pass: min, max, sum, sum of squares, zeros */
    void (*moments)(const void *x, int64_t n, struct qk_moments *out);
    /* m2 = sum (x - mean)^2, m4 = sum (x - mean)^4 of the finite elements */
    void (*central)(const void *x, int64_t n, double mean, double *m2, double *m4);
    /* max |x| of the finite elements (0 when there is none) */
    float (*absmax)(const void *x, int64_t n);
    /* column-wise: acc[c] = max(acc[c], |x[r][c]|) over rows [rows][cols]; not finite: left out */
    void (*col_absmax)(const void *x, int64_t rows, int64_t cols, float *acc);
    /* column-wise minimum and maximum into min[c], max[c] (already initialised) */
    void (*col_minmax)(const void *x, int64_t rows, int64_t cols, float *min, float *max);

    /* q = rint(x / scale), half to even; scale 0 gives 0; |x| above limit is first clipped to it
     * (limit +inf: no clipping). The result is within the type by the caller's choice of scale;
     * anything else saturates, NaN gives 0. */
    void (*quant_s8)(const void *x, int64_t n, float scale, float limit, int8_t *q);
    void (*quant_s16)(const void *x, int64_t n, float scale, float limit, int16_t *q);
    /* the same for a row of `cols` elements with a scale each, repeated for `rows` rows */
    void (*quant_cols_s8)(const void *x, int64_t rows, int64_t cols, const float *scale, int8_t *q);
    void (*quant_cols_s16)(const void *x, int64_t rows, int64_t cols, const float *scale,
                           int16_t *q);
    /* y = q * scale, multiplied in double and rounded once to float32; with a scale that is a
     * float32 this is the float32 product */
    void (*dequant_s8)(const int8_t *q, int64_t n, double scale, float *y);
    void (*dequant_s16)(const int16_t *q, int64_t n, double scale, float *y);
    void (*dequant_cols_s8)(const int8_t *q, int64_t rows, int64_t cols, const double *scale,
                            float *y);
    void (*dequant_cols_s16)(const int16_t *q, int64_t rows, int64_t cols, const double *scale,
                             float *y);
    /* sum (x - rint(x / scale) * scale)^2 with |q| clipped to range; float32 quotient and product,
     * difference and sum in double; scale 0: sum x^2. Elements that are not finite are left
     * out. */
    double (*error)(const void *x, int64_t n, float scale, float range);
    double (*error_cols)(const void *x, int64_t rows, int64_t cols, const float *scale,
                         float range);
};

/* Sum of the partial sums: halves are added until one is left. Overwrites them. For variants. */
double qk_reduce(double lane[QK_LANES]);

/* All variants, scalar first, best last; those this machine may not run are skipped by the
 * caller (qk_cpu_has). Ends with NULL. */
extern const struct qk_weights *const qk_weights_all[];
/* The best that this machine has and the cap (qk_cpu_cap) allows. */
const struct qk_weights *qk_weights(void);

#endif
