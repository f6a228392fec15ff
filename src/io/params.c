/* SPDX-License-Identifier: Apache-2.0 */
#include "io/params.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "io/format.h"
#include "io/framework.pb-c.h"
#include "io/wire.h"

struct cursor {
    struct qs_ctx *cx;
    const uint8_t *p;
    size_t n, at;
};

static enum qs_err
take(struct cursor *c, void *out, size_t n, const char *what)
{
    if (c->n - c->at < n)
        return qs_fail(c->cx, QS_ERR_FORMAT, _("the file ends inside the %s (byte %zu of %zu)"),
                       what, c->at, c->n);
    if (out)
        memcpy(out, c->p + c->at, n);
    c->at += n;
    return QS_OK;
}

static enum qs_err
take_version(struct cursor *c)
{
    uint32_t version;
    const enum qs_err err = take(c, &version, sizeof(version), _("version"));
    if (err || version == 0)
        return err;
    return qs_fail(c->cx, QS_ERR_FORMAT, _("version %" PRIu32 " at byte %zu, 0 expected"), version,
                   c->at - sizeof(version));
}

static enum qs_err
skip_lod(struct cursor *c)
{
    uint64_t levels, bytes;
    enum qs_err err = take(c, &levels, sizeof(levels), _("header"));
    if (!err && levels > (c->n - c->at) / sizeof(bytes))
        err = qs_fail(c->cx, QS_ERR_FORMAT, _("%" PRIu64 " LoD levels at byte %zu"), levels,
                      c->at - sizeof(levels));
    for (uint64_t i = 0; !err && i < levels; i++) {
        err = take(c, &bytes, sizeof(bytes), _("LoD"));
        if (!err)
            err = take(c, NULL, bytes > SIZE_MAX ? SIZE_MAX : (size_t)bytes, _("LoD"));
    }
    return err;
}

static enum qs_err
take_desc(struct cursor *c, struct qs_arena *arena, struct qs_tensor *t)
{
    int32_t size;
    enum qs_err err = take(c, &size, sizeof(size), _("header"));
    if (err)
        return err;
    const size_t at = c->at;
    if (size < 0)
        return qs_fail(c->cx, QS_ERR_FORMAT, _("descriptor of %" PRId32 " bytes at byte %zu"), size,
                       at);
    err = take(c, NULL, (size_t)size, _("descriptor"));
    if (err)
        return err;
    ProtobufCAllocator alloc = qs_wire_allocator(arena);
    const PaddlePb__TensorDesc *d = paddle_pb__tensor_desc__unpack(&alloc, (size_t)size, c->p + at);
    if (!d)
        return qs_fail(c->cx, QS_ERR_FORMAT, _("bad tensor descriptor at byte %zu"), at);
    t->dtype = d->data_type;
    t->n_dims = (int)d->n_dims;
    t->dims = d->dims;
    if (qs_dtype_bytes(t->dtype) == 0)
        return qs_fail(c->cx, QS_ERR_FORMAT, _("element type %d at byte %zu is not known"),
                       t->dtype, at);
    return qs_count_elements(c->cx, t->dims, t->n_dims, &t->n);
}

enum qs_err
qs_record_read(struct qs_ctx *cx, struct qs_arena *arena, struct qs_buf *b, size_t *offset,
               struct qs_tensor *t)
{
    struct cursor c = {cx, b->data, b->size, *offset};
    *t = (struct qs_tensor){.buf = b, .record = *offset};
    enum qs_err err = take_version(&c);
    if (!err)
        err = skip_lod(&c);
    if (!err)
        err = take_version(&c);
    if (!err)
        err = take_desc(&c, arena, t);
    if (err)
        return err;
    t->offset = c.at;
    if (__builtin_mul_overflow((size_t)t->n, (size_t)qs_dtype_bytes(t->dtype), &t->bytes) ||
        t->bytes > c.n - c.at) {
        char dims[128];
        return qs_fail(cx, QS_ERR_FORMAT,
                       _("%s of %s at byte %zu needs more than the %zu bytes that are left"),
                       qs_format_dims(dims, sizeof(dims), t->dims, t->n_dims),
                       qs_dtype_name(t->dtype), c.at, c.n - c.at);
    }
    *offset = c.at + t->bytes;
    return QS_OK;
}

