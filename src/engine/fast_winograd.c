/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions of 3x3 taps by Winograd's method (kernels/conv.h), where it pays: an image that
 * squares of 4x4 or 2x2 outputs cover exactly, enough channels to outweigh the transforms, weights
 * that still fit the cache. They are transformed in every run, into memory that other tensors use
 * before and after: kept, they would be up to four times as large as the filters. Then a part of
 * the work is a number of squares of an image: transformed, multiplied at every point, transformed
 * back.
 */
#include <math.h>
#include <string.h>

#include "engine/lower.h"

enum {
    ROOM_BYTES = 768 << 10, /* of points and products of a part: they stay in the cache */
    WEIGHT_BYTES = 5 << 20, /* of weights at all points */
    POINT_GAP = 80,         /* floats: points do not share the sets of a cache */
    CHANNELS_LEAST = 24,    /* of input and of output */
    SQUARES_LEAST = 24,     /* of an image: what a sample gives does not depend on others */
    PARTS = 2,              /* per thread */
};

static int
points_of(const struct step *s)
{
    return (s->winograd + 2) * (s->winograd + 2);
}

static int64_t
padded(const struct qs_fast *f, int64_t channels)
{
    return (channels + f->lanes - 1) / f->lanes * f->lanes;
}

/* Values may have a block more, where steps on integers write and read 16 channels. */
static int
blocks_out(const struct qs_fast *f, const struct step *s)
{
    return (int)(padded(f, s->oc) / f->lanes);
}

static int
blocks_in(const struct qs_fast *f, const struct step *s)
{
    const struct value *x = &f->value[s->x];
    return x->lanes ? x->blocks : (int)(padded(f, s->ic) / f->lanes);
}

/* From the weights at a point to those at the next. */
static int64_t
point_floats(const struct qs_fast *f, const struct step *s)
{
    return qk_conv_packed(f->lanes, s->oc, s->ic, 1, 1) + POINT_GAP;
}

/* Weights at all points, and zeros for the products. */
static int64_t
weight_floats(const struct qs_fast *f, const struct step *s)
{
    return points_of(s) * point_floats(f, s) + padded(f, s->oc);
}

/* Points and products of one square. */
static int64_t
square_floats(const struct qs_fast *f, const struct step *s)
{
    const int64_t blocks = blocks_in(f, s) + blocks_out(f, s);
    return points_of(s) * blocks * f->lanes;
}

static int64_t
part_floats(const struct qs_fast *f, const struct step *s)
{
    return square_floats(f, s) * s->chunk;
}

/* How many squares a part has, and how many parts there are. */
static void
split(const struct qs_fast *f, struct step *s, int64_t room_bytes)
{
    const struct value *y = &f->value[s->y];
    const int m = s->winograd, tile = f->k->tile, threads = qs_team_size(f->team);
    const int squares = image_h(y) / m * (image_w(y) / m);
    int64_t n = room_bytes / (square_floats(f, s) * (int64_t)sizeof(float)) / tile * tile;
    const int64_t share =
        threads > 1 ? (int64_t)squares * image_n(y) / (PARTS * threads) / tile * tile : squares;
    n = n > share ? share : n;
    n = n < tile ? tile : n;
    s->chunk = n > squares ? squares : (int)n;
    s->chunks = (squares + s->chunk - 1) / s->chunk;
    s->n_images = image_n(y);
    s->cols = squares;
}

/* ---- choice ---- */

static bool
is_candidate(const struct qs_fast *f, const struct step *s)
{
    return s->kind == STEP_CONV && !s->exact && f->value[s->x].layout == BLOCKED && s->kh == 3 &&
           s->kw == 3 && s->stride[0] * s->stride[1] * s->dilation[0] * s->dilation[1] == 1 &&
           s->ic >= CHANNELS_LEAST && s->oc >= CHANNELS_LEAST && f->value[s->y].d[0] > 0;
}

/* Bytes that scratch may take beside what is alive, for n images. */
static int64_t
spare(const struct qs_fast *f, int64_t alive, int n)
{
    return qs_live_slack(f->live_bytes / n) + (f->live_bytes - alive) / n;
}

/* Decided for one image and one thread: what a sample gives depends on neither. */
static bool
pays(const struct qs_fast *f, const struct step *s, int64_t alive)
{
    const struct value *y = &f->value[s->y];
    const int m = s->winograd;
    const int64_t points = points_of(s), weights = points * s->ic * padded(f, s->oc);
    return y->d[2] % m == 0 && y->d[3] % m == 0 && y->d[2] / m * (y->d[3] / m) >= SQUARES_LEAST &&
           weights * (int64_t)sizeof(float) <= WEIGHT_BYTES &&
           (weight_floats(f, s) + square_floats(f, s) * f->k->tile) * (int64_t)sizeof(float) <=
               spare(f, alive, image_n(y));
}

