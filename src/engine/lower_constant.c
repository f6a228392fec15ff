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

/* ---- integers ---- */

/* Nodes whose sums can take scales. */
static bool
takes_scales(const struct qs_node *node, const char *slot)
{
    const char *const filter[] = {"conv2d", "depthwise_conv2d", "conv2d_transpose"};
    const char *const second[] = {"mul", "matmul", "matmul_v2"};
    for (size_t i = 0; i < QS_LEN(filter); i++)
        if ((strcmp(node->type, filter[i]) == 0 && strcmp(slot, "Filter") == 0) ||
            (strcmp(node->type, second[i]) == 0 && strcmp(slot, "Y") == 0))
            return true;
    return false;
}

static bool
only_sums_read(const struct qs_fast *f, int32_t var)
{
    const struct qs_block *b = &f->m->block[0];
    for (int32_t i = 0; i < b->n_node; i++)
        for (int k = 0; k < b->node[i].n_in; k++)
            for (int j = 0; j < b->node[i].in[k].n; j++)
                if (b->node[i].in[k].var[j] == var &&
                    !takes_scales(&b->node[i], b->node[i].in[k].name))
                    return false;
    return true;
}

static void
integers_to_floats(const struct qs_tensor *t, struct qs_tensor *out)
{
    const uint8_t *from = t->buf->data + t->offset;
    float *to = (float *)(void *)out->buf->data;
    if (t->dtype == QS_DTYPE_float32) {
        memcpy(to, from, (size_t)t->n * sizeof(*to));
        return;
    }
    for (int64_t i = 0; i < t->n; i++)
        to[i] = (float)(int8_t)from[i];
}

/* The result is what X holds, as floats, with the scales noted; false: not such a case. */
static bool
keeps_integers(struct qs_fast *f, const struct step *s, int x, int scale)
{
    const int64_t bits = qs_attr_int(s->node, "bit_length", 8);
    const int64_t axis = qs_attr_int(s->node, "quant_axis", 0);
    if (strcmp(s->node->type, "dequantize_linear") != 0 || s->n_out != 1 || s->out[0] < 0 ||
        f->probe || bits < 2 || bits > 8 || x < 0 || !is_param(f, scale) ||
        qs_attr_int(s->node, "only_observer", 0))
        return false;
    const struct value *v = &f->value[x], *y = &f->value[s->out[0]];
    const bool seen = f->keep && f->keep[y->var];
    const bool type = v->dtype == QS_DTYPE_int8 || v->dtype == QS_DTYPE_float32;
    const bool whole = v->param->bytes >= (size_t)v->count * (size_t)qs_dtype_bytes(v->dtype) &&
                       v->count == y->count;
    const int64_t n = f->value[scale].count;
    return !seen && type && whole && (n == 1 || (axis >= 0 && axis < v->n && v->d[axis] == n)) &&
           only_sums_read(f, y->var);
}

static enum qs_err
note_integers(struct qs_ctx *cx, struct qs_fast *f, const struct step *s, int x, int scale)
{
    const struct qs_pack_key key = key_of(f, s, 0);
    struct value *y = &f->value[s->out[0]];
    const struct qs_pack *pack = qs_packs_find(f->packs, &key);
    struct qs_tensor *made = NULL;
    if (!pack) {
        const enum qs_err err = make_constant(cx, y, &made);
        if (err)
            return err;
        integers_to_floats(f->value[x].param, made);
        keep_constant(f, s, 0, made);
    } else {
        hold(y, pack);
    }
    y->integers = true;
    y->scales = scale;
    y->axis = (int)qs_attr_int(s->node, "quant_axis", 0);
    y->range = (double)((1 << (qs_attr_int(s->node, "bit_length", 8) - 1)) - 1);
    return QS_OK;
}

/* The weight with its scales: a value of its own. */
static enum qs_err
with_scales(struct qs_ctx *cx, struct qs_fast *f, int w, int32_t number, int *out)
{
    const struct qs_pack_key key = {
        .weight = f->value[w].param, .form = -3, .oc = number, .ic = f->value[w].axis};
    const int id = qs_lower_value(f);
    struct value *v = &f->value[id];
    const struct value *from = &f->value[w], *scale = &f->value[from->scales];
    struct qs_tensor *made = NULL;
    *v = *from;
    v->scales = -1;
    v->integers = false;
    const enum qs_err err = make_constant(cx, v, &made);
    if (err)
        return err;
    const float *q = (const float *)(const void *)from->param->buf->data;
    float *to = (float *)(void *)made->buf->data;
    int64_t inner = 1;
    for (int i = from->axis + 1; i < from->n; i++)
        inner *= from->d[i];
    for (int64_t i = 0; i < from->count; i++) {
        const int64_t c = scale->count == 1 ? 0 : i / inner % scale->count;
        to[i] = q[i] * (float)qs_lower_param(scale, c) / (float)from->range;
    }
    const struct qs_pack pack = {.floats = made->n, .constant = made};
    hold(v, qs_packs_add(f->packs, &key, pack));
    f->param_floats += made->n;
    *out = id;
    return QS_OK;
}

static bool
sums_take_scales(const struct qs_fast *f, struct step *s)
{
    const struct value *w = &f->value[s->w], *scale = &f->value[w->scales];
    if (!qs_round_scales_fit(s, scale->count, w->axis))
        return false;
    for (int64_t i = 0; i < s->oc; i++)
        s->scale[i] *= qs_lower_param(scale, scale->count == 1 ? 0 : i) / w->range;
    return true;
}

enum qs_err
qs_lower_settle(struct qs_ctx *cx, struct qs_fast *f, int32_t number)
{
    const int last = f->n_step - 1;
    enum qs_err err = QS_OK;
    if (last < 0 || f->step[last].number != number)
        return QS_OK;
    struct step *s = &f->step[last];
    if (s->w >= 0 && f->value[s->w].scales >= 0 && !sums_take_scales(f, s))
        err = with_scales(cx, f, s->w, number, &s->w);
    for (int i = 0; i < s->n_in && !err; i++)
        if (s->in[i] >= 0 && f->value[s->in[i]].scales >= 0)
            err = with_scales(cx, f, s->in[i], number, &s->in[i]);
    return err;
}

/* ---- entry ---- */

enum qs_err
qs_lower_constant(struct qs_ctx *cx, struct qs_fast *f, int32_t number)
{
    struct step *s = f->n_step > 0 ? &f->step[f->n_step - 1] : NULL;
    if (!s || s->number != number || s->kind != STEP_FORWARD || !of_constants(f, s))
        return QS_OK;
    const int x = qs_lower_input(f, s->node, "X");
    const int scale = qs_lower_input(f, s->node, "Scale");
    enum qs_err err = QS_OK;
    if (keeps_integers(f, s, x, scale))
        err = note_integers(cx, f, s, x, scale);
    else if (!found(f, s))
        err = make_all(cx, f, s);
    f->n_step--;
    return err;
}
