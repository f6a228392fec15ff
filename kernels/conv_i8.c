/* SPDX-License-Identifier: Apache-2.0 */
/* Packing of integer weights, and the choice between the variants. */
#include "kernels/conv_i8.h"

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

#define FAMILY qk_conv_i8
#define VARIANTS "kernels/conv_i8_all.inc"
#include "kernels/variants.inc"
