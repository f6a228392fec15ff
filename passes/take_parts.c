/* SPDX-License-Identifier: Apache-2.0 */
#include "passes/take_parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "model/op.h"
#include "passes/quantizer.h"

/* Weights */

static enum qs_err
check_scales(const struct qs_take *g, const struct qs_tensor *t, const struct qs_quant_weight *w)
{
    const char *name = g->m->var[w->var].name;
    const int64_t want = w->axis < 0 ? 1 : t->dims[w->axis];
    if (w->n_scales != want)
        return qs_fail(g->cx, QS_ERR_FORMAT,
                       _("weight '%s' has %" PRId64 " scales, but %" PRId64 " channels"), name,
                       w->n_scales, want);
    for (int64_t c = 0; c < want; c++)
        if (!qs_is_threshold(w->threshold[c]))
            return qs_fail(g->cx, QS_ERR_FORMAT, _("scale %" PRId64 " of weight '%s' is %g"), c,
                           name, w->threshold[c]);
    return QS_OK;
}

/* q * scale is rounded once, from double, as Paddle-Lite and quant.h have it. */
static enum qs_err
times_exact(struct qs_ctx *cx, const struct qs_tensor *t, const struct qs_quant_weight *w,
            const float *exact, struct qs_buf **out)
{
    struct qs_quantized q = {
        .q = w->q, .dtype = w->bits <= 8 ? QS_DTYPE_int8 : QS_DTYPE_int16, .n_scales = w->n_scales};
    q.exact = qs_xcalloc((size_t)w->n_scales, sizeof(*q.exact));
    for (int64_t i = 0; i < w->n_scales; i++)
        q.exact[i] = (double)exact[i];
    const enum qs_err err = qs_dequantize(cx, t, w->axis, &q, out);
    free(q.exact);
    return err;
}

static enum qs_err
values(struct qs_ctx *cx, const struct qs_tensor *t, struct qs_quant_weight *w,
       const enum qs_static_rounding *how, const float *exact, struct qs_buf **out)
{
    const enum qs_err err =
        how ? qs_static_quantize(cx, t, w->axis, w->bits, w->threshold, *how, &w->q)
            : qs_static_integers(cx, t, w->bits, &w->q);
    if (err)
        return err;
    return exact ? times_exact(cx, t, w, exact, out)
                 : qs_static_dequantize(cx, t, w->axis, w->bits, w->threshold, w->q, out);
}

enum qs_err
qs_take_weight(struct qs_take *g, int32_t from, struct qs_quant_weight w,
               const enum qs_static_rounding *how, const float *exact)
{
    const struct qs_tensor *t = g->m->var[from].data;
    struct qs_buf *y = NULL;
    enum qs_err err = check_scales(g, t, &w);
    if (!err && values(g->cx, t, &w, how, exact, &y))
        err = qs_prefix(g->cx, _("cannot read weight '%s'"), g->m->var[from].name);
    if (err) {
        qs_buf_unref(w.q);
        free(w.threshold);
        return err;
    }
    g->weight_of[from] = qs_static_add_weight(g->out, w);
    qs_model_set_data(g->m, w.var, QS_DTYPE_float32, t->n_dims, t->dims, y, 0);
    return QS_OK;
}

/* Scales in attributes */

const struct qs_attr *
qs_take_scales(const struct qs_node *node, const char *name)
{
    const struct qs_attr *a = qs_node_attr(node, name);
    return a && a->type == QS_ATTR_FLOATS && !a->raw.p && a->n > 0 ? a : NULL;
}

enum qs_err
qs_take_integers(struct qs_take *g, const struct qs_node *node, int32_t var,
                 const struct qs_attr *scales, int *index)
{
    const struct qs_tensor *t = g->m->var[var].data;
    enum qs_err err = QS_OK;
    if (g->weight_of[var] < 0 && t && (t->dtype == QS_DTYPE_int8 || t->dtype == QS_DTYPE_int16)) {
        struct qs_quant_weight w = {.var = var,
                                    .bits = t->dtype == QS_DTYPE_int8 ? 8 : 16,
                                    .axis = scales->n == 1 ? -1 : qs_weight_axis(node, t->n_dims),
                                    .n_scales = scales->n};
        w.threshold = qs_xcalloc((size_t)scales->n, sizeof(*w.threshold));
        for (int i = 0; i < scales->n; i++)
            w.threshold[i] = (double)scales->floats[i] * (double)qs_quant_range(w.bits);
        err = qs_take_weight(g, var, w, NULL, scales->floats);
    }
    *index = g->weight_of[var];
    return err;
}

/* Attributes */

static bool
is_slot_threshold(const struct qs_slot *slot, int n_slot, const char *name)
{
    for (int i = 0; i < n_slot; i++) {
        const size_t n = strlen(slot[i].name);
        const size_t digits = strncmp(name, slot[i].name, n) ? 0 : strspn(name + n, "0123456789");
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
    for (size_t i = 0; i < QS_LEN(plain); i++)
        if (strcmp(plain[i], name) == 0)
            return true;
    return is_slot_threshold(node->in, node->n_in, name) ||
           is_slot_threshold(node->out, node->n_out, name);
}

void
qs_take_attributes(struct qs_model *m, struct qs_node *node)
{
    for (int i = node->n_attr - 1; i >= 0; i--)
        if (describes_quantization(node, node->attr[i].name))
            qs_node_drop_attr(m, node, node->attr[i].name);
}
