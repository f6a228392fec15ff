/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "engine/check.h"
#include "model/shape.h"

enum { PLANS_MOST = 16 };

struct plan {
    struct qs_fast *fast; /* NULL: free */
    struct qs_value *in;  /* [n_in] types and dims it is for */
    uint64_t used;        /* number of the last run on it */
};

struct qs_engine {
    const struct qs_model *m;
    bool *keep; /* NULL: none */
    const struct qs_static_notes *notes;
    bool only_exact;
    int32_t *in_var; /* [n_in] */
    int n_in;
    struct plan plan[PLANS_MOST];
    struct qs_packs *packs;
    struct qs_room *room; /* made with the first plan */
    struct qs_exec *exec; /* made when it is first needed */
    struct qs_fast *last; /* plan of the last run; NULL: exact */
    uint64_t n_run;
};

enum qs_err
qs_engine_new(struct qs_ctx *cx, const struct qs_model *m, const struct qs_engine_options *opt,
              struct qs_engine **out)
{
    const enum qs_err err = qs_check_operators(cx, m, NULL);
    if (err)
        return err;
    struct qs_engine *e = qs_xcalloc(1, sizeof(*e));
    e->m = m;
    e->only_exact = opt->exact;
    e->packs = opt->like ? qs_packs_ref(opt->like->packs) : qs_packs_new();
    e->notes = opt->notes;
    e->n_in = qs_model_inputs(m, NULL, 0);
    e->in_var = qs_xcalloc((size_t)e->n_in + 1, sizeof(*e->in_var));
    qs_model_inputs(m, e->in_var, e->n_in);
    if (opt->keep) {
        e->keep = qs_xcalloc((size_t)m->n_var + 1, sizeof(*e->keep));
        memcpy(e->keep, opt->keep, (size_t)m->n_var * sizeof(*e->keep));
    }
    *out = e;
    return QS_OK;
}

static void
drop_plan(struct plan *p)
{
    qs_fast_free(p->fast);
    free(p->in);
    *p = (struct plan){0};
}

static void
drop_plans(struct qs_engine *e)
{
    for (int i = 0; i < PLANS_MOST; i++)
        drop_plan(&e->plan[i]);
    qs_room_free(e->room);
    e->room = NULL;
    e->last = NULL;
}

void
qs_engine_free(struct qs_engine *e)
{
    if (!e)
        return;
    drop_plans(e);
    qs_packs_unref(e->packs);
    qs_exec_free(e->exec);
    free(e->in_var);
    free(e->keep);
    free(e);
}

/* ---- plans ---- */

static bool
is_for(const struct plan *p, const struct qs_value *in, int n)
{
    for (int i = 0; i < n; i++)
        if (p->in[i].dtype != in[i].dtype || p->in[i].n != in[i].n ||
            memcmp(p->in[i].d, in[i].d, (size_t)in[i].n * sizeof(in[i].d[0])) != 0)
            return false;
    return true;
}

/* The plan for these inputs, or where to put one: free, or not used for longest. */
static struct plan *
find_plan(struct qs_engine *e, const struct qs_value *in)
{
    struct plan *oldest = &e->plan[0];
    for (int i = 0; i < PLANS_MOST; i++) {
        struct plan *p = &e->plan[i];
        if (p->fast && is_for(p, in, e->n_in))
            return p;
        if (p->used < oldest->used)
            oldest = p;
    }
    return oldest;
}

/* The plan that was there goes afterwards: its weights are those of the new one. */
static enum qs_err
make_plan(struct qs_ctx *cx, struct qs_engine *e, struct plan *p, const struct qs_value *in)
{
    if (!e->room)
        e->room = qs_room_new(cx->threads);
    const struct qs_fast_options opt = {
        .packs = e->packs, .room = e->room, .keep = e->keep, .notes = e->notes};
    struct qs_fast *fast;
    const enum qs_err err = qs_fast_new(cx, e->m, in, e->n_in, &opt, &fast);
    if (err)
        return err;
    drop_plan(p);
    p->fast = fast;
    p->in = qs_xcalloc((size_t)e->n_in + 1, sizeof(*p->in));
    memcpy(p->in, in, (size_t)e->n_in * sizeof(*p->in));
    return QS_OK;
}

/* ---- running ---- */

/* The exact engine shows what nodes make; with `keep` a watch sees what the fast engine shows. */
struct filter {
    const struct qs_engine *e;
    const struct qs_watch *watch;
};

