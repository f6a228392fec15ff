/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels on weights, AVX2: a block is QK_LANES floats in two registers, low and high. The last,
 * partial block is loaded under a mask and then goes through the same code: lanes that are not
 * there hold 0 and are not valid.
 */
#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "kernels/cpu.h"
#include "kernels/kernel.h"

extern const struct qk_weights qk_weights_avx2;

struct block {
    __m256 lo, hi;
};

struct sums { /* QK_LANES partial sums */
    __m256d s[4];
};

static inline __m256
first(int64_t n) /* mask of the first n of 8 lanes; n may be outside 0..8 */
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const int count = n > 8 ? 8 : (int)n;
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(count), lane));
}

static inline struct block
valid_lanes(int64_t n)
{
    return (struct block){first(n), first(n - 8)};
}

static inline struct block
load(const float *x)
{
    return (struct block){_mm256_loadu_ps(x), _mm256_loadu_ps(x + 8)};
}

static inline struct block
load_masked(const float *x, struct block valid)
{
    return (struct block){_mm256_maskload_ps(x, _mm256_castps_si256(valid.lo)),
                          _mm256_maskload_ps(x + 8, _mm256_castps_si256(valid.hi))};
}

static inline void
store_masked(float *y, struct block v, struct block valid)
{
    _mm256_maskstore_ps(y, _mm256_castps_si256(valid.lo), v.lo);
    _mm256_maskstore_ps(y + 8, _mm256_castps_si256(valid.hi), v.hi);
}

static inline __m256
magnitude(__m256 x)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

static inline __m256
is_finite(__m256 x)
{
    return _mm256_cmp_ps(magnitude(x), _mm256_set1_ps(INFINITY), _CMP_LT_OQ);
}

static inline int
count(__m256 mask)
{
    return __builtin_popcount((unsigned)_mm256_movemask_ps(mask));
}

static inline __m256d
widen(__m256 x, int half)
{
    return _mm256_cvtps_pd(half ? _mm256_extractf128_ps(x, 1) : _mm256_castps256_ps128(x));
}

static inline __m256d
widen_mask(__m256 mask, int half)
{
    const __m256i m = _mm256_castps_si256(mask);
    return _mm256_castsi256_pd(
        _mm256_cvtepi32_epi64(half ? _mm256_extracti128_si256(m, 1) : _mm256_castsi256_si128(m)));
}

static inline void
add(__m256d *sum, __m256d v)
{
    *sum = _mm256_add_pd(*sum, v);
}

static double
reduce(const struct sums *s)
{
    double lane[QK_LANES];
    for (int i = 0; i < 4; i++)
        _mm256_storeu_pd(lane + 4 * i, s->s[i]);
    return qk_reduce(lane);
}

static float
reduce_extreme(__m256 v, int want_max)
{
    float lane[8];
    _mm256_storeu_ps(lane, v);
    float most = lane[0];
    for (int i = 1; i < 8; i++)
        if (want_max ? lane[i] > most : lane[i] < most)
            most = lane[i];
    return most;
}

struct moments_state {
    __m256 min, max;
    struct sums sum, sum_sq;
    int64_t n_zero, n_bad;
};

/* One half: 8 lanes, partial sums from 2 * half on. */
static inline void
moments_half(struct moments_state *st, __m256 x, __m256 valid, int half)
{
    const __m256 real = is_finite(x), ok = _mm256_and_ps(real, valid);
    const __m256 zero = _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_EQ_OQ);
    st->n_bad += count(_mm256_andnot_ps(real, valid));
    st->n_zero += count(_mm256_and_ps(zero, valid));
    st->min = _mm256_min_ps(_mm256_blendv_ps(_mm256_set1_ps(INFINITY), x, ok), st->min);
    st->max = _mm256_max_ps(_mm256_blendv_ps(_mm256_set1_ps(-INFINITY), x, ok), st->max);
    const __m256 y = _mm256_and_ps(x, ok);
    for (int i = 0; i < 2; i++) {
        const __m256d d = widen(y, i);
        add(&st->sum.s[2 * half + i], d);
        add(&st->sum_sq.s[2 * half + i], _mm256_mul_pd(d, d));
    }
}

static inline void
moments_block(struct moments_state *st, struct block x, struct block valid)
{
    moments_half(st, x.lo, valid.lo, 0);
    moments_half(st, x.hi, valid.hi, 1);
}

