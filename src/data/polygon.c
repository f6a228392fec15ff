/* SPDX-License-Identifier: Apache-2.0 */
#include "data/polygon.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* --- hull ------------------------------------------------------------------------------------ */

struct numbered {
    struct qs_point p;
    int i; /* position in the input */
};

static int
by_place(const void *a, const void *b)
{
    const struct numbered *p = a, *q = b;
    if (p->p.x != q->p.x)
        return p->p.x < q->p.x ? -1 : 1;
    if (p->p.y != q->p.y)
        return p->p.y < q->p.y ? -1 : 1;
    return p->i < q->i ? -1 : p->i > q->i;
}

static int64_t
turn(struct qs_point a, struct qs_point b, struct qs_point c)
{
    return (int64_t)(b.x - a.x) * (c.y - a.y) - (int64_t)(b.y - a.y) * (c.x - a.x);
}

/* Appends the part of the hull from in[from] to in[to], in steps of +1 or -1. */
static int
half_hull(const struct numbered *in, int from, int to, struct numbered *hull, int n)
{
    const int first = n, step = from < to ? 1 : -1;
    for (int i = from; i != to + step; i += step) {
        while (n - first >= 2 && turn(hull[n - 2].p, hull[n - 1].p, in[i].p) <= 0)
            n--;
        hull[n++] = in[i];
    }
    return n - 1; /* the last is the first of the other half */
}

/* Where the hull of an outline begins: with its first point in the order of the outline when that
 * runs the same way, with its last when it runs the other way, and else where it is. */
static int
first_of_outline(const struct numbered *hull, int n)
{
    int least = 0, greatest = 0;
    for (int k = 1; k < n; k++) {
        least = hull[k].i < hull[least].i ? k : least;
        greatest = hull[k].i > hull[greatest].i ? k : greatest;
    }
    const bool same_way = (greatest + 1) % n == least;
    const int first = same_way ? least : greatest;
    for (int k = 0; k + 1 < n; k++)
        if ((hull[(first + k) % n].i < hull[(first + k + 1) % n].i) != same_way)
            return 0;
    return first;
}

int
qs_hull(const struct qs_point *point, int n, struct qs_point *hull)
{
    struct numbered *in = qs_xcalloc(3 * (size_t)n + 1, sizeof(*in)), *out = in + n;
    int different = 0, n_hull;
    for (int i = 0; i < n; i++)
        in[i] = (struct numbered){point[i], i};
    qsort(in, (size_t)n, sizeof(*in), by_place);
    for (int i = 0; i < n; i++)
        if (i == 0 || in[i].p.x != in[different - 1].p.x || in[i].p.y != in[different - 1].p.y)
            in[different++] = in[i];
    if (different < 3) {
        memcpy(out, in, (size_t)different * sizeof(*out));
        n_hull = different;
    } else {
        n_hull = half_hull(in, different - 1, 0, out, 0);
        n_hull = half_hull(in, 0, different - 1, out, n_hull);
    }
    const int first = n_hull >= 3 ? first_of_outline(out, n_hull) : 0;
    for (int k = 0; k < n_hull; k++)
        hull[k] = out[(first + k) % n_hull].p;
    free(in);
    return n_hull;
}

/* --- rectangle of least area: rotating calipers ---------------------------------------------- */

struct calipers {
    const struct qs_point *hull;
    int n;
    float (*side)[2];  /* [n] from hull[i] to the next */
    float *inv_length; /* [n] */
    int touch[4];      /* hull points that the lower, right, upper and left jaw touch */
    float a, b;        /* direction of the lower jaw */
};

static void
init_calipers(struct calipers *c)
{
    for (int i = 0; i < c->n; i++) {
        const struct qs_point p = c->hull[i], q = c->hull[i + 1 < c->n ? i + 1 : 0];
        const double dx = q.x - p.x, dy = q.y - p.y;
        c->side[i][0] = (float)dx;
        c->side[i][1] = (float)dy;
        c->inv_length[i] = (float)(1.0 / sqrt(dx * dx + dy * dy));
        if (p.y < c->hull[c->touch[0]].y)
            c->touch[0] = i;
        if (p.x > c->hull[c->touch[1]].x)
            c->touch[1] = i;
        if (p.y > c->hull[c->touch[2]].y)
            c->touch[2] = i;
        if (p.x < c->hull[c->touch[3]].x)
            c->touch[3] = i;
    }
    c->a = turn(c->hull[0], c->hull[1], c->hull[2]) > 0 ? 1.0f : -1.0f;
    c->b = 0;
}

