/* SPDX-License-Identifier: Apache-2.0 */
/* Packing of integer weights, and the choice between the variants. */
#include "kernels/conv_i8.h"

#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "kernels/cpu.h"

static int64_t
padded(int64_t oc)
{
    return (oc + QK_I8_BLOCK - 1) / QK_I8_BLOCK * QK_I8_BLOCK;
}

int64_t
qk_i8_packed(int64_t oc, int64_t ic, int kh, int kw)
{
    return padded(oc) * ic * kh * kw;
}

void
qk_i8_pack(const struct qk_i8_pack *p, int8_t *out, int32_t *start)
{
    const int64_t one = (int64_t)p->kh * p->kw * p->bytes * QK_I8_BLOCK; /* a block */
    memset(out, 0, (size_t)qk_i8_packed(p->oc, p->bytes, p->kh, p->kw));
    memset(start, 0, (size_t)padded(p->oc) * sizeof(*start));
    for (int64_t o = 0; o < p->oc; o++)
        for (int t = 0; t < p->kh * p->kw; t++) {
            const int8_t *w = p->w + o * p->w_oc + t / p->kw * p->w_kh + t % p->kw * p->w_kw;
            int8_t *to = out + o / QK_I8_BLOCK * one + (int64_t)t * p->bytes * QK_I8_BLOCK +
                         o % QK_I8_BLOCK * QK_I8_QUAD;
            for (int64_t i = 0; i < p->ic; i++) {
                const int64_t at = p->at ? p->at[i] : i;
                const int8_t v = w[i * p->w_ic];
                to[at / QK_I8_QUAD * QK_I8_BLOCK * QK_I8_QUAD + at % QK_I8_QUAD] = v;
                start[o] -= QK_I8_ZERO * v;
            }
        }
}

/* ---- trust ---- */

enum { SMALL_IC = 160, SMALL_OC = 48, SMALL_PIXELS = 40 };

/* Inputs, weights and outputs of a product that is enough for tiles. */
struct small {
    _Alignas(64) uint8_t x[SMALL_PIXELS * SMALL_IC];
    _Alignas(64) int8_t w[SMALL_OC * SMALL_IC], packed[SMALL_OC * SMALL_IC];
    _Alignas(64) int32_t start[SMALL_OC];
    _Alignas(64) float scale[SMALL_OC], bias[SMALL_OC];
    _Alignas(64) uint8_t q[2][SMALL_PIXELS * SMALL_OC];
};

static void
small_init(struct small *s)
{
    uint32_t r = 1;
    for (int i = 0; i < SMALL_PIXELS * SMALL_IC; i++)
        s->x[i] = (uint8_t)((r = r * 1664525 + 1013904223) >> 24);
    for (int i = 0; i < SMALL_OC * SMALL_IC; i++)
        s->w[i] = (int8_t)((r = r * 1664525 + 1013904223) >> 24);
    for (int i = 0; i < SMALL_OC; i++) {
        s->scale[i] = 0x1p-10f;
        s->bias[i] = (float)i;
    }
    memset(s->q, 0, sizeof(s->q));
    const struct qk_i8_pack p = {.oc = SMALL_OC,
                                 .ic = SMALL_IC,
                                 .kh = 1,
                                 .kw = 1,
                                 .bytes = SMALL_IC,
                                 .w = s->w,
                                 .w_oc = SMALL_IC,
                                 .w_ic = 1};
    qk_i8_pack(&p, s->packed, s->start);
}

int
qk_conv_i8_agrees(const struct qk_conv_i8 *variant)
{
    struct small s;
    small_init(&s);
    struct qk_i8_args a = {.x = s.x,
                           .x_row = sizeof(s.x),
                           .x_pixel = SMALL_IC,
                           .ic = SMALL_IC,
                           .kh = 1,
                           .kw = 1,
                           .stride_h = 1,
                           .stride_w = 1,
                           .dilation_h = 1,
                           .dilation_w = 1,
                           .w = s.packed,
                           .start = s.start,
                           .scale = s.scale,
                           .bias = s.bias,
                           .unit = 1,
                           .oc_blocks = SMALL_OC / QK_I8_BLOCK,
                           .direct = 1,
                           .wrap = SMALL_PIXELS,
                           .lanes = 16,
                           .q_row = sizeof(s.q[0]),
                           .q_pixel = SMALL_OC,
                           .q_scale = 1,
                           .low = -128,
                           .high = 127};
    a.q = s.q[0];
    qk_conv_i8_all[0]->conv(&a, 0, a.oc_blocks, 0, 1, 0, SMALL_PIXELS);
    a.q = s.q[1];
    variant->conv(&a, 0, a.oc_blocks, 0, 1, 0, SMALL_PIXELS);
    return memcmp(s.q[0], s.q[1], sizeof(s.q[0])) == 0;
}

/* Virtual machines may show tiles that do not multiply. */
static pthread_once_t tiles_once = PTHREAD_ONCE_INIT;
static int tiles_agree = 1;

static void
try_tiles(void)
{
    for (int i = 0; qk_conv_i8_all[i]; i++)
        if (qk_conv_i8_all[i]->need & QK_CPU_AMX)
            tiles_agree = tiles_agree && qk_conv_i8_agrees(qk_conv_i8_all[i]);
}

static int
is_trusted(const struct qk_conv_i8 *v)
{
    if (v->need & QK_CPU_AMX)
        pthread_once(&tiles_once, try_tiles);
    return !(v->need & QK_CPU_AMX) || tiles_agree;
}

#define TRUSTED(v) is_trusted(v)
#define FAMILY qk_conv_i8
#define VARIANTS "kernels/conv_i8_all.inc"
#include "kernels/variants.inc"
