/* SPDX-License-Identifier: Apache-2.0 */
/* PIR programs (inference.json of Paddle 3), read as classic programs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "io/format.h"
#include "io/framework.pb-c.h"
#include "io/pir.h"
#include "io/wire.h"
#include "model/op.h"

enum { VERSION = 2006002 /* the program is as Paddle 2.6.2 would have it */, NOTES_MOST = 8 };
enum { RANK_MOST = 64, LARGEST_DOCUMENT = 64 << 20, BUDGET = 1 << 20 };

/* Types */

static const struct element {
    const char *id;
    int32_t dtype;
} elements[] = {
    {"0.t_bool", QS_DTYPE_bool},     {"0.t_i8", QS_DTYPE_int8},
    {"0.t_ui8", QS_DTYPE_uint8},     {"0.t_i16", QS_DTYPE_int16},
    {"0.t_i32", QS_DTYPE_int32},     {"0.t_i64", QS_DTYPE_int64},
    {"0.t_f16", QS_DTYPE_float16},   {"0.t_bf16", QS_DTYPE_bfloat16},
    {"0.t_f32", QS_DTYPE_float32},   {"0.t_f64", QS_DTYPE_float64},
    {"0.t_c64", QS_DTYPE_complex64}, {"0.t_c128", QS_DTYPE_complex128},
};

static const struct container {
    const char *id;
    enum qs_container container;
} containers[] = {
    {"0.t_dtensor", QS_LOD_TENSOR},
    {"1.t_dense_tensor_array", QS_LOD_TENSOR_ARRAY},
};

static const char *
id_of(const json_t *j)
{
    return json_string_value(json_object_get(j, "#"));
}

int32_t
pir_dtype(const json_t *type)
{
    const char *id = id_of(json_array_get(json_object_get(type, "D"), 0));
    for (size_t i = 0; id && i < QS_LEN(elements); i++)
        if (strcmp(elements[i].id, id) == 0)
            return elements[i].dtype;
    return -1;
}

const json_t *
pir_list_type(const json_t *type)
{
    const char *id = id_of(type);
    const json_t *list = json_object_get(type, "D");
    return id && strcmp(id, "0.t_vec") == 0 && json_is_array(list) ? list : NULL;
}

static enum qs_err
bad_type(struct pir_reader *r, const char *name)
{
    return qs_fail(r->cx, QS_ERR_FORMAT, _("variable '%s' has a type that is not supported"), name);
}

static enum qs_err
set_dims(struct pir_reader *r, struct qs_var *v, const json_t *dims)
{
    const size_t n = json_array_size(dims);
    if (!json_is_array(dims) || n > RANK_MOST)
        return bad_type(r, v->name);
    int64_t *list = qs_arena_calloc(&r->m->arena, n + 1, sizeof(*list));
    for (size_t i = 0; i < n; i++) {
        const json_t *d = json_array_get(dims, i);
        list[i] = json_integer_value(d);
        if (!json_is_integer(d) || list[i] < -1)
            return bad_type(r, v->name);
    }
    v->n_dims = (int)n;
    v->dims = list;
    return QS_OK;
}

/* The message of a type that is more than a tensor. */
static void
keep_type(struct pir_reader *r, struct qs_var *v)
{
    PaddlePb__VarType type = PADDLE_PB__VAR_TYPE__INIT;
    PaddlePb__LoDTensorDesc array = PADDLE_PB__LO_DTENSOR_DESC__INIT;
    PaddlePb__TensorDesc tensor = PADDLE_PB__TENSOR_DESC__INIT;
    type.type = v->container;
    type.tensor_array = &array;
    array.tensor = &tensor;
    tensor.data_type = v->dtype;
    tensor.n_dims = (size_t)v->n_dims;
    tensor.dims = (int64_t *)v->dims;
    v->type_raw = qs_wire_keep(&r->m->arena, &type.base);
}

