/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bilinear resizing of 8-bit pictures, bit for bit as OpenCV's resize with INTER_LINEAR: pixel
 * centres at halves, coefficients in 11 bits, rounded half to even; rows are combined in integers
 * as OpenCV's vector code does.
 */
#ifndef QS_DATA_RESIZE_H
#define QS_DATA_RESIZE_H

#include <stdint.h>

/* src [sh][sw][3] to dst [dh][dw][3]; all sides at least 1, at most 2^20. */
void qs_resize(const uint8_t *src, int sw, int sh, uint8_t *dst, int dw, int dh);

#endif