static uint8_t *
put_varint(uint8_t *p, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *p++ = (uint8_t)(v | 0x80);
    *p++ = (uint8_t)v;
    return p;
}

size_t
qs_record_header(const struct qs_tensor *t, uint8_t out[QS_RECORD_HEADER_MOST])
{
    enum { DATA_TYPE_TAG = 1 << 3, DIMS_TAG = 2 << 3, SIZE_AT = 16, DESC_AT = 20 };
    memset(out, 0, DESC_AT);
    uint8_t *p = out + DESC_AT;
    *p++ = DATA_TYPE_TAG;
    p = put_varint(p, (uint64_t)t->dtype);
    for (int i = 0; i < t->n_dims; i++) {
        *p++ = DIMS_TAG;
        p = put_varint(p, (uint64_t)t->dims[i]);
    }
    const int32_t size = (int32_t)(p - out) - DESC_AT;
    memcpy(out + SIZE_AT, &size, sizeof(size));
    return (size_t)(p - out);
}

/* The value belongs to every variable of that name (blocks may declare it again). */
static void
attach(struct qs_model *m, int32_t var, const struct qs_tensor *t)
{
    struct qs_tensor *own = qs_arena_alloc(&m->arena, sizeof(*own));
    *own = *t;
    const int32_t *same;
    const int n = qs_model_same_name(m, m->var[var].name, &same);
    for (int i = 0; i < n; i++) {
        struct qs_var *v = &m->var[same[i]];
        if (!qs_var_is_param(v) || v->data)
            continue;
        v->data = own;
        qs_buf_ref(own->buf);
    }
}

/* The stream wins over the program, but a weight of another shape in the same element type means
 * that the two files do not belong together. */
static bool
shapes_agree(const struct qs_var *v, const struct qs_tensor *t)
{
    if (v->dtype != t->dtype || v->n_dims < 2 || t->n_dims < 2)
        return true;
    if (v->n_dims != t->n_dims)
        return false;
    for (int i = 0; i < t->n_dims; i++)
        if (v->dims[i] >= 0 && v->dims[i] != t->dims[i])
            return false;
    return true;
}

static enum qs_err
check_shape(struct qs_ctx *cx, const struct qs_var *v, const struct qs_tensor *t)
{
    char in_file[128], in_program[128];
    if (shapes_agree(v, t))
        return QS_OK;
    return qs_fail(cx, QS_ERR_FORMAT,
                   _("tensor '%s' is %s in the parameters and %s in the program"), v->name,
                   qs_format_dims(in_file, sizeof(in_file), t->dims, t->n_dims),
                   qs_format_dims(in_program, sizeof(in_program), v->dims, v->n_dims));
}

static bool
all_agree(const struct qs_model *m, const int32_t *order, int n, const struct qs_tensor *t)
{
    for (int i = 0; i < n; i++)
        if (!shapes_agree(&m->var[order[i]], &t[i]))
            return false;
    return true;
}

/* Some 1.x writers kept the order of the program: variables of all blocks as they come. */
static int32_t *
program_order(const struct qs_model *m, const int32_t *sorted, int n)
{
    int32_t *order = qs_xmalloc((size_t)n * sizeof(*order));
    bool *wanted = qs_xcalloc((size_t)m->n_var, sizeof(*wanted));
    int k = 0;
    for (int i = 0; i < n; i++)
        wanted[sorted[i]] = true;
    for (int i = 0; i < m->n_var; i++)
        if (wanted[i])
            order[k++] = i;
    free(wanted);
    return order;
}

