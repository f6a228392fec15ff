/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes of block 0 become steps over values. A node whose case is not covered becomes FORWARD. */
#include "engine/lower.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"

enum {
    COUNT_MOST = 1 << 30, /* elements of what is lowered: pixels and rows are counted in int */
    KERNEL_MOST = 64,
    PADDING_MOST = 64, /* halos are that wide */
};

int
qs_lower_value(struct qs_fast *f)
{
    struct value *v =
        qs_arena_grow(&f->arena, (void **)&f->value, f->n_value, &f->cap_value, sizeof(*f->value));
    *v = (struct value){.var = -1,
                        .made = -1,
                        .input = -1,
                        .output = -1,
                        .alias = -1,
                        .part_of = -1,
                        .first = -1,
                        .last = -1};
    for (int i = 0; i < 3; i++)
        v->converted[i] = -1;
    return f->n_value++;
}

struct step *
qs_lower_step(struct qs_fast *f, enum kind kind)
{
    struct step *s =
        qs_arena_grow(&f->arena, (void **)&f->step, f->n_step, &f->cap_step, sizeof(*f->step));
    *s = (struct step){.kind = kind, .x = -1, .y = -1, .more = -1, .w = -1, .scratch = -1};
    s->post = (struct qk_post){QK_POST_CLAMP, -INFINITY, INFINITY, 0};
    f->n_step++;
    return s;
}

double
qs_lower_param(const struct value *v, int64_t i)
{
    float x;
    memcpy(&x, v->param->buf->data + v->param->offset + (size_t)i * sizeof(x), sizeof(x));
    return (double)x;
}

/* ---- values ---- */

static void
set_shape(struct value *v, const struct qs_shape *x)
{
    v->known = x->known;
    v->dtype = x->dtype;
    v->n = x->n;
    v->count = 1;
    for (int i = 0; i < x->n && x->known; i++) {
        v->d[i] = x->d[i];
        v->count *= x->d[i];
    }
}

/* The value a variable holds now; a constant is made at its first use. -1: none. */
int
qs_lower_value_of(struct qs_fast *f, int32_t var)
{
    if (var < 0)
        return -1;
    if (f->now[var] >= 0 || !f->m->var[var].data)
        return f->now[var];
    const struct qs_tensor *t = f->m->var[var].data;
    const struct qs_shape shape = {.known = true, .dtype = t->dtype, .n = t->n_dims};
    if (t->n_dims > QS_RANK_MOST)
        return -1;
    const int id = qs_lower_value(f);
    struct value *v = &f->value[id];
    set_shape(v, &shape);
    v->count = 1;
    for (int i = 0; i < t->n_dims; i++) {
        v->d[i] = t->dims[i];
        v->count *= t->dims[i];
    }
    v->var = var;
    v->param = t;
    return f->now[var] = id;
}

static int
input_of(struct qs_fast *f, const struct qs_node *node, const char *slot)
{
    return qs_lower_value_of(f, qs_node_input(node, slot, 0));
}

static bool
is_real(const struct qs_fast *f, int id)
{
    return id >= 0 && f->value[id].known && f->value[id].dtype == QS_DTYPE_float32;
}

static bool
is_param(const struct qs_fast *f, int id)
{
    return is_real(f, id) && f->value[id].param &&
           f->value[id].param->bytes >= (size_t)f->value[id].count * sizeof(float);
}

static bool
is_image(const struct qs_fast *f, int id)
{
    return is_real(f, id) && !f->value[id].param && f->value[id].n == 4 && f->value[id].count > 0 &&
           f->value[id].count <= COUNT_MOST;
}

/* The value that output `slot` of the node makes. */
static int
output_of(struct qs_fast *f, const struct qs_node *node, const char *slot)
{
    const int32_t var = qs_node_output(node, slot, 0);
    if (var < 0)
        return -1;
    const int id = qs_lower_value(f);
    set_shape(&f->value[id], &f->shapes->var[var]);
    f->value[id].var = var;
    return id;
}