static void
moments(const void *data, int64_t n, struct qk_moments *out)
{
    const float *x = data;
    struct moments_state st = {.min = _mm256_set1_ps(INFINITY), .max = _mm256_set1_ps(-INFINITY)};
    const struct block all = valid_lanes(QK_LANES);
    for (; n >= QK_LANES; n -= QK_LANES, x += QK_LANES)
        moments_block(&st, load(x), all);
    if (n > 0) {
        const struct block valid = valid_lanes(n);
        moments_block(&st, load_masked(x, valid), valid);
    }
    *out = (struct qk_moments){.min = reduce_extreme(st.min, 0) + 0.0f,
                               .max = reduce_extreme(st.max, 1) + 0.0f,
                               .sum = reduce(&st.sum),
                               .sum_sq = reduce(&st.sum_sq),
                               .n_zero = st.n_zero,
                               .n_bad = st.n_bad};
}

static inline void
central_half(struct sums *sum2, struct sums *sum4, __m256 x, __m256 valid, __m256d mean, int half)
{
    const __m256 ok = _mm256_and_ps(is_finite(x), valid);
    for (int i = 0; i < 2; i++) {
        const __m256d d = _mm256_and_pd(_mm256_sub_pd(widen(x, i), mean), widen_mask(ok, i));
        const __m256d d2 = _mm256_mul_pd(d, d);
        add(&sum2->s[2 * half + i], d2);
        add(&sum4->s[2 * half + i], _mm256_mul_pd(d2, d2));
    }
}

static void
central(const void *data, int64_t n, double mean, double *m2, double *m4)
{
    const float *x = data;
    struct sums sum2 = {0}, sum4 = {0};
    const __m256d m = _mm256_set1_pd(mean);
    const struct block all = valid_lanes(QK_LANES);
    for (; n >= QK_LANES; n -= QK_LANES, x += QK_LANES) {
        const struct block b = load(x);
        central_half(&sum2, &sum4, b.lo, all.lo, m, 0);
        central_half(&sum2, &sum4, b.hi, all.hi, m, 1);
    }
    if (n > 0) {
        const struct block valid = valid_lanes(n), b = load_masked(x, valid);
        central_half(&sum2, &sum4, b.lo, valid.lo, m, 0);
        central_half(&sum2, &sum4, b.hi, valid.hi, m, 1);
    }
    *m2 = reduce(&sum2);
    *m4 = reduce(&sum4);
}

/* Lanes that are not there hold 0, which changes no maximum of magnitudes. */
static inline __m256
larger_abs(__m256 most, __m256 x)
{
    return _mm256_max_ps(_mm256_and_ps(magnitude(x), is_finite(x)), most);
}

static float
absmax(const void *data, int64_t n)
{
    const float *x = data;
    __m256 lo = _mm256_setzero_ps(), hi = lo;
    for (; n >= QK_LANES; n -= QK_LANES, x += QK_LANES) {
        lo = larger_abs(lo, _mm256_loadu_ps(x));
        hi = larger_abs(hi, _mm256_loadu_ps(x + 8));
    }
    if (n > 0) {
        const struct block b = load_masked(x, valid_lanes(n));
        lo = larger_abs(lo, b.lo);
        hi = larger_abs(hi, b.hi);
    }
    return reduce_extreme(_mm256_max_ps(lo, hi), 1);
}

static void
col_absmax(const void *data, int64_t rows, int64_t cols, float *acc)
{
    const float *x = data;
    for (int64_t r = 0; r < rows; r++, x += cols) {
        int64_t c = 0;
        for (; c + 8 <= cols; c += 8)
            _mm256_storeu_ps(acc + c, larger_abs(_mm256_loadu_ps(acc + c), _mm256_loadu_ps(x + c)));
        if (c == cols)
            continue;
        const __m256i valid = _mm256_castps_si256(first(cols - c));
        const __m256 v = _mm256_maskload_ps(x + c, valid);
        const __m256 a = _mm256_maskload_ps(acc + c, valid);
        _mm256_maskstore_ps(acc + c, valid, larger_abs(a, v));
    }
}

static inline __m256
min_finite(__m256 min, __m256 x)
{
    return _mm256_blendv_ps(min, _mm256_min_ps(x, min), is_finite(x));
}

