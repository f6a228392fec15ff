/* SPDX-License-Identifier: Apache-2.0 */
/* What both writers of put.h share: the new list of nodes, variables and scales by name. */
#ifndef QS_PASSES_PUT_PARTS_H
#define QS_PASSES_PUT_PARTS_H

#include "passes/put.h"

struct qs_put {
    struct qs_ctx *cx;
    struct qs_model *m;
    const struct qs_static_notes *notes;
    const struct qs_put_options *opt;
    struct qs_model *before; /* as m was, to look names up in */
    struct qs_edges *edges;  /* of `before` */
    int n_var;               /* of `before`: arrays by variable are that long */
    struct qs_node *node;    /* new list */
    int n_node, cap_node;
    int32_t *alias; /* [n_var] what a reader that does not round it reads */
    int *version;   /* [n_var] writes so far */
    int *range_of;  /* [n_var] entry of notes->act; -1 */
    int n_scales;   /* parameters channel_scale_<n> so far */
    struct qs_put_act {
        int32_t rounded; /* variable that readers get; -1: not made */
        int version;     /* of the variable when it was made */
        int32_t scale;   /* parameter; -1 */
    } * act;             /* [2 * notes->n_act]: as the format has it for operators with a weight,
                            then for those without */
    int32_t *weight;     /* [notes->n_weight] made for it; -1 */
};

/* Gives the model new nodes: those that `put` makes of each node of block 0 in turn.
 * QS_ERR_UNSUPPORTED when an operator that is not in the notes reads a weight of theirs. */
enum qs_err qs_put_all(struct qs_ctx *cx, struct qs_model *m, const struct qs_static_notes *notes,
                       const struct qs_put_options *opt,
                       enum qs_err (*put)(struct qs_put *p, int i)) QS_MUST_CHECK;

/* A copy of node i of the float graph at the end of the new list. */
struct qs_node *qs_put_node(struct qs_put *p, int i);
/* An empty node at the end of the list. */
struct qs_node *qs_put_new(struct qs_put *p, const char *type);
/* Inputs and outputs in the order of slot names. */
void qs_put_slot(struct qs_put *p, struct qs_node *node, bool out, const char *slot, int32_t var);

/* A variable NAME SUFFIX; like the variable `like`. The name gets a number behind it when it is
 * taken. */
int32_t qs_put_var(struct qs_put *p, int32_t like, const char *suffix);
/* A parameter of that name: float32 values, or zeros of int32 (values NULL). Its variable declares
 * [n]; the tensor has n_dims dims (0: a scalar). */
enum qs_err qs_put_param(struct qs_put *p, const char *name, const double *values, int64_t n,
                         int n_dims, int32_t *out) QS_MUST_CHECK;
/* The same for the name of a variable with a suffix. */
enum qs_err qs_put_param_of(struct qs_put *p, int32_t var, const char *suffix, const double *values,
                            int64_t n, int n_dims, int32_t *out) QS_MUST_CHECK;

/* Names what the node reads: its weight and its rounded activations (those of p->act from `shift`
 * on) as they were made; other inputs by their alias, in all slots (names NULL) or in those named,
 * joined by spaces. q NULL: it rounds nothing. */
void qs_put_rename(struct qs_put *p, struct qs_node *node, const struct qs_quant_node *q, int shift,
                   const char *names);
/* The outputs have new values. */
void qs_put_written(struct qs_put *p, const struct qs_node *node);

/* Whether a later node than i of block 0 reads `var` unrounded in a slot that quantization knows.
 */
bool qs_put_plain_reader(const struct qs_put *p, int i, int32_t var);
/* The entry of the notes for a variable; NULL. */
const struct qs_quant_act *qs_put_range(const struct qs_put *p, int32_t var);
/* The threshold as it is written; those of a weight (malloc). */
double qs_put_threshold(const struct qs_put *p, double t);
double *qs_put_thresholds(const struct qs_put *p, const struct qs_quant_weight *w);

#endif
