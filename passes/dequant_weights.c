/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integer weights back to FP32, so that a model of the method dynamic can run: Paddle-Lite's
 * weight_quantization_preprocess_pass. Scales stand in the attribute <weight>_quant_scale of the
 * operator, one for the tensor or one for each output channel.
 */
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "model/quant.h"
#include "passes/pass.h"

static const struct qs_attr *
scales_of(const struct qs_model *m, const struct qs_layer *l)
{
    if (l->user.block < 0)
        return NULL;
    const struct qs_node *node = &m->block[l->user.block].node[l->user.node];
    char *name = qs_xasprintf("%s_quant_scale", m->var[l->var].name);
    const struct qs_attr *a = qs_node_attr(node, name);
    free(name);
    return a && a->type == QS_ATTR_FLOATS ? a : NULL;
}

static enum qs_err
copy_integers(struct qs_ctx *cx, const struct qs_tensor *t, struct qs_quantized *q)
{
    const enum qs_err err = qs_buf_new(cx, t->bytes, &q->q);
    if (!err && t->bytes)
        memcpy(q->q->data, t->buf->data + t->offset, t->bytes);
    q->dtype = t->dtype;
    return err;
}

static enum qs_err
dequantize(struct qs_ctx *cx, struct qs_model *m, const struct qs_layer *l,
           const struct qs_attr *scales)
{
    const struct qs_tensor *t = m->var[l->var].data;
    struct qs_quantized q = {.n_scales = scales->n};
    struct qs_buf *out = NULL;
    const bool per_tensor = scales->n == 1;
    if (!per_tensor && (l->axis < 0 || scales->n != l->n_channels))
        return qs_fail(cx, QS_ERR_FORMAT, _("weight '%s' has %d scales, but %lld channels"),
                       m->var[l->var].name, scales->n, (long long)l->n_channels);
    q.exact = qs_xcalloc((size_t)scales->n, sizeof(*q.exact));
    for (int i = 0; i < scales->n; i++)
        q.exact[i] = scales->floats[i];
    enum qs_err err = copy_integers(cx, t, &q);
    if (!err)
        err = qs_dequantize(cx, t, per_tensor ? -1 : l->axis, &q, &out);
    if (!err)
        qs_model_set_data(m, l->var, QS_DTYPE_float32, t->n_dims, t->dims, out, 0);
    qs_quantized_release(&q);
    return err;
}

enum qs_err
qs_dequant_weights(struct qs_ctx *cx, struct qs_model *m, const struct qs_layers *layers, int *n)
{
    enum qs_err err = QS_OK;
    *n = 0;
    for (int i = 0; i < layers->n && !err; i++) {
        const struct qs_layer *l = &layers->layer[i];
        const struct qs_tensor *t = m->var[l->var].data;
        const struct qs_attr *scales = scales_of(m, l);
        if (!t || !scales || (t->dtype != QS_DTYPE_int8 && t->dtype != QS_DTYPE_int16))
            continue;
        err = dequantize(cx, m, l, scales);
        ++*n;
    }
    return err;
}