int
qs_lower_output(struct qs_fast *f, const struct qs_node *node, const char *slot, int i)
{
    const int32_t var = qs_node_output(node, slot, i);
    const int id = qs_lower_value(f);
    set_shape(&f->value[id], &f->shapes->var[var]);
    f->value[id].var = var;
    f->value[id].made = f->n_step - 1;
    f->now[var] = id;
    return id;
}

/* Ends the making of a step: its value becomes what the variable holds. */
static void
finish(struct qs_fast *f, struct step *s, const struct qs_node *node, int32_t number)
{
    s->node = node;
    s->number = number;
    f->value[s->y].made = (int)(s - f->step);
    f->now[f->value[s->y].var] = s->y;
}

static struct step *
start(struct qs_fast *f, enum kind kind, const struct qs_node *node, int x, const char *out)
{
    const int y = output_of(f, node, out);
    struct step *s = qs_lower_step(f, kind);
    s->x = x;
    s->y = y;
    return s;
}

static bool
layout_is_nchw(const struct qs_node *node, const char *attr)
{
    const char *layout = qs_attr_str(node, attr, "NCHW");
    return strcmp(layout, "NHWC") != 0;
}

static bool
has_input(const struct qs_node *node, const char *slot)
{
    return qs_node_input(node, slot, 0) >= 0;
}

/* ---- windows ---- */

static bool
pair(const struct qs_node *node, const char *attr, int *out)
{
    int64_t v[2] = {1, 1};
    const int n = qs_attr_ints(node, attr, v, 2);
    if (qs_node_attr(node, attr) && n < 1)
        return false;
    for (int i = 0; i < 2; i++) {
        const int64_t x = n == 1 ? v[0] : v[i];
        if (x < 1 || x > 4096)
            return false;
        out[i] = (int)x;
    }
    return true;
}

/* top, bottom, left, right */
static bool
read_paddings(const struct qs_node *node, int *pad)
{
    int64_t p[4] = {0};
    const int n = qs_attr_ints(node, "paddings", p, 4);
    if (n == 4) {
        for (int i = 0; i < 4; i++)
            pad[i] = (int)p[i];
    } else if (n == 2 || n == 1) {
        pad[0] = pad[1] = (int)p[0];
        pad[2] = pad[3] = (int)p[n - 1];
    }
    for (int i = 0; i < 4; i++)
        if (p[i] < 0 || p[i] > PADDING_MOST)
            return false;
    return true;
}

/* Reads strides, dilations and paddings of an image of h x w into the step; the output must have
 * the size that follows. */
static bool
read_window(const struct qs_fast *f, const struct qs_node *node, struct step *s, bool exact)
{
    const struct value *x = &f->value[s->x], *y = &f->value[s->y];
    const int k[2] = {s->kh, s->kw};
    const char *algorithm = qs_attr_str(node, "padding_algorithm", "EXPLICIT");
    if (!pair(node, "strides", s->stride) || !pair(node, "dilations", s->dilation) ||
        !read_paddings(node, s->pad))
        return false;
    if (strcmp(algorithm, "VALID") == 0)
        memset(s->pad, 0, sizeof(s->pad));
    for (int i = 0; i < 2; i++) {
        const int64_t in = x->d[2 + i], out = y->d[2 + i];
        if (strcmp(algorithm, "SAME") == 0) {
            const int64_t to = (in + s->stride[i] - 1) / s->stride[i];
            const int64_t sum = (to - 1) * s->stride[i] + k[i] - in;
            s->dilation[i] = 1;
            s->pad[2 * i] = sum > 0 ? (int)(sum / 2) : 0;
            s->pad[2 * i + 1] = sum > 0 ? (int)(sum - sum / 2) : 0;
        }
        const int64_t span = (int64_t)s->dilation[i] * (k[i] - 1) + 1;
        const int64_t room = in + s->pad[2 * i] + s->pad[2 * i + 1] - span;
        if (exact && (room < 0 || room / s->stride[i] + 1 != out))
            return false;
    }
    return true;
}

