/* SPDX-License-Identifier: Apache-2.0 */
/* Graph: one row for each operator in execution order, as a list or with the graph drawn beside. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/dag.h"
#include "ui/plot.h"
#include "ui/text.h"
#include "ui/ui.h"

struct state {
    struct ui *ui;
    struct ui_table table;
    bool weights_only, log;
    struct ui_column *drawn_column; /* those of the list and the lanes */
    struct ui_dag dag;
    bool drawn, fold;
};

static struct ui_model *
model(void *arg)
{
    return ((struct state *)arg)->ui->model;
}

static const struct qs_layer *
layer_at(void *arg, int row)
{
    const struct ui_model *m = model(arg);
    const int layer = m->op[row].layer;
    return layer >= 0 ? &m->opened->layers->layer[layer] : NULL;
}

static const struct qs_node_cost *
cost_at(void *arg, int row)
{
    const struct ui_model *m = model(arg);
    const struct ui_op *op = &m->op[row];
    const struct qs_shapes *s = m->opened->shapes;
    return s && s->node[op->block][op->node].known ? &s->node[op->block][op->node] : NULL;
}

/* Elements and bytes of the parameters an operator reads. */
static int64_t
params_at(void *arg, int row, bool bytes)
{
    const struct ui_model *m = model(arg);
    const struct qs_node *node = ui_model_node(m, row);
    int64_t n = 0;
    for (int s = 0; s < node->n_in; s++)
        for (int i = 0; i < node->in[s].n; i++) {
            const int32_t v = node->in[s].var[i];
            const struct qs_tensor *t =
                v >= 0 && m->layer_of_var[v] >= 0 ? m->opened->model->var[v].data : NULL;
            n += !t ? 0 : bytes ? (int64_t)t->bytes : t->n;
        }
    return n;
}

static void
text_number(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct ui_op *op = &model(arg)->op[row];
    (void)c;
    if (op->block > 0)
        qs_str_printf(out, "%d.%d", op->block, op->node + 1);
    else
        qs_str_printf(out, "%d", op->node + 1);
}

static double
value_number(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    (void)arg;
    return row;
}

static void
text_type(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_add(out, ui_model_node(model(arg), row)->type);
}

static void
text_weight(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const int layer = model(arg)->op[row].layer;
    (void)c;
    if (layer >= 0)
        qs_str_add(out, ui_layer_name(model(arg), layer));
}

/* Inferred, else as the program declares it. */
static void
text_shape(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct qs_node *node = ui_model_node(model(arg), row);
    const struct qs_node_cost *cost = cost_at(arg, row);
    char text[128];
    (void)c;
    if (cost && cost->out.known) {
        qs_str_add(out, qs_format_dims(text, sizeof(text), cost->out.d, cost->out.n));
        return;
    }
    if (node->n_out == 0 || node->out[0].n == 0 || node->out[0].var[0] < 0)
        return;
    const struct qs_var *v = &model(arg)->opened->model->var[node->out[0].var[0]];
    if (v->n_dims >= 0 && v->n_dims <= QS_RANK_MOST)
        qs_str_add(out, qs_format_dims(text, sizeof(text), v->dims, v->n_dims));
}

static int64_t
elements_at(void *arg, int row)
{
    const struct qs_node_cost *cost = cost_at(arg, row);
    int64_t n = cost ? 1 : 0;
    for (int i = 0; cost && i < cost->out.n; i++)
        if (__builtin_mul_overflow(n, cost->out.d[i], &n))
            return INT64_MAX;
    return n;
}

static double
value_shape(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    const int64_t n = elements_at(arg, row);
    return n > 0 ? (double)n : NAN;
}

static void
text_params(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const int64_t n = params_at(arg, row, c->data);
    if (n > 0 && c->data)
        ui_add_bytes(out, n);
    else if (n > 0)
        ui_add_count(out, n);
}

static double
value_params(const struct ui_column *c, void *arg, int row)
{
    const int64_t n = params_at(arg, row, c->data);
    return n > 0 ? (double)n : NAN;
}

