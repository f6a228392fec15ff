/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/tasks.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

void *
ui_task_new(size_t size, enum qs_err (*run)(struct qs_ctx *, struct qs_job *), const char *fmt, ...)
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

static struct ui_task_mark
mark_of(const struct ui_task *task)
{
    const struct qs_job *j = &task->job;
    return (struct ui_task_mark){qs_job_seconds(j),
                                 j->at.total > 0 ? (double)j->at.done / (double)j->at.total : 0};
}

void
ui_task_went_on(struct ui_task *task)
{
    enum { EACH_SECONDS = 3 };
    const struct ui_task_mark now = mark_of(task);
    if (now.share < task->mark[1].share) /* the next step begins */
        task->mark[0] = task->mark[1] = now;
    if (now.seconds - task->mark[1].seconds < EACH_SECONDS)
        return;
    task->mark[0] = task->mark[1];
    task->mark[1] = now;
}

double
ui_task_left(const struct ui_task *task)
{
    const struct ui_task_mark now = mark_of(task), *from = &task->mark[0];
    const double went = now.share - from->share;
    if (task->over || now.share <= 0.02 || now.seconds <= 0.5 || went <= 0)
        return NAN;
    return (1 - now.share) * (now.seconds - from->seconds) / went;
}
