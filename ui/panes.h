/* SPDX-License-Identifier: Apache-2.0 */
/* Several lists in one view: one of them has the keys, a click gives them to another. */
#ifndef UI_PANES_H
#define UI_PANES_H

#include "ui/table.h"

struct ui;

enum { UI_MOST_PANES = 4 };

struct ui_panes {
    struct ui_table *table[UI_MOST_PANES]; /* borrowed */
    bool away[UI_MOST_PANES];              /* left out when the keys go round */
    int n, at;                             /* `at` has the keys */
    struct ui_rect area[UI_MOST_PANES];    /* where they were drawn, w 0: they were not */
};

/* Tables in the order in which the keys go round. */
void ui_panes_init(struct ui_panes *p, struct ui_table *const *table, int n);
struct ui_table *ui_panes_table(const struct ui_panes *p);
/* Gives the keys to the next one (step 1) or the one before (-1) that is not away. */
void ui_panes_next(struct ui_panes *p, int step);
/* Before the panes of a frame are drawn. */
void ui_panes_begin(struct ui_panes *p);
void ui_panes_draw(struct ui_panes *p, int pane, struct ui_screen *s, struct ui_rect r);
/* `enter` is done when a row is clicked twice; false: the click was in none of them. */
bool ui_panes_mouse(struct ui_panes *p, struct ui *ui, const struct ui_key *key,
                    enum ui_action enter);

#endif
