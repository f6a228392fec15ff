/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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
        struct pollfd p = {.fd = qs_worker_fd(w), .events = POLLIN};
        assert_true(poll(&p, 1, 60000) > 0);
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
        struct pollfd p = {.fd = qs_worker_fd(w), .events = POLLIN};
        assert_true(poll(&p, 1, 60000) > 0);
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
    struct qs_job_event ev;
    struct seen seen = {0};
    (void)state;
    qs_worker_submit(w, &job.job);
    do {
        struct pollfd p = {.fd = qs_worker_fd(w), .events = POLLIN};
        assert_true(poll(&p, 1, 60000) > 0);
    } while (!qs_worker_take(w, &ev));
    assert_int_equal(ev.kind, QS_JOB_STARTED);
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
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
