/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/exec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "engine/check.h"
#include "engine/pool.h"
#include "kernels/gemm.h"
#include "model/infer.h"

/* What is known of a block before it runs. */
struct block_plan {
    int32_t **dead; /* [n_node] variables that no later node of the block uses */
    int *n_dead;
};

struct qs_exec {
    const struct qs_model *m;
    struct qs_arena arena; /* plan */
    struct block_plan *block;
    bool *reached; /* [n_block] */
    int32_t *in_var, *out_var;
    int n_in, n_out;
    struct qs_value *param; /* [n_var] data NULL: not a parameter that is read */
    int64_t param_bytes;
    bool scalars_are_1d;
    /* the run */
    struct qs_value *var, *out;
    struct qs_pool pool;
    struct qs_shapes shapes; /* var and arena are used */
    struct qs_arena lods;
    const struct qs_watch *watch;
    int depth;
};

/* Lifetimes */

struct uses {
    int32_t *last; /* [n_var] the last node of the block that uses it; -1: none */
    int32_t *used; /* [n_used] variables that have one */
    int n_used;
};

static void
note_slot(const struct qs_exec *e, const struct qs_slot *s, int64_t block, int32_t node,
          struct uses *u)
{
    for (int i = 0; i < s->n; i++) {
        const int32_t var = s->var[i];
        if (e->m->var[var].block != block || e->param[var].data)
            continue;
        if (u->last[var] < 0)
            u->used[u->n_used++] = var;
        u->last[var] = node;
    }
}

/* Uses of variables of `block` by a node that runs as node `at` of it or as a part of that. */
static void
note_node(const struct qs_exec *e, const struct qs_node *node, int64_t block, int32_t at,
          struct uses *u)
{
    const int64_t sub = qs_node_sub_block(e->m, node);
    for (int s = 0; s < node->n_in; s++)
        note_slot(e, &node->in[s], block, at, u);
    for (int s = 0; s < node->n_out; s++)
        note_slot(e, &node->out[s], block, at, u);
    for (int32_t i = 0; sub >= 0 && i < e->m->block[sub].n_node; i++)
        note_node(e, &e->m->block[sub].node[i], block, at, u);
}

static void
plan_block(struct qs_exec *e, int64_t id, struct uses *u)
{
    const struct qs_block *b = &e->m->block[id];
    struct block_plan *p = &e->block[id];
    const size_t n = (size_t)b->n_node + 1;
    p->dead = qs_arena_calloc(&e->arena, n, sizeof(*p->dead));
    p->n_dead = qs_arena_calloc(&e->arena, n, sizeof(*p->n_dead));
    u->n_used = 0;
    for (int32_t i = 0; i < b->n_node; i++)
        note_node(e, &b->node[i], id, i, u);
    for (int i = 0; i < u->n_used; i++)
        p->n_dead[u->last[u->used[i]]]++;
    for (int32_t i = 0; i < b->n_node; i++)
        p->dead[i] = qs_arena_calloc(&e->arena, (size_t)p->n_dead[i], sizeof(**p->dead));
    memset(p->n_dead, 0, n * sizeof(*p->n_dead));
    for (int i = 0; i < u->n_used; i++) {
        const int32_t var = u->used[i], at = u->last[var];
        p->dead[at][p->n_dead[at]++] = var;
        u->last[var] = -1;
    }
}

static void
plan_blocks(struct qs_exec *e)
{
    const size_t n = (size_t)e->m->n_var + 1;
    struct uses u = {.last = qs_xcalloc(n, sizeof(*u.last)),
                     .used = qs_xcalloc(n, sizeof(*u.used))};
    for (int32_t v = 0; v < e->m->n_var; v++)
        u.last[v] = -1;
    for (int b = 0; b < e->m->n_block; b++)
        if (e->reached[b])
            plan_block(e, b, &u);
    free(u.last);
    free(u.used);
}

/* Parameters */

/* Gives a value its dims; false when they do not fit. */
static bool
set_dims(struct qs_value *v, int32_t dtype, int n, const int64_t *d)
{
    if (n < 0 || n > QS_RANK_MOST || qs_dtype_bytes(dtype) == 0)
        return false;
    v->dtype = dtype;
    v->n = n;
    v->count = 1;
    for (int i = 0; i < n; i++) {
        if (d[i] < 0 || d[i] > QS_DIM_MOST)
            return false;
        v->d[i] = d[i];
        v->count = qs_mul_sat(v->count, d[i]);
        if (v->count > QS_COUNT_MOST)
            return false;
    }
    return true;
}

