/* SPDX-License-Identifier: Apache-2.0 */
/* The charts of the Layer view: its weight before and after, its channels, and the activation that
 * goes into it. */
#ifndef UI_LAYER_CHARTS_H
#define UI_LAYER_CHARTS_H

#include "ui/screen.h"
#include "ui/seen.h"
#include "ui/tasks.h"

enum ui_chart {
    UI_CHART_BEFORE,
    UI_CHART_AFTER,
    UI_CHART_CHANNELS,
    UI_CHART_ERROR,
    UI_CHART_ACTIVATION,
    UI_N_CHARTS
};

struct ui_charts {
    int first; /* enum ui_chart; one that has nothing to show gives way to the next */
    bool log;
    /* what there is; borrowed for the call */
    bool weight;                /* a layer is looked at */
    const struct ui_look *look; /* NULL: not yet, or nothing */
    bool looking;
    const struct ui_seen *seen; /* NULL: no calibration saw its activation */
    const char *seen_name;
    double threshold; /* of the activation, by the plan; NaN: none */
};

/* The one shown first, and so on as many as there is room for. */
void ui_charts_draw(const struct ui_charts *c, struct ui_screen *s, struct ui_rect r);
void ui_charts_next(struct ui_charts *c);

#endif
