/* SPDX-License-Identifier: Apache-2.0 */
/* Scalar kernels on activations, which define the result of all the others, and the choice. */
#include "kernels/observe.h"

#include <math.h>
#include <stddef.h>

#include "kernels/cpu.h"

enum { LANES = 8 };

static void
histogram(const float *x, int64_t n, float per_width, int64_t n_bin, uint32_t *count)
{
    for (int64_t i = 0; i < n; i++) {
        const float at = fabsf(x[i]) * per_width, last = (float)(n_bin - 1);
        if (x[i] != 0)
            count[(x[i] < 0 ? n_bin : 0) + (int64_t)(at > last ? last : at)]++;
    }
}

static float
clamp(float v, float low, float high)
{
    const float above = v > low ? v : low;
    return above < high ? above : high;
}

static float
rounded(float x, const struct qk_rounding *r)
{
    const float q = clamp(x, r->x_low, r->x_high) / r->scale * r->mul;
    return rintf(clamp(q, r->q_low, r->q_high)) / r->mul * r->scale;
}

/* The end of a leaf: its lanes, then what did not fill them. */
static float
add_up(const float lane[LANES], const float *rest, int n)
{
    float sum =
        ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
    for (int i = 0; i < n; i++)
        sum += rest[i];
    return sum;
}

static float
leaf(const float *term, int n)
{
    float lane[LANES] = {0};
    const int whole = n - n % LANES;
    for (int i = 0; i < whole; i++)
        lane[i % LANES] += term[i];
    return add_up(lane, term + whole, n - whole);
}

static void
rounding(const float *x, int n, const struct qk_rounding *r, int n_r, float *err, float *sum)
{
    for (int k = 0; k < n_r; k++) {
        float y[QK_LEAF], e[QK_LEAF];
        for (int i = 0; i < n; i++) {
            y[i] = rounded(x[i], &r[k]);
            e[i] = (x[i] - y[i]) * (x[i] - y[i]);
        }
        sum[k] = leaf(y, n);
        err[k] = leaf(e, n);
    }
}

static void
spread(const float *x, int n, const struct qk_rounding *r, int n_r, const float *mean, float *out)
{
    for (int k = 0; k < n_r; k++) {
        float d[QK_LEAF];
        for (int i = 0; i < n; i++) {
            d[i] = rounded(x[i], &r[k]) - mean[k];
            d[i] *= d[i];
        }
        out[k] = leaf(d, n);
    }
}

static const struct qk_observe qk_observe_scalar = {
    .isa = "scalar",
    .need = 0,
    .histogram = histogram,
    .rounding = rounding,
    .spread = spread,
};

#define FAMILY qk_observe
#define VARIANTS "kernels/observe.inc"
#include "kernels/variants.inc"
