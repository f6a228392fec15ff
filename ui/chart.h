/* SPDX-License-Identifier: Apache-2.0 */
/* Points of two quantities on axes with ticks, some joined by a line of braille dots. */
#ifndef UI_CHART_H
#define UI_CHART_H

#include "ui/braille.h"
#include "ui/screen.h"

struct ui_chart_point {
    double x, y;
    enum ui_item item;
    bool strong; /* a filled mark, above the others */
    bool joined; /* to the joined one before */
    bool hidden; /* not drawn itself */
    char label[16];
};

struct ui_chart {
    const char *name[2]; /* of the quantities, x and y: "bytes", "seconds", a metric or any */
    bool less[2];        /* less is better */
    const struct ui_chart_point *point;
    int n;
    int here; /* the one under the cursor, -1: none */
    /* where it was drawn */
    struct ui_axis axis[2];
    struct ui_rect plot; /* w 0: it was not */
};

/* In at least 4 rows and 20 columns. */
void ui_chart_draw(struct ui_chart *c, struct ui_screen *s, struct ui_rect r);
/* The point nearest to a character of the plot; -1: beside the plot, or none is shown. */
int ui_chart_nearest(const struct ui_chart *c, int x, int y);

#endif
