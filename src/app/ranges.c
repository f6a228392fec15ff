/* SPDX-License-Identifier: Apache-2.0 */
#include "app/ranges.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/refine.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "passes/plan_notes.h"

/* The layer whose operator is the first to read an activation rules its range; -1: none does. */
static int *
layers_by_input(const struct qs_opened *o, const struct qs_decisions *d)
{
    const struct qs_model *m = o->model;
    int *layer = qs_xmalloc(((size_t)m->n_var + 1) * sizeof(*layer));
    for (int v = 0; v < m->n_var; v++)
        layer[v] = -1;
    for (int i = d->n - 1; i >= 0; i--) {
        const struct qs_layer *l = &o->layers->layer[i];
        for (int k = o->edges->n_reader[l->var] - 1; k >= 0 && d->layer[i].bits > 0; k--) {
            const struct qs_ref r = o->edges->reader[l->var][k];
            int32_t x;
            if (r.block == 0 && qs_rounded_inputs(m, &m->block[0].node[r.node], &x, 1) > 0)
                layer[x] = i;
        }
    }
    return layer;
}

/* Whether the plan leaves the calibrator to us. */
static bool
is_open(const struct qs_plan *plan, const struct qs_decision *d)
{
    return d ? d->algo == QS_ALGO_auto && !(d->threshold > 0) : plan->algo == QS_ALGO_auto;
}

/* What the plan takes of the answers about one activation; a threshold by hand leaves *algo -1.
 * `own`: the calibrator where it is left open, QS_ALGO_auto the one with the least cost. */
static double
choose(const struct qs_plan *plan, const struct qs_decision *d, const struct qs_observed *seen,
       int own, int *algo)
{
    *algo = d ? d->algo : plan->algo;
    if (d && d->threshold > 0)
        return d->threshold;
    if (is_open(plan, d))
        *algo = own == QS_ALGO_auto ? seen->best : own;
    return seen->n_values > 0 ? seen->threshold[*algo] : NAN;
}

static void
choose_all(const struct qs_opened *o, const struct qs_plan *plan, const struct qs_decisions *d,
           int own, struct qs_ranges *out)
{
    int *layer = layers_by_input(o, d);
    for (int i = 0; i < out->seen.n; i++) {
        const int32_t var = out->seen.var[i];
        const struct qs_decision *rules = layer[var] < 0 ? NULL : &d->layer[layer[var]];
        out->threshold[var] = choose(plan, rules, &out->seen.seen[i], own, &out->algo[i]);
    }
    free(layer);
}

/* How many members the largest group has and which is the first of them. */
static int
largest_group(const struct qs_same_scale *s, int32_t *first)
{
    *first = -1;
    for (int v = 0; v < s->n_var; v++)
        if (s->group[v] == v && (*first < 0 || s->size[v] > s->size[*first]))
            *first = v;
    return *first < 0 ? 0 : s->size[*first];
}

static void
say_shared(struct qs_ctx *cx, const struct qs_opened *o, const struct qs_ranges *r, int n_changed)
{
    int32_t first;
    const int most = largest_group(&r->same, &first);
    if (most == 0) {
        qs_note(cx, "%s", _("thresholds shared: none, no rounded activations are joined"));
        return;
    }
    qs_note(
        cx,
        _("thresholds shared: groups %d, activations %d, changed %d (largest: '%s' and %d more at "
          "%.5g)"),
        r->same.n_group, r->same.n_member, n_changed, o->model->var[first].name, most - 1,
        r->threshold[first]);
}

/* One threshold for activations that are joined. */
static void
share(struct qs_ctx *cx, const struct qs_opened *o, const struct qs_plan *plan,
      const struct qs_decisions *d, struct qs_ranges *out)
{
    const size_t n = (size_t)o->model->n_var + 1;
    if (plan->same_scale == QS_SAME_SCALE_NONE)
        return;
    bool *rounded = qs_xcalloc(n, sizeof(*rounded)), *by_hand = qs_xcalloc(n, sizeof(*by_hand));
    qs_plan_rounds(o->model, d, rounded);
    for (int i = 0; i < out->seen.n; i++)
        by_hand[out->seen.var[i]] = out->algo[i] < 0;
    out->from = qs_xcalloc(n, sizeof(*out->from));
    qs_same_scale_find(o->model, o->edges, rounded, &out->same);
    say_shared(cx, o, out, qs_same_scale_apply(&out->same, by_hand, out->threshold, out->from));
    free(rounded);
    free(by_hand);
}

static void
start(const struct qs_opened *o, double value, struct qs_ranges *out)
{
    *out = (struct qs_ranges){0};
    out->threshold = qs_xcalloc((size_t)o->model->n_var + 1, sizeof(*out->threshold));
    for (int v = 0; v < o->model->n_var; v++)
        out->threshold[v] = value;
}

/* ---- auto ---- */

