/* SPDX-License-Identifier: Apache-2.0 */
/* Reductions, cumulative sums, arg_max and the top k. */
#include <inttypes.h>

#include "ops/data.h"

/* Marks the reduced axes; `all` when there are none named. */
static enum qs_err
reduced_axes(const struct qs_infer *in, const struct qs_shape *x, const struct qs_ints *dim,
             bool *drop)
{
    const bool all = dim->n == 0 || qs_attr_int(in->node, "reduce_all", 0) != 0;
    for (int i = 0; i < x->n; i++)
        drop[i] = all;
    for (int i = 0; i < dim->n && !all; i++) {
        int axis = 0;
        /* axis 0 and -1 of a 0-D tensor name its only element */
        if (x->n == 0 && (dim->v[i] == 0 || dim->v[i] == -1))
            continue;
        const enum qs_err err = qs_infer_axis(in, dim->v[i], x->n, &axis);
        if (err)
            return err;
        drop[axis] = true;
    }
    return QS_OK;
}

static enum qs_err
set_reduced(struct qs_infer *in, const struct qs_shape *x, const bool *drop, bool keep,
            int32_t dtype)
{
    int64_t d[QS_RANK_MOST];
    int n = 0;
    for (int i = 0; i < x->n; i++)
        if (!drop[i] || keep)
            d[n++] = drop[i] ? 1 : x->d[i];
    return n == 0 ? qs_infer_set_scalar(in, "Out", 0, dtype)
                  : qs_infer_set(in, "Out", 0, dtype, n, d);
}

static void
reduce_values(struct qs_infer *in, const struct qs_shape *x)
{
    const struct qs_shape *out = qs_infer_out(in, "Out", 0);
    const bool prod = strcmp(in->node->type, "reduce_prod") == 0;
    const bool sum = strcmp(in->node->type, "reduce_sum") == 0;
    int64_t v = prod ? 1 : 0;
    if (!x->value || !out || qs_shape_count(out) != 1 || (!prod && !sum))
        return;
    for (int64_t i = 0; i < qs_shape_count(x); i++)
        if (prod ? __builtin_mul_overflow(v, x->value[i], &v)
                 : __builtin_add_overflow(v, x->value[i], &v))
            return;
    qs_infer_set_value(in, "Out", 0, &v);
}

static enum qs_err
reduce_as(struct qs_infer *in, const char *axes, const char *keep, int32_t dtype)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    bool drop[QS_RANK_MOST];
    struct qs_ints dim;
    if (!x)
        return QS_OK;
    qs_infer_ints(in, NULL, NULL, axes, &dim);
    if (!dim.present)
        dim.n = 1; /* the default is {0} */
    else if (!dim.known)
        return QS_OK;
    enum qs_err err = reduced_axes(in, x, &dim, drop);
    if (!err)
        err = set_reduced(in, x, drop, qs_attr_int(in->node, keep, 0) != 0, dtype);
    if (!err)
        reduce_values(in, x);
    return err;
}

static enum qs_err
reduce_shape(struct qs_infer *in)
{
    return reduce_as(in, "dim", "keep_dim", -1);
}

static enum qs_err
reduce_test_shape(struct qs_infer *in)
{
    return reduce_as(in, "dim", "keep_dim", QS_DTYPE_bool);
}

static enum qs_err
logsumexp_shape(struct qs_infer *in)
{
    return reduce_as(in, "axis", "keepdim", -1);
}

static enum qs_err
mean_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    return x ? qs_infer_set_scalar(in, "Out", 0, x->dtype) : QS_OK;
}

/* p_norm over one axis, or over everything (asvector). */
static enum qs_err
p_norm_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    bool drop[QS_RANK_MOST] = {false};
    const bool all = qs_attr_int(in->node, "asvector", 0) != 0;
    int axis = 0;
    if (!x)
        return QS_OK;
    if (!all && x->n > 0) {
        const enum qs_err err = qs_infer_axis(in, qs_attr_int(in->node, "axis", -1), x->n, &axis);
        if (err)
            return err;
    }
    for (int i = 0; i < x->n; i++)
        drop[i] = all || i == axis;
    return set_reduced(in, x, drop, qs_attr_int(in->node, "keepdim", 0) != 0, x->dtype);
}

