/* SPDX-License-Identifier: Apache-2.0 */
/* Method dynamic: integer weights, their scales in the attribute <weight>_quant_scale of the
 * operators that read them. */
#include <stdlib.h>

#include "base/mem.h"
#include "passes/take_parts.h"

static enum qs_err
take_input(struct qs_take *g, struct qs_node *node, int32_t var, int *weight)
{
    char *name = qs_xasprintf("%s_quant_scale", g->m->var[var].name);
    const struct qs_attr *scales = qs_take_scales(node, name);
    int index = -1;
    const enum qs_err err = scales ? qs_take_integers(g, node, var, scales, &index) : QS_OK;
    if (index >= 0) {
        *weight = index;
        qs_node_drop_attr(g->m, node, name);
    }
    free(name);
    return err;
}

static enum qs_err
take_node(struct qs_take *g, int32_t block, int32_t i)
{
    struct qs_node *node = &g->m->block[block].node[i];
    struct qs_quant_node q = {.node = i, .act = -1, .act2 = -1, .weight = -1};
    enum qs_err err = QS_OK;
    for (int s = 0; s < node->n_in && !err; s++)
        for (int k = 0; k < node->in[s].n && !err; k++)
            err = take_input(g, node, node->in[s].var[k], &q.weight);
    if (err || q.weight < 0)
        return err;
    qs_take_attributes(g->m, node);
    if (block == 0)
        qs_static_add_node(g->out, q);
    return QS_OK;
}

enum qs_err
qs_take_dynamic(struct qs_take *g)
{
    enum qs_err err = QS_OK;
    for (int b = 0; b < g->m->n_block && !err; b++)
        for (int i = 0; i < g->m->block[b].n_node && !err; i++)
            err = take_node(g, b, i);
    return err;
}
