/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions and products: weights are packed, work is split into parts, parts run. */
#include <stdlib.h>
#include <string.h>

#include "engine/lower.h"

enum {
    CHUNK_BYTES = 192 << 10, /* of input that stays in the cache while all panels pass over it */
    GROUP_BYTES = 256 << 10, /* of weights that stay while all images pass over them */
    PARTS = 4,               /* per thread: they finish at about the same time */
};
#define WORTH_SHARING (INT64_C(1) << 17) /* multiply-accumulates */

/* ---- weights ---- */

static struct qk_pack
pack_of(const struct qs_fast *f, const struct step *s, const void *w, const double *scale)
{
    struct qk_pack p = {.lanes = f->lanes,
                        .block = s->args.block,
                        .block_lanes = s->args.block_lanes,
                        .oc = s->oc,
                        .ic = s->ic,
                        .kh = s->kh,
                        .kw = s->kw,
                        .w = w,
                        .scale = scale};
    p.w_kw = 1;
    p.w_kh = s->kw;
    p.w_ic = (int64_t)s->kh * s->kw;
    p.w_oc = s->ic * p.w_ic;
    if (s->kind == STEP_DENSE) {
        p.w_ic = s->w_transposed ? 1 : s->oc;
        p.w_oc = s->w_transposed ? s->ic : 1;
    }
    return p;
}

static void
pack_dense(const struct qs_fast *f, const struct step *s, const void *w, float *out)
{
    const struct qk_pack p = pack_of(f, s, w, s->scale);
    qk_conv_pack(&p, out);
}

/* [block][kh][kw][lanes] */
static void
pack_depthwise(const struct qs_fast *f, const struct step *s, const void *w, float *out)
{
    const int taps = s->kh * s->kw, lanes = f->lanes;
    for (int64_t c = 0; c < s->oc; c++)
        for (int t = 0; t < taps; t++)
            out[(c / lanes * taps + t) * lanes + c % lanes] =
                (float)(qs_floats_at(w, c * taps + t) * s->scale[c]);
}

/* A 2x2 transposed convolution as 1x1 convolutions, one per tap: [tap][packed]. */
static void
pack_transposed(const struct qs_fast *f, const struct step *s, const void *w, float *out)
{
    const int64_t one = qk_conv_packed(f->lanes, s->oc, s->ic, 1, 1);
    for (int t = 0; t < 4; t++) {
        struct qk_pack p = pack_of(f, s, w, s->scale);
        p.kh = p.kw = 1;
        p.w = (const char *)p.w + t * sizeof(float);
        p.w_oc = 4;
        p.w_ic = s->oc * 4;
        qk_conv_pack(&p, out + t * one);
    }
}

/* The same as one 1x1 convolution to 4 oc channels, when they fit into a block. */
static void
pack_shuffled(const struct qs_fast *f, const struct step *s, const void *w, float *out)
{
    double scale[4 * QK_CONV_LANES_MOST];
    for (int64_t i = 0; i < 4 * s->oc; i++)
        scale[i] = s->scale[i / 4];
    struct qk_pack p = pack_of(f, s, w, scale);
    p.kh = p.kw = 1;
    p.oc = 4 * s->oc;
    p.w_oc = 1;
    p.w_ic = s->oc * 4;
    qk_conv_pack(&p, out);
}

static bool
shuffles(const struct qs_fast *f, const struct step *s)
{
    return s->kind == STEP_TRANSPOSED && f->value[s->y].layout == PLAIN;
}

int64_t
qs_fast_packed(const struct qs_fast *f, const struct step *s)
{
    const int lanes = f->lanes;
    if (s->kind == STEP_DEPTHWISE)
        return (s->oc + lanes - 1) / lanes * lanes * s->kh * s->kw;
    return shuffles(f, s) ? qk_conv_packed(lanes, 4 * s->oc, s->ic, 1, 1)
                          : qk_conv_packed(lanes, s->oc, s->ic, s->kh, s->kw);
}

enum qs_err
qs_fast_pack(struct qs_ctx *cx, const struct qs_fast *f, const struct step *s, const void *w,
             float **out)
{
    const int64_t n = qs_fast_packed(f, s);
    const enum qs_err err = qs_floats_new(cx, n, out);
    if (err)
        return err;
    memset(*out, 0, (size_t)n * sizeof(**out));
    if (shuffles(f, s))
        pack_shuffled(f, s, w, *out);
    else if (s->kind == STEP_DEPTHWISE)
        pack_depthwise(f, s, w, *out);
    else if (s->kind == STEP_TRANSPOSED)
        pack_transposed(f, s, w, *out);
    else
        pack_dense(f, s, w, *out);
    return QS_OK;
}