static double *
doubles(struct qs_fast *f, int64_t n, double v)
{
    double *p = qs_arena_alloc(&f->arena, (size_t)n * sizeof(*p));
    for (int64_t i = 0; i < n; i++)
        p[i] = v;
    return p;
}

/* ---- convolutions ---- */

static bool
is_plain_conv(const struct qs_node *node)
{
    return layout_is_nchw(node, "data_format") && !has_input(node, "Bias") &&
           !has_input(node, "ResidualData") && !qs_attr_int(node, "fuse_relu", 0) &&
           !*qs_attr_str(node, "fuse_activation", "");
}

static bool
lower_conv(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = input_of(f, node, "Input"), w = input_of(f, node, "Filter");
    const int64_t groups = qs_attr_int(node, "groups", 1);
    if (!is_image(f, x) || !is_param(f, w) || f->value[w].n != 4 || !is_plain_conv(node))
        return false;
    const int64_t *d = f->value[w].d, ic = f->value[x].d[1];
    const bool depthwise = groups > 1 && groups == ic && d[0] == ic && d[1] == 1;
    if ((!depthwise && (groups != 1 || d[1] != ic)) || d[2] > KERNEL_MOST || d[3] > KERNEL_MOST)
        return false;
    struct step *s = start(f, depthwise ? STEP_DEPTHWISE : STEP_CONV, node, x, "Output");
    s->w = w;
    s->ic = ic;
    s->oc = d[0];
    s->kh = (int)d[2];
    s->kw = (int)d[3];
    if (s->y < 0 || !is_image(f, s->y) || !read_window(f, node, s, true)) {
        f->n_step--;
        return false;
    }
    s->scale = doubles(f, s->oc, 1);
    s->shift = doubles(f, s->oc, 0);
    finish(f, s, node, number);
    return true;
}

/* Only 2x2 with stride 2: every input pixel makes a square of its own. */
static bool
lower_transposed(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = input_of(f, node, "Input"), w = input_of(f, node, "Filter");
    if (!is_image(f, x) || !is_param(f, w) || f->value[w].n != 4 || !is_plain_conv(node) ||
        qs_attr_int(node, "groups", 1) != 1)
        return false;
    const int64_t *d = f->value[w].d;
    if (d[0] != f->value[x].d[1] || d[2] != 2 || d[3] != 2)
        return false;
    struct step *s = start(f, STEP_TRANSPOSED, node, x, "Output");
    s->w = w;
    s->ic = d[0];
    s->oc = d[1];
    s->kh = s->kw = 2;
    bool fits = s->y >= 0 && is_image(f, s->y) && read_window(f, node, s, false);
    for (int i = 0; fits && i < 2; i++)
        fits = s->stride[i] == 2 && s->dilation[i] == 1 && s->pad[2 * i] + s->pad[2 * i + 1] == 0 &&
               f->value[s->y].d[2 + i] == 2 * f->value[x].d[2 + i];
    if (!fits) {
        f->n_step--;
        return false;
    }
    s->scale = doubles(f, s->oc, 1);
    s->shift = doubles(f, s->oc, 0);
    finish(f, s, node, number);
    return true;
}

/* ---- products with a constant ---- */

static bool
lower_dense(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = input_of(f, node, "X"), w = input_of(f, node, "Y");
    const bool mul = strcmp(node->type, "mul") == 0;
    const bool trans_x = qs_attr_int(node, "trans_x", 0) || qs_attr_int(node, "transpose_X", 0);
    const bool trans_y = qs_attr_int(node, "trans_y", 0) || qs_attr_int(node, "transpose_Y", 0);
    if (!is_real(f, x) || f->value[x].param || !is_param(f, w) || f->value[w].n != 2 || trans_x ||
        (mul && qs_attr_int(node, "y_num_col_dims", 1) != 1) ||
        qs_attr_float(node, "alpha", 1) != 1)
        return false;
    const struct value *v = &f->value[x];
    const int64_t k = f->value[w].d[trans_y ? 1 : 0];
    const int64_t cols = mul ? qs_attr_int(node, "x_num_col_dims", 1) : v->n - 1;
    int64_t inner = 1;
    for (int64_t i = cols; i >= 0 && i < v->n; i++)
        inner *= v->d[i];
    if (v->n < 2 || cols < 1 || inner != k || v->count == 0 || v->count > COUNT_MOST)
        return false;
    struct step *s = start(f, STEP_DENSE, node, x, "Out");
    s->w = w;
    s->w_transposed = trans_y;
    s->ic = k;
    s->oc = f->value[w].d[trans_y ? 0 : 1];
    if (s->y < 0 || !is_real(f, s->y) || f->value[s->y].count > COUNT_MOST ||
        f->value[s->y].count != f->value[x].count / k * s->oc) {
        f->n_step--;
        return false;
    }
    s->kh = s->kw = 1;
    s->scale = doubles(f, s->oc, 1);
    s->shift = doubles(f, s->oc, 0);
    finish(f, s, node, number);
    return true;
}

