/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/scales.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/text.h"
#include "ui/ui.h"

/* Rows */

static struct ui_scale *
add_row(struct ui_scales *s, int32_t var, enum ui_scale_kind kind, int bits,
        const double *threshold, int64_t n)
{
    struct ui_scale *row = &s->of[s->n];
    const double most = ldexp(1, bits - 1) - 1;
    *row = (struct ui_scale){.var = var, .kind = kind, .bits = bits, .axis = -1, .n = n};
    row->lo = INFINITY;
    row->scale = qs_xcalloc((size_t)n + 1, sizeof(*row->scale));
    for (int64_t i = 0; i < n; i++) {
        row->scale[i] = threshold[i] / most;
        row->lo = fmin(row->lo, row->scale[i]);
        row->hi = fmax(row->hi, row->scale[i]);
    }
    if (s->of_var[var] < 0)
        s->of_var[var] = s->n;
    s->n_kind[kind]++;
    s->n++;
    return row;
}

struct ui_scales *
ui_scales_new(const struct qs_static_notes *notes, int n_var)
{
    struct ui_scales *s = qs_xcalloc(1, sizeof(*s));
    s->of = qs_xcalloc((size_t)notes->n_weight + (size_t)notes->n_act + 1, sizeof(*s->of));
    s->n_var = n_var;
    s->of_var = qs_xmalloc(((size_t)n_var + 1) * sizeof(*s->of_var));
    for (int i = 0; i < n_var; i++)
        s->of_var[i] = -1;
    for (int i = 0; i < notes->n_weight; i++) {
        const struct qs_quant_weight *w = &notes->weight[i];
        if (w->var < n_var)
            add_row(s, w->var, UI_SCALE_WEIGHT, w->bits, w->threshold, w->n_scales)->axis = w->axis;
    }
    for (int i = 0; i < notes->n_act; i++) {
        const struct qs_quant_act *a = &notes->act[i];
        if (a->var < n_var)
            add_row(s, a->var, a->observed ? UI_SCALE_OBSERVED : UI_SCALE_ACTIVATION, a->bits,
                    &a->threshold, 1);
    }
    return s;
}

void
ui_scales_free(struct ui_scales *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->n; i++)
        free(s->of[i].scale);
    free(s->of);
    free(s->of_var);
    free(s);
}

const struct ui_scale *
ui_scale_of(const struct ui_scales *s, int32_t var)
{
    return s && var >= 0 && var < s->n_var && s->of_var[var] >= 0 ? &s->of[s->of_var[var]] : NULL;
}

const char *
ui_scale_kind_name(enum ui_scale_kind kind)
{
    static const char *const name[] = {N_("weight"), N_("activation"), N_("observed")};
    return name[kind];
}

void
ui_scales_describe(const struct ui_model *m, struct qs_str *out)
{
    const struct ui_scales *s = m->scales;
    uint64_t bits = m->quant.bits;
    const char *between = ", ";
    if (m->quant.kind == QS_QUANT_NONE)
        return;
    qs_str_add(out, qs_quant_kind_name(m->quant.kind));
    for (int i = 0; s && i < s->n; i++)
        bits |= UINT64_C(1) << s->of[i].bits;
    for (int b = 1; b <= 32; b++)
        if (bits & UINT64_C(1) << b) {
            qs_str_printf(out, "%s%d", between, b);
            between = "/";
        }
    qs_str_add(out, bits ? _(" bits") : "");
    if (s && s->n > 0)
        qs_str_printf(out, _(": %d weights, %d activations"), s->n_kind[UI_SCALE_WEIGHT],
                      s->n_kind[UI_SCALE_ACTIVATION]);
    if (s && s->n_kind[UI_SCALE_OBSERVED] > 0)
        qs_str_printf(out, _(", %d observed"), s->n_kind[UI_SCALE_OBSERVED]);
    if (s && s->why[0])
        qs_str_printf(out, ": %s", s->why);
}

/* List */

static const struct ui_scale *
at(void *arg, int row)
{
    return &((const struct ui *)arg)->model->scales->of[row];
}

static void
text_name(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_add(out, ((const struct ui *)arg)->model->opened->model->var[at(arg, row)->var].name);
}

static void
text_kind(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_add(out, _(ui_scale_kind_name(at(arg, row)->kind)));
}

enum number { BITS, COUNT, AXIS, LEAST, MOST, LARGEST };

static double
number(const struct ui_scale *s, int which)
{
    const double v[] = {s->bits, (double)s->n, s->axis < 0 ? NAN : s->axis,
                        s->lo,   s->hi,        s->hi * (ldexp(1, s->bits - 1) - 1)};
    return v[which];
}