static enum qs_err
set_type(struct pir_reader *r, struct qs_var *v, const json_t *type)
{
    const char *id = id_of(type);
    size_t i = 0;
    while (id && i < QS_LEN(containers) && strcmp(containers[i].id, id) != 0)
        i++;
    v->dtype = pir_dtype(type);
    if (!id || i == QS_LEN(containers) || v->dtype < 0)
        return bad_type(r, v->name);
    v->container = containers[i].container;
    v->has_lod_level = v->container == QS_LOD_TENSOR ? 1 : -1;
    const enum qs_err err = set_dims(r, v, json_array_get(json_object_get(type, "D"), 1));
    if (!err && v->container == QS_LOD_TENSOR_ARRAY)
        keep_type(r, v);
    return err;
}

/* Values */

static bool
id_number(const json_t *def, int64_t *id)
{
    const json_t *j = json_object_get(def, "%");
    if (!j)
        j = json_object_get(def, "#"); /* block arguments */
    *id = json_integer_value(j);
    return json_is_integer(j);
}

static int
compare_values(const void *a, const void *b)
{
    const int64_t x = ((const struct pir_value *)a)->id, y = ((const struct pir_value *)b)->id;
    return (x > y) - (x < y);
}

static struct pir_value *
find_value(struct pir_reader *r, int64_t id)
{
    const struct pir_value key = {.id = id};
    return r->n_value ? bsearch(&key, r->value, (size_t)r->n_value, sizeof(key), compare_values)
                      : NULL;
}

struct pir_value *
pir_value_of(struct pir_reader *r, const json_t *def)
{
    int64_t id;
    return id_number(def, &id) && id ? find_value(r, id) : NULL;
}

/* First pass: values, uses, names, regions */

static const json_t *
results_of(const json_t *op, size_t *n)
{
    const json_t *o = json_object_get(op, "O"); /* one object instead of a list for parameters */
    *n = json_is_object(o) ? 1 : json_array_size(o);
    return o;
}

static const json_t *
result_at(const json_t *results, size_t i)
{
    return json_is_object(results) ? results : json_array_get(results, i);
}

static enum qs_err
define(struct pir_reader *r, const json_t *def)
{
    int64_t id;
    if (!id_number(def, &id))
        return qs_fail(r->cx, QS_ERR_FORMAT, _("a value has no number"));
    if (id == 0)
        return QS_OK; /* an absent result */
    struct pir_value *v =
        qs_arena_grow(&r->scratch, (void **)&r->value, r->n_value, &r->cap_value, sizeof(*v));
    r->n_value++;
    v->id = id;
    v->type = json_object_get(def, "TT");
    v->var = -1;
    return QS_OK;
}

static void
note_name(struct pir_reader *r, const json_t *op)
{
    const struct pir_op named = {.attr = json_object_get(op, "A")};
    const char *name = json_string_value(json_array_get(named.attr, 3));
    if (!name)
        name = pir_text(pir_attr(&named, "parameter_name"));
    if (!name)
        name = pir_text(pir_attr(&named, "name"));
    const char **at =
        name ? qs_arena_grow(&r->scratch, (void **)&r->name, r->n_name, &r->cap_name, sizeof(*at))
             : NULL;
    if (!at)
        return;
    *at = name;
    r->n_name++;
}

static enum qs_err scan_regions(struct pir_reader *r, const json_t *regions, int depth);

static enum qs_err
scan_op(struct pir_reader *r, const json_t *op, int depth)
{
    static const char *const named[] = {"p", "0.parameter", "1.data", "1.feed"};
    size_t n;
    const json_t *results = results_of(op, &n);
    const char *id = id_of(op);
    if (!id)
        return qs_fail(r->cx, QS_ERR_FORMAT, _("an operator has no name"));
    for (size_t i = 0; i < n; i++) {
        const enum qs_err err = define(r, result_at(results, i));
        if (err)
            return err;
    }
    for (size_t i = 0; i < QS_LEN(named); i++)
        if (strcmp(named[i], id) == 0)
            note_name(r, op);
    return scan_regions(r, json_object_get(op, "regions"), depth + 1);
}

