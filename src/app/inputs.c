/* SPDX-License-Identifier: Apache-2.0 */
#include "app/inputs.h"

#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "data/preprocess.h"

void
qs_inputs_init(struct qs_inputs *in, const struct qs_opened *o)
{
    const int n = qs_model_inputs(o->model, NULL, 0);
    *in = (struct qs_inputs){.o = o, .n = n};
    in->var = qs_xcalloc((size_t)n + 1, sizeof(*in->var));
    in->value = qs_xcalloc((size_t)n + 1, sizeof(*in->value));
    in->owned = qs_xcalloc((size_t)n + 1, sizeof(*in->owned));
    qs_model_inputs(o->model, in->var, n);
}

void
qs_inputs_drop(struct qs_inputs *in)
{
    for (int i = 0; i < in->n; i++) {
        if (in->owned[i])
            qs_data_tensor_release(&in->value[i]);
        in->value[i] = (struct qs_value){0};
        in->owned[i] = false;
    }
}

void
qs_inputs_release(struct qs_inputs *in)
{
    qs_inputs_drop(in);
    free(in->var);
    free(in->value);
    free(in->owned);
    *in = (struct qs_inputs){0};
}

/* Writes a tensor in the type of the model: NumPy's default types are the wide ones. */
static void
write_as(const struct qs_value *from, int32_t dtype, int64_t at, struct qs_value *to)
{
    const size_t bytes = (size_t)qs_dtype_bytes(dtype);
    if (from->dtype == dtype) {
        memcpy(to->u8 + (size_t)at * bytes, from->data, (size_t)from->count * bytes);
        return;
    }
    for (int64_t k = 0; k < from->count; k++)
        if (dtype == QS_DTYPE_float32)
            to->f32[at + k] = (float)from->f64[k];
        else if (dtype == QS_DTYPE_int64)
            to->i64[at + k] = from->i32[k];
        else
            to->i32[at + k] = (int32_t)from->i64[k];
}

static bool
converts(int32_t from, int32_t to)
{
    return (to == QS_DTYPE_float32 && from == QS_DTYPE_float64) ||
           (to == QS_DTYPE_int64 && from == QS_DTYPE_int32) ||
           (to == QS_DTYPE_int32 && from == QS_DTYPE_int64);
}

/* Input i of the model from input k of n samples. */
static enum qs_err
bind_input(struct qs_ctx *cx, struct qs_inputs *in, int i, struct qs_sample *const *s, int n, int k)
{
    const struct qs_value *v = &s[0]->input[k];
    const int32_t declared = in->o->model->var[in->var[i]].dtype;
    const int32_t dtype = converts(v->dtype, declared) ? declared : v->dtype;
    int64_t d[QS_RANK_MOST];
    in->value[i] = *v;
    if (dtype == v->dtype && n == 1)
        return QS_OK;
    memcpy(d, v->d, sizeof(d));
    d[0] *= n;
    const enum qs_err err = qs_data_tensor(cx, dtype, v->n, d, &in->value[i]);
    in->owned[i] = !err;
    for (int j = 0; j < n && !err; j++)
        write_as(&s[j]->input[k], dtype, j * v->count, &in->value[i]);
    return err;
}

/* Which input of the model a sample's input is for. */
static int
find_input(const struct qs_inputs *in, const char *name)
{
    for (int i = 0; i < in->n && name; i++)
        if (strcmp(in->o->model->var[in->var[i]].name, name) == 0)
            return i;
    return !name && in->n == 1 ? 0 : -1;
}

enum qs_err
qs_inputs_bind(struct qs_ctx *cx, struct qs_inputs *in, struct qs_sample *const *s, int n)
{
    if (s[0]->n_input != in->n)
        return qs_fail(cx, QS_ERR_FORMAT, _("'%s' has %d inputs, but the data give %d"),
                       in->o->path, in->n, s[0]->n_input);
    for (int k = 0; k < s[0]->n_input; k++) {
        const char *name = s[0]->input_name[k];
        const int i = find_input(in, name);
        if (i < 0 || in->value[i].data)
            return qs_fail(cx, QS_ERR_FORMAT, _("'%s' has no input '%s'"), in->o->path,
                           name ? name : "?");
        const enum qs_err err = bind_input(cx, in, i, s, n, k);
        if (err)
            return err;
    }
    return QS_OK;
}
