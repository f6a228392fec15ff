/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/tasks.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "model/quant.h"
#include "ui/ui.h"

static void *new_task(size_t size, enum qs_err (*run)(struct qs_ctx *, struct qs_job *),
                      const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void *
new_task(size_t size, enum qs_err (*run)(struct qs_ctx *, struct qs_job *), const char *fmt, ...)
{
    struct ui_task *task = qs_xcalloc(1, size);
    struct qs_str title;
    char line[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    qs_str_init(&title);
    qs_str_add_printable(&title, line);
    task->title = qs_str_take(&title);
    task->job.run = run;
    return task;
}

void
ui_task_free(struct ui_task *task)
{
    if (task->release)
        task->release(task);
    ui_model_unref(task->model);
    free(task->title);
    free(task->result);
    free(task);
}

/* Open */

struct open_task {
    struct ui_task task;
    char *path;
    struct qs_opened *opened;
};

static enum qs_err
run_open(struct qs_ctx *cx, struct qs_job *job)
{
    struct open_task *t = (struct open_task *)job;
    return qs_app_open(cx, t->path, NULL, NULL, &t->opened);
}

/* What was made for another model does not matter any more. */
static void
cancel_tasks_of(struct ui *ui, const struct ui_model *m)
{
    for (int i = 0; i < ui->n_tasks; i++)
        if (m && ui->task[i]->model == m && ui->task[i]->quiet && !ui->task[i]->over)
            qs_worker_cancel(ui->worker, &ui->task[i]->job);
}

static void
drop_rules(struct ui *ui)
{
    if (ui->plan.now.layer.n == 0)
        return;
    ui_plan_keep(&ui->plan);
    while (ui->plan.now.layer.n > 0)
        ui_plan_drop_rule_at(&ui->plan.now, ui->plan.now.layer.n - 1);
    ui_log(ui, UI_TEXT, _("the rules of the plan were for the other model and are gone; u undoes"));
}

static void
finish_open(struct ui *ui, struct ui_task *task)
{
    struct open_task *t = (struct open_task *)task;
    ui->opening = ui->opening == task ? NULL : ui->opening;
    if (task->job.state != QS_JOB_DONE)
        return;
    ui_adopt(ui, t->opened);
    t->opened = NULL;
}

void
ui_adopt(struct ui *ui, struct qs_opened *opened)
{
    cancel_tasks_of(ui, ui->model);
    const bool another = ui->model != NULL;
    ui_model_unref(ui->model);
    ui->model = ui_model_new(opened);
    ui->op = ui->layer = -1;
    ui_look_free(ui->look);
    ui->look = NULL;
    if (another)
        drop_rules(ui);
    ui_model_decide(ui->model, &ui->plan.now);
    ui_emit(ui, UI_EVENT_MODEL);
    ui_go(ui, UI_VIEW_GRAPH);
    if (ui->model->opened->shapes_message[0])
        ui_say(ui, UI_CAUTION, "%s", ui->model->opened->shapes_message);
    ui_task_stats(ui);
}

static void
release_open(struct ui_task *task)
{
    struct open_task *t = (struct open_task *)task;
    free(t->path);
    qs_app_close(t->opened);
    t->opened = NULL;
}

void
ui_task_open(struct ui *ui, const char *path)
{
    struct open_task *t = new_task(sizeof(*t), run_open, _("open %s"), path);
    t->path = qs_xstrdup(path);
    t->task.finish = finish_open;
    t->task.release = release_open;
    if (ui->opening)
        qs_worker_cancel(ui->worker, &ui->opening->job);
    ui->opening = &t->task;
    ui_submit(ui, &t->task);
}

/* Statistics */

static void
layer_done(void *arg, int layer)
{
    qs_job_item(arg, layer);
}

static enum qs_err
run_stats(struct qs_ctx *cx, struct qs_job *job)
{
    return qs_app_layer_stats(cx, ((struct ui_task *)job)->model->opened, layer_done, job);
}

static void
take_stats(struct ui *ui, struct ui_task *task, int64_t item)
{
    struct ui_model *m = task->model;
    m->have_stats[item] = true;
    m->n_stats++;
    const struct qs_layer *l = &m->opened->layers->layer[item];
    if (l->stats.valid && !l->secondary && l->stats.absmax > m->absmax)
        m->absmax = l->stats.absmax;
    ui->stats_came = ui->stats_came || m == ui->model;
}

static void
finish_stats(struct ui *ui, struct ui_task *task)
{
    task->model->stats_ended = true;
    if (task->model != ui->model)
        return;
    ui_task_sqnr(ui);
    ui_emit(ui, UI_EVENT_STATS);
}

void
ui_task_stats(struct ui *ui)
{
    if (!ui->model->opened->model->has_params)
        return;
    struct ui_task *t = new_task(sizeof(*t), run_stats, _("statistics"));
    t->quiet = true;
    t->job.background = true;
    t->model = ui_model_ref(ui->model);
    t->item = take_stats;
    t->finish = finish_stats;
    ui_submit(ui, t);
}

/* SQNR */

struct sqnr_task {
    struct ui_task task;
    int bits;
    double *per_tensor, *per_channel;
};

static enum qs_err
run_sqnr(struct qs_ctx *cx, struct qs_job *job)
{
    struct sqnr_task *t = (struct sqnr_task *)job;
    return qs_app_sqnr(cx, t->task.model->opened, t->bits, t->per_tensor, t->per_channel);
}

static void
finish_sqnr(struct ui *ui, struct ui_task *task)
{
    struct sqnr_task *t = (struct sqnr_task *)task;
    struct ui_sqnr *s = &task->model->sqnr[t->bits];
    if (task->job.state != QS_JOB_DONE) {
        s->asked = false;
        return;
    }
    s->per_tensor = t->per_tensor;
    s->per_channel = t->per_channel;
    s->ready = true;
    t->per_tensor = t->per_channel = NULL;
    if (task->model == ui->model)
        ui_emit(ui, UI_EVENT_STATS);
}

static void
release_sqnr(struct ui_task *task)
{
    struct sqnr_task *t = (struct sqnr_task *)task;
    free(t->per_tensor);
    free(t->per_channel);
    t->per_tensor = t->per_channel = NULL;
}

static void
ask_sqnr(struct ui *ui, int bits)
{
    struct ui_model *m = ui->model;
    if (bits < 2 || bits > UI_MOST_BITS || m->sqnr[bits].asked)
        return;
    const size_t n = (size_t)m->opened->layers->n + 1;
    struct sqnr_task *t = new_task(sizeof(*t), run_sqnr, _("SQNR at %d bits"), bits);
    m->sqnr[bits].asked = true;
    t->bits = bits;
    t->per_tensor = qs_xcalloc(n, sizeof(double));
    t->per_channel = qs_xcalloc(n, sizeof(double));
    t->task.quiet = true;
    t->task.job.background = true;
    t->task.model = ui_model_ref(m);
    t->task.finish = finish_sqnr;
    t->task.release = release_sqnr;
    ui_submit(ui, &t->task);
}

void
ui_task_sqnr(struct ui *ui)
{
    const struct ui_model *m = ui->model;
    if (!m || !m->stats_ended || !m->decisions || !m->opened->model->has_params)
        return;
    for (int i = 0; i < m->decisions->n; i++)
        ask_sqnr(ui, m->decisions->layer[i].bits);
}

/* A look at one layer */

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
    const struct qs_layer *layer = &t->task.model->opened->layers->layer[t->look->layer];
    const struct qs_tensor *w = m->var[layer->var].data;
    if (!w || !qs_dtype_is_float(w->dtype) || w->n == 0) {
        snprintf(t->look->message, sizeof(t->look->message), "%s",
                 w ? _("its values are no floating-point numbers")
                   : _("the model came without parameters"));
        return QS_OK;
    }
    look_at_channels(t->look, w, layer->axis);
    t->axis = layer->axis;
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
    const bool decided = d && d->bits > 0;
    struct look_task *t =
        new_task(sizeof(*t), run_look, _("look at %s"), ui_layer_name(ui->model, layer));
    t->look = qs_xcalloc(1, sizeof(*t->look));
    t->look->layer = layer;
    t->look->sqnr_db = NAN;
    /* a layer that is left out shows what quantizing it would do */
    t->look->bits = decided ? d->bits : l->quantizable ? plan->weight_bits : 0;
    t->look->axis = decided ? d->axis : plan->weight_type == QS_CHANNEL_WISE_ABS_MAX ? l->axis : -1;
    t->rate = t->look->axis < 0 ? plan->threshold_rate : 0;
    t->task.quiet = true;
    t->task.model = ui_model_ref(ui->model);
    t->task.finish = finish_look;
    t->task.release = release_look;
    if (ui->looking)
        qs_worker_cancel(ui->worker, &ui->looking->job);
    ui->looking = &t->task;
    ui_submit(ui, &t->task);
}

/* Quantize */

struct quantize_task {
    struct ui_task task;
    struct qs_plan plan;
    struct qs_quantize_options opt;
    char *folder;
    struct qs_run run;
};

static enum qs_err
run_quantize(struct qs_ctx *cx, struct qs_job *job)
{
    struct quantize_task *t = (struct quantize_task *)job;
    return qs_app_quantize(cx, t->task.model->opened, &t->plan, &t->opt, &t->run);
}

static void
over_it(struct ui *ui, void *arg, const char *text)
{
    (void)arg;
    (void)text;
    char *folder = ui->pending;
    ui->pending = NULL;
    if (folder && ui->model)
        ui_task_quantize(ui, folder, true);
    free(folder);
}

static void
ask_over(struct ui *ui, const char *folder)
{
    char label[160];
    snprintf(label, sizeof(label), _("'%.80s' holds a model; write over it? (y/n) "), folder);
    free(ui->pending);
    ui->pending = qs_xstrdup(folder);
    ui->message[0] = '\0';
    ui_ask(ui, UI_PROMPT_YES_NO, label, "", over_it, NULL);
}

static void
finish_quantize(struct ui *ui, struct ui_task *task)
{
    struct quantize_task *t = (struct quantize_task *)task;
    const struct qs_run *r = &t->run;
    char before[16], after[16];
    if (task->job.state == QS_JOB_FAILED && task->job.cx.err == QS_ERR_EXISTS && !t->opt.force &&
        !ui->prompt.active)
        ask_over(ui, t->folder);
    if (task->job.state == QS_JOB_DONE) {
        const double ratio =
            r->bytes_after > 0 ? (double)r->bytes_before / (double)r->bytes_after : 0;
        task->result =
            qs_xasprintf(_("%s -> %s (%.2f times smaller) in %s"),
                         qs_format_bytes(before, sizeof(before), r->bytes_before),
                         qs_format_bytes(after, sizeof(after), r->bytes_after), ratio, t->folder);
        ui_say(ui, UI_GOOD, _("quantized: %s"), task->result);
    }
    ui_task_runs(ui);
}

static void
release_quantize(struct ui_task *task)
{
    struct quantize_task *t = (struct quantize_task *)task;
    qs_plan_release(&t->plan);
    qs_run_release(&t->run);
    free(t->folder);
    t->folder = NULL;
}

void
ui_task_quantize(struct ui *ui, const char *folder, bool force)
{
    if (!ui->model) {
        ui_say(ui, UI_CAUTION, _("no model is open"));
        return;
    }
    struct quantize_task *t =
        new_task(sizeof(*t), run_quantize, _("quantize %s into %s"), ui->model->name, folder);
    qs_plan_copy(&t->plan, &ui->plan.now);
    t->folder = qs_xstrdup(folder);
    t->opt = (struct qs_quantize_options){.output = t->folder, .force = force, .db = ui->db};
    t->task.model = ui_model_ref(ui->model);
    t->task.finish = finish_quantize;
    t->task.release = release_quantize;
    ui_submit(ui, &t->task);
    ui_say(ui, UI_DIM, _("quantizing into '%s'; 5 shows the job"), folder);
}

/* Models found */

struct find_task {
    struct ui_task task;
    const char *db;
    struct qs_found_model *found;
    int n;
};

static enum qs_err
run_find(struct qs_ctx *cx, struct qs_job *job)
{
    struct find_task *t = (struct find_task *)job;
    return qs_app_find_models(cx, ".", t->db, &t->found, &t->n);
}

static void
finish_find(struct ui *ui, struct ui_task *task)
{
    struct find_task *t = (struct find_task *)task;
    if (task->job.state != QS_JOB_DONE)
        return;
    qs_app_found_free(ui->found, ui->n_found);
    ui->found = t->found;
    ui->n_found = t->n;
    ui->found_read = true;
    t->found = NULL;
    t->n = 0;
    ui_emit(ui, UI_EVENT_FOUND);
}

static void
release_find(struct ui_task *task)
{
    struct find_task *t = (struct find_task *)task;
    qs_app_found_free(t->found, t->n);
    t->found = NULL;
    t->n = 0;
}

void
ui_task_find(struct ui *ui)
{
    struct find_task *t = new_task(sizeof(*t), run_find, _("look for models"));
    t->db = ui->db;
    t->task.quiet = true;
    t->task.finish = finish_find;
    t->task.release = release_find;
    ui_submit(ui, &t->task);
}

/* Runs */

struct runs_task {
    struct ui_task task;
    const char *db;
    struct qs_runs runs;
};

static enum qs_err
run_runs(struct qs_ctx *cx, struct qs_job *job)
{
    struct runs_task *t = (struct runs_task *)job;
    return qs_app_runs(cx, t->db, &t->runs);
}

static void
finish_runs(struct ui *ui, struct ui_task *task)
{
    struct runs_task *t = (struct runs_task *)task;
    if (task->job.state != QS_JOB_DONE)
        return;
    const struct qs_runs old = ui->runs;
    ui->runs = t->runs;
    ui->runs_read = true;
    t->runs = (struct qs_runs){0};
    ui_emit(ui, UI_EVENT_RUNS);
    struct qs_runs gone = old;
    qs_runs_release(&gone);
}

static void
release_runs(struct ui_task *task)
{
    qs_runs_release(&((struct runs_task *)task)->runs);
}

void
ui_task_runs(struct ui *ui)
{
    struct runs_task *t = new_task(sizeof(*t), run_runs, _("read the runs"));
    t->db = ui->db;
    t->task.quiet = true;
    t->task.finish = finish_runs;
    t->task.release = release_runs;
    ui_submit(ui, &t->task);
}

/* What is done with runs by id: read whole, tagged, deleted. */
struct ids_task {
    struct ui_task task;
    const char *db;
    int64_t *id;
    int n;
    char *tag;
    struct qs_run *run; /* read */
    int n_run;
};

static struct ids_task *new_ids_task(struct ui *ui,
                                     enum qs_err (*run)(struct qs_ctx *, struct qs_job *),
                                     const char *title, const int64_t *id, int n);

static enum qs_err
run_read(struct qs_ctx *cx, struct qs_job *job)
{
    struct ids_task *t = (struct ids_task *)job;
    t->run = qs_xcalloc((size_t)t->n + 1, sizeof(*t->run));
    enum qs_err err = QS_OK;
    for (int i = 0; i < t->n && !err; i++) {
        err = qs_app_run(cx, t->db, t->id[i], &t->run[i]);
        t->n_run += !err;
    }
    return err;
}

static enum qs_err
run_tag(struct qs_ctx *cx, struct qs_job *job)
{
    const struct ids_task *t = (struct ids_task *)job;
    enum qs_err err = QS_OK;
    for (int i = 0; i < t->n && !err; i++)
        err = qs_app_run_tag(cx, t->db, t->id[i], t->tag);
    return err;
}

static enum qs_err
run_remove(struct qs_ctx *cx, struct qs_job *job)
{
    const struct ids_task *t = (struct ids_task *)job;
    enum qs_err err = QS_OK;
    for (int i = 0; i < t->n && !err; i++)
        err = qs_app_run_remove(cx, t->db, t->id[i]);
    return err;
}

static void
finish_compare(struct ui *ui, struct ui_task *task)
{
    struct ids_task *t = (struct ids_task *)task;
    if (task->job.state != QS_JOB_DONE)
        return;
    struct qs_run *old = ui->compare;
    const int n_old = ui->n_compare;
    ui->compare = t->run;
    ui->n_compare = t->n_run;
    t->run = NULL;
    t->n_run = 0;
    ui_emit(ui, UI_EVENT_COMPARE);
    for (int i = 0; i < n_old; i++)
        qs_run_release(&old[i]);
    free(old);
}

static void
finish_use_plan(struct ui *ui, struct ui_task *task)
{
    const struct ids_task *t = (struct ids_task *)task;
    struct qs_ctx cx;
    if (task->job.state != QS_JOB_DONE || t->n_run != 1)
        return;
    qs_ctx_init(&cx);
    ui_plan_keep(&ui->plan);
    qs_plan_release(&ui->plan.now);
    qs_plan_init(&ui->plan.now);
    const char *text = t->run[0].plan ? t->run[0].plan : "";
    if (qs_plan_parse(&cx, text, _("plan of the run"), &ui->plan.now) != QS_OK) {
        ui_plan_forget(&ui->plan);
        ui_say(ui, UI_BAD, "%s", qs_message(&cx));
        return;
    }
    ui_plan_changed(ui);
    ui_say(ui, UI_GOOD, _("the plan is that of run %lld"), (long long)t->run[0].id);
}

static void
finish_change(struct ui *ui, struct ui_task *task)
{
    (void)task;
    ui_task_runs(ui);
}

static void
release_ids(struct ui_task *task)
{
    struct ids_task *t = (struct ids_task *)task;
    for (int i = 0; i < t->n_run; i++)
        qs_run_release(&t->run[i]);
    free(t->run);
    free(t->id);
    free(t->tag);
    t->run = NULL;
    t->id = NULL;
    t->tag = NULL;
    t->n_run = 0;
}

static struct ids_task *
new_ids_task(struct ui *ui, enum qs_err (*run)(struct qs_ctx *, struct qs_job *), const char *title,
             const int64_t *id, int n)
{
    struct ids_task *t = new_task(sizeof(*t), run, "%s", title);
    t->db = ui->db;
    t->id = qs_xcalloc((size_t)n + 1, sizeof(*t->id));
    memcpy(t->id, id, (size_t)n * sizeof(*t->id));
    t->n = n;
    t->task.quiet = true;
    t->task.release = release_ids;
    return t;
}

void
ui_task_compare(struct ui *ui, const int64_t *id, int n)
{
    struct ids_task *t = new_ids_task(ui, run_read, _("read runs"), id, n);
    t->task.finish = finish_compare;
    ui_submit(ui, &t->task);
}

void
ui_task_use_plan(struct ui *ui, int64_t id)
{
    struct ids_task *t = new_ids_task(ui, run_read, _("read the plan of a run"), &id, 1);
    t->task.finish = finish_use_plan;
    ui_submit(ui, &t->task);
}

void
ui_task_tag(struct ui *ui, const int64_t *id, int n, const char *tag)
{
    struct ids_task *t = new_ids_task(ui, run_tag, _("tag runs"), id, n);
    t->tag = qs_xstrdup(tag);
    t->task.finish = finish_change;
    ui_submit(ui, &t->task);
}

void
ui_task_remove(struct ui *ui, const int64_t *id, int n)
{
    struct ids_task *t = new_ids_task(ui, run_remove, _("delete runs"), id, n);
    t->task.finish = finish_change;
    ui_submit(ui, &t->task);
}
