/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A quantized model is its float graph and notes of what is rounded how (model/static_notes.h). A
 * node that reads rounded activations reads what a ROUND step makes; those with integer weights
 * too become steps on integers.
 */
#include <string.h>

#include "engine/lower_rule.h"

enum { BYTE_BITS = 8 };

void
qs_round_set(struct rounding *r, float threshold, int bits, bool half_away)
{
    *r = (struct rounding){.act = -1, .bits = bits, .grid = qk_round_of(threshold, bits)};
    r->grid.away = half_away;
    r->unit = (double)threshold / (double)r->grid.most;
    if (bits > BYTE_BITS)
        return;
    const int most = (1 << (bits - 1)) - 1;
    r->quant = (struct qk_i8_quant){r->grid.by, (int8_t)(half_away ? -most : -most - 1),
                                    (int8_t)most, half_away};
    for (int i = 0; i < 256; i++)
        r->value[i] = (float)(i - QK_I8_ZERO) * threshold / r->grid.most;
}

static const struct rounding *
rounding_of(struct qs_fast *f, int act)
{
    if (f->rounding[act])
        return f->rounding[act];
    const struct qs_quant_act *a = &f->notes->act[act];
    struct rounding *r = qs_arena_calloc(&f->arena, 1, sizeof(*r));
    qs_round_set(r, (float)a->threshold, a->bits, a->half_away);
    r->act = act;
    return f->rounding[act] = r;
}

void
qs_round_retune(struct qs_fast *f, const struct qs_static_notes *notes)
{
    for (int i = 0; i < notes->n_act; i++) {
        const struct qs_quant_act *a = &notes->act[i];
        if (!f->rounding[i])
            continue;
        qs_round_set(f->rounding[i], (float)a->threshold, a->bits, a->half_away);
        f->rounding[i]->act = i;
    }
    for (int i = 0; i < f->n_step; i++) {
        struct step *s = &f->step[i];
        if (s->kind == STEP_GRID && s->y >= 0 && f->value[s->y].rounding)
            s->grid = f->value[s->y].rounding->grid;
        if (is_integer(s))
            qs_i8_retune(f, s);
    }
}

/* The step that rounds the value so already; -1. */
static int
find_round(const struct qs_fast *f, int value, const struct rounding *r)
{
    for (int i = f->n_step - 1; i >= 0; i--)
        if (f->step[i].x == value && f->step[i].y >= 0 && f->value[f->step[i].y].rounding &&
            (f->step[i].kind == STEP_ROUND || f->step[i].kind == STEP_GRID) &&
            f->value[f->step[i].y].rounding->act == r->act)
            return f->step[i].y;
    return -1;
}

static int
round_value(struct qs_fast *f, int value, int32_t var, const struct rounding *r,
            const struct qs_node *node, int32_t number)
{
    const int found = find_round(f, value, r);
    if (found >= 0)
        return found;
    const int y = qs_lower_value_like(f, value);
    struct value *v = &f->value[y];
    v->var = var;
    v->rounding = r;
    v->before = value;
    if (r->dynamic)
        v->units =
            qs_arena_calloc(&f->arena, (size_t)(v->d[0] + qs_round_rows(v)), sizeof(*v->units));
    struct step *s = qs_lower_step(f, r->bits <= BYTE_BITS ? STEP_ROUND : STEP_GRID);
    s->grid = r->grid;
    s->x = value;
    s->y = y;
    s->node = node;
    s->number = number;
    f->value[y].made = f->n_step - 1;
    return y;
}

static const struct qs_quant_node *
note_of(const struct qs_fast *f, int32_t number)
{
    const int i = f->notes ? qs_static_find_node(f->notes, number) : -1;
    return i >= 0 ? &f->notes->node[i] : NULL;
}

void
qs_round_inputs(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const struct qs_quant_node *note = note_of(f, number);
    for (int i = 0; note && i < note->n_all; i++) {
        const int32_t var = f->notes->act[note->all[i]].var;
        const int id = qs_lower_value_of(f, var);
        if (is_real(f, id) && f->value[id].count > 0)
            f->now[var] = round_value(f, id, var, rounding_of(f, note->all[i]), node, number);
    }
}

void
qs_round_done(struct qs_fast *f, int32_t number)
{
    const struct qs_quant_node *note = note_of(f, number);
    for (int i = 0; note && i < note->n_all; i++) {
        const int32_t var = f->notes->act[note->all[i]].var;
        const int id = f->now[var];
        /* unless the node wrote the variable itself */
        if (id >= 0 && f->value[id].rounding && f->value[id].var == var)
            f->now[var] = f->value[id].before;
    }
}

