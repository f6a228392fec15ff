/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/view.h"

#include <stdlib.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/ui.h"

#define VIEW(id, name, keys, title) extern const struct ui_view ui_view_##name;
#include "ui/views.inc"
#undef VIEW

const struct ui_view_row ui_views[UI_N_VIEWS] = {
#define VIEW(id, name, keys, title) {#name, title, &ui_view_##name},
#include "ui/views.inc"
#undef VIEW
};

void *
ui_list_open(struct ui *ui, size_t size, const char *name, const struct ui_column *col, int n_col)
{
    struct ui_list *list = qs_xcalloc(1, size);
    list->ui = ui;
    list->name = name;
    ui_table_init(&list->table, col, n_col, list);
    if (name)
        ui_config_take_sort(&ui->config, name, &list->table);
    return list;
}

void
ui_list_close(struct ui *ui, void *state)
{
    struct ui_list *list = state;
    if (list->name)
        ui_config_keep_sort(&ui->config, list->name, &list->table);
    ui_table_release(&list->table);
    free(list);
}

struct ui_table *
ui_list_table(void *state)
{
    return &((struct ui_list *)state)->table;
}
