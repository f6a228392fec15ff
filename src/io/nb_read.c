/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paddle-Lite's naive buffer (.nb), meta version 2, for inspection: what it holds is optimized for
 * one target and can not be written back.
 *     u16 meta version | c16 version of opt | u64 n | flatbuffer ProgramDesc [n]
 *     u16 version | u16 meta size | meta | u16 header size | u16 parameters | u32 largest | header
 *     parameters x { u32 total | u32 offset | flatbuffer ParamDesc [total - offset] }
 * after lite/model_parser/model_parser.cc, flatbuffers/framework.fbs and param.fbs. The messages
 * have the fields of the protobuf ones; so the program becomes a PaddlePb__ProgramDesc, which the
 * reader of .pdmodel takes from there.
 */
#include <inttypes.h>
#include <string.h>

#include "base/i18n.h"
#include "io/format.h"
#include "io/framework.pb-c.h"
#include "io/wire.h"

enum { META = 2, HEAD = 2 + 16 + 8, PARAM_HEADER = 2 + 4, LEVELS_MOST = 64 };

/* Flatbuffers: every access is checked. The first that fails sets `bad` and gives zero; so do all
 * later ones, and the caller looks once at the end. Tables may be shared; `budget` keeps a small
 * file from becoming a large model. */

struct fb {
    const uint8_t *p;
    size_t n, budget;
    bool bad;
    struct qs_arena *arena;
};

struct table {
    size_t at, n;       /* in the buffer; n 0: absent */
    size_t vtable, n_v; /* of offsets, two bytes each */
};

struct vector {
    size_t at, n;
};

static bool
has(struct fb *b, size_t at, size_t n)
{
    b->bad |= at > b->n || n > b->n - at;
    return !b->bad;
}

static uint64_t
get(struct fb *b, size_t at, size_t n)
{
    uint64_t v = 0;
    if (has(b, at, n))
        for (size_t i = 0; i < n; i++)
            v |= (uint64_t)b->p[at + i] << (8 * i);
    return v;
}

static void *
make(struct fb *b, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) || bytes > b->budget) {
        b->bad = true;
        return NULL;
    }
    b->budget -= bytes;
    return qs_arena_calloc(b->arena, n, size);
}

static struct table
table_at(struct fb *b, size_t at)
{
    const int64_t back = (int32_t)get(b, at, 4);
    const int64_t vtable = (int64_t)at - back;
    struct table t = {.at = at};
    b->bad |= vtable < 0;
    t.vtable = b->bad ? 0 : (size_t)vtable;
    t.n_v = get(b, t.vtable, 2);
    t.n = get(b, t.vtable + 2, 2);
    b->bad |= t.n_v < 4 || t.n < 4;
    return has(b, t.vtable, t.n_v) && has(b, at, t.n) ? t : (struct table){0};
}

/* Where field `slot` lies; 0 when it is absent. */
static size_t
field(struct fb *b, const struct table *t, int slot, size_t n)
{
    const size_t entry = 4 + 2 * (size_t)slot;
    if (b->bad || t->n == 0 || entry + 2 > t->n_v)
        return 0;
    const size_t offset = get(b, t->vtable + entry, 2);
    b->bad |= offset != 0 && offset + n > t->n;
    return b->bad || offset == 0 ? 0 : t->at + offset;
}

static uint64_t
number(struct fb *b, const struct table *t, int slot, size_t n, uint64_t otherwise)
{
    const size_t at = field(b, t, slot, n);
    return at ? get(b, at, n) : otherwise;
}

static int32_t
int_field(struct fb *b, const struct table *t, int slot, int32_t otherwise)
{
    return (int32_t)number(b, t, slot, 4, (uint32_t)otherwise);
}

/* Where an offset field points to; 0 when it is absent. */
static size_t
target(struct fb *b, const struct table *t, int slot)
{
    const size_t at = field(b, t, slot, 4);
    return at ? at + get(b, at, 4) : 0;
}

