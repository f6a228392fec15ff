/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/worker.h"

struct job {
    struct qs_job job;
    int n;                /* steps */
    int steps_done;       /* read after the job has ended */
    atomic_bool *go;      /* waits for it; NULL: does not */
    int *order, *n_order; /* where it notes that it ran */
};

static enum qs_err
count(struct qs_ctx *cx, struct qs_job *j)
{
    struct job *job = (struct job *)j;
    while (job->go && !atomic_load(job->go))
        if (qs_check_cancel(cx) != QS_OK)
            return cx->err;
    for (int i = 0; i < job->n; i++) {
        if (qs_check_cancel(cx) != QS_OK)
            return cx->err;
        job->steps_done++;
        qs_progress(cx, "steps", i + 1, job->n);
        qs_job_item(j, i);
    }
    if (job->order)
        job->order[(*job->n_order)++] = j->id;
    return QS_OK;
}

static enum qs_err
fail_job(struct qs_ctx *cx, struct qs_job *j)
{
    (void)j;
    qs_warn(cx, "about to fail");
    return qs_fail(cx, QS_ERR_FORMAT, "bad thing '%d'", 7);
}

static struct qs_worker *
new_worker(void)
{
    struct qs_ctx cx;
    struct qs_worker *w = NULL;
    qs_ctx_init(&cx);
    assert_int_equal(qs_worker_new(&cx, &w), QS_OK);
    return w;
}

/* Until there is something to take. */
static void
wait_for(struct qs_worker *w)
{
    struct pollfd p = {.fd = qs_worker_fd(w), .events = POLLIN};
    assert_true(poll(&p, 1, 60000) > 0);
}

static void
take_one(struct qs_worker *w, struct qs_job_event *ev)
{
    while (!qs_worker_take(w, ev))
        wait_for(w);
}

/* Submits a job and takes one event, which says that it runs. */
static void
start(struct qs_worker *w, struct qs_job *job)
{
    struct qs_job_event ev;
    qs_worker_submit(w, job);
    take_one(w, &ev);
    assert_int_equal(ev.kind, QS_JOB_STARTED);
    assert_ptr_equal(ev.job, job);
}

struct seen {
    int started, progress, items, warnings, finished;
    int64_t last_item;
    char warning[64];
};

/* Takes events until the worker has nothing left. */
static void
run_all(struct qs_worker *w, struct seen *seen)
{
    struct qs_job_event ev;
    for (;;) {
        while (qs_worker_take(w, &ev)) {
            seen->started += ev.kind == QS_JOB_STARTED;
            seen->progress += ev.kind == QS_JOB_PROGRESS;
            seen->finished += ev.kind == QS_JOB_FINISHED;
            if (ev.kind == QS_JOB_ITEM) {
                seen->items++;
                seen->last_item = ev.item;
            }
            if (ev.kind == QS_JOB_WARNING) {
                seen->warnings++;
                strncpy(seen->warning, ev.text, sizeof(seen->warning) - 1);
            }
            free(ev.text);
        }
        if (qs_worker_idle(w))
            return;
        wait_for(w);
    }
}

static void
a_job_runs_and_tells_of_it(void **state)
{
    struct qs_worker *w = new_worker();
    struct job job = {.job.run = count, .n = 5};
    struct seen seen = {0};
    (void)state;
    qs_worker_submit(w, &job.job);
    run_all(w, &seen);
    assert_int_equal(job.job.state, QS_JOB_DONE);
    assert_int_equal(job.steps_done, 5);
    assert_int_equal(seen.started, 1);
    assert_int_equal(seen.finished, 1);
    assert_int_equal(seen.items, 5);
    assert_int_equal(seen.last_item, 4);
    qs_worker_free(w);
}

