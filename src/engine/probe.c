/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A probe is a fast plan (lower.h) whose inputs have memory of their own, so that any step can be
 * run again. Variants are weights packed for the layer's step, and a copy of its input that is
 * rounded just before the step; what else reads that input sees it untouched. Or they are a step on
 * integers in the place of the plan's (probe_i8.h).
 */
#include "engine/probe.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "engine/cut.h"
#include "engine/probe_i8.h"

struct variant {
    float *packed; /* weights of a lowered step */
    int value;     /* constant that a FORWARD step reads */
    bool same;     /* as those of an earlier variant */
    bool rounds;
    struct qk_round round;
    struct qs_probe_i8 *integers; /* NULL: in floats */
};

struct layer {
    int step;
    int w_at, x_at; /* FORWARD: place of weight and activation among the step's inputs; -1 */
    int rnn_at;     /* RNN: number of the weight; -1 */
    int rounded;    /* value that stands in for the input; -1: no variant rounds it */
    int n_variant;  /* the untouched one counts */
    struct variant *variant;
};

/* What a probe and its shares have together. */
struct family {
    atomic_int refs;
    struct layer *layer;
    int n_layer;
    int64_t param_floats; /* of variants */
    int64_t rounded_floats, shown_floats;
    struct qs_cut *cut; /* the plan is of its first part; NULL: of the model */
};

struct qs_probe {
    struct family *family;
    struct qs_fast *f;
    int *set; /* [n_layer] variant in force */
    int at;   /* step that runs next */
    int next; /* first layer whose step is not before `at` */
    float *rounded, *shown;
    struct qs_value out;              /* of qs_probe_layer_out */
    struct qs_exec *rest;             /* of a model in two; NULL */
    struct qs_value *given, *between; /* what it reads: inputs as they were given, all */
};

/* ---- layers ---- */

/* Place of a variable among all inputs of a node; -1. */
static int
place_of(const struct qs_node *node, int32_t var)
{
    int k = 0;
    for (int i = 0; i < node->n_in; i++)
        for (int j = 0; j < node->in[i].n; j++, k++)
            if (node->in[i].var[j] == var)
                return k;
    return -1;
}

static bool
is_float_param(const struct qs_fast *f, int id)
{
    return id >= 0 && f->value[id].param && f->value[id].dtype == QS_DTYPE_float32;
}

/* The step that begins with the node; -1. */
static int
step_of(const struct qs_fast *f, const struct qs_node *node)
{
    for (int i = 0; i < f->n_step; i++)
        if (f->step[i].node == node)
            return i;
    return -1;
}

/* Whether the layer is a step whose weight and input can be replaced. */
static bool
find_layer(const struct qs_fast *f, const struct qs_cut *cut, const struct qs_probe_layer *from,
           struct layer *l)
{
    const int32_t number = cut ? qs_cut_find(cut, from->node) : from->node;
    const struct qs_node *node = number < 0 ? NULL : &f->m->block[0].node[number];
    l->step = node ? step_of(f, node) : -1;
    l->w_at = l->x_at = l->rnn_at = l->rounded = -1;
    if (l->step < 0)
        return false;
    const struct step *s = &f->step[l->step];
    if (s->kind == STEP_RNN)
        return (l->rnn_at = qs_rnn_find(f, s->rnn, from->var)) >= 0;
    if (s->kind != STEP_FORWARD)
        return s->w >= 0 && f->value[s->w].var == from->var;
    l->w_at = place_of(node, from->var);
    l->x_at = place_of(node, from->input);
    return l->w_at >= 0 && is_float_param(f, s->in[l->w_at]);
}

/* Where the layer's step has the value that it reads; NULL. */
static int *
input_place(struct step *s, const struct layer *l)
{
    if (s->kind == STEP_RNN)
        return &s->in[0];
    if (s->kind != STEP_FORWARD)
        return &s->x;
    return l->x_at >= 0 ? &s->in[l->x_at] : NULL;
}

