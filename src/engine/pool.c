/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"

void
qs_pool_init(struct qs_pool *p)
{
    memset(p, 0, sizeof(*p));
}

static void
free_spare(struct qs_pool *p, int i)
{
    p->spare_bytes -= p->spare[i]->size;
    qs_buf_unref(p->spare[i]);
    p->spare[i] = p->spare[--p->n];
}

void
qs_pool_release(struct qs_pool *p)
{
    while (p->n > 0)
        free_spare(p, p->n - 1);
    free(p->spare);
    p->spare = NULL;
    p->cap = 0;
}

/* The smallest spare buffer that fits without wasting a quarter; -1 when there is none. */
static int
best_fit(const struct qs_pool *p, size_t size)
{
    int best = -1;
    for (int i = 0; i < p->n; i++) {
        const size_t has = p->spare[i]->size;
        if (has >= size && has - size <= size / 4 + 256 && (best < 0 || has < p->spare[best]->size))
            best = i;
    }
    return best;
}

static int
largest(const struct qs_pool *p)
{
    int best = 0;
    for (int i = 1; i < p->n; i++)
        if (p->spare[i]->size > p->spare[best]->size)
            best = i;
    return best;
}

static void
count_used(struct qs_pool *p, size_t size)
{
    p->used_bytes += size;
    if (p->used_bytes > p->most_bytes)
        p->most_bytes = p->used_bytes;
}

enum qs_err
qs_pool_take(struct qs_ctx *cx, struct qs_pool *p, size_t size, struct qs_buf **out)
{
    const int i = best_fit(p, size);
    if (i >= 0) {
        *out = p->spare[i];
        p->spare[i] = p->spare[--p->n];
        p->spare_bytes -= (*out)->size;
        count_used(p, (*out)->size);
        return QS_OK;
    }
    while (p->n > 0 && p->used_bytes + size + p->spare_bytes > p->most_bytes)
        free_spare(p, largest(p));
    const enum qs_err err = qs_buf_new(cx, size, out);
    if (!err)
        count_used(p, size);
    return err;
}

void
qs_pool_drop(struct qs_pool *p, struct qs_buf *b)
{
    if (atomic_load_explicit(&b->refs, memory_order_acquire) > 1) {
        qs_buf_unref(b);
        return;
    }
    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 16;
        p->spare = qs_xrealloc(p->spare, (size_t)p->cap * sizeof(struct qs_buf *));
    }
    p->used_bytes -= b->size;
    p->spare_bytes += b->size;
    p->spare[p->n++] = b;
}