/* What is tried for all activations that are left open; auto: for each the one of least cost. */
static const int tried[] = {QS_ALGO_auto,       QS_ALGO_abs_max, QS_ALGO_avg, QS_ALGO_hist,
                            QS_ALGO_percentile, QS_ALGO_kl,      QS_ALGO_mse, QS_ALGO_emd};

struct choices {
    int n;
    int algo[QS_LEN(tried)];
    struct qs_choice of[QS_LEN(tried)]; /* thresholds are owned */
};

/* Whether it gives a threshold wherever the first does, and not those of an earlier one. */
static bool
is_another(const struct choices *c, const double *threshold, int n_var)
{
    const size_t bytes = (size_t)n_var * sizeof(*threshold);
    for (int i = 0; i < c->n; i++)
        if (memcmp(c->of[i].threshold, threshold, bytes) == 0)
            return false;
    for (int v = 0; c->n > 0 && v < n_var; v++)
        if (isnan(threshold[v]) && !isnan(c->of[0].threshold[v]))
            return false;
    return true;
}

static void
list_choices(const struct qs_opened *o, const struct qs_plan *plan, const struct qs_decisions *d,
             struct qs_ranges *out, struct choices *c)
{
    const int n_var = o->model->n_var;
    for (size_t i = 0; i < QS_LEN(tried); i++) {
        choose_all(o, plan, d, tried[i], out);
        if (!is_another(c, out->threshold, n_var))
            continue;
        double *copy = qs_xmalloc(((size_t)n_var + 1) * sizeof(*copy));
        memcpy(copy, out->threshold, (size_t)n_var * sizeof(*copy));
        c->of[c->n].threshold = copy;
        c->algo[c->n++] = tried[i];
    }
}

static double
decibels(const struct qs_choice *c)
{
    return -10 * log10(fmax(c->error, 1e-30));
}

static void
say_choice(struct qs_ctx *cx, const struct choices *c, int best, int samples)
{
    const double db = decibels(&c->of[best]);
    if (c->algo[best] == QS_ALGO_auto)
        qs_note(cx,
                _("calibrators: for each activation its own (SQNR of the outputs %.1f dB, %d "
                  "samples)"),
                db, samples);
    else
        qs_note(cx,
                _("calibrators: %s for all activations (SQNR of the outputs %.1f dB, %.1f dB with "
                  "its own for each; %d samples)"),
                qs_algo_names[c->algo[best]], db, decibels(&c->of[0]), samples);
}

/* Which activations are rounded and left open: [seen.n]. */
static bool *
list_open(const struct qs_opened *o, const struct qs_plan *plan, const struct qs_decisions *d,
          const struct qs_ranges *r)
{
    bool *open = qs_xcalloc((size_t)r->seen.n + 1, sizeof(*open));
    bool *rounded = qs_xcalloc((size_t)o->model->n_var + 1, sizeof(*rounded));
    int *layer = layers_by_input(o, d);
    qs_plan_rounds(o->model, d, rounded);
    for (int i = 0; i < r->seen.n; i++) {
        const int32_t var = r->seen.var[i];
        open[i] = rounded[var] && is_open(plan, layer[var] < 0 ? NULL : &d->layer[layer[var]]);
    }
    free(rounded);
    free(layer);
    return open;
}

/* Refines the best choice; sets *best. */
static enum qs_err
take_best(struct qs_ctx *cx, struct qs_trial *t, struct choices *c, const struct qs_ranges *r,
          const bool *open, int *best, int *swapped)
{
    enum qs_err err = qs_choices_measure(cx, t, c->of, c->n);
    int n = 0;
    if (err)
        return err;
    *best = qs_choices_best(c->of, c->n);
    say_choice(cx, c, *best, qs_trial_samples(t));
    err = qs_refine(cx, t, &r->seen, open, &c->of[*best], swapped);
    for (int i = 0; i < r->seen.n; i++)
        n += swapped[i] >= 0;
    if (n > 0)
        qs_note(cx, _("calibrators: another for %d of these (SQNR of the outputs %.1f dB)"), n,
                decibels(&c->of[*best]));
    return err;
}

/* A model that cannot run in integers keeps what is best for each activation by itself. */
static enum qs_err
choose_by_output(struct qs_ctx *cx, const struct qs_opened *o, const struct qs_plan *plan,
                 const struct qs_decisions *d, struct qs_ranges *out)
{
    struct choices c = {0};
    struct qs_trial *t = NULL;
    bool *open = list_open(o, plan, d, out);
    int *swapped = qs_xmalloc(((size_t)out->seen.n + 1) * sizeof(*swapped)), best = 0;
    enum qs_err err = QS_OK;
    list_choices(o, plan, d, out, &c);
    memset(swapped, -1, (size_t)out->seen.n * sizeof(*swapped));
    if (c.n > 1)
        err = qs_trial_new(cx, o, plan, d, &t);
    if (t && !err)
        err = take_best(cx, t, &c, out, open, &best, swapped);
    if (err == QS_ERR_UNSUPPORTED) {
        qs_clear(cx);
        err = QS_OK;
    }
    choose_all(o, plan, d, c.algo[best], out);
    for (int i = 0; i < out->seen.n; i++)
        if (swapped[i] >= 0) {
            out->algo[i] = swapped[i];
            out->threshold[out->seen.var[i]] = out->seen.seen[i].threshold[swapped[i]];
        }
    for (int i = 0; i < c.n; i++)
        free(c.of[i].threshold);
    qs_trial_free(t);
    free(swapped);
    free(open);
    return err;
}

