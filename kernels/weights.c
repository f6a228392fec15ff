/* SPDX-License-Identifier: Apache-2.0 */
/* Scalar kernels on weights, which define the result of all the others, and the choice. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "kernels/cpu.h"
#include "kernels/kernel.h"

static float
at(const void *x, int64_t i)
{
    float v;
    memcpy(&v, (const char *)x + i * (int64_t)sizeof(v), sizeof(v));
    return v;
}

static const void *
row_of(const void *x, int64_t r, int64_t cols)
{
    return (const char *)x + r * cols * (int64_t)sizeof(float);
}

double
qk_reduce(double lane[QK_LANES])
{
    for (int half = QK_LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
}

static void
moments(const void *x, int64_t n, struct qk_moments *out)
{
    float min = INFINITY, max = -INFINITY;
    double sum[QK_LANES] = {0}, sum_sq[QK_LANES] = {0};
    int64_t n_zero = 0, n_bad = 0;
    for (int64_t i = 0; i < n; i++) {
        const float v = at(x, i);
        if (!isfinite(v)) {
            n_bad++;
            continue;
        }
        min = v < min ? v : min;
        max = v > max ? v : max;
        n_zero += v == 0;
        sum[i % QK_LANES] += v;
        sum_sq[i % QK_LANES] += (double)v * v;
    }
    *out = (struct qk_moments){.min = min + 0.0f, /* -0 becomes 0 */
                               .max = max + 0.0f,
                               .sum = qk_reduce(sum),
                               .sum_sq = qk_reduce(sum_sq),
                               .n_zero = n_zero,
                               .n_bad = n_bad};
}

static void
central(const void *x, int64_t n, double mean, double *m2, double *m4)
{
    double sum2[QK_LANES] = {0}, sum4[QK_LANES] = {0};
    for (int64_t i = 0; i < n; i++) {
        const float v = at(x, i);
        if (!isfinite(v))
            continue;
        const double d = v - mean, d2 = d * d;
        sum2[i % QK_LANES] += d2;
        sum4[i % QK_LANES] += d2 * d2;
    }
    *m2 = qk_reduce(sum2);
    *m4 = qk_reduce(sum4);
}

static float
larger_abs(float most, float v)
{
    const float a = fabsf(v);
    return a < INFINITY && a > most ? a : most;
}

static float
absmax(const void *x, int64_t n)
{
    float most = 0;
    for (int64_t i = 0; i < n; i++)
        most = larger_abs(most, at(x, i));
    return most;
}

static void
col_absmax(const void *x, int64_t rows, int64_t cols, float *acc)
{
    for (int64_t r = 0; r < rows; r++) {
        const void *row = row_of(x, r, cols);
        for (int64_t c = 0; c < cols; c++)
            acc[c] = larger_abs(acc[c], at(row, c));
    }
}

static void
col_minmax(const void *x, int64_t rows, int64_t cols, float *min, float *max)
{
    for (int64_t r = 0; r < rows; r++) {
        const void *row = row_of(x, r, cols);
        for (int64_t c = 0; c < cols; c++) {
            const float v = at(row, c);
            if (!isfinite(v))
                continue;
            min[c] = v < min[c] ? v : min[c];
            max[c] = v > max[c] ? v : max[c];
        }
    }
}

/* rint(v / scale) within [low, high]; the bounds are integers, so clipping may come first. */
static float
quotient(float v, float scale, float low, float high)
{
    const float q = v / scale;
    if (scale == 0 || isnan(q))
        return 0;
    return rintf(q > high ? high : q < low ? low : q);
}

static float
clip(float v, float limit)
{
    const float below = v > limit ? limit : v;
    return below < -limit ? -limit : below;
}

static void
quant_s8(const void *x, int64_t n, float scale, float limit, int8_t *q)
{
    for (int64_t i = 0; i < n; i++)
        q[i] = (int8_t)quotient(clip(at(x, i), limit), scale, INT8_MIN, INT8_MAX);
}

static void
quant_s16(const void *x, int64_t n, float scale, float limit, int16_t *q)
{
    for (int64_t i = 0; i < n; i++)
        q[i] = (int16_t)quotient(clip(at(x, i), limit), scale, INT16_MIN, INT16_MAX);
}

static void
quant_cols_s8(const void *x, int64_t rows, int64_t cols, const float *scale, int8_t *q)
{
    for (int64_t r = 0; r < rows; r++, q += cols)
        for (int64_t c = 0; c < cols; c++)
            q[c] = (int8_t)quotient(at(row_of(x, r, cols), c), scale[c], INT8_MIN, INT8_MAX);
}

static void
quant_cols_s16(const void *x, int64_t rows, int64_t cols, const float *scale, int16_t *q)
{
    for (int64_t r = 0; r < rows; r++, q += cols)
        for (int64_t c = 0; c < cols; c++)
            q[c] = (int16_t)quotient(at(row_of(x, r, cols), c), scale[c], INT16_MIN, INT16_MAX);
}

static void
dequant_s8(const int8_t *q, int64_t n, double scale, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)(q[i] * scale);
}

static void
dequant_s16(const int16_t *q, int64_t n, double scale, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)(q[i] * scale);
}

static void
dequant_cols_s8(const int8_t *q, int64_t rows, int64_t cols, const double *scale, float *y)
{
    for (int64_t r = 0; r < rows; r++, q += cols, y += cols)
        for (int64_t c = 0; c < cols; c++)
            y[c] = (float)(q[c] * scale[c]);
}

static void
dequant_cols_s16(const int16_t *q, int64_t rows, int64_t cols, const double *scale, float *y)
{
    for (int64_t r = 0; r < rows; r++, q += cols, y += cols)
        for (int64_t c = 0; c < cols; c++)
            y[c] = (float)(q[c] * scale[c]);
}

static double
squared_error(float v, float scale, float range)
{
    if (!isfinite(v))
        return 0;
    const float y = scale == 0 ? 0 : quotient(v, scale, -range, range) * scale;
    const double d = (double)v - y;
    return d * d;
}

static double
error(const void *x, int64_t n, float scale, float range)
{
    double sum[QK_LANES] = {0};
    for (int64_t i = 0; i < n; i++)
        sum[i % QK_LANES] += squared_error(at(x, i), scale, range);
    return qk_reduce(sum);
}

static double
error_cols(const void *x, int64_t rows, int64_t cols, const float *scale, float range)
{
    double sum[QK_LANES] = {0};
    for (int64_t r = 0; r < rows; r++) {
        const void *row = row_of(x, r, cols);
        for (int64_t c = 0; c < cols; c++)
            sum[c % QK_LANES] += squared_error(at(row, c), scale[c], range);
    }
    return qk_reduce(sum);
}

static const struct qk_weights qk_weights_scalar = {
    .isa = "scalar",
    .need = 0,
    .moments = moments,
    .central = central,
    .absmax = absmax,
    .col_absmax = col_absmax,
    .col_minmax = col_minmax,
    .quant_s8 = quant_s8,
    .quant_s16 = quant_s16,
    .quant_cols_s8 = quant_cols_s8,
    .quant_cols_s16 = quant_cols_s16,
    .dequant_s8 = dequant_s8,
    .dequant_s16 = dequant_s16,
    .dequant_cols_s8 = dequant_cols_s8,
    .dequant_cols_s16 = dequant_cols_s16,
    .error = error,
    .error_cols = error_cols,
};

#define FAMILY qk_weights
#define VARIANTS "kernels/weights.inc"
#include "kernels/variants.inc"
