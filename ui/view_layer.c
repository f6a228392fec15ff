/* SPDX-License-Identifier: Apache-2.0 */
/* Layer: one operator with its attributes, neighbours and the statistics of its weight, beside
 * charts of the weight. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/layer_charts.h"
#include "ui/layer_lines.h"
#include "ui/text.h"
#include "ui/ui.h"

struct state {
    struct ui *ui;
    struct ui_table table;
    struct ui_lines lines;
    struct ui_charts charts;
    bool stale;    /* the plan changed since the look at the layer */
    int shown;     /* operator shown last, to see when another view chose a new one */
    int trail[64]; /* operators walked through */
    int n_trail;
};

static void
text_name(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct ui_line *l = &((struct state *)arg)->lines.line[row];
    (void)c;
    /* the translation of "" is the head of the catalogue */
    qs_str_add(out, l->own || !*l->name ? l->name : _(l->name));
}

static void
text_value(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_add(out, ((struct state *)arg)->lines.line[row].value);
}

static enum ui_item
style_line(const struct ui_column *c, void *arg, int row)
{
    const struct ui_line *l = &((struct state *)arg)->lines.line[row];
    return c->data && l->item == UI_TEXT ? UI_DIM : l->item;
}

static const struct ui_column column[] = {
    {.name = "what",
     .title = N_("what"),
     .least = 14,
     .most = 24,
     .data = 1,
     .help = N_("attribute, slot or statistic; > leads to another operator"),
     .text = text_name,
     .style = style_line},
    {.name = "value",
     .title = N_("value"),
     .least = 20,
     .help = N_("its value"),
     .text = text_value,
     .style = style_line},
};

static void
build(struct state *st)
{
    const int cursor = st->table.cursor, top = st->table.top;
    ui_lines_build(&st->lines);
    ui_table_set_rows(&st->table, st->lines.n);
    st->table.cursor = cursor < st->lines.n ? cursor : 0;
    st->table.top = top;
}

static void *
open_view(struct ui *ui)
{
    struct state *st = qs_xcalloc(1, sizeof(*st));
    st->ui = st->lines.ui = ui;
    st->shown = -1;
    ui_table_init(&st->table, column, QS_LEN(column), st);
    if (ui->op < 0 && ui->model && ui->model->n_ops > 0)
        ui_show_op(ui, 0, ui->model->op[0].layer);
    build(st);
    return st;
}

static void
close_view(struct ui *ui, void *state)
{
    struct state *st = state;
    (void)ui;
    ui_lines_clear(&st->lines);
    ui_table_release(&st->table);
    free(st);
}

static void
update(struct ui *ui, void *state, enum ui_event ev)
{
    struct state *st = state;
    /* looked at again when it is shown */
    st->stale = st->stale || ev == UI_EVENT_PLAN;
    if (ev != UI_EVENT_LOOK && ev != UI_EVENT_MODEL && ev != UI_EVENT_STATS &&
        ev != UI_EVENT_PLAN && ev != UI_EVENT_SEEN && ev != UI_EVENT_SCALES)
        return;
    if (ev == UI_EVENT_MODEL || ui->op != st->shown) {
        st->table.cursor = 0;
        st->n_trail = 0;
        st->shown = ui->op;
    }
    build(st);
}

/* What there is to draw. */
static void
fill_charts(struct state *st)
{
    const struct ui *ui = st->ui;
    struct ui_charts *c = &st->charts;
    c->weight = ui->layer >= 0;
    c->look = ui->look && ui->look->layer == ui->layer ? ui->look : NULL;
    c->looking = ui->looking != NULL;
    c->seen = ui->model && ui->op >= 0 ? ui_op_seen(ui->model, ui->op) : NULL;
    c->threshold = NAN;
    if (!c->seen)
        return;
    c->seen_name = ui->model->opened->model->var[c->seen->var].name;
    c->threshold = ui_layer_threshold(ui->model, ui->layer, c->seen);
}

