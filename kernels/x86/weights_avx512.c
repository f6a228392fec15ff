/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels on weights, AVX-512: a block is QK_LANES floats in one register. The last, partial block
 * is loaded under a mask and then goes through the same code: lanes that are not there hold 0 and
 * are not valid.
 */
#include <immintrin.h>
#include <math.h>
#include <stddef.h>

#include "kernels/cpu.h"
#include "kernels/kernel.h"

extern const struct qk_weights qk_weights_avx512;

enum { ALL = 0xffff };

struct sums { /* QK_LANES partial sums */
    __m512d lo, hi;
};

static inline __mmask16
first(int64_t n) /* mask of the first n lanes, 0 <= n <= QK_LANES */
{
    return (__mmask16)((1u << n) - 1);
}

static inline __mmask16
is_finite(__m512 x)
{
    return _mm512_cmp_ps_mask(_mm512_abs_ps(x), _mm512_set1_ps(INFINITY), _CMP_LT_OQ);
}

static inline int
count(__mmask16 mask)
{
    return __builtin_popcount(mask);
}

static inline __m512d
low_half(__m512 x)
{
    return _mm512_cvtps_pd(_mm512_castps512_ps256(x));
}

static inline __m512d
high_half(__m512 x)
{
    return _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
}

static inline void
add(struct sums *sum, __m512d lo, __m512d hi)
{
    sum->lo = _mm512_add_pd(sum->lo, lo);
    sum->hi = _mm512_add_pd(sum->hi, hi);
}

static double
reduce(const struct sums *s)
{
    double lane[QK_LANES];
    _mm512_storeu_pd(lane, s->lo);
    _mm512_storeu_pd(lane + 8, s->hi);
    return qk_reduce(lane);
}

struct moments_state {
    __m512 min, max;
    struct sums sum, sum_sq;
    int64_t n_zero, n_bad;
};

static inline void
moments_block(struct moments_state *st, __m512 x, __mmask16 valid)
{
    const __mmask16 real = is_finite(x), ok = real & valid;
    st->n_bad += count((__mmask16)(valid & ~real));
    st->n_zero += count(_mm512_mask_cmp_ps_mask(ok, x, _mm512_setzero_ps(), _CMP_EQ_OQ));
    st->min = _mm512_mask_min_ps(st->min, ok, x, st->min);
    st->max = _mm512_mask_max_ps(st->max, ok, x, st->max);
    const __m512 y = _mm512_maskz_mov_ps(ok, x);
    const __m512d lo = low_half(y), hi = high_half(y);
    add(&st->sum, lo, hi);
    add(&st->sum_sq, _mm512_mul_pd(lo, lo), _mm512_mul_pd(hi, hi));
}

static void
moments(const void *data, int64_t n, struct qk_moments *out)
{
    const float *x = data;
    struct moments_state st = {.min = _mm512_set1_ps(INFINITY), .max = _mm512_set1_ps(-INFINITY)};
    for (; n >= QK_LANES; n -= QK_LANES, x += QK_LANES)
        moments_block(&st, _mm512_loadu_ps(x), ALL);
    if (n > 0)
        moments_block(&st, _mm512_maskz_loadu_ps(first(n), x), first(n));
    *out = (struct qk_moments){.min = _mm512_reduce_min_ps(st.min) + 0.0f,
                               .max = _mm512_reduce_max_ps(st.max) + 0.0f,
                               .sum = reduce(&st.sum),
                               .sum_sq = reduce(&st.sum_sq),
                               .n_zero = st.n_zero,
                               .n_bad = st.n_bad};
}

static inline void
central_block(struct sums *sum2, struct sums *sum4, __m512 x, __mmask16 valid, __m512d mean)
{
    const __mmask16 ok = is_finite(x) & valid;
    const __m512d lo = _mm512_maskz_sub_pd((__mmask8)ok, low_half(x), mean);
    const __m512d hi = _mm512_maskz_sub_pd((__mmask8)(ok >> 8), high_half(x), mean);
    const __m512d lo2 = _mm512_mul_pd(lo, lo), hi2 = _mm512_mul_pd(hi, hi);
    add(sum2, lo2, hi2);
    add(sum4, _mm512_mul_pd(lo2, lo2), _mm512_mul_pd(hi2, hi2));
}

