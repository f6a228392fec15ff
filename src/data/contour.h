/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Borders of the 8-connected parts of a bitmap by border following (Suzuki and Abe, 1985), outer
 * ones and those of holes, as OpenCV's findContours lists them with RETR_LIST: the last one found
 * first. Points in the middle of a straight run are left out (CHAIN_APPROX_SIMPLE).
 */
#ifndef QS_DATA_CONTOUR_H
#define QS_DATA_CONTOUR_H

#include "base/ctx.h"

struct qs_point {
    int x, y;
};

struct qs_contours {
    struct qs_point *point; /* of all contours */
    int *start;             /* [n + 1] contour i is point[start[i]] .. point[start[i + 1] - 1] */
    int n;
};

/* bitmap: [h][w], not zero is inside; w * h at most 2^28. Contours come in the order they are
 * found: row by row. At least one point each. */
enum qs_err qs_contours_find(struct qs_ctx *cx, const uint8_t *bitmap, int w, int h,
                             struct qs_contours *out) QS_MUST_CHECK;
void qs_contours_release(struct qs_contours *c);

#endif
