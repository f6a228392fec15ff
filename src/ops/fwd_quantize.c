/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulated quantization. With R = 2^(bits-1) - 1 and the threshold s of a tensor or channel:
 *
 *   to nearest, ties to even:  q = clamp(rint(R / s * x), -R - 1, R)
 *   ties away from zero:       q = round(R / s * clamp(x, -s, s))
 *   back:                      x = q * s / R
 *
 * all in single precision and in this order. 1 / s is 1 / (s + 1e-6) when s <= 1e-30.
 */
#include <inttypes.h>
#include <math.h>

#include "ops/data.h"

enum { PART = 1 << 14 }; /* elements of one item of work */

enum rounding { ROUND_NONE = -1, ROUND_EVEN = 0, ROUND_AWAY = 1 };

struct quant {
    const struct qs_value *x; /* float32, or int8 to be dequantized */
    struct qs_value *y;       /* float32 */
    const float *scale;       /* [1], or [split.n] */
    bool per_channel;
    struct qs_data_split split;
    enum rounding round; /* ROUND_NONE: x is integers already */
    bool back;
    float range;
    float second, most; /* back is q * s * second / most */
    int64_t per_run;    /* items of work in one run of a channel */
};

static float
inverse(float s)
{
    return s <= 1e-30F ? 1.0F / (s + 1e-6F) : 1.0F / s;
}

static void
round_run(const struct quant *q, float s, const float *x, float *y, int64_t n)
{
    const float by = q->range * inverse(s), lo = -q->range - 1, hi = q->range;
    if (q->round == ROUND_EVEN) {
        for (int64_t i = 0; i < n; i++) {
            const float v = rintf(by * x[i]);
            y[i] = v > hi ? hi : v < lo ? lo : v;
        }
        return;
    }
    for (int64_t i = 0; i < n; i++)
        y[i] = roundf(by * (x[i] < -s ? -s : x[i] > s ? s : x[i]));
}

static void
back_run(const struct quant *q, float s, float *y, int64_t n)
{
    const float second = q->second, most = q->most;
    for (int64_t i = 0; i < n; i++)
        y[i] = y[i] * s * second / most;
}

static enum qs_err
quant_part(struct qs_ctx *cx, void *arg, int64_t i)
{
    const struct quant *q = arg;
    const int64_t run = i / q->per_run, first = i % q->per_run * PART;
    const int64_t left = q->split.inner - first, n = left < PART ? left : PART;
    const int64_t at = run * q->split.inner + first;
    const float s = q->scale[q->per_channel ? run % q->split.n : 0];
    (void)cx;
    if (q->x->dtype == QS_DTYPE_int8)
        for (int64_t k = 0; k < n; k++)
            q->y->f32[at + k] = q->x->i8[at + k];
    else if (q->round == ROUND_NONE)
        memcpy(&q->y->f32[at], &q->x->f32[at], (size_t)n * sizeof(float));
    if (q->round != ROUND_NONE)
        round_run(q, s, &q->x->f32[at], &q->y->f32[at], n);
    if (q->back)
        back_run(q, s, &q->y->f32[at], n);
    return QS_OK;
}

/* axis < 0: one scale for all. */
static enum qs_err
run_quant(const struct qs_step *st, struct quant *q, const struct qs_value *scale, int64_t axis)
{
    int at = 0;
    enum qs_err err = qs_data_expect_type(st, scale, QS_DTYPE_float32);
    if (!err && q->x->dtype != QS_DTYPE_int8)
        err = qs_data_expect_type(st, q->x, QS_DTYPE_float32);
    if (!err)
        err = qs_data_expect_type(st, q->y, QS_DTYPE_float32);
    if (!err)
        err = qs_data_expect(st, q->y, q->x->n, q->x->d);
    if (!err && axis >= 0)
        err = qs_fwd_axis(st, axis, q->x->n, &at);
    if (err)
        return err;
    q->per_channel = axis >= 0;
    q->split =
        q->per_channel ? qs_data_split_at(q->x, at) : (struct qs_data_split){1, 1, q->x->count};
    q->scale = scale->f32;
    if (scale->count != q->split.n && !(q->per_channel && scale->count == 1))
        return qs_step_fail(st, _("%" PRId64 " scales for %" PRId64 " channels of axis %d"),
                            scale->count, q->split.n, at);
    if (scale->count == 1)
        q->per_channel = false;
    if (q->x->count == 0)
        return QS_OK;
    q->per_run = (q->split.inner - 1) / PART + 1;
    return qs_parallel_for(st->cx, q->split.outer * q->split.n * q->per_run, quant_part, q);
}

static enum qs_err
read_range(const struct qs_step *st, int64_t bits, float *range)
{
    if (bits < 2 || bits > 16)
        return qs_step_fail(st, _("%" PRId64 " bits are out of range"), bits);
    *range = (float)((1 << (bits - 1)) - 1);
    return QS_OK;
}

/* Observers */

