/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A batch of independent samples (batch.c) in parts: a plan for a few samples is run again and
 * again, by every thread on its own. Tensors of a few samples stay in the cache, and threads need
 * not wait for each other after every step.
 */
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "engine/lower.h"

/* Tensors of a part: half of a cache that is shared. More samples use weights that are there. */
#define PART_BYTES (INT64_C(16) << 20)

struct member {
    atomic_bool busy;
    struct qs_ctx cx;
    struct qs_fast *plan;
    struct qs_value *in;  /* [n_in] of a part */
    struct qs_buf **copy; /* [n_in] of inputs that do not lie as they must; NULL */
    double *seconds;      /* [n_step] in the last run */
};

struct split {
    int64_t batch, each; /* samples in all, in a part */
    struct member *member;
    int n;
    int *out_axis;           /* [n_out] that counts samples */
    const struct qs_ctx *cx; /* the run: */
    const struct qs_value *in;
};

/* ---- planning ---- */

static void
take_samples(struct qs_value *v, int axis, int64_t n)
{
    v->count = v->d[axis] > 0 ? v->count / v->d[axis] * n : 0;
    v->d[axis] = n;
}

static enum qs_err
make_member(struct qs_ctx *cx, struct qs_fast *f, const struct qs_value *in,
            const struct qs_fast_options *opt, int i, int64_t each)
{
    struct member *m = &f->split->member[i];
    struct qs_fast_options how = opt ? *opt : (struct qs_fast_options){0};
    how.packs = f->packs;
    how.room = qs_room_part(f->room, i);
    qs_ctx_init_child(&m->cx, cx);
    qs_fast_free(m->plan);
    m->plan = NULL;
    m->in = qs_arena_calloc(&f->arena, (size_t)f->n_in + 1, sizeof(*m->in));
    m->copy = qs_arena_calloc(&f->arena, (size_t)f->n_in + 1, sizeof(struct qs_buf *));
    for (int k = 0; k < f->n_in; k++) {
        m->in[k] = in[k];
        take_samples(&m->in[k], 0, each);
    }
    const enum qs_err err = qs_fast_plan(cx, f->m, m->in, f->n_in, &how, PLANNED_WHOLE, &m->plan);
    if (err)
        return err;
    m->seconds = qs_arena_calloc(&f->arena, (size_t)m->plan->n_step + 1, sizeof(*m->seconds));
    return QS_OK;
}

/* A divisor of the batch whose tensors stay small, and that leaves a part for every thread. */
static int64_t
samples_of_part(const struct qs_fast *f, int64_t batch, int64_t bytes_of_one)
{
    int64_t n = PART_BYTES / (bytes_of_one > 0 ? bytes_of_one : 1);
    const int64_t share = batch / qs_team_size(f->team);
    n = n > share ? share : n;
    while (n > 1 && batch % n != 0)
        n--;
    return n < 1 ? 1 : n;
}

static enum qs_err
make_members(struct qs_ctx *cx, struct qs_fast *f, const struct qs_value *in,
             const struct qs_fast_options *opt)
{
    struct split *s = f->split;
    enum qs_err err = make_member(cx, f, in, opt, 0, 1);
    if (err)
        return err;
    s->each = samples_of_part(f, s->batch, qs_fast_tensor_bytes(s->member[0].plan));
    for (int i = s->each > 1 ? 0 : 1; i < s->n && !err; i++)
        err = make_member(cx, f, in, opt, i, s->each);
    return err;
}

/* Outputs as planned for the whole batch, of the samples of a part: else something was not seen. */
static bool
outputs_fit(const struct qs_fast *f, const struct value *whole)
{
    const struct split *s = f->split;
    const struct qs_fast *plan = s->member[0].plan;
    for (int i = 0; i < f->n_out; i++) {
        const struct value *v = &plan->value[plan->out_value[i]];
        int64_t d[QS_RANK_MOST];
        memcpy(d, whole[i].d, sizeof(d));
        d[s->out_axis[i]] = s->each;
        if (v->dtype != whole[i].dtype || v->n != whole[i].n ||
            memcmp(v->d, d, (size_t)v->n * sizeof(*d)) != 0)
            return false;
    }
    return true;
}

