/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The open model as views see it: rows of operators, what is known about each layer so far, and
 * what the plan makes of it. Only the UI thread uses it; jobs hold the qs_opened inside.
 */
#ifndef UI_MODEL_H
#define UI_MODEL_H

#include "app/app.h"
#include "ui/scales.h"
#include "ui/seen.h"

struct ui_op {
    int32_t block, node;
    int layer;  /* the weight that counts, index into layers; -1: it has none */
    int number; /* 1, 2, ... in execution order */
};

enum { UI_MOST_BITS = 16, UI_MOST_TARGETS = 8 };

struct ui_sqnr { /* of every layer at some bits */
    double *per_tensor, *per_channel;
    bool asked, ready;
};

struct ui_verdict { /* what one target says about the plan */
    const char *name;
    bool accepted;
    int n_integer, n_simulated;
    int64_t params_after;
    char why[256];
};

struct ui_model {
    int refs;
    struct qs_opened *opened;
    char *name;       /* short, for the header */
    struct ui_op *op; /* a sub-block stands behind the operator that runs it */
    int n_ops;
    int **op_of;       /* [n_block][n_node]: where a node stands in op */
    int *layer_of_var; /* [n_var], -1: none */
    bool *have_stats;  /* [layers->n]: layer[i].stats may be read */
    int n_stats;
    bool stats_ended;
    double absmax; /* largest |w| of the layers that count so far */
    struct ui_sqnr sqnr[UI_MOST_BITS + 1];
    struct ui_calibration *calibration; /* what was last seen of its activations; NULL: nothing */
    bool seen_asked;                    /* a job has looked for that */
    int activation_bits;                /* of the plan */
    struct qs_quant_info quant;         /* an earlier quantization */
    struct ui_scales *scales;           /* of it; NULL: not known yet */
    /* what the plan means; NULL when it cannot be carried out, then why says so */
    struct qs_decisions *decisions;
    char why[512];
    struct ui_verdict verdict[UI_MOST_TARGETS];
    int n_verdicts;
};

/* Takes `o` over. */
struct ui_model *ui_model_new(struct qs_opened *o);
struct ui_model *ui_model_ref(struct ui_model *m);
void ui_model_unref(struct ui_model *m);

/* Decides anew, for the plan and for each target in its place. */
void ui_model_decide(struct ui_model *m, const struct qs_plan *plan);

const struct qs_node *ui_model_node(const struct ui_model *m, int op);
int ui_model_op_at(const struct ui_model *m, struct qs_ref ref); /* -1: none */
const char *ui_layer_name(const struct ui_model *m, int layer);
/* The first layer of that name; -1: none. */
int ui_model_find_layer(const struct ui_model *m, const char *name);
/* Its operator; -1: none. */
int ui_layer_op(const struct ui_model *m, int layer);
const struct qs_layer_stats *ui_layer_stats(const struct ui_model *m,
                                            int layer); /* NULL: not yet */
const struct qs_decision *ui_layer_decision(const struct ui_model *m, int layer); /* NULL: none */
/* What the plan makes of a layer: "8", "~4" rounded but stored as FP32, "skip", "fp" left as it is,
 * "no" cannot be; "=8" has integers of that width already. */
void ui_add_decision(struct qs_str *out, const struct ui_model *m, int layer);
/* In dB at the decided bits; NaN: does not apply or not known yet. */
double ui_layer_sqnr(const struct ui_model *m, int layer);
/* The same for what the layer computes: the noise of its weight and, where a plan rounds it and it
 * was seen, that of its activation. */
double ui_layer_output_sqnr(const struct ui_model *m, int layer);

/* What was seen of the first activation that an operator reads, else of the first it makes; NULL:
 * nothing. */
const struct ui_seen *ui_op_seen(const struct ui_model *m, int op);
/* The calibrator (-1: none, by hand) and the threshold of that activation as decided for a layer;
 * where nothing is decided, what the calibration took. NaN: none. */
int ui_layer_algo(const struct ui_model *m, int layer, const struct ui_seen *s);
double ui_layer_threshold(const struct ui_model *m, int layer, const struct ui_seen *s);
/* Takes `c` over. */
void ui_model_calibrated(struct ui_model *m, struct ui_calibration *c);

/* The plan with what was changed before and taken back. */
struct ui_plan {
    struct qs_plan now;
    struct qs_plan *undo, *redo;
    int n_undo, n_redo;
};
void ui_plan_init(struct ui_plan *p);
void ui_plan_release(struct ui_plan *p);
/* Before a change: keeps what was. */
void ui_plan_keep(struct ui_plan *p);
bool ui_plan_undo(struct ui_plan *p);
bool ui_plan_redo(struct ui_plan *p);
/* Drops what ui_plan_keep kept last, when the change did not come about. */
void ui_plan_forget(struct ui_plan *p);

/* Rules for one weight by its exact name. */
char *ui_rule_pattern(const char *weight); /* name with wildcards escaped; malloc */
/* Drops the rules of the kind of `what`: of the weight, of its activation; NULL: all. True: there
 * were some. */
bool ui_plan_drop_rules(struct qs_plan *plan, const char *pattern, const char *what);
/* In place of the rule of this kind that there was. */
void ui_plan_add_rule(struct qs_plan *plan, const char *pattern, const char *what);
bool ui_plan_has_rule(const struct qs_plan *plan, const char *pattern, const char *what);
void ui_plan_drop_rule_at(struct qs_plan *plan, int i);
void ui_plan_toggle_op(struct qs_plan *plan, const char *type);

#endif
