/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rounding goes where it costs least: into the step on integers that makes the value, and before
 * operators that choose or move values without changing them.
 */
#include <string.h>

#include "engine/lower.h"

/* A value of the shape of x, rounded. */
static int
value_like(struct qs_fast *f, int x, const struct rounding *r)
{
    const int id = qs_lower_value(f);
    struct value *v = &f->value[id];
    const struct value *from = &f->value[x];
    v->var = from->var;
    v->known = true;
    v->dtype = from->dtype;
    v->n = from->n;
    v->count = from->count;
    memcpy(v->d, from->d, sizeof(v->d));
    v->rounding = r;
    return id;
}

static bool
to_bytes(const struct value *v)
{
    return v->rounding->bits <= 8 && !v->rounding->dynamic;
}

/* max of rounded values is the rounded max: what a pooling alone gives to be rounded is rounded
 * before it. The two steps change places. */
static void
before_pool(struct qs_fast *f, struct step *s)
{
    struct step *pool = qs_fuse_maker(f, s->x);
    const struct value *y = &f->value[s->y];
    if (!pool || pool->kind != STEP_POOL || !pool->max || !to_bytes(y) || y->d[1] <= QK_I8_QUAD)
        return;
    const int late = s->y, between = value_like(f, pool->x, y->rounding);
    f->value[between].made = (int)(pool - f->step);
    f->value[between].n_users = 1;
    f->value[late].made = (int)(s - f->step);
    struct step round = *s;
    round.x = pool->x;
    round.y = between;
    *s = *pool;
    s->x = between;
    s->y = late;
    *pool = round;
}

/* A sum of integers that is rounded next leaves its step as bytes. */
static bool
can_leave_as(const struct qs_fast *f, const struct step *p, int x, const struct value *y)
{
    if (!is_integer(p) || p->y != x || p->q >= 0 || !to_bytes(y) || qs_i8_shuffles(p))
        return false;
    return p->kind == STEP_IDENSE ? y->inner == p->oc : y->inner == 0 && f->value[x].n == 4;
}

static void
into_sum(struct qs_fast *f, struct step *s)
{
    const int made = f->value[s->x].made;
    if (made < 0 || !can_leave_as(f, &f->step[made], s->x, &f->value[s->y]))
        return;
    f->step[made].q = s->y;
    f->value[s->y].made = made;
    s->dead = true;
}

/* ---- concatenations ---- */

struct reading {
    const struct step *s;
    int value;
    bool only_conv;
};

static void
see_reader(void *arg, int *value)
{
    struct reading *r = arg;
    if (*value == r->value && (r->s->kind != STEP_ICONV || value != &r->s->x))
        r->only_conv = false;
}

/* Blocks that are not full in the middle: only a convolution counts channels that way. */
static bool
may_have_gaps(const struct qs_fast *f, int value)
{
    struct reading r = {.value = value, .only_conv = f->value[value].output < 0};
    for (int i = 0; i < f->n_step; i++) {
        r.s = &f->step[i];
        if (!r.s->dead)
            qs_step_inputs(r.s, see_reader, &r);
    }
    return r.only_conv;
}

static bool
has_gaps(const struct qs_fast *f, const struct step *concat)
{
    for (int i = 0; i + 1 < concat->n_in; i++)
        if (f->value[concat->in[i]].d[1] % QK_I8_BLOCK != 0)
            return true;
    return false;
}

/* The concatenation of rounded parts is the rounded concatenation. Parts that steps on integers
 * make leave them as bytes. */
static void
before_concat(struct qs_fast *f, struct step *s)
{
    struct step *concat = qs_fuse_maker(f, s->x);
    if (!concat || concat->kind != STEP_CONCAT || !to_bytes(&f->value[s->y]) ||
        f->value[s->y].inner != 0 || (has_gaps(f, concat) && !may_have_gaps(f, s->y)))
        return;
    concat->y = s->y;
    f->value[s->y].made = (int)(concat - f->step);
    s->dead = true;
    for (int i = 0; i < concat->n_in; i++) {
        const int x = concat->in[i], made = f->value[x].made;
        if (made < 0 || !can_leave_as(f, &f->step[made], x, &f->value[s->y]))
            continue;
        const int part = value_like(f, x, f->value[s->y].rounding);
        f->step[made].q = part;
        f->value[part].made = made;
        concat->in[i] = part;
    }
}

