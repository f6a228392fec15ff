/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of single elements, and others whose output has the shape of their input X. */
#include "ops/ops.h"

#define ROW(op) const struct qs_op qs_op_##op = {.name = #op, .shape = qs_rule_same};
ROW(abs)
ROW(acos)
ROW(asin)
ROW(atan)
ROW(brelu)
ROW(ceil)
ROW(celu)
ROW(clip)
ROW(cos)
ROW(cosh)
ROW(dropout)
ROW(elu)
ROW(erf)
ROW(exp)
ROW(expm1)
ROW(floor)
ROW(gelu)
ROW(hard_shrink)
ROW(hard_sigmoid)
ROW(hard_swish)
ROW(leaky_relu)
ROW(log)
ROW(log10)
ROW(log1p)
ROW(log2)
ROW(log_softmax)
ROW(logsigmoid)
ROW(memcpy)
ROW(mish)
ROW(pow)
ROW(prelu)
ROW(reciprocal)
ROW(relu)
ROW(relu6)
ROW(round)
ROW(rsqrt)
ROW(selu)
ROW(share_data)
ROW(sigmoid)
ROW(sign)
ROW(silu)
ROW(sin)
ROW(sinh)
ROW(softmax)
ROW(softplus)
ROW(softshrink)
ROW(softsign)
ROW(sqrt)
ROW(square)
ROW(swish)
ROW(tan)
ROW(tanh)
ROW(tanh_shrink)
ROW(thresholded_relu)
#undef ROW

/* Copies that Paddle-Lite puts in; X is called Input in most of them. */
static enum qs_err
copy_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "Input", 0);
    return x ? qs_infer_set_like(in, "Out", 0, x) : qs_rule_same(in);
}

#define ROW(op) const struct qs_op qs_op_##op = {.name = #op, .shape = copy_shape};
ROW(calib)
ROW(io_copy)
ROW(layout)
#undef ROW
