/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reader of ProgramDesc, the protobuf program of Paddle 1.x and 2.x. The messages take some thirty
 * times the bytes they came from: what the model keeps of them is copied into its arena, and names
 * that come again and again lie there once.
 */
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "io/format.h"
#include "io/framework.pb-c.h"
#include "io/wire.h"
#include "model/op.h"

enum { MOST_MEMORY = 512 << 20 }; /* of the messages of a small program */

static bool
probe(const uint8_t *p, size_t n)
{
    enum { BLOCKS_TAG = 1 << 3 | 2, VERSION_TAG = 4 << 3 | 2 };
    return n > 0 && (p[0] == BLOCKS_TAG || p[0] == VERSION_TAG);
}

/* Copies into the arena of a model. */
struct copier {
    struct qs_model *m;
    struct qs_bytes seen[1024]; /* by hash: the last text with that hash */
};

static struct qs_bytes
keep_bytes(struct copier *c, const void *p, size_t n)
{
    enum { SHARED_MOST = 64 };
    const unsigned char *text = p;
    uint32_t hash = 2166136261U; /* FNV-1a */
    if (n > SHARED_MOST)
        return (struct qs_bytes){qs_arena_memdup(&c->m->arena, p, n), n};
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ text[i]) * 16777619U;
    struct qs_bytes *seen = &c->seen[hash % QS_LEN(c->seen)];
    if (!seen->p || seen->n != n || memcmp(seen->p, p, n) != 0)
        *seen = (struct qs_bytes){qs_arena_memdup(&c->m->arena, n ? p : "", n), n};
    return *seen;
}

static const char *
keep_name(struct copier *c, const char *name)
{
    return keep_bytes(c, name, strlen(name)).p;
}

static struct qs_bytes
keep_data(struct copier *c, ProtobufCBinaryData b)
{
    return keep_bytes(c, b.data ? (const char *)b.data : "", b.len);
}

static void *
keep_list(struct copier *c, const void *list, size_t n, size_t size)
{
    return qs_arena_memdup(&c->m->arena, list, n * size);
}

/* Variables */

static bool
is_plain_tensor(const PaddlePb__VarType *t)
{
    const PaddlePb__LoDTensorDesc *d = t->lod_tensor;
    return t->type == QS_LOD_TENSOR && d && !t->tensor_array && !t->base.n_unknown_fields &&
           !d->base.n_unknown_fields && !d->tensor->base.n_unknown_fields;
}

static int8_t
tristate(protobuf_c_boolean has, protobuf_c_boolean value)
{
    return has ? value != 0 : -1;
}

static void
read_var(struct copier *c, int32_t block, const PaddlePb__VarDesc *d)
{
    struct qs_model *m = c->m;
    const int32_t id = qs_model_add_var(m, block, d->name); /* may move m->var */
    struct qs_var *v = &m->var[id];
    const PaddlePb__LoDTensorDesc *lod =
        d->type->lod_tensor ? d->type->lod_tensor : d->type->tensor_array;
    v->container = d->type->type;
    v->dtype = lod ? lod->tensor->data_type : -1;
    if (lod) {
        v->n_dims = (int)lod->tensor->n_dims;
        v->dims = keep_list(c, lod->tensor->dims, lod->tensor->n_dims, sizeof(*v->dims));
        v->lod_level = lod->lod_level;
        v->has_lod_level = tristate(lod->has_lod_level, 1);
    }
    v->persistable = tristate(d->has_persistable, d->persistable);
    v->need_check_feed = tristate(d->has_need_check_feed, d->need_check_feed);
    v->is_parameter = tristate(d->has_is_parameter, d->is_parameter);
    v->stop_gradient = tristate(d->has_stop_gradient, d->stop_gradient);
    v->declared = true;
    v->unknown = qs_wire_keep_unknown(&m->arena, &d->base);
    if (!is_plain_tensor(d->type))
        v->type_raw = qs_wire_keep(&m->arena, &d->type->base);
}

