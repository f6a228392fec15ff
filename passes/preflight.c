/* SPDX-License-Identifier: Apache-2.0 */
#include "passes/preflight.h"

#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "model/op.h"

/* By node of block 0: whether the plan quantizes it. */
static bool *
quantized_nodes(const struct qs_model *m, const struct qs_layers *layers,
                const struct qs_plan *plan, const struct qs_decisions *d)
{
    const struct qs_block *b = &m->block[0];
    bool *is = qs_xcalloc((size_t)b->n_node + 1, sizeof(*is));
    bool *weight = qs_xcalloc((size_t)m->n_var + 1, sizeof(*weight));
    for (int i = 0; i < layers->n; i++)
        weight[layers->layer[i].var] = d->layer[i].action == QS_ACTION_INTEGER;
    for (int i = 0; i < d->n_node; i++)
        is[d->node[i]] = true;
    for (int i = 0; i < b->n_node && plan->method != QS_METHOD_STATIC; i++) {
        const struct qs_node *node = &b->node[i];
        const char *slot = node->op ? node->op->weight_slot : NULL;
        const int32_t w = slot ? qs_node_input(node, slot, 0) : -1;
        is[i] = w >= 0 && weight[w];
    }
    free(weight);
    return is;
}

static const char *
format_of(const struct qs_plan *plan)
{
    static const char *const name[] = {[QS_FORMAT_AUTO] = "",
                                       [QS_FORMAT_QDQ] = "qdq",
                                       [QS_FORMAT_FAKEQUANT] = "fakequant",
                                       [QS_FORMAT_DYNAMIC] = "dynamic"};
    return name[qs_plan_format(plan)];
}

static void
add_problem(struct qs_preflight_target *to, const char *op_type, const struct qs_target_row *row)
{
    for (int i = 0; i < to->n_problem; i++)
        if (strcmp(to->problem[i].op_type, op_type) == 0 &&
            to->problem[i].verdict == row->verdict) {
            to->problem[i].n++;
            return;
        }
    to->problem = qs_xrealloc(to->problem, (size_t)(to->n_problem + 1) * sizeof(*to->problem));
    to->problem[to->n_problem++] =
        (struct qs_preflight_problem){.op_type = qs_xstrdup(op_type),
                                      .note = qs_xstrdup(*row->note ? _(row->note) : ""),
                                      .verdict = row->verdict,
                                      .n = 1};
}

/* What is known of a value while the nodes pass by. */
struct value {
    bool int8;                /* it comes out of an integer operator */
    bool read_int8, read_f32; /* somebody has had it converted */
};

static void
count_conversions(const struct qs_node *node, bool int8, struct value *value,
                  struct qs_preflight_target *to)
{
    for (int s = 0; s < node->n_in; s++)
        for (int i = 0; i < node->in[s].n; i++) {
            struct value *v = &value[node->in[s].var[i]];
            if (int8 && !v->int8 && !v->read_int8) {
                v->read_int8 = true;
                to->to_int8++;
            } else if (!int8 && v->int8 && !v->read_f32) {
                v->read_f32 = true;
                to->to_float++;
            }
        }
}

/* An operator can join the integer one that made what it reads when it reads nothing else but
 * parameters. */
static bool
joins(const struct qs_model *m, const struct qs_node *node, const struct value *value)
{
    int n_int8 = 0, n = 0;
    for (int s = 0; s < node->n_in; s++)
        for (int i = 0; i < node->in[s].n; i++) {
            const int32_t var = node->in[s].var[i];
            n_int8 += value[var].int8;
            n += !qs_var_is_param(&m->var[var]);
        }
    return n == 1 && n_int8 == 1;
}

/* A weight needs no conversion. */
static void
start_values(const struct qs_model *m, struct value *value)
{
    for (int v = 0; v < m->n_var; v++)
        if (qs_var_is_param(&m->var[v]))
            value[v] = (struct value){.read_int8 = true, .read_f32 = true};
}

static void
judge(const struct qs_model *m, const bool *quantized, const char *format,
      const struct qs_targets *t, struct qs_preflight_target *to)
{
    struct value *value = qs_xcalloc((size_t)m->n_var + 1, sizeof(*value));
    start_values(m, value);
    for (int i = 0; i < m->block[0].n_node; i++) {
        const struct qs_node *node = &m->block[0].node[i];
        const bool ends = strcmp(node->type, "feed") == 0 || strcmp(node->type, "fetch") == 0;
        const struct qs_target_row *row =
            qs_targets_find(t, to->name, quantized[i] ? format : "float", node->type);
        enum qs_verdict v = row ? row->verdict : QS_VERDICT_FLOAT;
        if (v == QS_VERDICT_FUSED && !joins(m, node, value))
            v = QS_VERDICT_FLOAT;
        const bool int8 = v == QS_VERDICT_INT8 || v == QS_VERDICT_FUSED;
        to->count[v] += !ends;
        if (v == QS_VERDICT_REFUSED || v == QS_VERDICT_WRONG)
            add_problem(to, node->type, row);
        if (v != QS_VERDICT_FUSED)
            count_conversions(node, int8, value, to);
        for (int s = 0; s < node->n_out; s++)
            for (int k = 0; k < node->out[s].n; k++)
                value[node->out[s].var[k]] = (struct value){.int8 = int8};
    }
    free(value);
}

void
qs_preflight_make(const struct qs_model *m, const struct qs_layers *layers,
                  const struct qs_plan *plan, const struct qs_decisions *d,
                  const struct qs_targets *t, struct qs_preflight *out)
{
    bool *quantized = quantized_nodes(m, layers, plan, d);
    *out = (struct qs_preflight){.n = t->n_name};
    out->target = qs_xcalloc((size_t)t->n_name, sizeof(*out->target));
    for (int i = 0; i < t->n_name; i++) {
        out->target[i].name = qs_xstrdup(t->name[i]);
        judge(m, quantized, format_of(plan), t, &out->target[i]);
    }
    free(quantized);
}

void
qs_preflight_release(struct qs_preflight *p)
{
    for (int i = 0; i < p->n; i++) {
        for (int k = 0; k < p->target[i].n_problem; k++) {
            free(p->target[i].problem[k].op_type);
            free(p->target[i].problem[k].note);
        }
        free(p->target[i].problem);
        free(p->target[i].name);
    }
    free(p->target);
    *p = (struct qs_preflight){0};
}
