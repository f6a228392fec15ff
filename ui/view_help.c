/* SPDX-License-Identifier: Apache-2.0 */
/* Help: the actions, from the table that dispatches them; those of the view one came from first,
 * then what its columns mean. */
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/ui.h"

struct row {
    int action; /* -1: a column */
    const struct ui_column *col;
};

struct state {
    struct ui_list list;
    struct row *row;
    int n;
    enum ui_view_id from;
};

static const struct row *
at(void *arg, int row)
{
    return &((struct state *)arg)->row[row];
}

static void
text_keys(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    struct ui_key k;
    char name[16];
    (void)c;
    if (at(arg, row)->action < 0)
        return;
    const char *keys = ui_actions[at(arg, row)->action].keys;
    while (*keys) {
        qs_str_printf(out, "%s%s", out->n ? " " : "",
                      ui_key_name(ui_key_parse(&keys, &k), name, sizeof(name)));
        while (*keys == ' ')
            keys++;
    }
}

static void
text_command(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct row *r = at(arg, row);
    (void)c;
    if (r->action < 0)
        qs_str_add(out, r->col->name);
    else
        qs_str_printf(out, ":%s%s%s", ui_actions[r->action].name,
                      ui_actions[r->action].arg ? " " : "",
                      ui_actions[r->action].arg ? ui_actions[r->action].arg : "");
}

static void
text_where(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct state *st = arg;
    const struct row *r = at(arg, row);
    const unsigned where = r->action >= 0 ? ui_actions[r->action].where : 0;
    (void)c;
    if (r->action < 0)
        qs_str_add(out, _("column"));
    else if (r->action >= UI_ACT_VIEW_MODELS)
        qs_str_add(out, _("views"));
    else if (where & UI_IN_ALL)
        qs_str_add(out, _("everywhere"));
    else if (where & UI_IN_LIST)
        qs_str_add(out, _("lists"));
    else if (where & UI_IN_DRAWN)
        qs_str_add(out, _("drawn graph"));
    else if (where & 1U << st->from)
        qs_str_add(out, _(ui_views[st->from].title));
    else
        for (int v = 0; v < UI_N_VIEWS; v++)
            if (where & 1U << v)
                qs_str_printf(out, "%s%s", out->n ? ", " : "", _(ui_views[v].title));
}

static void
text_help(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct row *r = at(arg, row);
    (void)c;
    if (r->action >= UI_ACT_VIEW_MODELS) {
        qs_str_printf(out, _("go to %s"), _(ui_actions[r->action].help));
        return;
    }
    qs_str_add(out, _(r->action >= 0 ? ui_actions[r->action].help : r->col->help));
    if (r->action < 0 && r->col->unit)
        qs_str_printf(out, " (%s)", _(r->col->unit));
}

static enum ui_item
style_keys(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    (void)arg;
    (void)row;
    return UI_KEY;
}

static const struct ui_column column[] = {
    {.name = "keys",
     .title = N_("keys"),
     .least = 14,
     .most = 24,
     .help = N_("what to press"),
     .text = text_keys,
     .style = style_keys},
    {.name = "help",
     .title = N_("what they do"),
     .least = 44,
     .help = N_("what they do"),
     .text = text_help},
    {.name = "command",
     .title = N_("command"),
     .least = 16,
     .most = 40,
     .drop = 2,
     .help = N_("the same on the command line"),
     .text = text_command},
    {.name = "where",
     .title = N_("where"),
     .least = 10,
     .most = 20,
     .drop = 1,
     .help = N_("where it works"),
     .text = text_where,
     .style = ui_style_dim},
};

static void
add(struct state *st, int action, const struct ui_column *col)
{
    st->row[st->n++] = (struct row){action, col};
}

static void
add_actions(struct state *st, unsigned with, unsigned without)
{
    for (int a = 0; a < UI_N_ACTIONS; a++)
        if ((ui_actions[a].where & with) && !(ui_actions[a].where & without))
            add(st, a, NULL);
}

static void
build(struct state *st)
{
    const struct ui_view *v = ui_views[st->from].view;
    const unsigned here = 1U << st->from | v->forms;
    const unsigned views = ((1U << UI_N_VIEWS) - 1) | UI_IN_DRAWN;
    void *state = st->list.ui->state[st->from];
    const struct ui_table *t = v->table && state && state != st ? v->table(state) : NULL;
    st->row = qs_xrealloc(st->row, (UI_N_ACTIONS * 2 + UI_MOST_COLUMNS) * sizeof(*st->row));
    st->n = 0;
    add_actions(st, here, 0);
    add_actions(st, UI_IN_LIST, here);
    add_actions(st, UI_IN_ALL, here);
    for (int c = 0; t && c < t->n_col && c < UI_MOST_COLUMNS; c++)
        add(st, -1, &t->col[c]);
    add_actions(st, views & ~here, here | UI_IN_LIST | UI_IN_ALL);
    ui_table_set_rows(&st->list.table, st->n);
}

static enum ui_view_id
came_from(const struct ui *ui)
{
    return ui->n_back > 0 ? ui->back[ui->n_back - 1] : UI_VIEW_MODELS;
}

static void *
open_view(struct ui *ui)
{
    struct state *st = ui_list_open(ui, sizeof(*st), NULL, column, QS_LEN(column));
    st->from = came_from(ui);
    build(st);
    return st;
}

static void
close_view(struct ui *ui, void *state)
{
    free(((struct state *)state)->row);
    ui_list_close(ui, state);
}

static void
draw(struct ui *ui, void *state, struct ui_rect r)
{
    struct state *st = state;
    if (st->from != came_from(ui)) {
        st->from = came_from(ui);
        build(st);
    }
    ui_table_draw(&st->list.table, ui->screen, r, true);
}

static void
status(struct ui *ui, void *state, struct qs_str *out)
{
    const struct state *st = state;
    (void)ui;
    qs_str_printf(out, _("keys of %s first;"), _(ui_views[st->from].title));
}

const struct ui_view ui_view_help = {
    .open = open_view,
    .close = close_view,
    .draw = draw,
    .table = ui_list_table,
    .status = status,
};