static void
progress_is_merged(void **state)
{
    enum { STEPS = 20000 };
    struct qs_worker *w = new_worker();
    atomic_bool go = false;
    struct job job = {.job.run = count, .n = STEPS, .go = &go};
    struct job last = {.job.run = count};
    struct qs_job_event ev;
    int progress = 0;
    bool ended = false;
    (void)state;
    qs_worker_submit(w, &job.job);
    qs_worker_submit(w, &last.job);
    atomic_store(&go, true);
    /* nothing is taken until all is over: what was not taken must not pile up */
    while (!ended) {
        wait_for(w);
        while (qs_worker_take(w, &ev)) {
            progress += ev.kind == QS_JOB_PROGRESS;
            ended = ended || (ev.kind == QS_JOB_FINISHED && ev.job == &last.job);
        }
    }
    assert_int_equal(job.steps_done, STEPS);
    assert_true(progress < STEPS);
    qs_worker_free(w);
}

static void
a_failure_keeps_its_message(void **state)
{
    struct qs_worker *w = new_worker();
    struct job job = {.job.run = fail_job};
    struct seen seen = {0};
    (void)state;
    qs_worker_submit(w, &job.job);
    run_all(w, &seen);
    assert_int_equal(job.job.state, QS_JOB_FAILED);
    assert_int_equal(job.job.cx.err, QS_ERR_FORMAT);
    assert_string_equal(qs_message(&job.job.cx), "bad thing '7'");
    assert_int_equal(seen.warnings, 1);
    assert_string_equal(seen.warning, "about to fail");
    qs_worker_free(w);
}

static void
a_running_job_is_cancelled(void **state)
{
    struct qs_worker *w = new_worker();
    atomic_bool go = false;
    struct job job = {.job.run = count, .n = 1, .go = &go};
    struct seen seen = {0};
    (void)state;
    start(w, &job.job);
    qs_worker_cancel(w, &job.job);
    run_all(w, &seen);
    assert_int_equal(job.job.state, QS_JOB_CANCELLED);
    assert_int_equal(job.steps_done, 0);
    qs_worker_free(w);
}

static void
a_waiting_job_is_cancelled_without_running(void **state)
{
    struct qs_worker *w = new_worker();
    atomic_bool go = false;
    struct job first = {.job.run = count, .go = &go}, second = {.job.run = count, .n = 3};
    struct seen seen = {0};
    (void)state;
    qs_worker_submit(w, &first.job);
    qs_worker_submit(w, &second.job);
    qs_worker_cancel(w, &second.job);
    atomic_store(&go, true);
    run_all(w, &seen);
    assert_int_equal(second.job.state, QS_JOB_CANCELLED);
    assert_int_equal(second.steps_done, 0);
    assert_int_equal(first.job.state, QS_JOB_DONE);
    assert_int_equal(seen.finished, 2);
    qs_worker_free(w);
}

static void
background_jobs_let_others_pass(void **state)
{
    struct qs_worker *w = new_worker();
    atomic_bool go = false;
    int order[4] = {0}, n = 0;
    struct job job[4] = {
        {.job.run = count, .go = &go},
        {.job.run = count, .job.background = true, .order = order, .n_order = &n},
        {.job.run = count, .order = order, .n_order = &n},
        {.job.run = count, .order = order, .n_order = &n},
    };
    struct seen seen = {0};
    (void)state;
    for (int i = 0; i < 4; i++)
        qs_worker_submit(w, &job[i].job);
    atomic_store(&go, true);
    run_all(w, &seen);
    assert_int_equal(n, 3);
    assert_int_equal(order[0], job[2].job.id);
    assert_int_equal(order[1], job[3].job.id);
    assert_int_equal(order[2], job[1].job.id);
    qs_worker_free(w);
}

static void
ending_the_worker_stops_what_runs(void **state)
{
    struct qs_worker *w = new_worker();
    atomic_bool go = false; /* never */
    struct job running = {.job.run = count, .go = &go}, waiting = {.job.run = count, .n = 1};
    (void)state;
    qs_worker_submit(w, &running.job);
    qs_worker_submit(w, &waiting.job);
    qs_worker_free(w);
    assert_int_equal(waiting.steps_done, 0);
}

/* Metrics */

struct metric_job {
    struct qs_job job;
    int n; /* values of each */
};

