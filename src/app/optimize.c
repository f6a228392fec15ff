/* SPDX-License-Identifier: Apache-2.0 */
#include "app/optimize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/inputs.h"
#include "app/parts.h"
#include "app/ranges.h"
#include "base/clock.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "data/dataset.h"
#include "engine/engine.h"

enum { RUNS = 12, RUNS_MOST = 60, SECONDS_ENOUGH = 1 };
static const double worth = 0.98;   /* of the time that all integers, and all floats, take */
static const double clearly = 0.95; /* a part of the run, float by integer */

/* A way to run the model. */
struct way {
    struct qs_static_notes notes; /* borrows all but node */
    struct qs_engine *engine;
    double *part; /* [n_part] shortest, seconds */
    int *part_of; /* [n_step] */
    double shortest;
};

struct optimizer {
    const struct qs_opened *o;
    const struct qs_decisions *d;
    struct qs_faster *out;
    struct qs_model *model;
    struct qs_static_notes notes;
    struct qs_inputs in;
    struct qs_parts parts;
    int *layer; /* [notes.n_node] of each part; -1: none of its own, it stays in integers */
};

/* ---- measuring ---- */

static void
find_layers(struct optimizer *g)
{
    g->layer = qs_xmalloc(((size_t)g->notes.n_node + 1) * sizeof(*g->layer));
    for (int i = 0; i < g->notes.n_node; i++) {
        const int weight = g->notes.node[i].weight;
        g->layer[i] = -1;
        for (int k = 0; k < g->o->layers->n && weight >= 0; k++)
            if (g->o->layers->layer[k].var == g->notes.weight[weight].var)
                g->layer[i] = k;
    }
}

/* in_float NULL: all in floats. */
static enum qs_err
start(struct qs_ctx *cx, const struct optimizer *g, const bool *in_float, struct way *w)
{
    const struct qs_engine_options how = {.notes = in_float ? &w->notes : NULL};
    const size_t n = (size_t)g->notes.n_node;
    w->notes = g->notes;
    w->notes.n_node = 0;
    w->notes.node = qs_xcalloc(n + 1, sizeof(*w->notes.node));
    for (int i = 0; i < g->notes.n_node && in_float; i++)
        if (!in_float[i])
            w->notes.node[w->notes.n_node++] = g->notes.node[i];
    w->part = qs_xcalloc(n + 1, sizeof(*w->part));
    for (size_t i = 0; i < n; i++)
        w->part[i] = (double)INFINITY;
    w->shortest = (double)INFINITY;
    enum qs_err err = qs_engine_new(cx, g->model, &how, &w->engine);
    if (!err)
        err = qs_engine_run(cx, w->engine, g->in.value, g->in.n, NULL);
    if (!err && !qs_engine_fast(w->engine))
        err = qs_fail(cx, QS_ERR_UNSUPPORTED, _("the fast engine cannot run '%s'"), g->o->path);
    if (!err)
        w->part_of = qs_parts_of_steps(&g->parts, qs_engine_fast(w->engine));
    return err;
}

static void
stop(struct way *w)
{
    qs_engine_free(w->engine);
    free(w->notes.node);
    free(w->part);
    free(w->part_of);
}

static enum qs_err
run_once(struct qs_ctx *cx, const struct optimizer *g, struct way *w)
{
    const double before = qs_seconds_now();
    const enum qs_err err = qs_engine_run(cx, w->engine, g->in.value, g->in.n, NULL);
    const double took = qs_seconds_now() - before;
    if (err)
        return err;
    qs_parts_note(&g->parts, qs_engine_fast(w->engine), w->part_of, w->part);
    w->shortest = took < w->shortest ? took : w->shortest;
    return QS_OK;
}

/* In turn, so that all see the machine alike. */
static enum qs_err
measure(struct qs_ctx *cx, const struct optimizer *g, struct way *w, int n)
{
    const double begin = qs_seconds_now();
    enum qs_err err = QS_OK;
    for (int i = 0; i < RUNS_MOST && !err; i++) {
        if (i >= RUNS && qs_seconds_now() - begin > SECONDS_ENOUGH)
            break;
        for (int k = 0; k < n && !err; k++)
            err = run_once(cx, g, &w[k]);
    }
    return err;
}

/* ---- choosing ---- */

void
qs_optimize_choose(const double *int8, const double *fp32, int n, double change, bool *in_float)
{
    bool *from =
        qs_xcalloc(2 * (size_t)n + 2, sizeof(*from)); /* [n][2] was the one before float? */
    double cost[2] = {(double)INFINITY, 0};           /* up to here, ending in each */
    for (int i = 0; i < n; i++) {
        double next[2];
        for (int now = 0; now < 2; now++) {
            const double stay = cost[now], turn = cost[!now] + change;
            from[2 * i + now] = (turn < stay) != now;
            next[now] = (turn < stay ? turn : stay) + (now ? fp32[i] : int8[i]);
        }
        memcpy(cost, next, sizeof(cost));
    }
    bool now = cost[1] < cost[0] + change;
    for (int i = n - 1; i >= 0; i--) {
        in_float[i] = now;
        now = from[2 * i + now];
    }
    free(from);
}

/* Candidates: sets of parts, one for each guess of what a conversion costs. */
enum { GUESSES = 4 };

/* Some in floats, some in integers, and not the same as before. */
static bool
is_new(const bool *set, int k, int n)
{
    int n_float = 0;
    bool differs = true;
    for (int i = 0; i < n; i++)
        n_float += set[k * n + i];
    for (int j = 0; j < k; j++)
        differs = differs && memcmp(set + j * n, set + k * n, (size_t)n * sizeof(*set)) != 0;
    return differs && n_float > 0 && n_float < n;
}

