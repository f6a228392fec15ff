/* SPDX-License-Identifier: Apache-2.0 */
/* Models: those below this folder and those the store knows. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/text.h"
#include "ui/ui.h"

static const struct qs_found_model *
at(void *arg, int row)
{
    return &((struct ui_list *)arg)->ui->found[row];
}

static void
text_path(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_add(out, ui_below_here(at(arg, row)->path));
}

static void
text_format(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_add(out, at(arg, row)->format);
}

static void
text_bytes(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    ui_add_bytes(out, at(arg, row)->bytes);
}

static double
value_bytes(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    return (double)at(arg, row)->bytes;
}

static void
text_seen(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    ui_add_time(out, at(arg, row)->seen);
}

static double
value_seen(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    return at(arg, row)->seen;
}

static void
text_runs(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_printf(out, "%d", at(arg, row)->n_runs);
}

static double
value_runs(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    return at(arg, row)->n_runs;
}

static const struct ui_column column[] = {
    {.name = "model",
     .title = N_("model"),
     .least = 24,
     .help = N_("the program file"),
     .text = text_path},
    {.name = "format",
     .title = N_("format"),
     .least = 8,
     .most = 8,
     .drop = 3,
     .help = N_("how it is stored"),
     .text = text_format},
    {.name = "size",
     .title = N_("size"),
     .least = 8,
     .most = 8,
     .right = true,
     .drop = 1,
     .unit = N_("bytes"),
     .help = N_("program and parameters"),
     .text = text_bytes,
     .value = value_bytes},
    {.name = "when",
     .title = N_("when"),
     .least = 16,
     .most = 16,
     .drop = 4,
     .help = N_("last changed or used"),
     .text = text_seen,
     .value = value_seen},
    {.name = "runs",
     .title = N_("runs"),
     .least = 5,
     .most = 5,
     .right = true,
     .drop = 2,
     .help = N_("runs in the store"),
     .text = text_runs,
     .value = value_runs},
};

static void *
open_view(struct ui *ui)
{
    struct ui_list *list = ui_list_open(ui, sizeof(*list), "models", column, QS_LEN(column));
    ui_table_set_rows(&list->table, ui->n_found);
    if (!ui->found_read)
        ui_task_find(ui);
    return list;
}

static void
update(struct ui *ui, void *state, enum ui_event ev)
{
    if (ev == UI_EVENT_FOUND)
        ui_table_set_rows(ui_list_table(state), ui->n_found);
}

static void
draw(struct ui *ui, void *state, struct ui_rect r)
{
    ui_table_draw(ui_list_table(state), ui->screen, r, true);
    if (ui->n_found == 0 && r.h > 2)
        ui_put(ui->screen, r.y + 2, r.x + 2, r.w - 2, UI_DIM,
               ui->found_read ? _("no models below this folder; :open PATH opens one")
                              : _("looking for models ..."));
}

static bool
act(struct ui *ui, void *state, enum ui_action action, const char *arg)
{
    const int row = ui_table_row(ui_list_table(state));
    (void)arg;
    if (action == UI_ACT_RESCAN)
        ui_task_find(ui);
    else if (action == UI_ACT_OPEN_ROW && row >= 0)
        ui_task_open(ui, ui->found[row].path);
    else
        return false;
    return true;
}

const struct ui_view ui_view_models = {
    .open = open_view,
    .close = ui_list_close,
    .update = update,
    .draw = draw,
    .act = act,
    .table = ui_list_table,
};
