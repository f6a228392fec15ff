/* SPDX-License-Identifier: Apache-2.0 */
/* What the forms of take.inc share: the notes in the making, and weights that become float. */
#ifndef QS_PASSES_TAKE_PARTS_H
#define QS_PASSES_TAKE_PARTS_H

#include "model/quant_static.h"
#include "passes/take_apart.h"

struct qs_take {
    struct qs_ctx *cx;
    struct qs_model *m;
    struct qs_static_notes *out;
    int *weight_of; /* [n_var] index in out->weight made from this parameter; -1 */
};

/* Fill the notes and make weights float. When nothing is kept in that form the model stays as it
 * is, and the notes empty. */
#define ROW(name) enum qs_err qs_take_##name(struct qs_take *g) QS_MUST_CHECK;
#include "passes/take.inc"
#undef ROW

/* Notes w, made from the parameter `from`, and takes over w.threshold in any case. Its integers are
 * rounded as *how says, or (how NULL) those that the parameter holds. The float values of w.var
 * become q * scale: of exact [w.n_scales] when given, else q * T / R. */
enum qs_err qs_take_weight(struct qs_take *g, int32_t from, struct qs_quant_weight w,
                           const enum qs_static_rounding *how, const float *exact) QS_MUST_CHECK;

/* An attribute of scales; NULL: none of that name. */
const struct qs_attr *qs_take_scales(const struct qs_node *node, const char *name);
/* The weight `var` of node, when it holds integers: noted with these scales unless it is already.
 * *index in out->weight; -1: it holds none. */
enum qs_err qs_take_integers(struct qs_take *g, const struct qs_node *node, int32_t var,
                             const struct qs_attr *scales, int *index) QS_MUST_CHECK;

/* Drops attributes that only describe quantization. */
void qs_take_attributes(struct qs_model *m, struct qs_node *node);

#endif