/* Direction of jaw k: the lower one turned by k quarters. */
static void
jaw(const struct calipers *c, int k, float *x, float *y)
{
    *x = k == 0 ? c->a : k == 1 ? -c->b : k == 2 ? -c->a : c->b;
    *y = k == 0 ? c->b : k == 1 ? c->a : k == 2 ? -c->b : -c->a;
}

/* Turns the jaws until one lies on the side of the hull that it meets first. */
static void
turn_jaws(struct calipers *c)
{
    int main_jaw = 0;
    float best = 0;
    for (int k = 0; k < 4; k++) {
        float x, y;
        const int at = c->touch[k];
        jaw(c, k, &x, &y);
        const float cosine = (x * c->side[at][0] + y * c->side[at][1]) * c->inv_length[at];
        if (k == 0 || cosine > best) {
            best = cosine;
            main_jaw = k;
        }
    }
    const int at = c->touch[main_jaw];
    const float x = c->side[at][0] * c->inv_length[at], y = c->side[at][1] * c->inv_length[at];
    c->a = main_jaw == 0 ? x : main_jaw == 1 ? y : main_jaw == 2 ? -x : -y;
    c->b = main_jaw == 0 ? y : main_jaw == 1 ? -x : main_jaw == 2 ? -y : x;
    c->touch[main_jaw] = at + 1 < c->n ? at + 1 : 0;
}

/* A rectangle by a corner's two touching points and its sides; cv2.RotatedRect. */
struct rect {
    float cx, cy, w, h, degrees;
};

struct best_fit {
    float area, a, b, width, height;
    int left, lower;
};

static void
measure(const struct calipers *c, struct best_fit *best)
{
    const struct qs_point *t = c->hull;
    const int *k = c->touch;
    const float wx = (float)t[k[1]].x - (float)t[k[3]].x, wy = (float)t[k[1]].y - (float)t[k[3]].y;
    const float hx = (float)t[k[2]].x - (float)t[k[0]].x, hy = (float)t[k[2]].y - (float)t[k[0]].y;
    const float width = wx * c->a + wy * c->b, height = -hx * c->b + hy * c->a;
    if (width * height <= best->area)
        *best = (struct best_fit){width * height, c->a, c->b, width, height, k[3], k[0]};
}

static struct rect
to_rect(const struct best_fit *f, const struct qs_point *hull)
{
    const float a1 = f->a, b1 = f->b, a2 = -f->b, b2 = f->a;
    const float c1 = a1 * (float)hull[f->left].x + (float)hull[f->left].y * b1;
    const float c2 = a2 * (float)hull[f->lower].x + (float)hull[f->lower].y * b2;
    const float idet = 1.0f / (a1 * b2 - a2 * b1);
    const float px = (c1 * b2 - c2 * b1) * idet, py = (a1 * c2 - a2 * c1) * idet;
    const float ux = a1 * f->width, uy = b1 * f->width, vx = a2 * f->height, vy = b2 * f->height;
    return (struct rect){
        .cx = px + (ux + vx) * 0.5f,
        .cy = py + (uy + vy) * 0.5f,
        .w = (float)sqrt((double)ux * ux + (double)uy * uy),
        .h = (float)sqrt((double)vx * vx + (double)vy * vy),
        .degrees = (float)((float)atan2(uy, ux) * 180 / M_PI),
    };
}

static struct rect
rect_of_hull(const struct qs_point *hull, int n)
{
    struct calipers c = {.hull = hull, .n = n};
    struct best_fit best = {.area = FLT_MAX};
    c.side = qs_xcalloc((size_t)n, sizeof(*c.side));
    c.inv_length = qs_xcalloc((size_t)n, sizeof(*c.inv_length));
    init_calipers(&c);
    for (int i = 0; i < n; i++) {
        turn_jaws(&c);
        measure(&c, &best);
    }
    free(c.side);
    free(c.inv_length);
    return to_rect(&best, hull);
}

static struct rect
rect_of_segment(struct qs_point p, struct qs_point q)
{
    const double dx = q.x - p.x, dy = q.y - p.y;
    return (struct rect){
        .cx = ((float)p.x + (float)q.x) * 0.5f,
        .cy = ((float)p.y + (float)q.y) * 0.5f,
        .w = (float)sqrt(dx * dx + dy * dy),
        .degrees = (float)((float)atan2(dy, dx) * 180 / M_PI),
    };
}

