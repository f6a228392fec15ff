/* SPDX-License-Identifier: Apache-2.0 */
/* Picking and placing by index. Indices come from data: one out of range is an error. */
#include <inttypes.h>

#include "ops/data.h"

static enum qs_err
check_index(const struct qs_step *st, int64_t at, int64_t size)
{
    if (at < 0 || at >= size)
        return qs_step_fail(st, _("index %" PRId64 " is out of range for %" PRId64 " elements"), at,
                            size);
    return QS_OK;
}

static enum qs_err
check_index_type(const struct qs_step *st, const struct qs_value *index)
{
    if (index->dtype != QS_DTYPE_int32 && index->dtype != QS_DTYPE_int64)
        return qs_step_fail(st, _("the index is not of integers"));
    return QS_OK;
}

/* Reads X (or another name), Index and the output of the same type. */
static enum qs_err
read_picked(const struct qs_step *st, const char *in, const char *out, const struct qs_value **x,
            const struct qs_value **index, struct qs_value **y)
{
    enum qs_err err = qs_data_pair(st, in, out, x, y);
    if (!err)
        err = qs_data_same_type(st, *x, *y);
    if (!err)
        err = qs_data_in(st, "Index", 0, index);
    return err ? err : check_index_type(st, *index);
}

/* Whole slices along an axis. Negative indices count from the end where `wrap`. */
static enum qs_err
gather_at(struct qs_step *st, int64_t wanted, bool wrap)
{
    const struct qs_value *x, *index;
    struct qs_value *y;
    int axis = 0;
    enum qs_err err = read_picked(st, "X", "Out", &x, &index, &y);
    if (!err)
        err = qs_fwd_axis(st, wanted, x->n, &axis);
    if (err)
        return err;
    const struct qs_data_split s = qs_data_split_at(x, axis);
    const size_t run = (size_t)s.inner * (size_t)qs_dtype_bytes(x->dtype);
    if (y->count != qs_mul_sat(s.outer * s.inner, index->count))
        return qs_step_fail(st, _("the index does not fill the output"));
    for (int64_t i = 0; i < index->count && !err; i++) {
        const int64_t v = qs_value_int(index, i), at = wrap && v < 0 ? v + s.n : v;
        err = check_index(st, at, s.n);
        for (int64_t o = 0; run > 0 && o < s.outer && !err; o++)
            memcpy(y->u8 + (size_t)(o * index->count + i) * run,
                   x->u8 + (size_t)(o * s.n + at) * run, run);
    }
    return err;
}

enum qs_err
qs_fwd_gather(struct qs_step *st)
{
    return gather_at(st, qs_data_int(st, "Axis", "axis", 0), false);
}

enum qs_err
qs_fwd_index_select(struct qs_step *st)
{
    return gather_at(st, qs_attr_int(st->node, "dim", 0), true);
}

/* Position in x that row i of an index of `k` coordinates names. */
static enum qs_err
nd_position(const struct qs_step *st, const struct qs_value *x, const struct qs_value *index,
            int64_t i, int k, int64_t *out)
{
    *out = 0;
    for (int a = 0; a < k; a++) {
        const int64_t v = qs_value_int(index, i * k + a), at = v < 0 ? v + x->d[a] : v;
        const enum qs_err err = check_index(st, at, x->d[a]);
        if (err)
            return err;
        *out = *out * x->d[a] + at;
    }
    return QS_OK;
}

/* Coordinates in an index, and elements that each of them stands for. */
static enum qs_err
nd_sizes(const struct qs_step *st, const struct qs_value *x, const struct qs_value *index, int *k,
         int64_t *rows, int64_t *run)
{
    if (index->n < 1 || index->d[index->n - 1] > x->n)
        return qs_step_fail(st, _("the index does not fit %d dimensions"), x->n);
    *k = (int)index->d[index->n - 1];
    *rows = *run = 1;
    for (int i = 0; i + 1 < index->n; i++)
        *rows *= index->d[i];
    for (int i = *k; i < x->n; i++)
        *run *= x->d[i];
    if (*run == 0)
        *rows = 0;
    return QS_OK;
}

enum qs_err
qs_fwd_gather_nd(struct qs_step *st)
{
    const struct qs_value *x, *index;
    struct qs_value *y;
    int64_t rows, run, at;
    int k;
    enum qs_err err = read_picked(st, "X", "Out", &x, &index, &y);
    if (!err)
        err = nd_sizes(st, x, index, &k, &rows, &run);
    if (err)
        return err;
    const size_t bytes = (size_t)run * (size_t)qs_dtype_bytes(x->dtype);
    if (y->count != qs_mul_sat(rows, run))
        return qs_step_fail(st, _("the index does not fill the output"));
    for (int64_t i = 0; i < rows && !err; i++) {
        err = nd_position(st, x, index, i, k, &at);
        if (!err)
            memcpy(y->u8 + (size_t)i * bytes, x->u8 + (size_t)at * bytes, bytes);
    }
    return err;
}

