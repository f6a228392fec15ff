/* SPDX-License-Identifier: Apache-2.0 */
#include "base/i18n.h"
#include "passes/plan_notes.h"
#include "passes/put.h"

static enum qs_err
run(struct qs_ctx *cx, struct qs_pass_state *st)
{
    const struct qs_put_options opt = {.observers = qs_plan_observes(st->plan),
                                       .paddle = st->plan->compat == QS_COMPAT_PADDLE};
    struct qs_static_notes notes;
    if (qs_plan_format(st->plan) != QS_FORMAT_QDQ)
        return QS_OK;
    enum qs_err err = qs_plan_notes(cx, st, &notes);
    if (!err)
        err = qs_put_qdq(cx, st->model, &notes, &opt);
    qs_static_notes_release(&notes);
    return err;
}

const struct qs_pass qs_pass_insert_qdq = {
    .name = "insert_qdq",
    .summary = N_("quantize by method static and insert quantize_linear and dequantize_linear"),
    .run = run,
};
