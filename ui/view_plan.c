/* SPDX-License-Identifier: Apache-2.0 */
/* Plan: choices, operator types, rules for layers, and what they come to, in the same frame. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/form.h"
#include "ui/panes.h"
#include "ui/text.h"
#include "ui/ui.h"

enum pane { PANE_CHOICES, PANE_TYPES, PANE_RULES, PANE_SCALES, N_PANES };

struct type_row {
    const char *type; /* of the model's vocabulary */
    int n_layers;
    int64_t bytes;
};

struct state {
    struct ui *ui;
    struct ui_form form;
    struct ui_table types, rules, scales;
    struct type_row *type;
    int n_types;
    struct ui_panes panes;
    bool explained; /* what the choice under the cursor is stands on the screen */
};

/* Operator types */

static const struct type_row *
type_at(void *arg, int row)
{
    return &((struct state *)arg)->type[row];
}

static bool
type_is_on(struct state *st, const char *type)
{
    const char *list = qs_plan_op_types(&st->ui->plan.now);
    return !list || qs_in_list(list, type);
}

static void
text_type(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_printf(out, "[%c] %s", type_is_on(arg, type_at(arg, row)->type) ? 'x' : ' ',
                  type_at(arg, row)->type);
}

static void
text_layers(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_printf(out, "%d", type_at(arg, row)->n_layers);
}

static double
value_layers(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    return type_at(arg, row)->n_layers;
}

static void
text_bytes(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    ui_add_bytes(out, type_at(arg, row)->bytes);
}

static double
value_bytes(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    return (double)type_at(arg, row)->bytes;
}

static const struct ui_column type_column[] = {
    {.name = "type",
     .title = N_("operators"),
     .least = 16,
     .help = N_("operator type"),
     .text = text_type},
    {.name = "layers",
     .title = N_("weights"),
     .least = 7,
     .most = 7,
     .right = true,
     .drop = 2,
     .help = N_("weights that can be quantized"),
     .text = text_layers,
     .value = value_layers},
    {.name = "bytes",
     .title = N_("size"),
     .least = 7,
     .most = 8,
     .right = true,
     .drop = 1,
     .help = N_("bytes of these weights"),
     .text = text_bytes,
     .value = value_bytes},
};

static struct type_row *
type_row(struct state *st, const char *type)
{
    for (int i = 0; i < st->n_types; i++)
        if (strcmp(st->type[i].type, type) == 0)
            return &st->type[i];
    st->type = qs_xrealloc(st->type, (size_t)(st->n_types + 1) * sizeof(*st->type));
    st->type[st->n_types] = (struct type_row){.type = type};
    return &st->type[st->n_types++];
}

static void
count_types(struct state *st)
{
    const struct ui_model *m = st->ui->model;
    free(st->type);
    st->type = NULL;
    st->n_types = 0;
    for (int i = 0; m && i < m->opened->layers->n; i++) {
        const struct qs_layer *l = &m->opened->layers->layer[i];
        const struct qs_tensor *t = m->opened->model->var[l->var].data;
        const int op = ui_layer_op(m, i);
        if (!l->quantizable || op < 0)
            continue;
        struct type_row *row = type_row(st, ui_model_node(m, op)->type);
        row->n_layers++;
        row->bytes += t ? (int64_t)t->bytes : 0;
    }
    ui_table_set_rows(&st->types, st->n_types);
}

/* What is on by the method's own list becomes a list of the plan's. */
static void
toggle_type(struct state *st, const char *type)
{
    struct qs_plan *plan = &st->ui->plan.now;
    ui_plan_keep(&st->ui->plan);
    if (!plan->op_types) {
        struct qs_str list;
        const char *own = qs_plan_op_types(plan);
        qs_str_init(&list);
        qs_str_add(&list, own ? own : "");
        for (int i = 0; !own && i < st->n_types; i++)
            qs_str_printf(&list, "%s%s", list.n ? "," : "", st->type[i].type);
        plan->op_types = qs_str_take(&list);
    }
    ui_plan_toggle_op(plan, type);
    if (!*plan->op_types) {
        ui_plan_forget(&st->ui->plan);
        ui_say(st->ui, UI_CAUTION, _("at least one operator type has to stay"));
        return;
    }
    ui_plan_changed(st->ui);
}

