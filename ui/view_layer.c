/* SPDX-License-Identifier: Apache-2.0 */
/* Layer: one operator with its attributes, neighbours and the statistics of its weight, beside
 * charts of the weight. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "model/text.h"
#include "ui/layer_charts.h"
#include "ui/text.h"
#include "ui/ui.h"

struct line {
    const char *name; /* not yet translated, or from the model */
    char *value;
    int op;   /* Enter goes there; -1: nowhere */
    int algo; /* Enter takes this calibrator; -1: none */
    enum ui_item item;
    bool own; /* name is free'd */
};

struct state {
    struct ui *ui;
    struct ui_table table;
    struct line *line;
    int n;
    struct ui_charts charts;
    bool stale;    /* the plan changed since the look at the layer */
    int shown;     /* operator shown last, to see when another view chose a new one */
    int trail[64]; /* operators walked through */
    int n_trail;
};

static void
text_name(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct line *l = &((struct state *)arg)->line[row];
    (void)c;
    /* the translation of "" is the head of the catalogue */
    qs_str_add(out, l->own || !*l->name ? l->name : _(l->name));
}

static void
text_value(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_add(out, ((struct state *)arg)->line[row].value);
}

static enum ui_item
style_line(const struct ui_column *c, void *arg, int row)
{
    const struct line *l = &((struct state *)arg)->line[row];
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
clear_lines(struct state *st)
{
    for (int i = 0; i < st->n; i++) {
        free(st->line[i].value);
        if (st->line[i].own)
            free((char *)st->line[i].name);
    }
    free(st->line);
    st->line = NULL;
    st->n = 0;
}

static struct line *add(struct state *st, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static struct line *
add(struct state *st, const char *name, const char *fmt, ...)
{
    struct qs_str value;
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    qs_str_init(&value);
    qs_str_add_printable(&value, text);
    st->line = qs_xrealloc(st->line, (size_t)(st->n + 1) * sizeof(*st->line));
    struct line *l = &st->line[st->n++];
    *l = (struct line){name, qs_str_take(&value), -1, -1, UI_TEXT, false};
    return l;
}

static void
add_section(struct state *st, const char *name)
{
    add(st, name, "%s", "")->item = UI_TITLE;
}

static void
add_decision(struct state *st, const struct ui_model *m, int layer)
{
    const struct qs_decision *d = ui_layer_decision(m, layer);
    const struct qs_layer *l = &m->opened->layers->layer[layer];
    struct qs_str db;
    if (!d || d->bits == 0) {
        add(st, N_("by the plan"), "%s%s%s", d ? qs_action_name(d->action, 0) : "?",
            d && d->reason[0] ? ": " : "", d ? d->reason : "");
        return;
    }
    qs_str_init(&db);
    ui_add_decibel(&db, ui_layer_sqnr(m, layer));
    add(st, N_("by the plan"), _("%s, %d bits, %lld scales%s%s%s"),
        qs_action_name(d->action, d->bits), d->bits, (long long)d->n_scales, db.n ? ", " : "", db.s,
        db.n ? " dB" : "");
    qs_str_release(&db);
    if (d->reason[0])
        add(st, N_("note"), "%s", d->reason);
    if (l->reason[0] && strcmp(l->reason, d->reason) != 0)
        add(st, N_("note"), "%s", l->reason);
}

static void
add_stats(struct state *st, const struct ui_model *m, int layer)
{
    const struct qs_layer_stats *s = ui_layer_stats(m, layer);
    if (!s) {
        add(st, N_("statistics"), "%s",
            m->stats_ended || !m->opened->model->has_params ? _("none") : _("being computed"));
        return;
    }
    add(st, N_("min .. max"), "%.6g .. %.6g", s->min, s->max);
    add(st, N_("mean, std"), "%.4g, %.4g", s->mean, s->std);
    add(st, N_("zeros"), "%.2f %%", 100 * s->sparsity);
    add(st, N_("kurtosis"), "%.2f", s->kurtosis);
    add(st, N_("channel ratio"), "%.2f", s->channel_range_ratio);
    if (s->n_bad > 0)
        add(st, N_("not finite"), "%lld", (long long)s->n_bad)->item = UI_BAD;
}

static void
add_weight(struct state *st, const struct ui_model *m, int layer)
{
    const struct qs_layer *l = &m->opened->layers->layer[layer];
    const struct qs_var *v = &m->opened->model->var[l->var];
    char dims[128], bytes[16];
    add_section(st, N_("weight"));
    add(st, N_("name"), "%s", v->name);
    if (v->data)
        add(st, N_("shape"), "%s %s, %s",
            qs_format_dims(dims, sizeof(dims), v->data->dims, v->data->n_dims),
            qs_dtype_name(v->data->dtype) ? qs_dtype_name(v->data->dtype) : "?",
            qs_format_bytes(bytes, sizeof(bytes), (int64_t)v->data->bytes));
    if (l->axis >= 0)
        add(st, N_("channels"), _("%lld along axis %d"), (long long)l->n_channels, l->axis);
    if (l->n_users > 1)
        add(st, N_("read by"), _("%d operators"), l->n_users);
    add_decision(st, m, layer);
    add_stats(st, m, layer);
}

/* "x 1x3x224x224" of a variable. */
static void
describe_var(const struct ui_model *m, int32_t var, struct qs_str *out)
{
    const struct qs_var *v = &m->opened->model->var[var];
    const struct qs_shapes *s = m->opened->shapes;
    char dims[128];
    qs_str_add(out, v->name);
    if (v->data)
        qs_str_printf(out, "  %s",
                      qs_format_dims(dims, sizeof(dims), v->data->dims, v->data->n_dims));
    else if (s && s->var[var].known)
        qs_str_printf(out, "  %s",
                      qs_format_dims(dims, sizeof(dims), s->var[var].d, s->var[var].n));
}

static void
add_neighbour(struct state *st, const struct ui_model *m, const char *slot, struct qs_ref ref,
              const char *arrow)
{
    const int op = ui_model_op_at(m, ref);
    if (op < 0 || op == st->ui->op)
        return;
    struct line *l = add(st, "", "%s %s  #%d", arrow, ui_model_node(m, op)->type, ref.node + 1);
    l->op = op;
    l->item = UI_KEY;
    (void)slot;
}

/* The writer whose value this operator reads: the last before it in its block, else the last. */
static struct qs_ref
producer(const struct ui_model *m, int32_t var, const struct ui_op *op)
{
    const struct qs_edges *e = m->opened->edges;
    struct qs_ref best = {-1, -1};
    for (int i = 0; i < e->n_writer[var]; i++) {
        const struct qs_ref r = e->writer[var][i];
        if (r.block != op->block || r.node < op->node || best.block < 0)
            best = r;
    }
    return best;
}

static void
add_slots(struct state *st, const struct ui_model *m, bool inputs)
{
    enum { MOST_READERS = 64 };
    const struct qs_node *node = ui_model_node(m, st->ui->op);
    const struct qs_edges *e = m->opened->edges;
    const struct qs_slot *slot = inputs ? node->in : node->out;
    const int n = inputs ? node->n_in : node->n_out;
    add_section(st, inputs ? N_("inputs") : N_("outputs"));
    for (int s = 0; s < n; s++)
        for (int i = 0; i < slot[s].n; i++) {
            const int32_t var = slot[s].var[i];
            struct qs_str text;
            if (var < 0)
                continue;
            qs_str_init(&text);
            describe_var(m, var, &text);
            struct line *l = add(st, slot[s].name, "%s", text.s);
            l->own = true;
            l->name = qs_xstrdup(slot[s].name);
            qs_str_release(&text);
            if (inputs)
                add_neighbour(st, m, slot[s].name, producer(m, var, &m->op[st->ui->op]), "<");
            for (int r = 0; !inputs && r < e->n_reader[var] && r < MOST_READERS; r++)
                add_neighbour(st, m, slot[s].name, e->reader[var][r], ">");
        }
}

/* Activation */

static void
add_calibrator(struct state *st, const struct ui_seen *s, int algo, double t, bool taken)
{
    struct qs_str db;
    qs_str_init(&db);
    ui_add_decibel(&db, ui_seen_sqnr(s, st->ui->model->activation_bits, t));
    struct line *l = add(st, algo >= 0 ? qs_algo_names[algo] : N_("by hand"),
                         _("%s %-8.4g %s dB, %.2g %% clipped"), taken ? "*" : " ", t,
                         db.n ? db.s : "?", 100 * ui_seen_clipped(s, t));
    qs_str_release(&db);
    l->algo = algo;
    l->item = taken ? UI_STRONG : UI_TEXT;
}

/* The calibrator that is taken is what `auto` found. */
static bool
by_auto(const struct ui_model *m, int layer)
{
    const struct qs_decision *d = ui_layer_decision(m, layer);
    if (d && d->threshold > 0)
        return false;
    return d && d->algo >= 0 ? d->algo == QS_ALGO_auto : m->calibration->best_bits > 0;
}

/* Ranges, and what each calibrator makes of them. */
static void
add_activation(struct state *st, const struct ui_model *m)
{
    const struct ui_seen *s = ui_op_seen(m, st->ui->op);
    if (!s)
        return;
    const int taken = ui_layer_algo(m, st->ui->layer, s);
    add_section(st, N_("activation"));
    add(st, N_("name"), "%s", m->opened->model->var[s->var].name);
    add(st, N_("min .. max"), "%.6g .. %.6g", s->min, s->max);
    add(st, N_("samples"), _("%lld of run %lld"), (long long)s->of.n_samples,
        (long long)m->calibration->run);
    if (s->of.n_bad > 0)
        add(st, N_("not finite"), _("in %lld samples, left out"), (long long)s->of.n_bad)->item =
            UI_BAD;
    for (int i = 0; i < QS_N_ALGO; i++)
        if (s->of.threshold[i] > 0)
            add_calibrator(st, s, i, s->of.threshold[i], i == taken);
    if (taken >= 0 && by_auto(m, st->ui->layer))
        add(st, "auto", _("clipping counts %d times"), QS_CLIPPED_COUNTS)->item = UI_DIM;
    const double by_hand = ui_layer_threshold(m, st->ui->layer, s);
    if (taken < 0 && by_hand > 0)
        add_calibrator(st, s, -1, by_hand, true);
}

static void
add_attributes(struct state *st, const struct qs_node *node)
{
    enum { MOST_SHOWN = 32 };
    add_section(st, N_("attributes"));
    for (int i = 0; i < node->n_attr; i++) {
        struct qs_str text;
        if (qs_text_is_bookkeeping(node->attr[i].name))
            continue;
        qs_str_init(&text);
        qs_text_attr(&node->attr[i], MOST_SHOWN, &text);
        struct line *l = add(st, node->attr[i].name, "%s", text.s);
        l->own = true;
        l->name = qs_xstrdup(node->attr[i].name);
        qs_str_release(&text);
    }
}

static void
build(struct state *st)
{
    const struct ui_model *m = st->ui->model;
    const int cursor = st->table.cursor, top = st->table.top;
    clear_lines(st);
    if (m && st->ui->op >= 0) {
        const struct qs_node *node = ui_model_node(m, st->ui->op);
        struct line *l = add(st, N_("operator"), "#%d %s", m->op[st->ui->op].node + 1, node->type);
        l->item = UI_STRONG;
        add_slots(st, m, true);
        add_slots(st, m, false);
        if (st->ui->layer >= 0)
            add_weight(st, m, st->ui->layer);
        add_activation(st, m);
        add_attributes(st, node);
    }
    ui_table_set_rows(&st->table, st->n);
    st->table.cursor = cursor < st->n ? cursor : 0;
    st->table.top = top;
}

static void *
open_view(struct ui *ui)
{
    struct state *st = qs_xcalloc(1, sizeof(*st));
    st->ui = ui;
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
    clear_lines(st);
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
        ev != UI_EVENT_PLAN && ev != UI_EVENT_SEEN)
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
        if (row >= 0 && st->line[row].op >= 0)
            walk(st, st->line[row].op);
        else if (row >= 0 && st->line[row].algo >= 0)
            act_rule(ui, UI_ACT_CALIBRATOR, qs_algo_names[st->line[row].algo]);
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
    qs_str_printf(out, "%s%s;", *st->line[row].value ? ": " : "", st->line[row].value);
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
