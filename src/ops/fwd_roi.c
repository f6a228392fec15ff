/* SPDX-License-Identifier: Apache-2.0 */
/* Features of regions. X [N, C, H, W]; ROIs [R, 4] in pixels of the image, of which spatial_scale
 * makes pixels of X; which region belongs to which image is told by RoisNum or by lod. */
#include <inttypes.h>
#include <math.h>

#include "ops/data.h"

enum { SAMPLES_MOST = 1 << 12 }; /* samples of one side of a bin */

struct roi {
    const struct qs_value *x, *rois;
    struct qs_value *out, *argmax;
    int64_t *image; /* [R] */
    int64_t ph, pw, sampling;
    float scale;
    bool aligned;
};

static enum qs_err
assign_images(struct qs_step *st, struct roi *r)
{
    const struct qs_value *num = qs_step_in(st, "RoisNum", 0);
    const int64_t n = r->rois->d[0], images = r->x->d[0];
    r->image = qs_arena_calloc(st->scratch, (size_t)n + 1, sizeof(*r->image));
    int64_t at = 0, image = 0;
    if (num && num->count != images)
        return qs_step_fail(st, _("the shape of %s does not fit"), "RoisNum");
    for (; num && image < images; image++) {
        const int64_t more = qs_value_int(num, image);
        if (more < 0 || more > n - at)
            return qs_step_fail(st, _("the regions do not fit the input"));
        for (int64_t k = 0; k < more; k++)
            r->image[at++] = image;
    }
    for (; !num && at < n; at++) {
        while (r->rois->lod && image + 2 < r->rois->n_lod && at >= r->rois->lod[image + 1])
            image++;
        r->image[at] = image;
    }
    return at == n && (n == 0 || r->image[n - 1] < images)
               ? QS_OK
               : qs_step_fail(st, _("the regions do not fit the input"));
}

static enum qs_err
read_roi(struct qs_step *st, struct roi *r)
{
    enum qs_err err = qs_data_pair(st, "X", "Out", &r->x, &r->out);
    if (!err)
        err = qs_data_in(st, "ROIs", 0, &r->rois);
    if (!err)
        err = qs_data_expect_type(st, r->x, QS_DTYPE_float32);
    if (!err)
        err = qs_data_expect_type(st, r->rois, QS_DTYPE_float32);
    if (!err)
        err = qs_data_same_type(st, r->x, r->out);
    if (err)
        return err;
    r->ph = qs_attr_int(st->node, "pooled_height", 1);
    r->pw = qs_attr_int(st->node, "pooled_width", 1);
    r->scale = (float)qs_attr_float(st->node, "spatial_scale", 1);
    r->sampling = qs_attr_int(st->node, "sampling_ratio", -1);
    r->aligned = qs_attr_int(st->node, "aligned", 0) != 0;
    if (r->x->n != 4 || r->rois->n != 2 || r->rois->d[1] != 4 || r->x->count == 0)
        return qs_step_fail(st, _("the regions do not fit the input"));
    const int64_t d[4] = {r->rois->d[0], r->x->d[1], r->ph, r->pw};
    err = qs_data_expect(st, r->out, 4, d);
    return err ? err : assign_images(st, r);
}

/* roi_align: the mean of evenly spread samples of each bin. */

/* A coordinate and the two pixels around it. */
struct tap {
    int64_t lo, hi;
    float w_lo, w_hi;
    bool inside;
};

static struct tap
tap_at(float v, int64_t size)
{
    struct tap t = {.inside = v >= -1 && v <= (float)size};
    if (!t.inside)
        return t;
    v = v > 0 ? v : 0;
    t.lo = (int64_t)v;
    if (t.lo >= size - 1) {
        t.lo = t.hi = size - 1;
        v = (float)t.lo;
    } else {
        t.hi = t.lo + 1;
    }
    t.w_hi = v - (float)t.lo;
    t.w_lo = 1 - t.w_hi;
    return t;
}

struct region {
    float x, y, bin_w, bin_h;
    int64_t nx, ny; /* samples of a bin */
};

static float
bin_mean(const struct roi *r, const struct region *g, const float *plane, int64_t row,
         int64_t column)
{
    const int64_t w = r->x->d[3];
    float sum = 0;
    for (int64_t i = 0; i < g->ny; i++) {
        const float y = g->y + (float)row * g->bin_h + ((float)i + 0.5F) * g->bin_h / (float)g->ny;
        const struct tap ty = tap_at(y, r->x->d[2]);
        for (int64_t k = 0; k < g->nx && ty.inside; k++) {
            const float x =
                g->x + (float)column * g->bin_w + ((float)k + 0.5F) * g->bin_w / (float)g->nx;
            const struct tap tx = tap_at(x, w);
            if (tx.inside)
                sum += ty.w_lo * tx.w_lo * plane[ty.lo * w + tx.lo] +
                       ty.w_lo * tx.w_hi * plane[ty.lo * w + tx.hi] +
                       ty.w_hi * tx.w_lo * plane[ty.hi * w + tx.lo] +
                       ty.w_hi * tx.w_hi * plane[ty.hi * w + tx.hi];
        }
    }
    const int64_t n = g->nx * g->ny;
    return sum / (float)(n > 1 ? n : 1);
}

