/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels of the fast FP32 engine on images in blocked layout.
 *
 * Blocked layout: channels are cut into blocks of `lanes` (the vector length of the variant); an
 * image is [blocks][rows][pixels][lanes]. The channels of the last block that do not exist hold
 * anything and are never mixed into others. Rows may be further apart than their pixels need, so
 * that an image has a halo (a border of zeros) as wide as the padding of the convolutions that
 * read it: no kernel here checks bounds. Blocked images and packed weights are 64-byte aligned;
 * strides are in floats and multiples of `lanes`.
 *
 * One struct of functions per instruction set, picked once (qk_conv). All are made from
 * conv_f32.inc; they differ in `lanes` and in whether a multiply-add rounds once or twice, so
 * results agree up to rounding only. A result does not depend on how a caller splits the work.
 * Kernels allocate nothing and need no scratch.
 */
#ifndef QK_CONV_H
#define QK_CONV_H

#include <stdint.h>

enum { QK_CONV_LANES_MOST = 16 };

/* What happens to a sum before it is stored. */
enum qk_post_kind {
    QK_POST_CLAMP,        /* min(max(v, a), b): none (infinite bounds), relu, relu6 */
    QK_POST_HARD_SWISH,   /* v * min(max(v + a, 0), b) * c */
    QK_POST_HARD_SIGMOID, /* min(max(v * a + b, 0), 1) */
    QK_POST_LEAKY_RELU,   /* v >= 0 ? v : v * a */
    QK_POST_SIGMOID,      /* 1 / (1 + exp(-v)) */
    QK_POST_SWISH,        /* v / (1 + exp(-a * v)) */
    QK_POST_TANH,
};
struct qk_post {
    enum qk_post_kind kind;
    float a, b, c;
};

/* A convolution of one image; also a fully connected layer (one pixel row). Depthwise: input
 * block i gives output block i. Geometry of what lies in memory, not of the operator: a 1x1
 * convolution of an image without halo is one row of all its pixels. */
struct qk_conv_args {
    const float *x;  /* under the first tap of output pixel (0, 0) */
    int64_t x_block; /* from a block of input channels to the next */
    int64_t x_row;   /* from a row to the next */
    int64_t x_pixel; /* from a pixel to the next */
    int64_t x_lane;  /* from a channel of a block to the next; not 1 where the input is not
                        blocked (first layer) */
    int block;       /* channels of a block: lanes; `ic` where the input is not blocked */
    int ic;          /* input channels */
    const int32_t *block_lanes; /* channels of every input block; NULL: full but the last */
    int kh, kw, stride_h, stride_w, dilation_h, dilation_w;
    const float *w;    /* packed (qk_conv_pack) */
    const float *bias; /* [oc_blocks * lanes] */
    float *y;          /* output pixel (0, 0) */
    int64_t y_block, y_row, y_pixel;
    const float *add; /* added before `post`, laid out as `y` with its own strides; or NULL */
    int64_t add_block, add_row, add_pixel;
    int wrap; /* pixels after which `y` and `add` go to their next row: the width of the
                 output, also where the input is one long row */
    int oc_blocks;
    struct qk_post post;
};

/* Windows of a pooling: output (i, j) takes rows y0[i] .. y1[i]-1, pixels x0[j] .. x1[j]-1. */
struct qk_pool_args {
    const float *x;
    int64_t x_row, x_pixel;
    float *y;
    int64_t y_row, y_pixel;
    const int32_t *y0, *y1, *x0, *x1;
    int ow;
    float divisor; /* of an average; 0: the size of the window */
};

/* Winograd's convolutions of 3x3 taps with stride 1: squares of m x m outputs (m 2 or 4) come from
 * (m + 2)^2 products per channel instead of 9 m^2. The image is cut into squares, counted row by
 * row; the products of all squares at one of the (m + 2)^2 points are a 1x1 convolution (conv).
 * Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks". */
struct qk_winograd_args {
    int m;
    int across;     /* squares in a row of the image */
    const float *x; /* under the first tap of output pixel (0, 0); blocked */
    int64_t x_block, x_row;
    int ic_blocks, oc_blocks;
    float *v;       /* [point][ic block][n][lanes] of n squares in work */
    const float *p; /* [point][oc block][n][lanes] their products */
    const float *bias;
    float *y;
    int64_t y_block, y_row;
    const float *add; /* or NULL */
    int64_t add_block, add_row;
    struct qk_post post;
};

/* Bilinear: output (i, j) mixes rows top[i], bottom[i] by v[i] and pixels left[j], right[j] by
 * h[j] (weights of bottom and right). */
struct qk_bilinear_args {
    const float *x;
    int64_t x_row, x_pixel;
    float *y;
    int64_t y_row, y_pixel;
    const int32_t *top, *bottom, *left, *right;
    const float *v, *h;
    int ow;
};

