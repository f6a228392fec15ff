/* SPDX-License-Identifier: Apache-2.0 */
/* Joining, cutting and picking: concat, split, stack, slice, gather and their kin. */
#include <inttypes.h>
#include <stdlib.h>

#include "ops/data.h"

/* Joining */

static const struct qs_shape *
all_known(const struct qs_infer *in, const char *slot)
{
    for (int i = 0; i < qs_infer_n_in(in, slot); i++)
        if (!qs_infer_in(in, slot, i))
            return NULL;
    return qs_infer_in(in, slot, 0);
}

static enum qs_err
check_parts(const struct qs_infer *in, const struct qs_shape *first, int axis)
{
    for (int i = 1; i < qs_infer_n_in(in, "X"); i++) {
        const struct qs_shape *x = qs_infer_in(in, "X", i);
        if (x->n != first->n)
            return qs_infer_fail(in, _("part %d has %d dimensions, the first has %d"), i, x->n,
                                 first->n);
        for (int k = 0; k < x->n; k++)
            if (k != axis && x->d[k] != first->d[k])
                return qs_infer_fail(
                    in, _("dimension %d is %" PRId64 " in part %d, %" PRId64 " in the first"), k,
                    x->d[k], i, first->d[k]);
    }
    return QS_OK;
}

/* Values of joined vectors or scalars, in order. */
static void
join_values(struct qs_infer *in, const char *slot)
{
    int64_t v[QS_SHAPE_VALUES_MOST];
    int64_t n = 0;
    for (int i = 0; i < qs_infer_n_in(in, "X"); i++) {
        const struct qs_shape *x = qs_infer_in(in, "X", i);
        const int64_t count = qs_shape_count(x);
        if (!x->value || x->n > 1 || n + count > QS_SHAPE_VALUES_MOST)
            return;
        memcpy(v + n, x->value, (size_t)count * sizeof(*v));
        n += count;
    }
    qs_infer_set_value(in, slot, 0, v);
}

static enum qs_err
concat_shape(struct qs_infer *in)
{
    const struct qs_shape *first = all_known(in, "X");
    int64_t wanted, d[QS_RANK_MOST], sum = 0;
    int axis = 0;
    if (!first || !qs_infer_int(in, "AxisTensor", "axis", 0, &wanted))
        return QS_OK;
    enum qs_err err = qs_infer_axis(in, wanted, first->n, &axis);
    if (!err)
        err = check_parts(in, first, axis);
    if (err)
        return err;
    for (int i = 0; i < qs_infer_n_in(in, "X"); i++)
        sum = qs_add_sat(sum, qs_infer_in(in, "X", i)->d[axis]);
    memcpy(d, first->d, sizeof(d));
    d[axis] = sum;
    err = qs_infer_set(in, "Out", 0, first->dtype, first->n, d);
    if (!err)
        join_values(in, "Out");
    return err;
}

static enum qs_err
stack_shape(struct qs_infer *in)
{
    const struct qs_shape *first = all_known(in, "X");
    int64_t d[QS_RANK_MOST + 1];
    int axis = 0;
    if (!first)
        return QS_OK;
    enum qs_err err = qs_infer_axis(in, qs_attr_int(in->node, "axis", 0), first->n + 1, &axis);
    if (!err)
        err = check_parts(in, first, -1);
    if (err)
        return err;
    for (int i = 0, k = 0; i <= first->n; i++)
        d[i] = i == axis ? qs_infer_n_in(in, "X") : first->d[k++];
    err = qs_infer_set(in, "Y", 0, first->dtype, first->n + 1, d);
    if (!err && first->n == 0)
        join_values(in, "Y");
    return err;
}

/* Cutting */

/* Sizes of the parts: `sections` with at most one -1, or `num` equal ones. */
static enum qs_err
split_sizes(const struct qs_infer *in, int64_t whole, const struct qs_ints *sections, int n,
            int64_t *size)
{
    const int64_t num = qs_attr_int(in->node, "num", 0);
    int64_t sum = 0;
    int infer = -1;
    if (sections->n == 0) {
        if (num < 1 || num != n || whole % num != 0)
            return qs_infer_fail(
                in, _("%" PRId64 " does not split into %" PRId64 " parts for %d outputs"), whole,
                num, n);
        for (int i = 0; i < n; i++)
            size[i] = whole / num;
        return QS_OK;
    }
    if (sections->n != n)
        return qs_infer_fail(in, _("%d sections for %d outputs"), sections->n, n);
    for (int i = 0; i < n; i++) {
        size[i] = sections->v[i];
        if (size[i] == -1 && infer < 0)
            infer = i;
        else if (size[i] < 0 || size[i] > whole)
            return qs_infer_fail(in, _("section %" PRId64 " is out of range"), size[i]);
        else
            sum += size[i];
    }
    if (infer >= 0)
        size[infer] = whole - sum;
    if (sum > whole || (infer < 0 && sum != whole))
        return qs_infer_fail(in, _("the sections sum to %" PRId64 ", the input has %" PRId64), sum,
                             whole);
    return QS_OK;
}