/* Samples along a side of a bin; -1 when there would be too many. */
static int64_t
samples(const struct roi *r, float side, int64_t bins)
{
    const float n = r->sampling > 0 ? (float)r->sampling : ceilf(side / (float)bins);
    return n <= (float)SAMPLES_MOST ? (n > 0 ? (int64_t)n : 0) : -1;
}

static bool
region_of(const struct roi *r, int64_t i, struct region *g)
{
    const float *b = &r->rois->f32[4 * i], off = r->aligned ? 0.5F : 0;
    g->x = b[0] * r->scale - off;
    g->y = b[1] * r->scale - off;
    float w = b[2] * r->scale - off - g->x, h = b[3] * r->scale - off - g->y;
    if (!r->aligned) {
        w = w > 1 ? w : 1;
        h = h > 1 ? h : 1;
    }
    g->bin_w = w / (float)r->pw;
    g->bin_h = h / (float)r->ph;
    g->nx = samples(r, w, r->pw);
    g->ny = samples(r, h, r->ph);
    return g->nx >= 0 && g->ny >= 0;
}

static enum qs_err
align_region(struct qs_ctx *cx, void *arg, int64_t i)
{
    const struct roi *r = arg;
    const int64_t c = r->x->d[1], area = r->x->d[2] * r->x->d[3], bins = r->ph * r->pw;
    struct region g;
    if (!region_of(r, i, &g))
        return qs_fail(cx, QS_ERR_FORMAT, _("region %" PRId64 " is too large"), i);
    for (int64_t k = 0; k < c * bins; k++)
        r->out->f32[i * c * bins + k] = bin_mean(
            r, &g, r->x->f32 + (r->image[i] * c + k / bins) * area, k % bins / r->pw, k % r->pw);
    return QS_OK;
}

enum qs_err
qs_fwd_roi_align(struct qs_step *st)
{
    struct roi r;
    const enum qs_err err = read_roi(st, &r);
    return err ? err : qs_parallel_for(st->cx, r.rois->d[0], align_region, &r);
}

/* roi_pool: the largest element of each bin of whole pixels. */

static int64_t
pixel_of(float v)
{
    return v > -(float)QS_ATTR_MOST && v < (float)QS_ATTR_MOST ? (int64_t)roundf(v) : 0;
}

/* Pixels first .. end-1 of a bin, cut to the image. */
static void
bin_range(int64_t start, int64_t length, int64_t bin, int64_t bins, int64_t size, int64_t *first,
          int64_t *end)
{
    const float each = (float)length / (float)bins;
    *first = (int64_t)floorf((float)bin * each) + start;
    *end = (int64_t)ceilf((float)(bin + 1) * each) + start;
    *first = *first < 0 ? 0 : *first > size ? size : *first;
    *end = *end < 0 ? 0 : *end > size ? size : *end;
}

static void
pool_bin(const struct roi *r, int64_t i, int64_t k)
{
    const int64_t bins = r->ph * r->pw, c = r->x->d[1], h = r->x->d[2], w = r->x->d[3];
    const float *b = &r->rois->f32[4 * i];
    const float *plane = r->x->f32 + (r->image[i] * c + k / bins) * h * w;
    const int64_t x = pixel_of(b[0] * r->scale), y = pixel_of(b[1] * r->scale);
    const int64_t wide = pixel_of(b[2] * r->scale) - x + 1,
                  high = pixel_of(b[3] * r->scale) - y + 1;
    int64_t x0, x1, y0, y1, best = -1;
    bin_range(y, high > 1 ? high : 1, k % bins / r->pw, r->ph, h, &y0, &y1);
    bin_range(x, wide > 1 ? wide : 1, k % r->pw, r->pw, w, &x0, &x1);
    for (int64_t row = y0; row < y1; row++)
        for (int64_t column = x0; column < x1; column++)
            if (best < 0 || plane[row * w + column] > plane[best])
                best = row * w + column;
    const int64_t at = i * c * bins + k;
    r->out->f32[at] = best < 0 ? 0 : plane[best];
    if (r->argmax)
        qs_data_store_ints(r->argmax, at, 1, &best);
}

enum qs_err
qs_fwd_roi_pool(struct qs_step *st)
{
    struct roi r;
    const enum qs_err err = read_roi(st, &r);
    if (err)
        return err;
    r.argmax = qs_step_out(st, "Argmax", 0);
    if (r.argmax && r.argmax->count != r.out->count)
        return qs_step_fail(st, _("the shape of %s does not fit"), "Argmax");
    for (int64_t i = 0; i < r.rois->d[0]; i++)
        for (int64_t k = 0; k < r.x->d[1] * r.ph * r.pw; k++)
            pool_bin(&r, i, k);
    return QS_OK;
}
