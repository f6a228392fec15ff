/* SPDX-License-Identifier: Apache-2.0 */
/* Pooling over images. */
#include <inttypes.h>

#include "ops/forward.h"

/* Output height and width; `size` is that of the input. */
static enum qs_err
pool_size(const struct qs_infer *in, const int64_t *size, const struct qs_ints *kernel,
          int64_t *out)
{
    struct qs_window w[2];
    const int64_t k[2] = {kernel->v[0], kernel->n > 1 ? kernel->v[1] : kernel->v[0]};
    if (qs_attr_int(in->node, "adaptive", 0)) {
        out[0] = k[0];
        out[1] = k[1];
        if (k[0] < 1 || k[1] < 1)
            return qs_infer_fail(in, _("output size %" PRId64 "x%" PRId64 " is out of range"), k[0],
                                 k[1]);
        return QS_OK;
    }
    const bool ceil_mode = qs_attr_int(in->node, "ceil_mode", 0) != 0;
    enum qs_err err = qs_window_attrs(in, k, size, w);
    for (int i = 0; i < 2 && !err; i++)
        err = qs_window_out(in, &w[i], size[i], ceil_mode, &out[i]);
    return err;
}

static enum qs_err
pool_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    struct qs_ints kernel;
    if (!x)
        return QS_OK;
    if (x->n != 4)
        return qs_infer_fail(in, _("the input has %d dimensions, not 4"), x->n);
    const struct qs_layout at = qs_layout_of(in, "data_format");
    const int64_t size[2] = {x->d[at.h], x->d[at.w]};
    int64_t out[2] = {1, 1};
    if (!qs_attr_int(in->node, "global_pooling", 0)) {
        qs_infer_ints(in, NULL, NULL, "ksize", &kernel);
        if (!kernel.known || kernel.n < 1)
            return QS_OK;
        const enum qs_err err = pool_size(in, size, &kernel, out);
        if (err)
            return err;
    }
    int64_t d[4] = {x->d[0]};
    d[at.c] = x->d[at.c];
    d[at.h] = out[0];
    d[at.w] = out[1];
    const enum qs_err err = qs_infer_set(in, "Mask", 0, QS_DTYPE_int32, 4, d);
    return err ? err : qs_infer_set(in, "Out", 0, x->dtype, 4, d);
}

const struct qs_op qs_op_pool2d = {.name = "pool2d", .shape = pool_shape, .forward = qs_fwd_pool};
const struct qs_op qs_op_max_pool2d_with_index = {
    .name = "max_pool2d_with_index", .shape = pool_shape, .forward = qs_fwd_pool};
