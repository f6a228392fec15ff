/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/ui.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/i18n.h"
#include "base/mem.h"

/* Signals become bytes in a pipe: the loop polls it beside the keys. */
static int signal_pipe[2] = {-1, -1};

static void
on_signal(int sig)
{
    const int saved = errno;
    const unsigned char byte = (unsigned char)sig;
    ssize_t unused = write(signal_pipe[1], &byte, 1);
    (void)unused;
    errno = saved;
}

static const int handled[] = {SIGWINCH, SIGTERM, SIGHUP, SIGINT, SIGTSTP, SIGCONT};

static void
catch_signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&sa.sa_mask);
    if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        return;
    for (size_t i = 0; i < QS_LEN(handled); i++)
        sigaction(handled[i], &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void
release_signals(void)
{
    for (size_t i = 0; i < QS_LEN(handled); i++)
        signal(handled[i], SIG_DFL);
    close(signal_pipe[0]);
    close(signal_pipe[1]);
    signal_pipe[0] = signal_pipe[1] = -1;
}

static void
take_signals(struct ui *ui)
{
    unsigned char sig;
    while (signal_pipe[0] >= 0 && read(signal_pipe[0], &sig, 1) == 1) {
        ui->dirty = true;
        if (sig == SIGWINCH)
            ui_screen_measure(ui->screen);
        else if (sig == SIGTSTP)
            ui_screen_suspend(ui->screen);
        else if (sig != SIGCONT) {
            ui->killed_by = sig;
            ui->quit = true;
        }
    }
}

enum qs_err
ui_init(struct qs_ctx *cx, struct ui *ui)
{
    *ui = (struct ui){.op = -1, .layer = -1, .dirty = true};
    ui_plan_init(&ui->plan);
    ui_prompt_init(&ui->prompt);
    ui_scan_init(&ui->scan);
    const enum qs_err err = qs_worker_new(cx, &ui->worker);
    return err ? err : qs_worker_new(cx, &ui->aside);
}

static void
release_compare(struct ui *ui)
{
    for (int i = 0; i < ui->n_compare; i++)
        qs_run_release(&ui->compare[i]);
    free(ui->compare);
}

void
ui_release(struct ui *ui)
{
    for (int v = 0; v < UI_N_VIEWS; v++)
        if (ui->state[v])
            ui_views[v].view->close(ui, ui->state[v]);
    qs_worker_free(ui->worker);
    qs_worker_free(ui->aside);
    for (int i = 0; i < ui->n_tasks; i++)
        ui_task_free(ui->task[i]);
    free(ui->task);
    for (int i = 0; i < ui->n_log; i++)
        free(ui->log[i].text);
    free(ui->log);
    free(ui->pending);
    ui_look_free(ui->look);
    ui_model_unref(ui->model);
    ui_plan_release(&ui->plan);
    ui_prompt_release(&ui->prompt);
    qs_app_found_free(ui->found, ui->n_found);
    qs_runs_release(&ui->runs);
    release_compare(ui);
    qs_pareto_release(&ui->pareto);
    ui_scan_release(&ui->scan);
    ui_config_release(&ui->config);
}

void
ui_log(struct ui *ui, enum ui_item item, const char *text)
{
    enum { MOST_LINES = 5000 };
    if (ui->n_log == MOST_LINES) {
        free(ui->log[0].text);
        memmove(ui->log, ui->log + 1, (MOST_LINES - 1) * sizeof(*ui->log));
        ui->n_log--;
    }
    ui->log = qs_xrealloc(ui->log, (size_t)(ui->n_log + 1) * sizeof(*ui->log));
    ui->log[ui->n_log++] = (struct ui_log_line){item, qs_xstrdup(text)};
    ui_emit(ui, UI_EVENT_LOG);
}

void
ui_say(struct ui *ui, enum ui_item item, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(ui->message, sizeof(ui->message), fmt, ap);
    va_end(ap);
    ui->message_item = item;
    ui->dirty = true;
    if (item != UI_DIM)
        ui_log(ui, item, ui->message);
}

void
ui_emit(struct ui *ui, enum ui_event ev)
{
    for (int v = 0; v < UI_N_VIEWS; v++)
        if (ui->state[v] && ui_views[v].view->update)
            ui_views[v].view->update(ui, ui->state[v], ev);
    ui->dirty = true;
}

static void
open_view(struct ui *ui, enum ui_view_id v)
{
    if (!ui->state[v])
        ui->state[v] = ui_views[v].view->open(ui);
    ui->view = v;
    ui->dirty = true;
}

void
ui_go(struct ui *ui, enum ui_view_id view)
{
    if (view == ui->view && ui->state[view])
        return;
    const int most = (int)QS_LEN(ui->back);
    if (ui->state[ui->view]) {
        if (ui->n_back == most)
            memmove(ui->back, ui->back + 1, (size_t)(--ui->n_back) * sizeof(ui->back[0]));
        ui->back[ui->n_back++] = ui->view;
    }
    open_view(ui, view);
}

bool
ui_go_back(struct ui *ui)
{
    if (ui->n_back == 0)
        return false;
    open_view(ui, ui->back[--ui->n_back]);
    return true;
}

struct ui_table *
ui_focused_table(const struct ui *ui)
{
    const struct ui_view *v = ui_views[ui->view].view;
    return v->table && ui->state[ui->view] ? v->table(ui->state[ui->view]) : NULL;
}

unsigned
ui_where(const struct ui *ui)
{
    const struct ui_view *v = ui_views[ui->view].view;
    const unsigned form = v->form && ui->state[ui->view] ? v->form(ui->state[ui->view]) : 0U;
    return form | 1U << ui->view | (ui_focused_table(ui) ? UI_IN_LIST : 0U) | UI_IN_ALL;
}

bool
ui_busy(const struct ui *ui)
{
    for (int i = 0; i < ui->n_tasks; i++)
        if (!ui->task[i]->over && !ui->task[i]->quiet)
            return true;
    return false;
}

static void
mouse(struct ui *ui, const struct ui_key *key)
{
    const struct ui_view *v = ui_views[ui->view].view;
    struct ui_table *t = ui_focused_table(ui);
    bool enter = false;
    if (v->mouse && v->mouse(ui, ui->state[ui->view], key))
        return;
    if (!t || !ui_table_mouse(t, key, &enter) || !enter)
        return;
    const enum ui_action act = ui_action_of_key(UI_KEY_ENTER, ui_where(ui));
    if (act != UI_ACT_NONE)
        ui_act(ui, act, NULL);
}

void
ui_key(struct ui *ui, const struct ui_key *key)
{
    ui->dirty = true;
    if (key->code == UI_KEY_RESIZE) {
        ui_screen_resize(ui->screen, key->x, key->y);
        return;
    }
    if (ui->prompt.active) {
        if (key->code < UI_KEY_CLICK || key->code > UI_KEY_RESIZE)
            ui_prompt_key(ui, key);
        return;
    }
    ui->message[0] = '\0';
    if (key->code >= UI_KEY_CLICK && key->code <= UI_KEY_WHEEL_DOWN) {
        mouse(ui, key);
        return;
    }
    const enum ui_action act = ui_action_of_key(key->code, ui_where(ui));
    char name[16];
    if (act == UI_ACT_NONE)
        ui_say(ui, UI_DIM, _("%s does nothing here; ? shows the keys"),
               ui_key_name(key->code, name, sizeof(name)));
    else if (!ui_act(ui, act, NULL))
        ui_say(ui, UI_DIM, _("nothing to do"));
}

/* Worker */

void
ui_submit(struct ui *ui, struct ui_task *task)
{
    enum { MOST_KEPT = 1000 };
    /* old ones leave; those the workbench made itself leave first */
    for (int i = 0; i < ui->n_tasks && ui->n_tasks >= MOST_KEPT; i++)
        if (ui->task[i]->over) {
            ui_task_free(ui->task[i]);
            memmove(ui->task + i, ui->task + i + 1,
                    (size_t)(ui->n_tasks - i - 1) * sizeof(*ui->task));
            ui->n_tasks--;
            i--;
        }
    ui->task = qs_xrealloc(ui->task, (size_t)(ui->n_tasks + 1) * sizeof(*ui->task));
    ui->task[ui->n_tasks++] = task;
    task->number = task->quiet ? -++ui->n_own : ++ui->n_asked;
    task->worker = task->quiet || task->aside ? ui->aside : ui->worker;
    qs_worker_submit(task->worker, &task->job);
    ui_emit(ui, UI_EVENT_JOB);
}

static void
finish(struct ui *ui, struct ui_task *task)
{
    if (task->job.state == QS_JOB_FAILED)
        ui_say(ui, UI_BAD, "%s", qs_message(&task->job.cx));
    else if (task->job.state == QS_JOB_CANCELLED && !task->quiet)
        ui_say(ui, UI_CAUTION, _("%s: cancelled"), task->title);
    if (task->finish)
        task->finish(ui, task);
    task->over = true;
    if (task->release)
        task->release(task);
    task->release = NULL;
    ui_model_unref(task->model);
    task->model = NULL;
}

void
ui_pump(struct ui *ui)
{
    struct qs_job_event ev;
    bool job_changed = false;
    while (qs_worker_take(ui->worker, &ev) || qs_worker_take(ui->aside, &ev)) {
        struct ui_task *task = (struct ui_task *)ev.job;
        job_changed = true;
        switch (ev.kind) {
        case QS_JOB_STARTED:
            break;
        case QS_JOB_PROGRESS:
            ui_task_went_on(task);
            break;
        case QS_JOB_NOTE:
            ui_log(ui, UI_TEXT, ev.text);
            break;
        case QS_JOB_WARNING:
            ui_say(ui, UI_CAUTION, "%s", ev.text);
            break;
        case QS_JOB_ITEM:
            if (task->item)
                task->item(ui, task, ev.item);
            break;
        case QS_JOB_FINISHED:
            finish(ui, task);
            break;
        }
        free(ev.text);
    }
    if (ui->stats_came)
        ui_emit(ui, UI_EVENT_STATS);
    ui->stats_came = false;
    if (job_changed)
        ui_emit(ui, UI_EVENT_JOB);
}

void
ui_say_missed(struct ui *ui, struct ui_table *t)
{
    t->missed = false;
    ui_say(ui, UI_CAUTION, _("'%s' is in no row"), t->search.text ? t->search.text : "");
}

/* Goes on with what a list has to look through; true: there is more. */
static bool
work_on(struct ui *ui, struct ui_table *t, int ms)
{
    const bool more = ui_table_work(t, ui_now_ms() + ms);
    if (t->missed)
        ui_say_missed(ui, t);
    return more;
}

void
ui_wait_idle(struct ui *ui)
{
    ui_pump(ui);
    while (!(qs_worker_idle(ui->worker) && qs_worker_idle(ui->aside)) && !ui->quit) {
        struct pollfd pfd[3] = {{.fd = qs_worker_fd(ui->worker), .events = POLLIN},
                                {.fd = qs_worker_fd(ui->aside), .events = POLLIN},
                                {.fd = signal_pipe[0], .events = POLLIN}};
        poll(pfd, 3, 1000);
        take_signals(ui);
        ui_pump(ui);
    }
    struct ui_table *t = ui_focused_table(ui);
    while (t && work_on(ui, t, 1000))
        ;
}

static bool
any_running(const struct ui *ui)
{
    for (int i = 0; i < ui->n_tasks; i++)
        if (ui->task[i]->job.state == QS_JOB_RUNNING && !ui->task[i]->over)
            return true;
    return false;
}

/* Milliseconds to sleep at most; -1: until something happens. */
static int
sleep_ms(const struct ui *ui, int64_t last_draw_ms, bool more_work)
{
    enum { FRAME_MS = 33, CLOCK_MS = 500 };
    const int64_t since = ui_now_ms() - last_draw_ms;
    if (more_work)
        return 0;
    if (ui->dirty)
        return since >= FRAME_MS ? 0 : (int)(FRAME_MS - since);
    return any_running(ui) ? CLOCK_MS : -1;
}

static bool
take_keys(struct ui *ui)
{
    struct ui_key key;
    bool any = false, gone = false;
    while (!ui->quit && ui_screen_key(ui->screen, &key, &gone)) {
        ui_key(ui, &key);
        any = true;
    }
    if (gone) {
        ui->killed_by = SIGHUP;
        ui->quit = true;
    }
    return any;
}

void
ui_loop(struct ui *ui)
{
    int64_t last_draw_ms = 0;
    catch_signals();
    while (!ui->quit) {
        struct ui_table *t = ui_focused_table(ui);
        const bool more = t && work_on(ui, t, 8);
        ui->dirty = ui->dirty || more;
        struct pollfd pfd[4] = {{.fd = ui_screen_fd(ui->screen), .events = POLLIN},
                                {.fd = qs_worker_fd(ui->worker), .events = POLLIN},
                                {.fd = qs_worker_fd(ui->aside), .events = POLLIN},
                                {.fd = signal_pipe[0], .events = POLLIN}};
        const int timeout = sleep_ms(ui, last_draw_ms, more);
        const int n = poll(pfd, 4, timeout);
        take_signals(ui);
        ui_pump(ui);
        const bool typed = take_keys(ui);
        if (n == 0 && timeout > 0)
            ui->dirty = ui->dirty || any_running(ui);
        if (ui->quit || !ui->dirty || (!typed && sleep_ms(ui, last_draw_ms, false) > 0))
            continue;
        ui_draw(ui);
        last_draw_ms = ui_now_ms();
    }
    release_signals();
}

void
ui_show_op(struct ui *ui, int op, int layer)
{
    ui->op = op;
    ui->layer = layer;
    if (ui->model && layer >= 0)
        ui_task_look(ui, layer);
    ui_emit(ui, UI_EVENT_LOOK);
}

void
ui_go_to_op(struct ui *ui, int op, int layer)
{
    ui_go(ui, UI_VIEW_LAYER);
    ui_show_op(ui, op, layer);
}
