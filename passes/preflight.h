/* SPDX-License-Identifier: Apache-2.0 */
/* What each target will do with the operators of a model that a plan quantizes (model/targets.h).
 */
#ifndef QS_PASSES_PREFLIGHT_H
#define QS_PASSES_PREFLIGHT_H

#include "model/targets.h"
#include "passes/decide.h"

/* Operators of one type that a target refuses or gets wrong. */
struct qs_preflight_problem {
    char *op_type, *note;
    enum qs_verdict verdict;
    int n;
};
struct qs_preflight_target {
    char *name;
    int count[QS_N_VERDICT]; /* operators of block 0 */
    int to_int8, to_float;   /* about how many conversions between integers and floats: values that
                                an operator of the other kind reads */
    struct qs_preflight_problem *problem;
    int n_problem;
};
struct qs_preflight {
    struct qs_preflight_target *target;
    int n;
};

void qs_preflight_make(const struct qs_model *m, const struct qs_layers *layers,
                       const struct qs_plan *plan, const struct qs_decisions *d,
                       const struct qs_targets *t, struct qs_preflight *out);
void qs_preflight_release(struct qs_preflight *p);

#endif
