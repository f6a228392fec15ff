/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy's .npy files, versions 1 and 2: little endian, row-major. */
#ifndef QS_IO_NPY_H
#define QS_IO_NPY_H

#include "base/buf.h"
#include "base/file.h"
#include "model/graph.h"

struct qs_npy {
    int32_t dtype; /* enum qs_dtype */
    int n;         /* rank */
    int64_t d[QS_RANK_MOST];
    int64_t count;
    struct qs_buf *buf; /* the elements, aligned; owned */
};

/* Parses a whole file in memory; `what` names it in messages. */
enum qs_err qs_npy_parse(struct qs_ctx *cx, const char *what, const uint8_t *p, size_t n,
                         struct qs_npy *out) QS_MUST_CHECK;
enum qs_err qs_npy_read(struct qs_ctx *cx, const char *path, struct qs_npy *out) QS_MUST_CHECK;
void qs_npy_release(struct qs_npy *npy);

/* Writes `count` elements of the type at `data`; QS_ERR_UNSUPPORTED for types NumPy lacks. */
enum qs_err qs_npy_write(struct qs_ctx *cx, const char *path, bool force, int32_t dtype, int n,
                         const int64_t *d, const void *data) QS_MUST_CHECK;

#endif
