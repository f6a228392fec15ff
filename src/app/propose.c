/* SPDX-License-Identifier: Apache-2.0 */
/* `qslim plan`: a plan from a sensitivity scan, greedy on the metric that a byte buys. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/sense.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "base/str.h"

enum { BITS_MOST = 17 };

/* A way to treat a layer. */
struct way {
    int bits; /* 0: left as it is */
    int64_t bytes;
    double cost; /* of the metric */
    double fine; /* 1 - cosine: decides where the metric does not */
};

struct part {
    const char *weight;
    struct way way[BITS_MOST]; /* by rising bytes and falling cost; the last is to leave it */
    int n, now;
};

struct walk {
    struct qs_ctx *cx;
    const struct qs_opened *o;
    const struct qs_run *scan;
    const struct qs_propose_options *opt;
    struct sense_choices choices; /* of the scan */
    struct qs_plan base;
    const char *mode; /* rows that count */
    struct part *part;
    int n_part;
    int *changed; /* [n_front] which part each step changed, and to which way */
    int *to;
    int64_t bytes; /* of what was decided so far */
    double cost, scale;
    double measured; /* drop with all layers quantized; NaN: the start is something else */
    double max_drop; /* of the metric */
    bool by_cosine;  /* the metric does not tell layers apart */
    struct sense_trial *trial; /* NULL: nothing was measured yet */
    struct qs_proposal *out;
    int cap;
};

/* ---- what the scan says ---- */

static double
stored_metric(const struct qs_run *run, const char *name)
{
    for (int i = 0; i < run->n_metric; i++)
        if (strcmp(run->metric[i].name, name) == 0)
            return run->metric[i].value;
    return NAN;
}

static bool
has_mode(const struct qs_run *scan, const char *mode)
{
    for (int i = 0; i < scan->n_sensitivity; i++)
        if (strcmp(scan->sensitivity[i].mode, mode) == 0)
            return true;
    return false;
}

/* The mode whose rows are nearest to what the method does. */
static const char *
choose_mode(const struct walk *w)
{
    const bool weights =
        w->base.method == QS_METHOD_DYNAMIC || w->base.method == QS_METHOD_WEIGHT_ONLY;
    const char *const order[] = {weights ? "weights" : "both", weights ? "both" : "activations",
                                 weights ? "activations" : "weights"};
    for (size_t i = 0; i < QS_LEN(order); i++)
        if (has_mode(w->scan, order[i])) {
            if (i > 0)
                qs_note(w->cx, _("the scan has no mode %s: its %s stands for it"), order[0],
                        order[i]);
            return order[i];
        }
    return "";
}

static bool
only_8_or_16(const struct qs_run *scan)
{
    for (int i = 0; i < scan->n_sensitivity; i++)
        if (scan->sensitivity[i].bits != 8 && scan->sensitivity[i].bits != 16)
            return false;
    return true;
}

static void
choose_base(struct walk *w)
{
    if (w->opt->base) {
        qs_plan_copy(&w->base, w->opt->base);
        return;
    }
    qs_plan_init(&w->base);
    w->base.weight_type = w->choices.weight_type;
    w->base.method = only_8_or_16(w->scan) ? QS_METHOD_DYNAMIC : QS_METHOD_WEIGHT_ONLY;
    if (!has_mode(w->scan, "both") && !has_mode(w->scan, "activations"))
        return;
    w->base.method = QS_METHOD_STATIC;
    w->base.activation_bits = w->scan->bits;
    w->base.algo = w->choices.algo;
    w->base.data = qs_xstrdup(w->choices.data);
    w->base.samples = w->choices.samples;
}

/* ---- ways ---- */

static struct part *
find_part(struct walk *w, const char *weight)
{
    for (int i = 0; i < w->n_part; i++)
        if (strcmp(w->part[i].weight, weight) == 0)
            return &w->part[i];
    return NULL;
}

static const struct qs_run_sensitivity *
find_row(const struct walk *w, const char *weight, int bits)
{
    for (int i = 0; i < w->scan->n_sensitivity; i++) {
        const struct qs_run_sensitivity *r = &w->scan->sensitivity[i];
        if (r->bits == bits && strcmp(r->mode, w->mode) == 0 && strcmp(r->weight, weight) == 0)
            return r;
    }
    return NULL;
}

