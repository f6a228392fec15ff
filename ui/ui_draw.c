/* SPDX-License-Identifier: Apache-2.0 */
/* What frames every view: tabs, status line, keys that matter here, progress. */
#include <stdio.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/text.h"
#include "ui/ui.h"

/* How much of the tabs there is room for. */
enum tabs {
    TABS_WHOLE,
    TABS_SHORT, /* without our name, long titles cut */
    TABS_ONE,   /* only the view that shows */
};
enum { LONG_TITLE = 6, CUT_TITLE = 4 }; /* columns */

static const char *const brand = "qslim ";

static int
title_width(const char *title, enum tabs tabs)
{
    const int w = ui_width(title);
    return tabs == TABS_SHORT && w > LONG_TITLE ? CUT_TITLE : w;
}

static enum tabs
choose_tabs(int w)
{
    for (enum tabs tabs = TABS_WHOLE; tabs < TABS_ONE; tabs++) {
        int need = tabs == TABS_WHOLE ? ui_width(brand) : 0;
        for (int v = 0; v < UI_N_VIEWS; v++)
            need += 2 + title_width(_(ui_views[v].title), tabs);
        if (need < w)
            return tabs;
    }
    return TABS_ONE;
}

/* Text that ends after so many columns. */
static void
cut_text(char *text, int columns)
{
    size_t n = strlen(text);
    while (n > 0 && ui_width(text) > columns) {
        do
            n--;
        while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80);
        text[n] = '\0';
    }
}

/* " 5Jobs"; returns the column behind it. */
static int
draw_tab(struct ui_screen *s, int x, int v, enum tabs tabs, enum ui_item item)
{
    char key[16], title[64];
    snprintf(title, sizeof(title), "%s", _(ui_views[v].title));
    cut_text(title, title_width(title, tabs));
    ui_put(s, 0, x, 1, UI_BAR, " ");
    return x + 1 +
           ui_putf(s, 0, x + 1, s->w - x - 1, item, "%s%s",
                   ui_action_first_key((enum ui_action)(UI_ACT_VIEW_MODELS + v), key, sizeof(key)),
                   title);
}

/* Returns the column behind the tabs. */
static int
draw_tabs(struct ui *ui)
{
    struct ui_screen *s = ui->screen;
    const enum tabs tabs = choose_tabs(s->w);
    int x = tabs != TABS_SHORT ? ui_put(s, 0, 0, s->w, UI_TAB, brand) : 0, from = 0, to = 0;
    for (int v = 0; v < UI_N_VIEWS; v++) {
        const bool here = (enum ui_view_id)v == ui->view;
        if (!here && tabs == TABS_ONE)
            continue;
        from = here ? x : from;
        x = draw_tab(s, x, v, tabs, here ? UI_TAB : UI_BAR);
        to = here ? x : to;
    }
    ui_put(s, 0, from, 1, UI_TAB, "[");
    ui_put(s, 0, to, 1, UI_TAB, "]");
    return x + 1;
}

static void
draw_header(struct ui *ui)
{
    struct ui_screen *s = ui->screen;
    ui_put_char(s, 0, 0, s->w, UI_BAR, ' ', ' ');
    const int x = draw_tabs(ui);
    const char *name = ui->opening ? _("opening ...") : ui->model ? ui->model->name : _("no model");
    const int want = ui_width(name) + 1, left = s->w - x - 1;
    if (left > 3)
        ui_put(s, 0, want <= left ? s->w - want : x, left, UI_TAB, name);
}

static void
draw_status(struct ui *ui, int y)
{
    const struct ui_view *v = ui_views[ui->view].view;
    const struct ui_table *t = ui_focused_table(ui);
    struct qs_str line;
    qs_str_init(&line);
    if (v->status)
        v->status(ui, ui->state[ui->view], &line);
    if (t) {
        qs_str_add(&line, line.n ? "  " : "");
        ui_table_status(t, &line);
    }
    ui_put(ui->screen, y, 1, ui->screen->w - 1, UI_DIM, line.s);
    qs_str_release(&line);
}

