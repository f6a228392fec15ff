/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Context of one task: what went wrong, where events go, whether to stop, how many threads.
 * One context per thread of control; nothing in it is global. The cancel flag alone may be
 * set from another thread or a signal handler.
 */
#ifndef QS_BASE_CTX_H
#define QS_BASE_CTX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum qs_event_kind {
    QS_EVENT_PROGRESS, /* done of total units of `text` */
    QS_EVENT_NOTE,     /* a line the user should see */
    QS_EVENT_WARNING,  /* a line the user must see */
    QS_EVENT_METRIC,   /* `value` of the metric `text` so far */
};

struct qs_event {
    enum qs_event_kind kind;
    const char *text; /* borrowed for the call */
    int64_t done, total;
    double value;
};

struct qs_ctx {
    char message[1024]; /* the first failure since the last qs_clear; empty: none */
    enum qs_err err;    /* its code */
    atomic_bool cancel; /* polled by long work per layer and per batch */
    atomic_bool pause;  /* qs_check_cancel waits while it is set */
    int threads;        /* at least 1 */
    uint64_t seed;
    void (*sink)(void *sink_arg, const struct qs_event *ev); /* NULL: events are dropped */
    void *sink_arg;
};

/* threads = cores this process may use; everything else empty. */
void qs_ctx_init(struct qs_ctx *cx);

/* A child context for work done on behalf of `parent` in another thread: same threads, seed. */
void qs_ctx_init_child(struct qs_ctx *cx, const struct qs_ctx *parent);

/* Records a failure and returns its code: `return qs_fail(cx, QS_ERR_FORMAT, ...)`. The first
 * message wins; what is longer than the buffer is cut at a character. Control characters of the
 * message (they may come from a hostile file) are replaced by '?'. */
enum qs_err qs_fail(struct qs_ctx *cx, enum qs_err err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "<prefix>: " before the recorded message; returns the recorded code. */
enum qs_err qs_prefix(struct qs_ctx *cx, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Forgets the recorded failure. */
void qs_clear(struct qs_ctx *cx);

/* The recorded sentence, or the generic one of the code. */
const char *qs_message(const struct qs_ctx *cx);

void qs_progress(struct qs_ctx *cx, const char *what, int64_t done, int64_t total);
void qs_report_metric(struct qs_ctx *cx, const char *name, double value);
void qs_note(struct qs_ctx *cx, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void qs_warn(struct qs_ctx *cx, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* QS_ERR_CANCELLED (recorded) when the user asked to stop, QS_OK otherwise. Waits as long as the
 * work is paused. */
enum qs_err qs_check_cancel(struct qs_ctx *cx) QS_MUST_CHECK;

#endif
