/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps on integers (kernels/conv_i8.h): weights are packed, work is split into parts, parts run;
 * values become bytes and bytes floats.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/lower.h"

enum {
    UNIT = 4,                /* blocks of output channels that are not split */
    CHUNK_BYTES = 192 << 10, /* of input that stays in the cache while all weights pass over it */
    GROUP_BYTES = 256 << 10, /* of weights that stay while all images pass over them */
    PARTS = 4,               /* per thread: they finish at about the same time */
    ROUND_BYTES = 16 << 10,  /* that are worth another part */
};
#define WORTH_SHARING (INT64_C(1) << 18) /* multiply-accumulates; of a depthwise convolution: */
#define WORTH_SHARING_DEPTHWISE (INT64_C(1) << 16)

static const uint8_t *
bytes_of(const struct value *v)
{
    return (const uint8_t *)v->data;
}

static int
ceil_div(int64_t a, int64_t b)
{
    return (int)((a + b - 1) / b);
}

/* ---- weights ----
 *
 * A pack is the weights, and beside them bias and start of every channel (kernels/conv_i8.h) one
 * after the other. The scale of a channel has the range of the input in it and is the plan's. */

static int64_t
padded(const struct step *s)
{
    return (int64_t)s->i8.oc_blocks * QK_I8_BLOCK;
}

/* A 2x2 transposed convolution is one 1x1 convolution for each tap; where all four together make
 * no more than a block, it is one to 4 oc channels that are put in their places then. */
static bool
shuffles(const struct step *s)
{
    return qs_i8_shuffles(s);
}

static int
taps(const struct step *s)
{
    return s->kind == STEP_ITRANSPOSED && !shuffles(s) ? 4 : 1;
}

static int64_t
tap_bytes(const struct step *s)
{
    return s->kind == STEP_IDEPTHWISE ? padded(s) * s->kh * s->kw
                                      : qk_i8_packed(padded(s), s->i8.ic, s->i8.kh, s->i8.kw);
}

static void
pack_depthwise(const struct step *s, int8_t *out, int32_t *start)
{
    const int n = s->kh * s->kw;
    const int8_t *w = (const int8_t *)s->integers->q->data;
    for (int64_t c = 0; c < s->oc; c++)
        for (int t = 0; t < n; t++) {
            out[t * padded(s) + c] = w[c * n + t];
            start[c] -= QK_I8_ZERO * w[c * n + t];
        }
}

/* Which byte of a pixel an input channel is; NULL: in order. */
static int32_t *
places_of(const struct value *x, int64_t ic)
{
    int32_t *at = x->lanes ? qs_xcalloc((size_t)ic, sizeof(*at)) : NULL;
    int64_t c = 0;
    for (int b = 0; at && b < x->blocks; b++)
        for (int k = 0; k < x->lanes[b]; k++)
            at[c++] = b * QK_I8_BLOCK + k;
    return at;
}

static void
pack_dense(const struct qs_fast *f, const struct step *s, int8_t *out, int32_t *start)
{
    int32_t *at = places_of(&f->value[s->x], s->ic);
    struct qk_i8_pack k = {.oc = s->oc,
                           .ic = s->ic,
                           .kh = s->i8.kh,
                           .kw = s->i8.kw,
                           .bytes = s->i8.ic,
                           .at = at,
                           .w = (const int8_t *)s->integers->q->data,
                           .w_kh = s->kw,
                           .w_kw = 1};
    k.w_ic = (int64_t)s->kh * s->kw;
    k.w_oc = s->ic * k.w_ic;
    if (s->kind == STEP_IDENSE) {
        k.w_ic = s->w_transposed ? 1 : s->oc;
        k.w_oc = s->w_transposed ? s->ic : 1;
    }
    if (s->kind == STEP_ITRANSPOSED) {
        k.w_oc = shuffles(s) ? 1 : 4;
        k.w_ic = s->oc * 4;
    }
    if (shuffles(s))
        k.oc = 4 * s->oc;
    for (int t = 0; t < taps(s); t++, k.w++)
        qk_i8_pack(&k, out + t * tap_bytes(s), start + t * padded(s));
    free(at);
}

/* Aligned as kernels want it. */
static float *
new_scales(struct qs_fast *f, const struct step *s)
{
    enum { ALIGNMENT = 64 };
    char *at = qs_arena_calloc(&f->arena, (size_t)padded(s) * sizeof(float) + ALIGNMENT, 1);
    return (float *)(void *)(at + (ALIGNMENT - (uintptr_t)at % ALIGNMENT) % ALIGNMENT);
}

