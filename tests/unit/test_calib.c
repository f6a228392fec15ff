/* SPDX-License-Identifier: Apache-2.0 */
/* Calibrators: the growing histogram, what thresholds do to the values, Paddle's variants. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kernels/cpu.h"
#include "kernels/observe.h"
#include "model/calib_internal.h"

static struct qs_ctx cx;
static const struct qs_calib_options plain = {.bits = 8, .hist_percent = 0.9999};

/* ---- data ---- */

static uint64_t seed = 1;

static double
uniform(void) /* 0 .. 1 */
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(seed >> 11) / (double)(UINT64_C(1) << 53);
}

static double
normal(void)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += uniform();
    return sum;
}

/* Sums of uniforms, a tenth of them zeros, some ten times larger. */
static float *
values(int64_t n, double scale, bool relu)
{
    float *x = qs_xcalloc((size_t)n + 1, sizeof(*x));
    for (int64_t i = 0; i < n; i++) {
        const double v = uniform() < 0.1 ? 0 : scale * normal() * (uniform() < 0.001 ? 10 : 1);
        x[i] = (float)(relu && v < 0 ? 0 : v);
    }
    return x;
}

static struct qs_value
tensor(float *x, int64_t rows, int64_t cols)
{
    return (struct qs_value){
        .dtype = QS_DTYPE_float32, .n = 2, .d = {rows, cols}, .count = rows * cols, .f32 = x};
}

static void
add(struct qs_observer *o, float *x, int64_t rows, int64_t cols)
{
    const struct qs_value v = tensor(x, rows, cols);
    assert_int_equal(qs_observer_add(&cx, o, &v), QS_OK);
}

/* ---- kernels ---- */

static void
histogram_kernels_agree(void **state)
{
    enum { BINS = 64 };
    (void)state;
    for (int v = 1; qk_observe_all[v]; v++)
        for (int n = 0; n < 200 && qk_cpu_has(qk_observe_all[v]->need); n++) {
            uint32_t want[2 * BINS] = {0}, got[2 * BINS] = {0};
            float *x = values(n + 1, 1, false);
            x[n / 2] = 1e30f; /* beyond the last bin */
            qk_observe_all[0]->histogram(x + 1, n, BINS / 4.0f, BINS, want);
            qk_observe_all[v]->histogram(x + 1, n, BINS / 4.0f, BINS, got);
            assert_memory_equal(got, want, sizeof(want));
            free(x);
        }
}

static void
rounding_kernels_agree(void **state)
{
    static const struct qk_rounding r[] = {
        {0.7f, 127, -INFINITY, INFINITY, -128, 127},
        {0.3f, 127, 0, 0.3f, -1, 128},
        {0.01f, 1, -INFINITY, INFINITY, 0, 127},
    };
    static const float mean[] = {0.1f, -0.2f, 0.03f};
    (void)state;
    for (int v = 1; qk_observe_all[v]; v++)
        for (int n = 0; n <= QK_LEAF && qk_cpu_has(qk_observe_all[v]->need); n++) {
            float want[9] = {0}, got[9] = {0};
            float *x = values(n + 1, 0.5, false);
            qk_observe_all[0]->rounding(x + 1, n, r, 3, want, want + 3);
            qk_observe_all[v]->rounding(x + 1, n, r, 3, got, got + 3);
            qk_observe_all[0]->spread(x + 1, n, r, 3, mean, want + 6);
            qk_observe_all[v]->spread(x + 1, n, r, 3, mean, got + 6);
            assert_memory_equal(got, want, sizeof(want));
            free(x);
        }
}

/* ---- the histogram ---- */

enum { BATCHES = 12, BATCH = 3000 };

/* Batches of very different size of values, in some order. */
static struct qs_observer *
observe_in_order(float *const x[BATCHES], const int order[BATCHES],
                 const struct qs_calib_options *o)
{
    struct qs_observer *ob = qs_observer_new(o);
    for (int i = 0; i < BATCHES; i++)
        add(ob, x[order[i]], 3, BATCH / 3);
    return ob;
}

