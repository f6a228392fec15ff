/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions of 3x3 taps by Winograd's method (kernels/conv.h), where it pays: an image that
 * squares of 4x4 or 2x2 outputs cover exactly, enough channels to outweigh the transforms, weights
 * that still fit the cache. A part of the work is a number of squares of an image: transformed,
 * multiplied at every point, transformed back.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/lower.h"

enum {
    ROOM_BYTES = 768 << 10, /* of points and products of a part: they stay in the cache */
    WEIGHT_BYTES = 5 << 20, /* at all points */
    CHANNELS_LEAST = 24,    /* of input and of output */
    SQUARES_LEAST = 24,     /* of an image: what a sample gives does not depend on others */
    PARTS = 2,              /* per thread */
    TAPS = 9,
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

static bool
fits(const struct qs_fast *f, const struct step *s, int m)
{
    const struct value *y = &f->value[s->y];
    const int64_t points = (m + 2) * (m + 2);
    return y->d[2] % m == 0 && y->d[3] % m == 0 && y->d[2] / m * (y->d[3] / m) >= SQUARES_LEAST &&
           points * s->ic * padded(f, s->oc) * (int64_t)sizeof(float) <= WEIGHT_BYTES;
}

void
qs_winograd_choose(const struct qs_fast *f, struct step *s)
{
    s->winograd = 0;
    if (s->kind != STEP_CONV || f->value[s->x].layout != BLOCKED || s->kh != 3 || s->kw != 3 ||
        s->stride[0] * s->stride[1] * s->dilation[0] * s->dilation[1] != 1 ||
        s->ic < CHANNELS_LEAST || s->oc < CHANNELS_LEAST)
        return;
    s->winograd = fits(f, s, 4) ? 4 : fits(f, s, 2) ? 2 : 0;
}

/* How many squares a part has, and how many parts there are. */
static void
split(const struct qs_fast *f, struct step *s)
{
    const struct value *x = &f->value[s->x], *y = &f->value[s->y];
    const int m = s->winograd, tile = f->k->tile, threads = qs_team_size(f->team);
    const int squares = image_h(y) / m * (image_w(y) / m);
    const int64_t each = points_of(s) * (int64_t)(x->blocks + y->blocks) * f->lanes * 4;
    int64_t n = ROOM_BYTES / each / tile * tile;
    const int64_t share =
        threads > 1 ? (int64_t)squares * image_n(y) / (PARTS * threads) / tile * tile : squares;
    n = n > share ? share : n;
    n = n < tile ? tile : n;
    s->chunk = n > squares ? squares : (int)n;
    s->chunks = (squares + s->chunk - 1) / s->chunk;
    s->n_images = image_n(y);
    s->cols = squares;
}

static int64_t
part_floats(const struct qs_fast *f, const struct step *s)
{
    const int64_t blocks = f->value[s->x].blocks + f->value[s->y].blocks;
    return points_of(s) * blocks * f->lanes * s->chunk;
}

int64_t
qs_winograd_scratch(const struct qs_fast *f, struct step *s)
{
    split(f, s);
    return qs_team_size(f->team) * part_floats(f, s);
}

/* ---- weights ---- */

/* All filters at all points: [point][oc][ic]. */
static void
transform_filters(const struct step *s, const void *w, float *out)
{
    const int points = points_of(s);
    const int64_t n = s->oc * s->ic;
    double g[TAPS], u[36];
    for (int64_t i = 0; i < n; i++) {
        for (int t = 0; t < TAPS; t++)
            g[t] = qs_floats_at(w, i * TAPS + t) * s->scale[i / s->ic];
        qk_winograd_filter(s->winograd, g, u);
        for (int p = 0; p < points; p++)
            out[p * n + i] = (float)u[p];
    }
}

int64_t
qs_winograd_packed(const struct qs_fast *f, const struct step *s)
{
    return points_of(s) * qk_conv_packed(f->lanes, s->oc, s->ic, 1, 1);
}

enum qs_err
qs_winograd_pack(struct qs_ctx *cx, const struct qs_fast *f, const struct step *s, const void *w,
                 float *out)
{
    const int points = points_of(s);
    const int64_t one = qk_conv_packed(f->lanes, s->oc, s->ic, 1, 1), n = s->oc * s->ic;
    float *plain;
    const enum qs_err err = qs_floats_new(cx, points * n, &plain);
    if (err)
        return err;
    transform_filters(s, w, plain);
    for (int p = 0; p < points; p++) {
        const struct qk_pack pack = {.lanes = f->lanes,
                                     .block = f->lanes,
                                     .block_lanes = f->value[s->x].lanes,
                                     .oc = s->oc,
                                     .ic = s->ic,
                                     .kh = 1,
                                     .kw = 1,
                                     .w = plain + p * n,
                                     .w_oc = s->ic,
                                     .w_ic = 1};
        qk_conv_pack(&pack, out + p * one);
    }
    free(plain);
    return QS_OK;
}

/* ---- running ---- */

struct job {
    struct qs_fast *f;
    const struct step *s;
};

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
                                 .bias = s->bias + padded(f, s->oc),
                                 .y_block = (int64_t)n * f->lanes,
                                 .y_pixel = f->lanes,
                                 .wrap = n,
                                 .oc_blocks = f->value[s->y].blocks,
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
                                 .ic_blocks = x->blocks,
                                 .oc_blocks = y->blocks,
                                 .bias = s->bias,
                                 .y = y->data + image * y->image,
                                 .y_block = y->block,
                                 .y_row = y->row,
                                 .post = s->post};
    a.v = f->value[s->scratch].data + member * part_floats(f, s);
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
        g.w = s->packed + k * (s->packed_floats / points_of(s));
        g.y = p + k * a.oc_blocks * g.y_block;
        f->k->conv(&g, 0, (a.oc_blocks + 1) / 2, 0, 1, 0, n);
    }
    f->k->winograd_output(&a, first, n);
}

void
qs_winograd_run(struct qs_fast *f, struct step *s)
{
    struct job j = {f, s};
    qs_team_run(f->team, (int64_t)s->chunks * s->n_images, run_part, &j);
}
