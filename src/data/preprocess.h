/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures to input tensors, as PaddleClas (ResizeImage, CropImage, NormalizeImage, ToCHWImage)
 * and PaddleOCR (RecResizeImg, DetResizeForTest) do for evaluation. All arithmetic is in the order
 * and precision of the originals: sizes in double, rounded half to even; pixels in float.
 */
#ifndef QS_DATA_PREPROCESS_H
#define QS_DATA_PREPROCESS_H

#include "data/config.h"
#include "io/image.h"
#include "model/step.h"

/* The tensor [1, 3, h, w] float32 of a picture; its buffer is new (qs_value_release). `max_pixels`
 * bounds the resized picture too: a thin one can grow a lot. Messages do not name the picture. */
enum qs_err qs_preprocess(struct qs_ctx *cx, const struct qs_data_config *c,
                          const struct qs_image *im, int64_t max_pixels,
                          struct qs_value *out) QS_MUST_CHECK;

/* A dense tensor, not cleared; messages say that memory is gone. */
enum qs_err qs_data_tensor(struct qs_ctx *cx, int32_t dtype, int n, const int64_t *d,
                           struct qs_value *out) QS_MUST_CHECK;
void qs_data_tensor_release(struct qs_value *v);

#endif
