/* SPDX-License-Identifier: Apache-2.0 */
/* Comparisons, logic and bits with broadcasting; where, clip, pow. Elements are computed in runs,
 * as int64_t or double: both hold every value of the narrower types exactly. */
#include <inttypes.h>
#include <math.h>

#include "ops/data.h"

enum { CHUNK = 512 };

/* One run of n results; exactly one pair of operands is set. */
typedef void ints_fn(const int64_t *x, const int64_t *y, int64_t n, int64_t *out);
typedef void reals_fn(const double *x, const double *y, int64_t n, int64_t *out);

#define COMPARE(name, op)                                                                \
    static void name##_ints(const int64_t *x, const int64_t *y, int64_t n, int64_t *out) \
    {                                                                                    \
        for (int64_t i = 0; i < n; i++)                                                  \
            out[i] = (x[i])op(y[i]);                                                     \
    }                                                                                    \
    static void name##_reals(const double *x, const double *y, int64_t n, int64_t *out)  \
    {                                                                                    \
        for (int64_t i = 0; i < n; i++)                                                  \
            out[i] = (x[i])op(y[i]);                                                     \
    }
COMPARE(equal, ==)
COMPARE(not_equal, !=)
COMPARE(less_than, <)
COMPARE(less_equal, <=)
COMPARE(greater_than, >)
COMPARE(greater_equal, >=)
COMPARE(logical_and, &&)
COMPARE(logical_or, ||)
#undef COMPARE

static void
logical_xor_ints(const int64_t *x, const int64_t *y, int64_t n, int64_t *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (x[i] != 0) != (y[i] != 0);
}

static void
logical_xor_reals(const double *x, const double *y, int64_t n, int64_t *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (x[i] != 0) != (y[i] != 0);
}

#define BITS(name, op)                                                                   \
    static void name##_ints(const int64_t *x, const int64_t *y, int64_t n, int64_t *out) \
    {                                                                                    \
        for (int64_t i = 0; i < n; i++)                                                  \
            out[i] = (x[i])op(y[i]);                                                     \
    }
BITS(bitwise_and, &)
BITS(bitwise_or, |)
BITS(bitwise_xor, ^)
#undef BITS

static const struct binary {
    const char *type;
    ints_fn *ints;
    reals_fn *reals;
} binary[] = {
    {"bitwise_and", bitwise_and_ints, NULL},
    {"bitwise_or", bitwise_or_ints, NULL},
    {"bitwise_xor", bitwise_xor_ints, NULL},
    {"equal", equal_ints, equal_reals},
    {"greater_equal", greater_equal_ints, greater_equal_reals},
    {"greater_than", greater_than_ints, greater_than_reals},
    {"less_equal", less_equal_ints, less_equal_reals},
    {"less_than", less_than_ints, less_than_reals},
    {"logical_and", logical_and_ints, logical_and_reals},
    {"logical_or", logical_or_ints, logical_or_reals},
    {"logical_xor", logical_xor_ints, logical_xor_reals},
    {"not_equal", not_equal_ints, not_equal_reals},
};

static const struct binary *
find_binary(const char *type)
{
    for (size_t i = 0; i < QS_LEN(binary); i++)
        if (strcmp(binary[i].type, type) == 0)
            return &binary[i];
    return NULL;
}

/* Where the first dim of the smaller operand lies in the larger one. */
static int
place(const struct qs_value *big, struct qs_value *small, int64_t axis)
{
    if (axis == -1 || axis == big->n - small->n)
        return big->n - small->n;
    while (small->n > 0 && small->d[small->n - 1] == 1)
        small->n--;
    return (int)axis;
}

/* The walk over Out: `to` is the position in x, `from` the one in y. Fails unless all places it
 * reaches exist. */
static enum qs_err
broadcast_walk(const struct qs_step *st, const struct qs_value *x, const struct qs_value *y,
               const struct qs_value *out, int64_t axis, struct qs_walk_dims *w)
{
    struct qs_value a = *x, b = *y;
    int at_x = 0, at_y = 0;
    memset(w, 0, sizeof(*w));
    if (x->n >= y->n)
        at_y = place(x, &b, axis);
    else
        at_x = place(y, &a, axis);
    if (at_x < 0 || at_y < 0 || at_x + a.n > out->n || at_y + b.n > out->n)
        return qs_step_fail(st, _("axis %" PRId64 " does not fit %d and %d dimensions"), axis, x->n,
                            y->n);
    for (int i = 0; i < out->n; i++) {
        const int64_t dx = i >= at_x && i - at_x < a.n ? a.d[i - at_x] : 1;
        const int64_t dy = i >= at_y && i - at_y < b.n ? b.d[i - at_y] : 1;
        if ((dx != 1 && dx != out->d[i]) || (dy != 1 && dy != out->d[i]))
            return qs_step_fail(
                st, _("sizes %" PRId64 " and %" PRId64 " of dimension %d can not be broadcast"), dx,
                dy, i);
        w->d[i] = out->d[i];
    }
    w->n = out->n;
    qs_broadcast_strides(a.n, a.d, at_x, out->n, w->to);
    qs_broadcast_strides(b.n, b.d, at_y, out->n, w->from);
    return QS_OK;
}

