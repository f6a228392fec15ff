/* SPDX-License-Identifier: Apache-2.0 */
#include "model/infer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/i18n.h"

enum qs_err
qs_infer_fail(const struct qs_infer *in, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return qs_fail(in->cx, QS_ERR_FORMAT, "%s", text);
}

int64_t
qs_mul_sat(int64_t a, int64_t b)
{
    int64_t r;
    return __builtin_mul_overflow(a, b, &r) ? INT64_MAX : r;
}

int64_t
qs_add_sat(int64_t a, int64_t b)
{
    int64_t r;
    return __builtin_add_overflow(a, b, &r) ? INT64_MAX : r;
}

/* Inputs */

int
qs_infer_n_in(const struct qs_infer *in, const char *slot)
{
    const struct qs_slot *s = qs_node_in(in->node, slot);
    return s ? s->n : 0;
}

int
qs_infer_n_out(const struct qs_infer *in, const char *slot)
{
    const struct qs_slot *s = qs_node_out(in->node, slot);
    return s ? s->n : 0;
}

const struct qs_shape *
qs_infer_in(const struct qs_infer *in, const char *slot, int i)
{
    const int32_t var = qs_node_input(in->node, slot, i);
    return var >= 0 && in->shapes->var[var].known ? &in->shapes->var[var] : NULL;
}

int64_t
qs_shape_count(const struct qs_shape *x)
{
    int64_t count = 1;
    for (int i = 0; i < x->n; i++)
        count *= x->d[i];
    return count;
}

/* Outputs */

static struct qs_shape *
find_out(const struct qs_infer *in, const char *slot, int i)
{
    int at = 0;
    for (int s = 0; s < in->node->n_out; s++) {
        const struct qs_slot *out = &in->node->out[s];
        if (strcmp(out->name, slot) == 0)
            return i >= 0 && i < out->n ? &in->out[at + i] : NULL;
        at += out->n;
    }
    return NULL;
}

const struct qs_shape *
qs_infer_out(const struct qs_infer *in, const char *slot, int i)
{
    const struct qs_shape *out = find_out(in, slot, i);
    return out && out->known ? out : NULL;
}

static enum qs_err
check_dims(const struct qs_infer *in, int n, const int64_t *d)
{
    if (n > QS_RANK_MOST)
        return qs_infer_fail(in, _("the result would have %d dimensions"), n);
    int64_t count = 1;
    for (int i = 0; i < n; i++) {
        if (d[i] < 0 || d[i] > QS_DIM_MOST)
            return qs_infer_fail(in, _("dimension %d of the result would be %" PRId64), i, d[i]);
        /* without zeros, so that the partial products of any permutation fit too */
        if (d[i] && (count = qs_mul_sat(count, d[i])) > QS_COUNT_MOST)
            return qs_infer_fail(in, _("the result would be too large"));
    }
    return QS_OK;
}

enum qs_err
qs_infer_set(struct qs_infer *in, const char *slot, int i, int32_t dtype, int n, const int64_t *d)
{
    struct qs_shape *out = find_out(in, slot, i);
    if (!out)
        return QS_OK;
    const enum qs_err err = check_dims(in, n, d);
    if (err)
        return err;
    const int32_t var = qs_node_output(in->node, slot, i);
    *out = (struct qs_shape){.known = true, .n = n};
    out->dtype = dtype >= 0 ? dtype : in->model->var[var].dtype;
    for (int k = 0; k < n; k++)
        out->d[k] = d[k];
    return QS_OK;
}

enum qs_err
qs_infer_set_like(struct qs_infer *in, const char *slot, int i, const struct qs_shape *x)
{
    return qs_infer_set(in, slot, i, x->dtype, x->n, x->d);
}

enum qs_err
qs_infer_set_scalar(struct qs_infer *in, const char *slot, int i, int32_t dtype)
{
    const int64_t one = 1;
    return qs_infer_set(in, slot, i, dtype, in->scalars_are_1d, &one);
}

