/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantization that stands in operators: qdq, fakequant, exports of quantization-aware training.
 * One walk over the main block in program order. What a quantization operator writes becomes an
 * alias of the variable behind it, so names that are written twice cost nothing: an alias holds
 * from its write to the next. An operator that is kept reads the variables behind its aliases.
 */
#ifndef QS_PASSES_TAKE_OPS_H
#define QS_PASSES_TAKE_OPS_H

#include "passes/quantizer.h"
#include "passes/take_parts.h"

enum qs_alias_value { QS_PLAIN, QS_INTEGERS, QS_ROUNDED };
struct qs_alias {
    int32_t base;              /* variable behind it */
    int version;               /* of that variable when the alias was made */
    enum qs_alias_value value; /* as it is, integers, back from integers */
    int act, weight;           /* how it is rounded: one of the two is not -1 unless QS_PLAIN */
};

struct qs_take_walk {
    struct qs_take *g;
    struct qs_model *m; /* as in g */
    struct qs_static_notes *out;
    struct qs_alias *alias; /* [n_var] */
    int *version;           /* [n_var] writes by operators that stay */
    int *writes;            /* [n_var] by all operators of all blocks */
    int *stays_read;        /* [n_var] by operators that stay */
    bool *elsewhere;        /* [n_var] in use in another block */
    bool *touched;          /* [n_var] by an operator that went */
    bool *stay;           /* [n_node] has no place in the notes, with all it hangs together with */
    int32_t *waits;       /* [n_var] entry of out->node whose output is to be scaled; -1 */
    struct qs_node *node; /* those kept so far */
    int n_node;
};

/* take_ops.c */
const struct qs_node *qs_take_node_at(const struct qs_take_walk *a, int i);
const char *qs_take_name(const struct qs_take_walk *a, int32_t var);
/* A parameter that the program never changes. */
bool qs_take_is_constant(const struct qs_take_walk *a, int32_t var);
void qs_take_set_alias(struct qs_take_walk *a, int32_t var, int32_t base, enum qs_alias_value value,
                       int act, int weight);

/* take_ops_stay.c: sets a->stay of the quantization operators that have no place in the notes. */
void qs_take_find_stay(struct qs_take_walk *a);

/* take_ops_keep.c: a node that stays, on inputs without aliases. */
enum qs_err qs_take_keep(struct qs_take_walk *a, const struct qs_node *node) QS_MUST_CHECK;

/* What goes: an operator with input x and output y. take_ops_weight.c: of a parameter. */
enum qs_err qs_take_op_weight(struct qs_take_walk *a, const struct qs_quantizer *op,
                              const struct qs_node *node, int32_t x, int32_t y) QS_MUST_CHECK;
/* Notes the weight `from` (qs_take_weight), or finds it again. QS_ERR_FORMAT: it was noted with
 * other scales, or w has none. */
enum qs_err qs_take_once(struct qs_take_walk *a, int32_t from, struct qs_quant_weight w,
                         const enum qs_static_rounding *how) QS_MUST_CHECK;
/* take_ops_act.c: rounds an activation; turns its integers back, with the same scale; keeps its
 * range (y may be -1). */
void qs_take_op_round(struct qs_take_walk *a, const struct qs_quantizer *op,
                      const struct qs_node *node, int32_t x, int32_t y);
enum qs_err qs_take_op_back(struct qs_take_walk *a, const struct qs_quantizer *op,
                            const struct qs_node *node, int32_t x, int32_t y) QS_MUST_CHECK;
void qs_take_op_observer(struct qs_take_walk *a, const struct qs_quantizer *op,
                         const struct qs_node *node, int32_t x, int32_t y);
/* Notes a range that is only recorded, if it is one, of an activation. */
void qs_take_range(struct qs_take_walk *a, int32_t var, int bits, double threshold, bool half_away);
/* take_ops_product.c: the output of a product of integers becomes that of floats. */
enum qs_err qs_take_op_product(struct qs_take_walk *a, const struct qs_quantizer *op,
                               const struct qs_node *node, int32_t x, int32_t y) QS_MUST_CHECK;

#endif
