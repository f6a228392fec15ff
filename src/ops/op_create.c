/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that make tensors: constants, shapes, ranges, copies. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "ops/data.h"

/* The dtype attribute; -1 (keep, or what the program declares) when it names no element type. */
static int32_t
attr_dtype(const struct qs_infer *in, int64_t def)
{
    const int64_t v = qs_attr_int(in->node, "dtype", def);
    return v >= 0 && v <= INT32_MAX && qs_dtype_bytes((int32_t)v) > 0 ? (int32_t)v : -1;
}

static bool
integer_of(double f, int64_t *out)
{
    if (!(fabs(f) < 9007199254740992.0) || f != floor(f))
        return false;
    *out = (int64_t)f;
    return true;
}

/* str_value wins when it is not empty; it holds integers that a float can not. */
static bool
constant_of(const struct qs_infer *in, int64_t *out)
{
    const char *s = qs_attr_str(in->node, "str_value", "");
    char *end;
    if (qs_infer_n_in(in, "ValueTensor") > 0)
        return qs_infer_int(in, "ValueTensor", NULL, 0, out);
    if (!s || !*s)
        return integer_of(qs_attr_float(in->node, "value", 0), out);
    errno = 0;
    *out = strtoll(s, &end, 10);
    if (!errno && *end == '\0')
        return true;
    const double f = strtod(s, &end);
    return *end == '\0' && integer_of(f, out);
}

static void
fill_values(struct qs_infer *in, int64_t v)
{
    const struct qs_shape *out = qs_infer_out(in, "Out", 0);
    int64_t all[QS_SHAPE_VALUES_MOST];
    if (!out || qs_shape_count(out) > QS_SHAPE_VALUES_MOST)
        return;
    for (int64_t i = 0; i < qs_shape_count(out); i++)
        all[i] = v;
    qs_infer_set_value(in, "Out", 0, all);
}

static enum qs_err
filled_shape(struct qs_infer *in)
{
    struct qs_ints shape;
    qs_infer_ints(in, "ShapeTensorList", "ShapeTensor", "shape", &shape);
    return shape.known ? qs_infer_set(in, "Out", 0, attr_dtype(in, 5), shape.n, shape.v) : QS_OK;
}

static enum qs_err
fill_constant_shape(struct qs_infer *in)
{
    int64_t v;
    const enum qs_err err = filled_shape(in);
    if (!err && constant_of(in, &v))
        fill_values(in, v);
    return err;
}

/* One dim of `shape` is taken from the input. */
static enum qs_err
batch_size_like_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "Input", 0);
    const int64_t from = qs_attr_int(in->node, "input_dim_idx", 0);
    const int64_t to = qs_attr_int(in->node, "output_dim_idx", 0);
    struct qs_ints shape;
    qs_infer_ints(in, NULL, NULL, "shape", &shape);
    if (!x || !shape.known)
        return QS_OK;
    if (from < 0 || from >= x->n || to < 0 || to >= shape.n)
        return qs_infer_fail(in, _("dimension %" PRId64 " does not go to %" PRId64), from, to);
    shape.v[to] = x->d[from];
    return qs_infer_set(in, "Out", 0, attr_dtype(in, 5), shape.n, shape.v);
}

static enum qs_err
fill_like_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    const int32_t dtype = attr_dtype(in, -1);
    int64_t v;
    if (!x)
        return QS_OK;
    const enum qs_err err = qs_infer_set(in, "Out", 0, dtype >= 0 ? dtype : x->dtype, x->n, x->d);
    if (!err && integer_of(qs_attr_float(in->node, "value", 0), &v))
        fill_values(in, v);
    return err;
}

static enum qs_err
assign_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    if (!x)
        return QS_OK;
    const enum qs_err err = qs_infer_set_like(in, "Out", 0, x);
    if (!err)
        qs_infer_set_value(in, "Out", 0, x->value);
    return err;
}

static enum qs_err
assign_value_shape(struct qs_infer *in)
{
    struct qs_ints shape, value;
    const int32_t dtype = attr_dtype(in, -1);
    qs_infer_ints(in, NULL, NULL, "shape", &shape);
    if (!shape.known)
        return QS_OK;
    const enum qs_err err = qs_infer_set(in, "Out", 0, dtype, shape.n, shape.v);
    const char *name = dtype == QS_DTYPE_int32   ? "int32_values"
                       : dtype == QS_DTYPE_int64 ? "int64_values"
                                                 : NULL;
    const struct qs_shape *out = qs_infer_out(in, "Out", 0);
    if (err || !out || !name)
        return err;
    qs_infer_ints(in, NULL, NULL, name, &value);
    if (value.known && value.n == qs_shape_count(out))
        qs_infer_set_value(in, "Out", 0, value.v);
    return QS_OK;
}

