/* SPDX-License-Identifier: Apache-2.0 */
#include "model/quant_ops.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const struct qs_quant_op all[] = {
#define ROW(type, weight, in, out) {#type, (weight) != 0, in, out},
#include "model/quant_ops.inc"
#undef ROW
};

static int
compare(const void *key, const void *row)
{
    return strcmp(key, ((const struct qs_quant_op *)row)->type);
}

const struct qs_quant_op *
qs_quant_op_find(const char *type)
{
    return bsearch(type, all, QS_LEN(all), sizeof(all[0]), compare);
}

bool
qs_quant_op_has(const char *names, const char *slot)
{
    const size_t n = strlen(slot);
    for (const char *s = names; *s; s += *s == ' ') {
        const size_t k = strcspn(s, " ");
        if (k == n && memcmp(s, slot, n) == 0)
            return true;
        s += k;
    }
    return false;
}

static int
collect(const char *names, const struct qs_slot *slot, int n_slot, int32_t *var, int most)
{
    int n = 0;
    for (int i = 0; i < n_slot; i++)
        for (int k = 0; k < slot[i].n && qs_quant_op_has(names, slot[i].name); k++, n++)
            if (n < most)
                var[n] = slot[i].var[k];
    return n;
}

int
qs_quant_op_inputs(const struct qs_quant_op *op, const struct qs_node *node, int32_t *var, int most)
{
    return collect(op->in, node->in, node->n_in, var, most);
}

int
qs_quant_op_outputs(const struct qs_quant_op *op, const struct qs_node *node, int32_t *var,
                    int most)
{
    return collect(op->out, node->out, node->n_out, var, most);
}

bool
qs_quant_op_reads(const struct qs_quant_op *op, const struct qs_node *node, int32_t var)
{
    for (int s = 0; s < node->n_in; s++)
        for (int i = 0; i < node->in[s].n; i++)
            if (node->in[s].var[i] == var && qs_quant_op_has(op->in, node->in[s].name))
                return true;
    return false;
}

bool
qs_is_skip_quant(const struct qs_node *node)
{
    return qs_attr_int(node, "skip_quant", 0) != 0 ||
           strstr(qs_attr_str(node, "op_namescope", ""), "skip_quant") != NULL;
}