void
qs_fast_key(const struct qs_fast *f, const struct step *s, struct qs_pack_key *key)
{
    const struct value *x = &f->value[s->x];
    const bool planes = x->layout == PLANES;
    *key = (struct qs_pack_key){
        .weight = f->value[s->w].param,
        .form = s->kind << 8 | planes << 2 | s->w_transposed << 1 | shuffles(f, s),
        .kh = s->kh,
        .kw = s->kw,
        .vector = f->lanes,
        .oc = s->oc,
        .ic = s->ic,
        .scale = s->scale,
        .shift = s->shift,
        .n_scale = s->oc,
    };
    if (x->layout == BLOCKED && x->lanes) {
        key->lanes = x->lanes;
        key->n_lanes = x->blocks;
    }
}

void
qs_fast_take_pack(struct step *s, const struct qs_pack *pack)
{
    s->pack = pack;
    s->args.w = s->packed = pack->packed;
    s->args.bias = s->bias = pack->bias;
}

/* As many as the kernel adds. */
static enum qs_err
make_bias(struct qs_ctx *cx, const struct qs_fast *f, const struct step *s, struct qs_pack *made)
{
    const int64_t each = shuffles(f, s) ? 4 : 1, lanes = f->lanes;
    const int64_t n = (each * s->oc + lanes - 1) / lanes * lanes;
    const enum qs_err err = qs_floats_new(cx, n, &made->bias);
    if (err)
        return err;
    memset(made->bias, 0, (size_t)n * sizeof(float));
    for (int64_t i = 0; i < each * s->oc; i++)
        made->bias[i] = (float)s->shift[i / each];
    made->floats += n;
    return QS_OK;
}

enum qs_err
qs_fast_make_pack(struct qs_ctx *cx, struct qs_fast *f, struct step *s)
{
    const struct qs_tensor *t = f->value[s->w].param;
    struct qs_pack made = {.floats = qs_fast_packed(f, s)};
    struct qs_pack_key key;
    enum qs_err err = qs_fast_pack(cx, f, s, t->buf->data + t->offset, &made.packed);
    if (!err)
        err = make_bias(cx, f, s, &made);
    if (err) {
        free(made.packed);
        return err;
    }
    qs_buf_advise(t->buf, t->offset, t->bytes, 0);
    qs_fast_key(f, s, &key);
    qs_fast_take_pack(s, qs_packs_add(f->packs, &key, made));
    return QS_OK;
}

/* ---- geometry ---- */

static int
ceil_div(int64_t a, int64_t b)
{
    return (int)((a + b - 1) / b);
}

static void
set_image_args(struct qs_fast *f, struct step *s)
{
    const struct value *x = &f->value[s->x], *y = &f->value[s->y];
    struct qk_conv_args *a = &s->args;
    const bool planes = x->layout == PLANES;
    const bool tap = s->kind == STEP_TRANSPOSED;
    a->x_block = x->block;
    a->x_row = x->row;
    a->x_pixel = x->pixel;
    a->x_lane = planes ? x->block : 1;
    a->block = planes ? (int)s->ic : f->lanes;
    a->block_lanes = planes ? NULL : x->lanes;
    a->kh = tap ? 1 : s->kh;
    a->kw = tap ? 1 : s->kw;
    a->stride_h = tap ? 1 : s->stride[0];
    a->stride_w = tap ? 1 : s->stride[1];
    a->dilation_h = tap ? 1 : s->dilation[0];
    a->dilation_w = tap ? 1 : s->dilation[1];
    a->y_block = y->block;
    a->y_row = tap ? 2 * y->row : y->row;
    a->y_pixel = tap ? 2 * y->pixel : y->pixel;
    a->wrap = tap ? image_w(x) : image_w(y);
    s->rows = tap ? image_h(x) : image_h(y);
    s->cols = a->wrap;
    s->n_images = image_n(x);
    if (s->more >= 0) {
        const struct value *add = &f->value[s->more];
        a->add_block = add->block;
        a->add_row = add->row;
        a->add_pixel = add->pixel;
    }
}

