/* SPDX-License-Identifier: Apache-2.0 */
/* Pareto: the runs of a model as points of two quantities, those that nothing beats joined; a list
 * of the same runs walks with it. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/chart.h"
#include "ui/text.h"
#include "ui/ui.h"

enum { X, Y };

struct state {
    struct ui_list list;
    int *point;    /* [n] of each row: best y first */
    char *want[2]; /* quantity asked for on each axis; NULL: the default */
    struct ui_chart chart;
    struct ui_chart_point *chart_point; /* [n] */
};

static const struct qs_pareto *
pareto(const void *arg)
{
    return &((const struct ui_list *)arg)->ui->pareto;
}

static const struct qs_pareto_point *
at(const void *arg, int row)
{
    return &pareto(arg)->point[((const struct state *)arg)->point[row]];
}

static const char *
quantity(const void *arg, int which)
{
    return which == X ? pareto(arg)->x : pareto(arg)->y;
}

static double
value(const void *arg, int row, int which)
{
    return which == X ? at(arg, row)->x : at(arg, row)->y;
}

/* Columns */

static void
text_run(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_printf(out, "%s%" PRId64, at(arg, row)->on_front ? "* " : "  ", at(arg, row)->run);
}

static double
value_run(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    return (double)at(arg, row)->run;
}

static void
text_value(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    ui_add_quantity(out, quantity(arg, c->data), value(arg, row, c->data));
}

static double
value_axis(const struct ui_column *c, void *arg, int row)
{
    return value(arg, row, c->data);
}

static void
text_label(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_add(out, at(arg, row)->label);
}

static enum ui_item
style_front(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    return at(arg, row)->on_front ? UI_STRONG : UI_TEXT;
}

static const struct ui_column column[] = {
    {.name = "run",
     .title = N_("run"),
     .least = 7,
     .most = 9,
     .right = true,
     .help = N_("number of the run; * nothing is better in both"),
     .text = text_run,
     .value = value_run,
     .style = style_front},
    {.name = "y",
     .title = N_("up"),
     .least = 10,
     .most = 12,
     .right = true,
     .help = N_("what the upright axis has"),
     .data = Y,
     .text = text_value,
     .value = value_axis,
     .style = style_front},
    {.name = "x",
     .title = N_("across"),
     .least = 10,
     .most = 12,
     .right = true,
     .help = N_("what the axis across has"),
     .data = X,
     .text = text_value,
     .value = value_axis,
     .style = style_front},
    {.name = "what",
     .title = N_("what"),
     .least = 16,
     .help = N_("method, bits and tag; float is the model itself"),
     .text = text_label,
     .style = style_front},
};

/* Rows */

static int
by_y(const void *a, const void *b, void *arg)
{
    const struct qs_pareto *p = arg;
    const int i = *(const int *)a, k = *(const int *)b;
    const double x = p->point[i].x - p->point[k].x, y = p->point[i].y - p->point[k].y;
    if (y != 0)
        return (y < 0) == p->y_less ? -1 : 1;
    if (x != 0)
        return (x < 0) == p->x_less ? -1 : 1;
    return i - k;
}

static void
new_rows(struct state *st)
{
    struct qs_pareto *p = &st->list.ui->pareto;
    int64_t *id = qs_xcalloc((size_t)p->n + 1, sizeof(*id));
    st->point = qs_xrealloc(st->point, (size_t)(p->n + 1) * sizeof(*st->point));
    for (int i = 0; i < p->n; i++)
        st->point[i] = i;
    qsort_r(st->point, (size_t)p->n, sizeof(*st->point), by_y, p);
    for (int i = 0; i < p->n; i++)
        id[i] = at(st, i)->run;
    ui_table_set_rows_by_id(&st->list.table, id, p->n);
}

static void
read_again(struct state *st)
{
    ui_task_pareto(st->list.ui, st->want[X], st->want[Y]);
}

static void *
open_view(struct ui *ui)
{
    struct state *st = ui_list_open(ui, sizeof(*st), "pareto", column, QS_LEN(column));
    new_rows(st);
    read_again(st);
    if (!ui->runs_read)
        ui_task_runs(ui);
    return st;
}

static void
close_view(struct ui *ui, void *state)
{
    struct state *st = state;
    free(st->point);
    free(st->chart_point);
    free(st->want[X]);
    free(st->want[Y]);
    ui_list_close(ui, state);
}

static void
update(struct ui *ui, void *state, enum ui_event ev)
{
    (void)ui;
    if (ev == UI_EVENT_PARETO)
        new_rows(state);
    else if (ev == UI_EVENT_MODEL || ev == UI_EVENT_RUNS)
        read_again(state);
}

/* The chart: points by rising x */

