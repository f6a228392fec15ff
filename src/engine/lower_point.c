/* SPDX-License-Identifier: Apache-2.0 */
/* What works on every element alone: scales, activations, two operands; and softmax. */
#include <math.h>
#include <string.h>

#include "engine/lower_rule.h"

/* ---- per channel ---- */

struct step *
qs_lower_affine(struct qs_fast *f, const struct qs_node *node, int x, const char *out)
{
    struct step *s = qs_lower_start(f, STEP_AFFINE, node, x, out);
    const int64_t c = f->value[x].n > 1 ? f->value[x].d[1] : 1;
    s->oc = f->value[x].n == 4 ? c : f->value[x].n > 0 ? f->value[x].d[f->value[x].n - 1] : 1;
    s->scale = qs_lower_doubles(f, s->oc, 1);
    s->shift = qs_lower_doubles(f, s->oc, 0);
    return s;
}

/* In training it normalises by what it sees. */
static bool
is_training(const struct qs_node *node)
{
    return !qs_attr_int(node, "use_global_stats", 0) &&
           (!qs_attr_int(node, "is_test", 0) || qs_attr_int(node, "trainable_statistics", 0));
}

bool
qs_lower_batch_norm(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    static const char *const slots[] = {"Scale", "Bias", "Mean", "Variance"};
    const int x = qs_lower_input(f, node, "X");
    int p[4];
    if (!is_image(f, x) || !layout_is_nchw(node, "data_layout") || is_training(node))
        return false;
    for (int i = 0; i < 4; i++) {
        p[i] = qs_lower_input(f, node, slots[i]);
        if (!is_param(f, p[i]) || f->value[p[i]].count != f->value[x].d[1])
            return false;
    }
    const double epsilon = (double)(float)qs_attr_float(node, "epsilon", 1e-5);
    struct step *s = qs_lower_affine(f, node, x, "Y");
    for (int64_t i = 0; i < s->oc; i++) {
        const double deviation = sqrt(qs_lower_param(&f->value[p[3]], i) + epsilon);
        s->scale[i] = qs_lower_param(&f->value[p[0]], i) / deviation;
        s->shift[i] =
            qs_lower_param(&f->value[p[1]], i) - qs_lower_param(&f->value[p[2]], i) * s->scale[i];
    }
    qs_lower_finish(f, s, node, number);
    return true;
}

bool
qs_lower_scale(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = qs_lower_input(f, node, "X");
    const double scale = qs_attr_float(node, "scale", 1), bias = qs_attr_float(node, "bias", 0);
    if (!is_real(f, x) || f->value[x].param || has_input(node, "ScaleTensor"))
        return false;
    if (scale == 1 && bias == 0) {
        f->now[qs_node_output(node, "Out", 0)] = x;
        return true;
    }
    if (!is_image(f, x))
        return false;
    struct step *s = qs_lower_affine(f, node, x, "Out");
    for (int64_t i = 0; i < s->oc; i++) {
        s->scale[i] = scale;
        s->shift[i] = qs_attr_int(node, "bias_after_scale", 1) ? bias : bias * scale;
    }
    qs_lower_finish(f, s, node, number);
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

bool
qs_lower_act(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = qs_lower_input(f, node, "X");
    const struct act *a = acts;
    double p[3];
    while (strcmp(a->type, node->type) != 0)
        a++;
    if (!is_real(f, x) || f->value[x].param || f->value[x].count == 0)
        return false;
    for (int i = 0; i < 3; i++)
        p[i] = a->attr[i] ? qs_attr_float(node, a->attr[i], a->def[i]) : a->def[i];
    struct step *s = qs_lower_affine(f, node, x, "Out");
    s->post = (struct qk_post){a->kind, (float)p[0], (float)p[1], (float)p[2]};
    if (a->kind == QK_POST_HARD_SWISH)
        s->post.c = (float)(1 / p[2]);
    s->has_post = true;
    qs_lower_finish(f, s, node, number);
    return true;
}

bool
qs_lower_clip(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = qs_lower_input(f, node, "X");
    if (!is_image(f, x) || has_input(node, "Min") || has_input(node, "Max"))
        return false;
    struct step *s = qs_lower_affine(f, node, x, "Out");
    s->post.a = (float)qs_attr_float(node, "min", -(double)INFINITY);
    s->post.b = (float)qs_attr_float(node, "max", (double)INFINITY);
    s->has_post = true;
    qs_lower_finish(f, s, node, number);
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
    struct step *s = qs_lower_affine(f, node, x, "Out");
    c = &f->value[y];
    for (int64_t i = 0; i < s->oc; i++) {
        const double k = qs_lower_param(c, one ? 0 : i);
        s->scale[i] = op == QK_MUL ? k : op == QK_DIV ? 1 / k : 1;
        s->shift[i] = op == QK_ADD ? k : op == QK_SUB ? -k : 0;
    }
    qs_lower_finish(f, s, node, number);
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

bool
qs_lower_binary(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    int x = qs_lower_input(f, node, "X"), y = qs_lower_input(f, node, "Y");
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
    struct step *s = qs_lower_start(f, STEP_BINARY, node, x, "Out");
    s->more = y;
    s->op = op;
    s->swapped = swap;
    s->per_channel = !same;
    qs_lower_finish(f, s, node, number);
    return true;
}

/* ---- rows ---- */

bool
qs_lower_softmax(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = qs_lower_input(f, node, "X");
    const int64_t axis = qs_attr_int(node, "axis", -1);
    if (!is_real(f, x) || f->value[x].param || f->value[x].n < 1 || f->value[x].count == 0 ||
        (axis != -1 && axis != f->value[x].n - 1))
        return false;
    qs_lower_finish(f, qs_lower_start(f, STEP_SOFTMAX, node, x, "Out"), node, number);
    return true;
}
