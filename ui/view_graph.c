/* SPDX-License-Identifier: Apache-2.0 */
/* Graph: one row for each operator in execution order, as a list or with the graph drawn beside. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/dag.h"
#include "ui/graph_rows.h"
#include "ui/text.h"
#include "ui/ui.h"

struct state {
    struct ui_graph_rows rows; /* first */
    bool weights_only;
    struct ui_column *drawn_column; /* those of the list and the lanes */
    struct ui_dag dag;
    bool drawn, fold;
};

static bool
hidden(void *arg, int row)
{
    struct state *st = arg;
    const struct qs_layer *l = ui_graph_layer(&st->rows, row);
    return (st->weights_only && (!l || l->secondary)) ||
           (st->drawn && st->fold && ui_dag_is_folded(&st->dag, row));
}

static void
text_nothing(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    (void)arg;
    (void)row;
    (void)out;
}

static void
paint_lanes(const struct ui_column *c, void *arg, int row, struct ui_screen *s, struct ui_rect cell)
{
    const struct state *st = arg;
    (void)c;
    ui_dag_paint(&st->dag, row, s, cell);
}

static enum ui_item
style_near(const struct ui_column *c, void *arg, int row)
{
    const struct state *st = arg;
    (void)c;
    return ui_dag_is_near(&st->dag, row) ? UI_KEY : UI_TEXT;
}

enum { LANES = 1, TYPE = 2 }; /* places among the columns of the drawn form */

static struct ui_column *
drawn_columns(void)
{
    struct ui_column *c = qs_xcalloc((size_t)ui_n_graph_columns + 1, sizeof(*c));
    memcpy(c, ui_graph_columns, LANES * sizeof(*c));
    memcpy(c + LANES + 1, ui_graph_columns + LANES,
           ((size_t)ui_n_graph_columns - LANES) * sizeof(*c));
    c[LANES] = (struct ui_column){.name = "graph",
                                  .title = N_("graph"),
                                  .help = N_("lanes: values on their way; thick: of this row"),
                                  .text = text_nothing,
                                  .paint = paint_lanes};
    c[TYPE].style = style_near;
    return c;
}

static void
set_form(struct state *st, bool drawn)
{
    struct ui_table *t = &st->rows.list.table;
    const char *sort = t->sort >= 0 ? t->col[t->sort].name : NULL;
    st->drawn = drawn;
    t->col = drawn ? st->drawn_column : ui_graph_columns;
    t->n_col = ui_n_graph_columns + drawn;
    t->n_frozen = drawn ? TYPE + 1 : 2;
    t->skip = 0;
    t->sort = sort ? ui_table_find_column(t, sort) : -1;
    t->ordered = drawn;
}

static bool
config_is(const struct ui *ui, const char *key, const char *value)
{
    const char *v = ui_config_get(&ui->config, key);
    return v && strcmp(v, value) == 0;
}

static void
new_rows(struct state *st)
{
    ui_dag_set_model(&st->dag, st->rows.list.ui->model);
    ui_table_set_rows(&st->rows.list.table,
                      st->rows.list.ui->model ? st->rows.list.ui->model->n_ops : 0);
}

static void *
open_view(struct ui *ui)
{
    struct state *st = ui_list_open(ui, sizeof(*st), "graph", ui_graph_columns, ui_n_graph_columns);
    st->rows.list.table.hidden = hidden;
    st->drawn_column = drawn_columns();
    st->fold = config_is(ui, "graph.fold", "yes");
    set_form(st, config_is(ui, "graph.form", "drawn"));
    new_rows(st);
    return st;
}

static void
close_view(struct ui *ui, void *state)
{
    struct state *st = state;
    ui_dag_release(&st->dag);
    struct ui_column *drawn = st->drawn_column; /* the table has it until the end */
    ui_list_close(ui, state);
    free(drawn);
}

static void
update(struct ui *ui, void *state, enum ui_event ev)
{
    struct state *st = state;
    (void)ui;
    if (ev == UI_EVENT_MODEL)
        new_rows(st);
    else if (ev == UI_EVENT_STATS || ev == UI_EVENT_PLAN || ev == UI_EVENT_SEEN ||
             ev == UI_EVENT_SCALES)
        ui_table_refresh(&st->rows.list.table);
}

