/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: the open model is evaluated on data. */
#include "ui/tasks.h"

#include <stdlib.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/text.h"
#include "ui/ui.h"

struct eval_task {
    struct ui_task task;
    struct qs_evaluate_options opt;
    char *data;
    struct qs_evaluated done;
};

static enum qs_err
run_eval(struct qs_ctx *cx, struct qs_job *job)
{
    struct eval_task *t = (struct eval_task *)job;
    return qs_app_evaluate(cx, t->task.model->opened, NULL, &t->opt, &t->done);
}

static void
finish_eval(struct ui *ui, struct ui_task *task)
{
    struct eval_task *t = (struct eval_task *)task;
    const struct qs_run *r = &t->done.run;
    if (task->job.state == QS_JOB_DONE) {
        struct qs_str text;
        qs_str_init(&text);
        for (int i = 0; i < r->n_metric; i++) {
            qs_str_printf(&text, "%s%s ", i ? ", " : "", r->metric[i].name);
            ui_add_metric(&text, r->metric[i].name, r->metric[i].value);
        }
        qs_str_printf(&text, _(" of %lld samples"), (long long)t->done.samples);
        if (t->done.broken > 0)
            qs_str_printf(&text, _(", %lld could not be read"), (long long)t->done.broken);
        task->result = qs_str_take(&text);
        ui_say(ui, UI_GOOD, _("evaluated: %s"), task->result);
    }
    ui_task_runs(ui);
}

static void
release_eval(struct ui_task *task)
{
    struct eval_task *t = (struct eval_task *)task;
    qs_evaluated_release(&t->done);
    free(t->data);
    t->data = NULL;
}

void
ui_task_eval(struct ui *ui, const char *data, int64_t samples)
{
    if (!ui->model) {
        ui_say(ui, UI_CAUTION, _("no model is open"));
        return;
    }
    struct eval_task *t =
        ui_task_new(sizeof(*t), run_eval, _("evaluate %s on %s"), ui->model->name, data);
    t->data = qs_xstrdup(data);
    t->opt = (struct qs_evaluate_options){.data = t->data, .samples = samples, .db = ui->db};
    t->task.model = ui_model_ref(ui->model);
    t->task.finish = finish_eval;
    t->task.release = release_eval;
    ui_submit(ui, &t->task);
    ui_say(ui, UI_DIM, _("evaluating on '%s'; 5 shows the job"), data);
}
