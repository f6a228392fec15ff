/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of conv_i8.h with the 8-bit dot products of AVX-512 VNNI. */
#include <stdbool.h>

#include "kernels/conv_i8.h"
#include "kernels/cpu.h"

#include "kernels/x86/vec_avx512.inc"

#include "kernels/vec_f32.inc"

#define VECTORS 1
#define NB_MOST 4
#define T_MOST(nb) ((nb) == 4 ? 6 : (nb) == 3 ? 9 : 14)
#define RUN(nb) ((nb) == 4 ? 1 : 4)
#define POSITIVE_PAYS 0

struct quads {
    __m512i v;
};

INLINE struct quads
quads_x(const uint8_t *p, const bool positive)
{
    int32_t four;
    memcpy(&four, p, sizeof(four));
    (void)positive;
    return (struct quads){_mm512_set1_epi32(four)};
}

INLINE struct quads
quads_w(const int8_t *p, const bool positive)
{
    (void)positive;
    return (struct quads){_mm512_load_si512(p)};
}

INLINE vi
dot(vi acc, struct quads x, struct quads w, const bool positive)
{
    (void)positive;
    return (vi)_mm512_dpbusd_epi32((__m512i)acc, x.v, w.v);
}

INLINE vi
clamp_int(vi v, vi low, vi high)
{
    return (vi)_mm512_min_epi32(_mm512_max_epi32((__m512i)v, (__m512i)low), (__m512i)high);
}

typedef __m512i vb;
typedef __m512i_u vbu;

INLINE vb
max_bytes(vb x, vb y)
{
    return _mm512_max_epu8(x, y);
}

#include "kernels/x86/bytes_avx512.inc"

#include "kernels/conv_i8.inc"

/* ---- depthwise ----
 *
 * Four taps under each other are one dot product: the bytes of four rows are interleaved, once per
 * column, for all output pixels that the column counts for. `n` vectors at a time: 4 (64 channels;
 * then 128-bit lane l of vector i holds channels 16 l + 4 i ..) or 1 (16 channels in order). */

enum { DW_TILE = 4, DW_KERNEL = 5, DW_GROUPS = 2 /* of four rows */ };

INLINE void
interleave_64(__m512i r0, __m512i r1, __m512i r2, __m512i r3, __m512i *out)
{
    const __m512i a = _mm512_unpacklo_epi8(r0, r1), b = _mm512_unpacklo_epi8(r2, r3);
    const __m512i c = _mm512_unpackhi_epi8(r0, r1), d = _mm512_unpackhi_epi8(r2, r3);
    out[0] = _mm512_unpacklo_epi16(a, b);
    out[1] = _mm512_unpackhi_epi16(a, b);
    out[2] = _mm512_unpacklo_epi16(c, d);
    out[3] = _mm512_unpackhi_epi16(c, d);
}

INLINE __m512i
interleave_16(__m128i r0, __m128i r1, __m128i r2, __m128i r3)
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i bytes = _mm512_set4_epi32(0x0f0b0703, 0x0e0a0602, 0x0d090501, 0x0c080400);
    __m512i v = _mm512_inserti32x4(_mm512_castsi128_si512(r0), r1, 1);
    v = _mm512_inserti32x4(v, r2, 2);
    v = _mm512_inserti32x4(v, r3, 3);
    return _mm512_shuffle_epi8(_mm512_permutexvar_epi32(order, v), bytes);
}

/* The column of up to four bytes of every channel, `rows` of them. */
INLINE void
column(const void *p, int64_t row, const int rows, const int n, __m512i *out)
{
    const char *x = p;
    if (n == 4) {
        __m512i r[4];
        UNROLL for (int i = 0; i < 4; i++) r[i] =
            i < rows ? _mm512_loadu_si512(x + i * row) : _mm512_setzero_si512();
        interleave_64(r[0], r[1], r[2], r[3], out);
        return;
    }
    __m128i r[4];
    UNROLL for (int i = 0; i < 4; i++) r[i] =
        i < rows ? _mm_loadu_si128((const __m128i *)(const void *)(x + i * row))
                 : _mm_setzero_si128();
    out[0] = interleave_16(r[0], r[1], r[2], r[3]);
}

/* What 64 (or 16) channels need, in the order of interleaved bytes. */
struct dw {
    __m512i w[DW_GROUPS * DW_KERNEL * 4];
    __m512i start[4];
    __m512 scale[4], bias[4];
};

/* Vectors of 16 channels in turn <-> 128-bit lanes in turn; its own inverse. */
INLINE void
swap_lanes(__m512i *v)
{
    const __m512i a = _mm512_shuffle_i32x4(v[0], v[1], 0x44);
    const __m512i b = _mm512_shuffle_i32x4(v[0], v[1], 0xee);
    const __m512i c = _mm512_shuffle_i32x4(v[2], v[3], 0x44);
    const __m512i d = _mm512_shuffle_i32x4(v[2], v[3], 0xee);
    v[0] = _mm512_shuffle_i32x4(a, c, 0x88);
    v[1] = _mm512_shuffle_i32x4(a, c, 0xdd);
    v[2] = _mm512_shuffle_i32x4(b, d, 0x88);
    v[3] = _mm512_shuffle_i32x4(b, d, 0xdd);
}

