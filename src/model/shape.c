/* SPDX-License-Identifier: Apache-2.0 */
#include "model/shape.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/infer.h"
#include "model/shape_input.h"

enum { DEPTH_MOST = 32 }; /* blocks within blocks */

/* Where the walk over the blocks is. */
struct qs_walk {
    bool *entered;  /* [n_block] followed already, or being followed */
    uint32_t *seen; /* [n_block] stamp of the last search for written variables */
    uint32_t stamp;
    int depth;
};

/* Outputs that inference writes nothing useful into: they neither count as unknown nor change
 * what is known of the variable (MeanOut is the parameter Mean itself). */
static const char *const side_output[] = {
    "BatchCellPreAct", "BatchGate",     "BatchHidden",  "BatchResetHiddenPrev",
    "DropoutState",    "Mask",          "Mean",         "MeanOut",
    "MidOut",          "Norm",          "OutAccum",     "OutScales",
    "OutState",        "Reserve",       "ReserveSpace", "SavedMean",
    "Scope",           "SavedVariance", "StepScopes",   "Variance",
    "VarianceOut",     "XShape",
};

static bool
is_side_output(const char *slot)
{
    for (size_t i = 0; i < QS_LEN(side_output); i++)
        if (strcmp(side_output[i], slot) == 0)
            return true;
    return false;
}

static bool
is_tensor(const struct qs_var *v)
{
    return v->container == QS_LOD_TENSOR;
}

/* Parameters */

static int64_t
read_int(const uint8_t *p, int bytes)
{
    int64_t v64 = 0;
    int32_t v32 = 0;
    if (bytes == 8)
        memcpy(&v64, p, sizeof(v64));
    else
        memcpy(&v32, p, sizeof(v32));
    return bytes == 8 ? v64 : v32;
}

/* The elements of a small int32 or int64 parameter; NULL for any other. */
static const int64_t *
param_value(struct qs_shapes *s, const struct qs_tensor *t)
{
    const int bytes = qs_dtype_bytes(t->dtype);
    const bool is_int = t->dtype == QS_DTYPE_int32 || t->dtype == QS_DTYPE_int64;
    if (!is_int || !t->buf || t->n < 0 || t->n > QS_SHAPE_VALUES_MOST)
        return NULL;
    if (t->bytes < (size_t)t->n * (size_t)bytes)
        return NULL;
    int64_t *value = qs_arena_calloc(&s->arena, (size_t)t->n + 1, sizeof(*value));
    for (int64_t i = 0; i < t->n; i++)
        value[i] = read_int(t->buf->data + t->offset + i * bytes, bytes);
    return value;
}

/* Whether dims are complete and small enough for the rules. */
static bool
set_dims(struct qs_shape *x, int n, const int64_t *d)
{
    int64_t count = 1;
    if (n < 0 || n > QS_RANK_MOST)
        return false;
    for (int i = 0; i < n; i++) {
        if (d[i] < 0 || d[i] > QS_DIM_MOST)
            return false;
        if (d[i] && (count = qs_mul_sat(count, d[i])) > QS_COUNT_MOST)
            return false;
        x->d[i] = d[i];
    }
    x->n = n;
    return x->known = true;
}

static void
set_param(struct qs_shapes *s, const struct qs_var *v, struct qs_shape *x)
{
    x->dtype = v->dtype;
    if (!v->data) {
        set_dims(x, v->n_dims, v->dims);
        return;
    }
    x->dtype = v->data->dtype;
    if (set_dims(x, v->data->n_dims, v->data->dims))
        x->value = param_value(s, v->data);
}

/* Costs */

static int
count_outputs(const struct qs_node *node)
{
    int n = 0;
    for (int i = 0; i < node->n_out; i++)
        n += node->out[i].n;
    return n;
}

static int64_t
shape_bytes(const struct qs_shape *x)
{
    return x->known ? qs_mul_sat(qs_shape_count(x), qs_dtype_bytes(x->dtype)) : 0;
}

