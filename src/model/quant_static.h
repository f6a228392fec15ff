/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic of statically quantized weights. A weight w with threshold T (largest |w| that is
 * kept, of a tensor or channel) and R = 2^(bits-1) - 1 is w ~ q * T / R. Everything is in single
 * precision and in the order of the reference, so that integers are equal bit for bit.
 */
#ifndef QS_MODEL_QUANT_STATIC_H
#define QS_MODEL_QUANT_STATIC_H

#include "model/quant.h"

/* Who rounds. The first two are how Paddle quantizes a weight for good (quant_tensor in
 * python/paddle/static/quantization/utils.py), the others what its operators compute from float
 * weights (paddle/phi/kernels/impl/quantize_linear_impl.h, fake_quantize_op.cc), with
 * inv = 1 / T, or 1 / (T + 1e-6) when T <= 1e-30. A threshold 0 counts as 1e-8 for the first two.
 */
enum qs_static_rounding {
    QS_STATIC_QDQ,  /* clamp(rint(w / T * R), -R - 1, R) */
    QS_STATIC_FAKE, /* rint(clamp(w, -T, T) / T * R) */
    QS_STATIC_EVEN, /* clamp(rint(R * inv * w), -R - 1, R) */
    QS_STATIC_AWAY, /* round(R * inv * clamp(w, -T, T)), half away from zero */
};

/* q of a float32 tensor: new buffer of int8 (bits <= 8) or int16 in its layout. axis -1: one
 * threshold; else one for each channel. QS_ERR_FORMAT: not float32, NaN or infinite. */
enum qs_err qs_static_quantize(struct qs_ctx *cx, const struct qs_tensor *t, int axis, int bits,
                               const double *threshold, enum qs_static_rounding how,
                               struct qs_buf **out) QS_MUST_CHECK;
/* q of a tensor that holds integers: int8, int16, or float32 of integral values. QS_ERR_FORMAT:
 * another type, or a value that is no integer of that many bits. */
enum qs_err qs_static_integers(struct qs_ctx *cx, const struct qs_tensor *t, int bits,
                               struct qs_buf **out) QS_MUST_CHECK;
/* float32 q * T / R in the layout of t, whose dims alone are read; new buffer. */
enum qs_err qs_static_dequantize(struct qs_ctx *cx, const struct qs_tensor *t, int axis, int bits,
                                 const double *threshold, const struct qs_buf *q,
                                 struct qs_buf **out) QS_MUST_CHECK;

/* SQNR in dB of a float32 tensor rounded to q; +inf when nothing is lost. */
double qs_static_sqnr_db(const struct qs_tensor *t, int axis, int bits, const double *threshold,
                         const struct qs_buf *q);

#endif
