/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of conv_f32.inc, AVX-512. */
#include "kernels/conv.h"
#include "kernels/cpu.h"
#include "kernels/x86/vec_avx512.inc"

#define REGISTERS 32
#define VARIANT avx512
#define NEED QK_CPU_AVX512
#include "kernels/conv_f32.inc"
