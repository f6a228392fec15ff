/* SPDX-License-Identifier: Apache-2.0 */
#include "fit/moments.h"

#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "kernels/gemm.h"
#include "ops/ops.h"

static bool
is_conv(const struct qs_node *node)
{
    return strcmp(node->type, "conv2d") == 0 || strcmp(node->type, "depthwise_conv2d") == 0;
}

static bool
is_product(const struct qs_node *node)
{
    return strcmp(node->type, "mul") == 0 || strcmp(node->type, "matmul") == 0 ||
           strcmp(node->type, "matmul_v2") == 0;
}

int32_t
qs_moments_input(const struct qs_node *node)
{
    return qs_node_input(node, is_conv(node) ? "Input" : "X", 0);
}

int32_t
qs_moments_weight_var(const struct qs_node *node)
{
    return qs_node_input(node, is_conv(node) ? "Filter" : "Y", 0);
}

static enum qs_err
not_here(struct qs_ctx *cx, const struct qs_node *node)
{
    return qs_fail(cx, QS_ERR_UNSUPPORTED, _("no moments of '%s' in this form"), node->type);
}

static enum qs_err
measure_conv(struct qs_ctx *cx, struct qs_moments *s, const struct qs_tensor *t)
{
    s->groups = qs_attr_int(s->node, "groups", 1);
    if (t->n_dims != 4 || s->groups < 1 || t->dims[0] % s->groups != 0 ||
        strcmp(qs_attr_str(s->node, "data_format", "NCHW"), "NHWC") == 0)
        return not_here(cx, s->node);
    s->rows_first = true;
    s->rows = t->dims[0];
    s->k = t->dims[1] * t->dims[2] * t->dims[3];
    return QS_OK;
}

static enum qs_err
measure_product(struct qs_ctx *cx, struct qs_moments *s, const struct qs_tensor *t)
{
    const bool turned =
        qs_attr_int(s->node, "trans_x", 0) || qs_attr_int(s->node, "transpose_X", 0);
    if (t->n_dims != 2 || turned || qs_attr_int(s->node, "y_num_col_dims", 1) != 1)
        return not_here(cx, s->node);
    s->groups = 1;
    s->rows_first = qs_attr_int(s->node, "trans_y", 0) || qs_attr_int(s->node, "transpose_Y", 0);
    s->rows = t->dims[s->rows_first ? 0 : 1];
    s->k = t->dims[s->rows_first ? 1 : 0];
    return QS_OK;
}

enum qs_err
qs_moments_new(struct qs_ctx *cx, const struct qs_model *m, const struct qs_node *node, bool second,
               struct qs_moments **out)
{
    struct qs_moments s = {.m = m, .node = node};
    const bool known = is_conv(node) || is_product(node);
    const int32_t w = known ? qs_moments_weight_var(node) : -1;
    const struct qs_tensor *t = w >= 0 ? m->var[w].data : NULL;
    enum qs_err err = QS_OK;
    if (!t || t->dtype != QS_DTYPE_float32)
        return not_here(cx, node);
    err = is_conv(node) ? measure_conv(cx, &s, t) : measure_product(cx, &s, t);
    if (err)
        return err;
    if (s.k < 1 || s.k > 1 << 15 || s.groups > 1 << 20)
        return not_here(cx, node);
    s.h = second ? calloc((size_t)(s.groups * s.k), (size_t)s.k * sizeof(*s.h)) : NULL;
    if (second && !s.h)
        return qs_fail(cx, QS_ERR_MEMORY, _("out of memory: moments of %lld x %lld values"),
                       (long long)s.k, (long long)s.k);
    s.sum = qs_xcalloc((size_t)(s.groups * s.k), sizeof(*s.sum));
    *out = qs_xmalloc(sizeof(s));
    **out = s;
    return QS_OK;
}

void
qs_moments_free(struct qs_moments *s)
{
    if (!s)
        return;
    free(s->h);
    free(s->sum);
    free(s);
}

int64_t
qs_moments_bytes(const struct qs_moments *s)
{
    const int64_t columns = s->groups * s->k;
    return columns * (int64_t)sizeof(double) + (s->h ? columns * s->k * (int64_t)sizeof(float) : 0);
}

int64_t
qs_moments_at(const struct qs_moments *s, const struct qs_tensor *t, int64_t row, int64_t i)
{
    return s->rows_first ? row * s->k + i : i * t->dims[1] + row;
}

