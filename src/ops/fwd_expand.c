/* SPDX-License-Identifier: Apache-2.0 */
/* Repeating, padding, windows and sampling. */
#include <inttypes.h>
#include <math.h>

#include "ops/data.h"

/* Out holds X repeated whole times along each dim (right-aligned): what expand, expand_v2,
 * expand_as and tile all come down to once the shape is known. */
enum qs_err
qs_fwd_repeat(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    int64_t from[QS_RANK_MOST], to[QS_RANK_MOST];
    struct qs_walk_dims w = {0};
    enum qs_err err = qs_data_pair(st, "X", "Out", &x, &y);
    if (!err)
        err = qs_data_same_type(st, x, y);
    if (err || y->count == 0)
        return err;
    const int lead = y->n - x->n;
    qs_dense_strides(x->n, x->d, from);
    qs_dense_strides(y->n, y->d, to);
    for (int i = 0; i < y->n; i++) {
        const int64_t d = lead >= 0 && i >= lead ? x->d[i - lead] : 1;
        if (lead < 0 || d == 0 || y->d[i] % d != 0)
            return qs_step_fail(st, _("%d dimensions do not expand to %d"), x->n, y->n);
        qs_walk_add(&w, y->d[i] / d, to[i] * d, 0);
        qs_walk_add(&w, d, to[i], i >= lead ? from[i - lead] : 0);
    }
    if (y->n == 0)
        qs_walk_add(&w, 1, 1, 1);
    if (lead < 0)
        return qs_step_fail(st, _("%d dimensions do not expand to %d"), x->n, y->n);
    return qs_walk_copy(st->cx, y->data, x->data, qs_dtype_bytes(x->dtype), &w);
}

/* Pads: a table per axis says which place of X each place of Out is, -1 for the pad value. */

enum pad_mode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_CIRCULAR };

static enum qs_err
pad_table(const struct qs_step *st, enum pad_mode mode, int64_t size, int64_t before, int64_t out,
          const int64_t **table)
{
    int64_t *t = qs_arena_alloc(st->scratch, (size_t)(out + 1) * sizeof(*t));
    *table = t;
    for (int64_t i = 0; i < out; i++) {
        int64_t at = i - before;
        if (mode == PAD_REFLECT) {
            at = at < 0 ? -at : at;
            at = at < 2 * size - at - 2 ? at : 2 * size - at - 2;
        } else if (mode == PAD_EDGE) {
            at = at < 0 ? 0 : at >= size ? size - 1 : at;
        } else if (mode == PAD_CIRCULAR && size > 0) {
            at = (at % size + size) % size;
        }
        if ((at < 0 || at >= size) && mode != PAD_CONSTANT)
            return qs_step_fail(st, _("a padding of %" PRId64 " is too wide to mirror %" PRId64),
                                before, size);
        t[i] = at < 0 || at >= size ? -1 : at;
    }
    return QS_OK;
}

static void
pad_rows(const struct qs_value *x, struct qs_value *y, const int64_t *const *table,
         const uint8_t *value)
{
    const int last = y->n - 1;
    const int64_t n = y->d[last], rows = y->count / n;
    const size_t width = (size_t)qs_dtype_bytes(y->dtype);
    uint8_t *to = y->u8;
    for (int64_t r = 0; r < rows; r++) {
        int64_t from = 0, stride = x->d[last], rest = r;
        for (int a = last - 1; a >= 0; a--) {
            const int64_t at = table[a][rest % y->d[a]];
            from = at < 0 || from < 0 ? -1 : from + at * stride;
            stride *= x->d[a];
            rest /= y->d[a];
        }
        for (int64_t i = 0; i < n; i++, to += width) {
            const int64_t at = from < 0 ? -1 : table[last][i];
            memcpy(to, at < 0 ? value : x->u8 + (size_t)(from + at) * width, width);
        }
    }
}

/* `before[axis]` places come in front; what is behind follows from the size of Out. */
static enum qs_err
pad(struct qs_step *st, const struct qs_value *x, struct qs_value *y, enum pad_mode mode,
    const int64_t *before, double value)
{
    const int64_t *table[QS_RANK_MOST];
    double buffer = 0; /* as wide as the widest element */
    struct qs_value v = {.dtype = y->dtype, .n = 0, .count = 1, .data = &buffer};
    enum qs_err err = qs_data_same_type(st, x, y);
    if (!err)
        err = qs_data_computable(st, y);
    if (!err && x->n != y->n)
        err = qs_step_fail(st, _("the input has %d dimensions, not %d"), x->n, y->n);
    if (err || y->count == 0 || x->n == 0)
        return err || y->count == 0 ? err : qs_data_copy(st, x, y);
    for (int i = 0; i < x->n && !err; i++)
        err = pad_table(st, mode, x->d[i], before[i], y->d[i], &table[i]);
    if (err)
        return err;
    qs_data_fill_real(&v, value);
    pad_rows(x, y, table, (const uint8_t *)&buffer);
    return QS_OK;
}

