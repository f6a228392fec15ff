/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rnn operator in mode LSTM whose hidden size fills vectors. Per layer: one product gives
 * what the inputs contribute to the gates at all times; then a step per time adds the product of
 * the state. Both directions of a layer run side by side.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/lower_rule.h"

enum { GATES = 4, IN_MOST = 3 /* Input, hidden, memory */, PARTS = 4 };

struct direction {                    /* of a layer */
    int w_in, w_state, b_in, b_state; /* constants */
    int64_t in;
    const struct qs_pack *pack_in, *pack_state;
    const float *packed[2]; /* in use: of the input, of the state */
    float *bias;            /* the sum of both */
};

struct rnn {
    int layers, dirs;
    int64_t t, b, h;
    struct direction *dir; /* [layers][dirs] */
    float *zero;           /* [gates * h] */
    /* the layer in work */
    struct qs_fast *f;
    struct step *s;
    int layer;
    const float *x;
    float *y;
};

static int
constant(struct qs_fast *f, const struct qs_node *node, int i, int64_t count)
{
    const int32_t var = qs_node_input(node, "WeightList", i);
    const int id = qs_lower_value_of(f, var);
    if (id < 0 || !f->value[id].param || f->value[id].dtype != QS_DTYPE_float32 ||
        f->value[id].count != count || f->value[id].param->bytes < (size_t)count * sizeof(float))
        return -1;
    return id;
}

static bool
find_weights(struct qs_fast *f, const struct qs_node *node, struct rnn *r, int64_t input)
{
    const int n = r->layers * r->dirs;
    r->dir = qs_arena_calloc(&f->arena, (size_t)n, sizeof(*r->dir));
    for (int i = 0; i < n; i++) {
        struct direction *d = &r->dir[i];
        d->in = i < r->dirs ? input : r->dirs * r->h;
        d->w_in = constant(f, node, 2 * i, GATES * r->h * d->in);
        d->w_state = constant(f, node, 2 * i + 1, GATES * r->h * r->h);
        d->b_in = constant(f, node, 2 * n + 2 * i, GATES * r->h);
        d->b_state = constant(f, node, 2 * n + 2 * i + 1, GATES * r->h);
        if (d->w_in < 0 || d->w_state < 0 || d->b_in < 0 || d->b_state < 0)
            return false;
    }
    return true;
}

static bool
states_fit(const struct qs_fast *f, const int *in, const struct rnn *r)
{
    for (int i = 1; i < IN_MOST; i++)
        if (in[i] >= 0 && (f->value[in[i]].dtype != QS_DTYPE_float32 || f->value[in[i]].param ||
                           f->value[in[i]].count != r->layers * r->dirs * r->b * r->h))
            return false;
    return true;
}

bool
qs_rnn_lower(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int64_t h = qs_attr_int(node, "hidden_size", 0);
    const int64_t layers = qs_attr_int(node, "num_layers", 1);
    int *in = qs_arena_calloc(&f->arena, IN_MOST, sizeof(*in));
    int *out = qs_arena_calloc(&f->arena, IN_MOST, sizeof(*out));
    in[0] = qs_lower_value_of(f, qs_node_input(node, "Input", 0));
    in[1] = qs_lower_value_of(f, qs_node_input(node, "PreState", 0));
    in[2] = qs_lower_value_of(f, qs_node_input(node, "PreState", 1));
    if (strcmp(qs_attr_str(node, "mode", ""), "LSTM") != 0 || h < 1 || h > 4096 ||
        h % f->lanes != 0 || layers < 1 || layers > 64 || in[0] < 0 ||
        qs_node_input(node, "SequenceLength", 0) >= 0)
        return false;
    const struct value *x = &f->value[in[0]];
    if (!x->known || x->dtype != QS_DTYPE_float32 || x->param || x->n != 3 || x->count == 0 ||
        x->count > 1 << 28)
        return false;
    struct rnn *r = qs_arena_calloc(&f->arena, 1, sizeof(*r));
    *r = (struct rnn){.layers = (int)layers, .t = x->d[0], .b = x->d[1], .h = h};
    r->dirs = qs_attr_int(node, "is_bidirec", 0) ? 2 : 1;
    if (!find_weights(f, node, r, x->d[2]) || !states_fit(f, in, r))
        return false;
    struct step *s = qs_lower_step(f, STEP_RNN);
    s->rnn = r;
    s->in = in;
    s->n_in = IN_MOST;
    s->out = out;
    out[s->n_out++] = qs_lower_output(f, node, "Out", 0);
    for (int i = 0; i < 2; i++)
        if (qs_node_output(node, "State", i) >= 0)
            out[s->n_out++] = qs_lower_output(f, node, "State", i);
    s->y = out[0];
    s->node = node;
    s->number = number;
    return true;
}

/* ---- weights ---- */