enum qs_err
qs_moments_weight(struct qs_ctx *cx, const struct qs_moments *s, const struct qs_tensor *t,
                  float **w)
{
    const uint8_t *from = t->buf->data + t->offset;
    *w = NULL;
    if (t->dtype != QS_DTYPE_float32 || t->n != s->rows * s->k)
        return not_here(cx, s->node);
    *w = qs_xcalloc((size_t)t->n + 1, sizeof(**w));
    for (int64_t r = 0; r < s->rows; r++)
        for (int64_t i = 0; i < s->k; i++)
            memcpy(&(*w)[r * s->k + i], from + (size_t)qs_moments_at(s, t, r, i) * sizeof(float),
                   sizeof(float));
    return QS_OK;
}

void
qs_moments_center(struct qs_moments *s)
{
    for (int64_t g = 0; s->h && s->n > 0 && g < s->groups; g++)
        for (int64_t i = 0; i < s->k; i++)
            for (int64_t j = 0; j < s->k; j++) {
                float *h = &s->h[(g * s->k + i) * s->k + j];
                *h = (float)((double)*h -
                             s->sum[g * s->k + i] * s->sum[g * s->k + j] / (double)s->n);
            }
}

/* ---- gathering ---- */

/* What lies under n positions of one sample: input k of position i is x[k * x_k + i * x_n]. */
struct gather {
    const struct qs_moments *s;
    const float *from; /* the sample */
    float *x;
    int64_t x_k, x_n;
    int64_t n, of; /* positions taken, and there are */
    /* convolutions */
    int64_t h, w, oh, ow;
    struct qs_window win[2];
    int64_t top[QS_MOMENTS_POSITIONS], left[QS_MOMENTS_POSITIONS]; /* [n] input of the first tap */
};

/* The output position that is the i-th taken. */
static int64_t
position_of(const struct gather *g, int64_t i)
{
    return g->of <= g->n ? i : i * g->of / g->n;
}

/* Threads are made for work that is worth them. */
static enum qs_err
share_out(struct qs_ctx *cx, int64_t n, int64_t work,
          enum qs_err (*body)(struct qs_ctx *cx, void *arg, int64_t i), struct gather *g)
{
    enum qs_err err = QS_OK;
    if (work > 1 << 22)
        return qs_parallel_for(cx, n, body, g);
    for (int64_t i = 0; i < n && !err; i++)
        err = body(cx, g, i);
    return err;
}

/* Where a tap of the filter lies in a plane, for every position; -1: outside. */
static void
place_tap(const struct gather *g, int64_t tap, int32_t *at)
{
    const struct qs_window *v = &g->win[0], *u = &g->win[1];
    const int64_t down = tap / u->kernel * v->dilation, right = tap % u->kernel * u->dilation;
    for (int64_t i = 0; i < g->n; i++) {
        const int64_t y = g->top[i] + down, x = g->left[i] + right;
        const bool inside = y >= 0 && y < g->h && x >= 0 && x < g->w;
        at[i] = inside ? (int32_t)(y * g->w + x) : -1;
    }
}

enum { CHANNELS_TOGETHER = 16 }; /* of a part: taps are placed once for all */

static enum qs_err
gather_channels(struct qs_ctx *cx, void *arg, int64_t part)
{
    const struct gather *g = arg;
    const int64_t taps = g->win[0].kernel * g->win[1].kernel;
    const int64_t channels = g->s->groups * g->s->k / taps, from = part * CHANNELS_TOGETHER;
    const int64_t to = from + CHANNELS_TOGETHER < channels ? from + CHANNELS_TOGETHER : channels;
    int32_t at[QS_MOMENTS_POSITIONS];
    (void)cx;
    for (int64_t t = 0; t < taps; t++) {
        place_tap(g, t, at);
        for (int64_t c = from; c < to; c++) {
            const float *plane = g->from + c * g->h * g->w;
            float *x = g->x + (c * taps + t) * g->n;
            for (int64_t i = 0; i < g->n; i++)
                x[i] = at[i] >= 0 ? plane[at[i]] : 0;
        }
    }
    return QS_OK;
}

static enum qs_err
gather(struct qs_ctx *cx, struct gather *g)
{
    const int64_t width = g->s->groups * g->s->k;
    if (!is_conv(g->s->node)) {
        for (int64_t i = 0; i < g->n; i++)
            memcpy(g->x + i * width, g->from + position_of(g, i) * width,
                   (size_t)width * sizeof(float));
        return QS_OK;
    }
    for (int64_t i = 0; i < g->n; i++) {
        g->top[i] = position_of(g, i) / g->ow * g->win[0].stride - g->win[0].pad_before;
        g->left[i] = position_of(g, i) % g->ow * g->win[1].stride - g->win[1].pad_before;
    }
    const int64_t channels = width / (g->win[0].kernel * g->win[1].kernel);
    return share_out(cx, (channels + CHANNELS_TOGETHER - 1) / CHANNELS_TOGETHER, 8 * width * g->n,
                     gather_channels, g);
}