static void
text_macs(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct qs_node_cost *cost = cost_at(arg, row);
    (void)c;
    if (cost && cost->macs > 0)
        ui_add_count(out, cost->macs);
}

static double
value_macs(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    const struct qs_node_cost *cost = cost_at(arg, row);
    return cost && cost->macs > 0 ? (double)cost->macs : NAN;
}

static const struct qs_layer_stats *
stats_at(void *arg, int row)
{
    return ui_layer_stats(model(arg), model(arg)->op[row].layer);
}

static void
text_range(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct qs_layer_stats *s = stats_at(arg, row);
    (void)c;
    if (s)
        qs_str_printf(out, "%.3g..%.3g", s->min, s->max);
}

static double
value_range(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    const struct qs_layer_stats *s = stats_at(arg, row);
    return s ? s->absmax : NAN;
}

static bool
has_params(const struct ui_model *m)
{
    return m->opened->model->has_params;
}

static void
paint_range(const struct ui_column *c, void *arg, int row, struct ui_screen *s, struct ui_rect cell)
{
    const struct state *st = arg;
    const struct qs_layer_stats *stats = stats_at(arg, row);
    (void)c;
    if (stats)
        ui_plot_range(s, cell, stats->min, stats->max, model(arg)->absmax, st->log);
    else if (layer_at(arg, row) && !model(arg)->stats_ended && has_params(model(arg)))
        ui_put_cell(s, cell.y, cell.x, cell.w, UI_DIM, false, "...");
}

static void
text_bits(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct qs_layer *l = layer_at(arg, row);
    (void)c;
    if (l && (l->quantizable || !l->secondary))
        ui_add_decision(out, model(arg), model(arg)->op[row].layer);
}

static double
value_bits(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    const struct qs_decision *d = ui_layer_decision(model(arg), model(arg)->op[row].layer);
    return d && d->bits > 0 ? d->bits : NAN;
}

static enum ui_item
style_bits(const struct ui_column *c, void *arg, int row)
{
    const struct qs_layer *l = layer_at(arg, row);
    const struct qs_decision *d = ui_layer_decision(model(arg), model(arg)->op[row].layer);
    (void)c;
    if (!l || !d)
        return UI_TEXT;
    if (!l->quantizable || d->action == QS_ACTION_SKIP)
        return UI_CAUTION;
    return d->action == QS_ACTION_INTEGER ? UI_GOOD : UI_TEXT;
}

static double
value_sqnr(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    const int layer = model(arg)->op[row].layer;
    return layer >= 0 ? ui_layer_output_sqnr(model(arg), layer) : NAN;
}

static void
text_sqnr(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    ui_add_decibel(out, value_sqnr(c, arg, row));
}

static void
text_note(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct qs_layer *l = layer_at(arg, row);
    const struct qs_decision *d = ui_layer_decision(model(arg), model(arg)->op[row].layer);
    (void)c;
    if (!l || l->secondary)
        return;
    qs_str_add(out, d && d->reason[0] ? d->reason : l->reason);
}

