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

/* R of a list of bits. */
static double
range_of(const int64_t *bits, int n, int i)
{
    const int64_t b = i < n ? bits[i] : 8;
    return b >= 2 && b <= 16 ? (double)((1 << (b - 1)) - 1) : 0;
}

/* What all channels are multiplied with; 0: it does not follow from constants. */
static double
common_factor(struct qs_fast *f, const struct qs_node *node)
{
    int64_t bits[2] = {8, 8};
    const int n = qs_attr_ints(node, "quant_bits", bits, 2);
    const struct qs_slot *scales = qs_node_in(node, "Scales");
    if (!scales)
        return 1 / qs_attr_float(node, "max_range", 127);
    const double first = range_of(bits, n, 0), second = range_of(bits, n, 1);
    if (scales->n < 2)
        return first > 0 ? 1 / first : 0;
    const int id = qs_lower_value_of(f, scales->var[1]);
    const bool known = first > 0 && second > 0 && is_param(f, id) && f->value[id].count == 1;
    return known ? qs_lower_param(&f->value[id], 0) / (first * second) : 0;
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
    const double factor = common_factor(f, node);
    const struct value *v = &f->value[x];
    const bool channels = f->value[w].count > 1;
    const int64_t axis = channel_axis(node);
    if (!(factor > 0) || (channels && axis != (v->n == 4 ? 1 : v->n - 1)))
        return false;
    struct step *s = qs_lower_affine(f, node, x, "Out");
    if (s->y < 0 || !is_real(f, s->y) || f->value[s->y].count != f->value[x].count ||
        (channels && f->value[w].count != s->oc)) {
        f->n_step--;
        return false;
    }
    for (int64_t i = 0; i < s->oc; i++)
        s->scale[i] = qs_lower_param(&f->value[w], channels ? i : 0) * factor;
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
