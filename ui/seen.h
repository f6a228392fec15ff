/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a calibration saw of the activations of the open model, from a run of the store: ranges,
 * histograms, the threshold of each calibrator, and the error that any threshold would give.
 * Contents of a store are not trusted.
 */
#ifndef UI_SEEN_H
#define UI_SEEN_H

#include "model/calib.h"
#include "model/graph.h"
#include "model/run.h"

struct ui_seen { /* of one variable */
    int32_t var;
    /* counts are of this struct; n_values 0: without a histogram. Sizes only: all values count as
     * positive. Errors and `best`: ui_calibration_at */
    struct qs_observed of;
    int64_t *count, *negative; /* [of.n_bin] */
    double min, max;           /* signed */
    int algo;                  /* enum qs_algo that the run took, -1: unknown */
    double threshold;          /* that it took; NaN: none */
};

struct ui_calibration {
    int64_t run; /* of the store */
    double started;
    struct ui_seen *seen;
    int n;
    int *of_var; /* [n_var] index into seen, -1: was not seen */
    int n_var;
    int bits;      /* that of.sqnr_db and of.best are for */
    int best_bits; /* that the run took the best calibrator at, from the full histogram; 0: none */
};

/* NULL when the run has nothing that the model knows. */
struct ui_calibration *ui_calibration_new(const struct qs_run *run, const struct qs_model *m);
void ui_calibration_free(struct ui_calibration *c);
/* NULL: not seen; c may be NULL. */
const struct ui_seen *ui_seen_of(const struct ui_calibration *c, int32_t var);

/* In dB, of the variable rounded to `bits` with this threshold; NaN: not known. */
double ui_seen_sqnr(const struct ui_seen *s, int bits, double threshold);
/* Share of the values whose size is above the threshold, 0..1. */
double ui_seen_clipped(const struct ui_seen *s, double threshold);
/* Fills of.sqnr_db and of.best, what `auto` takes (-1: none has a threshold), of every variable at
 * `bits`, when they are for others. */
void ui_calibration_at(struct ui_calibration *c, int bits);

#endif
