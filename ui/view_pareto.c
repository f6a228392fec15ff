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
#include "ui/braille.h"
#include "ui/text.h"
#include "ui/ui.h"

enum { X, Y };

struct state {
    struct ui_list list;
    int *point;          /* [n] of each row: best y first */
    char *want[2];       /* quantity asked for on each axis; NULL: the default */
    struct ui_rect plot; /* where the dots are, for the mouse; w 0: not drawn */
    struct ui_axis axis[2];
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

/* Values of a quantity as lists show them. */
static void
add_value(struct qs_str *out, const char *name, double v)
{
    if (strcmp(name, "bytes") == 0)
        ui_add_bytes(out, (int64_t)v);
    else if (strcmp(name, "seconds") == 0)
        qs_str_printf(out, "%.3g s", v);
    else
        ui_add_metric(out, name, v);
}

/* Columns */

static void
text_run(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_printf(out, "%s%" PRId64, at(arg, row)->on_front ? "* " : "  ", at(arg, row)->run);
}

static int
compare_run(const struct ui_column *c, void *arg, int a, int b)
{
    (void)c;
    return ui_compare((double)at(arg, a)->run, (double)at(arg, b)->run);
}

static void
text_value(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    add_value(out, quantity(arg, c->data), value(arg, row, c->data));
}

static int
compare_value(const struct ui_column *c, void *arg, int a, int b)
{
    return ui_compare(value(arg, a, c->data), value(arg, b, c->data));
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
     .compare = compare_run,
     .style = style_front},
    {.name = "y",
     .title = N_("up"),
     .least = 10,
     .most = 12,
     .right = true,
     .help = N_("what the upright axis has"),
     .data = Y,
     .text = text_value,
     .compare = compare_value,
     .style = style_front},
    {.name = "x",
     .title = N_("across"),
     .least = 10,
     .most = 12,
     .right = true,
     .help = N_("what the axis across has"),
     .data = X,
     .text = text_value,
     .compare = compare_value,
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

/* The chart */

/* A tick in as few digits as tell it from its neighbours. */
static void
add_tick(struct qs_str *out, const char *name, const struct ui_axis *a, int i)
{
    const double v = ui_axis_tick(a, i);
    const int digits = (int)ceil(-log10(a->step) - 1e-9);
    if (strcmp(name, "bytes") == 0)
        ui_add_bytes(out, (int64_t)v);
    else if (digits <= 5)
        qs_str_printf(out, "%.*f", digits > 0 ? digits : 0, v);
    else
        qs_str_printf(out, "%.1e", v);
}

static void
add_title(struct qs_str *out, const char *name, bool less)
{
    struct qs_metric_look look = {.unit = ""};
    qs_app_metric_look(name, &look);
    qs_str_printf(out, "%s%s%s%s", name, *look.unit ? ", " : "", look.unit,
                  less ? _(" (less is better)") : _(" (more is better)"));
}

/* Widest label of the ticks. */
static int
tick_width(const char *name, const struct ui_axis *a)
{
    struct qs_str text;
    int most = 0;
    qs_str_init(&text);
    for (int i = 0; i < a->n; i++) {
        qs_str_clear(&text);
        add_tick(&text, name, a, i);
        most = ui_width(text.s) > most ? ui_width(text.s) : most;
    }
    qs_str_release(&text);
    return most;
}

static void
set_axis(struct state *st, int which, int most)
{
    double lo = INFINITY, hi = -INFINITY;
    for (int i = 0; i < st->list.table.n_rows; i++)
        if (isfinite(value(st, i, which))) {
            lo = fmin(lo, value(st, i, which));
            hi = fmax(hi, value(st, i, which));
        }
    if (!(lo <= hi))
        lo = hi = 0;
    ui_axis_init(&st->axis[which], lo, hi, most);
}

/* Title above, ticks at the left of r, which is the plot. */
static void
draw_y_axis(const struct state *st, struct ui_screen *s, struct ui_rect r, int left)
{
    const struct ui_axis *a = &st->axis[Y];
    struct qs_str text;
    qs_str_init(&text);
    add_title(&text, quantity(st, Y), pareto(st)->y_less);
    ui_put(s, r.y - 1, left, r.x + r.w - left, UI_TITLE, text.s);
    for (int y = 0; y < r.h; y++)
        ui_put_char(s, r.y + y, r.x - 1, 1, UI_LINE, 0x2502, '|');
    for (int i = 0; i < a->n; i++) {
        const int y = r.y + r.h - 1 - ui_axis_at(a, ui_axis_tick(a, i), r.h);
        qs_str_clear(&text);
        add_tick(&text, quantity(st, Y), a, i);
        ui_put_cell(s, y, left, r.x - 1 - left, UI_DIM, true, text.s);
        ui_put_char(s, y, r.x - 1, 1, UI_LINE, 0x2524, '+');
    }
    qs_str_release(&text);
}

/* Two rows below r: a line with ticks, their labels with the title in between or behind. */
static void
draw_x_axis(const struct state *st, struct ui_screen *s, struct ui_rect r)
{
    const struct ui_axis *a = &st->axis[X];
    const int y = r.y + r.h;
    struct qs_str text;
    int used = r.x;
    qs_str_init(&text);
    add_title(&text, quantity(st, X), pareto(st)->x_less);
    const int title = r.x + r.w - ui_width(text.s);
    ui_put(s, y + 1, title, r.w, UI_TITLE, text.s);
    ui_put_char(s, y, r.x - 1, 1, UI_LINE, 0x2514, '+');
    ui_put_char(s, y, r.x, r.w, UI_LINE, 0x2500, '-');
    for (int i = 0; i < a->n; i++) {
        const int x = r.x + ui_axis_at(a, ui_axis_tick(a, i), r.w);
        qs_str_clear(&text);
        add_tick(&text, quantity(st, X), a, i);
        const int w = ui_width(text.s), from = x - w / 2 > r.x ? x - w / 2 : r.x;
        ui_put_char(s, y, x, 1, UI_LINE, 0x252C, '+');
        if (from < used || from + w >= title)
            continue;
        ui_put(s, y + 1, from, w, UI_DIM, text.s);
        used = from + w + 1;
    }
    qs_str_release(&text);
}

/* Where a row's point is, in dots. */
static void
dot_of(const struct state *st, int row, int *x, int *y)
{
    *x = ui_axis_at(&st->axis[X], value(st, row, X), 2 * st->plot.w);
    *y = 4 * st->plot.h - 1 - ui_axis_at(&st->axis[Y], value(st, row, Y), 4 * st->plot.h);
}

/* The points in the order of x: rows by the number of the point. */
static int *
rows_by_x(const struct state *st)
{
    const int n = st->list.table.n_rows;
    int *row = qs_xcalloc((size_t)n + 1, sizeof(*row));
    for (int i = 0; i < n; i++)
        row[st->point[i]] = i;
    return row;
}

static void
draw_front(const struct state *st, struct ui_braille *dots)
{
    int *row = rows_by_x(st), before = -1;
    for (int i = 0; i < st->list.table.n_rows; i++) {
        int x0, y0, x1, y1;
        if (!at(st, row[i])->on_front)
            continue;
        dot_of(st, row[i], &x1, &y1);
        if (before >= 0) {
            dot_of(st, before, &x0, &y0);
            ui_braille_line(dots, x0, y0, x1, y1);
        }
        before = row[i];
    }
    free(row);
}

static void
put_dots(const struct ui_braille *dots, struct ui_screen *s, struct ui_rect r, enum ui_item item)
{
    for (int y = 0; y < dots->h; y++)
        for (int x = 0; x < dots->w; x++)
            if (dots->cell[y * dots->w + x])
                ui_put_char(s, r.y + y, r.x + x, 1, item, ui_braille_wide(dots, y, x),
                            ui_braille_plain(dots, y, x));
}

/* What is taken: a label goes where nothing is. */
struct room {
    struct ui_rect r;
    bool *taken; /* [h][w] */
};

static bool
take(struct room *room, int y, int x, int w)
{
    if (x < 0 || x + w > room->r.w)
        return false;
    for (int i = 0; i < w; i++)
        if (room->taken[y * room->r.w + x + i])
            return false;
    memset(room->taken + y * room->r.w + x, 1, (size_t)w);
    return true;
}

static void
put_label(struct state *st, struct ui_screen *s, struct room *room, int row, enum ui_item item)
{
    char text[24];
    int x, y;
    dot_of(st, row, &x, &y);
    x /= 2;
    y /= 4;
    const int w = snprintf(text, sizeof(text), "%" PRId64, at(st, row)->run);
    if (take(room, y, x + 1, w))
        ui_put(s, room->r.y + y, room->r.x + x + 1, w, item, text);
    else if (take(room, y, x - w, w))
        ui_put(s, room->r.y + y, room->r.x + x - w, w, item, text);
}

static enum ui_item
style_point(const struct state *st, int row)
{
    return st->list.table.mark[row] ? UI_MARKED : at(st, row)->on_front ? UI_PLOT_AFTER : UI_TEXT;
}

static void
put_point(const struct state *st, struct ui_screen *s, struct room *room, int row)
{
    int x, y;
    const bool front = at(st, row)->on_front;
    dot_of(st, row, &x, &y);
    ui_put_char(s, room->r.y + y / 4, room->r.x + x / 2, 1, style_point(st, row),
                front ? 0x25CF : 0x25CB, front ? '*' : 'o');
    room->taken[y / 4 * room->r.w + x / 2] = true;
}

/* Rows the filter leaves, those of the front last so that they lie above; then the one under the
 * cursor. Labels go to the latter first. */
static void
draw_points(struct state *st, struct ui_screen *s)
{
    const struct ui_table *t = &st->list.table;
    const int here = ui_table_row(t);
    struct room room = {st->plot, NULL};
    room.taken = qs_xcalloc((size_t)(room.r.w * room.r.h), sizeof(*room.taken));
    for (int front = 0; front < 2; front++)
        for (int i = 0; i < t->n_shown; i++)
            if (at(st, t->order[i])->on_front == (front == 1))
                put_point(st, s, &room, t->order[i]);
    if (here >= 0) {
        s->override = UI_SELECTED;
        put_point(st, s, &room, here);
        put_label(st, s, &room, here, UI_SELECTED);
        s->override = -1;
    }
    for (int front = 1; front >= 0; front--)
        for (int i = 0; i < t->n_shown; i++)
            if (at(st, t->order[i])->on_front == (front == 1) && t->order[i] != here)
                put_label(st, s, &room, t->order[i], style_point(st, t->order[i]));
    free(room.taken);
}

/* What is left out, at the right end of the first row. */
static void
draw_note(const struct ui *ui, struct ui_screen *s, struct ui_rect r)
{
    const int w = ui_width(ui->pareto_note);
    if (w > 0 && w < r.w / 2)
        ui_put(s, r.y, r.x + r.w - w, w, UI_DIM, ui->pareto_note);
    else if (w > 0)
        ui_put(s, r.y, r.x + r.w / 2, r.w / 2, UI_DIM, ui->pareto_note);
}

static void
draw_chart(struct state *st, struct ui_screen *s, struct ui_rect r)
{
    enum { ROWS_PER_TICK = 2, COLUMNS_PER_TICK = 12 };
    struct ui_braille dots;
    set_axis(st, Y, 1 + (r.h - 3) / ROWS_PER_TICK);
    const int margin = tick_width(quantity(st, Y), &st->axis[Y]) + 2;
    st->plot = (struct ui_rect){r.y + 1, r.x + margin, r.h - 3, r.w - margin - 1};
    set_axis(st, X, 1 + st->plot.w / COLUMNS_PER_TICK);
    draw_y_axis(st, s, st->plot, r.x);
    draw_note(st->list.ui, s, r);
    draw_x_axis(st, s, st->plot);
    ui_braille_init(&dots, st->plot.w, st->plot.h);
    draw_front(st, &dots);
    put_dots(&dots, s, st->plot, UI_PLOT);
    ui_braille_release(&dots);
    draw_points(st, s);
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
    const struct ui_rect in = {r.y + r.h / 3, r.x + 2, r.h, r.w - 4};
    int rows = ui_put_wrapped(ui->screen, in, UI_DIM,
                              ui->pareto_read ? ui->pareto_note : _("reading the runs ..."));
    if (ui->pareto_read)
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
    st->plot.w = 0;
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
    const int here = ui_table_row(t);
    if (here < 0)
        return;
    int *row = rows_by_x(st), i = st->point[here] + step;
    while (i >= 0 && i < t->n_rows && !ui_table_go(t, row[i]))
        i += step;
    free(row);
}

/* What an axis can have: sizes, times, and every metric of a run. */
static void
list_quantities(const struct ui *ui, struct qs_strv *out)
{
    qs_strv_add(out, "bytes");
    qs_strv_add(out, "seconds");
    for (int i = 0; i < ui->runs.n; i++)
        for (int m = 0; m < ui->runs.run[i].n_metric; m++) {
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
    list_quantities(st->list.ui, &all);
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
    const struct ui_rect *p = &st->plot;
    struct ui_table *t = &st->list.table;
    const int cx = 2 * (key->x - p->x) + 1, cy = 4 * (key->y - p->y) + 2;
    int best = -1, least = INT32_MAX;
    (void)ui;
    if (p->w == 0 || key->x < p->x || key->x >= p->x + p->w || key->y < p->y ||
        key->y >= p->y + p->h)
        return false;
    for (int i = 0; i < t->n_shown; i++) {
        int x, y;
        dot_of(st, t->order[i], &x, &y);
        const int d = (x - cx) * (x - cx) + (y - cy) * (y - cy);
        if (d < least) {
            least = d;
            best = t->order[i];
        }
    }
    if (best >= 0)
        ui_table_go(t, best);
    return true;
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
