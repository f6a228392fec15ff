/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The work of the workbench, beside its thread: jobs go down a queue, events come up another, a
 * byte in a pipe wakes who waits for them. One job runs at a time; one that is paused stands still
 * in a thread of its own and lets the others pass. What is shared is the two queues and the latest
 * progress of each job (under one mutex) and the flags of its context.
 *
 *     owner                                    worker
 *     qs_worker_submit(w, job)  ---queue--->   job->run(&job->cx, job)
 *     poll(qs_worker_fd(w))     <--pipe----      qs_progress(cx), qs_note(cx), qs_job_item(job, i)
 *     qs_worker_take(w, &ev)    <--events--
 *
 * A job belongs to who made it. From qs_worker_submit until its QS_JOB_FINISHED event was taken
 * the worker may touch `cx` and what `run` uses; the fields marked "owner" are only ever touched
 * by the owner's calls of qs_worker_take.
 */
#ifndef QS_APP_WORKER_H
#define QS_APP_WORKER_H

#include "base/ctx.h"

enum qs_job_state {
    QS_JOB_QUEUED,
    QS_JOB_RUNNING,
    QS_JOB_PAUSED,
    QS_JOB_DONE,
    QS_JOB_FAILED,
    QS_JOB_CANCELLED,
};
/* "queued", "running", ...: not translated. */
const char *qs_job_state_name(enum qs_job_state state);

/* A metric that a job reports (qs_report_metric) while it runs. */
enum { QS_JOB_METRICS = 8, QS_JOB_HISTORY = 32 };
struct qs_job_metric {
    char name[32];
    double value;                  /* the latest */
    int64_t n;                     /* values so far */
    float history[QS_JOB_HISTORY]; /* values 0, stride, 2 stride ...; oldest first */
    int n_history;
    int64_t stride; /* a power of two: doubled whenever the history is full */
};

/* How far a job is. */
struct qs_job_progress {
    int64_t done, total; /* of the last progress event */
    char what[96];
    struct qs_job_metric metric[QS_JOB_METRICS]; /* in the order they came; more are left out */
    int n_metric;
};

struct qs_worker;

struct qs_job {
    /* filled by the maker */
    enum qs_err (*run)(struct qs_ctx *cx, struct qs_job *job);
    bool background; /* runs when no other job waits */
    /* owner */
    int id; /* 1, 2, ... */
    enum qs_job_state state;
    struct qs_job_progress at;
    double queued, started, ended; /* seconds of the monotonic clock; 0: not yet */
    double held_since, held;       /* since when it is paused, 0: it is not; how long it was */
    /* message and code after QS_JOB_FINISHED; the cancel flag at any time (qs_worker_cancel) */
    struct qs_ctx cx;
    /* worker */
    struct qs_worker *worker;
    struct qs_job *next;
    struct qs_job_progress live;
    bool fresh;    /* live is newer than `at` */
    bool resuming; /* is to go on when nothing else runs */
};

enum qs_job_event_kind {
    QS_JOB_STARTED,  /* or went on after a pause */
    QS_JOB_PROGRESS, /* job->at; merged: the latest wins */
    QS_JOB_NOTE,     /* text */
    QS_JOB_WARNING,  /* text */
    QS_JOB_ITEM,     /* part `item` of the result is complete and may be read */
    QS_JOB_FINISHED, /* job->state says how */
};

struct qs_job_event {
    enum qs_job_event_kind kind;
    struct qs_job *job;
    char *text; /* malloc, NULL when there is none; the taker frees it */
    int64_t item;
};

/* Starts a thread; jobs get threads and seed of `cx`. */
enum qs_err qs_worker_new(struct qs_ctx *cx, struct qs_worker **out) QS_MUST_CHECK;
/* Cancels what runs, waits for it and ends the threads. Jobs still belong to their owner, who may
 * free them now. NULL is fine. */
void qs_worker_free(struct qs_worker *w);

/* Readable when events wait. */
int qs_worker_fd(const struct qs_worker *w);
void qs_worker_submit(struct qs_worker *w, struct qs_job *job);
/* Asks the job to stop; one that has not begun ends at once. Its QS_JOB_FINISHED comes as usual. */
void qs_worker_cancel(struct qs_worker *w, struct qs_job *job);
/* Holds the job where it next looks at the cancel flag, or before it begins; others run meanwhile.
 * Nothing happens to one that is over. */
void qs_worker_pause(struct qs_worker *w, struct qs_job *job);
/* Lets it go on, once nothing else runs: until then it is QS_JOB_QUEUED. */
void qs_worker_resume(struct qs_worker *w, struct qs_job *job);
/* The next event; false: none now. */
bool qs_worker_take(struct qs_worker *w, struct qs_job_event *ev);
/* Nothing runs, waits to run or is left to take. Jobs may be paused. */
bool qs_worker_idle(struct qs_worker *w);

/* Seconds the job has run so far, or ran: pauses do not count. */
double qs_job_seconds(const struct qs_job *job);

/* Called by run(), from any of its threads: announces part `item`. */
void qs_job_item(struct qs_job *job, int64_t item);

#endif
