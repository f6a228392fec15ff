/* SPDX-License-Identifier: Apache-2.0 */
#include "model/graph.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "model/op.h"

struct qs_model *
qs_model_new(void)
{
    struct qs_model *m = qs_xcalloc(1, sizeof(*m));
    qs_arena_init(&m->arena);
    atomic_init(&m->refs, 1);
    return m;
}

struct qs_model *
qs_model_ref(const struct qs_model *m)
{
    struct qs_model *counted = (struct qs_model *)m; /* the count is not part of the value */
    atomic_fetch_add_explicit(&counted->refs, 1, memory_order_relaxed);
    return counted;
}

void
qs_model_unref(struct qs_model *m)
{
    if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (int i = 0; i < m->n_var; i++)
        if (m->var[i].data)
            qs_buf_unref(m->var[i].data->buf);
    qs_model_unref(m->origin);
    free(m->by_name);
    qs_arena_release(&m->arena);
    free(m);
}

struct qs_model *
qs_model_clone(const struct qs_model *m)
{
    struct qs_model *c = qs_xmalloc(sizeof(*c));
    *c = *m;
    qs_arena_init(&c->arena);
    atomic_init(&c->refs, 1);
    c->origin = qs_model_ref(m);
    c->cap_var = c->n_var;
    c->var = qs_arena_alloc(&c->arena, (size_t)c->n_var * sizeof(*c->var));
    if (c->n_var)
        memcpy(c->var, m->var, (size_t)c->n_var * sizeof(*c->var));
    for (int i = 0; i < c->n_var; i++)
        if (c->var[i].data)
            qs_buf_ref(c->var[i].data->buf);
    c->by_name = qs_xmalloc((size_t)c->n_var * sizeof(*c->by_name));
    if (c->n_var)
        memcpy(c->by_name, m->by_name, (size_t)c->n_var * sizeof(*c->by_name));
    c->block = qs_arena_alloc(&c->arena, (size_t)c->n_block * sizeof(*c->block));
    for (int b = 0; b < c->n_block; b++) {
        struct qs_block *block = &c->block[b];
        *block = m->block[b];
        block->node = qs_arena_alloc(&c->arena, (size_t)block->n_node * sizeof(*block->node));
        if (block->n_node)
            memcpy(block->node, m->block[b].node, (size_t)block->n_node * sizeof(*block->node));
    }
    return c;
}

int32_t
qs_model_add_var(struct qs_model *m, int32_t block, const char *name)
{
    struct qs_var *v =
        qs_arena_grow(&m->arena, (void **)&m->var, m->n_var, &m->cap_var, sizeof(*m->var));
    v->name = qs_arena_strdup(&m->arena, name);
    v->block = block;
    v->container = QS_LOD_TENSOR;
    v->dtype = QS_DTYPE_float32;
    v->n_dims = -1;
    v->has_lod_level = v->persistable = v->need_check_feed = v->is_parameter = v->stop_gradient =
        -1;
    return m->n_var++;
}

static int
compare_name(const void *a, const void *b, void *arg)
{
    const struct qs_model *m = arg;
    const int32_t i = *(const int32_t *)a, k = *(const int32_t *)b;
    const struct qs_var *x = &m->var[i], *y = &m->var[k];
    const int c = strcmp(x->name, y->name);
    if (c)
        return c;
    if (x->block != y->block)
        return x->block < y->block ? -1 : 1;
    return (i > k) - (i < k);
}

void
qs_model_index(struct qs_model *m)
{
    m->by_name = qs_xrealloc(m->by_name, (size_t)m->n_var * sizeof(*m->by_name));
    for (int i = 0; i < m->n_var; i++)
        m->by_name[i] = i;
    qsort_r(m->by_name, (size_t)m->n_var, sizeof(*m->by_name), compare_name, m);
}

