/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes of block 0 become steps over values. A node whose case is not covered becomes FORWARD. */
#include <math.h>
#include <string.h>

#include "base/i18n.h"
#include "engine/lower_rule.h"

int
qs_lower_value(struct qs_fast *f)
{
    struct value *v =
        qs_arena_grow(&f->arena, (void **)&f->value, f->n_value, &f->cap_value, sizeof(*f->value));
    *v = (struct value){.var = -1,
                        .made = -1,
                        .input = -1,
                        .output = -1,
                        .alias = -1,
                        .part_of = -1,
                        .scales = -1,
                        .first = -1,
                        .last = -1};
    for (int i = 0; i < N_LAYOUTS; i++)
        v->converted[i] = -1;
    return f->n_value++;
}

int
qs_lower_value_like(struct qs_fast *f, int id)
{
    const int y = qs_lower_value(f);
    const struct value *x = &f->value[id];
    struct value *v = &f->value[y];
    v->var = x->var;
    v->known = true;
    v->dtype = x->dtype;
    v->n = x->n;
    v->count = x->count;
    memcpy(v->d, x->d, sizeof(v->d));
    return y;
}

struct step *
qs_lower_step(struct qs_fast *f, enum kind kind)
{
    struct step *s =
        qs_arena_grow(&f->arena, (void **)&f->step, f->n_step, &f->cap_step, sizeof(*f->step));
    *s = (struct step){.kind = kind, .x = -1, .y = -1, .q = -1, .more = -1, .w = -1, .scratch = -1};
    s->post = (struct qk_post){QK_POST_CLAMP, -INFINITY, INFINITY, 0};
    f->n_step++;
    return s;
}

double
qs_floats_at(const void *p, int64_t i)
{
    float x;
    memcpy(&x, (const char *)p + (size_t)i * sizeof(x), sizeof(x));
    return (double)x;
}

double
qs_lower_param(const struct value *v, int64_t i)
{
    return qs_floats_at(v->param->buf->data + v->param->offset, i);
}

/* ---- values ---- */

static void
set_shape(struct value *v, const struct qs_shape *x)
{
    v->known = x->known;
    v->dtype = x->dtype;
    v->n = x->n;
    v->count = 1;
    for (int i = 0; i < x->n && x->known; i++) {
        v->d[i] = x->d[i];
        v->count *= x->d[i];
    }
}

int
qs_lower_value_of(struct qs_fast *f, int32_t var)
{
    if (var < 0)
        return -1;
    if (f->now[var] >= 0 || !f->m->var[var].data)
        return f->now[var];
    const struct qs_tensor *t = f->m->var[var].data;
    const struct qs_shape shape = {.known = true, .dtype = t->dtype, .n = t->n_dims};
    if (t->n_dims > QS_RANK_MOST)
        return -1;
    const int id = qs_lower_value(f);
    struct value *v = &f->value[id];
    set_shape(v, &shape);
    v->count = 1;
    for (int i = 0; i < t->n_dims; i++) {
        v->d[i] = t->dims[i];
        v->count *= t->dims[i];
    }
    v->var = var;
    v->param = t;
    return f->now[var] = id;
}

int
qs_lower_input(struct qs_fast *f, const struct qs_node *node, const char *slot)
{
    return qs_lower_value_of(f, qs_node_input(node, slot, 0));
}

/* The value that output `slot` of the node makes. */
static int
output_of(struct qs_fast *f, const struct qs_node *node, const char *slot)
{
    const int32_t var = qs_node_output(node, slot, 0);
    if (var < 0)
        return -1;
    const int id = qs_lower_value(f);
    set_shape(&f->value[id], &f->shapes->var[var]);
    f->value[id].var = var;
    return id;
}

int
qs_lower_output(struct qs_fast *f, const struct qs_node *node, const char *slot, int i)
{
    const int32_t var = qs_node_output(node, slot, i);
    const int id = qs_lower_value(f);
    set_shape(&f->value[id], &f->shapes->var[var]);
    f->value[id].var = var;
    f->value[id].made = f->n_step - 1;
    f->now[var] = id;
    return id;
}

void
qs_lower_finish(struct qs_fast *f, struct step *s, const struct qs_node *node, int32_t number)
{
    s->node = node;
    s->number = number;
    f->value[s->y].made = (int)(s - f->step);
    f->now[f->value[s->y].var] = s->y;
}

struct step *
qs_lower_start(struct qs_fast *f, enum kind kind, const struct qs_node *node, int x,
               const char *out)
{
    const int y = output_of(f, node, out);
    struct step *s = qs_lower_step(f, kind);
    s->x = x;
    s->y = y;
    return s;
}

double *
qs_lower_doubles(struct qs_fast *f, int64_t n, double v)
{
    double *p = qs_arena_alloc(&f->arena, (size_t)n * sizeof(*p));
    for (int64_t i = 0; i < n; i++)
        p[i] = v;
    return p;
}

int32_t
qs_lower_maker(const struct qs_fast *f, int32_t var)
{
    const struct qs_block *b = &f->m->block[0];
    for (int32_t i = b->n_node - 1; i >= 0; i--)
        for (int s = 0; s < b->node[i].n_out; s++)
            for (int k = 0; k < b->node[i].out[s].n; k++)
                if (b->node[i].out[s].var[k] == var)
                    return i;
    return -1;
}

/* ---- anything else ---- */

/* A variable whose shape the operator's rule leaves alone keeps what it holds (the scale that a
 * quantizer only updates in training), or is one that nobody reads. */
static int
forward_output(struct qs_fast *f, int32_t var, const struct qs_shape *shape)
{
    const struct qs_shape unknown = {0};
    const bool declared = f->shapes->var[var].known && !shape->known;
    if (declared || (!shape->known && qs_lower_value_of(f, var) >= 0))
        return -1;
    const int id = qs_lower_value(f);
    set_shape(&f->value[id], shape->known ? shape : &unknown);
    f->value[id].var = var;
    return id;
}

