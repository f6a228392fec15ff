/* SPDX-License-Identifier: Apache-2.0 */
/* Constants, shapes, ranges, grids and conversions. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "ops/data.h"

/* Sets all elements to `value`, cut for integers; a non-empty str_value ("inf", "3") wins. */
static enum qs_err
fill(struct qs_step *st, struct qs_value *y, double value)
{
    const char *s = qs_attr_str(st->node, "str_value", "");
    const enum qs_err err = qs_data_computable(st, y);
    if (!err)
        qs_data_fill_real(y, s && *s ? strtod(s, NULL) : value);
    return err;
}

enum qs_err
qs_fwd_fill_constant(struct qs_step *st)
{
    struct qs_value *y;
    enum qs_err err = qs_data_out(st, "Out", 0, &y);
    const struct qs_value *v = qs_step_in(st, "ValueTensor", 0);
    if (!err)
        err = qs_data_computable(st, y);
    if (err)
        return err;
    if (!v)
        return fill(st, y, qs_attr_float(st->node, "value", 0));
    if (v->count != 1)
        return qs_step_fail(st, _("the value is not one element"));
    if (qs_dtype_is_float(y->dtype))
        qs_data_fill_real(y, qs_value_real(v, 0));
    else
        qs_data_fill_int(y, qs_value_int(v, 0));
    return QS_OK;
}

enum qs_err
qs_fwd_fill_like(struct qs_step *st)
{
    struct qs_value *y;
    const enum qs_err err = qs_data_out(st, "Out", 0, &y);
    const bool zeros = strcmp(st->node->type, "fill_zeros_like") == 0;
    return err ? err : fill(st, y, zeros ? 0 : qs_attr_float(st->node, "value", 0));
}

enum qs_err
qs_fwd_assign_value(struct qs_step *st)
{
    struct qs_value *y;
    enum qs_err err = qs_data_out(st, "Out", 0, &y);
    if (!err)
        err = qs_data_computable(st, y);
    if (err)
        return err;
    return qs_data_values(st, y) == y->count ? QS_OK : qs_step_fail(st, _("there is no value"));
}

enum qs_err
qs_fwd_shape(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    const enum qs_err err = qs_data_pair(st, "Input", "Out", &x, &y);
    if (err)
        return err;
    if (y->count != x->n)
        return qs_step_fail(st, _("the shape does not fill the output"));
    qs_data_store_ints(y, 0, x->n, x->d);
    return QS_OK;
}

enum qs_err
qs_fwd_size(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    const enum qs_err err = qs_data_pair(st, "Input", "Out", &x, &y);
    if (!err)
        qs_data_fill_int(y, x->count);
    return err;
}

/* Ranges. Real ones are summed up in their own precision, as the kernel does. */

static enum qs_err
range_reals(struct qs_step *st, const struct qs_value *v[3])
{
    const double start = qs_value_real(v[0], 0), end = qs_value_real(v[1], 0);
    const double step = qs_value_real(v[2], 0);
    const bool single = v[0]->dtype == QS_DTYPE_float32;
    const double size = single ? (double)ceilf(fabsf(((float)end - (float)start) / (float)step))
                               : ceil(fabs((end - start) / step));
    if (!(step > 0 ? start <= end : start >= end) || step == 0 || !(size <= (double)QS_DIM_MOST))
        return qs_step_fail(st, _("the range %g to %g by %g can not be made"), start, end, step);
    const int64_t n = (int64_t)size;
    const enum qs_err err = qs_step_make(st, "Out", 0, v[0]->dtype, 1, &n);
    struct qs_value *y = qs_step_out(st, "Out", 0);
    if (err || !y)
        return err;
    double value = start;
    for (int64_t i = 0; i < n; i++) {
        qs_data_store_reals(y, i, 1, &value);
        value = single ? (double)((float)value + (float)step) : value + step;
    }
    return QS_OK;
}

static enum qs_err
range_ints(struct qs_step *st, const struct qs_value *v[3])
{
    const int64_t start = qs_value_int(v[0], 0), end = qs_value_int(v[1], 0);
    const int64_t step = qs_value_int(v[2], 0);
    int64_t n, first;
    if (step == 0 || (step > 0 ? start > end : start < end))
        return qs_step_fail(st, _("step 0 is out of range"));
    const uint64_t span =
        step > 0 ? (uint64_t)end - (uint64_t)start : (uint64_t)start - (uint64_t)end;
    const uint64_t width = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    const uint64_t size = span / width + (span % width != 0);
    if (size > (uint64_t)QS_DIM_MOST)
        return qs_step_fail(st, _("the result would be too large"));
    n = (int64_t)size;
    const enum qs_err err = qs_step_make(st, "Out", 0, v[0]->dtype, 1, &n);
    struct qs_value *y = qs_step_out(st, "Out", 0);
    for (int64_t i = 0; i < n && y && !err; i++) {
        first = (int64_t)((uint64_t)start + (uint64_t)i * (uint64_t)step);
        qs_data_store_ints(y, i, 1, &first);
    }
    return err;
}

enum qs_err
qs_fwd_arange(struct qs_step *st)
{
    static const char *const slot[3] = {"Start", "End", "Step"};
    const struct qs_value *v[3];
    enum qs_err err = QS_OK;
    for (int i = 0; i < 3 && !err; i++) {
        err = qs_data_in(st, slot[i], 0, &v[i]);
        if (!err && v[i]->count != 1)
            err = qs_step_fail(st, _("input %s is not one element"), slot[i]);
        if (!err)
            err = qs_data_computable(st, v[i]);
    }
    if (err)
        return err;
    return qs_dtype_is_float(v[0]->dtype) ? range_reals(st, v) : range_ints(st, v);
}

