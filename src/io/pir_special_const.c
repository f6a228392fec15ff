/* SPDX-License-Identifier: Apache-2.0 */
/* PIR operators that make constants. */
#include <inttypes.h>
#include <stdio.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "io/pir.h"

typedef struct pir_reader R;
typedef struct pir_block B;

enum { FULL_MOST = 64 /* elements of a constant that repeats one number, as an attribute */ };

static void
keep_constant(R *r, B *b, const struct pir_op *op, struct pir_node *n, const struct pir_num *num,
              int64_t n_num)
{
    struct pir_value *v = op->out[0];
    v->num = n_num <= PIR_FOLD_MOST ? num : NULL;
    v->n_num = n_num <= PIR_FOLD_MOST ? (int)n_num : 0;
    v->maker = op->row->type;
    v->made = true;
    v->block = b->idx;
    struct pir_late *late =
        qs_arena_grow(&r->scratch, (void **)&b->late, b->n_late, &b->cap_late, sizeof(*late));
    b->n_late++;
    late->node = pir_emit(r, b, n);
    late->value = v;
}

/* Exact text of a number of this type, as exporters write it. */
static void
add_str_value(R *r, struct pir_node *n, const struct pir_num *num, int32_t dtype)
{
    char text[40];
    if (num->is_int && !qs_dtype_is_float(dtype))
        snprintf(text, sizeof(text), "%" PRId64, num->i);
    else
        snprintf(text, sizeof(text), "%.17g", num->d);
    pir_add_text(r, n, "str_value", text);
    pir_add_int(r, n, "force_cpu", QS_ATTR_BOOLEAN, 0);
    pir_add_int(r, n, "place_type", QS_ATTR_INT, -1);
}

static const struct pir_num *
repeat(R *r, const struct pir_num *num, int64_t n)
{
    struct pir_num *list = qs_arena_calloc(&r->scratch, (size_t)n + 1, sizeof(*list));
    for (int64_t i = 0; i < n; i++)
        list[i] = *num;
    return list;
}

static int64_t
product(const struct pir_num *dim, int n)
{
    int64_t count = 1;
    for (int i = 0; i < n; i++)
        if (dim[i].i < 0 || __builtin_mul_overflow(count, dim[i].i, &count))
            return INT64_MAX;
    return count;
}

enum qs_err
pir_op_full(R *r, B *b, const struct pir_op *op)
{
    struct pir_num *shape = NULL, *value = NULL;
    int n_shape = 0, n_value = 0;
    enum qs_err err = pir_need(r, op, 0, 1);
    if (!err)
        err = pir_attr_nums(r, op, "shape", &shape, &n_shape);
    if (!err)
        err = pir_attr_nums(r, op, "value", &value, &n_value);
    if (err || n_value != 1)
        return err ? err : pir_malformed(r, op);
    struct pir_node n = pir_start(op->row->type);
    const int32_t dtype = pir_dtype_attr(pir_attr(op, "dtype"));
    err = pir_add_nums(r, op, &n, "shape", 'L', shape, n_shape);
    if (err)
        return err;
    pir_add_int(r, &n, "dtype", QS_ATTR_INT, dtype < 0 ? pir_dtype(op->out[0]->type) : dtype);
    pir_new_attr(r, &n, "value", QS_ATTR_FLOAT)->f = (float)value->d;
    add_str_value(r, &n, value, dtype);
    pir_add_scope(r, &n, op->attr);
    const int64_t count = product(shape, n_shape);
    err = pir_spend(r, count <= FULL_MOST ? count : 0);
    if (!err)
        keep_constant(r, b, op, &n, count <= FULL_MOST ? repeat(r, value, count) : NULL,
                      count <= FULL_MOST ? count : 0);
    return err;
}

static const struct value_attr {
    int32_t dtype;
    const char *name;
    char letter;
} value_attrs[] = {
    {QS_DTYPE_float32, "fp32_values", 'F'}, {QS_DTYPE_float64, "fp64_values", 'D'},
    {QS_DTYPE_int32, "int32_values", 'I'},  {QS_DTYPE_int64, "int64_values", 'L'},
    {QS_DTYPE_bool, "bool_values", 'I'},
};

/* The elements go to the attribute of their type. */
static enum qs_err
add_values(R *r, const struct pir_op *op, struct pir_node *n, int32_t dtype,
           const struct pir_num *num, int n_num)
{
    pir_add_int(r, n, "dtype", QS_ATTR_INT, dtype);
    for (size_t i = 0; i < QS_LEN(value_attrs); i++)
        if (value_attrs[i].dtype == dtype)
            return pir_add_nums(r, op, n, value_attrs[i].name, value_attrs[i].letter, num, n_num);
    return qs_fail(r->cx, QS_ERR_UNSUPPORTED,
                   _("operator '%s' makes elements of a type that is not supported"), op->name);
}

enum qs_err
pir_op_full_int_array(R *r, B *b, const struct pir_op *op)
{
    struct pir_num *value = NULL;
    int n_value = 0;
    enum qs_err err = pir_need(r, op, 0, 1);
    if (!err)
        err = pir_attr_nums(r, op, "value", &value, &n_value);
    if (err)
        return err;
    struct pir_node n = pir_start(op->row->type);
    const struct pir_num shape = {.is_int = true, .i = n_value};
    const int32_t dtype = pir_dtype_attr(pir_attr(op, "dtype"));
    err = add_values(r, op, &n, dtype, value, n_value);
    if (!err)
        err = pir_add_nums(r, op, &n, "shape", 'I', &shape, 1);
    if (err)
        return err;
    pir_add_scope(r, &n, op->attr);
    keep_constant(r, b, op, &n, value, n_value);
    return QS_OK;
}

enum qs_err
pir_op_assign_value(R *r, B *b, const struct pir_op *op)
{
    struct pir_num *value = NULL;
    int n_value = 0;
    enum qs_err err = pir_need(r, op, 0, 1);
    if (!err)
        err = pir_attr_nums(r, op, "values", &value, &n_value);
    if (err)
        return err;
    struct pir_node n = pir_start(op->row->type);
    struct pir_value *out = op->out[0], *in = op->n_in ? op->in[0] : NULL;
    err = add_values(r, op, &n, pir_dtype_attr(pir_attr(op, "dtype")), value, n_value);
    if (!err)
        err = pir_add_attr(r, op, &n, "shape", 'I', pir_attr(op, "shape"));
    if (!err)
        err = pir_make_in_place(r, b, n.node.type, in, out);
    out->made = true;
    if (!err)
        err = pir_add_value(r, b, &n, true, "Out", out);
    if (err)
        return err;
    pir_add_scope(r, &n, op->attr);
    pir_emit(r, b, &n);
    return QS_OK;
}

enum qs_err
pir_op_full_with_tensor(R *r, B *b, const struct pir_op *op)
{
    struct pir_node n;
    enum qs_err err = pir_build(r, b, op, 2, 1, &n);
    if (err)
        return err;
    if (op->in[0]->num && op->in[0]->n_num == 1)
        add_str_value(r, &n, op->in[0]->num, pir_dtype_attr(pir_attr(op, "dtype")));
    pir_emit(r, b, &n);
    return QS_OK;
}