static struct table
child(struct fb *b, const struct table *t, int slot)
{
    const size_t at = target(b, t, slot);
    return at ? table_at(b, at) : (struct table){0};
}

static struct vector
vector(struct fb *b, const struct table *t, int slot, size_t size)
{
    const size_t at = target(b, t, slot);
    struct vector v = {.at = at + 4};
    if (!at)
        return v;
    v.n = get(b, at, 4);
    return has(b, v.at, v.n * size) ? v : (struct vector){0}; /* n < 2^32: no overflow */
}

static struct table
element(struct fb *b, struct vector v, size_t i)
{
    const size_t at = v.at + 4 * i;
    return table_at(b, at + get(b, at, 4));
}

/* The bytes that a length and text at `at` give, with a NUL behind. */
static ProtobufCBinaryData
text_at(struct fb *b, size_t at)
{
    const size_t n = get(b, at, 4);
    char *copy = has(b, at + 4, n) ? make(b, n + 1, 1) : NULL;
    if (!copy)
        return (ProtobufCBinaryData){0};
    memcpy(copy, b->p + at + 4, n);
    return (ProtobufCBinaryData){n, (uint8_t *)copy};
}

static ProtobufCBinaryData
text(struct fb *b, const struct table *t, int slot)
{
    const size_t at = target(b, t, slot);
    return at ? text_at(b, at) : (ProtobufCBinaryData){0};
}

/* A name: there must be one. */
static char *
name(struct fb *b, const struct table *t, int slot)
{
    const ProtobufCBinaryData s = text(b, t, slot);
    b->bad |= !s.data;
    return (char *)s.data;
}

/* Elements of `size` bytes in the file, as those of `wide` bytes in memory. */
static void *
numbers(struct fb *b, const struct table *t, int slot, size_t size, size_t wide, size_t *n)
{
    const struct vector v = vector(b, t, slot, size);
    uint8_t *list = make(b, v.n, wide);
    *n = list ? v.n : 0;
    for (size_t i = 0; i < *n; i++)
        memcpy(list + i * wide, b->p + v.at + i * size, size); /* zero bytes above: bool only */
    return list;
}

static ProtobufCBinaryData *
texts(struct fb *b, const struct table *t, int slot, size_t *n)
{
    const struct vector v = vector(b, t, slot, 4);
    ProtobufCBinaryData *list = make(b, v.n, sizeof(*list));
    *n = list ? v.n : 0;
    for (size_t i = 0; i < *n && !b->bad; i++) {
        const size_t at = v.at + 4 * i;
        list[i] = text_at(b, at + get(b, at, 4));
    }
    return list;
}

/* Makes one message of each table of a vector. */
typedef void *(*maker)(struct fb *b, struct table t);

static void *
messages(struct fb *b, const struct table *t, int slot, maker read, size_t *n)
{
    const struct vector v = vector(b, t, slot, 4);
    void **list = make(b, v.n, sizeof(*list));
    *n = list ? v.n : 0;
    for (size_t i = 0; i < *n && !b->bad; i++)
        list[i] = read(b, element(b, v, i));
    return list;
}

/* The program. Fields by slot, in the order of framework.fbs. */

static PaddlePb__TensorDesc *
read_tensor(struct fb *b, struct table t)
{
    PaddlePb__TensorDesc *d = make(b, 1, sizeof(*d));
    if (!d)
        return NULL;
    paddle_pb__tensor_desc__init(d);
    d->data_type = int_field(b, &t, 0, 0);
    d->dims = numbers(b, &t, 1, 8, 8, &d->n_dims);
    return d;
}

static PaddlePb__LoDTensorDesc *
read_lod_tensor(struct fb *b, struct table t)
{
    PaddlePb__LoDTensorDesc *d = t.n ? make(b, 1, sizeof(*d)) : NULL;
    if (!d)
        return NULL;
    paddle_pb__lo_dtensor_desc__init(d);
    d->tensor = read_tensor(b, child(b, &t, 0));
    d->has_lod_level = 1;
    d->lod_level = int_field(b, &t, 1, 0);
    return d;
}

