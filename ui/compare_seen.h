/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The activations of runs side by side: the calibrator and threshold each run took, and what is
 * lost at it. Rows are variables by name, in the order of the first run that saw them; runs of
 * kinds that see none (eval, method dynamic ...) leave their columns empty.
 */
#ifndef UI_COMPARE_SEEN_H
#define UI_COMPARE_SEEN_H

#include "model/run.h"
#include "ui/table.h"

enum { UI_COMPARE_MOST = 8 };

struct ui_compare_seen {
    struct ui_table table;
    const struct qs_run *run; /* [n_runs], borrowed */
    int n_runs;
    struct ui_compare_seen_row {
        const char *var;
        int at[UI_COMPARE_MOST]; /* index into the activations of each run, -1: not there */
        double moved;            /* threshold over that of the first run that has one, less 1; the
                                  * farthest from 0; NaN: nothing to compare */
        bool differs;            /* in calibrator or threshold */
    } * row;
    int n;
    struct ui_column col[UI_COMPARE_MOST + 2];
};

/* `title` [n_runs] is borrowed: what the columns are called. At most UI_COMPARE_MOST runs. */
void ui_compare_seen_init(struct ui_compare_seen *s, const struct qs_run *run, int n_runs,
                          const char *const *title);
void ui_compare_seen_release(struct ui_compare_seen *s);

#endif
