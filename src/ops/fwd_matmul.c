/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products of float32. */
#include "ops/forward.h"

/* x [m][k] by y [k][n] of one product. */
static enum qs_err
multiply(struct qs_step *st, const struct qs_value *x, const struct qs_value *y, int64_t m,
         int64_t k, int64_t n, struct qs_value *out, float beta)
{
    const struct qs_gemm g = {.batch = 1,
                              .m = m,
                              .n = n,
                              .k = k,
                              .alpha = 1,
                              .beta = beta,
                              .a = {x->f32, k, 0},
                              .b = {y->f32, n, 0},
                              .c = out->f32};
    return qs_fwd_gemm(st, &g);
}

static enum qs_err
read_operands(struct qs_step *st, const char *a, const char *b, const struct qs_value **x,
              const struct qs_value **y, struct qs_value **out)
{
    enum qs_err err = qs_fwd_need(st, a, QS_DTYPE_float32, x);
    if (!err)
        err = qs_fwd_need(st, b, QS_DTYPE_float32, y);
    if (!err)
        err = qs_fwd_out(st, "Out", out);
    return err;
}

enum qs_err
qs_fwd_mul(struct qs_step *st)
{
    const struct qs_value *x, *y;
    struct qs_value *out;
    const enum qs_err err = read_operands(st, "X", "Y", &x, &y, &out);
    if (err)
        return err;
    const int nx = (int)qs_attr_int(st->node, "x_num_col_dims", 1);
    const int ny = (int)qs_attr_int(st->node, "y_num_col_dims", 1);
    return multiply(st, x, y, qs_fwd_product(x->d, 0, nx), qs_fwd_product(x->d, nx, x->n),
                    qs_fwd_product(y->d, ny, y->n), out, 0);
}

/* fc: a product, a bias per column, relu. */
enum qs_err
qs_fwd_fc(struct qs_step *st)
{
    const struct qs_infer attrs = qs_fwd_attrs(st);
    const struct qs_value *x, *w;
    struct qs_value *out;
    const float *bias;
    enum qs_err err = read_operands(st, "Input", "W", &x, &w, &out);
    if (err)
        return err;
    const int at = (int)qs_attr_int(st->node, "in_num_col_dims", 1);
    const int64_t rows = qs_fwd_product(x->d, 0, at), cols = w->d[1];
    err = qs_fwd_optional(st, "Bias", cols, &bias);
    if (err)
        return err;
    for (int64_t i = 0; bias && i < rows; i++)
        memcpy(out->f32 + i * cols, bias, (size_t)cols * sizeof(*bias));
    err = multiply(st, x, w, rows, qs_fwd_product(x->d, at, x->n), cols, out, bias ? 1 : 0);
    if (err || !qs_infer_str_is(&attrs, "activation_type", "", "relu"))
        return err;
    for (int64_t i = 0; i < out->count; i++)
        out->f32[i] = out->f32[i] < 0 ? 0 : out->f32[i];
    return QS_OK;
}

/* matmul, matmul_v2, bmm */

struct side {
    int64_t rows, cols; /* of op(matrix) */
    struct qk_matrix m;
    int n_batch;
    int64_t batch[QS_RANK_MOST];
};

static struct side
side_of(const struct qs_value *x, bool as_row, bool transpose)
{
    struct side s = {.m = {.p = x->f32}};
    if (x->n == 1) {
        s.rows = as_row ? 1 : x->d[0];
        s.cols = as_row ? x->d[0] : 1;
        s.m.ld = s.cols;
        return s;
    }
    s.n_batch = x->n - 2;
    memcpy(s.batch, x->d, sizeof(s.batch));
    s.m.ld = x->d[x->n - 1];
    s.m.transposed = transpose;
    s.rows = x->d[x->n - (transpose ? 1 : 2)];
    s.cols = x->d[x->n - (transpose ? 2 : 1)];
    return s;
}

/* Where the matrix of product i of the broadcast batch starts; n_out dims d_out. */
static int64_t
offset_of(const struct side *s, int64_t i, const int64_t *d_out, int n_out)
{
    int64_t at = 0, step = s->rows * s->cols;
    for (int k = n_out - 1, own = s->n_batch - 1; k >= 0; k--, own--) {
        const int64_t index = i % d_out[k];
        i /= d_out[k];
        if (own < 0)
            continue;
        at += s->batch[own] == 1 ? 0 : index * step;
        step *= s->batch[own];
    }
    return at;
}

static enum qs_err
multiply_batches(struct qs_step *st, const struct side *x, const struct side *y,
                 const struct qs_value *out, float alpha)
{
    const int n_out = x->n_batch > y->n_batch ? x->n_batch : y->n_batch;
    struct qs_gemm g = {.batch = qs_fwd_product(out->d, 0, n_out < out->n ? n_out : 0),
                        .m = x->rows,
                        .n = y->cols,
                        .k = x->cols,
                        .alpha = alpha,
                        .a = x->m,
                        .b = y->m,
                        .c = out->f32};
    if (out->count == 0)
        return QS_OK;
    g.batch = out->count / (g.m * g.n);
    int64_t *at = qs_arena_alloc(st->scratch, 2 * (size_t)g.batch * sizeof(*at));
    for (int64_t i = 0; i < g.batch; i++) {
        at[i] = offset_of(x, i, out->d, n_out);
        at[g.batch + i] = offset_of(y, i, out->d, n_out);
    }
    g.a_at = at;
    g.b_at = at + g.batch;
    return qs_fwd_gemm(st, &g);
}

enum qs_err
qs_fwd_matmul(struct qs_step *st)
{
    const struct qs_value *x, *y;
    struct qs_value *out;
    const enum qs_err err = read_operands(st, "X", "Y", &x, &y, &out);
    if (err)
        return err;
    const bool trans_x =
        qs_attr_int(st->node, "trans_x", 0) != 0 || qs_attr_int(st->node, "transpose_X", 0) != 0;
    const bool trans_y =
        qs_attr_int(st->node, "trans_y", 0) != 0 || qs_attr_int(st->node, "transpose_Y", 0) != 0;
    struct side a = side_of(x, true, trans_x), b = side_of(y, false, trans_y);
    const float alpha =
        strcmp(st->node->type, "matmul") == 0 ? (float)qs_attr_float(st->node, "alpha", 1) : 1;
    /* one matrix for all of a batch: a single product with more rows */
    if (b.n_batch == 0 && !a.m.transposed) {
        a.rows *= qs_fwd_product(a.batch, 0, a.n_batch);
        a.n_batch = 0;
    }
    return multiply_batches(st, &a, &b, out, alpha);
}
