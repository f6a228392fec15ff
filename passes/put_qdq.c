/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/i18n.h"
#include "model/quant_ops.h"
#include "passes/put_parts.h"

/* quantize_linear or dequantize_linear. */
static struct qs_node *
put_linear(struct qs_put *p, const char *type, int32_t x, int32_t scale, int32_t zero, int32_t y,
           int bits, int axis)
{
    struct qs_node *node = qs_put_new(p, type);
    qs_put_slot(p, node, false, "Scale", scale);
    qs_put_slot(p, node, false, "X", x);
    qs_put_slot(p, node, false, "ZeroPoint", zero);
    qs_put_slot(p, node, true, "Y", y);
    qs_node_set_int(p->m, node, "bit_length", bits);
    qs_node_set_int(p->m, node, "quant_axis", axis);
    return node;
}

static enum qs_err
put_weight(struct qs_put *p, int i)
{
    const struct qs_quant_weight *w = &p->notes->weight[i];
    const struct qs_tensor *t = p->m->var[w->var].data;
    int32_t scale, zero;
    double *v = qs_put_thresholds(p, w);
    if (w->bits > 8) {
        free(v);
        return qs_fail(p->cx, QS_ERR_UNSUPPORTED,
                       _("weight '%s' has %d bits: format qdq holds at most 8; fakequant takes up "
                         "to 16"),
                       p->m->var[w->var].name, w->bits);
    }
    p->weight[i] = qs_put_var(p, w->var, ".quantized.dequantized");
    enum qs_err err = qs_put_param_of(p, w->var, "@scale", v, w->n_scales,
                                      p->opt->paddle && w->axis >= 0 ? 2 : 1, &scale);
    free(v);
    if (!err)
        err = qs_put_param_of(p, p->weight[i], "@zero_point", NULL, w->n_scales, 1, &zero);
    if (err)
        return err;
    qs_model_set_data(p->m, w->var, QS_DTYPE_int8, t->n_dims, t->dims, qs_buf_ref(w->q), 0);
    put_linear(p, "dequantize_linear", w->var, scale, zero, p->weight[i], w->bits, w->axis);
    return QS_OK;
}

/* Both operators on a variable; `only`: they record its range and change nothing. */
static enum qs_err
put_pair(struct qs_put *p, const struct qs_quant_act *act, bool only, int32_t *rounded)
{
    const double t = qs_put_threshold(p, act->threshold);
    int32_t scale, zero[2];
    if (act->bits > 8)
        return qs_fail(p->cx, QS_ERR_UNSUPPORTED,
                       _("activation '%s' has %d bits: format qdq holds at most 8; fakequant takes "
                         "up to 16"),
                       p->m->var[act->var].name, act->bits);
    const int32_t quantized = qs_put_var(p, act->var, ".quantized");
    *rounded = qs_put_var(p, quantized, ".dequantized");
    enum qs_err err =
        qs_put_param_of(p, act->var, "@scale", &t, 1, only && p->opt->paddle ? 0 : 1, &scale);
    if (!err)
        err = qs_put_param_of(p, quantized, "@zero_point", NULL, 1, 1, &zero[0]);
    zero[1] = zero[0];
    if (!err && !only)
        err = qs_put_param_of(p, *rounded, "@zero_point", NULL, 1, 1, &zero[1]);
    if (err)
        return err;
    struct qs_node *node = put_linear(p, "quantize_linear", p->alias[act->var], scale, zero[0],
                                      quantized, act->bits, -1);
    if (act->half_away && !only)
        qs_node_set_int(p->m, node, "round_type", 1);
    if (only)
        qs_node_set_bool(p->m, node, "only_observer", true);
    node = put_linear(p, "dequantize_linear", quantized, scale, zero[1], *rounded, act->bits, -1);
    if (only)
        qs_node_set_bool(p->m, node, "only_observer", true);
    return QS_OK;
}

/* What the node reads rounded stands before it. */
static enum qs_err
put_before(struct qs_put *p, const struct qs_quant_node *q)
{
    enum qs_err err = QS_OK;
    if (q->weight >= 0 && p->weight[q->weight] < 0)
        err = put_weight(p, q->weight);
    for (int i = 0; i < q->n_all && !err; i++) {
        const struct qs_quant_act *act = &p->notes->act[q->all[i]];
        struct qs_put_act *made = &p->act[q->all[i]];
        if (made->rounded >= 0 && made->version == p->version[act->var])
            continue;
        made->version = p->version[act->var];
        err = put_pair(p, act, false, &made->rounded);
    }
    return err;
}

static enum qs_err
put_observers(struct qs_put *p, int i)
{
    enum { MOST = 64 };
    const struct qs_node *node = &p->before->block[0].node[i];
    const struct qs_quant_op *op = qs_quant_op_find(node->type);
    int32_t var[MOST];
    const int n = op ? qs_quant_op_outputs(op, node, var, MOST) : 0;
    enum qs_err err = QS_OK;
    for (int k = 0; k < n && k < MOST && !err; k++) {
        const struct qs_quant_act *act = qs_put_range(p, var[k]);
        int32_t y = -1;
        if (!act || !act->observed || !qs_put_plain_reader(p, i, var[k]))
            continue;
        err = put_pair(p, act, true, &y);
        if (!err)
            p->alias[var[k]] = y;
    }
    return err;
}

static enum qs_err
put_at(struct qs_put *p, int i)
{
    const int at = qs_static_find_node(p->notes, i);
    const struct qs_quant_node *q = at < 0 ? NULL : &p->notes->node[at];
    const struct qs_quant_op *op = qs_quant_op_find(p->before->block[0].node[i].type);
    const enum qs_err err = q ? put_before(p, q) : QS_OK;
    if (err)
        return err;
    struct qs_node *node = qs_put_node(p, i);
    qs_put_rename(p, node, q, 0, op ? op->in : "");
    if (q && q->weight >= 0 && q->n_all > 0)
        qs_node_set_str(p->m, node, "quantization_type", "qat_with_weight");
    qs_put_written(p, node);
    return p->opt->observers ? put_observers(p, i) : QS_OK;
}

enum qs_err
qs_put_qdq(struct qs_ctx *cx, struct qs_model *m, const struct qs_static_notes *notes,
           const struct qs_put_options *opt)
{
    return qs_put_all(cx, m, notes, opt, put_at);
}
