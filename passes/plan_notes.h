/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QS_PASSES_PLAN_NOTES_H
#define QS_PASSES_PLAN_NOTES_H

#include "model/static_notes.h"
#include "passes/pass.h"

/* Whether ranges of outputs are written too. */
bool qs_plan_observes(const struct qs_plan *plan);
/* Which activations it rounds: want[n_var] of these becomes true. */
void qs_plan_rounds(const struct qs_model *m, const struct qs_decisions *d, bool *want);
/* Which variables a plan of method static wants the ranges of: want[n_var]. */
void qs_plan_wants(const struct qs_model *m, const struct qs_plan *plan,
                   const struct qs_decisions *d, bool *want);
/* The plan's choices about a model as notes, with weights quantized; fills st->outcome.
 * QS_ERR_FORMAT: a weight with a NaN, an activation without a range. `out` is released by the
 * caller in any case. */
enum qs_err qs_plan_notes(struct qs_ctx *cx, struct qs_pass_state *st,
                          struct qs_static_notes *out) QS_MUST_CHECK;

#endif
