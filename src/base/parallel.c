/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parallel.h"

#include <pthread.h>
#include <stdio.h>

struct loop {
    struct qs_ctx *cx;
    enum qs_err (*body)(struct qs_ctx *cx, void *arg, int64_t i);
    void *arg;
    int64_t n;
    atomic_llong next;
    atomic_bool stop;
    pthread_mutex_t lock; /* guards the message of cx */
};

static void *
work(void *arg)
{
    struct loop *l = arg;
    struct qs_ctx cx;
    qs_ctx_init_child(&cx, l->cx);
    while (!atomic_load(&l->stop) && !atomic_load(&l->cx->cancel)) {
        const int64_t i = atomic_fetch_add(&l->next, 1);
        if (i >= l->n)
            break;
        if (l->body(&cx, l->arg, i) == QS_OK)
            continue;
        atomic_store(&l->stop, true);
        pthread_mutex_lock(&l->lock);
        (void)qs_fail(l->cx, cx.err, "%s", qs_message(&cx));
        pthread_mutex_unlock(&l->lock);
    }
    return NULL;
}

enum qs_err
qs_parallel_for(struct qs_ctx *cx, int64_t n,
                enum qs_err (*body)(struct qs_ctx *cx, void *arg, int64_t i), void *arg)
{
    enum { MOST = 256 };
    struct loop l = {.cx = cx, .body = body, .arg = arg, .n = n};
    pthread_t thread[MOST];
    int started = 0;
    pthread_mutex_init(&l.lock, NULL);
    const int64_t want = cx->threads - 1 < n - 1 ? cx->threads - 1 : n - 1;
    while (started < want && started < MOST &&
           pthread_create(&thread[started], NULL, work, &l) == 0)
        started++;
    work(&l);
    while (started > 0)
        pthread_join(thread[--started], NULL);
    pthread_mutex_destroy(&l.lock);
    return cx->err != QS_OK ? cx->err : qs_check_cancel(cx);
}