/* What was not evaluated costs nothing: its own error is among the smallest. */
static double
cost_of(const struct walk *w, const struct qs_run_sensitivity *r)
{
    const double drop = w->by_cosine ? 1 - r->cosine : r->drop;
    return drop > 0 ? drop : 0;
}

/* Whether the metric tells layers apart; too few samples may not. */
static bool
metric_is_flat(const struct walk *w)
{
    for (int i = 0; i < w->scan->n_sensitivity; i++)
        if (strcmp(w->scan->sensitivity[i].mode, w->mode) == 0 && w->scan->sensitivity[i].drop > 0)
            return false;
    return true;
}

static double
badness(const struct way *way)
{
    return way->cost + 1e-6 * way->fine;
}

/* Keeps ways by rising bytes and falling cost. */
static void
add_way(struct part *p, struct way way)
{
    int n = 0;
    for (int i = 0; i < p->n; i++)
        if (p->way[i].bytes <= way.bytes && badness(&p->way[i]) <= badness(&way))
            return;
    for (int i = 0; i < p->n; i++)
        if (p->way[i].bytes < way.bytes || badness(&p->way[i]) < badness(&way))
            p->way[n++] = p->way[i];
    int at = n;
    while (at > 0 && p->way[at - 1].bytes > way.bytes) {
        p->way[at] = p->way[at - 1];
        at--;
    }
    p->way[at] = way;
    p->n = n + 1;
}

/* All layers at `bits`, as far as the method and the rules of the base let them be. */
static enum qs_err
add_ways(struct walk *w, int bits)
{
    struct qs_ctx quiet;
    struct qs_plan plan;
    struct qs_decisions *d = NULL;
    qs_plan_copy(&plan, &w->base);
    plan.weight_bits = bits;
    qs_ctx_init_child(&quiet, w->cx);
    enum qs_err err = qs_plan_check(&quiet, &plan);
    if (!err)
        err = qs_decide(w->cx, w->o->model, w->o->edges, w->o->layers, &plan, &d);
    else
        err = QS_OK; /* the method does not take these bits */
    for (int i = 0; d && i < d->n; i++) {
        const struct qs_decision *l = &d->layer[i];
        const char *weight = w->o->model->var[w->o->layers->layer[i].var].name;
        const struct qs_run_sensitivity *r = find_row(w, weight, bits);
        if (!r || l->bits != bits || l->action == QS_ACTION_KEEP || l->action == QS_ACTION_SKIP)
            continue;
        struct part *p = find_part(w, weight);
        if (!p) {
            p = &w->part[w->n_part++];
            *p = (struct part){.weight = weight};
            add_way(p, (struct way){0, l->bytes_before, 0, 0});
        }
        add_way(p, (struct way){bits, l->bytes_after + l->scale_bytes + l->param_bytes,
                                cost_of(w, r), r->cosine < 1 ? 1 - r->cosine : 0});
    }
    qs_decisions_free(d);
    qs_plan_release(&plan);
    return err;
}

static enum qs_err
find_ways(struct walk *w)
{
    enum qs_err err = QS_OK;
    w->part = qs_xcalloc((size_t)w->o->layers->n + 1, sizeof(*w->part));
    for (int bits = 16; bits >= 2 && !err; bits--) /* of equal ways the one with more bits */
        err = add_ways(w, bits);
    if (!err && w->n_part == 0)
        err = qs_fail(w->cx, QS_ERR_UNSUPPORTED,
                      _("nothing that run %lld scanned is quantized by method %s"),
                      (long long)w->scan->id, qs_plan_opts[0].choices[w->base.method]);
    return err;
}

/* ---- plans ---- */