/* What a sum of integers is multiplied with. */
static void
set_scales(struct qs_fast *f, struct step *s)
{
    const struct qs_quant_weight *w = s->integers;
    const double most = (double)((1 << (w->bits - 1)) - 1);
    const double unit = f->value[s->x].rounding->unit;
    const int each = shuffles(s) ? 4 : 1;
    for (int64_t c = 0; c < each * s->oc; c++) {
        const double t = (double)(float)w->threshold[w->n_scales == 1 ? 0 : c / each];
        s->sum_scale[c] = (float)(unit * (t / most) * s->scale[c / each]);
    }
}

void
qs_i8_key(const struct qs_fast *f, const struct step *s, struct qs_pack_key *key)
{
    *key = (struct qs_pack_key){
        .weight = f->value[s->w].param,
        .form = s->kind << 8 | s->w_transposed << 1,
        .kh = s->kh,
        .kw = s->kw,
        .vector = s->i8.ic,
        .oc = s->oc,
        .ic = s->ic,
        .integers = s->integers->q,
        .shift = s->shift,
        .n_scale = s->oc,
    };
    const struct value *x = &f->value[s->x];
    if (x->lanes) {
        key->lanes = x->lanes;
        key->n_lanes = x->blocks;
    }
}

void
qs_i8_take_pack(struct step *s, const struct qs_pack *pack)
{
    s->pack = pack;
    s->i8.w = (const int8_t *)pack->packed;
    s->i8.bias = pack->bias;
    s->i8.start = (const int32_t *)(const void *)(pack->bias + padded(s));
}

enum qs_err
qs_i8_make_pack(struct qs_ctx *cx, struct qs_fast *f, struct step *s)
{
    const int64_t channels = (1 + taps(s)) * padded(s);
    struct qs_pack made = {.floats = s->packed_floats + channels};
    struct qs_pack_key key;
    enum qs_err err = qs_floats_new(cx, s->packed_floats, &made.packed);
    if (!err)
        err = qs_floats_new(cx, channels, &made.bias);
    if (err) {
        free(made.packed);
        return err;
    }
    memset(made.packed, 0, (size_t)s->packed_floats * sizeof(float));
    memset(made.bias, 0, (size_t)channels * sizeof(float));
    int8_t *w = (int8_t *)made.packed;
    int32_t *start = (int32_t *)(void *)(made.bias + padded(s));
    if (s->kind == STEP_IDEPTHWISE)
        pack_depthwise(s, w, start);
    else
        pack_dense(f, s, w, start);
    const int each = shuffles(s) ? 4 : 1;
    for (int64_t c = 0; c < each * s->oc; c++)
        made.bias[c] = (float)s->shift[c / each];
    qs_i8_key(f, s, &key);
    qs_i8_take_pack(s, qs_packs_add(f->packs, &key, made));
    return QS_OK;
}

/* ---- geometry ---- */

static void
set_shape(struct qs_fast *f, struct step *s)
{
    const struct value *x = &f->value[s->x];
    struct qk_i8_args *a = &s->i8;
    const bool window = s->kind == STEP_ICONV || s->kind == STEP_IDEPTHWISE;
    a->ic = (int)x->pixel;
    a->x_row = x->row;
    a->x_pixel = x->pixel;
    a->kh = window ? s->kh : 1;
    a->kw = window ? s->kw : 1;
    a->stride_h = window ? s->stride[0] : 1;
    a->stride_w = window ? s->stride[1] : 1;
    a->dilation_h = window ? s->dilation[0] : 1;
    a->dilation_w = window ? s->dilation[1] : 1;
    a->oc_blocks = shuffles(s) ? 1 : ceil_div(s->oc, QK_I8_BLOCK);
    a->lanes = f->lanes;
    a->positive = f->value[s->x].positive;
}

