/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/graph_rows.h"

#include <math.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/plot.h"
#include "ui/text.h"
#include "ui/ui.h"

static struct ui_model *
model(void *arg)
{
    return ((struct ui_list *)arg)->ui->model;
}

static const struct qs_layer *
layer_at(void *arg, int row)
{
    const struct ui_model *m = model(arg);
    const int layer = m->op[row].layer;
    return layer >= 0 ? &m->opened->layers->layer[layer] : NULL;
}

static const struct qs_node_cost *
cost_at(void *arg, int row)
{
    const struct ui_model *m = model(arg);
    const struct ui_op *op = &m->op[row];
    const struct qs_shapes *s = m->opened->shapes;
    return s && s->node[op->block][op->node].known ? &s->node[op->block][op->node] : NULL;
}

/* Elements and bytes of the parameters an operator reads. */
static int64_t
params_at(void *arg, int row, bool bytes)
{
    const struct ui_model *m = model(arg);
    const struct qs_node *node = ui_model_node(m, row);
    int64_t n = 0;
    for (int s = 0; s < node->n_in; s++)
        for (int i = 0; i < node->in[s].n; i++) {
            const int32_t v = node->in[s].var[i];
            const struct qs_tensor *t =
                v >= 0 && m->layer_of_var[v] >= 0 ? m->opened->model->var[v].data : NULL;
            n += !t ? 0 : bytes ? (int64_t)t->bytes : t->n;
        }
    return n;
}

static void
text_number(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct ui_op *op = &model(arg)->op[row];
    (void)c;
    if (op->block > 0)
        qs_str_printf(out, "%d.%d", op->block, op->node + 1);
    else
        qs_str_printf(out, "%d", op->node + 1);
}

static double
value_number(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    (void)arg;
    return row;
}

static void
text_type(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_add(out, ui_model_node(model(arg), row)->type);
}

static void
text_weight(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const int layer = model(arg)->op[row].layer;
    (void)c;
    if (layer >= 0)
        qs_str_add(out, ui_layer_name(model(arg), layer));
}

/* Inferred, else as the program declares it. */
static void
text_shape(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct qs_node *node = ui_model_node(model(arg), row);
    const struct qs_node_cost *cost = cost_at(arg, row);
    char text[128];
    (void)c;
    if (cost && cost->out.known) {
        qs_str_add(out, qs_format_dims(text, sizeof(text), cost->out.d, cost->out.n));
        return;
    }
    if (node->n_out == 0 || node->out[0].n == 0 || node->out[0].var[0] < 0)
        return;
    const struct qs_var *v = &model(arg)->opened->model->var[node->out[0].var[0]];
    if (v->n_dims >= 0 && v->n_dims <= QS_RANK_MOST)
        qs_str_add(out, qs_format_dims(text, sizeof(text), v->dims, v->n_dims));
}

static int64_t
elements_at(void *arg, int row)
{
    const struct qs_node_cost *cost = cost_at(arg, row);
    int64_t n = cost ? 1 : 0;
    for (int i = 0; cost && i < cost->out.n; i++)
        if (__builtin_mul_overflow(n, cost->out.d[i], &n))
            return INT64_MAX;
    return n;
}

static double
value_shape(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    const int64_t n = elements_at(arg, row);
    return n > 0 ? (double)n : NAN;
}

static void
text_params(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const int64_t n = params_at(arg, row, c->data);
    if (n > 0 && c->data)
        ui_add_bytes(out, n);
    else if (n > 0)
        ui_add_count(out, n);
}

static double
value_params(const struct ui_column *c, void *arg, int row)
{
    const int64_t n = params_at(arg, row, c->data);
    return n > 0 ? (double)n : NAN;
}

static void
text_macs(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct qs_node_cost *cost = cost_at(arg, row);
    (void)c;
    if (cost && cost->macs > 0)
        ui_add_count(out, cost->macs);
}

static double
value_macs(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    const struct qs_node_cost *cost = cost_at(arg, row);
    return cost && cost->macs > 0 ? (double)cost->macs : NAN;
}

static const struct qs_layer_stats *
stats_at(void *arg, int row)
{
    return ui_layer_stats(model(arg), model(arg)->op[row].layer);
}

static void
text_range(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct qs_layer_stats *s = stats_at(arg, row);
    (void)c;
    if (s)
        qs_str_printf(out, "%.3g..%.3g", s->min, s->max);
}

static double
value_range(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    const struct qs_layer_stats *s = stats_at(arg, row);
    return s ? s->absmax : NAN;
}

static void
paint_range(const struct ui_column *c, void *arg, int row, struct ui_screen *s, struct ui_rect cell)
{
    const struct ui_graph_rows *st = arg;
    const struct qs_layer_stats *stats = stats_at(arg, row);
    (void)c;
    if (stats)
        ui_plot_range(s, cell, stats->min, stats->max, model(arg)->absmax, st->log);
    else if (layer_at(arg, row) && !model(arg)->stats_ended &&
             model(arg)->opened->model->has_params)
        ui_put_cell(s, cell.y, cell.x, cell.w, UI_DIM, false, "...");
}