static const struct ui_column column[] = {
    {.name = "number",
     .title = N_("#"),
     .least = 4,
     .most = 7,
     .right = true,
     .help = N_("place in the order of execution; block.place in a sub-block"),
     .text = text_number,
     .value = value_number},
    {.name = "type",
     .title = N_("type"),
     .least = 11,
     .most = 28,
     .help = N_("operator type"),
     .text = text_type},
    {.name = "weight",
     .title = N_("weight"),
     .least = 13,
     .most = 48,
     .drop = 1,
     .help = N_("name of its weight"),
     .text = text_weight},
    {.name = "shape",
     .title = N_("output"),
     .least = 11,
     .most = 20,
     .drop = 5,
     .help = N_("shape of its first output"),
     .text = text_shape,
     .value = value_shape},
    {.name = "params",
     .title = N_("params"),
     .least = 6,
     .most = 6,
     .right = true,
     .drop = 8,
     .help = N_("elements of the parameters it reads"),
     .text = text_params,
     .value = value_params},
    {.name = "bytes",
     .title = N_("size"),
     .least = 7,
     .most = 8,
     .right = true,
     .drop = 6,
     .unit = N_("bytes"),
     .help = N_("bytes of the parameters it reads"),
     .data = 1,
     .text = text_params,
     .value = value_params},
    {.name = "macs",
     .title = N_("MACs"),
     .least = 6,
     .most = 9,
     .right = true,
     .drop = 7,
     .help = N_("multiply-accumulates"),
     .text = text_macs,
     .value = value_macs},
    {.name = "range",
     .title = N_("range"),
     .least = 13,
     .drop = 3,
     .help = N_("smallest to largest weight on an axis common to all rows"),
     .text = text_range,
     .value = value_range,
     .paint = paint_range},
    {.name = "bits",
     .title = N_("bits"),
     .least = 5,
     .most = 5,
     .right = true,
     .drop = 2,
     .help = N_("bits by the plan: ~ stored as FP32, fp left as it is, no: cannot be, = has them"),
     .text = text_bits,
     .value = value_bits,
     .style = style_bits},
    {.name = "sqnr",
     .title = N_("SQNR"),
     .least = 5,
     .most = 8,
     .right = true,
     .drop = 4,
     .unit = N_("dB"),
     .unit_in_title = true,
     .help = N_("signal to quantization noise of the weight, and of its activation where seen"),
     .text = text_sqnr,
     .value = value_sqnr},
    {.name = "note",
     .title = N_("note"),
     .least = 10,
     .most = 70,
     .drop = 9,
     .help = N_("why it is left as it is, or what a target does not take"),
     .text = text_note,
     .style = ui_style_dim},
};

static bool
hidden(void *arg, int row)
{
    const struct state *st = arg;
    const struct qs_layer *l = layer_at(arg, row);
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
    struct ui_column *c = qs_xcalloc(QS_LEN(column) + 1, sizeof(*c));
    memcpy(c, column, LANES * sizeof(*c));
    memcpy(c + LANES + 1, column + LANES, (QS_LEN(column) - LANES) * sizeof(*c));
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
    struct ui_table *t = &st->table;
    const char *sort = t->sort >= 0 ? t->col[t->sort].name : NULL;
    st->drawn = drawn;
    t->col = drawn ? st->drawn_column : column;
    t->n_col = (int)QS_LEN(column) + drawn;
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
    ui_dag_set_model(&st->dag, st->ui->model);
    ui_table_set_rows(&st->table, st->ui->model ? st->ui->model->n_ops : 0);
}

static void *
open_view(struct ui *ui)
{
    struct state *st = qs_xcalloc(1, sizeof(*st));
    st->ui = ui;
    ui_table_init(&st->table, column, QS_LEN(column), st);
    st->table.hidden = hidden;
    st->drawn_column = drawn_columns();
    st->fold = config_is(ui, "graph.fold", "yes");
    ui_config_take_sort(&ui->config, "graph", &st->table);
    set_form(st, config_is(ui, "graph.form", "drawn"));
    new_rows(st);
    return st;
}

static void
close_view(struct ui *ui, void *state)
{
    struct state *st = state;
    ui_config_keep_sort(&ui->config, "graph", &st->table);
    ui_table_release(&st->table);
    ui_dag_release(&st->dag);
    free(st->drawn_column);
    free(st);
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
        ui_table_refresh(&st->table);
}

static void
add_part(struct qs_str *line, struct state *st, int row,
         void (*text)(const struct ui_column *c, void *arg, int row, struct qs_str *out))
{
    const size_t before = line->n;
    qs_str_add(line, before ? "  " : "");
    const size_t start = line->n;
    text(NULL, st, row, line);
    if (line->n == start)
        line->s[line->n = before] = '\0';
}