static enum qs_err
show_kept(struct qs_ctx *cx, void *arg, int32_t node, int32_t var, const struct qs_value *v)
{
    const struct filter *f = arg;
    return f->e->keep[var] ? f->watch->made(cx, f->watch->arg, node, var, v) : QS_OK;
}

static int32_t
feed_of(const struct qs_model *m, int32_t var)
{
    const struct qs_block *b = &m->block[0];
    int32_t i = 0;
    while (i < b->n_node &&
           (strcmp(b->node[i].type, "feed") != 0 || qs_node_output(&b->node[i], "Out", 0) != var))
        i++;
    return i;
}

static enum qs_err
show_inputs(struct qs_ctx *cx, const struct filter *f, const struct qs_value *in)
{
    const struct qs_engine *e = f->e;
    enum qs_err err = QS_OK;
    for (int i = 0; i < e->n_in && !err; i++)
        if (e->keep[e->in_var[i]])
            err = f->watch->made(cx, f->watch->arg, feed_of(e->m, e->in_var[i]), e->in_var[i],
                                 &in[i]);
    return err;
}

static enum qs_err
run_exact(struct qs_ctx *cx, struct qs_engine *e, const struct qs_value *in,
          const struct qs_watch *watch)
{
    struct filter filter = {e, watch};
    const struct qs_watch kept = {show_kept, &filter};
    enum qs_err err = QS_OK;
    e->last = NULL;
    if (!e->exec)
        err = qs_exec_new(cx, e->m, &e->exec);
    if (!err && watch && e->keep)
        err = show_inputs(cx, &filter, in);
    return err ? err : qs_exec_run(cx, e->exec, in, e->n_in, watch && e->keep ? &kept : watch);
}

static enum qs_err
run_fast(struct qs_ctx *cx, struct qs_engine *e, const struct qs_value *in,
         const struct qs_watch *watch)
{
    struct plan *p = find_plan(e, in);
    if (!p->fast || !is_for(p, in, e->n_in)) {
        const enum qs_err err = make_plan(cx, e, p, in);
        if (err)
            return err;
    }
    p->used = ++e->n_run;
    e->last = p->fast;
    return qs_fast_run(cx, p->fast, in, e->n_in, watch);
}

static bool
has_rows(const struct qs_value *in, int n)
{
    for (int i = 0; i < n; i++)
        if (in[i].lod)
            return true;
    return false;
}

enum qs_err
qs_engine_run(struct qs_ctx *cx, struct qs_engine *e, const struct qs_value *in, int n,
              const struct qs_watch *watch)
{
    enum qs_err err = qs_check_inputs(cx, e->m, in, n);
    if (err)
        return err;
    if (e->notes && (e->only_exact || has_rows(in, n)))
        return qs_fail(cx, QS_ERR_UNSUPPORTED, _("only the fast engine computes in integers"));
    if (e->only_exact || has_rows(in, n))
        return run_exact(cx, e, in, watch);
    err = run_fast(cx, e, in, watch);
    if (e->notes)
        return err;
    /* shapes that do not fit: the exact engine says where, or knows more of them */
    if (!err || err == QS_ERR_MEMORY || err == QS_ERR_CANCELLED)
        return err;
    qs_clear(cx);
    if (err == QS_ERR_UNSUPPORTED) {
        e->only_exact = true;
        drop_plans(e);
    }
    return run_exact(cx, e, in, watch);
}

/* ---- reports ---- */

int
qs_engine_n_out(const struct qs_engine *e)
{
    return qs_model_outputs(e->m, NULL, 0);
}

const struct qs_value *
qs_engine_out(const struct qs_engine *e, int i)
{
    return e->last ? qs_fast_out(e->last, i) : qs_exec_out(e->exec, i);
}

const char *
qs_engine_kind(const struct qs_engine *e)
{
    return e->last ? "fast" : e->exec ? "exact" : "";
}

const struct qs_fast *
qs_engine_fast(const struct qs_engine *e)
{
    return e->last;
}

int64_t
qs_engine_param_bytes(const struct qs_engine *e)
{
    return e->last ? qs_fast_param_bytes(e->last) : e->exec ? qs_exec_param_bytes(e->exec) : 0;
}

int64_t
qs_engine_peak_bytes(const struct qs_engine *e)
{
    return e->last ? qs_room_bytes(e->room) : e->exec ? qs_exec_peak_bytes(e->exec) : 0;
}

int64_t
qs_engine_live_bytes(const struct qs_engine *e)
{
    return e->last ? qs_fast_live_bytes(e->last) : qs_engine_peak_bytes(e);
}
