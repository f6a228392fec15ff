/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layouts: which value is an image in blocks, where conversions go, how wide halos are.
 */
#include "engine/lower.h"

#include <string.h>

#include "base/mem.h"

enum {
    THIN = 4 /* parts of a block */,
    PLANES_MOST = 4 /* channels of an image that stays plain */
};

/* ---- conversions ---- */

struct rewrite { /* the list of steps, made anew with conversions between */
    struct qs_fast *f;
    struct step *old;
    int n_old;
};

/* Blocks would be mostly empty, and rows of a plane are as good. */
static bool
is_thin(const struct qs_fast *f, const struct step *s)
{
    const struct value *y = s->y >= 0 ? &f->value[s->y] : NULL;
    return y && s->q < 0 && y->n == 4 && THIN * y->d[1] <= f->lanes &&
           y->d[2] * y->d[3] % f->lanes == 0;
}

static bool
makes_image(const struct qs_fast *f, const struct step *s)
{
    switch (s->kind) {
    case STEP_CONV:
    case STEP_DEPTHWISE:
    case STEP_ICONV:
    case STEP_IDEPTHWISE:
    case STEP_POOL:
    case STEP_RESIZE:
        return true;
    case STEP_BINARY:
    case STEP_CONCAT:
        return !is_thin(f, s);
    case STEP_TRANSPOSED:
        return 4 * s->oc > f->lanes;
    case STEP_ITRANSPOSED:
        return !qs_i8_shuffles(s);
    case STEP_AFFINE:
        return f->value[s->y].n == 4 && !is_thin(f, s);
    case STEP_DENSE:
    case STEP_IDENSE:
    case STEP_ROUND:
    case STEP_GRID:
    case STEP_ALIAS:
    case STEP_SOFTMAX:
    case STEP_RNN:
    case STEP_FORWARD:
    case STEP_CONVERT:
        return false;
    }
    return false;
}

/* Images of few channels are rounded as they come, from planes; rows too. */
static enum layout
wanted_to_round(const struct step *s, const struct value *x, const struct value *y)
{
    const bool image = x->n == 4 && y->inner == 0;
    if (x->layout == BLOCKED || (x->layout == BYTES && image))
        return BLOCKED;
    return image && x->d[1] > QK_I8_QUAD && s->x >= 0 ? BLOCKED : PLAIN;
}

static enum layout
wanted_on_grid(const struct value *x)
{
    const bool blocks = x->layout == BLOCKED || (x->layout == BYTES && x->inner == 0);
    return blocks ? BLOCKED : PLAIN;
}

static enum layout
wanted(const struct qs_fast *f, const struct step *s, const struct value *x)
{
    const bool first = x == &f->value[s->x];
    if (s->kind == STEP_ROUND)
        return wanted_to_round(s, x, &f->value[s->y]);
    if (s->kind == STEP_GRID)
        return wanted_on_grid(x);
    if (first && (is_integer(s) || (s->kind == STEP_POOL && f->value[s->y].rounding)))
        return BYTES;
    if (s->kind == STEP_CONCAT && f->value[s->y].rounding)
        return x->rounding ? BYTES : BLOCKED;
    if (s->kind == STEP_CONV && x->layout == PLAIN && s->ic <= PLANES_MOST && s->ic < f->lanes &&
        first)
        return PLANES;
    return makes_image(f, s) || s->kind == STEP_TRANSPOSED ? BLOCKED : PLAIN;
}

static int
convert(struct qs_fast *f, int id, enum layout to)
{
    if (f->value[id].layout == to || f->value[id].param)
        return id;
    if (f->value[id].converted[to] >= 0)
        return f->value[id].converted[to];
    const int y = qs_lower_value_like(f, id);
    f->value[y].layout = to;
    struct step *s = qs_lower_step(f, STEP_CONVERT);
    s->x = id;
    s->y = y;
    f->value[y].made = f->n_step - 1;
    f->value[id].converted[to] = y;
    return y;
}

struct want {
    struct qs_fast *f;
    const struct step *s;
};

static void
convert_input(void *arg, int *value)
{
    const struct want *w = arg;
    struct qs_fast *f = w->f;
    const enum layout to = wanted(f, w->s, &f->value[*value]);
    /* blocks that are not full in the middle: only a convolution counts channels that way, and
     * rounding does not count */
    if (to == BLOCKED && f->value[*value].lanes && w->s->kind != STEP_CONV &&
        w->s->kind != STEP_GRID)
        *value = convert(f, *value, PLAIN);
    *value = convert(f, *value, to);
}

