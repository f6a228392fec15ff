/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/scan_front.h"

#include <math.h>
#include <stdlib.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/chart.h"
#include "ui/text.h"
#include "ui/ui.h"

static const struct qs_front_point *
step_at(const void *arg, int row)
{
    return &((const struct ui_scan_front *)arg)->ui->scan.proposal.front[row];
}

static const char *
metric(const void *arg)
{
    return ((const struct ui_scan_front *)arg)->ui->scan.proposal.metric;
}

static void
text_step(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_printf(out, "%s%d", step_at(arg, row)->chosen ? "* " : "", row);
}

static double
value_step(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    (void)arg;
    return row;
}

static void
text_change(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const char *change = step_at(arg, row)->change;
    (void)c;
    qs_str_add(out, *change ? change : _("all quantized"));
}

static void
text_step_bytes(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    ui_add_bytes(out, step_at(arg, row)->bytes);
}

static double
value_step_bytes(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    return (double)step_at(arg, row)->bytes;
}

static void
text_step_drop(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    ui_add_metric(out, metric(arg), step_at(arg, row)->drop);
}

static void
text_step_measured(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    if (!isnan(step_at(arg, row)->measured))
        ui_add_metric(out, metric(arg), step_at(arg, row)->measured);
}

static double
value_step_measured(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    return step_at(arg, row)->measured;
}

static double
value_step_drop(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    return step_at(arg, row)->drop;
}

static enum ui_item
style_step(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    return step_at(arg, row)->chosen ? UI_STRONG : UI_TEXT;
}

static const struct ui_column front_column[] = {
    {.name = "step",
     .title = N_("step"),
     .least = 5,
     .most = 6,
     .right = true,
     .help = N_("steps of the search; * where the plan stops"),
     .text = text_step,
     .value = value_step,
     .style = style_step},
    {.name = "change",
     .title = N_("change"),
     .least = 12,
     .help = N_("the rule that this step added"),
     .text = text_change,
     .style = style_step},
    {.name = "size",
     .title = N_("size"),
     .least = 7,
     .most = 8,
     .right = true,
     .unit = N_("bytes"),
     .help = N_("of program and parameters, about"),
     .text = text_step_bytes,
     .value = value_step_bytes,
     .style = style_step},
    {.name = "drop",
     .title = N_("drop"),
     .least = 7,
     .most = 9,
     .right = true,
     .help = N_("of the metric, predicted from the drops of the layers"),
     .text = text_step_drop,
     .value = value_step_drop,
     .style = style_step},
    {.name = "measured",
     .title = N_("measured"),
     .least = 8,
     .most = 9,
     .right = true,
     .drop = 1,
     .help = N_("drop on the data, where the search checked it"),
     .text = text_step_measured,
     .value = value_step_measured,
     .style = style_step},
};

void
ui_scan_front_init(struct ui_scan_front *f, struct ui *ui)
{
    f->ui = ui;
    ui_table_init(&f->table, front_column, QS_LEN(front_column), f);
}

void
ui_scan_front_release(struct ui_scan_front *f)
{
    ui_table_release(&f->table);
}

void
ui_scan_front_update(struct ui_scan_front *f)
{
    const struct ui_scan *scan = &f->ui->scan;
    const int n = scan->proposed ? scan->proposal.n_front : 0;
    ui_table_set_rows(&f->table, n);
    for (int i = 0; i < n; i++)
        if (scan->proposal.front[i].chosen)
            ui_table_go(&f->table, i);
}

/* The steps as a curve: size against predicted drop. */
static void
draw_curve(const struct ui_scan_front *f, struct ui_screen *s, struct ui_rect r)
{
    const struct qs_proposal *p = &f->ui->scan.proposal;
    struct ui_chart_point *point = qs_xcalloc((size_t)p->n_front + 1, sizeof(*point));
    for (int i = 0; i < p->n_front; i++)
        point[i] = (struct ui_chart_point){.x = (double)p->front[i].bytes,
                                           .y = p->front[i].drop,
                                           .item = p->front[i].chosen ? UI_PLOT_AFTER : UI_TEXT,
                                           .strong = p->front[i].chosen,
                                           .joined = true,
                                           .hidden = !p->front[i].chosen};
    struct ui_chart chart = {.name = {"bytes", _("drop")},
                             .less = {true, true},
                             .point = point,
                             .n = p->n_front,
                             .here = ui_table_row(&f->table)};
    ui_chart_draw(&chart, s, r);
    free(point);
}

struct ui_rect
ui_scan_front_draw(struct ui_scan_front *f, struct ui_screen *s, struct ui_rect r)
{
    enum { NARROW = 70 };
    const int list_w = r.w < NARROW ? r.w : r.w * 5 / 9;
    ui_put_rule(s, r.y, r.x, r.w, _("steps of the proposed plan; Enter takes the plan as of one"),
                true);
    const struct ui_rect list = {r.y + 1, r.x, r.h - 1, list_w};
    ui_table_draw(&f->table, s, list, true);
    if (list_w < r.w)
        draw_curve(f, s, (struct ui_rect){r.y + 1, r.x + list_w + 1, r.h - 1, r.w - list_w - 1});
    return list;
}