static enum qs_err
shape_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "Input", 0);
    if (!x)
        return QS_OK;
    const int64_t rank = x->n;
    const enum qs_err err = qs_infer_set(in, "Out", 0, QS_DTYPE_int32, 1, &rank);
    if (!err)
        qs_infer_set_value(in, "Out", 0, x->d);
    return err;
}

static enum qs_err
size_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "Input", 0);
    if (!x)
        return QS_OK;
    const int64_t count = qs_shape_count(x);
    const enum qs_err err = qs_infer_set_scalar(in, "Out", 0, QS_DTYPE_int64);
    if (!err)
        qs_infer_set_value(in, "Out", 0, &count);
    return err;
}

/* Elements of start, start + step ... before end. */
static enum qs_err
range_count(const struct qs_infer *in, int64_t start, int64_t end, int64_t step, int64_t *out)
{
    int64_t span;
    if (step == 0)
        return qs_infer_fail(in, _("step 0 is out of range"));
    *out = 0;
    if ((step > 0 && start >= end) || (step < 0 && start <= end))
        return QS_OK;
    if (step == INT64_MIN ||
        __builtin_sub_overflow(step > 0 ? end : start, step > 0 ? start : end, &span))
        return qs_infer_fail(in, _("the result would be too large"));
    const int64_t width = step > 0 ? step : -step;
    *out = (span - 1) / width + 1;
    return QS_OK;
}

static enum qs_err
range_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "Start", 0);
    int64_t start, end, step, n, v[QS_SHAPE_VALUES_MOST];
    if (!x || !qs_infer_int(in, "Start", NULL, 0, &start) ||
        !qs_infer_int(in, "End", NULL, 0, &end) || !qs_infer_int(in, "Step", NULL, 1, &step))
        return QS_OK;
    enum qs_err err = range_count(in, start, end, step, &n);
    if (!err)
        err = qs_infer_set(in, "Out", 0, x->dtype, 1, &n);
    if (err || n > QS_SHAPE_VALUES_MOST)
        return err;
    for (int64_t i = 0; i < n; i++)
        v[i] = start + i * step;
    qs_infer_set_value(in, "Out", 0, v);
    return QS_OK;
}

static enum qs_err
linspace_shape(struct qs_infer *in)
{
    int64_t n;
    if (!qs_infer_int(in, "Num", NULL, 0, &n) || qs_infer_n_in(in, "Num") == 0)
        return QS_OK;
    if (n < 1)
        return qs_infer_fail(in, _("%" PRId64 " elements are out of range"), n);
    return qs_infer_set(in, "Out", 0, attr_dtype(in, -1), 1, &n);
}

static enum qs_err
eye_shape(struct qs_infer *in)
{
    int64_t d[2] = {qs_attr_int(in->node, "num_rows", 0), 0};
    d[1] = qs_attr_int(in->node, "num_columns", -1);
    if (d[1] == -1)
        d[1] = d[0];
    return qs_infer_set(in, "Out", 0, attr_dtype(in, 5), 2, d);
}

#define ROW(op, rule, run) \
    const struct qs_op qs_op_##op = {.name = #op, .shape = rule, .forward = run};
ROW(assign, assign_shape, qs_fwd_view)
ROW(assign_value, assign_value_shape, qs_fwd_assign_value)
ROW(eye, eye_shape, qs_fwd_eye)
ROW(fill_any_like, fill_like_shape, qs_fwd_fill_like)
ROW(fill_constant, fill_constant_shape, qs_fwd_fill_constant)
ROW(fill_constant_batch_size_like, batch_size_like_shape, qs_fwd_fill_like)
ROW(fill_zeros_like, fill_like_shape, qs_fwd_fill_like)
ROW(gaussian_random, filled_shape, NULL)
ROW(linspace, linspace_shape, qs_fwd_linspace)
ROW(range, range_shape, qs_fwd_arange)
ROW(shape, shape_shape, qs_fwd_shape)
ROW(size, size_shape, qs_fwd_size)
ROW(uniform_random, filled_shape, NULL)
#undef ROW