static PaddlePb__VarType *
read_type(struct fb *b, struct table t)
{
    PaddlePb__VarType *d = make(b, 1, sizeof(*d));
    if (!d)
        return NULL;
    paddle_pb__var_type__init(d);
    d->type = int_field(b, &t, 0, 0);
    const bool is_holder = d->type == QS_FEED_MINIBATCH || d->type == QS_FETCH_LIST;
    d->lod_tensor = is_holder ? NULL : read_lod_tensor(b, child(b, &t, 2));
    d->tensor_array = read_lod_tensor(b, child(b, &t, 3));
    return d;
}

static void *
read_var(struct fb *b, struct table t)
{
    PaddlePb__VarDesc *d = make(b, 1, sizeof(*d));
    if (!d)
        return NULL;
    paddle_pb__var_desc__init(d);
    d->name = name(b, &t, 0);
    d->type = read_type(b, child(b, &t, 1));
    d->has_persistable = d->has_need_check_feed = 1;
    d->persistable = number(b, &t, 2, 1, 0) != 0;
    d->need_check_feed = number(b, &t, 3, 1, 0) != 0;
    return d;
}

static void *
read_slot(struct fb *b, struct table t)
{
    PaddlePb__OpSlot *d = make(b, 1, sizeof(*d));
    if (!d)
        return NULL;
    paddle_pb__op_slot__init(d);
    d->parameter = name(b, &t, 0);
    const ProtobufCBinaryData *list = texts(b, &t, 1, &d->n_arguments);
    d->arguments = make(b, d->n_arguments, sizeof(*d->arguments));
    for (size_t i = 0; d->arguments && i < d->n_arguments; i++) {
        d->arguments[i] = (char *)list[i].data;
        b->bad |= !list[i].data;
    }
    return d;
}

static void
read_lists(struct fb *b, const struct table *t, PaddlePb__OpAttr *d)
{
    d->ints = numbers(b, t, 5, 4, 4, &d->n_ints);
    d->floats = numbers(b, t, 6, 4, 4, &d->n_floats);
    d->strings = texts(b, t, 7, &d->n_strings);
    d->bools = numbers(b, t, 9, 1, sizeof(*d->bools), &d->n_bools);
    d->blocks_idx = numbers(b, t, 12, 4, 4, &d->n_blocks_idx);
    d->longs = numbers(b, t, 13, 8, 8, &d->n_longs);
    d->float64s = numbers(b, t, 15, 8, 8, &d->n_float64s);
}

/* Only the field of the type counts, and it may be absent when it holds its default. */
static void *
read_attr(struct fb *b, struct table t)
{
    PaddlePb__OpAttr *d = make(b, 1, sizeof(*d));
    if (!d)
        return NULL;
    paddle_pb__op_attr__init(d);
    d->name = name(b, &t, 0);
    d->type = int_field(b, &t, 1, 0);
    const uint32_t f = (uint32_t)number(b, &t, 3, 4, 0);
    const uint64_t f64 = number(b, &t, 14, 8, 0);
    static const char empty[1];
    d->has_i = d->type == QS_ATTR_INT;
    d->i = int_field(b, &t, 2, 0);
    d->has_f = d->type == QS_ATTR_FLOAT;
    memcpy(&d->f, &f, sizeof(f));
    d->has_s = d->type == QS_ATTR_STRING;
    d->s = text(b, &t, 4);
    if (!d->s.data)
        d->s.data = (uint8_t *)empty;
    d->has_b = d->type == QS_ATTR_BOOLEAN;
    d->b = number(b, &t, 8, 1, 0) != 0;
    d->has_block_idx = d->type == QS_ATTR_BLOCK;
    d->block_idx = int_field(b, &t, 10, 0);
    d->has_l = d->type == QS_ATTR_LONG;
    d->l = (int64_t)number(b, &t, 11, 8, 0);
    d->has_float64 = d->type == QS_ATTR_FLOAT64;
    memcpy(&d->float64, &f64, sizeof(f64));
    read_lists(b, &t, d);
    return d;
}