static void
text_bits(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct qs_layer *l = layer_at(arg, row);
    (void)c;
    if (l && (l->quantizable || !l->secondary))
        ui_add_decision(out, model(arg), model(arg)->op[row].layer);
}

static double
value_bits(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    const struct qs_decision *d = ui_layer_decision(model(arg), model(arg)->op[row].layer);
    return d && d->bits > 0 ? d->bits : NAN;
}

static enum ui_item
style_bits(const struct ui_column *c, void *arg, int row)
{
    const struct qs_layer *l = layer_at(arg, row);
    const struct qs_decision *d = ui_layer_decision(model(arg), model(arg)->op[row].layer);
    (void)c;
    if (!l || !d)
        return UI_TEXT;
    if (!l->quantizable || d->action == QS_ACTION_SKIP)
        return UI_CAUTION;
    return d->action == QS_ACTION_INTEGER ? UI_GOOD : UI_TEXT;
}

static double
value_sqnr(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    const int layer = model(arg)->op[row].layer;
    return layer >= 0 ? ui_layer_output_sqnr(model(arg), layer) : NAN;
}

static void
text_sqnr(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    ui_add_decibel(out, value_sqnr(c, arg, row));
}

static void
text_note(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct qs_layer *l = layer_at(arg, row);
    const struct qs_decision *d = ui_layer_decision(model(arg), model(arg)->op[row].layer);
    (void)c;
    if (!l || l->secondary)
        return;
    qs_str_add(out, d && d->reason[0] ? d->reason : l->reason);
}

const struct ui_column ui_graph_columns[] = {
    {.name = "number",
     .title = N_("#"),
     .least = 4,
     .most = 7,
     .right = true,
     .help = N_("place in the order of execution; block.place in a sub-block"),
     .text = text_number,
     .value = value_number},
    {.name = "type",
     .title = N_("type"),
     .least = 11,
     .most = 28,
     .help = N_("operator type"),
     .text = text_type},
    {.name = "weight",
     .title = N_("weight"),
     .least = 13,
     .most = 48,
     .drop = 1,
     .help = N_("name of its weight"),
     .text = text_weight},
    {.name = "shape",
     .title = N_("output"),
     .least = 11,
     .most = 20,
     .drop = 5,
     .help = N_("shape of its first output"),
     .text = text_shape,
     .value = value_shape},
    {.name = "params",
     .title = N_("params"),
     .least = 6,
     .most = 6,
     .right = true,
     .drop = 8,
     .help = N_("elements of the parameters it reads"),
     .text = text_params,
     .value = value_params},
    {.name = "bytes",
     .title = N_("size"),
     .least = 7,
     .most = 8,
     .right = true,
     .drop = 6,
     .unit = N_("bytes"),
     .help = N_("bytes of the parameters it reads"),
     .data = 1,
     .text = text_params,
     .value = value_params},
    {.name = "macs",
     .title = N_("MACs"),
     .least = 6,
     .most = 9,
     .right = true,
     .drop = 7,
     .help = N_("multiply-accumulates"),
     .text = text_macs,
     .value = value_macs},
    {.name = "range",
     .title = N_("range"),
     .least = 13,
     .drop = 3,
     .help = N_("smallest to largest weight on an axis common to all rows"),
     .text = text_range,
     .value = value_range,
     .paint = paint_range},
    {.name = "bits",
     .title = N_("bits"),
     .least = 5,
     .most = 5,
     .right = true,
     .drop = 2,
     .help = N_("bits by the plan: ~ stored as FP32, fp left as it is, no: cannot be, = has them"),
     .text = text_bits,
     .value = value_bits,
     .style = style_bits},
    {.name = "sqnr",
     .title = N_("SQNR"),
     .least = 5,
     .most = 8,
     .right = true,
     .drop = 4,
     .unit = N_("dB"),
     .unit_in_title = true,
     .help = N_("signal to quantization noise of the weight, and of its activation where seen"),
     .text = text_sqnr,
     .value = value_sqnr},
    {.name = "note",
     .title = N_("note"),
     .least = 10,
     .most = 70,
     .drop = 9,
     .help = N_("why it is left as it is, or what a target does not take"),
     .text = text_note,
     .style = ui_style_dim},
};
const int ui_n_graph_columns = QS_LEN(ui_graph_columns);

static void
add_part(struct qs_str *line, struct ui_graph_rows *st, int row,
         void (*text)(const struct ui_column *c, void *arg, int row, struct qs_str *out))
{
    const size_t before = line->n;
    qs_str_add(line, before ? "  " : "");
    const size_t start = line->n;
    text(NULL, st, row, line);
    if (line->n == start)
        line->s[line->n = before] = '\0';
}

void
ui_graph_describe(struct ui_graph_rows *st, int row, struct qs_str *out)
{
    add_part(out, st, row, text_weight);
    add_part(out, st, row, text_range);
    add_part(out, st, row, text_note);
}

const struct qs_layer *
ui_graph_layer(struct ui_graph_rows *st, int row)
{
    return layer_at(st, row);
}
