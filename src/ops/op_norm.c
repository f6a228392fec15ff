/* SPDX-License-Identifier: Apache-2.0 */
/* Normalisations: the output has the shape of X. */
#include <inttypes.h>

#include "ops/forward.h"

static enum qs_err
check_channels(const struct qs_infer *in, const char *slot, int64_t channels)
{
    const struct qs_shape *s = qs_infer_in(in, slot, 0);
    if (s && qs_shape_count(s) != channels)
        return qs_infer_fail(in, _("%s has %" PRId64 " elements, the input %" PRId64 " channels"),
                             slot, qs_shape_count(s), channels);
    return QS_OK;
}

/* Channels of a tensor of any rank: dim 1, or the last one. */
static int64_t
channels_of(const struct qs_infer *in, const struct qs_shape *x)
{
    const bool last = qs_infer_str_is(in, "data_layout", "NCHW", "NHWC");
    return last || x->n == 1 ? x->d[x->n - 1] : x->d[1];
}

static enum qs_err
channel_norm_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    if (!x)
        return QS_OK;
    if (x->n < 1)
        return qs_infer_fail(in, _("the input is a scalar"));
    enum qs_err err = check_channels(in, "Scale", channels_of(in, x));
    if (!err)
        err = check_channels(in, "Bias", channels_of(in, x));
    return err ? err : qs_infer_set_like(in, "Y", 0, x);
}

static enum qs_err
group_norm_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    const int64_t groups = qs_attr_int(in->node, "groups", 1);
    if (x && x->n >= 1 && (groups < 1 || channels_of(in, x) % groups != 0))
        return qs_infer_fail(in, _("%" PRId64 " channels do not divide into %" PRId64 " groups"),
                             channels_of(in, x), groups);
    return channel_norm_shape(in);
}

static enum qs_err
layer_norm_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    const int64_t begin = qs_attr_int(in->node, "begin_norm_axis", 1);
    int64_t rest = 1;
    if (!x)
        return QS_OK;
    if (begin < 0 || begin > x->n)
        return qs_infer_fail(in, _("axis %" PRId64 " does not exist: the input has %d dimensions"),
                             begin, x->n);
    for (int i = (int)begin; i < x->n; i++)
        rest *= x->d[i];
    enum qs_err err = check_channels(in, "Scale", rest);
    if (!err)
        err = check_channels(in, "Bias", rest);
    if (!err)
        err = qs_infer_set(in, "Mean", 0, -1, (int)begin, x->d);
    if (!err)
        err = qs_infer_set(in, "Variance", 0, -1, (int)begin, x->d);
    return err ? err : qs_infer_set_like(in, "Y", 0, x);
}

#define ROW(op, rule, run) \
    const struct qs_op qs_op_##op = {.name = #op, .shape = rule, .forward = run};
ROW(affine_channel, qs_rule_same, NULL)
ROW(batch_norm, channel_norm_shape, qs_fwd_batch_norm)
ROW(group_norm, group_norm_shape, qs_fwd_group_norm)
ROW(instance_norm, channel_norm_shape, qs_fwd_instance_norm)
ROW(layer_norm, layer_norm_shape, qs_fwd_layer_norm)
ROW(lrn, qs_rule_same, NULL)
ROW(norm, qs_rule_same, qs_fwd_norm)
ROW(sync_batch_norm, channel_norm_shape, qs_fwd_batch_norm)
#undef ROW
