/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a scan as a list: what each column shows, what is known of the row under the cursor.
 */
#ifndef UI_SCAN_ROWS_H
#define UI_SCAN_ROWS_H

#include "ui/view.h"

struct ui_scan_rows {
    struct ui_list list;
    int *layer;                   /* [n] of each row in the open model, -1: none has this name */
    double most_drop, most_angle; /* the largest drop of a row, and 1 - cosine; 0: none is known */
    char metric[32];              /* that the drops are of; "" not known yet */
};
extern const struct ui_column ui_scan_columns[];
extern const int ui_n_scan_columns;

/* After ui->scan has changed: rows that stay keep marks and cursor. */
void ui_scan_rows_update(struct ui_scan_rows *st);
/* A line with a title and what is known of the row under the cursor. */
void ui_scan_rows_detail(const struct ui_scan_rows *st, struct ui_screen *s, struct ui_rect r);
/* Layers of the rows chosen, each once; malloc. */
int *ui_scan_rows_layers(const struct ui_scan_rows *st, int *n);

#endif