/* ---- per channel ---- */

static struct step *
start_affine(struct qs_fast *f, const struct qs_node *node, int x, const char *out)
{
    struct step *s = start(f, STEP_AFFINE, node, x, out);
    const int64_t c = f->value[x].n > 1 ? f->value[x].d[1] : 1;
    s->oc = f->value[x].n == 4 ? c : f->value[x].n > 0 ? f->value[x].d[f->value[x].n - 1] : 1;
    s->scale = doubles(f, s->oc, 1);
    s->shift = doubles(f, s->oc, 0);
    return s;
}

/* In training it normalises by what it sees. */
static bool
is_training(const struct qs_node *node)
{
    return !qs_attr_int(node, "use_global_stats", 0) &&
           (!qs_attr_int(node, "is_test", 0) || qs_attr_int(node, "trainable_statistics", 0));
}

static bool
lower_batch_norm(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    static const char *const slots[] = {"Scale", "Bias", "Mean", "Variance"};
    const int x = input_of(f, node, "X");
    int p[4];
    if (!is_image(f, x) || !layout_is_nchw(node, "data_layout") || is_training(node))
        return false;
    for (int i = 0; i < 4; i++) {
        p[i] = input_of(f, node, slots[i]);
        if (!is_param(f, p[i]) || f->value[p[i]].count != f->value[x].d[1])
            return false;
    }
    const double epsilon = (double)(float)qs_attr_float(node, "epsilon", 1e-5);
    struct step *s = start_affine(f, node, x, "Y");
    for (int64_t i = 0; i < s->oc; i++) {
        const double deviation = sqrt(qs_lower_param(&f->value[p[3]], i) + epsilon);
        s->scale[i] = qs_lower_param(&f->value[p[0]], i) / deviation;
        s->shift[i] =
            qs_lower_param(&f->value[p[1]], i) - qs_lower_param(&f->value[p[2]], i) * s->scale[i];
    }
    finish(f, s, node, number);
    return true;
}

static bool
lower_scale(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = input_of(f, node, "X");
    const double scale = qs_attr_float(node, "scale", 1), bias = qs_attr_float(node, "bias", 0);
    if (!is_real(f, x) || f->value[x].param || has_input(node, "ScaleTensor"))
        return false;
    if (scale == 1 && bias == 0) {
        f->now[qs_node_output(node, "Out", 0)] = x;
        return true;
    }
    if (!is_image(f, x))
        return false;
    struct step *s = start_affine(f, node, x, "Out");
    for (int64_t i = 0; i < s->oc; i++) {
        s->scale[i] = scale;
        s->shift[i] = qs_attr_int(node, "bias_after_scale", 1) ? bias : bias * scale;
    }
    finish(f, s, node, number);
    return true;
}

/* ---- activations ---- */

