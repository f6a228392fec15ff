/* SPDX-License-Identifier: Apache-2.0 */
#include "model/step.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum qs_err
qs_step_fail(const struct qs_step *st, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return qs_fail(st->cx, QS_ERR_FORMAT, "%s", text);
}

const struct qs_value *
qs_step_in(const struct qs_step *st, const char *slot, int i)
{
    const int32_t var = qs_node_input(st->node, slot, i);
    return var >= 0 && st->var[var].data ? &st->var[var] : NULL;
}

int
qs_step_n_in(const struct qs_step *st, const char *slot)
{
    const struct qs_slot *s = qs_node_in(st->node, slot);
    return s ? s->n : 0;
}

int
qs_step_n_out(const struct qs_step *st, const char *slot)
{
    const struct qs_slot *s = qs_node_out(st->node, slot);
    return s ? s->n : 0;
}

struct qs_value *
qs_step_out(const struct qs_step *st, const char *slot, int i)
{
    struct qs_value *out = st->out;
    for (int s = 0; s < st->node->n_out; s++) {
        const struct qs_slot *o = &st->node->out[s];
        if (strcmp(o->name, slot) == 0)
            return i >= 0 && i < o->n && out[i].data ? &out[i] : NULL;
        out += o->n;
    }
    return NULL;
}

enum qs_err
qs_step_make(struct qs_step *st, const char *slot, int i, int32_t dtype, int n, const int64_t *d)
{
    const int32_t var = qs_node_output(st->node, slot, i);
    return var < 0 ? QS_OK : st->make(st, var, dtype, n, d);
}

/* Elements */

static float
half_to_float(uint16_t h)
{
    const int exponent = (h >> 10) & 31, mantissa = h & 1023;
    float v = exponent == 31 ? (mantissa ? NAN : INFINITY)
              : exponent     ? ldexpf((float)(mantissa + 1024), exponent - 25)
                             : ldexpf((float)mantissa, -24);
    return h & 0x8000 ? -v : v;
}

static float
bfloat_to_float(uint16_t h)
{
    const uint32_t bits = (uint32_t)h << 16;
    float v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

double
qs_value_real(const struct qs_value *v, int64_t i)
{
    switch (v->dtype) {
    case QS_DTYPE_float32:
        return (double)v->f32[i];
    case QS_DTYPE_float64:
        return v->f64[i];
    case QS_DTYPE_float16:
        return (double)half_to_float((uint16_t)v->i16[i]);
    case QS_DTYPE_bfloat16:
        return (double)bfloat_to_float((uint16_t)v->i16[i]);
    }
    return (double)qs_value_int(v, i);
}

/* C leaves the conversion of what does not fit undefined; here it saturates, NaN gives 0. */
static int64_t
real_to_int(double x)
{
    if (x >= 9223372036854775808.0)
        return INT64_MAX;
    if (x < -9223372036854775808.0)
        return INT64_MIN;
    return isnan(x) ? 0 : (int64_t)x;
}

int64_t
qs_value_int(const struct qs_value *v, int64_t i)
{
    switch (v->dtype) {
    case QS_DTYPE_int64:
        return v->i64[i];
    case QS_DTYPE_int32:
        return v->i32[i];
    case QS_DTYPE_int16:
        return v->i16[i];
    case QS_DTYPE_int8:
        return v->i8[i];
    case QS_DTYPE_bool:
    case QS_DTYPE_uint8:
        return v->u8[i];
    }
    return qs_dtype_is_float(v->dtype) ? real_to_int(qs_value_real(v, i)) : 0;
}

int
qs_step_ints(const struct qs_step *st, const char *list, const char *tensor, const char *attr,
             int64_t *out, int most)
{
    const int n_list = list ? qs_step_n_in(st, list) : 0;
    for (int i = 0; i < n_list && i < most; i++) {
        const struct qs_value *v = qs_step_in(st, list, i);
        if (!v || v->count < 1)
            return -1;
        out[i] = qs_value_int(v, 0);
    }
    if (n_list > 0)
        return n_list < most ? n_list : most;
    if (tensor && qs_step_n_in(st, tensor) > 0) {
        const struct qs_value *v = qs_step_in(st, tensor, 0);
        const int64_t n = !v ? -1 : v->count < most ? v->count : most;
        for (int64_t i = 0; i < n; i++)
            out[i] = qs_value_int(v, i);
        return (int)n;
    }
    return attr && qs_node_attr(st->node, attr) ? qs_attr_ints(st->node, attr, out, most) : -1;
}
