/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that repeat, pad or resample windows: expand, tile, pad, unfold, one_hot, meshgrid. */
#include <inttypes.h>

#include "ops/data.h"

/* Repeats a one-element value; a shape that only grows by ones keeps its elements. */
static void
repeat_values(struct qs_infer *in, const struct qs_shape *x)
{
    const struct qs_shape *out = qs_infer_out(in, "Out", 0);
    int64_t v[QS_SHAPE_VALUES_MOST];
    if (!x->value || !out)
        return;
    const int64_t n = qs_shape_count(out);
    if (n == qs_shape_count(x)) {
        qs_infer_set_value(in, "Out", 0, x->value);
        return;
    }
    if (qs_shape_count(x) != 1 || n > QS_SHAPE_VALUES_MOST)
        return;
    for (int64_t i = 0; i < n; i++)
        v[i] = x->value[0];
    qs_infer_set_value(in, "Out", 0, v);
}

/* expand_v2: -1 keeps a dim, new dims come in front. */
static enum qs_err
expand_to(struct qs_infer *in, const struct qs_shape *x, int n, const int64_t *want)
{
    int64_t d[QS_RANK_MOST];
    if (n < x->n || n > QS_RANK_MOST)
        return qs_infer_fail(in, _("%d dimensions do not expand to %d"), x->n, n);
    for (int i = 0; i < n; i++) {
        const int at = i - (n - x->n);
        const int64_t old = at >= 0 ? x->d[at] : 1;
        d[i] = want[i] == -1 && at >= 0 ? old : want[i];
        if (d[i] < 0 || (old != 1 && old != d[i]))
            return qs_infer_fail(in, _("dimension %d of %" PRId64 " does not expand to %" PRId64),
                                 i, old, want[i]);
    }
    const enum qs_err err = qs_infer_set(in, "Out", 0, x->dtype, n, d);
    if (!err)
        repeat_values(in, x);
    return err;
}

static enum qs_err
expand_v2_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    struct qs_ints want;
    if (!x)
        return QS_OK;
    qs_infer_ints(in, "expand_shapes_tensor", "Shape", "shape", &want);
    return want.known ? expand_to(in, x, want.n, want.v) : QS_OK;
}

/* The shape of another tensor, or the attribute that exporters put in its place. */
static enum qs_err
expand_as_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    const char *slot = strcmp(in->node->type, "expand_as") == 0 ? "target_tensor" : "Y";
    const struct qs_shape *y = qs_infer_in(in, slot, 0);
    struct qs_ints want;
    if (!x)
        return QS_OK;
    if (y)
        return expand_to(in, x, y->n, y->d);
    qs_infer_ints(in, NULL, NULL, "target_shape", &want);
    return qs_infer_n_in(in, slot) == 0 && want.known ? expand_to(in, x, want.n, want.v) : QS_OK;
}

static enum qs_err
repeat_by(struct qs_infer *in, const struct qs_shape *x, const struct qs_ints *times)
{
    int64_t d[QS_RANK_MOST];
    const int n = times->n > x->n ? times->n : x->n;
    if (n > QS_RANK_MOST)
        return qs_infer_fail(in, _("the result would have %d dimensions"), n);
    for (int i = 0; i < n; i++) {
        const int at = i - (n - x->n), of = i - (n - times->n);
        const int64_t k = of >= 0 ? times->v[of] : 1;
        if (k < 0 || k > QS_DIM_MOST)
            return qs_infer_fail(in, _("repeating %" PRId64 " times is out of range"), k);
        d[i] = (at >= 0 ? x->d[at] : 1) * k;
    }
    const enum qs_err err = qs_infer_set(in, "Out", 0, x->dtype, n, d);
    if (!err)
        repeat_values(in, x);
    return err;
}

static enum qs_err
tile_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    struct qs_ints times;
    if (!x)
        return QS_OK;
    qs_infer_ints(in, "repeat_times_tensor", "RepeatTimes", "repeat_times", &times);
    return times.known ? repeat_by(in, x, &times) : QS_OK;
}

static enum qs_err
expand_v1_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    struct qs_ints times;
    if (!x)
        return QS_OK;
    qs_infer_ints(in, "expand_times_tensor", "ExpandTimes", "expand_times", &times);
    return times.known ? repeat_by(in, x, &times) : QS_OK;
}

/* Pads */