/* A rule that names one weight: what a glob would read otherwise goes in brackets. */
static char *
rule_of(const struct part *p, const struct way *way)
{
    struct qs_str out;
    qs_str_init(&out);
    for (const char *s = p->weight; *s; s++)
        qs_str_printf(&out, strchr("*?[\\", *s) || (s == p->weight && *s == '/') ? "[%c]" : "%c",
                      *s);
    if (way->bits)
        qs_str_printf(&out, "=bits:%d", way->bits);
    else
        qs_str_add(&out, "=skip");
    return qs_str_take(&out);
}

/* The width that most layers have. */
static int
common_bits(const struct walk *w)
{
    int count[BITS_MOST] = {0}, best = 8, most = 0;
    for (int i = 0; i < w->n_part; i++)
        count[w->part[i].way[w->part[i].now].bits]++;
    for (int b = 2; b < BITS_MOST; b++)
        if (count[b] > most) {
            best = b;
            most = count[b];
        }
    return best;
}

/* The plan of where the walk stands. */
static void
make_plan(const struct walk *w, struct qs_plan *plan)
{
    qs_plan_copy(plan, &w->base);
    plan->weight_bits = common_bits(w);
    for (int i = 0; i < w->n_part; i++) {
        const struct part *p = &w->part[i];
        if (p->way[p->now].bits == plan->weight_bits)
            continue;
        char *rule = rule_of(p, &p->way[p->now]);
        qs_strv_add(&plan->layer, rule);
        free(rule);
    }
}

static enum qs_err
bytes_of(const struct walk *w, const struct qs_plan *plan, int64_t *bytes)
{
    struct qs_decisions *d;
    const enum qs_err err = qs_decide(w->cx, w->o->model, w->o->edges, w->o->layers, plan, &d);
    if (err)
        return err;
    *bytes = w->o->model->program_bytes + d->program_added + d->params_after;
    qs_decisions_free(d);
    return QS_OK;
}

/* ---- the walk ---- */

/* The mode that the scan measured with all layers quantized. */
static const char *
whole_mode(const struct qs_run *scan)
{
    return has_mode(scan, "both")          ? "both"
           : has_mode(scan, "activations") ? "activations"
                                           : "weights";
}

/* The drops of all layers as the scan tried them together. */
static double
sum_of_whole(const struct walk *w)
{
    double sum = 0;
    for (int i = 0; i < w->scan->n_sensitivity; i++) {
        const struct qs_run_sensitivity *r = &w->scan->sensitivity[i];
        if (r->bits == w->scan->bits && strcmp(r->mode, w->mode) == 0)
            sum += cost_of(w, r);
    }
    return sum;
}

/* Costs as the scan measured them together: alone they add up to more, or less. */
static void
find_scale(struct walk *w)
{
    const struct qs_metric *m = qs_metric_by_name(w->choices.metric);
    const double base = stored_metric(w->scan, "baseline"),
                 all = stored_metric(w->scan, "quantized");
    const double drop = !m || m->higher_is_better ? base - all : all - base;
    const double sum = sum_of_whole(w);
    const bool known = strcmp(w->mode, whole_mode(w->scan)) == 0 && !isnan(drop);
    bool start = known;
    for (int i = 0; i < w->n_part; i++) {
        w->cost += w->part[i].way[0].cost;
        start = start && w->part[i].way[0].bits == w->scan->bits;
    }
    w->measured = start ? drop : NAN;
    w->scale = known && sum > 0 ? fmax(drop, 0) / sum : w->by_cosine && m ? 0 : 1;
}

static void
add_point(struct walk *w, char *change, int part, int to)
{
    struct qs_proposal *out = w->out;
    if (out->n_front == w->cap) {
        w->cap = w->cap ? 2 * w->cap : 64;
        out->front = qs_xrealloc(out->front, (size_t)w->cap * sizeof(*out->front));
        w->changed = qs_xrealloc(w->changed, (size_t)w->cap * sizeof(*w->changed));
        w->to = qs_xrealloc(w->to, (size_t)w->cap * sizeof(*w->to));
    }
    w->changed[out->n_front] = part;
    w->to[out->n_front] = to;
    const bool start = out->n_front == 0 && !isnan(w->measured);
    out->front[out->n_front++] =
        (struct qs_front_point){.change = change,
                                .bytes = w->bytes,
                                .drop = start ? w->measured : w->cost * w->scale,
                                .measured = start ? w->measured : NAN};
}

