/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that rearrange dims without touching elements: values are kept. */
#include <inttypes.h>

#include "ops/data.h"

static enum qs_err
set_view(struct qs_infer *in, const struct qs_shape *x, int n, const int64_t *d)
{
    const enum qs_err err = qs_infer_set(in, "Out", 0, x->dtype, n, d);
    if (!err)
        qs_infer_set_value(in, "Out", 0, x->value);
    return err;
}

static int64_t
product(const int64_t *d, int from, int to)
{
    int64_t p = 1;
    for (int i = from; i < to; i++)
        p = qs_mul_sat(p, d[i]);
    return p;
}

/* reshape: 0 copies the dim at that place, one -1 takes what is left. */

static enum qs_err
copy_zeros(const struct qs_infer *in, const struct qs_shape *x, const struct qs_ints *want,
           int64_t *d, int *infer)
{
    *infer = -1;
    for (int i = 0; i < want->n; i++) {
        d[i] = want->v[i];
        if (d[i] == 0 && i < x->n)
            d[i] = x->d[i];
        if (d[i] == -1 && *infer >= 0)
            return qs_infer_fail(in, _("two sizes of the new shape are -1"));
        if (d[i] == -1)
            *infer = i;
        else if (d[i] < 0 || d[i] > QS_DIM_MOST)
            return qs_infer_fail(in, _("size %" PRId64 " of the new shape is out of range"), d[i]);
    }
    return QS_OK;
}

static enum qs_err
reshape_to(struct qs_infer *in, const struct qs_shape *x, const struct qs_ints *want)
{
    int64_t d[QS_RANK_MOST];
    int infer;
    char from[128], to[128];
    if (want->n > QS_RANK_MOST)
        return qs_infer_fail(in, _("the result would have %d dimensions"), want->n);
    const enum qs_err err = copy_zeros(in, x, want, d, &infer);
    if (err)
        return err;
    const int64_t count = qs_shape_count(x);
    if (infer >= 0)
        d[infer] = 1;
    const int64_t rest = product(d, 0, want->n);
    if (infer >= 0 && rest > 0 && count % rest == 0)
        d[infer] = count / rest;
    if (product(d, 0, want->n) != count || (infer >= 0 && rest == 0)) {
        if (infer >= 0)
            d[infer] = -1;
        return qs_infer_fail(in, _("%s does not reshape to %s"),
                             qs_format_dims(from, sizeof(from), x->d, x->n),
                             qs_format_dims(to, sizeof(to), d, want->n));
    }
    return set_view(in, x, want->n, d);
}

/* One unknown element of a shape tensor list can take the place of -1. */
static bool
one_unknown(struct qs_ints *want)
{
    int unknown = 0;
    for (int i = 0; i < want->n; i++)
        unknown += !want->known_at[i] || want->v[i] == -1;
    return want->n > 0 && unknown == 1;
}

static enum qs_err
reshape_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    struct qs_ints want;
    if (!x)
        return QS_OK;
    qs_infer_ints(in, "ShapeTensor", "Shape", "shape", &want);
    return want.known || one_unknown(&want) ? reshape_to(in, x, &want) : QS_OK;
}

static enum qs_err
transpose_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    int64_t perm[QS_RANK_MOST], d[QS_RANK_MOST];
    bool used[QS_RANK_MOST] = {false};
    if (!x)
        return QS_OK;
    const int n = qs_attr_ints(in->node, "axis", perm, QS_RANK_MOST);
    if (n != x->n)
        return qs_infer_fail(in, _("the order of the axes does not fit %d dimensions"), x->n);
    for (int i = 0; i < n; i++) {
        int axis;
        const enum qs_err err = qs_infer_axis(in, perm[i], x->n, &axis);
        if (err)
            return err;
        if (used[axis])
            return qs_infer_fail(in, _("axis %d is named twice"), axis);
        used[axis] = true;
        d[i] = x->d[axis];
    }
    return qs_infer_set(in, "Out", 0, x->dtype, n, d);
}

/* flatten: 2-D */
static enum qs_err
flatten_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    const int64_t at = qs_attr_int(in->node, "axis", 1);
    if (!x)
        return QS_OK;
    const int64_t axis = at < 0 ? at + x->n : at;
    if (at < -QS_RANK_MOST || axis < 0 || axis > x->n)
        return qs_infer_fail(in, _("axis %" PRId64 " does not exist: the input has %d dimensions"),
                             at, x->n);
    const int64_t d[2] = {product(x->d, 0, (int)axis), product(x->d, (int)axis, x->n)};
    return set_view(in, x, 2, d);
}

static enum qs_err
flatten_range_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    int64_t d[QS_RANK_MOST];
    int start, stop, n = 0;
    if (!x)
        return QS_OK;
    if (x->n == 0)
        return set_view(in, x, 1, &(int64_t){1});
    enum qs_err err = qs_infer_axis(in, qs_attr_int(in->node, "start_axis", 1), x->n, &start);
    if (!err)
        err = qs_infer_axis(in, qs_attr_int(in->node, "stop_axis", 1), x->n, &stop);
    if (err)
        return err;
    if (start > stop)
        return qs_infer_fail(in, _("the first axis %d is after the last %d"), start, stop);
    for (int i = 0; i < start; i++)
        d[n++] = x->d[i];
    d[n++] = product(x->d, start, stop + 1);
    for (int i = stop + 1; i < x->n; i++)
        d[n++] = x->d[i];
    return set_view(in, x, n, d);
}