static enum qs_err
lower_forward(struct qs_ctx *cx, struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    int n_in = 0, n_out = 0, k = 0;
    if (!node->op || !node->op->forward)
        return qs_fail(cx, QS_ERR_UNSUPPORTED, _("the model cannot run: no implementation of '%s'"),
                       node->type);
    if (qs_node_attr(node, "sub_block"))
        return qs_fail(cx, QS_ERR_UNSUPPORTED, _("'%s' runs a block of its own"), node->type);
    for (int i = 0; i < node->n_in; i++)
        n_in += node->in[i].n;
    for (int i = 0; i < node->n_out; i++)
        n_out += node->out[i].n;
    int *in = qs_arena_calloc(&f->arena, (size_t)n_in + 1, sizeof(*in));
    int *out = qs_arena_calloc(&f->arena, (size_t)n_out + 1, sizeof(*out));
    for (int i = 0; i < node->n_in; i++)
        for (int j = 0; j < node->in[i].n; j++)
            in[k++] = qs_lower_value_of(f, node->in[i].var[j]);
    struct qs_shape *shape = qs_arena_calloc(&f->arena, (size_t)n_out + 1, sizeof(*shape));
    const enum qs_err err = qs_infer_node(cx, f->m, node, f->shapes, f->scalars_are_1d, shape);
    if (err)
        return err;
    k = 0;
    for (int i = 0; i < node->n_out; i++)
        for (int j = 0; j < node->out[i].n; j++, k++)
            out[k] = forward_output(f, node->out[i].var[j], &shape[k]);
    struct step *s = qs_lower_step(f, STEP_FORWARD);
    s->node = node;
    s->number = number;
    s->in = in;
    s->n_in = n_in;
    s->out = out;
    s->n_out = n_out;
    for (int i = 0; i < n_out; i++) {
        if (out[i] < 0)
            continue;
        f->value[out[i]].made = f->n_step - 1;
        f->now[f->value[out[i]].var] = out[i];
    }
    return QS_OK;
}

static const struct {
    const char *type;
    bool (*lower)(struct qs_fast *f, const struct qs_node *node, int32_t number);
} rules[] = {
#define ROW(type, fn) {#type, fn},
#include "engine/lower_rules.inc"
#undef ROW
};

static bool
lower_known(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    for (size_t i = 0; i < QS_LEN(rules); i++)
        if (strcmp(rules[i].type, node->type) == 0)
            return rules[i].lower(f, node, number);
    return false;
}

/* Every output that a later node reads must have a shape; in-place operators may write a variable
 * again, with the same shape only (shapes are known per variable). */
static enum qs_err
check_shapes(struct qs_ctx *cx, const struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const struct qs_node_cost *cost = &f->shapes->node[0][number];
    const int32_t first = node->n_out > 0 && node->out[0].n > 0 ? node->out[0].var[0] : -1;
    for (int i = 0; i < node->n_in; i++)
        for (int j = 0; j < node->in[i].n; j++) {
            const int32_t var = node->in[i].var[j];
            const int id = f->now[var];
            if (id >= 0 && !f->value[id].known && !f->m->var[var].data)
                return qs_fail(cx, QS_ERR_UNSUPPORTED, _("the shape of '%s' depends on data"),
                               f->m->var[var].name);
        }
    if (first < 0 || !cost->known || f->now[first] < 0)
        return QS_OK;
    const struct qs_shape *a = &cost->out, *b = &f->shapes->var[first];
    if (!b->known || a->n != b->n || memcmp(a->d, b->d, sizeof(a->d[0]) * (size_t)a->n) != 0)
        return qs_fail(cx, QS_ERR_UNSUPPORTED, _("'%s' changes its shape while the model runs"),
                       f->m->var[first].name);
    return QS_OK;
}

/* A port that rounds is an output that does: its variable stays so. */
static enum qs_err
lower_node(struct qs_ctx *cx, struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    f->refused = number;
    enum qs_err err = check_shapes(cx, f, node, number);
    if (!err && !lower_known(f, node, number)) {
        err = lower_forward(cx, f, node, number);
        if (!err)
            err = qs_lower_constant(cx, f, number);
    }
    if (!err)
        err = qs_lower_settle(cx, f, number);
    qs_lower_exact(f, number);
    qs_round_choose(f, node, number);
    qs_round_done(f, number);
    return err;
}

enum qs_err
qs_lower(struct qs_ctx *cx, struct qs_fast *f)
{
    const struct qs_block *b = &f->m->block[0];
    enum qs_err err = QS_OK;
    for (int32_t i = 0; i < b->n_node && !err; i++) {
        const struct qs_node *node = &b->node[i];
        const bool port = strcmp(node->type, "feed") == 0 || strcmp(node->type, "fetch") == 0;
        qs_round_inputs(f, node, i);
        if (!port)
            err = lower_node(cx, f, node, i);
        if (f->keep && !err)
            qs_keep_node(f, node, i);
        if (err)
            (void)qs_infer_name_node(cx, f->m, node, i);
    }
    for (int i = 0; i < f->n_out && !err; i++) {
        const int id = f->out_value[i] >= 0 ? f->now[f->out_value[i]] : -1;
        f->refused = qs_lower_maker(f, f->out_value[i]);
        if (id < 0 || !f->value[id].known)
            return qs_fail(cx, QS_ERR_UNSUPPORTED, _("the shape of an output depends on data"));
        f->value[id].output = i;
        f->out_value[i] = id;
    }
    if (!err)
        f->refused = -1;
    return err;
}
