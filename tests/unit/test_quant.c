/* SPDX-License-Identifier: Apache-2.0 */
/* Quantization arithmetic. Numbers said to be numpy's come from numpy 1.26 and the methods of
 * Paddle 2.6's WeightQuantization; tests/parity/quant.py compares many more. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "model/quant.h"

static struct qs_ctx cx;

/* A tensor whose data start at an odd address. */
static struct qs_tensor
tensor_of(int32_t dtype, const void *data, int n_dims, const int64_t *dims)
{
    struct qs_tensor t = {.dtype = dtype, .n_dims = n_dims, .dims = dims, .n = 1, .offset = 1};
    for (int i = 0; i < n_dims; i++)
        t.n *= dims[i];
    t.bytes = (size_t)t.n * (size_t)qs_dtype_bytes(dtype);
    assert_int_equal(qs_buf_new(&cx, t.bytes + t.offset, &t.buf), QS_OK);
    memcpy(t.buf->data + t.offset, data, t.bytes);
    return t;
}

static void
drop(struct qs_tensor *t)
{
    qs_buf_unref(t->buf);
}

/* The array the numpy numbers were computed on: uniform with a few that are ten times larger. */
enum { N_SAMPLE = 20000 };
static const int64_t sample_dims[] = {N_SAMPLE};

static struct qs_tensor
sample_tensor(void)
{
    float *v = qs_xcalloc(N_SAMPLE, sizeof(*v));
    for (int i = 0; i < N_SAMPLE; i++) {
        v[i] = (float)(i * 7919 % 20011 - 10005) * 1e-5f;
        v[i] = i % 97 == 0 ? v[i] * 10.0f : v[i];
    }
    const struct qs_tensor t = tensor_of(QS_DTYPE_float32, v, 1, sample_dims);
    free(v);
    return t;
}

static void
channels_follow_the_axis(void **state)
{
    static const int64_t dims[] = {4, 3, 2, 5};
    static const struct {
        int axis;
        struct qs_channels want;
    } row[] = {
        {-1, {1, 1, 120}}, {0, {1, 4, 30}}, {1, {4, 3, 10}},
        {2, {12, 2, 5}},   {3, {24, 5, 1}}, {4, {1, 1, 120}},
    };
    const struct qs_tensor t = {.n_dims = 4, .dims = dims, .n = 120};
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++) {
        const struct qs_channels ch = qs_channels_of(&t, row[i].axis);
        assert_int_equal(ch.n_outer, row[i].want.n_outer);
        assert_int_equal(ch.n_channels, row[i].want.n_channels);
        assert_int_equal(ch.n_inner, row[i].want.n_inner);
    }
}

static void
range_is_largest_integer_of_bits(void **state)
{
    (void)state;
    assert_float_equal(qs_quant_range(2), 1, 0);
    assert_float_equal(qs_quant_range(8), 127, 0);
    assert_float_equal(qs_quant_range(16), 32767, 0);
}

static void
stats_of_four_numbers(void **state)
{
    static const int64_t dims[] = {2, 3};
    static const float v[] = {1, 2, 3, 4, NAN, -INFINITY};
    struct qs_tensor t = tensor_of(QS_DTYPE_float32, v, 2, dims);
    struct qs_layer_stats s;
    (void)state;
    qs_layer_stats_of(&t, 0, &s);
    assert_true(s.valid);
    assert_int_equal(s.n_bad, 2);
    assert_float_equal(s.min, 1, 0);
    assert_float_equal(s.max, 4, 0);
    assert_float_equal(s.absmax, 4, 0);
    assert_float_equal(s.mean, 2.5, 0);
    assert_float_equal(s.std, sqrt(1.25), 1e-15);
    assert_float_equal(s.kurtosis, 1.64, 1e-15);
    assert_float_equal(s.sparsity, 0, 0);
    assert_float_equal(s.channel_range_ratio, 4 / 3.5, 1e-15); /* maxima 3 and 4 */
    drop(&t);
}

