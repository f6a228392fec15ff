/* SPDX-License-Identifier: Apache-2.0 */
/* Two-operand arithmetic, comparisons and logic with broadcasting; scale, cast, sum. Small
 * integer tensors are computed. */
#include <math.h>

#include "ops/data.h"

/* One element; false when the result is not an integer that fits. Division is followed for
 * operands whose signs agree on what rounding means. */
typedef bool fold_fn(int64_t x, int64_t y, bool is_float, int64_t *out);

static bool
fold_add(int64_t x, int64_t y, bool is_float, int64_t *out)
{
    (void)is_float;
    return !__builtin_add_overflow(x, y, out);
}

static bool
fold_sub(int64_t x, int64_t y, bool is_float, int64_t *out)
{
    (void)is_float;
    return !__builtin_sub_overflow(x, y, out);
}

static bool
fold_mul(int64_t x, int64_t y, bool is_float, int64_t *out)
{
    (void)is_float;
    return !__builtin_mul_overflow(x, y, out);
}

static bool
fold_div(int64_t x, int64_t y, bool is_float, int64_t *out)
{
    if (x < 0 || y <= 0 || (is_float && x % y != 0))
        return false;
    *out = x / y;
    return true;
}

static bool
fold_floordiv(int64_t x, int64_t y, bool is_float, int64_t *out)
{
    (void)is_float;
    if (x < 0 || y <= 0)
        return false;
    *out = x / y;
    return true;
}

static bool
fold_mod(int64_t x, int64_t y, bool is_float, int64_t *out)
{
    (void)is_float;
    if (x < 0 || y <= 0)
        return false;
    *out = x % y;
    return true;
}

static bool
fold_max(int64_t x, int64_t y, bool is_float, int64_t *out)
{
    (void)is_float;
    *out = x > y ? x : y;
    return true;
}

static bool
fold_min(int64_t x, int64_t y, bool is_float, int64_t *out)
{
    (void)is_float;
    *out = x < y ? x : y;
    return true;
}

static const struct fold {
    const char *type;
    fold_fn *fn;
} fold[] = {
    {"elementwise_add", fold_add},           {"elementwise_div", fold_div},
    {"elementwise_floordiv", fold_floordiv}, {"elementwise_max", fold_max},
    {"elementwise_min", fold_min},           {"elementwise_mod", fold_mod},
    {"elementwise_mul", fold_mul},           {"elementwise_sub", fold_sub},
};

static fold_fn *
find_fold(const char *type)
{
    for (size_t i = 0; i < QS_LEN(fold); i++)
        if (strcmp(fold[i].type, type) == 0)
            return fold[i].fn;
    return NULL;
}

static void
fold_values(struct qs_infer *in, const struct qs_shape *x, const struct qs_shape *y)
{
    fold_fn *fn = find_fold(in->node->type);
    const struct qs_shape *out = qs_infer_out(in, "Out", 0);
    int64_t v[QS_SHAPE_VALUES_MOST];
    if (!fn || !out || !x->value || !y->value)
        return;
    const int64_t nx = qs_shape_count(x), ny = qs_shape_count(y), n = qs_shape_count(out);
    if ((nx != n && nx != 1) || (ny != n && ny != 1) || n > QS_SHAPE_VALUES_MOST)
        return;
    for (int64_t i = 0; i < n; i++)
        if (!fn(x->value[nx == 1 ? 0 : i], y->value[ny == 1 ? 0 : i], qs_dtype_is_float(x->dtype),
                &v[i]))
            return;
    qs_infer_set_value(in, "Out", 0, v);
}

static enum qs_err
binary_shape(struct qs_infer *in, const struct qs_shape *x, const struct qs_shape *y, int32_t dtype)
{
    int64_t d[QS_RANK_MOST];
    int n;
    const enum qs_err err = qs_broadcast(in, x, y, qs_attr_int(in->node, "axis", -1), d, &n);
    return err ? err : qs_infer_set(in, "Out", 0, dtype, n, d);
}

static enum qs_err
elementwise_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0), *y = qs_infer_in(in, "Y", 0);
    if (!x || !y)
        return QS_OK;
    const enum qs_err err = binary_shape(in, x, y, x->dtype);
    if (!err)
        fold_values(in, x, y);
    return err;
}

static enum qs_err
compare_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0), *y = qs_infer_in(in, "Y", 0);
    return x && y ? binary_shape(in, x, y, QS_DTYPE_bool) : QS_OK;
}

static enum qs_err
test_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    return x ? qs_infer_set(in, "Out", 0, QS_DTYPE_bool, x->n, x->d) : QS_OK;
}

static enum qs_err
where_shape(struct qs_infer *in)
{
    const struct qs_shape *c = qs_infer_in(in, "Condition", 0);
    const struct qs_shape *x = qs_infer_in(in, "X", 0), *y = qs_infer_in(in, "Y", 0);
    struct qs_shape both = {0};
    int64_t d[QS_RANK_MOST];
    int n;
    if (!c || !x || !y)
        return QS_OK;
    enum qs_err err = qs_broadcast(in, x, y, -1, both.d, &both.n);
    if (!err)
        err = qs_broadcast(in, &both, c, -1, d, &n);
    return err ? err : qs_infer_set(in, "Out", 0, x->dtype, n, d);
}

/* scale: integers are multiplied by the attribute cut to an integer, as the kernel does. */