static void
central(const void *data, int64_t n, double mean, double *m2, double *m4)
{
    const float *x = data;
    struct sums sum2 = {0}, sum4 = {0};
    const __m512d m = _mm512_set1_pd(mean);
    for (; n >= QK_LANES; n -= QK_LANES, x += QK_LANES)
        central_block(&sum2, &sum4, _mm512_loadu_ps(x), ALL, m);
    if (n > 0)
        central_block(&sum2, &sum4, _mm512_maskz_loadu_ps(first(n), x), first(n), m);
    *m2 = reduce(&sum2);
    *m4 = reduce(&sum4);
}

/* Lanes that are not there hold 0, which changes no maximum of magnitudes. */
static inline __m512
larger_abs(__m512 most, __m512 x)
{
    return _mm512_mask_max_ps(most, is_finite(x), _mm512_abs_ps(x), most);
}

static float
absmax(const void *data, int64_t n)
{
    const float *x = data;
    __m512 most = _mm512_setzero_ps(), more = most;
    for (; n >= 2 * QK_LANES; n -= 2 * QK_LANES, x += 2 * QK_LANES) {
        most = larger_abs(most, _mm512_loadu_ps(x));
        more = larger_abs(more, _mm512_loadu_ps(x + QK_LANES));
    }
    for (; n > 0; n -= QK_LANES, x += QK_LANES) {
        const __mmask16 valid = n < QK_LANES ? first(n) : ALL;
        most = larger_abs(most, _mm512_maskz_loadu_ps(valid, x));
    }
    return _mm512_reduce_max_ps(_mm512_max_ps(most, more));
}

static void
col_absmax(const void *data, int64_t rows, int64_t cols, float *acc)
{
    const float *x = data;
    for (int64_t r = 0; r < rows; r++, x += cols)
        for (int64_t c = 0; c < cols; c += QK_LANES) {
            const __mmask16 valid = cols - c < QK_LANES ? first(cols - c) : ALL;
            const __m512 a = _mm512_maskz_loadu_ps(valid, acc + c);
            const __m512 v = _mm512_maskz_loadu_ps(valid, x + c);
            _mm512_mask_storeu_ps(acc + c, valid, larger_abs(a, v));
        }
}

static void
col_minmax(const void *data, int64_t rows, int64_t cols, float *min, float *max)
{
    const float *x = data;
    for (int64_t r = 0; r < rows; r++, x += cols)
        for (int64_t c = 0; c < cols; c += QK_LANES) {
            const __mmask16 valid = cols - c < QK_LANES ? first(cols - c) : ALL;
            const __m512 v = _mm512_maskz_loadu_ps(valid, x + c);
            const __m512 lo = _mm512_maskz_loadu_ps(valid, min + c);
            const __m512 hi = _mm512_maskz_loadu_ps(valid, max + c);
            const __mmask16 ok = is_finite(v) & valid;
            _mm512_mask_storeu_ps(min + c, valid, _mm512_mask_min_ps(lo, ok, v, lo));
            _mm512_mask_storeu_ps(max + c, valid, _mm512_mask_max_ps(hi, ok, v, hi));
        }
}

/* x / scale within [low, high], 0 where it is NaN or scale is 0; min and max of the instruction
 * set give their second operand when they cannot compare. */
