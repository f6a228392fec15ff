/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reference-counted bytes: heap memory or a read-only mapping of a file. Weights live in these,
 * so a cloned model shares them and a pass replaces a buffer instead of writing in it.
 * Counting is atomic; the bytes are written only by who made the buffer, before it is shared.
 */
#ifndef QS_BASE_BUF_H
#define QS_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"

struct qs_buf {
    uint8_t *data; /* const once shared; a mapping must never be written */
    size_t size;
    int mapped; /* 1: a file mapping */
    atomic_int refs;
};

/* Heap buffer of `size` bytes, 64-byte aligned, not cleared. QS_ERR_MEMORY when there is none, or
 * not enough by what qs_memory_check knows. */
enum qs_err qs_buf_new(struct qs_ctx *cx, size_t size, struct qs_buf **out) QS_MUST_CHECK;

/* Maps a regular file read-only. A directory, FIFO or device is refused (and never waited on);
 * an empty file gives a buffer of size 0. `what` names the thing in messages ("program"). */
enum qs_err qs_buf_map(struct qs_ctx *cx, const char *path, const char *what,
                       struct qs_buf **out) QS_MUST_CHECK;

struct qs_buf *qs_buf_ref(struct qs_buf *b);
void qs_buf_unref(struct qs_buf *b); /* NULL is fine */

/* Tells the system that these bytes of a mapping will be read soon (ahead = 1) or are not needed
 * in memory any more (ahead = 0; they come back from the file when touched). No effect on heap. */
void qs_buf_advise(const struct qs_buf *b, size_t offset, size_t n, int ahead);

#endif