static void
split_values(struct qs_infer *in, const struct qs_shape *x, const int64_t *size, int n)
{
    int64_t at = 0;
    for (int i = 0; x->value && x->n == 1 && i < n; i++) {
        qs_infer_set_value(in, "Out", i, x->value + at);
        at += size[i];
    }
}

static enum qs_err
split_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    const int n = qs_infer_n_out(in, "Out");
    struct qs_ints sections;
    int64_t wanted, d[QS_RANK_MOST];
    int axis;
    if (!x || !qs_infer_int(in, "AxisTensor", "axis", 0, &wanted))
        return QS_OK;
    qs_infer_ints(in, "SectionsTensorList", NULL, "sections", &sections);
    if ((sections.present && !sections.known) || n == 0)
        return QS_OK;
    enum qs_err err = qs_infer_axis(in, wanted, x->n, &axis);
    if (err)
        return err;
    int64_t *size = qs_xmalloc((size_t)n * sizeof(*size));
    err = split_sizes(in, x->d[axis], &sections, n, size);
    memcpy(d, x->d, sizeof(d));
    for (int i = 0; i < n && !err; i++) {
        d[axis] = size[i];
        err = qs_infer_set(in, "Out", i, x->dtype, x->n, d);
    }
    if (!err)
        split_values(in, x, size, n);
    free(size);
    return err;
}

/* unstack (Y) and unbind (Out): every output loses the axis. */
static enum qs_err
unstack_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    const char *slot = strcmp(in->node->type, "unstack") == 0 ? "Y" : "Out";
    const int n = qs_infer_n_out(in, slot);
    int64_t d[QS_RANK_MOST];
    int axis;
    if (!x)
        return QS_OK;
    enum qs_err err = qs_infer_axis(in, qs_attr_int(in->node, "axis", 0), x->n, &axis);
    if (err)
        return err;
    if (x->d[axis] != n)
        return qs_infer_fail(in, _("axis %d has %" PRId64 " elements for %d outputs"), axis,
                             x->d[axis], n);
    for (int i = 0, k = 0; i < x->n; i++)
        if (i != axis)
            d[k++] = x->d[i];
    for (int i = 0; i < n && !err; i++) {
        err = qs_infer_set(in, slot, i, x->dtype, x->n - 1, d);
        if (!err && x->value && x->n == 1)
            qs_infer_set_value(in, slot, i, x->value + i);
    }
    return err;
}

/* Slices */

struct cut {
    struct qs_ints axes, starts, ends, strides;
    bool decrease[QS_RANK_MOST]; /* axes whose dim goes away */
    int64_t first[QS_RANK_MOST], step[QS_RANK_MOST], size[QS_RANK_MOST];
};

