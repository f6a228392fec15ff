/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BMP (Windows 2.x and later, OS/2 1.x): 1, 4, 8, 16, 24 and 32 bits a pixel, run lengths of 4 and
 * 8 bits. Every read is checked against the end of the file.
 */
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "io/image_decode.h"

enum { RGB = 0, RLE8 = 1, RLE4 = 2, BITFIELDS = 3 };

struct bmp {
    struct qs_image_source *in;
    struct qs_image *out;
    int64_t w, h;
    bool top_down;
    int bits; /* 15: five bits a colour in 16 */
    uint32_t packing, pixels_at;
    uint8_t palette[256][3]; /* BGR */
};

static uint32_t
le(const struct bmp *b, size_t at, size_t bytes)
{
    uint32_t x = 0;
    for (size_t i = 0; i < bytes && at + i < b->in->n; i++)
        x |= (uint32_t)b->in->bytes[at + i] << 8 * i;
    return x;
}

static enum qs_err
cut_off(const struct bmp *b)
{
    return qs_image_fail(b->in, _("the file is cut off"));
}

static enum qs_err
read_palette(struct bmp *b, size_t at, size_t count, size_t entry)
{
    if (at > b->in->n || count * entry > b->in->n - at)
        return cut_off(b);
    for (size_t i = 0; i < count; i++)
        memcpy(b->palette[i], b->in->bytes + at + i * entry, 3);
    return QS_OK;
}

static bool
is_known(const struct bmp *b)
{
    switch (b->bits) {
    case 1:
    case 24:
        return b->packing == RGB;
    case 4:
        return b->packing == RGB || b->packing == RLE4;
    case 8:
        return b->packing == RGB || b->packing == RLE8;
    case 16:
    case 32:
        return b->packing == RGB || b->packing == BITFIELDS;
    }
    return false;
}

/* 16 bits: 5-5-5 unless the masks say 5-6-5. */
static enum qs_err
read_masks(struct bmp *b)
{
    static const uint32_t m555[] = {0x7c00, 0x3e0, 0x1f}, m565[] = {0xf800, 0x7e0, 0x1f};
    uint32_t mask[3] = {0x7c00, 0x3e0, 0x1f};
    for (size_t i = 0; i < 3 && b->packing == BITFIELDS; i++)
        mask[i] = le(b, 54 + 4 * i, 4);
    if (memcmp(mask, m555, sizeof(mask)) == 0)
        b->bits = 15;
    else if (memcmp(mask, m565, sizeof(mask)) != 0)
        return qs_image_fail(b->in, _("colour masks that are not supported"));
    return QS_OK;
}

static enum qs_err
read_header(struct bmp *b)
{
    const size_t size = le(b, 14, 4);
    if (b->in->n < 26)
        return cut_off(b);
    const bool old = size == 12;
    if (!old && (size < 40 || size > 1024))
        return qs_image_fail(b->in, _("an unknown header"));
    const int64_t h = old ? (int64_t)le(b, 20, 2) : (int64_t)(int32_t)le(b, 22, 4);
    b->w = old ? (int64_t)le(b, 18, 2) : (int64_t)(int32_t)le(b, 18, 4);
    b->h = h < 0 ? -h : h;
    b->top_down = h < 0;
    b->bits = (int)le(b, old ? 24 : 28, 2);
    b->packing = old ? RGB : le(b, 30, 4);
    b->pixels_at = le(b, 10, 4);
    if (!is_known(b))
        return qs_image_fail(b->in, _("a kind of pixels that is not supported"));
    if (b->bits == 16)
        return read_masks(b);
    if (b->bits > 8)
        return QS_OK;
    const uint32_t most = UINT32_C(1) << b->bits, used = old ? 0 : le(b, 46, 4);
    if (used > 256)
        return qs_image_fail(b->in, _("too many colours"));
    return read_palette(b, 14 + size, used ? used : most, old ? 3 : 4);
}

static uint8_t *
row(const struct bmp *b, int64_t y)
{
    return b->out->data + 3 * (size_t)b->w * (size_t)(b->top_down ? y : b->h - 1 - y);
}

