/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: the runs of a model are compared by two quantities. */
#include "ui/tasks.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/text.h"
#include "ui/ui.h"

struct pareto_task {
    struct ui_task task;
    const char *db;
    char *x, *y; /* NULL: the default */
    struct qs_pareto pareto;
    char note[sizeof(((struct ui *)0)->pareto_note)];
};

/* What is left out belongs to the chart, not to the log of every reading. */
static void
take_note(void *arg, const struct qs_event *ev)
{
    struct pareto_task *t = arg;
    if (ev->kind == QS_EVENT_NOTE)
        snprintf(t->note, sizeof(t->note), "%s", ev->text);
}

/* The model by its path, which the messages name; by its digest when its parameters lie elsewhere.
 */
static enum qs_err
read_pareto(struct qs_ctx *cx, struct pareto_task *t)
{
    const struct qs_opened *o = t->task.model ? t->task.model->opened : NULL;
    char digest[QS_DIGEST_HEX];
    const char *model = o ? ui_below_here(o->path) : NULL;
    if (o && o->params) {
        const enum qs_err err = qs_app_digest(cx, o, digest);
        if (err)
            return err;
        model = digest;
    }
    return qs_app_pareto(cx, t->db, model, t->x, t->y, &t->pareto);
}

static enum qs_err
run_pareto(struct qs_ctx *cx, struct qs_job *job)
{
    struct pareto_task *t = (struct pareto_task *)job;
    cx->sink = take_note;
    cx->sink_arg = t;
    const enum qs_err err = read_pareto(cx, t);
    if (err != QS_ERR_NOT_FOUND)
        return err;
    /* nothing to compare yet is no failure */
    snprintf(t->note, sizeof(t->note), "%s", qs_message(cx));
    qs_clear(cx);
    return QS_OK;
}

static void
finish_pareto(struct ui *ui, struct ui_task *task)
{
    struct pareto_task *t = (struct pareto_task *)task;
    if (task->job.state != QS_JOB_DONE || task->model != ui->model)
        return;
    qs_pareto_release(&ui->pareto);
    ui->pareto = t->pareto;
    ui->pareto_read = true;
    t->pareto = (struct qs_pareto){0};
    snprintf(ui->pareto_note, sizeof(ui->pareto_note), "%s", t->note);
    ui_emit(ui, UI_EVENT_PARETO);
}

static void
release_pareto(struct ui_task *task)
{
    struct pareto_task *t = (struct pareto_task *)task;
    qs_pareto_release(&t->pareto);
    free(t->x);
    free(t->y);
    t->x = t->y = NULL;
}

void
ui_task_pareto(struct ui *ui, const char *x, const char *y)
{
    struct pareto_task *t = ui_task_new(sizeof(*t), run_pareto, _("compare the runs of a model"));
    t->db = ui->db;
    t->x = x ? qs_xstrdup(x) : NULL;
    t->y = y ? qs_xstrdup(y) : NULL;
    t->task.quiet = true;
    t->task.model = ui_model_ref(ui->model);
    t->task.finish = finish_pareto;
    t->task.release = release_pareto;
    ui_submit(ui, &t->task);
}
