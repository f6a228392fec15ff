/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plan means for each layer of a model: decided without touching the weights, so that the
 * workbench can show totals in the same frame as a choice.
 */
#ifndef QS_PASSES_DECIDE_H
#define QS_PASSES_DECIDE_H

#include "model/layer.h"
#include "model/plan.h"

enum qs_action {
    QS_ACTION_KEEP,     /* not chosen or not possible; `reason` says why */
    QS_ACTION_SKIP,     /* a rule of the user */
    QS_ACTION_INTEGER,  /* stored as int8 or int16 with scales as attributes (Paddle-Lite reads
                           it); method static: computed in integers, what is stored depends on the
                           format */
    QS_ACTION_SIMULATE, /* rounded, stored as FP32: no target loads its integers */
};
/* "kept", "skipped", "int8" or "int16" (by the type of q), "simulated". */
const char *qs_action_name(enum qs_action action, int bits);

struct qs_decision {
    enum qs_action action;
    int bits;                          /* 0 when kept or skipped */
    int axis;                          /* of the scales; -1: one scale */
    int64_t n_scales;                  /* 0 when kept or skipped */
    bool to_mul;                       /* its matmul_v2 is rewritten to mul first */
    int64_t bytes_before, bytes_after; /* payload of the weight */
    int64_t scale_bytes;               /* what scales and attributes add to the program */
    int64_t param_bytes;               /* what they add to the parameters (method static), less what
                                          the activations need */
    int algo;         /* of its activation: enum qs_algo; -1: not static, or a threshold by hand */
    double threshold; /* by hand; 0: none */
    char reason[160];
};

struct qs_decisions {
    struct qs_decision *layer; /* [layers->n] */
    int n;
    int *rule_matches; /* [plan->layer.n] weights each rule matched */
    int64_t params_before, params_after, program_added; /* bytes of the whole files; of the program
                                                            about */
    int n_integer, n_simulated;
    /* Method static. Nodes of block 0 that are quantized, rising; those without a weight are only
     * here. */
    int32_t *node;
    int n_node;
};

/* The activations that a quantized node of method static reads rounded: writes up to `most`,
 * returns how many. */
int qs_rounded_inputs(const struct qs_model *m, const struct qs_node *node, int32_t *var, int most);
/* Whether the variable is a tensor of floats that the program computes. */
bool qs_is_activation(const struct qs_model *m, int32_t var);

/* The operator types a plan chooses: its own list or that of its method; NULL: all that have
 * weights. */
const char *qs_plan_op_types(const struct qs_plan *plan);

/* QS_ERR_USAGE: a rule that matches nothing, a plan that contradicts itself. */
enum qs_err qs_decide(struct qs_ctx *cx, const struct qs_model *m, const struct qs_edges *e,
                      const struct qs_layers *l, const struct qs_plan *plan,
                      struct qs_decisions **out) QS_MUST_CHECK;
void qs_decisions_free(struct qs_decisions *d);

#endif