/* A 1x1 convolution sees one long row; where images are single pixels, one row of images. */
static void
flatten(struct qs_fast *f, struct step *s)
{
    const struct value *x = &f->value[s->x], *y = &f->value[s->y];
    struct qk_conv_args *a = &s->args;
    if (a->kh * a->kw != 1 || a->stride_h * a->stride_w != 1 || x->layout != BLOCKED ||
        x->halo_h + x->halo_w > 0 || s->kind == STEP_DEPTHWISE)
        return;
    if (s->rows * s->cols == 1 && s->n_images > 1 && s->kind == STEP_CONV) {
        a->x_pixel = x->image;
        a->y_pixel = y->image;
        a->add_pixel = s->more >= 0 ? f->value[s->more].image : 0;
        a->wrap = s->n_images;
        s->cols = s->n_images;
        s->n_images = 1;
        return;
    }
    s->cols *= s->rows;
    s->rows = 1;
}

static void
set_dense_args(struct qs_fast *f, struct step *s)
{
    const struct value *x = &f->value[s->x];
    struct qk_conv_args *a = &s->args;
    const int64_t rows = x->count / s->ic, padded = ceil_div(s->oc, f->lanes) * (int64_t)f->lanes;
    a->x_pixel = s->ic;
    a->x_lane = 1;
    a->block = (int)s->ic;
    a->kh = a->kw = a->stride_h = a->stride_w = a->dilation_h = a->dilation_w = 1;
    a->y_block = f->lanes;
    a->y_pixel = padded;
    a->wrap = (int)rows;
    s->rows = 1;
    s->cols = (int)rows;
    s->n_images = 1;
}

/* ---- how the work is split ---- */

static void
split(struct qs_fast *f, struct step *s)
{
    const struct qk_conv_args *a = &s->args;
    const bool depthwise = s->kind == STEP_DEPTHWISE;
    const int threads = qs_team_size(f->team), tile = f->k->tile;
    const int64_t pixel_macs =
        (int64_t)a->oc_blocks * f->lanes * a->kh * a->kw * (depthwise ? 1 : s->ic);
    const int64_t macs = pixel_macs * s->rows * s->cols * s->n_images;
    const int want = threads > 1 && macs >= WORTH_SHARING ? PARTS * threads : 1;
    const int units = depthwise ? a->oc_blocks : ceil_div(a->oc_blocks, 2);
    /* chunks of rows, or of pixels of a long row */
    const bool flat = s->rows == 1;
    const int whole = flat ? s->cols : s->rows;
    const int64_t line =
        (int64_t)(depthwise ? 1 : s->ic) * 4 * (flat ? 1 : s->cols * a->stride_w * a->stride_h);
    int64_t chunk = depthwise ? whole : CHUNK_BYTES / line;
    if (flat)
        chunk = chunk / tile * tile;
    const int least = flat ? tile : 1;
    chunk = chunk < least ? least : chunk > whole ? whole : chunk;
    const int64_t weights = s->packed_floats * 4;
    int groups = depthwise ? units : ceil_div(weights, GROUP_BYTES);
    groups = groups > units ? units : groups;
    int chunks = ceil_div(whole, chunk);
    if ((int64_t)chunks * groups * s->n_images < want) {
        const int more = ceil_div(want, (int64_t)chunks * s->n_images);
        groups = more > units ? units : more;
    }
    if ((int64_t)chunks * groups * s->n_images < want) {
        const int more = ceil_div(want, (int64_t)groups * s->n_images);
        chunks = more > ceil_div(whole, least) ? ceil_div(whole, least) : more;
    }
    s->chunk = ceil_div(whole, chunks);
    if (flat && s->chunk < whole)
        s->chunk = ceil_div(s->chunk, tile) * tile;
    s->chunks = ceil_div(whole, s->chunk);
    s->group = ceil_div(units, groups);
    s->groups = ceil_div(units, s->group);
    s->panels = units;
}

void
qs_fast_prepare_conv(struct qs_fast *f, struct step *s)
{
    struct qk_conv_args *a = &s->args;
    s->packed_floats = qs_fast_packed(f, s);
    if (s->winograd) {
        qs_winograd_prepare(f, s);
        return;
    }
    *a = (struct qk_conv_args){.ic = (int)s->ic, .post = s->post};
    a->oc_blocks = ceil_div(shuffles(f, s) ? 4 * s->oc : s->oc, f->lanes);
    if (s->kind == STEP_DENSE)
        set_dense_args(f, s);
    else
        set_image_args(f, s);
    if (s->kind != STEP_DENSE && !shuffles(f, s))
        flatten(f, s);
    split(f, s);
}

/* ---- running ---- */

struct job {
    struct qs_fast *f;
    struct step *s;
};