static enum qs_err
make_outputs(struct qs_ctx *cx, struct qs_fast *f, const struct value *whole)
{
    for (int i = 0; i < f->n_out; i++) {
        const struct value *v = &whole[i];
        const int64_t bytes = v->count * qs_dtype_bytes(v->dtype);
        f->out[i] = (struct qs_value){.dtype = v->dtype, .n = v->n, .count = v->count};
        memcpy(f->out[i].d, v->d, sizeof(v->d));
        const enum qs_err err = qs_buf_new(cx, (size_t)bytes, &f->out[i].buf);
        if (err)
            return err;
        f->out[i].data = f->out[i].buf->data;
    }
    return QS_OK;
}

enum qs_err
qs_split_try(struct qs_ctx *cx, struct qs_fast *f, const struct qs_value *in,
             const struct qs_fast_options *opt)
{
    int *axis = qs_arena_calloc(&f->arena, (size_t)f->n_out + 1, sizeof(*axis));
    const int threads = qs_team_size(f->team);
    int64_t batch;
    if (!qs_batch_is_independent(f, &batch, axis) || 2 * batch < threads)
        return QS_OK;
    struct split *s = qs_arena_calloc(&f->arena, 1, sizeof(*s));
    struct value *whole = qs_arena_calloc(&f->arena, (size_t)f->n_out + 1, sizeof(*whole));
    for (int i = 0; i < f->n_out; i++)
        whole[i] = f->value[f->out_value[i]];
    s->batch = batch;
    s->n = batch < threads ? (int)batch : threads;
    s->member = qs_arena_calloc(&f->arena, (size_t)s->n, sizeof(*s->member));
    s->out_axis = axis;
    f->split = s;
    enum qs_err err = make_members(cx, f, in, opt);
    if (!err && outputs_fit(f, whole))
        return make_outputs(cx, f, whole);
    qs_split_free(f);
    if (err == QS_ERR_MEMORY || err == QS_ERR_CANCELLED)
        return err;
    qs_clear(cx); /* the program is for this batch only */
    return QS_OK;
}

int64_t
qs_split_bytes(const struct qs_fast *f)
{
    int64_t bytes = 0;
    for (int i = 0; i < f->split->n; i++)
        bytes += qs_fast_tensor_bytes(f->split->member[i].plan);
    for (int i = 0; i < f->n_out; i++)
        bytes += (int64_t)f->out[i].buf->size;
    return bytes;
}

void
qs_split_free(struct qs_fast *f)
{
    struct split *s = f->split;
    for (int i = 0; s && i < s->n; i++) {
        qs_fast_free(s->member[i].plan);
        for (int k = 0; s->member[i].copy && k < f->n_in; k++)
            qs_buf_unref(s->member[i].copy[k]);
    }
    for (int i = 0; s && i < f->n_out; i++)
        qs_buf_unref(f->out[i].buf);
    f->split = NULL;
}

void
qs_split_retune(struct qs_fast *f, const struct qs_static_notes *notes)
{
    for (int i = 0; i < f->split->n; i++)
        qs_round_retune(f->split->member[i].plan, notes);
}

/* ---- running ---- */

enum { ALIGNMENT = 64 };

/* The samples of a part, where operators expect tensors to begin. */
static enum qs_err
set_input(struct member *m, int k, const struct qs_value *whole, int64_t first)
{
    struct qs_value *v = &m->in[k];
    const size_t bytes = (size_t)v->count * (size_t)qs_dtype_bytes(v->dtype);
    uint8_t *at = whole->u8 + bytes / (size_t)v->d[0] * (size_t)first;
    if ((uintptr_t)at % ALIGNMENT == 0) {
        v->data = at;
        return QS_OK;
    }
    if (!m->copy[k]) {
        const enum qs_err err = qs_buf_new(&m->cx, bytes, &m->copy[k]);
        if (err)
            return err;
    }
    v->data = memcpy(m->copy[k]->data, at, bytes);
    return QS_OK;
}

