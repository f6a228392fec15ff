/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "base/pattern.h"

/* Rows between two looks at the clock. */
enum { ROWS_PER_LOOK = 64 };

void
ui_table_init(struct ui_table *t, const struct ui_column *col, int n_col, void *arg)
{
    *t = (struct ui_table){.col = col, .n_col = n_col, .n_frozen = 1, .arg = arg, .sort = -1};
    t->range_from = -1;
}

static void
release_match(struct ui_match *m)
{
    free(m->text);
    qs_pattern_free(m->pattern);
    *m = (struct ui_match){0};
}

void
ui_table_release(struct ui_table *t)
{
    free(t->order);
    free(t->mark);
    free(t->id);
    release_match(&t->filter);
    release_match(&t->search);
    *t = (struct ui_table){0};
}

int64_t
ui_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
ui_table_cell_text(const struct ui_table *t, int column, int row, struct qs_str *out)
{
    t->col[column].text(&t->col[column], t->arg, row, out);
}

static bool
row_matches(const struct ui_table *t, const struct ui_match *m, int row, struct qs_str *text)
{
    for (int c = 0; c < t->n_col; c++) {
        qs_str_clear(text);
        ui_table_cell_text(t, c, row, text);
        if (m->pattern ? qs_pattern_match(m->pattern, text->s) : !!strcasestr(text->s, m->text))
            return true;
    }
    return false;
}

static int
compare_text(const struct ui_table *t, int a, int b)
{
    struct qs_str sa, sb;
    qs_str_init(&sa);
    qs_str_init(&sb);
    ui_table_cell_text(t, t->sort, a, &sa);
    ui_table_cell_text(t, t->sort, b, &sb);
    const int c = strcmp(sa.s, sb.s);
    qs_str_release(&sa);
    qs_str_release(&sb);
    return c;
}

/* A row without a number comes last in either direction. */
static int
compare_value(const struct ui_table *t, int a, int b)
{
    const struct ui_column *c = &t->col[t->sort];
    const double x = c->value(c, t->arg, a), y = c->value(c, t->arg, b);
    if (isnan(x) || isnan(y))
        return (isnan(x) != 0) - (isnan(y) != 0);
    return t->reverse ? (x < y) - (x > y) : (x > y) - (x < y);
}

static int
compare_rows(const void *pa, const void *pb, void *arg)
{
    const struct ui_table *t = arg;
    const int a = *(const int *)pa, b = *(const int *)pb;
    const struct ui_column *c = &t->col[t->sort];
    int order = 0;
    if (c->value)
        order = compare_value(t, a, b);
    else
        order = (c->compare ? c->compare(c, t->arg, a, b) : compare_text(t, a, b)) *
                (t->reverse ? -1 : 1);
    return order ? order : (a > b) - (a < b);
}

static void
clamp_cursor(struct ui_table *t)
{
    if (t->cursor >= t->n_shown)
        t->cursor = t->n_shown - 1;
    if (t->cursor < 0)
        t->cursor = 0;
    if (t->range_from >= t->n_shown)
        t->range_from = -1;
}

int
ui_table_row(const struct ui_table *t)
{
    return t->cursor >= 0 && t->cursor < t->n_shown ? t->order[t->cursor] : -1;
}

bool
ui_table_go(struct ui_table *t, int row)
{
    for (int i = 0; i < t->n_shown; i++)
        if (t->order[i] == row) {
            t->cursor = i;
            return true;
        }
    return false;
}

static int
compare_int(const void *a, const void *b)
{
    return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b);
}

static void
sort_now(struct ui_table *t)
{
    const int row = ui_table_row(t);
    t->stale = false;
    if (t->sort >= 0 && !t->ordered)
        qsort_r(t->order, (size_t)t->n_shown, sizeof(int), compare_rows, t);
    else
        qsort(t->order, (size_t)t->n_shown, sizeof(int), compare_int);
    if (row >= 0)
        ui_table_go(t, row);
}

