/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shape inference: the output shape, multiply-accumulates and bytes of every node, once the
 * inputs of the model have shapes. The rules are those of each operator (op.h, src/ops); a node
 * whose operator has no rule gives unknown shapes, and whatever depends on them stays unknown.
 * Small integer tensors (shape, slice, concat, fill_constant ... chains) are followed by value,
 * because reshape, expand and slice take their sizes from them.
 */
#ifndef QS_MODEL_SHAPE_H
#define QS_MODEL_SHAPE_H

#include "model/graph.h"

enum { QS_SHAPE_VALUES_MOST = 64 }; /* longest integer tensor that is followed by value */

struct qs_shape {
    bool known;
    int32_t dtype; /* -1 unknown */
    int n;         /* rank, at most QS_RANK_MOST */
    int64_t d[QS_RANK_MOST];
    const int64_t *value; /* elements of a small integer tensor when they are constant; or NULL */
};

struct qs_node_cost {
    bool known;          /* all outputs have a shape */
    struct qs_shape out; /* of the first output */
    int64_t params;      /* elements of the parameters it reads (one read twice counts each time) */
    int64_t param_bytes;
    int64_t out_bytes; /* of all outputs */
    int64_t macs;      /* multiply-accumulates; 0 for operators that have none */
};

/* A shape the user gives for one input of the model. */
struct qs_input_shape {
    const char *name; /* NULL: the only input */
    int n;
    int64_t d[QS_RANK_MOST];
};

struct qs_shapes {
    struct qs_shape *var;       /* [model->n_var] after the last node */
    struct qs_node_cost **node; /* [block][node] */
    int64_t macs;               /* of block 0 with its sub-blocks counted once; -1 unknown */
    int n_unknown;              /* nodes without known shapes */
    const char *assumed;        /* what was guessed, "x 1x3x224x224"; NULL: nothing */
    struct qs_arena arena;
};

/* Parses "NAME=1,3,224,224" or "1,3,224,224". `name` borrows from `text`'s copy in the arena. */
enum qs_err qs_input_shape_parse(struct qs_ctx *cx, struct qs_arena *arena, const char *text,
                                 struct qs_input_shape *out) QS_MUST_CHECK;

/* Infers all shapes. Inputs that are not given take their declared dims with unknown ones guessed
 * (batch 1; 4-D images: 224x224, or a height the program fixes; see `assumed`). A node whose
 * inputs do not fit is QS_ERR_FORMAT with the node named. */
enum qs_err qs_infer_shapes(struct qs_ctx *cx, const struct qs_model *m,
                            const struct qs_input_shape *in, int n_in,
                            struct qs_shapes **out) QS_MUST_CHECK;
void qs_shapes_free(struct qs_shapes *s);

/* Inputs and outputs of the model in order of their `col`: variable ids, into `out[most]`;
 * returns how many there are. */
int qs_model_inputs(const struct qs_model *m, int32_t *out, int most);
int qs_model_outputs(const struct qs_model *m, int32_t *out, int most);

#endif