enum qs_err
qs_fwd_pad(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    int64_t v[2 * QS_RANK_MOST], before[QS_RANK_MOST];
    const enum qs_err err = qs_data_pair(st, "X", "Out", &x, &y);
    if (err)
        return err;
    if (qs_step_ints(st, NULL, NULL, "paddings", v, 2 * QS_RANK_MOST) != 2 * x->n)
        return qs_step_fail(st, _("the paddings do not fit %d dimensions"), x->n);
    for (int i = 0; i < x->n; i++)
        before[i] = v[2 * i];
    return pad(st, x, y, PAD_CONSTANT, before, qs_attr_float(st->node, "pad_value", 0));
}

static enum qs_err
pad_mode_of(const struct qs_step *st, enum pad_mode *mode)
{
    static const struct {
        const char *name;
        enum pad_mode mode;
    } modes[] = {{"constant", PAD_CONSTANT},
                 {"reflect", PAD_REFLECT},
                 {"edge", PAD_EDGE},
                 {"replicate", PAD_EDGE},
                 {"circular", PAD_CIRCULAR}};
    for (size_t i = 0; i < QS_LEN(modes); i++)
        if (qs_data_str_is(st, "mode", "constant", modes[i].name)) {
            *mode = modes[i].mode;
            return QS_OK;
        }
    return qs_step_fail(st, _("the mode of the padding is not known"));
}

/* The pairs of the list belong to the axes in `axis`. */
static enum qs_err
pad_image(struct qs_step *st, const int *axis, int n, int rank, const char *value)
{
    const struct qs_value *x;
    struct qs_value *y;
    enum pad_mode mode;
    int64_t v[2 * QS_RANK_MOST], before[QS_RANK_MOST] = {0};
    enum qs_err err = qs_data_pair(st, "X", "Out", &x, &y);
    if (!err)
        err = pad_mode_of(st, &mode);
    if (err)
        return err;
    if (x->n != rank)
        return qs_step_fail(st, _("the input has %d dimensions, not %d"), x->n, rank);
    if (qs_step_ints(st, NULL, "Paddings", "paddings", v, 2 * QS_RANK_MOST) != 2 * n)
        return qs_step_fail(st, _("the paddings do not fit %d dimensions"), n);
    for (int i = 0; i < n; i++)
        before[axis[i]] = v[2 * i];
    return pad(st, x, y, mode, before, qs_attr_float(st->node, value, 0));
}

enum qs_err
qs_fwd_pad2d(struct qs_step *st)
{
    const bool last = qs_data_str_is(st, "data_format", "NCHW", "NHWC");
    return pad_image(st, last ? (const int[]){1, 2} : (const int[]){2, 3}, 2, 4, "pad_value");
}

enum qs_err
qs_fwd_pad3d(struct qs_step *st)
{
    const bool last = qs_data_str_is(st, "data_format", "NCDHW", "NDHWC");
    return pad_image(st, last ? (const int[]){3, 2, 1} : (const int[]){4, 3, 2}, 3, 5, "value");
}

/* Windows: columns of an image. Places outside are 0. */

struct windows {
    int64_t k[2], stride[2], pad[4], dilation[2]; /* pad: top, left, bottom, right */
    int64_t out[2];                               /* places along height and width */
};

static void
read_list(const struct qs_step *st, const char *attr, int64_t def, int64_t *out, int n)
{
    int64_t v[4];
    const int got = qs_attr_ints(st->node, attr, v, 4);
    for (int i = 0; i < n; i++)
        out[i] = got < 1 ? def : v[i % got];
}

