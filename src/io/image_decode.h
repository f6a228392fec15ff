/* SPDX-License-Identifier: Apache-2.0 */
/* What the decoders of image.c share. */
#ifndef QS_IO_IMAGE_DECODE_H
#define QS_IO_IMAGE_DECODE_H

#include "io/image.h"

struct qs_image_source {
    struct qs_ctx *cx;
    const uint8_t *bytes;
    size_t n;
    const char *name;
    int64_t max_pixels;
    int orientation; /* out: 1..8 as in EXIF, 1 when the file says nothing */
};

/* Checks the size against the limit before anything is allocated, then makes a picture whose
 * bytes are zero. */
enum qs_err qs_image_alloc(const struct qs_image_source *in, int64_t w, int64_t h,
                           struct qs_image *out) QS_MUST_CHECK;
/* "cannot decode image '<name>': <why>" */
enum qs_err qs_image_fail(const struct qs_image_source *in, const char *why);
/* Orientation in a TIFF block (what follows "Exif\0\0"); 1 when it has none. */
int qs_exif_orientation(const uint8_t *p, size_t n);

enum qs_err qs_jpeg_decode(struct qs_image_source *in, struct qs_image *out) QS_MUST_CHECK;
enum qs_err qs_png_decode(struct qs_image_source *in, struct qs_image *out) QS_MUST_CHECK;
enum qs_err qs_bmp_decode(struct qs_image_source *in, struct qs_image *out) QS_MUST_CHECK;

#endif
