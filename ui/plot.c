/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/plot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

enum { EIGHTHS = 8, FULL_BLOCK = 0x2588, SHADE = 0x2591 };

/* Blocks that grow from the left (0x258F is one eighth) and from below (0x2581). */
static unsigned
left_block(int eighths)
{
    return 0x2590U - (unsigned)eighths;
}

static unsigned
lower_block(int eighths)
{
    return 0x2580U + (unsigned)eighths;
}

void
ui_plot_bar(struct ui_screen *s, struct ui_rect r, enum ui_item item, double share)
{
    share = share >= 0 ? (share < 1 ? share : 1) : 0;
    const int eighths = (int)lround(share * r.w * EIGHTHS);
    const int full = s->utf8 ? eighths / EIGHTHS : (eighths + EIGHTHS / 2) / EIGHTHS;
    ui_put_char(s, r.y, r.x, full, item, FULL_BLOCK, '#');
    if (s->utf8 && eighths % EIGHTHS)
        ui_put_char(s, r.y, r.x + full, 1, item, left_block(eighths % EIGHTHS), ' ');
}

double
ui_plot_axis(double v, double most, bool log)
{
    enum { SMALLEST = 1000 }; /* three decades below the largest */
    if (!(most > 0) || !isfinite(v))
        return 0;
    double share = fabs(v) / most;
    share = share < 1 ? share : 1;
    if (log)
        share = log1p(share * SMALLEST) / log1p(SMALLEST);
    return v < 0 ? -share : share;
}

/* Half characters: position 0..2w of a value. */
static int
half_position(double at, int w)
{
    const int h = (int)lround((at + 1) * w);
    return h < 0 ? 0 : h > 2 * w ? 2 * w : h;
}

void
ui_plot_range(struct ui_screen *s, struct ui_rect r, double lo, double hi, double most, bool log)
{
    int a = half_position(ui_plot_axis(lo, most, log), r.w);
    int b = half_position(ui_plot_axis(hi, most, log), r.w);
    const int zero = r.w / 2;
    if (b == a) { /* always something to see */
        b += a < 2 * r.w;
        a -= b == a;
    }
    ui_put_char(s, r.y, r.x, r.w, UI_DIM, ' ', ' ');
    ui_put_char(s, r.y, r.x + zero, 1, UI_DIM, 0x2502, '|');
    for (int i = a / 2; i <= (b - 1) / 2; i++) {
        const bool left = a <= 2 * i, right = b >= 2 * i + 2;
        const unsigned wide = left && right ? FULL_BLOCK : left ? 0x258C : 0x2590;
        ui_put_char(s, r.y, r.x + i, 1, UI_PLOT, wide, '=');
    }
}

static double *
sum_bins(const int64_t *count, int n, int w)
{
    double *col = qs_xcalloc((size_t)w, sizeof(*col));
    for (int i = 0; i < n; i++)
        col[(int64_t)i * w / n] += (double)count[i];
    return col;
}

static double
largest(const double *v, int n)
{
    double most = 0;
    for (int i = 0; i < n; i++)
        most = v[i] > most ? v[i] : most;
    return most;
}

static double
height(double v, double most, bool log)
{
    if (!(most > 0) || !(v > 0))
        return 0;
    return log ? log1p(v) / log1p(most) : v / most;
}

/* A column from below; what is not zero shows at least one eighth. */
static void
draw_column(struct ui_screen *s, struct ui_rect r, int x, enum ui_item item, double share,
            bool shaded)
{
    int eighths = (int)lround(share * r.h * EIGHTHS);
    if (share > 0 && eighths == 0)
        eighths = 1;
    for (int row = 0; row < r.h; row++) {
        const int here = eighths - row * EIGHTHS;
        const int y = r.y + r.h - 1 - row;
        if (here <= 0)
            return;
        if (shaded)
            ui_put_char(s, y, x, 1, item, SHADE, '.');
        else if (here >= EIGHTHS)
            ui_put_char(s, y, x, 1, item, FULL_BLOCK, '#');
        else
            ui_put_char(s, y, x, 1, item, lower_block(here), here >= EIGHTHS / 2 ? '#' : '_');
    }
}

