/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of conv_f32.inc, AVX2 and FMA. */
#include <immintrin.h>

#include "kernels/conv.h"
#include "kernels/cpu.h"

#define LANES 8
#define REGISTERS 16
#define V_FMA(x, y, z) ((vf)_mm256_fmadd_ps((__m256)(x), (__m256)(y), (__m256)(z)))
#define V_MAX(x, y) ((vf)_mm256_max_ps((__m256)(x), (__m256)(y)))
#define V_MIN(x, y) ((vf)_mm256_min_ps((__m256)(x), (__m256)(y)))
#define VARIANT avx2
#define NEED QK_CPU_AVX2
#include "kernels/conv_f32.inc"