static void
stats_of_zeros_count_as_sparse(void **state)
{
    static const int64_t dims[] = {4};
    static const float v[] = {0, -0.0f, 0, 0};
    struct qs_tensor t = tensor_of(QS_DTYPE_float32, v, 1, dims);
    struct qs_layer_stats s;
    (void)state;
    qs_layer_stats_of(&t, 0, &s);
    assert_true(s.valid);
    assert_float_equal(s.sparsity, 1, 0);
    assert_float_equal(s.channel_range_ratio, 1, 0);
    assert_true(isnan(s.kurtosis));
    drop(&t);
}

static void
stats_are_not_valid_without_finite_floats(void **state)
{
    static const int64_t two[] = {2}, none[] = {0};
    static const float bad[] = {NAN, INFINITY};
    static const int8_t integers[] = {1, 2};
    const struct {
        int32_t dtype;
        const void *data;
        const int64_t *dims;
        int64_t n_bad;
    } row[] = {
        {QS_DTYPE_float32, bad, two, 2},
        {QS_DTYPE_float32, bad, none, 0},
        {QS_DTYPE_int8, integers, two, 0},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++) {
        struct qs_tensor t = tensor_of(row[i].dtype, row[i].data, 1, row[i].dims);
        struct qs_layer_stats s;
        qs_layer_stats_of(&t, 0, &s);
        assert_false(s.valid);
        assert_int_equal(s.n_bad, row[i].n_bad);
        drop(&t);
    }
}

static void
halves_are_widened_exactly(void **state)
{
    static const struct {
        int32_t dtype;
        uint16_t bits;
        double want;
    } row[] = {
        {QS_DTYPE_float16, 0x3c00, 1},
        {QS_DTYPE_float16, 0xc000, -2},
        {QS_DTYPE_float16, 0x7bff, 65504},
        {QS_DTYPE_float16, 0x0001, 0x1p-24},
        {QS_DTYPE_float16, 0x83ff, -1023 * 0x1p-24},
        {QS_DTYPE_float16, 0x0400, 0x1p-14},
        {QS_DTYPE_bfloat16, 0x3f80, 1},
        {QS_DTYPE_bfloat16, 0xc2f7, -123.5},
    };
    static const int64_t dims[] = {1};
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++) {
        struct qs_tensor t = tensor_of(row[i].dtype, &row[i].bits, 1, dims);
        struct qs_layer_stats s;
        qs_layer_stats_of(&t, -1, &s);
        assert_float_equal(s.mean, row[i].want, 0);
        drop(&t);
    }
}

static void
halves_that_are_not_finite_are_counted(void **state)
{
    static const uint16_t v[] = {0x7c00, 0xfc00, 0x7c01, 0x7e00, 0x3c00};
    static const int64_t dims[] = {5};
    struct qs_tensor t = tensor_of(QS_DTYPE_float16, v, 1, dims);
    struct qs_layer_stats s;
    (void)state;
    qs_layer_stats_of(&t, -1, &s);
    assert_int_equal(s.n_bad, 4);
    assert_float_equal(s.max, 1, 0);
    drop(&t);
}

static float
naive_absmax(const float *v, struct qs_channels ch, int64_t channel)
{
    float most = 0;
    for (int64_t o = 0; o < ch.n_outer; o++)
        for (int64_t i = 0; i < ch.n_inner; i++)
            most = fmaxf(most, fabsf(v[(o * ch.n_channels + channel) * ch.n_inner + i]));
    return most;
}

/* Numbers that float32 and bfloat16 both hold; 3 * 5000 does not fit the pieces of halves. */
static void
absmax_is_that_of_each_channel_on_any_axis(void **state)
{
    static const int64_t dims[] = {7, 3, 5000};
    enum { N = 7 * 3 * 5000 };
    float *v = qs_xcalloc(N, sizeof(*v)), *got = qs_xcalloc(5000, sizeof(*got));
    uint16_t *half = qs_xcalloc(N, sizeof(*half));
    (void)state;
    for (int i = 0; i < N; i++) {
        const uint32_t wide = 0x3f000000u + ((uint32_t)i * 2654435761u >> 22 << 16);
        memcpy(&v[i], &wide, sizeof(wide));
        half[i] = (uint16_t)(wide >> 16);
    }
    struct qs_tensor t[] = {tensor_of(QS_DTYPE_float32, v, 3, dims),
                            tensor_of(QS_DTYPE_bfloat16, half, 3, dims)};
    for (int k = 0; k < 2; k++)
        for (int axis = -1; axis < 3; axis++) {
            const struct qs_channels ch = qs_channels_of(&t[k], axis);
            assert_int_equal(qs_channel_absmax(&t[k], ch, got), 0);
            for (int64_t c = 0; c < ch.n_channels; c++)
                assert_float_equal(got[c], naive_absmax(v, ch, c), 0);
        }
    drop(&t[0]);
    drop(&t[1]);
    free(v);
    free(got);
    free(half);
}

