/* SPDX-License-Identifier: Apache-2.0 */
/* Views, orders of axes, and blocks of pixels to channels and back. */
#include "ops/data.h"

/* Out holds the elements of X (or Input) in their order. */
enum qs_err
qs_fwd_view(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    const char *in = qs_step_n_in(st, "X") > 0 ? "X" : "Input";
    const enum qs_err err = qs_data_pair(st, in, "Out", &x, &y);
    return err ? err : qs_data_copy(st, x, y);
}

enum qs_err
qs_fwd_transpose(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    int64_t perm[QS_RANK_MOST], d[QS_RANK_MOST], stride[QS_RANK_MOST], to[QS_RANK_MOST];
    struct qs_walk_dims w = {0};
    unsigned used = 0;
    enum qs_err err = qs_data_pair(st, "X", "Out", &x, &y);
    if (!err)
        err = qs_data_same_type(st, x, y);
    if (err)
        return err;
    if (qs_attr_ints(st->node, "axis", perm, QS_RANK_MOST) != x->n)
        return qs_step_fail(st, _("the order of the axes does not fit %d dimensions"), x->n);
    if (y->n != x->n)
        return qs_data_expect(st, y, x->n, x->d);
    qs_dense_strides(x->n, x->d, stride);
    qs_dense_strides(y->n, y->d, to);
    for (int i = 0; i < x->n && !err; i++) {
        int axis = 0;
        err = qs_fwd_axis(st, perm[i], x->n, &axis);
        d[i] = x->d[axis];
        used |= 1U << axis;
        qs_walk_add(&w, d[i], to[i], stride[axis]);
    }
    if (!err)
        err = qs_data_expect(st, y, x->n, d);
    if (!err && used != (1U << x->n) - 1)
        err = qs_step_fail(st, _("an axis is named twice"));
    return err ? err : qs_walk_copy(st->cx, y->data, x->data, qs_dtype_bytes(x->dtype), &w);
}

/* Axes of an image seen as [N, C, H, W], whatever the layout. */
struct image {
    int64_t n, c, h, w;     /* sizes */
    int64_t sn, sc, sh, sw; /* strides */
};

static struct image
image_of(const struct qs_value *x, bool last)
{
    int64_t s[QS_RANK_MOST];
    qs_dense_strides(4, x->d, s);
    return last ? (struct image){x->d[0], x->d[3], x->d[1], x->d[2], s[0], s[3], s[1], s[2]}
                : (struct image){x->d[0], x->d[1], x->d[2], x->d[3], s[0], s[1], s[2], s[3]};
}

/* Reads X and Out, both of rank 4, and a factor of at least 1. */
static enum qs_err
read_images(const struct qs_step *st, const char *attr, const struct qs_value **x,
            struct qs_value **y, int64_t *factor)
{
    const enum qs_err err = qs_data_pair(st, "X", "Out", x, y);
    *factor = qs_attr_int(st->node, attr, 1);
    if (err)
        return err;
    if ((*x)->n != 4 || (*y)->n != 4 || (*x)->count != (*y)->count)
        return qs_step_fail(st, _("the input has %d dimensions, not 4"), (*x)->n);
    if (*factor < 1 || *factor > INT16_MAX)
        return qs_step_fail(st, _("attribute '%s' is out of range"), attr);
    return qs_data_same_type(st, *x, *y);
}

/* Channel (c, i, j) at (h, w) goes to channel c at (h * r + i, w * r + j). */
enum qs_err
qs_fwd_pixel_shuffle(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    int64_t r;
    const enum qs_err err = read_images(st, "upscale_factor", &x, &y, &r);
    if (err)
        return err;
    const bool last = qs_data_str_is(st, "data_format", "NCHW", "NHWC");
    const struct image a = image_of(x, last), b = image_of(y, last);
    if (a.n != b.n || a.c != b.c * r * r || b.h != a.h * r || b.w != a.w * r)
        return qs_step_fail(st, _("the channels do not divide by the factor"));
    struct qs_walk_dims w = {0};
    qs_walk_add(&w, b.n, b.sn, a.sn);
    qs_walk_add(&w, b.c, b.sc, a.sc * r * r);
    qs_walk_add(&w, a.h, b.sh * r, a.sh);
    qs_walk_add(&w, r, b.sh, a.sc * r);
    qs_walk_add(&w, a.w, b.sw * r, a.sw);
    qs_walk_add(&w, r, b.sw, a.sc);
    return qs_walk_copy(st->cx, y->data, x->data, qs_dtype_bytes(x->dtype), &w);
}

/* Channel (g, k) goes to (k, g). */
enum qs_err
qs_fwd_shuffle_channel(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    int64_t groups;
    enum qs_err err = read_images(st, "group", &x, &y, &groups);
    if (!err)
        err = qs_data_expect(st, y, 4, x->d);
    if (err)
        return err;
    if (x->d[1] % groups != 0)
        return qs_step_fail(st, _("the channels do not divide by the factor"));
    const int64_t plane = x->d[2] * x->d[3], k = x->d[1] / groups;
    struct qs_walk_dims w = {0};
    qs_walk_add(&w, x->d[0], x->d[1] * plane, x->d[1] * plane);
    qs_walk_add(&w, k, groups * plane, plane);
    qs_walk_add(&w, groups, plane, k * plane);
    qs_walk_add(&w, plane, 1, 1);
    return qs_walk_copy(st->cx, y->data, x->data, qs_dtype_bytes(x->dtype), &w);
}

/* The reorganisation of Darknet: the input is read as if it were [N, C/r/r, H*r, W*r], and element
 * (k, h, w) of the result as [C, H, W] is at channel k % (C/r/r), row h*r + o/r, column w*r + o%r,
 * o = k / (C/r/r). */
enum qs_err
qs_fwd_space_to_depth(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    int64_t r;
    const enum qs_err err = read_images(st, "blocksize", &x, &y, &r);
    if (err)
        return err;
    const int64_t c = x->d[1], h = x->d[2], wd = x->d[3], few = c / (r * r);
    if (c % (r * r) != 0)
        return qs_step_fail(st, _("the channels do not divide by the factor"));
    struct qs_walk_dims w = {0};
    qs_walk_add(&w, x->d[0], c * h * wd, c * h * wd);
    qs_walk_add(&w, r, r * few * h * wd, wd * r);
    qs_walk_add(&w, r, few * h * wd, 1);
    qs_walk_add(&w, few, h * wd, h * r * wd * r);
    qs_walk_add(&w, h, wd, r * wd * r);
    qs_walk_add(&w, wd, 1, r);
    return qs_walk_copy(st->cx, y->data, x->data, qs_dtype_bytes(x->dtype), &w);
}
