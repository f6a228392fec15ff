/* SPDX-License-Identifier: Apache-2.0 */
#include "app/crew.h"

#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "base/team.h"

enum { ITEMS_EACH = 4 /* of a runner in a run: they end at about the same time */ };

struct member {
    struct qs_ctx cx; /* one thread */
    struct qs_runner *runner;
};

struct item {
    int first, n; /* samples */
    enum qs_err err;
    char *message;
};

struct qs_crew {
    const struct qs_opened *o;
    struct qs_runner_options opt;
    struct member *member; /* [n] */
    int n;
    struct qs_team *team; /* NULL: only the first member is there */
    /* the run */
    const struct qs_ctx *cx;
    int done; /* items before the others began */
    struct qs_sample *const *sample;
    struct item *item; /* [QS_CREW_SAMPLES_MOST] */
    struct qs_value out[QS_CREW_SAMPLES_MOST];
    struct qs_buf *kept[QS_CREW_SAMPLES_MOST]; /* of outputs; used again */
};

/* ---- members ---- */

static enum qs_err
make_member(struct qs_ctx *cx, struct qs_crew *c, int i)
{
    struct member *m = &c->member[i];
    struct qs_runner_options opt = c->opt;
    qs_ctx_init_child(&m->cx, cx);
    m->cx.threads = 1;
    opt.like = i > 0 ? c->member[0].runner : NULL;
    return qs_runner_new(cx, c->o, &opt, &m->runner);
}

enum qs_err
qs_crew_new(struct qs_ctx *cx, const struct qs_opened *o, const struct qs_runner_options *opt,
            struct qs_crew **out)
{
    struct qs_crew *c = qs_xcalloc(1, sizeof(*c));
    c->o = o;
    c->opt = *opt;
    c->n = opt->engine.exact ? 1 : cx->threads;
    c->member = qs_xcalloc((size_t)c->n, sizeof(*c->member));
    c->item = qs_xcalloc(QS_CREW_SAMPLES_MOST, sizeof(*c->item));
    const enum qs_err err = make_member(cx, c, 0);
    if (err)
        qs_crew_free(c);
    else
        *out = c;
    return err;
}

void
qs_crew_free(struct qs_crew *c)
{
    if (!c)
        return;
    for (int i = 0; i < QS_CREW_SAMPLES_MOST; i++)
        qs_buf_unref(c->kept[i]);
    for (int i = c->n - 1; i >= 0; i--)
        qs_runner_free(c->member[i].runner);
    qs_team_free(c->team);
    free(c->member);
    free(c->item);
    free(c);
}

/* The others, once the first has run a sample: it made the weights for all, or it is exact and
 * takes all threads. */
static enum qs_err
call_up(struct qs_ctx *cx, struct qs_crew *c)
{
    enum qs_err err = QS_OK;
    if (strcmp(qs_crew_engine(c), "exact") == 0)
        c->n = 1;
    for (int i = 1; i < c->n && !err; i++)
        err = make_member(cx, c, i);
    c->team = qs_team_new(c->n);
    return err;
}

/* ---- samples ---- */

int
qs_crew_samples(const struct qs_crew *c, const struct qs_sample *s)
{
    const int64_t n =
        (int64_t)qs_runner_batch(c->member[0].runner, s) * (c->n > 1 ? ITEMS_EACH : 1) * c->n;
    return n < QS_CREW_SAMPLES_MOST ? (int)n : QS_CREW_SAMPLES_MOST;
}

/* Samples in a row that run together, one item each. */
static int
make_items(struct qs_crew *c, int n)
{
    int n_item = 0;
    for (int i = 0; i < n; i++) {
        struct item *last = n_item > 0 ? &c->item[n_item - 1] : NULL;
        if (last && last->n < qs_runner_batch(c->member[0].runner, c->sample[i]) &&
            qs_samples_alike(c->sample[last->first], c->sample[i]))
            last->n++;
        else
            c->item[n_item++] = (struct item){.first = i, .n = 1};
    }
    return n_item;
}

static enum qs_err
keep_output(struct qs_ctx *cx, struct qs_crew *c, int i, const struct qs_value *out)
{
    const size_t bytes = (size_t)out->count * (size_t)qs_dtype_bytes(out->dtype);
    if (!c->kept[i] || c->kept[i]->size < bytes) {
        qs_buf_unref(c->kept[i]);
        c->kept[i] = NULL;
        const enum qs_err err = qs_buf_new(cx, bytes, &c->kept[i]);
        if (err)
            return err;
    }
    c->out[i] = *out;
    c->out[i].data = memcpy(c->kept[i]->data, out->data, bytes);
    return QS_OK;
}

static void
run_item(struct qs_ctx *cx, struct qs_crew *c, struct qs_runner *r, struct item *it)
{
    it->err = qs_runner_run(cx, r, c->sample + it->first, it->n, NULL);
    for (int i = 0; i < it->n && !it->err; i++)
        it->err = keep_output(cx, c, it->first + i, qs_runner_out(r, i));
    it->message = it->err ? qs_xstrdup(qs_message(cx)) : NULL;
    qs_clear(cx);
}

static void
run_beside(void *arg, int64_t i, int member)
{
    struct qs_crew *c = arg;
    struct member *m = &c->member[member];
    atomic_store(&m->cx.cancel, atomic_load(&c->cx->cancel));
    run_item(&m->cx, c, m->runner, &c->item[i + c->done]);
}

static enum qs_err
run_items(struct qs_ctx *cx, struct qs_crew *c, int n)
{
    enum qs_err err = QS_OK;
    c->done = 0;
    if (!c->team && c->n > 1) {
        run_beside(c, 0, 0);
        c->done = 1;
    }
    if (!c->team)
        err = call_up(cx, c);
    if (err)
        return err;
    if (c->n > 1)
        qs_team_run(c->team, n - c->done, run_beside, c);
    for (int i = c->done; i < n && c->n == 1; i++)
        run_item(cx, c, c->member[0].runner, &c->item[i]);
    return qs_check_cancel(cx);
}

static enum qs_err
first_failure(struct qs_ctx *cx, struct qs_crew *c, int n, const char *const *name)
{
    enum qs_err err = QS_OK;
    for (int i = 0; i < n; i++) {
        struct item *it = &c->item[i];
        if (it->err && !err) {
            err = qs_fail(cx, it->err, "%s", it->message);
            (void)qs_prefix(cx, _("cannot run on sample '%s'"), name[c->sample[it->first]->i]);
        }
        free(it->message);
        it->message = NULL;
    }
    return err;
}

enum qs_err
qs_crew_run(struct qs_ctx *cx, struct qs_crew *c, struct qs_sample *const *s, int n,
            const char *const *name)
{
    c->cx = cx;
    c->sample = s;
    const int n_item = make_items(c, n);
    const enum qs_err err = run_items(cx, c, n_item);
    const enum qs_err failed = first_failure(cx, c, n_item, name);
    return err ? err : failed;
}

const struct qs_value *
qs_crew_out(const struct qs_crew *c, int i)
{
    return &c->out[i];
}

const char *
qs_crew_engine(const struct qs_crew *c)
{
    return qs_engine_kind(qs_runner_engine(c->member[0].runner));
}
