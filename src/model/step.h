/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Execution at one node: what the forward functions in src/ops read and write.
 *
 * The executor (src/engine) has run the operator's shape rule (op.h, infer.h) on the shapes and
 * small integer values that the inputs have now, and made a tensor for every output whose shape
 * the rule set. A forward function then only computes. Where the size of an output depends on the
 * data (nms, where_index), the rule leaves it unknown and the function makes the tensor with
 * qs_step_make.
 *
 * Inputs are const and may be shared; an output never overlaps an input. All tensors are dense,
 * row-major, 64-byte aligned. Functions use qs_parallel_for(cx, ...) for what is worth it; results
 * do not depend on the number of threads.
 */
#ifndef QS_MODEL_STEP_H
#define QS_MODEL_STEP_H

#include "model/op.h"

/* A tensor while a model runs. Plain data: copying the struct borrows. */
struct qs_value {
    int32_t dtype; /* enum qs_dtype */
    int n;         /* rank */
    int64_t d[QS_RANK_MOST];
    int64_t count; /* elements */
    union {        /* NULL: nothing was computed */
        void *data;
        float *f32;
        double *f64;
        int32_t *i32;
        int64_t *i64;
        int16_t *i16;
        int8_t *i8;
        uint8_t *u8; /* also bool */
    };
    struct qs_buf *buf; /* that holds data; counted by the executor */
    /* rows of the first dimension that belong together (1.x sequences): offsets[n_lod], from 0 to
     * d[0]; NULL: one sequence */
    const int64_t *lod;
    int n_lod;
};

struct qs_step {
    struct qs_ctx *cx;
    const struct qs_model *model;
    const struct qs_node *node;
    struct qs_value *var; /* [model->n_var] all variables of the run */
    struct qs_value
        *out; /* [outputs of all slots, in slot order]; become variables after forward */
    struct qs_arena *scratch; /* emptied after the node */
    bool scalars_are_1d;      /* the program is older than 2.5 */
    /* executor's: makes a tensor for an output; runs the nodes of a block */
    enum qs_err (*make)(struct qs_step *st, int32_t var, int32_t dtype, int n, const int64_t *d);
    enum qs_err (*run_block)(struct qs_step *st, int64_t block);
    void *run;
};

/* Records why and returns QS_ERR_FORMAT; the executor names the node. */
enum qs_err qs_step_fail(const struct qs_step *st, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* NULL when the slot lacks it or it holds no data. */
const struct qs_value *qs_step_in(const struct qs_step *st, const char *slot, int i);
int qs_step_n_in(const struct qs_step *st, const char *slot);
/* The tensor made for an output; NULL when the node lacks it or its shape is unknown. */
struct qs_value *qs_step_out(const struct qs_step *st, const char *slot, int i);
int qs_step_n_out(const struct qs_step *st, const char *slot);
/* Makes (or replaces) the tensor of an output. */
enum qs_err qs_step_make(struct qs_step *st, const char *slot, int i, int32_t dtype, int n,
                         const int64_t *d) QS_MUST_CHECK;
/* Element i of an integer or float tensor as int64 / double. */
int64_t qs_value_int(const struct qs_value *v, int64_t i);
double qs_value_real(const struct qs_value *v, int64_t i);
/* Integers with the precedence of qs_infer_ints: tensor list, tensor, attribute; returns how many,
 * -1 when nothing is there. At most `most`. */
int qs_step_ints(const struct qs_step *st, const char *list, const char *tensor, const char *attr,
                 int64_t *out, int most);

#endif
