/* SPDX-License-Identifier: Apache-2.0 */
/* Where values lie in memory: those whose lives do not meet share it. */
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "engine/lower.h"

#define FLOATS_MOST (INT64_C(1) << 40) /* of one value; sums of them fit */

int
qs_place_root(const struct qs_fast *f, int id)
{
    for (;;) {
        const struct value *v = &f->value[id];
        if (v->alias < 0 && v->part_of < 0)
            return id;
        id = v->alias >= 0 ? v->alias : v->part_of;
    }
}

struct use {
    struct qs_fast *f;
    int step;
};

static void
use_value(void *arg, int *value)
{
    const struct use *u = arg;
    struct value *v = &u->f->value[qs_place_root(u->f, *value)];
    if (v->first < 0 || v->first > u->step)
        v->first = u->step;
    v->last = v->last > u->step ? v->last : u->step;
}

static void
find_lives(struct qs_fast *f)
{
    for (int i = 0; i < f->n_step; i++) {
        struct use u = {f, i};
        struct step *s = &f->step[i];
        qs_step_inputs(s, use_value, &u);
        if (s->y >= 0)
            use_value(&u, &s->y);
        if (s->q >= 0)
            use_value(&u, &s->q);
        if (s->scratch >= 0)
            use_value(&u, &s->scratch);
        for (int k = 0; k < s->n_out; k++)
            if (s->out[k] >= 0)
                use_value(&u, &s->out[k]);
    }
    for (int i = 0; i < f->n_kept; i++) {
        struct use u = {f, f->kept[i].step};
        use_value(&u, &f->kept[i].value);
    }
    for (int i = 0; i < f->n_in && f->probe; i++) {
        struct use u = {f, 0};
        use_value(&u, &f->in_value[i]);
    }
    for (int i = 0; i < f->n_out; i++)
        f->value[qs_place_root(f, f->out_value[i])].last = f->n_step;
}

bool
qs_place_has_memory(const struct qs_fast *f, const struct value *v)
{
    return v->floats > 0 && v->first >= 0 && v->alias < 0 && v->part_of < 0 &&
           (v->input < 0 || f->probe) && !v->param;
}

static bool
same_strides(const struct value *a, const struct value *b)
{
    return a->layout == BLOCKED && b->layout == BLOCKED && a->floats == b->floats &&
           a->halo_h + a->halo_w + b->halo_h + b->halo_w == 0 && a->pixel == b->pixel &&
           a->row == b->row && a->block == b->block && a->image == b->image;
}

/* A sum may lie where the addend lay that nobody reads later: each pixel of that is read before the
 * sum is written there. A probe runs steps again. */
static bool
may_overwrite(const struct qs_fast *f, const struct step *s, int step)
{
    if (f->probe || s->more < 0 || s->y < 0 || s->q >= 0 ||
        (s->kind != STEP_CONV && s->kind != STEP_DEPTHWISE))
        return false;
    const int root = qs_place_root(f, s->more);
    const struct value *y = &f->value[s->y], *more = &f->value[s->more], *whole = &f->value[root];
    return whole->last == step && qs_place_has_memory(f, whole) && y->alias < 0 && y->part_of < 0 &&
           more->part_of < 0 && same_strides(y, more) && same_strides(y, whole) &&
           qs_place_root(f, s->x) != root;
}

static void
overwrite_addends(struct qs_fast *f)
{
    for (int i = 0; i < f->n_step; i++) {
        const struct step *s = &f->step[i];
        if (!may_overwrite(f, s, i))
            continue;
        const int last = f->value[s->y].last;
        f->value[s->y].alias = s->more;
        struct value *whole = &f->value[qs_place_root(f, s->y)];
        whole->last = whole->last > last ? whole->last : last;
    }
}

