/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels on activations, AVX-512: bins of elements that are not zero are packed side by side,
 * then counted one by one. */
#include <immintrin.h>

#include "kernels/cpu.h"
#include "kernels/observe.h"
#include "kernels/x86/observe_leaf.inc"

extern const struct qk_observe qk_observe_avx512;

enum { WIDE = 16, QUEUE = 1024 };

static inline __m512i
bins(__m512 x, __m512 per_width, __m512 last, __m512i negative)
{
    const __m512 at = _mm512_min_ps(_mm512_mul_ps(_mm512_abs_ps(x), per_width), last);
    const __mmask16 below = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
    const __m512i bin = _mm512_cvttps_epi32(at);
    return _mm512_mask_add_epi32(bin, below, bin, negative);
}

static inline void
count_queue(const uint32_t *bin, int n, uint32_t *count)
{
    int i = 0;
    for (; i + 4 <= n; i += 4) {
        count[bin[i]]++;
        count[bin[i + 1]]++;
        count[bin[i + 2]]++;
        count[bin[i + 3]]++;
    }
    for (; i < n; i++)
        count[bin[i]]++;
}

static void
histogram(const float *x, int64_t n, float per_width, int64_t n_bin, uint32_t *count)
{
    const __m512 w = _mm512_set1_ps(per_width), last = _mm512_set1_ps((float)(n_bin - 1));
    const __m512i negative = _mm512_set1_epi32((int)n_bin);
    uint32_t queue[QUEUE + WIDE];
    int queued = 0;
    for (; n > 0; n -= WIDE, x += WIDE) {
        const __mmask16 there = n < WIDE ? (__mmask16)((1u << n) - 1) : (__mmask16)0xffff;
        const __m512 v = _mm512_maskz_loadu_ps(there, x);
        const __mmask16 used = _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_NEQ_UQ);
        _mm512_storeu_si512(queue + queued,
                            _mm512_maskz_compress_epi32(used, bins(v, w, last, negative)));
        queued += __builtin_popcount(used);
        if (queued >= QUEUE) {
            count_queue(queue, queued, count);
            queued = 0;
        }
    }
    count_queue(queue, queued, count);
}

const struct qk_observe qk_observe_avx512 = {
    .isa = "avx512",
    .need = QK_CPU_AVX512,
    .histogram = histogram,
    .rounding = rounding,
    .spread = spread,
};
