/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/selftest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- the functions ---- */

static void
run_moments(const struct qk_weights *k, const struct qk_input *in, void *out)
{
    k->moments(in->x, in->n, out);
}

static void
run_central(const struct qk_weights *k, const struct qk_input *in, void *out)
{
    double *m = out;
    k->central(in->x, in->n, in->mean, &m[0], &m[1]);
}

static void
run_absmax(const struct qk_weights *k, const struct qk_input *in, void *out)
{
    *(float *)out = k->absmax(in->x, in->n);
}

static void
run_col_absmax(const struct qk_weights *k, const struct qk_input *in, void *out)
{
    float *acc = out;
    for (int64_t c = 0; c < in->cols; c++)
        acc[c] = 0;
    k->col_absmax(in->x, in->rows, in->cols, acc);
}

static void
run_col_minmax(const struct qk_weights *k, const struct qk_input *in, void *out)
{
    float *min = out, *max = min + in->cols;
    for (int64_t c = 0; c < in->cols; c++) {
        min[c] = INFINITY;
        max[c] = -INFINITY;
    }
    k->col_minmax(in->x, in->rows, in->cols, min, max);
}

static void
run_quant_s8(const struct qk_weights *k, const struct qk_input *in, void *out)
{
    k->quant_s8(in->x, in->n, in->one_scale, in->limit, out);
}

static void
run_quant_s16(const struct qk_weights *k, const struct qk_input *in, void *out)
{
    k->quant_s16(in->x, in->n, in->one_scale, in->limit, out);
}

static void
run_quant_cols_s8(const struct qk_weights *k, const struct qk_input *in, void *out)
{
    k->quant_cols_s8(in->x, in->rows, in->cols, in->scale, out);
}

static void
run_quant_cols_s16(const struct qk_weights *k, const struct qk_input *in, void *out)
{
    k->quant_cols_s16(in->x, in->rows, in->cols, in->scale, out);
}

static void
run_dequant_s8(const struct qk_weights *k, const struct qk_input *in, void *out)
{
    k->dequant_s8(in->q8, in->n, (double)in->one_scale / 3, out);
}

static void
run_dequant_s16(const struct qk_weights *k, const struct qk_input *in, void *out)
{
    k->dequant_s16(in->q16, in->n, (double)in->one_scale / 3, out);
}

static void
run_dequant_cols_s8(const struct qk_weights *k, const struct qk_input *in, void *out)
{
    k->dequant_cols_s8(in->q8, in->rows, in->cols, in->scale_f64, out);
}

static void
run_dequant_cols_s16(const struct qk_weights *k, const struct qk_input *in, void *out)
{
    k->dequant_cols_s16(in->q16, in->rows, in->cols, in->scale_f64, out);
}

static void
run_error(const struct qk_weights *k, const struct qk_input *in, void *out)
{
    *(double *)out = k->error(in->x, in->n, in->one_scale, in->range);
}

static void
run_error_cols(const struct qk_weights *k, const struct qk_input *in, void *out)
{
    *(double *)out = k->error_cols(in->x, in->rows, in->cols, in->scale, in->range);
}

static size_t
bytes_moments(const struct qk_input *in)
{
    (void)in;
    return sizeof(struct qk_moments);
}

static size_t
bytes_central(const struct qk_input *in)
{
    (void)in;
    return 2 * sizeof(double);
}

static size_t
bytes_float(const struct qk_input *in)
{
    (void)in;
    return sizeof(float);
}

static size_t
bytes_double(const struct qk_input *in)
{
    (void)in;
    return sizeof(double);
}

static size_t
bytes_col(const struct qk_input *in)
{
    return (size_t)in->cols * sizeof(float);
}

static size_t
bytes_two_cols(const struct qk_input *in)
{
    return 2 * (size_t)in->cols * sizeof(float);
}

static size_t
bytes_n_8(const struct qk_input *in)
{
    return (size_t)in->n;
}