/* n results from `at` of out on. */
static void
binary_run(const struct binary *op, const struct qs_value *x, const struct qs_value *y,
           const struct qs_walk_dims *w, const struct qs_walk_row *row, int64_t first, int64_t n,
           struct qs_value *out, int64_t at)
{
    const int last = w->n - 1;
    const int64_t px = row->to + first * w->to[last], py = row->from + first * w->from[last];
    int64_t a[CHUNK], b[CHUNK], r[CHUNK];
    double fa[CHUNK], fb[CHUNK];
    if (op->reals && (qs_dtype_is_float(x->dtype) || qs_dtype_is_float(y->dtype))) {
        qs_data_load_reals(x, px, w->to[last], n, fa);
        qs_data_load_reals(y, py, w->from[last], n, fb);
        op->reals(fa, fb, n, r);
    } else {
        qs_data_load_ints(x, px, w->to[last], n, a);
        qs_data_load_ints(y, py, w->from[last], n, b);
        op->ints(a, b, n, r);
    }
    qs_data_store_ints(out, at, n, r);
}

enum qs_err
qs_fwd_binary(struct qs_step *st)
{
    const struct qs_value *x, *y;
    struct qs_value *out;
    struct qs_walk_dims w;
    const struct binary *op = find_binary(st->node->type);
    enum qs_err err = qs_data_pair(st, "X", "Out", &x, &out);
    if (!err)
        err = qs_data_in(st, "Y", 0, &y);
    if (!err)
        err = qs_data_computable(st, x);
    if (!err)
        err = qs_data_computable(st, y);
    if (!err)
        err = qs_data_computable(st, out);
    if (!err)
        err = broadcast_walk(st, x, y, out, qs_attr_int(st->node, "axis", -1), &w);
    if (err || out->count == 0)
        return err;
    if (!op || (!op->reals && (qs_dtype_is_float(x->dtype) || qs_dtype_is_float(y->dtype))))
        return qs_step_fail(st, _("elements of %s can not be computed"), qs_dtype_name(x->dtype));
    qs_walk_simplify(&w);
    struct qs_walk_row row = {0};
    int64_t at = 0;
    do {
        const int64_t n = w.d[w.n - 1];
        for (int64_t i = 0; i < n; i += CHUNK)
            binary_run(op, x, y, &w, &row, i, n - i < CHUNK ? n - i : CHUNK, out, at + i);
        at += n;
    } while (qs_walk_next(&w, &row));
    return QS_OK;
}

/* Of one operand */

typedef void test_fn(const double *x, int64_t n, int64_t *out);

#define TEST(name, expression)                                 \
    static void name(const double *x, int64_t n, int64_t *out) \
    {                                                          \
        for (int64_t i = 0; i < n; i++)                        \
            out[i] = (expression);                             \
    }
TEST(test_not, x[i] == 0)
TEST(test_finite, isfinite(x[i]) != 0)
TEST(test_inf, isinf(x[i]) != 0)
TEST(test_nan, isnan(x[i]) != 0)
#undef TEST

static const struct test {
    const char *type;
    test_fn *fn;
} test[] = {
    {"isfinite_v2", test_finite},
    {"isinf_v2", test_inf},
    {"isnan_v2", test_nan},
    {"logical_not", test_not},
};

static enum qs_err
same_pair(const struct qs_step *st, const struct qs_value **x, struct qs_value **y)
{
    enum qs_err err = qs_data_pair(st, "X", "Out", x, y);
    if (!err)
        err = qs_data_computable(st, *x);
    if (!err)
        err = qs_data_computable(st, *y);
    return err ? err : qs_data_expect(st, *y, (*x)->n, (*x)->d);
}

enum qs_err
qs_fwd_test(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    test_fn *fn = NULL;
    const enum qs_err err = same_pair(st, &x, &y);
    for (size_t i = 0; i < QS_LEN(test); i++)
        if (strcmp(test[i].type, st->node->type) == 0)
            fn = test[i].fn;
    for (int64_t i = 0; !err && fn && i < x->count; i += CHUNK) {
        const int64_t n = x->count - i < CHUNK ? x->count - i : CHUNK;
        double v[CHUNK];
        int64_t r[CHUNK];
        qs_data_load_reals(x, i, 1, n, v);
        fn(v, n, r);
        qs_data_store_ints(y, i, n, r);
    }
    return err;
}

enum qs_err
qs_fwd_bitwise_not(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    enum qs_err err = same_pair(st, &x, &y);
    if (!err)
        err = qs_data_same_type(st, x, y);
    if (!err && qs_dtype_is_float(x->dtype))
        err = qs_step_fail(st, _("elements of %s can not be computed"), qs_dtype_name(x->dtype));
    for (int64_t i = 0; !err && i < x->count; i++) {
        const int64_t v = qs_value_int(x, i), r = x->dtype == QS_DTYPE_bool ? !v : ~v;
        qs_data_store_ints(y, i, 1, &r);
    }
    return err;
}

