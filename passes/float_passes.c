/* SPDX-License-Identifier: Apache-2.0 */
#include "passes/float_passes.h"

#include <string.h>

bool
qs_is_conv(const struct qs_node *node)
{
    const bool conv = strcmp(node->type, "conv2d") == 0 ||
                      strcmp(node->type, "depthwise_conv2d") == 0 ||
                      strcmp(node->type, "conv2d_transpose") == 0;
    return conv && strcmp(qs_attr_str(node, "data_format", "NCHW"), "NHWC") != 0;
}

bool
qs_is_fixed_norm(const struct qs_node *node)
{
    return strcmp(node->type, "batch_norm") == 0 &&
           strcmp(qs_attr_str(node, "data_layout", "NCHW"), "NHWC") != 0 &&
           (qs_attr_int(node, "use_global_stats", 0) ||
            (qs_attr_int(node, "is_test", 0) && !qs_attr_int(node, "trainable_statistics", 0)));
}

struct qs_node *
qs_only_reader(const struct qs_model *m, const struct qs_edges *e, int32_t var)
{
    if (var < 0 || m->var[var].persistable == 1 || e->n_reader[var] != 1 || e->n_writer[var] != 1)
        return NULL;
    const struct qs_ref r = e->reader[var][0];
    return r.block == 0 ? &m->block[0].node[r.node] : NULL;
}

const struct qs_tensor *
qs_float_param(const struct qs_model *m, const struct qs_edges *e, int32_t var, int64_t n)
{
    const struct qs_tensor *t = var >= 0 && e->n_writer[var] == 0 ? m->var[var].data : NULL;
    return t && t->dtype == QS_DTYPE_float32 && (n < 0 || t->n == n) ? t : NULL;
}

int64_t
qs_conv_channels(const struct qs_node *conv, const struct qs_tensor *filter)
{
    const int64_t groups = qs_attr_int(conv, "groups", 1);
    if (filter->n_dims != 4 || filter->n == 0 || groups < 1 || filter->dims[0] % groups != 0)
        return -1;
    return strcmp(conv->type, "conv2d_transpose") == 0 ? filter->dims[1] * groups : filter->dims[0];
}

int64_t
qs_conv_channel_at(const struct qs_node *conv, const struct qs_tensor *filter, int64_t i)
{
    const int64_t *d = filter->dims, taps = d[2] * d[3], first = i / (taps * d[1]);
    if (strcmp(conv->type, "conv2d_transpose") != 0)
        return first;
    const int64_t in = d[0] / qs_attr_int(conv, "groups", 1); /* input channels of a group */
    return i / taps % d[1] + first / in * d[1];
}

int32_t
qs_bias_of(const struct qs_model *m, const struct qs_edges *e, const struct qs_node *add, int32_t x,
           int64_t channels)
{
    const int32_t y = qs_node_input(add, "Y", 0);
    const struct qs_tensor *t = qs_float_param(m, e, y, channels);
    const int64_t axis = qs_attr_int(add, "axis", -1);
    if (strcmp(add->type, "elementwise_add") != 0 || qs_node_input(add, "X", 0) != x || !t)
        return -1;
    const bool flat = t->n_dims == 1 && axis == 1;
    const bool image = t->n_dims == 4 && t->dims[1] == channels && axis <= 0;
    return flat || image ? y : -1;
}

enum qs_err
qs_own_data(struct qs_ctx *cx, struct qs_model *m, int32_t var, float **w)
{
    const struct qs_tensor *t = m->var[var].data;
    struct qs_buf *buf;
    const enum qs_err err = qs_buf_new(cx, t->bytes, &buf);
    if (err)
        return err;
    memcpy(buf->data, t->buf->data + t->offset, t->bytes);
    *w = (float *)(void *)buf->data;
    qs_model_set_data(m, var, t->dtype, t->n_dims, t->dims, buf, 0);
    return QS_OK;
}