static enum qs_err
add_pad(const struct qs_infer *in, int64_t *d, int64_t before, int64_t after)
{
    if (before < -QS_DIM_MOST || before > QS_DIM_MOST || after < -QS_DIM_MOST ||
        after > QS_DIM_MOST || *d + before + after < 0)
        return qs_infer_fail(in,
                             _("padding %" PRId64 ", %" PRId64 " of %" PRId64 " is out of range"),
                             before, after, *d);
    *d += before + after;
    return QS_OK;
}

/* `axis[i]` is padded by the i-th pair of the list. */
static enum qs_err
pad_axes(struct qs_infer *in, const struct qs_shape *x, const char *tensor, const int *axis, int n)
{
    struct qs_ints pad;
    int64_t d[QS_RANK_MOST];
    enum qs_err err = QS_OK;
    qs_infer_ints(in, NULL, tensor, "paddings", &pad);
    if (!pad.known)
        return QS_OK;
    if (pad.n != 2 * n)
        return qs_infer_fail(in, _("%d paddings for %d dimensions"), pad.n, n);
    memcpy(d, x->d, sizeof(d));
    for (int i = 0; i < n && !err; i++)
        err = add_pad(in, &d[axis[i]], pad.v[2 * i], pad.v[2 * i + 1]);
    return err ? err : qs_infer_set(in, "Out", 0, x->dtype, x->n, d);
}

static enum qs_err
pad_shape(struct qs_infer *in)
{
    static const int axis[QS_RANK_MOST] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    return x ? pad_axes(in, x, NULL, axis, x->n) : QS_OK;
}

static enum qs_err
pad2d_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    if (!x)
        return QS_OK;
    if (x->n != 4)
        return qs_infer_fail(in, _("the input has %d dimensions, not 4"), x->n);
    const struct qs_layout at = qs_layout_of(in, "data_format");
    return pad_axes(in, x, "Paddings", (const int[]){at.h, at.w}, 2);
}

/* Pairs for width, height, depth. */
static enum qs_err
pad3d_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    const bool last = qs_infer_str_is(in, "data_format", "NCDHW", "NDHWC");
    if (!x)
        return QS_OK;
    if (x->n != 5)
        return qs_infer_fail(in, _("the input has %d dimensions, not 5"), x->n);
    return pad_axes(in, x, "Paddings", last ? (const int[]){3, 2, 1} : (const int[]){4, 3, 2}, 3);
}

/* Windows */

/* Rows of windows over an image: counts along height and width. */
static enum qs_err
window_counts(const struct qs_infer *in, const struct qs_shape *x, const int64_t *k,
              const int64_t *stride, const int64_t *pad, const int64_t *dilation, int64_t *out)
{
    enum qs_err err = QS_OK;
    for (int i = 0; i < 2 && !err; i++) {
        const struct qs_window w = {k[i], stride[i], dilation[i], pad[i], pad[i + 2]};
        err = qs_window_out(in, &w, x->d[2 + i], false, &out[i]);
    }
    return err;
}

static void
read_list(const struct qs_infer *in, const char *attr, int64_t def, int64_t *out, int n)
{
    int64_t v[4];
    const int got = qs_attr_ints(in->node, attr, v, 4);
    for (int i = 0; i < n; i++)
        out[i] = got < 1 ? def : v[i % got]; /* one for all, or a pair for both ends */
}

/* unfold: paddings [top, left, bottom, right], output [N, C*kh*kw, windows] */
static enum qs_err
unfold_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    int64_t k[2], stride[2], pad[4], dilation[2], out[2];
    if (!x)
        return QS_OK;
    if (x->n != 4)
        return qs_infer_fail(in, _("the input has %d dimensions, not 4"), x->n);
    read_list(in, "kernel_sizes", 0, k, 2);
    read_list(in, "strides", 1, stride, 2);
    read_list(in, "paddings", 0, pad, 4);
    read_list(in, "dilations", 1, dilation, 2);
    const enum qs_err err = window_counts(in, x, k, stride, pad, dilation, out);
    if (err)
        return err;
    const int64_t d[3] = {x->d[0], qs_mul_sat(x->d[1], k[0] * k[1]), out[0] * out[1]};
    return qs_infer_set(in, "Y", 0, x->dtype, 3, d);
}