static inline __m512
quotient(__m512 x, __m512 scale, __m512 low, __m512 high)
{
    const __mmask16 used = _mm512_cmp_ps_mask(scale, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    const __m512 q = _mm512_maskz_div_ps(used, x, scale);
    const __mmask16 ok = _mm512_cmp_ps_mask(q, q, _CMP_ORD_Q);
    return _mm512_maskz_max_ps(ok, low, _mm512_min_ps(high, q));
}

static inline __m512
clip(__m512 x, __m512 limit)
{
    const __m512 below = _mm512_min_ps(limit, x);
    return _mm512_max_ps(_mm512_sub_ps(_mm512_setzero_ps(), limit), below);
}

/* The 16 quotients of a block as int32. */
static inline __m512i
quantize(__m512 x, __m512 scale, __m512 limit, int least, int most)
{
    const __m512 low = _mm512_set1_ps((float)least), high = _mm512_set1_ps((float)most);
    return _mm512_cvtps_epi32(quotient(clip(x, limit), scale, low, high));
}

static inline __m128i
quantize_s8(__m512 x, __m512 scale, __m512 limit)
{
    return _mm512_cvtepi32_epi8(quantize(x, scale, limit, INT8_MIN, INT8_MAX));
}

static inline __m256i
quantize_s16(__m512 x, __m512 scale, __m512 limit)
{
    return _mm512_cvtepi32_epi16(quantize(x, scale, limit, INT16_MIN, INT16_MAX));
}

static void
quant_s8(const void *data, int64_t n, float scale, float limit, int8_t *q)
{
    const float *x = data;
    const __m512 s = _mm512_set1_ps(scale), l = _mm512_set1_ps(limit);
    for (; n >= QK_LANES; n -= QK_LANES, x += QK_LANES, q += QK_LANES)
        _mm_storeu_si128((__m128i *)q, quantize_s8(_mm512_loadu_ps(x), s, l));
    if (n > 0)
        _mm_mask_storeu_epi8(q, first(n), quantize_s8(_mm512_maskz_loadu_ps(first(n), x), s, l));
}

static void
quant_s16(const void *data, int64_t n, float scale, float limit, int16_t *q)
{
    const float *x = data;
    const __m512 s = _mm512_set1_ps(scale), l = _mm512_set1_ps(limit);
    for (; n >= QK_LANES; n -= QK_LANES, x += QK_LANES, q += QK_LANES)
        _mm256_storeu_si256((__m256i *)q, quantize_s16(_mm512_loadu_ps(x), s, l));
    if (n > 0)
        _mm256_mask_storeu_epi16(q, first(n),
                                 quantize_s16(_mm512_maskz_loadu_ps(first(n), x), s, l));
}

static void
quant_cols_s8(const void *data, int64_t rows, int64_t cols, const float *scale, int8_t *q)
{
    const float *x = data;
    const __m512 none = _mm512_set1_ps(INFINITY);
    for (int64_t r = 0; r < rows; r++, x += cols, q += cols)
        for (int64_t c = 0; c < cols; c += QK_LANES) {
            const __mmask16 valid = cols - c < QK_LANES ? first(cols - c) : ALL;
            const __m512 v = _mm512_maskz_loadu_ps(valid, x + c);
            const __m512 s = _mm512_maskz_loadu_ps(valid, scale + c);
            _mm_mask_storeu_epi8(q + c, valid, quantize_s8(v, s, none));
        }
}

static void
quant_cols_s16(const void *data, int64_t rows, int64_t cols, const float *scale, int16_t *q)
{
    const float *x = data;
    const __m512 none = _mm512_set1_ps(INFINITY);
    for (int64_t r = 0; r < rows; r++, x += cols, q += cols)
        for (int64_t c = 0; c < cols; c += QK_LANES) {
            const __mmask16 valid = cols - c < QK_LANES ? first(cols - c) : ALL;
            const __m512 v = _mm512_maskz_loadu_ps(valid, x + c);
            const __m512 s = _mm512_maskz_loadu_ps(valid, scale + c);
            _mm256_mask_storeu_epi16(q + c, valid, quantize_s16(v, s, none));
        }
}

struct scales { /* of a block */
    __m512d lo, hi;
};

static inline struct scales
load_scales(const double *scale, __mmask16 valid)
{
    return (struct scales){_mm512_maskz_loadu_pd((__mmask8)valid, scale),
                           _mm512_maskz_loadu_pd((__mmask8)(valid >> 8), scale + 8)};
}

static inline struct scales
broadcast(double scale)
{
    return (struct scales){_mm512_set1_pd(scale), _mm512_set1_pd(scale)};
}

/* Products in double, rounded to float32. */
static inline __m512
dequantize(__m512i q, struct scales scale)
{
    const __m512d lo = _mm512_cvtepi32_pd(_mm512_castsi512_si256(q));
    const __m512d hi = _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(q, 1));
    const __m256 y0 = _mm512_cvtpd_ps(_mm512_mul_pd(lo, scale.lo));
    const __m256 y1 = _mm512_cvtpd_ps(_mm512_mul_pd(hi, scale.hi));
    return _mm512_insertf32x8(_mm512_castps256_ps512(y0), y1, 1);
}

