/* SPDX-License-Identifier: Apache-2.0 */
/* What the workbench remembers: "key = value" lines in $XDG_CONFIG_HOME/qslim/tui.conf
 * (~/.config when that is not set). Lines it does not know are kept. */
#ifndef UI_CONFIG_H
#define UI_CONFIG_H

#include "base/opt.h"
#include "ui/table.h"

struct ui_config {
    char *path; /* NULL: nothing is read or written (scripts) */
    struct qs_strv line;
    bool changed;
};

void ui_config_load(struct ui_config *c);
/* Writes when something changed; a folder that cannot be written is no error. */
void ui_config_save(struct ui_config *c);
void ui_config_release(struct ui_config *c);
/* Borrowed until the next set; NULL: not there. */
const char *ui_config_get(const struct ui_config *c, const char *key);
void ui_config_set(struct ui_config *c, const char *key, const char *value);
/* Sort column of the table of a view: "sort.<view> = <column> [reverse]". */
void ui_config_take_sort(const struct ui_config *c, const char *view, struct ui_table *t);
void ui_config_keep_sort(struct ui_config *c, const char *view, const struct ui_table *t);

#endif