static int
draw_hint(struct ui_screen *s, int y, int x, enum ui_action act)
{
    char name[16];
    const char *key = ui_action_first_key(act, name, sizeof(name));
    const char *word = _(ui_actions[act].hint ? ui_actions[act].hint : ui_actions[act].help);
    if (x + ui_width(key) + ui_width(word) + 2 >= s->w)
        return x;
    x += ui_put(s, y, x, s->w - x, UI_KEY, key);
    x += 1 + ui_put(s, y, x + 1, s->w - x - 1, UI_DIM, word);
    return x + 2;
}

/* The keys that matter here, as many as there is room for. */
static void
draw_hints(struct ui *ui, int y)
{
    struct ui_screen *s = ui->screen;
    const unsigned where = ui_where(ui), view = 1U << ui->view;
    const unsigned order[] = {where & UI_IN_DRAWN, view, where & ~(view | UI_IN_DRAWN)};
    unsigned before = 0;
    int x = draw_hint(s, y, 1, UI_ACT_VIEW_HELP);
    for (size_t i = 0; i < QS_LEN(order); i++) {
        for (int a = 0; a < UI_N_ACTIONS; a++)
            if (ui_actions[a].hint && a != UI_ACT_VIEW_HELP && !(ui_actions[a].where & before) &&
                (ui_actions[a].where & order[i]))
                x = draw_hint(s, y, x, (enum ui_action)a);
        before |= order[i];
    }
}

/* The job that runs, one that was asked for before others; else one that is paused; NULL: none. */
static const struct ui_task *
running_task(const struct ui *ui)
{
    const struct ui_task *paused = NULL, *own = NULL;
    for (int i = ui->n_tasks - 1; i >= 0; i--) {
        const struct ui_task *t = ui->task[i];
        if (t->over)
            continue;
        if (t->job.state == QS_JOB_RUNNING && !t->quiet)
            return t;
        if (t->job.state == QS_JOB_RUNNING)
            own = t;
        if (t->job.state == QS_JOB_PAUSED)
            paused = t;
    }
    return own ? own : paused;
}

/* "statistics 34 %" at the right end of the footer. */
static void
draw_running(struct ui *ui, int y)
{
    struct ui_screen *s = ui->screen;
    const struct ui_task *t = running_task(ui);
    char line[160], share[24] = "";
    if (!t)
        return;
    if (t->job.at.total > 0)
        snprintf(share, sizeof(share), "%d %% ",
                 (int)(100.0 * (double)t->job.at.done / (double)t->job.at.total));
    snprintf(line, sizeof(line), " %s%.60s %s", t->job.state == QS_JOB_PAUSED ? _("paused: ") : "",
             t->title, share);
    const int w = ui_width(line);
    if (w < s->w / 2)
        ui_put(s, y, s->w - w, w, UI_BAR, line);
}

static int
draw_footer(struct ui *ui, int y)
{
    struct ui_screen *s = ui->screen;
    if (ui->prompt.active)
        return ui_prompt_draw(&ui->prompt, s, y);
    if (ui->message[0])
        ui_put(s, y, 1, s->w - 2, ui->message_item, ui->message);
    else
        draw_hints(ui, y);
    draw_running(ui, y);
    return -1;
}

void
ui_draw(struct ui *ui)
{
    struct ui_screen *s = ui->screen;
    ui_clear(s);
    /* with few rows the list matters more than what frames it */
    const int top = s->h >= 6 ? 2 : s->h >= 4 ? 1 : 0;
    const int foot = s->h >= 2 ? 1 : 0;
    const struct ui_rect body = {top, 0, s->h - top - foot, s->w};
    ui_views[ui->view].view->draw(ui, ui->state[ui->view], body);
    if (top > 0)
        draw_header(ui);
    if (top > 1)
        draw_status(ui, 1);
    const int x = foot || ui->prompt.active ? draw_footer(ui, s->h - 1) : -1;
    ui_flush(s, x >= 0 ? s->h - 1 : -1, x);
    ui->dirty = false;
}