/* ---- concatenation ---- */

/* Steps on integers write and read whole blocks of 16. */
static int
blocks_of(const struct qs_fast *f, const struct value *v)
{
    const int64_t block = f->whole_blocks && f->lanes < QK_I8_BLOCK ? QK_I8_BLOCK : f->lanes;
    return (int)((v->d[1] + block - 1) / block * block / f->lanes);
}

/* The parts lie one after the other in whole blocks; each lies there from the start when it can. */
static void
place_parts(struct qs_fast *f, struct step *s)
{
    struct value *y = &f->value[s->y];
    int n = 0, at = 0;
    bool full = true;
    for (int i = 0; i < s->n_in; i++)
        n += blocks_of(f, &f->value[s->in[i]]);
    int32_t *lanes = qs_arena_calloc(&f->arena, (size_t)n, sizeof(*lanes));
    for (int i = 0; i < s->n_in; i++) {
        struct value *x = &f->value[s->in[i]];
        const int blocks = blocks_of(f, x);
        for (int b = 0; b < blocks; b++) {
            const int64_t left = x->d[1] - (int64_t)b * f->lanes;
            lanes[at + b] = (int32_t)(left < 0 ? 0 : left < f->lanes ? left : f->lanes);
            full = full && (lanes[at + b] == f->lanes || at + b == n - 1);
        }
        if (x->part_of < 0 && x->alias < 0 && x->made >= 0 && !x->lanes &&
            f->step[x->made].kind != STEP_CONCAT) {
            x->part_of = s->y;
            x->part_block = at;
        }
        at += blocks;
    }
    y->blocks = n;
    y->lanes = full ? NULL : lanes;
}

/* ---- the pass ---- */

static enum layout
made_layout(const struct qs_fast *f, const struct step *s)
{
    const struct value *y = &f->value[s->y];
    if (s->kind == STEP_GRID)
        return f->value[s->x].layout;
    if (s->kind == STEP_ROUND || ((s->kind == STEP_POOL || s->kind == STEP_CONCAT) && y->rounding))
        return BYTES;
    return makes_image(f, s) ? BLOCKED : PLAIN;
}

static void
set_bytes(struct qs_fast *f, const struct step *s)
{
    struct value *y = &f->value[s->q >= 0 ? s->q : s->y];
    if (y->n != 4 && y->inner == 0)
        y->inner = y->n > 0 ? y->d[y->n - 1] : 1;
    if (s->kind == STEP_ROUND)
        y->narrow = y->inner == 0 && f->value[s->x].layout == PLAIN && y->part_of < 0;
}

static void
set_layout(struct qs_fast *f, int step)
{
    const struct step *s = &f->step[step];
    if (s->y >= 0) {
        f->value[s->y].layout = made_layout(f, s);
        f->value[s->y].made = step;
        if (f->value[s->y].layout == BYTES)
            set_bytes(f, s);
        if (s->kind == STEP_GRID && f->value[s->x].lanes) {
            f->value[s->y].lanes = f->value[s->x].lanes;
            f->value[s->y].blocks = f->value[s->x].blocks;
        }
    }
    if (s->q >= 0) {
        f->value[s->q].layout = BYTES;
        f->value[s->q].made = step;
        set_bytes(f, s);
    }
    for (int i = 0; i < s->n_out; i++)
        if (s->out[i] >= 0)
            f->value[s->out[i]].made = step;
}

static void
rewrite_step(struct qs_fast *f, const struct step *old)
{
    struct step s = *old;
    const struct want w = {f, &s};
    qs_step_inputs(&s, convert_input, (void *)(uintptr_t)&w);
    const bool bytes = s.kind == STEP_CONCAT && f->value[s.y].rounding;
    const int first = f->n_step;
    if (bytes)
        qs_round_parts(f, &s);
    for (int i = first; i < f->n_step; i++)
        set_layout(f, i);
    *qs_lower_step(f, s.kind) = s;
    set_layout(f, f->n_step - 1);
    if (s.kind == STEP_CONCAT && !bytes && f->value[s.y].layout == BLOCKED)
        place_parts(f, &f->step[f->n_step - 1]);
}

static int
most(int a, int b)
{
    return a > b ? a : b;
}