static enum qs_err
load_param(struct qs_ctx *cx, struct qs_exec *e, int32_t id)
{
    const struct qs_var *var = &e->m->var[id];
    const struct qs_tensor *t = var->data;
    struct qs_value *v = &e->param[id];
    if (!set_dims(v, t->dtype, t->n_dims, t->dims) ||
        (size_t)v->count * (size_t)qs_dtype_bytes(v->dtype) > t->bytes)
        return qs_fail(cx, QS_ERR_FORMAT, _("cannot run with parameter '%s': unusual shape"),
                       var->name);
    const size_t bytes = (size_t)v->count * (size_t)qs_dtype_bytes(v->dtype);
    const enum qs_err err = qs_buf_new(cx, bytes, &v->buf);
    if (err)
        return err;
    memcpy(v->buf->data, t->buf->data + t->offset, bytes);
    qs_buf_advise(t->buf, t->offset, bytes, 0);
    v->data = v->buf->data;
    return QS_OK;
}

struct params {
    struct qs_exec *e;
    int32_t *id;
    int n;
};

static enum qs_err
load_one(struct qs_ctx *cx, void *arg, int64_t i)
{
    const struct params *p = arg;
    return load_param(cx, p->e, p->id[i]);
}

static void
collect_params(struct params *p, const struct qs_node *node, bool *seen)
{
    const struct qs_model *m = p->e->m;
    for (int s = 0; s < node->n_in; s++)
        for (int i = 0; i < node->in[s].n; i++) {
            const int32_t id = node->in[s].var[i];
            if (!seen[id] && qs_var_is_param(&m->var[id]) && m->var[id].data)
                p->id[p->n++] = id;
            seen[id] = true;
        }
}

static enum qs_err
load_params(struct qs_ctx *cx, struct qs_exec *e)
{
    const struct qs_model *m = e->m;
    const size_t n = (size_t)m->n_var + 1;
    struct params p = {.e = e, .id = qs_xcalloc(n, sizeof(*p.id))};
    bool *seen = qs_xcalloc(n, sizeof(*seen));
    for (int b = 0; b < m->n_block; b++)
        for (int i = 0; e->reached[b] && i < m->block[b].n_node; i++)
            collect_params(&p, &m->block[b].node[i], seen);
    const enum qs_err err = qs_parallel_for(cx, p.n, load_one, &p);
    for (int i = 0; i < p.n; i++)
        e->param_bytes += e->param[p.id[i]].buf ? (int64_t)e->param[p.id[i]].buf->size : 0;
    free(p.id);
    free(seen);
    return err;
}

/* The run */

static void
drop_value(struct qs_exec *e, struct qs_value *v)
{
    if (v->buf)
        qs_pool_drop(&e->pool, v->buf);
    *v = (struct qs_value){0};
}

static void
take_value(struct qs_exec *e, struct qs_value *to, const struct qs_value *from)
{
    struct qs_value copy = *from; /* may be the value itself */
    if (copy.buf)
        qs_buf_ref(copy.buf);
    drop_value(e, to);
    *to = copy;
}

/* Offsets that a forward function made are kept for the run. */
static void
keep_lod(struct qs_exec *e, struct qs_value *v)
{
    if (v->lod && v->n_lod > 0)
        v->lod = (const int64_t *)(const void *)qs_arena_memdup(&e->lods, v->lod,
                                                                (size_t)v->n_lod * sizeof(*v->lod));
}

static int
count_outputs(const struct qs_node *node)
{
    int n = 0;
    for (int s = 0; s < node->n_out; s++)
        n += node->out[s].n;
    return n;
}

static enum qs_err
make_value(struct qs_step *st, struct qs_value *v, int32_t dtype, int n, const int64_t *d)
{
    struct qs_exec *e = st->run;
    drop_value(e, v);
    if (!set_dims(v, dtype, n, d)) {
        *v = (struct qs_value){0};
        return qs_step_fail(st, _("the shape or type of an output is out of range"));
    }
    const size_t bytes = (size_t)v->count * (size_t)qs_dtype_bytes(dtype);
    const enum qs_err err = qs_pool_take(st->cx, &e->pool, bytes, &v->buf);
    if (err)
        *v = (struct qs_value){0};
    else
        v->data = v->buf->data;
    return err;
}

/* qs_step.make */
static enum qs_err
make_output(struct qs_step *st, int32_t var, int32_t dtype, int n, const int64_t *d)
{
    struct qs_exec *e = st->run;
    struct qs_value *out = st->out;
    for (int s = 0; s < st->node->n_out; s++)
        for (int i = 0; i < st->node->out[s].n; i++, out++)
            if (st->node->out[s].var[i] == var)
                return make_value(st, out, dtype, n, d);
    return make_value(st, &e->var[var], dtype, n, d);
}

