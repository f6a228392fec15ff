/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jobs of the workbench: each has what it needs in its own struct, runs in the worker through
 * app.h, and hands its result over in the UI thread.
 */
#ifndef UI_TASKS_H
#define UI_TASKS_H

#include "app/worker.h"
#include "ui/model.h"

struct ui;

struct ui_task {
    struct qs_job job; /* first */
    char *title;
    /* Told apart by: 1, 2, ... what the user asked for; -1, -2, ... of the workbench's own accord.
     * Set by ui_submit, as is the worker. */
    int number;
    struct qs_worker *worker;
    bool quiet;   /* of its own accord: runs aside, not listed once it is over */
    bool aside;   /* asked for, but short: does not wait for what runs */
    char *result; /* what came of it, for the list; NULL: nothing to say */
    bool over;    /* finish and release were called */
    /* how far it was after so many seconds: now and then, for the rate */
    struct ui_task_mark {
        double seconds, share;
    } mark[2];
    struct ui_model *model; /* held while it runs; may be NULL */
    void (*item)(struct ui *ui, struct ui_task *task, int64_t item); /* or NULL */
    /* In the UI thread, when it ended, however it did. */
    void (*finish)(struct ui *ui, struct ui_task *task); /* or NULL */
    void (*release)(struct ui_task *task);               /* what the struct owns besides; or NULL */
};

/* What a look at one layer found. */
enum { UI_LOOK_BINS = 4096 };
struct ui_look {
    int layer, bits, axis;   /* bits 0: not quantized */
    double lo, hi;           /* of the histograms */
    int64_t *before, *after; /* [UI_LOOK_BINS]; after NULL: not quantized */
    int64_t n_channels;
    float *min, *max;  /* [n_channels] */
    bool *outlier;     /* [n_channels] */
    double *error;     /* [n_channels] root mean square error over root mean square; NULL */
    double sqnr_db;    /* of the whole; NaN */
    char message[256]; /* why there is none; "" */
};
void ui_look_free(struct ui_look *look);

void ui_task_open(struct ui *ui, const char *path);
void ui_task_stats(struct ui *ui);
/* Asks for SQNR at every bit width the plan uses, where it is not known yet. */
void ui_task_sqnr(struct ui *ui);
void ui_task_look(struct ui *ui, int layer);
/* Looks in the store for what was last seen of the activations of the model: once for each, or
 * again when a run of it may be new. */
void ui_task_seen(struct ui *ui, bool again);
void ui_task_calibrate(struct ui *ui, const char *data, int64_t samples);
void ui_task_quantize(struct ui *ui, const char *folder, bool force);
/* samples: the first so many, 0: all. */
void ui_task_eval(struct ui *ui, const char *data, int64_t samples);
void ui_task_find(struct ui *ui);
void ui_task_runs(struct ui *ui);
/* The chart of the open model, or of that of the newest run; x, y: see qs_app_pareto. */
void ui_task_pareto(struct ui *ui, const char *x, const char *y);
void ui_task_compare(struct ui *ui, const int64_t *id, int n);
void ui_task_use_plan(struct ui *ui, int64_t id);
void ui_task_tag(struct ui *ui, const int64_t *id, int n, const char *tag);
void ui_task_remove(struct ui *ui, const int64_t *id, int n);

/* A job of `size` bytes, a struct ui_task first, with its title and what the worker does; the rest
 * is for the caller to fill before ui_submit. */
void *ui_task_new(size_t size, enum qs_err (*run)(struct qs_ctx *, struct qs_job *),
                  const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void ui_task_free(struct ui_task *task);
/* Takes note of how far it is; called when it says so. */
void ui_task_went_on(struct ui_task *task);
/* Seconds it may still take at the rate of the last ones: phases of a job differ. NaN: not known.
 */
double ui_task_left(const struct ui_task *task);

#endif
