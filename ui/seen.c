/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/seen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Calibrations of older versions do not say; they took the best of each. */
static bool
took_the_best(const struct qs_run *run)
{
    static const char line[] = "# algo = ";
    const char *at = run->plan ? strstr(run->plan, line) : NULL;
    return run->kind && strcmp(run->kind, "calibrate") == 0 &&
           (!at || strncmp(at + sizeof(line) - 1, "auto\n", 5) == 0);
}

/* "abs_max=6.5 kl=5.75"; names it does not know are passed over. */
static void
read_thresholds(const char *text, struct qs_observed *of)
{
    for (int i = 0; i < QS_N_ALGO; i++)
        of->threshold[i] = of->sqnr_db[i] = NAN;
    while (*text) {
        const size_t n = strcspn(text, " ");
        for (int i = 0; i < QS_N_ALGO; i++) {
            const size_t k = strlen(qs_algo_names[i]);
            if (k >= n || strncmp(text, qs_algo_names[i], k) != 0 || text[k] != '=')
                continue;
            const double t = strtod(text + k + 1, NULL);
            of->threshold[i] = isfinite(t) && t > 0 ? t : NAN;
        }
        text += n;
        text += strspn(text, " ");
    }
}

static int
find_algo(const char *name)
{
    for (int i = 0; i < QS_N_ALGO; i++)
        if (strcmp(qs_algo_names[i], name) == 0)
            return i;
    return -1;
}

/* The histogram, when it is one: bins up to the largest size. */
static void
read_histogram(const struct qs_run_activation *row, struct ui_seen *s)
{
    struct qs_observed *of = &s->of;
    const double largest = fmax(fabs(row->min), fabs(row->max));
    if (row->n_bin <= 0 || !(row->width > 0) || !isfinite(row->width) || !isfinite(largest))
        return;
    of->n_bin = row->n_bin;
    of->width = row->width;
    s->count = qs_xcalloc((size_t)of->n_bin, sizeof(*s->count));
    s->negative = qs_xcalloc((size_t)of->n_bin, sizeof(*s->negative));
    for (int i = 0; i < of->n_bin; i++) {
        s->count[i] = row->count[i] > 0 ? row->count[i] : 0;
        of->n_values += s->count[i];
    }
    of->count = s->count;
    of->negative = s->negative;
    /* it lies in the last bin */
    const double last = (of->n_bin - 0.5) * of->width;
    of->max =
        largest < of->n_bin * of->width && largest >= (of->n_bin - 1) * of->width ? largest : last;
}

/* Zeros lose nothing by rounding but are not counted apart in the store: as many of the first bin
 * as give the error that was measured at the threshold that was taken. */
static void
guess_zeros(struct ui_seen *s, int bits, double measured_db)
{
    enum { STEPS = 30 };
    struct qs_observed *of = &s->of;
    if (of->n_values == 0 || !isfinite(measured_db) || !(s->threshold > 0))
        return;
    int64_t lo = 0, hi = of->count[0];
    for (int i = 0; i < STEPS && lo < hi; i++) {
        of->n_zero = lo + (hi - lo) / 2;
        /* more zeros, less error */
        if (qs_observed_sqnr(of, bits, s->threshold) < measured_db)
            lo = of->n_zero + 1;
        else
            hi = of->n_zero;
    }
    of->n_zero = lo;
}

static bool
read_row(const struct qs_run_activation *row, const struct qs_model *m, int bits, struct ui_seen *s)
{
    const int32_t var = qs_model_find_var(m, 0, row->var);
    if (var < 0 || bits < 2 || bits > 16)
        return false;
    *s = (struct ui_seen){.var = var,
                          .min = row->min,
                          .max = row->max,
                          .algo = find_algo(row->algo),
                          .threshold = row->threshold};
    s->of.n_samples = row->n_samples;
    s->of.n_bad = row->n_bad;
    read_thresholds(row->thresholds, &s->of);
    read_histogram(row, s);
    guess_zeros(s, bits, row->sqnr_db);
    return true;
}

