/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffers for the tensors of a run, used again when a tensor is no longer needed. What is handed
 * out and what is kept for later never exceed together the most that was handed out at once.
 */
#ifndef QS_ENGINE_POOL_H
#define QS_ENGINE_POOL_H

#include "base/buf.h"

struct qs_pool {
    struct qs_buf **spare; /* [n] not in use */
    int n, cap;
    size_t spare_bytes, used_bytes;
    size_t most_bytes; /* of used_bytes, ever */
};

void qs_pool_init(struct qs_pool *p);
void qs_pool_release(struct qs_pool *p);
/* A buffer of at least `size` bytes with one reference, not cleared. QS_ERR_MEMORY. */
enum qs_err qs_pool_take(struct qs_ctx *cx, struct qs_pool *p, size_t size,
                         struct qs_buf **out) QS_MUST_CHECK;
/* Drops a reference to a buffer from qs_pool_take; the last one puts it back. */
void qs_pool_drop(struct qs_pool *p, struct qs_buf *b);

#endif