static void
corners_of(const struct rect *r, float pt[4][2])
{
    const double angle = r->degrees * M_PI / 180;
    const float b = (float)cos(angle) * 0.5f, a = (float)sin(angle) * 0.5f;
    pt[0][0] = r->cx - a * r->h - b * r->w;
    pt[0][1] = r->cy + b * r->h - a * r->w;
    pt[1][0] = r->cx + a * r->h - b * r->w;
    pt[1][1] = r->cy - b * r->h - a * r->w;
    for (int k = 0; k < 2; k++) {
        pt[k + 2][0] = 2 * r->cx - pt[k][0];
        pt[k + 2][1] = 2 * r->cy - pt[k][1];
    }
}

/* Stable order by coordinate `axis`. */
static void
sort_corners(float (*pt)[2], int n, int axis)
{
    for (int i = 1; i < n; i++)
        for (int j = i; j > 0 && pt[j][axis] < pt[j - 1][axis]; j--) {
            float t[2];
            memcpy(t, pt[j], sizeof(t));
            memcpy(pt[j], pt[j - 1], sizeof(t));
            memcpy(pt[j - 1], t, sizeof(t));
        }
}

static float
distance(const float *p, const float *q)
{
    const float dx = p[0] - q[0], dy = p[1] - q[1];
    return sqrtf(dx * dx + dy * dy);
}

float
qs_min_rect(const struct qs_point *point, int n, float corner[4][2])
{
    struct qs_point *hull = qs_xcalloc((size_t)n, sizeof(*hull));
    float pt[4][2];
    const int m = qs_hull(point, n, hull);
    const struct rect r = m > 2 ? rect_of_hull(hull, m) : rect_of_segment(hull[m - 1], hull[0]);
    free(hull);
    corners_of(&r, pt);
    sort_corners(pt, 4, 0);
    sort_corners(pt, 2, 1);
    sort_corners(pt + 2, 2, 1);
    static const int order[] = {0, 2, 3, 1};
    for (int i = 0; i < 4; i++)
        memcpy(corner[i], pt[order[i]], sizeof(pt[0]));
    return fminf(distance(corner[0], corner[1]), distance(corner[1], corner[2]));
}

/* --- growing --------------------------------------------------------------------------------- */

static double
signed_area(const struct qs_vertex *p, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        const struct qs_vertex *a = &p[i ? i - 1 : n - 1], *b = &p[i + 1 < n ? i + 1 : 0];
        sum += (p[i].x - p[0].x) * (b->y - a->y);
    }
    return sum / 2;
}

double
qs_polygon_area(const struct qs_vertex *p, int n)
{
    return fabs(signed_area(p, n));
}

double
qs_polygon_length(const struct qs_vertex *p, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += hypot(p[(i + 1) % n].x - p[i].x, p[(i + 1) % n].y - p[i].y);
    return sum;
}

struct grower {
    struct qs_vertex p[4], normal[4]; /* normal of the side that starts at p[i], outwards */
    int n;
    double distance, sine, cosine, steps_per_rad;
    struct qs_point *out;
    int n_out, cap;
};

static void
put(struct grower *g, int corner, double nx, double ny)
{
    const double x = g->p[corner].x + nx * g->distance, y = g->p[corner].y + ny * g->distance;
    if (g->n_out == g->cap) {
        g->cap = g->cap ? 2 * g->cap : 64;
        g->out = qs_xrealloc(g->out, (size_t)g->cap * sizeof(*g->out));
    }
    g->out[g->n_out++] =
        (struct qs_point){(int)(x < 0 ? x - 0.5 : x + 0.5), (int)(y < 0 ? y - 0.5 : y + 0.5)};
}

/* An arc from the normal of side `k` to that of side `j`, around p[j]. */
static void
round_join(struct grower *g, int j, int k)
{
    const struct qs_vertex a = g->normal[k], b = g->normal[j];
    const double sine = fmin(1, fmax(-1, a.x * b.y - b.x * a.y));
    const double angle = atan2(sine, a.x * b.x + a.y * b.y);
    const int steps = (int)(g->steps_per_rad * fabs(angle) + 0.5);
    double x = a.x, y = a.y;
    for (int i = 0; i < (steps > 1 ? steps : 1); i++) {
        put(g, j, x, y);
        const double t = x;
        x = x * g->cosine - g->sine * y;
        y = t * g->sine + y * g->cosine;
    }
    put(g, j, b.x, b.y);
}