/* Counts of a pass that knows the range from the start. */
static void
count_two_pass(float *const x[BATCHES], const struct qs_observed *s, int64_t *count,
               int64_t *negative)
{
    memset(count, 0, sizeof(*count) * (size_t)s->n_bin);
    memset(negative, 0, sizeof(*count) * (size_t)s->n_bin);
    for (int b = 0; b < BATCHES; b++)
        for (int i = 0; i < BATCH; i++) {
            const int bin = (int)floor(fabs((double)x[b][i]) / s->width);
            assert_true(bin < s->n_bin);
            count[bin]++;
            negative[bin] += x[b][i] < 0;
        }
}

static void
shuffle(int order[BATCHES])
{
    for (int i = BATCHES - 1; i > 0; i--) {
        const int j = (int)(uniform() * (i + 1)), was = order[i];
        order[i] = order[j];
        order[j] = was;
    }
}

static void
grown_histogram_equals_that_of_two_passes(void **state)
{
    int64_t count[QS_CALIB_BINS], negative[QS_CALIB_BINS];
    (void)state;
    for (int round = 0; round < 20; round++) {
        float *x[BATCHES];
        int order[BATCHES];
        for (int i = 0; i < BATCHES; i++) {
            x[i] = values(BATCH, pow(10, 12 * uniform() - 6), round % 2);
            order[i] = i;
        }
        for (int i = 0; i < 3; i++) {
            struct qs_observed s;
            struct qs_observer *o = observe_in_order(x, order, &plain);
            qs_observer_result(o, &s);
            assert_true(s.width * s.n_bin > s.threshold[QS_ALGO_abs_max]);
            assert_true(s.width * s.n_bin <= 2 * s.threshold[QS_ALGO_abs_max]);
            count_two_pass(x, &s, count, negative);
            assert_memory_equal(s.count, count, sizeof(count));
            assert_memory_equal(s.negative, negative, sizeof(negative));
            qs_observer_free(o);
            shuffle(order);
        }
        for (int i = 0; i < BATCHES; i++)
            free(x[i]);
    }
}

static void
results_do_not_depend_on_threads(void **state)
{
    enum { N = 3 << 20 };
    struct qs_ctx one, many;
    struct qs_observed a, b;
    float *x = values(N, 1, false);
    const struct qs_value v = tensor(x, 1, N);
    struct qs_observer *oa = qs_observer_new(&plain), *ob = qs_observer_new(&plain);
    (void)state;
    qs_ctx_init(&one);
    qs_ctx_init(&many);
    one.threads = 1;
    many.threads = 5;
    assert_int_equal(qs_observer_add(&one, oa, &v), QS_OK);
    assert_int_equal(qs_observer_add(&many, ob, &v), QS_OK);
    qs_observer_result(oa, &a);
    qs_observer_result(ob, &b);
    assert_memory_equal(a.count, b.count, QS_CALIB_BINS * sizeof(*a.count));
    assert_memory_equal(a.threshold, b.threshold, sizeof(a.threshold));
    qs_observer_free(oa);
    qs_observer_free(ob);
    free(x);
}

/* ---- thresholds ---- */

static double
real_error(const float *x, int64_t n, int bits, double T)
{
    const double R = (1 << (bits - 1)) - 1;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double q = fmin(fmax(rint(x[i] / T * R), -R - 1), R);
        sum += (x[i] - q * T / R) * (x[i] - q * T / R);
    }
    return sum;
}

/* What `auto` goes by: squares of what is clipped count more. */
static double
real_cost(const float *x, int64_t n, int bits, double T)
{
    double clipped = 0;
    for (int64_t i = 0; i < n; i++) {
        const double beyond = fmax(fabs((double)x[i]) - T, 0);
        clipped += beyond * beyond;
    }
    return real_error(x, n, bits, T) + (QS_CLIPPED_COUNTS - 1) * clipped;
}

static double
real_sqnr(const float *x, int64_t n, int bits, double T)
{
    double energy = 0;
    for (int64_t i = 0; i < n; i++)
        energy += (double)x[i] * x[i];
    return 10 * log10(energy / real_error(x, n, bits, T));
}

enum { N = 50000 };

