/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the samples of a batch are independent of each other in a lowered program: every value
 * that depends on the data has one axis that counts samples, and no step mixes along it. Then the
 * batch can be run in parts (fast_split.c). What is not known to be so is not.
 */
#include <string.h>

#include "base/mem.h"
#include "engine/lower_rule.h"

enum {
    CONSTANT = -1, /* does not depend on the inputs */
    UNIFORM = -2,  /* the same number everywhere, whatever the shape */
    SHAPES = -3,   /* depends on the shapes of the inputs */
    MIXED = -4,    /* anything else; or not made yet */
};

struct batch {
    const struct qs_fast *f;
    int64_t n;
    int *axis; /* [n_value] that counts samples, or one of the above */
};

/* Where in y the axis of x is, when y holds the elements of x in the same order. */
static int
regrouped(const struct batch *b, const struct value *x, int axis, const struct value *y)
{
    int64_t before = 1, at = 1;
    for (int i = 0; i < axis; i++)
        before *= x->d[i];
    for (int i = 0; i < y->n; at *= y->d[i++])
        if (at == before && y->d[i] == b->n)
            return i;
    return MIXED;
}

/* ---- operators that are not lowered ---- */

struct use { /* of a value by a node */
    const struct batch *b;
    const struct step *s;
    const struct qs_node *node;
    const struct value *x; /* the main input */
    int axis;              /* its axis */
};

/* The value in an input slot; -1. */
static int
in_slot(const struct step *s, const char *slot, int which)
{
    int k = 0;
    for (int i = 0; i < s->node->n_in; k += s->node->in[i++].n)
        if (strcmp(s->node->in[i].name, slot) == 0)
            return which < s->node->in[i].n ? s->in[k + which] : -1;
    return -1;
}

static int
positive(int64_t axis, int rank)
{
    return (int)(axis < 0 ? axis + rank : axis);
}

static int
same(const struct use *u)
{
    return u->axis;
}

static int
first(const struct use *u)
{
    return u->axis == 0 ? 0 : MIXED;
}

static int
not_channels(const struct use *u)
{
    return u->axis == 1 ? MIXED : u->axis;
}

static int
transposed(const struct use *u)
{
    int64_t to[QS_RANK_MOST];
    const int n = qs_attr_ints(u->node, "axis", to, QS_RANK_MOST);
    for (int i = 0; i < n && n == u->x->n; i++)
        if (to[i] == u->axis)
            return i;
    return MIXED;
}

/* Works along an axis. */
static int
along(const struct use *u)
{
    const int at = positive(qs_attr_int(u->node, "axis", -1), u->x->n);
    return has_input(u->node, "AxisTensor") || at == u->axis ? MIXED : u->axis;
}

static int
split(const struct use *u)
{
    return qs_node_attr(u->node, "axis") ? along(u) : MIXED;
}

/* Removes axes of a list below the axis; MIXED when it is one of them. */
static int
removed(const struct use *u, const char *attr)
{
    int64_t at[QS_RANK_MOST];
    const int n = qs_attr_ints(u->node, attr, at, QS_RANK_MOST);
    int gone = 0;
    for (int i = 0; i < n; i++) {
        if (positive(at[i], u->x->n) == u->axis)
            return MIXED;
        gone += positive(at[i], u->x->n) < u->axis;
    }
    return n > QS_RANK_MOST ? MIXED : u->axis - gone;
}

static int
reduced(const struct use *u)
{
    if (qs_attr_int(u->node, "reduce_all", 0) || !qs_node_attr(u->node, "dim"))
        return MIXED;
    const int axis = removed(u, "dim");
    return axis == MIXED || !qs_attr_int(u->node, "keep_dim", 0) ? axis : u->axis;
}

static int
sliced(const struct use *u)
{
    return removed(u, "axes") == MIXED ? MIXED : removed(u, "decrease_axis");
}

static int
normalized(const struct use *u)
{
    return qs_attr_int(u->node, "begin_norm_axis", 1) > u->axis ? u->axis : MIXED;
}

static int
reshaped(const struct use *u)
{
    for (int i = 0; i < u->s->n_out; i++)
        if (u->s->out[i] >= 0)
            return regrouped(u->b, u->x, u->axis, &u->b->f->value[u->s->out[i]]);
    return MIXED;
}

