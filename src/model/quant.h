/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantization arithmetic of weights: the only place that rounds. Formulas in layer.h; rounding is
 * half to even, as WeightQuantization in
 * python/paddle/static/quantization/post_training_quantization.py (Paddle 2.6) computes them with
 * numpy, bit for bit: scales are float64 (max / R) and rounded to float32 where they divide the
 * weights and where they are stored; q * s is rounded once, from double.
 * That goes as far as subnormal scales (weights of about 1e-40), where an integer may leave the
 * range and wraps around; only at widths other than 8 and 16 is the next larger scale taken.
 *
 * Tensors of float32, float16 and bfloat16 are read, halves widened to float32; of others nothing
 * is read, as if they were empty.
 */
#ifndef QS_MODEL_QUANT_H
#define QS_MODEL_QUANT_H

#include "model/layer.h"

/* How a weight is cut into channels: n_outer blocks of n_channels runs of n_inner elements.
 * Per tensor: n_channels 1. */
struct qs_channels {
    int64_t n_outer, n_channels, n_inner;
};
/* axis -1: the whole tensor is one channel. */
struct qs_channels qs_channels_of(const struct qs_tensor *t, int axis);

/* Largest integer of `bits`: 2^(bits-1) - 1. */
float qs_quant_range(int bits);

/* absmax[n_channels] of the finite elements; returns how many elements are not finite. */
int64_t qs_channel_absmax(const struct qs_tensor *t, struct qs_channels ch, float *absmax);
/* min[n_channels] and max[n_channels] of the finite elements; NaN where there is none. */
void qs_channel_range(const struct qs_tensor *t, struct qs_channels ch, float *min, float *max);

/* Fills stats; not valid when the tensor is not of floats or no element is finite (n_bad is filled
 * all the same). kurtosis is NaN when all elements are equal. std: population. */
void qs_layer_stats_of(const struct qs_tensor *t, int axis, struct qs_layer_stats *out);

/* SQNR in dB of quantizing the finite elements of t at `bits` with the scales of `axis` (-1: per
 * tensor). */
double qs_sqnr_db(const struct qs_tensor *t, int axis, int bits);

/* counts[n_bins] over [lo, hi], last bin closed, as numpy.histogram counts float32 elements;
 * elements outside or not finite are dropped, all of them when lo > hi or a bound is no float32.
 * lo == hi counts over one unit around it. */
void qs_histogram(const struct qs_tensor *t, double lo, double hi, int n_bins, int64_t *counts);

/* The threshold of abs_max with threshold_rate (ptq: 5000-bin histogram of |w|), in double, as
 * numpy multiplies an index by a float32 width. */
double qs_hist_threshold(const struct qs_tensor *t, double rate);

/* What quantizing one weight gives. */
struct qs_quantized {
    struct qs_buf *q; /* int8 (bits <= 8) or int16 values, n elements */
    int32_t dtype;    /* of q */
    float *scale;     /* [n_scales], malloc: w ~ q * scale; to be stored */
    double *exact;    /* [n_scales], malloc: the same before rounding to float32 */
    int n_scales;
    double sqnr_db;
};
/* Quantizes a tensor of finite floats; axis -1: per tensor, clipped at qs_hist_threshold when
 * `rate` >= 1e-10. A channel of zeros has scale 0. QS_ERR_MEMORY; QS_ERR_UNSUPPORTED when it is
 * not of floats. `out` is released by the caller in any case. */
enum qs_err qs_quantize(struct qs_ctx *cx, const struct qs_tensor *t, int axis, int bits,
                        double rate, struct qs_quantized *out) QS_MUST_CHECK;
/* float32 q * exact in the layout of t; new buffer. */
enum qs_err qs_dequantize(struct qs_ctx *cx, const struct qs_tensor *t, int axis,
                          const struct qs_quantized *q, struct qs_buf **out) QS_MUST_CHECK;
void qs_quantized_release(struct qs_quantized *q);

#endif
