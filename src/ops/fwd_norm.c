/* SPDX-License-Identifier: Apache-2.0 */
/* Normalisations. Sums are in double; factors and shifts in float32 as in Paddle. */
#include <math.h>

#include "ops/forward.h"

/* A tensor as [outer][channels][inner]. */
struct norm {
    int64_t outer, channels, inner;
    const float *x, *scale, *bias; /* scale and bias may be NULL */
    float *y;
    float *mul, *add; /* [channels] batch norm */
    float epsilon;
    int64_t group; /* group norm: channels of a group */
    bool last;     /* channels are the last dim */
};

static bool
channels_last(const struct qs_step *st)
{
    const struct qs_infer attrs = qs_fwd_attrs(st);
    return qs_infer_str_is(&attrs, "data_layout", "NCHW", "NHWC");
}

static enum qs_err
read_norm(struct qs_step *st, struct norm *p)
{
    const struct qs_value *x;
    struct qs_value *y;
    enum qs_err err = qs_fwd_need(st, "X", QS_DTYPE_float32, &x);
    if (!err)
        err = qs_fwd_out(st, "Y", &y);
    if (err)
        return err;
    p->last = channels_last(st);
    const int axis = p->last || x->n == 1 ? x->n - 1 : 1;
    *p = (struct norm){.last = p->last,
                       .outer = qs_fwd_product(x->d, 0, axis),
                       .channels = x->d[axis],
                       .inner = qs_fwd_product(x->d, axis + 1, x->n),
                       .x = x->f32,
                       .y = y->f32,
                       .epsilon = (float)qs_attr_float(st->node, "epsilon", 1e-5)};
    err = qs_fwd_optional(st, "Scale", p->channels, &p->scale);
    return err ? err : qs_fwd_optional(st, "Bias", p->channels, &p->bias);
}

/* Batch norm */

static enum qs_err
scale_rows(struct qs_ctx *cx, void *arg, int64_t from, int64_t to)
{
    const struct norm *p = arg;
    (void)cx;
    for (int64_t r = from; r < to; r++) {
        const float mul = p->mul[r % p->channels], add = p->add[r % p->channels];
        const float *restrict x = p->x + r * p->inner;
        float *restrict y = p->y + r * p->inner;
        for (int64_t i = 0; i < p->inner; i++)
            y[i] = x[i] * mul + add;
    }
    return QS_OK;
}

/* inner = 1 */
static enum qs_err
scale_pixels(struct qs_ctx *cx, void *arg, int64_t from, int64_t to)
{
    const struct norm *p = arg;
    (void)cx;
    for (int64_t r = from; r < to; r++) {
        const float *restrict x = p->x + r * p->channels;
        float *restrict y = p->y + r * p->channels;
        for (int64_t i = 0; i < p->channels; i++)
            y[i] = x[i] * p->mul[i] + p->add[i];
    }
    return QS_OK;
}

struct moments {
    double mean, var;
};

/* Of `runs` runs of n elements that lie `apart`, elements `step` apart. */
static struct moments
moments_of(const float *x, int64_t runs, int64_t apart, int64_t n, int64_t step)
{
    struct moments m = {0};
    const double count = (double)runs * (double)n;
    for (int64_t r = 0; r < runs; r++)
        for (int64_t i = 0; i < n; i++)
            m.mean += (double)x[r * apart + i * step];
    m.mean /= count;
    for (int64_t r = 0; r < runs; r++)
        for (int64_t i = 0; i < n; i++) {
            const double d = (double)x[r * apart + i * step] - m.mean;
            m.var += d * d;
        }
    m.var /= count;
    return m;
}

static void
set_factors(struct norm *p, const float *mean, const float *var)
{
    for (int64_t c = 0; c < p->channels; c++) {
        const struct moments m =
            mean ? (struct moments){0}
                 : moments_of(p->x + c * p->inner, p->outer, p->channels * p->inner, p->inner, 1);
        const float at = mean ? mean[c] : (float)m.mean, spread = mean ? var[c] : (float)m.var;
        const float inverse = 1 / sqrtf(spread + p->epsilon);
        p->mul[c] = p->scale ? inverse * p->scale[c] : inverse;
        p->add[c] = (p->bias ? p->bias[c] : 0) - at * p->mul[c];
    }
}

static bool
uses_batch_statistics(const struct qs_node *node)
{
    return !qs_attr_int(node, "use_global_stats", 0) &&
           (!qs_attr_int(node, "is_test", 0) || qs_attr_int(node, "trainable_statistics", 0));
}

enum qs_err
qs_fwd_batch_norm(struct qs_step *st)
{
    struct norm p = {0};
    struct qs_buf *buf = NULL;
    const float *mean = NULL, *var = NULL;
    enum qs_err err = read_norm(st, &p);
    if (!err)
        err = qs_fwd_optional(st, "Mean", p.channels, &mean);
    if (!err)
        err = qs_fwd_optional(st, "Variance", p.channels, &var);
    if (err)
        return err;
    if (uses_batch_statistics(st->node))
        mean = NULL;
    else if (!mean || !var)
        return qs_step_fail(st, _("input '%s' is missing or empty"), mean ? "Variance" : "Mean");
    err = qs_fwd_floats(st->cx, 2 * p.channels, &buf, &p.mul);
    if (err)
        return err;
    p.add = p.mul + p.channels;
    set_factors(&p, mean, var);
    if (p.inner == 1)
        err = qs_fwd_range(st, p.outer, p.channels, scale_pixels, &p);
    else
        err = qs_fwd_range(st, p.outer * p.channels, p.inner, scale_rows, &p);
    qs_buf_unref(buf);
    return err;
}

/* Layer norm: statistics of rows [inner]. */