static void
set_image(struct qs_fast *f, struct step *s)
{
    const struct value *x = &f->value[s->x], *y = &f->value[s->y >= 0 ? s->y : s->q];
    const struct value *q = &f->value[s->q >= 0 ? s->q : s->y];
    struct qk_i8_args *a = &s->i8;
    const int every = s->kind == STEP_ITRANSPOSED ? 2 : 1;
    const struct value *size = every == 2 ? x : y;
    a->y_block = y->block;
    a->y_row = every * y->row;
    a->y_pixel = every * y->pixel;
    a->q_row = every * q->row;
    a->q_pixel = every * q->pixel;
    a->wrap = image_w(size);
    s->rows = image_h(size);
    s->cols = image_w(size);
    s->n_images = image_n(x);
    s->x_image = x->image;
    s->y_image = y->image;
    s->q_image = q->image;
    if (s->more >= 0) {
        const struct value *add = &f->value[s->more];
        a->add_block = add->block;
        a->add_row = add->row;
        a->add_pixel = add->pixel;
    }
    if (shuffles(s)) {
        a->y_pixel = f->lanes;
        a->y_block = (int64_t)s->cols * f->lanes;
        return;
    }
    /* a 1x1 convolution sees one long row */
    if (s->kind != STEP_IDEPTHWISE && a->kh * a->kw * a->stride_h * a->stride_w == 1 &&
        x->halo_h + x->halo_w == 0) {
        s->cols *= s->rows;
        s->rows = 1;
    }
}

static void
set_rows(struct qs_fast *f, struct step *s)
{
    const struct value *x = &f->value[s->x];
    struct qk_i8_args *a = &s->i8;
    a->x_pixel = x->inner ? x->pixel : x->image;
    s->n_images = x->units ? (int)x->d[0] : 1;
    s->cols = a->wrap = (int)(x->count / s->ic / s->n_images);
    s->rows = 1;
    a->y_block = f->lanes;
    a->y_pixel = (int64_t)a->oc_blocks * QK_I8_BLOCK;
    a->q_pixel = s->q >= 0 ? f->value[s->q].pixel : 0;
    s->x_image = s->cols * a->x_pixel;
    s->y_image = s->cols * a->y_pixel;
    s->q_image = s->cols * a->q_pixel;
}

/* Also a NaN becomes no less. */
static int8_t
lowest(const struct value *bytes)
{
    return bytes->positive ? 0 : bytes->rounding->quant.low;
}

static int8_t
bound(const struct qk_i8_quant *k, float v)
{
    const float q = v * k->scale;
    const float whole = k->away ? roundf(q) : rintf(q);
    return q < (float)k->low ? k->low : q > (float)k->high ? k->high : (int8_t)whole;
}

static void
set_output(struct qs_fast *f, struct step *s)
{
    struct qk_i8_args *a = &s->i8;
    a->post = s->post;
    if (s->q < 0)
        return;
    const struct qk_i8_quant *k = &f->value[s->q].rounding->quant;
    a->direct = s->y < 0 && s->post.kind == QK_POST_CLAMP;
    a->q_scale = k->scale;
    a->away = k->away;
    a->low = a->direct ? bound(k, s->post.a) : lowest(&f->value[s->q]);
    a->high = a->direct ? bound(k, s->post.b) : k->high;
}

/* ---- how the work is split ---- */

static int
at_most(int64_t n, int64_t most)
{
    return (int)(n > most ? most : n < 1 ? 1 : n);
}

static void
split(struct qs_fast *f, struct step *s)
{
    const struct qk_i8_args *a = &s->i8;
    const bool depthwise = s->kind == STEP_IDEPTHWISE, flat = s->rows == 1;
    const int threads = qs_team_size(f->team), tile = f->ki->tile;
    const int units = ceil_div(a->oc_blocks, UNIT), whole = flat ? s->cols : s->rows;
    const int64_t pixels = (int64_t)s->rows * s->cols * s->n_images;
    const int64_t macs = pixels * s->oc * a->kh * a->kw * (depthwise ? 1 : a->ic);
    const bool share = threads > 1 && macs >= (depthwise ? WORTH_SHARING_DEPTHWISE : WORTH_SHARING);
    const int want = share ? PARTS * threads : 1, least = flat && !depthwise ? tile : 1;
    const int64_t line = a->ic * (flat ? 1 : (int64_t)s->cols * a->stride_w * a->stride_h);
    int chunks = depthwise ? 1 : ceil_div(whole, at_most(CHUNK_BYTES / line, whole));
    int groups = depthwise ? 1 : at_most(ceil_div(s->packed_floats * 4, GROUP_BYTES), units);
    if ((int64_t)chunks * groups * s->n_images < want)
        groups = at_most(ceil_div(want, (int64_t)chunks * s->n_images), units);
    if ((int64_t)chunks * groups * s->n_images < want)
        chunks = at_most(ceil_div(want, (int64_t)groups * s->n_images), ceil_div(whole, least));
    s->chunk = ceil_div(whole, chunks);
    if (flat && !depthwise && s->chunk < whole)
        s->chunk = ceil_div(s->chunk, tile) * tile;
    s->chunks = ceil_div(whole, s->chunk);
    s->group = ceil_div(units, groups);
    s->groups = ceil_div(units, s->group);
    s->panels = units;
}

