/* SPDX-License-Identifier: Apache-2.0 */
#include "fit/rounding.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "kernels/gemm.h"

enum { ROWS = 32, CANDIDATES = 71 };
static const double rate = 0.05, push = 0.01; /* of Adam; weight of the push against E */
static const double exact = 1e-6;             /* share of (s x)^2 that counts as no error */

/* Some rows of one group, rounded by one thread. */
struct part {
    struct qs_rounding *r;
    int64_t row, n;       /* first, how many */
    const float *h;       /* [k][k] of the group */
    double trace;         /* of H */
    double unit;          /* E is divided by it: that of an error of s/2 in every weight */
    float *lower;         /* [n][k] floor(w / s) */
    float *d, *g;         /* [n][k] error, its product with H: of soft weights */
    float *a, *m, *v;     /* [n][k] state of Adam */
    double *dd, *gd;      /* [k] error and product of one row of integers */
    double before, after; /* E times n */
};

void
qs_round_nearest(struct qs_rounding *r)
{
    const int64_t k = r->moments->k;
    for (int64_t i = 0; i < r->moments->rows * k; i++) {
        const double s = r->step[i / k];
        const double q = s > 0 ? nearbyint((double)r->w[i] / s) : 0;
        r->q[i] = (int32_t)fmin(fmax(q, r->lo), r->hi);
    }
}

/* ---- one part ---- */

static void
set_lower(struct part *p)
{
    const int64_t k = p->r->moments->k;
    for (int64_t i = 0; i < p->n * k; i++) {
        const double s = p->r->step[p->row + i / k];
        p->lower[i] = s > 0 ? (float)floor((double)p->r->w[p->row * k + i] / s) : 0;
    }
}

