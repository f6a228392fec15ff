/* SPDX-License-Identifier: Apache-2.0 */
/* What rounding does to values of which a histogram is known: within a bin they are taken as
 * evenly spread, in the last bin up to the largest. Every sum over a range is then a difference of
 * prefix sums, so one threshold costs a few operations per level of the quantizer. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "model/calib_internal.h"

/* Levels from which on they are finer than bins: the error within a level is then that of even
 * density. */
enum { FINE_LEVELS = 1024 };

struct sums { /* of the values below some point */
    double n, x, xx;
};

/* ---- the histogram ---- */

static double
upper_edge(const struct qs_side *s, int bin, double width)
{
    return bin == s->last ? s->largest : (bin + 1) * width;
}

/* The part [a, t) of a bin that holds n values evenly spread over [a, b). */
static struct sums
part(double n, double a, double b, double t)
{
    const double share = b > a ? (t - a) / (b - a) : 1, here = n * share;
    return (struct sums){here, here * (a + t) / 2, here * (a * a + a * t + t * t) / 3};
}

static void
side_init(struct qs_side *s, const struct qs_observed *seen, int sign)
{
    const int n = seen->n_bin;
    s->n = qs_xcalloc((size_t)n + 1, 3 * sizeof(*s->n));
    s->x = s->n + n + 1;
    s->xx = s->x + n + 1;
    s->largest = fmax(sign ? -seen->min : seen->max, 0);
    s->last = s->largest > 0 ? (int)(s->largest / seen->width) : -1;
    for (int i = 0; i < n; i++) {
        const int64_t all = seen->count[i] - (i == 0 ? seen->n_zero : 0);
        const double here = (double)(sign ? seen->negative[i] : all - seen->negative[i]);
        const double b = upper_edge(s, i, seen->width);
        const struct sums p = part(here, i * seen->width, b, b);
        s->n[i + 1] = s->n[i] + p.n;
        s->x[i + 1] = s->x[i] + p.x;
        s->xx[i + 1] = s->xx[i] + p.xx;
    }
}

void
qs_density_init(struct qs_density *d, const struct qs_observed *seen)
{
    d->width = seen->width;
    d->n = (double)seen->n_values;
    d->energy = 0;
    for (int sign = 0; sign < 2; sign++) {
        side_init(&d->side[sign], seen, sign);
        d->energy += d->side[sign].xx[seen->n_bin];
    }
}

void
qs_density_release(struct qs_density *d)
{
    free(d->side[0].n);
    free(d->side[1].n);
}

/* Sums of the values of a side that are smaller than t. */
static struct sums
below(const struct qs_side *s, double width, double t)
{
    const int i = t >= s->largest ? s->last + 1 : (int)(t / width);
    struct sums sum = {s->n[i], s->x[i], s->xx[i]};
    if (i > s->last)
        return sum;
    const struct sums p = part(s->n[i + 1] - s->n[i], i * width, upper_edge(s, i, width), t);
    return (struct sums){sum.n + p.n, sum.x + p.x, sum.xx + p.xx};
}

double
qs_density_below(const struct qs_density *d, double t)
{
    double n = 0;
    for (int side = 0; side < 2; side++)
        n += d->side[side].last < 0 ? 0 : below(&d->side[side], d->width, t).n;
    return n;
}

double
qs_density_clipped(const struct qs_density *d, double t)
{
    double error = 0;
    for (int side = 0; side < 2; side++) {
        const struct qs_side *s = &d->side[side];
        if (s->last < 0 || t >= s->largest)
            continue;
        const struct sums in = below(s, d->width, t), all = below(s, d->width, INFINITY);
        error += all.xx - in.xx - 2 * t * (all.x - in.x) + t * t * (all.n - in.n);
    }
    return error > 0 ? error : 0;
}

/* ---- rounding ---- */

/* Values of a side between two points become y. */
static void
add_level(struct qs_rounded *r, const struct sums *from, const struct sums *to, double y,
          double sign)
{
    const double n = to->n - from->n, x = to->x - from->x, xx = to->xx - from->xx;
    r->err += xx - 2 * y * x + y * y * n;
    r->y += sign * y * n;
    r->yy += y * y * n;
}

/* Levels 0 .. most of size `step`; all above the last becomes it. */
static void
round_coarse(struct qs_rounded *r, const struct qs_side *s, double width, double step, int most,
             double sign)
{
    struct sums from = {0};
    for (int q = 0; q <= most; q++) {
        const double end = q < most ? (q + 0.5) * step : INFINITY;
        const struct sums to = below(s, width, end);
        add_level(r, &from, &to, q * step, sign);
        if (end >= s->largest)
            break;
        from = to;
    }
}

static void
round_fine(struct qs_rounded *r, const struct qs_side *s, double width, double step, int most,
           double sign)
{
    const struct sums in = below(s, width, most * step), all = below(s, width, INFINITY);
    const double error = in.n * step * step / 12;
    r->err += error;
    r->y += sign * in.x;
    r->yy += in.xx + error;
    add_level(r, &in, &all, most * step, sign);
}

struct qs_rounded
qs_density_round(const struct qs_density *d, int bits, double threshold)
{
    const int R = (1 << (bits - 1)) - 1;
    struct qs_rounded r = {0};
    for (int side = 0; side < 2; side++) {
        const struct qs_side *s = &d->side[side];
        const double sign = side ? -1 : 1;
        if (s->last < 0)
            continue;
        if (R < FINE_LEVELS)
            round_coarse(&r, s, d->width, threshold / R, R + side, sign);
        else
            round_fine(&r, s, d->width, threshold / R, R + side, sign);
    }
    r.err = fmax(r.err, 0);
    return r;
}

static double
deviation(double n, double sum, double sum_sq)
{
    const double mean = sum / n;
    return sqrt(fmax(sum_sq / n - mean * mean, 0));
}

double
qs_density_emd(const struct qs_density *d, const struct qs_rounded *r)
{
    double x = 0;
    for (int side = 0; side < 2; side++) {
        const struct sums all = below(&d->side[side], d->width, INFINITY);
        x += side ? -all.x : all.x;
    }
    return fabs(x - r->y) / d->n +
           fabs(deviation(d->n, x, d->energy) - deviation(d->n, r->y, r->yy));
}

double
qs_density_sqnr(const struct qs_density *d, const struct qs_rounded *r)
{
    return r->err > 0 ? 10 * log10(d->energy / r->err) : INFINITY;
}

double
qs_observed_sqnr(const struct qs_observed *seen, int bits, double threshold)
{
    struct qs_density d;
    if (seen->n_values == 0 || !(threshold > 0))
        return NAN;
    qs_density_init(&d, seen);
    const struct qs_rounded r = qs_density_round(&d, bits, threshold);
    const double db = qs_density_sqnr(&d, &r);
    qs_density_release(&d);
    return db;
}
