/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures: JPEG, PNG and BMP to 8-bit BGR, the same bytes as OpenCV's imread(IMREAD_COLOR): alpha
 * is dropped, 16 bits keep their upper half, grey is repeated, and the EXIF orientation is
 * applied. The first bytes of the file say what it is, not its name. What is damaged or cut off
 * is refused (OpenCV fills the rest of a cut JPEG with grey); one message names the file.
 */
#ifndef QS_IO_IMAGE_H
#define QS_IO_IMAGE_H

#include "base/ctx.h"

/* Default limit of width * height; memory and time of decoding grow with it. */
#define QS_IMAGE_PIXELS_MOST (INT64_C(1) << 26)

struct qs_image {
    int w, h;      /* at least 1 */
    uint8_t *data; /* [h][w][3] BGR, owned */
};

enum qs_err qs_image_read(struct qs_ctx *cx, const char *path, int64_t max_pixels,
                          struct qs_image *out) QS_MUST_CHECK;
/* The same from memory; `name` is used in messages. */
enum qs_err qs_image_decode(struct qs_ctx *cx, const uint8_t *bytes, size_t n, const char *name,
                            int64_t max_pixels, struct qs_image *out) QS_MUST_CHECK;
void qs_image_release(struct qs_image *im);

#endif
