/* SPDX-License-Identifier: Apache-2.0 */
#include "base/team.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

enum { SPINS = 20000 }; /* some tens of microseconds */

struct member {
    struct qs_team *team;
    pthread_t thread;
    int number;
};

struct qs_team {
    int size;
    struct member *member; /* [size], 0 is the caller */
    /* the part in work */
    void (*body)(void *arg, int64_t i, int member);
    void *arg;
    int64_t n;
    atomic_llong next;
    atomic_int busy;  /* members that have not finished the part */
    atomic_uint part; /* counts parts */
    atomic_bool quit;
    /* for those who sleep */
    pthread_mutex_t lock;
    pthread_cond_t work;
    atomic_int asleep;
};

static void
pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void
take_items(struct qs_team *t, int number)
{
    for (;;) {
        const int64_t i = atomic_fetch_add_explicit(&t->next, 1, memory_order_relaxed);
        if (i >= t->n)
            return;
        t->body(t->arg, i, number);
    }
}

static bool
idle(struct qs_team *t, unsigned seen)
{
    return atomic_load(&t->part) == seen && !atomic_load(&t->quit);
}

static void
await_part(struct qs_team *t, unsigned seen)
{
    for (int i = 0; i < SPINS && idle(t, seen); i++)
        pause_briefly();
    if (!idle(t, seen))
        return;
    pthread_mutex_lock(&t->lock);
    atomic_fetch_add(&t->asleep, 1);
    while (idle(t, seen))
        pthread_cond_wait(&t->work, &t->lock);
    atomic_fetch_sub(&t->asleep, 1);
    pthread_mutex_unlock(&t->lock);
}

static void *
serve(void *arg)
{
    struct member *m = arg;
    struct qs_team *t = m->team;
    for (unsigned seen = 0;; seen++) {
        await_part(t, seen);
        if (atomic_load(&t->quit))
            return NULL;
        take_items(t, m->number);
        atomic_fetch_sub_explicit(&t->busy, 1, memory_order_release);
    }
}

static void
wake(struct qs_team *t)
{
    if (atomic_load(&t->asleep) == 0)
        return;
    pthread_mutex_lock(&t->lock);
    pthread_cond_broadcast(&t->work);
    pthread_mutex_unlock(&t->lock);
}

void
qs_team_run(struct qs_team *t, int64_t n, void (*body)(void *arg, int64_t i, int member),
            void *arg)
{
    if (t->size == 1 || n <= 1) {
        for (int64_t i = 0; i < n; i++)
            body(arg, i, 0);
        return;
    }
    t->body = body;
    t->arg = arg;
    t->n = n;
    atomic_store(&t->next, 0);
    atomic_store(&t->busy, t->size - 1);
    atomic_fetch_add(&t->part, 1);
    wake(t);
    take_items(t, 0);
    while (atomic_load_explicit(&t->busy, memory_order_acquire) > 0)
        pause_briefly();
}

struct qs_team *
qs_team_new(int threads)
{
    struct qs_team *t = qs_xcalloc(1, sizeof(*t));
    t->member = qs_xcalloc((size_t)(threads > 1 ? threads : 1), sizeof(*t->member));
    t->size = 1;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->work, NULL);
    for (int i = 1; i < threads; i++) {
        struct member *m = &t->member[i];
        *m = (struct member){.team = t, .number = i};
        if (pthread_create(&m->thread, NULL, serve, m) != 0)
            break;
        t->size = i + 1;
    }
    return t;
}

void
qs_team_free(struct qs_team *t)
{
    if (!t)
        return;
    atomic_store(&t->quit, true);
    pthread_mutex_lock(&t->lock);
    pthread_cond_broadcast(&t->work);
    pthread_mutex_unlock(&t->lock);
    for (int i = 1; i < t->size; i++)
        pthread_join(t->member[i].thread, NULL);
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->work);
    free(t->member);
    free(t);
}

int
qs_team_size(const struct qs_team *t)
{
    return t->size;
}