static inline __m512i
load_s8(const int8_t *q, __mmask16 valid)
{
    return _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(valid, q));
}

static inline __m512i
load_s16(const int16_t *q, __mmask16 valid)
{
    return _mm512_cvtepi16_epi32(_mm256_maskz_loadu_epi16(valid, q));
}

static void
dequant_s8(const int8_t *q, int64_t n, double scale, float *y)
{
    const struct scales s = broadcast(scale);
    for (; n > 0; n -= QK_LANES, q += QK_LANES, y += QK_LANES) {
        const __mmask16 valid = n < QK_LANES ? first(n) : ALL;
        _mm512_mask_storeu_ps(y, valid, dequantize(load_s8(q, valid), s));
    }
}

static void
dequant_s16(const int16_t *q, int64_t n, double scale, float *y)
{
    const struct scales s = broadcast(scale);
    for (; n > 0; n -= QK_LANES, q += QK_LANES, y += QK_LANES) {
        const __mmask16 valid = n < QK_LANES ? first(n) : ALL;
        _mm512_mask_storeu_ps(y, valid, dequantize(load_s16(q, valid), s));
    }
}

static void
dequant_cols_s8(const int8_t *q, int64_t rows, int64_t cols, const double *scale, float *y)
{
    for (int64_t r = 0; r < rows; r++, q += cols, y += cols)
        for (int64_t c = 0; c < cols; c += QK_LANES) {
            const __mmask16 valid = cols - c < QK_LANES ? first(cols - c) : ALL;
            const struct scales s = load_scales(scale + c, valid);
            _mm512_mask_storeu_ps(y + c, valid, dequantize(load_s8(q + c, valid), s));
        }
}

static void
dequant_cols_s16(const int16_t *q, int64_t rows, int64_t cols, const double *scale, float *y)
{
    for (int64_t r = 0; r < rows; r++, q += cols, y += cols)
        for (int64_t c = 0; c < cols; c += QK_LANES) {
            const __mmask16 valid = cols - c < QK_LANES ? first(cols - c) : ALL;
            const struct scales s = load_scales(scale + c, valid);
            _mm512_mask_storeu_ps(y + c, valid, dequantize(load_s16(q + c, valid), s));
        }
}

static inline void
error_block(struct sums *sum, __m512 x, __m512 scale, __m512 range)
{
    const __m512 low = _mm512_sub_ps(_mm512_setzero_ps(), range);
    const __m512 v = _mm512_maskz_mov_ps(is_finite(x), x);
    const __m512 q = quotient(v, scale, low, range);
    const __m512 rounded = _mm512_roundscale_ps(q, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 y = _mm512_mul_ps(rounded, scale);
    const __m512d lo = _mm512_sub_pd(low_half(v), low_half(y));
    const __m512d hi = _mm512_sub_pd(high_half(v), high_half(y));
    add(sum, _mm512_mul_pd(lo, lo), _mm512_mul_pd(hi, hi));
}

static double
error(const void *data, int64_t n, float scale, float range)
{
    const float *x = data;
    const __m512 s = _mm512_set1_ps(scale), most = _mm512_set1_ps(range);
    struct sums sum = {0};
    for (; n >= QK_LANES; n -= QK_LANES, x += QK_LANES)
        error_block(&sum, _mm512_loadu_ps(x), s, most);
    if (n > 0)
        error_block(&sum, _mm512_maskz_loadu_ps(first(n), x), s, most);
    return reduce(&sum);
}

static double
error_cols(const void *data, int64_t rows, int64_t cols, const float *scale, float range)
{
    const float *x = data;
    const __m512 most = _mm512_set1_ps(range);
    struct sums sum = {0};
    for (int64_t r = 0; r < rows; r++, x += cols)
        for (int64_t c = 0; c < cols; c += QK_LANES) {
            const __mmask16 valid = cols - c < QK_LANES ? first(cols - c) : ALL;
            const __m512 v = _mm512_maskz_loadu_ps(valid, x + c);
            error_block(&sum, v, _mm512_maskz_loadu_ps(valid, scale + c), most);
        }
    return reduce(&sum);
}

const struct qk_weights qk_weights_avx512 = {
    .isa = "avx512",
    .need = QK_CPU_AVX512,
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