void
ui_table_settle(struct ui_table *t)
{
    if (t->stale)
        sort_now(t);
    clamp_cursor(t);
}

void
ui_table_refresh(struct ui_table *t)
{
    t->stale = true;
}

void
ui_table_refilter(struct ui_table *t)
{
    const int row = ui_table_row(t);
    t->scan = 0;
    t->version++;
    t->n_shown = 0;
    t->seek_left = 0;
    t->range_from = -1;
    ui_table_work(t, ui_now_ms() + 8);
    sort_now(t);
    if (row < 0 || !ui_table_go(t, row))
        t->cursor = 0;
    clamp_cursor(t);
}

static void seek(struct ui_table *t, int64_t deadline_ms);

bool
ui_table_work(struct ui_table *t, int64_t deadline_ms)
{
    struct qs_str text;
    if (t->seek_left > 0)
        seek(t, deadline_ms);
    if (t->scan >= t->n_rows)
        return t->seek_left > 0;
    qs_str_init(&text);
    while (t->scan < t->n_rows) {
        if (t->filter.text && t->scan % ROWS_PER_LOOK == 0 && ui_now_ms() > deadline_ms)
            break;
        const int row = t->scan++;
        if (t->hidden && t->hidden(t->arg, row))
            continue;
        if (!t->filter.text || row_matches(t, &t->filter, row, &text))
            t->order[t->n_shown++] = row;
    }
    qs_str_release(&text);
    t->stale = true;
    t->version++;
    return t->scan < t->n_rows;
}

void
ui_table_set_rows(struct ui_table *t, int n_rows)
{
    t->n_rows = n_rows;
    t->order = qs_xrealloc(t->order, (size_t)(n_rows + 1) * sizeof(*t->order));
    t->mark = qs_xrealloc(t->mark, (size_t)n_rows + 1);
    memset(t->mark, 0, (size_t)n_rows + 1);
    t->n_marked = 0;
    t->n_shown = 0;
    t->cursor = t->top = 0;
    t->range_from = -1;
    free(t->id);
    t->id = NULL;
    ui_table_refilter(t);
}