/* The index has the rank of the input and its sizes but along the axis. */
static enum qs_err
take(struct qs_step *st, const struct qs_value *x, const struct qs_value *index, struct qs_value *y,
     int axis)
{
    enum qs_err err = qs_data_expect(st, y, index->n, index->d);
    if (!err && index->n != x->n)
        err = qs_step_fail(st, _("the index has %d dimensions, not %d"), index->n, x->n);
    for (int i = 0; i < x->n && !err; i++)
        if (i != axis && index->d[i] != x->d[i])
            err = qs_step_fail(st, _("the index does not fit dimension %d"), i);
    if (err)
        return err;
    const struct qs_data_split s = qs_data_split_at(x, axis), t = qs_data_split_at(index, axis);
    const size_t width = (size_t)qs_dtype_bytes(x->dtype);
    for (int64_t i = 0; i < index->count && !err; i++) {
        const int64_t v = qs_value_int(index, i), at = v < 0 ? v + s.n : v;
        const int64_t outer = i / (t.n * t.inner), inner = i % t.inner;
        err = check_index(st, at, s.n);
        if (!err)
            memcpy(y->u8 + (size_t)i * width,
                   x->u8 + (size_t)((outer * s.n + at) * s.inner + inner) * width, width);
    }
    return err;
}

enum qs_err
qs_fwd_take_along_axis(struct qs_step *st)
{
    const struct qs_value *x, *index;
    struct qs_value *y;
    int axis = 0;
    enum qs_err err = read_picked(st, "Input", "Result", &x, &index, &y);
    if (!err)
        err = qs_fwd_axis(st, qs_attr_int(st->node, "Axis", 0), x->n, &axis);
    return err ? err : take(st, x, index, y, axis);
}

enum qs_err
qs_fwd_index_sample(struct qs_step *st)
{
    const struct qs_value *x, *index;
    struct qs_value *y;
    enum qs_err err = read_picked(st, "X", "Out", &x, &index, &y);
    if (!err && x->n != 2)
        err = qs_step_fail(st, _("the input has %d dimensions, not 2"), x->n);
    return err ? err : take(st, x, index, y, 1);
}

/* to[0..n) += from[0..n) */
static void
add_run(struct qs_value *y, int64_t to, const struct qs_value *x, int64_t from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (y->dtype == QS_DTYPE_float32) {
            y->f32[to + i] += x->f32[from + i];
        } else if (y->dtype == QS_DTYPE_float64) {
            y->f64[to + i] += x->f64[from + i];
        } else {
            int64_t a, b;
            qs_data_load_ints(y, to + i, 1, 1, &a);
            qs_data_load_ints(x, from + i, 1, 1, &b);
            a = (int64_t)((uint64_t)a + (uint64_t)b);
            qs_data_store_ints(y, to + i, 1, &a);
        }
    }
}

/* Rows of Updates replace those that Ids name; without `overwrite` they are summed up. */
static enum qs_err
scatter_rows(struct qs_step *st, const struct qs_value *ids, const struct qs_value *up,
             struct qs_value *y, bool overwrite)
{
    const struct qs_data_split s = qs_data_split_at(y, 0);
    const int64_t run = s.inner;
    const size_t width = (size_t)qs_dtype_bytes(y->dtype), bytes = (size_t)run * width;
    enum qs_err err = QS_OK;
    for (int64_t i = 0; i < ids->count && !err; i++) {
        err = check_index(st, qs_value_int(ids, i), s.n);
        if (!err && overwrite)
            memcpy(y->u8 + (size_t)qs_value_int(ids, i) * bytes, up->u8 + (size_t)i * bytes, bytes);
        else if (!err)
            memset(y->u8 + (size_t)qs_value_int(ids, i) * bytes, 0, bytes);
    }
    for (int64_t i = 0; i < ids->count && !err && !overwrite; i++)
        add_run(y, qs_value_int(ids, i) * run, up, i * run, run);
    return err;
}

