/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a table of targets. */
#include <stdlib.h>
#include <string.h>

#include "model/targets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qs_ctx cx;
    struct qs_targets t;
    char *text = malloc(size + 1);
    if (!text)
        abort();
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    qs_ctx_init(&cx);
    qs_targets_init(&t);
    if (qs_targets_parse(&cx, text, "fuzz", &t) != QS_OK && !*qs_message(&cx))
        abort(); /* a refusal without a sentence */
    for (int i = 0; i < t.n; i++)
        if (!qs_targets_find(&t, t.row[i].target, t.row[i].format, t.row[i].op))
            abort();
    qs_targets_release(&t);
    free(text);
    return 0;
}