static size_t
bytes_n_16(const struct qk_input *in)
{
    return (size_t)in->n * sizeof(int16_t);
}

static size_t
bytes_n_32(const struct qk_input *in)
{
    return (size_t)in->n * sizeof(float);
}

static size_t
bytes_rows_8(const struct qk_input *in)
{
    return (size_t)(in->rows * in->cols);
}

static size_t
bytes_rows_16(const struct qk_input *in)
{
    return bytes_rows_8(in) * sizeof(int16_t);
}

static size_t
bytes_rows_32(const struct qk_input *in)
{
    return bytes_rows_8(in) * sizeof(float);
}

const struct qk_probe qk_probes[] = {
    {"moments", run_moments, bytes_moments},
    {"central", run_central, bytes_central},
    {"absmax", run_absmax, bytes_float},
    {"col_absmax", run_col_absmax, bytes_col},
    {"col_minmax", run_col_minmax, bytes_two_cols},
    {"quant_s8", run_quant_s8, bytes_n_8},
    {"quant_s16", run_quant_s16, bytes_n_16},
    {"quant_cols_s8", run_quant_cols_s8, bytes_rows_8},
    {"quant_cols_s16", run_quant_cols_s16, bytes_rows_16},
    {"dequant_s8", run_dequant_s8, bytes_n_32},
    {"dequant_s16", run_dequant_s16, bytes_n_32},
    {"dequant_cols_s8", run_dequant_cols_s8, bytes_rows_32},
    {"dequant_cols_s16", run_dequant_cols_s16, bytes_rows_32},
    {"error", run_error, bytes_double},
    {"error_cols", run_error_cols, bytes_double},
};
const int qk_n_probes = sizeof(qk_probes) / sizeof(qk_probes[0]);

/* ---- inputs ---- */

enum {
    N_MOST = 4099,
    GUARD = 64,
    OUT_MOST = N_MOST * 8 + 64, /* two floats a column, or a struct */
};