static void
set_points(struct state *st)
{
    const struct qs_pareto *p = pareto(st);
    const struct ui_table *t = &st->list.table;
    st->chart_point = qs_xrealloc(st->chart_point, (size_t)(p->n + 1) * sizeof(*st->chart_point));
    for (int i = 0; i < p->n; i++) {
        struct ui_chart_point *c = &st->chart_point[i];
        *c = (struct ui_chart_point){.x = p->point[i].x,
                                     .y = p->point[i].y,
                                     .item = p->point[i].on_front ? UI_PLOT_AFTER : UI_TEXT,
                                     .strong = p->point[i].on_front,
                                     .joined = p->point[i].on_front,
                                     .hidden = true};
        snprintf(c->label, sizeof(c->label), "%" PRId64, p->point[i].run);
    }
    for (int i = 0; i < t->n_shown; i++) {
        struct ui_chart_point *c = &st->chart_point[st->point[t->order[i]]];
        c->hidden = false;
        c->item = t->mark[t->order[i]] ? UI_MARKED : c->item;
    }
}

static void
draw_chart(struct state *st, struct ui_screen *s, struct ui_rect r)
{
    const struct qs_pareto *p = pareto(st);
    const int row = ui_table_row(&st->list.table);
    set_points(st);
    st->chart = (struct ui_chart){.name = {p->x, p->y},
                                  .less = {p->x_less, p->y_less},
                                  .point = st->chart_point,
                                  .n = p->n,
                                  .here = row >= 0 ? st->point[row] : -1};
    ui_chart_draw(&st->chart, s, r);
}

/* What is left out, at the right end of the first row. */
static void
draw_note(const struct ui *ui, struct ui_screen *s, struct ui_rect r)
{
    const int need = ui_width(ui->pareto_note), w = need < r.w / 2 ? need : r.w / 2;
    if (w > 0)
        ui_put(s, r.y, r.x + r.w - w, w, UI_DIM, ui->pareto_note);
}

/* The run under the cursor */

static const struct qs_run *
stored(const struct ui *ui, int64_t id)
{
    for (int i = 0; i < ui->runs.n; i++)
        if (ui->runs.run[i].id == id)
            return &ui->runs.run[i];
    return NULL;
}

static void
draw_detail(const struct state *st, struct ui_screen *s, struct ui_rect r)
{
    const int row = ui_table_row(&st->list.table);
    const struct qs_run *run = row >= 0 ? stored(st->list.ui, at(st, row)->run) : NULL;
    char title[64] = "";
    struct qs_str text;
    qs_str_init(&text);
    if (row >= 0)
        snprintf(title, sizeof(title), _("run %lld"), (long long)at(st, row)->run);
    if (run) {
        qs_str_printf(&text, "%s, ", at(st, row)->label);
        ui_add_time(&text, run->started);
        if (run->bytes_after > 0)
            qs_str_printf(&text, _(", %.2f times smaller"),
                          (double)run->bytes_before / (double)run->bytes_after);
        if (*run->output)
            qs_str_printf(&text, _(", in %s"), ui_below_here(run->output));
    }
    ui_put_rule(s, r.y, r.x, r.w, title, false);
    ui_put(s, r.y + 1, r.x + 1, r.w - 2, UI_TEXT, text.s);
    qs_str_release(&text);
}

static void
draw_none(const struct ui *ui, struct ui_rect r)
{
    const struct ui_rect in = {r.y + r.h / 3, r.x + 2, r.h - r.h / 3, r.w - 4};
    const int rows = ui_put_wrapped(ui->screen, in, UI_DIM,
                                    ui->pareto_read ? ui->pareto_note : _("reading the runs ..."));
    if (ui->pareto_read && rows < in.h)
        ui_put(ui->screen, in.y + rows, in.x, in.w, UI_DIM,
               _(":eval DATA measures the open model; x and y choose other quantities"));
}

/* Chart above the list, or beside it where there is room. */
static void
draw(struct ui *ui, void *state, struct ui_rect r)
{
    enum { LOW = 14, NARROW = 40, WIDE = 130, LIST_ROWS = 6, DETAIL_ROWS = 2 };
    struct state *st = state;
    struct ui_screen *s = ui->screen;
    st->chart.plot.w = 0;
    if (ui->pareto.n == 0) {
        draw_none(ui, r);
        return;
    }
    if (r.h < LOW || r.w < NARROW) {
        ui_table_draw(&st->list.table, s, r, true);
        return;
    }
    const bool wide = r.w >= WIDE;
    const int list_w = wide ? r.w / 3 : r.w, list_h = wide ? r.h : r.h >= 30 ? r.h / 4 : LIST_ROWS;
    const int chart_h = r.h - DETAIL_ROWS - (wide ? 0 : list_h);
    const int chart_w = wide ? r.w - list_w - 1 : r.w;
    draw_chart(st, s, (struct ui_rect){r.y, r.x, chart_h, chart_w});
    draw_note(ui, s, (struct ui_rect){r.y, r.x, 1, chart_w});
    draw_detail(st, s, (struct ui_rect){r.y + chart_h, r.x, DETAIL_ROWS, chart_w});
    ui_table_draw(&st->list.table, s,
                  (struct ui_rect){r.y + r.h - list_h, r.x + r.w - list_w, list_h, list_w}, true);
}

