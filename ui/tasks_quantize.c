/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: a model is quantized by the plan. */
#include "ui/tasks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/text.h"
#include "ui/ui.h"

struct quantize_task {
    struct ui_task task;
    struct qs_plan plan;
    struct qs_quantize_options opt;
    char *folder;
    struct qs_run run;
    struct qs_verified verified;
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

/* "; top1 0.9944 in FP32, 0.9917 simulated, 0.9917 in integers (32 samples)" */
static void
add_verified(const struct qs_verified *v, struct qs_str *out)
{
    static const char *const way[] = {N_("in FP32"), N_("simulated"), N_("in integers")};
    const char *before = " ";
    if (v->samples == 0 && v->reason)
        qs_str_printf(out, _("; not verified: %s"), v->reason);
    if (v->samples == 0 || v->n_metric == 0)
        return;
    qs_str_printf(out, "; %s", v->metric[0].name);
    for (int i = 0; i < QS_N_VERIFY_WAY; i++) {
        if (isnan(v->metric[0].value[i]))
            continue;
        qs_str_add(out, before);
        ui_add_metric(out, v->metric[0].name, v->metric[0].value[i]);
        qs_str_printf(out, " %s", _(way[i]));
        before = ", ";
    }
    qs_str_printf(out, _(" (%lld samples)"), (long long)v->samples);
    if (!v->ok && v->n_layer > 0)
        qs_str_printf(out, _("; integers part from the simulation at %s"), v->layer[0].name);
}

static char *
result_of(const struct quantize_task *t)
{
    const struct qs_run *r = &t->run;
    char before[16], after[16];
    struct qs_str out;
    qs_str_init(&out);
    qs_str_printf(&out, _("%s -> %s (%.2f times smaller) in %s"),
                  qs_format_bytes(before, sizeof(before), r->bytes_before),
                  qs_format_bytes(after, sizeof(after), r->bytes_after),
                  r->bytes_after > 0 ? (double)r->bytes_before / (double)r->bytes_after : 0.0,
                  t->folder);
    add_verified(&t->verified, &out);
    return qs_str_take(&out);
}

static void
finish_quantize(struct ui *ui, struct ui_task *task)
{
    struct quantize_task *t = (struct quantize_task *)task;
    if (task->job.state == QS_JOB_FAILED && task->job.cx.err == QS_ERR_EXISTS && !t->opt.force &&
        !ui->prompt.active)
        ask_over(ui, t->folder);
    if (task->job.state == QS_JOB_DONE) {
        const bool differs = t->verified.samples > 0 && !t->verified.ok;
        task->result = result_of(t);
        ui_say(ui, differs ? UI_CAUTION : UI_GOOD, _("quantized: %s"), task->result);
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
    qs_verified_release(&t->verified);
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
        .output = t->folder,
        .force = force,
        .verify = QS_VERIFY_SAMPLES,
        .verified = &t->verified,
        .db = ui->db,
    };
    t->task.model = ui_model_ref(ui->model);
    t->task.finish = finish_quantize;
    t->task.release = release_quantize;
    ui_submit(ui, &t->task);
    ui_say(ui, UI_DIM, _("quantizing into '%s'; 5 shows the job"), folder);
}
