/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/strided.h"

#include <string.h>

#include "base/parallel.h"

enum { PART_BYTES = 1 << 18 }; /* of work worth a thread */

void
qs_walk_add(struct qs_walk_dims *w, int64_t d, int64_t to, int64_t from)
{
    w->d[w->n] = d;
    w->to[w->n] = to;
    w->from[w->n++] = from;
}

void
qs_walk_simplify(struct qs_walk_dims *w)
{
    int n = 0;
    for (int i = 0; i < w->n; i++) {
        if (w->d[i] == 1)
            continue;
        const bool joins =
            n > 0 && w->to[n - 1] == w->to[i] * w->d[i] && w->from[n - 1] == w->from[i] * w->d[i];
        const int64_t d = joins ? w->d[n - 1] * w->d[i] : w->d[i];
        n += !joins;
        w->d[n - 1] = d;
        w->to[n - 1] = w->to[i];
        w->from[n - 1] = w->from[i];
    }
    w->n = n;
    if (n == 0)
        qs_walk_add(w, 1, 1, 1);
}

bool
qs_walk_next(const struct qs_walk_dims *w, struct qs_walk_row *row)
{
    for (int i = w->n - 2; i >= 0; i--) {
        row->to += w->to[i];
        row->from += w->from[i];
        if (++row->i[i] < w->d[i])
            return true;
        row->to -= w->to[i] * w->d[i];
        row->from -= w->from[i] * w->d[i];
        row->i[i] = 0;
    }
    return false;
}

/* No dim is 0. */
static bool
any(const struct qs_walk_dims *w)
{
    for (int i = 0; i < w->n; i++)
        if (w->d[i] == 0)
            return false;
    return true;
}

typedef void row_fn(void *to, const void *from, int64_t n, int64_t to_step, int64_t from_step);

#define ROW(type, name)                                                             \
    static void name(void *to, const void *from, int64_t n, int64_t ts, int64_t fs) \
    {                                                                               \
        type *t = to;                                                               \
        const type *f = from;                                                       \
        for (int64_t i = 0; i < n; i++)                                             \
            t[i * ts] = f[i * fs];                                                  \
    }
struct wide {
    uint64_t v[2];
};
ROW(uint8_t, row_1)
ROW(uint16_t, row_2)
ROW(uint32_t, row_4)
ROW(uint64_t, row_8)
ROW(struct wide, row_16)
#undef ROW

static row_fn *
row_of(int width)
{
    return width == 1   ? row_1
           : width == 2 ? row_2
           : width == 4 ? row_4
           : width == 8 ? row_8
                        : row_16;
}

struct copy {
    const struct qs_walk_dims *w;
    uint8_t *to;
    const uint8_t *from;
    int width;
    int64_t per_part; /* places of the outermost dim in one part */
};

static void
copy_rows(const struct copy *c, const struct qs_walk_dims *w)
{
    row_fn *fn = row_of(c->width);
    const int last = w->n - 1;
    const int64_t n = w->d[last], ts = w->to[last], fs = w->from[last], width = c->width;
    struct qs_walk_row row = {.to = w->to_at, .from = w->from_at};
    do {
        uint8_t *to = c->to + row.to * width;
        const uint8_t *from = c->from + row.from * width;
        if (ts == 1 && fs == 1)
            memcpy(to, from, (size_t)(n * width));
        else
            fn(to, from, n, ts, fs);
    } while (qs_walk_next(w, &row));
}

static enum qs_err
copy_part(struct qs_ctx *cx, void *arg, int64_t i)
{
    const struct copy *c = arg;
    struct qs_walk_dims w = *c->w;
    const int64_t first = i * c->per_part, left = c->w->d[0] - first;
    (void)cx;
    w.d[0] = left < c->per_part ? left : c->per_part;
    w.to_at += first * w.to[0];
    w.from_at += first * w.from[0];
    copy_rows(c, &w);
    return QS_OK;
}

enum qs_err
qs_walk_copy(struct qs_ctx *cx, void *to, const void *from, int width, const struct qs_walk_dims *w)
{
    struct qs_walk_dims s = *w;
    int64_t bytes = width;
    if (!any(w))
        return QS_OK;
    qs_walk_simplify(&s);
    for (int i = 0; i < s.n; i++)
        bytes *= s.d[i];
    int64_t parts = bytes / PART_BYTES + 1;
    if (parts > s.d[0])
        parts = s.d[0];
    struct copy c = {&s, to, from, width, (s.d[0] + parts - 1) / parts};
    if (parts < 2) {
        copy_rows(&c, &s);
        return QS_OK;
    }
    return qs_parallel_for(cx, (s.d[0] + c.per_part - 1) / c.per_part, copy_part, &c);
}

void
qs_dense_strides(int n, const int64_t *d, int64_t *stride)
{
    int64_t s = 1;
    for (int i = n - 1; i >= 0; i--) {
        stride[i] = s;
        s *= d[i];
    }
}

void
qs_broadcast_strides(int n, const int64_t *d, int at, int n_out, int64_t *stride)
{
    int64_t dense[QS_RANK_MOST];
    qs_dense_strides(n, d, dense);
    for (int i = 0; i < n_out; i++) {
        const int k = i - at;
        stride[i] = k >= 0 && k < n && d[k] != 1 ? dense[k] : 0;
    }
}
