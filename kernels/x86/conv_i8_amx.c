/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The convolution of conv_i8.h on the tiles of Intel AMX; everything else is that of AVX-512 VNNI.
 *
 * Sums of 32 pixels x 32 channels stay in four registers. A tile of input is up to 16 pixels of a
 * row x up to 16 quads of a span (taps whose bytes follow each other), read where they lie; packed
 * weights are such tiles already: rows of a quad x 16 channels.
 *
 *                 quads      blocks        The spans are cut into equal pieces of at most 16
 *     pixels    A0 .  x    B0   B1         quads, and rows into equal strips of at most 16 pixels:
 *               A1          .    .         shapes do not change within a call. Where the last one
 *                       = C00  C01         would end too late it begins earlier; pixels that were
 *                         C10  C11         there already are not finished again, quads get zero
 *                                          weights.
 */
#include <stdbool.h>

#include "kernels/conv_i8.h"
#include "kernels/cpu.h"
#include "kernels/x86/tile.h"

#include "kernels/x86/vec_avx512.inc"

#include "kernels/vec_f32.inc"

#define VECTORS 1
#include "kernels/x86/bytes_avx512.inc"

#include "kernels/conv_i8_ends.inc"

extern const struct qk_conv_i8 qk_conv_i8_avx512vnni;

/* Registers. */
#define C00 0
#define C01 1
#define C10 2
#define C11 3
#define A0 4
#define A1 5
#define B0 6
#define B1 7

enum {
    PAIR = 2,        /* blocks, and strips, of a tile of sums */
    SPANS_MOST = 16, /* whose last pieces are kept with zeros */
    TILE_QUADS = 16,
    TILE_SIZE = TILE_ROWS * TILE_BYTES,
    FINISH = 4, /* pixels that are finished together */
};

/* How spans are cut: n pieces of `quads` quads of each; the last ones begin `again` quads earlier
 * than the one before ends. */
struct cut {
    int spans, per_row; /* of the kernel */
    int span_quads, n, quads, again;
};

/* How pixels are: strips of `pixels` in each row, `per_row` of them, from col0 on. */
struct strips {
    int n, per_row, pixels, row0, col0, width;
};

static struct cut
cut_of(const struct qk_i8_args *a)
{
    /* taps of a row are one run of bytes when all bytes of a pixel count */
    const bool joined = a->x_pixel * a->dilation_w == a->ic;
    struct cut c = {.per_row = joined ? 1 : a->kw};
    c.spans = a->kh * c.per_row;
    c.span_quads = a->ic * (joined ? a->kw : 1) / QK_I8_QUAD;
    c.n = (c.span_quads + TILE_QUADS - 1) / TILE_QUADS;
    c.quads = (c.span_quads + c.n - 1) / c.n;
    c.again = c.n * c.quads - c.span_quads;
    return c;
}

static struct strips
strips_of(int row0, int row1, int col0, int col1)
{
    const int width = col1 - col0, per_row = (width + TILE_ROWS - 1) / TILE_ROWS;
    return (struct strips){
        (row1 - row0) * per_row, per_row, (width + per_row - 1) / per_row, row0, col0, width};
}

/* ---- multiplying ---- */

static void
configure(const struct cut *c, int pixels)
{
    struct tile_config config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        const bool weights = i == B0 || i == B1, input = i == A0 || i == A1;
        config.rows[i] = (uint8_t)(weights ? c->quads : pixels);
        config.bytes[i] = (uint16_t)(input ? c->quads * QK_I8_QUAD : TILE_BYTES);
    }
    tile_configure(&config);
}

/* A piece: x[strip], pixels x_step bytes apart; w[block]. */
INLINE void
multiply(const uint8_t *const *x, int64_t x_step, const int8_t *const *w, const int nb,
         const int ns)
{
    tile_load(B0, w[0], TILE_BYTES);
    tile_load(A0, x[0], x_step);
    tile_dot(C00, A0, B0);
    if (ns > 1) {
        tile_load(A1, x[1], x_step);
        tile_dot(C10, A1, B0);
    }
    if (nb > 1) {
        tile_load(B1, w[1], TILE_BYTES);
        tile_dot(C01, A0, B1);
        if (ns > 1)
            tile_dot(C11, A1, B1);
    }
}

/* Where the operands of pieces are: of input, a strip and the first tap; of weights, a block. */
struct operands {
    const uint8_t *x[PAIR];
    const int8_t *w[PAIR];
    const int8_t *last[PAIR]; /* [span] last pieces, where c->again */
};

