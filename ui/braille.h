/* SPDX-License-Identifier: Apache-2.0 */
/* A canvas of dots, two across and four down in each character (the braille patterns from U+2800),
 * and axes for it. It knows no screen. */
#ifndef UI_BRAILLE_H
#define UI_BRAILLE_H

#include <stdint.h>

struct ui_braille {
    int w, h;      /* characters */
    uint8_t *cell; /* [h][w], U+2800 + cell is the character */
};

void ui_braille_init(struct ui_braille *b, int w, int h); /* empty; at least one character */
void ui_braille_release(struct ui_braille *b);
/* x in 0..2w-1 from the left, y in 0..4h-1 from the top; what lies outside is not drawn. */
void ui_braille_dot(struct ui_braille *b, int x, int y);
void ui_braille_line(struct ui_braille *b, int x0, int y0, int x1, int y1);
/* The character of a cell, and the nearest in ASCII: ' ', '\'' (dots above), '.' (below), ':'. */
unsigned ui_braille_wide(const struct ui_braille *b, int row, int column);
char ui_braille_plain(const struct ui_braille *b, int row, int column);

/* An axis from lo to hi with ticks at multiples of `step`, which is 1, 2 or 5 times a power of
 * ten. */
struct ui_axis {
    double lo, hi, first, step;
    int n; /* ticks: first, first + step, ... */
};

/* Room for values from lo to hi (hi >= lo), with a margin, and at most `most` (2 or more) ticks. */
void ui_axis_init(struct ui_axis *a, double lo, double hi, int most);
double ui_axis_tick(const struct ui_axis *a, int i);
/* Where v lies in 0..n-1, lo at 0; values beyond the ends lie at them. */
int ui_axis_at(const struct ui_axis *a, double v, int n);

#endif
