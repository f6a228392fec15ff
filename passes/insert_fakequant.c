/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/i18n.h"
#include "model/calib.h"
#include "passes/plan_notes.h"
#include "passes/put.h"

static enum qs_err
run(struct qs_ctx *cx, struct qs_pass_state *st)
{
    char kind[32];
    const struct qs_put_options opt = {.observers = qs_plan_observes(st->plan),
                                       .paddle = st->plan->compat == QS_COMPAT_PADDLE,
                                       .kind = kind};
    struct qs_static_notes notes;
    if (qs_plan_format(st->plan) != QS_FORMAT_FAKEQUANT)
        return QS_OK;
    snprintf(kind, sizeof(kind), "post_%s", qs_algo_names[st->plan->algo]);
    enum qs_err err = qs_plan_notes(cx, st, &notes);
    if (!err)
        err = qs_put_fakequant(cx, st->model, &notes, &opt);
    qs_static_notes_release(&notes);
    return err;
}

const struct qs_pass qs_pass_insert_fakequant = {
    .name = "insert_fakequant",
    .summary = N_("quantize by method static and insert fake_quantize and fake_dequantize"),
    .run = run,
};