/* The change that wins most for a byte; false: none is left (that fits). */
static bool
best_change(const struct walk *w, int *part, int *to)
{
    double best = -1;
    for (int i = 0; i < w->n_part; i++) {
        const struct part *p = &w->part[i];
        for (int k = p->now + 1; k < p->n; k++) {
            const double won = badness(&p->way[p->now]) - badness(&p->way[k]);
            const int64_t paid = p->way[k].bytes - p->way[p->now].bytes;
            const double rate = won / (double)(paid > 0 ? paid : 1);
            if (rate <= best || (w->opt->max_bytes >= 0 && w->bytes + paid > w->opt->max_bytes))
                continue;
            best = rate;
            *part = i;
            *to = k;
        }
    }
    return best >= 0;
}

static enum qs_err
walk(struct walk *w)
{
    struct qs_plan plan;
    int part = 0, to = 0;
    make_plan(w, &plan);
    const enum qs_err err = bytes_of(w, &plan, &w->bytes);
    qs_plan_release(&plan);
    if (err)
        return err;
    find_scale(w);
    add_point(w, qs_xstrdup(""), -1, 0);
    while (best_change(w, &part, &to)) {
        struct part *p = &w->part[part];
        w->bytes += p->way[to].bytes - p->way[p->now].bytes;
        p->now = to;
        w->cost = 0; /* summed anew: what rounding leaves of differences is no drop */
        for (int i = 0; i < w->n_part; i++)
            w->cost += w->part[i].way[w->part[i].now].cost;
        add_point(w, rule_of(p, &p->way[to]), part, to);
    }
    return QS_OK;
}

/* Puts all parts where they were after step `at`. */
static void
go_to(struct walk *w, int at)
{
    for (int i = 0; i < w->n_part; i++)
        w->part[i].now = 0;
    for (int k = 1; k <= at; k++)
        w->part[w->changed[k]].now = w->to[k];
}

/* The first step that keeps the drop, as predicted, or as measured where it was; the last when none
 * does. */
static int
first_within(const struct walk *w)
{
    for (int i = 0; i < w->out->n_front; i++) {
        const struct qs_front_point *p = &w->out->front[i];
        if ((isnan(p->measured) ? p->drop : p->measured) <= w->max_drop)
            return i;
    }
    return w->out->n_front - 1;
}

/* ---- measuring ---- */

static enum qs_err
measure_at(struct walk *w, int at)
{
    struct qs_front_point *p = &w->out->front[at];
    enum qs_err err = QS_OK;
    if (!isnan(p->measured))
        return QS_OK;
    if (!w->trial)
        err = qs_sense_trial_open(w->cx, w->o, &w->choices, w->mode, &w->trial);
    go_to(w, at);
    for (int i = 0; i < w->n_part && !err; i++)
        if (!qs_sense_trial_set(w->trial, w->part[i].weight, w->part[i].way[w->part[i].now].bits))
            err = qs_fail(w->cx, QS_ERR_FORMAT, _("layer '%s' cannot be tried alone"),
                          w->part[i].weight);
    return err ? err : qs_sense_trial_run(w->cx, w->trial, &p->measured);
}

/* The drop falls along the walk, about: halves what is left until the first step within the bound
 * is found, from where it was predicted. */
static enum qs_err
check(struct walk *w, int *chosen)
{
    int bad = -1, good = w->out->n_front; /* measured so, or beyond the ends */
    int at = 0;                           /* always the start first */
    enum qs_err err = QS_OK;
    while (!err && good - bad > 1) {
        err = measure_at(w, at);
        if (!err && w->out->front[at].measured <= w->max_drop)
            good = at;
        else
            bad = at;
        at = bad == 0 && *chosen > 0 && *chosen < good && isnan(w->out->front[*chosen].measured)
                 ? *chosen
                 : bad + (good - bad) / 2;
    }
    *chosen = good < w->out->n_front ? good : w->out->n_front - 1;
    return err;
}

/* ---- the whole ---- */

