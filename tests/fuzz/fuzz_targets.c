/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a table of targets. */
#include "model/targets.h"
#include "use_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qs_ctx cx;
    struct qs_targets t;
    char *text = text_of(data, size);
    qs_ctx_init(&cx);
    qs_targets_init(&t);
    (void)taken(&cx, qs_targets_parse(&cx, text, "fuzz", &t));
    for (int i = 0; i < t.n; i++)
        if (!qs_targets_find(&t, t.row[i].target, t.row[i].format, t.row[i].op))
            abort();
    qs_targets_release(&t);
    free(text);
    return 0;
}
