/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NumPy's .npy files, versions 1 to 3: C order, little-endian, the element types of dtype.h. The
 * file is mapped, nothing is copied.
 */
#ifndef QS_IO_NPY_H
#define QS_IO_NPY_H

#include "base/buf.h"
#include "model/dtype.h"
#include "model/graph.h"

struct qs_npy {
    int32_t dtype; /* enum qs_dtype */
    int n;         /* rank */
    int64_t d[QS_RANK_MOST];
    int64_t count;       /* elements */
    const uint8_t *data; /* borrowed from buf; may be unaligned */
    struct qs_buf *buf;
};

/* QS_ERR_FORMAT when it is no such file, is cut off, or holds objects, strings or big-endian
 * numbers. */
enum qs_err qs_npy_map(struct qs_ctx *cx, const char *path, struct qs_npy *out) QS_MUST_CHECK;
void qs_npy_release(struct qs_npy *a);

#endif
