/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model in two: what the fast engine runs, and the rest, which takes from it the variables that
 * it reads and runs in the exact engine after it.
 *
 * The rest starts as nothing and grows by nodes that the fast engine refuses, each with all that
 * depends on it: nodes (of block 0; one that runs blocks stands for all in them) that read what a
 * node of the rest writes. Variables are not SSA, and the first part runs to its end before the
 * rest begins; so a variable that has several values (written more than once, or written though it
 * is an input or a parameter) and that the rest touches is left to the rest altogether.
 *
 * Both parts are clones that keep the ids of variables and share weights; they are void when the
 * rest grows.
 */
#ifndef QS_ENGINE_CUT_H
#define QS_ENGINE_CUT_H

#include "model/graph.h"
#include "model/static_notes.h"

/* Where a value comes from. */
struct qs_cut_port {
    bool first; /* an output of the first part; else: input of the rest: an input of the model,
                   output of the model: an output of the rest */
    int i;
};

struct qs_cut {
    const struct qs_model *m; /* the whole */
    struct qs_edges *edges;
    int32_t *owner; /* [n_block] node of block 0 that runs it; -1: none */
    bool *left;     /* [n_node] nodes of the rest */
    /* after qs_cut_make */
    struct qs_model *first, *rest;
    int32_t *first_node, *rest_node; /* numbers in the whole of their nodes; -1: a new port */
    struct qs_cut_port *in;          /* [n_in] inputs of the rest */
    struct qs_cut_port *out;         /* [n_out] outputs of the model */
    int n_in, n_out;
};

/* Nothing is left to the rest yet. The model must live as long. */
struct qs_cut *qs_cut_new(const struct qs_model *m);
void qs_cut_free(struct qs_cut *c); /* NULL is fine */
/* Leaves a node to the rest. False when it is there already, or no operator that multiplies
 * remains in the first part: then the cut is not worth making. */
bool qs_cut_leave(struct qs_cut *c, int32_t node);
/* Makes both parts. The inputs of the first are those of the model; its outputs are those of the
 * model that it computes and what the rest reads. */
void qs_cut_make(struct qs_cut *c);
/* The same for a node of what was to be planned: the first part of *c, or m, the whole (*c NULL).
 * False: there is no cut that would do, and *c is NULL. */
bool qs_cut_retry(struct qs_cut **c, const struct qs_model *m, int32_t refused);
/* Number in the first part of a node of the whole; -1: it is in the rest. */
int32_t qs_cut_find(const struct qs_cut *c, int32_t node);
/* Notes about the whole as notes about the first part: entries of out->node are new (freed by the
 * caller), all else is borrowed. False when something in the rest is noted. */
bool qs_cut_notes(const struct qs_cut *c, const struct qs_static_notes *from,
                  struct qs_static_notes *out);

#endif
