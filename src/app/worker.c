/* SPDX-License-Identifier: Apache-2.0 */
#include "app/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
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
    pthread_t *thread; /* one, and one for each job that was paused at the same time */
    int n_threads;
    pthread_mutex_t mutex; /* all below */
    pthread_cond_t more;
    int n_idle;            /* threads that wait for a job */
    struct qs_job *queue;  /* in the order they will run */
    struct qs_job *paused; /* each holds its thread */
    struct qs_job *running;
    struct event *first, *last;
    bool quit, woken; /* woken: a byte is in the pipe */
    int pipe[2];
    int next_id;
    int threads;
    uint64_t seed;
};

const char *
qs_job_state_name(enum qs_job_state state)
{
    static const char *const name[] = {N_("queued"), N_("running"), N_("paused"),
                                       N_("done"),   N_("failed"),  N_("cancelled")};
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
set_progress(struct qs_job_progress *at, const struct qs_event *ev)
{
    at->done = ev->done;
    at->total = ev->total;
    snprintf(at->what, sizeof(at->what), "%s", ev->text ? ev->text : "");
}

/* NULL: there is no room for another. */
static struct qs_job_metric *
metric_named(struct qs_job_progress *at, const char *name)
{
    for (int i = 0; i < at->n_metric; i++)
        if (strncmp(at->metric[i].name, name, sizeof(at->metric[i].name) - 1) == 0)
            return &at->metric[i];
    if (at->n_metric == QS_JOB_METRICS)
        return NULL;
    struct qs_job_metric *m = &at->metric[at->n_metric++];
    *m = (struct qs_job_metric){.stride = 1};
    snprintf(m->name, sizeof(m->name), "%s", name);
    return m;
}

/* The history covers all values whatever their number: when it is full every other one goes. */
static void
add_value(struct qs_job_metric *m, double value)
{
    if (m->n % m->stride == 0 && m->n_history == QS_JOB_HISTORY) {
        for (int i = 0; i < QS_JOB_HISTORY / 2; i++)
            m->history[i] = m->history[2 * i];
        m->n_history = QS_JOB_HISTORY / 2;
        m->stride *= 2;
    }
    if (m->n % m->stride == 0)
        m->history[m->n_history++] = (float)value;
    m->value = value;
    m->n++;
}

static void
set_metric(struct qs_job_progress *at, const struct qs_event *ev)
{
    struct qs_job_metric *m = metric_named(at, ev->text);
    if (m)
        add_value(m, ev->value);
}

static void
update(struct qs_job *job, void (*set)(struct qs_job_progress *at, const struct qs_event *ev),
       const struct qs_event *ev)
{
    struct qs_worker *w = job->worker;
    pthread_mutex_lock(&w->mutex);
    set(&job->live, ev);
    job->fresh = true;
    wake(w);
    pthread_mutex_unlock(&w->mutex);
}

static void
sink(void *arg, const struct qs_event *ev)
{
    struct qs_job *job = arg;
    switch (ev->kind) {
    case QS_EVENT_PROGRESS:
        update(job, set_progress, ev);
        break;
    case QS_EVENT_NOTE:
        post_simple(job, QS_JOB_NOTE, ev->text, 0);
        break;
    case QS_EVENT_WARNING:
        post_simple(job, QS_JOB_WARNING, ev->text, 0);
        break;
    case QS_EVENT_METRIC:
        update(job, set_metric, ev);
        break;
    }
}

static enum qs_job_state
final_state(enum qs_err err)
{
    return err == QS_OK ? QS_JOB_DONE : err == QS_ERR_CANCELLED ? QS_JOB_CANCELLED : QS_JOB_FAILED;
}

static bool
unlink_job(struct qs_job **list, struct qs_job *job)
{
    for (; *list; list = &(*list)->next)
        if (*list == job) {
            *list = job->next;
            return true;
        }
    return false;
}

static bool
is_held(const struct qs_job *job)
{
    return atomic_load(&job->cx.pause);
}

/* With the mutex held, when nothing runs: a job goes on, or a thread takes the next. */
static void
pass_on(struct qs_worker *w)
{
    struct qs_job *job = w->paused;
    while (job && !job->resuming)
        job = job->next;
    if (!job) {
        pthread_cond_signal(&w->more);
        return;
    }
    unlink_job(&w->paused, job);
    w->running = job;
    job->resuming = false;
    atomic_store(&job->cx.pause, false);
    post(w, &(struct event){.ev = {.kind = QS_JOB_STARTED, .job = job}});
}

/* With the mutex held, which is given up while the job runs. */
static void
run_job(struct qs_worker *w, struct qs_job *job)
{
    w->running = job;
    post(w, &(struct event){.ev = {.kind = QS_JOB_STARTED, .job = job}});
    pthread_mutex_unlock(&w->mutex);
    enum qs_err err = qs_check_cancel(&job->cx);
    if (!err)
        err = job->run(&job->cx, job);
    pthread_mutex_lock(&w->mutex);
    post(w,
         &(struct event){.ev = {.kind = QS_JOB_FINISHED, .job = job}, .state = final_state(err)});
    /* one that was paused may end all the same, when it looked at the flag no more */
    if (!unlink_job(&w->paused, job)) {
        w->running = NULL;
        pass_on(w);
    }
}

/* With the mutex held: out of the queue; NULL: none may run. */
static struct qs_job *
next_job(struct qs_worker *w)
{
    struct qs_job *job = w->running ? NULL : w->queue;
    while (job && is_held(job))
        job = job->next;
    if (job)
        unlink_job(&w->queue, job);
    return job;
}

static void *
work(void *arg)
{
    struct qs_worker *w = arg;
    pthread_mutex_lock(&w->mutex);
    while (!w->quit) {
        struct qs_job *job = next_job(w);
        if (job) {
            run_job(w, job);
            continue;
        }
        w->n_idle++;
        pthread_cond_wait(&w->more, &w->mutex);
        w->n_idle--;
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
    w->thread = qs_xrealloc(w->thread, (size_t)(w->n_threads + 1) * sizeof(*w->thread));
    const int rc = pthread_create(&w->thread[w->n_threads], NULL, work, w);
    w->n_threads += rc == 0;
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
    free(w->thread);
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
    for (struct qs_job *job = w->paused; job; job = job->next)
        atomic_store(&job->cx.cancel, true);
    pthread_cond_broadcast(&w->more);
    pthread_mutex_unlock(&w->mutex);
    for (int i = 0; i < w->n_threads; i++)
        pthread_join(w->thread[i], NULL);
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
    if (unlink_job(&w->queue, job))
        post(w, &(struct event){.ev = {.kind = QS_JOB_FINISHED, .job = job},
                                .state = QS_JOB_CANCELLED});
    pthread_mutex_unlock(&w->mutex);
}

static bool
is_over(const struct qs_job *job)
{
    return job->state != QS_JOB_QUEUED && job->state != QS_JOB_RUNNING &&
           job->state != QS_JOB_PAUSED;
}

void
qs_worker_pause(struct qs_worker *w, struct qs_job *job)
{
    if (is_over(job) || job->state == QS_JOB_PAUSED)
        return;
    pthread_mutex_lock(&w->mutex);
    atomic_store(&job->cx.pause, true);
    job->resuming = false;
    if (job == w->running) {
        w->running = NULL;
        job->next = w->paused;
        w->paused = job;
        if (w->n_idle == 0)
            (void)start_thread(w); /* without it the others wait */
        pass_on(w);
    }
    pthread_mutex_unlock(&w->mutex);
    job->state = QS_JOB_PAUSED;
    if (job->held_since <= 0)
        job->held_since = now();
}

/* What the owner sees when a pause ends. */
static void
go_on(struct qs_job *job)
{
    if (job->held_since > 0 && job->started > 0)
        job->held += now() - fmax(job->held_since, job->started);
    job->held_since = 0;
}

void
qs_worker_resume(struct qs_worker *w, struct qs_job *job)
{
    if (job->state != QS_JOB_PAUSED)
        return;
    job->state = QS_JOB_QUEUED; /* until it says that it started */
    pthread_mutex_lock(&w->mutex);
    bool stands = false;
    for (const struct qs_job *p = w->paused; p; p = p->next)
        stands = stands || p == job;
    if (stands)
        job->resuming = true;
    else
        atomic_store(&job->cx.pause, false);
    if (!w->running)
        pass_on(w);
    pthread_mutex_unlock(&w->mutex);
}

double
qs_job_seconds(const struct qs_job *job)
{
    if (job->started <= 0)
        return 0;
    const double end = is_over(job) ? job->ended : job->held_since > 0 ? job->held_since : now();
    return fmax(end - job->started - job->held, 0);
}

static void
drain_pipe(struct qs_worker *w)
{
    char bytes[16];
    while (read(w->pipe[0], bytes, sizeof(bytes)) > 0)
        ;
    w->woken = false;
}

/* With the mutex held: what the owner sees of how far it is. */
static void
take_live(struct qs_job *job)
{
    job->fresh = false;
    job->at = job->live;
}

/* With the mutex held. */
static bool
take_progress(struct qs_worker *w, struct qs_job_event *ev)
{
    struct qs_job *job = w->running && w->running->fresh ? w->running : w->paused;
    while (job && !job->fresh)
        job = job->next;
    if (!job)
        return false;
    take_live(job);
    *ev = (struct qs_job_event){.kind = QS_JOB_PROGRESS, .job = job};
    return true;
}

/* What the owner sees of the job changes when the owner takes the event. */
static void
apply(const struct event *e)
{
    struct qs_job *job = e->ev.job;
    if (e->ev.kind == QS_JOB_STARTED) {
        if (job->started <= 0)
            job->started = now();
        if (is_held(job))
            return;
        job->state = QS_JOB_RUNNING;
        go_on(job);
    } else if (e->ev.kind == QS_JOB_FINISHED) {
        go_on(job);
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
        if (e->ev.kind == QS_JOB_FINISHED)
            take_live(e->ev.job);
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
    bool idle = !w->running && !w->first;
    for (const struct qs_job *job = w->queue; job; job = job->next)
        idle = idle && is_held(job);
    pthread_mutex_unlock(&w->mutex);
    return idle;
}
