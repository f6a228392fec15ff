/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/packs.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/graph.h"

struct entry {
    struct qs_pack pack;    /* first: a pack is its entry */
    struct qs_pack_key key; /* arrays are its own */
    int refs;
    struct entry *next;
};

struct qs_packs {
    pthread_mutex_t lock;
    int refs;
    struct entry *first;
};

struct qs_packs *
qs_packs_new(void)
{
    struct qs_packs *p = qs_xcalloc(1, sizeof(*p));
    pthread_mutex_init(&p->lock, NULL);
    p->refs = 1;
    return p;
}

struct qs_packs *
qs_packs_ref(struct qs_packs *p)
{
    pthread_mutex_lock(&p->lock);
    p->refs++;
    pthread_mutex_unlock(&p->lock);
    return p;
}

void
qs_pack_free_constant(struct qs_tensor *t)
{
    if (!t)
        return;
    qs_buf_unref(t->buf);
    free((void *)(uintptr_t)t->dims);
    free(t);
}

static void
free_entry(struct entry *e)
{
    qs_pack_free_constant(e->pack.constant);
    free(e->pack.packed);
    free(e->pack.bias);
    free((void *)(uintptr_t)e->key.lanes);
    free((void *)(uintptr_t)e->key.scale);
    free((void *)(uintptr_t)e->key.shift);
    free(e);
}

void
qs_packs_unref(struct qs_packs *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    const int left = --p->refs;
    pthread_mutex_unlock(&p->lock);
    if (left > 0)
        return;
    while (p->first) {
        struct entry *e = p->first;
        p->first = e->next;
        free_entry(e);
    }
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static bool
same(const void *a, const void *b, int64_t n, size_t size)
{
    return n == 0 || (a && b ? memcmp(a, b, (size_t)n * size) == 0 : a == b);
}

static bool
is_for(const struct qs_pack_key *a, const struct qs_pack_key *b)
{
    return a->weight == b->weight && a->integers == b->integers && a->form == b->form &&
           a->oc == b->oc && a->ic == b->ic && a->kh == b->kh && a->kw == b->kw &&
           a->vector == b->vector && a->n_lanes == b->n_lanes && a->n_scale == b->n_scale &&
           same(a->lanes, b->lanes, a->n_lanes, sizeof(*a->lanes)) &&
           same(a->scale, b->scale, a->n_scale, sizeof(*a->scale)) &&
           same(a->shift, b->shift, a->n_scale, sizeof(*a->shift));
}

static struct entry *
find(struct qs_packs *p, const struct qs_pack_key *key)
{
    struct entry *e = p->first;
    while (e && !is_for(&e->key, key))
        e = e->next;
    if (e)
        e->refs++;
    return e;
}

const struct qs_pack *
qs_packs_find(struct qs_packs *p, const struct qs_pack_key *key)
{
    pthread_mutex_lock(&p->lock);
    const struct entry *e = find(p, key);
    pthread_mutex_unlock(&p->lock);
    return e ? &e->pack : NULL;
}

static const void *
copied(const void *from, int64_t n, size_t size)
{
    return from && n > 0 ? memcpy(qs_xmalloc((size_t)n * size), from, (size_t)n * size) : NULL;
}

const struct qs_pack *
qs_packs_add(struct qs_packs *p, const struct qs_pack_key *key, struct qs_pack made)
{
    struct entry *e = qs_xcalloc(1, sizeof(*e));
    *e = (struct entry){.pack = made, .key = *key, .refs = 1};
    e->key.lanes = copied(key->lanes, key->n_lanes, sizeof(*key->lanes));
    e->key.scale = copied(key->scale, key->n_scale, sizeof(*key->scale));
    e->key.shift = copied(key->shift, key->n_scale, sizeof(*key->shift));
    pthread_mutex_lock(&p->lock);
    struct entry *other = find(p, key);
    if (!other) {
        e->next = p->first;
        p->first = e;
    }
    pthread_mutex_unlock(&p->lock);
    if (!other)
        return &e->pack;
    free_entry(e);
    return &other->pack;
}

void
qs_packs_drop(struct qs_packs *p, const struct qs_pack *pack)
{
    struct entry *e = (struct entry *)(uintptr_t)pack;
    if (!e)
        return;
    pthread_mutex_lock(&p->lock);
    const bool last = --e->refs == 0;
    for (struct entry **at = &p->first; last && *at; at = &(*at)->next)
        if (*at == e) {
            *at = e->next;
            break;
        }
    pthread_mutex_unlock(&p->lock);
    if (last)
        free_entry(e);
}
