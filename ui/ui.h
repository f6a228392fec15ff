/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workbench: what is open, which view shows, what the last message was; keys become actions,
 * events of the worker become events of views. Only this thread touches curses; the worker does
 * whatever takes time.
 */
#ifndef UI_UI_H
#define UI_UI_H

#include "app/worker.h"
#include "ui/config.h"
#include "ui/model.h"
#include "ui/prompt.h"
#include "ui/scan.h"
#include "ui/screen.h"
#include "ui/tasks.h"
#include "ui/view.h"

struct ui_log_line {
    enum ui_item item;
    char *text;
};

struct ui {
    struct ui_screen *screen;
    /* What the user asked for, one after the other; what the workbench looks up meanwhile, so that
     * no list waits for a scan. */
    struct qs_worker *worker, *aside;
    struct ui_config config;
    const char *db; /* from the command line, borrowed; NULL: the default store */
    /* what is open */
    struct ui_model *model; /* NULL: none */
    struct ui_plan plan;
    struct ui_look *look;              /* NULL: none */
    struct ui_task *looking, *opening; /* running for these; NULL: none */
    struct qs_found_model *found;
    int n_found;
    struct qs_runs runs;
    bool runs_read, found_read;
    struct qs_run *compare;
    int n_compare;
    struct qs_pareto pareto;
    bool pareto_read;
    char pareto_note[256]; /* what it leaves out, or why there is none; "" */
    struct ui_scan scan;
    /* views */
    enum ui_view_id view;
    void *state[UI_N_VIEWS]; /* NULL: not opened yet */
    enum ui_view_id back[32];
    int n_back;
    int op;    /* operator the Layer view shows, -1: none */
    int layer; /* its weight, -1: none */
    /* talk */
    struct ui_prompt prompt;
    char *pending; /* what a question is about; NULL: nothing */
    char message[512];
    enum ui_item message_item;
    struct ui_log_line *log;
    int n_log;
    struct ui_task **task; /* all, oldest first */
    int n_tasks;
    int n_asked, n_own; /* so far, for their numbers */
    bool quit, dirty;
    bool stats_came; /* since the views were told */
    int killed_by;   /* signal, 0: none */
};

/* Without a screen yet. QS_ERR_* when the worker cannot start. */
enum qs_err ui_init(struct qs_ctx *cx, struct ui *ui) QS_MUST_CHECK;
void ui_release(struct ui *ui);

/* Draws, waits for keys, worker, signals until the user quits. */
void ui_loop(struct ui *ui);
void ui_draw(struct ui *ui);
void ui_key(struct ui *ui, const struct ui_key *key);
/* Takes what the worker sent. */
void ui_pump(struct ui *ui);
/* Until the worker has nothing left to do. */
void ui_wait_idle(struct ui *ui);

bool ui_act(struct ui *ui, enum ui_action act, const char *arg);
/* Asks for the argument of an action and does it. */
void ui_ask_argument(struct ui *ui, enum ui_action act);
/* "name argument": what is typed after ':'. */
void ui_command(struct ui *ui, const char *line);
/* Bits of where actions work now. */
unsigned ui_where(const struct ui *ui);

/* Footer and log. */
void ui_say(struct ui *ui, enum ui_item item, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A search in this list found nothing. */
void ui_say_missed(struct ui *ui, struct ui_table *t);
/* Log only. */
void ui_log(struct ui *ui, enum ui_item item, const char *text);

void ui_go(struct ui *ui, enum ui_view_id view);
/* To where it came from; false: this is the first. */
bool ui_go_back(struct ui *ui);
/* The list that has the keys; NULL: none. */
struct ui_table *ui_focused_table(const struct ui *ui);
void ui_emit(struct ui *ui, enum ui_event ev);

/* The plan changed (after ui_plan_keep): decides, asks for SQNR, tells the views. */
void ui_plan_changed(struct ui *ui);
/* Sets one choice from text; false: it was refused and said so. */
bool ui_plan_set(struct ui *ui, const struct qs_opt *opt, const char *text);
/* "qslim quantize MODEL -o FOLDER ..." */
void ui_plan_command(const struct ui *ui, struct qs_str *out);
/* "qslim export MODEL -o FOLDER --to fp32" */
void ui_export_command(const struct ui *ui, struct qs_str *out);
/* Shows an operator (and the weight of it) in the Layer view. */
void ui_show_op(struct ui *ui, int op, int layer);
/* The same from another view. */
void ui_go_to_op(struct ui *ui, int op, int layer);
/* Shows the runs chosen in a list, which have their numbers as ids, in the Compare view; need_two:
 * not one alone. */
void ui_compare_chosen(struct ui *ui, const struct ui_table *t, bool need_two);
/* What an axis of the Pareto view can have: sizes, times, and every metric of an evaluation. */
void ui_list_quantities(const struct ui *ui, struct qs_strv *out);
/* Gives a rule to layers by name, or to a pattern; what: "skip", "bits:4"; NULL: takes rules
 * back. The same skip rule again takes it back. */
void ui_rule_layers(struct ui *ui, const int *layer, int n, const char *what);
void ui_rule_pattern_add(struct ui *ui, const char *pattern, const char *what);
/* "kl", "auto" or "5.75", and behind it a pattern or nothing: the rule for the activations of these
 * layers, or of those that match. */
void ui_rule_calibrator(struct ui *ui, const int *layer, int n, const char *arg);
/* Actions on the plan that several views share; false: not one of them. */
bool ui_plan_act(struct ui *ui, enum ui_action act, const char *arg);

/* Shows a model, which is taken over, in place of the one that was open. */
void ui_adopt(struct ui *ui, struct qs_opened *opened);
void ui_submit(struct ui *ui, struct ui_task *task);
bool ui_busy(const struct ui *ui); /* a job the user asked for is not over */

#endif
