/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { ALIGN = 16, FIRST = 16 << 10, LARGEST = 1 << 20 };

struct qs_arena_block {
    struct qs_arena_block *next;
    size_t used, size;
    _Alignas(ALIGN) unsigned char data[];
};

void
qs_arena_init(struct qs_arena *a)
{
    *a = (struct qs_arena){0};
}

void
qs_arena_release(struct qs_arena *a)
{
    for (struct qs_arena_block *b = a->top, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    qs_arena_init(a);
}

static struct qs_arena_block *
new_block(const struct qs_arena *a, size_t n)
{
    size_t size = a->top ? 2 * a->top->size : FIRST;
    if (size > LARGEST)
        size = LARGEST;
    if (size < n)
        size = n;
    struct qs_arena_block *b = qs_xmalloc(sizeof(*b) + size);
    b->used = 0;
    b->size = size;
    return b;
}

void *
qs_arena_alloc(struct qs_arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        abort();
    n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (!a->top || a->top->size - a->top->used < n) {
        struct qs_arena_block *b = new_block(a, n);
        b->next = a->top;
        a->top = b;
    }
    void *p = a->top->data + a->top->used;
    a->top->used += n;
    a->used += n;
    return p;
}

void *
qs_arena_calloc(struct qs_arena *a, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes))
        abort();
    return memset(qs_arena_alloc(a, bytes), 0, bytes);
}

char *
qs_arena_memdup(struct qs_arena *a, const void *p, size_t n)
{
    char *s = qs_arena_alloc(a, n + 1);
    if (n)
        memcpy(s, p, n);
    s[n] = '\0';
    return s;
}

char *
qs_arena_strdup(struct qs_arena *a, const char *s)
{
    return qs_arena_memdup(a, s, strlen(s));
}

char *
qs_arena_printf(struct qs_arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *s = qs_arena_alloc(a, (size_t)n + 1);
    vsnprintf(s, (size_t)n + 1, fmt, again);
    va_end(again);
    return s;
}

void *
qs_arena_grow(struct qs_arena *a, void **array, int n, int *cap, size_t size)
{
    if (n >= *cap) {
        const int more = *cap ? 2 * *cap : 4;
        void *p = qs_arena_alloc(a, (size_t)more * size);
        if (n)
            memcpy(p, *array, (size_t)n * size);
        *array = p;
        *cap = more;
    }
    return memset((char *)*array + (size_t)n * size, 0, size);
}
