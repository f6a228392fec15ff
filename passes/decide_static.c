/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Method static: which operators compute on rounded values. An operator with a weight is decided
 * by its layer; mul, matmul and operators of other chosen types that read activations alone are
 * decided here. Quantized operators lie in block 0: no format holds others.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "model/op.h"
#include "model/quant_ops.h"
#include "passes/decide_parts.h"

enum { INPUTS_MOST = 64 };

bool
qs_is_activation(const struct qs_model *m, int32_t var)
{
    const struct qs_var *v = &m->var[var];
    return !qs_var_is_param(v) && v->container == QS_LOD_TENSOR &&
           (v->dtype == QS_DTYPE_float32 || v->dtype == -1);
}

int
qs_rounded_inputs(const struct qs_model *m, const struct qs_node *node, int32_t *var, int most)
{
    const struct qs_quant_op *op = qs_quant_op_find(node->type);
    int32_t all[INPUTS_MOST];
    const int n_all = op ? qs_quant_op_inputs(op, node, all, INPUTS_MOST) : 0;
    int n = 0;
    for (int i = 0; i < n_all && i < INPUTS_MOST; i++) {
        bool again = false;
        for (int k = 0; k < i; k++)
            again = again || all[k] == all[i];
        if (!again && qs_is_activation(m, all[i]) && n++ < most)
            var[n - 1] = all[i];
    }
    return n;
}

/* Layers */

static bool
is_product(const struct qs_node *node)
{
    return strcmp(node->type, "mul") == 0 || strncmp(node->type, "matmul", 6) == 0;
}

/* Why a reader of the weight cannot be quantized; true when it can. */
static bool
reader_fits(const struct qs_deciding *g, struct qs_ref r, int rank, struct qs_decision *d)
{
    const struct qs_node *node = &g->m->block[r.block].node[r.node];
    const struct qs_quant_op *op = qs_quant_op_find(node->type);
    int32_t x, y;
    if (!op || !op->weight)
        qs_decide_keep(d, _("no format holds integer weights of %s with rounded inputs"),
                       node->type);
    else if (r.block != 0)
        qs_decide_keep(d, _("%s in a sub-block"), node->type);
    else if (qs_is_skip_quant(node))
        qs_decide_keep(d, _("the program marks its %s skip_quant"), node->type);
    else if (rank != (is_product(node) ? 2 : 4) || qs_attr_int(node, "y_num_col_dims", 1) != 1)
        qs_decide_keep(d, _("a weight of %s with other dimensions"), node->type);
    else if (qs_rounded_inputs(g->m, node, &x, 1) != 1)
        qs_decide_keep(d, _("%s reads no activation of floats"), node->type);
    else if (qs_quant_op_outputs(op, node, &y, 1) != 1)
        qs_decide_keep(d, _("%s has no output"), node->type);
    else
        return true;
    return false;
}

/* Dims of what a node makes, from the program; -1: unknown. */
static int
rank_of_output(const struct qs_model *m, const struct qs_node *node)
{
    const int32_t y = qs_node_output(node, "Out", 0);
    return y < 0 ? -1 : m->var[y].n_dims;
}

/* Whether one scale for each output channel can be written; if not, why. */
static const char *
channels_fit(const struct qs_deciding *g, const struct qs_layer *l, int rank)
{
    const bool fake = qs_plan_format(g->plan) == QS_FORMAT_FAKEQUANT;
    for (int i = 0; i < l->n_users; i++) {
        const struct qs_node *node = qs_user_node(g, l->var, i);
        if (qs_weight_axis(node, rank) != l->axis)
            return _("its readers differ in the axis of channels: one scale");
        if (strcmp(node->type, "conv2d_transpose") == 0 && qs_attr_int(node, "groups", 1) != 1 &&
            g->plan->compat != QS_COMPAT_PADDLE)
            return _("conv2d_transpose with groups: one scale");
        if (fake && is_product(node) && rank_of_output(g->m, node) < 2 &&
            !qs_node_attr(node, "x_num_col_dims"))
            return _("the dimensions of its output are unknown: one scale");
    }
    return l->axis < 0 ? _("its channels are unknown: one scale") : NULL;
}

/* Sizes. Each function gives what a thing takes in its file; names come as lengths. */

static int64_t
record_bytes(int64_t n, bool paddle_shape)
{
    const int64_t head = 4 + 8 + 4 + 4 + 2;
    return head + (n < 128 ? 2 : n < 16384 ? 3 : 4) + (paddle_shape ? 2 : 0) + 4 * n;
}

