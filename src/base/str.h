/* SPDX-License-Identifier: Apache-2.0 */
/* Growing string. `s` is always a NUL-terminated string after qs_str_init. */
#ifndef QS_BASE_STR_H
#define QS_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qs_str {
    char *s;
    size_t n, cap;
};

void qs_str_init(struct qs_str *str);
void qs_str_release(struct qs_str *str);
void qs_str_clear(struct qs_str *str);
void qs_str_add(struct qs_str *str, const char *s);
void qs_str_addn(struct qs_str *str, const char *s, size_t n);
void qs_str_printf(struct qs_str *str, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The string itself, to be freed by the caller; `str` is as after qs_str_release. */
char *qs_str_take(struct qs_str *str);

/* Appends a word of a shell command: in single quotes when it has anything but plain characters. */
void qs_str_add_quoted(struct qs_str *str, const char *s);
/* Appends text from a file for a terminal: control characters become '?'. */
void qs_str_add_printable(struct qs_str *str, const char *s);

/* "17.0 MB", "512 B": decimal units, into `out` of at least 16 bytes; returns `out`. */
char *qs_format_bytes(char *out, size_t cap, int64_t bytes);
/* "569 M", "1.2 G": counts. */
char *qs_format_count(char *out, size_t cap, int64_t n);

#endif