static void
draw(struct ui *ui, void *state, struct ui_rect r)
{
    enum { WIDE = 100, LOW = 8 };
    struct state *st = state;
    fill_charts(st);
    ui_task_seen(ui, false);
    if (!ui->model || ui->op < 0) {
        ui_put(ui->screen, r.y + r.h / 3, r.x + 2, r.w - 2, UI_DIM,
               _("no operator was chosen; Enter in the graph shows one"));
        return;
    }
    if (st->stale && ui->layer >= 0)
        ui_task_look(ui, ui->layer);
    st->stale = false;
    if ((ui->layer < 0 && !st->charts.seen) || r.h < LOW) {
        ui_table_draw(&st->table, ui->screen, r, true);
    } else if (r.w >= WIDE) {
        const int left = r.w * 2 / 5;
        ui_table_draw(&st->table, ui->screen, (struct ui_rect){r.y, r.x, r.h, left}, true);
        ui_charts_draw(&st->charts, ui->screen,
                       (struct ui_rect){r.y, r.x + left + 1, r.h, r.w - left - 1});
    } else {
        const int upper = r.h / 2;
        ui_table_draw(&st->table, ui->screen, (struct ui_rect){r.y, r.x, upper, r.w}, true);
        ui_charts_draw(&st->charts, ui->screen,
                       (struct ui_rect){r.y + upper, r.x, r.h - upper, r.w});
    }
}

/* Walking keeps where it came from. */
static void
walk(struct state *st, int op)
{
    const int most = (int)QS_LEN(st->trail);
    if (op < 0 || op >= st->ui->model->n_ops)
        return;
    if (st->n_trail == most)
        memmove(st->trail, st->trail + 1, (size_t)(--st->n_trail) * sizeof(st->trail[0]));
    st->trail[st->n_trail++] = st->ui->op;
    st->shown = op;
    st->table.cursor = 0;
    ui_show_op(st->ui, op, st->ui->model->op[op].layer);
}

static bool
walk_back(struct state *st)
{
    if (st->n_trail == 0 || !st->ui->model)
        return false;
    const int op = st->trail[--st->n_trail];
    st->shown = op;
    st->table.cursor = 0;
    ui_show_op(st->ui, op, st->ui->model->op[op].layer);
    return true;
}

/* The next parameter that this operator reads. */
static void
next_weight(struct state *st)
{
    const struct ui_model *m = st->ui->model;
    const struct qs_node *node = ui_model_node(m, st->ui->op);
    int first = -1, next = -1;
    bool passed = false;
    for (int s = 0; s < node->n_in; s++)
        for (int i = 0; i < node->in[s].n; i++) {
            const int l = node->in[s].var[i] >= 0 ? m->layer_of_var[node->in[s].var[i]] : -1;
            if (l < 0)
                continue;
            first = first < 0 ? l : first;
            if (passed && next < 0)
                next = l;
            passed = passed || l == st->ui->layer;
        }
    if (first >= 0)
        ui_show_op(st->ui, st->ui->op, next >= 0 ? next : first);
}

static void
give_bits(struct ui *ui, const char *arg)
{
    char what[32], pattern[512] = "";
    int bits = 0;
    if (sscanf(arg, "%d %511[^\n]", &bits, pattern) < 1 || bits < 2 || bits > UI_MOST_BITS) {
        ui_say(ui, UI_BAD, _("bits go from 2 to 16, not '%s'"), arg);
        return;
    }
    snprintf(what, sizeof(what), "bits:%d", bits);
    if (pattern[0])
        ui_rule_pattern_add(ui, pattern, what);
    else
        ui_rule_layers(ui, &ui->layer, 1, what);
}