static void
read_vars(struct copier *c, int32_t block, const PaddlePb__BlockDesc *d)
{
    struct qs_model *m = c->m;
    int32_t *list = qs_arena_alloc(&m->arena, d->n_vars * sizeof(*list));
    for (size_t i = 0; i < d->n_vars; i++) {
        list[i] = m->n_var;
        read_var(c, block, d->vars[i]);
    }
    m->block[block].var = list;
    m->block[block].n_var = (int)d->n_vars;
}

/* Attributes */

static const struct qs_bytes *
byte_list(struct copier *c, const ProtobufCBinaryData *b, size_t n)
{
    struct qs_bytes *list = qs_arena_alloc(&c->m->arena, n * sizeof(*list));
    for (size_t i = 0; i < n; i++)
        list[i] = keep_data(c, b[i]);
    return list;
}

static const int32_t *
bool_list(struct copier *c, const protobuf_c_boolean *b, size_t n)
{
    int32_t *list = qs_arena_alloc(&c->m->arena, n * sizeof(*list));
    for (size_t i = 0; i < n; i++)
        list[i] = b[i] != 0;
    return list;
}

/* Fills the value; false when the message does not hold what its type says, or more. */
static bool
read_value(struct copier *c, const PaddlePb__OpAttr *d, struct qs_attr *a)
{
    switch (a->type) {
    case QS_ATTR_INT:
        a->i = d->i;
        return d->has_i;
    case QS_ATTR_BOOLEAN:
        a->i = d->b != 0;
        return d->has_b;
    case QS_ATTR_LONG:
        a->i = d->l;
        return d->has_l;
    case QS_ATTR_BLOCK:
        a->i = d->block_idx;
        return d->has_block_idx;
    case QS_ATTR_FLOAT:
        a->f = d->f;
        return d->has_f;
    case QS_ATTR_FLOAT64:
        a->d = d->float64;
        return d->has_float64;
    case QS_ATTR_STRING:
        a->s = keep_data(c, d->s);
        return d->has_s;
    case QS_ATTR_VAR:
        a->s = keep_data(c, d->var_name);
        return d->has_var_name;
    case QS_ATTR_INTS:
        a->n = (int)d->n_ints;
        a->ints = keep_list(c, d->ints, d->n_ints, sizeof(*d->ints));
        return true;
    case QS_ATTR_BLOCKS:
        a->n = (int)d->n_blocks_idx;
        a->ints = keep_list(c, d->blocks_idx, d->n_blocks_idx, sizeof(*d->blocks_idx));
        return true;
    case QS_ATTR_FLOATS:
        a->n = (int)d->n_floats;
        a->floats = keep_list(c, d->floats, d->n_floats, sizeof(*d->floats));
        return true;
    case QS_ATTR_STRINGS:
        a->n = (int)d->n_strings;
        a->bytes = byte_list(c, d->strings, d->n_strings);
        return true;
    case QS_ATTR_VARS:
        a->n = (int)d->n_vars_name;
        a->bytes = byte_list(c, d->vars_name, d->n_vars_name);
        return true;
    case QS_ATTR_BOOLEANS:
        a->n = (int)d->n_bools;
        a->bools = bool_list(c, d->bools, d->n_bools);
        return true;
    case QS_ATTR_LONGS:
        a->n = (int)d->n_longs;
        a->longs = keep_list(c, d->longs, d->n_longs, sizeof(*d->longs));
        return true;
    case QS_ATTR_FLOAT64S:
        a->n = (int)d->n_float64s;
        a->doubles = keep_list(c, d->float64s, d->n_float64s, sizeof(*d->float64s));
        return true;
    case QS_ATTR_SCALAR:
    case QS_ATTR_SCALARS:
        return false;
    }
    return false;
}

static void
read_attr(struct copier *c, const PaddlePb__OpAttr *d, struct qs_attr *a)
{
    *a = (struct qs_attr){.name = keep_name(c, d->name), .type = (enum qs_attr_type)d->type};
    if (!read_value(c, d, a) || d->base.n_unknown_fields)
        a->raw = qs_wire_keep(&c->m->arena, &d->base);
}

