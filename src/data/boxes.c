/* SPDX-License-Identifier: Apache-2.0 */
#include "data/boxes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"

/* --- mask of a quadrilateral ------------------------------------------------------------------ */

struct mask {
    uint8_t *pixel;
    int w, h;
};

static void
set_pixel(const struct mask *m, int x, int y)
{
    if (x >= 0 && x < m->w && y >= 0 && y < m->h)
        m->pixel[(size_t)y * (size_t)m->w + (size_t)x] = 1;
}

/* Bresenham's line, always drawn from the left end. */
static void
draw_line(const struct mask *m, struct qs_point a, struct qs_point b)
{
    if (b.x < a.x) {
        const struct qs_point t = a;
        a = b;
        b = t;
    }
    const int dx = b.x - a.x, dy = abs(b.y - a.y), down = b.y < a.y ? -1 : 1;
    const bool steep = dy > dx;
    const int along = steep ? dy : dx, across = steep ? dx : dy;
    int err = along - 2 * across, x = a.x, y = a.y;
    for (int i = 0; i <= along; i++) {
        set_pixel(m, x, y);
        const bool both = err < 0;
        err += (both ? 2 * along : 0) - 2 * across;
        x += !steep || both;
        y += steep || both ? down : 0;
    }
}

/* Between its sides, a row is filled from the first whole pixel to the last; 16-bit fractions. */
static void
fill_inside(const struct mask *m, const struct qs_point p[4])
{
    enum { SHIFT = 16 };
    for (int y = 0; y < m->h; y++) {
        int64_t x[4];
        int n = 0;
        for (int i = 0; i < 4; i++) {
            const struct qs_point a = p[i].y < p[(i + 1) % 4].y ? p[i] : p[(i + 1) % 4];
            const struct qs_point b = p[i].y < p[(i + 1) % 4].y ? p[(i + 1) % 4] : p[i];
            if (y < a.y || y >= b.y)
                continue;
            const int64_t slope = (int64_t)(b.x - a.x) * (1 << SHIFT) / (b.y - a.y);
            int64_t at = (int64_t)a.x * (1 << SHIFT) + slope * (y - a.y);
            int k = n++;
            for (; k > 0 && x[k - 1] > at; k--)
                x[k] = x[k - 1];
            x[k] = at;
        }
        for (int k = 0; k + 1 < n; k += 2)
            for (int64_t i = (x[k] + (1 << SHIFT) - 1) >> SHIFT; i <= x[k + 1] >> SHIFT; i++)
                set_pixel(m, (int)i, y);
    }
}

void
qs_fill_quad(const struct qs_point p[4], uint8_t *pixel, int w, int h)
{
    const struct mask m = {pixel, w, h};
    for (int i = 0; i < 4; i++)
        draw_line(&m, p[(i + 3) % 4], p[i]);
    fill_inside(&m, p);
}

/* --- boxes ------------------------------------------------------------------------------------ */

struct finder {
    const float *map;
    int w, h, image_w, image_h;
    const struct qs_postprocess *post;
    uint8_t *mask; /* [h][w] room for any window */
    struct qs_boxes *out;
};

static int
clip(float v, int most)
{
    return v < 0 ? 0 : v > (float)most ? most : (int)v;
}

/* Mean of the map inside the corners, cut to integers within their window. */
static double
score(const struct finder *f, float corner[4][2])
{
    float lo[2] = {INFINITY, INFINITY}, hi[2] = {-INFINITY, -INFINITY};
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 2; k++) {
            lo[k] = fminf(lo[k], corner[i][k]);
            hi[k] = fmaxf(hi[k], corner[i][k]);
        }
    const int x0 = clip(floorf(lo[0]), f->w - 1), x1 = clip(ceilf(hi[0]), f->w - 1);
    const int y0 = clip(floorf(lo[1]), f->h - 1), y1 = clip(ceilf(hi[1]), f->h - 1);
    const int w = x1 - x0 + 1, h = y1 - y0 + 1;
    struct qs_point p[4];
    for (int i = 0; i < 4; i++) {
        p[i].x = (int)((double)corner[i][0] - x0);
        p[i].y = (int)((double)corner[i][1] - y0);
    }
    memset(f->mask, 0, (size_t)w * (size_t)h);
    qs_fill_quad(p, f->mask, w, h);
    double sum = 0;
    int64_t n = 0;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            if (f->mask[(size_t)y * (size_t)w + (size_t)x]) {
                sum += f->map[(size_t)(y0 + y) * (size_t)f->w + (size_t)(x0 + x)];
                n++;
            }
    return n ? sum / (double)n : 0;
}