static void
channel_range_is_nan_without_finite_elements(void **state)
{
    static const int64_t dims[] = {2, 3};
    static const float v[] = {-1, NAN, 5, 2, INFINITY, 4};
    struct qs_tensor t = tensor_of(QS_DTYPE_float32, v, 2, dims);
    float min[3], max[3];
    (void)state;
    qs_channel_range(&t, qs_channels_of(&t, 1), min, max);
    assert_float_equal(min[0], -1, 0);
    assert_float_equal(max[0], 2, 0);
    assert_true(isnan(min[1]) && isnan(max[1]));
    assert_float_equal(min[2], 4, 0);
    qs_channel_range(&t, qs_channels_of(&t, 0), min, max);
    assert_float_equal(min[0], -1, 0);
    assert_float_equal(max[0], 5, 0);
    drop(&t);
}

static void
sqnr_is_infinite_when_nothing_is_lost(void **state)
{
    static const int64_t dims[] = {2, 2};
    static const float v[] = {127, -3, 64, 0};
    struct qs_tensor t = tensor_of(QS_DTYPE_float32, v, 2, dims);
    (void)state;
    assert_true(isinf(qs_sqnr_db(&t, -1, 8)));
    drop(&t);
}

static void
sqnr_of_known_errors(void **state)
{
    /* scale 1 at 8 bits: errors 0, 0.25, -0.5, 0 */
    static const int64_t dims[] = {4, 1};
    static const float v[] = {127, 2.25f, 2.5f + 1, 10};
    struct qs_tensor t = tensor_of(QS_DTYPE_float32, v, 2, dims);
    (void)state;
    const double signal = 127.0 * 127 + 2.25 * 2.25 + 3.5 * 3.5 + 100;
    assert_float_equal(qs_sqnr_db(&t, -1, 8), 10 * log10(signal / (0.0625 + 0.25)), 1e-12);
    assert_float_equal(qs_sqnr_db(&t, 1, 8), qs_sqnr_db(&t, -1, 8), 0);
    assert_true(qs_sqnr_db(&t, 0, 8) > 100); /* each its own channel */
    drop(&t);
}

static void
quantize_rounds_half_to_even(void **state)
{
    static const int64_t dims[] = {8};
    static const float v[] = {127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 0.49999997f};
    static const int8_t want[] = {127, 0, 2, 2, 0, -2, -2, 0};
    struct qs_tensor t = tensor_of(QS_DTYPE_float32, v, 1, dims);
    struct qs_quantized q;
    (void)state;
    assert_int_equal(qs_quantize(&cx, &t, -1, 8, 0, &q), QS_OK);
    assert_int_equal(q.dtype, QS_DTYPE_int8);
    assert_int_equal(q.n_scales, 1);
    assert_float_equal(q.scale[0], 1, 0);
    assert_memory_equal(q.q->data, want, sizeof(want));
    qs_quantized_release(&q);
    drop(&t);
}

static void
quantize_gives_int16_above_8_bits(void **state)
{
    static const int64_t dims[] = {2, 2};
    static const float v[] = {1, -0.5f, 3, 0};
    static const int16_t want[] = {32767, -32767, 32767, 0}; /* column 1: max 0.5 */
    struct qs_tensor t = tensor_of(QS_DTYPE_float32, v, 2, dims);
    struct qs_quantized q;
    (void)state;
    assert_int_equal(qs_quantize(&cx, &t, 1, 16, 0, &q), QS_OK);
    assert_int_equal(q.dtype, QS_DTYPE_int16);
    assert_int_equal(((const int16_t *)(void *)q.q->data)[0], 10922);
    assert_memory_equal(q.q->data + 2, want + 1, 3 * sizeof(*want));
    qs_quantized_release(&q);
    drop(&t);
}