static void
sqnr_from_the_histogram_is_that_of_the_values(void **state)
{
    static const int bits[] = {2, 4, 8, 11, 12, 16};
    (void)state;
    for (int relu = 0; relu < 2; relu++) {
        float *x = values(N, 2.5, relu);
        struct qs_observed s;
        struct qs_observer *o = qs_observer_new(&plain);
        add(o, x, 10, N / 10);
        qs_observer_result(o, &s);
        for (size_t b = 0; b < QS_LEN(bits); b++)
            for (double T = s.threshold[QS_ALGO_abs_max]; T > 1; T *= 0.7)
                assert_float_equal(qs_observed_sqnr(&s, bits[b], T), real_sqnr(x, N, bits[b], T),
                                   0.05);
        for (int a = 0; a < QS_N_ALGO; a++)
            assert_float_equal(s.sqnr_db[a], real_sqnr(x, N, 8, s.threshold[a]), 0.05);
        qs_observer_free(o);
        free(x);
    }
}

static void
mse_finds_the_least_error_over_all_data(void **state)
{
    static const int bits[] = {2, 4, 8, 16};
    (void)state;
    for (size_t b = 0; b < QS_LEN(bits); b++)
        for (int relu = 0; relu < 2; relu++) {
            struct qs_calib_options opt = plain;
            struct qs_observed s;
            float *x = values(N, 0.1, relu);
            opt.bits = bits[b];
            struct qs_observer *o = qs_observer_new(&opt);
            for (int i = 0; i < 10; i++)
                add(o, x + i * (N / 10), 1, N / 10);
            qs_observer_result(o, &s);
            const double got = real_error(x, N, bits[b], s.threshold[QS_ALGO_mse]);
            for (double T = s.threshold[QS_ALGO_abs_max]; T > 1e-3; T *= 0.98)
                assert_true(got < 1.01 * real_error(x, N, bits[b], T));
            for (int a = 0; a < QS_N_ALGO; a++)
                assert_true(real_cost(x, N, bits[b], s.threshold[s.best]) <=
                            1.01 * real_cost(x, N, bits[b], s.threshold[a]));
            qs_observer_free(o);
            free(x);
        }
}

static int
compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void
percentile_and_hist_are_near_the_sorted_value(void **state)
{
    static const double percent[] = {0.5, 0.99, 0.9999, 1};
    float *x = values(N, 1, true);
    (void)state;
    for (size_t i = 0; i < QS_LEN(percent); i++) {
        struct qs_calib_options opt = plain;
        struct qs_observed s;
        opt.hist_percent = percent[i];
        struct qs_observer *o = qs_observer_new(&opt);
        add(o, x, 1, N);
        qs_observer_result(o, &s);
        float *sorted = qs_xcalloc(N, sizeof(*sorted));
        memcpy(sorted, x, N * sizeof(*x));
        qsort(sorted, N, sizeof(*sorted), compare_floats);
        const double want = sorted[(int)ceil(percent[i] * N) - 1];
        assert_true(fabs(s.threshold[QS_ALGO_percentile] - want) <= s.width);
        assert_true(fabs(s.threshold[QS_ALGO_hist] - want) <= s.width);
        assert_true(s.threshold[QS_ALGO_hist] <= s.threshold[QS_ALGO_abs_max]);
        qs_observer_free(o);
        free(sorted);
    }
    free(x);
}

static void
avg_is_the_mean_of_each_samples_largest(void **state)
{
    float a[] = {1, -2, 0, 4, 1, 1}, b[] = {-9, 3};
    struct qs_observed s;
    struct qs_observer *o = qs_observer_new(&plain);
    (void)state;
    add(o, a, 3, 2);
    add(o, b, 1, 2);
    qs_observer_result(o, &s);
    assert_float_equal(s.threshold[QS_ALGO_avg], (2 + 4 + 1 + 9) / 4.0, 1e-12);
    assert_float_equal(s.threshold[QS_ALGO_abs_max], 9, 0);
    assert_float_equal(s.min, -9, 0);
    assert_float_equal(s.max, 4, 0);
    assert_int_equal(s.n_samples, 4);
    assert_int_equal(s.n_zero, 1);
    qs_observer_free(o);
}