static enum qs_err
scan_block(struct pir_reader *r, const json_t *block, int depth)
{
    static const char *const args[] = {"args", "kwargs"};
    enum qs_err err = QS_OK;
    for (size_t k = 0; k < QS_LEN(args); k++) {
        const json_t *list = json_object_get(block, args[k]);
        for (size_t i = 0; i < json_array_size(list) && !err && k == 0; i++)
            err = define(r, json_array_get(list, i));
    }
    const json_t *ops = json_object_get(block, "ops");
    for (size_t i = 0; i < json_array_size(ops) && !err; i++)
        err = scan_op(r, json_array_get(ops, i), depth);
    return err;
}

static enum qs_err
scan_regions(struct pir_reader *r, const json_t *regions, int depth)
{
    enum qs_err err = QS_OK;
    if (json_array_size(regions) && depth > PIR_NESTING_MOST)
        return qs_fail(r->cx, QS_ERR_FORMAT, _("control flow is nested more than %d deep"),
                       PIR_NESTING_MOST);
    for (size_t i = 0; i < json_array_size(regions) && !err; i++) {
        const json_t *blocks = json_object_get(json_array_get(regions, i), "blocks");
        for (size_t k = 0; k < json_array_size(blocks) && !err; k++, r->n_region++)
            err = scan_block(r, json_array_get(blocks, k), depth);
    }
    return err;
}

