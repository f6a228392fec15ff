/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shape inference at one node: what the rules in src/ops read and write.
 *
 * A rule reads the shapes of its inputs and attributes and sets the shapes of its outputs. The
 * driver (shape.c) commits them after the rule, so an output may be the same variable as an
 * input. An output that a rule does not set becomes unknown (side outputs nobody reads, such as
 * XShape, are left alone). A rule whose input is not known returns QS_OK and sets nothing.
 *
 * Every dim set is 0 .. QS_DIM_MOST and the element count at most QS_COUNT_MOST, so sums and
 * products of two dims, or of a dim and an attribute below QS_ATTR_MOST, fit in int64_t.
 */
#ifndef QS_MODEL_INFER_H
#define QS_MODEL_INFER_H

#include "model/op.h"
#include "model/shape.h"

#define QS_DIM_MOST INT64_C(0x7fffffff)
#define QS_COUNT_MOST (INT64_C(1) << 56)
#define QS_ATTR_MOST (INT64_C(1) << 24) /* strides, paddings, dilations, kernel sizes, factors */

struct qs_walk;

struct qs_infer {
    struct qs_ctx *cx;
    const struct qs_model *model;
    const struct qs_node *node;
    struct qs_shapes *shapes;
    struct qs_shape *out; /* [outputs of all slots, in slot order] what the rule has set */
    struct qs_walk *walk; /* the driver's */
    bool scalars_are_1d;  /* the program is older than 2.5: full reductions give [1], not 0-D */
};

/* Records why the inputs do not fit and returns QS_ERR_FORMAT; the driver names the node. */
enum qs_err qs_infer_fail(const struct qs_infer *in, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Inputs */
/* Variables in an input or output slot; 0 when it is absent. */
int qs_infer_n_in(const struct qs_infer *in, const char *slot);
int qs_infer_n_out(const struct qs_infer *in, const char *slot);
/* NULL when the slot lacks it or its shape is not known. */
const struct qs_shape *qs_infer_in(const struct qs_infer *in, const char *slot, int i);
/* Elements of a known shape. */
int64_t qs_shape_count(const struct qs_shape *x);

/* Outputs. A slot or index the node lacks is ignored. */
/* dtype -1: the one the program declares. Dims must be within the limits above. */
enum qs_err qs_infer_set(struct qs_infer *in, const char *slot, int i, int32_t dtype, int n,
                         const int64_t *d) QS_MUST_CHECK;
/* Same dims and element type as `x`. */
enum qs_err qs_infer_set_like(struct qs_infer *in, const char *slot, int i,
                              const struct qs_shape *x) QS_MUST_CHECK;
/* The result of a full reduction: 0-D, or [1] in programs from before Paddle 2.5. */
enum qs_err qs_infer_set_scalar(struct qs_infer *in, const char *slot, int i,
                                int32_t dtype) QS_MUST_CHECK;
/* Elements of an output that was just set: copied; ignored when there are more than
 * QS_SHAPE_VALUES_MOST. NULL is ignored. */
void qs_infer_set_value(struct qs_infer *in, const char *slot, int i, const int64_t *value);
/* What the rule has set so far; NULL when nothing. */
const struct qs_shape *qs_infer_out(const struct qs_infer *in, const char *slot, int i);

/* Attributes and tensors that replace them */
struct qs_ints {
    bool present; /* a tensor or the attribute is there */
    bool known;   /* and v[n] holds its value */
    int n;
    int64_t v[QS_SHAPE_VALUES_MOST];
    bool known_at[QS_SHAPE_VALUES_MOST]; /* of a tensor list: which of v are known */
};
/* Integers given, in order of precedence, by a list of one-element tensors (`list`), by one
 * tensor (`tensor`), or by an attribute. Any name may be NULL. With a list whose elements are not
 * all known, n is its length and known is false. */
void qs_infer_ints(const struct qs_infer *in, const char *list, const char *tensor,
                   const char *attr, struct qs_ints *out);
/* One integer from a tensor or an attribute; false when the tensor's value is not known. */
bool qs_infer_int(const struct qs_infer *in, const char *tensor, const char *attr, int64_t def,
                  int64_t *out);
/* Copies a float list (or single float) of at most `most`; its length, 0 when absent or longer. */
int qs_infer_floats(const struct qs_infer *in, const char *attr, double *out, int most);
bool qs_infer_str_is(const struct qs_infer *in, const char *attr, const char *def,
                     const char *want);
/* Axis -rank .. rank-1 to 0 .. rank-1. */
enum qs_err qs_infer_axis(const struct qs_infer *in, int64_t axis, int rank,
                          int *out) QS_MUST_CHECK;

/* Follows a sub-block once. A loop: variables of outside that it writes lose their values first,
 * and those whose shape changes become unknown afterwards. A block that was already followed
 * makes what it writes unknown. */
enum qs_err qs_infer_sub_block(struct qs_infer *in, int64_t block, bool loop) QS_MUST_CHECK;

/* Driver for one node whose inputs have their shapes in s->var (an executor's): runs its rule and
 * leaves what it set in out[outputs of all slots, in slot order]; values live in s->arena. */
enum qs_err qs_infer_node(struct qs_ctx *cx, const struct qs_model *m, const struct qs_node *node,
                          struct qs_shapes *s, bool scalars_are_1d,
                          struct qs_shape *out) QS_MUST_CHECK;
/* Puts the type, number and first output of a node before the recorded message. */
enum qs_err qs_infer_name_node(struct qs_ctx *cx, const struct qs_model *m,
                               const struct qs_node *node, int32_t number);
/* Whether the program is from before 2.5, when there were no 0-D tensors. */
bool qs_infer_scalars_are_1d(const struct qs_model *m);

/* a * b, INT64_MAX when it does not fit (both at least 0). */
int64_t qs_mul_sat(int64_t a, int64_t b);
int64_t qs_add_sat(int64_t a, int64_t b);

#endif