static enum qs_err
read_windows(const struct qs_step *st, const struct qs_value *x, const char *kernels,
             struct windows *w)
{
    if (x->n != 4)
        return qs_step_fail(st, _("the input has %d dimensions, not 4"), x->n);
    read_list(st, kernels, 0, w->k, 2);
    read_list(st, "strides", 1, w->stride, 2);
    read_list(st, "paddings", 0, w->pad, 4);
    read_list(st, "dilations", 1, w->dilation, 2);
    for (int i = 0; i < 2; i++) {
        const int64_t reach = w->dilation[i] * (w->k[i] - 1) + 1;
        const int64_t room = x->d[2 + i] + w->pad[i] + w->pad[i + 2] - reach;
        if (w->k[i] < 1 || w->stride[i] < 1 || w->dilation[i] < 1 || room < 0)
            return qs_step_fail(st, _("the windows do not fit the input"));
        w->out[i] = room / w->stride[i] + 1;
    }
    return QS_OK;
}

/* Element (i, j) of the window at (h, w) of a plane; 0 outside. */
static float
window_at(const struct windows *w, const struct qs_value *x, const float *plane, int64_t h,
          int64_t v, int64_t i, int64_t j)
{
    const int64_t row = h * w->stride[0] - w->pad[0] + i * w->dilation[0];
    const int64_t column = v * w->stride[1] - w->pad[1] + j * w->dilation[1];
    if (row < 0 || row >= x->d[2] || column < 0 || column >= x->d[3])
        return 0;
    return plane[row * x->d[3] + column];
}

struct unfold {
    const struct windows *w;
    const struct qs_value *x;
    float *out;
};

/* Row i of all: one place of the kernel in one channel. */
static enum qs_err
unfold_row(struct qs_ctx *cx, void *arg, int64_t r)
{
    const struct unfold *u = arg;
    const struct windows *w = u->w;
    const int64_t taps = w->k[0] * w->k[1], tap = r % taps;
    const float *plane = u->x->f32 + r / taps * u->x->d[2] * u->x->d[3];
    float *to = u->out + r * w->out[0] * w->out[1];
    (void)cx;
    for (int64_t h = 0; h < w->out[0]; h++)
        for (int64_t v = 0; v < w->out[1]; v++)
            *to++ = window_at(w, u->x, plane, h, v, tap / w->k[1], tap % w->k[1]);
    return QS_OK;
}

enum qs_err
qs_fwd_unfold(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    struct windows w;
    enum qs_err err = qs_data_pair(st, "X", "Y", &x, &y);
    if (!err)
        err = qs_data_expect_type(st, x, QS_DTYPE_float32);
    if (!err)
        err = qs_data_same_type(st, x, y);
    if (!err)
        err = read_windows(st, x, "kernel_sizes", &w);
    if (err)
        return err;
    const int64_t rows = x->d[0] * x->d[1] * w.k[0] * w.k[1];
    if (y->count != qs_mul_sat(rows, w.out[0] * w.out[1]))
        return qs_step_fail(st, _("the windows do not fill the output"));
    struct unfold u = {&w, x, y->f32};
    return y->count == 0 ? QS_OK : qs_parallel_for(st->cx, rows, unfold_row, &u);
}

/* Every window is a row; the windows of an image are one sequence. */
enum qs_err
qs_fwd_im2sequence(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    struct windows w;
    enum qs_err err = qs_data_pair(st, "X", "Out", &x, &y);
    if (!err)
        err = qs_data_expect_type(st, x, QS_DTYPE_float32);
    if (!err)
        err = qs_data_same_type(st, x, y);
    if (!err)
        err = read_windows(st, x, "kernels", &w);
    if (err)
        return err;
    const int64_t area = w.out[0] * w.out[1], taps = w.k[0] * w.k[1];
    if (y->count != qs_mul_sat(x->d[0] * x->d[1], area * taps))
        return qs_step_fail(st, _("the windows do not fill the output"));
    float *to = y->f32;
    for (int64_t r = 0; r < (y->count ? x->d[0] * area : 0); r++) {
        const int64_t h = r % area / w.out[1], v = r % w.out[1];
        const float *image = x->f32 + r / area * x->d[1] * x->d[2] * x->d[3];
        for (int64_t c = 0; c < x->d[1]; c++)
            for (int64_t tap = 0; tap < taps; tap++)
                *to++ = window_at(&w, x, image + c * x->d[2] * x->d[3], h, v, tap / w.k[1],
                                  tap % w.k[1]);
    }
    if (y->count == 0)
        return QS_OK;
    int64_t *lod = qs_arena_calloc(st->scratch, (size_t)x->d[0] + 1, sizeof(*lod));
    for (int64_t i = 0; i < x->d[0]; i++)
        lod[i + 1] = lod[i] + area;
    y->lod = lod;
    y->n_lod = (int)x->d[0] + 1;
    return QS_OK;
}

/* grid_sampler: Grid holds (x, y) in -1 .. 1 for every place of the result. */