static void
channel_of_zeros_has_scale_zero(void **state)
{
    static const int64_t dims[] = {2, 3};
    static const float v[] = {0, -0.0f, 0, 1, 2, 4};
    struct qs_tensor t = tensor_of(QS_DTYPE_float32, v, 2, dims);
    struct qs_quantized q;
    struct qs_buf *y = NULL;
    (void)state;
    assert_int_equal(qs_quantize(&cx, &t, 0, 8, 0, &q), QS_OK);
    assert_float_equal(q.scale[0], 0, 0);
    assert_memory_equal(q.q->data, "\0\0\0", 3);
    assert_int_equal(qs_dequantize(&cx, &t, 0, &q, &y), QS_OK);
    assert_float_equal(((const float *)(void *)y->data)[1], 0, 0);
    assert_float_equal(((const float *)(void *)y->data)[5], 4, 1e-6);
    qs_buf_unref(y);
    qs_quantized_release(&q);
    drop(&t);
}

static void
dequantize_rounds_once_from_double(void **state)
{
    struct qs_tensor t = sample_tensor();
    struct qs_quantized q;
    struct qs_buf *y = NULL;
    int n_differ = 0; /* from the product of float32 numbers */
    (void)state;
    assert_int_equal(qs_quantize(&cx, &t, -1, 8, 0, &q), QS_OK);
    assert_int_equal(qs_dequantize(&cx, &t, -1, &q, &y), QS_OK);
    for (int i = 0; i < N_SAMPLE; i++) {
        const int8_t v = ((const int8_t *)q.q->data)[i];
        const float got = ((const float *)(void *)y->data)[i];
        assert_float_equal(got, (float)(v * q.exact[0]), 0);
        n_differ += got != (float)v * q.scale[0];
    }
    assert_true(n_differ > 0);
    qs_buf_unref(y);
    qs_quantized_release(&q);
    drop(&t);
}

static void
subnormal_scale_keeps_integers_in_range(void **state)
{
    float v[40];
    (void)state;
    for (int i = 0; i < 40; i++)
        v[i] = (float)(i + 1) * 0x1p-149f;
    for (int64_t n = 1; n <= 40; n++) {
        const int64_t one[] = {n};
        struct qs_tensor t = tensor_of(QS_DTYPE_float32, v, 1, one);
        struct qs_quantized q;
        assert_int_equal(qs_quantize(&cx, &t, -1, 4, 0, &q), QS_OK);
        for (int64_t i = 0; i < n; i++)
            assert_true(((const int8_t *)q.q->data)[i] <= 7);
        qs_quantized_release(&q);
        drop(&t);
    }
}

static void
quantize_refuses_integers(void **state)
{
    static const int64_t dims[] = {2};
    static const int8_t v[] = {1, 2};
    struct qs_tensor t = tensor_of(QS_DTYPE_int8, v, 1, dims);
    struct qs_quantized q;
    (void)state;
    assert_int_equal(qs_quantize(&cx, &t, -1, 8, 0, &q), QS_ERR_UNSUPPORTED);
    qs_quantized_release(&q);
    qs_clear(&cx);
    drop(&t);
}

static void
threshold_equals_numpy(void **state)
{
    static const struct {
        double rate;
        float want;
    } row[] = {
        {1e-6, 0x1.0020c4p+0f},
        {1e-3, 0x1.d0006p-1f},
        {0.009, 0x1.08bbep-3f},
        {0.5, 0x1.9eb8f2p-5f},
    };
    struct qs_tensor t = sample_tensor();
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++)
        assert_float_equal(qs_hist_threshold(&t, row[i].rate), row[i].want, 0);
    drop(&t);
}

static void
threshold_of_zeros_equals_numpy(void **state)
{
    static const int64_t dims[] = {9};
    static const float v[9] = {0};
    struct qs_tensor t = tensor_of(QS_DTYPE_float32, v, 1, dims);
    (void)state;
    assert_float_equal(qs_hist_threshold(&t, 1e-6), 0x1.001b54p-1f, 0);
    drop(&t);
}

