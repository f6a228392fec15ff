/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sensitivity scan of the open model as the workbench has it: what was asked for, the rows so
 * far or those of the newest stored scan, and the plan that was proposed from them.
 */
#ifndef UI_SCAN_H
#define UI_SCAN_H

#include "app/app.h"

struct ui;
struct ui_task;

/* What to scan: the options of `qslim sensitivity`. */
struct ui_scan_choices {
    char *data, *metric, *bits, *op_types;
    int samples, mode, weight_type, algo, top, precision;
    bool others;
};
extern const struct qs_opt ui_scan_opts[];
extern const int ui_n_scan_opts;

struct ui_scan {
    struct ui_scan_choices choices;
    struct qs_run run;    /* rows worst first; id 0: not stored, or none */
    bool read;            /* the store was asked */
    struct ui_task *task; /* scans the open model; NULL: nothing does */
    bool proposed;
    struct qs_proposal proposal; /* when one was made */
    struct qs_plan base;         /* on top of which */
};

void ui_scan_init(struct ui_scan *s);
void ui_scan_release(struct ui_scan *s);
/* Forgets what is known of a model, keeps the choices. */
void ui_scan_clear(struct ui_scan *s);
/* The metric of a run of kind "sensitivity", malloc; "" when its plan does not say. */
char *ui_scan_metric(const struct qs_run *run);
/* Rows worst first: by the drop, then by the error of the output of the model, then by that of the
 * layer; what is not known comes last. */
void ui_scan_sort(struct qs_run_sensitivity *row, int n);
/* Jobs. The newest stored scan of the open model. */
void ui_task_scan_read(struct ui *ui);
/* A scan by the choices; resume: the run to go on with, 0: a new one. */
void ui_task_scan(struct ui *ui, int64_t resume);
/* "max-drop=0.5%" or "max-size=40%", "max-size=300k", then perhaps "check": the plan of the
 * workbench becomes what the scan proposes on top of it. */
void ui_task_propose(struct ui *ui, const char *text);
/* The plan becomes that of a step of the front. */
void ui_task_propose_step(struct ui *ui, int step);

#endif