/* squeeze: listed dims that are 1; all of them when none is listed */
static enum qs_err
squeeze_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    struct qs_ints axes;
    bool drop[QS_RANK_MOST] = {false};
    int64_t d[QS_RANK_MOST];
    int n = 0;
    if (!x)
        return QS_OK;
    qs_infer_ints(in, "AxesTensorList", "AxesTensor", "axes", &axes);
    if (axes.present && !axes.known)
        return QS_OK;
    for (int i = 0; i < axes.n; i++) {
        int axis;
        const enum qs_err err = qs_infer_axis(in, axes.v[i], x->n, &axis);
        if (err)
            return err;
        drop[axis] = true;
    }
    for (int i = 0; i < x->n; i++)
        if (x->d[i] != 1 || !(drop[i] || axes.n == 0))
            d[n++] = x->d[i];
    return set_view(in, x, n, d);
}

/* unsqueeze: each axis is a place in the shape as far as it has grown */
static enum qs_err
unsqueeze_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    struct qs_ints axes;
    int64_t d[QS_RANK_MOST + 1];
    if (!x)
        return QS_OK;
    qs_infer_ints(in, "AxesTensorList", "AxesTensor", "axes", &axes);
    if (axes.present && !axes.known)
        return QS_OK;
    int n = x->n;
    memcpy(d, x->d, sizeof(x->d));
    for (int i = 0; i < axes.n; i++) {
        int axis;
        if (n == QS_RANK_MOST)
            return qs_infer_fail(in, _("the result would have %d dimensions"), n + 1);
        const enum qs_err err = qs_infer_axis(in, axes.v[i], n + 1, &axis);
        if (err)
            return err;
        memmove(&d[axis + 1], &d[axis], (size_t)(n - axis) * sizeof(*d));
        d[axis] = 1;
        n++;
    }
    return set_view(in, x, n, d);
}

/* Blocks of pixels to channels and back: NCHW unless data_format says NHWC. */

static enum qs_err
read_factor(const struct qs_infer *in, const char *attr, int64_t def, const struct qs_shape *x,
            int64_t *factor)
{
    *factor = qs_attr_int(in->node, attr, def);
    if (x->n != 4)
        return qs_infer_fail(in, _("the input has %d dimensions, not 4"), x->n);
    if (*factor < 1 || *factor > INT16_MAX)
        return qs_infer_fail(in, _("%s %" PRId64 " is out of range"), attr, *factor);
    return QS_OK;
}

static enum qs_err
pixel_shuffle_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    int64_t r, d[QS_RANK_MOST];
    if (!x)
        return QS_OK;
    const enum qs_err err = read_factor(in, "upscale_factor", 1, x, &r);
    if (err)
        return err;
    const struct qs_layout at = qs_layout_of(in, "data_format");
    memcpy(d, x->d, sizeof(d));
    if (d[at.c] % (r * r) != 0)
        return qs_infer_fail(in, _("%" PRId64 " channels do not divide by %" PRId64), d[at.c],
                             r * r);
    d[at.c] /= r * r;
    d[at.h] *= r;
    d[at.w] *= r;
    return qs_infer_set(in, "Out", 0, x->dtype, 4, d);
}

static enum qs_err
space_to_depth_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    int64_t r;
    if (!x)
        return QS_OK;
    const enum qs_err err = read_factor(in, "blocksize", 1, x, &r);
    if (err)
        return err;
    if (x->d[2] % r != 0 || x->d[3] % r != 0)
        return qs_infer_fail(in,
                             _("%" PRId64 "x%" PRId64 " does not divide into blocks of %" PRId64),
                             x->d[2], x->d[3], r);
    const int64_t d[4] = {x->d[0], x->d[1] * r * r, x->d[2] / r, x->d[3] / r};
    return qs_infer_set(in, "Out", 0, x->dtype, 4, d);
}

static enum qs_err
shuffle_channel_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    int64_t group;
    if (!x)
        return QS_OK;
    const enum qs_err err = read_factor(in, "group", 1, x, &group);
    if (err)
        return err;
    if (x->d[1] % group != 0)
        return qs_infer_fail(in, _("%" PRId64 " channels do not divide into %" PRId64 " groups"),
                             x->d[1], group);
    return qs_rule_same(in);
}

#define ROW(op, rule, run) \
    const struct qs_op qs_op_##op = {.name = #op, .shape = rule, .forward = run};
ROW(flatten, flatten_shape, qs_fwd_view)
ROW(flatten2, flatten_shape, qs_fwd_view)
ROW(flatten_contiguous_range, flatten_range_shape, qs_fwd_view)
ROW(pixel_shuffle, pixel_shuffle_shape, qs_fwd_pixel_shuffle)
ROW(reshape, reshape_shape, qs_fwd_view)
ROW(reshape2, reshape_shape, qs_fwd_view)
ROW(shuffle_channel, shuffle_channel_shape, qs_fwd_shuffle_channel)
ROW(space_to_depth, space_to_depth_shape, qs_fwd_space_to_depth)
ROW(squeeze, squeeze_shape, qs_fwd_view)
ROW(squeeze2, squeeze_shape, qs_fwd_view)
ROW(transpose, transpose_shape, qs_fwd_transpose)
ROW(transpose2, transpose_shape, qs_fwd_transpose)
ROW(unsqueeze, unsqueeze_shape, qs_fwd_view)
ROW(unsqueeze2, unsqueeze_shape, qs_fwd_view)
#undef ROW
