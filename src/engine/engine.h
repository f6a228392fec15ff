/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One face for both engines: runs a model on inputs of any shapes. The fast engine (fast.h) is
 * planned once for each set of input shapes, and a few plans are kept. A node that it cannot run
 * is left to the exact engine (exec.h) with all that depends on it, from then on (cut.h): that
 * runs after the fast one, on what it made. Nothing multiplies in what remains, or inputs have
 * rows: then the exact engine runs the whole model. Any of this may show in the middle of a run
 * (a shape that depends on the data after all), which then starts again; a watch sees nothing
 * twice.
 *
 * One run at a time. The model must stay as it is while the engine lives.
 */
#ifndef QS_ENGINE_ENGINE_H
#define QS_ENGINE_ENGINE_H

#include "engine/exec.h"
#include "engine/fast.h"

struct qs_engine;

struct qs_engine_options {
    bool exact;                          /* never the fast engine */
    const struct qs_static_notes *notes; /* of the model, a float graph (fast.h): what is rounded,
                         and in integers; NULL: all in FP32. They must live as long as the engine.
                         The exact one does not know them: QS_ERR_UNSUPPORTED when something noted
                         would be left to it. */
    const struct qs_engine *like; /* of the same model: packed weights are shared with it, whatever
                                     lives longer. Each may run in a thread of its own. NULL */
    const bool *keep; /* [n_var] variables that a watch wants to see, inputs of the model among
                         them. Copied. NULL: the exact engine shows what every node makes, the fast
                         one nothing. */
};

/* QS_ERR_UNSUPPORTED names every operator type that can not run. */
enum qs_err qs_engine_new(struct qs_ctx *cx, const struct qs_model *m,
                          const struct qs_engine_options *opt,
                          struct qs_engine **out) QS_MUST_CHECK;
void qs_engine_free(struct qs_engine *e); /* NULL is fine */
/* Takes the thresholds of activations that its notes have now; nothing else in them may have
 * changed. Weights stay as they are packed. Runs give what those of a new engine would. */
void qs_engine_retune(struct qs_engine *e);

/* Runs on in[n] in the order of qs_model_inputs; data are borrowed for the call. `watch` (may be
 * NULL) sees the kept variables as they are made, as dense tensors: in the order of the program,
 * but those of the rest of a model in two after all others. */
enum qs_err qs_engine_run(struct qs_ctx *cx, struct qs_engine *e, const struct qs_value *in, int n,
                          const struct qs_watch *watch) QS_MUST_CHECK;
/* Outputs of the last run, in the order of qs_model_outputs; valid until the next run. */
int qs_engine_n_out(const struct qs_engine *e);
const struct qs_value *qs_engine_out(const struct qs_engine *e, int i);

/* "fast", "exact" or "mixed" (the fast one, then the exact one for the rest), of the last run; ""
 * before the first. */
const char *qs_engine_kind(const struct qs_engine *e);
/* The plan of the last run, of the first part when it was mixed; NULL: exact. */
const struct qs_fast *qs_engine_fast(const struct qs_engine *e);
int64_t qs_engine_param_bytes(const struct qs_engine *e);
int64_t qs_engine_peak_bytes(const struct qs_engine *e); /* of tensors */
/* The largest live set of activations (qs_fast_live_bytes); of the exact engine, its tensors. */
int64_t qs_engine_live_bytes(const struct qs_engine *e);

#endif
