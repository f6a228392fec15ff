/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"

static void *
must(void *p)
{
    if (p)
        return p;
    fprintf(stderr, "qslim: %s\n", _("out of memory"));
    exit(1);
}

void *
qs_xmalloc(size_t n)
{
    return must(malloc(n ? n : 1));
}

void *
qs_xcalloc(size_t n, size_t size)
{
    return must(calloc(n ? n : 1, size ? size : 1));
}

void *
qs_xrealloc(void *p, size_t n)
{
    return must(realloc(p, n ? n : 1));
}

char *
qs_xstrdup(const char *s)
{
    return must(strdup(s));
}

char *
qs_xasprintf(const char *fmt, ...)
{
    char *s;
    va_list ap;
    va_start(ap, fmt);
    const int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    return must(n < 0 ? NULL : s);
}
