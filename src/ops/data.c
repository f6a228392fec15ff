/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/data.h"

#include <inttypes.h>

enum qs_err
qs_data_in(const struct qs_step *st, const char *slot, int i, const struct qs_value **out)
{
    *out = qs_step_in(st, slot, i);
    return *out ? QS_OK : qs_step_fail(st, _("input %s is missing"), slot);
}

enum qs_err
qs_data_out(const struct qs_step *st, const char *slot, int i, struct qs_value **out)
{
    *out = qs_step_out(st, slot, i);
    return *out && (*out)->data ? QS_OK
                                : qs_step_fail(st, _("the shape of output %s is not known"), slot);
}

enum qs_err
qs_data_pair(const struct qs_step *st, const char *in, const char *out, const struct qs_value **x,
             struct qs_value **y)
{
    const enum qs_err err = qs_data_in(st, in, 0, x);
    return err ? err : qs_data_out(st, out, 0, y);
}

enum qs_err
qs_data_expect(const struct qs_step *st, const struct qs_value *v, int n, const int64_t *d)
{
    char have[128], want[128];
    if (v->n == n && memcmp(v->d, d, (size_t)n * sizeof(*d)) == 0)
        return QS_OK;
    return qs_step_fail(st, _("a tensor is %s where %s is needed"),
                        qs_format_dims(have, sizeof(have), v->d, v->n),
                        qs_format_dims(want, sizeof(want), d, n));
}

static const char *
type_name(int32_t dtype)
{
    const char *name = qs_dtype_name(dtype);
    return name ? name : "?";
}

enum qs_err
qs_data_expect_type(const struct qs_step *st, const struct qs_value *v, int32_t dtype)
{
    return v->dtype == dtype ? QS_OK
                             : qs_step_fail(st, _("elements are %s where %s is needed"),
                                            type_name(v->dtype), type_name(dtype));
}

enum qs_err
qs_data_same_type(const struct qs_step *st, const struct qs_value *x, const struct qs_value *y)
{
    return qs_data_expect_type(st, x, y->dtype);
}

enum qs_err
qs_data_computable(const struct qs_step *st, const struct qs_value *x)
{
    static const int32_t types[] = {QS_DTYPE_bool,  QS_DTYPE_int16,   QS_DTYPE_int32,
                                    QS_DTYPE_int64, QS_DTYPE_float32, QS_DTYPE_float64,
                                    QS_DTYPE_uint8, QS_DTYPE_int8};
    for (size_t i = 0; i < QS_LEN(types); i++)
        if (x->dtype == types[i])
            return QS_OK;
    return qs_step_fail(st, _("elements of %s can not be computed"), type_name(x->dtype));
}

/* Attributes */

int64_t
qs_data_int(const struct qs_step *st, const char *tensor, const char *attr, int64_t def)
{
    const struct qs_value *v = tensor ? qs_step_in(st, tensor, 0) : NULL;
    if (v && v->count > 0)
        return qs_value_int(v, 0);
    return attr ? qs_attr_int(st->node, attr, def) : def;
}

double
qs_data_real(const struct qs_step *st, const char *tensor, const char *attr, double def)
{
    const struct qs_value *v = tensor ? qs_step_in(st, tensor, 0) : NULL;
    if (v && v->count > 0)
        return qs_value_real(v, 0);
    return qs_attr_float(st->node, attr, def);
}

bool
qs_data_str_is(const struct qs_step *st, const char *attr, const char *def, const char *want)
{
    const char *s = qs_attr_str(st->node, attr, def);
    return s && strcmp(s, want) == 0;
}

int
qs_data_floats(const struct qs_step *st, const char *attr, double *out, int most)
{
    const struct qs_infer in = {.node = st->node};
    return qs_infer_floats(&in, attr, out, most);
}

/* Elements */

static int64_t
cut(double v)
{
    return v >= -9223372036854775808.0 && v < 9223372036854775808.0 ? (int64_t)v : INT64_MIN;
}

static int32_t
cut32(double v)
{
    return v > -2147483649.0 && v < 2147483648.0 ? (int32_t)v : INT32_MIN;
}

#define LOAD(member, as)                       \
    for (int64_t i = 0; i < n; i++)            \
        out[i] = (as)x->member[at + i * step]; \
    break