static inline __m256
max_finite(__m256 max, __m256 x)
{
    return _mm256_blendv_ps(max, _mm256_max_ps(x, max), is_finite(x));
}

static void
col_minmax(const void *data, int64_t rows, int64_t cols, float *min, float *max)
{
    const float *x = data;
    for (int64_t r = 0; r < rows; r++, x += cols) {
        int64_t c = 0;
        for (; c + 8 <= cols; c += 8) {
            const __m256 v = _mm256_loadu_ps(x + c);
            _mm256_storeu_ps(min + c, min_finite(_mm256_loadu_ps(min + c), v));
            _mm256_storeu_ps(max + c, max_finite(_mm256_loadu_ps(max + c), v));
        }
        if (c == cols)
            continue;
        const __m256i valid = _mm256_castps_si256(first(cols - c));
        const __m256 v = _mm256_maskload_ps(x + c, valid);
        const __m256 lo = _mm256_maskload_ps(min + c, valid);
        const __m256 hi = _mm256_maskload_ps(max + c, valid);
        _mm256_maskstore_ps(min + c, valid, min_finite(lo, v));
        _mm256_maskstore_ps(max + c, valid, max_finite(hi, v));
    }
}

/* x / scale within [low, high], 0 where it is NaN or scale is 0; min and max of the instruction
 * set give their second operand when they cannot compare. */
static inline __m256
quotient(__m256 x, __m256 scale, __m256 low, __m256 high)
{
    const __m256 q = _mm256_div_ps(x, scale);
    const __m256 ok = _mm256_and_ps(_mm256_cmp_ps(q, q, _CMP_ORD_Q),
                                    _mm256_cmp_ps(scale, _mm256_setzero_ps(), _CMP_NEQ_UQ));
    return _mm256_and_ps(_mm256_max_ps(low, _mm256_min_ps(high, q)), ok);
}

static inline __m256
clip(__m256 x, __m256 limit)
{
    const __m256 below = _mm256_min_ps(limit, x);
    return _mm256_max_ps(_mm256_sub_ps(_mm256_setzero_ps(), limit), below);
}

/* The 16 quotients of a block as int16. */
static inline __m256i
quantize(struct block x, struct block scale, __m256 limit, int least, int most)
{
    const __m256 low = _mm256_set1_ps((float)least), high = _mm256_set1_ps((float)most);
    const __m256i lo = _mm256_cvtps_epi32(quotient(clip(x.lo, limit), scale.lo, low, high));
    const __m256i hi = _mm256_cvtps_epi32(quotient(clip(x.hi, limit), scale.hi, low, high));
    return _mm256_permute4x64_epi64(_mm256_packs_epi32(lo, hi), 0xd8);
}