/* A block that an attribute names must be a later one: so no chain of blocks is a circle. */
static enum qs_err
check_blocks(struct qs_ctx *cx, const struct qs_model *m, int32_t block, const struct qs_node *node)
{
    for (int i = 0; i < node->n_attr; i++) {
        const struct qs_attr *a = &node->attr[i];
        const int n = a->raw.p ? 0 : a->type == QS_ATTR_BLOCK ? 1 : a->n;
        if (a->type != QS_ATTR_BLOCK && a->type != QS_ATTR_BLOCKS)
            continue;
        for (int k = 0; k < n; k++) {
            const int64_t id = a->type == QS_ATTR_BLOCK ? a->i : a->ints[k];
            if (id <= block || id >= m->n_block)
                return qs_fail(cx, QS_ERR_FORMAT,
                               _("operator '%s' of block %d names block %lld as '%s'"), node->type,
                               block, (long long)id, a->name);
        }
    }
    return QS_OK;
}

/* Nodes */

struct missing { /* names that nodes use and no block declares */
    const char **name;
    int n, cap;
};

static void
note_missing(struct qs_model *m, int32_t block, PaddlePb__OpSlot *const *slot, size_t n,
             struct missing *miss)
{
    for (size_t s = 0; s < n; s++)
        for (size_t k = 0; k < slot[s]->n_arguments; k++)
            if (qs_model_find_var(m, block, slot[s]->arguments[k]) < 0)
                *(const char **)qs_arena_grow(&m->arena, (void **)&miss->name, miss->n++,
                                              &miss->cap, sizeof(*miss->name)) =
                    slot[s]->arguments[k];
}

static int
compare_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names without a declaration (as "@EMPTY@") become undeclared variables of block 0. */
static void
add_missing(struct qs_model *m, const PaddlePb__ProgramDesc *p)
{
    struct missing miss = {0};
    for (int32_t b = 0; b < m->n_block; b++)
        for (size_t i = 0; i < p->blocks[b]->n_ops; i++) {
            const PaddlePb__OpDesc *d = p->blocks[b]->ops[i];
            note_missing(m, b, d->inputs, d->n_inputs, &miss);
            note_missing(m, b, d->outputs, d->n_outputs, &miss);
        }
    if (miss.n == 0)
        return;
    qsort(miss.name, (size_t)miss.n, sizeof(*miss.name), compare_text);
    for (int i = 0; i < miss.n; i++)
        if (i == 0 || strcmp(miss.name[i], miss.name[i - 1]) != 0)
            qs_model_add_var(m, 0, miss.name[i]);
    qs_model_index(m);
}

static const struct qs_slot *
read_slots(struct copier *c, int32_t block, PaddlePb__OpSlot *const *d, size_t n)
{
    struct qs_model *m = c->m;
    struct qs_slot *slot = qs_arena_alloc(&m->arena, n * sizeof(*slot));
    for (size_t s = 0; s < n; s++) {
        int32_t *var = qs_arena_alloc(&m->arena, d[s]->n_arguments * sizeof(*var));
        for (size_t k = 0; k < d[s]->n_arguments; k++)
            var[k] = qs_model_find_var(m, block, d[s]->arguments[k]);
        slot[s] = (struct qs_slot){keep_name(c, d[s]->parameter), var, (int)d[s]->n_arguments};
    }
    return slot;
}

static void
read_node(struct copier *c, int32_t block, const PaddlePb__OpDesc *d, struct qs_node *node)
{
    struct qs_attr *attr = qs_arena_alloc(&c->m->arena, d->n_attrs * sizeof(*attr));
    for (size_t i = 0; i < d->n_attrs; i++)
        read_attr(c, d->attrs[i], &attr[i]);
    *node = (struct qs_node){
        .type = keep_name(c, d->type),
        .op = qs_op_find(d->type),
        .in = read_slots(c, block, d->inputs, d->n_inputs),
        .n_in = (int)d->n_inputs,
        .out = read_slots(c, block, d->outputs, d->n_outputs),
        .n_out = (int)d->n_outputs,
        .attr = attr,
        .n_attr = (int)d->n_attrs,
        .is_target = tristate(d->has_is_target, d->is_target),
        .unknown = qs_wire_keep_unknown(&c->m->arena, &d->base),
    };
}

