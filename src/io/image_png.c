/* SPDX-License-Identifier: Apache-2.0 */
/* PNG by libpng: no gamma, no background, the lower half of 16 bits cut off. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "io/image_decode.h"

struct decoder {
    png_structp png;
    png_infop info;
    jmp_buf leave;
    char why[160];
    struct qs_image_source *in;
    struct qs_image *out;
    size_t at; /* bytes read */
    png_bytep *row;
};

static void
on_error(png_structp png, png_const_charp text)
{
    struct decoder *d = png_get_error_ptr(png);
    snprintf(d->why, sizeof(d->why), "%s", text);
    longjmp(d->leave, 1);
}

static void
on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void
on_read(png_structp png, png_bytep to, size_t n)
{
    struct decoder *d = png_get_io_ptr(png);
    if (n > d->in->n - d->at)
        png_error(png, _("the file is cut off"));
    memcpy(to, d->in->bytes + d->at, n);
    d->at += n;
}

/* A row of the widest picture takes 8 MiB; a chunk may claim any length (libpng asks for all of an
 * eXIf chunk before it has seen its bytes). */
static png_voidp
on_malloc(png_structp png, png_alloc_size_t n)
{
    enum { MOST = 16 << 20 };
    (void)png;
    return n > MOST ? NULL : malloc(n);
}

static void
on_free(png_structp png, png_voidp p)
{
    (void)png;
    free(p);
}

static void
ask_for_bgr(struct decoder *d)
{
    png_set_strip_16(d->png);
    png_set_strip_alpha(d->png);
    png_set_palette_to_rgb(d->png);
    png_set_expand_gray_1_2_4_to_8(d->png);
    png_set_gray_to_rgb(d->png);
    png_set_bgr(d->png);
    png_set_interlace_handling(d->png);
    png_read_update_info(d->png, d->info);
}

static enum qs_err
decode(struct decoder *d)
{
    png_set_read_fn(d->png, d, on_read);
    png_set_user_limits(d->png, 1 << 20, 1 << 20);
    png_set_chunk_cache_max(d->png, 64);
    png_set_chunk_malloc_max(d->png, 4 << 20);
    png_read_info(d->png, d->info);
    const enum qs_err err = qs_image_alloc(d->in, png_get_image_width(d->png, d->info),
                                           png_get_image_height(d->png, d->info), d->out);
    if (err)
        return err;
    ask_for_bgr(d);
    const size_t pitch = 3 * (size_t)d->out->w;
    if (png_get_rowbytes(d->png, d->info) != pitch)
        return qs_image_fail(d->in, _("an unknown kind of pixels"));
    d->row = qs_xcalloc((size_t)d->out->h, sizeof(*d->row));
    for (int y = 0; y < d->out->h; y++)
        d->row[y] = d->out->data + pitch * (size_t)y;
    png_read_image(d->png, d->row);
    png_read_end(d->png, d->info);
    png_bytep exif = NULL;
    png_uint_32 n = 0;
    if (png_get_eXIf_1(d->png, d->info, &n, &exif) != 0)
        d->in->orientation = qs_exif_orientation(exif, n);
    return QS_OK;
}

enum qs_err
qs_png_decode(struct qs_image_source *in, struct qs_image *out)
{
    struct decoder *d = qs_xcalloc(1, sizeof(*d));
    d->in = in;
    d->out = out;
    enum qs_err err = QS_ERR_MEMORY;
    if (setjmp(d->leave) == 0) {
        d->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, d, on_error, on_warning, NULL,
                                          on_malloc, on_free);
        d->info = d->png ? png_create_info_struct(d->png) : NULL;
        err = d->info ? decode(d)
                      : qs_fail(in->cx, QS_ERR_MEMORY, _("cannot decode image '%s': out of memory"),
                                in->name);
    } else {
        err = qs_image_fail(in, d->why);
    }
    if (d->png)
        png_destroy_read_struct(&d->png, &d->info, NULL);
    free(d->row);
    free(d);
    return err;
}