static bool
live_together(const struct value *a, const struct value *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static int64_t
padded(const struct value *v)
{
    return (v->floats + QS_ROOM_ALIGN - 1) / QS_ROOM_ALIGN * QS_ROOM_ALIGN + QS_ROOM_ALIGN;
}

int64_t *
qs_place_alive(struct qs_fast *f)
{
    int64_t *alive = qs_arena_calloc(&f->arena, (size_t)f->n_step + 2, sizeof(*alive));
    find_lives(f);
    overwrite_addends(f);
    for (int i = 0; i < f->n_value; i++) {
        const struct value *v = &f->value[i];
        if (!qs_place_has_memory(f, v))
            continue;
        alive[v->first] += padded(v) * (int64_t)sizeof(float);
        alive[v->last < f->n_step ? v->last + 1 : f->n_step] -= padded(v) * (int64_t)sizeof(float);
    }
    for (int i = 1; i < f->n_step; i++)
        alive[i] += alive[i - 1];
    return alive;
}

/* The lowest place beside those placed that live at the same time (sorted by offset). */
static void
place(struct qs_fast *f, int id, int *placed, int n)
{
    struct value *v = &f->value[id];
    int64_t at = 0;
    int where = n;
    for (int i = 0; i < n; i++) {
        const struct value *p = &f->value[placed[i]];
        if (!live_together(v, p))
            continue;
        if (p->offset >= at + padded(v))
            break;
        if (p->offset + padded(p) > at)
            at = p->offset + padded(p);
    }
    v->offset = at;
    while (where > 0 && f->value[placed[where - 1]].offset > at)
        where--;
    memmove(placed + where + 1, placed + where, (size_t)(n - where) * sizeof(*placed));
    placed[where] = id;
    if (at + padded(v) > f->memory_floats)
        f->memory_floats = at + padded(v);
}

/* A value with memory, and what decides its turn. */
struct turn {
    int64_t floats;
    int steps, id;
};

static int
larger_first(const void *a, const void *b)
{
    const struct turn *x = a, *y = b;
    return x->floats != y->floats ? (x->floats < y->floats ? 1 : -1) : x->id - y->id;
}

static int
longer_first(const void *a, const void *b)
{
    const struct turn *x = a, *y = b;
    return x->steps != y->steps ? y->steps - x->steps : larger_first(a, b);
}

static void
place_in_order(struct qs_fast *f, struct turn *turn, int n, int *placed,
               int (*compare)(const void *, const void *))
{
    qsort(turn, (size_t)n, sizeof(*turn), compare);
    f->memory_floats = 0;
    for (int i = 0; i < n; i++)
        place(f, turn[i].id, placed, i);
}

/* Either order leaves gaps in some graphs: the one that needs less. */
static void
place_all(struct qs_fast *f)
{
    struct turn *turn = qs_xcalloc((size_t)f->n_value + 1, sizeof(*turn));
    int *placed = qs_xcalloc((size_t)f->n_value + 1, sizeof(*placed));
    int n = 0;
    for (int i = 0; i < f->n_value; i++) {
        const struct value *v = &f->value[i];
        if (qs_place_has_memory(f, v))
            turn[n++] = (struct turn){v->floats, v->last - v->first, i};
    }
    place_in_order(f, turn, n, placed, longer_first);
    const int64_t other = f->memory_floats;
    place_in_order(f, turn, n, placed, larger_first);
    if (other < f->memory_floats)
        place_in_order(f, turn, n, placed, longer_first);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            struct value *a = &f->value[turn[i].id];
            const struct value *b = &f->value[turn[j].id];
            if (i != j && a->offset < b->offset + padded(b) && b->offset < a->offset + padded(a))
                a->halo_shared = true;
        }
    free(turn);
    free(placed);
}

int64_t
qs_place_first(const struct value *v)
{
    const int64_t elements = v->halo_h * v->row + v->halo_w * v->pixel + v->part_block * v->block;
    return v->layout == PLAIN ? 0 : v->layout == BYTES ? elements / 4 : elements;
}

enum qs_err
qs_place_values(struct qs_ctx *cx, struct qs_fast *f)
{
    for (int i = 0; i < f->n_value; i++)
        if (f->value[i].floats > FLOATS_MOST)
            return qs_fail(cx, QS_ERR_MEMORY, _("a tensor of the model is too large"));
    find_lives(f);
    place_all(f);
    for (int i = 0; i < f->n_out; i++) {
        const struct value *whole = &f->value[qs_place_root(f, f->out_value[i])];
        if (whole->input < 0 && !whole->param)
            continue;
        f->refused = qs_lower_maker(f, f->value[f->out_value[i]].var);
        return qs_fail(cx, QS_ERR_UNSUPPORTED, _("an output is an input or a constant"));
    }
    return QS_OK;
}