struct act {
    const char *type;
    enum qk_post_kind kind;
    const char *attr[3];
    double def[3];
};
static const struct act acts[] = {
    {"relu", QK_POST_CLAMP, {NULL}, {0, (double)INFINITY, 0}},
    {"relu6", QK_POST_CLAMP, {NULL, "threshold"}, {0, 6, 0}},
    {"hard_swish", QK_POST_HARD_SWISH, {"offset", "threshold", "scale"}, {3, 6, 6}},
    {"hard_sigmoid", QK_POST_HARD_SIGMOID, {"slope", "offset"}, {0.2, 0.5, 0}},
    {"leaky_relu", QK_POST_LEAKY_RELU, {"alpha"}, {0.02, 0, 0}},
    {"sigmoid", QK_POST_SIGMOID, {NULL}, {0, 0, 0}},
    {"swish", QK_POST_SWISH, {"beta"}, {1, 0, 0}},
    {"silu", QK_POST_SWISH, {NULL}, {1, 0, 0}},
    {"tanh", QK_POST_TANH, {NULL}, {0, 0, 0}},
};

static bool
lower_act(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = input_of(f, node, "X");
    const struct act *a = acts;
    double p[3];
    while (strcmp(a->type, node->type) != 0)
        a++;
    if (!is_real(f, x) || f->value[x].param || f->value[x].count == 0)
        return false;
    for (int i = 0; i < 3; i++)
        p[i] = a->attr[i] ? qs_attr_float(node, a->attr[i], a->def[i]) : a->def[i];
    struct step *s = start_affine(f, node, x, "Out");
    s->post = (struct qk_post){a->kind, (float)p[0], (float)p[1], (float)p[2]};
    if (a->kind == QK_POST_HARD_SWISH)
        s->post.c = (float)(1 / p[2]);
    s->has_post = true;
    finish(f, s, node, number);
    return true;
}

static bool
lower_clip(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = input_of(f, node, "X");
    if (!is_image(f, x) || has_input(node, "Min") || has_input(node, "Max"))
        return false;
    struct step *s = start_affine(f, node, x, "Out");
    s->post.a = (float)qs_attr_float(node, "min", -(double)INFINITY);
    s->post.b = (float)qs_attr_float(node, "max", (double)INFINITY);
    s->has_post = true;
    finish(f, s, node, number);
    return true;
}

/* ---- two operands ---- */

static const struct {
    const char *type;
    enum qk_binary op;
} binaries[] = {
    {"elementwise_add", QK_ADD}, {"elementwise_sub", QK_SUB}, {"elementwise_mul", QK_MUL},
    {"elementwise_div", QK_DIV}, {"elementwise_max", QK_MAX}, {"elementwise_min", QK_MIN},
};

/* Whether y, broadcast against x, varies along axis `at` of x only (or not at all). */
static bool
varies_along(const struct value *x, const struct value *y, int64_t axis, int at)
{
    if (y->count == 1)
        return true;
    const int first = axis < 0 ? x->n - y->n : (int)axis;
    if (first < 0 || first + y->n > x->n || y->count != x->d[at])
        return false;
    for (int i = 0; i < y->n; i++)
        if (y->d[i] != 1 && (first + i != at || y->d[i] != x->d[at]))
            return false;
    return true;
}

/* x op constant, as scale and shift. */
static bool
lower_with_constant(struct qs_fast *f, const struct qs_node *node, int32_t number, int x, int y,
                    enum qk_binary op)
{
    const struct value *v = &f->value[x], *c = &f->value[y];
    const int at = v->n == 4 ? 1 : v->n - 1;
    if (op == QK_MAX || op == QK_MIN || v->n < 1 ||
        !varies_along(v, c, qs_attr_int(node, "axis", -1), at))
        return false;
    const bool one = c->count == 1;
    struct step *s = start_affine(f, node, x, "Out");
    c = &f->value[y];
    for (int64_t i = 0; i < s->oc; i++) {
        const double k = qs_lower_param(c, one ? 0 : i);
        s->scale[i] = op == QK_MUL ? k : op == QK_DIV ? 1 / k : 1;
        s->shift[i] = op == QK_ADD ? k : op == QK_SUB ? -k : 0;
    }
    finish(f, s, node, number);
    return true;
}

static bool
same_dims(const struct value *x, const struct value *y)
{
    return x->n == y->n && memcmp(x->d, y->d, sizeof(x->d[0]) * (size_t)x->n) == 0;
}

