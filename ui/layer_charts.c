/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/layer_charts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/plot.h"

static void
draw_axis(struct ui_screen *s, struct ui_rect r, double lo, double hi)
{
    char right[32];
    snprintf(right, sizeof(right), "%.3g", hi);
    ui_putf(s, r.y, r.x, r.w, UI_DIM, "%.3g", lo);
    ui_put(s, r.y, r.x + r.w - ui_width(right), r.w, UI_DIM, right);
    /* where zero is, when it is inside and there is room */
    const int zero = hi > lo ? (int)lround(-lo / (hi - lo) * r.w) : -1;
    if (zero > 8 && zero < r.w - 8)
        ui_put(s, r.y, r.x + zero, 1, UI_DIM, "0");
}

static void
chart_histogram(const struct ui_charts *c, struct ui_screen *s, struct ui_rect r, bool after)
{
    const struct ui_look *look = c->look;
    const struct ui_rect plot = {r.y, r.x, r.h - 1, r.w}, axis = {r.y + r.h - 1, r.x, 1, r.w};
    if (after && !look->after) {
        ui_put(s, r.y, r.x, r.w, UI_DIM, look->message[0] ? look->message : _("not quantized"));
        return;
    }
    ui_plot_histogram(s, plot, look->before, after ? look->after : NULL, UI_LOOK_BINS, c->log);
    draw_axis(s, axis, look->lo, look->hi);
}

static void
chart_before(const struct ui_charts *c, struct ui_screen *s, struct ui_rect r)
{
    chart_histogram(c, s, r, false);
}

static void
chart_after(const struct ui_charts *c, struct ui_screen *s, struct ui_rect r)
{
    chart_histogram(c, s, r, true);
}

static void
chart_channels(const struct ui_charts *c, struct ui_screen *s, struct ui_rect r)
{
    const struct ui_look *look = c->look;
    int64_t n_out = 0, worst = -1;
    double most = 0;
    for (int64_t i = 0; i < look->n_channels; i++) {
        const double a = fmax(fabs(look->min[i]), fabs(look->max[i]));
        n_out += look->outlier[i];
        if (a > most) {
            most = a;
            worst = i;
        }
    }
    ui_plot_ranges(s, (struct ui_rect){r.y, r.x, r.h - 1, r.w}, look->min, look->max, look->outlier,
                   look->n_channels);
    ui_putf(s, r.y + r.h - 1, r.x, r.w, n_out ? UI_CAUTION : UI_DIM,
            _("%lld channels, widest #%lld (%.3g), %lld outliers (3 times the median)"),
            (long long)look->n_channels, (long long)worst, most, (long long)n_out);
}

static void
chart_error(const struct ui_charts *c, struct ui_screen *s, struct ui_rect r)
{
    const struct ui_look *look = c->look;
    int64_t worst = -1;
    double most = 0;
    if (!look->error) {
        ui_put(s, r.y, r.x, r.w, UI_DIM, look->message[0] ? look->message : _("not quantized"));
        return;
    }
    for (int64_t i = 0; i < look->n_channels; i++)
        if (look->error[i] > most) {
            most = look->error[i];
            worst = i;
        }
    ui_plot_columns(s, (struct ui_rect){r.y, r.x, r.h - 1, r.w}, look->error, look->n_channels,
                    most);
    ui_putf(s, r.y + r.h - 1, r.x, r.w, UI_DIM, _("worst channel #%lld: %.3g %% of its values"),
            (long long)worst, 100 * most);
}