INLINE void
multiply_spans(const struct qk_i8_args *a, const struct cut *c, const struct operands *o,
               const int nb, const int ns)
{
    const int64_t x_step = a->x_pixel * a->stride_w, piece = (int64_t)c->quads * TILE_BYTES;
    const int whole = c->n - (c->again > 0);
    for (int s = 0; s < c->spans; s++) {
        const int64_t at =
            s / c->per_row * a->dilation_h * a->x_row + s % c->per_row * a->dilation_w * a->x_pixel;
        const int64_t first = (int64_t)s * c->span_quads * TILE_BYTES;
        const uint8_t *x[PAIR] = {o->x[0] + at, o->x[ns - 1] + at};
        const int8_t *w[PAIR] = {o->w[0] + first, o->w[nb - 1] + first};
        for (int i = 0; i < whole; i++) {
            multiply(x, x_step, w, nb, ns);
            UNROLL for (int k = 0; k < PAIR; k++)
            {
                x[k] += c->quads * QK_I8_QUAD;
                w[k] += piece;
            }
        }
        if (c->again) {
            const uint8_t *end[PAIR] = {x[0] - c->again * QK_I8_QUAD, x[1] - c->again * QK_I8_QUAD};
            const int8_t *last[PAIR] = {o->last[0] + s * TILE_SIZE,
                                        o->last[nb - 1] + s * TILE_SIZE};
            multiply(end, x_step, last, nb, ns);
        }
    }
}

/* Sums begin with `start`: a row that is read 16 times. sum[strip][block][pixel][channel]. */
INLINE void
make_sums(const struct qk_i8_args *a, const struct cut *c, const struct operands *o, int block,
          int32_t *sum, const int nb, const int ns)
{
    const int32_t *start = a->start + block * QK_I8_BLOCK;
    enum { TILE = TILE_SIZE / 4 };
    tile_load(C00, start, 0);
    if (nb > 1)
        tile_load(C01, start + QK_I8_BLOCK, 0);
    if (ns > 1)
        tile_load(C10, start, 0);
    if (nb > 1 && ns > 1)
        tile_load(C11, start + QK_I8_BLOCK, 0);
    multiply_spans(a, c, o, nb, ns);
    tile_store(C00, sum, TILE_BYTES);
    if (nb > 1)
        tile_store(C01, sum + TILE, TILE_BYTES);
    if (ns > 1)
        tile_store(C10, sum + 2 * TILE, TILE_BYTES);
    if (nb > 1 && ns > 1)
        tile_store(C11, sum + 3 * TILE, TILE_BYTES);
}

/* ---- finishing ---- */

INLINE void
finish_some(const struct qk_i8_args *a, const int32_t *sum, int block, int row, int col,
            const int nb, const int n)
{
    vi v[PAIR * FINISH];
    UNROLL for (int k = 0; k < nb; k++)
    {
        UNROLL for (int p = 0; p < n; p++) v[k * n + p] =
            *(const vi *)(const void *)(sum + k * (TILE_SIZE / 4) + p * QK_I8_BLOCK);
    }
    if (a->direct && !a->add)
        finish_direct(a, v, block, row, col, nb, n);
    else
        finish(a, v, block, row, col, nb, n);
}

/* Strip i, whose sums these are; pixels that belong to the strip before are left out. */
INLINE void
finish_strip(const struct qk_i8_args *a, const struct strips *g, int i, const int32_t *sum,
             int block, const int nb)
{
    const int first = i % g->per_row * g->pixels;
    const int n = g->width - first < g->pixels ? g->width - first : g->pixels;
    int row = g->row0 + i / g->per_row + (g->col0 + first) / a->wrap;
    int col = (g->col0 + first) % a->wrap;
    sum += (g->pixels - n) * QK_I8_BLOCK;
    for (int p = 0; p < n;) {
        const int some = n - p >= FINISH ? FINISH : 1;
        if (some == FINISH)
            finish_some(a, sum + p * QK_I8_BLOCK, block, row, col, nb, FINISH);
        else
            finish_some(a, sum + p * QK_I8_BLOCK, block, row, col, nb, 1);
        p += some;
        for (col += some; col >= a->wrap; col -= a->wrap)
            row++;
    }
}

/* ---- convolution ---- */

static const uint8_t *
strip_at(const struct qk_i8_args *a, const struct strips *g, int i)
{
    const int from = i % g->per_row * g->pixels, most = g->width - g->pixels;
    return a->x + (g->row0 + i / g->per_row) * a->stride_h * a->x_row +
           (g->col0 + (from < most ? from : most)) * a->stride_w * a->x_pixel;
}

INLINE void
conv_strips(const struct qk_i8_args *a, const struct cut *c, const struct strips *g,
            struct operands *o, int block, int i, const int nb, const int ns)
{
    int32_t sum[PAIR * PAIR * TILE_SIZE / 4] __attribute__((aligned(64)));
    for (int k = 0; k < ns; k++)
        o->x[k] = strip_at(a, g, i + k);
    make_sums(a, c, o, block, sum, nb, ns);
    for (int k = 0; k < ns; k++)
        finish_strip(a, g, i + k, sum + k * PAIR * (TILE_SIZE / 4), block, nb);
}

