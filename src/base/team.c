/* SPDX-License-Identifier: Apache-2.0 */
#include "base/team.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

enum {
    SPINS = 20000,                      /* some tens of microseconds: then members sleep */
    PATIENCE = 2000,                    /* then the caller lets others run */
    INDEX_BITS = 20,                    /* of the item to take next, and of the number of items */
    ITEMS_MOST = 1 << (INDEX_BITS - 1), /* each member may count one beyond */
};

struct member {
    struct qs_team *team;
    pthread_t thread;
    int number;
};

/* A member that comes late finds nothing to take and nobody waits for it. So that it cannot take
 * an item of one part for one of another, the part, its size and the next item are one number:
 * part << 2 INDEX_BITS | size << INDEX_BITS | next. Whoever takes an item keeps the part from
 * ending, so body and arg are those of the part. */
struct qs_team {
    int size;
    struct member *member; /* [size], 0 is the caller */
    atomic_ullong state;
    atomic_llong done; /* items of the part */
    void (*body)(void *arg, int64_t i, int member);
    void *arg;
    int64_t base; /* number of its item 0 */
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

static bool
anything_left(unsigned long long state)
{
    const unsigned long long mask = (1ULL << INDEX_BITS) - 1;
    return (state & mask) < (state >> INDEX_BITS & mask);
}

static void
take_items(struct qs_team *t, int number)
{
    const unsigned long long mask = (1ULL << INDEX_BITS) - 1;
    while (anything_left(atomic_load(&t->state))) {
        const unsigned long long ticket = atomic_fetch_add(&t->state, 1);
        if (!anything_left(ticket))
            return;
        t->body(t->arg, t->base + (int64_t)(ticket & mask), number);
        atomic_fetch_add(&t->done, 1);
    }
}

static bool
idle(struct qs_team *t)
{
    return !anything_left(atomic_load(&t->state)) && !atomic_load(&t->quit);
}

static void
await_part(struct qs_team *t)
{
    for (int i = 0; i < SPINS && idle(t); i++)
        pause_briefly();
    if (!idle(t))
        return;
    pthread_mutex_lock(&t->lock);
    atomic_fetch_add(&t->asleep, 1);
    while (idle(t))
        pthread_cond_wait(&t->work, &t->lock);
    atomic_fetch_sub(&t->asleep, 1);
    pthread_mutex_unlock(&t->lock);
}

static void *
serve(void *arg)
{
    struct member *m = arg;
    for (;;) {
        await_part(m->team);
        if (atomic_load(&m->team->quit))
            return NULL;
        take_items(m->team, m->number);
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

static void
run_part(struct qs_team *t, int64_t n)
{
    const unsigned long long part = (atomic_load(&t->state) >> 2 * INDEX_BITS) + 1;
    atomic_store(&t->done, 0);
    atomic_store(&t->state, part << 2 * INDEX_BITS | (unsigned long long)n << INDEX_BITS);
    wake(t);
    take_items(t, 0);
    for (int i = 0; atomic_load(&t->done) < n; i++) {
        pause_briefly();
        if (i > PATIENCE)
            sched_yield();
    }
}

void
qs_team_run(struct qs_team *t, int64_t n, void (*body)(void *arg, int64_t i, int member), void *arg)
{
    if (t->size == 1 || n <= 1) {
        for (int64_t i = 0; i < n; i++)
            body(arg, i, 0);
        return;
    }
    t->body = body;
    t->arg = arg;
    for (t->base = 0; t->base < n; t->base += ITEMS_MOST)
        run_part(t, n - t->base < ITEMS_MOST ? n - t->base : ITEMS_MOST);
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
