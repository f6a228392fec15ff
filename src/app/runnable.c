/* SPDX-License-Identifier: Apache-2.0 */
#include "app/app.h"
#include "passes/pass.h"

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
