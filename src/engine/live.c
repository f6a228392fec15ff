/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory a plan promises to do with. */
#include <stdlib.h>

#include "base/mem.h"
#include "engine/lower.h"

/* Steps between which the tensors of a program are alive, by the value that has the bytes. */
struct lives {
    struct qs_fast *f;
    int *same; /* [n_value] the value whose bytes it has */
    int *first, *last;
    int step;
};

static void
use(void *arg, int *value)
{
    const struct lives *l = arg;
    const int id = l->same[*value];
    if (l->first[id] < 0)
        l->first[id] = l->step;
    l->last[id] = l->step;
}

static void
make(struct lives *l, const struct step *s, int value)
{
    if (value < 0)
        return;
    if (s->kind == STEP_ALIAS)
        l->same[value] = l->same[s->x];
    use(l, &value);
}

static int64_t
bytes_of(const struct value *v)
{
    if (v->param || !v->known || v->count < 0)
        return 0;
    return v->rounding && v->rounding->bits <= 8 ? v->count : v->count * qs_dtype_bytes(v->dtype);
}

static int64_t
most_at_once(const struct lives *l)
{
    const struct qs_fast *f = l->f;
    int64_t *change = qs_xcalloc((size_t)f->n_step + 2, sizeof(*change)), now = 0, most = 0;
    for (int i = 0; i < f->n_value; i++)
        if (l->first[i] >= 0) {
            change[l->first[i]] += bytes_of(&f->value[i]);
            change[l->last[i] + 1] -= bytes_of(&f->value[i]);
        }
    for (int i = 0; i <= f->n_step; i++) {
        now += change[i];
        most = now > most ? now : most;
    }
    free(change);
    return most;
}

int64_t
qs_live_slack(int64_t live_bytes)
{
    const int64_t least = 1 << 20;
    return live_bytes / 5 > least ? live_bytes / 5 : least;
}

int64_t
qs_live_bytes(struct qs_fast *f)
{
    const size_t n = (size_t)f->n_value + 1;
    int *ids = qs_xcalloc(3 * n, sizeof(*ids));
    struct lives l = {f, ids, ids + n, ids + 2 * n, 0};
    for (int i = 0; i < f->n_value; i++) {
        l.same[i] = i;
        l.first[i] = -1;
    }
    for (int i = 0; i < f->n_in; i++)
        use(&l, &f->in_value[i]);
    for (int i = 0; i < f->n_step; i++) {
        const struct step *s = &f->step[i];
        l.step = i;
        if (s->dead)
            continue;
        qs_step_inputs(s, use, &l);
        make(&l, s, s->y);
        make(&l, s, s->q);
        for (int k = 0; k < s->n_out; k++)
            make(&l, s, s->out[k]);
    }
    l.step = f->n_step;
    for (int i = 0; i < f->n_out; i++)
        use(&l, &f->out_value[i]);
    const int64_t most = most_at_once(&l);
    free(ids);
    return most;
}
