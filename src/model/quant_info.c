/* SPDX-License-Identifier: Apache-2.0 */
#include "model/quant_info.h"

#include <string.h>

const char *
qs_quant_kind_name(enum qs_quant_kind kind)
{
    static const char *const name[] = {"none", "dynamic", "lite", "fakequant", "qdq"};
    return name[kind];
}

static bool
ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), k = strlen(end);
    return n >= k && strcmp(s + n - k, end) == 0;
}

static enum qs_quant_kind
kind_of(const struct qs_node *node)
{
    if (strcmp(node->type, "quantize_linear") == 0 || strcmp(node->type, "dequantize_linear") == 0)
        return QS_QUANT_QDQ;
    if (strncmp(node->type, "fake_", 5) == 0)
        return QS_QUANT_FAKEQUANT;
    if (qs_node_attr(node, "quantization_type") || qs_node_attr(node, "quantize_weight_bits"))
        return QS_QUANT_DYNAMIC;
    return qs_attr_int(node, "enable_int8", 0) ? QS_QUANT_LITE : QS_QUANT_NONE;
}

static int
scales_in_attrs(const struct qs_node *node)
{
    int n = 0;
    for (int i = 0; i < node->n_attr; i++)
        if (node->attr[i].type == QS_ATTR_FLOATS && ends_with(node->attr[i].name, "_scale"))
            n += node->attr[i].n;
    return n;
}

static int
scales_in_params(const struct qs_model *m, const struct qs_node *node)
{
    static const char *const slot[] = {"Scale", "InScale", "Scales", "OutScale"};
    int64_t n = 0;
    for (size_t s = 0; s < sizeof(slot) / sizeof(*slot); s++) {
        int32_t var = qs_node_input(node, slot[s], 0);
        if (var < 0)
            var = qs_node_output(node, slot[s], 0);
        if (var >= 0 && m->var[var].data) {
            n = m->var[var].data->n;
            break;
        }
    }
    return n < INT32_MAX ? (int)n : INT32_MAX;
}

static void
add_bits(const struct qs_node *node, struct qs_quant_info *q)
{
    static const char *const name[] = {"bit_length", "quantize_weight_bits"};
    for (size_t i = 0; i < sizeof(name) / sizeof(*name); i++) {
        const int64_t b = qs_attr_int(node, name[i], 0);
        if (b > 0 && b <= 32)
            q->bits |= UINT64_C(1) << b;
    }
}

void
qs_quant_info_of(const struct qs_model *m, struct qs_quant_info *q)
{
    *q = (struct qs_quant_info){0};
    for (int b = 0; b < m->n_block; b++)
        for (int i = 0; i < m->block[b].n_node; i++) {
            const struct qs_node *node = &m->block[b].node[i];
            const enum qs_quant_kind kind = kind_of(node);
            if (kind == QS_QUANT_NONE)
                continue;
            q->kind = kind > q->kind ? kind : q->kind;
            q->n_layers++;
            q->n_scales +=
                kind <= QS_QUANT_LITE ? scales_in_attrs(node) : scales_in_params(m, node);
            add_bits(node, q);
        }
}