static enum qs_err
make_pack(struct qs_ctx *cx, const struct qs_fast *f, const void *w, int64_t oc, int64_t ic,
          struct qs_pack *out)
{
    const struct qk_pack p = {.lanes = f->lanes,
                              .block = (int)ic,
                              .oc = oc,
                              .ic = ic,
                              .kh = 1,
                              .kw = 1,
                              .w = w,
                              .w_oc = ic,
                              .w_ic = 1,
                              .w_kh = 1,
                              .w_kw = 1};
    *out = (struct qs_pack){.floats = qk_conv_packed(f->lanes, oc, ic, 1, 1)};
    const enum qs_err err = qs_floats_new(cx, out->floats, &out->packed);
    if (!err)
        qk_conv_pack(&p, out->packed);
    return err;
}

static enum qs_err
pack(struct qs_ctx *cx, struct qs_fast *f, int w, int64_t oc, int64_t ic,
     const struct qs_pack **out)
{
    const struct qs_pack_key key = {
        .weight = f->value[w].param, .form = STEP_RNN << 8, .vector = f->lanes, .oc = oc, .ic = ic};
    struct qs_pack made;
    *out = qs_packs_find(f->packs, &key);
    const void *values = key.weight->buf->data + key.weight->offset;
    const enum qs_err err = *out ? QS_OK : make_pack(cx, f, values, oc, ic, &made);
    if (err)
        return err;
    if (!*out)
        *out = qs_packs_add(f->packs, &key, made);
    f->param_floats += (*out)->floats;
    return QS_OK;
}

enum qs_err
qs_rnn_prepare(struct qs_ctx *cx, struct qs_fast *f, struct step *s)
{
    struct rnn *r = s->rnn;
    const int64_t width = GATES * r->h;
    enum qs_err err = qs_floats_new(cx, width, &r->zero);
    if (!err)
        memset(r->zero, 0, (size_t)width * sizeof(float));
    for (int i = 0; i < r->layers * r->dirs && !err; i++) {
        struct direction *d = &r->dir[i];
        err = pack(cx, f, d->w_in, width, d->in, &d->pack_in);
        if (!err)
            err = pack(cx, f, d->w_state, width, r->h, &d->pack_state);
        if (!err)
            err = qs_floats_new(cx, width, &d->bias);
        for (int k = 0; k < 2 && !err; k++)
            d->packed[k] = (k ? d->pack_state : d->pack_in)->packed;
        for (int64_t k = 0; k < width && !err; k++)
            d->bias[k] = (float)(qs_lower_param(&f->value[d->b_in], k) +
                                 qs_lower_param(&f->value[d->b_state], k));
    }
    return err;
}

struct rnn *
qs_rnn_share(struct qs_arena *a, const struct rnn *r)
{
    struct rnn *own = r ? (void *)qs_arena_memdup(a, r, sizeof(*r)) : NULL;
    if (own)
        own->dir =
            (void *)qs_arena_memdup(a, r->dir, (size_t)(r->layers * r->dirs) * sizeof(*r->dir));
    return own;
}

/* ---- other weights ---- */

int
qs_rnn_find(const struct qs_fast *f, const struct rnn *r, int32_t var)
{
    int found = -1, n = 0;
    for (int i = 0; i < r->layers * r->dirs; i++)
        for (int k = 0; k < 2; k++)
            if (f->value[k ? r->dir[i].w_state : r->dir[i].w_in].var == var) {
                found = 2 * i + k;
                n++;
            }
    return n == 1 ? found : -1; /* one that stands in several places cannot be replaced in one */
}

enum qs_err
qs_rnn_pack(struct qs_ctx *cx, const struct qs_fast *f, const struct rnn *r, int at, const void *w,
            float **out)
{
    struct qs_pack made = {0};
    const enum qs_err err =
        make_pack(cx, f, w, GATES * r->h, at % 2 ? r->h : r->dir[at / 2].in, &made);
    *out = made.packed;
    return err;
}

int64_t
qs_rnn_packed(const struct qs_fast *f, const struct rnn *r, int at)
{
    return qk_conv_packed(f->lanes, GATES * r->h, at % 2 ? r->h : r->dir[at / 2].in, 1, 1);
}

void
qs_rnn_set(struct rnn *r, int at, const float *packed)
{
    struct direction *d = &r->dir[at / 2];
    d->packed[at % 2] = packed ? packed : (at % 2 ? d->pack_state : d->pack_in)->packed;
}

void
qs_rnn_free(struct qs_packs *packs, struct rnn *r)
{
    if (!r)
        return;
    for (int i = 0; i < r->layers * r->dirs; i++) {
        qs_packs_drop(packs, r->dir[i].pack_in);
        qs_packs_drop(packs, r->dir[i].pack_state);
        free(r->dir[i].bias);
    }
    free(r->zero);
}

/* ---- memory: outputs of two layers, then gates, states of each direction ---- */

static int64_t
layer_floats(const struct rnn *r)
{
    return r->t * r->b * r->dirs * r->h;
}

static int64_t
direction_floats(const struct rnn *r)
{
    return (r->t * r->b + r->b) * GATES * r->h + 2 * r->b * r->h;
}

int64_t
qs_rnn_scratch(const struct rnn *r)
{
    return 2 * layer_floats(r) + r->dirs * direction_floats(r);
}