static int64_t
dims_bytes(int n, const int64_t *d)
{
    int64_t bytes = 0;
    for (int i = 0; i < n; i++)
        bytes += d[i] < 0 ? 11 : qs_message_bytes(d[i]) - d[i];
    return bytes;
}

static int64_t
var_bytes(int64_t name, int n_dims, const int64_t *d)
{
    const int64_t tensor = qs_message_bytes(2 + dims_bytes(n_dims, d));
    return qs_message_bytes(qs_message_bytes(name) +
                            qs_message_bytes(2 + qs_message_bytes(tensor + 2)) + 2);
}

static int64_t
slot_bytes(int64_t slot, int64_t var)
{
    return qs_message_bytes(qs_message_bytes(slot) + qs_message_bytes(var));
}

/* A node with slots and attributes of so many bytes, op_role among them. */
static int64_t
node_bytes(const char *type, int64_t slots, int64_t attrs)
{
    return qs_message_bytes(slots + qs_message_bytes((int64_t)strlen(type)) + attrs +
                            qs_attr_bytes(7, 2));
}

/* dequantize_linear or quantize_linear of a variable of x characters. */
static int64_t
linear_bytes(const char *type, int64_t x, int64_t scale, int64_t zero, int64_t y, bool weight)
{
    return node_bytes(
        type, slot_bytes(5, scale) + slot_bytes(1, x) + slot_bytes(9, zero) + slot_bytes(1, y),
        qs_attr_bytes(10, 2) + qs_attr_bytes(10, weight ? 2 : 11));
}

enum { SCALE = 6, QUANTIZED = 10, BOTH = 22, ZERO = 11, DEQUANTIZED = 12 }; /* suffixes */

/* What an operator that is quantized gets itself. */
static int64_t
mark_bytes(void)
{
    return qs_attr_bytes(17, 2 + 15) + BOTH;
}

static void
add_qdq_sizes(const struct qs_deciding *g, const struct qs_layer *l, struct qs_decision *d)
{
    const struct qs_var *v = &g->m->var[l->var];
    const int64_t name = (int64_t)strlen(v->name);
    const bool paddle = g->plan->compat == QS_COMPAT_PADDLE && d->axis >= 0;
    d->bytes_after = v->data->n;
    d->param_bytes = record_bytes(d->n_scales, paddle) + record_bytes(d->n_scales, false);
    d->scale_bytes = var_bytes(name + BOTH, v->n_dims, v->dims) +
                     var_bytes(name + SCALE, 1, &d->n_scales) +
                     var_bytes(name + BOTH + ZERO, 1, &d->n_scales) +
                     linear_bytes("dequantize_linear", name, name + SCALE, name + BOTH + ZERO,
                                  name + BOTH, d->axis >= 0) +
                     l->n_users * mark_bytes();
}

static void
add_fake_sizes(const struct qs_deciding *g, const struct qs_layer *l, struct qs_decision *d)
{
    enum { CHANNEL_SCALE = 15 };
    for (int i = 0; i < l->n_users; i++) {
        const struct qs_node *node = qs_user_node(g, l->var, i);
        int32_t out = 0; /* it has one: reader_fits */
        qs_quant_op_outputs(qs_quant_op_find(node->type), node, &out, 1);
        const struct qs_var *y = &g->m->var[out];
        const int64_t name = (int64_t)strlen(y->name);
        const int64_t slots = slot_bytes(1, name) + slot_bytes(3, name + DEQUANTIZED);
        d->scale_bytes += var_bytes(name + DEQUANTIZED, y->n_dims, y->dims) + mark_bytes();
        if (d->axis < 0) {
            d->scale_bytes += node_bytes("fake_dequantize_max_abs",
                                         slots + slot_bytes(5, name + SCALE), qs_attr_bytes(9, 5));
            continue;
        }
        d->param_bytes += record_bytes(d->n_scales, false);
        d->scale_bytes +=
            var_bytes(CHANNEL_SCALE, 1, &d->n_scales) +
            node_bytes("fake_channel_wise_dequantize_max_abs",
                       slots + slot_bytes(6, CHANNEL_SCALE) + qs_message_bytes(name + SCALE),
                       qs_attr_bytes(10, 4) + qs_attr_bytes(10, 2) + qs_attr_bytes(14, 2));
    }
}

