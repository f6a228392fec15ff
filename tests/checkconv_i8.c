/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernels/selftest_i8.h for every variant, as TAP: checkconv_i8 [--seed N]. With --bench: the speed
 * of convolutions of the best variant instead.
 */
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/cpu.h"
#include "kernels/selftest_i8.h"

/* Variants that compute something else are found out before they are used. */
static void
wrong_conv(const struct qk_i8_args *a, int block0, int block1, int row0, int row1, int col0,
           int col1)
{
    struct qk_i8_args other = *a;
    other.x += QK_I8_QUAD;
    qk_conv_i8_all[0]->conv(&other, block0, block1, row0, row1, col0, col1 - 1);
}

static int
check_trust(int *test)
{
    struct qk_conv_i8 wrong = *qk_conv_i8_all[0];
    wrong.conv = wrong_conv;
    bool right = qk_conv_i8_agrees(qk_conv_i8()), found = !qk_conv_i8_agrees(&wrong);
    printf("%s %d - the best variant is trusted\n", right ? "ok" : "not ok", ++*test);
    printf("%s %d - a wrong one is not\n", found ? "ok" : "not ok", ++*test);
    return !right + !found;
}

static int
check(uint64_t seed)
{
    struct qk_verdict *verdict = calloc((size_t)qk_i8_n_checks, sizeof(*verdict));
    int n_variants = 0, n_failed = 0, test = 0;
    while (qk_conv_i8_all[n_variants])
        n_variants++;
    printf("1..%d\n# seed %" PRIu64 " (--seed repeats it)\n", n_variants * qk_i8_n_checks + 2,
           seed);
    for (int i = 0; i < n_variants; i++) {
        const struct qk_conv_i8 *k = qk_conv_i8_all[i];
        const bool here = qk_cpu_has(k->need);
        if (here)
            n_failed += qk_selftest_i8(k, seed, verdict);
        for (int j = 0; j < qk_i8_n_checks; j++) {
            if (!here)
                printf("ok %d - %s # SKIP not on this machine\n", ++test, k->isa);
            else
                printf("%s %d - %s: %s\n", verdict[j].ok ? "ok" : "not ok", ++test, k->isa,
                       verdict[j].function);
            if (here && !verdict[j].ok)
                printf("# %s\n", verdict[j].detail);
        }
    }
    n_failed += check_trust(&test);
    free(verdict);
    return n_failed ? 1 : 0;
}

/* ---- speed ---- */

struct shape {
    int ic, oc, size, k, stride;
    bool depthwise;
};

static double
seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *
memory(int64_t n)
{
    void *p = aligned_alloc(64, (size_t)(n + 127) / 64 * 64);
    if (!p)
        abort();
    memset(p, 1, (size_t)n);
    return p;
}

static void
bench(const struct qk_conv_i8 *k, const struct shape *s)
{
    const int bytes = s->ic <= QK_I8_QUAD ? QK_I8_QUAD : (s->ic + 15) / 16 * 16;
    const int blocks = (s->oc + 15) / 16, wide = s->size * s->stride + s->k - 1;
    const bool flat = s->k == 1;
    float *zero = memory(blocks * 16 * 4);
    memset(zero, 0, (size_t)blocks * 16 * 4);
    struct qk_i8_args a = {.x = memory((int64_t)wide * wide * bytes),
                           .x_row = (int64_t)wide * bytes,
                           .x_pixel = bytes,
                           .ic = bytes,
                           .kh = s->k,
                           .kw = s->k,
                           .stride_h = s->stride,
                           .stride_w = s->stride,
                           .dilation_h = 1,
                           .dilation_w = 1,
                           .w = memory(qk_i8_packed(s->oc, bytes, s->k, s->k)),
                           .start = (int32_t *)(void *)zero,
                           .scale = zero,
                           .bias = zero,
                           .unit = 1,
                           .oc_blocks = blocks,
                           .direct = 1,
                           .wrap = s->size,
                           .lanes = 16,
                           .q = memory((int64_t)s->size * s->size * blocks * 16),
                           .q_row = (int64_t)s->size * blocks * 16,
                           .q_pixel = blocks * 16,
                           .low = -128,
                           .high = 127};
    double best = INFINITY;
    for (const double end = seconds() + 0.2; seconds() < end;) {
        const double from = seconds();
        if (s->depthwise)
            k->depthwise(&a, 0, blocks, 0, s->size);
        else
            k->conv(&a, 0, blocks, 0, flat ? 1 : s->size, 0, flat ? s->size * s->size : s->size);
        best = fmin(best, seconds() - from);
    }
    const double macs =
        (double)s->oc * (s->depthwise ? 1 : s->ic) * s->k * s->k * s->size * s->size;
    printf("%s%dx%d/%d %4d to %4d, %3dx%3d  %8.1f us %7.1f GMAC/s\n", s->depthwise ? "dw " : "   ",
           s->k, s->k, s->stride, s->ic, s->oc, s->size, s->size, best * 1e6, macs / best * 1e-9);
    free((void *)(uintptr_t)a.x);
    free((void *)(uintptr_t)a.w);
    free(a.q);
    free(zero);
}

static void
bench_all(void)
{
    static const struct shape shapes[] = {
        {3, 64, 112, 7, 2, false},   {32, 64, 112, 1, 1, false},   {64, 64, 56, 1, 1, false},
        {256, 64, 56, 1, 1, false},  {64, 256, 56, 1, 1, false},   {256, 1024, 14, 1, 1, false},
        {2048, 512, 7, 1, 1, false}, {64, 64, 56, 3, 1, false},    {256, 256, 14, 3, 1, false},
        {512, 512, 7, 3, 1, false},  {1024, 1000, 1, 1, 1, false}, {32, 32, 112, 3, 1, true},
        {64, 64, 112, 3, 1, true},   {512, 512, 14, 3, 1, true},   {64, 64, 56, 3, 2, true},
        {112, 112, 14, 5, 1, true},  {960, 960, 7, 5, 1, true},
    };
    printf("%s\n", qk_conv_i8()->isa);
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
        bench(qk_conv_i8(), &shapes[i]);
}

int
main(int argc, char **argv)
{
    uint64_t seed = 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--bench") == 0) {
            bench_all();
            return 0;
        }
    }
    return check(seed);
}
