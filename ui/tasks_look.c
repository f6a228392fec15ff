/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: a look at one layer, before and after it is quantized. */
#include "ui/tasks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "model/quant.h"
#include "ui/ui.h"

struct look_task {
    struct ui_task task;
    struct ui_look *look;
    double rate;
    int axis; /* of the channels, whatever the scales are for */
};

void
ui_look_free(struct ui_look *look)
{
    if (!look)
        return;
    free(look->before);
    free(look->after);
    free(look->min);
    free(look->max);
    free(look->outlier);
    free(look->error);
    free(look);
}

static int
compare_float(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Channels whose largest |w| is more than this many times the median of all. */
enum { OUTLIER_TIMES = 3 };

static void
find_outliers(struct ui_look *look)
{
    const size_t n = (size_t)look->n_channels;
    float *absmax = qs_xmalloc(n * sizeof(*absmax));
    for (size_t i = 0; i < n; i++)
        absmax[i] = fmaxf(fabsf(look->min[i]), fabsf(look->max[i]));
    qsort(absmax, n, sizeof(*absmax), compare_float);
    const float limit = OUTLIER_TIMES * absmax[n / 2];
    for (size_t i = 0; i < n; i++)
        look->outlier[i] = fmaxf(fabsf(look->min[i]), fabsf(look->max[i])) > limit;
    free(absmax);
}

static void
look_at_channels(struct ui_look *look, const struct qs_tensor *w, int axis)
{
    const struct qs_channels ch = qs_channels_of(w, axis);
    const size_t n = (size_t)ch.n_channels;
    look->n_channels = ch.n_channels;
    look->min = qs_xcalloc(n + 1, sizeof(*look->min));
    look->max = qs_xcalloc(n + 1, sizeof(*look->max));
    look->outlier = qs_xcalloc(n + 1, sizeof(*look->outlier));
    if (n == 0)
        return;
    qs_channel_range(w, ch, look->min, look->max);
    look->lo = look->hi = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(look->min[i])) /* a channel without finite values */
            look->min[i] = look->max[i] = 0;
        look->lo = fmin(look->lo, look->min[i]);
        look->hi = fmax(look->hi, look->max[i]);
    }
    find_outliers(look);
}

static float
element(const uint8_t *p, int64_t i)
{
    float v;
    memcpy(&v, p + 4 * i, sizeof(v));
    return v;
}

/* Root mean square of the error of each channel over that of its values. */
static void
channel_errors(struct ui_look *look, const struct qs_tensor *w, const struct qs_buf *back, int axis)
{
    const struct qs_channels ch = qs_channels_of(w, axis);
    const uint8_t *p = w->buf->data + w->offset;
    look->error = qs_xcalloc((size_t)ch.n_channels + 1, sizeof(*look->error));
    for (int64_t c = 0; c < ch.n_channels; c++) {
        double square = 0, wrong = 0;
        for (int64_t o = 0; o < ch.n_outer; o++) {
            const int64_t at = (o * ch.n_channels + c) * ch.n_inner;
            for (int64_t i = at; i < at + ch.n_inner; i++) {
                const double v = element(p, i), e = v - element(back->data, i);
                square += v * v;
                wrong += e * e;
            }
        }
        look->error[c] = square > 0 ? sqrt(wrong / square) : 0;
    }
}

static enum qs_err
look_quantized(struct qs_ctx *cx, struct look_task *t, const struct qs_tensor *w)
{
    struct ui_look *look = t->look;
    struct qs_quantized q = {0};
    struct qs_buf *back = NULL;
    enum qs_err err = qs_quantize(cx, w, look->axis, look->bits, t->rate, &q);
    if (!err)
        err = qs_dequantize(cx, w, look->axis, &q, &back);
    if (!err)
        err = qs_check_cancel(cx);
    if (!err) {
        struct qs_tensor rounded = *w;
        rounded.buf = back;
        rounded.offset = 0;
        rounded.bytes = back->size;
        look->after = qs_xcalloc(UI_LOOK_BINS, sizeof(*look->after));
        qs_histogram(&rounded, look->lo, look->hi, UI_LOOK_BINS, look->after);
        channel_errors(look, w, back, t->axis);
        look->sqnr_db = q.sqnr_db;
    }
    qs_buf_unref(back);
    qs_quantized_release(&q);
    return err;
}

