/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Experiments in the middle of a fast plan: layers (convolutions, products and recurrences with a
 * constant weight) can be switched between variants, that is other weights and a rounded input, and
 * a run can be continued from any layer with the tensors of another run. So the part before a layer
 * is computed once for all that is tried with the layer.
 *
 *     qs_probe_new      plan with every layer's input kept apart, all variants packed
 *     qs_probe_begin    inputs; stands before the first layer
 *     qs_probe_step     runs on to just before layer i (in order of execution)
 *     qs_probe_save     the tensors alive here; qs_probe_load puts them back
 *     qs_probe_finish   runs to the end; outputs are there
 *
 * Which variant a layer runs in is state of the probe (qs_probe_set), whatever ran before.
 * Of a model that the fast engine does not run to its end (cut.h) the exact engine runs the rest,
 * whenever the probe is run to the end; all layers must lie before it.
 *
 * The model must live as long as the probe. A probe uses one thread; threads that work side by side
 * take one each (qs_probe_share), which shares model and packed weights. Results do not depend on
 * how many there are.
 */
#ifndef QS_ENGINE_PROBE_H
#define QS_ENGINE_PROBE_H

#include "engine/fast.h"

/* The layer as it is with something rounded. Variant 0 of every layer is the untouched one. */
struct qs_probe_variant {
    const float *weight; /* values of the weight in its own layout; NULL: untouched. Borrowed until
                            qs_probe_new returns. Variants of a layer that give the same pointer
                            share what is packed */
    float threshold;     /* of the input: x becomes clamp(round(x / T * R), -R - 1, R) * T / R with
                            R = 2^(bits-1) - 1 (quantize_linear, spec of Paddle); 0: untouched */
    int bits;            /* of the input, 2 to 16 */
    /* With a weight, a threshold and at most 8 bits: the same weight in integers, so that the layer
     * multiplies integers as the fast engine does under notes; where that has no form of it, in
     * floats. NULL: in floats. Borrowed until qs_probe_new returns. */
    const struct qs_quant_weight *integers;
};
struct qs_probe_layer {
    int32_t node;  /* of block 0 */
    int32_t var;   /* the weight */
    int32_t input; /* the activation that it reads */
    int n_variant;
    const struct qs_probe_variant *variant; /* [n_variant]: variants 1 .. n_variant */
};

struct qs_probe;

/* in[n]: types and dims of the inputs. Layers in order of their nodes; several of one node are
 * different weights of it. Variants are packed by cx->threads. QS_ERR_UNSUPPORTED: the fast engine
 * cannot run the model, or some layer is not one it can switch (named). */
enum qs_err qs_probe_new(struct qs_ctx *cx, const struct qs_model *m, const struct qs_value *in,
                         int n, const struct qs_probe_layer *layer, int n_layer,
                         struct qs_probe **out) QS_MUST_CHECK;
/* Another with its own tensors and state on the same packed weights, for another thread; all its
 * layers untouched. Nothing may run in p meanwhile. */
enum qs_err qs_probe_share(struct qs_ctx *cx, const struct qs_probe *p,
                           struct qs_probe **out) QS_MUST_CHECK;
void qs_probe_free(struct qs_probe *p); /* shares may be freed in any order; NULL is fine */

void qs_probe_set(struct qs_probe *p, int layer, int variant);
/* in[n] are borrowed until the next call. */
enum qs_err qs_probe_begin(struct qs_ctx *cx, struct qs_probe *p, const struct qs_value *in,
                           int n) QS_MUST_CHECK;
/* Runs to just before layer i; does nothing when it stands there. */
enum qs_err qs_probe_step(struct qs_ctx *cx, struct qs_probe *p, int layer) QS_MUST_CHECK;
/* Runs layer i alone (the step that holds it) and gives what it makes, dense, until the next call:
 * the variable is the layer's output, or a later one when what follows is fused into it. */
enum qs_err qs_probe_layer_out(struct qs_ctx *cx, struct qs_probe *p, int layer,
                               const struct qs_value **out) QS_MUST_CHECK;
/* The first of the layers that run in the same step as this one: recurrences have several weights.
 * They share an input, which is rounded as the first of them that rounds says. */
int qs_probe_first(const struct qs_probe *p, int layer);
enum qs_err qs_probe_finish(struct qs_ctx *cx, struct qs_probe *p) QS_MUST_CHECK;
int qs_probe_n_out(const struct qs_probe *p);
const struct qs_value *qs_probe_out(const struct qs_probe *p, int i); /* after qs_probe_finish */

/* Where the probe stands, as one block of memory. A saved state can be loaded into any probe of
 * the family that began with the same inputs, with the layers switched as they please. */
int64_t qs_probe_state_bytes(const struct qs_probe *p, int layer); /* just before that layer */
void qs_probe_save(const struct qs_probe *p, void *state);
void qs_probe_load(struct qs_probe *p, int layer, const void *state);

int64_t qs_probe_param_bytes(const struct qs_probe *p);  /* packed weights, all variants */
int64_t qs_probe_tensor_bytes(const struct qs_probe *p); /* of one probe of the family; with
                                                            what the rest has of its own */

#endif
