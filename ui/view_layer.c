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
#include "ui/plot.h"
#include "ui/text.h"
#include "ui/ui.h"

struct line {
    const char *name; /* not yet translated, or from the model */
    char *value;
    int op; /* Enter goes there; -1: nowhere */
    enum ui_item item;
    bool own; /* name is free'd */
};

enum { N_CHARTS = 4 };

struct state {
    struct ui *ui;
    struct ui_table table;
    struct line *line;
    int n;
    int chart; /* the one shown first */
    bool log;
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
    qs_str_add(out, l->own ? l->name : _(l->name));
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
    *l = (struct line){name, qs_str_take(&value), -1, UI_TEXT, false};
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
    if (ev != UI_EVENT_LOOK && ev != UI_EVENT_MODEL && ev != UI_EVENT_STATS && ev != UI_EVENT_PLAN)
        return;
    if (ev == UI_EVENT_MODEL || ui->op != st->shown) {
        st->table.cursor = 0;
        st->n_trail = 0;
        st->shown = ui->op;
    }
    build(st);
}

/* Charts */

static const struct ui_look *
look_of(const struct ui *ui)
{
    return ui->look && ui->look->layer == ui->layer ? ui->look : NULL;
}

static void
draw_axis(struct ui_screen *s, struct ui_rect r, double lo, double hi)
{
    char right[32];
    const int y = r.y + r.h - 1;
    snprintf(right, sizeof(right), "%.3g", hi);
    ui_putf(s, y, r.x, r.w, UI_DIM, "%.3g", lo);
    ui_put(s, y, r.x + r.w - ui_width(right), r.w, UI_DIM, right);
    /* where zero is, when it is inside and there is room */
    const int zero = hi > lo ? (int)lround(-lo / (hi - lo) * r.w) : -1;
    if (zero > 8 && zero < r.w - 8)
        ui_put(s, y, r.x + zero, 1, UI_DIM, "0");
}

static void
chart_histogram(const struct state *st, const struct ui_look *look, struct ui_screen *s,
                struct ui_rect r, bool after)
{
    const struct ui_rect plot = {r.y, r.x, r.h - 1, r.w};
    if (after && !look->after) {
        ui_put(s, r.y, r.x, r.w, UI_DIM, look->message[0] ? look->message : _("not quantized"));
        return;
    }
    ui_plot_histogram(s, plot, look->before, after ? look->after : NULL, UI_LOOK_BINS, st->log);
    draw_axis(s, r, look->lo, look->hi);
}

static void
chart_channels(const struct ui_look *look, struct ui_screen *s, struct ui_rect r)
{
    int64_t n_out = 0, worst = -1;
    double most = 0;
    for (int64_t i = 0; i < look->n_channels; i++) {
        const double a = fmax(fabs(look->min[i]), fabs(look->max[i]));
        n_out += look->outlier[i];
        if (a > most) {
            most = a;
            worst = i;
        }
    }
    ui_plot_ranges(s, (struct ui_rect){r.y, r.x, r.h - 1, r.w}, look->min, look->max, look->outlier,
                   look->n_channels);
    ui_putf(s, r.y + r.h - 1, r.x, r.w, n_out ? UI_CAUTION : UI_DIM,
            _("%lld channels, widest #%lld (%.3g), %lld outliers (3 times the median)"),
            (long long)look->n_channels, (long long)worst, most, (long long)n_out);
}

static void
chart_error(const struct ui_look *look, struct ui_screen *s, struct ui_rect r)
{
    int64_t worst = -1;
    double most = 0;
    if (!look->error) {
        ui_put(s, r.y, r.x, r.w, UI_DIM, look->message[0] ? look->message : _("not quantized"));
        return;
    }
    for (int64_t i = 0; i < look->n_channels; i++)
        if (look->error[i] > most) {
            most = look->error[i];
            worst = i;
        }
    ui_plot_columns(s, (struct ui_rect){r.y, r.x, r.h - 1, r.w}, look->error, look->n_channels,
                    most);
    ui_putf(s, r.y + r.h - 1, r.x, r.w, UI_DIM, _("worst channel #%lld: %.3g %% of its values"),
            (long long)worst, 100 * most);
}