static void
unpack_row(const struct bmp *b, const uint8_t *p, uint8_t *to)
{
    const int per_byte = b->bits < 8 ? 8 / b->bits : 1, low = (1 << (b->bits & 7)) - 1;
    for (int64_t x = 0; x < b->w; x++, to += 3) {
        const int v = b->bits <= 16 && b->bits > 8 ? p[2 * x] | p[2 * x + 1] << 8 : 0;
        if (b->bits == 8)
            memcpy(to, b->palette[p[x]], 3);
        else if (b->bits < 8)
            memcpy(
                to,
                b->palette[p[x / per_byte] >> b->bits * (per_byte - 1 - (int)(x % per_byte)) & low],
                3);
        else if (b->bits >= 24)
            memcpy(to, p + x * (b->bits / 8), 3);
        else {
            const bool five = b->bits == 15;
            to[0] = (uint8_t)(v << 3);
            to[1] = (uint8_t)(five ? v >> 2 & ~7 : v >> 3 & ~3);
            to[2] = (uint8_t)(five ? v >> 7 & ~7 : v >> 8 & ~7);
        }
    }
}

static enum qs_err
read_rows(struct bmp *b)
{
    const int bits = b->bits == 15 ? 16 : b->bits;
    const size_t pitch = ((size_t)b->w * (size_t)bits + 31) / 32 * 4;
    const size_t last = ((size_t)b->w * (size_t)bits + 7) / 8; /* padding may be missing */
    if (b->pixels_at > b->in->n || last > b->in->n - b->pixels_at ||
        (size_t)(b->h - 1) > (b->in->n - b->pixels_at - last) / pitch)
        return cut_off(b);
    for (int64_t y = 0; y < b->h; y++)
        unpack_row(b, b->in->bytes + b->pixels_at + (size_t)y * pitch, row(b, y));
    return QS_OK;
}

/* A position in a picture of runs; what no run covers has colour 0. */
struct pen {
    struct bmp *b;
    size_t at;
    int64_t x, y;
};

static bool
put(struct pen *p, int index)
{
    if (p->x >= p->b->w || p->y >= p->b->h)
        return false;
    memcpy(row(p->b, p->y) + 3 * p->x++, p->b->palette[index], 3);
    return true;
}

/* `n` pixels that stand in the file as they are, padded to 16 bits. */
static bool
put_literal(struct pen *p, int n)
{
    const bool four = p->b->packing == RLE4;
    const size_t bytes = four ? ((size_t)n + 1) / 2 : (size_t)n;
    if (bytes > p->b->in->n - p->at)
        return false;
    for (int i = 0; i < n; i++) {
        const int v = p->b->in->bytes[p->at + (size_t)(four ? i / 2 : i)];
        if (!put(p, four ? (i & 1 ? v & 15 : v >> 4) : v))
            return false;
    }
    p->at += bytes + (bytes & 1);
    p->at = p->at < p->b->in->n ? p->at : p->b->in->n;
    return true;
}

static bool
put_run(struct pen *p, int n, int v)
{
    for (int i = 0; i < n; i++)
        if (!put(p, p->b->packing == RLE8 ? v : i & 1 ? v & 15 : v >> 4))
            return false;
    return true;
}

static enum qs_err
read_runs(struct bmp *b)
{
    enum { END_OF_LINE = 0, END = 1, MOVE = 2 };
    struct pen p = {.b = b, .at = b->pixels_at};
    for (int64_t i = 0; i < b->w * b->h; i++)
        memcpy(b->out->data + 3 * i, b->palette[0], 3);
    for (;;) {
        if (p.at > b->in->n || b->in->n - p.at < 2)
            return p.y >= b->h ? QS_OK : cut_off(b);
        const int n = b->in->bytes[p.at], v = b->in->bytes[p.at + 1];
        bool good = true;
        p.at += 2;
        if (n > 0) {
            good = put_run(&p, n, v);
        } else if (v == END) {
            return QS_OK;
        } else if (v == END_OF_LINE) {
            p.x = 0;
            p.y++;
        } else if (v == MOVE) {
            good = b->in->n - p.at >= 2;
            p.x += good ? b->in->bytes[p.at] : 0;
            p.y += good ? b->in->bytes[p.at + 1] : 0;
            p.at += 2;
        } else {
            good = put_literal(&p, v);
        }
        if (!good)
            return qs_image_fail(b->in, _("a run of pixels leaves the picture"));
    }
}

enum qs_err
qs_bmp_decode(struct qs_image_source *in, struct qs_image *out)
{
    struct bmp b = {.in = in, .out = out};
    enum qs_err err = read_header(&b);
    if (!err)
        err = qs_image_alloc(in, b.w, b.h, out);
    if (!err)
        err = b.packing == RLE4 || b.packing == RLE8 ? read_runs(&b) : read_rows(&b);
    return err;
}