/* The last piece of every span of a block, with zeros where it is not the first to read. */
static void
keep_last(const struct cut *c, const int8_t *w, int8_t *last)
{
    const int64_t again = (int64_t)c->again * TILE_BYTES, size = (int64_t)c->quads * TILE_BYTES;
    for (int s = 0; s < c->spans; s++) {
        const int8_t *end = w + (s + 1) * (int64_t)c->span_quads * TILE_BYTES;
        memset(last + s * TILE_SIZE, 0, (size_t)again);
        memcpy(last + s * TILE_SIZE + again, end - (size - again), (size_t)(size - again));
    }
}

/* nb blocks: their weights stay in the cache while all pixels pass. */
INLINE void
conv_blocks(const struct qk_i8_args *a, const struct cut *c, const struct strips *g, int block,
            const int nb)
{
    int8_t last[PAIR][SPANS_MOST * TILE_SIZE] __attribute__((aligned(64)));
    struct operands o = {.x = {NULL}};
    for (int k = 0; k < nb; k++) {
        o.w[k] = a->w + (int64_t)(block + k) * c->spans * c->span_quads * TILE_BYTES;
        o.last[k] = last[k];
        if (c->again)
            keep_last(c, o.w[k], last[k]);
    }
    int i = 0;
    for (; i + PAIR <= g->n; i += PAIR)
        conv_strips(a, c, g, &o, block, i, nb, PAIR);
    if (i < g->n)
        conv_strips(a, c, g, &o, block, i, nb, 1);
}

/*
 * Whether tiles are faster, by what Intel's optimization manual says: a product of tiles takes 16
 * cycles, however full they are, in which VNNI multiplies 2 KB of bytes: a quarter of a tile of
 * input is worth as much as that twice over. Little to sum up is spent on storing sums, and little
 * work altogether on the configuration.
 */
static bool
pays(const struct qk_i8_args *a, const struct cut *c, const struct strips *g, int blocks)
{
    enum { FULL = TILE_SIZE / 4, DEEP = 64, WORK = 1 << 17 };
    const int64_t deep = (int64_t)a->kh * a->kw * a->ic;
    if (c->again && c->spans > SPANS_MOST)
        return false;
    if (TILES_ALWAYS)
        return true;
    return g->pixels * c->quads * QK_I8_QUAD >= FULL && deep >= DEEP &&
           deep * g->n * g->pixels * blocks * QK_I8_BLOCK >= WORK;
}

static void
conv(const struct qk_i8_args *a, int block0, int block1, int row0, int row1, int col0, int col1)
{
    if (block0 >= block1 || row0 >= row1 || col0 >= col1)
        return;
    const struct cut c = cut_of(a);
    const struct strips g = strips_of(row0, row1, col0, col1);
    if (!pays(a, &c, &g, block1 - block0)) {
        qk_conv_i8_avx512vnni.conv(a, block0, block1, row0, row1, col0, col1);
        return;
    }
    configure(&c, g.pixels);
    int block = block0;
    for (; block + PAIR <= block1; block += PAIR)
        conv_blocks(a, &c, &g, block, PAIR);
    if (block < block1)
        conv_blocks(a, &c, &g, block, 1);
    tile_release();
}

/* ---- what has nothing to multiply ---- */

static void
depthwise(const struct qk_i8_args *a, int block0, int block1, int row0, int row1)
{
    qk_conv_i8_avx512vnni.depthwise(a, block0, block1, row0, row1);
}

static void
from_blocked(const struct qk_i8_quant *k, const float *x, int64_t x_block, int lanes, int blocks,
             int64_t n, uint8_t *q, int64_t q_pixel)
{
    qk_conv_i8_avx512vnni.from_blocked(k, x, x_block, lanes, blocks, n, q, q_pixel);
}

static void
from_planes(const struct qk_i8_quant *k, const float *x, int64_t plane, int c, int64_t n,
            uint8_t *q)
{
    qk_conv_i8_avx512vnni.from_planes(k, x, plane, c, n, q);
}

static void
from_row(const struct qk_i8_quant *k, const float *x, int64_t n, uint8_t *q)
{
    qk_conv_i8_avx512vnni.from_row(k, x, n, q);
}

static float
absmax(const float *x, int64_t n, int lanes, int real)
{
    return qk_conv_i8_avx512vnni.absmax(x, n, lanes, real);
}

static void
max_pool(const struct qk_i8_pool_args *a, int row0, int row1)
{
    qk_conv_i8_avx512vnni.max_pool(a, row0, row1);
}

QK_CONV_I8(amx, QK_CPU_AVX512 | QK_CPU_AVX512VNNI | TILES_NEED, LANES, PAIR *TILE_ROWS);