static void
chart_title(const struct state *st, const struct ui_look *look, int chart, char *out, size_t cap)
{
    const char *scale = st->log ? _("logarithmic") : _("linear");
    switch (chart) {
    case 0:
        snprintf(out, cap, _("histogram, %s"), scale);
        break;
    case 1:
        snprintf(out, cap, _("at %d bits over before, %s"), look ? look->bits : 0, scale);
        break;
    case 2:
        snprintf(out, cap, "%s", _("min..max of each channel"));
        break;
    default:
        snprintf(out, cap, _("error of each channel at %d bits"), look ? look->bits : 0);
        break;
    }
}

static void
draw_chart(const struct state *st, int chart, struct ui_screen *s, struct ui_rect r)
{
    const struct ui_look *look = look_of(st->ui);
    char title[128];
    chart_title(st, look, chart, title, sizeof(title));
    ui_put_rule(s, r.y, r.x, r.w, title, chart == st->chart);
    const struct ui_rect body = {r.y + 1, r.x, r.h - 1, r.w};
    if (body.h < 2)
        return;
    if (!look)
        ui_put(s, body.y, body.x, body.w, UI_DIM,
               st->ui->looking ? _("looking ...") : _("no weight"));
    else if (!look->before)
        ui_put(s, body.y, body.x, body.w, UI_DIM, look->message);
    else if (chart <= 1)
        chart_histogram(st, look, s, body, chart == 1);
    else if (chart == 2)
        chart_channels(look, s, body);
    else
        chart_error(look, s, body);
}

static void
draw_charts(const struct state *st, struct ui_screen *s, struct ui_rect r)
{
    enum { ROWS_EACH = 9 };
    int n = r.h / ROWS_EACH;
    n = n < 1 ? 1 : n > N_CHARTS ? N_CHARTS : n;
    for (int i = 0; i < n; i++) {
        const int y = r.y + r.h * i / n, next = r.y + r.h * (i + 1) / n;
        draw_chart(st, (st->chart + i) % N_CHARTS, s, (struct ui_rect){y, r.x, next - y, r.w});
    }
}

static void
draw(struct ui *ui, void *state, struct ui_rect r)
{
    enum { WIDE = 100, LOW = 8 };
    struct state *st = state;
    if (!ui->model || ui->op < 0) {
        ui_put(ui->screen, r.y + r.h / 3, r.x + 2, r.w - 2, UI_DIM,
               _("no operator was chosen; Enter in the graph shows one"));
        return;
    }
    if (st->stale && ui->layer >= 0)
        ui_task_look(ui, ui->layer);
    st->stale = false;
    if (ui->layer < 0 || r.h < LOW) {
        ui_table_draw(&st->table, ui->screen, r, true);
    } else if (r.w >= WIDE) {
        const int left = r.w * 2 / 5;
        ui_table_draw(&st->table, ui->screen, (struct ui_rect){r.y, r.x, r.h, left}, true);
        draw_charts(st, ui->screen, (struct ui_rect){r.y, r.x + left + 1, r.h, r.w - left - 1});
    } else {
        const int upper = r.h / 2;
        ui_table_draw(&st->table, ui->screen, (struct ui_rect){r.y, r.x, upper, r.w}, true);
        draw_charts(st, ui->screen, (struct ui_rect){r.y + upper, r.x, r.h - upper, r.w});
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

static bool
act_rule(struct ui *ui, enum ui_action action, const char *arg)
{
    const bool may = ui->layer >= 0 && ui->model->opened->layers->layer[ui->layer].quantizable;
    if (action != UI_ACT_SKIP && action != UI_ACT_BITS && action != UI_ACT_UNRULE)
        return false;
    if (action == UI_ACT_SKIP && arg && *arg)
        ui_rule_pattern_add(ui, arg, "skip");
    else if (!may)
        ui_say(ui, UI_CAUTION, _("no weight here that can be quantized"));
    else if (action == UI_ACT_BITS)
        give_bits(ui, arg);
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
        else
            ui_say(ui, UI_DIM, _("this line leads nowhere; < and > lines do"));
    } else if (action == UI_ACT_BACK) {
        return walk_back(st);
    } else if (action == UI_ACT_NEXT_NODE || action == UI_ACT_PREV_NODE) {
        walk(st, ui->op + (action == UI_ACT_NEXT_NODE ? 1 : -1));
    } else if (action == UI_ACT_CHART) {
        st->chart = (st->chart + 1) % N_CHARTS;
    } else if (action == UI_ACT_SCALE) {
        st->log = !st->log;
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

static void
status(struct ui *ui, void *state, struct qs_str *out)
{
    (void)state;
    if (ui->model && ui->layer >= 0)
        qs_str_add(out, ui_layer_name(ui->model, ui->layer));
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