void
qs_i8_prepare(struct qs_fast *f, struct step *s)
{
    s->i8 = (struct qk_i8_args){.q = NULL};
    set_shape(f, s);
    set_output(f, s);
    if (s->kind == STEP_IDENSE)
        set_rows(f, s);
    else
        set_image(f, s);
    s->i8.scale = s->sum_scale = new_scales(f, s);
    set_scales(f, s);
    s->packed_floats = (taps(s) * tap_bytes(s) + 3) / 4;
    split(f, s);
}

void
qs_i8_retune(struct qs_fast *f, struct step *s)
{
    set_output(f, s);
    set_scales(f, s);
}

/* ---- running ---- */

struct job {
    struct qs_fast *f;
    const struct step *s;
    const struct value *x, *y;
};

/* Part i: units change slowest, so a group of weights serves all images in turn. */
static void
run_part(void *arg, int64_t i, int member)
{
    const struct job *j = arg;
    const struct step *s = j->s;
    const struct qs_fast *f = j->f;
    const int chunk = (int)(i % s->chunks), image = (int)(i / s->chunks % s->n_images);
    const int group = (int)(i / s->chunks / s->n_images);
    const int whole = s->rows == 1 ? s->cols : s->rows, from = chunk * s->chunk;
    const int to = from + s->chunk < whole ? from + s->chunk : whole;
    struct qk_i8_args a = s->i8;
    const int block = group * s->group * UNIT, next = block + s->group * UNIT;
    const int last = next < a.oc_blocks ? next : a.oc_blocks;
    (void)member;
    const float *units = f->value[s->x].units;
    a.unit = units ? units[image] : 1;
    a.x += image * s->x_image;
    a.y = a.y && image ? a.y + image * s->y_image : a.y;
    a.q = a.q && image ? a.q + image * s->q_image : a.q;
    a.add = a.add && image ? a.add + image * f->value[s->more].image : a.add;
    if (s->kind == STEP_IDEPTHWISE)
        f->ki->depthwise(&a, block, last, s->rows == 1 ? 0 : from, s->rows == 1 ? 1 : to);
    else if (s->rows == 1)
        f->ki->conv(&a, block, last, 0, 1, from, to);
    else
        f->ki->conv(&a, block, last, from, to, 0, s->cols);
}

static void
run_all(struct qs_fast *f, struct step *s)
{
    struct job j = {.f = f, .s = s};
    qs_team_run(f->team, (int64_t)s->chunks * s->groups * s->n_images, run_part, &j);
}

static void
set_pointers(struct qs_fast *f, struct step *s)
{
    const struct value *x = &f->value[s->x];
    const bool window = s->kind == STEP_ICONV || s->kind == STEP_IDEPTHWISE;
    s->i8.x = bytes_of(x) - (window ? s->pad[0] * x->row + s->pad[2] * x->pixel : 0);
    s->i8.y = s->y >= 0 ? f->value[s->y].data : NULL;
    s->i8.q = s->q >= 0 ? (uint8_t *)f->value[s->q].data : NULL;
    s->i8.add = s->more >= 0 ? f->value[s->more].data : NULL;
}

void
qs_run_ICONV(struct qs_fast *f, struct step *s)
{
    set_pointers(f, s);
    run_all(f, s);
}

void
qs_run_IDEPTHWISE(struct qs_fast *f, struct step *s)
{
    qs_run_ICONV(f, s);
}

struct shuffle {
    struct qs_fast *f;
    const struct step *s;
    const uint8_t *x; /* of the image */
    float *y, *room;  /* [member][blocks][width][lanes] */
    float unit;
};

/* One input row: two output rows. */
static void
shuffle_row(void *arg, int64_t row, int member)
{
    const struct shuffle *j = arg;
    const struct step *s = j->s;
    const int lanes = j->f->lanes, w = s->cols;
    struct qk_i8_args a = s->i8;
    a.unit = j->unit;
    a.x = j->x + row * a.x_row;
    a.y = j->room + (int64_t)member * w * QK_I8_BLOCK;
    a.y_row = 0;
    j->f->ki->conv(&a, 0, 1, 0, 1, 0, w);
    for (int c = 0; c < 4 * (int)s->oc; c++) {
        const int tap = c % 4;
        const float *from = a.y + c / lanes * a.y_block + c % lanes;
        float *y = j->y + ((c / 4 * 2 * s->rows + 2 * row + tap / 2) * 2 * w) + tap % 2;
        for (int i = 0; i < w; i++)
            y[2 * i] = from[i * lanes];
    }
}

