/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast engine: a model lowered, for inputs of given shapes, into fused steps on images in
 * blocked layout (kernels/conv.h). What it does not know runs through the operator's forward
 * function on plain tensors, as in the exact engine (exec.h).
 *
 * Results equal the exact engine's up to rounding (about 1e-6 relative): convolutions sum in
 * float32, batch norms are folded into weights.
 *
 * One run at a time. The model must live as long as the engine.
 */
#ifndef QS_ENGINE_FAST_H
#define QS_ENGINE_FAST_H

#include "engine/exec.h"
#include "model/static_notes.h"

struct qs_fast;

/* Packed weights of a model, shared by plans for other shapes and plans of other threads. */
struct qs_packs;
struct qs_packs *qs_packs_new(void);
struct qs_packs *qs_packs_ref(struct qs_packs *p);
void qs_packs_unref(struct qs_packs *p); /* NULL is fine */

/* What plans share that never run at the same time: memory of tensors, threads. It outlives them.
 * Outputs of a plan are valid until another plan of the room runs or is made. */
struct qs_room;
struct qs_room *qs_room_new(int threads);
void qs_room_free(struct qs_room *r); /* NULL is fine */
int64_t qs_room_bytes(const struct qs_room *r);

struct qs_fast_options {
    struct qs_packs *packs; /* NULL: its own */
    struct qs_room *room;   /* NULL: its own */
    const bool *keep; /* [n_var] variables that a watch wants to see: they are made and nothing is
                         fused across them. NULL: none. Copied. */
    const struct qs_static_notes *notes; /* of the model, which is the float graph: what is rounded
                         is, and layers whose weights and inputs have at most 8 bits compute in
                         integers. NULL: all in floats. Its weights must live as long as the engine.
                         */
    bool whole_blocks; /* values have room for blocks of 16 channels, as steps on integers write
                          and read; so it is under notes */
    int32_t *refused;  /* set when a plan cannot be made: the node of block 0 that is why
                          (QS_ERR_UNSUPPORTED); -1: no one node. NULL */
};

/* Plans for inputs with the types and dims of in[n] (in the order of qs_model_inputs; data are
 * not read) and cx->threads threads (those of the room, when one is given). `opt` may be NULL.
 * QS_ERR_UNSUPPORTED when the program has shapes that depend on data, blocks that run
 * conditionally, or operators without an implementation. */
enum qs_err qs_fast_new(struct qs_ctx *cx, const struct qs_model *m, const struct qs_value *in,
                        int n, const struct qs_fast_options *opt,
                        struct qs_fast **out) QS_MUST_CHECK;
void qs_fast_free(struct qs_fast *f);

/* Takes the thresholds of activations that the notes have now; those it was planned with, or notes
 * with the same activations. Nothing else in them may have changed. */
void qs_fast_retune(struct qs_fast *f, const struct qs_static_notes *notes);

/* Runs on in[n], whose types and dims must be those planned for; data are borrowed for the call.
 * `watch` (may be NULL) sees the kept variables in program order, dense, among them inputs of the
 * model (outputs of their feed nodes). */
enum qs_err qs_fast_run(struct qs_ctx *cx, struct qs_fast *f, const struct qs_value *in, int n,
                        const struct qs_watch *watch) QS_MUST_CHECK;
/* The node because of which the last run was QS_ERR_UNSUPPORTED; -1. */
int32_t qs_fast_refused(const struct qs_fast *f);
/* Outputs of the last run in the order of qs_model_outputs; valid until the next run. */
int qs_fast_n_out(const struct qs_fast *f);
const struct qs_value *qs_fast_out(const struct qs_fast *f, int i);

/* Steps in order, with the time of the last run. */
struct qs_fast_step {
    const char *op_type; /* of the operator it begins with; "layout" for a conversion, "round" for
                            a rounding that no operator took in */
    const char *name;    /* of the variable it makes */
    const char *how;     /* kind of step; "forward" for what is not lowered */
    bool integer;        /* it multiplies integers */
    double seconds;
};
int qs_fast_n_steps(const struct qs_fast *f);
struct qs_fast_step qs_fast_step(const struct qs_fast *f, int i);

const char *qs_fast_isa(const struct qs_fast *f);      /* of the integers, if there are any */
int64_t qs_fast_param_bytes(const struct qs_fast *f);  /* packed weights */
int64_t qs_fast_tensor_bytes(const struct qs_fast *f); /* all tensors of a run in their memory */
/* The largest live set of activations: what operators make (those merged into one counted as one)
 * and inputs, dense, that are read at once or later. */
int64_t qs_fast_live_bytes(const struct qs_fast *f);

#endif