static void
put_output(const struct qs_value *part, int axis, int64_t first, struct qs_value *whole)
{
    const size_t size = (size_t)qs_dtype_bytes(whole->dtype);
    int64_t outer = 1;
    for (int i = 0; i < axis; i++)
        outer *= part->d[i];
    if (part->count == 0)
        return;
    const size_t bytes = (size_t)(part->count / outer) * size;
    const size_t row = (size_t)(whole->count / outer) * size;
    uint8_t *to = whole->u8 + bytes / (size_t)part->d[axis] * (size_t)first;
    for (int64_t i = 0; i < outer; i++)
        memcpy(to + (size_t)i * row, part->u8 + (size_t)i * bytes, bytes);
}

/* There are as many as parts can run at once. */
static struct member *
free_member(const struct split *s)
{
    for (int i = 0;; i = (i + 1) % s->n)
        if (!atomic_exchange(&s->member[i].busy, true))
            return &s->member[i];
}

static void
run_member(struct qs_fast *f, struct member *m, int64_t i)
{
    const struct split *s = f->split;
    enum qs_err err = QS_OK;
    atomic_store(&m->cx.cancel, atomic_load(&s->cx->cancel));
    for (int k = 0; k < f->n_in && !err; k++)
        err = set_input(m, k, &s->in[k], i * s->each);
    if (!err)
        err = qs_fast_run(&m->cx, m->plan, m->in, f->n_in, NULL);
    for (int k = 0; k < f->n_out && !err; k++)
        put_output(&m->plan->out[k], s->out_axis[k], i * s->each, &f->out[k]);
    for (int k = 0; k < m->plan->n_step; k++)
        m->seconds[k] += m->plan->step[k].seconds;
}

static void
run_part(void *arg, int64_t i, int number)
{
    struct qs_fast *f = arg;
    struct member *m = free_member(f->split);
    (void)number;
    if (!m->cx.err)
        run_member(f, m, i);
    atomic_store(&m->busy, false);
}

/* The time of a step is its share of that of the run. */
static void
sum_seconds(struct qs_fast *f)
{
    const struct split *s = f->split;
    struct qs_fast *shown = s->member[0].plan;
    for (int k = 0; k < shown->n_step; k++) {
        double sum = 0;
        for (int i = 0; i < s->n; i++)
            sum += s->member[i].seconds[k];
        shown->step[k].seconds = sum / s->n;
    }
}

enum qs_err
qs_split_run(struct qs_ctx *cx, struct qs_fast *f, const struct qs_value *in)
{
    struct split *s = f->split;
    enum qs_err err = QS_OK;
    s->cx = cx;
    s->in = in;
    for (int i = 0; i < s->n; i++) {
        qs_clear(&s->member[i].cx);
        memset(s->member[i].seconds, 0,
               (size_t)s->member[i].plan->n_step * sizeof(*s->member[i].seconds));
    }
    qs_team_run(f->team, s->batch / s->each, run_part, f);
    sum_seconds(f);
    for (int i = 0; i < s->n && !err; i++)
        if (s->member[i].cx.err)
            err = qs_fail(cx, s->member[i].cx.err, "%s", qs_message(&s->member[i].cx));
    return err ? err : qs_check_cancel(cx);
}

int32_t
qs_split_refused(const struct qs_fast *f)
{
    const struct split *s = f->split;
    for (int i = 0; i < s->n; i++)
        if (s->member[i].cx.err)
            return s->member[i].plan->refused;
    return -1;
}

const struct qs_fast *
qs_split_shown(const struct qs_fast *f)
{
    return f->split ? f->split->member[0].plan : f;
}