/* First position in by_name that is not before (name, block). */
static int
lower_bound(const struct qs_model *m, const char *name, int32_t block)
{
    int lo = 0, hi = m->n_var;
    while (lo < hi) {
        const int mid = lo + (hi - lo) / 2;
        const struct qs_var *v = &m->var[m->by_name[mid]];
        const int c = strcmp(v->name, name);
        if (c < 0 || (c == 0 && v->block < block))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static int32_t
find_in_block(const struct qs_model *m, int32_t block, const char *name)
{
    const int at = lower_bound(m, name, block);
    if (at == m->n_var)
        return -1;
    const struct qs_var *v = &m->var[m->by_name[at]];
    return v->block == block && strcmp(v->name, name) == 0 ? m->by_name[at] : -1;
}

int
qs_model_same_name(const struct qs_model *m, const char *name, const int32_t **ids)
{
    const int at = lower_bound(m, name, INT32_MIN);
    int n = 0;
    *ids = m->by_name + at;
    while (at + n < m->n_var && strcmp(m->var[m->by_name[at + n]].name, name) == 0)
        n++;
    return n;
}

int32_t
qs_model_find_var(const struct qs_model *m, int32_t block, const char *name)
{
    /* parents were checked for cycles by the reader; the bound keeps this safe before that */
    for (int depth = 0; block >= 0 && block < m->n_block && depth <= m->n_block; depth++) {
        const int32_t id = find_in_block(m, block, name);
        if (id >= 0)
            return id;
        block = m->block[block].parent;
    }
    return -1;
}

void
qs_model_declare(struct qs_model *m, int32_t var)
{
    struct qs_block *b = &m->block[m->var[var].block];
    int32_t *list = qs_arena_alloc(&m->arena, (size_t)(b->n_var + 1) * sizeof(*list));
    if (b->n_var)
        memcpy(list, b->var, (size_t)b->n_var * sizeof(*list));
    list[b->n_var++] = var;
    b->var = list;
    m->var[var].declared = true;
}

bool
qs_var_is_param(const struct qs_var *v)
{
    return v->persistable == 1 && v->container != QS_FEED_MINIBATCH &&
           v->container != QS_FETCH_LIST && v->container != QS_READER && v->container != QS_RAW;
}

void
qs_model_set_data(struct qs_model *m, int32_t var, int32_t dtype, int n_dims, const int64_t *dims,
                  struct qs_buf *buf, size_t offset)
{
    struct qs_tensor *t = qs_arena_calloc(&m->arena, 1, sizeof(*t));
    t->dtype = dtype;
    t->n_dims = n_dims;
    t->dims = (const int64_t *)qs_arena_memdup(&m->arena, dims, (size_t)n_dims * sizeof(*dims));
    t->n = 1;
    for (int i = 0; i < n_dims; i++)
        t->n *= dims[i];
    t->buf = buf;
    t->offset = offset;
    t->bytes = (size_t)t->n * (size_t)qs_dtype_bytes(dtype);
    t->record = SIZE_MAX;
    if (m->var[var].data)
        qs_buf_unref(m->var[var].data->buf);
    m->var[var].data = t;
}

int32_t *
qs_model_params(const struct qs_model *m, int *n)
{
    int32_t *list = qs_xmalloc((size_t)m->n_var * sizeof(*list));
    *n = 0;
    for (int i = 0; i < m->n_var; i++) {
        const struct qs_var *v = &m->var[m->by_name[i]];
        const bool again = *n > 0 && strcmp(m->var[list[*n - 1]].name, v->name) == 0;
        if (v->declared && qs_var_is_param(v) && !again)
            list[(*n)++] = m->by_name[i];
    }
    return list;
}

/* Nodes */

static const struct qs_slot *
find_slot(const struct qs_slot *slot, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(slot[i].name, name) == 0)
            return &slot[i];
    return NULL;
}

const struct qs_slot *
qs_node_in(const struct qs_node *node, const char *slot)
{
    return find_slot(node->in, node->n_in, slot);
}

const struct qs_slot *
qs_node_out(const struct qs_node *node, const char *slot)
{
    return find_slot(node->out, node->n_out, slot);
}

int32_t
qs_node_input(const struct qs_node *node, const char *slot, int i)
{
    const struct qs_slot *s = qs_node_in(node, slot);
    return s && i < s->n ? s->var[i] : -1;
}

int32_t
qs_node_output(const struct qs_node *node, const char *slot, int i)
{
    const struct qs_slot *s = qs_node_out(node, slot);
    return s && i < s->n ? s->var[i] : -1;
}

const struct qs_attr *
qs_node_attr(const struct qs_node *node, const char *name)
{
    for (int i = 0; i < node->n_attr; i++)
        if (strcmp(node->attr[i].name, name) == 0)
            return &node->attr[i];
    return NULL;
}

static bool
is_integer(const struct qs_attr *a)
{
    return a && !a->raw.p &&
           (a->type == QS_ATTR_INT || a->type == QS_ATTR_BOOLEAN || a->type == QS_ATTR_LONG ||
            a->type == QS_ATTR_BLOCK);
}

int64_t
qs_attr_int(const struct qs_node *node, const char *name, int64_t def)
{
    const struct qs_attr *a = qs_node_attr(node, name);
    return is_integer(a) ? a->i : def;
}

double
qs_attr_float(const struct qs_node *node, const char *name, double def)
{
    const struct qs_attr *a = qs_node_attr(node, name);
    if (is_integer(a))
        return (double)a->i;
    if (!a || a->raw.p)
        return def;
    return a->type == QS_ATTR_FLOAT ? a->f : a->type == QS_ATTR_FLOAT64 ? a->d : def;
}

const char *
qs_attr_str(const struct qs_node *node, const char *name, const char *def)
{
    const struct qs_attr *a = qs_node_attr(node, name);
    return a && a->type == QS_ATTR_STRING && !a->raw.p ? a->s.p : def;
}

int
qs_attr_ints(const struct qs_node *node, const char *name, int64_t *out, int most)
{
    const struct qs_attr *a = qs_node_attr(node, name);
    if (is_integer(a) && most > 0) {
        out[0] = a->i;
        return 1;
    }
    const bool is_list = a && !a->raw.p && (a->type == QS_ATTR_INTS || a->type == QS_ATTR_LONGS);
    if (!is_list || a->n > most)
        return -1;
    for (int i = 0; i < a->n; i++)
        out[i] = a->type == QS_ATTR_INTS ? a->ints[i] : a->longs[i];
    return a->n;
}

static void
put_attr(struct qs_model *m, struct qs_node *node, const char *name, struct qs_attr value)
{
    int at = 0;
    while (at < node->n_attr && strcmp(node->attr[at].name, name) != 0)
        at++;
    const int n = at < node->n_attr ? node->n_attr : node->n_attr + 1;
    struct qs_attr *list = qs_arena_alloc(&m->arena, (size_t)n * sizeof(*list));
    if (node->n_attr)
        memcpy(list, node->attr, (size_t)node->n_attr * sizeof(*list));
    value.name = qs_arena_strdup(&m->arena, name);
    list[at] = value;
    node->attr = list;
    node->n_attr = n;
}

void
qs_node_set_int(struct qs_model *m, struct qs_node *node, const char *name, int64_t v)
{
    put_attr(m, node, name, (struct qs_attr){.type = QS_ATTR_INT, .i = v});
}

void
qs_node_set_bool(struct qs_model *m, struct qs_node *node, const char *name, bool v)
{
    put_attr(m, node, name, (struct qs_attr){.type = QS_ATTR_BOOLEAN, .i = v});
}

void
qs_node_set_float(struct qs_model *m, struct qs_node *node, const char *name, float v)
{
    put_attr(m, node, name, (struct qs_attr){.type = QS_ATTR_FLOAT, .f = v});
}

void
qs_node_set_str(struct qs_model *m, struct qs_node *node, const char *name, const char *v)
{
    const size_t n = strlen(v);
    put_attr(m, node, name,
             (struct qs_attr){.type = QS_ATTR_STRING, .s = {qs_arena_memdup(&m->arena, v, n), n}});
}

void
qs_node_set_floats(struct qs_model *m, struct qs_node *node, const char *name, const float *v,
                   int n)
{
    const void *copy = qs_arena_memdup(&m->arena, v, (size_t)n * sizeof(*v));
    put_attr(m, node, name, (struct qs_attr){.type = QS_ATTR_FLOATS, .n = n, .floats = copy});
}

void
qs_node_set_ints(struct qs_model *m, struct qs_node *node, const char *name, const int32_t *v,
                 int n)
{
    const void *copy = qs_arena_memdup(&m->arena, v, (size_t)n * sizeof(*v));
    put_attr(m, node, name, (struct qs_attr){.type = QS_ATTR_INTS, .n = n, .ints = copy});
}

void
qs_node_drop_attr(struct qs_model *m, struct qs_node *node, const char *name)
{
    const struct qs_attr *a = qs_node_attr(node, name);
    if (!a)
        return;
    const size_t before = (size_t)(a - node->attr), n = (size_t)node->n_attr - 1;
    struct qs_attr *list = qs_arena_alloc(&m->arena, n * sizeof(*list));
    memcpy(list, node->attr, before * sizeof(*list));
    memcpy(list + before, a + 1, (n - before) * sizeof(*list));
    node->attr = list;
    node->n_attr--;
}

static const struct qs_slot *
put_slot(struct qs_model *m, const struct qs_slot *old, int *n, const char *name,
         const int32_t *var, int n_var)
{
    const struct qs_slot *found = find_slot(old, *n, name);
    const int at = found ? (int)(found - old) : *n;
    struct qs_slot *list = qs_arena_alloc(&m->arena, (size_t)(*n + 1) * sizeof(*list));
    if (*n)
        memcpy(list, old, (size_t)*n * sizeof(*list));
    list[at].name = qs_arena_strdup(&m->arena, name);
    list[at].var = (const int32_t *)qs_arena_memdup(&m->arena, var, (size_t)n_var * sizeof(*var));
    list[at].n = n_var;
    if (!found)
        ++*n;
    return list;
}

void
qs_node_set_in(struct qs_model *m, struct qs_node *node, const char *slot, const int32_t *var,
               int n)
{
    node->in = put_slot(m, node->in, &node->n_in, slot, var, n);
}

void
qs_node_set_out(struct qs_model *m, struct qs_node *node, const char *slot, const int32_t *var,
                int n)
{
    node->out = put_slot(m, node->out, &node->n_out, slot, var, n);
}

void
qs_node_set_type(struct qs_model *m, struct qs_node *node, const char *type)
{
    node->type = qs_arena_strdup(&m->arena, type);
    node->op = qs_op_find(type);
}

/* Blocks */

struct qs_node *
qs_block_insert(struct qs_model *m, int32_t block, int at, int n)
{
    struct qs_block *b = &m->block[block];
    struct qs_node *list = qs_arena_calloc(&m->arena, (size_t)(b->n_node + n), sizeof(*list));
    if (at > 0)
        memcpy(list, b->node, (size_t)at * sizeof(*list));
    if (b->n_node > at)
        memcpy(list + at + n, b->node + at, (size_t)(b->n_node - at) * sizeof(*list));
    for (int i = at; i < at + n; i++)
        list[i].is_target = -1;
    b->node = list;
    b->n_node += n;
    return list + at;
}

void
qs_block_remove(struct qs_model *m, int32_t block, const bool *gone)
{
    struct qs_block *b = &m->block[block];
    int n = 0;
    for (int i = 0; i < b->n_node; i++)
        if (!gone[i])
            b->node[n++] = b->node[i];
    b->n_node = n;
}

static void
mark_named(const struct qs_slot *slot, int n, bool *named)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < slot[i].n; k++)
            if (slot[i].var[k] >= 0)
                named[slot[i].var[k]] = true;
}

