/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a picture. */
#include <stdlib.h>

#include "io/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { PIXELS_MOST = 1 << 16 };
    struct qs_ctx cx;
    struct qs_image im;
    qs_ctx_init(&cx);
    const enum qs_err err = qs_image_decode(&cx, data, size, "fuzz", PIXELS_MOST, &im);
    if (err ? !*cx.message || im.data : im.w < 1 || im.h < 1 || im.w * im.h > PIXELS_MOST)
        abort();
    qs_image_release(&im);
    return 0;
}