/* Nodes with a sub-block list the parameters it reads; its own nodes count them. */
static bool
has_sub_block(const struct qs_node *node)
{
    const struct qs_attr *a = qs_node_attr(node, "sub_block");
    return a && a->type == QS_ATTR_BLOCK;
}

static void
add_param(const struct qs_infer *in, int32_t var, struct qs_node_cost *cost)
{
    const struct qs_var *v = &in->model->var[var];
    const struct qs_shape *x = &in->shapes->var[var];
    if (!qs_var_is_param(v) || (!v->data && !x->known))
        return;
    const int64_t n = v->data ? v->data->n : qs_shape_count(x);
    const int64_t bytes = v->data ? (int64_t)v->data->bytes : shape_bytes(x);
    cost->params = qs_add_sat(cost->params, n);
    cost->param_bytes = qs_add_sat(cost->param_bytes, bytes);
}

static void
count_params(const struct qs_infer *in, struct qs_node_cost *cost)
{
    const struct qs_node *node = in->node;
    if (has_sub_block(node))
        return;
    for (int s = 0; s < node->n_in; s++)
        for (int i = 0; i < node->in[s].n; i++)
            add_param(in, node->in[s].var[i], cost);
}

/* Whether every output that counts was set; sums their bytes and notes the first. */
static void
count_outs(const struct qs_infer *in, struct qs_node_cost *cost)
{
    const struct qs_shape *out = in->out;
    bool first = true;
    cost->known = true;
    for (int s = 0; s < in->node->n_out; s++) {
        const struct qs_slot *slot = &in->node->out[s];
        for (int i = 0; i < slot->n; i++, out++) {
            if (is_side_output(slot->name) || !is_tensor(&in->model->var[slot->var[i]]))
                continue;
            cost->known = cost->known && out->known;
            cost->out_bytes = qs_add_sat(cost->out_bytes, shape_bytes(out));
            if (first)
                cost->out = *out;
            first = false;
        }
    }
}

static void
count_macs(const struct qs_infer *in, struct qs_node_cost *cost)
{
    struct qs_shapes *s = in->shapes;
    const struct qs_op *op = in->node->op;
    if (!op || !op->macs)
        return;
    cost->macs = cost->known ? op->macs(in) : 0;
    if (!cost->known)
        s->macs = -1;
    else if (s->macs >= 0)
        s->macs = qs_add_sat(s->macs, cost->macs);
}

/* The walk */

static void
commit(struct qs_infer *in)
{
    const struct qs_shape *out = in->out;
    for (int s = 0; s < in->node->n_out; s++) {
        const struct qs_slot *slot = &in->node->out[s];
        const bool side = is_side_output(slot->name);
        for (int i = 0; i < slot->n; i++, out++)
            if (out->known || !side)
                in->shapes->var[slot->var[i]] = *out;
    }
}

enum qs_err
qs_infer_name_node(struct qs_ctx *cx, const struct qs_model *m, const struct qs_node *node,
                   int32_t number)
{
    for (int s = 0; s < node->n_out; s++)
        if (node->out[s].n > 0)
            return qs_prefix(cx, _("operator '%s' (number %d, output '%s')"), node->type, number,
                             m->var[node->out[s].var[0]].name);
    return qs_prefix(cx, _("operator '%s' (number %d)"), node->type, number);
}

/* Unknown outputs of the declared types. */
static void
clear_outputs(const struct qs_infer *in, struct qs_shape *out)
{
    const struct qs_node *node = in->node;
    for (int s = 0, at = 0; s < node->n_out; s++)
        for (int i = 0; i < node->out[s].n; i++)
            out[at++] = (struct qs_shape){.dtype = in->model->var[node->out[s].var[i]].dtype};
}

static struct qs_shape *
start_outputs(const struct qs_infer *in)
{
    struct qs_shape *out = qs_xcalloc((size_t)count_outputs(in->node) + 1, sizeof(*out));
    clear_outputs(in, out);
    return out;
}