static void
forget(struct qs_model *m, int32_t var)
{
    struct qs_var *v = &m->var[var];
    v->declared = false;
    if (v->data)
        qs_buf_unref(v->data->buf);
    v->data = NULL;
}

static bool
is_port(const struct qs_var *v)
{
    return v->container == QS_FEED_MINIBATCH || v->container == QS_FETCH_LIST;
}

static void
forget_unnamed(struct qs_model *m, struct qs_block *b, const bool *named, const bool *only)
{
    int32_t *list = qs_arena_alloc(&m->arena, (size_t)(b->n_var + 1) * sizeof(*list));
    int left = 0;
    for (int i = 0; i < b->n_var; i++) {
        const int32_t v = b->var[i];
        if (named[v] || is_port(&m->var[v]) || (only && !only[v]))
            list[left++] = v;
        else
            forget(m, v);
    }
    b->var = list;
    b->n_var = left;
}

void
qs_model_forget_unused(struct qs_model *m, const bool *only)
{
    bool *named = qs_xcalloc((size_t)m->n_var + 1, sizeof(*named));
    for (int32_t b = 0; b < m->n_block; b++)
        for (int i = 0; i < m->block[b].n_node; i++) {
            const struct qs_node *node = &m->block[b].node[i];
            mark_named(node->in, node->n_in, named);
            mark_named(node->out, node->n_out, named);
        }
    for (int32_t b = 0; b < m->n_block; b++)
        forget_unnamed(m, &m->block[b], named, only);
    free(named);
}

