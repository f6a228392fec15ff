/* SPDX-License-Identifier: Apache-2.0 */
/*
 * p is the histogram cut at bin i, with all that lies above added to its last bin; q the same
 * without it, evened out within each group over the bins where p is not 0. Paddle computes
 *     D = (sum p ln(Q p) - sum p ln(P q)) / P,    P = sum p, Q = sum q
 * bin by bin. Within a group q is one number, so with prefix sums D costs one logarithm per group.
 */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "model/calib_internal.h"

static double
x_log_x(double x)
{
    return x > 0 ? x * log(x) : 0;
}

void
qs_kl_init(struct qs_kl *k, const double *count, int n_bin)
{
    k->n_bin = n_bin;
    k->n = qs_xcalloc((size_t)n_bin + 1, sizeof(*k->n));
    k->entropy = qs_xcalloc((size_t)n_bin + 1, sizeof(*k->entropy));
    k->filled = qs_xcalloc((size_t)n_bin + 1, sizeof(*k->filled));
    for (int i = 0; i < n_bin; i++) {
        k->n[i + 1] = k->n[i] + count[i];
        k->entropy[i + 1] = k->entropy[i] + x_log_x(count[i]);
        k->filled[i + 1] = k->filled[i] + (count[i] > 0);
    }
}

void
qs_kl_release(struct qs_kl *k)
{
    free(k->n);
    free(k->entropy);
    free(k->filled);
}

/* sum over the bins [from, to) of p ln q; `above` is in the last of them. */
static double
group_sum(const struct qs_kl *k, int from, int to, double above)
{
    const double n = k->n[to] - k->n[from];
    int filled = k->filled[to] - k->filled[from];
    if (n + above <= 0)
        return 0;
    if (above > 0 && k->n[to] == k->n[to - 1])
        filled++; /* a bin that only what lies above fills */
    return (n + above) * log(n / filled);
}

double
qs_kl_divergence(const struct qs_kl *k, int i, int steps)
{
    const double P = k->n[k->n_bin], Q = k->n[i], above = P - Q;
    const double last = k->n[i] - k->n[i - 1];
    const double p_log_p = k->entropy[i - 1] + x_log_x(last + above);
    const int size = i / steps; /* of a group */
    double p_log_q = group_sum(k, (steps - 1) * size, i, above);
    for (int g = 0; size > 0 && g < steps - 1; g++)
        p_log_q += group_sum(k, g * size, (g + 1) * size, 0);
    return isfinite(p_log_q) ? (p_log_p - p_log_q) / P + log(Q / P) : INFINITY;
}
