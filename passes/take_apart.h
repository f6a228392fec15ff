/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QS_PASSES_TAKE_APART_H
#define QS_PASSES_TAKE_APART_H

#include "model/static_notes.h"

/* Takes quantization operators out of m (a clone of the caller's), making weights float again, and
 * notes them; attributes that only describe quantization go too. A model without any is left as it
 * is, with empty notes. Quantization that has no place in the notes stays in the graph, which
 * computes what it did: scales that the program finds while it runs, a value rounded twice with
 * different scales, operators of sub-blocks. Of a Paddle-Lite file only the notes are made and the
 * weights become float; its program stays the optimized one. QS_ERR_FORMAT names what is
 * inconsistent (scales that do not fit a weight, weights that are no integers ...). `out` is
 * released by the caller in any case. */
enum qs_err qs_static_take_apart(struct qs_ctx *cx, struct qs_model *m,
                                 struct qs_static_notes *out) QS_MUST_CHECK;

#endif