static int64_t
clamp(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

void
qs_cut_axis(int64_t size, int64_t start, int64_t end, int64_t stride, int64_t *first,
            int64_t *count)
{
    const int64_t step = clamp(stride, -QS_DIM_MOST, QS_DIM_MOST);
    /* the end -1 of a backward slice is "before the first", not the last element; a smaller one
     * is the first */
    const bool whole = end == -1 && step < 0;
    start = start < 0 ? start + size : start;
    end = end < 0 && !whole ? end + size : end;
    *first = clamp(start, 0, step > 0 ? size : size - 1);
    const int64_t last = whole ? -1 : clamp(end, 0, size);
    const int64_t span = step > 0 ? last - *first : *first - last;
    const int64_t width = step > 0 ? step : -step;
    *count = span > 0 && size > 0 ? (span + width - 1) / width : 0;
}

static enum qs_err
read_decrease(const struct qs_infer *in, const struct qs_shape *x, struct cut *c)
{
    int64_t axis[QS_RANK_MOST];
    const int n = qs_attr_ints(in->node, "decrease_axis", axis, QS_RANK_MOST);
    for (int i = 0; i < n; i++) {
        int at;
        const enum qs_err err = qs_infer_axis(in, axis[i], x->n, &at);
        if (err)
            return err;
        c->decrease[at] = true;
    }
    return QS_OK;
}

static void
read_cut(const struct qs_infer *in, bool strided, struct cut *c)
{
    qs_infer_ints(in, NULL, NULL, "axes", &c->axes);
    qs_infer_ints(in, "StartsTensorList", "StartsTensor", "starts", &c->starts);
    qs_infer_ints(in, "EndsTensorList", "EndsTensor", "ends", &c->ends);
    if (strided)
        qs_infer_ints(in, "StridesTensorList", "StridesTensor", "strides", &c->strides);
}

static bool
known_at(const struct qs_ints *v, int i)
{
    return i < v->n && v->known_at[i];
}

/* Sets *ready to false when a bound that matters is not known. */
static enum qs_err
cut_one(const struct qs_infer *in, const struct qs_shape *x, struct cut *c, int i, bool strided,
        bool *ready)
{
    int axis;
    const enum qs_err err = qs_infer_axis(in, c->axes.v[i], x->n, &axis);
    if (err)
        return err;
    const int64_t stride = strided && known_at(&c->strides, i) ? c->strides.v[i] : 1;
    if (stride == 0)
        return qs_infer_fail(in, _("stride 0 is out of range"));
    if (!known_at(&c->starts, i) || !known_at(&c->ends, i) ||
        (strided && !known_at(&c->strides, i))) {
        c->first[axis] = -1;
        c->size[axis] = 1;
        *ready = *ready && c->decrease[axis];
        return QS_OK;
    }
    qs_cut_axis(x->d[axis], c->starts.v[i], c->ends.v[i], stride, &c->first[axis], &c->size[axis]);
    c->step[axis] = stride;
    /* x[-1:0] with the axis dropped means the last element */
    if (c->decrease[axis] && c->starts.v[i] == -1 && c->ends.v[i] == 0 && x->d[axis] > 0) {
        c->first[axis] = x->d[axis] - 1;
        c->size[axis] = 1;
    }
    if (c->decrease[axis] && c->size[axis] != 1)
        return qs_infer_fail(in, _("axis %d is dropped but the slice has %" PRId64 " elements"),
                             axis, c->size[axis]);
    return QS_OK;
}

static void
slice_values(struct qs_infer *in, const struct qs_shape *x, const struct cut *c)
{
    int64_t v[QS_SHAPE_VALUES_MOST];
    if (!x->value || x->n != 1 || c->first[0] < 0)
        return;
    for (int64_t i = 0; i < c->size[0]; i++)
        v[i] = x->value[c->first[0] + i * c->step[0]];
    qs_infer_set_value(in, "Out", 0, v);
}

static enum qs_err
set_slice(struct qs_infer *in, const struct qs_shape *x, const struct cut *c)
{
    int64_t d[QS_RANK_MOST];
    int n = 0;
    for (int i = 0; i < x->n; i++)
        if (!c->decrease[i])
            d[n++] = c->size[i];
    const enum qs_err err = n == 0 && x->n > 0 ? qs_infer_set_scalar(in, "Out", 0, x->dtype)
                                               : qs_infer_set(in, "Out", 0, x->dtype, n, d);
    if (!err)
        slice_values(in, x, c);
    return err;
}

static enum qs_err
cut_shape(struct qs_infer *in, bool strided)
{
    const struct qs_shape *x = qs_infer_in(in, "Input", 0);
    struct cut c = {0};
    bool ready = true;
    if (!x)
        return QS_OK;
    read_cut(in, strided, &c);
    if (c.axes.n > x->n || (c.starts.known && c.starts.n != c.axes.n) ||
        (c.ends.known && c.ends.n != c.axes.n))
        return qs_infer_fail(in, _("%d axes, %d starts and %d ends do not fit %d dimensions"),
                             c.axes.n, c.starts.n, c.ends.n, x->n);
    for (int i = 0; i < x->n; i++) {
        c.size[i] = x->d[i];
        c.step[i] = 1;
    }
    enum qs_err err = read_decrease(in, x, &c);
    for (int i = 0; i < c.axes.n && !err; i++)
        err = cut_one(in, x, &c, i, strided, &ready);
    return err || !ready ? err : set_slice(in, x, &c);
}

static enum qs_err
slice_shape(struct qs_infer *in)
{
    return cut_shape(in, false);
}

static enum qs_err
strided_slice_shape(struct qs_infer *in)
{
    return cut_shape(in, true);
}

/* Input with some elements replaced. */
static enum qs_err
set_value_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "Input", 0);
    return x ? qs_infer_set_like(in, "Out", 0, x) : QS_OK;
}

