/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of an operator in the Layer view: a name and a value in each line, in sections. */
#ifndef UI_LAYER_LINES_H
#define UI_LAYER_LINES_H

#include "ui/screen.h"

struct ui;

struct ui_line {
    const char *name; /* not yet translated, or from the model */
    char *value;
    int op;   /* Enter goes there; -1: nowhere */
    int algo; /* Enter takes this calibrator; -1: none */
    enum ui_item item;
    bool own; /* name is free'd */
};

struct ui_lines {
    struct ui *ui;
    struct ui_line *line;
    int n;
};

/* Of the operator and the weight that the workbench shows; none when it shows none. */
void ui_lines_build(struct ui_lines *ls);
void ui_lines_clear(struct ui_lines *ls);

#endif
