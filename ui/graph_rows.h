/* SPDX-License-Identifier: Apache-2.0 */
/* The operators of the open model as rows: what each column of the Graph view shows. */
#ifndef UI_GRAPH_ROWS_H
#define UI_GRAPH_ROWS_H

#include "model/layer.h"
#include "ui/view.h"

struct ui_graph_rows {
    struct ui_list list;
    bool log; /* scale of the ranges */
};
extern const struct ui_column ui_graph_columns[];
extern const int ui_n_graph_columns;

/* Weight, range and note of a row, which its columns may have cut. */
void ui_graph_describe(struct ui_graph_rows *st, int row, struct qs_str *out);
/* The weight that counts for the operator; NULL: it has none. */
const struct qs_layer *ui_graph_layer(struct ui_graph_rows *st, int row);

#endif