/* Rules */

static void
text_rule(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_add(out, ((struct state *)arg)->ui->plan.now.layer.v[row]);
}

static void
text_matches(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct ui_model *m = ((struct state *)arg)->ui->model;
    (void)c;
    if (m && m->decisions)
        qs_str_printf(out, "%d", m->decisions->rule_matches[row]);
}

static const struct ui_column rule_column[] = {
    {.name = "rule",
     .title = N_("rules (the last that matches decides)"),
     .least = 16,
     .help = N_("PATTERN=skip, PATTERN=bits:N, PATTERN=algo:NAME or PATTERN=threshold:T"),
     .text = text_rule},
    {.name = "matches",
     .title = N_("weights"),
     .least = 7,
     .most = 7,
     .right = true,
     .drop = 1,
     .help = N_("weights it matches"),
     .text = text_matches},
};

static void
add_rule(struct ui *ui, const char *rule)
{
    const char *eq = strrchr(rule, '=');
    char *pattern = eq ? strndup(rule, (size_t)(eq - rule)) : NULL;
    if (pattern)
        ui_rule_pattern_add(ui, pattern, eq + 1);
    else
        ui_say(ui, UI_BAD, _("a rule is PATTERN=skip, bits:N, algo:NAME or threshold:T, not '%s'"),
               rule);
    free(pattern);
}

static void
drop_rule(struct state *st)
{
    const int row = ui_table_row(&st->rules);
    if (row < 0) {
        ui_say(st->ui, UI_DIM, _("there is no rule"));
        return;
    }
    ui_plan_keep(&st->ui->plan);
    ui_plan_drop_rule_at(&st->ui->plan.now, row);
    ui_plan_changed(st->ui);
}

/* The view */

static void
new_scales(struct state *st, bool another)
{
    const struct ui_model *m = st->ui->model;
    const bool quantized = m && m->quant.kind != QS_QUANT_NONE;
    ui_table_set_rows(&st->scales, quantized && m->scales ? m->scales->n : 0);
    st->panes.away[PANE_SCALES] = !quantized;
    if (another)
        st->panes.at = quantized ? PANE_SCALES : PANE_CHOICES;
}

static void
set_choice(struct ui *ui, const struct qs_opt *opt, const char *text)
{
    ui_plan_set(ui, opt, text);
}

static bool
choice_applies(const void *plan, const struct qs_opt *opt)
{
    return qs_plan_applies(plan, opt);
}

static void *
open_view(struct ui *ui)
{
    struct state *st = qs_xcalloc(1, sizeof(*st));
    st->ui = ui;
    ui_form_init(&st->form, qs_plan_opts, qs_n_plan_opts, "op-types", &ui->plan.now, set_choice);
    st->form.applies = choice_applies;
    ui_form_refresh(&st->form);
    ui_table_init(&st->types, type_column, QS_LEN(type_column), st);
    ui_table_init(&st->rules, rule_column, QS_LEN(rule_column), st);
    ui_scales_table(&st->scales, ui);
    ui_panes_init(&st->panes,
                  (struct ui_table *[]){&st->form.table, &st->types, &st->rules, &st->scales},
                  N_PANES);
    count_types(st);
    ui_table_set_rows(&st->rules, ui->plan.now.layer.n);
    new_scales(st, true);
    return st;
}

static void
close_view(struct ui *ui, void *state)
{
    struct state *st = state;
    (void)ui;
    ui_form_release(&st->form);
    ui_table_release(&st->types);
    ui_table_release(&st->rules);
    ui_table_release(&st->scales);
    free(st->type);
    free(st);
}