static void *
read_node(struct fb *b, struct table t)
{
    PaddlePb__OpDesc *d = make(b, 1, sizeof(*d));
    if (!d)
        return NULL;
    paddle_pb__op_desc__init(d);
    d->type = name(b, &t, 0);
    d->inputs = messages(b, &t, 1, read_slot, &d->n_inputs);
    d->outputs = messages(b, &t, 2, read_slot, &d->n_outputs);
    d->attrs = messages(b, &t, 3, read_attr, &d->n_attrs);
    d->has_is_target = 1;
    d->is_target = number(b, &t, 4, 1, 0) != 0;
    return d;
}

static void *
read_block(struct fb *b, struct table t)
{
    PaddlePb__BlockDesc *d = make(b, 1, sizeof(*d));
    if (!d)
        return NULL;
    paddle_pb__block_desc__init(d);
    d->idx = int_field(b, &t, 0, 0);
    const int32_t parent = int_field(b, &t, 1, 0);
    d->parent_idx = d->idx == 0 && parent == 0 ? -1 : parent; /* some writers leave it at 0 */
    d->vars = messages(b, &t, 2, read_var, &d->n_vars);
    d->ops = messages(b, &t, 3, read_node, &d->n_ops);
    d->forward_block_idx = int_field(b, &t, 4, -1);
    return d;
}

static enum qs_err
read_topology(struct qs_ctx *cx, struct qs_model *m, const uint8_t *p, size_t n)
{
    struct fb b = {.p = p, .n = n, .budget = 24 * n + (1 << 16), .arena = &m->arena};
    PaddlePb__ProgramDesc d = PADDLE_PB__PROGRAM_DESC__INIT;
    PaddlePb__Version version = PADDLE_PB__VERSION__INIT;
    const struct table t = table_at(&b, get(&b, 0, 4));
    d.blocks = messages(&b, &t, 0, read_block, &d.n_blocks);
    const struct table v = child(&b, &t, 1);
    version.has_version = v.n != 0;
    version.version = (int64_t)number(&b, &v, 0, 8, 0);
    d.version = v.n ? &version : NULL;
    if (b.bad)
        return qs_fail(cx, QS_ERR_FORMAT, _("the program is damaged"));
    return qs_program_take(cx, m, &d);
}

/* Parameters. Slots in the order of param.fbs; the union takes two. */

struct param {
    char *name;
    int32_t dtype;
    int64_t *dims;
    size_t n_dims;
    struct vector data;
};

static struct param
read_param(struct fb *b)
{
    const struct table t = table_at(b, get(b, 0, 4));
    struct param p = {.name = name(b, &t, 1)};
    b->bad |= number(b, &t, 2, 1, 0) != 1; /* an LoDTensorDesc */
    const struct table v = child(b, &t, 3);
    p.dims = numbers(b, &v, 2, 8, 8, &p.n_dims);
    p.dtype = int_field(b, &v, 3, 0);
    p.data = vector(b, &v, 4, 1);
    return p;
}

static enum qs_err
attach(struct qs_ctx *cx, struct qs_model *m, struct qs_buf *buf, const struct fb *b,
       const struct param *p)
{
    int64_t n = 0;
    const int32_t var = qs_model_find_var(m, 0, p->name);
    if (var < 0 || !m->var[var].declared || m->var[var].data)
        return qs_fail(cx, QS_ERR_FORMAT,
                       _("parameter '%s' is not a variable of the program, or comes twice"),
                       p->name);
    const enum qs_err err = qs_count_elements(cx, p->dims, (int)p->n_dims, &n);
    if (err)
        return qs_prefix(cx, _("parameter '%s'"), p->name);
    const int64_t size = qs_dtype_bytes(p->dtype);
    int64_t bytes;
    if (size == 0 || __builtin_mul_overflow(n, size, &bytes) || (uint64_t)bytes != p->data.n)
        return qs_fail(cx, QS_ERR_FORMAT,
                       _("parameter '%s' holds %zu bytes, which do not fit its type and shape"),
                       p->name, p->data.n);
    const size_t offset = (size_t)(b->p - buf->data) + p->data.at;
    qs_model_set_data(m, var, p->dtype, (int)p->n_dims, p->dims, qs_buf_ref(buf), offset);
    m->var[var].persistable = 1;
    return QS_OK;
}

