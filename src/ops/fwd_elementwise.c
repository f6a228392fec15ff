/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic of two tensors with broadcasting, and scale. Integers wrap around; division and
 * modulo round as Python's, a zero divisor is an error. */
#include <inttypes.h>
#include <math.h>

#include "ops/forward.h"

/* Element functions by type. Integers go through unsigned so that overflow is defined. */

#define FLOATS(T, s, powf_, fmodf_, floorf_)             \
    static T add_##s(T x, T y)                           \
    {                                                    \
        return x + y;                                    \
    }                                                    \
    static T sub_##s(T x, T y)                           \
    {                                                    \
        return x - y;                                    \
    }                                                    \
    static T mul_##s(T x, T y)                           \
    {                                                    \
        return x * y;                                    \
    }                                                    \
    static T div_##s(T x, T y)                           \
    {                                                    \
        return x / y;                                    \
    }                                                    \
    static T max_##s(T x, T y)                           \
    {                                                    \
        return x > y ? x : y;                            \
    }                                                    \
    static T min_##s(T x, T y)                           \
    {                                                    \
        return x < y ? x : y;                            \
    }                                                    \
    static T pow_##s(T x, T y)                           \
    {                                                    \
        return powf_(x, y);                              \
    }                                                    \
    static T floordiv_##s(T x, T y)                      \
    {                                                    \
        return floorf_(x / y);                           \
    }                                                    \
    static T mod_##s(T x, T y)                           \
    {                                                    \
        const T r = fmodf_(x, y);                        \
        return r != 0 && (y < 0) != (r < 0) ? r + y : r; \
    }
/* clang-format off */
FLOATS(float, f32, powf, fmodf, floorf)
FLOATS(double, f64, pow, fmod, floor)
#undef FLOATS

#define INTS(T, U, s)                                                                              \
    static T add_##s(T x, T y) { return (T)((U)x + (U)y); }                                        \
    static T sub_##s(T x, T y) { return (T)((U)x - (U)y); }                                        \
    static T mul_##s(T x, T y) { return (T)((U)x * (U)y); }                                        \
    static T div_##s(T x, T y) { return y == -1 ? (T)(0 - (U)x) : x / y; }                         \
    static T max_##s(T x, T y) { return x < y ? y : x; }                                           \
    static T min_##s(T x, T y) { return y < x ? y : x; }                                           \
    static T pow_##s(T x, T y) { return (T)(int64_t)fmin(fmax(rint(pow((double)x, (double)y)), -9.2e18), 9.2e18); } \
    static T floordiv_##s(T x, T y)                                                                \
    {                                                                                              \
        if (y == -1)                                                                               \
            return (T)(0 - (U)x);                                                                  \
        return x / y - (x % y != 0 && (x < 0) != (y < 0));                                         \
    }                                                                                              \
    static T mod_##s(T x, T y)                                                                     \
    {                                                                                              \
        const T r = y == -1 ? 0 : x % y;                                                           \
        return r != 0 && (y < 0) != (r < 0) ? r + y : r;                                           \
    }
INTS(int32_t, uint32_t, i32)
INTS(int64_t, uint64_t, i64)
#undef INTS
/* clang-format on */

/* Loops along the last dim; a step is 0 where one element is used for all. */
#define LOOP(name, T, s)                                                                        \
    static void loop_##name##_##s(const void *x, int64_t step_x, const void *y, int64_t step_y, \
                                  void *out, int64_t n)                                         \
    {                                                                                           \
        const T *restrict a = x, *restrict b = y;                                               \
        T *restrict r = out;                                                                    \
        if (step_x == 1 && step_y == 1)                                                         \
            for (int64_t i = 0; i < n; i++)                                                     \
                r[i] = name##_##s(a[i], b[i]);                                                  \
        else if (step_x == 1 && step_y == 0)                                                    \
            for (int64_t i = 0; i < n; i++)                                                     \
                r[i] = name##_##s(a[i], b[0]);                                                  \
        else                                                                                    \
            for (int64_t i = 0; i < n; i++)                                                     \
                r[i] = name##_##s(a[i * step_x], b[i * step_y]);                                \
    }