static void
update(struct ui *ui, void *state, enum ui_event ev)
{
    struct state *st = state;
    const int at = st->rules.cursor;
    if (ev == UI_EVENT_MODEL)
        count_types(st);
    if (ev == UI_EVENT_MODEL || ev == UI_EVENT_SCALES)
        new_scales(st, ev == UI_EVENT_MODEL);
    if (ev != UI_EVENT_MODEL && ev != UI_EVENT_PLAN)
        return;
    ui_form_refresh(&st->form);
    ui_table_set_rows(&st->rules, ui->plan.now.layer.n);
    st->rules.cursor = at < ui->plan.now.layer.n ? at : 0;
}

static struct ui_table *
table(void *state)
{
    return ui_panes_table(&((struct state *)state)->panes);
}

/* The layer that loses most; -1 when nothing is known. */
static int
worst_layer(const struct ui_model *m, double *db)
{
    int worst = -1;
    *db = INFINITY;
    for (int i = 0; i < m->decisions->n; i++) {
        const double here = ui_layer_output_sqnr(m, i);
        if (here < *db) {
            *db = here;
            worst = i;
        }
    }
    return worst;
}

static int
count_action(const struct qs_decisions *d, const struct qs_layers *l, enum qs_action action)
{
    int n = 0;
    for (int i = 0; i < d->n; i++)
        n += d->layer[i].action == action && !l->layer[i].secondary;
    return n;
}

static void
draw_totals(const struct ui_model *m, struct ui_screen *s, struct ui_rect r)
{
    const struct qs_decisions *d = m->decisions;
    char before[16], after[16], added[16];
    double db;
    const int worst = worst_layer(m, &db);
    ui_putf(s, r.y, r.x, r.w, UI_STRONG, _("parameters %s -> %s, %.2f times smaller; program +%s"),
            qs_format_bytes(before, sizeof(before), d->params_before),
            qs_format_bytes(after, sizeof(after), d->params_after),
            d->params_after > 0 ? (double)d->params_before / (double)d->params_after : 0.0,
            qs_format_bytes(added, sizeof(added), d->program_added));
    const int x = ui_putf(s, r.y + 1, r.x, r.w, UI_TEXT,
                          _("layers: %d integer, %d simulated, %d skipped, %d kept"), d->n_integer,
                          d->n_simulated, count_action(d, m->opened->layers, QS_ACTION_SKIP),
                          count_action(d, m->opened->layers, QS_ACTION_KEEP));
    if (worst >= 0)
        ui_putf(s, r.y + 1, r.x + x, r.w - x, UI_TEXT, _("; worst %.1f dB %s"), db,
                ui_layer_name(m, worst));
}

/* What a target says, in at most r.h rows; returns how many it took. */
static int
draw_verdict(const struct ui_verdict *v, struct ui_screen *s, struct ui_rect r)
{
    char bytes[16];
    int x = ui_putf(s, r.y, r.x, r.w, UI_TEXT, "%-9s ", v->name);
    x += ui_put(s, r.y, r.x + x, r.w - x, v->accepted ? UI_GOOD : UI_BAD,
                v->accepted ? _("yes: ") : _("no: "));
    const struct ui_rect rest = {r.y, r.x + x, r.h, r.w - x};
    if (!v->accepted) {
        const int rows = ui_put_wrapped(NULL, rest, UI_DIM, v->why);
        if (rows > r.h)
            return ui_put(s, rest.y, rest.x, rest.w, UI_DIM, v->why) > 0;
        return ui_put_wrapped(s, rest, UI_DIM, v->why);
    }
    ui_putf(s, rest.y, rest.x, rest.w, UI_DIM, _("%d integer, %d simulated, %s"), v->n_integer,
            v->n_simulated, qs_format_bytes(bytes, sizeof(bytes), v->params_after));
    return 1;
}

