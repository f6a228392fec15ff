/* SPDX-License-Identifier: Apache-2.0 */
/* The form in which an engine runs a model. */
#ifndef QS_APP_RUNNABLE_H
#define QS_APP_RUNNABLE_H

#include "app/app.h"
#include "engine/engine.h"
#include "model/static_notes.h"

struct qs_runnable {
    struct qs_model *model;       /* shares all it can with the model that was opened */
    struct qs_static_notes notes; /* QS_PRECISION_INT8: what is rounded and in integers */
    bool integer;
};

/* QS_PRECISION_FP32: as qs_app_runnable gives it. QS_PRECISION_INT8: the float graph and its notes;
 * QS_ERR_USAGE when nothing is quantized. Released by the caller in any case. */
enum qs_err qs_runnable_init(struct qs_ctx *cx, struct qs_runnable *out, const struct qs_opened *o,
                             int precision) QS_MUST_CHECK;
void qs_runnable_release(struct qs_runnable *r);
/* An engine for it; `how` but for the notes. `r` must live as long. */
enum qs_err qs_runnable_engine(struct qs_ctx *cx, const struct qs_runnable *r,
                               const struct qs_engine_options *how,
                               struct qs_engine **out) QS_MUST_CHECK;

#endif
