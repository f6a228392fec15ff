/* SPDX-License-Identifier: Apache-2.0 */
/* Quantization operators of both formats: quantize_linear and dequantize_linear, and the older
 * fake_* family. The result has the shape of X; scales are one element or one per channel. */
#include <inttypes.h>

#include "ops/data.h"

/* Per channel: as many scales as X has elements along quant_axis. */
static enum qs_err
check_scale(const struct qs_infer *in, const struct qs_shape *x, const char *slot, int64_t axis)
{
    const struct qs_shape *scale = qs_infer_in(in, slot, 0);
    int at;
    if (!scale || axis < 0 || qs_shape_count(scale) == 1)
        return QS_OK;
    const enum qs_err err = qs_infer_axis(in, axis, x->n, &at);
    if (err)
        return err;
    if (qs_shape_count(scale) != x->d[at])
        return qs_infer_fail(in, _("%" PRId64 " scales for %" PRId64 " channels of axis %d"),
                             qs_shape_count(scale), x->d[at], at);
    return QS_OK;
}

/* quantize_linear keeps the type (it simulates); dequantize_linear may read int8. */
static enum qs_err
linear_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    const struct qs_shape *scale = qs_infer_in(in, "Scale", 0);
    if (!x)
        return QS_OK;
    enum qs_err err = check_scale(in, x, "Scale", qs_attr_int(in->node, "quant_axis", -1));
    if (!err)
        err = qs_infer_set(in, "Y", 0, qs_dtype_is_float(x->dtype) ? x->dtype : -1, x->n, x->d);
    return err || !scale ? err : qs_infer_set_like(in, "OutScale", 0, scale);
}

/* One scale: the shape of InScale where there is one, else [1]. */
static enum qs_err
fake_shape(struct qs_infer *in)
{
    const struct qs_shape *scale = qs_infer_in(in, "InScale", 0);
    const int64_t one = 1;
    const enum qs_err err = qs_rule_same(in);
    if (err || !qs_infer_in(in, "X", 0))
        return err;
    return scale ? qs_infer_set_like(in, "OutScale", 0, scale)
                 : qs_infer_set(in, "OutScale", 0, -1, 1, &one);
}

static enum qs_err
fake_channel_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    int axis;
    if (!x)
        return QS_OK;
    enum qs_err err = qs_infer_axis(in, qs_attr_int(in->node, "quant_axis", 0), x->n, &axis);
    if (!err)
        err = check_scale(in, x, "InScale", axis);
    if (!err)
        err = qs_infer_set(in, "OutScale", 0, -1, 1, &x->d[axis]);
    return err ? err : qs_infer_set_like(in, "Out", 0, x);
}

static enum qs_err
fake_dequantize_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    if (!x)
        return QS_OK;
    return qs_infer_set(in, "Out", 0, qs_dtype_is_float(x->dtype) ? x->dtype : -1, x->n, x->d);
}

static enum qs_err
fake_channel_dequantize_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    if (!x)
        return QS_OK;
    /* with a second scale the channel is that of an activation: dim 1, or the columns */
    if (qs_infer_n_in(in, "Scales") == 1) {
        const enum qs_err err =
            check_scale(in, x, "Scales", qs_attr_int(in->node, "quant_axis", 0));
        if (err)
            return err;
    }
    return fake_dequantize_shape(in);
}

#define ROW(op, rule, run) \
    const struct qs_op qs_op_##op = {.name = #op, .shape = rule, .forward = run};
ROW(dequantize_linear, linear_shape, qs_fwd_dequantize_linear)
ROW(fake_channel_wise_dequantize_max_abs, fake_channel_dequantize_shape, qs_fwd_fake_channel_dequantize)
ROW(fake_channel_wise_quantize_abs_max, fake_channel_shape, qs_fwd_fake_quantize)
ROW(fake_channel_wise_quantize_dequantize_abs_max, fake_channel_shape, qs_fwd_fake_quantize)
ROW(fake_dequantize_max_abs, fake_dequantize_shape, qs_fwd_fake_dequantize)
ROW(fake_quantize_abs_max, fake_shape, qs_fwd_fake_quantize)
ROW(fake_quantize_dequantize_abs_max, fake_shape, qs_fwd_fake_quantize)
ROW(fake_quantize_dequantize_moving_average_abs_max, fake_shape, qs_fwd_fake_quantize)
ROW(fake_quantize_moving_average_abs_max, fake_shape, qs_fwd_fake_quantize)
ROW(fake_quantize_range_abs_max, fake_shape, qs_fwd_fake_quantize)
ROW(moving_average_abs_max_scale, fake_shape, qs_fwd_moving_average_abs_max_scale)
ROW(quantize_linear, linear_shape, qs_fwd_quantize_linear)
#undef ROW