/* Part i: panels change slowest, so a group of weights serves all images in turn. */
static void
run_part(void *arg, int64_t i, int member)
{
    const struct job *j = arg;
    const struct step *s = j->s;
    const struct qs_fast *f = j->f;
    const int chunk = (int)(i % s->chunks), image = (int)(i / s->chunks % s->n_images);
    const int group = (int)(i / s->chunks / s->n_images);
    const int from = chunk * s->chunk, unit = group * s->group;
    const int whole = s->rows == 1 ? s->cols : s->rows;
    const int to = from + s->chunk < whole ? from + s->chunk : whole;
    const int last = unit + s->group < s->panels ? unit + s->group : s->panels;
    struct qk_conv_args a = s->args;
    (void)member;
    a.x += image * f->value[s->x].image;
    a.y += image * f->value[s->y].image;
    a.add = a.add ? a.add + image * f->value[s->more].image : NULL;
    if (s->kind == STEP_DEPTHWISE)
        f->k->depthwise(&a, unit, last, s->rows == 1 ? 0 : from, s->rows == 1 ? 1 : to);
    else if (s->rows == 1)
        f->k->conv(&a, unit, last, 0, 1, from, to);
    else
        f->k->conv(&a, unit, last, from, to, 0, s->cols);
}

static void
run_all(struct qs_fast *f, struct step *s)
{
    struct job j = {f, s};
    qs_team_run(f->team, (int64_t)s->chunks * s->groups * s->n_images, run_part, &j);
}

static void
set_pointers(struct qs_fast *f, struct step *s)
{
    const struct value *x = &f->value[s->x];
    s->args.x = x->data - s->pad[0] * x->row - s->pad[2] * x->pixel;
    s->args.y = f->value[s->y].data;
    s->args.add = s->more >= 0 ? f->value[s->more].data : NULL;
}

void
qs_run_CONV(struct qs_fast *f, struct step *s)
{
    if (s->winograd) {
        qs_winograd_run(f, s);
        return;
    }
    set_pointers(f, s);
    run_all(f, s);
}

void
qs_run_DEPTHWISE(struct qs_fast *f, struct step *s)
{
    qs_run_CONV(f, s);
}

/* Rows of the product lie `padded` apart: they are moved together where that is more than their
 * length. */
void
qs_run_DENSE(struct qs_fast *f, struct step *s)
{
    const struct value *y = &f->value[s->y];
    const bool apart = s->scratch >= 0;
    s->args.x = f->value[s->x].data;
    s->args.y = apart ? f->value[s->scratch].data : y->data;
    run_all(f, s);
    for (int i = 0; apart && !s->padded && i < s->cols; i++)
        memcpy(y->data + i * s->oc, s->args.y + i * s->args.y_pixel, (size_t)s->oc * sizeof(float));
}

struct shuffle {
    struct qs_fast *f;
    struct step *s;
    const float *x;  /* of the image */
    float *y, *room; /* [member][width][lanes] */
};

/* One input row: two output rows. */
static void
shuffle_row(void *arg, int64_t row, int member)
{
    const struct shuffle *j = arg;
    const struct step *s = j->s;
    const int lanes = j->f->lanes, w = s->cols;
    struct qk_conv_args a = s->args;
    a.x = j->x + row * a.x_row;
    a.y = j->room + (int64_t)member * w * lanes;
    a.y_pixel = lanes;
    a.y_row = a.y_block = 0;
    j->f->k->conv(&a, 0, 1, 0, 1, 0, w);
    for (int64_t c = 0; c < s->oc; c++)
        for (int t = 0; t < 4; t++) {
            float *y = j->y + ((c * 2 * s->rows + 2 * row + t / 2) * 2 * w) + t % 2;
            const float *from = a.y + c * 4 + t;
            for (int i = 0; i < w; i++)
                y[2 * i] = from[i * lanes];
        }
}

static void
run_shuffled(struct qs_fast *f, struct step *s)
{
    const struct value *x = &f->value[s->x], *y = &f->value[s->y];
    const int64_t out = y->count / image_n(y);
    for (int i = 0; i < image_n(x); i++) {
        struct shuffle j = {f, s, x->data + i * x->image, y->data + i * out,
                            f->value[s->scratch].data};
        qs_team_run(f->team, s->rows, shuffle_row, &j);
    }
}

void
qs_run_TRANSPOSED(struct qs_fast *f, struct step *s)
{
    const int64_t one = qk_conv_packed(f->lanes, s->oc, s->ic, 1, 1);
    if (shuffles(f, s)) {
        run_shuffled(f, s);
        return;
    }
    const struct value *y = &f->value[s->y];
    for (int t = 0; t < 4; t++) {
        set_pointers(f, s);
        s->args.w = s->packed + t * one;
        s->args.y += t / 2 * y->row + t % 2 * y->pixel;
        run_all(f, s);
    }
}