/* The threshold of the plan, a little larger or smaller. */
static void
move_threshold(struct ui *ui, double factor)
{
    const struct ui_seen *s = ui_op_seen(ui->model, ui->op);
    const double t = s ? ui_layer_threshold(ui->model, ui->layer, s) : NAN;
    char text[32];
    if (!(t > 0)) {
        ui_say(ui, UI_CAUTION, _("no calibration saw this activation; :calibrate DATA makes one"));
        return;
    }
    snprintf(text, sizeof(text), "%.4g", t * factor);
    ui_rule_calibrator(ui, &ui->layer, 1, text);
}

static bool
is_rule(enum ui_action action)
{
    static const enum ui_action rule[] = {UI_ACT_SKIP,       UI_ACT_BITS,  UI_ACT_UNRULE,
                                          UI_ACT_CALIBRATOR, UI_ACT_RAISE, UI_ACT_LOWER};
    for (size_t i = 0; i < QS_LEN(rule); i++)
        if (action == rule[i])
            return true;
    return false;
}

static bool
act_rule(struct ui *ui, enum ui_action action, const char *arg)
{
    const bool may = ui->layer >= 0 && ui->model->opened->layers->layer[ui->layer].quantizable;
    if (!is_rule(action))
        return false;
    if (action == UI_ACT_SKIP && arg && *arg)
        ui_rule_pattern_add(ui, arg, "skip");
    else if (!may)
        ui_say(ui, UI_CAUTION, _("no weight here that can be quantized"));
    else if (action == UI_ACT_BITS)
        give_bits(ui, arg);
    else if (action == UI_ACT_CALIBRATOR)
        ui_rule_calibrator(ui, &ui->layer, 1, arg);
    else if (action == UI_ACT_RAISE || action == UI_ACT_LOWER)
        move_threshold(ui, action == UI_ACT_RAISE ? 1.02 : 1 / 1.02);
    else
        ui_rule_layers(ui, &ui->layer, 1, action == UI_ACT_SKIP ? "skip" : NULL);
    return true;
}

static bool
act(struct ui *ui, void *state, enum ui_action action, const char *arg)
{
    struct state *st = state;
    const int row = ui_table_row(&st->table);
    if (!ui->model || ui->op < 0)
        return false;
    if (action == UI_ACT_FOLLOW) {
        if (row >= 0 && st->lines.line[row].op >= 0)
            walk(st, st->lines.line[row].op);
        else if (row >= 0 && st->lines.line[row].algo >= 0)
            act_rule(ui, UI_ACT_CALIBRATOR, qs_algo_names[st->lines.line[row].algo]);
        else
            ui_say(ui, UI_DIM, _("this line leads nowhere; < and > lines do"));
    } else if (action == UI_ACT_BACK) {
        return walk_back(st);
    } else if (action == UI_ACT_NEXT_NODE || action == UI_ACT_PREV_NODE) {
        walk(st, ui->op + (action == UI_ACT_NEXT_NODE ? 1 : -1));
    } else if (action == UI_ACT_CHART) {
        fill_charts(st);
        ui_charts_next(&st->charts);
    } else if (action == UI_ACT_SCALE) {
        st->charts.log = !st->charts.log;
    } else if (action == UI_ACT_NEXT_WEIGHT) {
        next_weight(st);
    } else {
        return act_rule(ui, action, arg) || ui_plan_act(ui, action, arg);
    }
    return true;
}

static struct ui_table *
table(void *state)
{
    return &((struct state *)state)->table;
}

/* The line under the cursor, which may have been cut. */
static void
status(struct ui *ui, void *state, struct qs_str *out)
{
    struct state *st = state;
    const int row = ui_table_row(&st->table);
    (void)ui;
    if (row < 0)
        return;
    text_name(NULL, st, row, out);
    qs_str_printf(out, "%s%s;", *st->lines.line[row].value ? ": " : "", st->lines.line[row].value);
}

const struct ui_view ui_view_layer = {
    .open = open_view,
    .close = close_view,
    .update = update,
    .draw = draw,
    .act = act,
    .table = table,
    .status = status,
};
