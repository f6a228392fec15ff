/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Levels from the least to the best: each has what those before it have. */
static const struct level {
    const char *name;
    uint32_t flag;
} level[] = {
    {"scalar", 0},
    {"avx2", QK_CPU_AVX2},
    {"avx512", QK_CPU_AVX512},
    {"avx512vnni", QK_CPU_AVX512VNNI},
    {"amx", QK_CPU_AMX},
};
enum { N_LEVEL = sizeof(level) / sizeof(level[0]) };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint32_t machine; /* flags without the cap */
static char model[128] = "unknown";
static atomic_uint cap; /* flags that may be used; written by `once` first */

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* State components the system saves (bits of XCR0). */
enum {
    XCR0_AVX = 0x6,     /* xmm, ymm */
    XCR0_AVX512 = 0xe6, /* and opmask, zmm */
    XCR0_AMX = 0x60000, /* tile configuration and data */
};

static uint64_t
read_xcr0(void)
{
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

/* Linux grants the tile registers on request, per process. */
static int
request_amx(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

static int
has_bits(uint64_t word, uint64_t bits)
{
    return (word & bits) == bits;
}

static uint32_t
probe(void)
{
    uint32_t a, b, c, d, b7, c7, d7;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return 0;
    const uint32_t c1 = c;
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7))
        return 0;
    const uint64_t xcr0 = read_xcr0();
    if (!has_bits(xcr0, XCR0_AVX) || !has_bits(c1, bit_AVX | bit_FMA | bit_F16C) ||
        !has_bits(b7, bit_AVX2))
        return 0;
    if (!has_bits(xcr0, XCR0_AVX512) ||
        !has_bits(b7, bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL))
        return QK_CPU_AVX2;
    if (!has_bits(c7, bit_AVX512VNNI))
        return QK_CPU_AVX2 | QK_CPU_AVX512;
    const uint32_t flags = QK_CPU_AVX2 | QK_CPU_AVX512 | QK_CPU_AVX512VNNI;
    enum { AMX_TILE = 1 << 24, AMX_INT8 = 1 << 25 };
    if (!has_bits(xcr0, XCR0_AMX) || !has_bits(d7, AMX_TILE | AMX_INT8) || !request_amx())
        return flags;
    return flags | QK_CPU_AMX;
}
#else
static uint32_t
probe(void)
{
    return 0;
}
#endif

static void
read_model(void)
{
    char line[512];
    FILE *f = fopen("/proc/cpuinfo", "r");
    if (!f)
        return;
    while (fgets(line, sizeof(line), f)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        colon += 1 + strspn(colon + 1, " \t");
        snprintf(model, sizeof(model), "%.*s", (int)strcspn(colon, "\n"), colon);
        break;
    }
    fclose(f);
}

/* Flags of a level and of all below it; -1: no such name. */
static int64_t
flags_up_to(const char *isa)
{
    uint32_t flags = 0;
    for (int i = 0; i < N_LEVEL; i++) {
        flags |= level[i].flag;
        if (strcmp(level[i].name, isa) == 0)
            return flags;
    }
    return -1;
}

static void
init(void)
{
    machine = probe();
    read_model();
    const char *env = getenv("QSLIM_CPU");
    const int64_t flags = env ? flags_up_to(env) : -1;
    atomic_store(&cap, flags < 0 ? UINT32_MAX : (uint32_t)flags);
}

uint32_t
qk_cpu_flags(void)
{
    pthread_once(&once, init);
    return machine & atomic_load(&cap);
}

int
qk_cpu_has(uint32_t need)
{
    return (need & ~qk_cpu_flags()) == 0;
}

int
qk_cpu_cap(const char *isa)
{
    const int64_t flags = flags_up_to(isa);
    if (flags < 0)
        return 0;
    pthread_once(&once, init);
    atomic_store(&cap, (uint32_t)flags);
    return 1;
}

const char *
qk_cpu_name(void)
{
    const uint32_t flags = qk_cpu_flags();
    int best = 0;
    for (int i = 1; i < N_LEVEL; i++)
        if (flags & level[i].flag)
            best = i;
    return level[best].name;
}

const char *
qk_cpu_model(void)
{
    pthread_once(&once, init);
    return model;
}
