/* SPDX-License-Identifier: Apache-2.0 */
/* Small allocations: they end the program with one line when memory is gone. Weights and other
 * large blocks go through buf.h, which returns an error instead. */
#ifndef QS_BASE_MEM_H
#define QS_BASE_MEM_H

#include <stddef.h>

void *qs_xmalloc(size_t n) __attribute__((malloc, returns_nonnull));
void *qs_xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *qs_xrealloc(void *p, size_t n) __attribute__((returns_nonnull));
char *qs_xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *qs_xasprintf(const char *fmt, ...) __attribute__((malloc, format(printf, 1, 2)));

#define QS_LEN(array) (sizeof(array) / sizeof((array)[0]))

#endif
