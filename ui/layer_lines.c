/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/layer_lines.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "model/text.h"
#include "ui/text.h"
#include "ui/ui.h"

void
ui_lines_clear(struct ui_lines *ls)
{
    for (int i = 0; i < ls->n; i++) {
        free(ls->line[i].value);
        if (ls->line[i].own)
            free((char *)ls->line[i].name);
    }
    free(ls->line);
    ls->line = NULL;
    ls->n = 0;
}

static struct ui_line *add(struct ui_lines *ls, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static struct ui_line *
add(struct ui_lines *ls, const char *name, const char *fmt, ...)
{
    struct qs_str value;
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    qs_str_init(&value);
    qs_str_add_printable(&value, text);
    ls->line = qs_xrealloc(ls->line, (size_t)(ls->n + 1) * sizeof(*ls->line));
    struct ui_line *l = &ls->line[ls->n++];
    *l = (struct ui_line){name, qs_str_take(&value), -1, -1, UI_TEXT, false};
    return l;
}

static void
add_section(struct ui_lines *ls, const char *name)
{
    add(ls, name, "%s", "")->item = UI_TITLE;
}

static void
add_decision(struct ui_lines *ls, const struct ui_model *m, int layer)
{
    const struct qs_decision *d = ui_layer_decision(m, layer);
    const struct qs_layer *l = &m->opened->layers->layer[layer];
    struct qs_str db;
    const struct ui_scale *scale = ui_scale_of(m->scales, l->var);
    if (!d && scale) {
        add(ls, N_("by the plan"), _("already quantized: %d bits"), scale->bits);
        return;
    }
    if (!d) {
        add(ls, N_("by the plan"), "%s", l->reason[0] ? l->reason : "?");
        return;
    }
    if (d->bits == 0) {
        add(ls, N_("by the plan"), "%s%s%s", qs_action_name(d->action, 0), d->reason[0] ? ": " : "",
            d->reason);
        return;
    }
    qs_str_init(&db);
    ui_add_decibel(&db, ui_layer_sqnr(m, layer));
    add(ls, N_("by the plan"), _("%s, %d bits, %lld scales%s%s%s"),
        qs_action_name(d->action, d->bits), d->bits, (long long)d->n_scales, db.n ? ", " : "", db.s,
        db.n ? " dB" : "");
    qs_str_release(&db);
    if (d->reason[0])
        add(ls, N_("note"), "%s", d->reason);
    if (l->reason[0] && strcmp(l->reason, d->reason) != 0)
        add(ls, N_("note"), "%s", l->reason);
}

static void
add_stats(struct ui_lines *ls, const struct ui_model *m, int layer)
{
    const struct qs_layer_stats *s = ui_layer_stats(m, layer);
    if (!s) {
        add(ls, N_("statistics"), "%s",
            m->stats_ended || !m->opened->model->has_params ? _("none") : _("being computed"));
        return;
    }
    add(ls, N_("min .. max"), "%.6g .. %.6g", s->min, s->max);
    add(ls, N_("mean, std"), "%.4g, %.4g", s->mean, s->std);
    add(ls, N_("zeros"), "%.2f %%", 100 * s->sparsity);
    add(ls, N_("kurtosis"), "%.2f", s->kurtosis);
    add(ls, N_("channel ratio"), "%.2f", s->channel_range_ratio);
    if (s->n_bad > 0)
        add(ls, N_("not finite"), "%lld", (long long)s->n_bad)->item = UI_BAD;
}

static void
add_weight(struct ui_lines *ls, const struct ui_model *m, int layer)
{
    const struct qs_layer *l = &m->opened->layers->layer[layer];
    const struct qs_var *v = &m->opened->model->var[l->var];
    char dims[128], bytes[16];
    add_section(ls, N_("weight"));
    add(ls, N_("name"), "%s", v->name);
    if (v->data)
        add(ls, N_("shape"), "%s %s, %s",
            qs_format_dims(dims, sizeof(dims), v->data->dims, v->data->n_dims),
            qs_dtype_name(v->data->dtype) ? qs_dtype_name(v->data->dtype) : "?",
            qs_format_bytes(bytes, sizeof(bytes), (int64_t)v->data->bytes));
    if (l->axis >= 0)
        add(ls, N_("channels"), _("%lld along axis %d"), (long long)l->n_channels, l->axis);
    if (l->n_users > 1)
        add(ls, N_("read by"), _("%d operators"), l->n_users);
    add_decision(ls, m, layer);
    add_stats(ls, m, layer);
}

/* The shape of a value as the operator `by` makes it; in programs that write a variable again, that
 * of the variable is of the last one. */
static const struct qs_shape *
shape_of(const struct ui_model *m, int32_t var, struct qs_ref by)
{
    const struct qs_shapes *s = m->opened->shapes;
    const struct qs_node *node =
        by.block >= 0 ? &m->opened->model->block[by.block].node[by.node] : NULL;
    const bool first = node && node->n_out > 0 && node->out[0].n > 0 && node->out[0].var[0] == var;
    if (!s)
        return NULL;
    if (first && s->node[by.block][by.node].known && s->node[by.block][by.node].out.known)
        return &s->node[by.block][by.node].out;
    return s->var[var].known ? &s->var[var] : NULL;
}

/* "x 1x3x224x224" of a variable. */
static void
describe_var(const struct ui_model *m, int32_t var, struct qs_ref by, struct qs_str *out)
{
    const struct qs_var *v = &m->opened->model->var[var];
    const struct qs_shape *s = shape_of(m, var, by);
    char dims[128];
    qs_str_add(out, v->name);
    if (v->data)
        qs_str_printf(out, "  %s",
                      qs_format_dims(dims, sizeof(dims), v->data->dims, v->data->n_dims));
    else if (s)
        qs_str_printf(out, "  %s", qs_format_dims(dims, sizeof(dims), s->d, s->n));
}

static void
add_neighbour(struct ui_lines *ls, const struct ui_model *m, struct qs_ref ref, const char *arrow)
{
    const int op = ui_model_op_at(m, ref);
    if (op < 0 || op == ls->ui->op)
        return;
    struct ui_line *l = add(ls, "", "%s %s  #%d", arrow, ui_model_node(m, op)->type, ref.node + 1);
    l->op = op;
    l->item = UI_KEY;
}

/* The writer whose value this operator reads: the last before it in its block, else the last. */
static struct qs_ref
producer(const struct ui_model *m, int32_t var, const struct ui_op *op)
{
    const struct qs_edges *e = m->opened->edges;
    struct qs_ref best = {-1, -1};
    for (int i = 0; i < e->n_writer[var]; i++) {
        const struct qs_ref r = e->writer[var][i];
        if (r.block != op->block || r.node < op->node || best.block < 0)
            best = r;
    }
    return best;
}

/* Whether a reader sees what this operator wrote, and not what a later one put in its place. */
static bool
reads_it(const struct ui_model *m, int32_t var, const struct ui_op *op, struct qs_ref reader)
{
    const struct qs_edges *e = m->opened->edges;
    if (op->block > 0 || reader.block > 0) /* a sub-block may run again */
        return true;
    for (int i = 0; i < e->n_writer[var]; i++) {
        const struct qs_ref w = e->writer[var][i];
        if (w.block == 0 && w.node > op->node && w.node < reader.node)
            return false;
    }
    return reader.node > op->node;
}

static void
add_readers(struct ui_lines *ls, const struct ui_model *m, int32_t var)
{
    enum { MOST_READERS = 64 };
    const struct qs_edges *e = m->opened->edges;
    int n = 0;
    for (int i = 0; i < e->n_reader[var] && n < MOST_READERS; i++)
        if (reads_it(m, var, &m->op[ls->ui->op], e->reader[var][i])) {
            add_neighbour(ls, m, e->reader[var][i], ">");
            n++;
        }
}

static void
add_slots(struct ui_lines *ls, const struct ui_model *m, bool inputs)
{
    const struct ui_op *op = &m->op[ls->ui->op];
    const struct qs_node *node = ui_model_node(m, ls->ui->op);
    const struct qs_slot *slot = inputs ? node->in : node->out;
    const int n = inputs ? node->n_in : node->n_out;
    add_section(ls, inputs ? N_("inputs") : N_("outputs"));
    for (int s = 0; s < n; s++)
        for (int i = 0; i < slot[s].n; i++) {
            const int32_t var = slot[s].var[i];
            struct qs_str text;
            if (var < 0)
                continue;
            const struct qs_ref by =
                inputs ? producer(m, var, op) : (struct qs_ref){op->block, op->node};
            qs_str_init(&text);
            describe_var(m, var, by, &text);
            struct ui_line *l = add(ls, slot[s].name, "%s", text.s);
            l->own = true;
            l->name = qs_xstrdup(slot[s].name);
            qs_str_release(&text);
            if (inputs)
                add_neighbour(ls, m, by, "<");
            else
                add_readers(ls, m, var);
        }
}

/* Activation */

static void
add_calibrator(struct ui_lines *ls, const struct ui_seen *s, int algo, double t, bool taken)
{
    struct qs_str db;
    qs_str_init(&db);
    ui_add_decibel(&db, ui_seen_sqnr(s, ls->ui->model->activation_bits, t));
    struct ui_line *l = add(ls, algo >= 0 ? qs_algo_names[algo] : N_("by hand"),
                            _("%s %-8.4g %s dB, %.2g %% clipped"), taken ? "*" : " ", t,
                            db.n ? db.s : "?", 100 * ui_seen_clipped(s, t));
    qs_str_release(&db);
    l->algo = algo;
    l->item = taken ? UI_STRONG : UI_TEXT;
}

/* The calibrator that is taken is what `auto` found. */
static bool
by_auto(const struct ui_model *m, int layer)
{
    const struct qs_decision *d = ui_layer_decision(m, layer);
    if (d && d->threshold > 0)
        return false;
    return d && d->algo >= 0 ? d->algo == QS_ALGO_auto : m->calibration->best_bits > 0;
}

/* Ranges, and what each calibrator makes of them. */
static void
add_activation(struct ui_lines *ls, const struct ui_model *m)
{
    const struct ui_seen *s = ui_op_seen(m, ls->ui->op);
    if (!s)
        return;
    const int taken = ui_layer_algo(m, ls->ui->layer, s);
    add_section(ls, N_("activation"));
    add(ls, N_("name"), "%s", m->opened->model->var[s->var].name);
    add(ls, N_("min .. max"), "%.6g .. %.6g", s->min, s->max);
    add(ls, N_("samples"), _("%lld of run %lld"), (long long)s->of.n_samples,
        (long long)m->calibration->run);
    if (s->of.n_bad > 0)
        add(ls, N_("not finite"), _("in %lld samples, left out"), (long long)s->of.n_bad)->item =
            UI_BAD;
    for (int i = 0; i < QS_N_ALGO; i++)
        if (s->of.threshold[i] > 0)
            add_calibrator(ls, s, i, s->of.threshold[i], i == taken);
    if (taken >= 0 && by_auto(m, ls->ui->layer))
        add(ls, "auto", _("clipping counts %d times"), QS_CLIPPED_COUNTS)->item = UI_DIM;
    const double by_hand = ui_layer_threshold(m, ls->ui->layer, s);
    if (taken < 0 && by_hand > 0)
        add_calibrator(ls, s, -1, by_hand, true);
}

/* Scales of a quantized model */

/* Of the formats of Paddle, and of Paddle-Lite. */
static bool
is_quantizer(const struct qs_node *node)
{
    return strncmp(node->type, "fake_", 5) == 0 || strcmp(node->type, "quantize_linear") == 0 ||
           strcmp(node->type, "dequantize_linear") == 0 || strcmp(node->type, "calib") == 0;
}

/* What is quantized of a value: of itself, or of that which the quantizers before it read. */
static const struct ui_scale *
scale_before(const struct ui_model *m, int32_t var, const struct ui_op *op)
{
    enum { MOST_STEPS = 4 };
    struct ui_op at = *op;
    for (int i = 0; i < MOST_STEPS && var >= 0; i++) {
        const struct ui_scale *s = ui_scale_of(m->scales, var);
        const struct qs_ref by = producer(m, var, &at);
        const struct qs_node *node =
            by.block >= 0 ? &m->opened->model->block[by.block].node[by.node] : NULL;
        if (s || !node || !is_quantizer(node))
            return s;
        at = (struct ui_op){.block = by.block, .node = by.node};
        var = qs_node_input(node, "X", 0);
        var = var < 0 ? qs_node_input(node, "Input", 0) : var;
    }
    return NULL;
}

static void
add_scale(struct ui_lines *ls, const struct ui_model *m, const struct ui_scale *s)
{
    const double most = ldexp(1, s->bits - 1) - 1;
    add(ls, ui_scale_kind_name(s->kind), _("%s: %d bits"), m->opened->model->var[s->var].name,
        s->bits);
    if (s->n == 1)
        add(ls, N_("scale factor"), _("%.6g, up to %.6g"), s->scale[0], s->scale[0] * most);
    else
        add(ls, N_("scales"), _("%lld along axis %d, %.4g .. %.4g"), (long long)s->n, s->axis,
            s->lo, s->hi);
    for (int64_t i = 0; s->n > 1 && i < s->n; i++) {
        struct ui_line *l = add(ls, "", _("%.6g, up to %.6g"), s->scale[i], s->scale[i] * most);
        l->own = true;
        l->name = qs_xasprintf("  #%lld", (long long)i);
    }
}

/* Of what it reads, then of what it makes; each once. */
static void
add_scales(struct ui_lines *ls, const struct ui_model *m)
{
    enum { MOST = 16 };
    const struct ui_scale *told[MOST] = {NULL};
    const struct qs_node *node = ui_model_node(m, ls->ui->op);
    int n = 0;
    for (int side = 0; side < 2; side++)
        for (int s = 0; s < (side ? node->n_out : node->n_in); s++) {
            const struct qs_slot *slot = side ? &node->out[s] : &node->in[s];
            for (int i = 0; i < slot->n && n < MOST; i++) {
                const struct ui_scale *scale =
                    side ? ui_scale_of(m->scales, slot->var[i])
                         : scale_before(m, slot->var[i], &m->op[ls->ui->op]);
                bool known = !scale;
                for (int k = 0; k < n; k++)
                    known = known || told[k] == scale;
                if (known)
                    continue;
                if (n == 0)
                    add_section(ls, N_("quantized"));
                told[n++] = scale;
                add_scale(ls, m, scale);
            }
        }
}

static void
add_attributes(struct ui_lines *ls, const struct qs_node *node)
{
    enum { MOST_SHOWN = 32 };
    add_section(ls, N_("attributes"));
    for (int i = 0; i < node->n_attr; i++) {
        struct qs_str text;
        if (qs_text_is_bookkeeping(node->attr[i].name))
            continue;
        qs_str_init(&text);
        qs_text_attr(&node->attr[i], MOST_SHOWN, &text);
        struct ui_line *l = add(ls, node->attr[i].name, "%s", text.s);
        l->own = true;
        l->name = qs_xstrdup(node->attr[i].name);
        qs_str_release(&text);
    }
}

void
ui_lines_build(struct ui_lines *ls)
{
    const struct ui_model *m = ls->ui->model;
    ui_lines_clear(ls);
    if (!m || ls->ui->op < 0)
        return;
    const struct qs_node *node = ui_model_node(m, ls->ui->op);
    struct ui_line *l = add(ls, N_("operator"), "#%d %s", m->op[ls->ui->op].node + 1, node->type);
    l->item = UI_STRONG;
    add_slots(ls, m, true);
    add_slots(ls, m, false);
    if (ls->ui->layer >= 0)
        add_weight(ls, m, ls->ui->layer);
    add_activation(ls, m);
    add_scales(ls, m);
    add_attributes(ls, node);
}