static enum qs_err
report(struct qs_ctx *cx, struct qs_job *j)
{
    char name[16];
    for (int i = 0; i < ((struct metric_job *)j)->n; i++) {
        qs_report_metric(cx, "top1", i);
        qs_report_metric(cx, "loss", -i);
    }
    for (int i = 0; i < 2 * QS_JOB_METRICS; i++) {
        snprintf(name, sizeof(name), "m%d", i);
        qs_report_metric(cx, name, i);
    }
    return QS_OK;
}

static void
metrics_keep_the_latest_value_of_each_name(void **state)
{
    struct qs_worker *w = new_worker();
    struct metric_job job = {.job.run = report, .n = 5};
    struct seen seen = {0};
    (void)state;
    qs_worker_submit(w, &job.job);
    run_all(w, &seen);
    const struct qs_job_progress *at = &job.job.at;
    assert_int_equal(at->n_metric, QS_JOB_METRICS);
    assert_string_equal(at->metric[0].name, "top1");
    assert_true(at->metric[0].value == 4);
    assert_string_equal(at->metric[1].name, "loss");
    assert_true(at->metric[1].value == -4);
    assert_string_equal(at->metric[2].name, "m0");
    assert_int_equal(at->metric[0].n_history, 5);
    for (int i = 0; i < 5; i++)
        assert_true(at->metric[0].history[i] == (float)i);
    qs_worker_free(w);
}

static void
a_history_covers_all_values_in_bounded_room(void **state)
{
    enum { VALUES = 10000 };
    struct qs_worker *w = new_worker();
    struct metric_job job = {.job.run = report, .n = VALUES};
    struct seen seen = {0};
    (void)state;
    qs_worker_submit(w, &job.job);
    run_all(w, &seen);
    const struct qs_job_metric *m = &job.job.at.metric[0];
    assert_int_equal(m->n, VALUES);
    assert_true(m->value == VALUES - 1);
    assert_in_range(m->n_history, QS_JOB_HISTORY / 2, QS_JOB_HISTORY);
    for (int i = 0; i < m->n_history; i++)
        assert_true(m->history[i] == (float)(i * m->stride));
    assert_true(m->stride * m->n_history >= VALUES);
    qs_worker_free(w);
}

/* Pause */

static void
a_paused_job_lets_others_pass_and_goes_on(void **state)
{
    struct qs_worker *w = new_worker();
    atomic_bool go = false;
    struct job first = {.job.run = count, .n = 2, .go = &go}, second = {.job.run = count, .n = 3};
    struct qs_job_event ev;
    struct seen seen = {0};
    (void)state;
    qs_worker_submit(w, &first.job);
    qs_worker_submit(w, &second.job);
    take_one(w, &ev);
    qs_worker_pause(w, &first.job);
    assert_int_equal(first.job.state, QS_JOB_PAUSED);
    run_all(w, &seen); /* idle: a paused job is nothing to wait for */
    assert_int_equal(second.job.state, QS_JOB_DONE);
    assert_int_equal(first.job.state, QS_JOB_PAUSED);
    assert_int_equal(seen.finished, 1);
    atomic_store(&go, true);
    qs_worker_resume(w, &first.job);
    run_all(w, &seen);
    assert_int_equal(first.job.state, QS_JOB_DONE);
    assert_int_equal(first.steps_done, 2);
    qs_worker_free(w);
}

static void
a_job_goes_on_only_when_no_other_runs(void **state)
{
    struct qs_worker *w = new_worker();
    atomic_bool go_first = false, go_second = false;
    struct job first = {.job.run = count, .n = 1, .go = &go_first};
    struct job second = {.job.run = count, .n = 1, .go = &go_second};
    struct qs_job_event ev;
    struct seen seen = {0};
    (void)state;
    start(w, &first.job);
    qs_worker_pause(w, &first.job);
    start(w, &second.job);
    atomic_store(&go_first, true);
    qs_worker_resume(w, &first.job);
    assert_int_equal(first.job.state, QS_JOB_QUEUED);
    assert_false(qs_worker_idle(w));
    atomic_store(&go_second, true);
    while (second.job.state != QS_JOB_DONE) {
        take_one(w, &ev);
        assert_true(first.job.state != QS_JOB_RUNNING || second.job.state == QS_JOB_DONE);
    }
    run_all(w, &seen);
    assert_int_equal(first.job.state, QS_JOB_DONE);
    qs_worker_free(w);
}