enum qs_err
qs_fwd_scatter(struct qs_step *st)
{
    const struct qs_value *x, *ids, *up;
    struct qs_value *y;
    enum qs_err err = qs_data_pair(st, "X", "Out", &x, &y);
    if (!err)
        err = qs_data_in(st, "Ids", 0, &ids);
    if (!err)
        err = qs_data_in(st, "Updates", 0, &up);
    if (!err)
        err = check_index_type(st, ids);
    if (!err)
        err = qs_data_same_type(st, up, x);
    if (!err)
        err = qs_data_expect(st, y, x->n, x->d);
    if (!err)
        err = qs_data_computable(st, x);
    if (!err && x->n < 1)
        err = qs_step_fail(st, _("the input is a scalar"));
    if (!err)
        err = qs_data_copy(st, x, y);
    if (err)
        return err;
    if (up->count != qs_mul_sat(ids->count, qs_data_split_at(x, 0).inner))
        return qs_step_fail(st, _("the index does not fit the updates"));
    return scatter_rows(st, ids, up, y, qs_attr_int(st->node, "overwrite", 1) != 0);
}

enum qs_err
qs_fwd_scatter_nd_add(struct qs_step *st)
{
    const struct qs_value *x, *index, *up;
    struct qs_value *y;
    int64_t rows, run, at;
    int k;
    enum qs_err err = read_picked(st, "X", "Out", &x, &index, &y);
    if (!err)
        err = qs_data_in(st, "Updates", 0, &up);
    if (!err)
        err = qs_data_same_type(st, up, x);
    if (!err)
        err = qs_data_computable(st, x);
    if (!err)
        err = qs_data_expect(st, y, x->n, x->d);
    if (!err)
        err = qs_data_copy(st, x, y);
    if (!err)
        err = nd_sizes(st, x, index, &k, &rows, &run);
    if (!err && up->count != qs_mul_sat(rows, run))
        err = qs_step_fail(st, _("the index does not fit the updates"));
    for (int64_t i = 0; !err && i < rows; i++) {
        err = nd_position(st, x, index, i, k, &at);
        if (!err)
            add_run(y, at * run, up, i * run, run);
    }
    return err;
}

/* What depends on the data */

/* Truth of element i. */
static bool
is_true(const struct qs_value *v, int64_t i)
{
    return qs_value_real(v, i) != 0;
}

static int64_t
count_true(const struct qs_value *v)
{
    int64_t n = 0;
    for (int64_t i = 0; i < v->count; i++)
        n += is_true(v, i);
    return n;
}

/* Coordinates of the elements that are not 0: [n, rank]. */
enum qs_err
qs_fwd_where_index(struct qs_step *st)
{
    const struct qs_value *x;
    enum qs_err err = qs_data_in(st, "Condition", 0, &x);
    if (!err)
        err = qs_data_computable(st, x);
    if (err)
        return err;
    const int64_t d[2] = {count_true(x), x->n};
    err = qs_step_make(st, "Out", 0, QS_DTYPE_int64, 2, d);
    struct qs_value *y = qs_step_out(st, "Out", 0);
    if (err || !y)
        return err;
    int64_t *to = y->i64;
    for (int64_t i = 0; i < x->count; i++) {
        if (!is_true(x, i))
            continue;
        int64_t rest = i;
        for (int a = x->n - 1; a >= 0; a--) {
            to[a] = rest % x->d[a];
            rest /= x->d[a];
        }
        to += x->n;
    }
    return QS_OK;
}

enum qs_err
qs_fwd_masked_select(struct qs_step *st)
{
    const struct qs_value *x, *mask;
    enum qs_err err = qs_data_in(st, "X", 0, &x);
    if (!err)
        err = qs_data_in(st, "Mask", 0, &mask);
    if (!err)
        err = qs_data_expect_type(st, mask, QS_DTYPE_bool);
    if (!err)
        err = qs_data_expect(st, mask, x->n, x->d);
    if (err)
        return err;
    const int64_t n = count_true(mask);
    err = qs_step_make(st, "Y", 0, x->dtype, 1, &n);
    struct qs_value *y = qs_step_out(st, "Y", 0);
    const size_t width = (size_t)qs_dtype_bytes(x->dtype);
    uint8_t *to = y && !err ? y->u8 : NULL;
    for (int64_t i = 0; i < x->count && to; i++)
        if (mask->u8[i]) {
            memcpy(to, x->u8 + (size_t)i * width, width);
            to += width;
        }
    return err;
}

/* One of several tensors. */
enum qs_err
qs_fwd_select_input(struct qs_step *st)
{
    const struct qs_value *x;
    const int64_t i = qs_data_int(st, "Mask", NULL, 0);
    if (i < 0 || i >= qs_step_n_in(st, "X"))
        return qs_step_fail(st, _("there is no input %" PRId64), i);
    enum qs_err err = qs_data_in(st, "X", (int)i, &x);
    if (!err)
        err = qs_step_make(st, "Out", 0, x->dtype, x->n, x->d);
    struct qs_value *y = qs_step_out(st, "Out", 0);
    return err || !y ? err : qs_data_copy(st, x, y);
}