static void
run_shuffled(struct qs_fast *f, struct step *s)
{
    const struct value *x = &f->value[s->x], *y = &f->value[s->y];
    for (int i = 0; i < image_n(x); i++) {
        struct shuffle j = {f,
                            s,
                            bytes_of(x) + i * x->image,
                            y->data + i * (y->count / y->d[0]),
                            f->value[s->scratch].data,
                            x->units ? x->units[i] : 1};
        qs_team_run(f->team, s->rows, shuffle_row, &j);
    }
}

void
qs_run_ITRANSPOSED(struct qs_fast *f, struct step *s)
{
    if (shuffles(s)) {
        run_shuffled(f, s);
        return;
    }
    for (int t = 0; t < taps(s); t++) {
        qs_i8_take_pack(s, s->pack);
        set_pointers(f, s);
        s->i8.w += t * tap_bytes(s);
        s->i8.start += t * padded(s);
        if (s->i8.y)
            s->i8.y += t / 2 * f->value[s->y].row + t % 2 * f->value[s->y].pixel;
        if (s->i8.q)
            s->i8.q += t / 2 * f->value[s->q].row + t % 2 * f->value[s->q].pixel;
        run_all(f, s);
    }
}

/* Rows of floats whose length is not one of blocks are made apart and moved together. */
void
qs_run_IDENSE(struct qs_fast *f, struct step *s)
{
    set_pointers(f, s);
    if (s->scratch >= 0)
        s->i8.y = f->value[s->scratch].data;
    run_all(f, s);
    for (int64_t i = 0; s->scratch >= 0 && i < (int64_t)s->cols * s->n_images; i++)
        memcpy(f->value[s->y].data + i * s->oc, s->i8.y + i * s->i8.y_pixel,
               (size_t)s->oc * sizeof(float));
}

/* ---- rounding ---- */

/* How values that are rounded lie: n rows of `pixels`, in images of `high` rows. */
struct lines {
    int64_t n, high, pixels;
};

static struct lines
lines_of(const struct value *bytes, const struct value *x)
{
    if (bytes->inner)
        return (struct lines){bytes->count / bytes->inner, 0, 1};
    if (bytes->halo_w + bytes->halo_h + x->halo_w + x->halo_h == 0 && bytes->d[3] < 64)
        return (struct lines){bytes->d[0], 1, bytes->d[2] * bytes->d[3]};
    return (struct lines){bytes->d[0] * bytes->d[2], bytes->d[2], bytes->d[3]};
}

static void
round_line(void *arg, int64_t i, int member)
{
    const struct job *j = arg;
    const struct value *x = j->x, *y = j->y;
    struct qk_i8_quant k = y->rounding->quant;
    k.low = lowest(y);
    const struct lines l = lines_of(y, x);
    uint8_t *q = (uint8_t *)y->data;
    const int64_t image = y->inner ? i / (l.n / y->d[0]) : i / l.high;
    (void)member;
    if (y->units)
        k.scale = y->units[image] > 0 ? 1 / y->units[image] : 0;
    if (y->inner) {
        j->f->ki->from_row(&k, x->data + i * y->inner, y->inner, q + i * y->pixel);
        return;
    }
    const int64_t row = i % l.high, plane = y->d[2] * y->d[3];
    q += image * y->image + row * y->row;
    if (y->narrow)
        j->f->ki->from_planes(&k, x->data + image * y->d[1] * plane + row * y->d[3], plane,
                              image_c(y), l.pixels, q);
    else
        j->f->ki->from_blocked(&k, x->data + image * x->image + row * x->row, x->block, j->f->lanes,
                               y->blocks, l.pixels, q, y->pixel);
}

