/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/scan_rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/plot.h"
#include "ui/text.h"
#include "ui/ui.h"

static const struct qs_run_sensitivity *
at(const void *arg, int row)
{
    return &((const struct ui_list *)arg)->ui->scan.run.sensitivity[row];
}

/* Columns */

enum number { DROP, OTHERS, METRIC, LOCAL, GROWN, WEIGHT_DB, COSINE, SAVED, BITS };

/* NaN: not known. */
static double
number(const struct qs_run_sensitivity *r, int which)
{
    const double v[] = {r->drop,
                        r->others_drop,
                        r->metric,
                        r->sqnr_db,
                        r->accumulated_db,
                        r->weight_db,
                        r->cosine,
                        (double)(r->bytes_float - r->bytes_quant),
                        r->bits};
    return v[which];
}

static double
value_number(const struct ui_column *c, void *arg, int row)
{
    return number(at(arg, row), c->data);
}

static void
text_number(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const double v = number(at(arg, row), c->data);
    const struct ui_scan_rows *st = arg;
    if (isnan(v))
        return;
    switch ((enum number)c->data) {
    case DROP:
    case OTHERS:
    case METRIC:
        ui_add_metric(out, st->metric, v);
        break;
    case LOCAL:
    case GROWN:
    case WEIGHT_DB:
        ui_add_decibel(out, v);
        break;
    case COSINE:
        qs_str_printf(out, "%.6f", v);
        break;
    case SAVED:
        ui_add_bytes(out, (int64_t)v);
        break;
    case BITS:
        qs_str_printf(out, "%d", (int)v);
        break;
    }
}

static void
text_weight(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_add(out, at(arg, row)->weight);
}

static void
text_type(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_add(out, at(arg, row)->op_type);
}

static void
text_mode(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_add(out, _(at(arg, row)->mode));
}

/* What is lost of the metric, solid; where that is nothing, how far the output turns, shaded. Each
 * beside the largest of the rows. */
static void
paint_drop(const struct ui_column *c, void *arg, int row, struct ui_screen *s, struct ui_rect cell)
{
    const struct ui_scan_rows *st = arg;
    const double drop = at(arg, row)->drop, angle = 1 - at(arg, row)->cosine;
    (void)c;
    ui_put_char(s, cell.y, cell.x, cell.w, UI_TEXT, ' ', ' ');
    if (drop > 0)
        ui_plot_bar(s, cell, UI_BAD, drop / st->most_drop);
    else if (angle > 0)
        ui_put_char(s, cell.y, cell.x, (int)lround(angle / st->most_angle * cell.w), UI_DIM, 0x2591,
                    '.');
    else if (isnan(drop))
        ui_put_cell(s, cell.y, cell.x, cell.w, UI_DIM, false,
                    st->list.ui->scan.task ? "..." : _("ranked only"));
}

/* Share of the axis of a noise: from as loud as the signal, 0 dB, down to 60 dB. */
static double
noise_share(double db)
{
    enum { QUIET_DB = 60 };
    return isnan(db) ? 0 : fmax(0, fmin(1, (QUIET_DB - db) / QUIET_DB));
}

/* The layer's own error solid, what the layers before it add shaded. */
static void
paint_error(const struct ui_column *c, void *arg, int row, struct ui_screen *s, struct ui_rect cell)
{
    const struct qs_run_sensitivity *r = at(arg, row);
    const int grown = (int)lround(noise_share(r->accumulated_db) * cell.w);
    (void)c;
    ui_put_char(s, cell.y, cell.x, cell.w, UI_TEXT, ' ', ' ');
    ui_put_char(s, cell.y, cell.x, grown, UI_DIM, 0x2591, '.');
    ui_plot_bar(s, cell, UI_PLOT, noise_share(r->sqnr_db));
}

static void
text_error(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    ui_add_decibel(out, at(arg, row)->accumulated_db);
}

/* What the plan makes of it now. */
static void
text_plan(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct ui_scan_rows *st = arg;
    (void)c;
    if (st->layer[row] >= 0)
        ui_add_decision(out, st->list.ui->model, st->layer[row]);
}

