/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the families of operators share. Each op_<family>.c defines one descriptor qs_op_<type>
 * per row of ops.inc. Formulas are those of Paddle 2.6's InferMeta functions; attribute defaults
 * are those of its operator definitions, because exporters drop attributes.
 */
#ifndef QS_OPS_OPS_H
#define QS_OPS_OPS_H

#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "model/infer.h"

#define ROW(name) extern const struct qs_op qs_op_##name;
#include "ops/ops.inc"
#undef ROW

/* Out has the shape of X. */
enum qs_err qs_rule_same(struct qs_infer *in);

/* Where the axes of an image tensor are. */
struct qs_layout {
    int c, h, w;
};
/* Of a 4-D tensor, from a layout attribute (NCHW, NHWC; anything else counts as NCHW). */
struct qs_layout qs_layout_of(const struct qs_infer *in, const char *attr);

/* One spatial dim of a convolution or pooling. */
struct qs_window {
    int64_t kernel, stride, dilation, pad_before, pad_after;
};
/* (size + pads - dilation*(kernel-1) - 1) / stride + 1, or with stride - 1 added before the
 * division. The division truncates as Paddle's does: a kernel may stick out by less than the
 * stride. Refuses what no kernel can do: stride, dilation or kernel size below 1, values beyond
 * QS_ATTR_MOST, a kernel that does not fit. */
enum qs_err qs_window_out(const struct qs_infer *in, const struct qs_window *w, int64_t size,
                          bool ceil_mode, int64_t *out) QS_MUST_CHECK;
/* Reads strides, dilations and paddings (with padding_algorithm) for an image of h x w and sets
 * both windows; `kernel` [2] is given. SAME forces dilation 1. Refuses the same. */
enum qs_err qs_window_attrs(const struct qs_infer *in, const int64_t *kernel, const int64_t *size,
                            struct qs_window *w) QS_MUST_CHECK;

/* First element and count of start:end:stride over `size` elements, negative indices counted from
 * the end; `stride` is not 0. */
void qs_cut_axis(int64_t size, int64_t start, int64_t end, int64_t stride, int64_t *first,
                 int64_t *count);

/* Right-aligned (axis -1) or `axis`-aligned broadcasting of two shapes into out[*n]. */
enum qs_err qs_broadcast(const struct qs_infer *in, const struct qs_shape *x,
                         const struct qs_shape *y, int64_t axis, int64_t *out,
                         int *n) QS_MUST_CHECK;

#endif
