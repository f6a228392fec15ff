/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plane geometry of text boxes: hull and least rectangle as OpenCV computes them (in float, so
 * that corners agree to the last bit in all but degenerate cases), growing as Clipper does, areas
 * and intersections of simple polygons as GEOS defines them.
 */
#ifndef QS_DATA_POLYGON_H
#define QS_DATA_POLYGON_H

#include <stdbool.h>

#include "data/contour.h"

struct qs_vertex {
    double x, y;
};

/* Convex hull of n >= 1 points without those inside of sides: `hull` has room for n; returns how
 * many. One that is an outline keeps the order, or the reverse order, of the outline. */
int qs_hull(const struct qs_point *point, int n, struct qs_point *hull);

/* The rectangle of least area around points (cv2.minAreaRect, boxPoints): corners top left, top
 * right, bottom right, bottom left, where the two with least x are the left ones. Returns its
 * shorter side. */
float qs_min_rect(const struct qs_point *point, int n, float corner[4][2]);

double qs_polygon_area(const struct qs_vertex *p, int n); /* at least 0 */
double qs_polygon_length(const struct qs_vertex *p, int n);

/* The hull points of a convex quadrilateral, its corners cut to integers, moved outwards by
 * `distance` with round joins (Clipper 6, arc tolerance 0.25). malloc; NULL when fewer than three
 * corners differ. */
struct qs_point *qs_grow(const struct qs_vertex corner[4], double distance, int *n);

/* At least three different points and no side that touches another, but for its neighbours at
 * the common corner. */
bool qs_polygon_is_simple(const struct qs_vertex *p, int n);
/* Area common to two simple polygons. */
double qs_polygon_overlap(const struct qs_vertex *p, int n, const struct qs_vertex *q, int m);

#endif
