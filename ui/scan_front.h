/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that led to a proposed plan: a list, and their curve. */
#ifndef UI_SCAN_FRONT_H
#define UI_SCAN_FRONT_H

#include "ui/table.h"

struct ui;

struct ui_scan_front {
    struct ui *ui;
    struct ui_table table; /* a row for each step */
};
void ui_scan_front_init(struct ui_scan_front *f, struct ui *ui);
void ui_scan_front_release(struct ui_scan_front *f);
/* After ui->scan.proposal has changed: the cursor goes to the step that was taken. */
void ui_scan_front_update(struct ui_scan_front *f);
/* A line with a title, the list and, where there is room, the curve; returns where the list is. */
struct ui_rect ui_scan_front_draw(struct ui_scan_front *f, struct ui_screen *s, struct ui_rect r);

#endif
