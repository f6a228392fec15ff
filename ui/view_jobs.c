/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: what runs, how far, how fast, when it ends, and what came of what ended. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/plot.h"
#include "ui/text.h"
#include "ui/ui.h"

struct state {
    struct ui_list list;
    /* newest first, below them those of the workbench's own accord while they run */
    struct ui_task **row;
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
    if (at(arg, row)->number > 0)
        qs_str_printf(out, "%d", at(arg, row)->number);
}

static double
value_id(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    return at(arg, row)->number;
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
    static const enum ui_item item[] = {UI_DIM, UI_STRONG, UI_CAUTION, UI_GOOD, UI_BAD, UI_CAUTION};
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

static double
value_progress(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    return share(&at(arg, row)->job);
}

static void
paint_progress(const struct ui_column *c, void *arg, int row, struct ui_screen *s,
               struct ui_rect cell)
{
    enum { NUMBER = 6 };
    const struct qs_job *j = &at(arg, row)->job;
    (void)c;
    if (j->started <= 0 || cell.w < NUMBER)
        return;
    ui_putf(s, cell.y, cell.x, NUMBER, UI_TEXT, "%3d %% ", (int)(100 * share(j)));
    ui_plot_bar(s, (struct ui_rect){cell.y, cell.x + NUMBER, 1, cell.w - NUMBER}, UI_PLOT,
                share(j));
}

/* Parts are samples, layers or multiplications: whatever the job counts. */
static void
add_rate(struct qs_str *out, double per_second)
{
    if (per_second < 1000)
        qs_str_printf(out, "%.1f", per_second);
    else
        ui_add_count(out, (int64_t)per_second);
    qs_str_add(out, "/s");
}

static void
text_time(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct ui_task *task = at(arg, row);
    const struct qs_job *j = &task->job;
    const double t = qs_job_seconds(j);
    if (c->data == 0 && j->started > 0)
        ui_add_seconds(out, t);
    else if (c->data == 1 && !isnan(ui_task_left(task)))
        ui_add_seconds(out, ui_task_left(task));
    else if (c->data == 2 && j->at.done > 0 && t > 0.2)
        add_rate(out, (double)j->at.done / t);
}

static double
value_time(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    return qs_job_seconds(&at(arg, row)->job);
}

static void
text_result(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct ui_task *t = at(arg, row);
    (void)c;
    if (t->job.state == QS_JOB_FAILED)
        qs_str_add(out, qs_message(&t->job.cx));
    else if (!t->over)
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
     .value = value_id},
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
     .help = N_("how far it is with the step that stands at the end of the row"),
     .text = text_progress,
     .value = value_progress,
     .paint = paint_progress},
    {.name = "time",
     .title = N_("time"),
     .least = 6,
     .most = 7,
     .right = true,
     .drop = 2,
     .help = N_("how long so far"),
     .text = text_time,
     .value = value_time},
    {.name = "left",
     .title = N_("left"),
     .least = 6,
     .most = 7,
     .right = true,
     .drop = 4,
     .help = N_("how long this step takes still, at the rate of the last seconds"),
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

/* The job under the cursor; NULL: there is none. */
static struct ui_task *
current(const struct state *st)
{
    const int row = ui_table_row(&st->list.table);
    return row >= 0 ? st->row[row] : NULL;
}

static bool
is_listed(const struct ui_task *t)
{
    return !t->quiet || !t->over || t->job.state == QS_JOB_FAILED;
}

/* The cursor stays on its job, or on the newest. */
static void
new_rows(struct state *st)
{
    const struct ui *ui = st->list.ui;
    struct ui_table *t = &st->list.table;
    const bool newest = ui_table_row(t) == 0;
    int64_t *id = qs_xcalloc((size_t)ui->n_tasks + 1, sizeof(*id));
    st->row = qs_xrealloc(st->row, (size_t)(ui->n_tasks + 1) * sizeof(struct ui_task *));
    st->n = 0;
    for (int own = 0; own < 2; own++)
        for (int i = ui->n_tasks - 1; i >= 0; i--)
            if (ui->task[i]->quiet == own && is_listed(ui->task[i])) {
                id[st->n] = ui->task[i]->number;
                st->row[st->n++] = ui->task[i];
            }
    ui_table_set_rows_by_id(t, id, st->n);
    if (newest)
        ui_table_go(t, 0);
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
    struct state *st = state;
    free(st->row);
    ui_list_close(ui, state);
}

static void
update(struct ui *ui, void *state, enum ui_event ev)
{
    (void)ui;
    if (ev == UI_EVENT_JOB)
        new_rows(state);
}

/* "top1   0.9350   course of its values   smallest .. largest" */
static void
draw_metric(struct ui_screen *s, struct ui_rect r, const struct qs_job_metric *m, int name_w)
{
    enum { VALUE_W = 10 };
    struct qs_metric_look look = {.unit = ""};
    float v[QS_JOB_HISTORY + 1];
    struct qs_str text;
    qs_app_metric_look(m->name, &look);
    qs_str_init(&text);
    ui_add_metric(&text, m->name, m->value);
    ui_put(s, r.y, r.x, name_w, UI_TEXT, m->name);
    int x = name_w + 1;
    ui_put_cell(s, r.y, r.x + x, VALUE_W, UI_STRONG, true, text.s);
    x += VALUE_W + 1;
    x += 1 + ui_put(s, r.y, r.x + x, r.w - x, UI_DIM, look.unit);
    memcpy(v, m->history, sizeof(m->history));
    v[m->n_history] = (float)m->value;
    ui_plot_spark(s, (struct ui_rect){r.y, r.x + x, 1, r.w - x}, UI_PLOT, v, m->n_history + 1);
    qs_str_release(&text);
}

/* The metrics of a job and all of its result, in at most the lower half of r; returns the rows. */
static int
draw_detail(struct state *st, struct ui_screen *s, struct ui_rect r)
{
    const struct ui_task *task = current(st);
    const struct qs_job_progress *p = &task->job.at;
    struct qs_str text;
    int name_w = 0;
    for (int i = 0; i < p->n_metric; i++)
        name_w = ui_width(p->metric[i].name) > name_w ? ui_width(p->metric[i].name) : name_w;
    qs_str_init(&text);
    text_result(NULL, st, ui_table_row(&st->list.table), &text);
    struct ui_rect in = {0, r.x + 1, 0, r.w - 2};
    int rows = 1 + p->n_metric + ui_put_wrapped(NULL, in, UI_TEXT, text.s);
    rows = rows > r.h / 2 ? r.h / 2 : rows;
    in.y = r.y + r.h - rows;
    ui_put_rule(s, in.y++, r.x, r.w, task->title, false);
    for (int i = 0; i < p->n_metric && in.y < r.y + r.h; i++, in.y++)
        draw_metric(s, (struct ui_rect){in.y, in.x, 1, in.w}, &p->metric[i], name_w);
    in.h = r.y + r.h - in.y;
    ui_put_wrapped(s, in, style_state(NULL, st, ui_table_row(&st->list.table)), text.s);
    qs_str_release(&text);
    return rows;
}

static void
draw(struct ui *ui, void *state, struct ui_rect r)
{
    enum { LOW = 8 };
    struct state *st = state;
    if (current(st) && r.h >= LOW)
        r.h -= draw_detail(st, ui->screen, r);
    ui_table_draw(&st->list.table, ui->screen, r, true);
    if (st->n == 0 && r.h > 2)
        ui_put(ui->screen, r.y + 2, r.x + 2, r.w - 2, UI_DIM,
               _("nothing runs and nothing ran; Q in the plan quantizes, C calibrates, S scans"));
}

static bool
act(struct ui *ui, void *state, enum ui_action action, const char *arg)
{
    struct ui_task *task = current(state);
    (void)arg;
    if ((action != UI_ACT_CANCEL && action != UI_ACT_PAUSE) || !task)
        return false;
    if (task->over)
        ui_say(ui, UI_DIM, _("this job is over"));
    else if (action == UI_ACT_CANCEL)
        qs_worker_cancel(task->worker, &task->job);
    else if (task->job.state == QS_JOB_PAUSED)
        qs_worker_resume(task->worker, &task->job);
    else
        qs_worker_pause(task->worker, &task->job);
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
