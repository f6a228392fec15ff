/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of single elements (activation.inc), those with a tensor beside (prelu),
 * softmax, and copies. A comparison with NaN is false, so NaN passes through. */
#include <inttypes.h>
#include <math.h>
#include <tgmath.h>

#include "ops/forward.h"

/* Loops over an array, one per function and type. */
#define ROW(name, attr_a, def_a, attr_b, def_b, expr)                                        \
    static void act_##name##_f32(const float *restrict in, float *restrict out, int64_t n,   \
                                 const double *p)                                            \
    {                                                                                        \
        typedef float T;                                                                     \
        const T a = (T)p[0], b = (T)p[1];                                                    \
        (void)a, (void)b;                                                                    \
        for (int64_t i = 0; i < n; i++) {                                                    \
            const T x = in[i];                                                               \
            out[i] = expr;                                                                   \
        }                                                                                    \
    }                                                                                        \
    static void act_##name##_f64(const double *restrict in, double *restrict out, int64_t n, \
                                 const double *p)                                            \
    {                                                                                        \
        typedef double T;                                                                    \
        const T a = (T)p[0], b = (T)p[1];                                                    \
        (void)a, (void)b;                                                                    \
        for (int64_t i = 0; i < n; i++) {                                                    \
            const T x = in[i];                                                               \
            out[i] = expr;                                                                   \
        }                                                                                    \
    }
#include "ops/activation.inc"
#undef ROW

struct act {
    const char *name;
    void (*f32)(const float *x, float *y, int64_t n, const double *p);
    void (*f64)(const double *x, double *y, int64_t n, const double *p);
    const char *attr[2];
    double def[2];
};