/* Largest absolute value of each channel; axis < 0: of all. */
static enum qs_err
find_scale(const struct qs_step *st, const struct qs_value *x, int64_t axis, struct qs_value *scale)
{
    int at = 0;
    enum qs_err err = qs_data_expect_type(st, x, QS_DTYPE_float32);
    if (!err)
        err = qs_data_expect_type(st, scale, QS_DTYPE_float32);
    if (!err && axis >= 0)
        err = qs_fwd_axis(st, axis, x->n, &at);
    if (err)
        return err;
    const struct qs_data_split s =
        axis < 0 ? (struct qs_data_split){1, 1, x->count} : qs_data_split_at(x, at);
    if (scale->count != s.n)
        return qs_step_fail(st, _("%" PRId64 " scales for %" PRId64 " channels of axis %d"),
                            scale->count, s.n, at);
    memset(scale->f32, 0, (size_t)scale->count * sizeof(float));
    for (int64_t i = 0; i < x->count; i++) {
        float *to = &scale->f32[i / s.inner % s.n];
        const float v = fabsf(x->f32[i]);
        *to = v > *to ? v : *to;
    }
    return QS_OK;
}

/* A tensor of one float in the scratch arena, when the node does not want the output. */
static struct qs_value *
out_or_scratch(const struct qs_step *st, const char *slot, int64_t n)
{
    struct qs_value *v = qs_step_out(st, slot, 0);
    if (v)
        return v;
    v = qs_arena_calloc(st->scratch, 1, sizeof(*v));
    *v = (struct qs_value){.dtype = QS_DTYPE_float32, .n = 1, .d = {n}, .count = n};
    v->data = qs_arena_calloc(st->scratch, (size_t)n + 1, sizeof(float));
    return v;
}

/* A moving sum that the node reads and writes. */
static enum qs_err
move(struct qs_step *st, const char *in, const char *out, float rate, float more, float *result)
{
    const struct qs_value *old = qs_step_in(st, in, 0);
    const int64_t one = 1;
    *result = rate * (old && old->count == 1 ? (float)qs_value_real(old, 0) : 0) + more;
    if (qs_step_n_out(st, out) == 0)
        return QS_OK;
    const enum qs_err err = qs_step_make(st, out, 0, QS_DTYPE_float32, 1, &one);
    struct qs_value *v = qs_step_out(st, out, 0);
    if (!err && v)
        qs_data_fill_real(v, (double)*result);
    return err;
}

/* The moving average of the largest absolute value: scale = accum / state. */
static enum qs_err
moving_scale(struct qs_step *st, const struct qs_value *x, struct qs_value *scale)
{
    const float rate = (float)qs_attr_float(st->node, "moving_rate", 0.9F);
    float state, accum;
    enum qs_err err = find_scale(st, x, -1, scale);
    if (!err)
        err = move(st, "InState", "OutState", rate, 1, &state);
    if (!err)
        err = move(st, "InAccum", "OutAccum", rate, scale->f32[0], &accum);
    if (!err)
        scale->f32[0] = accum / state;
    return err;
}

/* The operators */

/* quantize_linear and dequantize_linear: X, Scale -> Y. */
static enum qs_err
linear(struct qs_step *st, enum rounding round, bool back)
{
    struct quant q = {.round = round, .back = back, .second = 1};
    const struct qs_value *scale;
    enum qs_err err = qs_data_pair(st, "X", "Y", &q.x, &q.y);
    struct qs_value *out = qs_step_out(st, "OutScale", 0);
    if (!err && qs_attr_int(st->node, "only_observer", 0) && q.x->dtype == q.y->dtype)
        return qs_data_copy(st, q.x, q.y);
    if (!err)
        err = qs_data_in(st, "Scale", 0, &scale);
    if (!err)
        err = read_range(st, qs_attr_int(st->node, "bit_length", 8), &q.range);
    q.most = q.range;
    if (!err)
        err = run_quant(st, &q, scale, qs_attr_int(st->node, "quant_axis", 0));
    if (!err && out && out->count == scale->count)
        err = qs_data_copy(st, scale, out);
    return err;
}

enum qs_err
qs_fwd_quantize_linear(struct qs_step *st)
{
    const bool away = qs_attr_int(st->node, "round_type", 0) != 0;
    return linear(st, away ? ROUND_AWAY : ROUND_EVEN, false);
}

enum qs_err
qs_fwd_dequantize_linear(struct qs_step *st)
{
    return linear(st, ROUND_NONE, true);
}

/* How the fake_* operators differ. */
static const struct fake {
    const char *type;
    enum { FIXED, ABS_MAX, CHANNELS, MOVING } observer;
    bool back;
} fakes[] = {
    {"fake_channel_wise_quantize_abs_max", CHANNELS, false},
    {"fake_channel_wise_quantize_dequantize_abs_max", CHANNELS, true},
    {"fake_quantize_abs_max", ABS_MAX, false},
    {"fake_quantize_dequantize_abs_max", ABS_MAX, true},
    {"fake_quantize_dequantize_moving_average_abs_max", MOVING, true},
    {"fake_quantize_moving_average_abs_max", MOVING, false},
    {"fake_quantize_range_abs_max", FIXED, false},
};

