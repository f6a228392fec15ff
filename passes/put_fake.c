/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "model/op.h"
#include "model/quant.h"
#include "model/quant_ops.h"
#include "passes/put_parts.h"

enum { OUTPUTS_MOST = 64 };

/* fake_quantize_*: the scale goes in and comes out. */
static struct qs_node *
put_fake(struct qs_put *p, const char *type, const struct qs_quant_act *act, int32_t scale,
         int32_t y)
{
    struct qs_node *node = qs_put_new(p, type);
    qs_put_slot(p, node, false, "InScale", scale);
    qs_put_slot(p, node, false, "X", p->alias[act->var]);
    qs_put_slot(p, node, true, "Out", y);
    qs_put_slot(p, node, true, "OutScale", scale);
    qs_node_set_int(p->m, node, "bit_length", act->bits);
    qs_node_set_bool(p->m, node, "is_test", true);
    qs_node_set_int(p->m, node, "round_type", act->half_away);
    return node;
}

/* Integers for an operator with a weight; floats that were rounded for the others. */
static enum qs_err
put_activation(struct qs_put *p, int i, bool integers)
{
    const struct qs_quant_act *act = &p->notes->act[i];
    struct qs_put_act *made = &p->act[integers ? i : p->notes->n_act + i];
    const double t = qs_put_threshold(p, act->threshold);
    if (made->rounded >= 0 && made->version == p->version[act->var])
        return QS_OK;
    made->version = p->version[act->var];
    made->rounded = qs_put_var(p, act->var, integers ? ".quantized" : ".quant_dequant");
    const enum qs_err err = qs_put_param_of(
        p, act->var, integers ? "@scale" : ".quant_dequant@scale", &t, 1, 1, &made->scale);
    if (err)
        return err;
    if (integers) {
        struct qs_node *node =
            put_fake(p, "fake_quantize_range_abs_max", act, made->scale, made->rounded);
        qs_node_set_int(p->m, node, "window_size", 10000);
    } else {
        struct qs_node *node = put_fake(p, "fake_quantize_dequantize_moving_average_abs_max", act,
                                        made->scale, made->rounded);
        qs_node_set_float(p->m, node, "moving_rate", 0.9F);
    }
    return QS_OK;
}

/* The integers as FP32. */
static enum qs_err
put_integers(struct qs_put *p, int i)
{
    const struct qs_quant_weight *w = &p->notes->weight[i];
    const struct qs_tensor *t = p->m->var[w->var].data;
    struct qs_buf *b = NULL;
    const enum qs_err err = qs_buf_new(p->cx, (size_t)t->n * sizeof(float), &b);
    if (err)
        return err;
    float *f = (float *)(void *)b->data;
    const int8_t *q8 = (const int8_t *)w->q->data;
    const int16_t *q16 = (const int16_t *)(const void *)w->q->data;
    for (int64_t k = 0; k < t->n; k++)
        f[k] = w->bits <= 8 ? q8[k] : q16[k];
    qs_model_set_data(p->m, w->var, QS_DTYPE_float32, t->n_dims, t->dims, b, 0);
    return QS_OK;
}

/* The scales of all output channels: those of conv2d_transpose repeat for each group. */
static enum qs_err
put_channel_scale(struct qs_put *p, const struct qs_quant_weight *w, const struct qs_node *node,
                  int32_t *out)
{
    const bool turned = strcmp(node->type, "conv2d_transpose") == 0;
    const int64_t groups = turned ? qs_attr_int(node, "groups", 1) : 1;
    double *v = qs_put_thresholds(p, w);
    char name[40];
    if (groups > 1) {
        v = qs_xrealloc(v, (size_t)(w->n_scales * groups) * sizeof(*v));
        for (int64_t k = w->n_scales; k < w->n_scales * groups; k++)
            v[k] = v[k - w->n_scales];
    }
    snprintf(name, sizeof(name), "channel_scale_%d", p->n_scales++);
    const enum qs_err err = qs_put_param(p, name, v, w->n_scales * groups, 1, out);
    free(v);
    return err;
}

/* Dimension of the output along which the channels lie, where it is not 1. */
static enum qs_err
find_columns(const struct qs_put *p, const struct qs_node *node, int32_t y, int *out)
{
    const bool product = strcmp(node->type, "mul") == 0 || strncmp(node->type, "matmul", 6) == 0;
    const int rank = p->m->var[y].n_dims;
    *out = product ? rank - 1 : 1;
    if (qs_node_attr(node, "x_num_col_dims"))
        *out = (int)qs_attr_int(node, "x_num_col_dims", 1);
    else if (product && rank < 2)
        return qs_fail(p->cx, QS_ERR_UNSUPPORTED,
                       _("the dimensions of '%s' are unknown: format fakequant needs them"),
                       p->m->var[y].name);
    return QS_OK;
}

