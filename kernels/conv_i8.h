/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels of the integer engine: int8 x int8 to int32, on images of bytes.
 *
 * Byte image: [rows][pixels][channels], channels of a pixel side by side, x_pixel bytes from a
 * pixel to the next. A byte is u = q + 128 for q in -128 .. 127, so a halo that means zero holds
 * 128. Pixels are a multiple of 16 bytes apart and 16-byte aligned (an image of up to four
 * channels: 4 bytes); the bytes of channels that do not exist hold anything, and weights make them
 * count for nothing. Float images are blocked as in conv.h, in blocks of `lanes`.
 *
 * The arithmetic, the same bits for every variant (fma rounds once, everywhere):
 *   sum = start[c] + sum over taps and channels of u * w       (int32, wraps)
 *   v   = fma((float)sum, scale[c] * unit, bias[c])
 *   v   = v + add                                              (if there is one)
 *   v   = post(v)
 *   y   = v                                                    (float output, if there is one)
 *   q   = min(max(rint(v * q_scale), low), high), stored as q + 128    (byte output)
 * start[c] = -128 * sum of the channel's weights takes the 128 of the input out again. rint is to
 * nearest, ties to even or (`away`) away from zero, and -2^31 for NaN and what is not in -2^31 ..
 * 2^31-1, so that becomes `low`.
 * `direct`: post is a clamp that low and high stand for (rounding keeps the order, so q is the
 * same), and there is no float output.
 *
 * One struct of functions per instruction set, picked once (qk_conv_i8). A result does not depend
 * on how a caller splits the work. Kernels allocate nothing. Callers keep the number of taps x
 * channels below 65536, so that sums of any weights do not wrap.
 */
#ifndef QK_CONV_I8_H
#define QK_CONV_I8_H

#include <stdint.h>

#include "kernels/conv.h"

enum {
    QK_I8_BLOCK = 16, /* output channels that are computed together */
    QK_I8_QUAD = 4,   /* input channels of a multiply-add */
    QK_I8_ZERO = 128, /* the byte of q = 0 */
    QK_I8_SUM_MOST = 65535,
};

/* A convolution of one byte image; also a fully connected layer (one pixel row). Depthwise: channel
 * i gives channel i. */
struct qk_i8_args {
    const uint8_t *x; /* under the first tap of output pixel (0, 0) */
    int64_t x_row, x_pixel;
    int ic; /* bytes of a pixel that are read: 4, or a multiple of 16; not for depthwise */
    int kh, kw, stride_h, stride_w, dilation_h, dilation_w;
    int positive;    /* no byte of a channel that exists is below 128: faster where that matters */
    const int8_t *w; /* packed (qk_i8_pack); depthwise: [tap][16 * oc_blocks] */
    const int32_t *start;      /* [16 * oc_blocks] */
    const float *scale, *bias; /* [16 * oc_blocks] */
    float unit;                /* 1, or of an input whose scale is found while it runs */
    int oc_blocks;
    struct qk_post post;
    int direct;
    int wrap;  /* pixels after which y, q and add go to their next row: the width of the output */
    int lanes; /* of y and add: 4, 8 or 16, as in the blocked images of conv.h */
    const float *add; /* or NULL; blocked, strides in floats */
    int64_t add_block, add_row, add_pixel;
    float *y; /* or NULL; blocked, strides in floats */
    int64_t y_block, y_row, y_pixel;
    uint8_t *q; /* or NULL; 16 bytes of every output block are written */
    int64_t q_row, q_pixel;
    float q_scale;
    int8_t low, high;
    int away; /* how q is rounded */
};

/* How floats become bytes: q = min(max(rint(v * scale), low), high) + 128. */
struct qk_i8_quant {
    float scale;
    int8_t low, high;
    int away;
};

struct qk_i8_pool_args { /* as qk_pool_args */
    const uint8_t *x;
    int64_t x_row, x_pixel;
    uint8_t *y;
    int64_t y_row, y_pixel;
    const int32_t *y0, *y1, *x0, *x1;
    int ow;
    int bytes; /* of a pixel, a multiple of 16 */
};

struct qk_conv_i8 {
    const char *isa;
    uint32_t need; /* enum qk_cpu flags (cpu.h) */
    int lanes;     /* qk_i8_args.lanes is a multiple of it */
    int tile;      /* output pixels of the largest tile */

    /* Output rows row0 .. row1-1, pixels col0 .. col1-1, channel blocks block0 .. block1-1. */
    void (*conv)(const struct qk_i8_args *a, int block0, int block1, int row0, int row1, int col0,
                 int col1);
    void (*depthwise)(const struct qk_i8_args *a, int block0, int block1, int row0, int row1);
    /* n pixels of a blocked row, `blocks` x 16 channels; x_block floats from a block of `lanes`
     * channels to the next. */
    void (*from_blocked)(const struct qk_i8_quant *k, const float *x, int64_t x_block, int lanes,
                         int blocks, int64_t n, uint8_t *q, int64_t q_pixel);
    /* n pixels of c <= 4 planes `plane` floats apart to pixels of 4 bytes; missing ones are 0. */
    void (*from_planes)(const struct qk_i8_quant *k, const float *x, int64_t plane, int c,
                        int64_t n, uint8_t *q);
    void (*from_row)(const struct qk_i8_quant *k, const float *x, int64_t n, uint8_t *q);
    /* The largest magnitude among the first `real` of every `lanes` floats (4, 8, 16; of every one
     * where both are 1) of n pixels; NaNs are passed over. */
    float (*absmax)(const float *x, int64_t n, int lanes, int real);
    /* Rows row0 .. row1-1. An empty window gives 0. */
    void (*max_pool)(const struct qk_i8_pool_args *a, int row0, int row1);
};

/* Defines a variant out of functions that are called as the fields. */
#define QK_CONV_I8(name, flags, lanes_, tile_)        \
    extern const struct qk_conv_i8 qk_conv_i8_##name; \
    const struct qk_conv_i8 qk_conv_i8_##name = {     \
        .isa = #name,                                 \
        .need = (flags),                              \
        .lanes = (lanes_),                            \
        .tile = (tile_),                              \
        .conv = conv,                                 \
        .depthwise = depthwise,                       \
        .from_blocked = from_blocked,                 \
        .from_planes = from_planes,                   \
        .from_row = from_row,                         \
        .absmax = absmax,                             \
        .max_pool = max_pool,                         \
    }

/* Bytes of packed weights, for `ic` bytes of an input pixel. */
int64_t qk_i8_packed(int64_t oc, int64_t ic, int kh, int kw);
/* Packs w[oc][ic][kh][kw] (w_* elements apart) as [block of 16][kh][kw][quad][16][4], zero where
 * nothing is, and adds up start[16 * blocks]. `at` says which byte of the pixel an input channel
 * is (NULL: in order); `bytes` is qk_i8_args.ic. */
struct qk_i8_pack {
    int64_t oc, ic;
    int kh, kw, bytes;
    const int32_t *at;
    const int8_t *w;
    int64_t w_oc, w_ic, w_kh, w_kw;
};
void qk_i8_pack(const struct qk_i8_pack *p, int8_t *out, int32_t *start);

/* All variants, scalar first, best last; ends with NULL. */
extern const struct qk_conv_i8 *const qk_conv_i8_all[];
/* The best that this machine has and the cap (qk_cpu_cap) allows. Tiles (AMX) must have made one
 * small product as the scalar variant makes it. */
const struct qk_conv_i8 *qk_conv_i8(void);
/* Whether a variant, which this machine must have, makes that product right. */
int qk_conv_i8_agrees(const struct qk_conv_i8 *variant);

#endif
