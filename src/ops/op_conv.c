/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions. Filter [Co, Ci/groups, kh, kw]; transposed: [Ci, Co/groups, kh, kw]. */
#include <inttypes.h>

#include "ops/forward.h"

struct conv {
    const struct qs_shape *x, *filter;
    struct qs_layout at;
    int64_t groups;
    struct qs_window w[2];
};

/* false in `ready`: an input is not known. */
static enum qs_err
read_conv(struct qs_infer *in, struct conv *c, bool *ready)
{
    c->x = qs_infer_in(in, "Input", 0);
    c->filter = qs_infer_in(in, "Filter", 0);
    *ready = c->x && c->filter;
    if (!*ready)
        return QS_OK;
    if (c->x->n != 4)
        return qs_infer_fail(in, _("the input has %d dimensions, not 4"), c->x->n);
    if (c->filter->n != 4)
        return qs_infer_fail(in, _("the filter has %d dimensions, not 4"), c->filter->n);
    c->at = qs_layout_of(in, "data_format");
    c->groups = qs_attr_int(in->node, "groups", 1);
    if (c->groups < 1 || c->groups > QS_ATTR_MOST)
        return qs_infer_fail(in, _("%" PRId64 " groups are out of range"), c->groups);
    const int64_t size[2] = {c->x->d[c->at.h], c->x->d[c->at.w]};
    return qs_window_attrs(in, &c->filter->d[2], size, c->w);
}

static enum qs_err
set_image(struct qs_infer *in, const struct conv *c, int64_t channels, const int64_t *size)
{
    int64_t d[4] = {c->x->d[0]};
    d[c->at.c] = channels;
    d[c->at.h] = size[0];
    d[c->at.w] = size[1];
    return qs_infer_set(in, "Output", 0, c->x->dtype, 4, d);
}

static enum qs_err
conv_shape(struct qs_infer *in)
{
    struct conv c;
    bool ready;
    int64_t size[2];
    enum qs_err err = read_conv(in, &c, &ready);
    if (err || !ready)
        return err;
    const int64_t channels = c.x->d[c.at.c], want = c.filter->d[1] * c.groups;
    if (channels != want)
        return qs_infer_fail(in, _("filter takes %" PRId64 " channels, the input has %" PRId64),
                             want, channels);
    if (c.filter->d[0] % c.groups != 0)
        return qs_infer_fail(in, _("%" PRId64 " filters do not divide into %" PRId64 " groups"),
                             c.filter->d[0], c.groups);
    for (int i = 0; i < 2 && !err; i++)
        err = qs_window_out(in, &c.w[i], i ? c.x->d[c.at.w] : c.x->d[c.at.h], false, &size[i]);
    return err ? err : set_image(in, &c, c.filter->d[0], size);
}

static int64_t
conv_macs(const struct qs_infer *in)
{
    const struct qs_shape *f = qs_infer_in(in, "Filter", 0);
    const struct qs_shape *out = qs_infer_out(in, "Output", 0);
    if (!f || f->n != 4 || !out)
        return 0;
    return qs_mul_sat(qs_shape_count(out), qs_mul_sat(f->d[1], f->d[2] * f->d[3]));
}

/* Transposed */

static enum qs_err
transpose_size(const struct qs_infer *in, const struct qs_window *w, int64_t size, int64_t extra,
               int64_t want, int64_t *out)
{
    *out =
        (size - 1) * w->stride - w->pad_before - w->pad_after + w->dilation * (w->kernel - 1) + 1;
    if (want > 0) {
        if (want < *out || want >= *out + w->stride)
            return qs_infer_fail(in, _("output size %" PRId64 " is not in %" PRId64 "..%" PRId64),
                                 want, *out, *out + w->stride - 1);
        *out = want;
        return QS_OK;
    }
    if (extra < 0 || extra > QS_ATTR_MOST)
        return qs_infer_fail(in, _("output padding %" PRId64 " is out of range"), extra);
    *out += extra;
    return *out > 0 ? QS_OK : qs_infer_fail(in, _("the padding leaves nothing of the output"));
}

static enum qs_err
conv_transpose_shape(struct qs_infer *in)
{
    struct conv c;
    bool ready;
    int64_t size[2], extra[2] = {0};
    struct qs_ints want;
    enum qs_err err = read_conv(in, &c, &ready);
    if (err || !ready)
        return err;
    const int64_t channels = c.x->d[c.at.c];
    if (channels != c.filter->d[0] || channels % c.groups != 0)
        return qs_infer_fail(in, _("filter takes %" PRId64 " channels, the input has %" PRId64),
                             c.filter->d[0], channels);
    qs_infer_ints(in, NULL, "OutputSizeTensor", "output_size", &want);
    if (want.present && !want.known)
        return QS_OK;
    if (qs_attr_ints(in->node, "output_padding", extra, 2) == 1)
        extra[1] = extra[0];
    for (int i = 0; i < 2 && !err; i++)
        err = transpose_size(in, &c.w[i], c.x->d[i ? c.at.w : c.at.h], extra[i],
                             i < want.n ? want.v[i] : 0, &size[i]);
    return err ? err : set_image(in, &c, c.filter->d[1] * c.groups, size);
}

static int64_t
conv_transpose_macs(const struct qs_infer *in)
{
    const struct qs_shape *f = qs_infer_in(in, "Filter", 0);
    const struct qs_shape *x = qs_infer_in(in, "Input", 0);
    if (!f || f->n != 4 || !x)
        return 0;
    return qs_mul_sat(qs_shape_count(x), qs_mul_sat(f->d[1], f->d[2] * f->d[3]));
}

#define ROW(op, run)                                          \
    const struct qs_op qs_op_##op = {.name = #op,             \
                                     .weight_slot = "Filter", \
                                     .weight_axis = 0,        \
                                     .shape = conv_shape,     \
                                     .macs = conv_macs,       \
                                     .forward = run};
ROW(conv2d, qs_fwd_conv)
ROW(deformable_conv, NULL)
ROW(deformable_conv_v1, NULL)
ROW(depthwise_conv2d, qs_fwd_conv)
#undef ROW

#define ROW(op, run)                                                \
    const struct qs_op qs_op_##op = {.name = #op,                   \
                                     .weight_slot = "Filter",       \
                                     .weight_axis = 1,              \
                                     .shape = conv_transpose_shape, \
                                     .macs = conv_transpose_macs,   \
                                     .forward = run};
ROW(conv2d_transpose, qs_fwd_conv_transpose)
ROW(depthwise_conv2d_transpose, qs_fwd_conv_transpose)
#undef ROW
