/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: what the activations of the open model are like. */
#include "ui/tasks.h"

#include <limits.h>
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
    const struct ui_calibration *has = task->model->calibration;
    /* one that was made meanwhile is newer */
    if (task->job.state != QS_JOB_DONE || !t->seen || (has && has->run > t->seen->run))
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

/* Calibrate */

struct calibrate_task {
    struct ui_task task;
    struct qs_calibrate_options opt;
    const char *db;
    char *data;
    struct qs_calibrated done;
    struct qs_run run;
};

static enum qs_err
run_calibrate(struct qs_ctx *cx, struct qs_job *job)
{
    struct calibrate_task *t = (struct calibrate_task *)job;
    return qs_app_calibrate_run(cx, t->task.model->opened, &t->opt, false, t->db, &t->done,
                                &t->run);
}

static char *
describe(const struct qs_calibrated *c)
{
    struct qs_str text;
    char bytes[16];
    qs_str_init(&text);
    qs_str_printf(&text, _("%d activations of %lld samples, %s of memory"), c->n,
                  (long long)c->samples, qs_format_bytes(bytes, sizeof(bytes), c->peak_bytes));
    if (c->broken > 0)
        qs_str_printf(&text, _(", %lld could not be read"), (long long)c->broken);
    if (c->bad > 0)
        qs_str_printf(&text, _(", %lld not finite"), (long long)c->bad);
    return qs_str_take(&text);
}

/* A plan that calibrates takes the data that were seen, unless it has its own. */
static void
keep_data(struct ui *ui, const struct calibrate_task *t)
{
    struct qs_plan *plan = &ui->plan.now;
    if (plan->method != QS_METHOD_STATIC || (plan->data && *plan->data) || t->opt.samples > INT_MAX)
        return;
    ui_plan_keep(&ui->plan);
    free(plan->data);
    plan->data = qs_xstrdup(t->data);
    plan->samples = (int)t->opt.samples;
    ui_plan_changed(ui);
}

static void
finish_calibrate(struct ui *ui, struct ui_task *task)
{
    struct calibrate_task *t = (struct calibrate_task *)task;
    if (task->job.state == QS_JOB_DONE) {
        struct ui_calibration *seen = ui_calibration_new(&t->run, task->model->opened->model);
        task->result = describe(&t->done);
        ui_say(ui, UI_GOOD, _("calibrated: %s"), task->result);
        if (seen)
            ui_model_calibrated(task->model, seen);
        if (task->model == ui->model) {
            keep_data(ui, t);
            ui_emit(ui, UI_EVENT_SEEN);
        }
    }
    ui_task_runs(ui);
}

static void
release_calibrate(struct ui_task *task)
{
    struct calibrate_task *t = (struct calibrate_task *)task;
    qs_calibrated_release(&t->done);
    qs_run_release(&t->run);
    free(t->data);
    t->data = NULL;
}

void
ui_task_calibrate(struct ui *ui, const char *data, int64_t samples)
{
    const struct qs_plan *plan = &ui->plan.now;
    if (!ui->model) {
        ui_say(ui, UI_CAUTION, _("no model is open"));
        return;
    }
    struct calibrate_task *t =
        ui_task_new(sizeof(*t), run_calibrate, _("calibrate %s on %s"), ui->model->name, data);
    t->data = qs_xstrdup(data);
    t->db = ui->db;
    t->opt = (struct qs_calibrate_options){
        .data = t->data,
        .samples = samples,
        .batch = plan->batch,
        .algo = plan->algo,
        .calib = {.bits = plan->activation_bits,
                  .hist_percent = plan->hist_percent,
                  .paddle = plan->compat == QS_COMPAT_PADDLE,
                  .qdq = qs_plan_format(plan) == QS_FORMAT_QDQ},
    };
    ui->model->seen_asked = true;
    t->task.model = ui_model_ref(ui->model);
    t->task.finish = finish_calibrate;
    t->task.release = release_calibrate;
    ui_submit(ui, &t->task);
    ui_say(ui, UI_DIM, _("calibrating on '%s'; 5 shows the job"), data);
}
