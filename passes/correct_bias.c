/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What rounding adds to the mean of each output channel is taken off again behind the layer: from
 * the bias that is added there, or by way of the mean of a batch norm (Nagel et al., "Data-Free
 * Quantization ...", section 4.2).
 */
#include <string.h>

#include "passes/float_passes.h"

/* The parameter that stands behind a variable: itself, or what a reshape2 of it reads. */
static int32_t
param_behind(const struct qs_model *m, const struct qs_edges *e, int32_t var, int64_t n)
{
    if (qs_float_param(m, e, var, n))
        return var;
    if (var < 0 || e->n_writer[var] != 1 || e->n_reader[var] != 1 || e->writer[var][0].block != 0)
        return -1;
    const struct qs_node *node = &m->block[0].node[e->writer[var][0].node];
    const int32_t x = qs_node_input(node, "X", 0);
    return strcmp(node->type, "reshape2") == 0 && qs_float_param(m, e, x, n) ? x : -1;
}

/* The bias that `add` puts on the layer's output y; -1: it is none. */
static int32_t
bias_behind(const struct qs_model *m, const struct qs_edges *e, const struct qs_node *layer,
            const struct qs_node *add, int32_t y, int64_t n)
{
    const int32_t other = qs_node_input(add, "Y", 0);
    const int64_t axis = qs_attr_int(add, "axis", -1);
    if (strcmp(add->type, "elementwise_add") != 0 || qs_node_input(add, "X", 0) != y)
        return -1;
    const int32_t var = param_behind(m, e, other, n);
    if (var < 0 || e->n_reader[var] != 1)
        return -1;
    if (var != other) /* reshaped: [1, C, 1, 1] */
        return qs_is_conv(layer) && axis <= 0 ? var : -1;
    if (qs_is_conv(layer))
        return qs_bias_of(m, e, add, y, n);
    return m->var[var].data->n_dims == 1 && axis != 0 ? var : -1;
}

static enum qs_err
change(struct qs_ctx *cx, struct qs_model *m, int32_t var, const double *shift, int64_t n,
       double sign)
{
    float *v;
    const enum qs_err err = qs_own_data(cx, m, var, &v);
    for (int64_t i = 0; !err && i < n; i++)
        v[i] = (float)((double)v[i] + sign * shift[i]);
    return err;
}

enum qs_err
qs_correct_bias(struct qs_ctx *cx, struct qs_model *m, const struct qs_edges *e, int32_t layer,
                const double *shift, int64_t n, bool *done)
{
    const struct qs_node *node = &m->block[0].node[layer];
    const int32_t y = qs_node_output(node, qs_is_conv(node) ? "Output" : "Out", 0);
    const struct qs_node *next = qs_only_reader(m, e, y);
    const int32_t bias = next ? bias_behind(m, e, node, next, y, n) : -1;
    *done = true;
    if (bias >= 0)
        return change(cx, m, bias, shift, n, -1);
    const int32_t mean = next && qs_is_fixed_norm(next) ? qs_node_input(next, "Mean", 0) : -1;
    const struct qs_tensor *t = mean < 0 ? NULL : m->var[mean].data;
    *done = t && t->dtype == QS_DTYPE_float32 && t->n == n && e->n_reader[mean] == 1;
    return *done ? change(cx, m, mean, shift, n, 1) : QS_OK;
}