/* Edges */

static void
count_slots(const struct qs_slot *slot, int n_slot, int *count)
{
    for (int s = 0; s < n_slot; s++)
        for (int k = 0; k < slot[s].n; k++)
            count[slot[s].var[k]]++;
}

static void
fill_slots(const struct qs_slot *slot, int n_slot, struct qs_ref **list, int *n, struct qs_ref ref)
{
    for (int s = 0; s < n_slot; s++)
        for (int k = 0; k < slot[s].n; k++) {
            const int32_t v = slot[s].var[k];
            const struct qs_ref *last = n[v] ? &list[v][n[v] - 1] : NULL;
            if (!last || last->block != ref.block || last->node != ref.node)
                list[v][n[v]++] = ref;
        }
}

static void
make_lists(struct qs_edges *e, int n_var, struct qs_ref **list, int *n)
{
    for (int v = 0; v < n_var; v++) {
        list[v] = qs_arena_alloc(&e->arena, (size_t)n[v] * sizeof(**list));
        n[v] = 0;
    }
}

struct qs_edges *
qs_edges_new(const struct qs_model *m)
{
    struct qs_edges *e = qs_xcalloc(1, sizeof(*e));
    const size_t n = (size_t)m->n_var;
    qs_arena_init(&e->arena);
    e->reader = qs_arena_calloc(&e->arena, n, sizeof(*e->reader));
    e->writer = qs_arena_calloc(&e->arena, n, sizeof(*e->writer));
    e->n_reader = qs_arena_calloc(&e->arena, n, sizeof(*e->n_reader));
    e->n_writer = qs_arena_calloc(&e->arena, n, sizeof(*e->n_writer));
    for (int32_t b = 0; b < m->n_block; b++)
        for (int32_t i = 0; i < m->block[b].n_node; i++) {
            const struct qs_node *node = &m->block[b].node[i];
            count_slots(node->in, node->n_in, e->n_reader);
            count_slots(node->out, node->n_out, e->n_writer);
        }
    make_lists(e, m->n_var, e->reader, e->n_reader);
    make_lists(e, m->n_var, e->writer, e->n_writer);
    for (int32_t b = 0; b < m->n_block; b++)
        for (int32_t i = 0; i < m->block[b].n_node; i++) {
            const struct qs_node *node = &m->block[b].node[i];
            const struct qs_ref ref = {b, i};
            fill_slots(node->in, node->n_in, e->reader, e->n_reader, ref);
            fill_slots(node->out, node->n_out, e->writer, e->n_writer, ref);
        }
    return e;
}

void
qs_edges_free(struct qs_edges *e)
{
    if (!e)
        return;
    qs_arena_release(&e->arena);
    free(e);
}

/* Dims */

enum qs_err
qs_count_elements(struct qs_ctx *cx, const int64_t *dims, int n, int64_t *out)
{
    int64_t count = 1;
    for (int i = 0; i < n; i++) {
        if (dims[i] < 0)
            return qs_fail(cx, QS_ERR_FORMAT, _("dimension %d is negative (%" PRId64 ")"), i,
                           dims[i]);
        if (__builtin_mul_overflow(count, dims[i], &count))
            return qs_fail(cx, QS_ERR_FORMAT, _("the dimensions are too large"));
    }
    *out = count;
    return QS_OK;
}

char *
qs_format_dims(char *out, size_t cap, const int64_t *dims, int n)
{
    size_t used = 0;
    snprintf(out, cap, "%s", n == 0 ? "scalar" : "");
    for (int i = 0; i < n && used + 1 < cap; i++) {
        char d[24] = "?";
        if (dims[i] >= 0)
            snprintf(d, sizeof(d), "%" PRId64, dims[i]);
        used += (size_t)snprintf(out + used, cap - used, "%s%s", i ? "x" : "", d);
    }
    return out;
}
