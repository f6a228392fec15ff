/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of qs_static_take_apart. */
#ifndef QS_PASSES_TAKE_PARTS_H
#define QS_PASSES_TAKE_PARTS_H

#include "passes/take_apart.h"

/* Integer weights whose scales stand in attributes: <weight>_quant_scale of the method dynamic, and
 * Filter0_scale, Input0_scale ... of a Paddle-Lite file, which stays otherwise as it is. */
enum qs_err qs_take_scales(struct qs_ctx *cx, struct qs_model *m,
                           struct qs_static_notes *out) QS_MUST_CHECK;

/* Drops attributes that only describe quantization. */
void qs_drop_quant_attributes(struct qs_model *m, struct qs_node *node);

#endif