/* Returns the side before the next corner. */
static int
join(struct grower *g, int j, int k)
{
    const struct qs_vertex a = g->normal[k], b = g->normal[j];
    const double sine = a.x * b.y - b.x * a.y;
    if (fabs(sine * g->distance) < 1.0 && a.x * b.x + a.y * b.y > 0) {
        put(g, j, a.x, a.y); /* nearly straight */
        return k;
    }
    if (sine < 0) { /* a corner that points inwards */
        put(g, j, a.x, a.y);
        put(g, j, b.x, b.y);
    } else {
        round_join(g, j, k);
    }
    return j;
}

static void
load_corners(struct grower *g, const struct qs_vertex corner[4])
{
    for (int i = 0; i < 4; i++) {
        const struct qs_vertex c = {trunc(corner[i].x), trunc(corner[i].y)};
        if (g->n == 0 || c.x != g->p[g->n - 1].x || c.y != g->p[g->n - 1].y)
            g->p[g->n++] = c;
    }
    while (g->n > 1 && g->p[0].x == g->p[g->n - 1].x && g->p[0].y == g->p[g->n - 1].y)
        g->n--;
    for (int i = 0, j = g->n - 1; signed_area(g->p, g->n) < 0 && i < j; i++, j--) {
        const struct qs_vertex t = g->p[i];
        g->p[i] = g->p[j];
        g->p[j] = t;
    }
    for (int i = 0; i < g->n; i++) {
        const struct qs_vertex *q = &g->p[(i + 1) % g->n];
        const double dx = q->x - g->p[i].x, dy = q->y - g->p[i].y, f = 1 / sqrt(dx * dx + dy * dy);
        g->normal[i] = (struct qs_vertex){dy * f, -dx * f};
    }
}

struct qs_point *
qs_grow(const struct qs_vertex corner[4], double by, int *n)
{
    struct grower g = {.distance = by};
    load_corners(&g, corner);
    *n = 0;
    if (g.n < 3 || !(by > 0) || by > 1e6)
        return NULL;
    const double tolerance = by * 0.25 < 0.25 ? by * 0.25 : 0.25;
    double steps = M_PI / acos(1 - tolerance / by);
    if (steps > by * M_PI)
        steps = by * M_PI;
    g.sine = sin(2 * M_PI / steps);
    g.cosine = cos(2 * M_PI / steps);
    g.steps_per_rad = steps / (2 * M_PI);
    for (int j = 0, k = g.n - 1; j < g.n; j++)
        k = join(&g, j, k);
    *n = g.n_out;
    return g.out;
}

/* --- simple polygons ------------------------------------------------------------------------- */