static void
normalise(const struct norm *p, const float *restrict x, float *restrict y)
{
    const struct moments m = moments_of(x, 1, 0, p->inner, 1);
    const double inverse = 1 / sqrt(m.var + (double)p->epsilon);
    for (int64_t i = 0; i < p->inner; i++) {
        const float v = (float)(((double)x[i] - m.mean) * inverse);
        y[i] = (p->scale ? v * p->scale[i] : v) + (p->bias ? p->bias[i] : 0);
    }
}

static enum qs_err
layer_rows(struct qs_ctx *cx, void *arg, int64_t from, int64_t to)
{
    const struct norm *p = arg;
    (void)cx;
    for (int64_t r = from; r < to; r++)
        normalise(p, p->x + r * p->inner, p->y + r * p->inner);
    return QS_OK;
}

enum qs_err
qs_fwd_layer_norm(struct qs_step *st)
{
    const int64_t axis = qs_attr_int(st->node, "begin_norm_axis", 1);
    const struct qs_value *x;
    struct qs_value *y;
    enum qs_err err = qs_fwd_need(st, "X", QS_DTYPE_float32, &x);
    if (!err)
        err = qs_fwd_out(st, "Y", &y);
    if (err || y->count == 0)
        return err;
    struct norm p = {.outer = qs_fwd_product(x->d, 0, (int)axis),
                     .inner = qs_fwd_product(x->d, (int)axis, x->n),
                     .x = x->f32,
                     .y = y->f32,
                     .epsilon = (float)qs_attr_float(st->node, "epsilon", 1e-5)};
    err = qs_fwd_optional(st, "Scale", p.inner, &p.scale);
    if (!err)
        err = qs_fwd_optional(st, "Bias", p.inner, &p.bias);
    return err ? err : qs_fwd_range(st, p.outer, 6 * p.inner, layer_rows, &p);
}

/* Instance and group norm: statistics of the channels of one group of one image. */

static enum qs_err
norm_groups(struct qs_ctx *cx, void *arg, int64_t from, int64_t to)
{
    const struct norm *p = arg;
    const int64_t groups = p->channels / p->group;
    (void)cx;
    for (int64_t i = from; i < to; i++) {
        const int64_t image = i / groups, first = i % groups * p->group;
        /* channel c of pixel k lies at c*between + k*step */
        const int64_t between = p->last ? 1 : p->inner, step = p->last ? p->channels : 1;
        const int64_t at = image * p->channels * p->inner + first * between;
        const struct moments m = moments_of(p->x + at, p->group, between, p->inner, step);
        const double inverse = 1 / sqrt(m.var + (double)p->epsilon);
        for (int64_t c = 0; c < p->group; c++) {
            const double scale = p->scale ? (double)p->scale[first + c] : 1;
            const double bias = p->bias ? (double)p->bias[first + c] : 0;
            const float *x = p->x + at + c * between;
            float *y = p->y + at + c * between;
            for (int64_t k = 0; k < p->inner; k++)
                y[k * step] = (float)(((double)x[k * step] - m.mean) * inverse * scale + bias);
        }
    }
    return QS_OK;
}

static enum qs_err
run_groups(struct qs_step *st, int64_t groups)
{
    struct norm p = {0};
    const enum qs_err err = read_norm(st, &p);
    if (err || p.outer * p.channels * p.inner == 0)
        return err;
    const struct qs_value *x = qs_step_in(st, "X", 0);
    if (p.last) {
        p.outer = x->d[0];
        p.inner = qs_fwd_product(x->d, 1, x->n - 1);
    }
    if (groups < 1)
        groups = p.channels;
    p.group = p.channels / groups;
    return qs_fwd_range(st, p.outer * groups, 6 * p.group * p.inner, norm_groups, &p);
}

enum qs_err
qs_fwd_instance_norm(struct qs_step *st)
{
    return run_groups(st, 0);
}

enum qs_err
qs_fwd_group_norm(struct qs_step *st)
{
    return run_groups(st, qs_attr_int(st->node, "groups", 1));
}

/* norm: x / sqrt(sum x^2 + epsilon) along an axis; out slot Norm is what it divides by. */

static enum qs_err
norm_rows(struct qs_ctx *cx, void *arg, int64_t from, int64_t to)
{
    const struct norm *p = arg;
    (void)cx;
    for (int64_t i = from; i < to; i++) {
        const int64_t at = i / p->inner * p->channels * p->inner + i % p->inner;
        double sum = (double)p->epsilon;
        for (int64_t c = 0; c < p->channels; c++) {
            const double v = (double)p->x[at + c * p->inner];
            sum += v * v;
        }
        const float by = (float)sqrt(sum);
        for (int64_t c = 0; c < p->channels; c++)
            p->y[at + c * p->inner] = p->x[at + c * p->inner] / by;
    }
    return QS_OK;
}

enum qs_err
qs_fwd_norm(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    int axis;
    enum qs_err err = qs_fwd_need(st, "X", QS_DTYPE_float32, &x);
    if (!err)
        err = qs_fwd_out(st, "Out", &y);
    if (!err)
        err = qs_fwd_axis(st, qs_attr_int(st->node, "axis", -1), x->n, &axis);
    if (err)
        return err;
    struct norm p = {.outer = qs_fwd_product(x->d, 0, axis),
                     .channels = x->d[axis],
                     .inner = qs_fwd_product(x->d, axis + 1, x->n),
                     .x = x->f32,
                     .y = y->f32,
                     .epsilon = (float)qs_attr_float(st->node, "epsilon", 1e-10)};
    return qs_fwd_range(st, p.outer * p.inner, 4 * p.channels, norm_rows, &p);
}
