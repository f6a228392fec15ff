/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels of conv_i8.h, AVX2. Bytes are widened to 16 bits and multiplied in pairs: the
 * instruction that multiplies bytes saturates its sums. Where no input is negative, it does not:
 * 127 * 128 * 2 fits.
 */
#include <stdbool.h>

#include "kernels/conv_i8.h"
#include "kernels/cpu.h"

#include "kernels/x86/vec_avx2.inc"

#include "kernels/vec_f32.inc"

#define VECTORS 2
#define NB_MOST 1
#define T_MOST(nb) 4
#define RUN(nb) 1
#define POSITIVE_PAYS 1

struct quads { /* channels 0, 2 and 1, 3 of each four, as words; all positive: bytes, in `even` */
    __m256i even, odd;
};

INLINE struct quads
quads_x(const uint8_t *p, const bool positive)
{
    int32_t four;
    memcpy(&four, p, sizeof(four));
    const __m256i v = _mm256_set1_epi32(four);
    if (positive)
        return (struct quads){_mm256_xor_si256(v, _mm256_set1_epi8(-128)), v};
    return (struct quads){_mm256_and_si256(v, _mm256_set1_epi16(0xff)), _mm256_srli_epi16(v, 8)};
}

INLINE struct quads
quads_w(const int8_t *p, const bool positive)
{
    const __m256i v = _mm256_load_si256((const __m256i *)(const void *)p);
    if (positive)
        return (struct quads){v, v};
    return (struct quads){_mm256_srai_epi16(_mm256_slli_epi16(v, 8), 8), _mm256_srai_epi16(v, 8)};
}

INLINE vi
dot(vi acc, struct quads x, struct quads w, const bool positive)
{
    if (positive)
        return acc +
               (vi)_mm256_madd_epi16(_mm256_maddubs_epi16(x.even, w.even), _mm256_set1_epi16(1));
    return acc + (vi)_mm256_madd_epi16(x.even, w.even) + (vi)_mm256_madd_epi16(x.odd, w.odd);
}

INLINE vi
rint_vector(vf v)
{
    return (vi)_mm256_cvtps_epi32((__m256)v);
}

INLINE vi
trunc_vector(vf v)
{
    return (vi)_mm256_cvttps_epi32((__m256)v);
}

INLINE vi
clamp_int(vi v, vi low, vi high)
{
    return (vi)_mm256_min_epi32(_mm256_max_epi32((__m256i)v, (__m256i)low), (__m256i)high);
}

typedef __m256i vb;
typedef __m256i_u vbu;

INLINE vb
max_bytes(vb x, vb y)
{
    return _mm256_max_epu8(x, y);
}

INLINE void
store_bytes(uint8_t *q, const vi *v, const int n, int8_t low, int8_t high)
{
    const __m256i words = _mm256_packs_epi32((__m256i)v[0], (__m256i)v[1]);
    const __m256i ordered = _mm256_permute4x64_epi64(words, 0xd8);
    __m128i b =
        _mm_packs_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1));
    b = _mm_min_epi8(_mm_max_epi8(b, _mm_set1_epi8(low)), _mm_set1_epi8(high));
    _mm_storeu_si128((__m128i *)q, _mm_xor_si128(b, _mm_set1_epi8(-128)));
    (void)n;
}

#include "kernels/conv_i8.inc"

/* ---- depthwise: two taps at a time, 16 channels ---- */

enum { DW_TILE = 3, DW_PAIRS = 32 /* of taps, whose weights are kept interleaved */ };

/* Words of two taps interleaved: channels 0 .. 3 and 8 .. 11, then the others. */
struct taps {
    __m256i lo, hi;
};

INLINE struct taps
interleave(__m256i first, __m256i second)
{
    return (struct taps){_mm256_unpacklo_epi16(first, second),
                         _mm256_unpackhi_epi16(first, second)};
}

INLINE __m256i
load_u8(const uint8_t *p)
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)p));
}

INLINE __m256i
load_s8(const int8_t *p)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)p));
}

INLINE struct taps
weights_at(const struct qk_i8_args *a, int t, int c)
{
    const int64_t tap = (int64_t)a->oc_blocks * QK_I8_BLOCK;
    const bool two = t + 1 < a->kh * a->kw;
    return interleave(load_s8(a->w + t * tap + c),
                      two ? load_s8(a->w + (t + 1) * tap + c) : _mm256_setzero_si256());
}

INLINE int64_t
tap_at(const struct qk_i8_args *a, int t)
{
    return t / a->kw * a->dilation_h * a->x_row + t % a->kw * a->dilation_w * a->x_pixel;
}

INLINE void
dw_tile(const struct qk_i8_args *a, const struct taps *kept, int c, int row, int col,
        const int wide)
{
    const uint8_t *x =
        a->x + row * a->stride_h * a->x_row + (int64_t)col * a->stride_w * a->x_pixel + c;
    const int64_t step = a->x_pixel * a->stride_w;
    const int taps = a->kh * a->kw;
    struct taps acc[DW_TILE];
    UNROLL for (int p = 0; p < wide; p++) acc[p] =
        (struct taps){_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (int t = 0; t < taps; t += 2) {
        const struct taps w = t / 2 < DW_PAIRS ? kept[t / 2] : weights_at(a, t, c);
        const uint8_t *first = x + tap_at(a, t), *second = x + tap_at(a, t + 1 < taps ? t + 1 : t);
        UNROLL for (int p = 0; p < wide; p++)
        {
            const struct taps v = interleave(load_u8(first + p * step), load_u8(second + p * step));
            acc[p].lo = _mm256_add_epi32(acc[p].lo, _mm256_madd_epi16(v.lo, w.lo));
            acc[p].hi = _mm256_add_epi32(acc[p].hi, _mm256_madd_epi16(v.hi, w.hi));
        }
    }
    const vi *start = (const vi *)(a->start + c);
    vi sum[2 * DW_TILE];
    UNROLL for (int p = 0; p < wide; p++)
    {
        sum[p] = start[0] + (vi)_mm256_permute2x128_si256(acc[p].lo, acc[p].hi, 0x20);
        sum[wide + p] = start[1] + (vi)_mm256_permute2x128_si256(acc[p].lo, acc[p].hi, 0x31);
    }
    finish(a, sum, c / QK_I8_BLOCK, row, col, 1, wide);
}

static void
depthwise(const struct qk_i8_args *a, int block0, int block1, int row0, int row1)
{
    struct taps kept[DW_PAIRS];
    for (int c = block0 * QK_I8_BLOCK; c < block1 * QK_I8_BLOCK; c += QK_I8_BLOCK) {
        for (int t = 0; t < a->kh * a->kw && t / 2 < DW_PAIRS; t += 2)
            kept[t / 2] = weights_at(a, t, c);
        for (int row = row0; row < row1; row++) {
            int col = 0;
            for (; col + DW_TILE <= a->wrap; col += DW_TILE)
                dw_tile(a, kept, c, row, col, DW_TILE);
            for (; col < a->wrap; col++)
                dw_tile(a, kept, c, row, col, 1);
        }
    }
}

QK_CONV_I8(avx2, QK_CPU_AVX2, LANES, T_MOST(1));