static enum qs_err
read_params(struct qs_ctx *cx, struct qs_model *m, struct qs_buf *buf, size_t at)
{
    struct fb all = {.p = buf->data, .n = buf->size};
    const uint64_t version = get(&all, at, 2), meta = get(&all, at + 2, 2);
    at += 4 + meta;
    const size_t header = get(&all, at, 2), n = get(&all, at + 2, 2);
    at += 2 + header;
    if (all.bad || version != 0 || header < PARAM_HEADER)
        return qs_fail(cx, QS_ERR_FORMAT, _("the header of the parameters is damaged"));
    for (size_t i = 0; i < n; i++) {
        const size_t total = get(&all, at, 4), offset = get(&all, at + 4, 4);
        const bool good =
            has(&all, at, 4) && has(&all, at + 4, total) && offset >= 4 && offset <= total;
        struct fb b = {.p = buf->data + at + 4 + offset, .arena = &m->arena};
        b.n = good ? total - offset : 0;
        b.budget = b.n + 4096;
        const struct param p = good ? read_param(&b) : (struct param){0};
        if (!good || b.bad)
            return qs_fail(cx, QS_ERR_FORMAT, _("parameter %zu of %zu is damaged or cut off"),
                           i + 1, n);
        const enum qs_err err = attach(cx, m, buf, &b, &p);
        if (err)
            return err;
        at += 4 + total;
    }
    if (at != buf->size)
        return qs_fail(cx, QS_ERR_FORMAT, _("%zu bytes follow the last parameter"), buf->size - at);
    return QS_OK;
}

static enum qs_err
read_nb(struct qs_ctx *cx, const struct qs_buf *buf, struct qs_model *m)
{
    struct fb all = {.p = buf->data, .n = buf->size};
    const uint64_t meta = get(&all, 0, 2), n = get(&all, HEAD - 8, 8);
    if (meta != META)
        return qs_fail(cx, QS_ERR_UNSUPPORTED,
                       _("naive buffer of meta version %" PRIu64
                         " (only version 2, of Paddle-Lite 2.8 and later, can be read)"),
                       meta);
    if (all.bad || !has(&all, HEAD, n))
        return qs_fail(cx, QS_ERR_FORMAT, _("the program is cut off"));
    enum qs_err err = read_topology(cx, m, buf->data + HEAD, n);
    if (!err) /* a mapping is counted, not changed */
        err = read_params(cx, m, (struct qs_buf *)buf, HEAD + n);
    if (err)
        return err;
    m->has_params = true;
    m->params_bytes = (int64_t)(buf->size - HEAD - n);
    m->program_bytes = (int64_t)(HEAD + n);
    qs_note(cx, _("a Paddle-Lite file is optimized for its target: it can be looked at, not "
                  "quantized or written"));
    return QS_OK;
}

/* Meta version 0 to 2 and a version text; a protobuf starts with 0x0a, JSON with a brace. */
static bool
probe_nb(const uint8_t *p, size_t n)
{
    if (n < HEAD || p[0] > META || p[1] != 0)
        return false;
    const uint8_t *end = memchr(p + 2, '\0', 16);
    if (!end || end == p + 2)
        return false;
    for (const uint8_t *c = p + 2; c < end; c++)
        if (*c < ' ' || *c > '~')
            return false;
    return true;
}

const struct qs_format qs_format_nb = {
    .name = "nb",
    .what = N_("Paddle-Lite file"),
    .owns_params = true,
    .probe = probe_nb,
    .read = read_nb,
};
