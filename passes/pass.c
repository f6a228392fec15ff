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

/* Methods that change weights only differ in what is decided for each. */
static const struct qs_pass *const weights[] = {
    &qs_pass_lite_legalize,
    &qs_pass_matmul_to_mul,
    &qs_pass_quant_weights,
    NULL,
};
/* The inserting pass that is not of the plan's format does nothing. */
static const struct qs_pass *const with_activations[] = {
    &qs_pass_lite_legalize,
    &qs_pass_insert_qdq,
    &qs_pass_insert_fakequant,
    NULL,
};

enum qs_err
qs_run_recipe(struct qs_ctx *cx, struct qs_pass_state *st)
{
    const struct qs_pass *const *recipe =
        st->plan->method == QS_METHOD_STATIC ? with_activations : weights;
    for (int i = 0; recipe[i]; i++) {
        const enum qs_err err = recipe[i]->run(cx, st);
        if (err)
            return err;
    }
    return QS_OK;
}
