/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside lowering: how an operator becomes a step. A rule (a row of lower_rules.inc) looks at the
 * node, returns false where its case is not covered (the node becomes FORWARD) and must then leave
 * steps as they were; f->now of the outputs is what it makes.
 */
#ifndef QS_ENGINE_LOWER_RULE_H
#define QS_ENGINE_LOWER_RULE_H

#include <string.h>

#include "base/mem.h"
#include "engine/lower.h"

/* Elements of what is lowered: pixels and rows are counted in int. */
enum { LOWER_COUNT_MOST = 1 << 30 };

/* lower.c */
/* The value of the first variable of an input slot; -1: none. */
int qs_lower_input(struct qs_fast *f, const struct qs_node *node, const char *slot);
/* A new step that reads x and makes the first variable of output slot `out` (y is -1 without one).
 * Undone by f->n_step--. */
struct step *qs_lower_start(struct qs_fast *f, enum kind kind, const struct qs_node *node, int x,
                            const char *out);
/* Ends the making of a step: its value becomes what the variable holds. */
void qs_lower_finish(struct qs_fast *f, struct step *s, const struct qs_node *node, int32_t number);
double *qs_lower_doubles(struct qs_fast *f, int64_t n, double v); /* [n], all v, in the arena */
/* Per channel of an image, else per element of its rows: x * scale[oc] + shift[oc], both to be
 * filled; s->oc says how many. */
struct step *qs_lower_affine(struct qs_fast *f, const struct qs_node *node, int x, const char *out);

/* lower_constant.c */
/* The step that was added last, FORWARD of node `number`, is run and goes when it makes weights of
 * weights (an operator of quantization that reads constants alone). Weights stay with the packs of
 * the model. */
enum qs_err qs_lower_constant(struct qs_ctx *cx, struct qs_fast *f, int32_t number) QS_MUST_CHECK;
/* Weights that dequantize_linear makes stay the integers they are until the step of node `number`,
 * added last, reads them: its sums take the scales, or the weights do. */
enum qs_err qs_lower_settle(struct qs_ctx *cx, struct qs_fast *f, int32_t number) QS_MUST_CHECK;

/* lower_quant.c */
/* The step of node `number`, added last, sums products of integers, as floats, when that is what
 * it reads: the sums are exact, and what makes them real numbers again comes after, as where the
 * model runs in integers. */
void qs_lower_exact(struct qs_fast *f, int32_t number);

/* lower_shape.c */
/* The first variable of output slot `out` is the value x. */
bool qs_lower_identity_of(struct qs_fast *f, const struct qs_node *node, int x, const char *out);

/* lower_conv.c: windows */
/* One or two positive integers of an attribute (1 without it). */
bool qs_window_pair(const struct qs_node *node, const char *attr, int *out);
/* Reads strides, dilations and paddings into the step, whose window is set; with `exact` the output
 * must have the size that follows. */
bool qs_window_read(const struct qs_fast *f, const struct qs_node *node, struct step *s,
                    bool exact);

#define ROW(type, fn) bool fn(struct qs_fast *f, const struct qs_node *node, int32_t number);
#include "engine/lower_rules.inc"
#undef ROW

static inline bool
is_real(const struct qs_fast *f, int id)
{
    return id >= 0 && f->value[id].known && f->value[id].dtype == QS_DTYPE_float32;
}

static inline bool
is_param(const struct qs_fast *f, int id)
{
    return is_real(f, id) && f->value[id].param &&
           f->value[id].param->bytes >= (size_t)f->value[id].count * sizeof(float);
}

static inline bool
is_image(const struct qs_fast *f, int id)
{
    return is_real(f, id) && !f->value[id].param && f->value[id].n == 4 && f->value[id].count > 0 &&
           f->value[id].count <= LOWER_COUNT_MOST;
}

static inline bool
layout_is_nchw(const struct qs_node *node, const char *attr)
{
    const char *layout = qs_attr_str(node, attr, "NCHW");
    return strcmp(layout, "NHWC") != 0;
}

static inline bool
has_input(const struct qs_node *node, const char *slot)
{
    return qs_node_input(node, slot, 0) >= 0;
}

#endif