static enum ui_item
style_plan(const struct ui_column *c, void *arg, int row)
{
    const struct ui_scan_rows *st = arg;
    const struct qs_decision *d =
        st->layer[row] >= 0 ? ui_layer_decision(st->list.ui->model, st->layer[row]) : NULL;
    (void)c;
    return d && d->action == QS_ACTION_SKIP ? UI_CAUTION : UI_TEXT;
}

#define NUMBER .right = true, .text = text_number, .value = value_number
const struct ui_column ui_scan_columns[] = {
    {.name = "weight",
     .title = N_("weight"),
     .least = 14,
     .most = 40,
     .help = N_("name of the weight of the layer"),
     .text = text_weight},
    {.name = "type",
     .title = N_("type"),
     .least = 9,
     .most = 18,
     .drop = 12,
     .help = N_("operator type"),
     .text = text_type},
    {.name = "mode",
     .title = N_("mode"),
     .least = 7,
     .most = 11,
     .drop = 6,
     .help = N_("what was quantized: the weight, the activation that goes in, or both"),
     .text = text_mode},
    {.name = "bits",
     .title = N_("bits"),
     .least = 4,
     .most = 4,
     .drop = 5,
     .help = N_("bits it was tried with"),
     .data = BITS,
     NUMBER},
    {.name = "drop",
     .title = N_("drop"),
     .least = 7,
     .most = 9,
     .help = N_("what the metric loses with this layer alone quantized"),
     .data = DROP,
     NUMBER},
    {.name = "cost",
     .title = N_("cost"),
     .least = 12,
     .drop = 4,
     .help = N_("the drop beside the largest; shaded where there is none: 1 - cosine"),
     .data = DROP,
     .text = text_number,
     .value = value_number,
     .paint = paint_drop},
    {.name = "others",
     .title = N_("but it"),
     .least = 7,
     .most = 9,
     .drop = 13,
     .help = N_("what the metric loses with all layers but this one quantized"),
     .data = OTHERS,
     NUMBER},
    {.name = "local",
     .title = N_("local"),
     .least = 5,
     .most = 9,
     .drop = 2,
     .unit = N_("dB"),
     .unit_in_title = true,
     .help = N_("signal to noise of its output, its input clean"),
     .data = LOCAL,
     NUMBER},
    {.name = "accumulated",
     .title = N_("all"),
     .least = 5,
     .most = 7,
     .drop = 3,
     .unit = N_("dB"),
     .unit_in_title = true,
     .help = N_("signal to noise of its output with all layers quantized"),
     .data = GROWN,
     NUMBER},
    {.name = "error",
     .title = N_("output error"),
     .least = 12,
     .most = 24,
     .drop = 9,
     .help = N_("noise from 60 dB to 0 dB: its own solid, with all layers quantized shaded"),
     .text = text_error,
     .data = GROWN,
     .value = value_number,
     .paint = paint_error},
    {.name = "cosine",
     .title = N_("cosine"),
     .least = 8,
     .most = 8,
     .drop = 10,
     .help = N_("of the output of the model with this layer alone quantized"),
     .data = COSINE,
     NUMBER},
    {.name = "weight-db",
     .title = N_("SQNR"),
     .least = 5,
     .most = 8,
     .drop = 11,
     .unit = N_("dB"),
     .unit_in_title = true,
     .help = N_("signal to quantization noise of the weight itself"),
     .data = WEIGHT_DB,
     NUMBER},
    {.name = "saved",
     .title = N_("saves"),
     .least = 7,
     .most = 8,
     .drop = 7,
     .unit = N_("bytes"),
     .help = N_("bytes that quantizing it saves"),
     .data = SAVED,
     NUMBER},
    {.name = "plan",
     .title = N_("plan"),
     .least = 5,
     .most = 5,
     .right = true,
     .drop = 1,
     .help = N_("what the plan makes of it: bits, ~ rounded but stored as FP32, skip, fp"),
     .text = text_plan,
     .style = style_plan},
};
#undef NUMBER
const int ui_n_scan_columns = QS_LEN(ui_scan_columns);

/* Rows */

/* What tells a row from others in every order: FNV-1a of weight, mode and bits. */
static int64_t
id_of(const struct qs_run_sensitivity *r)
{
    uint64_t h = 14695981039346656037U;
    const char *const part[] = {r->weight, r->mode};
    for (size_t i = 0; i < QS_LEN(part); i++)
        for (const char *p = part[i]; *p; p++)
            h = (h ^ (unsigned char)*p) * 1099511628211U;
    h = (h ^ (unsigned)r->bits) * 1099511628211U;
    return (int64_t)(h >> 1);
}

