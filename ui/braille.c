/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/braille.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

enum { ACROSS = 2, DOWN = 4, FIRST = 0x2800 };

/* Bits of the dots as Unicode numbers them: seven and eight came later. */
static const uint8_t bit[DOWN][ACROSS] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
enum { UPPER = 0x1B, LOWER = 0xE4 };

void
ui_braille_init(struct ui_braille *b, int w, int h)
{
    b->w = w > 0 ? w : 1;
    b->h = h > 0 ? h : 1;
    b->cell = qs_xcalloc((size_t)b->w * (size_t)b->h, 1);
}

void
ui_braille_release(struct ui_braille *b)
{
    free(b->cell);
    *b = (struct ui_braille){0};
}

void
ui_braille_dot(struct ui_braille *b, int x, int y)
{
    if (x < 0 || y < 0 || x >= ACROSS * b->w || y >= DOWN * b->h)
        return;
    b->cell[y / DOWN * b->w + x / ACROSS] |= bit[y % DOWN][x % ACROSS];
}

void
ui_braille_line(struct ui_braille *b, int x0, int y0, int x1, int y1)
{
    const int dx = abs(x1 - x0), dy = abs(y1 - y0), steps = dx > dy ? dx : dy;
    for (int i = 0; i <= steps; i++) {
        const double t = steps ? (double)i / steps : 0;
        ui_braille_dot(b, (int)lround(x0 + t * (x1 - x0)), (int)lround(y0 + t * (y1 - y0)));
    }
}

unsigned
ui_braille_wide(const struct ui_braille *b, int row, int column)
{
    const uint8_t cell = b->cell[row * b->w + column];
    return cell ? FIRST + (unsigned)cell : ' ';
}

char
ui_braille_plain(const struct ui_braille *b, int row, int column)
{
    const uint8_t cell = b->cell[row * b->w + column];
    return (cell & UPPER) && (cell & LOWER) ? ':' : cell & UPPER ? '\'' : cell & LOWER ? '.' : ' ';
}

/* The smallest of 1, 2, 5 times a power of ten that is not below v. */
static double
nice_step(double v)
{
    const double power = pow(10, floor(log10(v)));
    const double times = v / power;
    return power * (times <= 1 ? 1 : times <= 2 ? 2 : times <= 5 ? 5 : 10);
}

void
ui_axis_init(struct ui_axis *a, double lo, double hi, int most)
{
    double margin = (hi - lo) / 20;
    if (!(margin > 0)) /* one value */
        margin = fabs(lo) > 0 ? fabs(lo) / 10 : 0.5;
    a->lo = lo - margin;
    a->hi = hi + margin;
    /* no size, time or share is negative */
    if (lo >= 0 && a->lo < 0)
        a->lo = 0;
    a->step = nice_step((a->hi - a->lo) / (most > 1 ? most - 1 : 1));
    a->first = ceil(a->lo / a->step) * a->step;
    a->n = (int)floor((a->hi - a->first) / a->step) + 1;
}

double
ui_axis_tick(const struct ui_axis *a, int i)
{
    return a->first + i * a->step;
}

int
ui_axis_at(const struct ui_axis *a, double v, int n)
{
    const double at = (v - a->lo) / (a->hi - a->lo) * (n - 1);
    return !(at > 0) ? 0 : at > n - 1 ? n - 1 : (int)lround(at);
}