/* Counts who reads what, once all values are known. */
static void
count_uses(struct pir_reader *r, const json_t *regions)
{
    for (size_t i = 0; i < json_array_size(regions); i++) {
        const json_t *blocks = json_object_get(json_array_get(regions, i), "blocks");
        for (size_t k = 0; k < json_array_size(blocks); k++) {
            const json_t *ops = json_object_get(json_array_get(blocks, k), "ops");
            for (size_t o = 0; o < json_array_size(ops); o++) {
                const json_t *op = json_array_get(ops, o), *in = json_object_get(op, "I");
                for (size_t x = 0; x < json_array_size(in); x++) {
                    struct pir_value *v = pir_value_of(r, json_array_get(in, x));
                    if (v)
                        v->uses++;
                }
                count_uses(r, json_object_get(op, "regions"));
            }
        }
    }
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum qs_err
check_tables(struct pir_reader *r)
{
    if (r->n_value)
        qsort(r->value, (size_t)r->n_value, sizeof(*r->value), compare_values);
    for (int i = 1; i < r->n_value; i++)
        if (r->value[i].id == r->value[i - 1].id)
            return qs_fail(r->cx, QS_ERR_FORMAT, _("value %" PRId64 " is defined twice"),
                           r->value[i].id);
    if (r->n_name)
        qsort(r->name, (size_t)r->n_name, sizeof(*r->name), compare_names);
    for (int i = 0; i < r->n_name; i++) {
        const char *name = r->name[i];
        if (i > 0 && strcmp(name, r->name[i - 1]) == 0)
            return qs_fail(r->cx, QS_ERR_FORMAT, _("the name '%s' is given twice"), name);
        if (strcmp(name, "feed") == 0 || strcmp(name, "fetch") == 0)
            return qs_fail(r->cx, QS_ERR_UNSUPPORTED,
                           _("a parameter or input is named '%s', which classic programs reserve"),
                           name);
    }
    return QS_OK;
}

/* Variables */

/* Whether a parameter or input is called `stem` or "<stem>." and something. */
static bool
is_taken(const struct pir_reader *r, const char *stem)
{
    const size_t n = strlen(stem);
    int lo = 0, hi = r->n_name;
    while (lo < hi) {
        const int mid = lo + (hi - lo) / 2;
        if (strcmp(r->name[mid], stem) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < r->n_name && strncmp(r->name[lo], stem, n) == 0; lo++)
        if (r->name[lo][n] == '\0' || r->name[lo][n] == '.')
            return true;
    return false;
}

const char *
pir_stem(struct pir_reader *r, const char *type)
{
    const int row = pir_row_of_type(type);
    int *count = row >= 0 ? &r->count[row] : &r->n_opaque;
    const char *stem;
    do
        stem = qs_arena_printf(&r->scratch, "%s_%d", type, (*count)++);
    while (is_taken(r, stem));
    return stem;
}

enum qs_err
pir_new_var(struct pir_reader *r, struct pir_block *b, const char *name, const json_t *type,
            int32_t *var)
{
    *var = qs_model_add_var(r->m, b->idx, name);
    int32_t *at = qs_arena_grow(&r->m->arena, (void **)&b->var, b->n_var, &b->cap_var, sizeof(*at));
    *at = *var;
    b->n_var++;
    struct qs_var *v = &r->m->var[*var];
    v->declared = true;
    v->persistable = 0;
    return type ? set_type(r, v, type) : QS_OK;
}

static struct pir_block *
block_of(struct pir_block *b, int32_t idx)
{
    while (b && b->idx != idx)
        b = b->outer;
    return b;
}

enum qs_err
pir_var(struct pir_reader *r, struct pir_block *b, struct pir_value *v, int32_t *var)
{
    struct pir_block *home = block_of(b, v->block);
    *var = v->var;
    if (!v->made || !home)
        return qs_fail(r->cx, QS_ERR_FORMAT, _("value %" PRId64 " is read before it is made"),
                       v->id);
    if (v->item)
        return qs_fail(r->cx, QS_ERR_UNSUPPORTED,
                       _("value %" PRId64 " is a list where a tensor is needed"), v->id);
    if (v->var >= 0)
        return QS_OK;
    const char *name = qs_arena_printf(&r->scratch, "%s.tmp_0", pir_stem(r, v->maker));
    const enum qs_err err = pir_new_var(r, home, name, v->type, &v->var);
    *var = v->var;
    return err;
}

/* Blocks */

/* Constants that nobody read are dropped, the others get their output. */
static void
settle_constants(struct pir_reader *r, struct pir_block *b)
{
    for (int i = 0; i < b->n_late; i++) {
        struct qs_node *node = &b->node[b->late[i].node];
        const int32_t var = b->late[i].value->var;
        if (var < 0) {
            node->type = NULL;
            continue;
        }
        struct qs_slot *out = qs_arena_calloc(&r->m->arena, 1, sizeof(*out));
        out->name = "Out";
        out->var = (const int32_t *)qs_arena_memdup(&r->m->arena, &var, sizeof(var));
        out->n = 1;
        node->out = out;
        node->n_out = 1;
    }
}

static void
copy_nodes(struct qs_block *to, const struct qs_node *from, int n)
{
    for (int i = 0; i < n; i++)
        if (from[i].type)
            to->node[to->n_node++] = from[i];
}

enum qs_err
pir_finish(struct pir_reader *r, struct pir_block *b)
{
    settle_constants(r, b);
    struct qs_block *block = &r->m->block[b->idx];
    const bool is_main = !b->outer;
    const size_t n = (size_t)b->n_node + (size_t)(is_main ? r->n_feed + r->n_fetch : 0);
    block->node = qs_arena_calloc(&r->m->arena, n + 1, sizeof(*block->node));
    copy_nodes(block, r->feed, is_main ? r->n_feed : 0);
    copy_nodes(block, b->node, b->n_node);
    copy_nodes(block, r->fetch, is_main ? r->n_fetch : 0);
    block->var = b->var;
    block->n_var = b->n_var;
    block->idx = b->idx;
    block->parent = b->outer ? b->outer->idx : -1;
    block->forward = -1;
    block->has_forward = -1;
    return QS_OK;
}

enum qs_err
pir_region(struct pir_reader *r, const struct pir_op *op, int i, const json_t **block)
{
    const json_t *regions = json_object_get(op->json, "regions");
    const json_t *blocks = json_object_get(json_array_get(regions, (size_t)i), "blocks");
    *block = json_array_get(blocks, 0);
    if (json_array_size(blocks) == 1)
        return QS_OK;
    return qs_fail(r->cx, QS_ERR_FORMAT, _("operator '%s' lacks its region %d"), op->name, i);
}

/* Operators */

static enum qs_err
resolve(struct pir_reader *r, struct pir_block *b, const struct pir_op *op, const json_t *list,
        struct pir_value **out)
{
    for (int i = 0; i < op->n_in; i++) {
        int64_t id;
        if (!id_number(json_array_get(list, (size_t)i), &id))
            return qs_fail(r->cx, QS_ERR_FORMAT, _("operand %d of operator '%s' has no number"), i,
                           op->name);
        out[i] = id ? find_value(r, id) : NULL;
        if (id && !out[i])
            return qs_fail(r->cx, QS_ERR_FORMAT,
                           _("operator '%s' reads value %" PRId64 ", which nothing makes"),
                           op->name, id);
        if (id && (!out[i]->made || !block_of(b, out[i]->block)))
            return qs_fail(r->cx, QS_ERR_FORMAT,
                           _("operator '%s' reads value %" PRId64 " before it is made"), op->name,
                           id);
    }
    return QS_OK;
}

/* NULL for a result of the null type: the operator does not make it. */
static struct pir_value *
present(struct pir_value *v)
{
    const char *id = v ? id_of(v->type) : NULL;
    return id && strcmp(id, "NULL") == 0 ? NULL : v;
}

static enum qs_err
open_op(struct pir_reader *r, struct pir_block *b, const json_t *json, struct pir_op *op)
{
    size_t n;
    const json_t *in = json_object_get(json, "I"), *out = results_of(json, &n);
    *op = (struct pir_op){.json = json, .id = id_of(json), .attr = json_object_get(json, "A")};
    const char *dot = strchr(op->id, '.');
    op->name = dot ? dot + 1 : op->id;
    op->row = pir_find(op->id, &op->in_place);
    op->n_in = (int)json_array_size(in);
    op->n_out = (int)n;
    op->in = qs_arena_calloc(&r->scratch, (size_t)op->n_in + 1, sizeof(struct pir_value *));
    op->out = qs_arena_calloc(&r->scratch, n + 1, sizeof(struct pir_value *));
    for (int i = 0; i < op->n_out; i++)
        op->out[i] = present(pir_value_of(r, result_at(out, (size_t)i)));
    return resolve(r, b, op, in, op->in);
}

static void
note_opaque(struct pir_reader *r, const char *name)
{
    if (r->n_note >= NOTES_MOST)
        return;
    for (int i = 0; i < r->n_note; i++)
        if (strcmp(r->note[i], name) == 0)
            return;
    r->note[r->n_note++] = name;
    qs_note(r->cx, _("operator '%s' is not known: it is kept as 'pd_op.%s', without a meaning"),
            name, name);
}

static enum qs_err
read_op(struct pir_reader *r, struct pir_block *b, const struct pir_op *op)
{
    if (op->row)
        return op->row->make(r, b, op);
    if (json_array_size(json_object_get(op->json, "regions")))
        return qs_fail(r->cx, QS_ERR_UNSUPPORTED,
                       _("operator '%s' holds other operators, which is supported for 'if' and "
                         "'while' only"),
                       op->name);
    note_opaque(r, op->name);
    return pir_make_opaque(r, b, op);
}

enum qs_err
pir_read_ops(struct pir_reader *r, struct pir_block *b, const json_t *ops,
             struct pir_value ***yield, int *n_yield)
{
    const size_t n = json_array_size(ops);
    *n_yield = 0;
    for (size_t i = 0; i < n; i++) {
        struct pir_op op;
        enum qs_err err = i % 256 ? QS_OK : qs_check_cancel(r->cx);
        if (!err)
            err = open_op(r, b, json_array_get(ops, i), &op);
        if (err)
            return err;
        if (strcmp(op.id, "2.yield") == 0 && b->outer) {
            *yield = op.in;
            *n_yield = op.n_in;
            continue;
        }
        err = read_op(r, b, &op);
        if (err)
            return err;
    }
    return QS_OK;
}

/* The document */

static enum qs_err
only_block(struct qs_ctx *cx, const json_t *doc, const json_t **regions, const json_t **block)
{
    const json_t *base = json_object_get(doc, "base_code");
    const char *magic = json_string_value(json_object_get(base, "magic"));
    if (!magic || strcmp(magic, "pir") != 0)
        return qs_fail(cx, QS_ERR_FORMAT, _("no PIR program: 'base_code' lacks the magic word"));
    *regions = json_object_get(json_object_get(doc, "program"), "regions");
    const json_t *blocks = json_object_get(json_array_get(*regions, 0), "blocks");
    *block = json_array_get(blocks, 0);
    if (json_array_size(*regions) != 1 || json_array_size(blocks) != 1)
        return qs_fail(cx, QS_ERR_FORMAT, _("the program does not have exactly one main block"));
    if (!json_is_array(json_object_get(*block, "ops")))
        return qs_fail(cx, QS_ERR_FORMAT, _("the main block has no list of operators"));
    return QS_OK;
}

static enum qs_err
read_program(struct pir_reader *r, const json_t *doc)
{
    const json_t *regions = NULL, *block = NULL;
    struct pir_value **yield = NULL;
    int n_yield = 0;
    enum qs_err err = only_block(r->cx, doc, &regions, &block);
    if (!err)
        err = scan_regions(r, regions, 0);
    if (!err)
        err = check_tables(r);
    if (err)
        return err;
    count_uses(r, regions);
    r->m->block = qs_arena_calloc(&r->m->arena, (size_t)r->n_region, sizeof(*r->m->block));
    r->m->n_block = 1;
    struct pir_block b = {0};
    err = pir_read_ops(r, &b, json_object_get(block, "ops"), &yield, &n_yield);
    return err ? err : pir_finish(r, &b);
}

static enum qs_err
read_pir(struct qs_ctx *cx, const struct qs_buf *b, struct qs_model *m)
{
    json_error_t why;
    if (b->size > LARGEST_DOCUMENT) /* in memory it takes some twenty times as much */
        return qs_fail(cx, QS_ERR_UNSUPPORTED, _("%zu bytes, at most %d"), b->size,
                       LARGEST_DOCUMENT);
    json_t *doc = json_loadb((const char *)b->data, b->size, 0, &why);
    if (!doc)
        return qs_fail(cx, QS_ERR_FORMAT, _("line %d: %s"), why.line, why.text);
    struct pir_reader r = {.cx = cx, .m = m, .feed_var = -1, .fetch_var = -1};
    qs_arena_init(&r.scratch);
    r.budget = b->size + BUDGET;
    r.count = qs_arena_calloc(&r.scratch, (size_t)pir_rows(), sizeof(*r.count));
    const enum qs_err err = read_program(&r, doc);
    if (!err) {
        m->has_version = 1;
        m->version = VERSION;
        qs_model_index(m);
    }
    qs_arena_release(&r.scratch);
    json_decref(doc);
    return err;
}

/* An object whose first bytes name the base code or the program. */
static bool
probe_pir(const uint8_t *p, size_t n)
{
    size_t i = 0;
    while (i < n && (p[i] == ' ' || p[i] == '\t' || p[i] == '\r' || p[i] == '\n'))
        i++;
    if (i == n || p[i] != '{')
        return false;
    for (i++; i < n && i < 4096; i++)
        if (p[i] == '"')
            return true;
    return false;
}

const struct qs_format qs_format_pir = {
    .name = "pir",
    .what = N_("PIR program"),
    .owns_params = false,
    .probe = probe_pir,
    .read = read_pir,
};