void
ui_plot_histogram(struct ui_screen *s, struct ui_rect r, const int64_t *count, const int64_t *after,
                  int n, bool log)
{
    if (r.w <= 0 || r.h <= 0 || n <= 0)
        return;
    double *a = sum_bins(count, n, r.w);
    double *b = after ? sum_bins(after, n, r.w) : NULL;
    double most = largest(a, r.w);
    if (b && largest(b, r.w) > most)
        most = largest(b, r.w);
    for (int x = 0; x < r.w; x++) {
        draw_column(s, r, r.x + x, b ? UI_DIM : UI_PLOT, height(a[x], most, log), b != NULL);
        if (b)
            draw_column(s, r, r.x + x, UI_PLOT_AFTER, height(b[x], most, log), false);
    }
    free(a);
    free(b);
}

/* Channels that share column x of w, or the channel that has it among others: few channels get
 * broad columns with a gap between them. Empty (from == to): a gap, or behind the last. */
static void
share_of(int64_t n, int w, int x, int64_t *from, int64_t *to)
{
    const int64_t each = n > 0 && n <= w ? w / n : 1;
    if (n > w) {
        *from = x * n / w;
        *to = (x + 1) * n / w;
        return;
    }
    *from = *to = x / each;
    if (*from < n && (each < 3 || x % each != each - 1))
        *to = *from + 1;
}

/* Row of a value, in half characters from the top. */
static int
half_row(double v, double lo, double hi, int h)
{
    const double at = hi > lo ? (hi - v) / (hi - lo) : 0.5;
    const int half = (int)lround(at * 2 * h);
    return half < 0 ? 0 : half > 2 * h ? 2 * h : half;
}

static void
draw_stroke(struct ui_screen *s, struct ui_rect r, int x, enum ui_item item, int from, int to)
{
    if (to == from) {
        to += from < 2 * r.h;
        from -= to == from;
    }
    for (int i = from / 2; i <= (to - 1) / 2; i++) {
        const bool upper = from <= 2 * i, lower = to >= 2 * i + 2;
        const unsigned wide = upper && lower ? FULL_BLOCK : upper ? 0x2580 : 0x2584;
        ui_put_char(s, r.y + i, x, 1, item, wide, '|');
    }
}

void
ui_plot_ranges(struct ui_screen *s, struct ui_rect r, const float *min, const float *max,
               const bool *outlier, int64_t n)
{
    double lo = 0, hi = 0;
    if (r.h < 2 || r.w <= 0 || n <= 0)
        return;
    r.h--; /* for the marks */
    for (int64_t i = 0; i < n; i++) {
        lo = min[i] < lo ? min[i] : lo;
        hi = max[i] > hi ? max[i] : hi;
    }
    const int zero = half_row(0, lo, hi, r.h) / 2;
    ui_put_char(s, r.y + (zero < r.h ? zero : r.h - 1), r.x, r.w, UI_DIM, 0x2500, '-');
    for (int x = 0; x < r.w; x++) {
        int64_t from, to;
        share_of(n, r.w, x, &from, &to);
        if (from == to)
            continue;
        double a = min[from], b = max[from];
        bool out = false;
        for (int64_t i = from; i < to && i < n; i++) {
            a = min[i] < a ? min[i] : a;
            b = max[i] > b ? max[i] : b;
            out = out || (outlier && outlier[i]);
        }
        draw_stroke(s, r, r.x + x, out ? UI_BAD : UI_PLOT, half_row(b, lo, hi, r.h),
                    half_row(a, lo, hi, r.h));
        if (out)
            ui_put_char(s, r.y + r.h, r.x + x, 1, UI_BAD, '^', '^');
    }
}

