/* SPDX-License-Identifier: Apache-2.0 */
#include "fit/rounding.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "kernels/gemm.h"

enum { ROWS = 32, PANEL = 128, CANDIDATES = 71 };
static const double rate = 0.05, push = 0.01; /* of Adam; weight of the push against E */
static const double exact = 1e-6;             /* share of (s x)^2 that counts as no error */
static const double enough = 1e-4; /* share of E of a row below which no weight is turned over */

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
    double *dd, *gd;      /* [n][k] error and its product with H: of integers */
    double *diagonal;     /* [k] of H */
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

/* gd += dd H, a panel of H at a time, the panels added up in double: errors cancel where inputs go
 * together. */
static void
multiply_integers(struct part *p)
{
    const int64_t k = p->r->moments->k, n = p->n * k;
    float *d = qs_xmalloc((size_t)(p->n * PANEL) * sizeof(*d));
    float *g = qs_xmalloc((size_t)n * sizeof(*g));
    for (int64_t from = 0; from < k; from += PANEL) {
        const int64_t width = k - from < PANEL ? k - from : PANEL;
        for (int64_t row = 0; row < p->n; row++)
            for (int64_t i = 0; i < width; i++)
                d[row * width + i] = (float)p->dd[row * k + from + i];
        qk_sgemm(p->n, k, width, 1, (struct qk_matrix){d, width, 0},
                 (struct qk_matrix){p->h + from * k, k, 0}, 0, g, k);
        for (int64_t i = 0; i < n; i++)
            p->gd[i] += (double)g[i];
    }
    free(d);
    free(g);
}

/* d and d H of the integers as they are. */
static void
begin_integers(struct part *p)
{
    const int64_t k = p->r->moments->k, n = p->n * k;
    for (int64_t i = 0; i < n; i++) {
        const double s = p->r->step[p->row + i / k];
        p->dd[i] = s * p->r->q[p->row * k + i] - (double)p->r->w[p->row * k + i];
        p->gd[i] = 0;
    }
    multiply_integers(p);
}

/* E of a row times n. */
static double
error_of_row(const struct part *p, int64_t row)
{
    const int64_t k = p->r->moments->k;
    double e = 0;
    for (int64_t i = 0; i < k; i++)
        e += p->dd[row * k + i] * p->gd[row * k + i];
    return e > 0 ? e : 0;
}

static double
error_of(struct part *p)
{
    double e = 0;
    begin_integers(p);
    for (int64_t row = 0; row < p->n; row++)
        e += error_of_row(p, row);
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

/* What weight i of a row changes by when it is turned over; 0: it may not be. */
static double
move_of(const struct part *p, int64_t row, int64_t i)
{
    const int64_t at = row * p->r->moments->k + i;
    const int32_t q = p->r->q[p->row * p->r->moments->k + at];
    const int to = (double)q <= (double)p->lower[at] ? 1 : -1;
    const bool inside = q + to >= p->r->lo && q + to <= p->r->hi;
    return inside ? to * p->r->step[p->row + row] : 0;
}

/* gd += moved * h, and then the weight that lessens E most when it is turned over, by more than
 * `least`; -1: there is none. */
static int64_t
advance(const struct part *p, const double *move, double *gd, double moved, const float *h,
        double least, double *change)
{
    const int64_t k = p->r->moments->k;
    int64_t at = -1;
    *change = -least;
    for (int64_t i = 0; i < k; i++) {
        gd[i] += moved * (double)h[i];
        const double here = move[i] * (2 * gd[i] + move[i] * p->diagonal[i]);
        if (here < *change) {
            *change = here;
            at = i;
        }
    }
    return at;
}

/* Returns E of the row times n afterwards; its d is overwritten. */
static double
turn_over_row(struct part *p, int64_t row, double e)
{
    const int64_t k = p->r->moments->k;
    const double least = enough * e;
    double *move = p->dd + row * k, *gd = p->gd + row * k, change;
    for (int64_t i = 0; i < k; i++)
        move[i] = move_of(p, row, i);
    int64_t at = advance(p, move, gd, 0, p->h, least, &change);
    for (int64_t turns = 0; at >= 0 && turns < 2 * k; turns++) {
        const double moved = move[at];
        p->r->q[(p->row + row) * k + at] += moved > 0 ? 1 : -1;
        e += change;
        move[at] = move_of(p, row, at);
        at = advance(p, move, gd, moved, p->h + at * k, least, &change);
    }
    return e;
}

/* Returns E times n before; what it is afterwards is *after. */
static double
turn_over(struct part *p, double *after)
{
    double before = 0;
    *after = 0;
    begin_integers(p);
    for (int64_t row = 0; row < p->n; row++) {
        const double s = p->r->step[p->row + row], e = error_of_row(p, row);
        const bool on_grid = e <= exact * s * s * p->trace; /* what is left is noise */
        before += e;
        *after += on_grid ? e : turn_over_row(p, row, e);
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
    for (int64_t i = 0; i < k; i++) {
        p->diagonal[i] = (double)p->h[i * k + i];
        p->trace += p->diagonal[i];
    }
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
    p.dd = qs_xcalloc((size_t)(2 * n + k), sizeof(*p.dd));
    p.gd = p.dd + n;
    p.diagonal = p.gd + n;
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
