/* SPDX-License-Identifier: Apache-2.0 */
/* Paddle-Lite files: scales in the attributes Filter0_scale, Input0_scale, Output0_scale ... of
 * operators whose enable_int8 is set. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "passes/quantizer.h"
#include "passes/take_parts.h"

static const struct qs_attr *
scales_of(const struct qs_node *node, const struct qs_slot *slot, int i, char **name)
{
    *name = qs_xasprintf("%s%d_scale", slot->name, i);
    return qs_take_scales(node, *name);
}

/* The memory plan lets activations share names: one entry for each range. */
static int
take_act(struct qs_take *g, const struct qs_node *node, int32_t var, double scale, bool observed)
{
    const int64_t bits = qs_attr_int(node, "bit_length", 8);
    struct qs_quant_act act = {.var = var,
                               .bits = bits >= 2 && bits <= 16 ? (int)bits : 8,
                               .half_away = true,
                               .observed = observed};
    act.threshold = scale * (double)qs_quant_range(act.bits);
    if (!qs_is_threshold(act.threshold))
        return -1;
    for (int i = 0; i < g->out->n_act; i++)
        if (g->out->act[i].var == var && g->out->act[i].threshold == act.threshold) {
            g->out->act[i].observed = g->out->act[i].observed && observed;
            return i;
        }
    return qs_static_add_act(g->out, act);
}

static bool
is_rounded(const struct qs_take *g, const struct qs_node *node, int32_t var)
{
    return qs_attr_int(node, "enable_int8", 0) != 0 && !g->m->var[var].data;
}

static enum qs_err
take_input(struct qs_take *g, struct qs_node *node, const struct qs_slot *slot, int i,
           struct qs_quant_node *q)
{
    const int32_t var = slot->var[i];
    char *name;
    const struct qs_attr *scales = scales_of(node, slot, i, &name);
    int index = -1;
    const enum qs_err err = scales ? qs_take_integers(g, node, var, scales, &index) : QS_OK;
    if (index >= 0) {
        q->weight = index;
        qs_node_drop_attr(g->m, node, name);
    } else if (scales && scales->n == 1 && is_rounded(g, node, var)) {
        const int act = take_act(g, node, var, (double)scales->floats[0], false);
        if (act >= 0)
            qs_static_add_read(q, act);
    }
    free(name);
    return err;
}

static void
take_output(struct qs_take *g, const struct qs_node *node, const struct qs_slot *slot, int i)
{
    char *name;
    const struct qs_attr *scales = scales_of(node, slot, i, &name);
    if (scales && scales->n == 1)
        (void)take_act(g, node, slot->var[i], (double)scales->floats[0], true);
    free(name);
}

static enum qs_err
take_node(struct qs_take *g, int32_t block, int32_t i)
{
    struct qs_node *node = &g->m->block[block].node[i];
    struct qs_quant_node q = {.node = i, .act = -1, .act2 = -1, .weight = -1};
    enum qs_err err = QS_OK;
    for (int s = 0; s < node->n_in && !err; s++)
        for (int k = 0; k < node->in[s].n && !err; k++)
            err = take_input(g, node, &node->in[s], k, &q);
    for (int s = 0; s < node->n_out && !err && q.weight >= 0; s++)
        for (int k = 0; k < node->out[s].n; k++)
            take_output(g, node, &node->out[s], k);
    if (!err && block == 0 && (q.weight >= 0 || q.n_all > 0))
        qs_static_add_node(g->out, q);
    else
        free(q.all);
    return err;
}

enum qs_err
qs_take_lite(struct qs_take *g)
{
    enum qs_err err = QS_OK;
    if (!g->m->format || strcmp(g->m->format, "nb") != 0)
        return QS_OK;
    for (int b = 0; b < g->m->n_block && !err; b++)
        for (int i = 0; i < g->m->block[b].n_node && !err; i++)
            err = take_node(g, b, i);
    return err;
}