enum qs_err
qs_infer_node(struct qs_ctx *cx, const struct qs_model *m, const struct qs_node *node,
              struct qs_shapes *s, bool scalars_are_1d, struct qs_shape *out)
{
    struct qs_infer in = {.cx = cx, .model = m, .node = node, .shapes = s, .out = out};
    in.scalars_are_1d = scalars_are_1d;
    clear_outputs(&in, out);
    return node->op && node->op->shape ? node->op->shape(&in) : QS_OK;
}

static enum qs_err
infer_node(struct qs_infer *in, int32_t number, struct qs_node_cost *cost)
{
    const struct qs_op *op = in->node->op;
    enum qs_err err = QS_OK;
    in->out = start_outputs(in);
    if (op && op->shape)
        err = op->shape(in);
    if (!err) {
        count_outs(in, cost);
        count_params(in, cost);
        count_macs(in, cost);
        in->shapes->n_unknown += !cost->known;
        commit(in);
    } else {
        err = qs_infer_name_node(in->cx, in->model, in->node, number);
    }
    free(in->out);
    return err;
}

static enum qs_err
infer_block(const struct qs_infer *outer, int32_t id)
{
    const struct qs_block *block = &outer->model->block[id];
    struct qs_infer in = *outer;
    enum qs_err err = QS_OK;
    in.walk->entered[id] = true;
    in.walk->depth++;
    for (int32_t i = 0; i < block->n_node && !err; i++) {
        in.node = &block->node[i];
        err = infer_node(&in, i, &in.shapes->node[id][i]);
    }
    in.walk->depth--;
    return err;
}

/* Sub-blocks */

struct list {
    int32_t *var;
    int n, cap;
};

static void
add_written(struct list *list, const struct qs_slot *slot)
{
    if (list->n + slot->n > list->cap) {
        list->cap = 2 * (list->n + slot->n);
        list->var = qs_xrealloc(list->var, (size_t)list->cap * sizeof(*list->var));
    }
    for (int i = 0; i < slot->n; i++)
        list->var[list->n++] = slot->var[i];
}

/* Variables that the nodes of a block and of the blocks in it write, some more than once. */
static void
find_written(const struct qs_infer *in, int32_t id, int depth, struct list *list)
{
    const struct qs_block *block = &in->model->block[id];
    in->walk->seen[id] = in->walk->stamp;
    for (int32_t i = 0; i < block->n_node; i++) {
        const struct qs_node *node = &block->node[i];
        for (int s = 0; s < node->n_out; s++)
            add_written(list, &node->out[s]);
        const int64_t sub = has_sub_block(node) ? qs_attr_int(node, "sub_block", -1) : -1;
        if (sub >= 0 && sub < in->model->n_block && depth < DEPTH_MOST &&
            in->walk->seen[sub] != in->walk->stamp)
            find_written(in, (int32_t)sub, depth + 1, list);
    }
}

static bool
same_dims(const struct qs_shape *a, const struct qs_shape *b)
{
    return a->known && b->known && a->n == b->n &&
           memcmp(a->d, b->d, (size_t)a->n * sizeof(*a->d)) == 0;
}

/* What is true of a variable both before a block that may not run, or run again, and after it. */
static void
merge(struct qs_shape *now, const struct qs_shape *before)
{
    if (before->known && !same_dims(now, before))
        now->known = false;
    now->value = NULL;
}

static enum qs_err
follow_block(struct qs_infer *in, int32_t id, bool loop, const struct list *written)
{
    struct qs_shape *var = in->shapes->var;
    struct qs_shape *before = qs_xmalloc(((size_t)written->n + 1) * sizeof(*before));
    for (int i = 0; i < written->n; i++) {
        before[i] = var[written->var[i]];
        if (loop)
            var[written->var[i]].value = NULL;
    }
    const enum qs_err err = infer_block(in, id);
    for (int i = 0; i < written->n; i++)
        merge(&var[written->var[i]], &before[i]);
    free(before);
    return err;
}