/* That value; -1: none that can be rounded. */
static int
input_of(const struct qs_fast *f, const struct layer *l)
{
    const int *place = input_place(&f->step[l->step], l);
    const int x = place ? *place : -1;
    return x >= 0 && !f->value[x].param && f->value[x].dtype == QS_DTYPE_float32 ? x : -1;
}

static bool
is_main(const char *slot)
{
    return strcmp(slot, "Out") == 0 || strcmp(slot, "Hidden") == 0;
}

/* What a step makes: of operators with side outputs the one that counts; -1. */
static int
made_by(const struct step *s)
{
    int found = s->y, k = 0;
    for (int i = 0; s->kind == STEP_FORWARD && i < s->node->n_out; i++)
        for (int j = 0; j < s->node->out[i].n; j++, k++)
            if (s->out[k] >= 0 && (found < 0 || (j == 0 && is_main(s->node->out[i].name))))
                found = s->out[k];
    return found;
}

/* Images of a value lie `image` floats apart. */
static int64_t
image_floats(const struct value *v)
{
    return v->layout == PLAIN ? v->count : v->blocks * v->block;
}

static int64_t
n_images(const struct value *v)
{
    return v->layout == PLAIN ? 1 : v->d[0];
}

/* A value laid out as x that has no place in the plan's memory. */
static int
value_like(struct qs_fast *f, int x)
{
    const int id = qs_lower_value(f);
    const struct value plain = f->value[id];
    struct value *v = &f->value[id];
    *v = f->value[x];
    v->made = v->input = v->output = v->alias = v->part_of = v->first = v->last = -1;
    v->param_data = plain.param_data;
    v->pack = NULL; /* that of x has the copy of x */
    v->data = NULL;
    return id;
}

static void
set_rounding(struct qs_fast *f, struct family *y, struct layer *l, int x)
{
    const struct value *v = &f->value[x];
    const int64_t floats = (n_images(v) - 1) * v->image + image_floats(v);
    if (floats > y->rounded_floats)
        y->rounded_floats = floats;
    if (l->rounded < 0)
        l->rounded = value_like(f, x);
}

static enum qs_err
cannot_switch(struct qs_ctx *cx, const struct qs_fast *f, const struct qs_probe_layer *from)
{
    return qs_fail(cx, QS_ERR_UNSUPPORTED, _("layer '%s' cannot be tried alone"),
                   f->m->var[from->var].name);
}

static enum qs_err
add_layer(struct qs_ctx *cx, struct qs_fast *f, struct family *y, const struct qs_probe_layer *from)
{
    struct layer *l = &y->layer[y->n_layer];
    if (!find_layer(f, y->cut, from, l) || made_by(&f->step[l->step]) < 0 ||
        (y->n_layer > 0 && l->step < l[-1].step))
        return cannot_switch(cx, f, from);
    const struct step *s = &f->step[l->step];
    const bool forward = s->kind == STEP_FORWARD;
    const int w = forward ? s->in[l->w_at] : s->w, x = input_of(f, l);
    l->n_variant = from->n_variant + 1;
    l->variant = qs_arena_calloc(&f->arena, (size_t)l->n_variant, sizeof(*l->variant));
    l->variant[0] = (struct variant){.packed = s->packed, .value = w, .same = true};
    y->n_layer++;
    for (int i = 1; i < l->n_variant; i++) {
        const struct qs_probe_variant *given = &from->variant[i - 1];
        struct variant *v = &l->variant[i];
        v->rounds = given->threshold > 0;
        if (v->rounds && x < 0)
            return cannot_switch(cx, f, from);
        if (v->rounds && given->weight && given->integers && !forward)
            v->integers = qs_probe_i8_new(f, s, given->integers, given->threshold, given->bits);
        if (v->integers && v->integers->floats > y->rounded_floats)
            y->rounded_floats = v->integers->floats;
        if (v->rounds && !v->integers) {
            v->round = qk_round_of(given->threshold, given->bits);
            set_rounding(f, y, l, x);
        }
        v->value = forward && given->weight ? value_like(f, w) : w;
    }
    const struct value *out = &f->value[made_by(&f->step[l->step])];
    if (out->layout != PLAIN && out->count > y->shown_floats)
        y->shown_floats = out->count;
    return QS_OK;
}

