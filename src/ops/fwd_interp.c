/* SPDX-License-Identifier: Apache-2.0 */
/* Resizing of images: nearest, bilinear and bicubic. The ratio of sizes is 1/scale when a scale
 * is given (v2), in single precision as in Paddle. */
#include <math.h>
#include <stdlib.h>

#include "ops/forward.h"

enum { CUBIC_TAPS = 4 };

/* Where an output position reads: up to four cells and their weights. */
struct taps {
    int64_t at[CUBIC_TAPS];
    float weight[CUBIC_TAPS];
};

struct interp {
    int64_t planes, channels; /* NHWC: channels of an image, else 1 */
    int64_t h, w, oh, ow;
    int n; /* taps per axis: 1, 2 or 4 */
    struct taps *row, *col;
    const float *x;
    float *y;
};

struct axis {
    int64_t in, out;
    float ratio;
    bool align_corners;
    int64_t align_mode;
};

static int64_t
clamp(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

static void
nearest_taps(const struct axis *a, int64_t o, struct taps *t)
{
    const float src = a->ratio * (float)o + (a->align_corners ? 0.5F : 0);
    t->at[0] = clamp((int64_t)src, a->in);
    t->weight[0] = 1;
}

static void
linear_taps(const struct axis *a, int64_t o, struct taps *t)
{
    const bool centre = a->align_mode == 0 && !a->align_corners;
    float src = centre ? a->ratio * ((float)o + 0.5F) - 0.5F : a->ratio * (float)o;
    if (centre && src < 0)
        src = 0;
    const int64_t i = clamp((int64_t)src, a->in);
    const float part = src - (float)i;
    t->at[0] = i;
    t->at[1] = i + 1 < a->in ? i + 1 : a->in - 1;
    t->weight[0] = 1 - part;
    t->weight[1] = part;
}

/* Cubic convolution with A = -0.75. */
static float
cubic_near(float x)
{
    const float a = -0.75F;
    return ((a + 2) * x - (a + 3)) * x * x + 1;
}

static float
cubic_far(float x)
{
    const float a = -0.75F;
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

static void
cubic_taps(const struct axis *a, int64_t o, struct taps *t)
{
    const float src = a->align_corners ? a->ratio * (float)o : a->ratio * ((float)o + 0.5F) - 0.5F;
    const int64_t i = (int64_t)floorf(src);
    const float part = src - (float)i;
    for (int k = 0; k < CUBIC_TAPS; k++)
        t->at[k] = clamp(i - 1 + k, a->in);
    t->weight[0] = cubic_far(part + 1);
    t->weight[1] = cubic_near(part);
    t->weight[2] = cubic_near(1 - part);
    t->weight[3] = cubic_far(2 - part);
}

static struct taps *
plan_axis(const struct axis *a, int n)
{
    struct taps *t = qs_xcalloc((size_t)a->out + 1, sizeof(*t));
    for (int64_t o = 0; o < a->out; o++)
        (n == 1 ? nearest_taps : n == 2 ? linear_taps : cubic_taps)(a, o, &t[o]);
    return t;
}

static float
blend(const struct interp *p, const float *x, const struct taps *row, const struct taps *col)
{
    float sum = 0;
    if (p->n == 1)
        return x[(row->at[0] * p->w + col->at[0]) * p->channels];
    for (int i = 0; i < p->n; i++) {
        const float *line = x + row->at[i] * p->w * p->channels;
        float part = 0;
        for (int j = 0; j < p->n; j++)
            part += col->weight[j] * line[col->at[j] * p->channels];
        sum += row->weight[i] * part;
    }
    return sum;
}

static enum qs_err
interp_planes(struct qs_ctx *cx, void *arg, int64_t from, int64_t to)
{
    const struct interp *p = arg;
    (void)cx;
    for (int64_t i = from; i < to; i++) {
        const int64_t image = i / p->channels, ch = i % p->channels;
        const float *x = p->x + image * p->h * p->w * p->channels + ch;
        float *y = p->y + image * p->oh * p->ow * p->channels + ch;
        for (int64_t oy = 0; oy < p->oh; oy++)
            for (int64_t ox = 0; ox < p->ow; ox++, y += p->channels)
                *y = blend(p, x, &p->row[oy], &p->col[ox]);
    }
    return QS_OK;
}

/* The scales given [h, w]; 0: none. Sizes from tensors leave no scale (except v2's attribute,
 * which Paddle reads first and a tensor of sizes replaces). */
static void
read_scale(const struct qs_step *st, double *scale)
{
    const struct qs_infer attrs = qs_fwd_attrs(st);
    const struct qs_value *tensor = qs_step_in(st, "Scale", 0);
    double v[2] = {0};
    int n = qs_infer_floats(&attrs, "scale", v, 2);
    scale[0] = scale[1] = 0;
    if (qs_step_n_in(st, "SizeTensor") > 0)
        return;
    if (tensor && tensor->count > 0) {
        v[0] = qs_value_real(tensor, 0);
        v[1] = qs_value_real(tensor, tensor->count > 1);
        n = 2;
    }
    if (n == 1)
        v[1] = v[0];
    for (int i = 0; i < 2 && n > 0; i++)
        scale[i] = v[i] > 0 ? v[i] : 0;
}

/* Sizes that the shape rule could not know: a scale tensor that is no integer. */
static enum qs_err
make_out(struct qs_step *st, const struct qs_value *x, struct qs_layout at, const double *scale)
{
    int64_t d[4], size[2];
    memcpy(d, x->d, sizeof(d));
    if (qs_step_ints(st, "SizeTensor", "OutSize", NULL, size, 2) != 2) {
        if (!(scale[0] > 0) || !(scale[1] > 0))
            return qs_step_fail(st, _("the output size is not known"));
        size[0] = (int64_t)fmin((double)d[at.h] * scale[0], (double)QS_DIM_MOST);
        size[1] = (int64_t)fmin((double)d[at.w] * scale[1], (double)QS_DIM_MOST);
    }
    if (size[0] < 1 || size[1] < 1)
        return qs_step_fail(st, _("the output size is not known"));
    d[at.h] = size[0];
    d[at.w] = size[1];
    return qs_step_make(st, "Out", 0, x->dtype, 4, d);
}

static struct axis
axis_of(const struct qs_step *st, int64_t in, int64_t out, double scale)
{
    struct axis a = {.in = in, .out = out};
    a.align_corners = qs_attr_int(st->node, "align_corners", 1) != 0;
    a.align_mode = qs_attr_int(st->node, "align_mode", 1);
    if (out > 1 && a.align_corners)
        a.ratio = (float)(in - 1) / (float)(out - 1);
    else if (out > 1)
        a.ratio = scale > 0 ? 1 / (float)scale : (float)in / (float)out;
    return a;
}

static bool
is_kind(const struct qs_step *st, const char *kind)
{
    return strncmp(st->node->type, kind, strlen(kind)) == 0;
}

enum qs_err
qs_fwd_interp(struct qs_step *st)
{
    const struct qs_infer attrs = qs_fwd_attrs(st);
    const struct qs_layout at = qs_layout_of(&attrs, "data_layout");
    const bool v2 = strstr(st->node->type, "_v2") != NULL;
    const struct qs_value *x;
    struct qs_value *y;
    double scale[2];
    enum qs_err err = qs_fwd_need(st, "X", QS_DTYPE_float32, &x);
    if (err)
        return err;
    if (x->n != 4)
        return qs_step_fail(st, _("the input has %d dimensions, not 4"), x->n);
    read_scale(st, scale);
    if (!qs_step_out(st, "Out", 0))
        err = make_out(st, x, at, scale);
    if (!err)
        err = qs_fwd_out(st, "Out", &y);
    if (err || y->count == 0)
        return err;
    if (qs_step_in(st, "OutSize", 0) || !v2)
        scale[0] = scale[1] = 0;
    struct interp p = {.h = x->d[at.h], .w = x->d[at.w], .oh = y->d[at.h], .ow = y->d[at.w]};
    if (p.h < 1 || p.w < 1)
        return qs_step_fail(st, _("the input is empty"));
    p.channels = at.c == 3 ? x->d[3] : 1;
    p.planes = x->d[0] * x->d[at.c];
    p.n = is_kind(st, "nearest") ? 1 : is_kind(st, "bilinear") ? 2 : CUBIC_TAPS;
    p.x = x->f32;
    p.y = y->f32;
    const struct axis v = axis_of(st, p.h, p.oh, scale[0]), h = axis_of(st, p.w, p.ow, scale[1]);
    p.row = plan_axis(&v, p.n);
    p.col = plan_axis(&h, p.n);
    err = qs_fwd_range(st, p.planes, p.oh * p.ow * (int64_t)p.n * p.n, interp_planes, &p);
    free(p.row);
    free(p.col);
    return err;
}