/* im2sequence: paddings [top, left, bottom, right], output [N*windows, C*kh*kw] */
static enum qs_err
im2sequence_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    int64_t k[2], stride[2], pad[4], out[2];
    if (!x || qs_infer_n_in(in, "Y") > 0)
        return QS_OK;
    if (x->n != 4)
        return qs_infer_fail(in, _("the input has %d dimensions, not 4"), x->n);
    read_list(in, "kernels", 0, k, 2);
    read_list(in, "strides", 1, stride, 2);
    read_list(in, "paddings", 0, pad, 4);
    const enum qs_err err = window_counts(in, x, k, stride, pad, (const int64_t[]){1, 1}, out);
    if (err)
        return err;
    const int64_t d[2] = {qs_mul_sat(x->d[0], out[0] * out[1]), qs_mul_sat(x->d[1], k[0] * k[1])};
    return qs_infer_set(in, "Out", 0, x->dtype, 2, d);
}

/* X [N, C, H, W] read at Grid [N, h, w, 2]. */
static enum qs_err
grid_sampler_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0), *grid = qs_infer_in(in, "Grid", 0);
    if (!x || !grid)
        return QS_OK;
    if (x->n != 4 || grid->n != 4 || grid->d[3] != 2 || grid->d[0] != x->d[0])
        return qs_infer_fail(in, _("the grid does not fit the input"));
    const int64_t d[4] = {x->d[0], x->d[1], grid->d[1], grid->d[2]};
    return qs_infer_set(in, "Output", 0, x->dtype, 4, d);
}

/* Others */

/* one_hot_v2 adds a dim; one_hot puts it in place of a trailing 1. */
static enum qs_err
one_hot_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    const bool v2 = strcmp(in->node->type, "one_hot_v2") == 0;
    int64_t depth, d[QS_RANK_MOST + 1];
    if (!x || !qs_infer_int(in, "depth_tensor", "depth", -1, &depth))
        return QS_OK;
    if (!v2 && (x->n < 1 || x->d[x->n - 1] != 1))
        return qs_infer_fail(in, _("the last dimension of the input is not 1"));
    memcpy(d, x->d, sizeof(x->d));
    const int n = v2 ? x->n : x->n - 1;
    d[n] = depth;
    return qs_infer_set(in, "Out", 0, -1, n + 1, d);
}

static enum qs_err
meshgrid_shape(struct qs_infer *in)
{
    const int n = qs_infer_n_in(in, "X");
    int64_t d[QS_RANK_MOST];
    enum qs_err err = QS_OK;
    if (n > QS_RANK_MOST)
        return qs_infer_fail(in, _("the result would have %d dimensions"), n);
    for (int i = 0; i < n; i++) {
        const struct qs_shape *x = qs_infer_in(in, "X", i);
        if (!x)
            return QS_OK;
        if (x->n > 1)
            return qs_infer_fail(in, _("part %d has %d dimensions, not 1"), i, x->n);
        d[i] = qs_shape_count(x);
    }
    for (int i = 0; i < n && !err; i++)
        err = qs_infer_set(in, "Out", i, qs_infer_in(in, "X", i)->dtype, n, d);
    return err;
}

#define ROW(op, rule, run) \
    const struct qs_op qs_op_##op = {.name = #op, .shape = rule, .forward = run};
ROW(expand, expand_v1_shape, qs_fwd_repeat)
ROW(expand_as, expand_as_shape, qs_fwd_repeat)
ROW(expand_as_v2, expand_as_shape, qs_fwd_repeat)
ROW(expand_v2, expand_v2_shape, qs_fwd_repeat)
ROW(grid_sampler, grid_sampler_shape, qs_fwd_grid_sampler)
ROW(im2sequence, im2sequence_shape, qs_fwd_im2sequence)
ROW(meshgrid, meshgrid_shape, qs_fwd_meshgrid)
ROW(one_hot, one_hot_shape, qs_fwd_one_hot)
ROW(one_hot_v2, one_hot_shape, qs_fwd_one_hot)
ROW(pad, pad_shape, qs_fwd_pad)
ROW(pad2d, pad2d_shape, qs_fwd_pad2d)
ROW(pad3d, pad3d_shape, qs_fwd_pad3d)
ROW(tile, tile_shape, qs_fwd_repeat)
ROW(unfold, unfold_shape, qs_fwd_unfold)
#undef ROW
