/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "model/quant_parts.h"

void
qs_each_span(struct qs_channels ch, void (*visit)(void *arg, const struct qs_span *s), void *arg)
{
    if (ch.n_outer <= 0 || ch.n_channels <= 0 || ch.n_inner <= 0)
        return;
    if (ch.n_inner == 1 && ch.n_channels > 1) {
        visit(arg, &(struct qs_span){.rows = ch.n_outer, .n = ch.n_channels, .by_col = true});
        return;
    }
    struct qs_span s = {.rows = 1, .n = ch.n_inner};
    for (int64_t outer = 0; outer < ch.n_outer; outer++)
        for (s.channel = 0; s.channel < ch.n_channels; s.channel++, s.first += ch.n_inner)
            visit(arg, &s);
}

static float
widen_float16(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, part = h & 1023;
    if (exponent == 0) { /* zero and subnormal: part * 2^-24 */
        const float v = (float)part * 0x1p-24f;
        return sign ? -v : v;
    }
    const uint32_t wide = exponent == 31 ? 255 : exponent + 127 - 15;
    const uint32_t bits = sign | wide << 23 | part << 13;
    float v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static float
widen_bfloat16(uint16_t h)
{
    const uint32_t bits = (uint32_t)h << 16;
    float v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static const uint8_t *
data_of(const struct qs_tensor *t)
{
    return t->buf->data + t->offset;
}

static void
widen(const struct qs_tensor *t, int64_t first, int64_t n, float *out)
{
    const uint8_t *p = data_of(t) + (size_t)first * sizeof(uint16_t);
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + (size_t)i * sizeof(h), sizeof(h));
        out[i] = t->dtype == QS_DTYPE_float16 ? widen_float16(h) : widen_bfloat16(h);
    }
}

bool
qs_has_floats(const struct qs_tensor *t)
{
    return t->dtype == QS_DTYPE_float32 || t->dtype == QS_DTYPE_float16 ||
           t->dtype == QS_DTYPE_bfloat16;
}

struct reader {
    const struct qs_tensor *t;
    qs_visit_floats *visit;
    void *arg;
};

/* Halves are widened piece by piece: whole rows, or parts of one that is too long. */
static void
read_halves(const struct reader *r, const struct qs_span *s)
{
    enum { CHUNK = 4096 };
    float x[CHUNK];
    const int64_t n = s->n < CHUNK ? s->n : CHUNK, rows = CHUNK / n;
    for (int64_t row = 0; row < s->rows; row += rows)
        for (int64_t col = 0; col < s->n; col += n) {
            struct qs_span part = *s;
            part.first += row * s->n + col;
            part.channel += s->by_col ? col : 0;
            part.rows = s->rows - row < rows ? s->rows - row : rows;
            part.n = s->n - col < n ? s->n - col : n;
            widen(r->t, part.first, part.rows * part.n, x);
            r->visit(r->arg, &part, x);
        }
}

static void
read_span(void *arg, const struct qs_span *s)
{
    const struct reader *r = arg;
    if (r->t->dtype == QS_DTYPE_float32)
        r->visit(r->arg, s, data_of(r->t) + (size_t)s->first * sizeof(float));
    else
        read_halves(r, s);
}

void
qs_each_floats(const struct qs_tensor *t, struct qs_channels ch, qs_visit_floats *visit, void *arg)
{
    struct reader r = {t, visit, arg};
    if (qs_has_floats(t))
        qs_each_span(ch, read_span, &r);
}

struct qs_channels
qs_channels_flat(const struct qs_tensor *t)
{
    return (struct qs_channels){1, 1, t->n};
}

struct qs_channels
qs_channels_of(const struct qs_tensor *t, int axis)
{
    if (axis < 0 || axis >= t->n_dims || t->dims[axis] == 1)
        return qs_channels_flat(t);
    struct qs_channels ch = {1, t->dims[axis], 1};
    for (int i = 0; i < axis; i++)
        ch.n_outer *= t->dims[i];
    for (int i = axis + 1; i < t->n_dims; i++)
        ch.n_inner *= t->dims[i];
    return ch;
}