static int
compare_id(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Numbers of marked rows, sorted; malloc. */
static int64_t *
marked_ids(const struct ui_table *t, int *n)
{
    int64_t *id = qs_xcalloc((size_t)t->n_marked + 1, sizeof(*id));
    *n = 0;
    for (int i = 0; t->id && i < t->n_rows; i++)
        if (t->mark[i])
            id[(*n)++] = t->id[i];
    qsort(id, (size_t)*n, sizeof(*id), compare_id);
    return id;
}

void
ui_table_set_rows_by_id(struct ui_table *t, int64_t *id, int n_rows)
{
    const int row = t->id ? ui_table_row(t) : -1;
    const int64_t here = row >= 0 ? t->id[row] : 0;
    int n_marked, back = -1;
    int64_t *marked = marked_ids(t, &n_marked);
    ui_table_set_rows(t, n_rows);
    t->id = id;
    for (int i = 0; i < n_rows; i++) {
        if (row >= 0 && id[i] == here)
            back = i;
        if (bsearch(&id[i], marked, (size_t)n_marked, sizeof(*marked), compare_id)) {
            t->mark[i] = 1;
            t->n_marked++;
        }
    }
    if (back >= 0)
        ui_table_go(t, back);
    free(marked);
}

int *
ui_table_chosen(const struct ui_table *t, int *n)
{
    int *chosen = qs_xmalloc((size_t)(t->n_marked + 1) * sizeof(*chosen));
    *n = 0;
    for (int i = 0; i < t->n_shown; i++)
        if (t->mark[t->order[i]])
            chosen[(*n)++] = t->order[i];
    if (*n == 0 && ui_table_row(t) >= 0)
        chosen[(*n)++] = ui_table_row(t);
    return chosen;
}

int64_t *
ui_table_chosen_ids(const struct ui_table *t, int *n)
{
    int *row = ui_table_chosen(t, n);
    int64_t *id = qs_xcalloc((size_t)*n + 1, sizeof(*id));
    for (int i = 0; i < *n; i++)
        id[i] = t->id[row[i]];
    free(row);
    return id;
}

void
ui_table_sort_by(struct ui_table *t, int column)
{
    if (t->ordered)
        return;
    t->reverse = column == t->sort && !t->reverse;
    t->sort = column;
    sort_now(t);
}

int
ui_table_find_column(const struct ui_table *t, const char *name)
{
    for (int c = 0; c < t->n_col; c++)
        if (strcmp(t->col[c].name, name) == 0)
            return c;
    return -1;
}

static bool
set_match(struct ui_match *m, const char *text, char *why)
{
    const size_t n = text ? strlen(text) : 0;
    const bool regex = n > 1 && text[0] == '/' && text[n - 1] == '/';
    struct qs_pattern *p = NULL;
    if (n && (regex || strpbrk(text, "*?[")) && !(p = qs_pattern_new(text, why, 128)))
        return false;
    release_match(m);
    m->pattern = p;
    m->text = n ? qs_xstrdup(text) : NULL;
    return true;
}

bool
ui_table_set_filter(struct ui_table *t, const char *text, char *why)
{
    if (!set_match(&t->filter, text, why))
        return false;
    ui_table_refilter(t);
    return true;
}

bool
ui_table_set_search(struct ui_table *t, const char *text, char *why)
{
    return set_match(&t->search, text, why);
}

/* Goes on until a row was found, all were looked at, or it is time. */
static void
seek(struct ui_table *t, int64_t deadline_ms)
{
    struct qs_str text;
    qs_str_init(&text);
    for (int done = 1; t->seek_left > 0; done++) {
        const int i = t->n_shown - --t->seek_left; /* rows from the cursor */
        const int at = ((t->cursor + t->seek_step * i) % t->n_shown + t->n_shown) % t->n_shown;
        if (row_matches(t, &t->search, t->order[at], &text)) {
            t->cursor = at;
            t->seek_left = 0;
            break;
        }
        t->missed = t->seek_left == 0;
        if (done % ROWS_PER_LOOK == 0 && ui_now_ms() > deadline_ms)
            break;
    }
    qs_str_release(&text);
}

bool
ui_table_search(struct ui_table *t, int step)
{
    if (!t->search.text || t->n_shown == 0)
        return false;
    t->seek_left = t->n_shown;
    t->seek_step = step;
    seek(t, ui_now_ms() + 8);
    const bool none = t->missed;
    t->missed = false;
    return !none;
}

static void
set_mark(struct ui_table *t, int position, bool on)
{
    uint8_t *mark = &t->mark[t->order[position]];
    t->n_marked += on - *mark;
    *mark = on;
}

static void
mark_range(struct ui_table *t)
{
    if (t->range_from < 0) {
        t->range_from = t->cursor;
        return;
    }
    const int lo = t->range_from < t->cursor ? t->range_from : t->cursor;
    const int hi = t->range_from < t->cursor ? t->cursor : t->range_from;
    for (int i = lo; i <= hi && i < t->n_shown; i++)
        set_mark(t, i, true);
    t->range_from = -1;
}

static void
mark_all(struct ui_table *t)
{
    bool all = true;
    for (int i = 0; i < t->n_shown; i++)
        all = all && t->mark[t->order[i]];
    for (int i = 0; i < t->n_shown; i++)
        set_mark(t, i, !all);
}

static void
sort_step(struct ui_table *t, int step)
{
    if (t->ordered)
        return;
    /* -1, the order given, is one of the stops */
    const int n = t->n_col + 1;
    t->sort = (t->sort + 1 + step + n) % n - 1;
    t->reverse = false;
    sort_now(t);
}

static void
mark_here(struct ui_table *t)
{
    if (t->cursor >= t->n_shown)
        return;
    set_mark(t, t->cursor, !t->mark[t->order[t->cursor]]);
    t->cursor++;
}

bool
ui_table_act(struct ui_table *t, enum ui_action act)
{
    const int page = t->body.h > 2 ? t->body.h - 2 : 1;
    const struct {
        enum ui_action act;
        int cursor; /* new position */
    } move[] = {
        {UI_ACT_DOWN, t->cursor + 1},
        {UI_ACT_UP, t->cursor - 1},
        {UI_ACT_PAGE_DOWN, t->cursor + page},
        {UI_ACT_PAGE_UP, t->cursor - page},
        {UI_ACT_FIRST, 0},
        {UI_ACT_LAST, t->n_shown - 1},
    };
    bool done = true;
    t->seek_left = 0;
    for (size_t i = 0; i < QS_LEN(move); i++)
        if (move[i].act == act) {
            t->cursor = move[i].cursor;
            clamp_cursor(t);
            return true;
        }
    if (act == UI_ACT_RIGHT)
        t->skip += t->skip < t->n_col - t->n_frozen - 1;
    else if (act == UI_ACT_LEFT)
        t->skip -= t->skip > 0;
    else if (act == UI_ACT_MARK)
        mark_here(t);
    else if (act == UI_ACT_MARK_RANGE)
        mark_range(t);
    else if (act == UI_ACT_MARK_ALL)
        mark_all(t);
    else if (act == UI_ACT_SORT_NEXT)
        sort_step(t, 1);
    else if (act == UI_ACT_SORT_PREV)
        sort_step(t, -1);
    else if (act == UI_ACT_SORT_REVERSE && t->sort >= 0)
        ui_table_sort_by(t, t->sort);
    else
        done = false;
    clamp_cursor(t);
    return done;
}

static bool
click_title(struct ui_table *t, int x)
{
    for (int c = 0; c < t->n_col; c++)
        if (t->col_w[c] && x >= t->col_x[c] && x <= t->col_x[c] + t->col_w[c]) {
            ui_table_sort_by(t, c);
            return true;
        }
    return true;
}

bool
ui_table_mouse(struct ui_table *t, const struct ui_key *key, bool *enter)
{
    enum { WHEEL_ROWS = 3 };
    const struct ui_rect *b = &t->body;
    *enter = false;
    if (key->x < b->x || key->x >= b->x + b->w || key->y < b->y || key->y >= b->y + b->h)
        return false;
    if (key->code == UI_KEY_WHEEL_UP || key->code == UI_KEY_WHEEL_DOWN) {
        t->cursor += key->code == UI_KEY_WHEEL_UP ? -WHEEL_ROWS : WHEEL_ROWS;
        clamp_cursor(t);
        return true;
    }
    if (key->y == b->y)
        return click_title(t, key->x);
    const int at = t->top + key->y - b->y - 1;
    if (at < t->n_shown) {
        t->cursor = at;
        *enter = key->code == UI_KEY_DOUBLE;
    }
    return true;
}

void
ui_table_status(const struct ui_table *t, struct qs_str *out)
{
    if (t->n_shown == t->n_rows)
        qs_str_printf(out, _("%d rows"), t->n_rows);
    else
        qs_str_printf(out, _("%d of %d rows"), t->n_shown, t->n_rows);
    if (t->filter.text)
        qs_str_printf(out, _(", filter '%s'"), t->filter.text);
    if (t->scan < t->n_rows || t->seek_left > 0)
        qs_str_add(out, _(" (looking)"));
    if (t->sort >= 0 && !t->ordered)
        qs_str_printf(out, _(", by %s%s"), _(t->col[t->sort].title),
                      t->reverse ? _(", largest first") : "");
    if (t->n_marked)
        qs_str_printf(out, _(", %d marked"), t->n_marked);
    if (t->range_from >= 0)
        qs_str_add(out, _(", marking a range"));
    if (t->n_shown)
        qs_str_printf(out, "  %d/%d", t->cursor + 1, t->n_shown);
}

enum ui_item
ui_style_dim(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    (void)arg;
    (void)row;
    return UI_DIM;
}