/* Where the program is for inference the scale is an input; else it is found in X. */
static enum qs_err
fake_scale(struct qs_step *st, const struct fake *f, const struct qs_value *x, int64_t axis,
           struct qs_value *scale)
{
    const struct qs_value *in = qs_step_in(st, "InScale", 0);
    const bool is_test = qs_attr_int(st->node, "is_test", 0) != 0;
    if (f->observer == FIXED && !is_test)
        return qs_step_fail(st, _("the training form of the operator can not run"));
    if (f->observer == ABS_MAX || f->observer == CHANNELS)
        return find_scale(st, x, axis, scale);
    if (!is_test)
        return moving_scale(st, x, scale);
    if (!in || in->dtype != scale->dtype || in->count != scale->count)
        return qs_step_fail(st, _("input %s is missing"), "InScale");
    memcpy(scale->f32, in->f32, (size_t)in->count * sizeof(float));
    return QS_OK;
}

static enum qs_err
run_fake(struct qs_step *st, const struct fake *f)
{
    struct quant q = {.back = f->back, .second = 1};
    const int64_t axis =
        f->observer == CHANNELS ? qs_attr_int(st->node, "quant_axis", 0) : INT64_C(-1);
    int at = 0;
    q.round = qs_attr_int(st->node, "round_type", 1) == 0 ? ROUND_EVEN : ROUND_AWAY;
    enum qs_err err = qs_data_pair(st, "X", "Out", &q.x, &q.y);
    if (!err)
        err = read_range(st, qs_attr_int(st->node, "bit_length", 8), &q.range);
    if (!err && axis >= 0)
        err = qs_fwd_axis(st, axis, q.x->n, &at);
    if (err)
        return err;
    q.most = q.range;
    struct qs_value *scale = out_or_scratch(st, "OutScale", axis >= 0 ? q.x->d[at] : 1);
    err = qs_data_expect_type(st, scale, QS_DTYPE_float32);
    if (!err)
        err = fake_scale(st, f, q.x, axis, scale);
    return err ? err : run_quant(st, &q, scale, axis);
}

enum qs_err
qs_fwd_fake_quantize(struct qs_step *st)
{
    for (size_t i = 0; i < QS_LEN(fakes); i++)
        if (strcmp(fakes[i].type, st->node->type) == 0)
            return run_fake(st, &fakes[i]);
    return qs_step_fail(st, _("the operator can not run"));
}

/* Only watches: Out is X. */
enum qs_err
qs_fwd_moving_average_abs_max_scale(struct qs_step *st)
{
    const struct qs_value *x;
    const struct qs_value *in = qs_step_in(st, "InScale", 0);
    struct qs_value *y = qs_step_out(st, "Out", 0), *scale = qs_step_out(st, "OutScale", 0);
    enum qs_err err = qs_data_in(st, "X", 0, &x);
    if (!err && scale && !qs_attr_int(st->node, "is_test", 0))
        err = moving_scale(st, x, scale);
    else if (!err && scale && in && in->count == scale->count)
        err = qs_data_copy(st, in, scale);
    else if (!err && scale)
        qs_data_fill_int(scale, 0);
    return err || !y ? err : qs_data_copy(st, x, y);
}

enum qs_err
qs_fwd_fake_dequantize(struct qs_step *st)
{
    struct quant q = {.round = ROUND_NONE, .back = true, .second = 1};
    const struct qs_value *scale;
    enum qs_err err = qs_data_pair(st, "X", "Out", &q.x, &q.y);
    if (!err)
        err = qs_data_in(st, "Scale", 0, &scale);
    q.most = (float)qs_attr_float(st->node, "max_range", 127);
    return err ? err : run_quant(st, &q, scale, -1);
}

/* One scale: of a weight, along quant_axis. Two: of an activation that a quantized weight made;
 * the channel is dim 1, or dim x_num_col_dims where that is more. */
enum qs_err
qs_fwd_fake_channel_dequantize(struct qs_step *st)
{
    struct quant q = {.round = ROUND_NONE, .back = true, .second = 1};
    const struct qs_value *scale, *second = qs_step_in(st, "Scales", 1);
    int64_t bits[2] = {8, 8};
    float other = 1;
    const int n_bits = qs_attr_ints(st->node, "quant_bits", bits, 2);
    const int64_t columns = qs_attr_int(st->node, "x_num_col_dims", 1);
    enum qs_err err = qs_data_pair(st, "X", "Out", &q.x, &q.y);
    if (!err)
        err = qs_data_in(st, "Scales", 0, &scale);
    if (!err)
        err = read_range(st, bits[0], &q.range);
    if (!err && second)
        err = read_range(st, n_bits > 1 ? bits[1] : 8, &other);
    if (!err && second && (second->count != 1 || second->dtype != QS_DTYPE_float32))
        err = qs_step_fail(st, _("input %s is not one element"), "Scales");
    if (err)
        return err;
    q.most = q.range * other;
    q.second = second ? second->f32[0] : 1;
    const int64_t axis = !second       ? qs_attr_int(st->node, "quant_axis", 0)
                         : columns > 1 ? columns
                                       : 1;
    return run_quant(st, &q, scale, axis);
}