static const struct act table[] = {
#define ROW(name, attr_a, def_a, attr_b, def_b, expr) \
    {#name, act_##name##_f32, act_##name##_f64, {attr_a, attr_b}, {def_a, def_b}},
#include "ops/activation.inc"
#undef ROW
};

struct act_job {
    const struct act *act;
    double p[2];
    const struct qs_value *x;
    struct qs_value *y;
};

static enum qs_err
act_range(struct qs_ctx *cx, void *arg, int64_t from, int64_t to)
{
    const struct act_job *j = arg;
    (void)cx;
    if (j->x->dtype == QS_DTYPE_float32)
        j->act->f32(j->x->f32 + from, j->y->f32 + from, to - from, j->p);
    else
        j->act->f64(j->x->f64 + from, j->y->f64 + from, to - from, j->p);
    return QS_OK;
}

static const struct act *
find_act(const char *type)
{
    for (size_t i = 0; i < QS_LEN(table); i++)
        if (strcmp(table[i].name, type) == 0)
            return &table[i];
    return NULL;
}

/* X and Out of the same type and size. */
static enum qs_err
read_pair(struct qs_step *st, const struct qs_value **x, struct qs_value **y)
{
    enum qs_err err = qs_fwd_need(st, qs_step_in(st, "Input", 0) ? "Input" : "X", -1, x);
    if (!err)
        err = qs_fwd_out(st, "Out", y);
    if (!err && ((*x)->dtype != (*y)->dtype || (*x)->count != (*y)->count))
        err = qs_fwd_bad_type(st, (*y)->dtype);
    return err;
}

/* The functions that integers have. */
static enum qs_err
act_ints(struct qs_step *st, const struct qs_value *x, struct qs_value *y)
{
    const bool square = strcmp(st->node->type, "square") == 0;
    const bool sign = strcmp(st->node->type, "sign") == 0;
    const bool relu = strcmp(st->node->type, "relu") == 0;
    const bool known = square || sign || relu || strcmp(st->node->type, "abs") == 0;
    if (!known || (x->dtype != QS_DTYPE_int32 && x->dtype != QS_DTYPE_int64))
        return qs_fwd_bad_type(st, x->dtype);
    for (int64_t i = 0; i < x->count; i++) {
        const int64_t v = qs_value_int(x, i);
        const uint64_t u = (uint64_t)v;
        const uint64_t r = square   ? u * u
                           : sign   ? (uint64_t)((v > 0) - (v < 0))
                           : v >= 0 ? u
                           : relu   ? 0
                                    : 0 - u;
        if (y->dtype == QS_DTYPE_int32)
            y->i32[i] = (int32_t)(uint32_t)r;
        else
            y->i64[i] = (int64_t)r;
    }
    return QS_OK;
}

enum qs_err
qs_fwd_activation(struct qs_step *st)
{
    struct act_job j = {.act = find_act(st->node->type)};
    enum qs_err err = read_pair(st, &j.x, &j.y);
    if (err)
        return err;
    if (!qs_dtype_is_float(j.x->dtype))
        return act_ints(st, j.x, j.y);
    if (j.x->dtype != QS_DTYPE_float32 && j.x->dtype != QS_DTYPE_float64)
        return qs_fwd_bad_type(st, j.x->dtype);
    for (int i = 0; i < 2; i++)
        j.p[i] = *j.act->attr[i] ? qs_attr_float(st->node, j.act->attr[i], j.act->def[i]) : 0;
    return qs_fwd_range(st, j.x->count, 8, act_range, &j);
}

/* hard_swish has three attributes. */

struct hard_swish {
    const float *x;
    float *y, threshold, scale, offset;
};

static enum qs_err
hard_swish_range(struct qs_ctx *cx, void *arg, int64_t from, int64_t to)
{
    const struct hard_swish *h = arg;
    (void)cx;
    for (int64_t i = from; i < to; i++) {
        const float v = h->x[i] + h->offset;
        const float gate = v < 0 ? 0 : v > h->threshold ? h->threshold : v;
        h->y[i] = h->x[i] * gate / h->scale;
    }
    return QS_OK;
}

enum qs_err
qs_fwd_hard_swish(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    const enum qs_err err = read_pair(st, &x, &y);
    if (err)
        return err;
    if (x->dtype != QS_DTYPE_float32)
        return qs_fwd_bad_type(st, x->dtype);
    struct hard_swish h = {x->f32, y->f32, (float)qs_attr_float(st->node, "threshold", 6),
                           (float)qs_attr_float(st->node, "scale", 6),
                           (float)qs_attr_float(st->node, "offset", 3)};
    return qs_fwd_range(st, x->count, 2, hard_swish_range, &h);
}

/* prelu: a slope for all, per channel, or per element of an image. */
enum qs_err
qs_fwd_prelu(struct qs_step *st)
{
    const struct qs_infer attrs = qs_fwd_attrs(st);
    const bool channel = qs_infer_str_is(&attrs, "mode", "all", "channel");
    const bool last = qs_infer_str_is(&attrs, "data_format", "NCHW", "NHWC");
    const struct qs_value *x, *alpha;
    struct qs_value *y;
    enum qs_err err = qs_fwd_need(st, "Alpha", QS_DTYPE_float32, &alpha);
    if (!err)
        err = read_pair(st, &x, &y);
    if (err)
        return err;
    if (x->dtype != QS_DTYPE_float32)
        return qs_fwd_bad_type(st, x->dtype);
    const int axis = last || x->n < 2 ? x->n - 1 : 1;
    const int64_t inner = channel && axis >= 0 ? qs_fwd_product(x->d, axis + 1, x->n) : 1;
    const int64_t want = !channel || axis < 0 ? alpha->count : x->d[axis];
    if (alpha->count < 1 || alpha->count != want)
        return qs_step_fail(st, _("'%s' has %" PRId64 " elements, not %" PRId64), "Alpha",
                            alpha->count, want);
    for (int64_t i = 0; i < x->count; i++)
        y->f32[i] = x->f32[i] < 0 ? x->f32[i] * alpha->f32[i / inner % alpha->count] : x->f32[i];
    return QS_OK;
}

/* Softmax */

struct softmax {
    const float *x;
    float *y;
    int64_t n, inner; /* of the axis, after it */
    bool log;
};

static void
softmax_row(const struct softmax *s, const float *x, float *y)
{
    float most = -INFINITY;
    double sum = 0;
    for (int64_t i = 0; i < s->n; i++)
        most = x[i * s->inner] > most ? x[i * s->inner] : most;
    for (int64_t i = 0; i < s->n; i++) {
        const float e = expf(x[i * s->inner] - most);
        y[i * s->inner] = e;
        sum += (double)e;
    }
    const float by = s->log ? logf((float)sum) : (float)(1 / sum);
    for (int64_t i = 0; i < s->n; i++)
        y[i * s->inner] = s->log ? x[i * s->inner] - most - by : y[i * s->inner] * by;
}

static enum qs_err
softmax_rows(struct qs_ctx *cx, void *arg, int64_t from, int64_t to)
{
    const struct softmax *s = arg;
    (void)cx;
    for (int64_t r = from; r < to; r++) {
        const int64_t at = r / s->inner * s->n * s->inner + r % s->inner;
        softmax_row(s, s->x + at, s->y + at);
    }
    return QS_OK;
}

static enum qs_err
run_softmax(struct qs_step *st, bool log_of)
{
    const struct qs_value *x;
    struct qs_value *y;
    int axis = 0;
    enum qs_err err = read_pair(st, &x, &y);
    if (!err && x->dtype != QS_DTYPE_float32)
        err = qs_fwd_bad_type(st, x->dtype);
    if (!err && x->n > 0)
        err = qs_fwd_axis(st, qs_attr_int(st->node, "axis", -1), x->n, &axis);
    if (err || x->count == 0)
        return err;
    struct softmax s = {.x = x->f32, .y = y->f32, .n = x->n ? x->d[axis] : 1, .log = log_of};
    s.inner = x->n ? qs_fwd_product(x->d, axis + 1, x->n) : 1;
    return qs_fwd_range(st, x->count / s.n, 12 * s.n, softmax_rows, &s);
}

enum qs_err
qs_fwd_softmax(struct qs_step *st)
{
    return run_softmax(st, false);
}

enum qs_err
qs_fwd_log_softmax(struct qs_step *st)
{
    return run_softmax(st, true);
}

/* Copies */

enum qs_err
qs_fwd_copy(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    const enum qs_err err = read_pair(st, &x, &y);
    if (!err)
        memcpy(y->data, x->data, (size_t)x->count * (size_t)qs_dtype_bytes(x->dtype));
    return err;
}

enum qs_err
qs_fwd_dropout(struct qs_step *st)
{
    const struct qs_infer attrs = qs_fwd_attrs(st);
    const bool scaled = !qs_infer_str_is(&attrs, "dropout_implementation", "downgrade_in_infer",
                                         "upscale_in_train");
    const float keep = 1 - (float)qs_attr_float(st->node, "dropout_prob", 0.5);
    const enum qs_err err = qs_fwd_copy(st);
    const struct qs_value *y = qs_step_out(st, "Out", 0);
    if (err || !scaled || !y)
        return err;
    if (y->dtype != QS_DTYPE_float32)
        return qs_fwd_bad_type(st, y->dtype);
    for (int64_t i = 0; i < y->count; i++)
        y->f32[i] *= keep;
    return QS_OK;
}
