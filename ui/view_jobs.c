/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: what runs, how far, how fast, when it ends, and what came of what ended. */
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/plot.h"
#include "ui/text.h"
#include "ui/ui.h"

struct state {
    struct ui_list list;
    struct ui_task *
        *row; /* newest first; those of the workbench's own accord only while they run */
    int n;
};

static const struct ui_task *
at(void *arg, int row)
{
    return ((struct state *)arg)->row[row];
}

static void
text_id(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_printf(out, "%d", at(arg, row)->job.id);
}

static int
compare_id(const struct ui_column *c, void *arg, int a, int b)
{
    (void)c;
    return at(arg, a)->job.id - at(arg, b)->job.id;
}

static void
text_state(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_add(out, _(qs_job_state_name(at(arg, row)->job.state)));
}

static enum ui_item
style_state(const struct ui_column *c, void *arg, int row)
{
    static const enum ui_item item[] = {UI_DIM,  UI_STRONG, UI_CAUTION,
                                        UI_GOOD, UI_BAD,    UI_CAUTION};
    (void)c;
    return item[at(arg, row)->job.state];
}

static void
text_title(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_add(out, at(arg, row)->title);
}

static double
share(const struct qs_job *j)
{
    if (j->state == QS_JOB_DONE)
        return 1;
    return j->at.total > 0 ? (double)j->at.done / (double)j->at.total : 0;
}

static void
text_progress(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct qs_job *j = &at(arg, row)->job;
    (void)c;
    if (j->at.total > 0)
        qs_str_printf(out, "%d %%", (int)(100 * share(j)));
}

static int
compare_progress(const struct ui_column *c, void *arg, int a, int b)
{
    (void)c;
    return ui_compare(share(&at(arg, a)->job), share(&at(arg, b)->job));
}

static void
paint_progress(const struct ui_column *c, void *arg, int row, struct ui_screen *s,
               struct ui_rect cell)
{
    enum { NUMBER = 6 };
    const struct qs_job *j = &at(arg, row)->job;
    (void)c;
    if (j->state == QS_JOB_QUEUED || cell.w < NUMBER)
        return;
    ui_putf(s, cell.y, cell.x, NUMBER, UI_TEXT, "%3d %% ", (int)(100 * share(j)));
    ui_plot_bar(s, (struct ui_rect){cell.y, cell.x + NUMBER, 1, cell.w - NUMBER}, UI_PLOT,
                share(j));
}

static void
text_time(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct qs_job *j = &at(arg, row)->job;
    const double t = qs_job_seconds(j);
    if (c->data == 0 && j->state != QS_JOB_QUEUED)
        ui_add_seconds(out, t);
    else if (c->data == 1 && j->state == QS_JOB_RUNNING && share(j) > 0.02 && t > 0.5)
        ui_add_seconds(out, t / share(j) - t);
    else if (c->data == 2 && j->at.done > 0 && t > 0.2)
        qs_str_printf(out, "%.1f/s", (double)j->at.done / t);
}

static int
compare_time(const struct ui_column *c, void *arg, int a, int b)
{
    (void)c;
    return ui_compare(qs_job_seconds(&at(arg, a)->job), qs_job_seconds(&at(arg, b)->job));
}

static void
text_result(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct ui_task *t = at(arg, row);
    (void)c;
    if (t->job.state == QS_JOB_FAILED)
        qs_str_add(out, qs_message(&t->job.cx));
    else if (t->job.state == QS_JOB_RUNNING)
        qs_str_add(out, t->job.at.what);
    else if (t->result)
        qs_str_add(out, t->result);
}

static const struct ui_column column[] = {
    {.name = "id",
     .title = N_("#"),
     .least = 4,
     .most = 4,
     .right = true,
     .help = N_("number"),
     .text = text_id,
     .compare = compare_id},
    {.name = "state",
     .title = N_("state"),
     .least = 9,
     .most = 9,
     .help = N_("how it stands"),
     .text = text_state,
     .style = style_state},
    {.name = "job",
     .title = N_("job"),
     .least = 16,
     .most = 48,
     .help = N_("what it does"),
     .text = text_title},
    {.name = "progress",
     .title = N_("progress"),
     .least = 14,
     .most = 30,
     .drop = 3,
     .help = N_("how far"),
     .text = text_progress,
     .compare = compare_progress,
     .paint = paint_progress},
    {.name = "time",
     .title = N_("time"),
     .least = 6,
     .most = 7,
     .right = true,
     .drop = 2,
     .help = N_("how long so far"),
     .text = text_time,
     .compare = compare_time},
    {.name = "left",
     .title = N_("left"),
     .least = 6,
     .most = 7,
     .right = true,
     .drop = 4,
     .help = N_("how long still, at this rate"),
     .text = text_time,
     .data = 1},
    {.name = "rate",
     .title = N_("rate"),
     .least = 9,
     .most = 9,
     .right = true,
     .drop = 5,
     .help = N_("parts a second"),
     .text = text_time,
     .data = 2},
    {.name = "result",
     .title = N_("result"),
     .least = 12,
     .drop = 1,
     .help = N_("what it is doing, what came of it, or why it failed"),
     .text = text_result},
};

static void
new_rows(struct state *st)
{
    struct ui *ui = st->list.ui;
    const int cursor = st->list.table.cursor;
    st->row = qs_xrealloc(st->row, (size_t)(ui->n_tasks + 1) * sizeof(struct ui_task *));
    st->n = 0;
    for (int i = ui->n_tasks - 1; i >= 0; i--)
        if (!ui->task[i]->quiet || !ui->task[i]->over || ui->task[i]->job.state == QS_JOB_FAILED)
            st->row[st->n++] = ui->task[i];
    ui_table_set_rows(&st->list.table, st->n);
    st->list.table.cursor = cursor < st->n ? cursor : 0;
}

static void *
open_view(struct ui *ui)
{
    struct state *st = ui_list_open(ui, sizeof(*st), "jobs", column, QS_LEN(column));
    new_rows(st);
    return st;
}

static void
close_view(struct ui *ui, void *state)
{
    free(((struct state *)state)->row);
    ui_list_close(ui, state);
}

static void
update(struct ui *ui, void *state, enum ui_event ev)
{
    (void)ui;
    if (ev == UI_EVENT_JOB)
        new_rows(state);
}

static void
draw(struct ui *ui, void *state, struct ui_rect r)
{
    struct state *st = state;
    ui_table_draw(&st->list.table, ui->screen, r, true);
    if (st->n == 0 && r.h > 2)
        ui_put(ui->screen, r.y + 2, r.x + 2, r.w - 2, UI_DIM, _("nothing runs and nothing ran"));
}

static bool
act(struct ui *ui, void *state, enum ui_action action, const char *arg)
{
    struct state *st = state;
    const int row = ui_table_row(&st->list.table);
    (void)arg;
    if (action != UI_ACT_CANCEL || row < 0)
        return false;
    if (st->row[row]->over)
        ui_say(ui, UI_DIM, _("this job is over"));
    else
        qs_worker_cancel(ui->worker, &st->row[row]->job);
    return true;
}

const struct ui_view ui_view_jobs = {
    .open = open_view,
    .close = close_view,
    .update = update,
    .draw = draw,
    .act = act,
    .table = ui_list_table,
};
