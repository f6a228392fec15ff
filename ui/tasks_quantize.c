/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: a model is quantized by the plan. */
#include "ui/tasks.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/ui.h"

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
        if (t->plan.method == QS_METHOD_STATIC && task->model == ui->model)
            ui_task_seen(ui, true);
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
        ui_task_new(sizeof(*t), run_quantize, _("quantize %s into %s"), ui->model->name, folder);
    qs_plan_copy(&t->plan, &ui->plan.now);
    t->folder = qs_xstrdup(folder);
    t->opt = (struct qs_quantize_options){
        .output = t->folder, .force = force, .verify = QS_VERIFY_SAMPLES, .db = ui->db};
    t->task.model = ui_model_ref(ui->model);
    t->task.finish = finish_quantize;
    t->task.release = release_quantize;
    ui_submit(ui, &t->task);
    ui_say(ui, UI_DIM, _("quantizing into '%s'; 5 shows the job"), folder);
}
