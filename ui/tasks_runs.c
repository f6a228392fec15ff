/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: runs of the store are read, tagged, deleted. */
#include "ui/tasks.h"

#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/ui.h"

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
    struct runs_task *t = ui_task_new(sizeof(*t), run_runs, _("read the runs"));
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
    struct ids_task *t = ui_task_new(sizeof(*t), run, "%s", title);
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
