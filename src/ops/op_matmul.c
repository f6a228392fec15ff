/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products. */
#include <inttypes.h>

#include "ops/forward.h"

static int64_t
product(const int64_t *d, int from, int to)
{
    int64_t p = 1;
    for (int i = from; i < to; i++)
        p *= d[i];
    return p;
}

static enum qs_err
inner_mismatch(const struct qs_infer *in, int64_t x, int64_t y)
{
    return qs_infer_fail(in, _("the inner sizes differ: %" PRId64 " in X and %" PRId64 " in Y"), x,
                         y);
}

/* mul: X as a matrix of its first x_num_col_dims dims by the rest, Y likewise. */

static enum qs_err
split_at(const struct qs_infer *in, const char *attr, const struct qs_shape *x, int *at)
{
    const int64_t v = qs_attr_int(in->node, attr, 1);
    if (v < 1 || v >= x->n)
        return qs_infer_fail(in, _("%s %" PRId64 " does not fit %d dimensions"), attr, v, x->n);
    *at = (int)v;
    return QS_OK;
}

static enum qs_err
join(struct qs_infer *in, const struct qs_shape *x, int nx, const struct qs_shape *y, int ny)
{
    int64_t d[2 * QS_RANK_MOST];
    int n = 0;
    for (int i = 0; i < nx; i++)
        d[n++] = x->d[i];
    for (int i = ny; i < y->n; i++)
        d[n++] = y->d[i];
    return qs_infer_set(in, "Out", 0, qs_dtype_is_float(x->dtype) ? x->dtype : -1, n, d);
}

static enum qs_err
mul_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0), *y = qs_infer_in(in, "Y", 0);
    int nx, ny;
    if (!x || !y)
        return QS_OK;
    enum qs_err err = split_at(in, "x_num_col_dims", x, &nx);
    if (!err)
        err = split_at(in, "y_num_col_dims", y, &ny);
    if (err)
        return err;
    const int64_t inner_x = product(x->d, nx, x->n), inner_y = product(y->d, 0, ny);
    return inner_x == inner_y ? join(in, x, nx, y, ny) : inner_mismatch(in, inner_x, inner_y);
}

static int64_t
mul_macs(const struct qs_infer *in)
{
    const struct qs_shape *y = qs_infer_in(in, "Y", 0), *out = qs_infer_out(in, "Out", 0);
    const int64_t ny = qs_attr_int(in->node, "y_num_col_dims", 1);
    if (!y || !out || ny < 1 || ny > y->n)
        return 0;
    return qs_mul_sat(qs_shape_count(out), product(y->d, 0, (int)ny));
}

/* fc: Input by W [K, N], Input flattened at in_num_col_dims. */

static enum qs_err
fc_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "Input", 0), *w = qs_infer_in(in, "W", 0);
    int nx;
    if (!x || !w)
        return QS_OK;
    if (w->n != 2)
        return qs_infer_fail(in, _("the weight has %d dimensions, not 2"), w->n);
    const enum qs_err err = split_at(in, "in_num_col_dims", x, &nx);
    if (err)
        return err;
    const int64_t inner = product(x->d, nx, x->n);
    return inner == w->d[0] ? join(in, x, nx, w, 1) : inner_mismatch(in, inner, w->d[0]);
}

static int64_t
fc_macs(const struct qs_infer *in)
{
    const struct qs_shape *w = qs_infer_in(in, "W", 0), *out = qs_infer_out(in, "Out", 0);
    return w && w->n == 2 && out ? qs_mul_sat(qs_shape_count(out), w->d[0]) : 0;
}

/* matmul, matmul_v2, bmm */

struct matrix {
    int64_t rows, cols;
    struct qs_shape batch; /* leading dims */
    bool vector;
};

static struct matrix
matrix_of(const struct qs_shape *x, bool as_row, bool transpose)
{
    struct matrix m = {.vector = x->n == 1};
    if (m.vector) {
        m.rows = as_row ? 1 : x->d[0];
        m.cols = as_row ? x->d[0] : 1;
        return m;
    }
    m.batch = *x;
    m.batch.n = x->n - 2;
    m.rows = x->d[x->n - (transpose ? 1 : 2)];
    m.cols = x->d[x->n - (transpose ? 2 : 1)];
    return m;
}

static bool
attr_either(const struct qs_infer *in, const char *a, const char *b)
{
    return qs_attr_int(in->node, a, 0) != 0 || qs_attr_int(in->node, b, 0) != 0;
}

static enum qs_err
set_product(struct qs_infer *in, const struct qs_shape *x, const struct matrix *a,
            const struct matrix *b)
{
    int64_t d[QS_RANK_MOST + 2];
    int n;
    const enum qs_err err = qs_broadcast(in, &a->batch, &b->batch, -1, d, &n);
    if (err)
        return err;
    if (!a->vector)
        d[n++] = a->rows;
    if (!b->vector)
        d[n++] = b->cols;
    const int32_t dtype = qs_dtype_is_float(x->dtype) ? x->dtype : -1;
    return n == 0 ? qs_infer_set_scalar(in, "Out", 0, dtype)
                  : qs_infer_set(in, "Out", 0, dtype, n, d);
}

static enum qs_err
matmul_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0), *y = qs_infer_in(in, "Y", 0);
    if (!x || !y)
        return QS_OK;
    if (x->n < 1 || y->n < 1)
        return qs_infer_fail(in, _("an operand is a scalar"));
    const struct matrix a = matrix_of(x, true, attr_either(in, "trans_x", "transpose_X"));
    const struct matrix b = matrix_of(y, false, attr_either(in, "trans_y", "transpose_Y"));
    return a.cols == b.rows ? set_product(in, x, &a, &b) : inner_mismatch(in, a.cols, b.rows);
}

static int64_t
matmul_macs(const struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0), *out = qs_infer_out(in, "Out", 0);
    if (!x || !out || x->n < 1)
        return 0;
    const struct matrix a = matrix_of(x, true, attr_either(in, "trans_x", "transpose_X"));
    return qs_mul_sat(qs_shape_count(out), a.cols);
}

#define ROW(op, slot, axis, rule, cost, run)              \
    const struct qs_op qs_op_##op = {.name = #op,         \
                                     .weight_slot = slot, \
                                     .weight_axis = axis, \
                                     .shape = rule,       \
                                     .macs = cost,        \
                                     .forward = run};
ROW(bmm, NULL, 0, matmul_shape, matmul_macs, qs_fwd_matmul)
ROW(fc, "W", 1, fc_shape, fc_macs, qs_fwd_fc)
ROW(matmul, "Y", -1, matmul_shape, matmul_macs, qs_fwd_matmul)
ROW(matmul_v2, "Y", -1, matmul_shape, matmul_macs, qs_fwd_matmul)
ROW(mul, "Y", -1, mul_shape, mul_macs, qs_fwd_mul)
#undef ROW
