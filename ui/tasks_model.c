/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: models are found and opened, their statistics and errors computed. */
#include "ui/tasks.h"

#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/ui.h"

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
            qs_worker_cancel(ui->task[i]->worker, &ui->task[i]->job);
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
    const bool another = ui->model && strcmp(ui->model->opened->path, opened->path) != 0;
    ui_model_unref(ui->model);
    ui->model = ui_model_new(opened);
    ui->op = ui->layer = -1;
    ui_look_free(ui->look);
    ui->look = NULL;
    ui_scan_clear(&ui->scan);
    if (another)
        drop_rules(ui);
    ui_model_decide(ui->model, &ui->plan.now);
    ui_emit(ui, UI_EVENT_MODEL);
    ui_go(ui, UI_VIEW_GRAPH);
    if (ui->model->opened->shapes_message[0])
        ui_say(ui, UI_CAUTION, "%s", ui->model->opened->shapes_message);
    ui_task_scales(ui);
    ui_task_stats(ui);
    if (ui->plan.now.method == QS_METHOD_STATIC)
        ui_task_seen(ui, false);
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
    struct open_task *t = ui_task_new(sizeof(*t), run_open, _("open %s"), path);
    t->path = qs_xstrdup(path);
    t->task.aside = true;
    t->task.finish = finish_open;
    t->task.release = release_open;
    if (ui->opening)
        qs_worker_cancel(ui->opening->worker, &ui->opening->job);
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
    struct ui_task *t = ui_task_new(sizeof(*t), run_stats, _("statistics"));
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
    struct sqnr_task *t = ui_task_new(sizeof(*t), run_sqnr, _("SQNR at %d bits"), bits);
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
    struct find_task *t = ui_task_new(sizeof(*t), run_find, _("look for models"));
    t->db = ui->db;
    t->task.quiet = true;
    t->task.finish = finish_find;
    t->task.release = release_find;
    ui_submit(ui, &t->task);
}
