/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators of quantization on activations, as the program has them: simulated in floats. Scales
 * are constants here; those that are found while the model runs are left to the operators' own
 * functions.
 */
#include <string.h>

#include "engine/lower_rule.h"

static const char *
output_slot(const struct qs_node *node)
{
    return qs_node_output(node, "Y", 0) >= 0 ? "Y" : "Out";
}

/* The one scale of a slot. */
static bool
read_scale(struct qs_fast *f, const struct qs_node *node, const char *slot, float *out)
{
    const int id = qs_lower_input(f, node, slot);
    if (!is_param(f, id) || f->value[id].count != 1)
        return false;
    *out = (float)qs_lower_param(&f->value[id], 0);
    return true;
}

static bool
read_bits(const struct qs_node *node, int64_t *bits)
{
    *bits = qs_attr_int(node, "bit_length", 8);
    return *bits >= 2 && *bits <= 16;
}

/* The scale that goes out is the one that came in. */
static void
pass_scale(struct qs_fast *f, const struct qs_node *node, const char *slot)
{
    const int32_t out = qs_node_output(node, "OutScale", 0);
    if (out >= 0)
        f->now[out] = qs_lower_input(f, node, slot);
}

static bool
is_activation(const struct qs_fast *f, int id)
{
    return is_real(f, id) && !f->value[id].param && f->value[id].count > 0;
}

static bool
lower_grid(struct qs_fast *f, const struct qs_node *node, int32_t number, int x,
           const struct qk_round *grid)
{
    struct step *s = qs_lower_start(f, STEP_GRID, node, x, output_slot(node));
    if (s->y < 0 || !is_real(f, s->y) || f->value[s->y].count != f->value[x].count) {
        f->n_step--;
        return false;
    }
    s->grid = *grid;
    qs_lower_finish(f, s, node, number);
    return true;
}

bool
qs_lower_quantize(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const bool linear = strcmp(node->type, "quantize_linear") == 0;
    const char *slot = linear ? "Scale" : "InScale";
    const int x = qs_lower_input(f, node, "X");
    float scale;
    int64_t bits;
    if (linear && qs_attr_int(node, "only_observer", 0))
        return qs_lower_identity_of(f, node, x, "Y");
    if (!is_activation(f, x) || !read_scale(f, node, slot, &scale) || !read_bits(node, &bits) ||
        (!linear && !qs_attr_int(node, "is_test", 0)))
        return false;
    struct qk_round grid = qk_round_of(scale, (int)bits);
    grid.away = qs_attr_int(node, "round_type", !linear) != 0;
    grid.stays_q = strstr(node->type, "quantize_dequantize") == NULL;
    if (!lower_grid(f, node, number, x, &grid))
        return false;
    pass_scale(f, node, slot);
    return true;
}

bool
qs_lower_dequantize(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = qs_lower_input(f, node, "X");
    float scale;
    int64_t bits;
    if (qs_attr_int(node, "only_observer", 0))
        return qs_lower_identity_of(f, node, x, "Y");
    if (!is_activation(f, x) || !read_scale(f, node, "Scale", &scale) || !read_bits(node, &bits))
        return false;
    struct qk_round grid = qk_round_of(scale, (int)bits);
    grid.is_q = true;
    return lower_grid(f, node, number, x, &grid);
}

/* ---- products of integers ---- */

/* The step that made a value, if it is one to the grid or back from it; NULL. */
static const struct step *
grid_of(const struct qs_fast *f, int value)
{
    const int made = f->value[value].made;
    const struct step *s = made >= 0 ? &f->step[made] : NULL;
    return s && s->kind == STEP_GRID && s->y == value && s->grid.most <= 127 ? s : NULL;
}

/* The integers that x stands for: *unit times these. -1: it does not. */
static int
integers_of(const struct qs_fast *f, int x, double *unit)
{
    const struct step *s = grid_of(f, x);
    *unit = 1;
    if (s && s->grid.stays_q)
        return x;
    const struct step *before = s && s->grid.is_q ? grid_of(f, s->x) : NULL;
    if (!before || !before->grid.stays_q)
        return -1;
    *unit = (double)s->grid.threshold / (double)s->grid.most;
    return s->x;
}

static bool
is_sum(const struct qs_fast *f, const struct step *s)
{
    return s->kind == STEP_CONV || s->kind == STEP_DEPTHWISE || s->kind == STEP_TRANSPOSED ||
           (s->kind == STEP_DENSE && f->value[s->y].n != 4);
}

