/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the forward functions (fwd_<family>.c) share. They compute in float32 with Paddle's
 * formulas, sums of many elements in double. How work is split depends on its size alone, so
 * results do not depend on the number of threads.
 */
#ifndef QS_OPS_FORWARD_H
#define QS_OPS_FORWARD_H

#include "base/parallel.h"
#include "kernels/gemm.h"
#include "model/step.h"
#include "ops/ops.h"

/* Calls fn for pieces of 0..n-1 that together cover it, in parallel when n times `cost` (of one
 * item, about multiply-adds) is worth it. */
typedef enum qs_err qs_range_fn(struct qs_ctx *cx, void *arg, int64_t from, int64_t to);
enum qs_err qs_fwd_range(struct qs_step *st, int64_t n, int64_t cost, qs_range_fn *fn,
                         void *arg) QS_MUST_CHECK;

/* `batch` products c = alpha * a * b; strides are floats from one product's matrix to the next
 * (a_at, b_at NULL) or offsets per product. Result rows are n floats. */
struct qs_gemm {
    int64_t batch, m, n, k;
    float alpha, beta;
    struct qk_matrix a, b;
    const int64_t *a_at, *b_at; /* [batch] */
    float *c;                   /* [batch][m][n] */
};
enum qs_err qs_fwd_gemm(struct qs_step *st, const struct qs_gemm *g) QS_MUST_CHECK;

/* For helpers that take the state of shape inference but read attributes only. */
struct qs_infer qs_fwd_attrs(const struct qs_step *st);
/* The input, required to be there with type float32 (want -1: any type); fails else. */
enum qs_err qs_fwd_need(struct qs_step *st, const char *slot, int32_t want,
                        const struct qs_value **out) QS_MUST_CHECK;
/* An input that may be missing; present, it must be float32 of `count` elements. */
enum qs_err qs_fwd_optional(struct qs_step *st, const char *slot, int64_t count,
                            const float **out) QS_MUST_CHECK;
/* The output, required to have been made. */
enum qs_err qs_fwd_out(struct qs_step *st, const char *slot, struct qs_value **out) QS_MUST_CHECK;
/* Fails with the name of the type. */
enum qs_err qs_fwd_bad_type(const struct qs_step *st, int32_t dtype);
/* Floats of the scratch arena's kind, for as long as the node runs; QS_ERR_MEMORY. Release with
 * qs_buf_unref. */
enum qs_err qs_fwd_floats(struct qs_ctx *cx, int64_t n, struct qs_buf **buf,
                          float **out) QS_MUST_CHECK;
/* Product of d[from .. to-1]. */
int64_t qs_fwd_product(const int64_t *d, int from, int to);
/* Axis -rank .. rank-1 to 0 .. rank-1; fails else. */
enum qs_err qs_fwd_axis(const struct qs_step *st, int64_t axis, int rank, int *out) QS_MUST_CHECK;

/* One function per family. */
typedef enum qs_err qs_forward_fn(struct qs_step *st);
qs_forward_fn qs_fwd_activation, qs_fwd_prelu, qs_fwd_softmax, qs_fwd_hard_swish,
    qs_fwd_log_softmax, qs_fwd_dropout, qs_fwd_copy;
qs_forward_fn qs_fwd_conv, qs_fwd_conv_transpose, qs_fwd_pool, qs_fwd_interp;
qs_forward_fn qs_fwd_batch_norm, qs_fwd_layer_norm, qs_fwd_instance_norm, qs_fwd_group_norm,
    qs_fwd_norm;
qs_forward_fn qs_fwd_elementwise, qs_fwd_scale;
qs_forward_fn qs_fwd_mul, qs_fwd_matmul, qs_fwd_fc;
qs_forward_fn qs_fwd_reduce, qs_fwd_mean, qs_fwd_p_norm;
qs_forward_fn qs_fwd_rnn, qs_fwd_lstm, qs_fwd_gru, qs_fwd_gru_unit;
qs_forward_fn qs_fwd_lookup;

#endif
