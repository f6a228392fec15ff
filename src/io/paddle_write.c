/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writer of ProgramDesc and of the combined parameter stream. What was read and not changed comes
 * out as it went in: records of the stream verbatim, unknown fields and attributes included.
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "io/format.h"
#include "io/framework.pb-c.h"
#include "io/params.h"
#include "io/wire.h"

static ProtobufCBinaryData
binary(struct qs_bytes b)
{
    return (ProtobufCBinaryData){b.n, (uint8_t *)b.p};
}

static ProtobufCBinaryData *
binary_list(struct qs_arena *a, const struct qs_bytes *b, int n)
{
    ProtobufCBinaryData *list = qs_arena_alloc(a, (size_t)n * sizeof(*list));
    for (int i = 0; i < n; i++)
        list[i] = binary(b[i]);
    return list;
}

static protobuf_c_boolean *
bool_list(struct qs_arena *a, const int32_t *b, int n)
{
    protobuf_c_boolean *list = qs_arena_alloc(a, (size_t)n * sizeof(*list));
    for (int i = 0; i < n; i++)
        list[i] = b[i];
    return list;
}

static void
put_value(struct qs_arena *a, const struct qs_attr *attr, PaddlePb__OpAttr *d)
{
    const size_t n = (size_t)attr->n;
    switch (attr->type) {
    case QS_ATTR_INT:
        d->has_i = 1;
        d->i = (int32_t)attr->i;
        break;
    case QS_ATTR_BOOLEAN:
        d->has_b = 1;
        d->b = attr->i != 0;
        break;
    case QS_ATTR_LONG:
        d->has_l = 1;
        d->l = attr->i;
        break;
    case QS_ATTR_BLOCK:
        d->has_block_idx = 1;
        d->block_idx = (int32_t)attr->i;
        break;
    case QS_ATTR_FLOAT:
        d->has_f = 1;
        d->f = attr->f;
        break;
    case QS_ATTR_FLOAT64:
        d->has_float64 = 1;
        d->float64 = attr->d;
        break;
    case QS_ATTR_STRING:
        d->has_s = 1;
        d->s = binary(attr->s);
        break;
    case QS_ATTR_VAR:
        d->has_var_name = 1;
        d->var_name = binary(attr->s);
        break;
    case QS_ATTR_INTS:
        d->n_ints = n;
        d->ints = (int32_t *)attr->ints;
        break;
    case QS_ATTR_BLOCKS:
        d->n_blocks_idx = n;
        d->blocks_idx = (int32_t *)attr->ints;
        break;
    case QS_ATTR_FLOATS:
        d->n_floats = n;
        d->floats = (float *)attr->floats;
        break;
    case QS_ATTR_STRINGS:
        d->n_strings = n;
        d->strings = binary_list(a, attr->bytes, attr->n);
        break;
    case QS_ATTR_VARS:
        d->n_vars_name = n;
        d->vars_name = binary_list(a, attr->bytes, attr->n);
        break;
    case QS_ATTR_BOOLEANS:
        d->n_bools = n;
        d->bools = bool_list(a, attr->bools, attr->n);
        break;
    case QS_ATTR_LONGS:
        d->n_longs = n;
        d->longs = (int64_t *)attr->longs;
        break;
    case QS_ATTR_FLOAT64S:
        d->n_float64s = n;
        d->float64s = (double *)attr->doubles;
        break;
    case QS_ATTR_SCALAR:
    case QS_ATTR_SCALARS:
        break; /* always raw */
    }
}

static PaddlePb__OpAttr *
make_attr(struct qs_arena *a, const struct qs_attr *attr)
{
    if (attr->raw.p) {
        ProtobufCAllocator alloc = qs_wire_allocator(a);
        return paddle_pb__op_attr__unpack(&alloc, attr->raw.n, (const uint8_t *)attr->raw.p);
    }
    PaddlePb__OpAttr *d = qs_arena_alloc(a, sizeof(*d));
    paddle_pb__op_attr__init(d);
    d->name = (char *)attr->name;
    d->type = (int32_t)attr->type;
    put_value(a, attr, d);
    return d;
}

static PaddlePb__OpSlot **
make_slots(struct qs_arena *a, const struct qs_model *m, const struct qs_slot *slot, int n)
{
    PaddlePb__OpSlot **list = qs_arena_alloc(a, (size_t)n * sizeof(*list));
    for (int s = 0; s < n; s++) {
        PaddlePb__OpSlot *d = list[s] = qs_arena_alloc(a, sizeof(*d));
        paddle_pb__op_slot__init(d);
        d->parameter = (char *)slot[s].name;
        d->n_arguments = (size_t)slot[s].n;
        d->arguments = qs_arena_alloc(a, (size_t)slot[s].n * sizeof(*d->arguments));
        for (int k = 0; k < slot[s].n; k++)
            d->arguments[k] = (char *)m->var[slot[s].var[k]].name;
    }
    return list;
}

