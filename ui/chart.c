/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/chart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "ui/text.h"

enum { X, Y };

static double
value(const struct ui_chart_point *p, int which)
{
    return which == X ? p->x : p->y;
}

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
add_title(struct qs_str *out, const struct ui_chart *c, int which)
{
    struct qs_metric_look look = {.unit = ""};
    qs_app_metric_look(c->name[which], &look);
    const char *better = c->less[which] ? _(" (less is better)") : _(" (more is better)");
    qs_str_printf(out, "%s%s%s", c->name[which], *look.unit ? ", " : "", look.unit);
    /* where there is room */
    if (2 * (ui_width(out->s) + ui_width(better)) < c->plot.w)
        qs_str_add(out, better);
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
set_axis(struct ui_chart *c, int which, int most)
{
    double lo = INFINITY, hi = -INFINITY;
    for (int i = 0; i < c->n; i++)
        if (isfinite(value(&c->point[i], which))) {
            lo = fmin(lo, value(&c->point[i], which));
            hi = fmax(hi, value(&c->point[i], which));
        }
    if (!(lo <= hi))
        lo = hi = 0;
    ui_axis_init(&c->axis[which], lo, hi, most);
}

/* Title above the plot, ticks at its left. */
static void
draw_y_axis(const struct ui_chart *c, struct ui_screen *s, int left)
{
    const struct ui_axis *a = &c->axis[Y];
    const struct ui_rect r = c->plot;
    struct qs_str text;
    qs_str_init(&text);
    add_title(&text, c, Y);
    ui_put(s, r.y - 1, left, r.x + r.w - left, UI_TITLE, text.s);
    for (int y = 0; y < r.h; y++)
        ui_put_char(s, r.y + y, r.x - 1, 1, UI_LINE, 0x2502, '|');
    for (int i = 0; i < a->n; i++) {
        const int y = r.y + r.h - 1 - ui_axis_at(a, ui_axis_tick(a, i), r.h);
        qs_str_clear(&text);
        add_tick(&text, c->name[Y], a, i);
        ui_put_cell(s, y, left, r.x - 1 - left, UI_DIM, true, text.s);
        ui_put_char(s, y, r.x - 1, 1, UI_LINE, 0x2524, '+');
    }
    qs_str_release(&text);
}

/* Two rows below the plot: a line with ticks, their labels and the title behind them. */
static void
draw_x_axis(const struct ui_chart *c, struct ui_screen *s)
{
    const struct ui_axis *a = &c->axis[X];
    const struct ui_rect r = c->plot;
    const int y = r.y + r.h;
    struct qs_str text;
    int used = r.x;
    qs_str_init(&text);
    add_title(&text, c, X);
    const int title = r.x + r.w - ui_width(text.s);
    ui_put(s, y + 1, title, r.w, UI_TITLE, text.s);
    ui_put_char(s, y, r.x - 1, 1, UI_LINE, 0x2514, '+');
    ui_put_char(s, y, r.x, r.w, UI_LINE, 0x2500, '-');
    for (int i = 0; i < a->n; i++) {
        const int x = r.x + ui_axis_at(a, ui_axis_tick(a, i), r.w);
        qs_str_clear(&text);
        add_tick(&text, c->name[X], a, i);
        const int w = ui_width(text.s), from = x - w / 2 > r.x ? x - w / 2 : r.x;
        ui_put_char(s, y, x, 1, UI_LINE, 0x252C, '+');
        if (from < used || from + w >= title)
            continue;
        ui_put(s, y + 1, from, w, UI_DIM, text.s);
        used = from + w + 1;
    }
    qs_str_release(&text);
}

/* Where a point is, in dots. */
static void
dot_of(const struct ui_chart *c, int i, int *x, int *y)
{
    *x = ui_axis_at(&c->axis[X], c->point[i].x, 2 * c->plot.w);
    *y = 4 * c->plot.h - 1 - ui_axis_at(&c->axis[Y], c->point[i].y, 4 * c->plot.h);
}

static void
draw_line(const struct ui_chart *c, struct ui_screen *s)
{
    struct ui_braille dots;
    int x0 = 0, y0 = 0, x1, y1, before = -1;
    ui_braille_init(&dots, c->plot.w, c->plot.h);
    for (int i = 0; i < c->n; i++) {
        if (!c->point[i].joined)
            continue;
        dot_of(c, i, &x1, &y1);
        if (before >= 0)
            ui_braille_line(&dots, x0, y0, x1, y1);
        before = i;
        x0 = x1;
        y0 = y1;
    }
    for (int y = 0; y < dots.h; y++)
        for (int x = 0; x < dots.w; x++)
            if (dots.cell[y * dots.w + x])
                ui_put_char(s, c->plot.y + y, c->plot.x + x, 1, UI_PLOT,
                            ui_braille_wide(&dots, y, x), ui_braille_plain(&dots, y, x));
    ui_braille_release(&dots);
}

/* Characters of the plot that are taken: a label goes where nothing is. */
static bool
take(const struct ui_chart *c, bool *taken, int y, int x, int w)
{
    bool *at = taken + y * c->plot.w + x;
    if (x < 0 || x + w > c->plot.w || memchr(at, true, (size_t)w))
        return false;
    memset(at, true, (size_t)w);
    return true;
}

static void
put_label(const struct ui_chart *c, struct ui_screen *s, bool *taken, int i)
{
    const struct ui_chart_point *p = &c->point[i];
    const int w = ui_width(p->label);
    int x, y;
    dot_of(c, i, &x, &y);
    x /= 2;
    y /= 4;
    if (w > 0 && take(c, taken, y, x + 1, w))
        ui_put(s, c->plot.y + y, c->plot.x + x + 1, w, p->item, p->label);
    else if (w > 0 && take(c, taken, y, x - w, w))
        ui_put(s, c->plot.y + y, c->plot.x + x - w, w, p->item, p->label);
}

static void
put_point(const struct ui_chart *c, struct ui_screen *s, bool *taken, int i)
{
    const struct ui_chart_point *p = &c->point[i];
    int x, y;
    dot_of(c, i, &x, &y);
    ui_put_char(s, c->plot.y + y / 4, c->plot.x + x / 2, 1, p->item, p->strong ? 0x25CF : 0x25CB,
                p->strong ? '*' : 'o');
    taken[y / 4 * c->plot.w + x / 2] = true;
}

/* Strong points lie above the others, the one under the cursor above all; labels go to these
 * first. */
static void
draw_points(const struct ui_chart *c, struct ui_screen *s)
{
    bool *taken = qs_xcalloc((size_t)(c->plot.w * c->plot.h), sizeof(*taken));
    for (int strong = 0; strong < 2; strong++)
        for (int i = 0; i < c->n; i++)
            if (c->point[i].strong == (strong == 1) && !c->point[i].hidden)
                put_point(c, s, taken, i);
    if (c->here >= 0) {
        s->override = UI_SELECTED;
        put_point(c, s, taken, c->here);
        put_label(c, s, taken, c->here);
        s->override = -1;
    }
    for (int strong = 1; strong >= 0; strong--)
        for (int i = 0; i < c->n; i++)
            if (c->point[i].strong == (strong == 1) && !c->point[i].hidden && i != c->here)
                put_label(c, s, taken, i);
    free(taken);
}

void
ui_chart_draw(struct ui_chart *c, struct ui_screen *s, struct ui_rect r)
{
    enum { ROWS_PER_TICK = 2, COLUMNS_PER_TICK = 12, AXIS_ROWS = 3 };
    c->plot.w = 0;
    if (r.h < AXIS_ROWS + 1 || r.w < 20)
        return;
    set_axis(c, Y, 1 + (r.h - AXIS_ROWS) / ROWS_PER_TICK);
    const int margin = tick_width(c->name[Y], &c->axis[Y]) + 2;
    c->plot = (struct ui_rect){r.y + 1, r.x + margin, r.h - AXIS_ROWS, r.w - margin - 1};
    if (c->plot.w < 1) {
        c->plot.w = 0;
        return;
    }
    set_axis(c, X, 1 + c->plot.w / COLUMNS_PER_TICK);
    draw_y_axis(c, s, r.x);
    draw_x_axis(c, s);
    draw_line(c, s);
    draw_points(c, s);
}

int
ui_chart_nearest(const struct ui_chart *c, int x, int y)
{
    const struct ui_rect *p = &c->plot;
    int best = -1;
    int64_t least = INT64_MAX;
    if (p->w == 0 || x < p->x || x >= p->x + p->w || y < p->y || y >= p->y + p->h)
        return -1;
    for (int i = 0; i < c->n; i++) {
        int dx, dy;
        if (c->point[i].hidden)
            continue;
        dot_of(c, i, &dx, &dy);
        dx -= 2 * (x - p->x) + 1;
        dy -= 4 * (y - p->y) + 2;
        const int64_t d = (int64_t)dx * dx + (int64_t)dy * dy;
        if (d < least) {
            least = d;
            best = i;
        }
    }
    return best;
}