/* [N,C,1,1] beside [N,C,H,W] */
static bool
is_per_channel(const struct value *x, const struct value *y)
{
    return x->n == 4 && y->n == 4 && x->d[0] == y->d[0] && x->d[1] == y->d[1] && y->d[2] == 1 &&
           y->d[3] == 1;
}

static bool
lower_binary(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    int x = input_of(f, node, "X"), y = input_of(f, node, "Y");
    enum qk_binary op = QK_ADD;
    for (size_t i = 0; i < QS_LEN(binaries); i++)
        if (strcmp(binaries[i].type, node->type) == 0)
            op = binaries[i].op;
    if (!is_real(f, x) || !is_real(f, y) || f->value[x].count == 0)
        return false;
    if (is_param(f, y) && !f->value[x].param)
        return lower_with_constant(f, node, number, x, y, op);
    if (!is_image(f, x) || !is_image(f, y))
        return false;
    const bool swap = f->value[x].count < f->value[y].count;
    if (swap) {
        const int t = x;
        x = y;
        y = t;
    }
    const bool same = same_dims(&f->value[x], &f->value[y]);
    if (!same && !is_per_channel(&f->value[x], &f->value[y]))
        return false;
    struct step *s = start(f, STEP_BINARY, node, x, "Out");
    s->more = y;
    s->op = op;
    s->swapped = swap;
    s->per_channel = !same;
    finish(f, s, node, number);
    return true;
}

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