static PaddlePb__OpDesc *
make_node(struct qs_arena *a, const struct qs_model *m, const struct qs_node *node)
{
    PaddlePb__OpDesc *d = qs_arena_alloc(a, sizeof(*d));
    paddle_pb__op_desc__init(d);
    d->type = (char *)node->type;
    d->n_inputs = (size_t)node->n_in;
    d->inputs = make_slots(a, m, node->in, node->n_in);
    d->n_outputs = (size_t)node->n_out;
    d->outputs = make_slots(a, m, node->out, node->n_out);
    d->n_attrs = (size_t)node->n_attr;
    d->attrs = qs_arena_alloc(a, d->n_attrs * sizeof(*d->attrs));
    for (int i = 0; i < node->n_attr; i++)
        d->attrs[i] = make_attr(a, &node->attr[i]);
    d->has_is_target = node->is_target >= 0;
    d->is_target = node->is_target > 0;
    qs_wire_put_unknown(a, node->unknown, &d->base);
    return d;
}

static PaddlePb__VarType *
make_type(struct qs_arena *a, const struct qs_var *v)
{
    if (v->type_raw.p) {
        ProtobufCAllocator alloc = qs_wire_allocator(a);
        return paddle_pb__var_type__unpack(&alloc, v->type_raw.n, (const uint8_t *)v->type_raw.p);
    }
    PaddlePb__VarType *t = qs_arena_alloc(a, sizeof(*t));
    paddle_pb__var_type__init(t);
    t->type = v->container;
    if (v->dtype < 0)
        return t;
    t->lod_tensor = qs_arena_alloc(a, sizeof(*t->lod_tensor));
    paddle_pb__lo_dtensor_desc__init(t->lod_tensor);
    t->lod_tensor->has_lod_level = v->has_lod_level >= 0;
    t->lod_tensor->lod_level = v->lod_level;
    PaddlePb__TensorDesc *d = t->lod_tensor->tensor = qs_arena_alloc(a, sizeof(*d));
    paddle_pb__tensor_desc__init(d);
    d->data_type = v->dtype;
    d->n_dims = v->n_dims > 0 ? (size_t)v->n_dims : 0;
    d->dims = (int64_t *)v->dims;
    return t;
}

static PaddlePb__VarDesc *
make_var(struct qs_arena *a, const struct qs_var *v)
{
    PaddlePb__VarDesc *d = qs_arena_alloc(a, sizeof(*d));
    paddle_pb__var_desc__init(d);
    d->name = (char *)v->name;
    d->type = make_type(a, v);
    d->has_persistable = v->persistable >= 0;
    d->persistable = v->persistable > 0;
    d->has_need_check_feed = v->need_check_feed >= 0;
    d->need_check_feed = v->need_check_feed > 0;
    d->has_is_parameter = v->is_parameter >= 0;
    d->is_parameter = v->is_parameter > 0;
    d->has_stop_gradient = v->stop_gradient >= 0;
    d->stop_gradient = v->stop_gradient > 0;
    qs_wire_put_unknown(a, v->unknown, &d->base);
    return d;
}

static PaddlePb__BlockDesc *
make_block(struct qs_arena *a, const struct qs_model *m, const struct qs_block *b)
{
    PaddlePb__BlockDesc *d = qs_arena_alloc(a, sizeof(*d));
    paddle_pb__block_desc__init(d);
    d->idx = b->idx;
    d->parent_idx = b->parent;
    d->has_forward_block_idx = b->has_forward >= 0;
    d->forward_block_idx = b->forward;
    d->n_vars = (size_t)b->n_var;
    d->vars = qs_arena_alloc(a, d->n_vars * sizeof(*d->vars));
    for (int i = 0; i < b->n_var; i++)
        d->vars[i] = make_var(a, &m->var[b->var[i]]);
    d->n_ops = (size_t)b->n_node;
    d->ops = qs_arena_alloc(a, d->n_ops * sizeof(*d->ops));
    for (int i = 0; i < b->n_node; i++)
        d->ops[i] = make_node(a, m, &b->node[i]);
    qs_wire_put_unknown(a, b->unknown, &d->base);
    return d;
}

