/* SPDX-License-Identifier: Apache-2.0 */
/* Order and running sums along an axis. Equal elements keep their order; NaN counts as the
 * largest. */
#include <math.h>
#include <stdlib.h>

#include "base/parallel.h"
#include "ops/data.h"

/* arg_max and arg_min: the first of equal elements; int32 or int64. */

static bool
beats(double v, double best, bool min)
{
    return min ? v < best : v > best;
}

static int64_t
best_of(const struct qs_value *x, int64_t at, int64_t step, int64_t n, bool min)
{
    int64_t best = 0;
    const bool reals = qs_dtype_is_float(x->dtype);
    for (int64_t i = 1; i < n; i++) {
        const int64_t a = at + i * step, b = at + best * step;
        const bool better = reals ? beats(qs_value_real(x, a), qs_value_real(x, b), min)
                                  : (min ? qs_value_int(x, a) < qs_value_int(x, b)
                                         : qs_value_int(x, a) > qs_value_int(x, b));
        if (better)
            best = i;
    }
    return best;
}

/* The axis of the attribute, or all of x as one row (`flatten`). */
static enum qs_err
split_attr(const struct qs_step *st, const struct qs_value *x, bool flatten, int64_t def,
           struct qs_data_split *s)
{
    int axis = 0;
    *s = (struct qs_data_split){1, x->count, 1};
    if (flatten || x->n == 0)
        return QS_OK;
    const enum qs_err err = qs_fwd_axis(st, qs_attr_int(st->node, "axis", def), x->n, &axis);
    if (!err)
        *s = qs_data_split_at(x, axis);
    return err;
}

enum qs_err
qs_fwd_arg(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    struct qs_data_split s;
    const bool min = strcmp(st->node->type, "arg_min") == 0;
    enum qs_err err = qs_data_pair(st, "X", "Out", &x, &y);
    if (!err)
        err = qs_data_computable(st, x);
    if (!err)
        err = split_attr(st, x, qs_attr_int(st->node, "flatten", 0) != 0, -1, &s);
    if (err)
        return err;
    if (y->count != s.outer * s.inner || s.n < 1)
        return qs_step_fail(st, _("the axis does not fill the output"));
    for (int64_t i = 0; i < y->count; i++) {
        const int64_t at = i / s.inner * s.n * s.inner + i % s.inner;
        const int64_t best = best_of(x, at, s.inner, s.n, min);
        qs_data_store_ints(y, i, 1, &best);
    }
    return QS_OK;
}

/* Sorting: rows of (value, index) pairs */

struct item {
    double v;
    int64_t whole; /* of integers, which a double may not tell apart */
    int64_t at;
};

/* Smaller first. */
static int
compare_up(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    const bool x_nan = isnan(x->v), y_nan = isnan(y->v);
    if (x_nan != y_nan)
        return x_nan ? 1 : -1;
    if (x->v != y->v && !x_nan)
        return x->v < y->v ? -1 : 1;
    if (x->whole != y->whole)
        return x->whole < y->whole ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static int
compare_down(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    const struct item p = {x->v, x->whole, y->at}, q = {y->v, y->whole, x->at};
    return compare_up(&q, &p);
}

/* Puts the k first of item[n] (in that order) at its start: a heap of k, whose root is the last of
 * them, takes in whatever comes before its root. */
static void
sift(struct item *item, int64_t k, int64_t i, int (*compare)(const void *, const void *))
{
    for (int64_t child; (child = 2 * i + 1) < k; i = child) {
        if (child + 1 < k && compare(&item[child], &item[child + 1]) < 0)
            child++;
        if (compare(&item[i], &item[child]) >= 0)
            return;
        const struct item swap = item[i];
        item[i] = item[child];
        item[child] = swap;
    }
}

static void
select_first(struct item *item, int64_t n, int64_t k, int (*compare)(const void *, const void *))
{
    for (int64_t i = k / 2; i-- > 0;)
        sift(item, k, i, compare);
    for (int64_t i = k; i < n && k > 0; i++)
        if (compare(&item[i], &item[0]) < 0) {
            item[0] = item[i];
            sift(item, k, 0, compare);
        }
    qsort(item, (size_t)k, sizeof(*item), compare);
}

struct sorting {
    const struct qs_value *x;
    struct qs_value *out, *indices; /* NULL where the node does not want them */
    struct qs_data_split s;
    int64_t k; /* elements kept along the axis */
    bool descending;
};

static enum qs_err
sort_row(struct qs_ctx *cx, void *arg, int64_t r)
{
    const struct sorting *s = arg;
    const int64_t n = s->s.n, inner = s->s.inner;
    const int64_t from = r / inner * n * inner + r % inner;
    const int64_t to = r / inner * s->k * inner + r % inner;
    const size_t width = (size_t)qs_dtype_bytes(s->x->dtype);
    const bool reals = qs_dtype_is_float(s->x->dtype);
    struct item *item = qs_xmalloc((size_t)n * sizeof(*item));
    (void)cx;
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = from + i * inner;
        item[i] = (struct item){qs_value_real(s->x, at), reals ? 0 : qs_value_int(s->x, at), i};
    }
    select_first(item, n, s->k, s->descending ? compare_down : compare_up);
    for (int64_t i = 0; i < s->k; i++) {
        const int64_t at = to + i * inner;
        if (s->out)
            memcpy(s->out->u8 + (size_t)at * width,
                   s->x->u8 + (size_t)(from + item[i].at * inner) * width, width);
        if (s->indices)
            qs_data_store_ints(s->indices, at, 1, &item[i].at);
    }
    free(item);
    return QS_OK;
}