/* X Y, where Y is a constant or a batch of matrices of its own. */
static int
multiplied(const struct use *u)
{
    const struct qs_node *node = u->node;
    const int y = in_slot(u->s, "Y", 0), n = u->x->n;
    const bool turned = qs_attr_int(node, "trans_x", 0) || qs_attr_int(node, "transpose_X", 0);
    if (y < 0)
        return MIXED;
    const struct value *v = &u->b->f->value[y];
    if (u->b->axis[y] >= 0)
        return n == v->n && n > 2 && u->axis < n - 2 && u->b->axis[y] == u->axis ? u->axis : MIXED;
    const int at = u->axis - (n - v->n); /* of x's samples in v */
    if (u->b->axis[y] != CONSTANT || v->n > n || (at >= 0 && at < v->n - 2 && v->d[at] != 1))
        return MIXED;
    return u->axis < n - 2 || (u->axis == n - 2 && !turned && v->n == 2) ? u->axis : MIXED;
}

/* Axis of an operand counted from the right of the result, which has the rank of the larger. */
static int
combined(const struct use *u)
{
    const int y = in_slot(u->s, "Y", 0);
    if (y < 0)
        return MIXED;
    const struct value *v = &u->b->f->value[y];
    const int64_t given = qs_attr_int(u->node, "axis", -1);
    const int off = (int)(given < 0 ? u->x->n - v->n : given); /* of v's axes in x */
    if (off < 0)
        return MIXED;
    if (u->b->axis[y] >= 0)
        return u->b->axis[y] + off == u->axis ? u->axis : MIXED;
    if (u->b->axis[y] == UNIFORM)
        return u->axis;
    const int at = u->axis - off; /* of x's samples in v */
    const bool apart = at < 0 || at >= v->n || v->d[at] == 1;
    return u->b->axis[y] == CONSTANT && apart ? u->axis : MIXED;
}

static int
joined(const struct use *u)
{
    const struct qs_slot *slot = qs_node_in(u->node, "X");
    for (int i = 0; slot && i < slot->n; i++) {
        const int id = in_slot(u->s, "X", i);
        if (id < 0 || u->b->axis[id] != u->axis)
            return MIXED;
    }
    return qs_node_attr(u->node, "axis") ? along(u) : MIXED;
}

static const struct {
    const char *type, *slot; /* slot of the main input */
    int (*rule)(const struct use *u);
} rules[] = {
#define ROW(type, slot, rule) {#type, #slot, rule},
#include "engine/batch.inc"
#undef ROW
};

/* Inputs beside the main one may be constants, and shapes where they are nothing else. */
static bool
others_fit(const struct batch *b, const struct step *s, const char *main)
{
    const struct qs_node *node = s->node;
    int k = 0;
    for (int i = 0; i < node->n_in; i++) {
        const bool free = strcmp(node->in[i].name, main) == 0 || strcmp(node->in[i].name, "Y") == 0;
        const bool shape = strncmp(node->in[i].name, "Shape", 5) == 0;
        for (int j = 0; j < node->in[i].n; j++, k++) {
            const int axis = s->in[k] >= 0 ? b->axis[s->in[k]] : CONSTANT;
            if (!free && axis != CONSTANT && axis != UNIFORM && !(shape && axis == SHAPES))
                return false;
        }
    }
    return true;
}

/* What a node makes of inputs none of which counts samples. */
static int
of_no_samples(const struct batch *b, const struct step *s)
{
    int kind = CONSTANT;
    for (int i = 0; i < s->n_in; i++)
        if (s->in[i] >= 0 && b->axis[s->in[i]] == SHAPES)
            kind = SHAPES;
    const bool filled =
        strcmp(s->node->type, "fill_constant") == 0 && !has_input(s->node, "ValueTensor");
    return filled ? UNIFORM : kind;
}

static int
of_node(const struct batch *b, const struct step *s)
{
    bool any = false;
    for (int i = 0; i < s->n_in; i++) {
        any |= s->in[i] >= 0 && b->axis[s->in[i]] >= 0;
        if (s->in[i] >= 0 && b->axis[s->in[i]] == MIXED)
            return MIXED;
    }
    if (!any)
        return of_no_samples(b, s);
    if (strcmp(s->node->type, "shape") == 0)
        return SHAPES;
    if (strcmp(s->node->type, "fill_constant_batch_size_like") == 0)
        return UNIFORM;
    for (size_t i = 0; i < QS_LEN(rules); i++) {
        if (strcmp(rules[i].type, s->node->type) != 0)
            continue;
        const int x = in_slot(s, rules[i].slot, 0);
        if (x < 0 || b->axis[x] < 0 || !others_fit(b, s, rules[i].slot))
            return MIXED;
        const struct use u = {b, s, s->node, &b->f->value[x], b->axis[x]};
        return rules[i].rule(&u);
    }
    return MIXED;
}

