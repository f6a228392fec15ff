/* SPDX-License-Identifier: Apache-2.0 */
#include "data/preprocess.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/i18n.h"
#include "data/resize.h"
#include "model/dtype.h"

enum qs_err
qs_data_tensor(struct qs_ctx *cx, int32_t dtype, int n, const int64_t *d, struct qs_value *out)
{
    *out = (struct qs_value){.dtype = dtype, .n = n, .count = 1};
    for (int i = 0; i < n; i++) {
        out->d[i] = d[i];
        out->count *= d[i];
    }
    const enum qs_err err =
        qs_buf_new(cx, (size_t)out->count * (size_t)qs_dtype_bytes(dtype), &out->buf);
    if (!err)
        out->data = out->buf->data;
    return err;
}

void
qs_data_tensor_release(struct qs_value *v)
{
    qs_buf_unref(v->buf);
    *v = (struct qs_value){0};
}

/* How a picture is laid into a tensor: resized, of that a window, at the left of a wider tensor. */
struct layout {
    int64_t resized_w, resized_h;
    int64_t x, y, w, h; /* window of the resized picture */
    int64_t tensor_w;   /* at least w; zeros beyond */
};

static void
lay_classification(const struct qs_preprocess *p, int w, int h, struct layout *l)
{
    const double r = (double)p->resize_short / (w < h ? w : h);
    l->resized_w = p->size[0] ? p->size[0] : (int64_t)nearbyint(w * r);
    l->resized_h = p->size[1] ? p->size[1] : (int64_t)nearbyint(h * r);
    l->w = p->crop ? p->crop : l->resized_w;
    l->h = p->crop ? p->crop : l->resized_h;
    l->x = (l->resized_w - l->w) / 2;
    l->y = (l->resized_h - l->h) / 2;
    l->tensor_w = l->w;
}

static void
lay_recognition(const struct qs_preprocess *p, int w, int h, struct layout *l)
{
    const int64_t height = p->shape[1], least = p->shape[2];
    const double ratio = fmax((double)least / (double)height, (double)w / h);
    const int64_t wide = (int64_t)((double)height * ratio);
    const int64_t scaled = (int64_t)ceil((double)(height * w) / h);
    l->tensor_w = wide > least ? wide : least;
    l->w = l->resized_w = scaled < l->tensor_w ? scaled : l->tensor_w;
    l->h = l->resized_h = height;
}

static void
lay_detection(const struct qs_preprocess *p, int w, int h, struct layout *l)
{
    const int longer = w > h ? w : h, shorter = w < h ? w : h, side = p->limit_side_len;
    double r = 1;
    if (p->limit_type == QS_LIMIT_MAX && longer > side)
        r = (double)side / longer;
    if (p->limit_type == QS_LIMIT_MIN && shorter < side)
        r = (double)side / shorter;
    const int64_t fit_w = (int64_t)(nearbyint((double)(int64_t)(w * r) / 32) * 32);
    const int64_t fit_h = (int64_t)(nearbyint((double)(int64_t)(h * r) / 32) * 32);
    l->tensor_w = l->w = l->resized_w = fit_w > 32 ? fit_w : 32;
    l->h = l->resized_h = fit_h > 32 ? fit_h : 32;
}

static void (*const lay[])(const struct qs_preprocess *p, int w, int h, struct layout *l) = {
    [QS_DATA_CLASSIFICATION] = lay_classification,
    [QS_DATA_OCR_REC] = lay_recognition,
    [QS_DATA_OCR_DET] = lay_detection,
};

static enum qs_err
check(struct qs_ctx *cx, const struct layout *l, int64_t max_pixels)
{
    enum { SIDE_MOST = 1 << 20 };
    if (l->resized_w < l->w || l->resized_h < l->h)
        return qs_fail(cx, QS_ERR_FORMAT,
                       _("'crop' (%lld) is larger than the resized image (%lld x %lld)"),
                       (long long)l->w, (long long)l->resized_w, (long long)l->resized_h);
    if (l->resized_w < 1 || l->resized_h < 1 || l->resized_w > SIDE_MOST ||
        l->resized_h > SIDE_MOST || l->tensor_w > SIDE_MOST ||
        l->resized_w * l->resized_h > max_pixels || l->tensor_w * l->h > max_pixels)
        return qs_fail(cx, QS_ERR_FORMAT, _("resized to %lld x %lld it has too many pixels"),
                       (long long)l->resized_w, (long long)l->resized_h);
    return QS_OK;
}

/* Each byte has one value per channel. */
static void
normalize(const struct qs_preprocess *p, const struct layout *l, const uint8_t *bgr, float *out)
{
    float value[3][256];
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 256; i++)
            value[c][i] = ((float)i * (float)p->scale - (float)p->mean[c]) / (float)p->std[c];
    for (int c = 0; c < 3; c++) {
        const int from = p->color == QS_COLOR_RGB ? 2 - c : c;
        for (int64_t y = 0; y < l->h; y++) {
            const uint8_t *in = bgr + 3 * ((l->y + y) * l->resized_w + l->x) + from;
            float *to = out + (c * l->h + y) * l->tensor_w;
            for (int64_t x = 0; x < l->w; x++)
                to[x] = value[c][in[3 * x]];
            memset(to + l->w, 0, (size_t)(l->tensor_w - l->w) * sizeof(*to));
        }
    }
}

enum qs_err
qs_preprocess(struct qs_ctx *cx, const struct qs_data_config *c, const struct qs_image *im,
              int64_t max_pixels, struct qs_value *out)
{
    struct layout l = {0};
    lay[c->type](&c->pre, im->w, im->h, &l);
    enum qs_err err = check(cx, &l, max_pixels);
    if (err)
        return err;
    const int64_t d[] = {1, 3, l.h, l.tensor_w};
    uint8_t *resized = malloc(3 * (size_t)(l.resized_w * l.resized_h));
    if (!resized)
        return qs_fail(cx, QS_ERR_MEMORY, _("out of memory"));
    qs_resize(im->data, im->w, im->h, resized, (int)l.resized_w, (int)l.resized_h);
    err = qs_data_tensor(cx, QS_DTYPE_float32, 4, d, out);
    if (!err)
        normalize(&c->pre, &l, resized, out->f32);
    free(resized);
    return err;
}
