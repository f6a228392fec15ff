/* SPDX-License-Identifier: Apache-2.0 */
/* The Jobs view on jobs that no worker runs: times and states are what the test says. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/mem.h"
#include "ui/ui.h"

static int
set_up(void **state)
{
    struct ui *ui = malloc(sizeof(*ui));
    struct qs_ctx cx;
    const struct ui_screen_options opt = {.ascii = true, .width = 110, .height = 14};
    qs_ctx_init(&cx);
    assert_int_equal(ui_init(&cx, ui), QS_OK);
    assert_int_equal(ui_screen_open(&cx, &opt, &ui->screen), QS_OK);
    *state = ui;
    return 0;
}

static int
tear_down(void **state)
{
    struct ui *ui = *state;
    struct ui_screen *screen = ui->screen;
    ui_release(ui);
    ui_screen_close(screen);
    free(ui);
    return 0;
}

static struct ui_task *
add_task(struct ui *ui, const char *title, enum qs_job_state state)
{
    struct ui_task *t = ui_task_new(sizeof(*t), NULL, "%s", title);
    t->number = ++ui->n_asked;
    t->job.state = state;
    ui->task = realloc(ui->task, (size_t)(ui->n_tasks + 1) * sizeof(struct ui_task *));
    ui->task[ui->n_tasks++] = t;
    return t;
}

/* The line of the screen that has the text; NULL: none has. */
static char *
line_with(struct ui *ui, const char *text)
{
    struct qs_str all;
    char *found = NULL, *rest, *line;
    qs_str_init(&all);
    ui_draw(ui);
    ui_screen_print(ui->screen, &all);
    rest = all.s;
    while (!found && (line = strsep(&rest, "\n")))
        if (strstr(line, text))
            found = strdup(line);
    qs_str_release(&all);
    return found;
}

static void
assert_shows(struct ui *ui, const char *row, const char *text)
{
    char *line = line_with(ui, row);
    if (!line || !strstr(line, text))
        fail_msg("no '%s' in the row of '%s': %s", text, row, line ? line : "(there is none)");
    free(line);
}

static void
a_paused_job_stands_still(void **state)
{
    struct ui *ui = *state;
    struct ui_task *t = add_task(ui, "evaluate", QS_JOB_PAUSED);
    t->job.at.done = 25;
    t->job.at.total = 100;
    t->job.started = 100;
    t->job.held = 20;
    t->job.held_since = 150; /* ran for 30 s */
    ui_go(ui, UI_VIEW_JOBS);
    assert_shows(ui, "1 paused", "25 %");
    assert_shows(ui, "1 paused", " 0:30   1:30     0.8/s");
    assert_shows(ui, "? Help", "paused: evaluate 25 %");
}

static enum qs_err
run_until_cancelled(struct qs_ctx *cx, struct qs_job *job)
{
    const struct timespec pause = {.tv_nsec = 1000 * 1000};
    (void)job;
    while (qs_check_cancel(cx) == QS_OK)
        nanosleep(&pause, NULL);
    return qs_check_cancel(cx);
}

static enum qs_err
run_at_once(struct qs_ctx *cx, struct qs_job *job)
{
    (void)cx;
    (void)job;
    return QS_OK;
}

/* Lists are read while a scan runs. Would hang otherwise. */
static void
what_the_workbench_looks_up_does_not_wait(void **state)
{
    struct ui *ui = *state;
    struct ui_task *scan = ui_task_new(sizeof(*scan), run_until_cancelled, "scan");
    struct ui_task *list = ui_task_new(sizeof(*list), run_at_once, "read the runs");
    list->quiet = true;
    ui_submit(ui, scan);
    ui_submit(ui, list);
    while (!list->over || scan->job.state == QS_JOB_QUEUED)
        ui_pump(ui);
    assert_int_equal(list->job.state, QS_JOB_DONE);
    assert_false(scan->over);
    ui_go(ui, UI_VIEW_JOBS);
    assert_shows(ui, "1 running", "scan");
    qs_worker_cancel(scan->worker, &scan->job);
    ui_wait_idle(ui);
    assert_int_equal(scan->job.state, QS_JOB_CANCELLED);
}

/* Half of it in 60 s, then a tenth in 4 s. */
static void
the_time_left_goes_by_the_last_seconds(void **state)
{
    struct ui *ui = *state;
    struct ui_task *t = add_task(ui, "scan", QS_JOB_PAUSED);
    t->job.at.total = 100;
    t->job.started = 1;
    t->job.at.done = 2;
    t->job.held_since = 2;
    assert_true(isnan(ui_task_left(t)));
    const struct {
        int done;
        double seconds, left;
    } at[] = {{10, 12, 108}, {50, 60, 60}, {55, 62, 50}, {60, 64, 16}, {70, 66, 9}};
    for (size_t i = 0; i < QS_LEN(at); i++) {
        t->job.at.done = at[i].done;
        t->job.held_since = 1 + at[i].seconds;
        ui_task_went_on(t);
        if (fabs(ui_task_left(t) - at[i].left) > 0.01)
            fail_msg("after %g s: %g s left, not %g", at[i].seconds, ui_task_left(t), at[i].left);
    }
}

static void
metrics_stand_below_with_their_course(void **state)
{
    struct ui *ui = *state;
    struct ui_task *t = add_task(ui, "evaluate", QS_JOB_RUNNING);
    t->job.at.n_metric = 2;
    t->job.at.metric[0] = (struct qs_job_metric){
        .name = "top1", .value = 0.75, .history = {0, 0.25F, 0.5F}, .n_history = 3};
    t->job.at.metric[1] = (struct qs_job_metric){.name = "something_else", .value = 12345.678};
    ui_go(ui, UI_VIEW_JOBS);
    assert_shows(ui, "top1", "0.7500  _-+#");
    assert_shows(ui, "something_else", " 1.235e+04  _");
}

static void
the_cursor_stays_on_its_job(void **state)
{
    struct ui *ui = *state;
    const struct ui_key down = {.code = UI_KEY_DOWN};
    add_task(ui, "first", QS_JOB_DONE)->result = strdup("what came of the first");
    add_task(ui, "second", QS_JOB_DONE)->result = strdup("what came of the second");
    ui_go(ui, UI_VIEW_JOBS);
    assert_shows(ui, "-- second --", "");
    ui_draw(ui);
    ui_key(ui, &down);
    add_task(ui, "third", QS_JOB_QUEUED);
    ui_emit(ui, UI_EVENT_JOB);
    assert_shows(ui, "-- first --", "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_paused_job_stands_still, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_workbench_looks_up_does_not_wait, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_time_left_goes_by_the_last_seconds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(metrics_stand_below_with_their_course, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_cursor_stays_on_its_job, set_up, tear_down),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