static double
cross(struct qs_vertex a, struct qs_vertex b, struct qs_vertex c)
{
    return (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
}

static bool
within(struct qs_vertex a, struct qs_vertex b, struct qs_vertex p)
{
    return fmin(a.x, b.x) <= p.x && p.x <= fmax(a.x, b.x) && fmin(a.y, b.y) <= p.y &&
           p.y <= fmax(a.y, b.y);
}

static bool
on_segment(struct qs_vertex a, struct qs_vertex b, struct qs_vertex p)
{
    return cross(a, b, p) == 0 && within(a, b, p);
}

static bool
segments_touch(struct qs_vertex a, struct qs_vertex b, struct qs_vertex c, struct qs_vertex d)
{
    const double s = cross(a, b, c), t = cross(a, b, d), u = cross(c, d, a), v = cross(c, d, b);
    if (((s > 0 && t < 0) || (s < 0 && t > 0)) && ((u > 0 && v < 0) || (u < 0 && v > 0)))
        return true;
    return on_segment(a, b, c) || on_segment(a, b, d) || on_segment(c, d, a) || on_segment(c, d, b);
}

/* Sides i and j of a polygon without repeated points meet where they should not. */
static bool
sides_clash(const struct qs_vertex *p, int n, int i, int j)
{
    const struct qs_vertex a = p[i], b = p[(i + 1) % n], c = p[j], d = p[(j + 1) % n];
    if ((i + 1) % n == j) /* b is c: the next side must not run back */
        return on_segment(a, b, d) || on_segment(b, d, a);
    if ((j + 1) % n == i)
        return on_segment(c, d, b) || on_segment(d, b, c);
    return segments_touch(a, b, c, d);
}

bool
qs_polygon_is_simple(const struct qs_vertex *p, int n)
{
    struct qs_vertex *q = qs_xcalloc((size_t)n + 1, sizeof(*q));
    int m = 0;
    for (int i = 0; i < n; i++)
        if (m == 0 || p[i].x != q[m - 1].x || p[i].y != q[m - 1].y)
            q[m++] = p[i];
    while (m > 1 && q[0].x == q[m - 1].x && q[0].y == q[m - 1].y)
        m--;
    bool simple = m >= 3;
    for (int i = 0; i < m && simple; i++)
        for (int j = i + 1; j < m && simple; j++)
            simple = !sides_clash(q, m, i, j);
    free(q);
    return simple;
}

/*
 * Overlap: between two neighbouring heights at which a corner lies or two sides cross, the common
 * width is a linear function of the height, so its value in the middle gives the area exactly.
 */
struct heights {
    double *y;
    int n, cap;
};

static void
add_height(struct heights *h, double y)
{
    if (h->n == h->cap) {
        h->cap = h->cap ? 2 * h->cap : 32;
        h->y = qs_xrealloc(h->y, (size_t)h->cap * sizeof(*h->y));
    }
    h->y[h->n++] = y;
}

static void
add_crossing(struct heights *h, struct qs_vertex a, struct qs_vertex b, struct qs_vertex c,
             struct qs_vertex d)
{
    const double s = cross(c, d, a), t = cross(c, d, b), u = cross(a, b, c), v = cross(a, b, d);
    if (((s > 0) != (t > 0)) && ((u > 0) != (v > 0)) && s != t)
        add_height(h, a.y + (b.y - a.y) * (s / (s - t)));
}

static int
by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The x at which height y enters and leaves the polygon, in order; returns how many. */
static int
cuts(const struct qs_vertex *p, int n, double y, double *x)
{
    int k = 0;
    for (int i = 0; i < n; i++) {
        const struct qs_vertex a = p[i], b = p[i + 1 < n ? i + 1 : 0];
        if ((a.y <= y) != (b.y <= y))
            x[k++] = a.x + (b.x - a.x) * ((y - a.y) / (b.y - a.y));
    }
    qsort(x, (size_t)k, sizeof(*x), by_value);
    return k;
}

static double
common_width(const double *x, int n, const double *z, int m)
{
    double sum = 0;
    for (int i = 0, j = 0; i + 1 < n && j + 1 < m;) {
        const double from = fmax(x[i], z[j]), to = fmin(x[i + 1], z[j + 1]);
        if (to > from)
            sum += to - from;
        if (x[i + 1] < z[j + 1])
            i += 2;
        else
            j += 2;
    }
    return sum;
}

static bool
boxes_meet(const struct qs_vertex *p, int n, const struct qs_vertex *q, int m)
{
    double lo[2][2] = {{INFINITY, INFINITY}, {INFINITY, INFINITY}};
    double hi[2][2] = {{-INFINITY, -INFINITY}, {-INFINITY, -INFINITY}};
    for (int i = 0; i < n + m; i++) {
        const struct qs_vertex v = i < n ? p[i] : q[i - n];
        const int k = i >= n;
        lo[k][0] = fmin(lo[k][0], v.x);
        lo[k][1] = fmin(lo[k][1], v.y);
        hi[k][0] = fmax(hi[k][0], v.x);
        hi[k][1] = fmax(hi[k][1], v.y);
    }
    return lo[0][0] < hi[1][0] && lo[1][0] < hi[0][0] && lo[0][1] < hi[1][1] && lo[1][1] < hi[0][1];
}

double
qs_polygon_overlap(const struct qs_vertex *p, int n, const struct qs_vertex *q, int m)
{
    struct heights h = {0};
    if (!boxes_meet(p, n, q, m))
        return 0;
    for (int i = 0; i < n; i++)
        add_height(&h, p[i].y);
    for (int j = 0; j < m; j++)
        add_height(&h, q[j].y);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++)
            add_crossing(&h, p[i], p[(i + 1) % n], q[j], q[(j + 1) % m]);
    qsort(h.y, (size_t)h.n, sizeof(*h.y), by_value);
    double *x = qs_xcalloc((size_t)(n + m), sizeof(*x)), sum = 0;
    for (int i = 0; i + 1 < h.n; i++) {
        const double middle = h.y[i] + (h.y[i + 1] - h.y[i]) / 2;
        if (!(h.y[i + 1] > h.y[i]))
            continue;
        const int n_x = cuts(p, n, middle, x), n_z = cuts(q, m, middle, x + n);
        sum += common_width(x, n_x, x + n, n_z) * (h.y[i + 1] - h.y[i]);
    }
    free(x);
    free(h.y);
    return sum;
}
