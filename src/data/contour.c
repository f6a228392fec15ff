/* SPDX-License-Identifier: Apache-2.0 */
#include "data/contour.h"

#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"

/* What a pixel is during the search. A border pixel whose right neighbour was seen to be outside
 * is the end of a run: no hole can start to the right of it. */
enum { OUTSIDE = 0, FRESH = 1, BORDER = 2, BORDER_END = -2 };

struct search {
    int8_t *pixel; /* [h + 2][w + 2] with a frame of OUTSIDE */
    int pitch;
    int step[8]; /* to the neighbours, counter-clockwise from the right */
    struct qs_contours *out;
    int n_point, cap_point, cap_start;
};

static const struct qs_point direction[8] = {{1, 0},  {1, -1}, {0, -1}, {-1, -1},
                                             {-1, 0}, {-1, 1}, {0, 1},  {1, 1}};
enum { RIGHT = 0, LEFT = 4 };

static void
add_point(struct search *s, struct qs_point p)
{
    if (s->n_point == s->cap_point) {
        s->cap_point = s->cap_point ? 2 * s->cap_point : 256;
        s->out->point = qs_xrealloc(s->out->point, (size_t)s->cap_point * sizeof(p));
    }
    s->out->point[s->n_point++] = p;
}

static void
begin_contour(struct search *s)
{
    if (s->out->n + 2 > s->cap_start) {
        s->cap_start = s->cap_start ? 2 * s->cap_start : 64;
        s->out->start = qs_xrealloc(s->out->start, (size_t)s->cap_start * sizeof(int));
    }
    s->out->start[s->out->n++] = s->n_point;
}

/* The first neighbour inside, clockwise from (not including) direction `from`; -1: none. */
static int
first_clockwise(const struct search *s, const int8_t *at, int from)
{
    for (int k = 1; k < 8; k++) {
        const int d = (from - k) & 7;
        if (at[s->step[d]] != OUTSIDE)
            return d;
    }
    return -1;
}

/* The next neighbour inside, counter-clockwise after direction `from`; *passed_right: the right
 * neighbour was looked at and is outside. */
static int
next_counter_clockwise(const struct search *s, const int8_t *at, int from, int *passed_right)
{
    *passed_right = 0;
    for (int k = 1;; k++) {
        const int d = (from + k) & 7;
        if (at[s->step[d]] != OUTSIDE)
            return d;
        *passed_right |= d == RIGHT;
    }
}

/* Follows the border through `start`, whose neighbour in direction `outside` is outside. */
static void
follow(struct search *s, int8_t *start, struct qs_point p, int outside)
{
    begin_contour(s);
    const int first = first_clockwise(s, start, outside);
    if (first < 0) {
        *start = BORDER_END;
        add_point(s, p);
        return;
    }
    const int8_t *before = start + s->step[first];
    int8_t *at = start;
    int came = first, last = (first + 4) & 7, passed_right;
    for (;;) {
        const int d = next_counter_clockwise(s, at, came, &passed_right);
        if (passed_right)
            *at = BORDER_END;
        else if (*at == FRESH)
            *at = BORDER;
        if (d != last)
            add_point(s, p);
        last = d;
        int8_t *next = at + s->step[d];
        p.x += direction[d].x;
        p.y += direction[d].y;
        if (next == start && at == before)
            return;
        at = next;
        came = (d + 4) & 7;
    }
}

static void
scan(struct search *s, int w, int h)
{
    for (int y = 0; y < h; y++) {
        int8_t *row = s->pixel + (size_t)(y + 1) * (size_t)s->pitch + 1;
        for (int x = 0; x <= w; x++) {
            if (row[x - 1] == OUTSIDE && row[x] == FRESH)
                follow(s, row + x, (struct qs_point){x, y}, LEFT);
            else if (row[x] == OUTSIDE && row[x - 1] >= FRESH)
                follow(s, row + x - 1, (struct qs_point){x - 1, y}, RIGHT);
        }
    }
}

enum qs_err
qs_contours_find(struct qs_ctx *cx, const uint8_t *bitmap, int w, int h, struct qs_contours *out)
{
    struct search s = {.pitch = w + 2, .out = out};
    *out = (struct qs_contours){0};
    s.pixel = calloc((size_t)h + 2, (size_t)w + 2);
    if (!s.pixel)
        return qs_fail(cx, QS_ERR_MEMORY, _("out of memory"));
    for (int d = 0; d < 8; d++)
        s.step[d] = direction[d].y * s.pitch + direction[d].x;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            s.pixel[(size_t)(y + 1) * (size_t)s.pitch + (size_t)x + 1] =
                bitmap[(size_t)y * (size_t)w + (size_t)x] ? FRESH : OUTSIDE;
    scan(&s, w, h);
    begin_contour(&s); /* its start is the end of the last */
    out->n--;
    free(s.pixel);
    return QS_OK;
}

void
qs_contours_release(struct qs_contours *c)
{
    free(c->point);
    free(c->start);
    *c = (struct qs_contours){0};
}
