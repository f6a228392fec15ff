/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that stay: what they read is named anew, and noted where it is rounded. */
#include <stdio.h>
#include <stdlib.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "passes/take_ops.h"

static enum qs_err
resolve(const struct qs_take_walk *a, int32_t var, int32_t *base)
{
    const struct qs_alias *x = &a->alias[var];
    if (x->base != var && x->version != a->version[x->base])
        return qs_fail(a->g->cx, QS_ERR_UNSUPPORTED,
                       _("'%s' changes between being rounded and being read"),
                       qs_take_name(a, x->base));
    *base = x->base;
    return QS_OK;
}

static enum qs_err
rename_slot(struct qs_take_walk *a, struct qs_node *node, const struct qs_slot *slot)
{
    int32_t *var = qs_xmalloc((size_t)slot->n * sizeof(*var) + 1);
    bool changed = false;
    enum qs_err err = QS_OK;
    for (int i = 0; i < slot->n && !err; i++) {
        err = resolve(a, slot->var[i], &var[i]);
        changed = changed || (!err && var[i] != slot->var[i]);
    }
    if (!err && changed)
        qs_node_set_in(a->m, node, slot->name, var, slot->n);
    free(var);
    return err;
}

/* Notes which inputs are rounded; true when they are integers that wait to be scaled. */
static bool
note_reads(const struct qs_take_walk *a, const struct qs_node *node, struct qs_quant_node *q)
{
    bool waits = false;
    for (int s = 0; s < node->n_in; s++)
        for (int i = 0; i < node->in[s].n; i++) {
            const struct qs_alias *x = &a->alias[node->in[s].var[i]];
            if (x->value == QS_PLAIN)
                continue;
            waits = waits || x->value == QS_INTEGERS;
            if (x->act >= 0)
                qs_static_add_read(q, x->act);
            else if (q->weight < 0)
                q->weight = x->weight;
        }
    return waits;
}

/* Ranges of outputs that the older format keeps in attributes. */
static void
note_ranges(struct qs_take_walk *a, const struct qs_node *node)
{
    const int64_t bits = qs_attr_int(node, "activation_bits", 8);
    for (int s = 0; s < node->n_out; s++)
        for (int i = 0; i < node->out[s].n; i++) {
            char name[96];
            snprintf(name, sizeof(name), "%.60s%d_threshold", node->out[s].name, i);
            const double t = qs_attr_float(node, name, -1);
            if (t >= 0 && bits >= 2 && bits <= 16)
                qs_take_range(a, node->out[s].var[i], (int)bits, t, true);
        }
}

static void
write_outputs(struct qs_take_walk *a, const struct qs_node *node, int waits)
{
    for (int s = 0; s < node->n_out; s++)
        for (int i = 0; i < node->out[s].n; i++) {
            const int32_t v = node->out[s].var[i];
            a->version[v]++;
            a->waits[v] = waits;
            qs_take_set_alias(a, v, v, QS_PLAIN, -1, -1);
        }
}

enum qs_err
qs_take_keep(struct qs_take_walk *a, const struct qs_node *from)
{
    struct qs_node *node = &a->node[a->n_node];
    struct qs_quant_node q = {.node = a->n_node, .act = -1, .act2 = -1, .weight = -1};
    *node = *from;
    const bool waits = note_reads(a, node, &q);
    if (q.n_all > 0 || q.weight >= 0)
        qs_static_add_node(a->out, q);
    for (int s = 0; s < node->n_in; s++) {
        const enum qs_err err = rename_slot(a, node, &node->in[s]);
        if (err)
            return err;
    }
    a->n_node++;
    write_outputs(a, node, waits ? a->out->n_node - 1 : -1);
    if (!qs_quantizer_of(node)) {
        note_ranges(a, node);
        qs_take_attributes(a->m, node);
    }
    return QS_OK;
}