static enum qs_err
decide_end(struct walk *w)
{
    struct qs_proposal *out = w->out;
    int chosen = out->n_front - 1;
    enum qs_err err = QS_OK;
    if (w->opt->max_bytes < 0)
        chosen = first_within(w);
    if (w->opt->check)
        err = w->opt->max_bytes < 0 ? check(w, &chosen) : measure_at(w, chosen);
    if (err)
        return err;
    go_to(w, chosen);
    const struct qs_front_point *p = &out->front[chosen];
    out->front[chosen].chosen = true;
    make_plan(w, &out->plan);
    err = bytes_of(w, &out->plan, &out->bytes);
    out->meets = w->opt->max_bytes < 0 ? (isnan(p->measured) ? p->drop : p->measured) <= w->max_drop
                                       : out->bytes <= w->opt->max_bytes;
    return err;
}

static enum qs_err
check_scan(struct walk *w)
{
    char hex[QS_DIGEST_HEX];
    if (strcmp(w->scan->kind, "sensitivity") != 0)
        return qs_fail(w->cx, QS_ERR_USAGE, _("run %lld is of kind %s, not %s"),
                       (long long)w->scan->id, w->scan->kind, "sensitivity");
    if (strcmp(w->scan->state, "done") != 0)
        return qs_fail(w->cx, QS_ERR_USAGE, _("run %lld is not done (%s)"), (long long)w->scan->id,
                       w->scan->state);
    if ((w->max_drop >= 0) == (w->opt->max_bytes >= 0))
        return qs_fail(w->cx, QS_ERR_USAGE, _("a plan needs one bound: --max-drop or --max-size"));
    enum qs_err err = qs_app_need_params(w->cx, w->o);
    if (!err)
        err = qs_app_digest(w->cx, w->o, hex);
    if (!err && strcmp(w->scan->model_digest, hex) != 0)
        err = qs_fail(w->cx, QS_ERR_USAGE, _("run %lld is of '%s', and '%s' is not that model"),
                      (long long)w->scan->id, w->scan->model_path, w->o->path);
    return err ? err : qs_sense_choices_parse(w->cx, w->scan->plan, &w->choices);
}

/* An accuracy is spoken of in points; other metrics have no such unit. */
static double
drop_of(const struct walk *w)
{
    const struct qs_metric *m = qs_metric_by_name(w->choices.metric);
    const bool share =
        m && (m->when == QS_WHEN_CLASSES || m->when == QS_WHEN_TEXTS || m->when == QS_WHEN_AREAS);
    return w->opt->points && share ? w->opt->max_drop / 100 : w->opt->max_drop;
}

enum qs_err
qs_app_propose(struct qs_ctx *cx, const struct qs_opened *o, const struct qs_run *scan,
               const struct qs_propose_options *opt, struct qs_proposal *out)
{
    struct walk w = {
        .cx = cx, .o = o, .scan = scan, .opt = opt, .out = out, .max_drop = opt->max_drop};
    *out = (struct qs_proposal){.bytes_float = o->model->program_bytes + o->model->params_bytes};
    qs_plan_init(&w.base);
    enum qs_err err = check_scan(&w);
    if (!err) {
        snprintf(out->metric, sizeof(out->metric), "%s", w.choices.metric);
        w.max_drop = drop_of(&w);
        qs_plan_release(&w.base);
        choose_base(&w);
        w.mode = choose_mode(&w);
        w.by_cosine = metric_is_flat(&w);
        err = find_ways(&w);
    }
    if (!err)
        err = walk(&w);
    if (!err)
        err = decide_end(&w);
    qs_plan_release(&w.base);
    qs_sense_choices_release(&w.choices);
    qs_sense_trial_close(w.trial);
    free(w.part);
    free(w.changed);
    free(w.to);
    if (err)
        qs_proposal_release(out);
    return err;
}

void
qs_proposal_release(struct qs_proposal *p)
{
    for (int i = 0; i < p->n_front; i++)
        free(p->front[i].change);
    free(p->front);
    qs_plan_release(&p->plan);
    *p = (struct qs_proposal){0};
}