static uint64_t
next_random(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static float
from_bits(uint32_t bits)
{
    float v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static float
any_weight(uint64_t *rng, float scale) /* sum of uniforms: bell-shaped, a few sigma wide */
{
    (void)scale;
    float v = 0;
    for (int i = 0; i < 4; i++)
        v += (float)(int32_t)(next_random(rng) >> 32) * 0x1p-31f;
    return v;
}

static float
any_bits(uint64_t *rng, float scale) /* NaN, infinite, subnormal, huge */
{
    (void)scale;
    return from_bits((uint32_t)next_random(rng));
}

static float
any_tie(uint64_t *rng, float scale) /* quotients just between two integers, in and out of range */
{
    return ((float)(next_random(rng) % 600) - 299.5f) * scale;
}

static float
any_special(uint64_t *rng, float scale)
{
    static const uint32_t special[] = {
        0x00000000, 0x80000000,                                     /* zeros */
        0x00000001, 0x80000001, 0x007fffff, 0x00800000,             /* around the smallest normal */
        0x7f7fffff, 0xff7fffff,                                     /* largest */
        0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001, 0x7f800001, /* infinite, NaN */
        0x3f800000, 0xbf800000, 0x3f000000, 0xbf000000, 0x3fc00000, 0x40200000,
    };
    (void)scale;
    return from_bits(special[next_random(rng) % (sizeof(special) / sizeof(special[0]))]);
}

static float
any_zero(uint64_t *rng, float scale)
{
    (void)scale;
    return next_random(rng) & 1 ? 0.0f : -0.0f;
}

static float
any_subnormal(uint64_t *rng, float scale)
{
    (void)scale;
    return from_bits((uint32_t)next_random(rng) & 0x800001ff);
}

static const struct pattern {
    const char *name;
    float (*value)(uint64_t *rng, float scale);
} pattern[] = {
    {"weights", any_weight},  {"bits", any_bits},  {"ties", any_tie},
    {"special", any_special}, {"zeros", any_zero}, {"subnormal", any_subnormal},
};
enum { N_PATTERN = sizeof(pattern) / sizeof(pattern[0]) };

/* Scales of the cases; the last ones by column are made from them as well. */
static const float scale_table[] = {0.0078125f, 0.01f, 0.0f, 1.0f, 3.1e-5f, 1e-45f, 2.6e36f, 0.3f};
enum { N_SCALE = sizeof(scale_table) / sizeof(scale_table[0]) };
static const float limit_table[] = {INFINITY, 0.5f, 0.0f, 1.0f};
static const float range_table[] = {127, 7, 32767, 1};
static const int64_t col_table[] = {1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 70};
enum { N_COL = sizeof(col_table) / sizeof(col_table[0]) };

/* A page-aligned block followed by a page that may not be touched. */
struct fence {
    uint8_t *base, *end; /* end: the first byte out of bounds */
    size_t mapped;
};

static int
fence_init(struct fence *f, size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t body = (bytes + page - 1) / page * page;
    f->mapped = body + page;
    f->base = mmap(NULL, f->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (f->base == MAP_FAILED) {
        f->base = NULL;
        return -1;
    }
    f->end = f->base + body;
    return mprotect(f->end, page, PROT_NONE);
}

static void
fence_release(struct fence *f)
{
    if (f->base)
        munmap(f->base, f->mapped);
}

struct bench { /* memory of one comparison */
    struct fence x, q8, q16, scale, scale_f64;
    uint8_t *want, *got; /* GUARD, output, GUARD */
};

static int
bench_init(struct bench *b)
{
    *b = (struct bench){0};
    if (fence_init(&b->x, N_MOST * sizeof(float) + 3) || fence_init(&b->q8, N_MOST) ||
        fence_init(&b->q16, N_MOST * sizeof(int16_t)) ||
        fence_init(&b->scale, N_MOST * sizeof(float)) ||
        fence_init(&b->scale_f64, N_MOST * sizeof(double)))
        return -1;
    void *want = NULL, *got = NULL;
    const int failed = posix_memalign(&want, 64, OUT_MOST + 2 * GUARD) ||
                       posix_memalign(&got, 64, OUT_MOST + 2 * GUARD);
    b->want = want;
    b->got = got;
    return failed ? -1 : 0;
}

static void
bench_release(struct bench *b)
{
    fence_release(&b->x);
    fence_release(&b->q8);
    fence_release(&b->q16);
    fence_release(&b->scale);
    fence_release(&b->scale_f64);
    free(b->want);
    free(b->got);
}

struct test_case {
    int64_t n;
    int offset; /* bytes between the end of x and the fence */
    int pattern;
    int variation; /* picks scale, limit, range, columns */
};

static void
fill_case(struct bench *b, const struct test_case *t, uint64_t seed, struct qk_input *in)
{
    uint64_t rng =
        seed ^ (uint64_t)(t->n * 1009 + t->offset * 101 + t->pattern * 11 + t->variation);
    const int64_t n = t->n, wanted = col_table[t->variation % N_COL];
    const int64_t cols = wanted < n ? wanted : n;
    const float scale = scale_table[t->variation % N_SCALE];
    uint8_t *x = b->x.end - t->offset - n * (int64_t)sizeof(float);
    int8_t *q8 = (int8_t *)(b->q8.end - n);
    int16_t *q16 = (int16_t *)(void *)(b->q16.end - n * (int64_t)sizeof(*q16));
    float *scales = (float *)(void *)(b->scale.end - cols * (int64_t)sizeof(*scales));
    double *exact = (double *)(void *)(b->scale_f64.end - cols * (int64_t)sizeof(*exact));
    for (int64_t i = 0; i < n; i++) {
        const float v = pattern[t->pattern].value(&rng, scale);
        memcpy(x + i * (int64_t)sizeof(v), &v, sizeof(v));
        q8[i] = (int8_t)(next_random(&rng) >> 56);
        q16[i] = (int16_t)(next_random(&rng) >> 48);
    }
    for (int64_t c = 0; c < cols; c++) {
        scales[c] = scale_table[next_random(&rng) % N_SCALE];
        exact[c] = (double)scales[c] / 127;
    }
    *in = (struct qk_input){.x = x,
                            .q8 = q8,
                            .q16 = q16,
                            .scale = scales,
                            .scale_f64 = exact,
                            .n = n,
                            .rows = cols ? n / cols : 0,
                            .cols = cols,
                            .one_scale = scale,
                            .limit = limit_table[t->variation % 4],
                            .range = range_table[t->variation / 2 % 4],
                            .mean = (double)any_weight(&rng, 1) / 3};
}

static int
guards_hold(const uint8_t *out, size_t n, int fill)
{
    for (size_t i = 0; i < GUARD; i++)
        if (out[i] != fill || out[GUARD + n + i] != fill)
            return 0;
    return 1;
}

/* NULL when both agree, else what is wrong. */
static const char *
compare(const struct qk_probe *p, const struct qk_weights *k, const struct qk_input *in,
        struct bench *b)
{
    enum { FILL = 0xa5 };
    const size_t n = p->out_bytes(in);
    memset(b->want, FILL, n + 2 * GUARD);
    memset(b->got, FILL, n + 2 * GUARD);
    p->run(qk_weights_all[0], in, b->want + GUARD);
    p->run(k, in, b->got + GUARD);
    if (!guards_hold(b->got, n, FILL))
        return "writes beside its output";
    return memcmp(b->want + GUARD, b->got + GUARD, n) == 0 ? NULL : "differs from scalar";
}

static void
judge(const struct test_case *t, const struct qk_weights *k, uint64_t seed, struct bench *b,
      struct qk_verdict *verdict)
{
    struct qk_input in;
    fill_case(b, t, seed, &in);
    for (int i = 0; i < qk_n_probes; i++) {
        struct qk_verdict *v = &verdict[i];
        const char *wrong = compare(&qk_probes[i], k, &in, b);
        v->n_cases++;
        if (!wrong || !v->ok)
            continue;
        v->ok = 0;
        snprintf(v->detail, sizeof(v->detail),
                 "%s: n %lld, cols %lld, offset %d, %s, scale %g, variation %d, seed %llu", wrong,
                 (long long)t->n, (long long)in.cols, t->offset, pattern[t->pattern].name,
                 (double)in.one_scale, t->variation, (unsigned long long)seed);
    }
}

/* Sizes around the lanes, then longer ones. */
static int64_t
size_at(int i)
{
    enum { SMALL = 71 };
    static const int64_t more[] = {127, 128, 129, 1000, N_MOST};
    if (i < SMALL)
        return i;
    return i - SMALL < (int)(sizeof(more) / sizeof(more[0])) ? more[i - SMALL] : -1;
}

int
qk_selftest(const struct qk_weights *variant, uint64_t seed, struct qk_verdict *verdict)
{
    struct bench b;
    int n_failed = 0;
    for (int i = 0; i < qk_n_probes; i++)
        verdict[i] = (struct qk_verdict){.function = qk_probes[i].name, .ok = 1};
    if (bench_init(&b) != 0) {
        bench_release(&b);
        return -1;
    }
    int variation = 0;
    for (int s = 0; size_at(s) >= 0; s++)
        for (int offset = 0; offset < 4; offset++)
            for (int p = 0; p < N_PATTERN; p++, variation++) {
                const struct test_case t = {size_at(s), offset, p, variation};
                judge(&t, variant, seed, &b, verdict);
            }
    bench_release(&b);
    for (int i = 0; i < qk_n_probes; i++)
        n_failed += !verdict[i].ok;
    return n_failed;
}