void
qs_round_parts(struct qs_fast *f, struct step *concat)
{
    const int whole = concat->y;
    int n = 0, at = 0;
    for (int i = 0; i < concat->n_in; i++)
        n += (int)((f->value[concat->in[i]].d[1] + QK_I8_BLOCK - 1) / QK_I8_BLOCK);
    int32_t *lanes = qs_arena_calloc(&f->arena, (size_t)n, sizeof(*lanes));
    for (int i = 0; i < concat->n_in; i++) {
        const int x = concat->in[i];
        if (!f->value[x].rounding) {
            struct step *round = qs_lower_step(f, STEP_ROUND);
            round->x = x;
            round->y = concat->in[i] = value_like(f, x, f->value[whole].rounding);
        }
        struct value *part = &f->value[concat->in[i]];
        part->part_of = whole;
        part->part_block = at;
        for (int64_t left = part->d[1]; left > 0; left -= QK_I8_BLOCK)
            lanes[at++] = (int32_t)(left < QK_I8_BLOCK ? left : QK_I8_BLOCK);
    }
    f->value[whole].blocks = n;
    f->value[whole].lanes = has_gaps(f, concat) ? lanes : NULL;
}

/* ---- signs ---- */

static bool
ends_positive(const struct qk_post *k)
{
    switch (k->kind) {
    case QK_POST_CLAMP:
        return k->a >= 0;
    case QK_POST_HARD_SIGMOID:
    case QK_POST_SIGMOID:
        return true;
    case QK_POST_HARD_SWISH:
    case QK_POST_LEAKY_RELU:
    case QK_POST_SWISH:
    case QK_POST_TANH:
        return false;
    }
    return false;
}

static bool
makes_positive(const struct qs_fast *f, const struct step *s)
{
    switch (s->kind) {
    case STEP_ROUND:
    case STEP_GRID:
    case STEP_POOL:
    case STEP_CONVERT:
    case STEP_ALIAS:
        return f->value[s->x].positive;
    case STEP_CONCAT:
        for (int i = 0; i < s->n_in; i++)
            if (!f->value[s->in[i]].positive)
                return false;
        return true;
    case STEP_SOFTMAX:
        return true;
    case STEP_CONV:
    case STEP_DEPTHWISE:
    case STEP_TRANSPOSED:
    case STEP_DENSE:
    case STEP_ICONV:
    case STEP_IDEPTHWISE:
    case STEP_ITRANSPOSED:
    case STEP_IDENSE:
    case STEP_BINARY:
    case STEP_AFFINE:
        return s->has_post && ends_positive(&s->post);
    case STEP_RESIZE:
    case STEP_RNN:
    case STEP_FORWARD:
        return false;
    }
    return false;
}

void
qs_round_signs(struct qs_fast *f)
{
    for (int i = 0; i < f->n_step; i++) {
        const struct step *s = &f->step[i];
        const bool positive = makes_positive(f, s);
        if (s->y >= 0)
            f->value[s->y].positive = positive;
        if (s->q >= 0)
            f->value[s->q].positive = positive;
    }
}

void
qs_round_fuse(struct qs_fast *f)
{
    if (!f->notes)
        return;
    for (int i = f->n_step - 1; i >= 0; i--)
        if (!f->step[i].dead && f->step[i].kind == STEP_ROUND)
            before_pool(f, &f->step[i]);
    for (int i = 0; i < f->n_step; i++) {
        struct step *s = &f->step[i];
        if (!s->dead && s->kind == STEP_ROUND)
            before_concat(f, s);
        if (!s->dead && s->kind == STEP_ROUND)
            into_sum(f, s);
    }
}
