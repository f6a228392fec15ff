/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/panes.h"

#include <string.h>

#include "ui/ui.h"

void
ui_panes_init(struct ui_panes *p, struct ui_table *const *table, int n)
{
    *p = (struct ui_panes){.n = n};
    memcpy(p->table, table, (size_t)n * sizeof(struct ui_table *));
}

struct ui_table *
ui_panes_table(const struct ui_panes *p)
{
    return p->table[p->at];
}

void
ui_panes_next(struct ui_panes *p, int step)
{
    do
        p->at = (p->at + step + p->n) % p->n;
    while (p->away[p->at]);
}

void
ui_panes_begin(struct ui_panes *p)
{
    memset(p->area, 0, sizeof(p->area));
}

void
ui_panes_draw(struct ui_panes *p, int pane, struct ui_screen *s, struct ui_rect r)
{
    p->area[pane] = r;
    ui_table_draw(p->table[pane], s, r, pane == p->at);
}

bool
ui_panes_mouse(struct ui_panes *p, struct ui *ui, const struct ui_key *key, enum ui_action enter)
{
    for (int i = 0; i < p->n; i++) {
        bool twice = false;
        if (p->area[i].w == 0 || !ui_table_mouse(p->table[i], key, &twice))
            continue;
        p->at = i;
        if (twice)
            ui_act(ui, enter, NULL);
        return true;
    }
    return false;
}
