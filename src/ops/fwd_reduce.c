/* SPDX-License-Identifier: Apache-2.0 */
/* Reductions, one output element at a time; sums and products of floats in double. */
#include <math.h>

#include "ops/forward.h"

/* Dims of the input split in kept and reduced ones, neighbours merged; strides in elements. */
struct walk {
    int n;
    int64_t d[QS_RANK_MOST], stride[QS_RANK_MOST];
};

struct reduce {
    const struct qs_value *x;
    struct qs_value *y;
    struct walk keep, drop;
    int64_t each; /* elements that go into one */
    double (*real)(const struct reduce *r, int64_t at);
    int64_t (*integer)(const struct reduce *r, int64_t at);
    double power, epsilon; /* p_norm */
};

static void
walk_add(struct walk *w, int64_t d, int64_t stride)
{
    if (d == 1)
        return;
    const int last = w->n - 1;
    if (w->n > 0 && w->stride[last] == d * stride) {
        w->d[last] *= d;
        w->stride[last] = stride;
        return;
    }
    w->d[w->n] = d;
    w->stride[w->n++] = stride;
}

static int64_t
walk_at(const struct walk *w, int64_t i)
{
    int64_t at = 0;
    for (int k = w->n - 1; k >= 0; k--) {
        at += i % w->d[k] * w->stride[k];
        i /= w->d[k];
    }
    return at;
}

/* Runs `step` for every element that goes into one output. */
#define EACH(r, at, step)                                          \
    do {                                                           \
        const struct walk *w = &(r)->drop;                         \
        const int64_t run = w->n ? w->d[w->n - 1] : 1;             \
        const int64_t gap = w->n ? w->stride[w->n - 1] : 0;        \
        for (int64_t outer = 0; outer < (r)->each; outer += run) { \
            const int64_t base = (at) + walk_at(w, outer);         \
            for (int64_t inner = 0; inner < run; inner++) {        \
                const int64_t i = base + inner * gap;              \
                step;                                              \
            }                                                      \
        }                                                          \
    } while (0)

#define REAL(name, start, step, end)                                  \
    static double real_##name(const struct reduce *r, int64_t at)     \
    {                                                                 \
        double acc = start;                                           \
        if (r->x->dtype == QS_DTYPE_float32)                          \
            EACH(r, at, const double v = (double)r->x->f32[i]; step); \
        else                                                          \
            EACH(r, at, const double v = r->x->f64[i]; step);         \
        return end;                                                   \
    }
REAL(sum, 0, acc += v, acc)
REAL(mean, 0, acc += v, acc / (double)r->each)
REAL(max, -INFINITY, acc = v > acc || isnan(v) ? v : acc, acc)
REAL(min, INFINITY, acc = v < acc || isnan(v) ? v : acc, acc)
REAL(prod, 1, acc *= v, acc)
REAL(norm2, 0, acc += v * v, sqrt(acc))
REAL(norm1, 0, acc += fabs(v), acc)
REAL(norm0, 0, acc += v != 0, acc)
REAL(norm_most, 0, acc = fabs(v) > acc || isnan(v) ? fabs(v) : acc, acc)
REAL(norm_least, INFINITY, acc = fabs(v) < acc || isnan(v) ? fabs(v) : acc, acc)
REAL(norm_p, 0, acc += pow(fabs(v), r->power), pow(acc, 1 / r->power))
#undef REAL

#define INTEGER(name, start, step, end)                             \
    static int64_t int_##name(const struct reduce *r, int64_t at)   \
    {                                                               \
        uint64_t acc = start;                                       \
        EACH(r, at, const int64_t v = qs_value_int(r->x, i); step); \
        return (int64_t)(end);                                      \
    }
INTEGER(sum, 0, acc += (uint64_t)v, acc)
INTEGER(mean, 0, acc += (uint64_t)v, (int64_t)acc / r->each)
INTEGER(max, (uint64_t)INT64_MIN, acc = (uint64_t)(v > (int64_t)acc ? v : (int64_t)acc), acc)
INTEGER(min, INT64_MAX, acc = (uint64_t)(v < (int64_t)acc ? v : (int64_t)acc), acc)
INTEGER(prod, 1, acc *= (uint64_t)v, acc)
INTEGER(all, 1, acc &= v != 0, acc)
INTEGER(any, 0, acc |= v != 0, acc)
#undef INTEGER

static const struct kind {
    const char *type;
    double (*real)(const struct reduce *r, int64_t at);
    int64_t (*integer)(const struct reduce *r, int64_t at);
} kinds[] = {
    {"frobenius_norm", real_norm2, NULL}, {"mean", real_mean, NULL},
    {"reduce_all", NULL, int_all},        {"reduce_any", NULL, int_any},
    {"reduce_max", real_max, int_max},    {"reduce_mean", real_mean, int_mean},
    {"reduce_min", real_min, int_min},    {"reduce_prod", real_prod, int_prod},
    {"reduce_sum", real_sum, int_sum},
};

static void
store(const struct qs_value *y, int64_t i, int64_t v)
{
    switch (y->dtype) {
    case QS_DTYPE_int64:
        y->i64[i] = v;
        break;
    case QS_DTYPE_int32:
        y->i32[i] = (int32_t)(uint32_t)(uint64_t)v;
        break;
    case QS_DTYPE_bool:
        y->u8[i] = v != 0;
        break;
    }
}

