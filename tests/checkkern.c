/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every kernel variant against the scalar one, as TAP: checkkern [--seed N]. With --bench: the
 * time of each function of each variant instead.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/cpu.h"
#include "kernels/selftest.h"

enum { PROBES_MOST = 64 };

static int
count_variants(void)
{
    int n = 0;
    while (qk_weights_all[n])
        n++;
    return n;
}

static int
check_variant(const struct qk_weights *k, uint64_t seed, int test)
{
    struct qk_verdict verdict[PROBES_MOST];
    if (!qk_cpu_has(k->need)) {
        for (int i = 0; i < qk_n_probes; i++)
            printf("ok %d - %s %s # SKIP not on this machine\n", test + i, k->isa,
                   qk_probes[i].name);
        return 0;
    }
    const int n_failed = qk_selftest(k, seed, verdict);
    if (n_failed < 0) {
        printf("Bail out! no memory\n");
        exit(99);
    }
    for (int i = 0; i < qk_n_probes; i++) {
        printf("%s %d - %s %s equals scalar in %" PRId64 " cases\n",
               verdict[i].ok ? "ok" : "not ok", test + i, k->isa, verdict[i].function,
               verdict[i].n_cases);
        if (!verdict[i].ok)
            printf("# %s\n", verdict[i].detail);
    }
    return n_failed;
}

static int
check(uint64_t seed)
{
    const int n_variants = count_variants();
    int n_failed = 0;
    printf("1..%d\n# seed %" PRIu64 " (--seed repeats it)\n", n_variants * qk_n_probes, seed);
    for (int i = 0; i < n_variants; i++)
        n_failed += check_variant(qk_weights_all[i], seed, 1 + i * qk_n_probes);
    return n_failed ? 1 : 0;
}

static double
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Best time of a call, in seconds: at least 5 calls and 30 ms. */
static double
time_probe(const struct qk_probe *p, const struct qk_weights *k, const struct qk_input *in,
           void *out)
{
    double best = INFINITY;
    const double start = now();
    for (int i = 0; i < 5 || now() - start < 0.03; i++) {
        const double t0 = now();
        p->run(k, in, out);
        const double t = now() - t0;
        best = t < best ? t : best;
    }
    return best;
}

enum { BENCH_N = 1 << 18, BENCH_COLS = 256 };

static void
bench_row(const struct qk_probe *p, const struct qk_input *in, void *out)
{
    printf("%-18s", p->name);
    for (int i = 0; qk_weights_all[i]; i++) {
        if (!qk_cpu_has(qk_weights_all[i]->need))
            continue;
        const double seconds = time_probe(p, qk_weights_all[i], in, out);
        printf("%11.2f", 1e-9 * (double)in->n / seconds);
    }
    printf("\n");
}

static int
bench(void)
{
    float *x = calloc(BENCH_N, sizeof(*x));
    int8_t *q8 = calloc(BENCH_N, sizeof(*q8));
    int16_t *q16 = calloc(BENCH_N, sizeof(*q16));
    float *out = calloc(BENCH_N, sizeof(*out));
    float scale[BENCH_COLS];
    double scale_f64[BENCH_COLS];
    if (!x || !q8 || !q16 || !out)
        return 99;
    for (int i = 0; i < BENCH_N; i++) {
        x[i] = (float)((i * 7919) % 2003 - 1001) * 1e-4f;
        q8[i] = (int8_t)(i * 31);
        q16[i] = (int16_t)(i * 7919);
    }
    for (int c = 0; c < BENCH_COLS; c++)
        scale_f64[c] = scale[c] = 8e-4f + (float)c * 1e-6f;
    const struct qk_input in = {.x = x,
                                .q8 = q8,
                                .q16 = q16,
                                .scale = scale,
                                .scale_f64 = scale_f64,
                                .n = BENCH_N,
                                .rows = BENCH_N / BENCH_COLS,
                                .cols = BENCH_COLS,
                                .one_scale = 8e-4f,
                                .limit = INFINITY,
                                .range = 127,
                                .mean = 1e-3};
    printf("%s; %d elements, %d columns; 1e9 elements a second\n%-18s", qk_cpu_model(), BENCH_N,
           BENCH_COLS, "function");
    for (int i = 0; qk_weights_all[i]; i++)
        if (qk_cpu_has(qk_weights_all[i]->need))
            printf("%11s", qk_weights_all[i]->isa);
    printf("\n");
    for (int i = 0; i < qk_n_probes; i++)
        bench_row(&qk_probes[i], &in, out);
    free(x);
    free(q8);
    free(q16);
    free(out);
    return 0;
}

int
main(int argc, char **argv)
{
    uint64_t seed = 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bench") == 0)
            return bench();
        if (strcmp(argv[i], "--seed") != 0 || i + 1 == argc) {
            fprintf(stderr, "usage: checkkern [--seed N] [--bench]\n");
            return 2;
        }
        seed = strtoull(argv[++i], NULL, 0);
    }
    if (qk_n_probes > PROBES_MOST)
        abort();
    return check(seed);
}