struct room {
    float *gates;  /* [t][b][gates * h] from the inputs */
    float *gate;   /* [b][gates * h] of a time */
    float *hidden; /* [b][h] before the first time */
    float *memory; /* [b][h] */
};

static struct room
room_of(const struct rnn *r, int dir)
{
    float *p = r->f->value[r->s->scratch].data + 2 * layer_floats(r) + dir * direction_floats(r);
    struct room m = {.gates = p};
    m.gate = m.gates + r->t * r->b * GATES * r->h;
    m.hidden = m.gate + r->b * GATES * r->h;
    m.memory = m.hidden + r->b * r->h;
    return m;
}

/* ---- running ---- */

static struct qk_conv_args
product(const struct rnn *r, const float *w, const float *bias, int64_t ic, int64_t rows)
{
    const int64_t width = GATES * r->h;
    return (struct qk_conv_args){.x_pixel = ic,
                                 .x_lane = 1,
                                 .block = (int)ic,
                                 .ic = (int)ic,
                                 .kh = 1,
                                 .kw = 1,
                                 .stride_h = 1,
                                 .stride_w = 1,
                                 .dilation_h = 1,
                                 .dilation_w = 1,
                                 .w = w,
                                 .bias = bias,
                                 .y_block = r->f->lanes,
                                 .y_pixel = width,
                                 .add_block = r->f->lanes,
                                 .add_pixel = width,
                                 .wrap = (int)rows,
                                 .oc_blocks = (int)(width / r->f->lanes),
                                 .post = {QK_POST_CLAMP, -INFINITY, INFINITY, 0}};
}

static void
project(void *arg, int64_t i, int member)
{
    struct rnn *r = arg;
    const int dir = (int)(i / PARTS), part = (int)(i % PARTS);
    const struct direction *d = &r->dir[r->layer * r->dirs + dir];
    const int64_t rows = r->t * r->b;
    struct qk_conv_args a = product(r, d->packed[0], d->bias, d->in, rows);
    const int panels = (a.oc_blocks + 1) / 2;
    (void)member;
    a.x = r->x;
    a.y = room_of(r, dir).gates;
    r->f->k->conv(&a, panels * part / PARTS, panels * (part + 1) / PARTS, 0, 1, 0, (int)rows);
}

static void
set_state(const struct rnn *r, int dir, const struct room *m)
{
    const int64_t n = r->b * r->h, at = (r->layer * r->dirs + dir) * n;
    for (int i = 0; i < 2; i++) {
        const int id = r->s->in[1 + i];
        float *to = i ? m->memory : m->hidden;
        if (id >= 0)
            memcpy(to, r->f->value[id].data + at, (size_t)n * sizeof(*to));
        else
            memset(to, 0, (size_t)n * sizeof(*to));
    }
}

static void
keep_state(const struct rnn *r, int dir, const struct room *m, const float *last)
{
    const int64_t n = r->b * r->h, at = (r->layer * r->dirs + dir) * n;
    if (r->s->n_out > 1)
        for (int64_t b = 0; b < r->b; b++)
            memcpy(r->f->value[r->s->out[1]].data + at + b * r->h, last + b * r->dirs * r->h,
                   (size_t)r->h * sizeof(*last));
    if (r->s->n_out > 2)
        memcpy(r->f->value[r->s->out[2]].data + at, m->memory, (size_t)n * sizeof(float));
}

/* All times of a direction; the state of a time is the output of the time before. */
static void
recur(void *arg, int64_t dir, int member)
{
    struct rnn *r = arg;
    const struct direction *d = &r->dir[r->layer * r->dirs + dir];
    const struct room m = room_of(r, (int)dir);
    const int64_t width = GATES * r->h, y_row = r->dirs * r->h;
    struct qk_conv_args a = product(r, d->packed[1], r->zero, r->h, r->b);
    (void)member;
    set_state(r, (int)dir, &m);
    a.x = m.hidden;
    a.y = m.gate;
    for (int64_t i = 0; i < r->t; i++) {
        const int64_t t = dir ? r->t - 1 - i : i;
        float *y = r->y + t * r->b * y_row + dir * r->h;
        a.add = m.gates + t * r->b * width;
        r->f->k->conv(&a, 0, (a.oc_blocks + 1) / 2, 0, 1, 0, (int)r->b);
        for (int64_t b = 0; b < r->b; b++)
            r->f->k->lstm((int)r->h, m.gate + b * width, m.memory + b * r->h, y + b * y_row);
        a.x = y;
        a.x_pixel = y_row;
    }
    keep_state(r, (int)dir, &m, a.x);
}

void
qs_run_RNN(struct qs_fast *f, struct step *s)
{
    struct rnn *r = s->rnn;
    float *room = f->value[s->scratch].data;
    r->f = f;
    r->s = s;
    r->x = f->value[s->in[0]].data;
    for (r->layer = 0; r->layer < r->layers; r->layer++) {
        r->y =
            r->layer == r->layers - 1 ? f->value[s->y].data : room + r->layer % 2 * layer_floats(r);
        qs_team_run(f->team, (int64_t)r->dirs * PARTS, project, r);
        qs_team_run(f->team, r->dirs, recur, r);
        r->x = r->y;
    }
}
