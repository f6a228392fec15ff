/* SPDX-License-Identifier: Apache-2.0 */
/* What the targets of texts share. */
#ifndef TESTS_FUZZ_USE_TEXT_H
#define TESTS_FUZZ_USE_TEXT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"

/* A copy of its own with a NUL byte behind it, so that reading past its end is seen; malloc. */
static char *
text_of(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        abort();
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* A refusal comes with a sentence. True: it was taken. */
static bool
taken(const struct qs_ctx *cx, enum qs_err err)
{
    if (err && !*qs_message(cx))
        abort();
    return !err;
}

#endif