/* ---- entry ---- */

/* Calibrators of Paddle's exact variants that the plan can ask for; 0: all. */
static int
algos_of(const struct qs_plan *plan, const struct qs_decisions *d)
{
    int set = 1 << plan->algo;
    for (int i = 0; i < d->n; i++)
        set |= d->layer[i].algo >= 0 ? 1 << d->layer[i].algo : 0;
    return set >> QS_ALGO_auto & 1 ? 0 : set;
}

enum qs_err
qs_ranges_find(struct qs_ctx *cx, const struct qs_opened *o, const struct qs_plan *plan,
               const struct qs_decisions *d, struct qs_ranges *out)
{
    bool *want = qs_xcalloc((size_t)o->model->n_var + 1, sizeof(*want));
    const struct qs_calibrate_options opt = {.data = plan->data,
                                             .samples = plan->samples,
                                             .batch = plan->batch,
                                             .calib = {.bits = plan->activation_bits,
                                                       .hist_percent = plan->hist_percent,
                                                       .paddle = plan->compat == QS_COMPAT_PADDLE,
                                                       .qdq = qs_plan_format(plan) == QS_FORMAT_QDQ,
                                                       .algos = algos_of(plan, d)},
                                             .want = want};
    start(o, NAN, out);
    qs_plan_wants(o->model, plan, d, want);
    enum qs_err err = qs_app_calibrate(cx, o, &opt, &out->seen);
    if (!err) {
        out->algo = qs_xcalloc((size_t)out->seen.n + 1, sizeof(*out->algo));
        err = choose_by_output(cx, o, plan, d, out);
    }
    if (!err)
        share(cx, o, plan, d, out);
    free(want);
    return err;
}

void
qs_ranges_pretend(const struct qs_opened *o, struct qs_ranges *out)
{
    start(o, 1, out);
}

enum qs_err
qs_ranges_pretend_notes(struct qs_ctx *cx, const struct qs_opened *o, struct qs_model *model,
                        const struct qs_plan *plan, const struct qs_decisions *d,
                        struct qs_static_notes *notes)
{
    struct qs_ranges ranges;
    struct qs_ctx quiet; /* weights are quantized once more, which is nothing to tell */
    qs_ctx_init_child(&quiet, cx);
    qs_ranges_pretend(o, &ranges);
    struct qs_pass_state st = {.model = model,
                               .edges = o->edges,
                               .layers = o->layers,
                               .plan = plan,
                               .decisions = d,
                               .threshold = ranges.threshold};
    st.outcome = qs_xcalloc((size_t)o->layers->n + 1, sizeof(*st.outcome));
    const enum qs_err err = qs_plan_notes(&quiet, &st, notes);
    free(st.outcome);
    qs_ranges_release(&ranges);
    return err ? qs_fail(cx, err, "%s", qs_message(&quiet)) : QS_OK;
}

/* "kl", "threshold"; of a threshold from another activation "kl, group of 3". malloc */
static char *
how_text(const struct qs_ranges *r, int32_t var)
{
    const int32_t from = r->from ? r->from[var] : var;
    const int algo = r->algo[qs_calibrated_of(&r->seen, from) - r->seen.seen];
    const char *name = algo < 0 ? "threshold" : qs_algo_names[algo];
    return from == var ? qs_xstrdup(name)
                       : qs_xasprintf("%s, group of %d", name, r->same.size[r->same.group[var]]);
}

void
qs_ranges_record(const struct qs_ranges *r, const struct qs_opened *o, int bits, struct qs_run *run)
{
    if (r->seen.n == 0)
        return;
    qs_calibrated_rows(&r->seen, o, r->algo, run);
    for (int i = 0; i < r->seen.n; i++) {
        struct qs_run_activation *row = &run->activation[i];
        const int32_t var = r->seen.var[i];
        if (r->algo[i] >= 0 && (!r->from || r->from[var] == var))
            continue;
        free(row->algo);
        row->algo = how_text(r, var);
        row->threshold = r->threshold[var];
        row->sqnr_db = qs_observed_sqnr(&r->seen.seen[i], bits, row->threshold);
    }
}

void
qs_ranges_release(struct qs_ranges *r)
{
    free(r->threshold);
    free(r->algo);
    free(r->from);
    qs_same_scale_release(&r->same);
    qs_calibrated_release(&r->seen);
    *r = (struct qs_ranges){0};
}