static void
text_number(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct ui_scale *s = at(arg, row);
    const double v = number(s, c->data);
    if (isnan(v) || (c->data == LEAST && s->n == 1))
        return;
    qs_str_printf(out, c->data <= AXIS ? "%.0f" : "%.4g", v);
}

static double
value_number(const struct ui_column *c, void *arg, int row)
{
    return number(at(arg, row), c->data);
}

#define NUMBER .right = true, .text = text_number, .value = value_number
static const struct ui_column column[] = {
    {.name = "tensor",
     .title = N_("tensor"),
     .least = 20,
     .help = N_("what is rounded"),
     .text = text_name},
    {.name = "kind",
     .title = N_("what"),
     .least = 10,
     .most = 12,
     .help = N_("weight, activation, or observed: its range is only recorded"),
     .text = text_kind},
    {.name = "bits",
     .title = N_("bits"),
     .least = 4,
     .most = 5,
     .help = N_("of an integer"),
     .data = BITS,
     NUMBER},
    {.name = "scales",
     .title = N_("scales"),
     .least = 6,
     .most = 8,
     .drop = 3,
     .help = N_("how many there are"),
     .data = COUNT,
     NUMBER},
    {.name = "axis",
     .title = N_("axis"),
     .least = 4,
     .most = 5,
     .drop = 4,
     .help = N_("along which each has its own"),
     .data = AXIS,
     NUMBER},
    {.name = "least",
     .title = N_("smallest"),
     .least = 10,
     .most = 10,
     .drop = 2,
     .help = N_("the smallest scale, where there are several"),
     .data = LEAST,
     NUMBER},
    {.name = "scale",
     .title = N_("scale factor"),
     .least = 12,
     .most = 12,
     .help = N_("the step from one integer to the next; of several the largest"),
     .data = MOST,
     NUMBER},
    {.name = "range",
     .title = N_("up to"),
     .least = 8,
     .most = 10,
     .drop = 1,
     .help = N_("the largest value that the integers hold"),
     .data = LARGEST,
     NUMBER},
};
#undef NUMBER

void
ui_scales_table(struct ui_table *t, struct ui *ui)
{
    ui_table_init(t, column, QS_LEN(column), ui);
}

void
ui_scales_follow(const struct ui_table *t, struct ui *ui)
{
    const int row = ui_table_row(t);
    const struct qs_edges *e = ui->model->opened->edges;
    if (row < 0)
        return;
    const int32_t var = at(ui, row)->var;
    const struct qs_ref ref = e->n_reader[var] > 0   ? e->reader[var][0]
                              : e->n_writer[var] > 0 ? e->writer[var][0]
                                                     : (struct qs_ref){-1, -1};
    const int op = ui_model_op_at(ui->model, ref);
    if (op < 0) {
        ui_say(ui, UI_DIM, _("no operator reads it"));
        return;
    }
    ui_go_to_op(ui, op, ui->model->op[op].layer);
}

/* Job */

struct scales_task {
    struct ui_task task;
    struct ui_scales *scales;
};

static enum qs_err
run_scales(struct qs_ctx *cx, struct qs_job *job)
{
    struct scales_task *t = (struct scales_task *)job;
    const struct qs_opened *o = t->task.model->opened;
    struct qs_apart a;
    const enum qs_err err = qs_app_take_apart(cx, o, &a);
    if (err == QS_ERR_CANCELLED)
        return err;
    t->scales = ui_scales_new(&a.notes, o->model->n_var);
    if (err) {
        snprintf(t->scales->why, sizeof(t->scales->why), "%s", qs_message(cx));
        qs_clear(cx);
    }
    qs_apart_release(&a);
    return QS_OK;
}

static void
finish_scales(struct ui *ui, struct ui_task *task)
{
    struct scales_task *t = (struct scales_task *)task;
    if (task->job.state != QS_JOB_DONE)
        return;
    task->model->scales = t->scales;
    t->scales = NULL;
    if (task->model == ui->model)
        ui_emit(ui, UI_EVENT_SCALES);
}

static void
release_scales(struct ui_task *task)
{
    struct scales_task *t = (struct scales_task *)task;
    ui_scales_free(t->scales);
    t->scales = NULL;
}

void
ui_task_scales(struct ui *ui)
{
    if (ui->model->quant.kind == QS_QUANT_NONE || !ui->model->opened->model->has_params)
        return;
    struct scales_task *t = ui_task_new(sizeof(*t), run_scales, _("read the scales"));
    t->task.quiet = true;
    t->task.model = ui_model_ref(ui->model);
    t->task.finish = finish_scales;
    t->task.release = release_scales;
    ui_submit(ui, &t->task);
}