struct ui_calibration *
ui_calibration_new(const struct qs_run *run, const struct qs_model *m)
{
    struct ui_calibration *c = qs_xcalloc(1, sizeof(*c));
    c->run = run->id;
    c->started = run->started;
    c->best_bits = took_the_best(run) ? run->bits : 0;
    c->n_var = m->n_var;
    c->of_var = qs_xmalloc(((size_t)m->n_var + 1) * sizeof(*c->of_var));
    for (int i = 0; i < m->n_var; i++)
        c->of_var[i] = -1;
    c->seen = qs_xcalloc((size_t)run->n_activation + 1, sizeof(*c->seen));
    for (int i = 0; i < run->n_activation; i++)
        if (read_row(&run->activation[i], m, run->bits, &c->seen[c->n])) {
            c->of_var[c->seen[c->n].var] = c->n;
            c->n++;
        }
    if (c->n > 0)
        return c;
    ui_calibration_free(c);
    return NULL;
}

void
ui_calibration_free(struct ui_calibration *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->n; i++) {
        free(c->seen[i].count);
        free(c->seen[i].negative);
    }
    free(c->seen);
    free(c->of_var);
    free(c);
}

const struct ui_seen *
ui_seen_of(const struct ui_calibration *c, int32_t var)
{
    if (!c || var < 0 || var >= c->n_var || c->of_var[var] < 0)
        return NULL;
    return &c->seen[c->of_var[var]];
}

double
ui_seen_sqnr(const struct ui_seen *s, int bits, double threshold)
{
    return s->of.n_values > 0 && threshold > 0 ? qs_observed_sqnr(&s->of, bits, threshold) : NAN;
}

double
ui_seen_clipped(const struct ui_seen *s, double threshold)
{
    const double at = threshold / s->of.width;
    double above = 0;
    /* thresholds are stored with nine digits */
    if (s->of.n_values == 0 || !(at >= 0) || threshold >= s->of.max * (1 - 1e-6))
        return 0;
    for (int i = s->of.n_bin - 1; i >= 0 && i + 1 > at; i--)
        above += (double)s->count[i] * fmin(1, i + 1 - at);
    return above / (double)s->of.n_values;
}

/* The error beside the signal, with what `auto` goes by: squares of what is clipped count more. */
static double
cost_of(const struct qs_observed *of, double threshold, double db)
{
    double signal = 0, clipped = 0;
    for (int i = 0; i < of->n_bin; i++) {
        const double x = fmin((i + 0.5) * of->width, of->max), beyond = fmax(0, x - threshold);
        signal += (double)of->count[i] * x * x;
        clipped += (double)of->count[i] * beyond * beyond;
    }
    return pow(10, -db / 10) + (QS_CLIPPED_COUNTS - 1) * (signal > 0 ? clipped / signal : 0);
}

static int
best_of(const struct qs_observed *of)
{
    double least = INFINITY;
    int best = -1;
    for (int i = 0; i < QS_N_ALGO; i++) {
        const double cost =
            isnan(of->sqnr_db[i]) ? INFINITY : cost_of(of, of->threshold[i], of->sqnr_db[i]);
        if (cost < least) {
            least = cost;
            best = i;
        }
    }
    return best;
}

void
ui_calibration_at(struct ui_calibration *c, int bits)
{
    if (!c || c->bits == bits)
        return;
    c->bits = bits;
    for (int k = 0; k < c->n; k++) {
        struct qs_observed *of = &c->seen[k].of;
        for (int i = 0; i < QS_N_ALGO; i++)
            of->sqnr_db[i] = ui_seen_sqnr(&c->seen[k], bits, of->threshold[i]);
        of->best = bits == c->best_bits && c->seen[k].algo >= 0 ? c->seen[k].algo : best_of(of);
    }
}
