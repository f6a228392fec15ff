/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Activations that should have one scale, because a target that computes in integers would have to
 * convert them otherwise: those that concat or elementwise_add join, and what goes into and comes
 * out of operators that only move values (max pooling, nearest resizing, split, slice, reshape,
 * transpose and the like) or cut them off (relu, relu6). PaddleSlim takes such groups as a list,
 * same_scale_tensor_list; here they are found in block 0 of the graph.
 */
#ifndef QS_PASSES_SAME_SCALE_H
#define QS_PASSES_SAME_SCALE_H

#include "model/graph.h"

struct qs_same_scale {
    int32_t *group; /* [n_var] the first variable of its group; -1: in no group of two and more */
    int *size;      /* [n_var] members of the group that begins with the variable */
    int n_var, n_group, n_member;
};

/* Groups among the variables with rounded[n_var]. What is computed from parameters alone joins
 * nothing, nor does a variable that is written more than once. */
void qs_same_scale_find(const struct qs_model *m, const struct qs_edges *e, const bool *rounded,
                        struct qs_same_scale *out);
/* Gives all members of a group one of their thresholds: the largest of those by hand, and without
 * any the largest. NaN: unknown, rules nothing. from[n_var] becomes the variable whose threshold
 * each has now; itself where it kept its own. Returns how many changed. */
int qs_same_scale_apply(const struct qs_same_scale *s, const bool *by_hand, double *threshold,
                        int32_t *from);
void qs_same_scale_release(struct qs_same_scale *s);

#endif
