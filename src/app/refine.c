/* SPDX-License-Identifier: Apache-2.0 */
#include "app/refine.h"

#include <math.h>
#include <stdlib.h>

#include "base/i18n.h"
#include "base/mem.h"

enum { OTHERS = 3 /* thresholds that are tried for an activation */ };
static const double clearly = 0.995; /* of the error: it has fallen */
static const double nearly = 1.03;   /* thresholds that differ by less are one */
static const double enough = 1e-3;   /* an error that is not worth the runs: 30 dB */

/* An activation that takes its turn. */
struct turn {
    int i; /* of those seen */
    double noise;
    double start; /* its threshold */
};

struct search {
    struct qs_trial *t;
    const struct qs_calibrated *seen;
    double *threshold; /* [n_var] of now */
    int *algo;
    struct turn *turn; /* [n_turn] */
    int n_turn;
    int order[QS_CHOOSE_SAMPLES]; /* any number of the first are spread over all */
    int n;                        /* samples */
    double now[QS_CHOOSE_SAMPLES], next[QS_CHOOSE_SAMPLES];
    int64_t left; /* runs */
};

/* ---- what is tried ---- */

static int
more_noise_first(const void *a, const void *b)
{
    const struct turn *x = a, *y = b;
    return x->noise != y->noise ? (x->noise < y->noise ? 1 : -1) : x->i - y->i;
}

static void
list_turns(struct search *s, const bool *open)
{
    s->turn = qs_xcalloc((size_t)s->seen->n + 1, sizeof(*s->turn));
    for (int i = 0; i < s->seen->n; i++) {
        const double start = s->threshold[s->seen->var[i]];
        const double db = qs_observed_sqnr(&s->seen->seen[i], s->seen->calib.bits, start);
        if (open[i] && !isnan(db))
            s->turn[s->n_turn++] = (struct turn){i, pow(10, -db / 10), start};
    }
    qsort(s->turn, (size_t)s->n_turn, sizeof(*s->turn), more_noise_first);
}

static bool
are_near(double a, double b)
{
    return a < nearly * b && b < nearly * a;
}

/* Calibrators whose thresholds are others than the first, and than each other. */
static int
list_others(const struct qs_observed *seen, double start, int *algo)
{
    static const int order[] = {QS_ALGO_mse,  QS_ALGO_abs_max, QS_ALGO_kl, QS_ALGO_percentile,
                                QS_ALGO_hist, QS_ALGO_avg,     QS_ALGO_emd};
    int n = 0;
    for (size_t i = 0; i < QS_LEN(order) && n < OTHERS; i++) {
        const double threshold = seen->threshold[order[i]];
        bool other = threshold > 0 && !are_near(threshold, start);
        for (int k = 0; k < n; k++)
            other = other && !are_near(threshold, seen->threshold[algo[k]]);
        if (other)
            algo[n++] = order[i];
    }
    return n;
}

/* ---- samples ---- */

/* 0, 16, 8, 24, 4 .. of those that there are. */
static void
spread(struct search *s)
{
    int n = 0;
    for (int i = 0; i < QS_CHOOSE_SAMPLES; i++) {
        int at = 0;
        for (int bit = 1; bit < QS_CHOOSE_SAMPLES; bit *= 2)
            at = 2 * at + i / bit % 2;
        if (at < s->n)
            s->order[n++] = at;
    }
}

static double
sum_of(const struct search *s, const double *error, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += error[s->order[i]];
    return sum;
}

/* Runs samples from .. to-1 of the order. */
static enum qs_err
run(struct qs_ctx *cx, struct search *s, int from, int to, double *error)
{
    s->left -= to - from;
    return qs_trial_run(cx, s->t, s->threshold, s->order + from, to - from, error);
}

/* ---- search ---- */

/* Whether the thresholds of now are better than those before; then s->now is of them. A quarter of
 * the samples is asked first, then a half, then all. */
static enum qs_err
is_better(struct qs_ctx *cx, struct search *s, bool *better)
{
    enum qs_err err = QS_OK;
    int n = 0;
    *better = true;
    for (int part = 4; part > 0 && *better; part /= 2) {
        const int next = (s->n + part - 1) / part;
        err = run(cx, s, n, next, s->next);
        n = next;
        *better = !err && sum_of(s, s->next, n) < clearly * sum_of(s, s->now, n);
    }
    for (int i = 0; *better && i < s->n; i++)
        s->now[i] = s->next[i];
    return err;
}

static bool
may_go_on(const struct search *s)
{
    return s->left >= s->n;
}

static enum qs_err
take_turn(struct qs_ctx *cx, struct search *s, const struct turn *turn)
{
    const struct qs_observed *seen = &s->seen->seen[turn->i];
    double *threshold = &s->threshold[s->seen->var[turn->i]];
    int algo[OTHERS];
    const int n = list_others(seen, turn->start, algo);
    enum qs_err err = QS_OK;
    for (int k = 0; k < n && may_go_on(s) && !err; k++) {
        const double before = *threshold;
        bool better;
        *threshold = seen->threshold[algo[k]];
        err = is_better(cx, s, &better);
        if (better)
            s->algo[turn->i] = algo[k];
        else
            *threshold = before;
    }
    return err;
}

static enum qs_err
take_turns(struct qs_ctx *cx, struct search *s, double *error)
{
    enum qs_err err = run(cx, s, 0, s->n, s->now);
    for (int i = 0; i < s->n_turn && may_go_on(s) && !err; i++) {
        err = take_turn(cx, s, &s->turn[i]);
        qs_progress(cx, _("refine thresholds"), i + 1, s->n_turn);
    }
    if (!err)
        *error = sum_of(s, s->now, s->n) / s->n;
    return err;
}

static int64_t
runs_for(int64_t macs)
{
    const int64_t most = macs > 0 ? QS_REFINE_MACS / macs : 0;
    return most < QS_REFINE_RUNS ? most : QS_REFINE_RUNS;
}

enum qs_err
qs_refine(struct qs_ctx *cx, struct qs_trial *t, const struct qs_calibrated *seen, const bool *open,
          struct qs_choice *best, int *algo)
{
    struct search s = {.t = t,
                       .seen = seen,
                       .threshold = best->threshold,
                       .algo = algo,
                       .n = qs_trial_samples(t),
                       .left = runs_for(qs_trial_macs(t))};
    enum qs_err err = QS_OK;
    spread(&s);
    list_turns(&s, open);
    if (s.n > 0 && s.left >= 2 * s.n && best->error > enough)
        err = take_turns(cx, &s, &best->error);
    free(s.turn);
    return err;
}
