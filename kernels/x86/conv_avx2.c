/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of conv_f32.inc, AVX2 and FMA. */
#include "kernels/conv.h"
#include "kernels/cpu.h"
#include "kernels/x86/vec_avx2.inc"

#define REGISTERS 16
#define VARIANT avx2
#define NEED QK_CPU_AVX2
#include "kernels/conv_f32.inc"