void
qs_data_load_reals(const struct qs_value *x, int64_t at, int64_t step, int64_t n, double *out)
{
    switch (x->dtype) {
    case QS_DTYPE_float32:
        LOAD(f32, double);
    case QS_DTYPE_float64:
        LOAD(f64, double);
    case QS_DTYPE_int64:
        LOAD(i64, double);
    case QS_DTYPE_int32:
        LOAD(i32, double);
    case QS_DTYPE_int16:
        LOAD(i16, double);
    case QS_DTYPE_int8:
        LOAD(i8, double);
    default: /* uint8 and bool */
        LOAD(u8, double);
    }
}

void
qs_data_load_ints(const struct qs_value *x, int64_t at, int64_t step, int64_t n, int64_t *out)
{
    switch (x->dtype) {
    case QS_DTYPE_float32:
        for (int64_t i = 0; i < n; i++)
            out[i] = cut((double)x->f32[at + i * step]);
        break;
    case QS_DTYPE_float64:
        for (int64_t i = 0; i < n; i++)
            out[i] = cut(x->f64[at + i * step]);
        break;
    case QS_DTYPE_int64:
        LOAD(i64, int64_t);
    case QS_DTYPE_int32:
        LOAD(i32, int64_t);
    case QS_DTYPE_int16:
        LOAD(i16, int64_t);
    case QS_DTYPE_int8:
        LOAD(i8, int64_t);
    default:
        LOAD(u8, int64_t);
    }
}

#define STORE(member, expression)         \
    for (int64_t i = 0; i < n; i++)       \
        y->member[at + i] = (expression); \
    break

void
qs_data_store_reals(struct qs_value *y, int64_t at, int64_t n, const double *v)
{
    switch (y->dtype) {
    case QS_DTYPE_float32:
        STORE(f32, (float)v[i]);
    case QS_DTYPE_float64:
        STORE(f64, v[i]);
    case QS_DTYPE_int64:
        STORE(i64, cut(v[i]));
    case QS_DTYPE_int32:
        STORE(i32, cut32(v[i]));
    case QS_DTYPE_int16:
        STORE(i16, (int16_t)cut32(v[i]));
    case QS_DTYPE_int8:
        STORE(i8, (int8_t)cut32(v[i]));
    case QS_DTYPE_bool:
        STORE(u8, v[i] != 0);
    default:
        STORE(u8, (uint8_t)cut32(v[i]));
    }
}

void
qs_data_store_ints(struct qs_value *y, int64_t at, int64_t n, const int64_t *v)
{
    switch (y->dtype) {
    case QS_DTYPE_float32:
        STORE(f32, (float)v[i]);
    case QS_DTYPE_float64:
        STORE(f64, (double)v[i]);
    case QS_DTYPE_int64:
        STORE(i64, v[i]);
    case QS_DTYPE_int32:
        STORE(i32, (int32_t)v[i]);
    case QS_DTYPE_int16:
        STORE(i16, (int16_t)v[i]);
    case QS_DTYPE_int8:
        STORE(i8, (int8_t)v[i]);
    case QS_DTYPE_bool:
        STORE(u8, v[i] != 0);
    default:
        STORE(u8, (uint8_t)v[i]);
    }
}

/* The first element was set; the others follow by doubling. */
static void
spread(struct qs_value *y)
{
    const int64_t width = qs_dtype_bytes(y->dtype);
    for (int64_t have = 1; have < y->count;) {
        const int64_t more = have < y->count - have ? have : y->count - have;
        memcpy(y->u8 + have * width, y->u8, (size_t)(more * width));
        have += more;
    }
}

void
qs_data_fill_real(struct qs_value *y, double v)
{
    if (y->count > 0)
        qs_data_store_reals(y, 0, 1, &v);
    spread(y);
}

void
qs_data_fill_int(struct qs_value *y, int64_t v)
{
    if (y->count > 0)
        qs_data_store_ints(y, 0, 1, &v);
    spread(y);
}

enum qs_err
qs_data_copy(const struct qs_step *st, const struct qs_value *x, struct qs_value *y)
{
    const enum qs_err err = qs_data_same_type(st, x, y);
    if (err)
        return err;
    if (x->count != y->count)
        return qs_step_fail(st, _("%" PRId64 " elements do not fill %" PRId64), x->count, y->count);
    const struct qs_walk_dims w = {.n = 1, .d = {x->count}, .to = {1}, .from = {1}};
    return qs_walk_copy(st->cx, y->data, x->data, qs_dtype_bytes(x->dtype), &w);
}

struct qs_data_split
qs_data_split_at(const struct qs_value *x, int axis)
{
    struct qs_data_split s = {1, 1, 1};
    for (int i = 0; i < x->n; i++)
        *(i < axis ? &s.outer : i == axis ? &s.n : &s.inner) *= x->d[i];
    return s;
}