enum qs_err
qs_program_encode(struct qs_ctx *cx, const struct qs_model *m, uint8_t **out, size_t *n)
{
    struct qs_arena a;
    PaddlePb__ProgramDesc p = PADDLE_PB__PROGRAM_DESC__INIT;
    PaddlePb__Version version = PADDLE_PB__VERSION__INIT;
    qs_arena_init(&a);
    p.n_blocks = (size_t)m->n_block;
    p.blocks = qs_arena_alloc(&a, p.n_blocks * sizeof(*p.blocks));
    for (int i = 0; i < m->n_block; i++)
        p.blocks[i] = make_block(&a, m, &m->block[i]);
    if (m->has_version >= 0) {
        version.has_version = 1;
        version.version = m->version;
        p.version = &version;
    }
    qs_wire_put_unknown(&a, m->tail, &p.base);
    *n = paddle_pb__program_desc__get_packed_size(&p);
    *out = malloc(*n ? *n : 1);
    if (*out)
        paddle_pb__program_desc__pack(&p, *out);
    qs_arena_release(&a);
    return *out ? QS_OK : qs_fail(cx, QS_ERR_MEMORY, _("out of memory: %zu bytes wanted"), *n);
}

static enum qs_err
write_program(struct qs_ctx *cx, const struct qs_model *m, struct qs_writer *w)
{
    uint8_t *p = NULL;
    size_t n;
    enum qs_err err = qs_program_encode(cx, m, &p, &n);
    if (!err)
        err = qs_writer_put(cx, w, p, n);
    if (!err)
        err = qs_writer_finish(cx, w);
    free(p);
    return err;
}

static enum qs_err
write_record(struct qs_ctx *cx, const struct qs_tensor *t, struct qs_writer *w)
{
    const uint8_t *data = t->buf->data;
    enum qs_err err;
    if (t->record != SIZE_MAX) {
        err = qs_writer_put(cx, w, data + t->record, t->offset + t->bytes - t->record);
        qs_buf_advise(t->buf, t->record, t->offset + t->bytes - t->record, 0);
        return err;
    }
    uint8_t header[QS_RECORD_HEADER_MOST];
    err = qs_writer_put(cx, w, header, qs_record_header(t, header));
    return err ? err : qs_writer_put(cx, w, data + t->offset, t->bytes);
}

static int64_t
record_bytes(const struct qs_tensor *t)
{
    uint8_t header[QS_RECORD_HEADER_MOST];
    if (t->record != SIZE_MAX)
        return (int64_t)(t->offset + t->bytes - t->record);
    return (int64_t)(qs_record_header(t, header) + t->bytes);
}

int64_t
qs_params_bytes(const struct qs_model *m)
{
    int64_t bytes = 0;
    int n;
    int32_t *list = qs_model_params(m, &n);
    for (int i = 0; i < n; i++)
        bytes += m->var[list[i]].data ? record_bytes(m->var[list[i]].data) : 0;
    free(list);
    return bytes;
}

static enum qs_err
write_params(struct qs_ctx *cx, const struct qs_model *m, struct qs_writer *w)
{
    int n;
    int32_t *list = qs_model_params(m, &n);
    enum qs_err err = QS_OK;
    for (int i = 0; i < n && !err; i++) {
        const struct qs_var *v = &m->var[list[i]];
        if (!v->data)
            err = qs_fail(cx, QS_ERR_FORMAT, _("parameter '%s' has no value"), v->name);
        else
            err = write_record(cx, v->data, w);
    }
    free(list);
    return err ? err : qs_writer_finish(cx, w);
}

static enum qs_err
write_both(struct qs_ctx *cx, const struct qs_model *m, struct qs_writer *program,
           struct qs_writer *params, struct qs_file_info file[2])
{
    enum qs_err err = write_program(cx, m, program);
    if (!err && params)
        err = write_params(cx, m, params);
    if (!err && params)
        err = qs_writer_commit(cx, params, &file[1]);
    return err ? err : qs_writer_commit(cx, program, &file[0]);
}

enum qs_err
qs_model_write(struct qs_ctx *cx, const struct qs_model *m, const char *prefix, bool force,
               struct qs_file_info file[2])
{
    struct qs_writer *program = NULL, *params = NULL;
    char *program_path = qs_xasprintf("%s.pdmodel", prefix);
    char *params_path = qs_xasprintf("%s.pdiparams", prefix);
    enum qs_err err = QS_OK;
    if (strcmp(m->format, "nb") == 0)
        err = qs_fail(cx, QS_ERR_UNSUPPORTED,
                      _("cannot write '%s': a model read from a Paddle-Lite file is the optimized "
                        "program, for inspection only"),
                      program_path);
    if (!err)
        err = qs_writer_open(cx, program_path, force, &program);
    if (!err && m->has_params)
        err = qs_writer_open(cx, params_path, force, &params);
    if (!err)
        err = write_both(cx, m, program, params, file);
    qs_writer_free(params);
    qs_writer_free(program);
    free(params_path);
    free(program_path);
    return err;
}