static void
pauses_do_not_count_in_the_time(void **state)
{
    struct qs_worker *w = new_worker();
    atomic_bool go = false;
    struct job job = {.job.run = count, .go = &go};
    struct seen seen = {0};
    (void)state;
    start(w, &job.job);
    qs_worker_pause(w, &job.job);
    const double before = qs_job_seconds(&job.job);
    assert_true(poll(NULL, 0, 30) == 0);
    assert_true(qs_job_seconds(&job.job) == before);
    atomic_store(&go, true);
    qs_worker_resume(w, &job.job);
    run_all(w, &seen);
    assert_true(job.job.held >= 0.03);
    assert_true(qs_job_seconds(&job.job) <= job.job.ended - job.job.started - 0.03);
    qs_worker_free(w);
}

static void
a_waiting_job_is_held(void **state)
{
    struct qs_worker *w = new_worker();
    atomic_bool go = false;
    struct job first = {.job.run = count, .go = &go}, second = {.job.run = count, .n = 3};
    struct seen seen = {0};
    (void)state;
    qs_worker_submit(w, &first.job);
    qs_worker_submit(w, &second.job);
    qs_worker_pause(w, &second.job);
    atomic_store(&go, true);
    run_all(w, &seen);
    assert_int_equal(second.job.state, QS_JOB_PAUSED);
    assert_int_equal(second.steps_done, 0);
    qs_worker_resume(w, &second.job);
    run_all(w, &seen);
    assert_int_equal(second.job.state, QS_JOB_DONE);
    assert_int_equal(second.steps_done, 3);
    qs_worker_free(w);
}

static void
a_paused_job_is_cancelled(void **state)
{
    struct qs_worker *w = new_worker();
    atomic_bool go = false; /* never */
    struct job job = {.job.run = count, .go = &go};
    struct qs_job_event ev;
    (void)state;
    start(w, &job.job);
    qs_worker_pause(w, &job.job);
    qs_worker_cancel(w, &job.job);
    do
        take_one(w, &ev);
    while (ev.kind != QS_JOB_FINISHED);
    assert_int_equal(job.job.state, QS_JOB_CANCELLED);
    qs_worker_free(w);
}

static void
ending_the_worker_stops_what_is_paused(void **state)
{
    struct qs_worker *w = new_worker();
    atomic_bool go = false; /* never */
    struct job job[3] = {{.job.run = count, .go = &go},
                         {.job.run = count, .go = &go},
                         {.job.run = count, .go = &go}};
    (void)state;
    for (int i = 0; i < 3; i++) {
        start(w, &job[i].job);
        qs_worker_pause(w, &job[i].job);
    }
    qs_worker_resume(w, &job[1].job);
    qs_worker_free(w);
    for (int i = 0; i < 3; i++)
        assert_int_equal(job[i].steps_done, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_runs_and_tells_of_it),
        cmocka_unit_test(progress_is_merged),
        cmocka_unit_test(a_failure_keeps_its_message),
        cmocka_unit_test(a_running_job_is_cancelled),
        cmocka_unit_test(a_waiting_job_is_cancelled_without_running),
        cmocka_unit_test(background_jobs_let_others_pass),
        cmocka_unit_test(ending_the_worker_stops_what_runs),
        cmocka_unit_test(metrics_keep_the_latest_value_of_each_name),
        cmocka_unit_test(a_history_covers_all_values_in_bounded_room),
        cmocka_unit_test(a_paused_job_lets_others_pass_and_goes_on),
        cmocka_unit_test(a_job_goes_on_only_when_no_other_runs),
        cmocka_unit_test(pauses_do_not_count_in_the_time),
        cmocka_unit_test(a_waiting_job_is_held),
        cmocka_unit_test(a_paused_job_is_cancelled),
        cmocka_unit_test(ending_the_worker_stops_what_is_paused),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
