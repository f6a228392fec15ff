/* SPDX-License-Identifier: Apache-2.0 */
#include "passes/pass.h"

#include "base/i18n.h"

#define ROW(name) extern const struct qs_pass qs_pass_##name;
#include "passes/passes.inc"
#undef ROW

static const struct qs_pass *const all[] = {
#define ROW(name) &qs_pass_##name,
#include "passes/passes.inc"
#undef ROW
    NULL,
};

const struct qs_pass *
qs_pass_at(int i)
{
    return all[i];
}

/* Both methods so far change weights only; where they differ is decided layer by layer. */
static const struct qs_pass *const recipe[] = {
    &qs_pass_lite_legalize,
    &qs_pass_matmul_to_mul,
    &qs_pass_quant_weights,
    NULL,
};

enum qs_err
qs_run_recipe(struct qs_ctx *cx, struct qs_pass_state *st)
{
    for (int i = 0; recipe[i]; i++) {
        const enum qs_err err = recipe[i]->run(cx, st);
        if (err)
            return err;
    }
    return QS_OK;
}
