/* SPDX-License-Identifier: Apache-2.0 */
/* A node that multiplies integers, and the operator after it, whose scales are those of the weight
 * and of the activation. */
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "model/op.h"
#include "passes/take_ops.h"

struct product {
    const struct qs_quantizer *op; /* that scales it */
    const struct qs_node *node;
    const struct qs_node *of; /* that multiplies */
    const struct qs_quant_act *act;
};

/* Thresholds of a weight of integers; NULL when they are missing. */
static double *
weight_thresholds(const struct qs_take_walk *a, const struct product *p, struct qs_quant_weight *w)
{
    if (qs_quantizer_has_both(p->op)) {
        w->bits = qs_quantizer_bits(p->op, p->node);
        return qs_quantizer_floats(a->m, qs_node_input(p->node, "Scales", 0), &w->n_scales);
    }
    const double range = (double)qs_quant_range(p->act->bits);
    double *t = qs_xcalloc(1, sizeof(*t));
    w->bits = p->act->bits;
    w->n_scales = 1;
    *t = (double)(float)(range * range / qs_attr_float(p->node, "max_range", 0));
    return t;
}

/* conv2d_transpose in groups has a filter [Cin, Cout / groups, h, w], but a scale for each of Cout:
 * they are noted once when they repeat. */
static void
drop_groups(const struct qs_node *of, const struct qs_tensor *t, struct qs_quant_weight *w)
{
    const int64_t groups = qs_attr_int(of, "groups", 1), n = w->axis < 0 ? 0 : t->dims[w->axis];
    if (strcmp(of->type, "conv2d_transpose") != 0 || groups < 2 || n < 1 ||
        w->n_scales / n != groups || w->n_scales % n != 0)
        return;
    for (int64_t i = n; i < w->n_scales; i++)
        if (w->threshold[i] != w->threshold[i - n])
            return;
    w->n_scales = n;
}

static enum qs_err
take_integers(struct qs_take_walk *a, const struct product *p, int32_t var)
{
    const struct qs_tensor *t = a->m->var[var].data;
    struct qs_quant_weight w = {.var = var, .axis = qs_weight_axis(p->of, t->n_dims)};
    w.threshold = weight_thresholds(a, p, &w);
    drop_groups(p->of, t, &w);
    if (w.n_scales == 1 && w.axis >= 0 && t->dims[w.axis] != 1)
        w.axis = -1;
    return qs_take_once(a, var, w, NULL);
}

static bool
activation_scale_fits(const struct qs_take_walk *a, const struct product *p)
{
    const int at = qs_quantizer_has_both(p->op) ? 1 : 0;
    int64_t n;
    double *t = qs_quantizer_floats(a->m, qs_node_input(p->node, p->op->scale, at), &n);
    const bool fits = t && n == 1 && t[0] == p->act->threshold;
    free(t);
    return fits;
}

enum qs_err
qs_take_op_product(struct qs_take_walk *a, const struct qs_quantizer *op,
                   const struct qs_node *node, int32_t x, int32_t y)
{
    struct qs_quant_node *q = &a->out->node[a->waits[x]];
    const struct qs_node *of = &a->node[q->node];
    const int32_t w =
        of->op && of->op->weight_slot ? qs_node_input(of, of->op->weight_slot, 0) : -1;
    a->waits[x] = -1;
    if (q->act < 0 || (q->weight < 0 && (w < 0 || !qs_take_is_constant(a, w))))
        return qs_fail(a->g->cx, QS_ERR_FORMAT, _("'%s' is scaled, but is no product of integers"),
                       qs_take_name(a, x));
    const struct product p = {op, node, of, &a->out->act[q->act]};
    if (!activation_scale_fits(a, &p))
        return qs_fail(a->g->cx, QS_ERR_FORMAT,
                       _("'%s' is rounded with one scale and read with another"),
                       qs_take_name(a, p.act->var));
    enum qs_err err = QS_OK;
    if (q->weight < 0) {
        err = take_integers(a, &p, w);
        q->weight = a->g->weight_of[w];
    }
    qs_take_set_alias(a, y, x, QS_PLAIN, -1, -1);
    return err;
}