/* ---- weights ---- */

struct packing {
    struct qs_fast *f;
    struct family *y;
    const struct qs_probe_layer *layer;
};

static enum qs_err
pack_variant(struct qs_ctx *cx, const struct packing *p, const struct layer *l, const float *w,
             struct variant *v)
{
    const struct step *s = &p->f->step[l->step];
    if (s->kind == STEP_RNN)
        return qs_rnn_pack(cx, p->f, s->rnn, l->rnn_at, w, &v->packed);
    if (s->kind != STEP_FORWARD)
        return qs_fast_pack(cx, p->f, s, w, &v->packed);
    struct value *to = &p->f->value[v->value];
    const enum qs_err err = qs_floats_new(cx, to->count, &to->param_data);
    if (!err)
        memcpy(to->param_data, w, (size_t)to->count * sizeof(*w));
    return err;
}

/* All variants of layer i; weights given twice are packed once. */
static enum qs_err
pack_layer(struct qs_ctx *cx, void *arg, int64_t i)
{
    const struct packing *p = arg;
    const struct layer *l = &p->y->layer[i];
    const struct qs_probe_variant *given = p->layer[i].variant;
    enum qs_err err = QS_OK;
    for (int k = 1; k < l->n_variant && !err; k++) {
        const float *w = given[k - 1].weight;
        struct variant *v = &l->variant[k];
        if (v->integers) {
            err = qs_probe_i8_pack(cx, p->f, v->integers);
            continue;
        }
        int first = w ? 1 : 0;
        while (first > 0 && first < k &&
               (given[first - 1].weight != w || l->variant[first].integers))
            first++;
        v->same = first < k;
        if (v->same) {
            v->packed = l->variant[first].packed;
            v->value = l->variant[first].value;
        } else {
            err = pack_variant(cx, p, l, w, v);
        }
    }
    return err;
}

/* Floats of the weights of a variant. */
static int64_t
variant_floats(const struct qs_fast *f, const struct layer *l, const struct variant *v)
{
    const struct step *s = &f->step[l->step];
    return s->kind == STEP_FORWARD ? f->value[v->value].count
           : s->kind == STEP_RNN   ? qs_rnn_packed(f, s->rnn, l->rnn_at)
                                   : qs_fast_packed(f, s);
}

static void
count_params(const struct qs_fast *f, struct family *y)
{
    for (int i = 0; i < y->n_layer; i++) {
        const struct layer *l = &y->layer[i];
        for (int k = 0; k < l->n_variant; k++)
            if (l->variant[k].integers)
                y->param_floats += l->variant[k].integers->step.pack->floats;
            else if (!l->variant[k].same)
                y->param_floats += variant_floats(f, l, &l->variant[k]);
    }
}

/* ---- making ---- */

static void
drop_variant(struct qs_packs *packs, struct variant *v)
{
    if (v->integers)
        qs_packs_drop(packs, v->integers->step.pack);
    if (!v->same)
        free(v->packed);
}

static void
drop_family(struct family *y, struct qs_packs *packs)
{
    for (int i = 0; i < y->n_layer; i++)
        for (int k = 1; k < y->layer[i].n_variant; k++)
            drop_variant(packs, &y->layer[i].variant[k]);
    free(y->layer);
    free(y);
}

/* Steps whose inputs are replaced get a list of their own. */
static void
own_inputs(const struct family *y, struct qs_fast *f)
{
    for (int i = 0; i < y->n_layer; i++) {
        struct step *s = &f->step[y->layer[i].step];
        const size_t bytes = (size_t)s->n_in * sizeof(*s->in);
        if (s->kind == STEP_FORWARD || s->kind == STEP_RNN)
            s->in = (void *)qs_arena_memdup(&f->arena, s->in, bytes);
    }
}

