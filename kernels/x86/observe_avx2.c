/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels on activations, AVX2. */
#include <immintrin.h>

#include "kernels/cpu.h"
#include "kernels/observe.h"
#include "kernels/x86/observe_leaf.inc"

extern const struct qk_observe qk_observe_avx2;

static inline __m256i
bins(__m256 x, __m256 per_width, __m256 last, __m256i negative)
{
    const __m256 size = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
    const __m256 at = _mm256_min_ps(_mm256_mul_ps(size, per_width), last);
    const __m256 below = _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_LT_OQ);
    return _mm256_add_epi32(_mm256_cvttps_epi32(at),
                            _mm256_and_si256(_mm256_castps_si256(below), negative));
}

/* Zeros fall into bin 0 of the positive side, and are taken out at the end. */
static void
histogram(const float *x, int64_t n, float per_width, int64_t n_bin, uint32_t *count)
{
    const __m256 w = _mm256_set1_ps(per_width), last = _mm256_set1_ps((float)(n_bin - 1));
    const __m256i negative = _mm256_set1_epi32((int)n_bin);
    uint32_t n_zero = 0;
    for (; n > 0; n -= LANES, x += LANES) {
        const int here = n < LANES ? (int)n : LANES;
        const __m256 v = here < LANES ? tail(x, here) : _mm256_loadu_ps(x);
        const __m256 zero = _mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_EQ_OQ);
        uint32_t bin[LANES];
        _mm256_storeu_si256((__m256i *)bin, bins(v, w, last, negative));
        n_zero += (uint32_t)__builtin_popcount((unsigned)_mm256_movemask_ps(zero));
#pragma GCC unroll 8
        for (int i = 0; i < LANES; i++)
            count[bin[i]]++;
    }
    count[0] -= n_zero;
}

const struct qk_observe qk_observe_avx2 = {
    .isa = "avx2",
    .need = QK_CPU_AVX2,
    .histogram = histogram,
    .rounding = rounding,
    .spread = spread,
};