enum outside { OUT_ZEROS, OUT_BORDER, OUT_REFLECT };

struct sampler {
    const struct qs_value *x, *grid;
    struct qs_value *y;
    enum outside outside;
    bool corners, nearest;
};

static float
limit(float v, float lo, float hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* A place in pixels, kept inside as the padding mode wants. NaN goes outside. */
static float
to_pixels(const struct sampler *s, float v, int64_t size)
{
    const float most = (float)(size - 1);
    v = s->corners ? (v + 1) * (most / 2) : ((v + 1) * (float)size - 1) / 2;
    if (s->outside == OUT_REFLECT && s->corners) {
        const float range = most * 2, a = fabsf(v), extra = a - floorf(a / range) * range;
        v = range == 0 ? 0 : fminf(extra, range - extra);
    } else if (s->outside == OUT_REFLECT) {
        const float range = (float)size * 2, a = fabsf(v + 0.5F);
        const float extra = a - floorf(a / range) * range;
        v = fminf(extra, range - extra) - 0.5F;
    }
    if (s->outside != OUT_ZEROS)
        v = limit(v, 0, most);
    return v > -2 && v < (float)size + 2 ? v : -2;
}

static float
pixel(const struct qs_value *x, const float *plane, int64_t row, int64_t column)
{
    const bool inside = row >= 0 && row < x->d[2] && column >= 0 && column < x->d[3];
    return inside ? plane[row * x->d[3] + column] : 0;
}

static float
sample(const struct sampler *s, const float *plane, float px, float py)
{
    if (s->nearest)
        return pixel(s->x, plane, (int64_t)rintf(py), (int64_t)rintf(px));
    const float x0 = floorf(px), y0 = floorf(py);
    const float right = px - x0, below = py - y0, left = 1 - right, above = 1 - below;
    const int64_t c = (int64_t)x0, r = (int64_t)y0;
    return pixel(s->x, plane, r, c) * above * left + pixel(s->x, plane, r, c + 1) * above * right +
           pixel(s->x, plane, r + 1, c) * below * left +
           pixel(s->x, plane, r + 1, c + 1) * below * right;
}

/* One row of the result in all channels. */
static enum qs_err
sample_row(struct qs_ctx *cx, void *arg, int64_t r)
{
    const struct sampler *s = arg;
    const int64_t *d = s->x->d, h = s->grid->d[1], w = s->grid->d[2], n = r / h;
    const float *g = s->grid->f32 + r * w * 2;
    (void)cx;
    for (int64_t i = 0; i < w; i++) {
        const float px = to_pixels(s, g[2 * i], d[3]), py = to_pixels(s, g[2 * i + 1], d[2]);
        for (int64_t c = 0; c < d[1]; c++)
            s->y->f32[((n * d[1] + c) * h + r % h) * w + i] =
                sample(s, s->x->f32 + (n * d[1] + c) * d[2] * d[3], px, py);
    }
    return QS_OK;
}

enum qs_err
qs_fwd_grid_sampler(struct qs_step *st)
{
    struct sampler s = {.corners = qs_attr_int(st->node, "align_corners", 1) != 0,
                        .nearest = qs_data_str_is(st, "mode", "bilinear", "nearest")};
    enum qs_err err = qs_data_pair(st, "X", "Output", &s.x, &s.y);
    if (!err)
        err = qs_data_in(st, "Grid", 0, &s.grid);
    if (!err)
        err = qs_data_expect_type(st, s.x, QS_DTYPE_float32);
    if (!err)
        err = qs_data_expect_type(st, s.grid, QS_DTYPE_float32);
    if (!err)
        err = qs_data_same_type(st, s.x, s.y);
    if (err)
        return err;
    if (s.x->n != 4 || s.grid->n != 4 || s.grid->d[0] != s.x->d[0] || s.grid->d[3] != 2)
        return qs_step_fail(st, _("the grid does not fit the input"));
    s.outside = qs_data_str_is(st, "padding_mode", "zeros", "border")       ? OUT_BORDER
                : qs_data_str_is(st, "padding_mode", "zeros", "reflection") ? OUT_REFLECT
                                                                            : OUT_ZEROS;
    const int64_t d[4] = {s.x->d[0], s.x->d[1], s.grid->d[1], s.grid->d[2]};
    err = qs_data_expect(st, s.y, 4, d);
    return err || s.y->count == 0 ? err : qs_parallel_for(st->cx, d[0] * d[2], sample_row, &s);
}