int64_t
qs_winograd_choose(const struct qs_fast *f, struct step *s, int64_t alive)
{
    s->winograd = 0;
    if (!is_candidate(f, s))
        return 0;
    s->winograd = 4;
    if (!pays(f, s, alive))
        s->winograd = 2;
    if (!pays(f, s, alive)) {
        s->winograd = 0;
        return 0;
    }
    const int threads = qs_team_size(f->team);
    const int64_t left = spare(f, alive, 1) - weight_floats(f, s) * (int64_t)sizeof(float);
    split(f, s, left / threads < ROOM_BYTES ? left / threads : ROOM_BYTES);
    return weight_floats(f, s) + threads * part_floats(f, s);
}

/* ---- running ---- */

/* The filters as they are packed. */
void
qs_winograd_prepare(const struct qs_fast *f, struct step *s)
{
    s->args = (struct qk_conv_args){.ic = (int)s->ic,
                                    .block = f->lanes,
                                    .block_lanes = f->value[s->x].lanes,
                                    .oc_blocks = blocks_out(f, s)};
}

struct job {
    struct qs_fast *f;
    const struct step *s;
};

static float *
weights(const struct qs_fast *f, const struct step *s)
{
    return f->value[s->scratch].data;
}

/* The products at one point: a 1x1 convolution of n pixels. */
static struct qk_conv_args
product(const struct qs_fast *f, const struct step *s, int n)
{
    return (struct qk_conv_args){.x_block = (int64_t)n * f->lanes,
                                 .x_pixel = f->lanes,
                                 .x_lane = 1,
                                 .block = f->lanes,
                                 .ic = (int)s->ic,
                                 .block_lanes = f->value[s->x].lanes,
                                 .kh = 1,
                                 .kw = 1,
                                 .stride_h = 1,
                                 .stride_w = 1,
                                 .dilation_h = 1,
                                 .dilation_w = 1,
                                 .bias = weights(f, s) + points_of(s) * point_floats(f, s),
                                 .y_block = (int64_t)n * f->lanes,
                                 .y_pixel = f->lanes,
                                 .wrap = n,
                                 .oc_blocks = blocks_out(f, s),
                                 .post = {QK_POST_CLAMP, -INFINITY, INFINITY, 0}};
}

static struct qk_winograd_args
transforms(const struct qs_fast *f, const struct step *s, int image, int member)
{
    const struct value *x = &f->value[s->x], *y = &f->value[s->y];
    struct qk_winograd_args a = {.m = s->winograd,
                                 .across = image_w(y) / s->winograd,
                                 .x = x->data + image * x->image - s->pad[0] * x->row -
                                      s->pad[2] * x->pixel,
                                 .x_block = x->block,
                                 .x_row = x->row,
                                 .ic_blocks = blocks_in(f, s),
                                 .oc_blocks = blocks_out(f, s),
                                 .bias = s->bias,
                                 .y = y->data + image * y->image,
                                 .y_block = y->block,
                                 .y_row = y->row,
                                 .post = s->post};
    a.v = weights(f, s) + weight_floats(f, s) + member * part_floats(f, s);
    if (s->more >= 0) {
        const struct value *more = &f->value[s->more];
        a.add = more->data + image * more->image;
        a.add_block = more->block;
        a.add_row = more->row;
    }
    return a;
}

static void
run_part(void *arg, int64_t i, int member)
{
    const struct job *j = arg;
    const struct qs_fast *f = j->f;
    const struct step *s = j->s;
    const int first = (int)(i % s->chunks) * s->chunk;
    const int n = first + s->chunk < s->cols ? s->chunk : s->cols - first;
    struct qk_winograd_args a = transforms(f, s, (int)(i / s->chunks), member);
    struct qk_conv_args g = product(f, s, n);
    float *p = a.v + (int64_t)points_of(s) * a.ic_blocks * n * f->lanes;
    a.p = p;
    f->k->winograd_input(&a, first, n);
    for (int k = 0; k < points_of(s); k++) {
        g.x = a.v + k * a.ic_blocks * g.x_block;
        g.w = weights(f, s) + k * point_floats(f, s);
        g.y = p + k * a.oc_blocks * g.y_block;
        f->k->conv(&g, 0, (a.oc_blocks + 1) / 2, 0, 1, 0, n);
    }
    f->k->winograd_output(&a, first, n);
}

static void
run_filters(void *arg, int64_t i, int member)
{
    const struct job *j = arg;
    const struct step *s = j->s;
    (void)member;
    j->f->k->winograd_filter(&s->args, s->winograd, weights(j->f, s), point_floats(j->f, s), (int)i,
                             (int)i + 1);
}

void
qs_winograd_run(struct qs_fast *f, struct step *s)
{
    struct job j = {f, s};
    float *zero = weights(f, s) + points_of(s) * point_floats(f, s);
    memset(zero, 0, (size_t)padded(f, s->oc) * sizeof(*zero));
    qs_team_run(f->team, (blocks_out(f, s) + 1) / 2, run_filters, &j);
    qs_team_run(f->team, (int64_t)s->chunks * s->n_images, run_part, &j);
}
