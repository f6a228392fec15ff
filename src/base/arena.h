/* SPDX-License-Identifier: Apache-2.0 */
/* Bump allocator: everything in it lives until the arena is released as a whole. */
#ifndef QS_BASE_ARENA_H
#define QS_BASE_ARENA_H

#include <stddef.h>

struct qs_arena {
    struct qs_arena_block *top;
    size_t used; /* bytes handed out */
};

void qs_arena_init(struct qs_arena *a);
void qs_arena_release(struct qs_arena *a);

/* 16-byte aligned, not cleared. Ends the program when memory is gone. */
void *qs_arena_alloc(struct qs_arena *a, size_t n) __attribute__((returns_nonnull));
/* Cleared array of `n` elements. */
void *qs_arena_calloc(struct qs_arena *a, size_t n, size_t size) __attribute__((returns_nonnull));
/* Copies `n` bytes and appends a NUL that does not count. */
char *qs_arena_memdup(struct qs_arena *a, const void *p, size_t n);
char *qs_arena_strdup(struct qs_arena *a, const char *s);
char *qs_arena_printf(struct qs_arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Array that grows inside an arena: returns where element `n` (the new one, cleared) is; `*array`
 * may move, `*cap` is kept by this function (start with NULL and 0). */
void *qs_arena_grow(struct qs_arena *a, void **array, int n, int *cap, size_t size);

#endif
