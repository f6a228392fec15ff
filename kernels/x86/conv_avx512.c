/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of conv_f32.inc, AVX-512. */
#include <immintrin.h>

#include "kernels/conv.h"
#include "kernels/cpu.h"

#define LANES 16
#define REGISTERS 32
#define V_FMA(x, y, z) ((vf)_mm512_fmadd_ps((__m512)(x), (__m512)(y), (__m512)(z)))
#define V_MAX(x, y) ((vf)_mm512_max_ps((__m512)(x), (__m512)(y)))
#define V_MIN(x, y) ((vf)_mm512_min_ps((__m512)(x), (__m512)(y)))
#define VARIANT avx512
#define NEED QK_CPU_AVX512
#include "kernels/conv_f32.inc"
