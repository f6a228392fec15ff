/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantization arithmetic of weights: the only place that rounds. Formulas in layer.h; rounding is
 * half to even, arithmetic float32, as WeightQuantization in
 * python/paddle/static/quantization/post_training_quantization.py (Paddle 2.6) computes them with
 * numpy, bit for bit.
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
/* min and max of each channel as well. */
void qs_channel_range(const struct qs_tensor *t, struct qs_channels ch, float *min, float *max);

/* Fills stats of a float32 or float16 tensor. */
void qs_layer_stats_of(const struct qs_tensor *t, int axis, struct qs_layer_stats *out);

/* SQNR in dB of quantizing t at `bits` with the scales of `axis` (-1: per tensor). */
double qs_sqnr_db(const struct qs_tensor *t, int axis, int bits);

/* counts[n_bins] over [lo, hi], last bin closed; elements outside or not finite are dropped. */
void qs_histogram(const struct qs_tensor *t, double lo, double hi, int n_bins, int64_t *counts);

/* The threshold of abs_max with threshold_rate (ptq: 5000-bin histogram of |w|). */
float qs_hist_threshold(const struct qs_tensor *t, double rate);

/* What quantizing one weight gives. */
struct qs_quantized {
    struct qs_buf *q; /* int8 (bits <= 8) or int16 values, n elements */
    int32_t dtype;    /* of q */
    float *scale;     /* [n_scales], malloc: w ~ q * scale */
    int n_scales;
    double sqnr_db;
};
/* Quantizes a finite float32 tensor; axis -1: per tensor, clipped at hist_threshold when
 * `rate` > 0. QS_ERR_MEMORY. */
enum qs_err qs_quantize(struct qs_ctx *cx, const struct qs_tensor *t, int axis, int bits,
                        double rate, struct qs_quantized *out) QS_MUST_CHECK;
/* float32 q * s in the layout of t. */
enum qs_err qs_dequantize(struct qs_ctx *cx, const struct qs_tensor *t, int axis,
                          const struct qs_quantized *q, struct qs_buf **out) QS_MUST_CHECK;
void qs_quantized_release(struct qs_quantized *q);

#endif
