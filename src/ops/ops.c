/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/ops.h"

#include <inttypes.h>

/* Sorted by name: ops.inc is, and a test holds it to that. */
static const struct qs_op *const table[] = {
#define ROW(name) &qs_op_##name,
#include "ops/ops.inc"
#undef ROW
};

const struct qs_op *
qs_op_find(const char *type)
{
    int lo = 0, hi = (int)QS_LEN(table);
    while (lo < hi) {
        const int mid = lo + (hi - lo) / 2;
        const int c = strcmp(table[mid]->name, type);
        if (c == 0)
            return table[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

int
qs_op_count(void)
{
    return (int)QS_LEN(table);
}

const struct qs_op *
qs_op_at(int i)
{
    return table[i];
}

int
qs_weight_axis(const struct qs_node *node, int rank)
{
    if (!node->op || !node->op->weight_slot || rank < 1)
        return -1;
    int axis = node->op->weight_axis;
    const bool transposed =
        qs_attr_int(node, "trans_y", 0) != 0 || qs_attr_int(node, "transpose_Y", 0) != 0;
    if (axis == -1 && transposed && rank > 1)
        axis = -2;
    if (axis < 0)
        axis += rank;
    return axis >= 0 && axis < rank ? axis : -1;
}

enum qs_err
qs_rule_same(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    return x ? qs_infer_set_like(in, "Out", 0, x) : QS_OK;
}

/* Images */

struct qs_layout
qs_layout_of(const struct qs_infer *in, const char *attr)
{
    return qs_infer_str_is(in, attr, "NCHW", "NHWC") ? (struct qs_layout){3, 1, 2}
                                                     : (struct qs_layout){1, 2, 3};
}

static enum qs_err
check_window(const struct qs_infer *in, const struct qs_window *w)
{
    if (w->stride < 1 || w->stride > QS_ATTR_MOST)
        return qs_infer_fail(in, _("stride %" PRId64 " is out of range"), w->stride);
    if (w->dilation < 1 || w->dilation > QS_ATTR_MOST)
        return qs_infer_fail(in, _("dilation %" PRId64 " is out of range"), w->dilation);
    if (w->kernel < 1 || w->kernel > QS_ATTR_MOST)
        return qs_infer_fail(in, _("kernel size %" PRId64 " is out of range"), w->kernel);
    if (w->pad_before < -QS_ATTR_MOST || w->pad_before > QS_ATTR_MOST ||
        w->pad_after < -QS_ATTR_MOST || w->pad_after > QS_ATTR_MOST)
        return qs_infer_fail(in, _("padding %" PRId64 ", %" PRId64 " is out of range"),
                             w->pad_before, w->pad_after);
    return QS_OK;
}

enum qs_err
qs_window_out(const struct qs_infer *in, const struct qs_window *w, int64_t size, bool ceil_mode,
              int64_t *out)
{
    const enum qs_err err = check_window(in, w);
    if (err)
        return err;
    const int64_t padded = size + w->pad_before + w->pad_after;
    const int64_t reach = w->dilation * (w->kernel - 1) + 1;
    *out = (padded - reach + (ceil_mode ? w->stride - 1 : 0)) / w->stride + 1;
    if (padded < 1 || *out < 1)
        return qs_infer_fail(in,
                             _("a kernel that covers %" PRId64
                               " does not fit in an input of %" PRId64 " with its padding"),
                             reach, padded);
    return QS_OK;
}

/* Both elements of a pair attribute, which may be a single integer or absent. */
static void
read_pair(const struct qs_infer *in, const char *attr, int64_t def, int64_t *out)
{
    const int n = qs_attr_ints(in->node, attr, out, 2);
    if (n < 1)
        out[0] = out[1] = def;
    else if (n == 1)
        out[1] = out[0];
}

static enum qs_err
read_pads(const struct qs_infer *in, struct qs_window *w)
{
    int64_t pad[4] = {0};
    const int n = qs_attr_ints(in->node, "paddings", pad, 4);
    const bool given = qs_node_attr(in->node, "paddings") != NULL;
    if (given && n != 0 && n != 1 && n != 2 && n != 4)
        return qs_infer_fail(in, _("paddings must be 2 or 4 numbers"));
    for (int i = 0; i < 2; i++) {
        w[i].pad_before = n == 4 ? pad[2 * i] : n == 2 ? pad[i] : pad[0];
        w[i].pad_after = n == 4 ? pad[2 * i + 1] : w[i].pad_before;
    }
    return QS_OK;
}

static void
pad_same(struct qs_window *w, int64_t size)
{
    const int64_t out = (size + w->stride - 1) / w->stride;
    const int64_t total = (out - 1) * w->stride + w->kernel - size;
    w->pad_before = total > 0 ? total / 2 : 0;
    w->pad_after = total > 0 ? total - total / 2 : 0;
    w->dilation = 1;
}

enum qs_err
qs_window_attrs(const struct qs_infer *in, const int64_t *kernel, const int64_t *size,
                struct qs_window *w)
{
    int64_t stride[2], dilation[2];
    read_pair(in, "strides", 1, stride);
    read_pair(in, "dilations", 1, dilation);
    const bool same = qs_infer_str_is(in, "padding_algorithm", "EXPLICIT", "SAME");
    const bool valid = qs_infer_str_is(in, "padding_algorithm", "EXPLICIT", "VALID");
    enum qs_err err = read_pads(in, w);
    for (int i = 0; i < 2 && !err; i++) {
        w[i].kernel = kernel[i];
        w[i].stride = stride[i];
        w[i].dilation = dilation[i];
        if (same || valid)
            w[i].pad_before = w[i].pad_after = 0;
        err = check_window(in, &w[i]);
        if (!err && same)
            pad_same(&w[i], size[i]);
    }
    return err;
}

/* Broadcasting */

static int64_t
dim_at(const struct qs_shape *x, int i)
{
    return i >= 0 && i < x->n ? x->d[i] : 1;
}

enum qs_err
qs_broadcast(const struct qs_infer *in, const struct qs_shape *x, const struct qs_shape *y,
             int64_t axis, int64_t *out, int *n)
{
    const struct qs_shape *big = x->n >= y->n ? x : y;
    struct qs_shape small = x->n >= y->n ? *y : *x;
    int at = big->n - small.n;
    *n = big->n;
    if (axis != -1 && axis != at) {
        /* an axis of the program: trailing ones of the smaller side do not count */
        while (small.n > 0 && small.d[small.n - 1] == 1)
            small.n--;
        if (axis < 0 || axis > big->n - small.n)
            return qs_infer_fail(in, _("axis %" PRId64 " does not fit %d and %d dimensions"), axis,
                                 x->n, y->n);
        at = (int)axis;
    }
    for (int i = 0; i < *n; i++) {
        const int64_t a = big->d[i], b = dim_at(&small, i - at);
        if (a != b && a != 1 && b != 1)
            return qs_infer_fail(
                in, _("sizes %" PRId64 " and %" PRId64 " of dimension %d cannot be broadcast"), a,
                b, i);
        out[i] = a == 1 ? b : a;
    }
    return QS_OK;
}