/* Elements of a small tensor of integers (of any type), for rules that follow values. */
static const int64_t *
small_values(struct qs_exec *e, const struct qs_value *v)
{
    const bool real = v->dtype == QS_DTYPE_float32 || v->dtype == QS_DTYPE_float64;
    if (v->count > QS_SHAPE_VALUES_MOST ||
        (!real && v->dtype != QS_DTYPE_int32 && v->dtype != QS_DTYPE_int64))
        return NULL;
    for (int64_t i = 0; real && i < v->count; i++) {
        const double x = qs_value_real(v, i);
        if (!(x > -9e15 && x < 9e15) || x != (double)(int64_t)x)
            return NULL;
    }
    int64_t *out = qs_arena_alloc(&e->shapes.arena, ((size_t)v->count + 1) * sizeof(*out));
    for (int64_t i = 0; i < v->count; i++)
        out[i] = qs_value_int(v, i);
    return out;
}

static void
set_input_shape(struct qs_exec *e, int32_t id)
{
    const struct qs_value *v = &e->var[id];
    struct qs_shape *x = &e->shapes.var[id];
    *x = (struct qs_shape){.known = v->data != NULL, .dtype = v->dtype, .n = v->n};
    memcpy(x->d, v->d, sizeof(x->d));
    if (x->known)
        x->value = small_values(e, v);
}

/* Runs the shape rule and makes a tensor for every output it set. */
static enum qs_err
make_outputs(struct qs_step *st, int n_out)
{
    struct qs_exec *e = st->run;
    const struct qs_node *node = st->node;
    struct qs_shape *shape = qs_arena_calloc(st->scratch, (size_t)n_out + 1, sizeof(*shape));
    for (int s = 0; s < node->n_in; s++)
        for (int i = 0; i < node->in[s].n; i++)
            set_input_shape(e, node->in[s].var[i]);
    enum qs_err err = qs_infer_node(st->cx, e->m, node, &e->shapes, e->scalars_are_1d, shape);
    for (int i = 0; i < n_out && !err; i++)
        if (shape[i].known)
            err = make_value(st, &st->out[i], shape[i].dtype, shape[i].n, shape[i].d);
    if (e->shapes.arena.used > 0)
        qs_arena_release(&e->shapes.arena);
    return err;
}

/* Operators whose output is their input with other dims share its memory. */
static bool
is_view(const struct qs_node *node)
{
    static const char *const types[] = {
        "assign",   "flatten",   "flatten2",   "flatten_contiguous_range",
        "reshape",  "reshape2",  "share_data", "squeeze",
        "squeeze2", "unsqueeze", "unsqueeze2",
    };
    for (size_t i = 0; i < QS_LEN(types); i++)
        if (strcmp(types[i], node->type) == 0)
            return true;
    return strcmp(node->type, "dropout") == 0 &&
           strcmp(qs_attr_str(node, "dropout_implementation", ""), "upscale_in_train") == 0;
}

static bool
share_input(struct qs_step *st)
{
    struct qs_exec *e = st->run;
    const struct qs_value *x = qs_step_in(st, "X", 0);
    struct qs_value *y = qs_step_out(st, "Out", 0);
    if (!is_view(st->node) || !x || !y || !x->buf || x->count != y->count || x->dtype != y->dtype)
        return false;
    qs_pool_drop(&e->pool, y->buf);
    y->buf = qs_buf_ref(x->buf);
    y->data = x->data;
    return true;
}

/* Rows that belong together in an input belong together in an output of as many rows. */
static void
pass_lod(struct qs_step *st, int n_out)
{
    for (int s = 0; s < st->node->n_in; s++)
        for (int i = 0; i < st->node->in[s].n; i++) {
            const struct qs_value *x = &st->var[st->node->in[s].var[i]];
            if (!x->lod)
                continue;
            for (int o = 0; o < n_out; o++)
                if (st->out[o].data && !st->out[o].lod && st->out[o].n > 0 &&
                    st->out[o].d[0] == x->d[0]) {
                    st->out[o].lod = x->lod;
                    st->out[o].n_lod = x->n_lod;
                }
            return;
        }
}