static double
clamp(double x, double lo, double hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

static void
multiply(struct part *p)
{
    const int64_t k = p->r->moments->k;
    qk_sgemm(p->n, k, k, 1, (struct qk_matrix){p->d, k, 0}, (struct qk_matrix){p->h, k, 0}, 0, p->g,
             k);
}

/* d and d H of one row of the integers as they are, in double: errors cancel where inputs go
 * together. Returns E of the row times n. */
static double
begin_row(struct part *p, int64_t row)
{
    const int64_t k = p->r->moments->k, at = (p->row + row) * k;
    const double s = p->r->step[p->row + row];
    double e = 0;
    memset(p->gd, 0, (size_t)k * sizeof(*p->gd));
    for (int64_t i = 0; i < k; i++) {
        p->dd[i] = s * p->r->q[at + i] - (double)p->r->w[at + i];
        for (int64_t j = 0; j < k; j++)
            p->gd[j] += p->dd[i] * (double)p->h[i * k + j];
    }
    for (int64_t i = 0; i < k; i++)
        e += p->dd[i] * p->gd[i];
    return e > 0 ? e : 0;
}

static double
error_of(struct part *p)
{
    double e = 0;
    for (int64_t row = 0; row < p->n; row++)
        e += begin_row(p, row);
    return e;
}

static double
sigmoid(double a)
{
    return 1 / (1 + exp(-a));
}

static double
rectified(double a)
{
    return clamp(1.2 * sigmoid(a) - 0.1, 0, 1);
}

/* Begins at the fraction itself: h(a) = w / s - floor(w / s). */
static void
begin_soft(struct part *p)
{
    const int64_t k = p->r->moments->k;
    for (int64_t i = 0; i < p->n * k; i++) {
        const double s = p->r->step[p->row + i / k];
        const double fraction =
            s > 0 ? (double)p->r->w[p->row * k + i] / s - (double)p->lower[i] : 0;
        p->a[i] = (float)-log(1.2 / (clamp(fraction, 0, 1) + 0.1) - 1);
        p->m[i] = p->v[i] = 0;
    }
}

static void
soft_error(struct part *p)
{
    const int64_t k = p->r->moments->k;
    for (int64_t i = 0; i < p->n * k; i++) {
        const double s = p->r->step[p->row + i / k];
        const double q =
            clamp((double)p->lower[i] + rectified((double)p->a[i]), p->r->lo, p->r->hi);
        p->d[i] = (float)(s * q - (double)p->r->w[p->row * k + i]);
    }
    multiply(p);
}

/* One step of Adam; beta < 0: no push yet. */
static void
adam(struct part *p, int t, double beta)
{
    const int64_t k = p->r->moments->k;
    const double m_left = 1 - pow(0.9, t + 1), v_left = 1 - pow(0.999, t + 1);
    for (int64_t i = 0; i < p->n * k; i++) {
        const double s = p->r->step[p->row + i / k], sig = sigmoid((double)p->a[i]);
        const double h = 1.2 * sig - 0.1, q = (double)p->lower[i] + clamp(h, 0, 1);
        const bool free_to_move = h > 0 && h < 1 && q > p->r->lo && q < p->r->hi;
        const double slope = free_to_move ? 1.2 * sig * (1 - sig) : 0;
        double gradient = 2 * (double)p->g[i] * s / p->unit;
        if (beta > 0) {
            const double x = 2 * h - 1;
            gradient -= push * beta * 2 * copysign(pow(fabs(x), beta - 1), x);
        }
        gradient *= slope;
        p->m[i] = (float)(0.9 * (double)p->m[i] + 0.1 * gradient);
        p->v[i] = (float)(0.999 * (double)p->v[i] + 0.001 * gradient * gradient);
        p->a[i] -=
            (float)(rate * (double)p->m[i] / m_left / (sqrt((double)p->v[i] / v_left) + 1e-8));
    }
}

static void
train(struct part *p)
{
    const int n = p->r->iterations, quiet = n / 5;
    const int64_t k = p->r->moments->k;
    begin_soft(p);
    for (int t = 0; t < n; t++) {
        const double done = t < quiet ? 0 : (double)(t - quiet) / (double)(n - quiet);
        soft_error(p);
        adam(p, t, t < quiet ? -1 : 2 + 9 * (1 + cos(3.14159265358979 * done)));
    }
    for (int64_t i = 0; i < p->n * k; i++)
        p->r->q[p->row * k + i] = (int32_t)clamp(
            (double)p->lower[i] + (rectified((double)p->a[i]) >= 0.5), p->r->lo, p->r->hi);
}

/* Turns over the weight that lessens the error of the row most, by more than `least`; false: there
 * is none. */
static bool
turn_one(struct part *p, int64_t row, double least, double *e)
{
    const int64_t k = p->r->moments->k;
    int32_t *q = p->r->q + (p->row + row) * k;
    const double s = p->r->step[p->row + row];
    double best = -least;
    int64_t at = -1;
    int turn = 0;
    for (int64_t i = 0; i < k; i++) {
        const int to = (double)q[i] <= p->lower[row * k + i] ? 1 : -1;
        const double change = to * s * (2 * p->gd[i] + to * s * (double)p->h[i * k + i]);
        if (change < best && q[i] + to >= p->r->lo && q[i] + to <= p->r->hi) {
            best = change;
            at = i;
            turn = to;
        }
    }
    if (at < 0)
        return false;
    q[at] += turn;
    *e += best;
    p->dd[at] += turn * s;
    for (int64_t i = 0; i < k; i++)
        p->gd[i] += turn * s * (double)p->h[at * k + i];
    return true;
}

/* Returns E times n before; what it is afterwards is *after. */
static double
turn_over(struct part *p, double *after)
{
    const int64_t k = p->r->moments->k;
    double before = 0;
    *after = 0;
    for (int64_t row = 0; row < p->n; row++) {
        const double s = p->r->step[p->row + row], begun = begin_row(p, row);
        double e = begun;
        const bool on_grid = e <= exact * s * s * p->trace; /* what is left is noise */
        for (int64_t turns = 0; !on_grid && turns < 2 * k && turn_one(p, row, 1e-6 * begun, &e);)
            turns++;
        before += begun;
        *after += e;
    }
    return before;
}

/* What E is measured in: that of an error of s/2 in every weight. */
static void
set_unit(struct part *p)
{
    const int64_t k = p->r->moments->k;
    double steps = 0;
    p->trace = 0;
    for (int64_t i = 0; i < k; i++)
        p->trace += (double)p->h[i * k + i];
    for (int64_t row = 0; row < p->n; row++)
        steps += p->r->step[p->row + row] * p->r->step[p->row + row];
    p->unit = p->trace * steps / (double)(p->n * k) / 4;
}

static void
round_part(struct part *p)
{
    const int64_t k = p->r->moments->k;
    const size_t bytes = (size_t)(p->n * k) * sizeof(int32_t);
    int32_t *q = p->r->q + p->row * k, *nearest;
    set_lower(p);
    set_unit(p);
    if (p->r->iterations == 0 || p->unit <= 0) {
        p->before = turn_over(p, &p->after);
        return;
    }
    nearest = qs_xmalloc(bytes);
    memcpy(nearest, q, bytes);
    p->before = error_of(p);
    train(p);
    (void)turn_over(p, &p->after);
    if (!(p->after <= p->before)) {
        memcpy(q, nearest, bytes);
        p->after = p->before;
    }
    free(nearest);
}

/* ---- all parts ---- */

struct all {
    struct qs_rounding *r;
    int64_t per_group, blocks; /* rows of a group, parts of it */
    double (*error)[2];        /* [groups * blocks] before, after */
};

static enum qs_err
part_of(struct qs_ctx *cx, void *arg, int64_t i)
{
    const struct all *all = arg;
    const struct qs_moments *mo = all->r->moments;
    const int64_t group = i / all->blocks, block = i % all->blocks, k = mo->k;
    struct part p = {
        .r = all->r, .row = group * all->per_group + block * ROWS, .h = mo->h + group * k * k};
    p.n = all->per_group - block * ROWS;
    p.n = p.n < ROWS ? p.n : ROWS;
    const bool soft = all->r->iterations > 0;
    const int64_t n = p.n * k;
    float *room = qs_xcalloc((size_t)((soft ? 6 : 1) * n), sizeof(*room));
    p.lower = room;
    if (soft) {
        p.d = room + n;
        p.g = room + 2 * n;
        p.a = room + 3 * n;
        p.m = room + 4 * n;
        p.v = room + 5 * n;
    }
    p.dd = qs_xcalloc((size_t)(2 * k), sizeof(*p.dd));
    p.gd = p.dd + k;
    round_part(&p);
    all->error[i][0] = p.before;
    all->error[i][1] = p.after;
    free(p.dd);
    free(room);
    return qs_check_cancel(cx);
}

enum qs_err
qs_round_adaptive(struct qs_ctx *cx, struct qs_rounding *r)
{
    const struct qs_moments *mo = r->moments;
    struct all all = {.r = r, .per_group = mo->rows / mo->groups};
    assert(mo->h && mo->rows % mo->groups == 0);
    all.blocks = (all.per_group + ROWS - 1) / ROWS;
    const int64_t n = mo->groups * all.blocks;
    all.error = qs_xcalloc((size_t)n + 1, sizeof(*all.error));
    (void)qk_sgemm_start();
    const enum qs_err err = qs_parallel_for(cx, n, part_of, &all);
    r->error_before = r->error = 0;
    for (int64_t i = 0; i < n; i++) {
        r->error_before += all.error[i][0] / (double)(mo->n > 0 ? mo->n : 1);
        r->error += all.error[i][1] / (double)(mo->n > 0 ? mo->n : 1);
    }
    free(all.error);
    return err;
}

void
qs_round_shift(const struct qs_rounding *r, double *shift)
{
    const struct qs_moments *mo = r->moments;
    const int64_t k = mo->k, per_group = mo->rows / mo->groups;
    for (int64_t row = 0; row < mo->rows; row++) {
        const double *sum = mo->sum + row / per_group * k;
        shift[row] = 0;
        for (int64_t i = 0; i < k; i++)
            shift[row] += (r->step[row] * r->q[row * k + i] - (double)r->w[row * k + i]) * sum[i] /
                          (double)(mo->n > 0 ? mo->n : 1);
    }
}

double
qs_least_error_threshold(const float *w, int64_t n, int bits)
{
    const double range = ldexp(1, bits - 1) - 1;
    double most = 0, best = INFINITY, threshold = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)w[i]));
    for (int c = 0; c < CANDIDATES; c++) {
        const double t = most * (1 - 0.01 * c), s = t / range;
        double error = 0;
        for (int64_t i = 0; i < n && s > 0; i++) {
            const double q = clamp(nearbyint((double)w[i] / s), -range, range);
            error += ((double)w[i] - q * s) * ((double)w[i] - q * s);
        }
        if (error < best) {
            best = error;
            threshold = t;
        }
    }
    return threshold;
}
