/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies between two tensors seen through strides: what transposing, slicing, joining, repeating
 * and broadcasting have in common. Both sides are walked in the same order, row-major in `d`;
 * strides and offsets count elements. A stride of 0 repeats, a negative one reverses.
 *
 * Nothing is checked here: who fills a walk guarantees that every place it reaches exists.
 */
#ifndef QS_OPS_STRIDED_H
#define QS_OPS_STRIDED_H

#include "model/step.h"

enum { QS_WALK_MOST = 2 * QS_RANK_MOST };

struct qs_walk_dims {
    int n;
    int64_t d[QS_WALK_MOST];
    int64_t to[QS_WALK_MOST], from[QS_WALK_MOST]; /* strides */
    int64_t to_at, from_at;                       /* of the first element */
};

/* Appends an inner dim. */
void qs_walk_add(struct qs_walk_dims *w, int64_t d, int64_t to, int64_t from);
/* Drops dims of 1 and joins those that lie in one run on both sides; at least one dim is left. */
void qs_walk_simplify(struct qs_walk_dims *w);
/* Copies all elements of `width` bytes (1, 2, 4, 8 or 16). */
enum qs_err qs_walk_copy(struct qs_ctx *cx, void *to, const void *from, int width,
                         const struct qs_walk_dims *w) QS_MUST_CHECK;

/* The rows (innermost dim) of a walk in order. Start with {.to = w->to_at, .from = w->from_at}
 * when no dim is 0; false: that was the last row. */
struct qs_walk_row {
    int64_t i[QS_WALK_MOST];
    int64_t to, from;
};
bool qs_walk_next(const struct qs_walk_dims *w, struct qs_walk_row *row);

/* Row-major strides of dense dims. */
void qs_dense_strides(int n, const int64_t *d, int64_t *stride);
/* Strides of a dense shape broadcast to out[n_out] with its first dim at `at`: 0 where it has one
 * element or none of its dims is there. */
void qs_broadcast_strides(int n, const int64_t *d, int at, int n_out, int64_t *stride);

#endif