/* Rounding to the grid of quantize_linear and back, R = 2^(bits-1) - 1, T the threshold, all in
 * single precision: q = clamp(x * (R * (1 / T)), -R - 1, R) to nearest, ties to even; q * T / R.
 * `away`: q within -R .. R, ties away from zero. */
struct qk_round {
    float by, most, threshold;
    int away;
};

enum qk_binary { QK_ADD, QK_SUB, QK_MUL, QK_DIV, QK_MAX, QK_MIN };

struct qk_conv {
    const char *isa;
    uint32_t need; /* enum qk_cpu flags (cpu.h) */
    int lanes;
    int tile; /* output pixels of the largest tile */

    /* Output rows row0 .. row1-1, pixels col0 .. col1-1, panels panel0 .. panel1-1 (a panel is two
     * blocks of output channels). */
    void (*conv)(const struct qk_conv_args *a, int panel0, int panel1, int row0, int row1, int col0,
                 int col1);
    /* Blocks block0 .. block1-1. Weights [block][kh][kw][lanes]. */
    void (*depthwise)(const struct qk_conv_args *a, int block0, int block1, int row0, int row1);
    /* Squares `first` .. first + n - 1: the input transformed into v; the products transformed
     * into the output. */
    void (*winograd_input)(const struct qk_winograd_args *a, int first, int n);
    void (*winograd_output)(const struct qk_winograd_args *a, int first, int n);
    /* One block, rows row0 .. row1-1. An empty window of max_pool gives the lowest float. */
    void (*max_pool)(const struct qk_pool_args *a, int row0, int row1);
    void (*avg_pool)(const struct qk_pool_args *a, int row0, int row1);
    void (*bilinear)(const struct qk_bilinear_args *a, int row0, int row1);
    /* z[i] = post(x[i] op y[i]), n pixels; a step of 0 floats repeats one pixel. */
    void (*binary)(enum qk_binary op, const struct qk_post *post, int64_t n, const float *x,
                   int64_t x_step, const float *y, int64_t y_step, float *z);
    /* z = post(x * scale + shift), scale and shift of one block [lanes], n pixels. */
    void (*affine)(const struct qk_post *post, int64_t n, const float *x, const float *scale,
                   const float *shift, float *z);
    /* n floats, any number of them and anywhere; the same on every instruction set. 0 stays 0, a
     * NaN too. */
    void (*round)(const struct qk_round *r, int64_t n, const float *x, float *y);
    /* y[i] = x[i], i < n pixels, each `repeat` times (nearest upsampling of a row). */
    void (*repeat)(int64_t n, int repeat, const float *x, float *y);
    /* One row: channels c0 .. (c of them, at most lanes) of planes that are `plane` floats apart,
     * n pixels; lanes that do not exist become 0. */
    void (*to_blocked)(const float *x, int64_t plane, int c, int64_t n, float *y);
    void (*from_blocked)(const float *x, int c, int64_t n, float *y, int64_t plane);
    /* y = x after softmax over n floats. */
    void (*softmax)(int64_t n, const float *x, float *y);
    /* One step of an LSTM cell after the matrix products: gates i, f, g, o of n floats each (n a
     * multiple of lanes): c = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c). */
    void (*lstm)(int n, const float *gate, float *c, float *h);
};

/* Floats of the packed weights of a convolution (for `lanes`): panels of two blocks, the last of
 * one when their number is odd. */
int64_t qk_conv_packed(int lanes, int64_t oc, int64_t ic, int kh, int kw);
/* Packs w[oc][ic][kh][kw] times scale[oc] (NULL: 1) for input blocks of `block` channels as
 * [panel][ic block][kh][kw][ic in block][output lanes of the panel]; lanes that do not exist hold
 * 0. w_oc, w_ic: floats from an output or input channel to the next; w may be unaligned. */
struct qk_pack {
    int lanes, block;
    const int32_t *block_lanes; /* as in qk_conv_args */
    int64_t oc, ic;
    int kh, kw;
    const void *w;
    int64_t w_oc, w_ic, w_kh, w_kw;
    const double *scale; /* [oc] or NULL */
};
void qk_conv_pack(const struct qk_pack *p, float *out);

/* To even. bits: 2 to 16. 1 / T is 1 / (T + 1e-6) where T <= 1e-30, as in Paddle. */
struct qk_round qk_round_of(float threshold, int bits);

/* One filter g[3][3] at the (m + 2)^2 points: G g G^T, row by row. */
void qk_winograd_filter(int m, const double *g, double *u);

/* All variants, scalar first, best last; ends with NULL. */
extern const struct qk_conv *const qk_conv_all[];
/* The best that this machine has and the cap (qk_cpu_cap) allows. */
const struct qk_conv *qk_conv(void);

#endif