void
qs_decide_static(const struct qs_deciding *g, const struct qs_layer *l, int rule_bits,
                 struct qs_decision *d)
{
    const int rank = g->m->var[l->var].data->n_dims;
    if (!qs_is_chosen(g, l, false)) {
        qs_decide_keep(d, _("operator type %s is not chosen"), qs_user_node(g, l->var, 0)->type);
        return;
    }
    for (int i = 0; i < l->n_users; i++)
        if (!reader_fits(g, g->e->reader[l->var][i], rank, d))
            return;
    const char *why = g->plan->weight_type == QS_ABS_MAX ? "" : channels_fit(g, l, rank);
    snprintf(d->reason, sizeof(d->reason), "%s", why ? why : "");
    d->action = QS_ACTION_INTEGER;
    d->bits = rule_bits ? rule_bits : g->plan->weight_bits;
    d->axis = why ? -1 : l->axis;
    d->n_scales = d->axis < 0 ? 1 : g->m->var[l->var].data->dims[d->axis];
    d->algo = g->plan->algo;
    if (qs_plan_format(g->plan) == QS_FORMAT_QDQ)
        add_qdq_sizes(g, l, d);
    else
        add_fake_sizes(g, l, d);
}

/* Nodes */

/* Whether an operator that reads activations alone is quantized: of the products every one that is
 * chosen, of the others those that are named. */
static bool
rounds_activations(const struct qs_deciding *g, const struct qs_node *node)
{
    const struct qs_quant_op *op = qs_quant_op_find(node->type);
    int32_t var[INPUTS_MOST];
    if (!op || !qs_in_list(g->op_types, node->type) || qs_is_skip_quant(node) ||
        (op->weight && !is_product(node)))
        return false;
    const int n = qs_quant_op_inputs(op, node, var, INPUTS_MOST);
    for (int i = 0; i < n && i < INPUTS_MOST; i++)
        if (!qs_is_activation(g->m, var[i]))
            return false;
    return n > 0 && n <= INPUTS_MOST;
}

/* By variable: whether it is a weight that becomes integers. */
static bool *
integer_weights(const struct qs_deciding *g, const struct qs_layers *l,
                const struct qs_decisions *all)
{
    bool *is = qs_xcalloc((size_t)g->m->n_var + 1, sizeof(*is));
    for (int i = 0; i < l->n; i++)
        is[l->layer[i].var] = all->layer[i].action == QS_ACTION_INTEGER;
    return is;
}

static bool
reads_any(const struct qs_node *node, const bool *var)
{
    const struct qs_slot *s =
        node->op && node->op->weight_slot ? qs_node_in(node, node->op->weight_slot) : NULL;
    return s && s->n == 1 && var[s->var[0]];
}

/* A rule may name what an operator without a weight makes. */
static bool
is_skipped(const struct qs_deciding *g, const struct qs_node *node, const struct qs_rules *rs,
           struct qs_decisions *all)
{
    const int32_t y = node->n_out && node->out[0].n ? node->out[0].var[0] : -1;
    if (y < 0)
        return false;
    const struct qs_ruling r = qs_match_rules(rs, g->m->var[y].name, all->rule_matches);
    return r.rule >= 0 && rs->rule[r.rule].skip;
}

/* Scale, zero points and operators of an activation that is rounded for the first time. */
static void
add_activation(const struct qs_deciding *g, int32_t var, bool weight, struct qs_decisions *all)
{
    const struct qs_var *v = &g->m->var[var];
    const int64_t name = (int64_t)strlen(v->name), one = 1;
    const int64_t tail = weight ? QUANTIZED : 14, scale = name + (weight ? 0 : 14) + SCALE;
    if (qs_plan_format(g->plan) == QS_FORMAT_FAKEQUANT) {
        all->params_after += record_bytes(1, false);
        all->program_added +=
            var_bytes(scale, 1, &one) + var_bytes(name + tail, v->n_dims, v->dims) +
            node_bytes(weight ? "fake_quantize_range_abs_max"
                              : "fake_quantize_dequantize_moving_average_abs_max",
                       slot_bytes(7, scale) + slot_bytes(1, name) + slot_bytes(3, name + tail) +
                           slot_bytes(8, scale),
                       qs_attr_bytes(10, 2) + qs_attr_bytes(7, 2) + qs_attr_bytes(10, 2) +
                           qs_attr_bytes(11, weight ? 3 : 5));
        return;
    }
    all->params_after += 3 * record_bytes(1, false);
    all->program_added +=
        var_bytes(name + SCALE, 1, &one) + var_bytes(name + QUANTIZED, v->n_dims, v->dims) +
        var_bytes(name + BOTH, v->n_dims, v->dims) + var_bytes(name + QUANTIZED + ZERO, 1, &one) +
        var_bytes(name + BOTH + ZERO, 1, &one) +
        linear_bytes("quantize_linear", name, name + SCALE, name + QUANTIZED + ZERO,
                     name + QUANTIZED, false) +
        linear_bytes("dequantize_linear", name + QUANTIZED, name + SCALE, name + BOTH + ZERO,
                     name + BOTH, false);
}

