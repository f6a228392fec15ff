/* SPDX-License-Identifier: Apache-2.0 */
#include "passes/take_apart.h"

#include <stdlib.h>

#include "base/mem.h"
#include "passes/take_parts.h"

static enum qs_err (*const forms[])(struct qs_take *) = {
#define ROW(name) qs_take_##name,
#include "passes/take.inc"
#undef ROW
};

enum qs_err
qs_static_take_apart(struct qs_ctx *cx, struct qs_model *m, struct qs_static_notes *out)
{
    struct qs_take g = {.cx = cx, .m = m, .out = out};
    enum qs_err err = QS_OK;
    *out = (struct qs_static_notes){0};
    if (m->n_block == 0)
        return QS_OK;
    g.weight_of = qs_xmalloc(((size_t)m->n_var + 1) * sizeof(*g.weight_of));
    for (int v = 0; v < m->n_var; v++)
        g.weight_of[v] = -1;
    for (size_t i = 0; i < QS_LEN(forms) && !err && out->n_weight == 0 && out->n_act == 0; i++)
        err = forms[i](&g);
    free(g.weight_of);
    return err;
}