/* With 4 bits cutting off the largest pays; what the last batch alone wants does not count. */
static void
ptf_looks_at_all_batches(void **state)
{
    struct qs_calib_options opt = plain;
    struct qs_observed s;
    float *x = values(N, 1, true), last = 0.01f;
    (void)state;
    opt.bits = 4;
    struct qs_observer *o = qs_observer_new(&opt);
    add(o, x, 1, N);
    qs_observer_result(o, &s);
    const double before = s.threshold[QS_ALGO_ptf];
    assert_true(before < s.threshold[QS_ALGO_abs_max]);
    add(o, &last, 1, 1);
    qs_observer_result(o, &s);
    assert_true(s.threshold[QS_ALGO_ptf] == before);
    qs_observer_free(o);
    free(x);
}

/* Half of a tensor is zero after a relu: no reason to cut off more of the rest. */
static void
zeros_do_not_move_kl(void **state)
{
    struct qs_observed s;
    float *x = values(N, 1, false), *zeros = qs_xcalloc(N, sizeof(*zeros));
    struct qs_observer *o = qs_observer_new(&plain);
    (void)state;
    add(o, x, 1, N);
    qs_observer_result(o, &s);
    const double before = s.threshold[QS_ALGO_kl];
    add(o, zeros, 1, N);
    qs_observer_result(o, &s);
    assert_float_equal(s.threshold[QS_ALGO_kl], before, 0);
    qs_observer_free(o);
    free(x);
    free(zeros);
}

/* ---- odd tensors ---- */

static void
bad_samples_are_left_out_and_counted(void **state)
{
    float x[] = {1, 2, NAN, 100, -3, 0.5f, 7, -INFINITY}, all_bad[] = {NAN, 1};
    for (int paddle = 0; paddle < 2; paddle++) {
        struct qs_calib_options opt = plain;
        struct qs_observed s;
        opt.paddle = paddle;
        struct qs_observer *o = qs_observer_new(&opt);
        add(o, x, 4, 2);
        add(o, all_bad, 1, 2);
        while (qs_observer_again(o)) {
            add(o, x, 4, 2);
            add(o, all_bad, 1, 2);
        }
        qs_observer_result(o, &s);
        assert_int_equal(s.n_bad, 3);
        assert_int_equal(s.n_samples, 2);
        assert_int_equal(s.n_values, 4);
        assert_float_equal(s.threshold[QS_ALGO_abs_max], 3, 0);
        assert_float_equal(s.threshold[QS_ALGO_avg], 2.5, 0);
        qs_observer_free(o);
    }
    (void)state;
}

static void
nothing_seen_gives_no_threshold(void **state)
{
    int64_t integers[4] = {1, 2, 3, 4};
    const struct qs_value of_ints = {
        .dtype = QS_DTYPE_int64, .n = 1, .d = {4}, .count = 4, .i64 = integers};
    float none[1] = {5};
    struct qs_observed s;
    struct qs_observer *o = qs_observer_new(&plain);
    (void)state;
    assert_int_equal(qs_observer_add(&cx, o, &of_ints), QS_OK);
    add(o, none, 0, 7);
    qs_observer_result(o, &s);
    assert_int_equal(s.n_values, 0);
    for (int i = 0; i < QS_N_ALGO; i++)
        assert_true(isnan(s.threshold[i]));
    assert_true(isnan(qs_observed_sqnr(&s, 8, 1)));
    qs_observer_free(o);
}

static void
constants_are_exact(void **state)
{
    static const float value[] = {0, 3, -0.37f, 1e-38f};
    (void)state;
    for (size_t k = 0; k < QS_LEN(value); k++) {
        float x[64];
        struct qs_observed s;
        struct qs_observer *o = qs_observer_new(&plain);
        for (int i = 0; i < 64; i++)
            x[i] = value[k];
        add(o, x, 4, 16);
        qs_observer_result(o, &s);
        for (int i = 0; i < QS_N_ALGO; i++) {
            assert_float_equal(s.threshold[i], fabsf(value[k]), 0);
            assert_true(isinf(s.sqnr_db[i]));
        }
        qs_observer_free(o);
    }
}