static int
by_place(const void *a, const void *b)
{
    const struct ui_plot_mark *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

/* The thresholds of all calibrators below the axis, that of the plan as a line through the bins. */
static void
draw_thresholds(const struct ui_charts *c, struct ui_screen *s, struct ui_rect plot,
                struct ui_rect labels, double hi)
{
    struct ui_plot_mark mark[QS_N_ALGO + 1];
    int n = 0;
    bool named = false;
    for (int i = 0; i < QS_N_ALGO; i++) {
        const double t = c->seen->of.threshold[i];
        const bool used = t == c->threshold;
        if (t > 0)
            mark[n++] = (struct ui_plot_mark){t / hi, qs_algo_names[i], used};
        named = named || used;
    }
    if (c->threshold > 0 && !named)
        mark[n++] = (struct ui_plot_mark){c->threshold / hi, _("by hand"), true};
    qsort(mark, (size_t)n, sizeof(*mark), by_place);
    ui_plot_marks(s, labels, mark, n);
    const int x = c->threshold > 0 ? (int)(c->threshold / hi * plot.w) : plot.w;
    for (int y = 0; y < plot.h && x < plot.w; y++)
        ui_put_char(s, plot.y + y, plot.x + x, 1, UI_MARKED, 0x2502, '|');
}

static void
chart_activation(const struct ui_charts *c, struct ui_screen *s, struct ui_rect r)
{
    const struct qs_observed *of = &c->seen->of;
    const int n_labels = r.h >= 8 ? 3 : r.h >= 6 ? 2 : r.h >= 4 ? 1 : 0;
    const struct ui_rect plot = {r.y, r.x, r.h - 1 - n_labels, r.w};
    const struct ui_rect axis = {r.y + plot.h, r.x, 1, r.w};
    const struct ui_rect labels = {axis.y + 1, r.x, n_labels, r.w};
    if (of->n_values == 0) {
        ui_put(s, r.y, r.x, r.w, UI_DIM, _("no histogram was kept"));
        return;
    }
    const double hi = of->n_bin * of->width;
    ui_plot_histogram(s, plot, of->count, NULL, of->n_bin, c->log);
    draw_axis(s, axis, 0, hi);
    draw_thresholds(c, s, plot, labels, hi);
}

static void
chart_title(const struct ui_charts *c, int chart, char *out, size_t cap)
{
    const char *scale = c->log ? _("logarithmic") : _("linear");
    const int bits = c->look ? c->look->bits : 0;
    switch ((enum ui_chart)chart) {
    case UI_CHART_BEFORE:
        snprintf(out, cap, _("histogram, %s"), scale);
        break;
    case UI_CHART_AFTER:
        if (bits > 0)
            snprintf(out, cap, _("at %d bits over before, %s"), bits, scale);
        else
            snprintf(out, cap, _("quantized over before, %s"), scale);
        break;
    case UI_CHART_CHANNELS:
        snprintf(out, cap, "%s", _("min..max of each channel"));
        break;
    case UI_CHART_ERROR:
        if (bits > 0)
            snprintf(out, cap, _("error of each channel at %d bits"), bits);
        else
            snprintf(out, cap, "%s", _("error of each channel"));
        break;
    case UI_CHART_ACTIVATION:
        snprintf(out, cap, _("sizes in %.60s, %s"), c->seen_name, scale);
        break;
    case UI_N_CHARTS:
        break;
    }
}

/* Without a look yet all of them may come. */
static bool
has(const struct ui_charts *c, int chart)
{
    const struct ui_look *look = c->look;
    if (chart == UI_CHART_ACTIVATION)
        return c->seen != NULL;
    if (!c->weight || !look || chart == UI_CHART_BEFORE)
        return c->weight;
    return look->before && (chart == UI_CHART_CHANNELS ? look->n_channels > 1 : look->bits > 0);
}

static void
draw_chart(const struct ui_charts *c, int chart, bool focus, struct ui_screen *s, struct ui_rect r)
{
    static void (*const draw[UI_N_CHARTS])(const struct ui_charts *, struct ui_screen *,
                                           struct ui_rect) = {
        chart_before, chart_after, chart_channels, chart_error, chart_activation};
    char title[128] = "";
    chart_title(c, chart, title, sizeof(title));
    ui_put_rule(s, r.y, r.x, r.w, title, focus);
    const struct ui_rect body = {r.y + 1, r.x, r.h - 1, r.w};
    if (body.h < 2)
        return;
    if (chart == UI_CHART_ACTIVATION || (c->look && c->look->before))
        draw[chart](c, s, body);
    else if (!c->look)
        ui_put(s, body.y, body.x, body.w, UI_DIM, c->looking ? _("looking ...") : _("no weight"));
    else
        ui_put(s, body.y, body.x, body.w, UI_DIM, c->look->message);
}

/* The next one from `chart` on that there is; -1: none. */
static int
next_of(const struct ui_charts *c, int chart)
{
    for (int i = 0; i < UI_N_CHARTS; i++)
        if (has(c, (chart + i) % UI_N_CHARTS))
            return (chart + i) % UI_N_CHARTS;
    return -1;
}

void
ui_charts_draw(const struct ui_charts *c, struct ui_screen *s, struct ui_rect r)
{
    enum { ROWS_EACH = 9 };
    int there = 0, n = r.h / ROWS_EACH, chart = c->first;
    for (int i = 0; i < UI_N_CHARTS; i++)
        there += has(c, i);
    n = n < 1 ? 1 : n;
    n = n > there ? there : n;
    for (int i = 0; i < n; i++, chart++) {
        const int y = r.y + r.h * i / n, next = r.y + r.h * (i + 1) / n;
        chart = next_of(c, chart);
        draw_chart(c, chart, i == 0, s, (struct ui_rect){y, r.x, next - y, r.w});
    }
}

void
ui_charts_next(struct ui_charts *c)
{
    const int shown = next_of(c, c->first);
    if (shown >= 0)
        c->first = next_of(c, shown + 1);
}
