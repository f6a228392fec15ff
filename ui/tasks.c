/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/tasks.h"

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
