/* SPDX-License-Identifier: Apache-2.0 */
/* PIR operators that follow the general rule but for a detail, or become two nodes. */
#include <string.h>

#include "base/mem.h"
#include "io/pir.h"

typedef struct pir_reader R;
typedef struct pir_block B;

/* What was the second operand is now the result, in the variable of the second operand. */
enum qs_err
pir_op_assign_out(R *r, B *b, const struct pir_op *op)
{
    int32_t from = -1;
    enum qs_err err = pir_need(r, op, 2, 1);
    if (!err)
        err = pir_var(r, b, op->in[0], &from);
    if (err)
        return err;
    struct pir_value *out = op->out[0];
    err = pir_make_in_place(r, b, "assign", op->in[1], out);
    if (err || out->item)
        return err ? err : pir_malformed(r, op);
    out->made = true;
    pir_emit_simple(r, b, "assign", "X", from, out->var);
    return QS_OK;
}

static void
add_cast(R *r, B *b, int32_t from, int32_t to)
{
    struct pir_node n = pir_start("cast");
    pir_add_slot(r, &n, false, "X", &from, 1);
    pir_add_slot(r, &n, true, "Out", &to, 1);
    pir_add_int(r, &n, "in_dtype", QS_ATTR_INT, r->m->var[from].dtype);
    pir_add_int(r, &n, "out_dtype", QS_ATTR_INT, r->m->var[to].dtype);
    pir_emit(r, b, &n);
}

/* The classic operator gives int32. */
enum qs_err
pir_op_shape64(R *r, B *b, const struct pir_op *op)
{
    int32_t in = -1, small = -1, k = 0;
    enum qs_err err = pir_need(r, op, 1, 1);
    if (!err)
        err = pir_var(r, b, op->in[0], &in);
    if (!err)
        err = pir_var_like(r, b, "shape", op->out[0]->type, QS_DTYPE_int32, &small);
    if (!err)
        err = pir_make_result(r, b, op->out[0], pir_stem(r, "cast"), &k);
    if (err || op->out[0]->item)
        return err ? err : pir_malformed(r, op);
    op->out[0]->made = true;
    pir_emit_simple(r, b, "shape", "Input", in, small);
    add_cast(r, b, small, op->out[0]->var);
    return QS_OK;
}

enum qs_err
pir_op_cast(R *r, B *b, const struct pir_op *op)
{
    struct pir_node n;
    enum qs_err err = pir_build(r, b, op, 1, 1, &n);
    if (err)
        return err;
    pir_add_int(r, &n, "in_dtype", QS_ATTR_INT, pir_dtype(op->in[0]->type));
    pir_emit(r, b, &n);
    return QS_OK;
}

/* No axes means all of them, which the classic operators want to be told. */
enum qs_err
pir_op_reduce(R *r, B *b, const struct pir_op *op)
{
    struct pir_node n;
    enum qs_err err = pir_build(r, b, op, 1, 1, &n);
    if (err)
        return err;
    const struct qs_attr *dim = pir_find_attr(&n, "dim"), *out = pir_find_attr(&n, "out_dtype");
    const bool is_list = dim && (dim->type == QS_ATTR_INTS || dim->type == QS_ATTR_LONGS);
    const int64_t all = !dim || (is_list && dim->n == 0);
    const int64_t in_dtype = out && out->i >= 0 ? pir_dtype(op->in[0]->type) : -1;
    struct qs_attr *given = pir_find_attr(&n, "reduce_all");
    if (given)
        given->i |= all;
    else
        pir_add_int(r, &n, "reduce_all", QS_ATTR_BOOLEAN, all);
    if (!pir_find_attr(&n, "out_dtype"))
        pir_add_int(r, &n, "out_dtype", QS_ATTR_INT, -1);
    pir_add_int(r, &n, "in_dtype", QS_ATTR_INT, in_dtype);
    pir_emit(r, b, &n);
    return QS_OK;
}

/* The variables of a slot, cast to the element type that the classic operator reads. */
static enum qs_err
convert(R *r, B *b, struct pir_node *n, const char *slot, int32_t dtype)
{
    for (int s = 0; s < n->node.n_in; s++) {
        if (strcmp(n->in[s].name, slot) != 0)
            continue;
        int32_t *var = qs_arena_calloc(&r->m->arena, (size_t)n->in[s].n + 1, sizeof(*var));
        for (int i = 0; i < n->in[s].n; i++) {
            const int32_t from = var[i] = n->in[s].var[i];
            if (r->m->var[from].dtype == dtype)
                continue;
            const enum qs_err err = pir_var_like(r, b, "cast", NULL, dtype, &var[i]);
            if (err)
                return err;
            r->m->var[var[i]].n_dims = r->m->var[from].n_dims;
            r->m->var[var[i]].dims = r->m->var[from].dims;
            add_cast(r, b, from, var[i]);
        }
        n->in[s].var = var;
    }
    return QS_OK;
}

