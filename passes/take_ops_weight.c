/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters that go through a quantization operator. */
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "passes/take_ops.h"

/* The variable that holds the float weight: the parameter itself, or, when others read it as it
 * is, the variable that the operator wrote, which becomes a parameter. */
static int32_t
float_weight(struct qs_take_walk *a, int32_t from, int32_t written)
{
    const int known = a->g->weight_of[from];
    struct qs_var *v = &a->m->var[written];
    if (known >= 0)
        return a->out->weight[known].var;
    if (a->stays_read[from] == 0)
        return from;
    v->persistable = 1;
    if (!v->declared)
        qs_model_declare(a->m, written);
    return written;
}

/* Largest magnitude of each channel: what the operator finds when it runs. */
static double *
absmax_of(const struct qs_tensor *t, int axis, int64_t *n)
{
    const struct qs_channels ch = qs_channels_of(t, axis);
    float *absmax = qs_xcalloc((size_t)ch.n_channels, sizeof(*absmax));
    double *out = qs_xcalloc((size_t)ch.n_channels, sizeof(*out));
    qs_channel_absmax(t, ch, absmax);
    for (int64_t c = 0; c < ch.n_channels; c++)
        out[c] = absmax[c];
    free(absmax);
    *n = ch.n_channels;
    return out;
}

static double *
copy_of(const struct qs_quant_weight *w, int64_t *n)
{
    double *t = qs_xcalloc((size_t)w->n_scales, sizeof(*t));
    memcpy(t, w->threshold, (size_t)w->n_scales * sizeof(*t));
    *n = w->n_scales;
    return t;
}

/* Thresholds and axis of the weight x. */
static void
read_scales(const struct qs_take_walk *a, const struct qs_quantizer *op, const struct qs_node *node,
            int32_t x, struct qs_quant_weight *w)
{
    const struct qs_tensor *t = a->m->var[x].data;
    const int known = a->g->weight_of[x];
    if (op->scale)
        w->threshold = qs_quantizer_floats(a->m, qs_node_input(node, op->scale, 0), &w->n_scales);
    w->axis = qs_quantizer_axis(op, node, t, w->n_scales);
    if (op->scale)
        return;
    if (known >= 0) /* its values are rounded by now */
        w->threshold = copy_of(&a->out->weight[known], &w->n_scales);
    else if (t->dtype == QS_DTYPE_float32)
        w->threshold = absmax_of(t, w->axis, &w->n_scales);
}

static bool
same_weight(const struct qs_quant_weight *x, const struct qs_quant_weight *y)
{
    return x->bits == y->bits && x->axis == y->axis && x->n_scales == y->n_scales &&
           memcmp(x->threshold, y->threshold, (size_t)x->n_scales * sizeof(double)) == 0;
}

enum qs_err
qs_take_once(struct qs_take_walk *a, int32_t from, struct qs_quant_weight w,
             const enum qs_static_rounding *how)
{
    const int known = a->g->weight_of[from];
    if (!w.threshold || w.bits == 0) {
        free(w.threshold);
        return qs_fail(a->g->cx, QS_ERR_FORMAT, _("the scales of weight '%s' are missing"),
                       qs_take_name(a, from));
    }
    if (known < 0)
        return qs_take_weight(a->g, from, w, how, NULL);
    const bool same = same_weight(&a->out->weight[known], &w);
    free(w.threshold);
    return same ? QS_OK
                : qs_fail(a->g->cx, QS_ERR_FORMAT,
                          _("weight '%s' has two different sets of scales"), qs_take_name(a, from));
}

enum qs_err
qs_take_op_weight(struct qs_take_walk *a, const struct qs_quantizer *op, const struct qs_node *node,
                  int32_t x, int32_t y)
{
    struct qs_quant_weight w = {.var = float_weight(a, x, y), .bits = qs_quantizer_bits(op, node)};
    const enum qs_static_rounding how =
        qs_quantizer_is_away(op, node) ? QS_STATIC_AWAY : QS_STATIC_EVEN;
    read_scales(a, op, node, x, &w);
    const enum qs_err err = qs_take_once(a, x, w, op->does == QS_TO_FLOAT ? NULL : &how);
    if (err)
        return err;
    const int index = a->g->weight_of[x];
    qs_take_set_alias(a, y, a->out->weight[index].var,
                      op->does == QS_TO_INTEGERS ? QS_INTEGERS : QS_ROUNDED, -1, index);
    return QS_OK;
}
