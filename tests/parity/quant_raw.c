/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantizes float32 numbers from standard input for quant.py:
 *     quant_raw AXIS BITS RATE DIM...
 * writes int32 bytes of q, int32 n_scales, float scale[], q[], float dequantized[].
 */
#include <stdio.h>
#include <stdlib.h>

#include "model/quant.h"

static int
put(const void *p, size_t size, size_t n)
{
    return fwrite(p, size, n, stdout) == n ? 0 : 1;
}

static int
write_result(struct qs_ctx *cx, const struct qs_tensor *t, int axis, const struct qs_quantized *q)
{
    struct qs_buf *y = NULL;
    if (qs_dequantize(cx, t, axis, q, &y) != QS_OK)
        return 1;
    const int32_t head[] = {qs_dtype_bytes(q->dtype), q->n_scales};
    const int failed =
        put(head, sizeof(head), 1) || put(q->scale, sizeof(*q->scale), (size_t)q->n_scales) ||
        put(q->q->data, (size_t)head[0], (size_t)t->n) || put(y->data, sizeof(float), (size_t)t->n);
    qs_buf_unref(y);
    return failed;
}

int
main(int argc, char **argv)
{
    enum { FIRST_DIM = 4 };
    struct qs_ctx cx;
    int64_t dims[QS_RANK_MOST];
    const int n_dims = argc - FIRST_DIM;
    if (n_dims < 1 || n_dims > QS_RANK_MOST)
        return 2;
    struct qs_tensor t = {.dtype = QS_DTYPE_float32, .n_dims = n_dims, .dims = dims, .n = 1};
    for (int i = 0; i < n_dims; i++)
        t.n *= dims[i] = atoll(argv[FIRST_DIM + i]);
    qs_ctx_init(&cx);
    t.bytes = (size_t)t.n * sizeof(float);
    if (qs_buf_new(&cx, t.bytes, &t.buf) != QS_OK ||
        fread(t.buf->data, 1, t.bytes, stdin) != t.bytes)
        return 1;
    struct qs_quantized q;
    const int axis = atoi(argv[1]);
    int failed = qs_quantize(&cx, &t, axis, atoi(argv[2]), atof(argv[3]), &q) != QS_OK;
    failed = failed || write_result(&cx, &t, axis, &q);
    qs_quantized_release(&q);
    qs_buf_unref(t.buf);
    return failed;
}