static enum qs_err
commit(struct qs_step *st, int32_t number, bool watched)
{
    struct qs_exec *e = st->run;
    struct qs_value *out = st->out;
    enum qs_err err = QS_OK;
    for (int s = 0; s < st->node->n_out; s++)
        for (int i = 0; i < st->node->out[s].n; i++, out++) {
            const int32_t id = st->node->out[s].var[i];
            if (out->data) {
                take_value(e, &e->var[id], out);
            }
            if (watched && !err && e->var[id].data)
                err = e->watch->made(st->cx, e->watch->arg, number, id, &e->var[id]);
        }
    return err;
}

static enum qs_err run_block(struct qs_step *st, int64_t block);

static enum qs_err
compute(struct qs_step *st, int n_out)
{
    enum qs_err err = QS_OK;
    if (qs_node_sub_block(st->model, st->node) < 0)
        err = make_outputs(st, n_out);
    if (!err && !share_input(st))
        err = st->node->op->forward(st);
    if (err)
        return err;
    for (int i = 0; i < n_out; i++)
        keep_lod(st->run, &st->out[i]);
    pass_lod(st, n_out);
    return QS_OK;
}

static enum qs_err
run_node(struct qs_ctx *cx, struct qs_exec *e, int64_t block, int32_t number)
{
    const struct qs_node *node = &e->m->block[block].node[number];
    const int n_out = count_outputs(node);
    struct qs_arena scratch; /* of its own: a node with a sub-block outlives inner ones */
    struct qs_step st = {.cx = cx,
                         .model = e->m,
                         .node = node,
                         .var = e->var,
                         .scratch = &scratch,
                         .scalars_are_1d = e->scalars_are_1d,
                         .make = make_output,
                         .run_block = run_block,
                         .run = e};
    qs_arena_init(&scratch);
    st.out = qs_xcalloc((size_t)n_out + 1, sizeof(*st.out));
    enum qs_err err = compute(&st, n_out);
    if (err)
        err = qs_infer_name_node(cx, e->m, node, number);
    else
        err = commit(&st, number, block == 0 && e->watch);
    for (int i = 0; i < n_out; i++)
        drop_value(e, &st.out[i]);
    free(st.out);
    qs_arena_release(&scratch);
    return err;
}

static void
fetch(struct qs_exec *e, const struct qs_node *node)
{
    const int32_t id = qs_node_input(node, "X", 0);
    for (int i = 0; i < e->n_out; i++)
        if (e->out_var[i] == id && id >= 0 && e->var[id].data)
            take_value(e, &e->out[i], &e->var[id]);
}

static enum qs_err
run_nodes(struct qs_ctx *cx, struct qs_exec *e, int64_t id)
{
    const struct qs_block *b = &e->m->block[id];
    const struct block_plan *p = &e->block[id];
    enum qs_err err = QS_OK;
    for (int32_t i = 0; i < b->n_node && !err; i++) {
        err = qs_check_cancel(cx);
        if (!err && strcmp(b->node[i].type, "fetch") == 0)
            fetch(e, &b->node[i]);
        else if (!err && !qs_node_is_port(&b->node[i]))
            err = run_node(cx, e, id, i);
        for (int k = 0; k < p->n_dead[i]; k++)
            drop_value(e, &e->var[p->dead[i][k]]);
    }
    return err;
}

/* qs_step.run_block */
static enum qs_err
run_block(struct qs_step *st, int64_t block)
{
    struct qs_exec *e = st->run;
    if (block < 1 || block >= e->m->n_block || !e->reached[block])
        return qs_step_fail(st, _("there is no block %" PRId64), block);
    if (e->depth == QS_BLOCK_DEPTH_MOST)
        return qs_step_fail(st, _("blocks are nested more than %d deep"), QS_BLOCK_DEPTH_MOST);
    e->depth++;
    const enum qs_err err = run_nodes(st->cx, e, block);
    e->depth--;
    return err;
}

/* Entry */

static void
forget_run(struct qs_exec *e)
{
    for (int32_t i = 0; i < e->m->n_var; i++)
        drop_value(e, &e->var[i]);
    for (int i = 0; i < e->n_out; i++)
        drop_value(e, &e->out[i]);
    qs_arena_release(&e->lods);
    qs_arena_init(&e->lods);
}

static void
start_run(struct qs_exec *e, const struct qs_value *in)
{
    forget_run(e);
    for (int32_t i = 0; i < e->m->n_var; i++)
        if (e->param[i].data)
            take_value(e, &e->var[i], &e->param[i]);
    for (int i = 0; i < e->n_in; i++) {
        struct qs_value *v = &e->var[e->in_var[i]];
        drop_value(e, v);
        *v = in[i];
        v->buf = NULL;
    }
}