static enum qs_err
read_stream(struct qs_ctx *cx, struct qs_model *m, struct qs_buf *b, const int32_t *sorted, int n,
            struct qs_tensor *t)
{
    size_t at = 0;
    for (int i = 0; i < n; i++)
        if (qs_record_read(cx, &m->arena, b, &at, &t[i]) != QS_OK)
            return qs_prefix(cx, _("tensor %d of %d ('%s')"), i + 1, n, m->var[sorted[i]].name);
    if (at != b->size)
        return qs_fail(cx, QS_ERR_FORMAT, _("%zu bytes are left after the last of %d tensors"),
                       b->size - at, n);
    return QS_OK;
}

static enum qs_err
assign(struct qs_ctx *cx, struct qs_model *m, const int32_t *sorted, int n,
       const struct qs_tensor *t)
{
    int32_t *other = all_agree(m, sorted, n, t) ? NULL : program_order(m, sorted, n);
    const int32_t *order = other && all_agree(m, other, n, t) ? other : sorted;
    enum qs_err err = QS_OK;
    for (int i = 0; i < n && !err; i++)
        err = check_shape(cx, &m->var[order[i]], &t[i]);
    for (int i = 0; i < n && !err; i++)
        attach(m, order[i], &t[i]);
    free(other);
    return err;
}

enum qs_err
qs_params_read_combined(struct qs_ctx *cx, struct qs_model *m, struct qs_buf *b, const char *path)
{
    int n;
    int32_t *sorted = qs_model_params(m, &n);
    struct qs_tensor *t = qs_arena_calloc(&m->arena, (size_t)n, sizeof(*t));
    enum qs_err err = read_stream(cx, m, b, sorted, n, t);
    if (!err)
        err = assign(cx, m, sorted, n, t);
    free(sorted);
    if (err)
        return qs_prefix(cx, _("cannot read parameters '%s'"), path);
    m->params_bytes = (int64_t)b->size;
    m->has_params = true;
    return QS_OK;
}

static enum qs_err
read_one(struct qs_ctx *cx, struct qs_model *m, const char *path, int32_t var)
{
    struct qs_buf *b = NULL;
    struct qs_tensor t;
    size_t at = 0;
    enum qs_err err = qs_buf_map(cx, path, _("parameter"), &b);
    if (err)
        return err;
    err = qs_record_read(cx, &m->arena, b, &at, &t);
    if (!err && at != b->size)
        err = qs_fail(cx, QS_ERR_FORMAT, _("%zu bytes are left after the tensor"), b->size - at);
    if (!err)
        err = check_shape(cx, &m->var[var], &t);
    if (err)
        qs_prefix(cx, _("cannot read parameter '%s'"), path);
    else
        attach(m, var, &t);
    m->params_bytes += (int64_t)b->size;
    qs_buf_unref(b);
    return err;
}

/* A name is a path below the folder, never one that leaves it. */
static bool
leaves_folder(const char *name)
{
    return name[0] == '/' || strcmp(name, "..") == 0 || strncmp(name, "../", 3) == 0 ||
           strstr(name, "/../") != NULL;
}

enum qs_err
qs_params_read_separate(struct qs_ctx *cx, struct qs_model *m, const char *folder)
{
    int n;
    int32_t *sorted = qs_model_params(m, &n);
    enum qs_err err = QS_OK;
    for (int i = 0; i < n && !err; i++) {
        const char *name = m->var[sorted[i]].name;
        if (leaves_folder(name)) {
            err = qs_fail(cx, QS_ERR_FORMAT, _("parameter name '%s' leaves the folder '%s'"), name,
                          folder);
            break;
        }
        char *path = qs_xasprintf("%s/%s", folder, name);
        err = read_one(cx, m, path, sorted[i]);
        free(path);
    }
    free(sorted);
    if (err)
        return err;
    m->separate = true;
    m->has_params = true;
    return QS_OK;
}
