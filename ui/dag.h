/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The drawn form of the Graph view: lanes beside the rows of its table (lanes.h), the neighbours
 * of the row under the cursor and the way along them. Rows are operators (ui_model.op); those that
 * the table does not show are contracted.
 */
#ifndef UI_DAG_H
#define UI_DAG_H

#include "ui/lanes.h"
#include "ui/model.h"
#include "ui/table.h"

struct ui_near { /* producers or consumers of the row under the cursor */
    int *row, n; /* positions among the rows shown, rising */
    int chosen;  /* index; where following leads */
};

struct ui_dag {
    const struct ui_model *model; /* NULL: none */
    struct ui_flow flow;
    bool *folded;           /* [n_ops] belongs to the operator before it: ui_dag_is_folded */
    struct ui_lanes *lanes; /* of the rows shown; NULL: too many edges, or not known yet */
    int *position;          /* [n_ops] of an operator among the rows shown, -1 */
    unsigned version;       /* of the table's rows that lanes were made for */
    bool made;
    int cursor; /* position that `near` is of, -1: none */
    struct ui_near from, to;
    int left; /* lane column drawn first */
};

void ui_dag_release(struct ui_dag *d);
/* Another model, or none. Borrows it. */
void ui_dag_set_model(struct ui_dag *d, const struct ui_model *m);
/* Quantizers, batch norm and bias after the weight they go into, activations. */
bool ui_dag_is_folded(const struct ui_dag *d, int op);
/* Before drawing: takes in what the table shows and where its cursor is. */
void ui_dag_update(struct ui_dag *d, const struct ui_table *t);
/* Characters the lanes take: all of them, or `most`, where the node under the cursor is in sight.
 */
int ui_dag_fit(struct ui_dag *d, int most);
void ui_dag_paint(const struct ui_dag *d, int op, struct ui_screen *s, struct ui_rect cell);
/* The row under the cursor reads what this operator makes, or makes what it reads. */
bool ui_dag_is_near(const struct ui_dag *d, int op);
/* Goes to the producer or consumer that is chosen; false: there is none. */
bool ui_dag_follow(struct ui_dag *d, struct ui_table *t, bool down);
/* Chooses the next one; false: there are not several. */
bool ui_dag_choose(struct ui_dag *d, const struct ui_table *t, bool down);
/* "from #3 conv2d (1 of 2)  to #7 relu". */
void ui_dag_describe(const struct ui_dag *d, const struct ui_table *t, struct qs_str *out);

#endif