/* The first half counts from the start, the second back from the stop. */
enum qs_err
qs_fwd_linspace(struct qs_step *st)
{
    const struct qs_value *start, *stop;
    struct qs_value *y;
    enum qs_err err = qs_data_pair(st, "Start", "Out", &start, &y);
    if (!err)
        err = qs_data_in(st, "Stop", 0, &stop);
    if (!err)
        err = qs_data_computable(st, y);
    if (!err && (start->count < 1 || stop->count < 1))
        err = qs_step_fail(st, _("input %s is not one element"), "Start");
    if (err)
        return err;
    const double a = qs_value_real(start, 0), b = qs_value_real(stop, 0);
    const bool single = y->dtype == QS_DTYPE_float32;
    const double span = single ? (double)((float)b - (float)a) : b - a;
    const double step = y->count > 1 ? span / (double)(y->count - 1) : 0;
    for (int64_t i = 0; i < y->count; i++) {
        const double v = i < y->count / 2 || y->count == 1 ? a + step * (double)i
                                                           : b - step * (double)(y->count - i - 1);
        qs_data_store_reals(y, i, 1, &v);
    }
    return QS_OK;
}

enum qs_err
qs_fwd_eye(struct qs_step *st)
{
    struct qs_value *y;
    enum qs_err err = qs_data_out(st, "Out", 0, &y);
    if (!err)
        err = qs_data_computable(st, y);
    if (!err && y->n != 2)
        err = qs_step_fail(st, _("the input has %d dimensions, not 2"), y->n);
    if (err)
        return err;
    const int64_t one = 1;
    qs_data_fill_int(y, 0);
    for (int64_t i = 0; i < y->d[0] && i < y->d[1]; i++)
        qs_data_store_ints(y, i * y->d[1] + i, 1, &one);
    return QS_OK;
}

/* Output i varies along axis i only. */
enum qs_err
qs_fwd_meshgrid(struct qs_step *st)
{
    enum qs_err err = QS_OK;
    for (int i = 0; i < qs_step_n_in(st, "X") && !err; i++) {
        const struct qs_value *x;
        struct qs_value *y;
        err = qs_data_in(st, "X", i, &x);
        if (!err)
            err = qs_data_out(st, "Out", i, &y);
        if (!err)
            err = qs_data_same_type(st, x, y);
        if (!err && (i >= y->n || y->d[i] != x->count))
            err = qs_step_fail(st, _("the parts do not fit the whole"));
        if (err)
            return err;
        const struct qs_data_split s = qs_data_split_at(y, i);
        struct qs_walk_dims w = {0};
        qs_walk_add(&w, s.outer, s.n * s.inner, 0);
        qs_walk_add(&w, s.n, s.inner, 1);
        qs_walk_add(&w, s.inner, 1, 0);
        err = qs_walk_copy(st->cx, y->data, x->data, qs_dtype_bytes(x->dtype), &w);
    }
    return err;
}

/* An index outside 0 .. depth-1 is an error unless allowed; then its row is 0. */
enum qs_err
qs_fwd_one_hot(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    const bool any = qs_attr_int(st->node, "allow_out_of_range", 0) != 0;
    enum qs_err err = qs_data_pair(st, "X", "Out", &x, &y);
    if (!err)
        err = qs_data_computable(st, x);
    if (!err)
        err = qs_data_computable(st, y);
    if (err)
        return err;
    const int64_t one = 1, depth = y->n > 0 ? y->d[y->n - 1] : 1;
    if (y->count != qs_mul_sat(x->count, depth))
        return qs_step_fail(st, _("the index does not fill the output"));
    qs_data_fill_int(y, 0);
    for (int64_t i = 0; i < x->count; i++) {
        const int64_t at = qs_value_int(x, i);
        if (at >= 0 && at < depth)
            qs_data_store_ints(y, i * depth + at, 1, &one);
        else if (!any)
            return qs_step_fail(st, _("index %" PRId64 " is out of range for %" PRId64 " elements"),
                                at, depth);
    }
    return QS_OK;
}

/* Conversions, in runs of CHUNK elements */

enum { CHUNK = 512 };

enum qs_err
qs_fwd_cast(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    enum qs_err err = qs_data_pair(st, "X", "Out", &x, &y);
    if (!err && x->dtype == y->dtype)
        return qs_data_copy(st, x, y);
    if (!err)
        err = qs_data_computable(st, x);
    if (!err)
        err = qs_data_computable(st, y);
    if (!err)
        err = qs_data_expect(st, y, x->n, x->d);
    if (err)
        return err;
    for (int64_t i = 0; i < x->count; i += CHUNK) {
        const int64_t n = x->count - i < CHUNK ? x->count - i : CHUNK;
        double real[CHUNK];
        int64_t whole[CHUNK];
        if (qs_dtype_is_float(x->dtype)) {
            qs_data_load_reals(x, i, 1, n, real);
            qs_data_store_reals(y, i, n, real);
        } else {
            qs_data_load_ints(x, i, 1, n, whole);
            qs_data_store_ints(y, i, n, whole);
        }
    }
    return QS_OK;
}