enum qs_err
pir_op_interp(R *r, B *b, const struct pir_op *op)
{
    struct pir_node n;
    enum qs_err err = pir_build(r, b, op, 0, 0, &n);
    if (!err)
        err = convert(r, b, &n, "OutSize", QS_DTYPE_int32);
    if (!err)
        err = convert(r, b, &n, "SizeTensor", QS_DTYPE_int32);
    if (!err)
        pir_emit(r, b, &n);
    return err;
}

/* The classic operator counts in the type of its inputs. */
enum qs_err
pir_op_arange(R *r, B *b, const struct pir_op *op)
{
    static const char *const slots[] = {"Start", "End", "Step"};
    struct pir_node n;
    enum qs_err err = pir_build(r, b, op, 3, 1, &n);
    for (size_t i = 0; i < QS_LEN(slots) && !err; i++)
        err = convert(r, b, &n, slots[i], pir_dtype(op->out[0]->type));
    if (!err)
        pir_emit(r, b, &n);
    return err;
}

/* Without a mask it is the operator's first version. */
enum qs_err
pir_op_deformable(R *r, B *b, const struct pir_op *op)
{
    struct pir_node n;
    const enum qs_err err = pir_build(r, b, op, 0, 0, &n);
    if (err)
        return err;
    if (!pir_in_slot(&n, "Mask"))
        n.node.type = "deformable_conv_v1";
    pir_emit(r, b, &n);
    return QS_OK;
}

/* infer_flags: 1 for axes with constant bounds, -1 for computed ones. */
static void
set_infer_flags(R *r, struct pir_node *n)
{
    const bool computed = pir_in_slot(n, "StartsTensor") || pir_in_slot(n, "EndsTensor") ||
                          pir_in_slot(n, "StartsTensorList") || pir_in_slot(n, "EndsTensorList") ||
                          pir_in_slot(n, "StridesTensor") || pir_in_slot(n, "StridesTensorList");
    const struct qs_attr *axes = pir_find_attr(n, "axes");
    const int count = axes && axes->type == QS_ATTR_INTS ? axes->n : 0;
    struct qs_attr *flags = pir_find_attr(n, "infer_flags");
    if (flags && !computed)
        return;
    int32_t *list = qs_arena_calloc(&r->m->arena, (size_t)count + 1, sizeof(*list));
    for (int i = 0; i < count; i++)
        list[i] = computed ? -1 : 1;
    if (!flags)
        flags = pir_new_attr(r, n, "infer_flags", QS_ATTR_INTS);
    flags->type = QS_ATTR_INTS;
    flags->n = count;
    flags->ints = list;
}

enum qs_err
pir_op_slice(R *r, B *b, const struct pir_op *op)
{
    struct pir_node n;
    const enum qs_err err = pir_build(r, b, op, 0, 0, &n);
    if (err)
        return err;
    set_infer_flags(r, &n);
    pir_emit(r, b, &n);
    return QS_OK;
}

/* Backwards to the very beginning: an end far below zero, for which the classic operator wants -1
 * (it would stop before the first element otherwise). */
static void
set_backward_ends(R *r, struct pir_node *n)
{
    struct qs_attr *ends = pir_find_attr(n, "ends");
    const struct qs_attr *strides = pir_find_attr(n, "strides");
    const bool known = ends && strides && ends->type == QS_ATTR_INTS &&
                       strides->type == QS_ATTR_INTS && ends->n == strides->n;
    if (!known)
        return;
    int32_t *list = qs_arena_calloc(&r->m->arena, (size_t)ends->n + 1, sizeof(*list));
    for (int i = 0; i < ends->n; i++)
        list[i] = strides->ints[i] < 0 && ends->ints[i] < INT32_MIN / 2 ? -1 : ends->ints[i];
    ends->ints = list;
}

enum qs_err
pir_op_strided_slice(R *r, B *b, const struct pir_op *op)
{
    struct pir_node n;
    const enum qs_err err = pir_build(r, b, op, 0, 0, &n);
    if (err)
        return err;
    set_infer_flags(r, &n);
    set_backward_ends(r, &n);
    if (!pir_has_attr(&n, "decrease_axis"))
        pir_new_attr(r, &n, "decrease_axis", QS_ATTR_INTS);
    pir_emit(r, b, &n);
    return QS_OK;
}

enum qs_err
pir_op_set_value(R *r, B *b, const struct pir_op *op)
{
    struct pir_node n;
    struct pir_num *value = NULL;
    int n_value = 0;
    enum qs_err err = pir_build(r, b, op, 1, 1, &n);
    if (err)
        return err;
    const int32_t dtype = pir_dtype(op->in[0]->type);
    if (pir_attr(op, "values"))
        err = pir_attr_nums(r, op, "values", &value, &n_value);
    if (!err)
        pir_add_scalars(r, &n, "values", dtype, value, n_value);
    pir_add_int(r, &n, "dtype", QS_ATTR_INT, dtype);
    if (!err)
        pir_emit(r, b, &n);
    return err;
}