/* What there was no room for in the row under the cursor. */
static void
draw_detail(struct state *st, struct ui_screen *s, struct ui_rect r)
{
    const int row = ui_table_row(&st->rows.list.table);
    struct qs_str line;
    if (row < 0)
        return;
    qs_str_init(&line);
    if (st->drawn)
        ui_dag_describe(&st->dag, &st->rows.list.table, &line);
    ui_graph_describe(&st->rows, row, &line);
    ui_put_char(s, r.y, r.x, r.w, UI_LINE, 0x2500, '-');
    if (line.n)
        ui_putf(s, r.y, r.x + 1, r.w - 2, UI_STRONG, " %s ", line.s);
    qs_str_release(&line);
}

static void
draw(struct ui *ui, void *state, struct ui_rect r)
{
    struct state *st = state;
    if (!ui->model) {
        ui_put(ui->screen, r.y + r.h / 3, r.x + 2, r.w - 2, UI_DIM,
               ui->opening ? _("opening ...") : _("no model is open; 1 lists models, :open PATH"));
        return;
    }
    const int detail = r.h >= 8;
    if (st->drawn) {
        ui_dag_update(&st->dag, &st->rows.list.table);
        st->drawn_column[LANES].least = ui_dag_fit(&st->dag, r.w / 3);
        st->drawn_column[LANES].most = st->drawn_column[LANES].least;
    }
    ui_table_draw(&st->rows.list.table, ui->screen, (struct ui_rect){r.y, r.x, r.h - detail, r.w},
                  true);
    if (detail)
        draw_detail(st, ui->screen, (struct ui_rect){r.y + r.h - 1, r.x, 1, r.w});
}

/* Layers of the rows chosen that can have a rule; malloc. */
static int *
chosen_layers(struct state *st, int *n)
{
    int n_rows, *row = ui_table_chosen(&st->rows.list.table, &n_rows);
    *n = 0;
    for (int i = 0; i < n_rows; i++) {
        const struct qs_layer *l = ui_graph_layer(&st->rows, row[i]);
        if (l && l->quantizable)
            row[(*n)++] = st->rows.list.ui->model->op[row[i]].layer;
    }
    return row;
}

static void
rule(struct state *st, const char *what)
{
    int n, *layer = chosen_layers(st, &n);
    if (n == 0)
        ui_say(st->rows.list.ui, UI_CAUTION, _("no weight here that can be quantized"));
    else
        ui_rule_layers(st->rows.list.ui, layer, n, what);
    free(layer);
}

static void
rule_bits(struct state *st, const char *arg)
{
    char what[32], pattern[512] = "";
    int bits = 0;
    if (sscanf(arg, "%d %511[^\n]", &bits, pattern) < 1 || bits < 2 || bits > UI_MOST_BITS) {
        ui_say(st->rows.list.ui, UI_BAD, _("bits go from 2 to 16, not '%s'"), arg);
        return;
    }
    snprintf(what, sizeof(what), "bits:%d", bits);
    if (pattern[0])
        ui_rule_pattern_add(st->rows.list.ui, pattern, what);
    else
        rule(st, what);
}

/* The cursor stays, or goes up to the operator that this one belongs to. */
static void
refilter(struct state *st)
{
    int row = ui_table_row(&st->rows.list.table);
    ui_table_refilter(&st->rows.list.table);
    while (row >= 0 && !ui_table_go(&st->rows.list.table, row))
        row--;
}

static void
toggle_form(struct state *st)
{
    set_form(st, !st->drawn);
    refilter(st);
    ui_config_set(&st->rows.list.ui->config, "graph.form", st->drawn ? "drawn" : "list");
}

static void
toggle_fold(struct state *st)
{
    st->fold = !st->fold;
    refilter(st);
    ui_config_set(&st->rows.list.ui->config, "graph.fold", st->fold ? "yes" : "no");
}