/* The largest magnitude of a row of an image (all its channels), or of a product. */
static void
find_most(void *arg, int64_t i, int member)
{
    const struct job *j = arg;
    const struct value *x = j->x, *y = j->y;
    const struct qs_fast *f = j->f;
    const int lanes = x->layout == BLOCKED ? f->lanes : 1;
    float *most = y->units + y->d[0] + i;
    (void)member;
    *most = 0;
    if (y->inner) {
        *most = f->ki->absmax(x->data + i * y->inner, y->inner, 1, 1);
        return;
    }
    const int64_t image = i / y->d[2], row = i % y->d[2], plane = y->d[2] * y->d[3];
    const float *at = lanes == 1 ? x->data + image * y->d[1] * plane + row * y->d[3]
                                 : x->data + image * x->image + row * x->row;
    for (int64_t c = 0; c < y->d[1]; c += lanes, at += lanes == 1 ? plane : x->block) {
        const int64_t left = y->d[1] - c;
        const float v = f->ki->absmax(at, y->d[3], lanes, (int)(left < lanes ? left : lanes));
        *most = v > *most ? v : *most;
    }
}

/* T / 127 of every image, T its largest magnitude. */
static void
find_units(struct qs_fast *f, const struct job *j)
{
    const struct value *y = j->y;
    const int64_t rows = y->inner ? y->count / y->inner : y->d[0] * y->d[2];
    qs_team_run(f->team, rows, find_most, (void *)(uintptr_t)j);
    for (int64_t i = 0; i < y->d[0]; i++) {
        const float *most = y->units + y->d[0] + i * (rows / y->d[0]);
        float all = 0;
        for (int64_t r = 0; r < rows / y->d[0]; r++)
            all = most[r] > all ? most[r] : all;
        y->units[i] = all / 127;
    }
}

void
qs_run_ROUND(struct qs_fast *f, struct step *s)
{
    struct job j = {f, s, &f->value[s->x], &f->value[s->y]};
    if (j.y->units)
        find_units(f, &j);
    const int64_t n = lines_of(j.y, j.x).n;
    if (j.y->count >= ROUND_BYTES)
        qs_team_run(f->team, n, round_line, &j);
    else
        for (int64_t i = 0; i < n; i++)
            round_line(&j, i, 0);
}

/* ---- to floats ---- */

static void
row_to_floats(void *arg, int64_t i, int member)
{
    const struct job *j = arg;
    const struct value *x = j->x, *y = j->y;
    const float *value = x->rounding->value;
    (void)member;
    if (x->inner) {
        const uint8_t *q = bytes_of(x) + i * x->pixel;
        for (int64_t c = 0; c < x->inner; c++)
            y->data[i * x->inner + c] = value[q[c]];
        return;
    }
    const int64_t image = i / x->d[2], row = i % x->d[2], w = x->d[3];
    const uint8_t *q = bytes_of(x) + image * x->image + row * x->row;
    const int lanes = y->layout == BLOCKED ? j->f->lanes : 1;
    const int64_t block = lanes == 1 ? x->d[2] * w : y->block;
    float *to = y->data + image * (lanes == 1 ? x->d[1] * block : y->image) +
                row * (lanes == 1 ? w : y->row);
    for (int64_t c = 0; c < x->d[1]; c++)
        for (int64_t p = 0; p < w; p++)
            to[c / lanes * block + p * lanes + c % lanes] = value[q[p * x->pixel + c]];
}

void
qs_i8_to_floats(struct qs_fast *f, const struct value *x, const struct value *y)
{
    struct job j = {f, NULL, x, y};
    qs_team_run(f->team, x->inner ? x->count / x->inner : x->d[0] * x->d[2], row_to_floats, &j);
}

/* ---- pooling ---- */

static void
pool_rows(void *arg, int64_t i, int member)
{
    const struct job *j = arg;
    const struct step *s = j->s;
    const int64_t image = i / j->y->d[2], row = i % j->y->d[2];
    const struct qk_i8_pool_args a = {.x = bytes_of(j->x) + image * j->x->image,
                                      .x_row = j->x->row,
                                      .x_pixel = j->x->pixel,
                                      .y = (uint8_t *)j->y->data + image * j->y->image,
                                      .y_row = j->y->row,
                                      .y_pixel = j->y->pixel,
                                      .y0 = s->y0,
                                      .y1 = s->y1,
                                      .x0 = s->x0,
                                      .x1 = s->x1,
                                      .ow = image_w(j->y),
                                      .bytes = (int)j->y->pixel};
    (void)member;
    j->f->ki->max_pool(&a, (int)row, (int)row + 1);
}

void
qs_i8_pool(struct qs_fast *f, const struct step *s)
{
    struct job j = {f, s, &f->value[s->x], &f->value[s->y]};
    qs_team_run(f->team, j.y->d[0] * j.y->d[2], pool_rows, &j);
}