INLINE void
load_lanes(const void *p, __m512i *out, const int n)
{
    UNROLL for (int i = 0; i < n; i++) out[i] = _mm512_load_si512((const char *)p + 64 * i);
    if (n == 4)
        swap_lanes(out);
}

INLINE void
load_scales(const struct qk_i8_args *a, int c, const int n, struct dw *d)
{
    load_lanes(a->scale + c, (__m512i *)d->scale, n);
    load_lanes(a->bias + c, (__m512i *)d->bias, n);
    UNROLL for (int i = 0; i < n; i++) d->scale[i] =
        _mm512_mul_ps(d->scale[i], _mm512_set1_ps(a->unit));
}

INLINE void
dw_load(const struct qk_i8_args *a, int c, const int kh, const int kw, const int n, struct dw *d)
{
    const int64_t tap = (int64_t)a->oc_blocks * QK_I8_BLOCK;
    for (int g = 0; g * 4 < kh; g++)
        for (int kx = 0; kx < kw; kx++) {
            const int8_t *w = a->w + (g * 4 * kw + kx) * tap + c;
            __m512i *out = d->w + (g * kw + kx) * n;
            switch (kh - g * 4) {
            case 1:
                column(w, kw * tap, 1, n, out);
                break;
            case 2:
                column(w, kw * tap, 2, n, out);
                break;
            case 3:
                column(w, kw * tap, 3, n, out);
                break;
            default:
                column(w, kw * tap, 4, n, out);
            }
        }
    load_lanes(a->start + c, d->start, n);
    load_scales(a, c, n, d);
}

INLINE void
dw_store(uint8_t *to, const struct qk_i8_args *a, const vi *q, const int n)
{
    if (n == 4)
        _mm512_storeu_si512(to, bytes_by_lane(q, a->low, a->high));
    else
        store_bytes(to, q, 1, a->low, a->high);
}

/* As finish_direct. */
INLINE void
dw_finish_direct(const struct qk_i8_args *a, const struct dw *d, const __m512i *sum, int c, int row,
                 int col, const int n)
{
    vi q[4];
    UNROLL for (int i = 0; i < n; i++) q[i] = whole(
        V_FMA(_mm512_cvtepi32_ps(sum[i]), d->scale[i], d->bias[i]) * splat(a->q_scale), a->away);
    dw_store(a->q + row * a->q_row + col * a->q_pixel + c, a, q, n);
}

/* One pixel of 16 n channels from c on, at (row, col). */
INLINE void
dw_finish(const struct qk_i8_args *a, const struct dw *d, const __m512i *sum, int c, int row,
          int col, const int n)
{
    vf v[4];
    UNROLL for (int i = 0; i < n; i++) v[i] =
        V_FMA(_mm512_cvtepi32_ps(sum[i]), d->scale[i], d->bias[i]);
    if (a->add) {
        __m512i add[4];
        const float *at = a->add + row * a->add_row + col * a->add_pixel;
        UNROLL for (int i = 0; i < n; i++) add[i] =
            _mm512_load_si512(at + (c / QK_I8_BLOCK + i) * a->add_block);
        if (n == 4)
            swap_lanes(add);
        UNROLL for (int i = 0; i < n; i++) v[i] += (vf)add[i];
    }
    if (!a->direct) {
        UNROLL for (int i = 0; i < n; i++) v[i] = post_fast(&a->post, v[i]);
        post_slow(&a->post, v, n);
    }
    if (a->y) {
        __m512i out[4];
        float *y = a->y + row * a->y_row + col * a->y_pixel;
        UNROLL for (int i = 0; i < n; i++) out[i] = (__m512i)v[i];
        if (n == 4)
            swap_lanes(out);
        UNROLL for (int i = 0; i < n; i++)
            _mm512_store_si512(y + (c / QK_I8_BLOCK + i) * a->y_block, out[i]);
    }
    if (!a->q)
        return;
    const vf factor = splat(a->q_scale);
    vi q[4];
    UNROLL for (int i = 0; i < n; i++) q[i] = whole(v[i] * factor, a->away);
    dw_store(a->q + row * a->q_row + col * a->q_pixel + c, a, q, n);
}