/* What there was no room for in the row under the cursor. */
static void
draw_detail(struct state *st, struct ui_screen *s, struct ui_rect r)
{
    const int row = ui_table_row(&st->table);
    struct qs_str line;
    if (row < 0)
        return;
    qs_str_init(&line);
    if (st->drawn)
        ui_dag_describe(&st->dag, &st->table, &line);
    add_part(&line, st, row, text_weight);
    add_part(&line, st, row, text_range);
    add_part(&line, st, row, text_note);
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
        ui_dag_update(&st->dag, &st->table);
        st->drawn_column[LANES].least = ui_dag_fit(&st->dag, r.w / 3);
        st->drawn_column[LANES].most = st->drawn_column[LANES].least;
    }
    ui_table_draw(&st->table, ui->screen, (struct ui_rect){r.y, r.x, r.h - detail, r.w}, true);
    if (detail)
        draw_detail(st, ui->screen, (struct ui_rect){r.y + r.h - 1, r.x, 1, r.w});
}

/* Layers of the rows chosen that can have a rule; malloc. */
static int *
chosen_layers(struct state *st, int *n)
{
    int n_rows, *row = ui_table_chosen(&st->table, &n_rows);
    *n = 0;
    for (int i = 0; i < n_rows; i++) {
        const struct qs_layer *l = layer_at(st, row[i]);
        if (l && l->quantizable)
            row[(*n)++] = st->ui->model->op[row[i]].layer;
    }
    return row;
}

static void
rule(struct state *st, const char *what)
{
    int n, *layer = chosen_layers(st, &n);
    if (n == 0)
        ui_say(st->ui, UI_CAUTION, _("no weight here that can be quantized"));
    else
        ui_rule_layers(st->ui, layer, n, what);
    free(layer);
}

static void
rule_bits(struct state *st, const char *arg)
{
    char what[32], pattern[512] = "";
    int bits = 0;
    if (sscanf(arg, "%d %511[^\n]", &bits, pattern) < 1 || bits < 2 || bits > UI_MOST_BITS) {
        ui_say(st->ui, UI_BAD, _("bits go from 2 to 16, not '%s'"), arg);
        return;
    }
    snprintf(what, sizeof(what), "bits:%d", bits);
    if (pattern[0])
        ui_rule_pattern_add(st->ui, pattern, what);
    else
        rule(st, what);
}

/* The cursor stays, or goes up to the operator that this one belongs to. */
static void
refilter(struct state *st)
{
    int row = ui_table_row(&st->table);
    ui_table_refilter(&st->table);
    while (row >= 0 && !ui_table_go(&st->table, row))
        row--;
}

static void
toggle_form(struct state *st)
{
    set_form(st, !st->drawn);
    refilter(st);
    ui_config_set(&st->ui->config, "graph.form", st->drawn ? "drawn" : "list");
}

static void
toggle_fold(struct state *st)
{
    st->fold = !st->fold;
    refilter(st);
    ui_config_set(&st->ui->config, "graph.fold", st->fold ? "yes" : "no");
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
        why = ui_dag_follow(&st->dag, &st->table, down) ? NULL
              : down                                    ? _("no operator here reads it")
                                                        : _("no operator here made it");
    else if (action == UI_ACT_NEXT_PRODUCER || action == UI_ACT_NEXT_CONSUMER)
        why = ui_dag_choose(&st->dag, &st->table, down) ? NULL : _("there is no other");
    else if (is_sort(action))
        why = _("the drawn graph keeps the order of execution; d lists");
    else
        return false;
    if (why)
        ui_say(st->ui, UI_DIM, "%s", why);
    return true;
}

static bool
act(struct ui *ui, void *state, enum ui_action action, const char *arg)
{
    struct state *st = state;
    const int row = ui->model ? ui_table_row(&st->table) : -1;
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
        ui_table_refilter(&st->table);
    } else if (action == UI_ACT_DRAW_GRAPH) {
        toggle_form(st);
    } else if (action == UI_ACT_SCALE) {
        st->log = !st->log;
    } else {
        return ui_plan_act(ui, action, arg);
    }
    return true;
}

static struct ui_table *
table(void *state)
{
    return &((struct state *)state)->table;
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
    if (!has_params(m))
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
    .table = table,
    .status = status,
    .forms = UI_IN_DRAWN,
    .form = form,
};