/* Most important first: what fits is shown. */
static void
draw_result(struct state *st, struct ui_screen *s, struct ui_rect r)
{
    const struct ui_model *m = st->ui->model;
    struct qs_str command;
    if (r.h <= 0)
        return;
    const bool refused = m && !m->decisions && m->quant.kind != QS_QUANT_NONE;
    qs_str_init(&command);
    if (!refused)
        ui_plan_command(st->ui, &command);
    else if (strcmp(m->opened->model->format, "nb") != 0)
        ui_export_command(st->ui, &command);
    ui_put_rule(s, r.y, r.x, r.w, _("what it comes to"), false);
    const struct ui_rect in = {r.y + 1, r.x + 1, r.h - 1, r.w - 2};
    int y = in.y;
    if (m && m->decisions && in.h >= 2) {
        draw_totals(m, s, in);
        y += 2;
    } else if (m && !m->decisions) {
        y += ui_put_wrapped(s, in, UI_BAD, m->why);
    } else if (!m) {
        ui_put(s, y++, in.x, in.w, UI_DIM, _("no model is open"));
    }
    const int rows = ui_put_wrapped(NULL, in, UI_KEY, command.s);
    for (int i = 0; m && !refused && i < m->n_verdicts && y < in.y + in.h - rows; i++) {
        if (!m->decisions && strcmp(m->verdict[i].why, m->why) == 0)
            continue; /* it is not for the target's sake */
        const int left = in.y + in.h - rows - y - (m->n_verdicts - 1 - i);
        y += draw_verdict(&m->verdict[i], s, (struct ui_rect){y, in.x, left > 1 ? left : 1, in.w});
    }
    ui_put_wrapped(s, (struct ui_rect){y, in.x, in.y + in.h - y, in.w}, UI_KEY, command.s);
    qs_str_release(&command);
}

/* One of them alone. */
static void
draw_only(struct state *st, struct ui_screen *s, struct ui_rect r)
{
    ui_panes_draw(&st->panes, st->panes.at, s, r);
    if (st->panes.at == PANE_SCALES && st->scales.n_rows == 0 && r.h > 2)
        ui_put(s, r.y + 2, r.x + 2, r.w - 2, UI_DIM,
               st->ui->model->scales ? _("none was found") : _("reading the scales ..."));
}

/* The operator types, and below them, where there is room, what the choice under the cursor is. */
static void
draw_types(struct state *st, struct ui_screen *s, struct ui_rect r)
{
    const int row = ui_table_row(&st->form.table), rows = st->types.n_shown + 2;
    struct ui_rect below = {r.y + rows, r.x + 1, r.h - rows, r.w - 1};
    ui_panes_draw(&st->panes, PANE_TYPES, s, r);
    if (st->panes.at != PANE_CHOICES || row < 0)
        return;
    const char *help = _(st->form.opt[row]->help);
    st->explained = ui_put_wrapped(NULL, below, UI_DIM, help) < below.h;
    if (!st->explained)
        return;
    ui_put(s, below.y++, below.x, below.w, UI_STRONG, st->form.opt[row]->name);
    below.h--;
    ui_put_wrapped(s, below, UI_DIM, help);
}

static void
draw_panes(struct state *st, struct ui_screen *s, struct ui_rect r)
{
    enum { LOW = 9, WIDE = 150 };
    struct ui_panes *p = &st->panes;
    ui_panes_begin(p);
    st->explained = false;
    if (r.h < LOW || r.w < 60 || p->at == PANE_SCALES) {
        draw_only(st, s, r);
        return;
    }
    if (r.w >= WIDE) {
        const int a = r.w / 2, b = r.w * 7 / 10;
        ui_panes_draw(p, PANE_CHOICES, s, (struct ui_rect){r.y, r.x, r.h, a - 1});
        draw_types(st, s, (struct ui_rect){r.y, r.x + a, r.h, b - a - 1});
        ui_panes_draw(p, PANE_RULES, s, (struct ui_rect){r.y, r.x + b, r.h, r.w - b});
        return;
    }
    enum { MOST_RULES = 3 };
    const int n_rules = st->rules.n_shown < MOST_RULES ? st->rules.n_shown : MOST_RULES;
    const int left = r.w * 5 / 9, rows = st->form.table.n_shown + 1;
    const int most = r.h - 2 - n_rules; /* a blank line and the title above the rules */
    const int upper = rows < most ? rows : most;
    ui_panes_draw(p, PANE_CHOICES, s, (struct ui_rect){r.y, r.x, upper, left});
    ui_panes_draw(p, PANE_RULES, s, (struct ui_rect){r.y + upper + 1, r.x, r.h - upper - 1, left});
    draw_types(st, s, (struct ui_rect){r.y, r.x + left + 1, r.h, r.w - left - 1});
}