static void
take_metric(struct ui_scan_rows *st)
{
    const struct ui_scan *scan = &st->list.ui->scan;
    char *metric = ui_scan_metric(&scan->run);
    const char *asked = scan->choices.metric ? scan->choices.metric : "";
    snprintf(st->metric, sizeof(st->metric), "%s", *metric || !scan->task ? metric : asked);
    free(metric);
}

void
ui_scan_rows_update(struct ui_scan_rows *st)
{
    const struct ui *ui = st->list.ui;
    const struct qs_run *run = &ui->scan.run;
    const int n = run->n_sensitivity;
    int64_t *id = qs_xcalloc((size_t)n + 1, sizeof(*id));
    st->layer = qs_xrealloc(st->layer, (size_t)(n + 1) * sizeof(*st->layer));
    st->most_drop = st->most_angle = 0;
    for (int i = 0; i < n; i++) {
        id[i] = id_of(&run->sensitivity[i]);
        st->layer[i] = ui->model ? ui_model_find_layer(ui->model, run->sensitivity[i].weight) : -1;
        st->most_drop = fmax(st->most_drop, run->sensitivity[i].drop);
        st->most_angle = fmax(st->most_angle, 1 - run->sensitivity[i].cosine);
    }
    take_metric(st);
    /* the cursor follows its row, but not away from the worst while they come in */
    const bool worst = st->list.table.cursor == 0;
    ui_table_set_rows_by_id(&st->list.table, id, n);
    if (worst)
        st->list.table.cursor = 0;
}

/* "top1 0.9833 with it alone quantized, 0.9778 with all but it; ..." */
static void
add_detail(const struct ui_scan_rows *st, int row, struct qs_str *out)
{
    const struct qs_run_sensitivity *r = at(st, row);
    const bool evaluated = !isnan(r->metric);
    if (evaluated) {
        qs_str_printf(out, "%s ", st->metric);
        ui_add_metric(out, st->metric, r->metric);
        qs_str_add(out, _(" with it alone quantized"));
    }
    if (!isnan(r->others_metric)) {
        qs_str_add(out, ", ");
        ui_add_metric(out, st->metric, r->others_metric);
        qs_str_add(out, _(" with all but it"));
    }
    if (!isnan(r->cosine))
        qs_str_printf(out, _(", output cosine %.6f"), r->cosine);
    if (!isnan(r->weight_db))
        qs_str_printf(out, _("%sSQNR of the weight %.1f dB"), out->n ? ", " : "", r->weight_db);
    qs_str_add(out, "; ");
    ui_add_bytes(out, r->bytes_float);
    qs_str_add(out, " -> ");
    ui_add_bytes(out, r->bytes_quant);
}

void
ui_scan_rows_detail(const struct ui_scan_rows *st, struct ui_screen *s, struct ui_rect r)
{
    const int row = ui_table_row(&st->list.table);
    struct qs_str text, title;
    if (row < 0)
        return;
    qs_str_init(&text);
    qs_str_init(&title);
    qs_str_printf(&title, _("%s  %s, %s at %d bits"), at(st, row)->weight, at(st, row)->op_type,
                  _(at(st, row)->mode), at(st, row)->bits);
    add_detail(st, row, &text);
    ui_put_rule(s, r.y, r.x, r.w, title.s, false);
    ui_put_wrapped(s, (struct ui_rect){r.y + 1, r.x + 1, r.h - 1, r.w - 2}, UI_TEXT, text.s);
    qs_str_release(&text);
    qs_str_release(&title);
}

/* Layers of the rows chosen, each once; malloc. */
int *
ui_scan_rows_layers(const struct ui_scan_rows *st, int *n)
{
    int n_rows, *row = ui_table_chosen(&st->list.table, &n_rows);
    *n = 0;
    for (int i = 0; i < n_rows; i++) {
        const int layer = st->layer[row[i]];
        bool known = layer < 0;
        for (int k = 0; k < *n; k++)
            known = known || row[k] == layer;
        if (!known)
            row[(*n)++] = layer;
    }
    return row;
}
