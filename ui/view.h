/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A view: what fills the screen between header and footer. One file view_<name>.c with one
 * descriptor and one row in views.inc each; tabs, keys to go there, command line and help follow
 * from the row. There is one instance of each view, opened when it is first shown.
 */
#ifndef UI_VIEW_H
#define UI_VIEW_H

#include "ui/keys.h"
#include "ui/screen.h"
#include "ui/table.h"

struct ui;

/* What happened, told to every open view. */
enum ui_event {
    UI_EVENT_MODEL,    /* another model is open, or none */
    UI_EVENT_STATS,    /* statistics or SQNR of more layers are there */
    UI_EVENT_PLAN,     /* the plan changed */
    UI_EVENT_LOOK,     /* ui->look is new */
    UI_EVENT_SCALES,   /* those of a quantized model are there */
    UI_EVENT_SEEN,     /* the calibration of the model is new */
    UI_EVENT_JOB,      /* a job began, went on or ended */
    UI_EVENT_FOUND,    /* ui->found is new */
    UI_EVENT_RUNS,     /* ui->runs is new */
    UI_EVENT_COMPARE,  /* ui->compare is new */
    UI_EVENT_PARETO,   /* ui->pareto is new */
    UI_EVENT_SCAN,     /* ui->scan has other rows, or began or ended */
    UI_EVENT_PROPOSAL, /* ui->scan.proposal is new */
    UI_EVENT_LOG,      /* a line was added */
};

struct ui_view {
    void *(*open)(struct ui *ui);
    void (*close)(struct ui *ui, void *state);
    void (*update)(struct ui *ui, void *state, enum ui_event ev); /* or NULL */
    void (*draw)(struct ui *ui, void *state, struct ui_rect r);
    /* True: done. `arg`: what stands behind the action on the command line, or was asked for;
     * NULL when a key gave the action. */
    bool (*act)(struct ui *ui, void *state, enum ui_action act, const char *arg); /* or NULL */
    struct ui_table *(*table)(void *state); /* the list that has the focus; NULL: none; or NULL */
    void (*status)(struct ui *ui, void *state, struct qs_str *out); /* second line; or NULL */
    /* Bits of the forms it has (keys.h), and which of them shows now. */
    unsigned forms;
    unsigned (*form)(void *state); /* NULL: it has none */
    /* True: the click or wheel was for this view. NULL: goes to the list. */
    bool (*mouse)(struct ui *ui, void *state, const struct ui_key *key);
};

/* The state of a view that is one list begins with this; it is the `arg` of the columns. */
struct ui_list {
    struct ui *ui;
    const char *name; /* of the view: its order is remembered as "sort.<name>"; NULL: it is not */
    struct ui_table table;
};
/* What open, close and table of such a view do: `size` bytes of state, zeroed, with a table without
 * rows in the order of the last time. Closing frees the state itself, not what it points to. */
void *ui_list_open(struct ui *ui, size_t size, const char *name, const struct ui_column *col,
                   int n_col);
void ui_list_close(struct ui *ui, void *state);
struct ui_table *ui_list_table(void *state);

struct ui_view_row {
    const char *name, *title; /* title not yet translated */
    const struct ui_view *view;
};
extern const struct ui_view_row ui_views[UI_N_VIEWS];

#endif
