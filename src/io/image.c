/* SPDX-License-Identifier: Apache-2.0 */
#include "io/image.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "io/image_decode.h"

enum qs_err
qs_image_fail(const struct qs_image_source *in, const char *why)
{
    return qs_fail(in->cx, QS_ERR_FORMAT, _("cannot decode image '%s': %s"), in->name, why);
}

enum qs_err
qs_image_alloc(const struct qs_image_source *in, int64_t w, int64_t h, struct qs_image *out)
{
    enum { SIDE_MOST = 1 << 20 };
    if (w < 1 || h < 1)
        return qs_image_fail(in, _("it has no pixels"));
    if (w > SIDE_MOST || h > SIDE_MOST || w * h > in->max_pixels)
        return qs_fail(in->cx, QS_ERR_FORMAT,
                       _("cannot decode image '%s': %lld x %lld pixels, at most %lld in all"),
                       in->name, (long long)w, (long long)h, (long long)in->max_pixels);
    out->data = calloc((size_t)(w * h), 3);
    if (!out->data)
        return qs_fail(in->cx, QS_ERR_MEMORY, _("cannot decode image '%s': out of memory"),
                       in->name);
    out->w = (int)w;
    out->h = (int)h;
    return QS_OK;
}

void
qs_image_release(struct qs_image *im)
{
    free(im->data);
    *im = (struct qs_image){0};
}

/* --- EXIF ------------------------------------------------------------------------------------ */

static uint32_t
get(const uint8_t *p, int bytes, bool big)
{
    uint32_t x = 0;
    for (int i = 0; i < bytes; i++)
        x |= (uint32_t)p[i] << 8 * (big ? bytes - 1 - i : i);
    return x;
}

int
qs_exif_orientation(const uint8_t *p, size_t n)
{
    enum { ORIENTATION = 0x112, SHORT = 3, ENTRY = 12 };
    if (n < 8 || p[0] != p[1] || (p[0] != 'I' && p[0] != 'M'))
        return 1;
    const bool big = p[0] == 'M';
    const size_t at = get(p + 4, 4, big);
    if (get(p + 2, 2, big) != 42 || at > n - 2)
        return 1;
    const size_t count = get(p + at, 2, big);
    for (size_t i = 0; i < count && at + 2 + (i + 1) * ENTRY <= n; i++) {
        const uint8_t *e = p + at + 2 + i * ENTRY;
        const uint32_t value = get(e + 8, 2, big);
        if (get(e, 2, big) == ORIENTATION && get(e + 2, 2, big) == SHORT)
            return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

/* Orientations 5..8 swap the sides; then the rows or columns may run backwards. */
static enum qs_err
orient(const struct qs_image_source *in, struct qs_image *im)
{
    static const struct {
        bool swap, mirror_x, mirror_y;
    } how[9] = {
        [2] = {0, 1, 0}, [3] = {0, 1, 1}, [4] = {0, 0, 1}, [5] = {1, 0, 0},
        [6] = {1, 1, 0}, [7] = {1, 1, 1}, [8] = {1, 0, 1},
    };
    const int o = in->orientation;
    struct qs_image to = {0};
    if (o < 2 || o > 8)
        return QS_OK;
    const enum qs_err err =
        qs_image_alloc(in, how[o].swap ? im->h : im->w, how[o].swap ? im->w : im->h, &to);
    if (err)
        return err;
    for (int y = 0; y < to.h; y++) {
        for (int x = 0; x < to.w; x++) {
            const int u = how[o].mirror_x ? to.w - 1 - x : x;
            const int v = how[o].mirror_y ? to.h - 1 - y : y;
            const size_t from = how[o].swap ? (size_t)u * (size_t)im->w + (size_t)v
                                            : (size_t)v * (size_t)im->w + (size_t)u;
            memcpy(to.data + 3 * ((size_t)y * (size_t)to.w + (size_t)x), im->data + 3 * from, 3);
        }
    }
    qs_image_release(im);
    *im = to;
    return QS_OK;
}

/* --- entry ----------------------------------------------------------------------------------- */

static const struct {
    const char *magic;
    size_t n;
    enum qs_err (*decode)(struct qs_image_source *in, struct qs_image *out);
} decoders[] = {
    {"\xff\xd8\xff", 3, qs_jpeg_decode},
    {"\x89PNG\r\n\x1a\n", 8, qs_png_decode},
    {"BM", 2, qs_bmp_decode},
};

enum qs_err
qs_image_decode(struct qs_ctx *cx, const uint8_t *bytes, size_t n, const char *name,
                int64_t max_pixels, struct qs_image *out)
{
    struct qs_image_source in = {cx, bytes, n, name, max_pixels, 1};
    *out = (struct qs_image){0};
    for (size_t i = 0; i < QS_LEN(decoders); i++) {
        if (n < decoders[i].n || memcmp(bytes, decoders[i].magic, decoders[i].n) != 0)
            continue;
        enum qs_err err = decoders[i].decode(&in, out);
        if (!err)
            err = orient(&in, out);
        if (err)
            qs_image_release(out);
        return err;
    }
    return qs_image_fail(&in, n ? _("it is no JPEG, PNG or BMP file") : _("the file is empty"));
}

enum qs_err
qs_image_read(struct qs_ctx *cx, const char *path, int64_t max_pixels, struct qs_image *out)
{
    struct qs_buf *b = NULL;
    enum qs_err err = qs_buf_map(cx, path, _("image"), &b);
    *out = (struct qs_image){0};
    if (err)
        return err;
    err = qs_image_decode(cx, b->data, b->size, path, max_pixels, out);
    qs_buf_unref(b);
    return err;
}
