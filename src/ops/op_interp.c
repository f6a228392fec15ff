/* SPDX-License-Identifier: Apache-2.0 */
/* Resizing of images. Precedence of the sizes: SizeTensor, OutSize, scale (tensor or attribute),
 * out_h and out_w. */
#include <inttypes.h>
#include <math.h>

#include "ops/forward.h"

enum source { UNKNOWN, NONE, FOUND };

static enum source
size_from_tensors(const struct qs_infer *in, int64_t *size)
{
    struct qs_ints v;
    if (qs_infer_n_in(in, "SizeTensor") == 0 && qs_infer_n_in(in, "OutSize") == 0)
        return NONE;
    qs_infer_ints(in, "SizeTensor", "OutSize", NULL, &v);
    if (!v.known || v.n != 2)
        return UNKNOWN;
    size[0] = v.v[0];
    size[1] = v.v[1];
    return FOUND;
}

/* The scale in single precision, as the kernel multiplies. */
static enum source
size_from_scale(const struct qs_infer *in, const int64_t *old, int64_t *size)
{
    double scale[2];
    struct qs_ints tensor;
    int n = qs_infer_floats(in, "scale", scale, 2);
    if (qs_infer_n_in(in, "Scale") > 0) {
        qs_infer_ints(in, NULL, "Scale", NULL, &tensor);
        if (!tensor.known || tensor.n < 1)
            return UNKNOWN;
        scale[0] = (double)tensor.v[0];
        scale[1] = (double)tensor.v[tensor.n > 1];
        n = 2;
    }
    if (n < 1 || !(scale[0] > 0) || !(scale[n - 1] > 0))
        return NONE;
    for (int i = 0; i < 2; i++) {
        const float r = (float)old[i] * (float)scale[n > 1 ? i : 0];
        size[i] = r < (float)QS_DIM_MOST ? (int64_t)r : -1;
    }
    return FOUND;
}

static enum source
find_size(const struct qs_infer *in, const int64_t *old, int64_t *size)
{
    enum source from = size_from_tensors(in, size);
    if (from == NONE)
        from = size_from_scale(in, old, size);
    if (from != NONE)
        return from;
    size[0] = qs_attr_int(in->node, "out_h", -1);
    size[1] = qs_attr_int(in->node, "out_w", -1);
    return FOUND;
}

static enum qs_err
interp_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    int64_t size[2];
    if (!x)
        return QS_OK;
    if (x->n != 4)
        return qs_infer_fail(in, _("the input has %d dimensions, not 4"), x->n);
    const struct qs_layout at = qs_layout_of(in, "data_layout");
    const int64_t old[2] = {x->d[at.h], x->d[at.w]};
    if (find_size(in, old, size) == UNKNOWN)
        return QS_OK;
    if (size[0] < 1 || size[1] < 1)
        return qs_infer_fail(in, _("output size %" PRId64 "x%" PRId64 " is out of range"), size[0],
                             size[1]);
    int64_t d[4] = {x->d[0]};
    d[at.c] = x->d[at.c];
    d[at.h] = size[0];
    d[at.w] = size[1];
    return qs_infer_set(in, "Out", 0, x->dtype, 4, d);
}

#define ROW(op) \
    const struct qs_op qs_op_##op = {.name = #op, .shape = interp_shape, .forward = qs_fwd_interp};
ROW(bicubic_interp)
ROW(bicubic_interp_v2)
ROW(bilinear_interp)
ROW(bilinear_interp_v2)
ROW(nearest_interp)
ROW(nearest_interp_v2)
#undef ROW
