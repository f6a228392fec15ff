/* SPDX-License-Identifier: Apache-2.0 */
/* Operators of static quantization, and which of their slots hold values that it rounds or
 * observes. */
#ifndef QS_MODEL_QUANT_OPS_H
#define QS_MODEL_QUANT_OPS_H

#include "model/graph.h"

struct qs_quant_op {
    const char *type;
    bool weight;          /* it may have a weight; the others have activations only */
    const char *in, *out; /* names of slots, joined by spaces */
};

/* NULL when there is no row (quant_ops.inc). */
const struct qs_quant_op *qs_quant_op_find(const char *type);

/* The variables in these slots: writes up to `most` ids, returns how many there are. */
int qs_quant_op_inputs(const struct qs_quant_op *op, const struct qs_node *node, int32_t *var,
                       int most);
int qs_quant_op_outputs(const struct qs_quant_op *op, const struct qs_node *node, int32_t *var,
                        int most);

/* Whether the node reads `var` in one of its slots for values; names joined by spaces. */
bool qs_quant_op_reads(const struct qs_quant_op *op, const struct qs_node *node, int32_t var);
bool qs_quant_op_has(const char *names, const char *slot);

/* Whether the program asks for the node to be left alone (attributes skip_quant, op_namescope). */
bool qs_is_skip_quant(const struct qs_node *node);

#endif