enum { ROWS_TOGETHER = 256 }; /* of h */

static int64_t
row_blocks(const struct qs_moments *s)
{
    return (s->k + ROWS_TOGETHER - 1) / ROWS_TOGETHER;
}

static double
sum_of(const float *x, int64_t n, int64_t apart)
{
    double sum[4] = {0};
    for (int64_t i = 0; i < n; i++)
        sum[i % 4] += (double)x[i * apart];
    return sum[0] + sum[1] + (sum[2] + sum[3]);
}

/* Some rows of h and their sums. */
static enum qs_err
add_rows(struct qs_ctx *cx, void *arg, int64_t part)
{
    const struct gather *g = arg;
    const struct qs_moments *s = g->s;
    const int64_t group = part / row_blocks(s), from = part % row_blocks(s) * ROWS_TOGETHER;
    const int64_t n = from + ROWS_TOGETHER < s->k ? ROWS_TOGETHER : s->k - from;
    const float *x = g->x + group * s->k * g->x_k, *rows = x + from * g->x_k;
    const int by_input = g->x_n == 1;
    const int64_t ld = by_input ? g->x_k : g->x_n;
    (void)cx;
    for (int64_t j = 0; j < n; j++)
        s->sum[group * s->k + from + j] += sum_of(rows + j * g->x_k, g->n, g->x_n);
    if (s->h)
        qk_sgemm(n, s->k, g->n, 1, (struct qk_matrix){rows, ld, !by_input},
                 (struct qk_matrix){x, ld, by_input}, 1, s->h + (group * s->k + from) * s->k, s->k);
    return QS_OK;
}

/* Sets what depends on the shape of the input; n: samples, `size`: floats of one. */
static enum qs_err
plan_gather(struct qs_ctx *cx, const struct qs_value *x, struct gather *g, int64_t *n,
            int64_t *size)
{
    const struct qs_moments *s = g->s;
    if (!is_conv(s->node)) {
        *n = 1;
        *size = x->count;
        g->of = s->k > 0 ? x->count / s->k : 0;
        return g->of * s->k == x->count ? QS_OK : not_here(cx, s->node);
    }
    const struct qs_tensor *t = s->m->var[qs_moments_weight_var(s->node)].data;
    const struct qs_infer in = {.cx = cx, .model = s->m, .node = s->node};
    if (x->n != 4 || x->d[1] != t->dims[1] * s->groups)
        return not_here(cx, s->node);
    g->h = x->d[2];
    g->w = x->d[3];
    enum qs_err err = qs_window_attrs(&in, &t->dims[2], &x->d[2], g->win);
    if (!err)
        err = qs_window_out(&in, &g->win[0], g->h, false, &g->oh);
    if (!err)
        err = qs_window_out(&in, &g->win[1], g->w, false, &g->ow);
    *n = x->d[0];
    *size = x->d[1] * g->h * g->w;
    g->of = g->oh * g->ow;
    return err;
}

enum qs_err
qs_moments_add(struct qs_ctx *cx, struct qs_moments *s, const struct qs_value *x)
{
    struct gather g = {.s = s};
    int64_t samples = 0, size = 0;
    if (x->dtype != QS_DTYPE_float32 || x->count == 0)
        return QS_OK;
    enum qs_err err = plan_gather(cx, x, &g, &samples, &size);
    if (err)
        return err;
    g.n = g.of < QS_MOMENTS_POSITIONS ? g.of : QS_MOMENTS_POSITIONS;
    g.x_k = is_conv(s->node) ? g.n : 1;
    g.x_n = is_conv(s->node) ? 1 : s->groups * s->k;
    g.x = malloc((size_t)(g.n * s->groups * s->k) * sizeof(*g.x) + 1);
    if (!g.x)
        return qs_fail(cx, QS_ERR_MEMORY, "%s", _("out of memory"));
    for (int64_t i = 0; i < samples && !err; i++) {
        g.from = x->f32 + i * size;
        err = gather(cx, &g);
        if (!err)
            err = share_out(cx, s->groups * row_blocks(s), s->groups * s->k * s->k * g.n, add_rows,
                            &g);
        s->n += g.n;
    }
    free(g.x);
    return err;
}
