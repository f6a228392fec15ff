/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exact engine: runs a model node by node in program order, in float32 with Paddle's formulas.
 *
 * For each node: the shape rule on what the inputs are now, tensors for the outputs, the
 * operator's forward function (step.h). A tensor goes back to a pool after its last use, so memory
 * stays near parameters + the largest set of tensors alive at once. Results do not depend on
 * cx->threads.
 *
 * One run at a time per executor; the model must stay as it is while the executor lives.
 */
#ifndef QS_ENGINE_EXEC_H
#define QS_ENGINE_EXEC_H

#include "model/step.h"

struct qs_exec;

/* Prepares: QS_ERR_UNSUPPORTED names every operator type that can not run; parameters are copied
 * to aligned memory. */
enum qs_err qs_exec_new(struct qs_ctx *cx, const struct qs_model *m,
                        struct qs_exec **out) QS_MUST_CHECK;
void qs_exec_free(struct qs_exec *e);

/* Sees the outputs of every node of block 0 as they are made; the value is borrowed for the call.
 * An error ends the run. */
struct qs_watch {
    enum qs_err (*made)(struct qs_ctx *cx, void *arg, int32_t node, int32_t var,
                        const struct qs_value *v);
    void *arg;
};

/* Runs on in[n], values in the order of qs_model_inputs whose data are borrowed until the run
 * ends. `watch` may be NULL. */
enum qs_err qs_exec_run(struct qs_ctx *cx, struct qs_exec *e, const struct qs_value *in, int n,
                        const struct qs_watch *watch) QS_MUST_CHECK;
/* Outputs of the last run, in the order of qs_model_outputs; valid until the next run. data NULL:
 * the program never made it. */
int qs_exec_n_out(const struct qs_exec *e);
const struct qs_value *qs_exec_out(const struct qs_exec *e, int i);

/* Most bytes of tensors (without parameters) that were alive at once. */
int64_t qs_exec_peak_bytes(const struct qs_exec *e);
int64_t qs_exec_param_bytes(const struct qs_exec *e);

#endif
