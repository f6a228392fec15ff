/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of single elements, and others whose output has the shape of their input X. */
#include "ops/data.h"

#define ROW(op, run) \
    const struct qs_op qs_op_##op = {.name = #op, .shape = qs_rule_same, .forward = run};
ROW(abs, qs_fwd_activation)
ROW(acos, qs_fwd_activation)
ROW(asin, qs_fwd_activation)
ROW(atan, qs_fwd_activation)
ROW(brelu, qs_fwd_activation)
ROW(ceil, qs_fwd_activation)
ROW(celu, qs_fwd_activation)
ROW(clip, qs_fwd_clip)
ROW(cos, qs_fwd_activation)
ROW(cosh, qs_fwd_activation)
ROW(dropout, qs_fwd_dropout)
ROW(elu, qs_fwd_activation)
ROW(erf, qs_fwd_activation)
ROW(exp, qs_fwd_activation)
ROW(expm1, qs_fwd_activation)
ROW(floor, qs_fwd_activation)
ROW(gelu, qs_fwd_activation)
ROW(hard_shrink, qs_fwd_activation)
ROW(hard_sigmoid, qs_fwd_activation)
ROW(hard_swish, qs_fwd_hard_swish)
ROW(leaky_relu, qs_fwd_activation)
ROW(log, qs_fwd_activation)
ROW(log10, qs_fwd_activation)
ROW(log1p, qs_fwd_activation)
ROW(log2, qs_fwd_activation)
ROW(log_softmax, qs_fwd_log_softmax)
ROW(logsigmoid, qs_fwd_activation)
ROW(memcpy, qs_fwd_copy)
ROW(mish, qs_fwd_activation)
ROW(pow, qs_fwd_pow)
ROW(prelu, qs_fwd_prelu)
ROW(reciprocal, qs_fwd_activation)
ROW(relu, qs_fwd_activation)
ROW(relu6, qs_fwd_activation)
ROW(round, qs_fwd_activation)
ROW(rsqrt, qs_fwd_activation)
ROW(selu, qs_fwd_activation)
ROW(share_data, qs_fwd_copy)
ROW(sigmoid, qs_fwd_activation)
ROW(sign, qs_fwd_activation)
ROW(silu, qs_fwd_activation)
ROW(sin, qs_fwd_activation)
ROW(sinh, qs_fwd_activation)
ROW(softmax, qs_fwd_softmax)
ROW(softplus, qs_fwd_activation)
ROW(softshrink, qs_fwd_activation)
ROW(softsign, qs_fwd_activation)
ROW(sqrt, qs_fwd_activation)
ROW(square, qs_fwd_activation)
ROW(swish, qs_fwd_activation)
ROW(tan, qs_fwd_activation)
ROW(tanh, qs_fwd_activation)
ROW(tanh_shrink, qs_fwd_activation)
ROW(thresholded_relu, qs_fwd_activation)
#undef ROW

/* Copies that Paddle-Lite puts in; X is called Input in most of them. */
static enum qs_err
copy_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "Input", 0);
    return x ? qs_infer_set_like(in, "Out", 0, x) : qs_rule_same(in);
}

#define ROW(op, run) \
    const struct qs_op qs_op_##op = {.name = #op, .shape = copy_shape, .forward = run};
ROW(calib, NULL)
ROW(io_copy, qs_fwd_copy)
ROW(layout, qs_fwd_copy)
#undef ROW