/* Whether an operator that quantization knows reads it. */
static bool
is_known_reader(const struct qs_deciding *g, int32_t var)
{
    for (int i = 0; i < g->e->n_reader[var]; i++) {
        const struct qs_ref r = g->e->reader[var][i];
        const struct qs_node *node = &g->m->block[r.block].node[r.node];
        const struct qs_quant_op *op = qs_quant_op_find(node->type);
        if (r.block == 0 && op && qs_quant_op_reads(op, node, var))
            return true;
    }
    return false;
}

static void
add_observer(const struct qs_deciding *g, int32_t var, bool rounded, struct qs_decisions *all)
{
    const struct qs_var *v = &g->m->var[var];
    const int64_t name = (int64_t)strlen(v->name), one = 1, watches = qs_attr_bytes(13, 2);
    const bool paddle = g->plan->compat == QS_COMPAT_PADDLE;
    if (qs_plan_format(g->plan) == QS_FORMAT_FAKEQUANT) {
        all->program_added += 2 * qs_attr_bytes(14, 5) + qs_attr_bytes(15, 2) + (rounded ? 0 : 2);
        return;
    }
    if (rounded || !is_known_reader(g, var))
        return;
    all->params_after += 2 * record_bytes(1, false) - (paddle ? 2 : 0);
    all->program_added +=
        var_bytes(name + SCALE, 1, &one) + var_bytes(name + QUANTIZED, v->n_dims, v->dims) +
        var_bytes(name + BOTH, v->n_dims, v->dims) + var_bytes(name + QUANTIZED + ZERO, 1, &one) +
        linear_bytes("quantize_linear", name, name + SCALE, name + QUANTIZED + ZERO,
                     name + QUANTIZED, false) +
        linear_bytes("dequantize_linear", name + QUANTIZED, name + SCALE, name + QUANTIZED + ZERO,
                     name + BOTH, false) +
        2 * watches + BOTH;
}

static void
add_observers(const struct qs_deciding *g, const bool *rounded, struct qs_decisions *all)
{
    const struct qs_block *b = &g->m->block[0];
    for (int32_t i = 0; i < b->n_node && (g->plan->observers || g->plan->compat); i++) {
        const struct qs_quant_op *op = qs_quant_op_find(b->node[i].type);
        int32_t var[INPUTS_MOST];
        const int n = op ? qs_quant_op_outputs(op, &b->node[i], var, INPUTS_MOST) : 0;
        for (int k = 0; k < n && k < INPUTS_MOST; k++)
            if (qs_is_activation(g->m, var[k]))
                add_observer(g, var[k], rounded[var[k]], all);
    }
}

void
qs_decide_nodes(const struct qs_deciding *g, const struct qs_layers *l, const struct qs_rules *rs,
                struct qs_decisions *all)
{
    const struct qs_block *b = &g->m->block[0];
    bool *weight = integer_weights(g, l, all);
    bool *rounded = qs_xcalloc((size_t)g->m->n_var + 1, sizeof(*rounded));
    all->node = qs_xcalloc((size_t)b->n_node + 1, sizeof(*all->node));
    for (int32_t i = 0; i < b->n_node; i++) {
        const struct qs_node *node = &b->node[i];
        int32_t var[INPUTS_MOST];
        const bool own = reads_any(node, weight);
        if (!own && (!rounds_activations(g, node) || is_skipped(g, node, rs, all)))
            continue;
        all->node[all->n_node++] = i;
        const int n = qs_rounded_inputs(g->m, node, var, INPUTS_MOST);
        for (int k = 0; k < n && k < INPUTS_MOST; k++) {
            if (!rounded[var[k]])
                add_activation(g, var[k], own, all);
            all->program_added += own && qs_plan_format(g->plan) == QS_FORMAT_QDQ ? BOTH : 0;
            rounded[var[k]] = true;
        }
    }
    add_observers(g, rounded, all);
    free(rounded);
    free(weight);
}
