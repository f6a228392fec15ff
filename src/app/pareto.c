/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of a model by two quantities, and which of them nothing beats. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "base/str.h"
#include "data/metrics.h"

/* A model that was written, or the model itself, which `of_itself` says. */
struct candidate {
    const struct qs_run *run;
    const char *digest; /* of what evaluations see */
    bool of_itself;
};

struct search {
    struct qs_runs runs;        /* newest first */
    const struct qs_run **eval; /* [n_eval] evaluations by the digest of what was evaluated, newest
                                   first */
    int n_eval;
    const char *digest; /* of the model */
    struct candidate *candidate;
    int n;
};

static bool
is_done(const struct qs_run *r, const char *kind)
{
    return strcmp(r->kind, kind) == 0 && strcmp(r->state, "done") == 0;
}

/* --- which model ------------------------------------------------------------------------------ */

/* The model that a digest was made from, whatever was done to it in between. */
static const char *
origin_of(const struct qs_runs *runs, const char *digest)
{
    for (int i = 0; i < runs->n; i++) {
        const struct qs_run *r = &runs->run[i];
        if (*r->output_digest && strcmp(r->output_digest, digest) == 0 &&
            strcmp(r->model_digest, digest) != 0)
            digest = r->model_digest; /* made by an older run, so no circle */
    }
    return digest;
}

static const char *
newest_model(const struct qs_runs *runs)
{
    for (int i = 0; i < runs->n; i++)
        if (*runs->run[i].model_digest)
            return origin_of(runs, runs->run[i].model_digest);
    return NULL;
}

static const char *
known_digest(const struct qs_runs *runs, const char *digest)
{
    for (int i = 0; i < runs->n; i++)
        if (strcmp(runs->run[i].model_digest, digest) == 0)
            return runs->run[i].model_digest;
    return NULL;
}

static enum qs_err
digest_of_path(struct qs_ctx *cx, const char *path, char hex[QS_DIGEST_HEX])
{
    struct qs_opened *o = NULL;
    enum qs_err err = qs_app_open(cx, path, NULL, NULL, &o);
    if (!err)
        err = qs_app_digest(cx, o, hex);
    qs_app_close(o);
    return err;
}

static enum qs_err
find_model(struct qs_ctx *cx, struct search *s, const char *model)
{
    char hex[QS_DIGEST_HEX];
    if (!model) {
        s->digest = newest_model(&s->runs);
        return s->digest ? QS_OK
                         : qs_fail(cx, QS_ERR_NOT_FOUND, _("the store has no run of a model"));
    }
    const char *known = known_digest(&s->runs, model);
    if (!known) {
        const enum qs_err err = digest_of_path(cx, model, hex);
        if (err)
            return err;
        known = known_digest(&s->runs, hex);
    }
    s->digest = known ? origin_of(&s->runs, known) : NULL;
    return s->digest ? QS_OK
                     : qs_fail(cx, QS_ERR_NOT_FOUND, _("the store has no run of '%s'"), model);
}

/* --- what is compared ------------------------------------------------------------------------- */

static void
add_candidate(struct search *s, const struct qs_run *run, const char *digest)
{
    s->candidate = qs_xrealloc(s->candidate, (size_t)(s->n + 1) * sizeof(*s->candidate));
    s->candidate[s->n++] = (struct candidate){run, digest, digest == run->model_digest};
}

static void
find_candidates(struct search *s)
{
    bool itself = false;
    for (int i = 0; i < s->runs.n; i++) {
        const struct qs_run *r = &s->runs.run[i];
        if (strcmp(r->model_digest, s->digest) != 0)
            continue;
        if (is_done(r, "quantize") && *r->output_digest)
            add_candidate(s, r, r->output_digest);
        if (is_done(r, "eval") && !itself) {
            add_candidate(s, r, r->model_digest);
            itself = true;
        }
    }
}

/* --- metrics ---------------------------------------------------------------------------------- */

/* On what an evaluation was made, malloc: the lines of its choices that tell. */
static char *
basis_of(const struct qs_run *eval, const char *metric)
{
    static const char *const line[] = {"# data = ", "# samples = ", "# reference = "};
    const struct qs_metric *m = qs_metric_by_name(metric);
    const bool compares =
        m && (m->when == QS_WHEN_REFERENCE || m->when == QS_WHEN_REFERENCE_CLASSES);
    struct qs_str out;
    qs_str_init(&out);
    for (size_t i = 0; i < (compares ? QS_LEN(line) : QS_LEN(line) - 1); i++) {
        const char *at = strstr(eval->plan, line[i]);
        if (at)
            qs_str_addn(&out, at, strcspn(at, "\n") + 1);
    }
    return qs_str_take(&out);
}

static double
metric_of(const struct qs_run *eval, const char *name)
{
    for (int i = 0; i < eval->n_metric; i++)
        if (strcmp(eval->metric[i].name, name) == 0)
            return eval->metric[i].value;
    return NAN;
}