/* The parts that every probe has of its own. */
static enum qs_err
make_probe(struct qs_ctx *cx, struct family *y, struct qs_fast *f, struct qs_probe **out)
{
    struct qs_probe *p = qs_xcalloc(1, sizeof(*p));
    p->family = y;
    p->f = f;
    p->set = qs_xcalloc((size_t)y->n_layer + 1, sizeof(*p->set));
    *out = p;
    own_inputs(y, f);
    p->given = qs_xcalloc((size_t)f->n_in + 1, sizeof(*p->given));
    if (y->cut)
        p->between = qs_xcalloc((size_t)y->cut->n_in + 1, sizeof(*p->between));
    enum qs_err err = y->cut ? qs_exec_new(cx, y->cut->rest, &p->rest) : QS_OK;
    if (!err)
        err = qs_floats_new(cx, y->rounded_floats, &p->rounded);
    if (!err)
        err = qs_floats_new(cx, y->shown_floats, &p->shown);
    for (int i = 0; i < y->n_layer && !err; i++) {
        struct value *v = y->layer[i].rounded >= 0 ? &f->value[y->layer[i].rounded] : NULL;
        if (v)
            v->data = p->rounded + qs_place_first(v);
        for (int k = 1; k < y->layer[i].n_variant; k++)
            if (y->layer[i].variant[k].integers)
                qs_probe_i8_enter(f, y->layer[i].variant[k].integers, p->rounded);
        qs_probe_set(p, i, 0);
    }
    return err;
}

static bool
any_integers(const struct qs_probe_layer *layer, int n)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < layer[i].n_variant; k++)
            if (layer[i].variant[k].integers)
                return true;
    return false;
}

/* A plan of the model, or of the part of it that can be planned. */
static enum qs_err
plan_probe(struct qs_ctx *cx, const struct qs_model *m, const struct qs_value *in, int n,
           bool integers, struct qs_cut **cut, struct qs_fast **out)
{
    int32_t refused = -1;
    const struct qs_fast_options opt = {.whole_blocks = integers, .refused = &refused};
    enum qs_err err;
    *cut = NULL;
    for (;;) {
        err = qs_fast_plan(cx, *cut ? (*cut)->first : m, in, n, &opt, PLANNED_PROBE, out);
        if (err != QS_ERR_UNSUPPORTED || !qs_cut_retry(cut, m, refused))
            break;
        qs_clear(cx);
    }
    if (err)
        qs_cut_free(*cut);
    return err;
}

enum qs_err
qs_probe_new(struct qs_ctx *cx, const struct qs_model *m, const struct qs_value *in, int n,
             const struct qs_probe_layer *layer, int n_layer, struct qs_probe **out)
{
    struct qs_fast *f;
    struct qs_cut *cut;
    struct qs_probe *p = NULL;
    enum qs_err err = plan_probe(cx, m, in, n, any_integers(layer, n_layer), &cut, &f);
    if (err)
        return err;
    struct family *y = qs_xcalloc(1, sizeof(*y));
    y->cut = cut;
    atomic_init(&y->refs, 1);
    y->layer = qs_xcalloc((size_t)n_layer + 1, sizeof(*y->layer));
    for (int i = 0; i < n_layer && !err; i++)
        err = add_layer(cx, f, y, &layer[i]);
    struct packing packing = {f, y, layer};
    if (!err)
        err = qs_parallel_for(cx, n_layer, pack_layer, &packing);
    if (err) {
        drop_family(y, f->packs);
        qs_fast_free(f);
        qs_cut_free(cut);
        return err;
    }
    count_params(f, y);
    err = make_probe(cx, y, f, &p);
    if (err) {
        qs_probe_free(p);
        return err;
    }
    *out = p;
    return QS_OK;
}

enum qs_err
qs_probe_share(struct qs_ctx *cx, const struct qs_probe *p, struct qs_probe **out)
{
    struct qs_fast *f;
    struct qs_probe *made;
    enum qs_err err = qs_fast_share(cx, p->f, &f);
    if (err)
        return err;
    atomic_fetch_add(&p->family->refs, 1);
    err = make_probe(cx, p->family, f, &made);
    if (err) {
        qs_probe_free(made);
        return err;
    }
    *out = made;
    return QS_OK;
}