/* Only the outputs and the pool's high-water mark outlive a run. */
static void
end_run(struct qs_exec *e)
{
    for (int32_t i = 0; i < e->m->n_var; i++)
        drop_value(e, &e->var[i]);
    /* an output that is an input borrows from the caller */
    for (int i = 0; i < e->n_out; i++)
        if (!e->out[i].buf)
            e->out[i] = (struct qs_value){0};
}

/* An output that the program passes straight through from an input. */
static enum qs_err
own_outputs(struct qs_ctx *cx, struct qs_exec *e)
{
    for (int i = 0; i < e->n_out; i++) {
        struct qs_value *v = &e->out[i];
        if (!v->data || v->buf)
            continue;
        const size_t bytes = (size_t)v->count * (size_t)qs_dtype_bytes(v->dtype);
        const void *from = v->data;
        const enum qs_err err = qs_pool_take(cx, &e->pool, bytes, &v->buf);
        if (err)
            return err;
        v->data = v->buf->data;
        memcpy(v->data, from, bytes);
    }
    return QS_OK;
}

enum qs_err
qs_exec_run(struct qs_ctx *cx, struct qs_exec *e, const struct qs_value *in, int n,
            const struct qs_watch *watch)
{
    enum qs_err err = qs_check_inputs(cx, e->m, in, n);
    if (err)
        return err;
    start_run(e, in);
    e->watch = watch;
    err = run_nodes(cx, e, 0);
    if (!err)
        err = own_outputs(cx, e);
    end_run(e);
    return err;
}

static void
find_ports(struct qs_exec *e)
{
    e->n_in = qs_model_inputs(e->m, NULL, 0);
    e->n_out = qs_model_outputs(e->m, NULL, 0);
    e->in_var = qs_arena_calloc(&e->arena, (size_t)e->n_in + 1, sizeof(*e->in_var));
    e->out_var = qs_arena_calloc(&e->arena, (size_t)e->n_out + 1, sizeof(*e->out_var));
    qs_model_inputs(e->m, e->in_var, e->n_in);
    qs_model_outputs(e->m, e->out_var, e->n_out);
}

enum qs_err
qs_exec_new(struct qs_ctx *cx, const struct qs_model *m, struct qs_exec **out)
{
    struct qs_exec *e = qs_xcalloc(1, sizeof(*e));
    const size_t n_var = (size_t)m->n_var + 1;
    e->m = m;
    qs_arena_init(&e->arena);
    qs_arena_init(&e->shapes.arena);
    qs_arena_init(&e->lods);
    qs_pool_init(&e->pool);
    qk_sgemm_start(); /* while no thread of ours runs */
    e->scalars_are_1d = qs_infer_scalars_are_1d(m);
    e->block = qs_arena_calloc(&e->arena, (size_t)m->n_block + 1, sizeof(*e->block));
    e->reached = qs_arena_calloc(&e->arena, (size_t)m->n_block + 1, sizeof(*e->reached));
    e->param = qs_arena_calloc(&e->arena, n_var, sizeof(*e->param));
    e->var = qs_arena_calloc(&e->arena, n_var, sizeof(*e->var));
    e->shapes.var = qs_arena_calloc(&e->arena, n_var, sizeof(*e->shapes.var));
    find_ports(e);
    e->out = qs_arena_calloc(&e->arena, (size_t)e->n_out + 1, sizeof(*e->out));
    enum qs_err err = qs_check_operators(cx, m, e->reached);
    if (!err)
        err = load_params(cx, e);
    if (err) {
        qs_exec_free(e);
        return err;
    }
    plan_blocks(e);
    *out = e;
    return QS_OK;
}

void
qs_exec_free(struct qs_exec *e)
{
    if (!e)
        return;
    forget_run(e);
    for (int32_t i = 0; i < e->m->n_var; i++)
        qs_buf_unref(e->param[i].buf);
    qs_pool_release(&e->pool);
    qs_arena_release(&e->shapes.arena);
    qs_arena_release(&e->lods);
    qs_arena_release(&e->arena);
    free(e);
}

int
qs_exec_n_out(const struct qs_exec *e)
{
    return e->n_out;
}

const struct qs_value *
qs_exec_out(const struct qs_exec *e, int i)
{
    return &e->out[i];
}

int64_t
qs_exec_peak_bytes(const struct qs_exec *e)
{
    return (int64_t)e->pool.most_bytes;
}

int64_t
qs_exec_param_bytes(const struct qs_exec *e)
{
    return e->param_bytes;
}