void
qs_infer_set_value(struct qs_infer *in, const char *slot, int i, const int64_t *value)
{
    struct qs_shape *out = find_out(in, slot, i);
    if (!value || !out || !out->known)
        return;
    const int64_t n = qs_shape_count(out);
    if (n <= QS_SHAPE_VALUES_MOST)
        out->value = (const int64_t *)(const void *)qs_arena_memdup(&in->shapes->arena, value,
                                                                    (size_t)n * sizeof(*value));
}

/* Attributes */

/* Elements of a tensor that must be known by value; false when it is not. */
static bool
tensor_values(const struct qs_infer *in, const char *slot, struct qs_ints *out)
{
    const struct qs_shape *x = qs_infer_in(in, slot, 0);
    if (!x || !x->value)
        return false;
    out->n = (int)qs_shape_count(x);
    for (int i = 0; i < out->n; i++) {
        out->v[i] = x->value[i];
        out->known_at[i] = true;
    }
    return true;
}

static bool
list_values(const struct qs_infer *in, const char *slot, int n, struct qs_ints *out)
{
    bool all = n <= QS_SHAPE_VALUES_MOST;
    out->n = all ? n : 0;
    for (int i = 0; i < out->n; i++) {
        const struct qs_shape *x = qs_infer_in(in, slot, i);
        out->known_at[i] = x && x->value && qs_shape_count(x) == 1;
        out->v[i] = out->known_at[i] ? x->value[0] : -1;
        all = all && out->known_at[i];
    }
    return all;
}

static bool
attr_values(const struct qs_infer *in, const char *attr, struct qs_ints *out)
{
    out->n = qs_attr_ints(in->node, attr, out->v, QS_SHAPE_VALUES_MOST);
    if (out->n < 0) {
        out->n = 0;
        return false;
    }
    for (int i = 0; i < out->n; i++)
        out->known_at[i] = true;
    return true;
}

void
qs_infer_ints(const struct qs_infer *in, const char *list, const char *tensor, const char *attr,
              struct qs_ints *out)
{
    const int n_list = list ? qs_infer_n_in(in, list) : 0;
    memset(out, 0, sizeof(*out));
    out->present = true;
    if (n_list > 0) {
        out->known = list_values(in, list, n_list, out);
        return;
    }
    if (tensor && qs_infer_n_in(in, tensor) > 0) {
        out->known = tensor_values(in, tensor, out);
        return;
    }
    out->present = attr && qs_node_attr(in->node, attr);
    out->known = out->present && attr_values(in, attr, out);
}

bool
qs_infer_int(const struct qs_infer *in, const char *tensor, const char *attr, int64_t def,
             int64_t *out)
{
    *out = attr ? qs_attr_int(in->node, attr, def) : def;
    if (!tensor || qs_infer_n_in(in, tensor) == 0)
        return true;
    const struct qs_shape *x = qs_infer_in(in, tensor, 0);
    if (!x || !x->value || qs_shape_count(x) != 1)
        return false;
    *out = x->value[0];
    return true;
}

int
qs_infer_floats(const struct qs_infer *in, const char *attr, double *out, int most)
{
    const struct qs_attr *a = qs_node_attr(in->node, attr);
    if (!a || a->raw.p || most < 1)
        return 0;
    if (a->type == QS_ATTR_FLOAT || a->type == QS_ATTR_FLOAT64) {
        out[0] = a->type == QS_ATTR_FLOAT ? (double)a->f : a->d;
        return 1;
    }
    if ((a->type != QS_ATTR_FLOATS && a->type != QS_ATTR_FLOAT64S) || a->n > most)
        return 0;
    for (int i = 0; i < a->n; i++)
        out[i] = a->type == QS_ATTR_FLOATS ? (double)a->floats[i] : a->doubles[i];
    return a->n;
}

bool
qs_infer_str_is(const struct qs_infer *in, const char *attr, const char *def, const char *want)
{
    const char *s = qs_attr_str(in->node, attr, def);
    return s && strcmp(s, want) == 0;
}

enum qs_err
qs_infer_axis(const struct qs_infer *in, int64_t axis, int rank, int *out)
{
    if (axis < -rank || axis >= rank)
        return qs_infer_fail(in, _("axis %" PRId64 " does not exist: the input has %d dimensions"),
                             axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return QS_OK;
}