static enum qs_err
sort(struct qs_step *st, int64_t axis_def, bool fixed_axis, bool descending, bool keep_all)
{
    struct sorting s = {.descending = descending};
    int axis = 0;
    enum qs_err err = qs_data_in(st, "X", 0, &s.x);
    if (!err)
        err = qs_data_computable(st, s.x);
    if (err)
        return err;
    s.out = qs_step_out(st, "Out", 0);
    s.indices = qs_step_out(st, "Indices", 0);
    const struct qs_value *y = s.out ? s.out : s.indices;
    if (!y)
        return qs_step_fail(st, _("the shape of output %s is not known"), "Out");
    const int64_t wanted = fixed_axis ? axis_def : qs_attr_int(st->node, "axis", axis_def);
    if (s.x->n > 0)
        err = qs_fwd_axis(st, wanted, s.x->n, &axis);
    int64_t d[QS_RANK_MOST];
    memcpy(d, s.x->d, sizeof(d));
    if (s.x->n > 0 && y->n == s.x->n && !keep_all && y->d[axis] <= d[axis])
        d[axis] = y->d[axis];
    s.k = s.x->n > 0 ? d[axis] : 1;
    s.s = s.x->n > 0 ? qs_data_split_at(s.x, axis) : (struct qs_data_split){1, 1, 1};
    if (!err && s.out)
        err = qs_data_expect(st, s.out, s.x->n, d);
    if (!err && s.out)
        err = qs_data_same_type(st, s.x, s.out);
    if (!err && s.indices)
        err = qs_data_expect(st, s.indices, s.x->n, d);
    if (err || s.x->count == 0)
        return err;
    return qs_parallel_for(st->cx, s.s.outer * s.s.inner, sort_row, &s);
}

enum qs_err
qs_fwd_argsort(struct qs_step *st)
{
    return sort(st, -1, false, qs_attr_int(st->node, "descending", 0) != 0, true);
}

enum qs_err
qs_fwd_top_k(struct qs_step *st)
{
    const bool v2 = strcmp(st->node->type, "top_k_v2") == 0;
    const bool largest = !v2 || qs_attr_int(st->node, "largest", 1) != 0;
    return sort(st, -1, !v2, largest, false);
}

/* Running sums: `exclusive` leaves the element itself out, `reverse` runs from the end. */
static void
cumsum_row(const struct qs_value *x, struct qs_value *y, int64_t at, int64_t step, int64_t n,
           bool exclusive)
{
    double sum = 0;
    float sum32 = 0;
    uint64_t whole = 0;
    for (int64_t i = 0; i < n; i++, at += step) {
        if (x->dtype == QS_DTYPE_float32) {
            const float v = x->f32[at];
            y->f32[at] = exclusive ? sum32 : sum32 + v;
            sum32 += v;
        } else if (x->dtype == QS_DTYPE_float64) {
            const double v = x->f64[at];
            y->f64[at] = exclusive ? sum : sum + v;
            sum += v;
        } else {
            const uint64_t v = (uint64_t)qs_value_int(x, at);
            const int64_t r = (int64_t)(exclusive ? whole : whole + v);
            qs_data_store_ints(y, at, 1, &r);
            whole += v;
        }
    }
}

enum qs_err
qs_fwd_cumsum(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    struct qs_data_split s;
    const bool exclusive = qs_attr_int(st->node, "exclusive", 0) != 0;
    const bool reverse = qs_attr_int(st->node, "reverse", 0) != 0;
    enum qs_err err = qs_data_pair(st, "X", "Out", &x, &y);
    if (!err)
        err = qs_data_computable(st, x);
    if (!err)
        err = qs_data_same_type(st, x, y);
    if (!err)
        err = split_attr(st, x, qs_attr_int(st->node, "flatten", 0) != 0, -1, &s);
    if (!err && x->count != y->count)
        err = qs_step_fail(st, _("the axis does not fill the output"));
    if (err || x->count == 0)
        return err;
    if (x->count == 1) /* stays as it is, even an exclusive sum */
        return qs_data_copy(st, x, y);
    for (int64_t r = 0; r < s.outer * s.inner; r++) {
        const int64_t at = r / s.inner * s.n * s.inner + r % s.inner;
        const int64_t last = at + (s.n - 1) * s.inner;
        cumsum_row(x, y, reverse ? last : at, reverse ? -s.inner : s.inner, s.n, exclusive);
    }
    return QS_OK;
}
