/* SPDX-License-Identifier: Apache-2.0 */
#include "passes/take_ops.h"

#include <stdlib.h>

#include "base/i18n.h"
#include "base/mem.h"

const struct qs_node *
qs_take_node_at(const struct qs_take_walk *a, int i)
{
    return &a->m->block[0].node[i];
}

const char *
qs_take_name(const struct qs_take_walk *a, int32_t var)
{
    return a->m->var[var].name;
}

bool
qs_take_is_constant(const struct qs_take_walk *a, int32_t var)
{
    return a->m->var[var].data && qs_var_is_param(&a->m->var[var]) && a->writes[var] == 0;
}

void
qs_take_set_alias(struct qs_take_walk *a, int32_t var, int32_t base, enum qs_alias_value value,
                  int act, int weight)
{
    a->alias[var] = (struct qs_alias){base, a->version[base], value, act, weight};
}

/* Before the walk */

static void
count(const struct qs_slot *slot, int n, int *counts)
{
    for (int s = 0; s < n; s++)
        for (int i = 0; i < slot[s].n; i++)
            counts[slot[s].var[i]]++;
}

static void
mark(const struct qs_slot *slot, int n, bool *marks)
{
    for (int s = 0; s < n; s++)
        for (int i = 0; i < slot[s].n; i++)
            marks[slot[s].var[i]] = true;
}

static void
count_all(struct qs_take_walk *a)
{
    for (int b = 0; b < a->m->n_block; b++)
        for (int i = 0; i < a->m->block[b].n_node; i++) {
            const struct qs_node *node = &a->m->block[b].node[i];
            count(node->out, node->n_out, a->writes);
            if (b == 0)
                continue;
            count(node->in, node->n_in, a->stays_read);
            mark(node->in, node->n_in, a->elsewhere);
            mark(node->out, node->n_out, a->elsewhere);
        }
}

static void
start(struct qs_take_walk *a)
{
    const size_t n_var = (size_t)a->m->n_var + 1, n_node = (size_t)a->m->block[0].n_node + 1;
    a->alias = qs_xcalloc(n_var, sizeof(*a->alias));
    a->version = qs_xcalloc(n_var, sizeof(*a->version));
    a->writes = qs_xcalloc(n_var, sizeof(*a->writes));
    a->stays_read = qs_xcalloc(n_var, sizeof(*a->stays_read));
    a->elsewhere = qs_xcalloc(n_var, sizeof(*a->elsewhere));
    a->touched = qs_xcalloc(n_var, sizeof(*a->touched));
    a->waits = qs_xcalloc(n_var, sizeof(*a->waits));
    a->stay = qs_xcalloc(n_node, sizeof(*a->stay));
    a->node = qs_arena_calloc(&a->m->arena, n_node, sizeof(*a->node));
    for (int v = 0; v < a->m->n_var; v++) {
        a->waits[v] = -1;
        qs_take_set_alias(a, v, v, QS_PLAIN, -1, -1);
    }
    count_all(a);
    qs_take_find_stay(a);
    for (int i = 0; i < a->m->block[0].n_node; i++) {
        const struct qs_node *node = qs_take_node_at(a, i);
        if (!qs_quantizer_of(node) || a->stay[i])
            count(node->in, node->n_in, a->stays_read);
    }
}

static void
finish(struct qs_take_walk *a)
{
    free(a->alias);
    free(a->version);
    free(a->writes);
    free(a->stays_read);
    free(a->elsewhere);
    free(a->touched);
    free(a->waits);
    free(a->stay);
}

/* The walk */

static enum qs_err
take(struct qs_take_walk *a, int i)
{
    const struct qs_node *node = qs_take_node_at(a, i);
    const struct qs_quantizer *op = qs_quantizer_of(node);
    const int32_t x = op ? qs_node_input(node, "X", 0) : -1;
    const int32_t y = op ? qs_node_output(node, op->out, 0) : -1;
    if (!op || a->stay[i] || x < 0 || (y < 0 && op->does != QS_WATCHES))
        return qs_take_keep(a, node);
    const struct qs_alias *from = &a->alias[x];
    const bool watches = qs_quantizer_only_watches(op, node), back = op->does == QS_TO_FLOAT;
    const bool weight = from->value == QS_PLAIN && from->base == x && qs_take_is_constant(a, x);
    const bool again = !back && from->value != QS_PLAIN && from->weight >= 0;
    const bool nothing = back && !weight && from->value != QS_INTEGERS && a->waits[x] < 0;
    if (!watches && (again || nothing))
        return qs_take_keep(a, node);
    mark(node->in, node->n_in, a->touched);
    mark(node->out, node->n_out, a->touched);
    if (watches)
        qs_take_op_observer(a, op, node, x, y);
    else if (weight)
        return qs_take_op_weight(a, op, node, x, y);
    else if (back && from->value == QS_INTEGERS)
        return qs_take_op_back(a, op, node, x, y);
    else if (back)
        return qs_take_op_product(a, op, node, x, y);
    else
        qs_take_op_round(a, op, node, x, y);
    return QS_OK;
}

/* Integers that an operator reads as such must not be read by another as floats. */
static enum qs_err
check_readers(const struct qs_take_walk *a)
{
    const struct qs_static_notes *o = a->out;
    int *reads = qs_xcalloc((size_t)o->n_weight + 1, sizeof(*reads));
    enum qs_err err = QS_OK;
    for (int i = 0; i < o->n_node; i++)
        if (o->node[i].weight >= 0)
            reads[o->node[i].weight]++;
    for (int v = 0; v < a->m->n_var && !err; v++) {
        const int w = a->g->weight_of[v];
        if (w >= 0 && o->weight[w].var == v && a->stays_read[v] > 0 && a->stays_read[v] != reads[w])
            err = qs_fail(a->g->cx, QS_ERR_FORMAT,
                          _("weight '%s' is read as integers and as floats"), qs_take_name(a, v));
        if (a->waits[v] >= 0)
            err = qs_fail(a->g->cx, QS_ERR_FORMAT,
                          _("'%s' is a product of integers, but not scaled"), qs_take_name(a, v));
    }
    free(reads);
    return err;
}

static enum qs_err
walk(struct qs_take_walk *a)
{
    const int n = a->m->block[0].n_node;
    enum qs_err err = QS_OK;
    for (int i = 0; i < n && !err; i++)
        err = take(a, i);
    if (!err)
        err = check_readers(a);
    if (err)
        return err;
    a->m->block[0].node = a->node;
    a->m->block[0].n_node = a->n_node;
    qs_model_forget_unused(a->m, a->touched);
    return QS_OK;
}

static bool
has_quant_ops(const struct qs_model *m)
{
    for (int i = 0; i < m->block[0].n_node; i++)
        if (qs_quantizer_of(&m->block[0].node[i]))
            return true;
    return false;
}

enum qs_err
qs_take_ops(struct qs_take *g)
{
    struct qs_take_walk a = {.g = g, .m = g->m, .out = g->out};
    if (!has_quant_ops(g->m))
        return QS_OK;
    start(&a);
    const enum qs_err err = walk(&a);
    finish(&a);
    return err;
}