static bool
scale_one(int64_t x, double scale, double bias, bool after, int64_t *out)
{
    if (x > INT64_C(1) << 53 || x < -(INT64_C(1) << 53))
        return false;
    const double r = after ? (double)x * scale + bias : ((double)x + bias) * scale;
    if (!(fabs(r) < 9007199254740992.0) || r != floor(r))
        return false;
    *out = (int64_t)r;
    return true;
}

static void
scale_values(struct qs_infer *in, const struct qs_shape *x)
{
    double scale = qs_attr_float(in->node, "scale", 1), bias = qs_attr_float(in->node, "bias", 0);
    const bool after = qs_attr_int(in->node, "bias_after_scale", 1) != 0;
    int64_t v[QS_SHAPE_VALUES_MOST];
    if (!x->value || qs_infer_n_in(in, "ScaleTensor") > 0)
        return;
    if (!qs_dtype_is_float(x->dtype)) {
        scale = trunc(scale);
        bias = trunc(bias);
    }
    const int64_t n = qs_shape_count(x);
    for (int64_t i = 0; i < n; i++)
        if (!scale_one(x->value[i], scale, bias, after, &v[i]))
            return;
    qs_infer_set_value(in, "Out", 0, v);
}

static enum qs_err
scale_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    if (!x)
        return QS_OK;
    const enum qs_err err = qs_infer_set_like(in, "Out", 0, x);
    if (!err)
        scale_values(in, x);
    return err;
}

static enum qs_err
increment_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    const double step = qs_attr_float(in->node, "step", 1);
    int64_t v;
    if (!x)
        return QS_OK;
    const enum qs_err err = qs_infer_set_like(in, "Out", 0, x);
    if (!err && x->value && qs_shape_count(x) == 1 && scale_one(*x->value, 1, step, true, &v))
        qs_infer_set_value(in, "Out", 0, &v);
    return err;
}

static enum qs_err
cast_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    const int64_t to = qs_attr_int(in->node, "out_dtype", -1);
    const bool known = to >= 0 && to <= INT32_MAX && qs_dtype_bytes((int32_t)to) > 0;
    if (!x)
        return QS_OK;
    const enum qs_err err = qs_infer_set(in, "Out", 0, known ? (int32_t)to : -1, x->n, x->d);
    /* narrower types would have to wrap */
    if (!err && known && qs_dtype_bytes((int32_t)to) >= 4)
        qs_infer_set_value(in, "Out", 0, x->value);
    return err;
}

static enum qs_err
sum_shape(struct qs_infer *in)
{
    for (int i = 0; i < qs_infer_n_in(in, "X"); i++)
        if (!qs_infer_in(in, "X", i))
            return QS_OK;
    return qs_rule_same(in);
}

#define ROW(op, rule, run) \
    const struct qs_op qs_op_##op = {.name = #op, .shape = rule, .forward = run};
ROW(bitwise_and, elementwise_shape, qs_fwd_binary)
ROW(bitwise_not, qs_rule_same, qs_fwd_bitwise_not)
ROW(bitwise_or, elementwise_shape, qs_fwd_binary)
ROW(bitwise_xor, elementwise_shape, qs_fwd_binary)
ROW(cast, cast_shape, qs_fwd_cast)
ROW(elementwise_add, elementwise_shape, qs_fwd_elementwise)
ROW(elementwise_div, elementwise_shape, qs_fwd_elementwise)
ROW(elementwise_floordiv, elementwise_shape, qs_fwd_elementwise)
ROW(elementwise_max, elementwise_shape, qs_fwd_elementwise)
ROW(elementwise_min, elementwise_shape, qs_fwd_elementwise)
ROW(elementwise_mod, elementwise_shape, qs_fwd_elementwise)
ROW(elementwise_mul, elementwise_shape, qs_fwd_elementwise)
ROW(elementwise_pow, elementwise_shape, qs_fwd_elementwise)
ROW(elementwise_sub, elementwise_shape, qs_fwd_elementwise)
ROW(equal, compare_shape, qs_fwd_binary)
ROW(fusion_elementwise_add_activation, elementwise_shape, NULL)
ROW(fusion_elementwise_div_activation, elementwise_shape, NULL)
ROW(fusion_elementwise_max_activation, elementwise_shape, NULL)
ROW(fusion_elementwise_min_activation, elementwise_shape, NULL)
ROW(fusion_elementwise_mul_activation, elementwise_shape, NULL)
ROW(fusion_elementwise_sub_activation, elementwise_shape, NULL)
ROW(greater_equal, compare_shape, qs_fwd_binary)
ROW(greater_than, compare_shape, qs_fwd_binary)
ROW(increment, increment_shape, qs_fwd_increment)
ROW(isfinite_v2, test_shape, qs_fwd_test)
ROW(isinf_v2, test_shape, qs_fwd_test)
ROW(isnan_v2, test_shape, qs_fwd_test)
ROW(less_equal, compare_shape, qs_fwd_binary)
ROW(less_than, compare_shape, qs_fwd_binary)
ROW(logical_and, compare_shape, qs_fwd_binary)
ROW(logical_not, test_shape, qs_fwd_test)
ROW(logical_or, compare_shape, qs_fwd_binary)
ROW(logical_xor, compare_shape, qs_fwd_binary)
ROW(not_equal, compare_shape, qs_fwd_binary)
ROW(scale, scale_shape, qs_fwd_scale)
ROW(sum, sum_shape, NULL)
ROW(where, where_shape, qs_fwd_where)
#undef ROW