void
qs_probe_free(struct qs_probe *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->family->n_layer; i++)
        qs_probe_set(p, i, 0); /* the plan frees the weights it came with */
    struct qs_cut *cut = p->family->cut;
    qs_exec_free(p->rest);
    const bool last = atomic_fetch_sub(&p->family->refs, 1) == 1;
    if (last)
        drop_family(p->family, (p->f->root ? p->f->root : p->f)->packs);
    qs_fast_free(p->f);
    if (last)
        qs_cut_free(cut);
    free(p->given);
    free(p->between);
    free(p->rounded);
    free(p->shown);
    free(p->set);
    free(p);
}

void
qs_probe_set(struct qs_probe *p, int layer, int variant)
{
    const struct layer *l = &p->family->layer[layer];
    const struct variant *v = &l->variant[variant];
    struct step *s = &p->f->step[l->step];
    assert(variant >= 0 && variant < l->n_variant);
    p->set[layer] = variant;
    if (s->kind == STEP_FORWARD)
        s->in[l->w_at] = v->value;
    else if (s->kind == STEP_RNN)
        qs_rnn_set(s->rnn, l->rnn_at, v->packed);
    else
        s->args.w = s->packed = v->packed;
}

/* ---- running ---- */

/* Halos are rounded too: they stay zeros. */
static void
round_input(const struct qs_probe *p, const struct layer *l, const struct variant *v, int x)
{
    const struct value *from = &p->f->value[x];
    const int64_t halo = qs_place_first(from);
    for (int64_t i = 0; i < n_images(from); i++)
        p->f->k->round(&v->round, image_floats(from), from->data - halo + i * from->image,
                       p->f->value[l->rounded].data - halo + i * from->image);
}

int
qs_probe_first(const struct qs_probe *p, int layer)
{
    const struct layer *l = p->family->layer;
    while (layer > 0 && l[layer - 1].step == l[layer].step)
        layer--;
    return layer;
}

/* Runs the step of the next layer, and of others that it holds. */
static enum qs_err
run_layers(struct qs_ctx *cx, struct qs_probe *p)
{
    const struct family *y = p->family;
    const int at = y->layer[p->next].step;
    struct step *s = &p->f->step[at];
    const struct qs_probe_i8 *integers = NULL;
    int *x = NULL, untouched = -1;
    for (; p->next < y->n_layer && y->layer[p->next].step == at; p->next++) {
        const struct layer *l = &y->layer[p->next];
        const struct variant *v = &l->variant[p->set[p->next]];
        if (v->integers)
            integers = v->integers;
        if (v->integers || !v->rounds || x)
            continue;
        x = input_place(s, l);
        untouched = *x;
        round_input(p, l, v, untouched);
        *x = l->rounded;
    }
    if (integers)
        qs_probe_i8_run(p->f, integers);
    const enum qs_err err =
        integers ? qs_check_cancel(cx) : qs_fast_steps(cx, p->f, at, at + 1, NULL);
    if (x)
        *x = untouched;
    p->at = at + 1;
    return err;
}

static enum qs_err
run_to(struct qs_ctx *cx, struct qs_probe *p, int to)
{
    const struct family *y = p->family;
    enum qs_err err = QS_OK;
    while (p->at < to && !err) {
        const int next = p->next < y->n_layer ? y->layer[p->next].step : p->f->n_step;
        const int stop = next < to ? next : to;
        if (p->at == next) {
            err = run_layers(cx, p);
        } else {
            err = qs_fast_steps(cx, p->f, p->at, stop, NULL);
            p->at = stop;
        }
    }
    return err;
}

enum qs_err
qs_probe_begin(struct qs_ctx *cx, struct qs_probe *p, const struct qs_value *in, int n)
{
    const enum qs_err err = qs_fast_begin(cx, p->f, in, n, NULL);
    memcpy(p->given, in, (size_t)(err ? 0 : n) * sizeof(*in));
    p->at = p->next = 0;
    return err || p->family->n_layer == 0 ? err : run_to(cx, p, p->family->layer[0].step);
}