void
ui_plot_columns(struct ui_screen *s, struct ui_rect r, const double *v, int64_t n, double most)
{
    for (int x = 0; x < r.w; x++) {
        int64_t from, to;
        share_of(n, r.w, x, &from, &to);
        double here = 0;
        for (int64_t i = from; i < to && i < n; i++)
            here = v[i] > here ? v[i] : here;
        if (from < to)
            draw_column(s, r, r.x + x, UI_PLOT, most > 0 ? fmin(here / most, 1) : 0, false);
    }
}

/* Mean of the values that share column x of w; NaN: none is finite. */
static double
mean_of(const float *v, int n, int w, int x)
{
    const int from = n > w ? (int)((int64_t)x * n / w) : x;
    const int to = n > w ? (int)((int64_t)(x + 1) * n / w) : x + 1;
    double sum = 0;
    int count = 0;
    for (int i = from; i < to; i++)
        if (isfinite(v[i])) {
            sum += (double)v[i];
            count++;
        }
    return count > 0 ? sum / count : NAN;
}

void
ui_plot_spark(struct ui_screen *s, struct ui_rect r, enum ui_item item, const float *v, int n)
{
    static const char plain[] = "_.-:=+*#";
    const int w = n < r.w ? n : r.w;
    double lo = INFINITY, hi = -INFINITY;
    for (int x = 0; x < w; x++) {
        lo = fmin(lo, mean_of(v, n, w, x));
        hi = fmax(hi, mean_of(v, n, w, x));
    }
    for (int x = 0; x < w; x++) {
        const double at = mean_of(v, n, w, x);
        if (isnan(at))
            continue;
        const int level = hi > lo ? (int)lround((at - lo) / (hi - lo) * (EIGHTHS - 1)) : 0;
        ui_put_char(s, r.y, r.x + x, 1, item, lower_block(level + 1), plain[level]);
    }
}

/* Labels of marks first..last-1 in one text. */
static void
join_labels(const struct ui_plot_mark *m, int first, int last, char *out, size_t cap)
{
    size_t n = 0;
    out[0] = '\0';
    for (int i = first; i < last && n < cap; i++)
        n += (size_t)snprintf(out + n, cap - n, "%s%s", i > first ? "," : "", m[i].label);
}

/* In the first row that is free from column x on, or up to it; `used` has the first free column of
 * each row. */
static void
place_label(struct ui_screen *s, struct ui_rect r, int x, const char *label, enum ui_item item,
            int *used)
{
    const int w = ui_width(label) + 1;
    const bool left = x + w > r.w && x + 1 >= w;
    const int from = left ? x + 1 - w : x;
    for (int row = 0; row < r.h; row++) {
        if (used[row] > from)
            continue;
        ui_put(s, r.y + row, r.x + x, 1, item, "^");
        ui_put(s, r.y + row, r.x + (left ? from : x + 1), left ? w - 1 : r.w - x - 1, item, label);
        used[row] = from + w + 1;
        return;
    }
    for (int row = 0; row < r.h; row++)
        if (used[row] <= x) {
            ui_put(s, r.y + row, r.x + x, 1, item, "^");
            used[row] = x + 2;
            return;
        }
}

void
ui_plot_marks(struct ui_screen *s, struct ui_rect r, const struct ui_plot_mark *m, int n)
{
    char label[256];
    if (r.h <= 0 || r.w <= 0)
        return;
    int *used = qs_xcalloc((size_t)r.h, sizeof(*used));
    for (int i = 0, next; i < n; i = next) {
        const int x = m[i].at < 1 ? (int)(m[i].at * r.w) : r.w - 1;
        bool strong = false;
        for (next = i; next < n && (m[next].at < 1 ? (int)(m[next].at * r.w) : r.w - 1) == x;
             next++)
            strong = strong || m[next].strong;
        join_labels(m, i, next, label, sizeof(label));
        place_label(s, r, x, label, strong ? UI_MARKED : UI_TEXT, used);
    }
    free(used);
}
