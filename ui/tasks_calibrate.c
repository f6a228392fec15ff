/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: what the activations of the open model are like. */
#include "ui/tasks.h"

#include <stdlib.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/ui.h"

struct seen_task {
    struct ui_task task;
    const char *db;
    struct ui_calibration *seen;
};

static enum qs_err
run_seen(struct qs_ctx *cx, struct qs_job *job)
{
    struct seen_task *t = (struct seen_task *)job;
    const struct qs_opened *o = t->task.model->opened;
    struct qs_run run;
    const enum qs_err err = qs_app_seen(cx, t->db, o, &run);
    if (err)
        return err;
    t->seen = ui_calibration_new(&run, o->model);
    qs_run_release(&run);
    return QS_OK;
}

static void
finish_seen(struct ui *ui, struct ui_task *task)
{
    struct seen_task *t = (struct seen_task *)task;
    if (task->job.state != QS_JOB_DONE || !t->seen)
        return;
    ui_model_calibrated(task->model, t->seen);
    t->seen = NULL;
    if (task->model == ui->model)
        ui_emit(ui, UI_EVENT_SEEN);
}

static void
release_seen(struct ui_task *task)
{
    struct seen_task *t = (struct seen_task *)task;
    ui_calibration_free(t->seen);
    t->seen = NULL;
}

void
ui_task_seen(struct ui *ui, bool again)
{
    if (!ui->model || !ui->model->opened->model->has_params || (ui->model->seen_asked && !again))
        return;
    ui->model->seen_asked = true;
    struct seen_task *t = ui_task_new(sizeof(*t), run_seen, _("look for a calibration"));
    t->db = ui->db;
    t->task.quiet = true;
    t->task.job.background = true;
    t->task.model = ui_model_ref(ui->model);
    t->task.finish = finish_seen;
    t->task.release = release_seen;
    ui_submit(ui, &t->task);
}