static inline __m128i
narrow(__m256i v)
{
    return _mm_packs_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

static inline __m128i
quantize_s8(struct block x, struct block scale, __m256 limit)
{
    return narrow(quantize(x, scale, limit, INT8_MIN, INT8_MAX));
}

static inline __m256i
quantize_s16(struct block x, struct block scale, __m256 limit)
{
    return quantize(x, scale, limit, INT16_MIN, INT16_MAX);
}

static inline struct block
broadcast(float v)
{
    return (struct block){_mm256_set1_ps(v), _mm256_set1_ps(v)};
}

static inline void
store_part(void *to, __m256i v, int64_t n_bytes)
{
    uint8_t bytes[32];
    _mm256_storeu_si256((__m256i *)bytes, v);
    memcpy(to, bytes, (size_t)n_bytes);
}

static void
quant_s8(const void *data, int64_t n, float scale, float limit, int8_t *q)
{
    const float *x = data;
    const struct block s = broadcast(scale);
    const __m256 l = _mm256_set1_ps(limit);
    for (; n >= QK_LANES; n -= QK_LANES, x += QK_LANES, q += QK_LANES)
        _mm_storeu_si128((__m128i *)q, quantize_s8(load(x), s, l));
    if (n > 0)
        store_part(q, _mm256_castsi128_si256(quantize_s8(load_masked(x, valid_lanes(n)), s, l)), n);
}

static void
quant_s16(const void *data, int64_t n, float scale, float limit, int16_t *q)
{
    const float *x = data;
    const struct block s = broadcast(scale);
    const __m256 l = _mm256_set1_ps(limit);
    for (; n >= QK_LANES; n -= QK_LANES, x += QK_LANES, q += QK_LANES)
        _mm256_storeu_si256((__m256i *)q, quantize_s16(load(x), s, l));
    if (n > 0)
        store_part(q, quantize_s16(load_masked(x, valid_lanes(n)), s, l), 2 * n);
}

static void
quant_cols_s8(const void *data, int64_t rows, int64_t cols, const float *scale, int8_t *q)
{
    const float *x = data;
    const __m256 none = _mm256_set1_ps(INFINITY);
    for (int64_t r = 0; r < rows; r++, x += cols, q += cols) {
        int64_t c = 0;
        for (; c + QK_LANES <= cols; c += QK_LANES)
            _mm_storeu_si128((__m128i *)(q + c), quantize_s8(load(x + c), load(scale + c), none));
        if (c == cols)
            continue;
        const struct block valid = valid_lanes(cols - c);
        const __m128i v =
            quantize_s8(load_masked(x + c, valid), load_masked(scale + c, valid), none);
        store_part(q + c, _mm256_castsi128_si256(v), cols - c);
    }
}

static void
quant_cols_s16(const void *data, int64_t rows, int64_t cols, const float *scale, int16_t *q)
{
    const float *x = data;
    const __m256 none = _mm256_set1_ps(INFINITY);
    for (int64_t r = 0; r < rows; r++, x += cols, q += cols) {
        int64_t c = 0;
        for (; c + QK_LANES <= cols; c += QK_LANES)
            _mm256_storeu_si256((__m256i *)(q + c),
                                quantize_s16(load(x + c), load(scale + c), none));
        if (c == cols)
            continue;
        const struct block valid = valid_lanes(cols - c);
        const __m256i v =
            quantize_s16(load_masked(x + c, valid), load_masked(scale + c, valid), none);
        store_part(q + c, v, 2 * (cols - c));
    }
}

/* Four products in double, rounded to float32. */
static inline __m128
scaled(__m128i q, __m256d scale)
{
    return _mm256_cvtpd_ps(_mm256_mul_pd(_mm256_cvtepi32_pd(q), scale));
}

struct scales { /* of a block */
    __m256d s[4];
};

static inline struct block
dequantize(__m256i q16, const struct scales *scale)
{
    const __m256i lo = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(q16));
    const __m256i hi = _mm256_cvtepi16_epi32(_mm256_extracti128_si256(q16, 1));
    const __m128 y0 = scaled(_mm256_castsi256_si128(lo), scale->s[0]);
    const __m128 y1 = scaled(_mm256_extracti128_si256(lo, 1), scale->s[1]);
    const __m128 y2 = scaled(_mm256_castsi256_si128(hi), scale->s[2]);
    const __m128 y3 = scaled(_mm256_extracti128_si256(hi, 1), scale->s[3]);
    return (struct block){_mm256_set_m128(y1, y0), _mm256_set_m128(y3, y2)};
}

static inline __m256i
load_s8(const int8_t *q)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)q));
}

static inline __m256i
load_s16(const int16_t *q)
{
    return _mm256_loadu_si256((const __m256i *)q);
}

static inline __m256i
load_part_s8(const int8_t *q, int64_t n)
{
    int8_t part[QK_LANES] = {0};
    memcpy(part, q, (size_t)n);
    return load_s8(part);
}

static inline __m256i
load_part_s16(const int16_t *q, int64_t n)
{
    int16_t part[QK_LANES] = {0};
    memcpy(part, q, (size_t)n * sizeof(*q));
    return load_s16(part);
}

static inline void
store(float *y, struct block v)
{
    _mm256_storeu_ps(y, v.lo);
    _mm256_storeu_ps(y + 8, v.hi);
}

static inline struct scales
broadcast_scale(double scale)
{
    const __m256d s = _mm256_set1_pd(scale);
    return (struct scales){{s, s, s, s}};
}

static inline struct scales
load_scales(const double *scale)
{
    return (struct scales){{_mm256_loadu_pd(scale), _mm256_loadu_pd(scale + 4),
                            _mm256_loadu_pd(scale + 8), _mm256_loadu_pd(scale + 12)}};
}

static inline struct scales
load_part_scales(const double *scale, int64_t n)
{
    double part[QK_LANES] = {0};
    memcpy(part, scale, (size_t)n * sizeof(*scale));
    return load_scales(part);
}