static bool
lower_pool(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = input_of(f, node, "X");
    const bool whole =
        qs_attr_int(node, "adaptive", 0) != 0 || qs_attr_int(node, "global_pooling", 0) != 0;
    const bool exclusive = qs_attr_int(node, "exclusive", 1) != 0;
    int k[2];
    if (!is_image(f, x) || !layout_is_nchw(node, "data_format") || !pair(node, "ksize", k))
        return false;
    struct step *s = start(f, STEP_POOL, node, x, "Out");
    s->kh = k[0];
    s->kw = k[1];
    s->max = strcmp(qs_attr_str(node, "pooling_type", "max"), "max") == 0;
    bool fits = s->y >= 0 && is_image(f, s->y) && (whole || read_window(f, node, s, false));
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
    finish(f, s, node, number);
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

static bool
lower_resize(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = input_of(f, node, "X");
    if (!is_image(f, x) || !layout_is_nchw(node, "data_layout") || has_input(node, "Scale") ||
        has_input(node, "SizeTensor") || has_input(node, "OutSize"))
        return false;
    struct step *s = start(f, STEP_RESIZE, node, x, "Out");
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
    finish(f, s, node, number);
    return true;
}

/* ---- movement ---- */

static bool
lower_alias(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = input_of(f, node, has_input(node, "X") ? "X" : "Input");
    const int32_t out = qs_node_output(node, "Out", 0);
    if (x < 0 || out < 0 || !f->value[x].known || !f->shapes->var[out].known)
        return false;
    struct step *s = start(f, STEP_ALIAS, node, x, "Out");
    struct value *y = &f->value[s->y];
    if (y->count != f->value[x].count || y->dtype != f->value[x].dtype) {
        f->n_step--;
        return false;
    }
    if (f->value[x].param) { /* a constant under other dims */
        y->param = f->value[x].param;
        f->now[out] = s->y;
        f->n_step--;
        return true;
    }
    finish(f, s, node, number);
    return true;
}

static bool
lower_identity(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = input_of(f, node, "X");
    const int32_t out = qs_node_output(node, "Out", 0);
    (void)number;
    if (x < 0 || out < 0 ||
        (strcmp(node->type, "dropout") == 0 &&
         strcmp(qs_attr_str(node, "dropout_implementation", ""), "upscale_in_train") != 0))
        return false;
    f->now[out] = x;
    return true;
}

static bool
lower_concat(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const struct qs_slot *slot = qs_node_in(node, "X");
    const int64_t axis = qs_attr_int(node, "axis", 0);
    if (!slot || slot->n < 1 || has_input(node, "AxisTensor"))
        return false;
    int *in = qs_arena_calloc(&f->arena, (size_t)slot->n, sizeof(*in));
    for (int i = 0; i < slot->n; i++) {
        in[i] = qs_lower_value_of(f, slot->var[i]);
        if (!is_image(f, in[i]) || (axis != 1 && axis != -3))
            return false;
    }
    struct step *s = start(f, STEP_CONCAT, node, -1, "Out");
    if (s->y < 0 || !is_image(f, s->y)) {
        f->n_step--;
        return false;
    }
    s->in = in;
    s->n_in = slot->n;
    finish(f, s, node, number);
    return true;
}

static bool
lower_softmax(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = input_of(f, node, "X");
    const int64_t axis = qs_attr_int(node, "axis", -1);
    if (!is_real(f, x) || f->value[x].param || f->value[x].n < 1 || f->value[x].count == 0 ||
        (axis != -1 && axis != f->value[x].n - 1))
        return false;
    finish(f, start(f, STEP_SOFTMAX, node, x, "Out"), node, number);
    return true;
}

/* ---- anything else ---- */

/* A variable whose shape the operator's rule leaves alone keeps what it holds (the scale that a
 * quantizer only updates in training), or is one that nobody reads. */
static int
forward_output(struct qs_fast *f, int32_t var, const struct qs_shape *shape)
{
    const struct qs_shape unknown = {0};
    const bool declared = f->shapes->var[var].known && !shape->known;
    if (declared || (!shape->known && qs_lower_value_of(f, var) >= 0))
        return -1;
    const int id = qs_lower_value(f);
    set_shape(&f->value[id], shape->known ? shape : &unknown);
    f->value[id].var = var;
    return id;
}

static enum qs_err
lower_forward(struct qs_ctx *cx, struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    int n_in = 0, n_out = 0, k = 0;
    if (!node->op || !node->op->forward)
        return qs_fail(cx, QS_ERR_UNSUPPORTED, _("the model cannot run: no implementation of '%s'"),
                       node->type);
    if (qs_node_attr(node, "sub_block"))
        return qs_fail(cx, QS_ERR_UNSUPPORTED, _("'%s' runs a block of its own"), node->type);
    for (int i = 0; i < node->n_in; i++)
        n_in += node->in[i].n;
    for (int i = 0; i < node->n_out; i++)
        n_out += node->out[i].n;
    int *in = qs_arena_calloc(&f->arena, (size_t)n_in + 1, sizeof(*in));
    int *out = qs_arena_calloc(&f->arena, (size_t)n_out + 1, sizeof(*out));
    for (int i = 0; i < node->n_in; i++)
        for (int j = 0; j < node->in[i].n; j++)
            in[k++] = qs_lower_value_of(f, node->in[i].var[j]);
    struct qs_shape *shape = qs_arena_calloc(&f->arena, (size_t)n_out + 1, sizeof(*shape));
    const enum qs_err err = qs_infer_node(cx, f->m, node, f->shapes, f->scalars_are_1d, shape);
    if (err)
        return err;
    k = 0;
    for (int i = 0; i < node->n_out; i++)
        for (int j = 0; j < node->out[i].n; j++, k++)
            out[k] = forward_output(f, node->out[i].var[j], &shape[k]);
    struct step *s = qs_lower_step(f, STEP_FORWARD);
    s->node = node;
    s->number = number;
    s->in = in;
    s->n_in = n_in;
    s->out = out;
    s->n_out = n_out;
    for (int i = 0; i < n_out; i++) {
        if (out[i] < 0)
            continue;
        f->value[out[i]].made = f->n_step - 1;
        f->now[f->value[out[i]].var] = out[i];
    }
    return QS_OK;
}

static const struct {
    const char *type;
    bool (*lower)(struct qs_fast *f, const struct qs_node *node, int32_t number);
} rules[] = {
    {"assign", lower_identity},
    {"batch_norm", lower_batch_norm},
    {"bilinear_interp", lower_resize},
    {"bilinear_interp_v2", lower_resize},
    {"clip", lower_clip},
    {"concat", lower_concat},
    {"conv2d", lower_conv},
    {"conv2d_transpose", lower_transposed},
    {"depthwise_conv2d", lower_conv},
    {"dropout", lower_identity},
    {"elementwise_add", lower_binary},
    {"elementwise_div", lower_binary},
    {"elementwise_max", lower_binary},
    {"elementwise_min", lower_binary},
    {"elementwise_mul", lower_binary},
    {"elementwise_sub", lower_binary},
    {"flatten", lower_alias},
    {"flatten2", lower_alias},
    {"flatten_contiguous_range", lower_alias},
    {"hard_sigmoid", lower_act},
    {"hard_swish", lower_act},
    {"leaky_relu", lower_act},
    {"matmul", lower_dense},
    {"matmul_v2", lower_dense},
    {"mul", lower_dense},
    {"nearest_interp", lower_resize},
    {"nearest_interp_v2", lower_resize},
    {"pool2d", lower_pool},
    {"relu", lower_act},
    {"relu6", lower_act},
    {"reshape", lower_alias},
    {"reshape2", lower_alias},
    {"rnn", qs_rnn_lower},
    {"scale", lower_scale},
    {"sigmoid", lower_act},
    {"silu", lower_act},
    {"softmax", lower_softmax},
    {"squeeze", lower_alias},
    {"squeeze2", lower_alias},
    {"swish", lower_act},
    {"tanh", lower_act},
    {"unsqueeze", lower_alias},
    {"unsqueeze2", lower_alias},
};

static bool
lower_known(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    for (size_t i = 0; i < QS_LEN(rules); i++)
        if (strcmp(rules[i].type, node->type) == 0)
            return rules[i].lower(f, node, number);
    return false;
}

/* Every output that a later node reads must have a shape; in-place operators may write a variable
 * again, with the same shape only (shapes are known per variable). */
static enum qs_err
check_shapes(struct qs_ctx *cx, const struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const struct qs_node_cost *cost = &f->shapes->node[0][number];
    const int32_t first = node->n_out > 0 && node->out[0].n > 0 ? node->out[0].var[0] : -1;
    for (int i = 0; i < node->n_in; i++)
        for (int j = 0; j < node->in[i].n; j++) {
            const int32_t var = node->in[i].var[j];
            const int id = f->now[var];
            if (id >= 0 && !f->value[id].known && !f->m->var[var].data)
                return qs_fail(cx, QS_ERR_UNSUPPORTED, _("the shape of '%s' depends on data"),
                               f->m->var[var].name);
        }
    if (first < 0 || !cost->known || f->now[first] < 0)
        return QS_OK;
    const struct qs_shape *a = &cost->out, *b = &f->shapes->var[first];
    if (!b->known || a->n != b->n || memcmp(a->d, b->d, sizeof(a->d[0]) * (size_t)a->n) != 0)
        return qs_fail(cx, QS_ERR_UNSUPPORTED, _("'%s' changes its shape while the model runs"),
                       f->m->var[first].name);
    return QS_OK;
}

enum qs_err
qs_lower(struct qs_ctx *cx, struct qs_fast *f)
{
    const struct qs_block *b = &f->m->block[0];
    enum qs_err err = QS_OK;
    for (int32_t i = 0; i < b->n_node && !err; i++) {
        const struct qs_node *node = &b->node[i];
        if (strcmp(node->type, "feed") == 0 || strcmp(node->type, "fetch") == 0)
            continue;
        err = check_shapes(cx, f, node, i);
        if (!err && !lower_known(f, node, i))
            err = lower_forward(cx, f, node, i);
        if (err)
            (void)qs_infer_name_node(cx, f->m, node, i);
    }
    for (int i = 0; i < f->n_out && !err; i++) {
        const int id = f->out_value[i] >= 0 ? f->now[f->out_value[i]] : -1;
        if (id < 0 || !f->value[id].known)
            return qs_fail(cx, QS_ERR_UNSUPPORTED, _("the shape of an output depends on data"));
        f->value[id].output = i;
        f->out_value[i] = id;
    }
    return err;
}