static enum qs_err
run_look(struct qs_ctx *cx, struct qs_job *job)
{
    struct look_task *t = (struct look_task *)job;
    const struct qs_model *m = t->task.model->opened->model;
    const struct qs_tensor *w =
        m->var[t->task.model->opened->layers->layer[t->look->layer].var].data;
    if (!w || !qs_dtype_is_float(w->dtype) || w->n == 0) {
        snprintf(t->look->message, sizeof(t->look->message), "%s",
                 w ? _("its values are no floating-point numbers")
                   : _("the model came without parameters"));
        return QS_OK;
    }
    look_at_channels(t->look, w, t->axis);
    t->look->before = qs_xcalloc(UI_LOOK_BINS, sizeof(*t->look->before));
    qs_histogram(w, t->look->lo, t->look->hi, UI_LOOK_BINS, t->look->before);
    enum qs_err err = qs_check_cancel(cx);
    if (!err && t->look->bits && w->dtype == QS_DTYPE_float32) {
        err = look_quantized(cx, t, w);
        if (err != QS_OK && err != QS_ERR_CANCELLED) {
            /* values that cannot be quantized can be looked at all the same */
            snprintf(t->look->message, sizeof(t->look->message), "%s", qs_message(cx));
            qs_clear(cx);
            err = QS_OK;
        }
    }
    return err;
}

static void
finish_look(struct ui *ui, struct ui_task *task)
{
    struct look_task *t = (struct look_task *)task;
    ui->looking = ui->looking == task ? NULL : ui->looking;
    if (task->job.state != QS_JOB_DONE || task->model != ui->model || t->look->layer != ui->layer)
        return;
    ui_look_free(ui->look);
    ui->look = t->look;
    t->look = NULL;
    ui_emit(ui, UI_EVENT_LOOK);
}

static void
release_look(struct ui_task *task)
{
    struct look_task *t = (struct look_task *)task;
    ui_look_free(t->look);
    t->look = NULL;
}

void
ui_task_look(struct ui *ui, int layer)
{
    const struct qs_plan *plan = &ui->plan.now;
    const struct qs_layer *l = &ui->model->opened->layers->layer[layer];
    const struct qs_decision *d = ui_layer_decision(ui->model, layer);
    const struct ui_scale *scale = ui_scale_of(ui->model->scales, l->var);
    const bool decided = d && d->bits > 0;
    struct look_task *t =
        ui_task_new(sizeof(*t), run_look, _("look at %s"), ui_layer_name(ui->model, layer));
    t->look = qs_xcalloc(1, sizeof(*t->look));
    t->look->layer = layer;
    t->look->sqnr_db = NAN;
    /* a layer that is left out shows what quantizing it would do */
    t->look->bits = decided ? d->bits : l->quantizable && !scale ? plan->weight_bits : 0;
    t->look->axis = decided ? d->axis : plan->weight_type == QS_CHANNEL_WISE_ABS_MAX ? l->axis : -1;
    t->axis = l->axis < 0 && scale ? scale->axis : l->axis;
    t->rate = t->look->axis < 0 ? plan->threshold_rate : 0;
    t->task.quiet = true;
    t->task.model = ui_model_ref(ui->model);
    t->task.finish = finish_look;
    t->task.release = release_look;
    if (ui->looking)
        qs_worker_cancel(ui->looking->worker, &ui->looking->job);
    ui->looking = &t->task;
    ui_submit(ui, &t->task);
}
