/* SPDX-License-Identifier: Apache-2.0 */
/* Activations that go through a quantization operator. */
#include "base/i18n.h"
#include "passes/take_ops.h"

static bool
same_act(const struct qs_quant_act *x, const struct qs_quant_act *y)
{
    return x->bits == y->bits && x->threshold == y->threshold && x->half_away == y->half_away;
}

/* A range that is only recorded gives way to one that is used. */
static int
add_act(struct qs_static_notes *o, struct qs_quant_act act)
{
    for (int i = 0; i < o->n_act; i++) {
        struct qs_quant_act *old = &o->act[i];
        if (old->var != act.var || (!same_act(old, &act) && !old->observed && !act.observed))
            continue;
        if (old->observed && !act.observed)
            *old = act;
        return i;
    }
    return qs_static_add_act(o, act);
}

void
qs_take_range(struct qs_take_walk *a, int32_t var, int bits, double threshold, bool half_away)
{
    if (bits > 0 && qs_is_threshold(threshold) && !qs_take_is_constant(a, var))
        add_act(a->out, (struct qs_quant_act){.var = var,
                                              .bits = bits,
                                              .threshold = threshold,
                                              .half_away = half_away,
                                              .observed = true});
}

void
qs_take_op_round(struct qs_take_walk *a, const struct qs_quantizer *op, const struct qs_node *node,
                 int32_t x, int32_t y)
{
    struct qs_quant_act act = {.var = a->alias[x].base,
                               .bits = qs_quantizer_bits(op, node),
                               .half_away = qs_quantizer_is_away(op, node)};
    qs_quantizer_threshold(op, a->m, node, &act.threshold);
    qs_take_set_alias(a, y, act.var, op->does == QS_ROUNDS ? QS_ROUNDED : QS_INTEGERS,
                      add_act(a->out, act), -1);
}

enum qs_err
qs_take_op_back(struct qs_take_walk *a, const struct qs_quantizer *op, const struct qs_node *node,
                int32_t x, int32_t y)
{
    const struct qs_alias from = a->alias[x];
    const struct qs_quant_act *act = from.act < 0 ? NULL : &a->out->act[from.act];
    const double range = (double)qs_quant_range(act ? act->bits : a->out->weight[from.weight].bits);
    double t;
    const bool one = qs_quantizer_threshold(op, a->m, node, &t);
    if ((act && (!one || t != act->threshold)) || qs_attr_float(node, "max_range", range) != range)
        return qs_fail(a->g->cx, QS_ERR_FORMAT,
                       _("'%s' is rounded with one scale and read with another"),
                       qs_take_name(a, from.base));
    a->alias[y] = from;
    a->alias[y].value = QS_ROUNDED;
    return QS_OK;
}

void
qs_take_op_observer(struct qs_take_walk *a, const struct qs_quantizer *op,
                    const struct qs_node *node, int32_t x, int32_t y)
{
    double t;
    if (qs_quantizer_threshold(op, a->m, node, &t) && a->alias[x].value == QS_PLAIN)
        qs_take_range(a, a->alias[x].base, qs_quantizer_bits(op, node), t,
                      qs_quantizer_is_away(op, node));
    if (y >= 0)
        a->alias[y] = a->alias[x];
}