static enum qs_err
read_nodes(struct qs_ctx *cx, struct copier *c, int32_t block, const PaddlePb__BlockDesc *d)
{
    struct qs_model *m = c->m;
    struct qs_block *b = &m->block[block];
    b->n_node = (int)d->n_ops;
    b->node = qs_arena_calloc(&m->arena, d->n_ops, sizeof(*b->node));
    enum qs_err err = QS_OK;
    for (size_t i = 0; i < d->n_ops && !err; i++) {
        read_node(c, block, d->ops[i], &b->node[i]);
        err = check_blocks(cx, m, block, &b->node[i]);
    }
    return err;
}

/* Blocks */

static enum qs_err
read_block_heads(struct qs_ctx *cx, struct qs_model *m, const PaddlePb__ProgramDesc *p)
{
    if (p->n_blocks == 0)
        return qs_fail(cx, QS_ERR_FORMAT, _("the program has no blocks"));
    m->n_block = (int)p->n_blocks;
    m->block = qs_arena_calloc(&m->arena, p->n_blocks, sizeof(*m->block));
    for (int32_t b = 0; b < m->n_block; b++) {
        const PaddlePb__BlockDesc *d = p->blocks[b];
        if (d->idx != b)
            return qs_fail(cx, QS_ERR_FORMAT, _("block %d calls itself block %d"), b, d->idx);
        if (d->parent_idx >= b || d->parent_idx < -1 || (b > 0 && d->parent_idx < 0))
            return qs_fail(cx, QS_ERR_FORMAT, _("block %d names block %d as its parent"), b,
                           d->parent_idx);
        m->block[b] = (struct qs_block){.idx = d->idx,
                                        .parent = d->parent_idx,
                                        .forward = d->forward_block_idx,
                                        .has_forward = tristate(d->has_forward_block_idx, 1)};
        m->block[b].unknown = qs_wire_keep_unknown(&m->arena, &d->base);
    }
    return QS_OK;
}

enum qs_err
qs_program_take(struct qs_ctx *cx, struct qs_model *m, const PaddlePb__ProgramDesc *p)
{
    struct copier c = {.m = m};
    enum qs_err err = read_block_heads(cx, m, p);
    if (err)
        return err;
    for (int32_t b = 0; b < m->n_block; b++)
        read_vars(&c, b, p->blocks[b]);
    qs_model_index(m);
    add_missing(m, p);
    for (int32_t b = 0; b < m->n_block && !err; b++)
        err = read_nodes(cx, &c, b, p->blocks[b]);
    m->has_version = p->version ? tristate(p->version->has_version, 1) : -1;
    m->version = p->version ? p->version->version : 0;
    m->tail = qs_wire_keep_unknown(&m->arena, &p->base);
    return err;
}

static enum qs_err
read_program(struct qs_ctx *cx, const struct qs_buf *buf, struct qs_model *m)
{
    struct qs_arena messages;
    enum qs_err err;
    qs_arena_init(&messages);
    /* real programs take some ten times their size, those with large constants twice */
    struct qs_wire_memory memory = {.arena = &messages, .left = MOST_MEMORY + 2 * buf->size};
    ProtobufCAllocator alloc = qs_wire_bounded(&memory);
    const PaddlePb__ProgramDesc *p = paddle_pb__program_desc__unpack(&alloc, buf->size, buf->data);
    if (memory.is_over)
        err = qs_fail(cx, QS_ERR_UNSUPPORTED, _("it has too many elements"));
    else if (!p)
        err = qs_fail(cx, QS_ERR_FORMAT, _("not a whole ProgramDesc message"));
    else
        err = qs_program_take(cx, m, p);
    qs_arena_release(&messages);
    return err;
}

const struct qs_format qs_format_paddle = {
    .name = "pdmodel",
    .what = N_("program"),
    .probe = probe,
    .read = read_program,
};