enum qs_err
qs_probe_step(struct qs_ctx *cx, struct qs_probe *p, int layer)
{
    assert(p->at <= p->family->layer[layer].step);
    return run_to(cx, p, p->family->layer[layer].step);
}

enum qs_err
qs_probe_layer_out(struct qs_ctx *cx, struct qs_probe *p, int layer, const struct qs_value **out)
{
    const int step = p->family->layer[layer].step;
    const struct value *y = &p->f->value[made_by(&p->f->step[step])];
    assert(p->at == step);
    const enum qs_err err = run_to(cx, p, step + 1);
    if (err)
        return err;
    p->out = qs_fast_plain_value(y);
    if (y->layout != PLAIN) {
        qs_image_to_plain(p->f, y, p->shown);
        p->out.data = p->shown;
    }
    *out = &p->out;
    return QS_OK;
}

static enum qs_err
run_rest(struct qs_ctx *cx, struct qs_probe *p)
{
    const struct qs_cut *c = p->family->cut;
    for (int i = 0; i < c->n_in; i++)
        p->between[i] = *(c->in[i].first ? qs_fast_out(p->f, c->in[i].i) : &p->given[c->in[i].i]);
    return qs_exec_run(cx, p->rest, p->between, c->n_in, NULL);
}

enum qs_err
qs_probe_finish(struct qs_ctx *cx, struct qs_probe *p)
{
    const enum qs_err err = run_to(cx, p, p->f->n_step);
    qs_fast_end(p->f);
    return err || !p->rest ? err : run_rest(cx, p);
}

int
qs_probe_n_out(const struct qs_probe *p)
{
    return p->rest ? p->family->cut->n_out : p->f->n_out;
}

const struct qs_value *
qs_probe_out(const struct qs_probe *p, int i)
{
    const struct qs_cut_port *port = p->rest ? &p->family->cut->out[i] : NULL;
    return !port         ? &p->f->out[i]
           : port->first ? qs_fast_out(p->f, port->i)
                         : qs_exec_out(p->rest, port->i);
}

/* ---- states ---- */

/* Whether a value was made (or given) before a step and is read at it or later. */
static bool
is_alive(const struct qs_fast *f, const struct value *v, int step)
{
    return qs_place_has_memory(f, v) && (v->first < step || v->input >= 0) && v->last >= step;
}

int64_t
qs_probe_state_bytes(const struct qs_probe *p, int layer)
{
    int64_t floats = 0;
    for (int i = 0; i < p->f->n_value; i++)
        if (is_alive(p->f, &p->f->value[i], p->family->layer[layer].step))
            floats += p->f->value[i].floats;
    return floats * (int64_t)sizeof(float);
}

void
qs_probe_save(const struct qs_probe *p, void *state)
{
    char *to = state;
    for (int i = 0; i < p->f->n_value; i++) {
        const struct value *v = &p->f->value[i];
        const size_t bytes = (size_t)v->floats * sizeof(float);
        if (!is_alive(p->f, v, p->at))
            continue;
        memcpy(to, p->f->memory + v->offset, bytes);
        to += bytes;
    }
}

void
qs_probe_load(struct qs_probe *p, int layer, const void *state)
{
    const char *from = state;
    p->at = p->family->layer[layer].step;
    p->next = qs_probe_first(p, layer);
    for (int i = 0; i < p->f->n_value; i++) {
        const struct value *v = &p->f->value[i];
        const size_t bytes = (size_t)v->floats * sizeof(float);
        if (!is_alive(p->f, v, p->at))
            continue;
        memcpy(p->f->memory + v->offset, from, bytes);
        from += bytes;
    }
}

/* ---- reports ---- */

int64_t
qs_probe_param_bytes(const struct qs_probe *p)
{
    return (p->f->param_floats + p->family->param_floats) * (int64_t)sizeof(float);
}

int64_t
qs_probe_tensor_bytes(const struct qs_probe *p)
{
    const int64_t floats =
        p->f->memory_floats + p->family->rounded_floats + p->family->shown_floats;
    return floats * (int64_t)sizeof(float) + (p->rest ? qs_exec_param_bytes(p->rest) : 0);
}