static enum qs_err
reduce_range(struct qs_ctx *cx, void *arg, int64_t from, int64_t to)
{
    const struct reduce *r = arg;
    (void)cx;
    for (int64_t i = from; i < to; i++) {
        const int64_t at = walk_at(&r->keep, i);
        if (r->y->dtype == QS_DTYPE_float32)
            r->y->f32[i] = (float)r->real(r, at);
        else if (r->y->dtype == QS_DTYPE_float64)
            r->y->f64[i] = r->real(r, at);
        else
            store(r->y, i, r->integer(r, at));
    }
    return QS_OK;
}

static enum qs_err
run_reduce(struct qs_step *st, struct reduce *r, const bool *drop)
{
    const int32_t to = r->y->dtype, from = r->x->dtype;
    const bool real = from == QS_DTYPE_float32 || from == QS_DTYPE_float64;
    const bool integer = from == QS_DTYPE_int32 || from == QS_DTYPE_int64 || from == QS_DTYPE_bool;
    int64_t stride = 1;
    if (real ? !r->real || (to != QS_DTYPE_float32 && to != QS_DTYPE_float64)
             : !r->integer || !integer ||
                   (to != QS_DTYPE_int32 && to != QS_DTYPE_int64 && to != QS_DTYPE_bool))
        return qs_fwd_bad_type(st, real ? to : from);
    int64_t strides[QS_RANK_MOST];
    for (int i = r->x->n - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= r->x->d[i];
    }
    r->each = 1;
    for (int i = 0; i < r->x->n; i++) {
        walk_add(drop[i] ? &r->drop : &r->keep, r->x->d[i], strides[i]);
        r->each *= drop[i] ? r->x->d[i] : 1;
    }
    const int64_t n = r->y->count;
    if (r->each > 0 && n * r->each != r->x->count)
        return qs_step_fail(st, _("the shape of the result does not fit"));
    return qs_fwd_range(st, n, 2 * r->each + 8, reduce_range, r);
}

static enum qs_err
read_reduce(struct qs_step *st, struct reduce *r)
{
    const enum qs_err err = qs_fwd_need(st, "X", -1, &r->x);
    return err ? err : qs_fwd_out(st, "Out", &r->y);
}

/* The axes of attribute `dim`; all when there are none. */
static enum qs_err
read_axes(struct qs_step *st, const struct qs_value *x, bool *drop)
{
    int64_t dim[QS_RANK_MOST] = {0};
    int n = qs_attr_ints(st->node, "dim", dim, QS_RANK_MOST);
    if (!qs_node_attr(st->node, "dim"))
        n = 1;
    const bool all = n <= 0 || qs_attr_int(st->node, "reduce_all", 0) != 0 || x->n == 0;
    for (int i = 0; i < x->n; i++)
        drop[i] = all;
    for (int i = 0; i < n && !all; i++) {
        int axis;
        const enum qs_err err = qs_fwd_axis(st, dim[i], x->n, &axis);
        if (err)
            return err;
        drop[axis] = true;
    }
    return QS_OK;
}

static void
set_kind(struct reduce *r, const char *type)
{
    for (size_t i = 0; i < QS_LEN(kinds); i++)
        if (strcmp(kinds[i].type, type) == 0) {
            r->real = kinds[i].real;
            r->integer = kinds[i].integer;
        }
}

enum qs_err
qs_fwd_reduce(struct qs_step *st)
{
    struct reduce r = {0};
    bool drop[QS_RANK_MOST];
    set_kind(&r, st->node->type);
    enum qs_err err = read_reduce(st, &r);
    if (!err)
        err = read_axes(st, r.x, drop);
    return err ? err : run_reduce(st, &r, drop);
}

enum qs_err
qs_fwd_mean(struct qs_step *st)
{
    struct reduce r = {.real = real_mean};
    bool drop[QS_RANK_MOST];
    const enum qs_err err = read_reduce(st, &r);
    for (int i = 0; i < QS_RANK_MOST; i++)
        drop[i] = true;
    return err ? err : run_reduce(st, &r, drop);
}

enum qs_err
qs_fwd_p_norm(struct qs_step *st)
{
    struct reduce r = {.power = qs_attr_float(st->node, "porder", 2)};
    const bool all = qs_attr_int(st->node, "asvector", 0) != 0;
    bool drop[QS_RANK_MOST];
    int axis = 0;
    enum qs_err err = read_reduce(st, &r);
    if (!err && r.x->n > 0 && !all)
        err = qs_fwd_axis(st, qs_attr_int(st->node, "axis", -1), r.x->n, &axis);
    if (err)
        return err;
    for (int i = 0; i < r.x->n; i++)
        drop[i] = all || i == axis;
    r.real = r.power == 2                    ? real_norm2
             : r.power == 1                  ? real_norm1
             : r.power == 0                  ? real_norm0
             : isinf(r.power) && r.power > 0 ? real_norm_most
             : isinf(r.power)                ? real_norm_least
                                             : real_norm_p;
    return run_reduce(st, &r, drop);
}
