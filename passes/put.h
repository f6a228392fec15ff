/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writers of statically quantized models: a float graph and its notes become a program of one of
 * Paddle's formats, the contrary of take_apart.h. Names, attributes, types and shapes are those of
 * paddle/static/quantization/quantization_pass.py; what is different, unless `paddle` is set:
 *   - scales have the shape their variables declare: [C] and [1], not [1, C] and scalars;
 *   - a scale is at least 1e-8.
 * And always: weights of matmul_v2 with trans_y have their scales along axis 0; no name is written
 * twice, so a range that is only observed is left out where the value is rounded for a reader too.
 */
#ifndef QS_PASSES_PUT_H
#define QS_PASSES_PUT_H

#include "model/static_notes.h"

struct qs_put_options {
    bool observers;   /* write the ranges that are only observed */
    bool paddle;      /* shapes and values of scales as PaddleSlim's function writes them */
    const char *kind; /* fakequant with observers: attribute quantization_type ("post_kl"); NULL:
                         "qat_with_weight" */
};

/* quantize_linear and dequantize_linear; weights become int8. QS_ERR_UNSUPPORTED: more than 8 bits.
 * Both change m, whose block 0 the notes describe. */
enum qs_err qs_put_qdq(struct qs_ctx *cx, struct qs_model *m, const struct qs_static_notes *notes,
                       const struct qs_put_options *opt) QS_MUST_CHECK;
/* fake_quantize_range_abs_max before and fake_(channel_wise_)dequantize_max_abs behind an operator
 * with a weight, fake_quantize_dequantize_moving_average_abs_max before the others; weights are
 * FP32 holding integers. QS_ERR_UNSUPPORTED: a weight whose operator reads no rounded activation,
 * or more than one; a product that a sub-block reads. */
enum qs_err qs_put_fakequant(struct qs_ctx *cx, struct qs_model *m,
                             const struct qs_static_notes *notes,
                             const struct qs_put_options *opt) QS_MUST_CHECK;

#endif
