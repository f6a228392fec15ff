/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "model/op.h"
#include "model/quant_static.h"
#include "passes/take_parts.h"

/* Attributes */

static bool
is_slot_threshold(const struct qs_slot *slot, int n_slot, const char *name, int *at)
{
    for (*at = 0; *at < n_slot; ++*at) {
        const size_t n = strlen(slot[*at].name);
        const size_t digits = strncmp(name, slot[*at].name, n) ? 0 : strspn(name + n, "0123456789");
        if (digits > 0 && strcmp(name + n + digits, "_threshold") == 0)
            return true;
    }
    return false;
}

static bool
describes_quantization(const struct qs_node *node, const char *name)
{
    static const char *const plain[] = {"quantization_type", "with_quant_attr", "activation_bits",
                                        "quantize_weight_bits", "out_threshold"};
    int at;
    for (size_t i = 0; i < QS_LEN(plain); i++)
        if (strcmp(plain[i], name) == 0)
            return true;
    return is_slot_threshold(node->in, node->n_in, name, &at) ||
           is_slot_threshold(node->out, node->n_out, name, &at);
}

void
qs_drop_quant_attributes(struct qs_model *m, struct qs_node *node)
{
    for (int i = node->n_attr - 1; i >= 0; i--)
        if (describes_quantization(node, node->attr[i].name))
            qs_node_drop_attr(m, node, node->attr[i].name);
}

/* The walk */

struct taking {
    struct qs_ctx *cx;
    struct qs_model *m;
    struct qs_static_notes *out;
    int *weight_of; /* [n_var] index in weight[]; -1 */
};

static void *
one_more(void *array, int n, size_t size)
{
    return (n & (n - 1)) == 0 ? qs_xrealloc(array, (n ? 2 * (size_t)n : 1) * size) : array;
}

static bool
is_lite(const struct qs_model *m)
{
    return m->format && strcmp(m->format, "nb") == 0;
}

/* Argument i of a slot: the attribute of its scales, and its name. */
static const struct qs_attr *
scales_at(const struct taking *t, const struct qs_node *node, const struct qs_slot *slot, int i,
          char **name)
{
    const bool lite = is_lite(t->m);
    *name = lite ? qs_xasprintf("%s%d_scale", slot->name, i)
                 : qs_xasprintf("%s_quant_scale", t->m->var[slot->var[i]].name);
    const struct qs_attr *a = qs_node_attr(node, *name);
    return a && a->type == QS_ATTR_FLOATS && !a->raw.p && a->n > 0 ? a : NULL;
}

static bool
has_integers(const struct qs_model *m, int32_t var)
{
    const struct qs_tensor *t = m->var[var].data;
    return t && (t->dtype == QS_DTYPE_int8 || t->dtype == QS_DTYPE_int16);
}

static enum qs_err
check_scales(const struct taking *g, const struct qs_tensor *t, const struct qs_quant_weight *w)
{
    const int64_t want = w->axis < 0 ? 1 : t->dims[w->axis];
    if (w->n_scales != want)
        return qs_fail(g->cx, QS_ERR_FORMAT,
                       _("weight '%s' has %" PRId64 " scales, but %" PRId64 " channels"),
                       g->m->var[w->var].name, w->n_scales, want);
    for (int64_t c = 0; c < want; c++)
        if (!isfinite(w->threshold[c]) || w->threshold[c] < 0)
            return qs_fail(g->cx, QS_ERR_FORMAT, _("scale %" PRId64 " of weight '%s' is %g"), c,
                           g->m->var[w->var].name, w->threshold[c]);
    return QS_OK;
}

/* q * scale is rounded once, from double, as Paddle-Lite and quant.h have it. */
static enum qs_err
float_values(struct qs_ctx *cx, const struct qs_tensor *t, const struct qs_attr *scales,
             const struct qs_quant_weight *w, struct qs_buf **out)
{
    struct qs_quantized q = {
        .q = w->q, .dtype = w->bits <= 8 ? QS_DTYPE_int8 : QS_DTYPE_int16, .n_scales = scales->n};
    q.exact = qs_xcalloc((size_t)scales->n, sizeof(*q.exact));
    for (int i = 0; i < scales->n; i++)
        q.exact[i] = scales->floats[i];
    const enum qs_err err = qs_dequantize(cx, t, w->axis, &q, out);
    free(q.exact);
    return err;
}