/* Keys */

/* The next shown point to the right (1) or the left (-1). */
static void
walk(struct state *st, int step)
{
    struct ui_table *t = &st->list.table;
    const int n = t->n_rows, here = ui_table_row(t);
    int *row = qs_xcalloc((size_t)n + 1, sizeof(*row)); /* of each point */
    for (int i = 0; i < n; i++)
        row[st->point[i]] = i;
    for (int i = here >= 0 ? st->point[here] + step : n; i >= 0 && i < n; i += step)
        if (ui_table_go(t, row[i]))
            break;
    free(row);
}

static bool
is_evaluation(const struct qs_run *r)
{
    return strcmp(r->kind, "eval") == 0;
}

void
ui_list_quantities(const struct ui *ui, struct qs_strv *out)
{
    qs_strv_add(out, "bytes");
    qs_strv_add(out, "seconds");
    for (int i = 0; i < ui->runs.n; i++)
        for (int m = 0; is_evaluation(&ui->runs.run[i]) && m < ui->runs.run[i].n_metric; m++) {
            const char *name = ui->runs.run[i].metric[m].name;
            bool known = false;
            for (int k = 0; k < out->n; k++)
                known = known || strcmp(out->v[k], name) == 0;
            if (!known)
                qs_strv_add(out, name);
        }
}

/* The quantity after the one shown; malloc. */
static char *
next_quantity(const struct state *st, int which)
{
    struct qs_strv all = {0};
    const char *now = st->want[which] ? st->want[which] : quantity(st, which);
    int next = 0;
    ui_list_quantities(st->list.ui, &all);
    for (int i = 0; i < all.n; i++)
        if (strcmp(all.v[i], now) == 0)
            next = (i + 1) % all.n;
    char *name = qs_xstrdup(all.v[next]);
    qs_strv_release(&all);
    return name;
}

static void
choose_quantity(struct state *st, int which, const char *name)
{
    char *chosen = name && *name ? qs_xstrdup(name) : next_quantity(st, which);
    free(st->want[which]);
    st->want[which] = chosen;
    read_again(st);
}

static bool
act(struct ui *ui, void *state, enum ui_action action, const char *arg)
{
    struct state *st = state;
    const int row = ui_table_row(&st->list.table);
    if (action == UI_ACT_LEFT || action == UI_ACT_RIGHT)
        walk(st, action == UI_ACT_RIGHT ? 1 : -1);
    else if (action == UI_ACT_X_AXIS || action == UI_ACT_Y_AXIS)
        choose_quantity(st, action == UI_ACT_X_AXIS ? X : Y, arg);
    else if (action == UI_ACT_SHOW_RUN || action == UI_ACT_COMPARE_RUNS)
        ui_compare_chosen(ui, &st->list.table, action == UI_ACT_COMPARE_RUNS);
    else if (action == UI_ACT_USE_PLAN && row >= 0)
        ui_task_use_plan(ui, at(st, row)->run);
    else
        return false;
    return true;
}

/* A click on the chart takes the nearest point. */
static bool
mouse(struct ui *ui, void *state, const struct ui_key *key)
{
    struct state *st = state;
    const int point = ui_chart_nearest(&st->chart, key->x, key->y);
    (void)ui;
    for (int i = 0; point >= 0 && i < st->list.table.n_rows; i++)
        if (st->point[i] == point)
            ui_table_go(&st->list.table, i);
    return point >= 0;
}

static void
status(struct ui *ui, void *state, struct qs_str *out)
{
    const struct qs_pareto *p = &ui->pareto;
    int n_front = 0;
    if (p->n == 0)
        return;
    for (int i = 0; i < p->n; i++)
        n_front += p->point[i].on_front;
    char *name = ui_short_name(p->model);
    qs_str_printf(out, _("%s by %s of %s, %d on the front;"), quantity(state, Y),
                  quantity(state, X), name, n_front);
    free(name);
}

const struct ui_view ui_view_pareto = {
    .open = open_view,
    .close = close_view,
    .update = update,
    .draw = draw,
    .act = act,
    .table = ui_list_table,
    .status = status,
    .mouse = mouse,
};
