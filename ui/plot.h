/* SPDX-License-Identifier: Apache-2.0 */
/* Charts in characters: eighth blocks on a Unicode screen, '#' on a plain one. */
#ifndef UI_PLOT_H
#define UI_PLOT_H

#include "ui/screen.h"

/* A bar of `share` (0..1) of the rectangle's width, in its first row. */
void ui_plot_bar(struct ui_screen *s, struct ui_rect r, enum ui_item item, double share);

/* Where v lies on an axis from -most to most: -1..1. Logarithmic: three decades each way. */
double ui_plot_axis(double v, double most, bool log);
/* The interval lo..hi on an axis from -most to most, with a mark at zero. */
void ui_plot_range(struct ui_screen *s, struct ui_rect r, double lo, double hi, double most,
                   bool log);

/* Counts of n bins over the width of r (bins are added up when there are more of them than
 * columns). `after` (may be NULL) is a second series drawn over the first: solid over shaded.
 * log: heights are logarithms. */
void ui_plot_histogram(struct ui_screen *s, struct ui_rect r, const int64_t *count,
                       const int64_t *after, int n, bool log);

/* min..max of n channels as vertical strokes on a common axis, from the largest to the smallest
 * value; channels share a column when there is no room. Outliers (flags, may be NULL) are in the
 * style of a warning and have a '^' below. */
void ui_plot_ranges(struct ui_screen *s, struct ui_rect r, const float *min, const float *max,
                    const bool *outlier, int64_t n);

/* The course of n values over at most r.w columns of the first row of r, each scaled between the
 * smallest and the largest of them; what is not finite leaves a gap. */
void ui_plot_spark(struct ui_screen *s, struct ui_rect r, enum ui_item item, const float *v, int n);

/* n values of at least 0 as columns from below; the largest of those that share a column. */
void ui_plot_columns(struct ui_screen *s, struct ui_rect r, const double *v, int64_t n,
                     double most);

struct ui_plot_mark {
    double at; /* share of the width, 0..1 */
    const char *label;
    bool strong;
};
/* Labels below an axis, each with '^' at its place: "^name", or "name^" where the edge is near.
 * Marks come by rising place; those of one column share a label; one without room keeps its '^'. */
void ui_plot_marks(struct ui_screen *s, struct ui_rect r, const struct ui_plot_mark *m, int n);

#endif
