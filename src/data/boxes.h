/* SPDX-License-Identifier: Apache-2.0 */
/* Text boxes from the map of a DB detector (PaddleOCR's DBPostProcess: quadrilaterals, fast
 * score), and how many of them are right (DetMetric, IoU 0.5). */
#ifndef QS_DATA_BOXES_H
#define QS_DATA_BOXES_H

#include "data/config.h"
#include "data/polygon.h"

struct qs_box {
    struct qs_point p[4]; /* top left, top right, bottom right, bottom left in the picture */
};

struct qs_boxes {
    struct qs_box *box;
    int n;
};

/* map: [h][w] probabilities; the picture was image_w x image_h pixels. */
enum qs_err qs_boxes_find(struct qs_ctx *cx, const float *map, int w, int h, int image_w,
                          int image_h, const struct qs_postprocess *post,
                          struct qs_boxes *out) QS_MUST_CHECK;
void qs_boxes_release(struct qs_boxes *b);

struct qs_text_area { /* a labelled text */
    struct qs_vertex *p;
    int n;       /* 3 .. QS_AREA_POINTS_MOST */
    bool ignore; /* "###" or "*": neither found nor missed */
    bool simple;
};
enum { QS_AREA_POINTS_MOST = 512 };

struct qs_match {
    int matched, n_truth, n_found; /* those that count */
};
void qs_boxes_match(const struct qs_boxes *found, const struct qs_text_area *truth, int n_truth,
                    struct qs_match *out);

/* Pixels that cv2.fillPoly sets for a quadrilateral in a mask [h][w] (0 before). */
void qs_fill_quad(const struct qs_point p[4], uint8_t *mask, int w, int h);

#endif
