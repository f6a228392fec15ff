/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions, and products with a constant. */
#include <string.h>

#include "engine/lower_rule.h"

enum {
    KERNEL_MOST = 64,
    PADDING_MOST = 64, /* halos are that wide */
};

/* ---- windows ---- */

bool
qs_window_pair(const struct qs_node *node, const char *attr, int *out)
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

bool
qs_window_read(const struct qs_fast *f, const struct qs_node *node, struct step *s, bool exact)
{
    const struct value *x = &f->value[s->x], *y = &f->value[s->y];
    const int k[2] = {s->kh, s->kw};
    const char *algorithm = qs_attr_str(node, "padding_algorithm", "EXPLICIT");
    if (!qs_window_pair(node, "strides", s->stride) ||
        !qs_window_pair(node, "dilations", s->dilation) || !read_paddings(node, s->pad))
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

/* ---- convolutions ---- */

static bool
is_plain_conv(const struct qs_node *node)
{
    return layout_is_nchw(node, "data_format") && !has_input(node, "Bias") &&
           !has_input(node, "ResidualData") && !qs_attr_int(node, "fuse_relu", 0) &&
           !*qs_attr_str(node, "fuse_activation", "");
}

bool
qs_lower_conv(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = qs_lower_input(f, node, "Input"), w = qs_lower_input(f, node, "Filter");
    const int64_t groups = qs_attr_int(node, "groups", 1);
    if (!is_image(f, x) || !is_param(f, w) || f->value[w].n != 4 || !is_plain_conv(node))
        return false;
    const int64_t *d = f->value[w].d, ic = f->value[x].d[1];
    const bool depthwise = groups > 1 && groups == ic && d[0] == ic && d[1] == 1;
    if ((!depthwise && (groups != 1 || d[1] != ic)) || d[2] > KERNEL_MOST || d[3] > KERNEL_MOST)
        return false;
    struct step *s = qs_lower_start(f, depthwise ? STEP_DEPTHWISE : STEP_CONV, node, x, "Output");
    s->w = w;
    s->ic = ic;
    s->oc = d[0];
    s->kh = (int)d[2];
    s->kw = (int)d[3];
    if (s->y < 0 || !is_image(f, s->y) || !qs_window_read(f, node, s, true)) {
        f->n_step--;
        return false;
    }
    s->scale = qs_lower_doubles(f, s->oc, 1);
    s->shift = qs_lower_doubles(f, s->oc, 0);
    qs_lower_finish(f, s, node, number);
    return true;
}

/* Only 2x2 with stride 2: every input pixel makes a square of its own. */
bool
qs_lower_transposed(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = qs_lower_input(f, node, "Input"), w = qs_lower_input(f, node, "Filter");
    if (!is_image(f, x) || !is_param(f, w) || f->value[w].n != 4 || !is_plain_conv(node) ||
        qs_attr_int(node, "groups", 1) != 1)
        return false;
    const int64_t *d = f->value[w].d;
    if (d[0] != f->value[x].d[1] || d[2] != 2 || d[3] != 2)
        return false;
    struct step *s = qs_lower_start(f, STEP_TRANSPOSED, node, x, "Output");
    s->w = w;
    s->ic = d[0];
    s->oc = d[1];
    s->kh = s->kw = 2;
    bool fits = s->y >= 0 && is_image(f, s->y) && qs_window_read(f, node, s, false);
    for (int i = 0; fits && i < 2; i++)
        fits = s->stride[i] == 2 && s->dilation[i] == 1 && s->pad[2 * i] + s->pad[2 * i + 1] == 0 &&
               f->value[s->y].d[2 + i] == 2 * f->value[x].d[2 + i];
    if (!fits) {
        f->n_step--;
        return false;
    }
    s->scale = qs_lower_doubles(f, s->oc, 1);
    s->shift = qs_lower_doubles(f, s->oc, 0);
    qs_lower_finish(f, s, node, number);
    return true;
}

/* ---- products with a constant ---- */

bool
qs_lower_dense(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = qs_lower_input(f, node, "X"), w = qs_lower_input(f, node, "Y");
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
    if (v->n < 2 || cols < 1 || inner != k || v->count == 0 || v->count > LOWER_COUNT_MOST)
        return false;
    struct step *s = qs_lower_start(f, STEP_DENSE, node, x, "Out");
    s->w = w;
    s->w_transposed = trans_y;
    s->ic = k;
    s->oc = f->value[w].d[trans_y ? 0 : 1];
    if (s->y < 0 || !is_real(f, s->y) || f->value[s->y].count > LOWER_COUNT_MOST ||
        f->value[s->y].count != f->value[x].count / k * s->oc) {
        f->n_step--;
        return false;
    }
    s->kh = s->kw = 1;
    s->scale = qs_lower_doubles(f, s->oc, 1);
    s->shift = qs_lower_doubles(f, s->oc, 0);
    qs_lower_finish(f, s, node, number);
    return true;
}