static int
by_digest(const void *a, const void *b)
{
    const struct qs_run *p = *(const struct qs_run *const *)a,
                        *q = *(const struct qs_run *const *)b;
    const int c = strcmp(p->model_digest, q->model_digest);
    return c ? c : p->id > q->id ? -1 : p->id < q->id;
}

static void
sort_evaluations(struct search *s)
{
    s->eval = qs_xcalloc((size_t)s->runs.n + 1, sizeof(*s->eval));
    for (int i = 0; i < s->runs.n; i++)
        if (is_done(&s->runs.run[i], "eval"))
            s->eval[s->n_eval++] = &s->runs.run[i];
    if (s->n_eval)
        qsort(s->eval, (size_t)s->n_eval, sizeof(*s->eval), by_digest);
}

/* The first evaluation of a digest, where it is or would be. */
static int
first_evaluation(const struct search *s, const char *digest)
{
    int low = 0, high = s->n_eval;
    while (low < high) {
        const int mid = low + (high - low) / 2;
        if (strcmp(s->eval[mid]->model_digest, digest) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool
is_of(const struct search *s, int i, const struct candidate *c)
{
    return i < s->n_eval && strcmp(s->eval[i]->model_digest, c->digest) == 0;
}

/* The newest evaluation of what a candidate is, on that basis (NULL: any). */
static const struct qs_run *
evaluation_of(const struct search *s, const struct candidate *c, const char *metric,
              const char *basis)
{
    for (int i = first_evaluation(s, c->digest); is_of(s, i, c); i++) {
        if (isnan(metric_of(s->eval[i], metric)))
            continue;
        char *its = basis_of(s->eval[i], metric);
        const bool same = !basis || strcmp(its, basis) == 0;
        free(its);
        if (same)
            return s->eval[i];
    }
    return NULL;
}

static int
count_with(const struct search *s, const char *metric, const char *basis)
{
    int n = 0;
    for (int i = 0; i < s->n; i++)
        n += evaluation_of(s, &s->candidate[i], metric, basis) != NULL;
    return n;
}

/* A list of different texts. */
static bool
is_new(struct qs_strv *seen, const char *text)
{
    for (int i = 0; i < seen->n; i++)
        if (strcmp(seen->v[i], text) == 0)
            return false;
    qs_strv_add(seen, text);
    return true;
}

/* Every metric that an evaluation of a candidate has. */
static void
list_metrics(const struct search *s, struct qs_strv *out)
{
    for (int i = 0; i < s->n; i++)
        for (int k = first_evaluation(s, s->candidate[i].digest); is_of(s, k, &s->candidate[i]);
             k++)
            for (int j = 0; j < s->eval[k]->n_metric; j++)
                (void)is_new(out, s->eval[k]->metric[j].name);
}

/* The metric that most candidates have, the first of an evaluation where that is undecided;
 * malloc, NULL: none has any. */
static char *
choose_metric(const struct search *s)
{
    struct qs_strv name = {0};
    int best = -1, n_best = 0;
    list_metrics(s, &name);
    for (int i = 0; i < name.n; i++) {
        const int n = count_with(s, name.v[i], NULL);
        if (n > n_best) {
            best = i;
            n_best = n;
        }
    }
    char *chosen = best < 0 ? NULL : qs_xstrdup(name.v[best]);
    qs_strv_release(&name);
    return chosen;
}

/* The basis of the metric that most candidates share, the newest where that is undecided; malloc,
 * NULL: nobody has the metric. */
static char *
choose_basis(const struct search *s, const char *metric)
{
    struct qs_strv seen = {0};
    int best = -1, n_best = 0;
    for (int i = 0; i < s->runs.n; i++) {
        const struct qs_run *r = &s->runs.run[i];
        if (!is_done(r, "eval") || isnan(metric_of(r, metric)))
            continue;
        char *basis = basis_of(r, metric);
        const int n = is_new(&seen, basis) ? count_with(s, metric, basis) : 0;
        if (n > n_best) {
            best = seen.n - 1;
            n_best = n;
        }
        free(basis);
    }
    char *chosen = best < 0 ? NULL : qs_xstrdup(seen.v[best]);
    qs_strv_release(&seen);
    return chosen;
}

/* --- points ----------------------------------------------------------------------------------- */

struct quantity {
    char *name;
    char *basis; /* of a metric */
};

static bool
is_plain(const char *name)
{
    return strcmp(name, "bytes") == 0 || strcmp(name, "seconds") == 0;
}

static double
value_of(const struct search *s, const struct candidate *c, const struct quantity *q)
{
    if (strcmp(q->name, "bytes") == 0)
        return (double)(c->of_itself ? c->run->model_bytes : c->run->bytes_after);
    if (strcmp(q->name, "seconds") == 0)
        return c->run->seconds;
    const struct qs_run *eval = q->basis ? evaluation_of(s, c, q->name, q->basis) : NULL;
    return eval ? metric_of(eval, q->name) : NAN;
}

static bool
less_is_better(const char *name)
{
    const struct qs_metric *m = qs_metric_by_name(name);
    return is_plain(name) || (m && !m->higher_is_better);
}

static char *
label_of(const struct candidate *c)
{
    const struct qs_run *r = c->run;
    const char *gap = *r->tag ? " " : "";
    return c->of_itself ? qs_xasprintf("float%s%s", gap, r->tag)
                        : qs_xasprintf("%s %d%s%s", r->method, r->bits, gap, r->tag);
}

static void
add_point(const struct search *s, const struct candidate *c, const struct quantity *x,
          const struct quantity *y, struct qs_pareto *out)
{
    const double at_x = value_of(s, c, x), at_y = value_of(s, c, y);
    if (isnan(at_x) || isnan(at_y))
        return;
    out->point[out->n++] =
        (struct qs_pareto_point){.run = c->run->id, .x = at_x, .y = at_y, .label = label_of(c)};
}

static int
by_x(const void *a, const void *b)
{
    const struct qs_pareto_point *p = a, *q = b;
    if (p->x != q->x)
        return p->x < q->x ? -1 : 1;
    return p->run < q->run ? -1 : p->run > q->run;
}

static bool
beats(const struct qs_pareto *all, const struct qs_pareto_point *p, const struct qs_pareto_point *q)
{
    const double x = all->x_less ? q->x - p->x : p->x - q->x;
    const double y = all->y_less ? q->y - p->y : p->y - q->y;
    return x >= 0 && y >= 0 && (x > 0 || y > 0);
}

static void
mark_front(struct qs_pareto *all)
{
    for (int i = 0; i < all->n; i++) {
        bool beaten = false;
        for (int k = 0; k < all->n && !beaten; k++)
            beaten = beats(all, &all->point[k], &all->point[i]);
        all->point[i].on_front = !beaten;
    }
}

static enum qs_err
make_points(struct qs_ctx *cx, const struct search *s, const struct quantity *x,
            const struct quantity *y, struct qs_pareto *out)
{
    out->point = qs_xcalloc((size_t)s->n + 1, sizeof(*out->point));
    for (int i = 0; i < s->n; i++)
        add_point(s, &s->candidate[i], x, y, out);
    if (out->n == 0)
        return qs_fail(cx, QS_ERR_NOT_FOUND, _("no run of '%s' has '%s' and '%s'"), out->model,
                       x->name, y->name);
    if (out->n < s->n)
        qs_note(cx, _("%d of %d runs are left out: not evaluated on the same samples"),
                s->n - out->n, s->n);
    snprintf(out->x, sizeof(out->x), "%s", x->name);
    snprintf(out->y, sizeof(out->y), "%s", y->name);
    out->x_less = less_is_better(x->name);
    out->y_less = less_is_better(y->name);
    qsort(out->point, (size_t)out->n, sizeof(*out->point), by_x);
    mark_front(out);
    return QS_OK;
}

static enum qs_err
choose_quantities(struct qs_ctx *cx, const struct search *s, struct quantity *x, struct quantity *y,
                  const char *model)
{
    if (!x->name)
        x->name = qs_xstrdup("bytes");
    if (!y->name)
        y->name = choose_metric(s);
    if (!y->name)
        return qs_fail(cx, QS_ERR_NOT_FOUND,
                       _("no run of '%s' was evaluated ('qslim eval' measures metrics)"), model);
    if (!is_plain(x->name))
        x->basis = choose_basis(s, x->name);
    if (!is_plain(y->name))
        y->basis = choose_basis(s, y->name);
    return QS_OK;
}

static const char *
path_of(const struct search *s)
{
    for (int i = 0; i < s->runs.n; i++)
        if (strcmp(s->runs.run[i].model_digest, s->digest) == 0)
            return s->runs.run[i].model_path;
    return "";
}

enum qs_err
qs_app_pareto(struct qs_ctx *cx, const char *db, const char *model, const char *x, const char *y,
              struct qs_pareto *out)
{
    struct search s = {0};
    struct quantity qx = {x ? qs_xstrdup(x) : NULL, NULL}, qy = {y ? qs_xstrdup(y) : NULL, NULL};
    *out = (struct qs_pareto){0};
    enum qs_err err = qs_app_runs(cx, db, &s.runs);
    if (!err)
        err = find_model(cx, &s, model);
    if (!err) {
        out->model = qs_xstrdup(path_of(&s));
        find_candidates(&s);
        sort_evaluations(&s);
        err = choose_quantities(cx, &s, &qx, &qy, out->model);
    }
    if (!err)
        err = make_points(cx, &s, &qx, &qy, out);
    free(qx.name);
    free(qx.basis);
    free(qy.name);
    free(qy.basis);
    free(s.candidate);
    free(s.eval);
    qs_runs_release(&s.runs);
    if (err)
        qs_pareto_release(out);
    return err;
}

void
qs_pareto_release(struct qs_pareto *p)
{
    for (int i = 0; i < p->n; i++)
        free(p->point[i].label);
    free(p->point);
    free(p->model);
    *p = (struct qs_pareto){0};
}
