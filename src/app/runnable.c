/* SPDX-License-Identifier: Apache-2.0 */
#include "app/runnable.h"

#include "base/i18n.h"
#include "passes/pass.h"
#include "passes/take_apart.h"

const char *const qs_precision_names[] = {"fp32", "int8", NULL};

static enum qs_err
take_apart(struct qs_ctx *cx, const struct qs_opened *o, struct qs_runnable *out)
{
    const enum qs_err err = qs_static_take_apart(cx, out->model, &out->notes);
    if (!err && out->notes.n_weight == 0)
        return qs_fail(cx, QS_ERR_USAGE,
                       _("'%s' has no quantized layers that could run in integers"), o->path);
    return err;
}

enum qs_err
qs_app_runnable(struct qs_ctx *cx, const struct qs_opened *o, struct qs_model **out)
{
    int n = 0;
    *out = NULL;
    enum qs_err err = qs_app_need_params(cx, o);
    if (err)
        return err;
    struct qs_model *m = qs_model_clone(o->model);
    err = qs_dequant_weights(cx, m, o->layers, &n);
    if (err)
        qs_model_unref(m);
    else
        *out = m;
    return err;
}

enum qs_err
qs_runnable_init(struct qs_ctx *cx, struct qs_runnable *out, const struct qs_opened *o,
                 int precision)
{
    *out = (struct qs_runnable){.integer = precision == QS_PRECISION_INT8};
    const enum qs_err err = qs_app_need_params(cx, o);
    if (err || !out->integer)
        return err ? err : qs_app_runnable(cx, o, &out->model);
    out->model = qs_model_clone(o->model);
    return take_apart(cx, o, out);
}

void
qs_runnable_release(struct qs_runnable *r)
{
    qs_static_notes_release(&r->notes);
    qs_model_unref(r->model);
    *r = (struct qs_runnable){0};
}

enum qs_err
qs_runnable_engine(struct qs_ctx *cx, const struct qs_runnable *r,
                   const struct qs_engine_options *how, struct qs_engine **out)
{
    struct qs_engine_options opt = *how;
    opt.notes = r->integer ? &r->notes : NULL;
    return qs_engine_new(cx, r->model, &opt, out);
}