static struct qs_box
to_image(const struct finder *f, float corner[4][2])
{
    struct qs_box box;
    for (int i = 0; i < 4; i++) {
        const float x = corner[i][0] / (float)f->w * (float)f->image_w;
        const float y = corner[i][1] / (float)f->h * (float)f->image_h;
        box.p[i].x = clip(nearbyintf(x), f->image_w);
        box.p[i].y = clip(nearbyintf(y), f->image_h);
    }
    return box;
}

/* One contour to a box; false when it is too small or too weak. */
static bool
box_of(const struct finder *f, const struct qs_point *point, int n, struct qs_box *out)
{
    enum { SHORT_FIRST = 3, SHORT_GROWN = 5 };
    float corner[4][2];
    struct qs_vertex v[4];
    int n_grown = 0;
    if (qs_min_rect(point, n, corner) < SHORT_FIRST)
        return false;
    if (score(f, corner) < f->post->box_thresh)
        return false;
    for (int i = 0; i < 4; i++)
        v[i] = (struct qs_vertex){corner[i][0], corner[i][1]};
    const double by = qs_polygon_area(v, 4) * f->post->unclip_ratio / qs_polygon_length(v, 4);
    struct qs_point *grown = qs_grow(v, by, &n_grown);
    if (!grown)
        return false;
    const bool good = qs_min_rect(grown, n_grown, corner) >= SHORT_GROWN;
    free(grown);
    if (good)
        *out = to_image(f, corner);
    return good;
}

static void
find(struct finder *f, const struct qs_contours *c)
{
    const int most = f->post->max_candidates;
    f->out->box = qs_xcalloc((size_t)c->n, sizeof(*f->out->box));
    for (int i = c->n - 1; i >= 0 && c->n - i <= most; i--) {
        const struct qs_point *p = c->point + c->start[i];
        f->out->n += box_of(f, p, c->start[i + 1] - c->start[i], &f->out->box[f->out->n]);
    }
}

enum qs_err
qs_boxes_find(struct qs_ctx *cx, const float *map, int w, int h, int image_w, int image_h,
              const struct qs_postprocess *post, struct qs_boxes *out)
{
    struct finder f = {map, w, h, image_w, image_h, post, NULL, out};
    struct qs_contours contours = {0};
    const size_t n = (size_t)w * (size_t)h;
    *out = (struct qs_boxes){0};
    f.mask = malloc(n);
    if (!f.mask)
        return qs_fail(cx, QS_ERR_MEMORY, _("out of memory"));
    for (size_t i = 0; i < n; i++)
        f.mask[i] = map[i] > (float)post->thresh;
    const enum qs_err err = qs_contours_find(cx, f.mask, w, h, &contours);
    if (!err)
        find(&f, &contours);
    qs_contours_release(&contours);
    free(f.mask);
    return err;
}

void
qs_boxes_release(struct qs_boxes *b)
{
    free(b->box);
    *b = (struct qs_boxes){0};
}

/* --- matching --------------------------------------------------------------------------------- */

struct found {
    struct qs_vertex p[4];
    double area;
    bool counts, used;
};

static void
match_one(const struct qs_text_area *t, struct found *f, int n, struct qs_match *out)
{
    const double area = qs_polygon_area(t->p, t->n);
    for (int k = 0; k < n; k++) {
        if (!f[k].counts || f[k].used)
            continue;
        const double inter = qs_polygon_overlap(t->p, t->n, f[k].p, 4);
        if (inter / (area + f[k].area - inter) <= 0.5)
            continue;
        f[k].used = true;
        out->matched++;
        return;
    }
}

/* Boxes that lie mostly on text to be ignored do not count. */
static bool
lies_on_ignored(const struct found *f, const struct qs_text_area *truth, int n_truth)
{
    for (int i = 0; i < n_truth; i++)
        if (truth[i].simple && truth[i].ignore &&
            qs_polygon_overlap(truth[i].p, truth[i].n, f->p, 4) / f->area > 0.5)
            return true;
    return false;
}

void
qs_boxes_match(const struct qs_boxes *found, const struct qs_text_area *truth, int n_truth,
               struct qs_match *out)
{
    struct found *f = qs_xcalloc((size_t)found->n + 1, sizeof(*f));
    int n = 0;
    *out = (struct qs_match){0};
    for (int i = 0; i < found->n; i++) {
        for (int k = 0; k < 4; k++)
            f[n].p[k] = (struct qs_vertex){found->box[i].p[k].x, found->box[i].p[k].y};
        if (!qs_polygon_is_simple(f[n].p, 4))
            continue;
        f[n].area = qs_polygon_area(f[n].p, 4);
        f[n].used = false;
        f[n].counts = !lies_on_ignored(&f[n], truth, n_truth);
        out->n_found += f[n].counts;
        n++;
    }
    for (int i = 0; i < n_truth; i++) {
        if (!truth[i].simple || truth[i].ignore)
            continue;
        out->n_truth++;
        match_one(&truth[i], f, n, out);
    }
    free(f);
}