enum qs_err
qs_infer_sub_block(struct qs_infer *in, int64_t block, bool loop)
{
    struct list written = {0};
    enum qs_err err = QS_OK;
    if (block < 0 || block >= in->model->n_block)
        return qs_infer_fail(in, _("there is no block %" PRId64), block);
    if (in->walk->depth == DEPTH_MOST)
        return qs_infer_fail(in, _("blocks are nested more than %d deep"), DEPTH_MOST);
    in->walk->stamp++;
    find_written(in, (int32_t)block, in->walk->depth, &written);
    if (!in->walk->entered[block])
        err = follow_block(in, (int32_t)block, loop, &written);
    else
        for (int i = 0; i < written.n; i++)
            in->shapes->var[written.var[i]].known = false;
    free(written.var);
    return err;
}

/* Start */

static struct qs_shapes *
shapes_new(const struct qs_model *m)
{
    struct qs_shapes *s = qs_xcalloc(1, sizeof(*s));
    qs_arena_init(&s->arena);
    s->var = qs_arena_calloc(&s->arena, (size_t)m->n_var + 1, sizeof(*s->var));
    s->node = qs_arena_calloc(&s->arena, (size_t)m->n_block + 1, sizeof(struct qs_node_cost *));
    for (int b = 0; b < m->n_block; b++)
        s->node[b] =
            qs_arena_calloc(&s->arena, (size_t)m->block[b].n_node + 1, sizeof(struct qs_node_cost));
    for (int i = 0; i < m->n_var; i++) {
        s->var[i].dtype = m->var[i].dtype;
        if (qs_var_is_param(&m->var[i]))
            set_param(s, &m->var[i], &s->var[i]);
    }
    return s;
}

void
qs_shapes_free(struct qs_shapes *s)
{
    if (!s)
        return;
    qs_arena_release(&s->arena);
    free(s);
}

bool
qs_infer_scalars_are_1d(const struct qs_model *m)
{
    return m->version > 0 && m->version < 2005000;
}

static enum qs_err
infer_with(struct qs_ctx *cx, const struct qs_model *m, const struct qs_guess *guess,
           struct qs_shapes **out)
{
    struct qs_shapes *s = shapes_new(m);
    const size_t n_block = (size_t)m->n_block + 1;
    struct qs_walk walk = {.entered = qs_xcalloc(n_block, sizeof(*walk.entered)),
                           .seen = qs_xcalloc(n_block, sizeof(*walk.seen))};
    struct qs_infer in = {.cx = cx, .model = m, .shapes = s, .walk = &walk};
    in.scalars_are_1d = qs_infer_scalars_are_1d(m);
    for (int i = 0; i < guess->n; i++)
        if (guess->input[i].known)
            s->var[guess->var[i]] = guess->input[i];
    s->assumed = guess->text.n ? qs_arena_strdup(&s->arena, guess->text.s) : NULL;
    const enum qs_err err = m->n_block > 0 ? infer_block(&in, 0) : QS_OK;
    free(walk.entered);
    free(walk.seen);
    if (err) {
        qs_shapes_free(s);
        return err;
    }
    *out = s;
    return QS_OK;
}

enum qs_err
qs_infer_shapes(struct qs_ctx *cx, const struct qs_model *m, const struct qs_input_shape *in,
                int n_in, struct qs_shapes **out)
{
    struct qs_ctx trial;
    enum qs_err err = QS_OK;
    qs_ctx_init_child(&trial, cx);
    /* the sizes that are tried one after the other when the program refuses the first */
    for (int attempt = 0; attempt < QS_GUESS_ATTEMPTS; attempt++) {
        struct qs_guess guess;
        struct qs_ctx *to = attempt == 0 ? cx : &trial;
        const enum qs_err bad = qs_guess_inputs(to, m, in, n_in, attempt, &guess);
        if (!bad)
            err = infer_with(to, m, &guess, out);
        const bool more = !bad && err == QS_ERR_FORMAT && guess.image_guessed;
        qs_guess_release(&guess);
        if (bad)
            return bad;
        if (!err && attempt > 0)
            qs_clear(cx);
        if (!more)
            break;
        qs_clear(&trial);
    }
    return err ? cx->err : QS_OK;
}
