/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "engine/check.h"
#include "engine/cut.h"
#include "model/shape.h"

enum { PLANS_MOST = 16 };

struct plan {
    struct qs_fast *fast; /* NULL: free */
    struct qs_value *in;  /* [n_in] types and dims it is for */
    uint64_t used;        /* number of the last run on it */
};

/* A variable that a watch has seen in this run. */
struct told {
    int32_t node, var;
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
    struct qs_exec *exec; /* of the whole model, made when it is first needed */
    struct qs_fast *last; /* plan of the last run; NULL: exact */
    uint64_t n_run;
    int32_t refused; /* node of the model that is planned, because of which a run failed; -1 */
    struct told *told;
    int n_told, cap_told, n_before; /* n_before: in attempts that failed */
    /* a model in two, of which the fast engine runs the first part */
    struct qs_cut *cut;                 /* NULL: nothing is known that it cannot run */
    struct qs_static_notes first_notes; /* of the first part */
    struct qs_exec *rest;               /* made when it is first needed */
    struct qs_value *between;           /* [n_in of the cut] what the rest reads */
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
    e->refused = -1;
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

/* With all that was made from it. */
static void
drop_cut(struct qs_engine *e)
{
    drop_plans(e);
    qs_exec_free(e->rest);
    qs_cut_free(e->cut);
    free(e->between);
    free(e->first_notes.node);
    e->rest = NULL;
    e->cut = NULL;
    e->between = NULL;
    e->first_notes = (struct qs_static_notes){0};
}

void
qs_engine_free(struct qs_engine *e)
{
    if (!e)
        return;
    drop_cut(e);
    qs_packs_unref(e->packs);
    qs_exec_free(e->exec);
    free(e->in_var);
    free(e->keep);
    free(e->told);
    free(e);
}

void
qs_engine_retune(struct qs_engine *e)
{
    for (int i = 0; i < PLANS_MOST && e->notes; i++)
        if (e->plan[i].fast)
            qs_fast_retune(e->plan[i].fast, e->notes);
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
    const struct qs_static_notes *notes = e->notes && e->cut ? &e->first_notes : e->notes;
    const struct qs_fast_options opt = {.packs = e->packs,
                                        .room = e->room,
                                        .keep = e->keep,
                                        .notes = notes,
                                        .refused = &e->refused};
    struct qs_fast *fast;
    const enum qs_err err =
        qs_fast_new(cx, e->cut ? e->cut->first : e->m, in, e->n_in, &opt, &fast);
    if (err)
        return err;
    drop_plan(p);
    p->fast = fast;
    p->in = qs_xcalloc((size_t)e->n_in + 1, sizeof(*p->in));
    memcpy(p->in, in, (size_t)e->n_in * sizeof(*p->in));
    return QS_OK;
}

/* ---- running ---- */

/* The exact engine shows what nodes make; with `keep` a watch sees what the fast engine shows, and
 * nothing twice. */
struct filter {
    struct qs_engine *e;
    const struct qs_watch *watch;
    const int32_t *number; /* of nodes, in the model; NULL: the same */
};

static enum qs_err
tell(struct qs_ctx *cx, const struct filter *f, int32_t node, int32_t var, const struct qs_value *v)
{
    struct qs_engine *e = f->e;
    for (int i = 0; i < e->n_before; i++)
        if (e->told[i].node == node && e->told[i].var == var)
            return QS_OK;
    if (e->n_told == e->cap_told) {
        e->cap_told = e->cap_told ? 2 * e->cap_told : 64;
        e->told = qs_xrealloc(e->told, (size_t)e->cap_told * sizeof(*e->told));
    }
    e->told[e->n_told++] = (struct told){node, var};
    return f->watch->made(cx, f->watch->arg, node, var, v);
}

/* qs_watch.made */
static enum qs_err
show(struct qs_ctx *cx, void *arg, int32_t node, int32_t var, const struct qs_value *v)
{
    const struct filter *f = arg;
    if (f->e->keep && !f->e->keep[var])
        return QS_OK;
    return tell(cx, f, f->number ? f->number[node] : node, var, v);
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
            err = tell(cx, f, feed_of(e->m, e->in_var[i]), e->in_var[i], &in[i]);
    return err;
}

static enum qs_err
run_exact(struct qs_ctx *cx, struct qs_engine *e, const struct qs_value *in,
          const struct qs_watch *watch)
{
    struct filter filter = {e, watch, NULL};
    const struct qs_watch shown = {show, &filter};
    enum qs_err err = QS_OK;
    e->last = NULL;
    e->n_before = e->n_told;
    if (!e->exec)
        err = qs_exec_new(cx, e->m, &e->exec);
    if (!err && watch && e->keep)
        err = show_inputs(cx, &filter, in);
    return err ? err : qs_exec_run(cx, e->exec, in, e->n_in, watch ? &shown : NULL);
}

/* The fast engine, on the model or its first part. */
static enum qs_err
run_planned(struct qs_ctx *cx, struct qs_engine *e, const struct qs_value *in,
            const struct qs_watch *watch)
{
    struct filter filter = {e, watch, e->cut ? e->cut->first_node : NULL};
    const struct qs_watch shown = {show, &filter};
    struct plan *p = find_plan(e, in);
    e->refused = -1;
    e->n_before = e->n_told;
    if (!p->fast || !is_for(p, in, e->n_in)) {
        const enum qs_err err = make_plan(cx, e, p, in);
        if (err)
            return err;
    }
    p->used = ++e->n_run;
    e->last = p->fast;
    const enum qs_err err = qs_fast_run(cx, p->fast, in, e->n_in, watch ? &shown : NULL);
    if (err)
        e->refused = qs_fast_refused(p->fast);
    return err;
}

static enum qs_err
run_rest(struct qs_ctx *cx, struct qs_engine *e, const struct qs_value *in,
         const struct qs_watch *watch)
{
    const struct qs_cut *c = e->cut;
    struct filter filter = {e, watch, c->rest_node};
    const struct qs_watch shown = {show, &filter};
    enum qs_err err = QS_OK;
    for (int i = 0; i < c->n_in; i++)
        e->between[i] = c->in[i].first ? *qs_fast_out(e->last, c->in[i].i) : in[c->in[i].i];
    if (!e->rest)
        err = qs_exec_new(cx, c->rest, &e->rest);
    return err ? err : qs_exec_run(cx, e->rest, e->between, c->n_in, watch ? &shown : NULL);
}

static enum qs_err
run_fast(struct qs_ctx *cx, struct qs_engine *e, const struct qs_value *in,
         const struct qs_watch *watch)
{
    const enum qs_err err = run_planned(cx, e, in, watch);
    return err || !e->cut ? err : run_rest(cx, e, in, watch);
}

/* Leaves the node that was refused to the exact engine, with all that depends on it. False: the
 * fast engine is of no use, or must not be left. */
static bool
leave_refused(struct qs_engine *e)
{
    struct qs_cut *c = e->cut;
    e->cut = NULL;
    drop_cut(e);
    if (!qs_cut_retry(&c, e->m, e->refused))
        return false;
    if (e->notes && !qs_cut_notes(c, e->notes, &e->first_notes)) {
        qs_cut_free(c);
        return false;
    }
    e->cut = c;
    e->between = qs_xcalloc((size_t)c->n_in + 1, sizeof(*e->between));
    return true;
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
    e->n_told = 0;
    if (e->notes && (e->only_exact || has_rows(in, n)))
        return qs_fail(cx, QS_ERR_UNSUPPORTED, _("only the fast engine computes in integers"));
    if (e->only_exact || has_rows(in, n))
        return run_exact(cx, e, in, watch);
    err = run_fast(cx, e, in, watch);
    while (err == QS_ERR_UNSUPPORTED && leave_refused(e)) {
        qs_clear(cx);
        err = run_fast(cx, e, in, watch);
    }
    /* shapes that do not fit: the exact engine says where, or knows more of them */
    if (!err || e->notes || err == QS_ERR_MEMORY || err == QS_ERR_CANCELLED)
        return err;
    qs_clear(cx);
    e->only_exact |= err == QS_ERR_UNSUPPORTED;
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
    if (!e->last)
        return qs_exec_out(e->exec, i);
    if (!e->cut)
        return qs_fast_out(e->last, i);
    const struct qs_cut_port *port = &e->cut->out[i];
    return port->first ? qs_fast_out(e->last, port->i) : qs_exec_out(e->rest, port->i);
}

const char *
qs_engine_kind(const struct qs_engine *e)
{
    return e->last ? e->cut ? "mixed" : "fast" : e->exec ? "exact" : "";
}

const struct qs_fast *
qs_engine_fast(const struct qs_engine *e)
{
    return e->last;
}

int64_t
qs_engine_param_bytes(const struct qs_engine *e)
{
    const struct qs_exec *exact = e->last ? e->rest : e->exec;
    return (e->last ? qs_fast_param_bytes(e->last) : 0) + (exact ? qs_exec_param_bytes(exact) : 0);
}

int64_t
qs_engine_peak_bytes(const struct qs_engine *e)
{
    const struct qs_exec *exact = e->last ? e->rest : e->exec;
    return (e->last ? qs_room_bytes(e->room) : 0) + (exact ? qs_exec_peak_bytes(exact) : 0);
}

int64_t
qs_engine_live_bytes(const struct qs_engine *e)
{
    return e->last ? qs_fast_live_bytes(e->last) : qs_engine_peak_bytes(e);
}