static void
dequant_s8(const int8_t *q, int64_t n, double scale, float *y)
{
    const struct scales s = broadcast_scale(scale);
    for (; n >= QK_LANES; n -= QK_LANES, q += QK_LANES, y += QK_LANES)
        store(y, dequantize(load_s8(q), &s));
    if (n > 0)
        store_masked(y, dequantize(load_part_s8(q, n), &s), valid_lanes(n));
}

static void
dequant_s16(const int16_t *q, int64_t n, double scale, float *y)
{
    const struct scales s = broadcast_scale(scale);
    for (; n >= QK_LANES; n -= QK_LANES, q += QK_LANES, y += QK_LANES)
        store(y, dequantize(load_s16(q), &s));
    if (n > 0)
        store_masked(y, dequantize(load_part_s16(q, n), &s), valid_lanes(n));
}

static void
dequant_cols_s8(const int8_t *q, int64_t rows, int64_t cols, const double *scale, float *y)
{
    for (int64_t r = 0; r < rows; r++, q += cols, y += cols) {
        int64_t c = 0;
        for (; c + QK_LANES <= cols; c += QK_LANES) {
            const struct scales s = load_scales(scale + c);
            store(y + c, dequantize(load_s8(q + c), &s));
        }
        if (c == cols)
            continue;
        const struct scales s = load_part_scales(scale + c, cols - c);
        store_masked(y + c, dequantize(load_part_s8(q + c, cols - c), &s), valid_lanes(cols - c));
    }
}

static void
dequant_cols_s16(const int16_t *q, int64_t rows, int64_t cols, const double *scale, float *y)
{
    for (int64_t r = 0; r < rows; r++, q += cols, y += cols) {
        int64_t c = 0;
        for (; c + QK_LANES <= cols; c += QK_LANES) {
            const struct scales s = load_scales(scale + c);
            store(y + c, dequantize(load_s16(q + c), &s));
        }
        if (c == cols)
            continue;
        const struct scales s = load_part_scales(scale + c, cols - c);
        store_masked(y + c, dequantize(load_part_s16(q + c, cols - c), &s), valid_lanes(cols - c));
    }
}

static inline void
error_half(struct sums *sum, __m256 x, __m256 scale, __m256 range, int half)
{
    const __m256 low = _mm256_sub_ps(_mm256_setzero_ps(), range);
    const __m256 v = _mm256_and_ps(x, is_finite(x));
    const __m256 q = quotient(v, scale, low, range);
    const __m256 rounded = _mm256_round_ps(q, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m256 y = _mm256_mul_ps(rounded, scale);
    for (int i = 0; i < 2; i++) {
        const __m256d d = _mm256_sub_pd(widen(v, i), widen(y, i));
        add(&sum->s[2 * half + i], _mm256_mul_pd(d, d));
    }
}

static inline void
error_block(struct sums *sum, struct block x, struct block scale, __m256 range)
{
    error_half(sum, x.lo, scale.lo, range, 0);
    error_half(sum, x.hi, scale.hi, range, 1);
}

static double
error(const void *data, int64_t n, float scale, float range)
{
    const float *x = data;
    const struct block s = broadcast(scale);
    const __m256 most = _mm256_set1_ps(range);
    struct sums sum = {0};
    for (; n >= QK_LANES; n -= QK_LANES, x += QK_LANES)
        error_block(&sum, load(x), s, most);
    if (n > 0)
        error_block(&sum, load_masked(x, valid_lanes(n)), s, most);
    return reduce(&sum);
}

static double
error_cols(const void *data, int64_t rows, int64_t cols, const float *scale, float range)
{
    const float *x = data;
    const __m256 most = _mm256_set1_ps(range);
    struct sums sum = {0};
    for (int64_t r = 0; r < rows; r++, x += cols) {
        int64_t c = 0;
        for (; c + QK_LANES <= cols; c += QK_LANES)
            error_block(&sum, load(x + c), load(scale + c), most);
        if (c == cols)
            continue;
        const struct block valid = valid_lanes(cols - c);
        error_block(&sum, load_masked(x + c, valid), load_masked(scale + c, valid), most);
    }
    return reduce(&sum);
}

const struct qk_weights qk_weights_avx2 = {
    .isa = "avx2",
    .need = QK_CPU_AVX2,
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
