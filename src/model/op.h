/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operator vocabulary: one descriptor per operator type, one file per family in src/ops, one row
 * per type in ops.inc. A type without a row stays an opaque node that is read, shown and written.
 */
#ifndef QS_MODEL_OP_H
#define QS_MODEL_OP_H

#include <stdbool.h>
#include <stdint.h>

#include "model/graph.h"

struct qs_step;  /* step.h: execution at one node */
struct qs_infer; /* infer.h: the state of shape inference at one node */

struct qs_op {
    const char *name;
    /* The slot that holds a quantizable weight and the axis of its output channels (-1: last,
     * -2: last but one). NULL: the operator has none. */
    const char *weight_slot;
    int weight_axis;
    /* Sets the shape of every output from those of the inputs; QS_ERR_FORMAT with a sentence when
     * the inputs do not fit. NULL: outputs are unknown. */
    enum qs_err (*shape)(struct qs_infer *in);
    /* Multiply-accumulates once shapes are set; NULL: none worth counting. */
    int64_t (*macs)(const struct qs_infer *in);
    /* Computes the outputs (step.h). NULL: the operator cannot run. */
    enum qs_err (*forward)(struct qs_step *st);
};

/* Axis of the output channels of the weight of `node`, resolved for a weight of that rank (takes
 * trans_y and transpose_Y into account); -1 when it has none. */
int qs_weight_axis(const struct qs_node *node, int rank);

/* NULL when there is no row. */
const struct qs_op *qs_op_find(const char *type);
/* All rows, for listings: count and i-th. */
int qs_op_count(void);
const struct qs_op *qs_op_at(int i);

#endif
