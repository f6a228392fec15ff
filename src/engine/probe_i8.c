/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/probe_i8.h"

#include <string.h>

enum { ALIGN = 16 /* floats */ };

/* ---- making ---- */

static bool
layouts_fit(const struct qs_fast *f, const struct step *s)
{
    const struct value *x = &f->value[s->x], *y = &f->value[s->y];
    if (s->kind == STEP_IDENSE)
        return x->layout == PLAIN && y->layout == PLAIN;
    if (s->kind == STEP_ITRANSPOSED && qs_i8_shuffles(s) != (y->layout == PLAIN))
        return false;
    if (s->kind == STEP_IDEPTHWISE && s->ic <= QK_I8_QUAD)
        return false;
    return (x->layout == BLOCKED && !x->lanes) || (s->kind == STEP_ICONV && x->layout == PLANES);
}

static int
bytes_like(struct qs_fast *f, const struct step *s, const struct rounding *r)
{
    const int id = qs_lower_value_like(f, s->x);
    const struct value *x = &f->value[s->x];
    struct value *v = &f->value[id];
    v->layout = BYTES;
    v->rounding = r;
    v->positive = x->positive;
    v->halo_h = x->halo_h;
    v->halo_w = x->halo_w;
    v->narrow = x->layout == PLANES;
    v->inner = s->kind == STEP_IDENSE ? s->ic : 0;
    qs_layout_strides(f, v);
    return id;
}

/* Rows that are made apart and moved to their places (fast_i8.c). */
static int64_t
floats_apart(const struct qs_fast *f, const struct step *s)
{
    if (s->kind == STEP_IDENSE && s->oc % QK_I8_BLOCK != 0)
        return f->value[s->y].count / s->oc * (s->oc + QK_I8_BLOCK);
    return qs_i8_shuffles(s) ? f->value[s->x].d[3] * QK_I8_BLOCK : 0;
}

static int64_t
aligned(int64_t floats)
{
    return (floats + ALIGN - 1) / ALIGN * ALIGN;
}

struct qs_probe_i8 *
qs_probe_i8_new(struct qs_fast *f, const struct step *s, const struct qs_quant_weight *w,
                float threshold, int bits)
{
    struct step t = *s;
    t.kind = qs_round_integer_kind(s->kind);
    if (t.kind == s->kind || bits > 8 || s->w < 0 || !qs_round_weight_fits(f, s, w) ||
        !layouts_fit(f, &t))
        return NULL;
    struct qs_probe_i8 *i = qs_arena_calloc(&f->arena, 1, sizeof(*i));
    qs_round_set(&i->rounding, threshold, bits, false);
    i->from = s->x;
    i->step = t;
    i->step.winograd = 0;
    i->step.pack = NULL;
    i->step.packed = i->step.bias = NULL;
    i->step.integers = w;
    i->step.scratch = -1;
    i->step.x = bytes_like(f, &t, &i->rounding);
    i->floats = aligned(f->value[i->step.x].floats);
    const int64_t apart = floats_apart(f, &i->step);
    if (apart > 0) {
        i->step.scratch = qs_lower_value(f);
        f->value[i->step.scratch].floats = apart;
        i->floats += aligned(apart);
    }
    qs_i8_prepare(f, &i->step);
    return i;
}

enum qs_err
qs_probe_i8_pack(struct qs_ctx *cx, struct qs_fast *f, struct qs_probe_i8 *i)
{
    return qs_i8_make_pack(cx, f, &i->step);
}

/* ---- running ---- */

void
qs_probe_i8_enter(struct qs_fast *f, const struct qs_probe_i8 *i, float *memory)
{
    struct value *bytes = &f->value[i->step.x];
    bytes->data = memory + qs_place_first(bytes);
    if (i->step.scratch >= 0)
        f->value[i->step.scratch].data = memory + aligned(bytes->floats);
}

static void
round_row(const struct qs_fast *f, const struct value *x, const struct value *y, int64_t image,
          int64_t row)
{
    struct qk_i8_quant k = y->rounding->quant;
    k.low = y->positive ? 0 : k.low;
    const float *from = x->data + image * x->image + row * x->row;
    uint8_t *q = (uint8_t *)y->data + image * y->image + row * y->row;
    if (y->narrow)
        f->ki->from_planes(&k, from, x->block, image_c(y), y->d[3], q);
    else
        f->ki->from_blocked(&k, from, x->block, f->lanes, y->blocks, y->d[3], q, y->pixel);
}

/* Halos of bytes are zeros. */
static void
round_input(const struct qs_fast *f, const struct value *x, const struct value *y)
{
    const struct qk_i8_quant *k = &y->rounding->quant;
    uint8_t *q = (uint8_t *)y->data;
    if (y->inner) {
        for (int64_t i = 0; i < y->count / y->inner; i++)
            f->ki->from_row(k, x->data + i * y->inner, y->inner, q + i * y->pixel);
        return;
    }
    if (y->halo_h + y->halo_w > 0)
        memset(y->data - qs_place_first(y), QK_I8_ZERO, (size_t)y->floats * sizeof(float));
    for (int64_t i = 0; i < y->d[0]; i++)
        for (int64_t row = 0; row < y->d[2]; row++)
            round_row(f, x, y, i, row);
}

void
qs_probe_i8_run(struct qs_fast *f, const struct qs_probe_i8 *i)
{
    struct step s = i->step;
    round_input(f, &f->value[i->from], &f->value[s.x]);
    qs_fast_clear_halo(f, s.y);
    if (s.kind == STEP_ICONV || s.kind == STEP_IDEPTHWISE)
        qs_run_ICONV(f, &s);
    else if (s.kind == STEP_ITRANSPOSED)
        qs_run_ITRANSPOSED(f, &s);
    else
        qs_run_IDENSE(f, &s);
}