/* Picking */

static void
gather_values(struct qs_infer *in, const struct qs_shape *x, const struct qs_shape *index)
{
    int64_t v[QS_SHAPE_VALUES_MOST];
    if (!x->value || x->n != 1 || !index->value)
        return;
    for (int64_t i = 0; i < qs_shape_count(index); i++) {
        if (index->value[i] < 0 || index->value[i] >= x->d[0])
            return;
        v[i] = x->value[index->value[i]];
    }
    qs_infer_set_value(in, "Out", 0, v);
}

static enum qs_err
gather_at(struct qs_infer *in, const struct qs_shape *x, const struct qs_shape *index,
          int64_t wanted)
{
    int64_t d[QS_RANK_MOST];
    int axis, n = 0;
    enum qs_err err = qs_infer_axis(in, wanted, x->n, &axis);
    if (err)
        return err;
    if (index->n > 2 || (index->n == 2 && index->d[1] != 1))
        return qs_infer_fail(in, _("the index has %d dimensions, not 1"), index->n);
    for (int i = 0; i < x->n; i++)
        if (i != axis || index->n > 0)
            d[n++] = i == axis ? index->d[0] : x->d[i];
    err = qs_infer_set(in, "Out", 0, x->dtype, n, d);
    if (!err)
        gather_values(in, x, index);
    return err;
}

static enum qs_err
gather_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0), *index = qs_infer_in(in, "Index", 0);
    int64_t axis;
    if (!x || !index || !qs_infer_int(in, "Axis", "axis", 0, &axis))
        return QS_OK;
    return gather_at(in, x, index, axis);
}

static enum qs_err
index_select_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0), *index = qs_infer_in(in, "Index", 0);
    return x && index ? gather_at(in, x, index, qs_attr_int(in->node, "dim", 0)) : QS_OK;
}

static enum qs_err
gather_nd_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0), *index = qs_infer_in(in, "Index", 0);
    int64_t d[2 * QS_RANK_MOST];
    int n = 0;
    if (!x || !index)
        return QS_OK;
    if (index->n < 1 || index->d[index->n - 1] > x->n)
        return qs_infer_fail(in, _("the index does not fit %d dimensions"), x->n);
    for (int i = 0; i + 1 < index->n; i++)
        d[n++] = index->d[i];
    for (int i = (int)index->d[index->n - 1]; i < x->n; i++)
        d[n++] = x->d[i];
    return qs_infer_set(in, "Out", 0, x->dtype, n, d);
}

static enum qs_err
take_along_axis_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "Input", 0), *index = qs_infer_in(in, "Index", 0);
    return x && index ? qs_infer_set(in, "Result", 0, x->dtype, index->n, index->d) : QS_OK;
}

static enum qs_err
index_sample_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0), *index = qs_infer_in(in, "Index", 0);
    return x && index ? qs_infer_set(in, "Out", 0, x->dtype, index->n, index->d) : QS_OK;
}

/* masked_select and where_index depend on the data. */

#define ROW(op, rule, run) \
    const struct qs_op qs_op_##op = {.name = #op, .shape = rule, .forward = run};
ROW(concat, concat_shape, qs_fwd_concat)
ROW(flip, qs_rule_same, qs_fwd_flip)
ROW(gather, gather_shape, qs_fwd_gather)
ROW(gather_nd, gather_nd_shape, qs_fwd_gather_nd)
ROW(index_sample, index_sample_shape, qs_fwd_index_sample)
ROW(index_select, index_select_shape, qs_fwd_index_select)
ROW(masked_select, NULL, qs_fwd_masked_select)
ROW(roll, qs_rule_same, qs_fwd_roll)
ROW(scatter, qs_rule_same, qs_fwd_scatter)
ROW(scatter_nd_add, qs_rule_same, qs_fwd_scatter_nd_add)
ROW(set_value, set_value_shape, qs_fwd_set_value)
ROW(slice, slice_shape, qs_fwd_slice)
ROW(split, split_shape, qs_fwd_split)
ROW(stack, stack_shape, qs_fwd_stack)
ROW(strided_slice, strided_slice_shape, qs_fwd_strided_slice)
ROW(take_along_axis, take_along_axis_shape, qs_fwd_take_along_axis)
ROW(tril_triu, qs_rule_same, qs_fwd_tril_triu)
ROW(unbind, unstack_shape, qs_fwd_unstack)
ROW(unstack, unstack_shape, qs_fwd_unstack)
ROW(where_index, NULL, qs_fwd_where_index)
#undef ROW