/* ---- steps ---- */

static int
of_rows(const struct batch *b, const struct step *s)
{
    const int a = b->axis[s->x];
    return a >= 0 && a < b->f->value[s->x].n - 1 ? a : MIXED;
}

/* Images: the first axis, of all that is read. */
static int
of_images(const struct batch *b, const struct step *s)
{
    bool all = (s->x < 0 || b->axis[s->x] == 0) && (s->more < 0 || b->axis[s->more] == 0);
    for (int i = 0; i < s->n_in; i++)
        all = all && b->axis[s->in[i]] == 0;
    return all ? 0 : MIXED;
}

/* [time][sample][feature]; states [layers][sample][feature] */
static int
of_recurrence(const struct batch *b, const struct step *s)
{
    for (int i = 0; i < s->n_in; i++)
        if (s->in[i] >= 0 && b->axis[s->in[i]] != 1 && (i == 0 || b->axis[s->in[i]] != UNIFORM))
            return MIXED;
    return 1;
}

/* A scale that is found as it comes is one for every first index. */
static int
of_rounding(const struct batch *b, const struct step *s)
{
    const int axis = b->axis[s->x];
    const bool mixes = s->y >= 0 && b->f->value[s->y].rounding->dynamic && axis > 0;
    return mixes ? MIXED : axis;
}

static int
of_step(const struct batch *b, const struct step *s)
{
    switch (s->kind) {
    case STEP_CONV:
    case STEP_DEPTHWISE:
    case STEP_TRANSPOSED:
    case STEP_ICONV:
    case STEP_IDEPTHWISE:
    case STEP_ITRANSPOSED:
    case STEP_POOL:
    case STEP_RESIZE:
    case STEP_BINARY:
    case STEP_CONCAT:
        return of_images(b, s);
    case STEP_AFFINE:
        return b->f->value[s->x].n == 4 ? of_images(b, s) : of_rows(b, s);
    case STEP_DENSE:
    case STEP_IDENSE:
    case STEP_SOFTMAX:
        return of_rows(b, s);
    case STEP_ROUND:
        return of_rounding(b, s);
    case STEP_GRID:
        return b->axis[s->x];
    case STEP_ALIAS:
        return b->axis[s->x] < 0
                   ? b->axis[s->x]
                   : regrouped(b, &b->f->value[s->x], b->axis[s->x], &b->f->value[s->y]);
    case STEP_RNN:
        return of_recurrence(b, s);
    case STEP_FORWARD:
        return of_node(b, s);
    case STEP_CONVERT:
        break;
    }
    return MIXED;
}

/* Values that a step makes get their axis; false when it does not count samples there. */
static bool
note(const struct batch *b, int id, int axis)
{
    const struct value *v = id >= 0 ? &b->f->value[id] : NULL;
    if (!v || !v->known)
        return true;
    b->axis[id] = axis;
    return axis < 0 ? axis != MIXED : axis < v->n && v->d[axis] == b->n;
}

static bool
follow(const struct batch *b, const struct step *s)
{
    const int axis = of_step(b, s);
    bool good = note(b, s->y, axis) && note(b, s->q, axis);
    for (int i = 0; i < s->n_out; i++)
        good = good && note(b, s->out[i], axis);
    return good;
}

bool
qs_batch_is_independent(struct qs_fast *f, int64_t *n, int *out_axis)
{
    struct batch b = {.f = f, .n = f->n_in > 0 ? f->value[f->in_value[0]].d[0] : 0};
    bool good = b.n > 1;
    b.axis = qs_arena_calloc(&f->arena, (size_t)f->n_value + 1, sizeof(*b.axis));
    for (int i = 0; i < f->n_value; i++)
        b.axis[i] = f->value[i].param ? CONSTANT : MIXED;
    for (int i = 0; i < f->n_in; i++) {
        const struct value *v = &f->value[f->in_value[i]];
        good = good && v->n > 0 && v->d[0] == b.n;
        b.axis[f->in_value[i]] = 0;
    }
    for (int i = 0; i < f->n_step && good; i++)
        good = f->step[i].dead || follow(&b, &f->step[i]);
    for (int i = 0; i < f->n_out && good; i++) {
        out_axis[i] = b.axis[f->out_value[i]];
        good = out_axis[i] >= 0;
    }
    *n = b.n;
    return good;
}