/* ---- in integers ---- */

bool
qs_round_scales_fit(const struct step *s, int64_t n, int axis)
{
    const int outputs = s->kind == STEP_TRANSPOSED                  ? 1
                        : s->kind == STEP_DENSE && !s->w_transposed ? 1
                                                                    : 0;
    return n == 1 || (axis == outputs && n == s->oc);
}

/* Rows of a product that lie in the value as they are. */
static bool
rows_fit(struct value *x, const struct step *s)
{
    if (x->n == 4 && x->d[2] * x->d[3] == 1 && x->d[1] == s->ic && x->inner == 0)
        return true;
    if (x->n == 4 || (x->inner != 0 && x->inner != s->ic))
        return false;
    x->inner = s->ic;
    return true;
}

enum kind
qs_round_integer_kind(enum kind kind)
{
    switch (kind) {
    case STEP_CONV:
        return STEP_ICONV;
    case STEP_DEPTHWISE:
        return STEP_IDEPTHWISE;
    case STEP_TRANSPOSED:
        return STEP_ITRANSPOSED;
    case STEP_DENSE:
        return STEP_IDENSE;
    case STEP_ICONV:
    case STEP_IDEPTHWISE:
    case STEP_ITRANSPOSED:
    case STEP_IDENSE:
    case STEP_ROUND:
    case STEP_GRID:
    case STEP_POOL:
    case STEP_RESIZE:
    case STEP_BINARY:
    case STEP_AFFINE:
    case STEP_CONCAT:
    case STEP_ALIAS:
    case STEP_SOFTMAX:
    case STEP_RNN:
    case STEP_FORWARD:
    case STEP_CONVERT:
        break;
    }
    return kind;
}

/* Depthwise convolutions take as long to round an input as to compute on it. */
static bool
pays_dynamic(const struct step *s)
{
    return s->kind != STEP_DEPTHWISE;
}

/* A weight alone is in integers: the input is rounded before the step that was added last. */
static void
round_dynamic(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    static const struct rounding dynamic = {
        .dynamic = true, .act = -1, .bits = BYTE_BITS, .unit = 1, .quant = {1, -127, 127}};
    struct step s = f->step[--f->n_step];
    s.x = round_value(f, s.x, f->value[s.x].var, &dynamic, node, number);
    *qs_lower_step(f, s.kind) = s;
    f->value[s.y].made = f->n_step - 1;
}

bool
qs_round_weight_fits(const struct qs_fast *f, const struct step *s, const struct qs_quant_weight *w)
{
    const int64_t sums = s->kind == STEP_DEPTHWISE ? 1 : s->ic;
    return w->bits <= BYTE_BITS && w->var == f->value[s->w].var &&
           qs_round_scales_fit(s, w->n_scales, w->axis) &&
           w->q->size >= (size_t)f->value[s->w].count &&
           sums * s->kh * s->kw <= QK_I8_SUM_MOST - QK_I8_BLOCK * s->kh * s->kw;
}

static bool
input_fits(struct value *x, const struct step *s)
{
    if (s->kind == STEP_DENSE)
        return rows_fit(x, s);
    return x->inner == 0 && (s->kind != STEP_DEPTHWISE || s->ic > QK_I8_QUAD);
}

void
qs_round_choose(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const struct qs_quant_node *note = note_of(f, number);
    struct step *s = f->n_step > 0 ? &f->step[f->n_step - 1] : NULL;
    if (!note || note->weight < 0 || !s || s->number != number ||
        qs_round_integer_kind(s->kind) == s->kind)
        return;
    const struct qs_quant_weight *w = &f->notes->weight[note->weight];
    if (!qs_round_weight_fits(f, s, w))
        return;
    if (note->n_all == 0 && !f->value[s->x].rounding && pays_dynamic(s)) {
        round_dynamic(f, node, number);
        s = &f->step[f->n_step - 1];
    }
    struct value *x = &f->value[s->x];
    if (!x->rounding || x->rounding->bits > BYTE_BITS || !input_fits(x, s)) {
        if (x->rounding && x->rounding->dynamic)
            s->x = x->before;
        return;
    }
    s->integers = w;
    s->kind = qs_round_integer_kind(s->kind);
}
