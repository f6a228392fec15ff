/* SPDX-License-Identifier: Apache-2.0 */
/* How wide the columns of a table are, and what stands in them. */
#include "base/i18n.h"
#include "ui/table.h"

/* "^SQNR dB": an arrow where it is sorted, the unit where cells leave it out, in so many columns;
 * the unit is what may be missing. */
static void
title_text(const struct ui_table *t, int c, bool utf8, int w, struct qs_str *out)
{
    const struct ui_column *col = &t->col[c];
    const char *unit = col->unit_in_title ? _(col->unit) : "";
    if (c == t->sort && !t->ordered)
        qs_str_add(out, utf8 ? (t->reverse ? "▼" : "▲") : t->reverse ? "v" : "^");
    qs_str_add(out, _(col->title));
    if (*unit && ui_width(out->s) + 1 + ui_width(unit) <= w)
        qs_str_printf(out, " %s", unit);
}

/* Width each column would like: of its title and of the rows on screen. */
static int
natural_width(const struct ui_table *t, int c, int rows)
{
    struct qs_str text;
    qs_str_init(&text);
    title_text(t, c, true, t->col[c].most, &text);
    int most = ui_width(text.s);
    for (int i = t->top; i < t->top + rows && i < t->n_shown; i++) {
        qs_str_clear(&text);
        ui_table_cell_text(t, c, t->order[i], &text);
        const int w = ui_width(text.s);
        most = w > most ? w : most;
    }
    qs_str_release(&text);
    return most;
}

static int
used_width(const struct ui_table *t)
{
    int used = 0;
    for (int c = 0; c < t->n_col; c++)
        used += t->col_w[c] ? t->col_w[c] + 1 : 0;
    return used ? used - 1 : 0;
}

/* Takes away the columns that matter least until the rest fits. */
static void
drop_columns(struct ui_table *t, int w)
{
    while (used_width(t) > w) {
        int worst = -1;
        for (int c = 0; c < t->n_col; c++)
            if (t->col_w[c] && t->col[c].drop > 0 &&
                (worst < 0 || t->col[c].drop >= t->col[worst].drop))
                worst = c;
        if (worst < 0)
            return;
        t->col_w[worst] = 0;
    }
}

/* What is left goes to the columns that need it, then to those that take anything. */
static void
widen_columns(struct ui_table *t, int w, int rows)
{
    int left = w - used_width(t);
    for (int c = 0; c < t->n_col && left > 0; c++) {
        if (!t->col_w[c] || !t->col[c].most)
            continue;
        int want = natural_width(t, c, rows);
        want = want > t->col[c].most ? t->col[c].most : want;
        const int more = want > t->col_w[c] ? want - t->col_w[c] : 0;
        t->col_w[c] += more < left ? more : left;
        left -= more < left ? more : left;
    }
    int n_open = 0;
    for (int c = 0; c < t->n_col; c++)
        n_open += t->col_w[c] && !t->col[c].most;
    for (int c = 0; c < t->n_col && n_open && left > 0; c++)
        if (t->col_w[c] && !t->col[c].most) {
            const int share = left / n_open--;
            t->col_w[c] += share;
            left -= share;
        }
}

static void
lay_out(struct ui_table *t, struct ui_rect r)
{
    for (int c = 0; c < t->n_col; c++) {
        const bool away = c >= t->n_frozen && c < t->n_frozen + t->skip;
        t->col_w[c] = away ? 0 : t->col[c].least;
    }
    drop_columns(t, r.w - 1);
    widen_columns(t, r.w - 1, r.h - 1);
    int x = r.x + 1; /* the first column is for marks */
    for (int c = 0; c < t->n_col; c++) {
        t->col_x[c] = x;
        x += t->col_w[c] ? t->col_w[c] + 1 : 0;
    }
}

/* The width that is left on the screen when even the last column is wider than it. */
static int
clipped(const struct ui_table *t, int c, struct ui_rect r)
{
    const int right = r.x + r.w;
    if (!t->col_w[c] || t->col_x[c] >= right)
        return 0;
    return t->col_x[c] + t->col_w[c] > right ? right - t->col_x[c] : t->col_w[c];
}

static void
draw_titles(const struct ui_table *t, struct ui_screen *s, struct ui_rect r)
{
    struct qs_str title;
    qs_str_init(&title);
    for (int c = 0; c < t->n_col; c++) {
        const int w = clipped(t, c, r);
        const bool sorted = c == t->sort && !t->ordered;
        if (!w)
            continue;
        qs_str_clear(&title);
        title_text(t, c, s->utf8, w, &title);
        ui_put_cell(s, r.y, t->col_x[c], w, sorted ? UI_SORTED : UI_TITLE, t->col[c].right,
                    title.s);
    }
    qs_str_release(&title);
}

static void
draw_row(const struct ui_table *t, struct ui_screen *s, struct ui_rect r, int y, int position)
{
    const int row = t->order[position];
    struct qs_str text;
    qs_str_init(&text);
    ui_put_char(s, y, r.x, r.w, UI_TEXT, ' ', ' ');
    if (t->mark[row])
        ui_put_char(s, y, r.x, 1, UI_MARKED, '*', '*');
    for (int c = 0; c < t->n_col; c++) {
        const struct ui_column *col = &t->col[c];
        const int w = clipped(t, c, r);
        if (!w)
            continue;
        if (col->paint) {
            col->paint(col, t->arg, row, s, (struct ui_rect){y, t->col_x[c], 1, w});
            continue;
        }
        qs_str_clear(&text);
        col->text(col, t->arg, row, &text);
        const enum ui_item style = col->style ? col->style(col, t->arg, row) : UI_TEXT;
        ui_put_cell(s, y, t->col_x[c], w, style, col->right, text.s);
    }
    qs_str_release(&text);
}

static bool
in_range(const struct ui_table *t, int position)
{
    if (t->range_from < 0)
        return false;
    return (position >= t->range_from && position <= t->cursor) ||
           (position <= t->range_from && position >= t->cursor);
}

static void
draw_rows(struct ui_table *t, struct ui_screen *s, struct ui_rect r, bool focus)
{
    const int rows = r.h - 1;
    for (int i = 0; i < rows && t->top + i < t->n_shown; i++) {
        const int at = t->top + i;
        if (at == t->cursor)
            s->override = focus ? UI_SELECTED : UI_UNFOCUSED;
        else if (in_range(t, at))
            s->override = UI_UNFOCUSED;
        draw_row(t, s, r, r.y + 1 + i, at);
        s->override = -1;
    }
}

void
ui_table_draw(struct ui_table *t, struct ui_screen *s, struct ui_rect r, bool focus)
{
    t->body = r;
    if (r.h <= 0 || r.w <= 0)
        return;
    ui_table_settle(t);
    const int rows = r.h > 1 ? r.h - 1 : 1;
    if (t->cursor < t->top)
        t->top = t->cursor;
    if (t->cursor >= t->top + rows)
        t->top = t->cursor - rows + 1;
    if (t->top > t->n_shown - rows)
        t->top = t->n_shown > rows ? t->n_shown - rows : 0;
    lay_out(t, r);
    draw_titles(t, s, r);
    draw_rows(t, s, r, focus);
}