static void
draw(struct ui *ui, void *state, struct ui_rect r)
{
    enum { RESULT_ROWS = 9 };
    struct state *st = state;
    int rows = r.h >= 18 ? RESULT_ROWS : r.h >= 10 ? r.h - 7 : r.h / 3;
    draw_panes(st, ui->screen, (struct ui_rect){r.y, r.x, r.h - rows, r.w});
    draw_result(st, ui->screen, (struct ui_rect){r.y + r.h - rows, r.x, rows, r.w});
}

/* What Enter, Space and the arrows do depends on the pane. */
static bool
change(struct state *st, enum ui_action action)
{
    struct ui *ui = st->ui;
    const enum pane pane = (enum pane)st->panes.at;
    const int row = ui_table_row(ui_panes_table(&st->panes));
    if (row < 0)
        return true;
    if (pane == PANE_CHOICES) {
        if (action == UI_ACT_EDIT)
            ui_form_edit(&st->form, ui);
        else
            ui_form_step(&st->form, ui, action == UI_ACT_LESS ? -1 : 1);
    } else if (pane == PANE_TYPES) {
        toggle_type(st, st->type[row].type);
    } else if (pane == PANE_SCALES && action == UI_ACT_EDIT) {
        ui_scales_follow(&st->scales, ui);
    } else if (action == UI_ACT_EDIT) {
        ui_say(ui, UI_DIM, _("d drops this rule, A adds one"));
    }
    return true;
}

static void
reset(struct ui *ui)
{
    ui_plan_keep(&ui->plan);
    qs_plan_release(&ui->plan.now);
    qs_plan_init(&ui->plan.now);
    ui_plan_changed(ui);
    ui_say(ui, UI_DIM, _("all choices at their defaults; u undoes"));
}

static bool
act(struct ui *ui, void *state, enum ui_action action, const char *arg)
{
    struct state *st = state;
    if (action == UI_ACT_NEXT_PANE || action == UI_ACT_PREV_PANE)
        ui_panes_next(&st->panes, action == UI_ACT_NEXT_PANE ? 1 : -1);
    else if (action == UI_ACT_EDIT || action == UI_ACT_TOGGLE || action == UI_ACT_MORE ||
             action == UI_ACT_LESS)
        return change(st, action);
    else if (action == UI_ACT_ADD_RULE)
        add_rule(ui, arg);
    else if (action == UI_ACT_DROP)
        drop_rule(st);
    else if (action == UI_ACT_RESET)
        reset(ui);
    else
        return ui_plan_act(ui, action, arg);
    return true;
}

static bool
mouse(struct ui *ui, void *state, const struct ui_key *key)
{
    return ui_panes_mouse(&((struct state *)state)->panes, ui, key, UI_ACT_EDIT);
}

static void
status(struct ui *ui, void *state, struct qs_str *out)
{
    static const char *const name[] = {N_("choices"), N_("operators"), N_("rules"), N_("scales")};
    const struct state *st = state;
    const int row = ui_table_row(&st->form.table);
    if (st->panes.at == PANE_SCALES) {
        ui_scales_describe(ui->model, out);
        qs_str_add(out, ";");
        return;
    }
    if (st->panes.at == PANE_CHOICES && row >= 0)
        qs_str_printf(out, "%d/%d %s%s%s;", st->form.table.cursor + 1, st->form.table.n_shown,
                      st->form.opt[row]->name, st->explained ? "" : ": ",
                      st->explained ? "" : _(st->form.opt[row]->help));
    else
        qs_str_printf(out, _("%s;"), _(name[st->panes.at]));
    if (ui->plan.n_undo + ui->plan.n_redo > 0)
        qs_str_printf(out, _(" %d changes to undo, %d to do again;"), ui->plan.n_undo,
                      ui->plan.n_redo);
}

const struct ui_view ui_view_plan = {
    .open = open_view,
    .close = close_view,
    .update = update,
    .draw = draw,
    .act = act,
    .table = table,
    .status = status,
    .mouse = mouse,
};
