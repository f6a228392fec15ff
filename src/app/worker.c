/* SPDX-License-Identifier: Apache-2.0 */
#include "app/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/i18n.h"
#include "base/mem.h"

struct event {
    struct qs_job_event ev;
    enum qs_job_state state; /* of a finished job */
    struct event *next;
};

struct qs_worker {
    pthread_t thread;
    pthread_mutex_t mutex; /* all below */
    pthread_cond_t more;
    struct qs_job *queue; /* in the order they will run */
    struct qs_job *running;
    struct event *first, *last;
    /* latest progress of the running job */
    struct {
        bool fresh;
        int64_t done, total;
        char what[96];
    } progress;
    bool quit, woken; /* woken: a byte is in the pipe */
    int pipe[2];
    int next_id;
    int threads;
    uint64_t seed;
};

const char *
qs_job_state_name(enum qs_job_state state)
{
    static const char *const name[] = {N_("queued"), N_("running"), N_("done"), N_("failed"),
                                       N_("cancelled")};
    return name[state];
}

static double
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* With the mutex held. */
static void
wake(struct qs_worker *w)
{
    if (w->woken)
        return;
    w->woken = true;
    ssize_t n;
    do
        n = write(w->pipe[1], "", 1);
    while (n < 0 && errno == EINTR);
}

/* With the mutex held. */
static void
post(struct qs_worker *w, const struct event *ev)
{
    struct event *e = qs_xmalloc(sizeof(*e));
    *e = *ev;
    e->next = NULL;
    if (w->last)
        w->last->next = e;
    else
        w->first = e;
    w->last = e;
    wake(w);
}

static void
post_simple(struct qs_job *job, enum qs_job_event_kind kind, const char *text, int64_t item)
{
    struct qs_worker *w = job->worker;
    const struct event ev = {
        .ev = {.kind = kind, .job = job, .text = text ? qs_xstrdup(text) : NULL, .item = item}};
    pthread_mutex_lock(&w->mutex);
    post(w, &ev);
    pthread_mutex_unlock(&w->mutex);
}

void
qs_job_item(struct qs_job *job, int64_t item)
{
    post_simple(job, QS_JOB_ITEM, NULL, item);
}

static void
set_progress(struct qs_worker *w, const struct qs_event *ev)
{
    pthread_mutex_lock(&w->mutex);
    w->progress.fresh = true;
    w->progress.done = ev->done;
    w->progress.total = ev->total;
    snprintf(w->progress.what, sizeof(w->progress.what), "%s", ev->text ? ev->text : "");
    wake(w);
    pthread_mutex_unlock(&w->mutex);
}

static void
sink(void *arg, const struct qs_event *ev)
{
    struct qs_job *job = arg;
    switch (ev->kind) {
    case QS_EVENT_PROGRESS:
        set_progress(job->worker, ev);
        break;
    case QS_EVENT_NOTE:
        post_simple(job, QS_JOB_NOTE, ev->text, 0);
        break;
    case QS_EVENT_WARNING:
        post_simple(job, QS_JOB_WARNING, ev->text, 0);
        break;
    case QS_EVENT_METRIC:
        break;
    }
}

static enum qs_job_state
final_state(enum qs_err err)
{
    return err == QS_OK ? QS_JOB_DONE : err == QS_ERR_CANCELLED ? QS_JOB_CANCELLED : QS_JOB_FAILED;
}

/* With the mutex held, which is given up while the job runs. */
static void
run_job(struct qs_worker *w, struct qs_job *job)
{
    w->running = job;
    w->progress.fresh = false;
    post(w, &(struct event){.ev = {.kind = QS_JOB_STARTED, .job = job}});
    pthread_mutex_unlock(&w->mutex);
    enum qs_err err = qs_check_cancel(&job->cx);
    if (!err)
        err = job->run(&job->cx, job);
    pthread_mutex_lock(&w->mutex);
    w->running = NULL;
    w->progress.fresh = false;
    post(w,
         &(struct event){.ev = {.kind = QS_JOB_FINISHED, .job = job}, .state = final_state(err)});
}

