/* SPDX-License-Identifier: Apache-2.0 */
/* Sensitivity: what each layer costs when it is quantized, worst first; marks go to the plan. Below
 * stand the row under the cursor, the choices of a scan, or the steps of a proposed plan. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/form.h"
#include "ui/panes.h"
#include "ui/scan_front.h"
#include "ui/scan_rows.h"
#include "ui/text.h"
#include "ui/ui.h"

enum pane { PANE_ROWS, PANE_CHOICES, PANE_FRONT, N_PANES };

struct state {
    struct ui_scan_rows rows;
    struct ui_form form;
    struct ui_scan_front front;
    struct ui_panes panes;
};

static void
new_front(struct state *st)
{
    ui_scan_front_update(&st->front);
    st->panes.away[PANE_FRONT] = !st->rows.list.ui->scan.proposed;
    if (st->front.table.n_rows > 0)
        st->panes.at = PANE_FRONT;
    else if (st->panes.at == PANE_FRONT)
        st->panes.at = PANE_ROWS;
}

static void
set_choice(struct ui *ui, const struct qs_opt *opt, const char *text)
{
    struct qs_ctx cx;
    qs_ctx_init(&cx);
    if (qs_opt_set(&cx, opt, text, &ui->scan.choices) != QS_OK)
        ui_say(ui, UI_BAD, "%s", qs_message(&cx));
}

static void *
open_view(struct ui *ui)
{
    struct state *st =
        ui_list_open(ui, sizeof(*st), "sensitivity", ui_scan_columns, ui_n_scan_columns);
    ui_form_init(&st->form, ui_scan_opts, ui_n_scan_opts, "", &ui->scan.choices, set_choice);
    ui_scan_front_init(&st->front, ui);
    ui_panes_init(&st->panes,
                  (struct ui_table *[]){&st->rows.list.table, &st->form.table, &st->front.table},
                  N_PANES);
    ui_scan_rows_update(&st->rows);
    new_front(st);
    if (!ui->scan.read)
        ui_task_scan_read(ui);
    return st;
}

static void
close_view(struct ui *ui, void *state)
{
    struct state *st = state;
    ui_form_release(&st->form);
    ui_scan_front_release(&st->front);
    free(st->rows.layer);
    ui_list_close(ui, state);
}

static void
update(struct ui *ui, void *state, enum ui_event ev)
{
    struct state *st = state;
    if (ev == UI_EVENT_SCAN || ev == UI_EVENT_MODEL)
        ui_scan_rows_update(&st->rows);
    if (ev == UI_EVENT_PROPOSAL || ev == UI_EVENT_MODEL)
        new_front(st);
    if (ev == UI_EVENT_PLAN)
        ui_table_refresh(&st->rows.list.table);
    if (ev == UI_EVENT_MODEL)
        ui_task_scan_read(ui);
}

/* Drawing */

static void
draw_choices(struct state *st, struct ui_screen *s, struct ui_rect r)
{
    ui_put_rule(s, r.y, r.x, r.w, _("choices of the scan; S begins it"), true);
    ui_panes_draw(&st->panes, PANE_CHOICES, s, (struct ui_rect){r.y + 1, r.x, r.h - 1, r.w});
}

static void
draw_none(const struct ui *ui, struct ui_rect r)
{
    const char *text = !ui->model       ? _("no model is open; 1 lists models, :open PATH")
                       : ui->scan.task  ? _("scanning ...")
                       : !ui->scan.read ? _("reading the newest scan ...")
                                        : _("no scan of this model yet; S makes one, Tab shows "
                                            "its choices");
    ui_put_wrapped(ui->screen, (struct ui_rect){r.y + 2, r.x + 2, r.h - 2, r.w - 4}, UI_DIM, text);
}

static void
draw_lower(struct state *st, struct ui_screen *s, struct ui_rect r)
{
    if (st->panes.at == PANE_CHOICES)
        draw_choices(st, s, r);
    else if (st->panes.at == PANE_FRONT)
        st->panes.area[PANE_FRONT] = ui_scan_front_draw(&st->front, s, r);
    else
        ui_scan_rows_detail(&st->rows, s, r);
}