static void
widen_halo(struct qs_fast *f, const struct step *s)
{
    struct value *x = s->x >= 0 ? &f->value[s->x] : NULL;
    if (!x || (s->kind != STEP_CONV && s->kind != STEP_DEPTHWISE && s->kind != STEP_ICONV &&
               s->kind != STEP_IDEPTHWISE))
        return;
    x->halo_h = most(x->halo_h, most(s->pad[0], s->pad[1]));
    x->halo_w = most(x->halo_w, most(s->pad[2], s->pad[3]));
}

/* A concatenation and its parts have one halo. */
static void
share_halos(struct qs_fast *f)
{
    for (int i = 0; i < f->n_value; i++) {
        struct value *v = &f->value[i];
        if (v->part_of < 0)
            continue;
        struct value *whole = &f->value[v->part_of];
        whole->halo_h = most(whole->halo_h, v->halo_h);
        whole->halo_w = most(whole->halo_w, v->halo_w);
    }
    for (int i = 0; i < f->n_value; i++) {
        struct value *v = &f->value[i];
        if (v->part_of < 0)
            continue;
        v->halo_h = f->value[v->part_of].halo_h;
        v->halo_w = f->value[v->part_of].halo_w;
    }
}

/* In bytes. Rows are an image one pixel high whose pixels they are. */
static void
set_byte_strides(struct value *v)
{
    const bool image = v->inner == 0;
    const int64_t c = image ? v->d[1] : v->inner;
    if (v->blocks == 0)
        v->blocks = (int)((c + QK_I8_BLOCK - 1) / QK_I8_BLOCK);
    v->block = QK_I8_BLOCK;
    v->pixel = v->narrow ? QK_I8_QUAD : (int64_t)v->blocks * QK_I8_BLOCK;
    v->row = v->pixel * (image ? v->d[3] + 2 * v->halo_w : v->count / v->inner);
    v->image = v->row * (image ? v->d[2] + 2 * v->halo_h : 1);
    v->floats = (v->image * (image ? v->d[0] : 1) + 3) / 4;
}

void
qs_layout_strides(struct qs_fast *f, struct value *v)
{
    if (v->layout == BYTES) {
        set_byte_strides(v);
        return;
    }
    if (v->layout == PLAIN) {
        v->floats = (v->count * qs_dtype_bytes(v->dtype) + 3) / 4;
        return;
    }
    const bool blocked = v->layout == BLOCKED;
    if (!blocked)
        v->blocks = image_c(v);
    else if (v->blocks == 0)
        v->blocks = blocks_of(f, v);
    v->pixel = blocked ? f->lanes : 1;
    v->row = (v->d[3] + 2 * v->halo_w) * v->pixel;
    v->block = (v->d[2] + 2 * v->halo_h) * v->row;
    v->image = v->blocks * v->block;
    v->floats = v->image * v->d[0];
}

/* Of a part, those that are the whole's. */
static void
join_strides(struct value *part, const struct value *whole)
{
    part->image = whole->image;
    if (part->layout != BYTES)
        return;
    part->pixel = whole->pixel;
    part->row = whole->row;
}

/* An image of one pixel in full blocks is a dense row. */
static bool
is_dense(const struct qs_fast *f, const struct value *x)
{
    return x->layout == BLOCKED && x->d[2] * x->d[3] == 1 && x->d[1] == x->blocks * f->lanes &&
           x->halo_h + x->halo_w == 0 && x->part_of < 0 && !x->lanes;
}

void
qs_layout(struct qs_fast *f)
{
    struct step *old = f->step;
    const int n_old = f->n_step;
    f->step = NULL;
    f->n_step = f->cap_step = 0;
    for (int i = 0; i < n_old; i++)
        if (!old[i].dead)
            rewrite_step(f, &old[i]);
    for (int i = 0; i < f->n_out; i++)
        f->out_value[i] = convert(f, f->out_value[i], PLAIN);
    for (int i = 0; i < f->n_step; i++)
        widen_halo(f, &f->step[i]);
    share_halos(f);
    for (int i = 0; i < f->n_value; i++)
        if (f->value[i].known)
            qs_layout_strides(f, &f->value[i]);
    for (int i = 0; i < f->n_value; i++)
        if (f->value[i].part_of >= 0)
            join_strides(&f->value[i], &f->value[f->value[i].part_of]);
    for (int i = 0; i < f->n_step; i++) {
        struct step *s = &f->step[i];
        if (s->kind == STEP_ALIAS)
            f->value[s->y].alias = s->x;
        else if (s->kind == STEP_CONVERT && f->value[s->y].layout == PLAIN &&
                 is_dense(f, &f->value[s->x])) {
            s->kind = STEP_ALIAS;
            f->value[s->y].alias = s->x;
        }
    }
}
