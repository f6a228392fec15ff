/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void
qs_str_init(struct qs_str *str)
{
    str->cap = 64;
    str->n = 0;
    str->s = qs_xmalloc(str->cap);
    str->s[0] = '\0';
}

void
qs_str_release(struct qs_str *str)
{
    free(str->s);
    *str = (struct qs_str){0};
}

void
qs_str_clear(struct qs_str *str)
{
    str->n = 0;
    str->s[0] = '\0';
}

static void
reserve(struct qs_str *str, size_t more)
{
    const size_t want = str->n + more + 1;
    if (want <= str->cap)
        return;
    while (str->cap < want)
        str->cap *= 2;
    str->s = qs_xrealloc(str->s, str->cap);
}

void
qs_str_addn(struct qs_str *str, const char *s, size_t n)
{
    reserve(str, n);
    memcpy(str->s + str->n, s, n);
    str->n += n;
    str->s[str->n] = '\0';
}

void
qs_str_add(struct qs_str *str, const char *s)
{
    qs_str_addn(str, s, strlen(s));
}

void
qs_str_printf(struct qs_str *str, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    reserve(str, (size_t)n);
    vsnprintf(str->s + str->n, (size_t)n + 1, fmt, again);
    va_end(again);
    str->n += (size_t)n;
}

void
qs_str_add_quoted(struct qs_str *str, const char *s)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-.,:/=+@%";
    if (*s && s[strspn(s, plain)] == '\0') {
        qs_str_add(str, s);
        return;
    }
    qs_str_add(str, "'");
    for (; *s; s++)
        if (*s == '\'')
            qs_str_add(str, "'\\''");
        else
            qs_str_addn(str, s, 1);
    qs_str_add(str, "'");
}

void
qs_str_add_printable(struct qs_str *str, const char *s)
{
    const size_t from = str->n;
    qs_str_add(str, s);
    for (char *p = str->s + from; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            *p = '?';
}

char *
qs_str_take(struct qs_str *str)
{
    char *s = str->s;
    *str = (struct qs_str){0};
    return s;
}

static char *
format_scaled(char *out, size_t cap, int64_t n, const char *const *unit, int n_units)
{
    double v = (double)n;
    int u = 0;
    while ((v >= 999.5 || v <= -999.5) && u + 1 < n_units) {
        v /= 1000;
        u++;
    }
    if (u == 0)
        snprintf(out, cap, "%" PRId64 "%s", n, unit[0]);
    else
        snprintf(out, cap, "%.*f%s", v < 9.995 ? 2 : v < 99.95 ? 1 : 0, v, unit[u]);
    return out;
}

char *
qs_format_bytes(char *out, size_t cap, int64_t bytes)
{
    static const char *const unit[] = {" B", " kB", " MB", " GB", " TB", " PB", " EB"};
    return format_scaled(out, cap, bytes, unit, (int)QS_LEN(unit));
}

char *
qs_format_count(char *out, size_t cap, int64_t n)
{
    static const char *const unit[] = {"", "k", "M", "G", "T", "P", "E"};
    return format_scaled(out, cap, n, unit, (int)QS_LEN(unit));
}