/* Element by element from X or Y, all three broadcast. */
enum qs_err
qs_fwd_where(struct qs_step *st)
{
    const struct qs_value *c, *x, *y;
    struct qs_value *out;
    struct qs_walk_dims w, wc;
    enum qs_err err = qs_data_pair(st, "X", "Out", &x, &out);
    if (!err)
        err = qs_data_in(st, "Y", 0, &y);
    if (!err)
        err = qs_data_in(st, "Condition", 0, &c);
    if (!err)
        err = qs_data_expect_type(st, c, QS_DTYPE_bool);
    if (!err)
        err = qs_data_same_type(st, x, out);
    if (!err)
        err = qs_data_same_type(st, y, out);
    if (!err)
        err = broadcast_walk(st, x, y, out, -1, &w);
    if (!err)
        err = broadcast_walk(st, out, c, out, -1, &wc);
    if (err || out->count == 0)
        return err;
    struct qs_walk_row row = {0}, rc = {0};
    const size_t width = (size_t)qs_dtype_bytes(x->dtype);
    if (w.n == 0) {
        qs_walk_add(&w, 1, 1, 1);
        qs_walk_add(&wc, 1, 1, 1);
    }
    do {
        const int last = w.n - 1;
        for (int64_t i = 0; i < w.d[last]; i++) {
            const bool first = c->u8[rc.from + i * wc.from[last]] != 0;
            const int64_t at = first ? row.to + i * w.to[last] : row.from + i * w.from[last];
            memcpy(out->u8 + (size_t)(rc.to + i) * width, (first ? x : y)->u8 + (size_t)at * width,
                   width);
        }
    } while (qs_walk_next(&w, &row) && qs_walk_next(&wc, &rc));
    return QS_OK;
}

static int64_t
whole(double v)
{
    return v >= 9223372036854775808.0   ? INT64_MAX
           : v > -9223372036854775808.0 ? (int64_t)v
                                        : INT64_MIN;
}

static void
clip_ints(const struct qs_value *x, struct qs_value *y, int64_t lo, int64_t hi)
{
    for (int64_t i = 0; i < x->count; i++) {
        int64_t v = qs_value_int(x, i);
        v = v < lo ? lo : v > hi ? hi : v;
        qs_data_store_ints(y, i, 1, &v);
    }
}

/* Bounds in the type of the elements; NaN stays. */
enum qs_err
qs_fwd_clip(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    enum qs_err err = same_pair(st, &x, &y);
    if (!err)
        err = qs_data_same_type(st, x, y);
    if (err)
        return err;
    const double lo = qs_data_real(st, "Min", "min", 0), hi = qs_data_real(st, "Max", "max", 0);
    if (!(lo <= hi))
        return qs_step_fail(st, _("the bounds %g and %g are not in order"), lo, hi);
    if (!qs_dtype_is_float(x->dtype)) {
        clip_ints(x, y, whole(lo), whole(hi));
        return QS_OK;
    }
    for (int64_t i = 0; i < x->count; i += CHUNK) {
        const int64_t n = x->count - i < CHUNK ? x->count - i : CHUNK;
        double v[CHUNK];
        qs_data_load_reals(x, i, 1, n, v);
        for (int64_t k = 0; k < n; k++)
            v[k] = v[k] < lo ? lo : v[k] > hi ? hi : v[k];
        qs_data_store_reals(y, i, n, v);
    }
    return QS_OK;
}

enum qs_err
qs_fwd_pow(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    const enum qs_err err = same_pair(st, &x, &y);
    const double factor = qs_data_real(st, "FactorTensor", "factor", 1);
    for (int64_t i = 0; !err && i < x->count; i += CHUNK) {
        const int64_t n = x->count - i < CHUNK ? x->count - i : CHUNK;
        double v[CHUNK];
        qs_data_load_reals(x, i, 1, n, v);
        for (int64_t k = 0; k < n; k++)
            v[k] = factor == 2 ? v[k] * v[k] : pow(v[k], factor);
        qs_data_store_reals(y, i, n, v);
    }
    return err;
}

/* One element plus a step, cut to an integer for integers. */
enum qs_err
qs_fwd_increment(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    const double step = qs_attr_float(st->node, "step", 1);
    enum qs_err err = same_pair(st, &x, &y);
    if (!err)
        err = qs_data_same_type(st, x, y);
    for (int64_t i = 0; !err && i < x->count; i++) {
        if (qs_dtype_is_float(x->dtype)) {
            const double v = qs_value_real(x, i) + step;
            qs_data_store_reals(y, i, 1, &v);
        } else {
            const int64_t by = whole(step);
            const int64_t v = (int64_t)((uint64_t)qs_value_int(x, i) + (uint64_t)by);
            qs_data_store_ints(y, i, 1, &v);
        }
    }
    return err;
}
