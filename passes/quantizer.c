/* SPDX-License-Identifier: Apache-2.0 */
#include "passes/quantizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

const struct qs_quantizer *
qs_quantizer_of(const struct qs_node *node)
{
    static const struct qs_quantizer row[] = {
#define ROW(type, does, out, scale, away, channels) {#type, does, out, scale, away, channels},
#include "passes/quantizer.inc"
#undef ROW
    };
    for (size_t i = 0; i < QS_LEN(row); i++)
        if (strcmp(row[i].type, node->type) == 0)
            return &row[i];
    return NULL;
}

static bool
is_linear(const struct qs_quantizer *op)
{
    return strcmp(op->out, "Y") == 0;
}

bool
qs_quantizer_is_away(const struct qs_quantizer *op, const struct qs_node *node)
{
    return qs_attr_int(node, "round_type", op->away) != 0;
}

bool
qs_quantizer_only_watches(const struct qs_quantizer *op, const struct qs_node *node)
{
    return op->does == QS_WATCHES || (is_linear(op) && qs_attr_int(node, "only_observer", 0) != 0);
}

bool
qs_quantizer_has_both(const struct qs_quantizer *op)
{
    return op->scale && strcmp(op->scale, "Scales") == 0;
}

int
qs_quantizer_bits(const struct qs_quantizer *op, const struct qs_node *node)
{
    int64_t bits[2] = {8, 8};
    if (qs_quantizer_has_both(op) && qs_attr_ints(node, "quant_bits", bits, 2) < 1)
        bits[0] = 8;
    const int64_t b = qs_attr_int(node, "bit_length", bits[0]);
    return b >= 2 && b <= 16 ? (int)b : 0;
}

int
qs_quantizer_axis(const struct qs_quantizer *op, const struct qs_node *node,
                  const struct qs_tensor *t, int64_t n_scales)
{
    const bool channels = op->channels || (op->scale && strcmp(op->scale, "Scale") != 0);
    const int64_t axis = qs_attr_int(node, "quant_axis", is_linear(op) || !channels ? -1 : 0);
    if ((!is_linear(op) && !channels) || axis < 0 || axis >= t->n_dims)
        return -1;
    return n_scales == 1 && t->dims[axis] != 1 ? -1 : (int)axis;
}

double *
qs_quantizer_floats(const struct qs_model *m, int32_t var, int64_t *n)
{
    const struct qs_tensor *t = var < 0 ? NULL : m->var[var].data;
    *n = 0;
    if (!t || t->dtype != QS_DTYPE_float32 || t->n < 1)
        return NULL;
    double *v = qs_xcalloc((size_t)t->n, sizeof(*v));
    for (int64_t i = 0; i < t->n; i++) {
        float f;
        memcpy(&f, t->buf->data + t->offset + (size_t)i * sizeof(f), sizeof(f));
        v[i] = f;
    }
    *n = t->n;
    return v;
}

bool
qs_is_threshold(double t)
{
    return isfinite(t) && t >= 0;
}

bool
qs_quantizer_threshold(const struct qs_quantizer *op, const struct qs_model *m,
                       const struct qs_node *node, double *t)
{
    int32_t var = op->scale ? qs_node_input(node, op->scale, 0) : -1;
    if (var < 0 && op->does == QS_WATCHES)
        var = qs_node_output(node, op->scale, 0);
    const bool fixed =
        is_linear(op) || op->does == QS_TO_FLOAT || qs_attr_int(node, "is_test", 0) != 0;
    int64_t n;
    double *v = fixed ? qs_quantizer_floats(m, var, &n) : NULL;
    const bool one = v && n == 1 && qs_is_threshold(v[0]);
    *t = one ? v[0] : 0;
    free(v);
    return one;
}