static void
draw(struct ui *ui, void *state, struct ui_rect r)
{
    enum { LOW = 8, DETAIL_ROWS = 3 };
    struct state *st = state;
    const enum pane pane = (enum pane)st->panes.at;
    const int want = pane == PANE_CHOICES ? st->form.n + 2
                     : pane == PANE_FRONT ? r.h * 3 / 5
                                          : DETAIL_ROWS;
    const int most = pane == PANE_ROWS ? r.h / 3 : r.h - 5;
    ui_panes_begin(&st->panes);
    if (r.h < LOW) {
        ui_panes_draw(&st->panes, pane, ui->screen, r);
        return;
    }
    const int rows = want < most ? want : most;
    ui_panes_draw(&st->panes, PANE_ROWS, ui->screen, (struct ui_rect){r.y, r.x, r.h - rows, r.w});
    if (ui->scan.run.n_sensitivity == 0)
        draw_none(ui, st->panes.area[PANE_ROWS]);
    draw_lower(st, ui->screen, (struct ui_rect){r.y + r.h - rows, r.x, rows, r.w});
}

/* Keys */

static void
rule(struct state *st, const char *what)
{
    int n, *layer = ui_scan_rows_layers(&st->rows, &n);
    if (n == 0)
        ui_say(st->rows.list.ui, UI_CAUTION, _("no layer of the open model here"));
    else
        ui_rule_layers(st->rows.list.ui, layer, n, what);
    free(layer);
}

/* The next width that models are stored in, above what the layer has now. */
static void
raise_bits(struct state *st)
{
    static const int width[] = {4, 8, 16};
    char what[16];
    int n, *layer = ui_scan_rows_layers(&st->rows, &n), least = UI_MOST_BITS;
    for (int i = 0; i < n; i++) {
        const struct qs_decision *d = ui_layer_decision(st->rows.list.ui->model, layer[i]);
        const int bits = d && d->bits > 0 ? d->bits : st->rows.list.ui->plan.now.weight_bits;
        least = bits < least ? bits : least;
    }
    free(layer);
    for (size_t i = 0; i < QS_LEN(width); i++)
        if (width[i] > least) {
            snprintf(what, sizeof(what), "bits:%d", width[i]);
            rule(st, what);
            return;
        }
    ui_say(st->rows.list.ui, UI_DIM, _("they have 16 bits"));
}

/* The calibrator after that of the first. */
static void
next_calibrator(struct state *st)
{
    struct ui *ui = st->rows.list.ui;
    int n, *layer = ui_scan_rows_layers(&st->rows, &n);
    const struct qs_decision *d = n > 0 ? ui_layer_decision(ui->model, layer[0]) : NULL;
    const int algo = d && d->algo >= 0 ? d->algo : ui->plan.now.algo;
    ui_rule_calibrator(ui, layer, n, qs_algo_names[(algo + 1) % (QS_ALGO_auto + 1)]);
    free(layer);
}

static void
calibrator(struct state *st, const char *arg)
{
    int n, *layer = ui_scan_rows_layers(&st->rows, &n);
    ui_rule_calibrator(st->rows.list.ui, layer, n, arg);
    free(layer);
}

static void
rule_bits(struct state *st, const char *arg)
{
    char what[16], rest;
    int bits;
    if (sscanf(arg, "%d %c", &bits, &rest) != 1 || bits < 2 || bits > UI_MOST_BITS) {
        ui_say(st->rows.list.ui, UI_BAD, _("bits go from 2 to 16, not '%s'"), arg);
        return;
    }
    snprintf(what, sizeof(what), "bits:%d", bits);
    rule(st, what);
}

static void
show_layer(struct state *st)
{
    struct ui *ui = st->rows.list.ui;
    const int row = ui_table_row(&st->rows.list.table), layer = row >= 0 ? st->rows.layer[row] : -1;
    if (layer < 0) {
        ui_say(ui, UI_CAUTION, _("no layer of the open model here"));
        return;
    }
    ui_go_to_op(ui, ui_layer_op(ui->model, layer), layer);
}

/* With no data yet it asks for them; the form stands open beside the question. */
static void
begin(struct state *st, const char *arg)
{
    struct ui *ui = st->rows.list.ui;
    int64_t samples;
    if (arg && *arg) {
        char *data = ui_split_count(arg, &samples);
        free(ui->scan.choices.data);
        ui->scan.choices.data = data;
        ui->scan.choices.samples = (int)samples;
    }
    if (!ui->scan.choices.data || !*ui->scan.choices.data) {
        st->panes.at = PANE_CHOICES;
        ui_table_go(&st->form.table, 0);
        if (arg)
            ui_say(ui, UI_DIM, _("a scan needs data; Enter changes a choice, S begins"));
        else
            ui_ask_argument(ui, UI_ACT_SCAN);
        return;
    }
    st->panes.at = PANE_ROWS;
    ui_task_scan(ui, 0);
}

