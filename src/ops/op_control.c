/* SPDX-License-Identifier: Apache-2.0 */
/* Entry and exit of a program, loops and branches. */
#include "ops/data.h"

/* Inputs have their shapes before the first node runs. */
static enum qs_err
feed_shape(struct qs_infer *in)
{
    const int32_t var = qs_node_output(in->node, "Out", 0);
    if (var < 0 || !in->shapes->var[var].known)
        return QS_OK;
    return qs_infer_set_like(in, "Out", 0, &in->shapes->var[var]);
}

/* Out is a list of tensors, not one. */
static enum qs_err
fetch_shape(struct qs_infer *in)
{
    (void)in;
    return QS_OK;
}

/* What the block has left in the outputs of its node. */
static enum qs_err
follow(struct qs_infer *in, bool loop)
{
    const struct qs_attr *sub = qs_node_attr(in->node, "sub_block");
    const struct qs_slot *out = qs_node_out(in->node, "Out");
    if (!sub || sub->type != QS_ATTR_BLOCK)
        return qs_infer_fail(in, _("there is no sub-block"));
    enum qs_err err = qs_infer_sub_block(in, sub->i, loop);
    for (int i = 0; out && i < out->n && !err; i++)
        if (in->shapes->var[out->var[i]].known)
            err = qs_infer_set_like(in, "Out", i, &in->shapes->var[out->var[i]]);
    return err;
}

static enum qs_err
while_shape(struct qs_infer *in)
{
    return follow(in, true);
}

static enum qs_err
conditional_shape(struct qs_infer *in)
{
    return follow(in, false);
}

/* One of several tensors: known when they agree. */
static enum qs_err
select_input_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    for (int i = 0; x && i < qs_infer_n_in(in, "X"); i++) {
        const struct qs_shape *other = qs_infer_in(in, "X", i);
        if (!other || other->n != x->n || memcmp(other->d, x->d, (size_t)x->n * sizeof(*x->d)) != 0)
            return QS_OK;
    }
    return x ? qs_infer_set_like(in, "Out", 0, x) : QS_OK;
}

#define ROW(op, rule, run) \
    const struct qs_op qs_op_##op = {.name = #op, .shape = rule, .forward = run};
ROW(conditional_block, conditional_shape, qs_fwd_conditional)
ROW(conditional_block_infer, conditional_shape, qs_fwd_conditional)
ROW(feed, feed_shape, NULL)
ROW(fetch, fetch_shape, NULL)
ROW(select_input, select_input_shape, qs_fwd_select_input)
ROW(while, while_shape, qs_fwd_while)
#undef ROW
