/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of the float model before it is quantized. What it computes stays the same up to
 * rounding. They work on a clone of the caller's; edges, layers and shapes made before are void.
 */
#ifndef QS_PASSES_FLOAT_PASSES_H
#define QS_PASSES_FLOAT_PASSES_H

#include "model/graph.h"

/* Batch norms behind convolutions go into the filter and an elementwise_add; *n: how many. */
enum qs_err qs_fold_bn(struct qs_ctx *cx, struct qs_model *m, int *n) QS_MUST_CHECK;

/* Cross-layer equalization (Nagel et al., "Data-Free Quantization Through Weight Equalization and
 * Bias Correction", section 4.1): where one convolution feeds another through at most a bias and a
 * relu, channel i of the first is divided and its reader multiplied by
 *     s_i = sqrt(r1_i / r2_i),  r = largest |w| of the channel,
 * until nothing moves. Wants folded batch norms; *n: pairs of layers. */
enum qs_err qs_equalize(struct qs_ctx *cx, struct qs_model *m, int *n) QS_MUST_CHECK;

/* Takes shift[n] off the output of the layer that is node `layer` of block 0, where a bias or a
 * batch norm behind it allows; *done: whether it does. Edges stay valid. */
enum qs_err qs_correct_bias(struct qs_ctx *cx, struct qs_model *m, const struct qs_edges *e,
                            int32_t layer, const double *shift, int64_t n,
                            bool *done) QS_MUST_CHECK;

/* What they look for. */
/* conv2d, depthwise_conv2d or conv2d_transpose on NCHW images. */
bool qs_is_conv(const struct qs_node *node);
/* A batch norm on NCHW images with the statistics of its parameters, not those of the batch. */
bool qs_is_fixed_norm(const struct qs_node *node);
/* The node of block 0 that alone reads `var`, which is no parameter and is written once; NULL. */
struct qs_node *qs_only_reader(const struct qs_model *m, const struct qs_edges *e, int32_t var);
/* The parameter of float32 that nothing writes, of n elements (n < 0: any); NULL. */
const struct qs_tensor *qs_float_param(const struct qs_model *m, const struct qs_edges *e,
                                       int32_t var, int64_t n);
/* Output channels of a convolution with that filter, -1: dims do not fit. */
int64_t qs_conv_channels(const struct qs_node *conv, const struct qs_tensor *filter);
/* The output channel that element i of the filter makes. */
int64_t qs_conv_channel_at(const struct qs_node *conv, const struct qs_tensor *filter, int64_t i);
/* The variable that is added along channels (elementwise_add of a constant); -1: it is none. */
int32_t qs_bias_of(const struct qs_model *m, const struct qs_edges *e, const struct qs_node *add,
                   int32_t x, int64_t channels);
/* Gives the parameter a copy of its data that may be written; *w points to it. */
enum qs_err qs_own_data(struct qs_ctx *cx, struct qs_model *m, int32_t var,
                        float **w) QS_MUST_CHECK;

#endif
