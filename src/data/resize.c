/* SPDX-License-Identifier: Apache-2.0 */
#include "data/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { BITS = 11, ONE = 1 << BITS };

/* Where a coordinate of the result falls: source element `at`, the next one, and their weights. */
struct tap {
    int at;
    int32_t w0, w1; /* sum to ONE, up to rounding */
};

static void
make_taps(struct tap *tap, int from, int to, int keep_within)
{
    const double scale = 1.0 / ((double)to / from);
    for (int i = 0; i < to; i++) {
        float f = (float)((i + 0.5) * scale - 0.5);
        int at = (int)floorf(f);
        f -= (float)at;
        if (keep_within && (at < 0 || at >= from - 1)) {
            at = at < 0 ? 0 : from - 1;
            f = 0;
        }
        tap[i].at = at;
        tap[i].w0 = (int32_t)lrintf((1.0f - f) * ONE);
        tap[i].w1 = (int32_t)lrintf(f * ONE);
    }
}

static void
resize_row(const uint8_t *src, int sw, const struct tap *tap, int32_t *out, int dw)
{
    for (int x = 0; x < dw; x++, out += 3) {
        const uint8_t *p = src + 3 * (size_t)tap[x].at;
        const uint8_t *q = tap[x].at + 1 < sw ? p + 3 : p;
        for (int c = 0; c < 3; c++)
            out[c] = p[c] * tap[x].w0 + q[c] * tap[x].w1;
    }
}

static void
combine_rows(const int32_t *a, const int32_t *b, const struct tap *tap, uint8_t *dst, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const int32_t v = (tap->w0 * (a[i] >> 4) >> 16) + (tap->w1 * (b[i] >> 4) >> 16);
        dst[i] = (uint8_t)((v + 2) >> 2);
    }
}

static int
clamp(int i, int n)
{
    return i < 0 ? 0 : i < n ? i : n - 1;
}

void
qs_resize(const uint8_t *src, int sw, int sh, uint8_t *dst, int dw, int dh)
{
    if (sw == dw && sh == dh) {
        memcpy(dst, src, 3 * (size_t)sw * (size_t)sh);
        return;
    }
    struct tap *x_tap = qs_xcalloc((size_t)dw, sizeof(*x_tap));
    struct tap *y_tap = qs_xcalloc((size_t)dh, sizeof(*y_tap));
    int32_t *row[2] = {qs_xcalloc((size_t)dw * 3, 4), qs_xcalloc((size_t)dw * 3, 4)};
    int have[2] = {-1, -1}; /* the source rows that `row` holds; row i lies in row[i & 1] */
    make_taps(x_tap, sw, dw, 1);
    make_taps(y_tap, sh, dh, 0);
    for (int y = 0; y < dh; y++) {
        const int at[2] = {clamp(y_tap[y].at, sh), clamp(y_tap[y].at + 1, sh)};
        for (int k = 0; k < 2; k++) {
            if (have[at[k] & 1] == at[k])
                continue;
            resize_row(src + 3 * (size_t)at[k] * (size_t)sw, sw, x_tap, row[at[k] & 1], dw);
            have[at[k] & 1] = at[k];
        }
        combine_rows(row[at[0] & 1], row[at[1] & 1], &y_tap[y], dst + 3 * (size_t)y * (size_t)dw,
                     (size_t)dw * 3);
    }
    free(x_tap);
    free(y_tap);
    free(row[0]);
    free(row[1]);
}
