/* SPDX-License-Identifier: Apache-2.0 */
/* Pooling and resizing. */
#include <string.h>

#include "engine/lower_rule.h"

/* ---- pooling, resizing ---- */

static int32_t *
table(struct qs_fast *f, int64_t n)
{
    return qs_arena_calloc(&f->arena, (size_t)n, sizeof(int32_t));
}

/* Windows along one axis, clipped to the image. */
static void
fill_windows(const struct qs_node *node, const struct step *s, int axis, int64_t in, int64_t out,
             int32_t *from, int32_t *to)
{
    const bool adaptive = qs_attr_int(node, "adaptive", 0) != 0;
    const bool global = qs_attr_int(node, "global_pooling", 0) != 0;
    const int k = axis ? s->kw : s->kh;
    for (int64_t i = 0; i < out; i++) {
        const int64_t start_at = i * s->stride[axis] - s->pad[2 * axis];
        const int64_t a = global ? 0 : adaptive ? i * in / out : start_at;
        const int64_t b = global ? in : adaptive ? ((i + 1) * in + out - 1) / out : start_at + k;
        from[i] = (int32_t)(a > 0 ? a : 0);
        to[i] = (int32_t)(b < in ? b : in);
    }
}

/* A window that lies outside the image. */
static bool
any_empty(const int32_t *from, const int32_t *to, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (from[i] >= to[i])
            return true;
    return false;
}

bool
qs_lower_pool(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = qs_lower_input(f, node, "X");
    const bool whole =
        qs_attr_int(node, "adaptive", 0) != 0 || qs_attr_int(node, "global_pooling", 0) != 0;
    const bool exclusive = qs_attr_int(node, "exclusive", 1) != 0;
    int k[2];
    if (!is_image(f, x) || !layout_is_nchw(node, "data_format") ||
        !qs_window_pair(node, "ksize", k))
        return false;
    struct step *s = qs_lower_start(f, STEP_POOL, node, x, "Out");
    s->kh = k[0];
    s->kw = k[1];
    s->max = strcmp(qs_attr_str(node, "pooling_type", "max"), "max") == 0;
    bool fits = s->y >= 0 && is_image(f, s->y) && (whole || qs_window_read(f, node, s, false));
    /* cells outside the padded image (ceil_mode) count nowhere: only the exact engine does that */
    const bool padded = s->pad[0] + s->pad[1] + s->pad[2] + s->pad[3] > 0;
    if (fits && !whole && !s->max && !exclusive && (padded || qs_attr_int(node, "ceil_mode", 0))) {
        s->divisor = (float)(s->kh * s->kw);
        fits = !qs_attr_int(node, "ceil_mode", 0);
    }
    if (!fits) {
        f->n_step--;
        return false;
    }
    const struct value *in = &f->value[x], *out = &f->value[s->y];
    s->y0 = table(f, out->d[2]);
    s->y1 = table(f, out->d[2]);
    s->x0 = table(f, out->d[3]);
    s->x1 = table(f, out->d[3]);
    fill_windows(node, s, 0, in->d[2], out->d[2], s->y0, s->y1);
    fill_windows(node, s, 1, in->d[3], out->d[3], s->x0, s->x1);
    if (any_empty(s->y0, s->y1, out->d[2]) || any_empty(s->x0, s->x1, out->d[3])) {
        f->n_step--;
        return false;
    }
    qs_lower_finish(f, s, node, number);
    return true;
}

/* Input positions per output position, in single precision as Paddle computes them. */
struct axis {
    int64_t in, out;
    float ratio;
    bool corners;
    int64_t mode;
};

static int64_t
inside(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

static void
nearest_axis(const struct axis *a, int32_t *at)
{
    for (int64_t o = 0; o < a->out; o++)
        at[o] = (int32_t)inside((int64_t)(a->ratio * (float)o + (a->corners ? 0.5F : 0)), a->in);
}

static void
linear_axis(const struct axis *a, int32_t *low, int32_t *high, float *part)
{
    const bool centre = a->mode == 0 && !a->corners;
    for (int64_t o = 0; o < a->out; o++) {
        float src = centre ? a->ratio * ((float)o + 0.5F) - 0.5F : a->ratio * (float)o;
        src = centre && src < 0 ? 0 : src;
        low[o] = (int32_t)inside((int64_t)src, a->in);
        high[o] = (int32_t)inside(low[o] + 1, a->in);
        part[o] = src - (float)low[o];
    }
}

/* The ratio of sizes is 1/scale where the program gives a scale. */
static float
ratio_of(const struct qs_node *node, const struct axis *a, int which)
{
    const struct qs_attr *scale = qs_node_attr(node, "scale");
    float s = 0;
    if (a->corners)
        return a->out > 1 ? (float)(a->in - 1) / (float)(a->out - 1) : 0;
    if (scale && scale->type == QS_ATTR_FLOATS && scale->n > 0)
        s = scale->floats[scale->n > 1 ? which : 0];
    else if (scale && scale->type == QS_ATTR_FLOAT)
        s = scale->f;
    const bool v2 = strstr(node->type, "_v2") != NULL;
    return v2 && s > 0 ? 1 / s : (float)a->in / (float)a->out;
}

bool
qs_lower_resize(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = qs_lower_input(f, node, "X");
    if (!is_image(f, x) || !layout_is_nchw(node, "data_layout") || has_input(node, "Scale") ||
        has_input(node, "SizeTensor") || has_input(node, "OutSize"))
        return false;
    struct step *s = qs_lower_start(f, STEP_RESIZE, node, x, "Out");
    if (s->y < 0 || !is_image(f, s->y)) {
        f->n_step--;
        return false;
    }
    s->bilinear = strncmp(node->type, "bilinear", 8) == 0;
    for (int i = 0; i < 2; i++) {
        struct axis a = {.in = f->value[x].d[2 + i], .out = f->value[s->y].d[2 + i]};
        a.corners = qs_attr_int(node, "align_corners", 1) != 0;
        a.mode = qs_attr_int(node, "align_mode", 1);
        a.ratio = ratio_of(node, &a, i);
        int32_t *low = table(f, a.out), *high = table(f, a.out);
        float *part = qs_arena_calloc(&f->arena, (size_t)a.out, sizeof(*part));
        if (s->bilinear)
            linear_axis(&a, low, high, part);
        else
            nearest_axis(&a, low);
        *(i ? &s->x0 : &s->y0) = low;
        *(i ? &s->x1 : &s->y1) = high;
        *(i ? &s->h : &s->v) = part;
    }
    const int64_t w = f->value[x].d[3], ow = f->value[s->y].d[3];
    s->repeat = ow % w == 0 ? (int)(ow / w) : 0;
    for (int64_t i = 0; i < ow && s->repeat; i++)
        if (s->x0[i] != i / s->repeat)
            s->repeat = 0;
    qs_lower_finish(f, s, node, number);
    return true;
}