static void
threshold_clips_what_is_above(void **state)
{
    struct qs_tensor t = sample_tensor();
    struct qs_quantized q;
    int n_most = 0;
    (void)state;
    assert_int_equal(qs_quantize(&cx, &t, -1, 8, 0.009, &q), QS_OK);
    assert_float_equal(q.scale[0], 0x1.08bbep-3f / 127, 1e-10);
    for (int i = 0; i < N_SAMPLE; i++)
        n_most += abs(((const int8_t *)q.q->data)[i]) == 127;
    assert_true(n_most > 100);
    qs_quantized_release(&q);
    drop(&t);
}

enum { BINS_MOST = 10 };
static const struct histogram_row {
    const char *what;
    double lo, hi;
    int n_bins;
    int64_t want[BINS_MOST];
} of_sample[] =
    {
        {"inside", -0.1, 0.1, 7, {2829, 2828, 2829, 2829, 2829, 2828, 2832}},
        {"upside down", 1, -1, 2, {0, 0}},
        {"not a number", NAN, 1, 2, {0, 0}},
        {"infinite", -INFINITY, INFINITY, 2, {0, 0}},
},
  of_tenths[] =
      {
          {"on the edges", 0, 1, 10, {1, 1, 1, 1, 1, 1, 1, 1, 1, 2}},
          {"rounded edges", 0.1, 0.9, 3, {3, 3, 3}},
          {"one unit around a point", 0.5, 0.5, 2, {5, 6}},
},
  of_huge[] = {
      {"wider than float32", -3e38, 3e38, 4, {1, 1, 2, 1}},
};

static void
check_histograms(const struct qs_tensor *t, const struct histogram_row *row, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int64_t got[BINS_MOST];
        qs_histogram(t, row[i].lo, row[i].hi, row[i].n_bins, got);
        for (int b = 0; b < row[i].n_bins; b++)
            if (got[b] != row[i].want[b])
                fail_msg("%s: bin %d has %lld", row[i].what, b, (long long)got[b]);
    }
}

static void
histogram_equals_numpy(void **state)
{
    static const int64_t eleven[] = {11}, seven[] = {7};
    static const float huge[] = {-3e38f, -1e38f, 0, 1e38f, 3e38f, NAN, INFINITY};
    float tenths[11];
    (void)state;
    for (int i = 0; i < 11; i++)
        tenths[i] = (float)(i / 10.0);
    struct qs_tensor t = sample_tensor();
    check_histograms(&t, of_sample, QS_LEN(of_sample));
    drop(&t);
    t = tensor_of(QS_DTYPE_float32, tenths, 1, eleven);
    check_histograms(&t, of_tenths, QS_LEN(of_tenths));
    drop(&t);
    t = tensor_of(QS_DTYPE_float32, huge, 1, seven);
    check_histograms(&t, of_huge, QS_LEN(of_huge));
    drop(&t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(channels_follow_the_axis),
        cmocka_unit_test(range_is_largest_integer_of_bits),
        cmocka_unit_test(stats_of_four_numbers),
        cmocka_unit_test(stats_of_zeros_count_as_sparse),
        cmocka_unit_test(stats_are_not_valid_without_finite_floats),
        cmocka_unit_test(halves_are_widened_exactly),
        cmocka_unit_test(halves_that_are_not_finite_are_counted),
        cmocka_unit_test(absmax_is_that_of_each_channel_on_any_axis),
        cmocka_unit_test(channel_range_is_nan_without_finite_elements),
        cmocka_unit_test(sqnr_is_infinite_when_nothing_is_lost),
        cmocka_unit_test(sqnr_of_known_errors),
        cmocka_unit_test(quantize_rounds_half_to_even),
        cmocka_unit_test(quantize_gives_int16_above_8_bits),
        cmocka_unit_test(channel_of_zeros_has_scale_zero),
        cmocka_unit_test(dequantize_rounds_once_from_double),
        cmocka_unit_test(subnormal_scale_keeps_integers_in_range),
        cmocka_unit_test(quantize_refuses_integers),
        cmocka_unit_test(threshold_equals_numpy),
        cmocka_unit_test(threshold_of_zeros_equals_numpy),
        cmocka_unit_test(threshold_clips_what_is_above),
        cmocka_unit_test(histogram_equals_numpy),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    qs_ctx_init(&cx);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
