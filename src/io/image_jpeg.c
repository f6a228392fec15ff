/* SPDX-License-Identifier: Apache-2.0 */
/* JPEG by libjpeg-turbo with its defaults: exact integer DCT, smooth chroma upsampling. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "io/image_decode.h"

enum { SCANS_MOST = 200 };

struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf leave;
    bool ended; /* the file has no more bytes */
    char why[JMSG_LENGTH_MAX];
    struct qs_image_source *in;
    struct qs_image *out;
    uint8_t *row; /* [w][4] CMYK */
};

static void
leave(j_common_ptr jpeg)
{
    struct decoder *d = jpeg->client_data;
    jpeg->err->format_message(jpeg, d->why);
    longjmp(d->leave, 1);
}

/* A file whose data end early is damaged; one that lacks only the end marker is not, nor is one
 * with stray bytes. A progressive file that ends early may lack whole scans. */
static void
on_message(j_common_ptr jpeg, int level)
{
    struct decoder *d = jpeg->client_data;
    if (level >= 0)
        return;
    d->ended |= jpeg->err->msg_code == JWRN_JPEG_EOF;
    if (!d->ended || (jpeg->err->msg_code != JWRN_HIT_MARKER && !d->jpeg.progressive_mode))
        return;
    snprintf(d->why, sizeof(d->why), "%s", _("the file is cut off"));
    longjmp(d->leave, 1);
}

/* Each scan of a progressive file goes over the whole picture, however few bytes it has. */
static void
on_progress(j_common_ptr jpeg)
{
    struct decoder *d = jpeg->client_data;
    if (d->jpeg.input_scan_number <= SCANS_MOST)
        return;
    snprintf(d->why, sizeof(d->why), "%s", _("too many scans"));
    longjmp(d->leave, 1);
}

static int
orientation(const struct jpeg_decompress_struct *jpeg)
{
    for (const struct jpeg_marker_struct *m = jpeg->marker_list; m; m = m->next)
        if (m->data_length > 6 && memcmp(m->data, "Exif\0", 6) == 0)
            return qs_exif_orientation(m->data + 6, m->data_length - 6);
    return 1;
}

/* Inverted CMYK, as Adobe writes it. */
static void
cmyk_to_bgr(const uint8_t *cmyk, uint8_t *bgr, int w)
{
    for (int x = 0; x < w; x++, cmyk += 4, bgr += 3) {
        const int k = cmyk[3];
        for (int c = 0; c < 3; c++)
            bgr[2 - c] = (uint8_t)(k - ((255 - cmyk[c]) * k >> 8));
    }
}

static enum qs_err
decode(struct decoder *d)
{
    struct jpeg_decompress_struct *jpeg = &d->jpeg;
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_mem_src(jpeg, d->in->bytes, d->in->n);
    jpeg_read_header(jpeg, TRUE);
    const enum qs_err err = qs_image_alloc(d->in, jpeg->image_width, jpeg->image_height, d->out);
    if (err)
        return err;
    const bool cmyk = jpeg->num_components == 4;
    jpeg->out_color_space = cmyk ? JCS_CMYK : JCS_EXT_BGR;
    if (cmyk)
        d->row = qs_xcalloc((size_t)d->out->w, 4);
    jpeg_start_decompress(jpeg);
    for (int y = 0; y < d->out->h; y++) {
        uint8_t *to = d->out->data + 3 * (size_t)y * (size_t)d->out->w;
        jpeg_read_scanlines(jpeg, cmyk ? &d->row : &to, 1);
        if (cmyk)
            cmyk_to_bgr(d->row, to, d->out->w);
    }
    d->in->orientation = orientation(jpeg);
    jpeg_finish_decompress(jpeg);
    return QS_OK;
}

enum qs_err
qs_jpeg_decode(struct qs_image_source *in, struct qs_image *out)
{
    /* On the heap: nothing a longjmp could leave in a register. */
    struct decoder *d = qs_xcalloc(1, sizeof(*d));
    d->in = in;
    d->out = out;
    d->jpeg.err = jpeg_std_error(&d->errors);
    d->jpeg.client_data = d;
    d->errors.error_exit = leave;
    d->errors.emit_message = on_message;
    d->progress.progress_monitor = on_progress;
    enum qs_err err;
    if (setjmp(d->leave) == 0) {
        jpeg_create_decompress(&d->jpeg);
        d->jpeg.progress = &d->progress;
        err = decode(d);
    } else {
        err = qs_image_fail(in, d->why);
    }
    jpeg_destroy_decompress(&d->jpeg);
    free(d->row);
    free(d);
    return err;
}