#define LOOPS(name)          \
    LOOP(name, float, f32)   \
    LOOP(name, double, f64)  \
    LOOP(name, int32_t, i32) \
    LOOP(name, int64_t, i64)
LOOPS(add)
LOOPS(sub)
LOOPS(mul)
LOOPS(div)
LOOPS(max)
LOOPS(min)
LOOPS(pow)
LOOPS(floordiv)
LOOPS(mod)
#undef LOOPS
#undef LOOP

typedef void loop_fn(const void *x, int64_t step_x, const void *y, int64_t step_y, void *out,
                     int64_t n);

static const struct binary {
    const char *name; /* after "elementwise_" */
    bool divides;
    loop_fn *f32, *f64, *i32, *i64;
} table[] = {
#define ROW(name, divides) \
    {#name, divides, loop_##name##_f32, loop_##name##_f64, loop_##name##_i32, loop_##name##_i64},
    ROW(add, false) ROW(sub, false) ROW(mul, false) ROW(div, true) ROW(max, false) ROW(min, false)
        ROW(pow, false) ROW(floordiv, true) ROW(mod, true)
#undef ROW
};

static const struct binary *
find_binary(const char *type)
{
    const char *name = strstr(type, "elementwise_");
    name = name ? name + strlen("elementwise_") : "";
    for (size_t i = 0; i < QS_LEN(table); i++) {
        const size_t n = strlen(table[i].name);
        if (strncmp(table[i].name, name, n) == 0 && (name[n] == '\0' || name[n] == '_'))
            return &table[i];
    }
    return NULL;
}

static loop_fn *
loop_of(const struct binary *b, int32_t dtype)
{
    switch (dtype) {
    case QS_DTYPE_float32:
        return b->f32;
    case QS_DTYPE_float64:
        return b->f64;
    case QS_DTYPE_int32:
        return b->i32;
    case QS_DTYPE_int64:
        return b->i64;
    }
    return NULL;
}

/* Broadcasting: both sides as strides over the dims of the result, neighbouring dims merged. */
struct broadcast {
    int n;
    int64_t d[QS_RANK_MOST + 1], x[QS_RANK_MOST + 1], y[QS_RANK_MOST + 1];
};

static void
set_strides(const struct qs_value *v, int at, int n_out, int64_t *stride)
{
    int64_t step = 1;
    for (int i = 0; i < n_out; i++)
        stride[i] = 0;
    for (int i = v->n - 1; i >= 0; i--) {
        if (at + i < n_out && v->d[i] != 1)
            stride[at + i] = step;
        step *= v->d[i];
    }
}

/* Where the dims of the smaller side start; see qs_broadcast. */
static int
start_of(const struct qs_value *big, const struct qs_value *small, int64_t axis)
{
    const int at = big->n - small->n;
    return axis == -1 || axis == at ? at : (int)axis;
}

static struct broadcast
broadcast_of(const struct qs_value *x, const struct qs_value *y, const struct qs_value *out,
             int64_t axis)
{
    struct broadcast b = {0}, all = {.n = out->n};
    const bool x_big = x->n >= y->n;
    set_strides(x, x_big ? 0 : start_of(y, x, axis), out->n, all.x);
    set_strides(y, x_big ? start_of(x, y, axis) : 0, out->n, all.y);
    b.d[0] = 1;
    for (int i = 0; i < out->n; i++) {
        if (out->d[i] == 1)
            continue;
        const int last = b.n - 1;
        if (b.n > 0 && b.x[last] == all.x[i] * out->d[i] && b.y[last] == all.y[i] * out->d[i]) {
            b.d[last] *= out->d[i];
            b.x[last] = all.x[i];
            b.y[last] = all.y[i];
            continue;
        }
        b.d[b.n] = out->d[i];
        b.x[b.n] = all.x[i];
        b.y[b.n++] = all.y[i];
    }
    if (b.n == 0)
        b.n = 1;
    return b;
}

struct binary_job {
    struct broadcast b;
    loop_fn *loop;
    const uint8_t *x, *y;
    uint8_t *out;
    int64_t size; /* bytes of an element */
};

static enum qs_err
binary_rows(struct qs_ctx *cx, void *arg, int64_t from, int64_t to)
{
    const struct binary_job *j = arg;
    const struct broadcast *b = &j->b;
    const int last = b->n - 1;
    (void)cx;
    for (int64_t r = from; r < to; r++) {
        int64_t x = 0, y = 0, rest = r;
        for (int i = last - 1; i >= 0; i--) {
            x += rest % b->d[i] * b->x[i];
            y += rest % b->d[i] * b->y[i];
            rest /= b->d[i];
        }
        j->loop(j->x + x * j->size, b->x[last], j->y + y * j->size, b->y[last],
                j->out + r * b->d[last] * j->size, b->d[last]);
    }
    return QS_OK;
}

/* One long row is cut into several. */
static void
cut_row(struct broadcast *b)
{
    enum { PIECE = 4096 };
    const int last = b->n - 1;
    int64_t by = PIECE;
    if (b->d[last] < 4 * PIECE || b->n > QS_RANK_MOST)
        return;
    while (by > 1 && b->d[last] % by != 0)
        by /= 2;
    if (by < 64)
        return;
    b->d[b->n] = by;
    b->x[b->n] = b->x[last];
    b->y[b->n] = b->y[last];
    b->d[last] /= by;
    b->x[last] *= by;
    b->y[last] *= by;
    b->n++;
}

static bool
has_zero(const struct qs_value *v)
{
    for (int64_t i = 0; i < v->count; i++)
        if (qs_value_int(v, i) == 0)
            return true;
    return false;
}

static enum qs_err
apply(struct qs_step *st, const struct binary *op, const struct qs_value *x,
      const struct qs_value *y, struct qs_value *out)
{
    struct binary_job j = {.loop = loop_of(op, x->dtype), .x = x->data, .y = y->data};
    if (!j.loop)
        return qs_fwd_bad_type(st, x->dtype);
    if (out->dtype != x->dtype)
        return qs_fwd_bad_type(st, out->dtype);
    if (out->count == 0)
        return QS_OK;
    if (op->divides && !qs_dtype_is_float(y->dtype) && has_zero(y))
        return qs_step_fail(st, _("an integer is divided by zero"));
    j.b = broadcast_of(x, y, out, qs_attr_int(st->node, "axis", -1));
    cut_row(&j.b);
    j.out = (uint8_t *)out->data;
    j.size = qs_dtype_bytes(x->dtype);
    const int64_t row = j.b.d[j.b.n - 1];
    return qs_fwd_range(st, out->count / row, 2 * row, binary_rows, &j);
}

/* Y in the type of X. */
static enum qs_err
convert(struct qs_step *st, const struct qs_value *y, int32_t dtype, struct qs_value *as)
{
    const int bytes = qs_dtype_bytes(dtype);
    *as = *y;
    as->dtype = dtype;
    as->data = qs_arena_alloc(st->scratch, (size_t)y->count * (size_t)bytes + 1);
    for (int64_t i = 0; i < y->count; i++)
        switch (dtype) {
        case QS_DTYPE_float32:
            as->f32[i] = (float)qs_value_real(y, i);
            break;
        case QS_DTYPE_float64:
            as->f64[i] = qs_value_real(y, i);
            break;
        case QS_DTYPE_int32:
            as->i32[i] = (int32_t)qs_value_int(y, i);
            break;
        case QS_DTYPE_int64:
            as->i64[i] = qs_value_int(y, i);
            break;
        default:
            return qs_fwd_bad_type(st, dtype);
        }
    return QS_OK;
}

enum qs_err
qs_fwd_elementwise(struct qs_step *st)
{
    const struct binary *op = find_binary(st->node->type);
    const struct qs_value *x, *y;
    struct qs_value *out, as;
    enum qs_err err = qs_fwd_need(st, "X", -1, &x);
    if (!err)
        err = qs_fwd_need(st, "Y", -1, &y);
    if (!err)
        err = qs_fwd_out(st, "Out", &out);
    if (err || !op)
        return err;
    if (x->dtype != y->dtype) {
        err = convert(st, y, x->dtype, &as);
        y = &as;
    }
    return err ? err : apply(st, op, x, y, out);
}

/* scale */

struct scale {
    const struct qs_value *x;
    struct qs_value *y;
    double scale, bias;
    bool after;
};

#define SCALE(T, U, m)                                                  \
    {                                                                   \
        const U a = (U)(T)s->scale, b = (U)(T)s->bias;                  \
        const T *restrict x = s->x->m;                                  \
        T *restrict y = s->y->m;                                        \
        for (int64_t i = from; i < to; i++)                             \
            y[i] = (T)(s->after ? (U)x[i] * a + b : ((U)x[i] + b) * a); \
        return QS_OK;                                                   \
    }

static enum qs_err
scale_range(struct qs_ctx *cx, void *arg, int64_t from, int64_t to)
{
    const struct scale *s = arg;
    (void)cx;
    switch (s->x->dtype) {
    case QS_DTYPE_float32:
        SCALE(float, float, f32)
    case QS_DTYPE_float64:
        SCALE(double, double, f64)
    case QS_DTYPE_int32:
        SCALE(int32_t, uint32_t, i32)
    case QS_DTYPE_int64:
        SCALE(int64_t, uint64_t, i64)
    case QS_DTYPE_int16:
        SCALE(int16_t, uint32_t, i16)
    case QS_DTYPE_int8:
        SCALE(int8_t, uint32_t, i8)
    case QS_DTYPE_uint8:
        SCALE(uint8_t, uint32_t, u8)
    }
    return QS_OK;
}
#undef SCALE

/* Keeps what becomes an integer within what the conversion is defined for. */
static double
limited(double v, int bytes)
{
    const double most = ldexp(1, 8 * bytes - 1 < 53 ? 8 * bytes - 1 : 53) - 1;
    return isnan(v) ? 0 : v > most ? most : v < -most ? -most : v;
}

enum qs_err
qs_fwd_scale(struct qs_step *st)
{
    struct scale s = {.after = qs_attr_int(st->node, "bias_after_scale", 1) != 0};
    const struct qs_value *tensor = qs_step_in(st, "ScaleTensor", 0);
    enum qs_err err = qs_fwd_need(st, "X", -1, &s.x);
    if (!err)
        err = qs_fwd_out(st, "Out", &s.y);
    if (err)
        return err;
    const int32_t dtype = s.x->dtype;
    const bool is_float = dtype == QS_DTYPE_float32 || dtype == QS_DTYPE_float64;
    const bool is_int = !qs_dtype_is_float(dtype) && dtype != QS_DTYPE_bool;
    if (s.y->dtype != dtype || (!is_float && !is_int) || qs_dtype_bytes(dtype) > 8 ||
        dtype == QS_DTYPE_complex64)
        return qs_fwd_bad_type(st, dtype);
    s.scale = tensor && tensor->count > 0 ? qs_value_real(tensor, 0)
                                          : qs_attr_float(st->node, "scale", 1);
    s.bias = qs_attr_float(st->node, "bias", 0);
    if (is_int) {
        s.scale = limited(s.scale, qs_dtype_bytes(dtype));
        s.bias = limited(s.bias, qs_dtype_bytes(dtype));
    }
    return qs_fwd_range(st, s.x->count, 2, scale_range, &s);
}