static int32_t
index_dtype(const struct qs_infer *in)
{
    return qs_attr_int(in->node, "dtype", -1) == QS_DTYPE_int32 ? QS_DTYPE_int32 : QS_DTYPE_int64;
}

static enum qs_err
arg_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    bool drop[QS_RANK_MOST] = {false};
    const bool flatten = qs_attr_int(in->node, "flatten", 0) != 0;
    int64_t wanted;
    int axis = 0;
    if (!x || !qs_infer_int(in, NULL, "axis", -1, &wanted))
        return QS_OK;
    if (!flatten && x->n > 0) {
        const enum qs_err err = qs_infer_axis(in, wanted, x->n, &axis);
        if (err)
            return err;
    }
    for (int i = 0; i < x->n; i++)
        drop[i] = flatten || i == axis;
    return set_reduced(in, x, drop, qs_attr_int(in->node, "keepdims", 0) != 0, index_dtype(in));
}

static enum qs_err
set_sorted(struct qs_infer *in, const struct qs_shape *x, const int64_t *d)
{
    const enum qs_err err = qs_infer_set(in, "Out", 0, x->dtype, x->n, d);
    return err ? err : qs_infer_set(in, "Indices", 0, QS_DTYPE_int64, x->n, d);
}

static enum qs_err
argsort_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    return x ? set_sorted(in, x, x->d) : QS_OK;
}

static enum qs_err
top_k_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    const bool v2 = strcmp(in->node->type, "top_k_v2") == 0;
    int64_t k, d[QS_RANK_MOST];
    int axis;
    if (!x || !qs_infer_int(in, "K", "k", 1, &k))
        return QS_OK;
    if (x->n == 0 && k == 1)
        return set_sorted(in, x, x->d);
    const enum qs_err err =
        qs_infer_axis(in, v2 ? qs_attr_int(in->node, "axis", -1) : -1, x->n, &axis);
    if (err)
        return err;
    if (k < 1 || k > x->d[axis])
        return qs_infer_fail(in, _("k %" PRId64 " is not in 1..%" PRId64), k, x->d[axis]);
    memcpy(d, x->d, sizeof(d));
    d[axis] = k;
    return set_sorted(in, x, d);
}

static enum qs_err
cumsum_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    if (!x)
        return QS_OK;
    if (!qs_attr_int(in->node, "flatten", 0))
        return qs_infer_set_like(in, "Out", 0, x);
    const int64_t n = qs_shape_count(x);
    return qs_infer_set(in, "Out", 0, x->dtype, 1, &n);
}

#define ROW(op, rule, run) \
    const struct qs_op qs_op_##op = {.name = #op, .shape = rule, .forward = run};
ROW(arg_max, arg_shape, qs_fwd_arg)
ROW(arg_min, arg_shape, qs_fwd_arg)
ROW(argsort, argsort_shape, qs_fwd_argsort)
ROW(cumsum, cumsum_shape, qs_fwd_cumsum)
ROW(frobenius_norm, reduce_shape, qs_fwd_reduce)
ROW(logsumexp, logsumexp_shape, NULL)
ROW(mean, mean_shape, qs_fwd_mean)
ROW(p_norm, p_norm_shape, qs_fwd_p_norm)
ROW(reduce_all, reduce_test_shape, qs_fwd_reduce)
ROW(reduce_any, reduce_test_shape, qs_fwd_reduce)
ROW(reduce_max, reduce_shape, qs_fwd_reduce)
ROW(reduce_mean, reduce_shape, qs_fwd_reduce)
ROW(reduce_min, reduce_shape, qs_fwd_reduce)
ROW(reduce_prod, reduce_shape, qs_fwd_reduce)
ROW(reduce_sum, reduce_shape, qs_fwd_reduce)
ROW(top_k, top_k_shape, qs_fwd_top_k)
ROW(top_k_v2, top_k_shape, qs_fwd_top_k)
#undef ROW