static bool
is_sort(enum ui_action action)
{
    return action == UI_ACT_SORT || action == UI_ACT_SORT_NEXT || action == UI_ACT_SORT_PREV ||
           action == UI_ACT_SORT_REVERSE;
}

/* What works in the drawn form only, or not in it. */
static bool
act_drawn(struct state *st, enum ui_action action)
{
    const bool down = action == UI_ACT_CONSUMER || action == UI_ACT_NEXT_CONSUMER;
    const char *why = NULL;
    if (action == UI_ACT_FOLD)
        toggle_fold(st);
    else if (action == UI_ACT_PRODUCER || action == UI_ACT_CONSUMER)
        why = ui_dag_follow(&st->dag, &st->rows.list.table, down) ? NULL
              : down                                              ? _("no operator here reads it")
                                                                  : _("no operator here made it");
    else if (action == UI_ACT_NEXT_PRODUCER || action == UI_ACT_NEXT_CONSUMER)
        why = ui_dag_choose(&st->dag, &st->rows.list.table, down) ? NULL : _("there is no other");
    else if (is_sort(action))
        why = _("the drawn graph keeps the order of execution; d lists");
    else
        return false;
    if (why)
        ui_say(st->rows.list.ui, UI_DIM, "%s", why);
    return true;
}

static bool
act(struct ui *ui, void *state, enum ui_action action, const char *arg)
{
    struct state *st = state;
    const int row = ui->model ? ui_table_row(&st->rows.list.table) : -1;
    if (!ui->model)
        return false;
    if (st->drawn && act_drawn(st, action))
        return true;
    if ((action == UI_ACT_SHOW_LAYER || action == UI_ACT_VIEW_LAYER) && row >= 0) {
        ui_go_to_op(ui, row, ui->model->op[row].layer);
    } else if (action == UI_ACT_SKIP && arg && *arg) {
        ui_rule_pattern_add(ui, arg, "skip");
    } else if (action == UI_ACT_SKIP) {
        rule(st, "skip");
    } else if (action == UI_ACT_UNRULE) {
        rule(st, NULL);
    } else if (action == UI_ACT_BITS) {
        rule_bits(st, arg);
    } else if (action == UI_ACT_CALIBRATOR) {
        int n, *layer = chosen_layers(st, &n);
        ui_rule_calibrator(ui, layer, n, arg);
        free(layer);
    } else if (action == UI_ACT_QUIET_ROWS) {
        st->weights_only = !st->weights_only;
        ui_table_refilter(&st->rows.list.table);
    } else if (action == UI_ACT_DRAW_GRAPH) {
        toggle_form(st);
    } else if (action == UI_ACT_SCALE) {
        st->rows.log = !st->rows.log;
    } else {
        return ui_plan_act(ui, action, arg);
    }
    return true;
}

static unsigned
form(void *state)
{
    return ((const struct state *)state)->drawn ? UI_IN_DRAWN : 0;
}

static void
status(struct ui *ui, void *state, struct qs_str *out)
{
    const struct state *st = state;
    const struct ui_model *m = ui->model;
    char before[16], after[16];
    if (!m)
        return;
    if (!m->opened->model->has_params)
        qs_str_add(out, _("the program only, no parameters beside it; "));
    else if (m->decisions)
        qs_str_printf(out, _("%s -> %s by the plan; "),
                      qs_format_bytes(before, sizeof(before), m->decisions->params_before),
                      qs_format_bytes(after, sizeof(after), m->decisions->params_after));
    else if (m->quant.kind == QS_QUANT_NONE)
        qs_str_printf(out, _("plan: %s; "), m->why);
    if (m->quant.kind != QS_QUANT_NONE) {
        ui_scales_describe(m, out);
        qs_str_add(out, "; ");
    }
    if (st->weights_only)
        qs_str_add(out, _("weights only; "));
    if (st->drawn && st->fold)
        qs_str_add(out, _("folded; "));
}

const struct ui_view ui_view_graph = {
    .open = open_view,
    .close = close_view,
    .update = update,
    .draw = draw,
    .act = act,
    .table = ui_list_table,
    .status = status,
    .forms = UI_IN_DRAWN,
    .form = form,
};
