/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passes: steps from model to model. A pass is one file and one row in passes.inc; a recipe is the
 * list of passes that a method runs, readable in pass.c. Passes are the only code that changes a
 * model after loading.
 */
#ifndef QS_PASSES_PASS_H
#define QS_PASSES_PASS_H

#include "model/layer.h"
#include "model/plan.h"
#include "model/static_notes.h"
#include "passes/decide.h"

/* What one layer became. */
struct qs_outcome {
    double sqnr_db; /* NaN when the layer was left as it was */
    int64_t n_scales;
};

struct qs_pass_state {
    struct qs_model *model;         /* being changed */
    struct qs_model *test;          /* the same with FP32 weights that were rounded; or NULL */
    const struct qs_edges *edges;   /* of the model before the first pass */
    const struct qs_layers *layers; /* the same */
    const struct qs_plan *plan;
    const struct qs_decisions *decisions;
    const double *threshold; /* method static: [n_var] T of activations, NaN where unknown */
    /* method static: weights that were rounded before, n_fitted in the order of the layers; the
     * others are rounded to nearest */
    const struct qs_quant_weight *fitted;
    int n_fitted;
    struct qs_outcome *outcome; /* [layers->n], made by the caller */
    int n_restored;             /* attributes and outputs that lite_legalize put back */
};

struct qs_pass {
    const char *name;
    const char *summary; /* one line, N_() */
    enum qs_err (*run)(struct qs_ctx *cx, struct qs_pass_state *st);
};

/* NULL after the last. */
const struct qs_pass *qs_pass_at(int i);

/* Runs the passes of the plan's method in order. */
enum qs_err qs_run_recipe(struct qs_ctx *cx, struct qs_pass_state *st) QS_MUST_CHECK;

/* Makes integer weights with scales in attributes (method dynamic) FP32 again, as Paddle-Lite does
 * when it loads them: q * scale in float. `layers` are those of the model; returns how many there
 * were in *n. */
enum qs_err qs_dequant_weights(struct qs_ctx *cx, struct qs_model *m,
                               const struct qs_layers *layers, int *n) QS_MUST_CHECK;

/* Puts back what Paddle 2.6 leaves out and Paddle-Lite insists on; returns how many things. */
int qs_lite_legalize(struct qs_model *m);

#endif
