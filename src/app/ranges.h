/* SPDX-License-Identifier: Apache-2.0 */
/* Thresholds of activations for a plan of method static: calibration, and what the plan chooses of
 * its answers. */
#ifndef QS_APP_RANGES_H
#define QS_APP_RANGES_H

#include "app/app.h"
#include "model/static_notes.h"
#include "passes/same_scale.h"

struct qs_ranges {
    double *threshold; /* [n_var] NaN: nothing was chosen or seen */
    struct qs_calibrated seen;
    int *algo; /* [seen.n] that was taken; -1: a threshold by hand */
    /* what plan->same_scale did; NULL without it */
    int32_t *from; /* [n_var] whose threshold each has */
    struct qs_same_scale same;
};

/* Calibrates with the data that the plan names and chooses. */
enum qs_err qs_ranges_find(struct qs_ctx *cx, const struct qs_opened *o, const struct qs_plan *plan,
                           const struct qs_decisions *d, struct qs_ranges *out) QS_MUST_CHECK;
/* Thresholds of 1 for whatever is wanted, to see what would be written. */
void qs_ranges_pretend(const struct qs_opened *o, struct qs_ranges *out);
/* Notes of the plan with those thresholds, for a model that runs before real ones are there.
 * `model` is a clone of the opened one. */
enum qs_err qs_ranges_pretend_notes(struct qs_ctx *cx, const struct qs_opened *o,
                                    struct qs_model *model, const struct qs_plan *plan,
                                    const struct qs_decisions *d,
                                    struct qs_static_notes *notes) QS_MUST_CHECK;
/* What was seen and chosen, for the store. */
void qs_ranges_record(const struct qs_ranges *r, const struct qs_opened *o, int bits,
                      struct qs_run *run);
void qs_ranges_release(struct qs_ranges *r);

#endif