static void
resume(struct state *st)
{
    struct ui *ui = st->rows.list.ui;
    const struct qs_run *run = &ui->scan.run;
    if (!run->id || !run->state || strcmp(run->state, "done") == 0)
        ui_say(ui, UI_DIM, _("there is no scan that was stopped"));
    else
        ui_task_scan(ui, run->id);
}

/* Keys of the form; false: not one. */
static bool
act_choices(struct state *st, enum ui_action action)
{
    struct ui *ui = st->rows.list.ui;
    if (action == UI_ACT_SHOW_LAYER)
        ui_form_edit(&st->form, ui);
    else if (action == UI_ACT_MARK || action == UI_ACT_RIGHT || action == UI_ACT_RAISE_BITS)
        ui_form_step(&st->form, ui, 1);
    else if (action == UI_ACT_LEFT)
        ui_form_step(&st->form, ui, -1);
    else
        return false;
    return true;
}

static bool
act_rows(struct state *st, enum ui_action action, const char *arg)
{
    if (action == UI_ACT_SHOW_LAYER)
        show_layer(st);
    else if (action == UI_ACT_SKIP)
        rule(st, "skip");
    else if (action == UI_ACT_BITS)
        rule_bits(st, arg);
    else if (action == UI_ACT_RAISE_BITS)
        raise_bits(st);
    else if (action == UI_ACT_CALIBRATOR)
        calibrator(st, arg);
    else if (action == UI_ACT_NEXT_CALIBRATOR)
        next_calibrator(st);
    else if (action == UI_ACT_UNRULE)
        rule(st, NULL);
    else
        return false;
    return true;
}

static bool
act(struct ui *ui, void *state, enum ui_action action, const char *arg)
{
    struct state *st = state;
    const enum pane pane = (enum pane)st->panes.at;
    if (action == UI_ACT_NEXT_PANE || action == UI_ACT_PREV_PANE)
        ui_panes_next(&st->panes, action == UI_ACT_NEXT_PANE ? 1 : -1);
    else if (action == UI_ACT_SCAN)
        begin(st, arg);
    else if (action == UI_ACT_RESUME_SCAN)
        resume(st);
    else if (action == UI_ACT_PROPOSE)
        ui_task_propose(ui, arg);
    else if (pane == PANE_CHOICES && act_choices(st, action))
        return true;
    else if (pane == PANE_FRONT && action == UI_ACT_SHOW_LAYER)
        ui_task_propose_step(ui, ui_table_row(&st->front.table));
    else if (pane == PANE_ROWS && ui->model && act_rows(st, action, arg))
        return true;
    else if (pane != PANE_ROWS && action == UI_ACT_BACK)
        st->panes.at = PANE_ROWS;
    else
        return ui_plan_act(ui, action, arg);
    return true;
}

static struct ui_table *
table(void *state)
{
    return ui_panes_table(&((struct state *)state)->panes);
}

static bool
mouse(struct ui *ui, void *state, const struct ui_key *key)
{
    return ui_panes_mouse(&((struct state *)state)->panes, ui, key, UI_ACT_SHOW_LAYER);
}

static double
total(const struct qs_run *run, const char *name)
{
    for (int i = 0; i < run->n_metric; i++)
        if (strcmp(run->metric[i].name, name) == 0)
            return run->metric[i].value;
    return NAN;
}

/* "top1 0.9944, all quantized 0.9722; run 7 cancelled;" */
static void
status(struct ui *ui, void *state, struct qs_str *out)
{
    const struct state *st = state;
    const struct qs_run *run = &ui->scan.run;
    const double before = total(run, "baseline"), after = total(run, "quantized");
    if (!isnan(before)) {
        qs_str_printf(out, "%s ", st->rows.metric);
        ui_add_metric(out, st->rows.metric, before);
    }
    if (!isnan(after)) {
        qs_str_add(out, _(", all quantized "));
        ui_add_metric(out, st->rows.metric, after);
    }
    if (run->id)
        qs_str_printf(out, _("%srun %" PRId64), out->n ? "; " : "", run->id);
    if (run->id && run->state && strcmp(run->state, "done") != 0)
        qs_str_printf(out, " %s%s", _(run->state), ui->scan.task ? "" : _(", R goes on"));
    qs_str_add(out, out->n ? ";" : "");
}

const struct ui_view ui_view_sensitivity = {
    .open = open_view,
    .close = close_view,
    .update = update,
    .draw = draw,
    .act = act,
    .table = table,
    .status = status,
    .mouse = mouse,
};
