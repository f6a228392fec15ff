/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of conv_i8.h as they are written there: the twin that the others are compared with.
 */
#include "kernels/conv_i8.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/cpu.h"

#define LANES 4
#define V_FMA(x, y, z) fma_each(x, y, z)
#define V_MAX(x, y) V_SELECT((x) > (y), x, y)
#define V_MIN(x, y) V_SELECT((x) < (y), x, y)
typedef float four_floats __attribute__((vector_size(16), may_alias));
static inline four_floats
fma_each(four_floats x, four_floats y, four_floats z)
{
    for (int i = 0; i < 4; i++)
        z[i] = fmaf(x[i], y[i], z[i]);
    return z;
}
#include "kernels/vec_f32.inc"

static uint8_t
byte_of(float v, int8_t low, int8_t high, int away)
{
    const bool fits = v >= -0x1p31f && v < 0x1p31f;
    int32_t q = fits ? (int32_t)(away ? roundf(v) : rintf(v)) : INT32_MIN;
    q = q < low ? low : q;
    q = q > high ? high : q;
    return (uint8_t)(q + QK_I8_ZERO);
}

/* The sums of one block at one pixel become outputs. */
static void
finish(const struct qk_i8_args *a, const uint32_t *sum, int block, int row, int col)
{
    const int y = row + col / a->wrap, x = col % a->wrap;
    float v[QK_I8_BLOCK];
    for (int i = 0; i < QK_I8_BLOCK; i++) {
        const int c = block * QK_I8_BLOCK + i;
        v[i] = fmaf((float)(int32_t)sum[i], a->scale[c] * a->unit, a->bias[c]);
        if (a->add) {
            const float add = a->add[c / a->lanes * a->add_block + y * a->add_row +
                                     x * a->add_pixel + c % a->lanes];
            v[i] = v[i] + add;
        }
    }
    for (int i = 0; i < QK_I8_BLOCK && !a->direct; i += LANES)
        *(vfu *)(v + i) = post(&a->post, *(vfu *)(v + i));
    for (int i = 0; i < QK_I8_BLOCK; i++) {
        const int c = block * QK_I8_BLOCK + i;
        if (a->y)
            a->y[c / a->lanes * a->y_block + y * a->y_row + x * a->y_pixel + c % a->lanes] = v[i];
        if (a->q)
            a->q[y * a->q_row + x * a->q_pixel + c] =
                byte_of(v[i] * a->q_scale, a->low, a->high, a->away);
    }
}

static void
begin(const struct qk_i8_args *a, int block, uint32_t *sum)
{
    for (int i = 0; i < QK_I8_BLOCK; i++)
        sum[i] = (uint32_t)a->start[block * QK_I8_BLOCK + i];
}

static const uint8_t *
tap_of(const struct qk_i8_args *a, int row, int col, int ky, int kx)
{
    return a->x + (row * a->stride_h + ky * a->dilation_h) * a->x_row +
           ((int64_t)col * a->stride_w + kx * a->dilation_w) * a->x_pixel;
}

static void
conv_pixel(const struct qk_i8_args *a, int block, int row, int col)
{
    const int8_t *w = a->w + (int64_t)block * a->kh * a->kw * a->ic * QK_I8_BLOCK;
    uint32_t sum[QK_I8_BLOCK];
    begin(a, block, sum);
    for (int t = 0; t < a->kh * a->kw; t++) {
        const uint8_t *x = tap_of(a, row, col, t / a->kw, t % a->kw);
        for (int c = 0; c < a->ic; c += QK_I8_QUAD)
            for (int i = 0; i < QK_I8_BLOCK; i++)
                for (int k = 0; k < QK_I8_QUAD; k++)
                    sum[i] += (uint32_t)(x[c + k] * *w++);
    }
    finish(a, sum, block, row, col);
}

static void
conv(const struct qk_i8_args *a, int block0, int block1, int row0, int row1, int col0, int col1)
{
    for (int block = block0; block < block1; block++)
        for (int row = row0; row < row1; row++)
            for (int col = col0; col < col1; col++)
                conv_pixel(a, block, row, col);
}

static void
depthwise(const struct qk_i8_args *a, int block0, int block1, int row0, int row1)
{
    for (int block = block0; block < block1; block++)
        for (int row = row0; row < row1; row++)
            for (int col = 0; col < a->wrap; col++) {
                uint32_t sum[QK_I8_BLOCK];
                begin(a, block, sum);
                for (int t = 0; t < a->kh * a->kw; t++) {
                    const uint8_t *x = tap_of(a, row, col, t / a->kw, t % a->kw);
                    const int8_t *w = a->w + (int64_t)t * a->oc_blocks * QK_I8_BLOCK;
                    for (int i = 0; i < QK_I8_BLOCK; i++) {
                        const int c = block * QK_I8_BLOCK + i;
                        sum[i] += (uint32_t)(x[c] * w[c]);
                    }
                }
                finish(a, sum, block, row, col);
            }
}

static void
from_blocked(const struct qk_i8_quant *k, const float *x, int64_t x_block, int lanes, int blocks,
             int64_t n, uint8_t *q, int64_t q_pixel)
{
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < blocks * QK_I8_BLOCK; c++)
            q[i * q_pixel + c] = byte_of(x[c / lanes * x_block + i * lanes + c % lanes] * k->scale,
                                         k->low, k->high, k->away);
}

static void
from_planes(const struct qk_i8_quant *k, const float *x, int64_t plane, int c, int64_t n,
            uint8_t *q)
{
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < QK_I8_QUAD; j++)
            q[i * QK_I8_QUAD + j] =
                byte_of(j < c ? x[j * plane + i] * k->scale : 0, k->low, k->high, k->away);
}

static void
from_row(const struct qk_i8_quant *k, const float *x, int64_t n, uint8_t *q)
{
    for (int64_t i = 0; i < n; i++)
        q[i] = byte_of(x[i] * k->scale, k->low, k->high, k->away);
}

static float
absmax(const float *x, int64_t n, int lanes, int real)
{
    float most = 0;
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < real; k++) {
            const float v = fabsf(x[i * lanes + k]);
            most = v > most ? v : most;
        }
    return most;
}

static void
max_pool(const struct qk_i8_pool_args *a, int row0, int row1)
{
    for (int i = row0; i < row1; i++)
        for (int j = 0; j < a->ow; j++)
            for (int c = 0; c < a->bytes; c++) {
                uint8_t most = 0;
                for (int32_t y = a->y0[i]; y < a->y1[i]; y++)
                    for (int32_t x = a->x0[j]; x < a->x1[j]; x++) {
                        const uint8_t v = a->x[y * a->x_row + x * a->x_pixel + c];
                        most = v > most ? v : most;
                    }
                a->y[i * a->y_row + j * a->y_pixel + c] = most;
            }
}

QK_CONV_I8(scalar, 0, 1, 1);