/* The product of integers at y becomes one of floats. */
static enum qs_err
put_scaling(struct qs_put *p, const struct qs_quant_node *q, const struct qs_node *of, int32_t y)
{
    const struct qs_quant_weight *w = &p->notes->weight[q->weight];
    const struct qs_quant_act *act = &p->notes->act[q->act];
    const int32_t scale = p->act[q->act].scale, bits[] = {w->bits, act->bits};
    const bool first_axis =
        strcmp(of->type, "conv2d") == 0 || strcmp(of->type, "depthwise_conv2d") == 0;
    const struct qs_node source = *of; /* the list may move */
    if (w->axis < 0) {
        const double range = (double)qs_quant_range(w->bits) * (double)qs_quant_range(act->bits);
        const double t = w->threshold[0] == 0 ? 1e-8 : w->threshold[0];
        p->alias[y] = qs_put_var(p, y, ".dequantized");
        struct qs_node *node = qs_put_new(p, "fake_dequantize_max_abs");
        qs_put_slot(p, node, false, "Scale", scale);
        qs_put_slot(p, node, false, "X", y);
        qs_put_slot(p, node, true, "Out", p->alias[y]);
        qs_node_set_float(p->m, node, "max_range", (float)(range / t));
        return QS_OK;
    }
    int32_t scales[2] = {-1, scale};
    int columns;
    enum qs_err err = find_columns(p, &source, y, &columns);
    if (!err)
        err = put_channel_scale(p, w, &source, &scales[0]);
    if (err)
        return err;
    p->alias[y] = qs_put_var(p, y, ".dequantized");
    struct qs_node *node = qs_put_new(p, "fake_channel_wise_dequantize_max_abs");
    qs_node_set_in(p->m, node, "Scales", scales, 2);
    qs_put_slot(p, node, false, "X", y);
    qs_put_slot(p, node, true, "Out", p->alias[y]);
    qs_node_set_ints(p->m, node, "quant_bits", bits, 2);
    qs_node_set_int(p->m, node, "quant_axis", first_axis ? 0 : 1);
    qs_node_set_int(p->m, node, "x_num_col_dims", columns);
    return QS_OK;
}

/* Whether the format has a form for the node. */
static enum qs_err
check_node(const struct qs_put *p, const struct qs_quant_node *q, const struct qs_node *node,
           const int32_t *y, int n)
{
    const char *slot = node->op ? node->op->weight_slot : NULL;
    const bool own =
        q->weight >= 0 && slot && qs_node_input(node, slot, 0) == p->notes->weight[q->weight].var;
    if (q->weight >= 0 && (q->n_all != 1 || n != 1 || !own))
        return qs_fail(p->cx, QS_ERR_UNSUPPORTED,
                       _("format fakequant has no form for weight '%s': its %s is no product of it "
                         "and one rounded activation; format qdq has"),
                       p->m->var[p->notes->weight[q->weight].var].name, node->type);
    for (int k = 0; q->weight >= 0 && k < p->edges->n_reader[y[0]]; k++)
        if (p->edges->reader[y[0]][k].block != 0)
            return qs_fail(p->cx, QS_ERR_UNSUPPORTED,
                           _("format fakequant has no form for '%s', which a sub-block reads"),
                           p->m->var[y[0]].name);
    return QS_OK;
}

static enum qs_err
put_before(struct qs_put *p, const struct qs_quant_node *q)
{
    enum qs_err err = QS_OK;
    if (q->weight >= 0 && p->weight[q->weight] < 0) {
        err = put_integers(p, q->weight);
        p->weight[q->weight] = p->notes->weight[q->weight].var;
    }
    for (int i = 0; i < q->n_all && !err; i++)
        err = put_activation(p, q->all[i], q->weight >= 0);
    return err;
}

static void
mark(struct qs_put *p, struct qs_node *node, const struct qs_quant_node *q)
{
    qs_node_set_str(p->m, node, "quantization_type",
                    q->weight >= 0 ? "qat_with_weight" : "qat_without_weight");
    if (q->weight >= 0)
        return;
    qs_node_set_int(p->m, node, "activation_bits", p->notes->act[q->act].bits);
    qs_node_set_bool(p->m, node, "with_quant_attr", true);
}

/* Ranges of outputs as attributes. */
static void
put_ranges(struct qs_put *p, struct qs_node *node, bool quantized)
{
    bool any = false;
    for (int s = 0; s < node->n_out; s++)
        for (int i = 0; i < node->out[s].n; i++) {
            const struct qs_quant_act *act = qs_put_range(p, node->out[s].var[i]);
            char name[80];
            if (!act)
                continue;
            const float t = (float)qs_put_threshold(p, act->threshold);
            snprintf(name, sizeof(name), "%.50s%d_threshold", node->out[s].name, i);
            qs_node_set_float(p->m, node, "out_threshold", t);
            qs_node_set_float(p->m, node, name, t);
            any = true;
        }
    if (any)
        qs_node_set_bool(p->m, node, "with_quant_attr", true);
    if (any && quantized && p->opt->kind)
        qs_node_set_str(p->m, node, "quantization_type", p->opt->kind);
}

static enum qs_err
put_at(struct qs_put *p, int i)
{
    const int at = qs_static_find_node(p->notes, i);
    const struct qs_quant_node *q = at < 0 ? NULL : &p->notes->node[at];
    const struct qs_node *from = &p->before->block[0].node[i];
    const struct qs_quant_op *op = qs_quant_op_find(from->type);
    int32_t y[OUTPUTS_MOST];
    const int n = op ? qs_quant_op_outputs(op, from, y, OUTPUTS_MOST) : 0;
    enum qs_err err = q ? check_node(p, q, from, y, n) : QS_OK;
    if (!err && q)
        err = put_before(p, q);
    if (err)
        return err;
    struct qs_node *node = qs_put_node(p, i);
    qs_put_rename(p, node, q, q && q->weight >= 0 ? 0 : p->notes->n_act, NULL);
    if (q && op)
        mark(p, node, q);
    if (op && p->opt->observers)
        put_ranges(p, node, q != NULL);
    qs_put_written(p, node);
    return q && q->weight >= 0 ? put_scaling(p, q, node, y[0]) : QS_OK;
}

enum qs_err
qs_put_fakequant(struct qs_ctx *cx, struct qs_model *m, const struct qs_static_notes *notes,
                 const struct qs_put_options *opt)
{
    return qs_put_all(cx, m, notes, opt, put_at);
}