/* Its sum is a value of its own, which a step of its own makes real. */
static void
scale_after(struct qs_fast *f, double unit)
{
    const int at = f->n_step - 1, sum = qs_lower_value(f);
    struct step *s = &f->step[at];
    const int y = s->y;
    const struct value none = f->value[sum];
    struct value *v = &f->value[sum];
    *v = f->value[y];
    v->made = at;
    v->output = none.output;
    s->y = sum;
    struct step *after = qs_lower_step(f, STEP_AFFINE);
    s = &f->step[at];
    after->node = s->node;
    after->number = s->number;
    after->x = sum;
    after->y = y;
    after->oc = s->oc;
    after->scale = s->scale;
    after->shift = s->shift;
    s->scale = qs_lower_doubles(f, s->oc, 1);
    s->shift = qs_lower_doubles(f, s->oc, 0);
    for (int64_t i = 0; i < s->oc; i++)
        after->scale[i] *= unit;
    f->value[y].made = at + 1;
}

void
qs_lower_exact(struct qs_fast *f, int32_t number)
{
    struct step *s = f->n_step > 0 ? &f->step[f->n_step - 1] : NULL;
    double unit;
    if (!s || s->number != number || f->notes || f->probe || s->x < 0 || s->w < 0 || !is_sum(f, s))
        return;
    const int q = integers_of(f, s->x, &unit);
    if (q < 0)
        return;
    const bool scaled = q == s->x; /* by an operator that follows */
    if (!scaled && !f->value[s->w].integers)
        return;
    s->exact = true;
    s->x = q;
    if (!scaled)
        scale_after(f, unit);
}

/* R of a list of bits. */
static double
range_of(const int64_t *bits, int n, int i)
{
    const int64_t b = i < n ? bits[i] : 8;
    return b >= 2 && b <= 16 ? (double)((1 << (b - 1)) - 1) : 0;
}

/* Channels are multiplied with unit * (scale / range); false: unit is not a constant. */
static bool
read_unit(struct qs_fast *f, const struct qs_node *node, double *unit, double *range)
{
    int64_t bits[2] = {8, 8};
    const int n = qs_attr_ints(node, "quant_bits", bits, 2);
    const struct qs_slot *scales = qs_node_in(node, "Scales");
    *range = scales ? range_of(bits, n, 0) : qs_attr_float(node, "max_range", 127);
    *unit = 1;
    if (!scales || scales->n < 2)
        return *range > 0;
    const double second = range_of(bits, n, 1);
    const int id = qs_lower_value_of(f, scales->var[1]);
    if (!is_param(f, id) || f->value[id].count != 1 || !(second > 0))
        return false;
    *unit = qs_lower_param(&f->value[id], 0) / second;
    return *range > 0;
}

/* The axis of the channels. */
static int64_t
channel_axis(const struct qs_node *node)
{
    const struct qs_slot *scales = qs_node_in(node, "Scales");
    const int64_t columns = qs_attr_int(node, "x_num_col_dims", 1);
    if (scales && scales->n < 2)
        return qs_attr_int(node, "quant_axis", 0);
    return columns > 1 ? columns : 1;
}

/* fake_channel_wise_dequantize_max_abs (x s_c s / (R R)), fake_dequantize_max_abs (x s / R). */
bool
qs_lower_dequantize_channels(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = qs_lower_input(f, node, "X");
    const int w = qs_lower_input(f, node, qs_node_in(node, "Scales") ? "Scales" : "Scale");
    if (!is_activation(f, x) || !is_param(f, w) || f->value[x].count > LOWER_COUNT_MOST)
        return false;
    double unit, range;
    const bool known = read_unit(f, node, &unit, &range);
    const struct value *v = &f->value[x];
    const bool channels = f->value[w].count > 1;
    const int64_t axis = channel_axis(node);
    if (!known || (channels && axis != (v->n == 4 ? 1 : v->n - 1)))
        return false;
    struct step *s = qs_lower_affine(f, node, x, "Out");
    if (s->y < 0 || !is_real(f, s->y) || f->value[s->y].count != f->value[x].count ||
        (channels && f->value[w].count != s->oc)) {
        f->n_step--;
        return false;
    }
    for (int64_t i = 0; i < s->oc; i++)
        s->scale[i] = unit * (qs_lower_param(&f->value[w], channels ? i : 0) / range);
    qs_lower_finish(f, s, node, number);
    return true;
}

/* ---- observers ---- */

bool
qs_lower_observer(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = qs_lower_input(f, node, "X");
    float scale;
    (void)number;
    if (!qs_attr_int(node, "is_test", 0) ||
        (qs_node_output(node, "OutScale", 0) >= 0 && !read_scale(f, node, "InScale", &scale)) ||
        !qs_lower_identity_of(f, node, x, "Out"))
        return false;
    pass_scale(f, node, "InScale");
    return true;
}
