/* SPDX-License-Identifier: Apache-2.0 */
/* Steps merge into the convolution (or product, addition, resizing) before them. */
#include <math.h>
#include <string.h>

#include "engine/lower.h"

void
qs_step_inputs(const struct step *s, void (*fn)(void *arg, int *value), void *arg)
{
    struct step *m = (struct step *)(uintptr_t)s; /* fn may replace a value */
    if (s->x >= 0)
        fn(arg, &m->x);
    if (s->more >= 0)
        fn(arg, &m->more);
    for (int i = 0; i < s->n_in; i++)
        if (s->in[i] >= 0)
            fn(arg, &s->in[i]);
}

static void
count_user(void *arg, int *value)
{
    struct qs_fast *f = arg;
    f->value[*value].n_users++;
}

void
qs_fuse_count(struct qs_fast *f)
{
    for (int i = 0; i < f->n_value; i++)
        f->value[i].n_users = (f->value[i].output >= 0) + f->value[i].kept;
    for (int i = 0; i < f->n_step; i++)
        if (!f->step[i].dead)
            qs_step_inputs(&f->step[i], count_user, f);
}

struct step *
qs_fuse_maker(struct qs_fast *f, int value)
{
    const struct value *v = &f->value[value];
    return v->made >= 0 && v->n_users == 1 && v->output < 0 ? &f->step[v->made] : NULL;
}

static void
merge(struct qs_fast *f, struct step *into, struct step *s)
{
    into->y = s->y;
    f->value[s->y].made = (int)(into - f->step);
    s->dead = true;
}

static bool
sums(const struct step *p)
{
    return !p->exact && (p->kind == STEP_CONV || p->kind == STEP_DEPTHWISE ||
                         p->kind == STEP_DENSE || p->kind == STEP_TRANSPOSED || is_integer(p));
}

static bool
is_affine_only_post(const struct step *s)
{
    for (int64_t i = 0; i < s->oc; i++)
        if (s->scale[i] != 1 || s->shift[i] != 0)
            return false;
    return true;
}

static void
fuse_affine(struct qs_fast *f, struct step *s)
{
    struct step *p = qs_fuse_maker(f, s->x);
    if (!p || p->has_post)
        return;
    const bool takes_all = (sums(p) && p->more < 0) || p->kind == STEP_AFFINE;
    const bool takes_post =
        takes_all || sums(p) || p->kind == STEP_BINARY || (p->kind == STEP_RESIZE && p->more >= 0);
    const bool only_post = is_affine_only_post(s);
    if (!(only_post ? takes_post : takes_all && p->oc == s->oc))
        return;
    for (int64_t i = 0; !only_post && i < s->oc; i++) {
        p->scale[i] *= s->scale[i];
        p->shift[i] = p->shift[i] * s->scale[i] + s->shift[i];
    }
    if (s->has_post) {
        p->post = s->post;
        p->has_post = true;
    }
    merge(f, p, s);
}

/* To the grid, then back from it. */
static void
fuse_grid(struct qs_fast *f, struct step *s)
{
    struct step *p = qs_fuse_maker(f, s->x);
    if (!p || p->kind != STEP_GRID || !s->grid.is_q || !p->grid.stays_q ||
        p->grid.most != s->grid.most || p->grid.threshold != s->grid.threshold)
        return;
    p->grid.stays_q = false;
    merge(f, p, s);
}

/* x + x * s becomes x * (s + 1). */
static bool
fuse_plus_one(struct qs_fast *f, struct step *s)
{
    for (int side = 0; side < 2; side++) {
        const int product = side ? s->more : s->x, other = side ? s->x : s->more;
        struct step *p = qs_fuse_maker(f, product);
        if (!p || p->kind != STEP_BINARY || p->op != QK_MUL || !p->per_channel || p->has_post ||
            p->plus_one || p->x != other || f->value[other].made > (int)(p - f->step))
            continue;
        p->plus_one = true;
        f->value[other].n_users--;
        merge(f, p, s);
        return true;
    }
    return false;
}

/* The later of two operands, made by a convolution or nearest resizing, takes in the other. */
static void
fuse_addition(struct qs_fast *f, struct step *s)
{
    if (s->op != QK_ADD || s->per_channel || s->x == s->more || fuse_plus_one(f, s))
        return;
    const bool more_later = f->value[s->more].made > f->value[s->x].made;
    const int late = more_later ? s->more : s->x, early = more_later ? s->x : s->more;
    struct step *p = qs_fuse_maker(f, late);
    if (!p || p->has_post || p->more >= 0 || p->exact ||
        !(p->kind == STEP_CONV || p->kind == STEP_DEPTHWISE || p->kind == STEP_ICONV ||
          p->kind == STEP_IDEPTHWISE || (p->kind == STEP_RESIZE && !p->bilinear)))
        return;
    p->more = early;
    merge(f, p, s);
}

/* Of what a step on integers makes, what nobody reads is left out. */
static void
drop_form(struct qs_fast *f, struct step *s)
{
    if (s->y >= 0 && s->q >= 0 && f->value[s->y].n_users == 0)
        s->y = -1;
    if (s->y >= 0 && s->q >= 0 && f->value[s->q].n_users == 0)
        s->q = -1;
}

static bool
is_used(const struct qs_fast *f, const struct step *s)
{
    return s->kind == STEP_FORWARD || (s->y >= 0 && f->value[s->y].n_users > 0) ||
           (s->q >= 0 && f->value[s->q].n_users > 0);
}

void
qs_fuse(struct qs_fast *f)
{
    qs_fuse_count(f);
    for (int i = 0; i < f->n_step; i++) {
        struct step *s = &f->step[i];
        if (s->kind == STEP_AFFINE)
            fuse_affine(f, s);
        else if (s->kind == STEP_BINARY)
            fuse_addition(f, s);
        else if (s->kind == STEP_GRID)
            fuse_grid(f, s);
    }
    qs_round_fuse(f);
    qs_fuse_count(f);
    /* what nobody reads is not made */
    for (int i = f->n_step - 1; i >= 0; i--) {
        struct step *s = &f->step[i];
        if (!s->dead)
            drop_form(f, s);
        if (f->probe || s->dead || is_used(f, s))
            continue;
        s->dead = true;
        qs_fuse_count(f);
    }
}