static void
sizes_at_the_ends_of_float_are_taken(void **state)
{
    float x[] = {3.4e38f, -1e-45f, 1, -3e38f, 1e-30f, 0};
    struct qs_observed s;
    struct qs_observer *o = qs_observer_new(&plain);
    (void)state;
    for (int i = 0; i < 6; i++)
        add(o, &x[5 - i], 1, 1);
    qs_observer_result(o, &s);
    assert_int_equal(s.count[0], 4);
    assert_int_equal(s.negative[0], 1);
    for (int i = 0; i < QS_N_ALGO; i++)
        assert_true(s.threshold[i] > 0 && s.threshold[i] <= s.max);
    qs_observer_free(o);
}

/* ---- Paddle's variants ---- */

/* numpy.random.RandomState(seed): MT19937 and its older normal. */
static uint32_t mt[624];
static int mt_at;

static void
mt_seed(uint32_t s)
{
    for (uint32_t i = 0; i < 624; i++) {
        mt[i] = s;
        s = 1812433253u * (s ^ (s >> 30)) + i + 1;
    }
    mt_at = 624;
}

static uint32_t
mt_next(void)
{
    if (mt_at == 624) {
        for (int i = 0; i < 624; i++) {
            const uint32_t y = (mt[i] & 0x80000000u) | (mt[(i + 1) % 624] & 0x7fffffffu);
            mt[i] = mt[(i + 397) % 624] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
        }
        mt_at = 0;
    }
    uint32_t y = mt[mt_at++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

static double
mt_double(void)
{
    const double a = mt_next() >> 5;
    return (a * 67108864 + (mt_next() >> 6)) / 9007199254740992;
}

static void
mt_normals(float *x, int n)
{
    for (int i = 0; i < n; i += 2) {
        double x1, x2, r2;
        do {
            x1 = 2 * mt_double() - 1;
            x2 = 2 * mt_double() - 1;
            r2 = x1 * x1 + x2 * x2;
        } while (r2 >= 1 || r2 == 0);
        const double f = sqrt(-2 * log(r2) / r2);
        x[i] = (float)(f * x2);
        x[i + 1] = (float)(f * x1);
    }
}

/* What Paddle 2.6 finds for RandomState(3).randn(8, 3, 16, 16) in batches of 2. */
static void
paddle_variants_equal_paddle(void **state)
{
    static const double want[2][QS_N_ALGO] = {
        {[QS_ALGO_abs_max] = 4.091393,
         [QS_ALGO_avg] = 3.369392,
         [QS_ALGO_hist] = 4.090377,
         [QS_ALGO_kl] = 3.704813,
         [QS_ALGO_mse] = 2.946663,
         [QS_ALGO_emd] = 2.946663,
         [QS_ALGO_ptf] = 3.083502},
        {[QS_ALGO_abs_max] = 4.091393,
         [QS_ALGO_avg] = 3.369392,
         [QS_ALGO_hist] = 4.090377,
         [QS_ALGO_kl] = 3.704813,
         [QS_ALGO_mse] = 2.946663,
         [QS_ALGO_emd] = 3.628409,
         [QS_ALGO_ptf] = 3.083502},
    };
    enum { ALL = 8 * 3 * 16 * 16 };
    static float x[ALL];
    (void)state;
    mt_seed(3);
    mt_normals(x, ALL);
    for (int qdq = 0; qdq < 2; qdq++) {
        const struct qs_calib_options opt = {
            .bits = 8, .hist_percent = 0.9999, .paddle = true, .qdq = qdq};
        struct qs_observed s;
        struct qs_observer *o = qs_observer_new(&opt);
        do
            for (int b = 0; b < 4; b++)
                add(o, x + b * ALL / 4, 2, ALL / 8);
        while (qs_observer_again(o));
        qs_observer_result(o, &s);
        for (int a = 0; a < QS_ALGO_min_max; a++)
            assert_float_equal(s.threshold[a], want[qdq][a], 6e-7);
        qs_observer_free(o);
    }
}

static void
only_algorithms_asked_for_cost_time(void **state)
{
    struct qs_calib_options opt = {.bits = 8,
                                   .hist_percent = 0.9999,
                                   .paddle = true,
                                   .algos = 1 << QS_ALGO_avg | 1 << QS_ALGO_ptf};
    struct qs_observed s;
    struct qs_observer *o = qs_observer_new(&opt);
    float x[] = {1, 2, 3, 4};
    (void)state;
    add(o, x, 2, 2);
    assert_false(qs_observer_again(o));
    qs_observer_result(o, &s);
    assert_true(isnan(s.threshold[QS_ALGO_mse]) && isnan(s.threshold[QS_ALGO_hist]));
    assert_float_equal(s.threshold[QS_ALGO_avg], 3, 0);
    assert_float_equal(s.threshold[QS_ALGO_ptf], 4, 0);
    qs_observer_free(o);
}

/* cal_kl_threshold.py, bin by bin. */
static double
divergence_by_bin(const double *h, int n, int i, int steps)
{
    double *p = qs_xcalloc((size_t)i, sizeof(*p)), *q = qs_xcalloc((size_t)i, sizeof(*q));
    double P = 0, Q = 0, d = 0;
    const int size = i / steps;
    for (int k = 0; k < n; k++) {
        P += h[k];
        p[k < i ? k : i - 1] += h[k];
    }
    for (int g = 0; g < steps; g++) {
        const int from = g * size, to = g == steps - 1 ? i : from + size;
        double sum = 0, used = 0;
        for (int k = from; k < to; k++) {
            sum += h[k];
            used += p[k] != 0;
        }
        for (int k = from; k < to; k++)
            q[k] = p[k] != 0 ? sum / used : 0;
    }
    for (int k = 0; k < i; k++)
        Q += q[k];
    for (int k = 0; k < i; k++)
        d += p[k] != 0 ? p[k] * log(Q * p[k]) - p[k] * log(P * q[k]) : 0;
    free(p);
    free(q);
    return d / P;
}

static void
divergence_by_group_equals_that_by_bin(void **state)
{
    enum { BINS = 300, STEPS = 7 };
    (void)state;
    for (int round = 0; round < 20; round++) {
        double h[BINS];
        struct qs_kl k;
        for (int i = 0; i < BINS; i++)
            h[i] = uniform() < 0.05 * round ? 0 : floor(1000 * exp(-i / 50.0) * uniform());
        qs_kl_init(&k, h, BINS);
        for (int i = STEPS; i <= BINS; i++) {
            const double want = divergence_by_bin(h, BINS, i, STEPS);
            const double got = qs_kl_divergence(&k, i, STEPS);
            if (isfinite(want))
                assert_true(fabs(got - want) <= 1e-10 * fmax(1, fabs(want)));
            else
                assert_true(isinf(got));
        }
        qs_kl_release(&k);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(histogram_kernels_agree),
        cmocka_unit_test(rounding_kernels_agree),
        cmocka_unit_test(grown_histogram_equals_that_of_two_passes),
        cmocka_unit_test(results_do_not_depend_on_threads),
        cmocka_unit_test(sqnr_from_the_histogram_is_that_of_the_values),
        cmocka_unit_test(mse_finds_the_least_error_over_all_data),
        cmocka_unit_test(percentile_and_hist_are_near_the_sorted_value),
        cmocka_unit_test(avg_is_the_mean_of_each_samples_largest),
        cmocka_unit_test(ptf_looks_at_all_batches),
        cmocka_unit_test(zeros_do_not_move_kl),
        cmocka_unit_test(bad_samples_are_left_out_and_counted),
        cmocka_unit_test(nothing_seen_gives_no_threshold),
        cmocka_unit_test(constants_are_exact),
        cmocka_unit_test(sizes_at_the_ends_of_float_are_taken),
        cmocka_unit_test(paddle_variants_equal_paddle),
        cmocka_unit_test(only_algorithms_asked_for_cost_time),
        cmocka_unit_test(divergence_by_group_equals_that_by_bin),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    qs_ctx_init(&cx);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