static enum qs_err
take_weight(struct taking *g, const struct qs_node *node, int32_t var, const struct qs_attr *scales)
{
    const struct qs_tensor *t = g->m->var[var].data;
    struct qs_buf *y = NULL;
    struct qs_quant_weight w = {.var = var,
                                .bits = t->dtype == QS_DTYPE_int8 ? 8 : 16,
                                .axis = scales->n == 1 ? -1 : qs_weight_axis(node, t->n_dims),
                                .n_scales = scales->n};
    w.threshold = qs_xcalloc((size_t)scales->n, sizeof(*w.threshold));
    for (int i = 0; i < scales->n; i++)
        w.threshold[i] = (double)scales->floats[i] * (double)qs_quant_range(w.bits);
    enum qs_err err = check_scales(g, t, &w);
    if (!err)
        err = qs_static_integers(g->cx, t, w.bits, &w.q);
    if (!err)
        err = float_values(g->cx, t, scales, &w, &y);
    if (err) {
        qs_buf_unref(w.q);
        free(w.threshold);
        return err;
    }
    g->out->weight = one_more(g->out->weight, g->out->n_weight, sizeof(w));
    g->weight_of[var] = g->out->n_weight;
    g->out->weight[g->out->n_weight++] = w;
    qs_model_set_data(g->m, var, QS_DTYPE_float32, t->n_dims, t->dims, y, 0);
    return QS_OK;
}

/* The memory plan of a Paddle-Lite file lets activations share names: one entry for each range. */
static int
take_act(struct taking *g, const struct qs_node *node, int32_t var, double scale, bool observed)
{
    const int64_t bits = qs_attr_int(node, "bit_length", 8);
    struct qs_quant_act act = {.var = var,
                               .bits = bits >= 2 && bits <= 16 ? (int)bits : 8,
                               .half_away = true,
                               .observed = observed};
    act.threshold = scale * (double)qs_quant_range(act.bits);
    if (!isfinite(act.threshold) || act.threshold < 0)
        return -1;
    for (int i = 0; i < g->out->n_act; i++)
        if (g->out->act[i].var == var && g->out->act[i].threshold == act.threshold) {
            g->out->act[i].observed = g->out->act[i].observed && observed;
            return i;
        }
    g->out->act = one_more(g->out->act, g->out->n_act, sizeof(act));
    g->out->act[g->out->n_act] = act;
    return g->out->n_act++;
}

static void
add_read(struct qs_quant_node *q, int act)
{
    if (act < 0)
        return;
    q->all = one_more(q->all, q->n_all, sizeof(*q->all));
    q->all[q->n_all++] = act;
    if (q->n_all == 1)
        q->act = act;
    else if (q->n_all == 2)
        q->act2 = act;
}

static enum qs_err
take_input(struct taking *g, struct qs_node *node, const struct qs_slot *slot, int i,
           struct qs_quant_node *q)
{
    const int32_t var = slot->var[i];
    char *name;
    const struct qs_attr *scales = scales_at(g, node, slot, i, &name);
    enum qs_err err = QS_OK;
    if (scales && g->weight_of[var] < 0 && has_integers(g->m, var))
        err = take_weight(g, node, var, scales);
    if (scales && g->weight_of[var] >= 0) {
        q->weight = g->weight_of[var];
        qs_node_drop_attr(g->m, node, name);
    } else if (scales && scales->n == 1 && is_lite(g->m) &&
               qs_attr_int(node, "enable_int8", 0) != 0 && !g->m->var[var].data)
        add_read(q, take_act(g, node, var, (double)scales->floats[0], false));
    free(name);
    return err;
}

static void
take_outputs(struct taking *g, const struct qs_node *node)
{
    for (int s = 0; s < node->n_out; s++)
        for (int i = 0; i < node->out[s].n; i++) {
            char *name;
            const struct qs_attr *scales = scales_at(g, node, &node->out[s], i, &name);
            if (scales && scales->n == 1)
                (void)take_act(g, node, node->out[s].var[i], (double)scales->floats[0], true);
            free(name);
        }
}

static enum qs_err
take_node(struct taking *g, int32_t block, int32_t i)
{
    struct qs_node *node = &g->m->block[block].node[i];
    struct qs_quant_node q = {.node = i, .act = -1, .act2 = -1, .weight = -1};
    enum qs_err err = QS_OK;
    for (int s = 0; s < node->n_in && !err; s++)
        for (int k = 0; k < node->in[s].n && !err; k++)
            err = take_input(g, node, &node->in[s], k, &q);
    const bool lite = is_lite(g->m);
    if (!err && lite && q.weight >= 0)
        take_outputs(g, node);
    if (!err && !lite && q.weight >= 0)
        qs_drop_quant_attributes(g->m, node);
    if (err || block != 0 || (q.weight < 0 && q.n_all == 0)) {
        free(q.all);
        return err;
    }
    g->out->node = one_more(g->out->node, g->out->n_node, sizeof(q));
    g->out->node[g->out->n_node++] = q;
    return QS_OK;
}

enum qs_err
qs_take_scales(struct qs_ctx *cx, struct qs_model *m, struct qs_static_notes *out)
{
    struct taking g = {.cx = cx, .m = m, .out = out};
    enum qs_err err = QS_OK;
    g.weight_of = qs_xmalloc(((size_t)m->n_var + 1) * sizeof(*g.weight_of));
    for (int v = 0; v < m->n_var; v++)
        g.weight_of[v] = -1;
    for (int b = 0; b < m->n_block && !err; b++)
        for (int i = 0; i < m->block[b].n_node && !err; i++)
            err = take_node(&g, b, i);
    free(g.weight_of);
    return err;
}
