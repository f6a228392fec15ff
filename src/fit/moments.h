/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First and second moments of what a layer's weight is multiplied with, gathered while the model
 * runs. A convolution or product is y = W x for every output position, W [rows][k] the weight (of
 * one group) and x the k inputs under it; with H = sum x x^T the squared error of another weight V
 * is trace (V - W) H (V - W)^T, whatever the number of samples was.
 *
 * Only so many positions of a sample are taken, evenly spread (QS_MOMENTS_POSITIONS).
 */
#ifndef QS_FIT_MOMENTS_H
#define QS_FIT_MOMENTS_H

#include "model/step.h"

enum { QS_MOMENTS_POSITIONS = 256 };

struct qs_moments {
    const struct qs_model *m;
    const struct qs_node *node;
    int64_t groups, k; /* k: inputs that one output of a group takes */
    int64_t rows;      /* outputs, of all groups */
    bool rows_first;   /* rows of the stored weight are outputs */
    int64_t n;         /* positions seen */
    float *h;          /* [groups][k][k] sum of x x^T; NULL: not wanted */
    double *sum;       /* [groups][k] */
};

/* Of the layer that `node` is: conv2d, depthwise_conv2d on NCHW images, mul, matmul, matmul_v2 with
 * a constant second operand. QS_ERR_UNSUPPORTED (with the reason) for others. */
enum qs_err qs_moments_new(struct qs_ctx *cx, const struct qs_model *m, const struct qs_node *node,
                           bool second, struct qs_moments **out) QS_MUST_CHECK;
void qs_moments_free(struct qs_moments *s); /* NULL is fine */
/* x: the layer's input as the model has it now. */
enum qs_err qs_moments_add(struct qs_ctx *cx, struct qs_moments *s,
                           const struct qs_value *x) QS_MUST_CHECK;
/* h becomes that of x - mean(x): the error that is left once the mean error is taken off. */
void qs_moments_center(struct qs_moments *s);
int64_t qs_moments_bytes(const struct qs_moments *s);

/* The weight as [rows][k], malloc. The tensor must be of float32. */
enum qs_err qs_moments_weight(struct qs_ctx *cx, const struct qs_moments *s,
                              const struct qs_tensor *t, float **w) QS_MUST_CHECK;
/* Index in the tensor of element (row, i) of that matrix. */
int64_t qs_moments_at(const struct qs_moments *s, const struct qs_tensor *t, int64_t row,
                      int64_t i);
/* The variables that it reads: the activation and the weight. */
int32_t qs_moments_input(const struct qs_node *node);
int32_t qs_moments_weight_var(const struct qs_node *node);

#endif
