/* SPDX-License-Identifier: Apache-2.0 */
/* Packing of weights, and the choice between the variants. */
#include "kernels/conv.h"

#include <stddef.h>
#include <string.h>

#include "kernels/cpu.h"

int64_t
qk_conv_packed(int lanes, int64_t oc, int64_t ic, int kh, int kw)
{
    return (oc + lanes - 1) / lanes * lanes * ic * kh * kw;
}

static float
weight(const struct qk_pack *p, int64_t oc, int64_t ic, int ky, int kx)
{
    float v;
    const int64_t at = oc * p->w_oc + ic * p->w_ic + ky * p->w_kh + kx * p->w_kw;
    memcpy(&v, (const char *)p->w + at * (int64_t)sizeof(v), sizeof(v));
    return p->scale ? (float)(v * p->scale[oc]) : v;
}

/* One vector of a panel for each of its lanes: all output channels oc0 .. oc0 + n - 1. */
static float *
pack_taps(const struct qk_pack *p, int64_t oc0, int n, int64_t ic0, int64_t lanes, float *out)
{
    for (int ky = 0; ky < p->kh; ky++)
        for (int kx = 0; kx < p->kw; kx++)
            for (int64_t i = 0; i < lanes; i++)
                for (int o = 0; o < n; o++)
                    *out++ = oc0 + o < p->oc ? weight(p, oc0 + o, ic0 + i, ky, kx) : 0;
    return out;
}

void
qk_conv_pack(const struct qk_pack *p, float *out)
{
    for (int64_t oc0 = 0; oc0 < p->oc; oc0 += 2 * p->lanes) {
        const int n = p->oc - oc0 > p->lanes ? 2 * p->lanes : p->lanes;
        int64_t lanes;
        for (int64_t ic0 = 0, b = 0; ic0 < p->ic; ic0 += lanes, b++) {
            const int64_t left = p->ic - ic0 < p->block ? p->ic - ic0 : p->block;
            lanes = p->block_lanes ? p->block_lanes[b] : left;
            out = pack_taps(p, oc0, n, ic0, lanes, out);
        }
    }
}

/* [m == 4][point][tap] */
static const double to_points[2][6][3] = {
    {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}},
    {{0.25, 0, 0},
     {-1.0 / 6, -1.0 / 6, -1.0 / 6},
     {-1.0 / 6, 1.0 / 6, -1.0 / 6},
     {1.0 / 24, 1.0 / 12, 1.0 / 6},
     {1.0 / 24, -1.0 / 12, 1.0 / 6},
     {0, 0, 1}},
};

void
qk_winograd_filter(int m, const double *g, double *u)
{
    const double(*G)[3] = to_points[m == 4];
    const int n = m + 2;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int y = 0; y < 3; y++)
                for (int x = 0; x < 3; x++)
                    sum += G[i][y] * g[y * 3 + x] * G[j][x];
            u[i * n + j] = sum;
        }
}

struct qk_round
qk_round_of(float threshold, int bits)
{
    const float most = (float)((1 << (bits - 1)) - 1);
    const float inverse = threshold <= 1e-30F ? 1.0F / (threshold + 1e-6F) : 1.0F / threshold;
    return (struct qk_round){most * inverse, most, threshold, 0};
}

#define FAMILY qk_conv
#define VARIANTS "kernels/conv.inc"
#include "kernels/variants.inc"