/* `wide` pixels of a row of a k x k convolution. */
INLINE void
dw_tile(const struct qk_i8_args *a, const struct dw *d, int c, int row, int col, const int k,
        const int stride, const int wide, const int n)
{
    const uint8_t *x = a->x + row * a->stride_h * a->x_row + (int64_t)col * stride * a->x_pixel + c;
    __m512i acc[DW_TILE * 4];
    UNROLL for (int p = 0; p < wide; p++)
    {
        UNROLL for (int i = 0; i < n; i++) acc[p * 4 + i] = d->start[i];
    }
    UNROLL for (int g = 0; g * 4 < k; g++)
    {
        UNROLL for (int j = 0; j < (wide - 1) * stride + k; j++)
        {
            __m512i v[4];
            column(x + g * 4 * a->x_row + j * a->x_pixel, a->x_row, k - g * 4, n, v);
            UNROLL for (int p = 0; p < wide; p++)
            {
                const int kx = j - p * stride;
                if (kx < 0 || kx >= k)
                    continue;
                UNROLL for (int i = 0; i < n; i++) acc[p * 4 + i] =
                    _mm512_dpbusd_epi32(acc[p * 4 + i], v[i], d->w[(g * k + kx) * n + i]);
            }
        }
    }
    if (a->direct && !a->add)
        UNROLL for (int p = 0; p < wide; p++)
            dw_finish_direct(a, d, acc + p * 4, c, row, col + p, n);
    else
        UNROLL for (int p = 0; p < wide; p++) dw_finish(a, d, acc + p * 4, c, row, col + p, n);
}

INLINE void
dw_rows(const struct qk_i8_args *a, int c, int row0, int row1, const int k, const int stride,
        const int n)
{
    struct dw d;
    dw_load(a, c, k, k, n, &d);
    const int ow = a->wrap;
    for (int row = row0; row < row1; row++) {
        int col = 0;
        for (; col + DW_TILE <= ow; col += DW_TILE)
            dw_tile(a, &d, c, row, col, k, stride, DW_TILE, n);
        /* what is left: a tile that begins earlier, or pixel by pixel */
        if (col < ow && ow >= DW_TILE)
            dw_tile(a, &d, c, row, ow - DW_TILE, k, stride, DW_TILE, n);
        else
            for (; col < ow; col++)
                dw_tile(a, &d, c, row, col, k, stride, 1, n);
    }
}

/* Any kernel, 16 channels; weights are interleaved as they are needed. */
static void
dw_any(const struct qk_i8_args *a, int c, int row0, int row1)
{
    struct dw d;
    const int64_t tap = (int64_t)a->oc_blocks * QK_I8_BLOCK;
    load_lanes(a->start + c, d.start, 1);
    load_scales(a, c, 1, &d);
    for (int row = row0; row < row1; row++)
        for (int col = 0; col < a->wrap; col++) {
            const uint8_t *x =
                a->x + row * a->stride_h * a->x_row + (int64_t)col * a->stride_w * a->x_pixel + c;
            __m512i acc = d.start[0];
            for (int t = 0; t < a->kh * a->kw; t++) {
                const uint8_t *at = x + t / a->kw * a->dilation_h * a->x_row +
                                    t % a->kw * a->dilation_w * a->x_pixel;
                const __m512i u = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)at));
                const __m512i w =
                    _mm512_cvtepi8_epi32(_mm_load_si128((const __m128i *)(a->w + t * tap + c)));
                acc = _mm512_add_epi32(acc, _mm512_madd_epi16(u, w));
            }
            dw_finish(a, &d, &acc, c, row, col, 1);
        }
}

#define DW(k, stride)                                                                           \
    static void dw_##k##_##stride(const struct qk_i8_args *a, int block0, int block1, int row0, \
                                  int row1)                                                     \
    {                                                                                           \
        int b = block0;                                                                         \
        for (; b + 4 <= block1; b += 4)                                                         \
            dw_rows(a, b *QK_I8_BLOCK, row0, row1, k, stride, 4);                               \
        for (; b < block1; b++)                                                                 \
            dw_rows(a, b *QK_I8_BLOCK, row0, row1, k, stride, 1);                               \
    }
DW(3, 1)
DW(3, 2)
DW(5, 1)
DW(5, 2)

static void
depthwise(const struct qk_i8_args *a, int block0, int block1, int row0, int row1)
{
    static void (*const fixed[2][2])(const struct qk_i8_args *, int, int, int,
                                     int) = {{dw_3_1, dw_3_2}, {dw_5_1, dw_5_2}};
    if (a->kh == a->kw && (a->kh == 3 || a->kh == 5) && a->stride_w <= 2 && a->dilation_h == 1 &&
        a->dilation_w == 1) {
        fixed[a->kh == 5][a->stride_w - 1](a, block0, block1, row0, row1);
        return;
    }
    for (int b = block0; b < block1; b++)
        dw_any(a, b * QK_I8_BLOCK, row0, row1);
}

QK_CONV_I8(avx512vnni, QK_CPU_AVX512 | QK_CPU_AVX512VNNI, LANES, TILE_MOST);