static void *
work(void *arg)
{
    struct qs_worker *w = arg;
    pthread_mutex_lock(&w->mutex);
    while (!w->quit) {
        struct qs_job *job = w->queue;
        if (!job) {
            pthread_cond_wait(&w->more, &w->mutex);
            continue;
        }
        w->queue = job->next;
        run_job(w, job);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

/* Signals are for the thread that has the terminal, but for those of a fault: blocked, they would
 * end the program without its handlers. */
static int
start_thread(struct qs_worker *w)
{
    static const int fault[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    sigset_t all, old;
    sigfillset(&all);
    for (size_t i = 0; i < QS_LEN(fault); i++)
        sigdelset(&all, fault[i]);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    const int rc = pthread_create(&w->thread, NULL, work, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc;
}

static void
destroy(struct qs_worker *w)
{
    close(w->pipe[0]);
    close(w->pipe[1]);
    pthread_cond_destroy(&w->more);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

enum qs_err
qs_worker_new(struct qs_ctx *cx, struct qs_worker **out)
{
    struct qs_worker *w = qs_xcalloc(1, sizeof(*w));
    w->threads = cx->threads;
    w->seed = cx->seed;
    if (pipe2(w->pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
        free(w);
        return qs_fail(cx, QS_ERR_IO, _("cannot make a pipe: %s"), strerror(errno));
    }
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->more, NULL);
    const int rc = start_thread(w);
    if (rc != 0) {
        destroy(w);
        return qs_fail(cx, QS_ERR_FAILED, _("cannot start a thread: %s"), strerror(rc));
    }
    *out = w;
    return QS_OK;
}

void
qs_worker_free(struct qs_worker *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->mutex);
    w->quit = true;
    if (w->running)
        atomic_store(&w->running->cx.cancel, true);
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->mutex);
    pthread_join(w->thread, NULL);
    while (w->first) {
        struct event *e = w->first;
        w->first = e->next;
        free(e->ev.text);
        free(e);
    }
    destroy(w);
}

int
qs_worker_fd(const struct qs_worker *w)
{
    return w->pipe[0];
}

/* With the mutex held. Background jobs stand at the end, others before the first of those. */
static void
enqueue(struct qs_worker *w, struct qs_job *job)
{
    struct qs_job **at = &w->queue;
    while (*at && (job->background || !(*at)->background))
        at = &(*at)->next;
    job->next = *at;
    *at = job;
}

void
qs_worker_submit(struct qs_worker *w, struct qs_job *job)
{
    qs_ctx_init(&job->cx);
    job->cx.threads = w->threads;
    job->cx.seed = w->seed;
    job->cx.sink = sink;
    job->cx.sink_arg = job;
    job->worker = w;
    job->state = QS_JOB_QUEUED;
    job->queued = now();
    job->id = ++w->next_id;
    pthread_mutex_lock(&w->mutex);
    enqueue(w, job);
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->mutex);
}

void
qs_worker_cancel(struct qs_worker *w, struct qs_job *job)
{
    pthread_mutex_lock(&w->mutex);
    atomic_store(&job->cx.cancel, true);
    for (struct qs_job **at = &w->queue; *at; at = &(*at)->next)
        if (*at == job) {
            *at = job->next;
            post(w, &(struct event){.ev = {.kind = QS_JOB_FINISHED, .job = job},
                                    .state = QS_JOB_CANCELLED});
            break;
        }
    pthread_mutex_unlock(&w->mutex);
}

static void
drain_pipe(struct qs_worker *w)
{
    char bytes[16];
    while (read(w->pipe[0], bytes, sizeof(bytes)) > 0)
        ;
    w->woken = false;
}

/* With the mutex held. */
static bool
take_progress(struct qs_worker *w, struct qs_job_event *ev)
{
    if (!w->progress.fresh || !w->running)
        return false;
    struct qs_job *job = w->running;
    w->progress.fresh = false;
    job->done = w->progress.done;
    job->total = w->progress.total;
    memcpy(job->what, w->progress.what, sizeof(job->what));
    *ev = (struct qs_job_event){.kind = QS_JOB_PROGRESS, .job = job};
    return true;
}

/* What the owner sees of the job changes when the owner takes the event. */
static void
apply(const struct event *e)
{
    struct qs_job *job = e->ev.job;
    if (e->ev.kind == QS_JOB_STARTED) {
        job->state = QS_JOB_RUNNING;
        job->started = now();
    } else if (e->ev.kind == QS_JOB_FINISHED) {
        job->state = e->state;
        job->ended = now();
    }
}

bool
qs_worker_take(struct qs_worker *w, struct qs_job_event *ev)
{
    bool taken = true;
    pthread_mutex_lock(&w->mutex);
    struct event *e = w->first;
    if (e) {
        w->first = e->next;
        if (!w->first)
            w->last = NULL;
    } else if (!take_progress(w, ev)) {
        drain_pipe(w);
        taken = false;
    }
    pthread_mutex_unlock(&w->mutex);
    if (e) {
        apply(e);
        *ev = e->ev;
        free(e);
    }
    return taken;
}

bool
qs_worker_idle(struct qs_worker *w)
{
    pthread_mutex_lock(&w->mutex);
    const bool idle = !w->queue && !w->running && !w->first;
    pthread_mutex_unlock(&w->mutex);
    return idle;
}
