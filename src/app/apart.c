/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "app/app.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "passes/take_apart.h"

static void
mark_layers(const struct qs_static_notes *notes, struct qs_layers *layers)
{
    for (int i = 0; i < layers->n; i++) {
        struct qs_layer *l = &layers->layer[i];
        const int w = qs_static_find_weight(notes, l->var);
        if (w < 0)
            continue;
        l->quantizable = false;
        snprintf(l->reason, sizeof(l->reason), _("already quantized: %d bits"),
                 notes->weight[w].bits);
    }
}

static struct qs_opened *
open_float(const struct qs_opened *o, struct qs_model *m, const struct qs_static_notes *notes)
{
    struct qs_opened *f = qs_xcalloc(1, sizeof(*f));
    f->model = m;
    f->edges = qs_edges_new(m);
    f->layers = qs_layers_new(m, f->edges);
    f->path = qs_xstrdup(o->path);
    f->params = o->params ? qs_xstrdup(o->params) : NULL;
    mark_layers(notes, f->layers);
    return f;
}

enum qs_err
qs_app_take_apart(struct qs_ctx *cx, const struct qs_opened *o, struct qs_apart *out)
{
    *out = (struct qs_apart){0};
    enum qs_err err = qs_app_need_params(cx, o);
    if (err)
        return err;
    struct qs_model *m = qs_model_clone(o->model);
    err = qs_static_take_apart(cx, m, &out->notes);
    if (err || (out->notes.n_act == 0 && out->notes.n_weight == 0))
        qs_model_unref(m);
    else
        out->opened = open_float(o, m, &out->notes);
    if (err)
        qs_static_notes_release(&out->notes);
    return err;
}

void
qs_apart_release(struct qs_apart *a)
{
    qs_app_close(a->opened);
    qs_static_notes_release(&a->notes);
    *a = (struct qs_apart){0};
}
