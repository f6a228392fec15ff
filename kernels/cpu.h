/* SPDX-License-Identifier: Apache-2.0 */
/* What this processor can do, and the cap a user or test puts on it (--cpu, QSLIM_CPU). */
#ifndef QK_CPU_H
#define QK_CPU_H

#include <stdint.h>

enum qk_cpu {
    QK_CPU_AVX2 = 1 << 0,   /* with FMA and F16C */
    QK_CPU_AVX512 = 1 << 1, /* F, BW, DQ, VL */
    QK_CPU_AVX512VNNI = 1 << 2,
    QK_CPU_AMX = 1 << 3, /* int8 tiles, granted by the kernel */
};

/* Flags of this machine under the cap. */
uint32_t qk_cpu_flags(void);
/* Whether all flags of `need` are there, under the cap. */
int qk_cpu_has(uint32_t need);
/* Caps by name (scalar, avx2, avx512, avx512vnni, amx); 0 when the name is unknown. Call before
 * kernels are picked. Until then a known name in the environment variable QSLIM_CPU is the cap. */
int qk_cpu_cap(const char *isa);
/* Name of the best level under the cap: "avx512vnni". */
const char *qk_cpu_name(void);
/* Model name of the processor, from /proc/cpuinfo; "unknown" when it is not to be had. */
const char *qk_cpu_model(void);

#endif
