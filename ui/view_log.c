/* SPDX-License-Identifier: Apache-2.0 */
/* Log: every message, newest last. */
#include "base/i18n.h"
#include "base/mem.h"
#include "ui/ui.h"

static void
text_number(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    (void)arg;
    qs_str_printf(out, "%d", row + 1);
}

static double
value_number(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    (void)arg;
    return row;
}

static void
text_kind(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const enum ui_item item = ((struct ui_list *)arg)->ui->log[row].item;
    (void)c;
    qs_str_add(out, item == UI_BAD ? _("error") : item == UI_CAUTION ? _("warning") : _("note"));
}

static void
text_line(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_add(out, ((struct ui_list *)arg)->ui->log[row].text);
}

static enum ui_item
style(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    return ((struct ui_list *)arg)->ui->log[row].item;
}

static const struct ui_column column[] = {
    {.name = "number",
     .title = N_("#"),
     .least = 4,
     .most = 6,
     .right = true,
     .drop = 2,
     .help = N_("in the order they came"),
     .text = text_number,
     .value = value_number},
    {.name = "kind",
     .title = N_("kind"),
     .least = 7,
     .most = 7,
     .drop = 1,
     .help = N_("note, warning or error"),
     .text = text_kind,
     .style = style},
    {.name = "message",
     .title = N_("message"),
     .least = 20,
     .help = N_("what was said"),
     .text = text_line,
     .style = style},
};

static void
new_rows(struct ui_list *list)
{
    struct ui_table *t = &list->table;
    const bool at_end = t->cursor >= t->n_shown - 1;
    const int cursor = t->cursor;
    ui_table_set_rows(t, list->ui->n_log);
    t->cursor = at_end ? t->n_shown - 1 : cursor;
}

static void *
open_view(struct ui *ui)
{
    struct ui_list *list = ui_list_open(ui, sizeof(*list), NULL, column, QS_LEN(column));
    new_rows(list);
    list->table.cursor = list->table.n_shown - 1;
    return list;
}

static void
update(struct ui *ui, void *state, enum ui_event ev)
{
    (void)ui;
    if (ev == UI_EVENT_LOG)
        new_rows(state);
}

/* The whole of the message under the cursor stands below the list. */
static void
draw(struct ui *ui, void *state, struct ui_rect r)
{
    struct ui_table *t = ui_list_table(state);
    const int row = ui_table_row(t);
    const char *text = row >= 0 ? ui->log[row].text : "";
    int rows = r.h >= 8 ? ui_put_wrapped(NULL, r, UI_TEXT, text) : 0;
    rows = rows > r.h / 2 ? r.h / 2 : rows;
    if (rows > 1) {
        ui_put_rule(ui->screen, r.y + r.h - rows - 1, r.x, r.w, NULL, false);
        ui_put_wrapped(ui->screen, (struct ui_rect){r.y + r.h - rows, r.x + 1, rows, r.w - 1},
                       ui->log[row].item, text);
        r.h -= rows + 1;
    }
    ui_table_draw(t, ui->screen, r, true);
}

const struct ui_view ui_view_log = {
    .open = open_view,
    .close = ui_list_close,
    .update = update,
    .draw = draw,
    .table = ui_list_table,
};
