/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a list with labels; the first one chooses the type of data. */
#include <stdlib.h>

#include "data/dataset_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char name[] = "fuzz.txt";
    struct qs_ctx cx;
    struct qs_arena arena;
    struct qs_dataset d = {.arena = &arena, .config = {.list = name}};
    if (size == 0)
        return 0;
    qs_ctx_init(&cx);
    qs_arena_init(&arena);
    d.config.type = data[0] % QS_DATA_TENSORS;
    char *text = qs_arena_memdup(&arena, data + 1, size - 1);
    const enum qs_err err = qs_list_parse(&cx, &d, text, size - 1, 1000);
    if (err ? !*cx.message : d.n == 0)
        abort();
    qs_arena_release(&arena);
    free(d.name);
    free(d.truth);
    return 0;
}