static int
candidates(const struct optimizer *g, const struct way *w, bool *set)
{
    static const double guess[GUESSES] = {0, 0.002, 0.01, 0.05}; /* of the whole */
    const int n = g->notes.n_node;
    double *fp32 = qs_xcalloc((size_t)n + 1, sizeof(*fp32));
    int found = 0;
    for (int i = 0; i < n; i++)
        fp32[i] = g->layer[i] < 0 ? (double)INFINITY : w[1].part[i] / clearly;
    for (int k = 0; k < GUESSES; k++) {
        qs_optimize_choose(w[0].part, fp32, n, guess[k] * w[0].shortest, set + found * n);
        found += is_new(set, found, n);
    }
    free(fp32);
    return found;
}

static void
take(struct optimizer *g, const struct way *w, const bool *set, double seconds)
{
    struct qs_faster *out = g->out;
    out->int8_all = 1e3 * w[0].shortest;
    out->fp32_all = 1e3 * w[1].shortest;
    out->chosen = 1e3 * seconds;
    for (int i = 0; i < g->notes.n_node; i++) {
        const int k = g->layer[i];
        if (k < 0)
            continue;
        out->int8_ms[k] = 1e3 * w[0].part[i];
        out->fp32_ms[k] = 1e3 * w[1].part[i];
        out->n += set && set[i] && !out->layer[k];
        out->layer[k] = out->layer[k] || (set && set[i]);
    }
}

/* Measures the sets beside all integers and all floats, and takes the fastest. */
static enum qs_err
choose(struct qs_ctx *cx, struct optimizer *g, struct way *w, int n_way, const bool *set)
{
    const bool *best = NULL;
    double least = worth;
    const enum qs_err err = n_way > 2 ? measure(cx, g, w, n_way) : QS_OK;
    if (err)
        return err;
    for (int k = 2; k < n_way; k++)
        if (w[k].shortest < least * w[0].shortest && w[k].shortest < worth * w[1].shortest) {
            least = w[k].shortest / w[0].shortest;
            best = set + (k - 2) * g->notes.n_node;
        }
    take(g, w, best, best ? least * w[0].shortest : w[0].shortest);
    return QS_OK;
}

static enum qs_err
search(struct qs_ctx *cx, struct optimizer *g)
{
    const size_t n = (size_t)g->notes.n_node;
    struct way w[2 + GUESSES] = {0};
    bool *set = qs_xcalloc((GUESSES + 1) * n + 1, sizeof(*set)), *none = set + GUESSES * n;
    int n_way = 2;
    enum qs_err err = start(cx, g, none, &w[0]);
    if (!err)
        err = start(cx, g, NULL, &w[1]);
    if (!err)
        err = measure(cx, g, w, 2);
    const int found = err ? 0 : candidates(g, w, set);
    for (int k = 0; k < found && !err; k++)
        err = start(cx, g, set + (size_t)k * n, &w[n_way++]);
    if (!err)
        err = choose(cx, g, w, n_way, set);
    for (int k = 0; k < n_way; k++)
        stop(&w[k]);
    free(set);
    return err;
}

/* ---- entry ---- */

static enum qs_err
first_sample(struct qs_ctx *cx, const char *path, struct qs_dataset **data, struct qs_sample **out)
{
    const struct qs_dataset_options how = {0};
    const enum qs_err err = qs_dataset_open(cx, path, &how, data);
    return err ? err : qs_dataset_next(cx, *data, out);
}

static void
prepare(struct optimizer *g)
{
    const size_t n = (size_t)g->o->layers->n + 1;
    g->out->layer = qs_xcalloc(n, sizeof(*g->out->layer));
    g->out->int8_ms = qs_xmalloc(n * sizeof(*g->out->int8_ms));
    g->out->fp32_ms = qs_xmalloc(n * sizeof(*g->out->fp32_ms));
    for (size_t i = 0; i < n; i++)
        g->out->int8_ms[i] = g->out->fp32_ms[i] = NAN;
    g->model = qs_model_clone(g->o->model);
    qs_inputs_init(&g->in, g->o);
}

enum qs_err
qs_app_optimize(struct qs_ctx *cx, const struct qs_opened *o, const struct qs_plan *plan,
                const struct qs_decisions *d, struct qs_faster *out)
{
    struct optimizer g = {.o = o, .d = d, .out = out};
    struct qs_dataset *data = NULL;
    struct qs_sample *s = NULL;
    *out = (struct qs_faster){0};
    prepare(&g);
    /* which integers they are does not change the time: any thresholds do */
    enum qs_err err = qs_ranges_pretend_notes(cx, g.o, g.model, plan, g.d, &g.notes);
    if (!err)
        err = first_sample(cx, plan->data, &data, &s);
    if (!err)
        err = qs_inputs_bind(cx, &g.in, &s, 1);
    if (!err) {
        qs_parts_init(&g.parts, g.model, &g.notes);
        find_layers(&g);
        err = g.notes.n_node > 0 ? search(cx, &g) : QS_OK;
    }
    qs_inputs_drop(&g.in);
    qs_inputs_release(&g.in);
    qs_sample_free(s);
    qs_dataset_close(data);
    qs_parts_release(&g.parts);
    qs_static_notes_release(&g.notes);
    qs_model_unref(g.model);
    free(g.layer);
    return err;
}

void
qs_faster_release(struct qs_faster *f)
{
    free(f->layer);
    free(f->int8_ms);
    free(f->fp32_ms);
    *f = (struct qs_faster){0};
}
