/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a .npy file. What is read has as many elements as its dims say. */
#include <stdlib.h>
#include <string.h>

#include "io/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct qs_npy *npy)
{
    int64_t count = 1;
    for (int i = 0; i < npy->n; i++)
        count *= npy->d[i];
    if (count != npy->count || npy->buf->size != (size_t)count * (size_t)qs_dtype_bytes(npy->dtype))
        abort();
    char hex[QS_DIGEST_HEX];
    qs_digest(npy->buf->data, npy->buf->size, hex);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qs_ctx cx;
    struct qs_npy npy;
    qs_ctx_init(&cx);
    /* a copy of its own: reads behind the end are seen */
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    const enum qs_err err = qs_npy_parse(&cx, "fuzz", copy, size, &npy);
    if (err == QS_OK)
        check(&npy);
    else if (!*qs_message(&cx))
        abort();
    qs_npy_release(&npy);
    free(copy);
    return 0;
}
