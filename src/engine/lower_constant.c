/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weights that the program computes from weights: integers made floats again, or floats rounded.
 * They are computed when a plan is made and stay with the packs of the model.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/lower_rule.h"

static const char *const types[] = {
    "dequantize_linear",
    "fake_channel_wise_dequantize_max_abs",
    "fake_channel_wise_quantize_abs_max",
    "fake_channel_wise_quantize_dequantize_abs_max",
    "fake_dequantize_max_abs",
    "fake_quantize_abs_max",
    "fake_quantize_dequantize_abs_max",
    "quantize_linear",
};

static bool
of_constants(const struct qs_fast *f, const struct step *s)
{
    bool is = false;
    for (size_t i = 0; i < QS_LEN(types); i++)
        is |= strcmp(types[i], s->node->type) == 0;
    for (int i = 0; i < s->n_in && is; i++)
        is = s->in[i] < 0 || f->value[s->in[i]].param;
    for (int i = 0; i < s->n_out && is; i++)
        is = s->out[i] < 0 ||
             (f->value[s->out[i]].known && f->value[s->out[i]].dtype == QS_DTYPE_float32);
    return is && s->n_in > 0 && s->in[0] >= 0;
}

static struct qs_pack_key
key_of(const struct qs_fast *f, const struct step *s, int out)
{
    return (struct qs_pack_key){
        .weight = f->value[s->in[0]].param, .form = -2, .oc = s->number, .ic = out};
}

static void
hold(struct value *v, const struct qs_pack *pack)
{
    v->pack = pack;
    v->param = pack->constant;
    v->param_data = (float *)(uintptr_t)pack->constant->buf->data;
    v->made = -1;
}

static bool
found(struct qs_fast *f, const struct step *s)
{
    for (int i = 0; i < s->n_out; i++) {
        const struct qs_pack_key key = key_of(f, s, i);
        const struct qs_pack *pack = s->out[i] >= 0 ? qs_packs_find(f->packs, &key) : NULL;
        if (s->out[i] >= 0 && !pack)
            return false;
        if (pack)
            hold(&f->value[s->out[i]], pack);
    }
    return true;
}

static enum qs_err
make_constant(struct qs_ctx *cx, const struct value *v, struct qs_tensor **out)
{
    struct qs_buf *buf = NULL;
    const size_t bytes = (size_t)v->count * sizeof(float);
    const enum qs_err err = qs_buf_new(cx, bytes, &buf);
    if (err)
        return err;
    int64_t *dims = qs_xcalloc((size_t)v->n + 1, sizeof(*dims));
    memcpy(dims, v->d, (size_t)v->n * sizeof(*dims));
    *out = qs_xcalloc(1, sizeof(**out));
    **out = (struct qs_tensor){.dtype = v->dtype,
                               .n_dims = v->n,
                               .dims = dims,
                               .n = v->count,
                               .buf = buf,
                               .bytes = bytes,
                               .record = SIZE_MAX};
    return QS_OK;
}

/* Its outputs are plain tensors for the time of the call. */
static enum qs_err
run_now(struct qs_ctx *cx, struct qs_fast *f, struct step *s)
{
    enum qs_err err = QS_OK;
    for (int i = 0; i < s->n_in && !err; i++)
        if (s->in[i] >= 0)
            err = qs_fast_load_param(cx, f, &f->value[s->in[i]]);
    f->cx = cx;
    f->err = QS_OK;
    if (!err)
        qs_run_FORWARD(f, s);
    return err ? err : f->err;
}

static void
keep_constant(struct qs_fast *f, const struct step *s, int out, struct qs_tensor *made)
{
    const struct qs_pack_key key = key_of(f, s, out);
    const struct qs_pack pack = {.floats = made->n, .constant = made};
    struct value *v = &f->value[s->out[out]];
    v->data = NULL;
    hold(v, qs_packs_add(f->packs, &key, pack));
    f->param_floats += made->n;
}

static enum qs_err
make_all(struct qs_ctx *cx, struct qs_fast *f, struct step *s)
{
    struct qs_tensor **made = qs_arena_calloc(&f->arena, (size_t)s->n_out + 1, sizeof(*made));
    enum qs_err err = QS_OK;
    for (int i = 0; i < s->n_out && !err; i++)
        if (s->out[i] >= 0) {
            err = make_constant(cx, &f->value[s->out[i]], &made[i]);
            f->value[s->out[i]].data = err ? NULL : (float *)(uintptr_t)made[i]->buf->data;
        }
    if (!err)
        err = run_now(cx, f, s);
    for (int i = 0; i < s->n_out; i++)
        if (err)
            qs_pack_free_constant(made[i]);
        else if (made[i])
            keep_constant(f, s, i, made[i]);
    return err;
}

enum qs_err
qs_lower_constant(struct qs_ctx *cx, struct qs_fast *f, int32_t number)
{
    struct step *s = f->n_step > 0 ? &f->step[f->n_step - 1] : NULL;
    if (!s || s->number != number || s->kind != STEP_FORWARD || !of_constants(f, s))
        return QS_OK;
    const enum qs_err err = found(f, s) ? QS_OK : make_all(cx, f, s);
    f->n_step--;
    return err;
}
