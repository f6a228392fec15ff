/* SPDX-License-Identifier: Apache-2.0 */
/* What moves elements or only renames them. */
#include <string.h>

#include "engine/lower_rule.h"

/* ---- movement ---- */

bool
qs_lower_alias(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    const int x = qs_lower_input(f, node, has_input(node, "X") ? "X" : "Input");
    const int32_t out = qs_node_output(node, "Out", 0);
    if (x < 0 || out < 0 || !f->value[x].known || !f->shapes->var[out].known)
        return false;
    struct step *s = qs_lower_start(f, STEP_ALIAS, node, x, "Out");
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
    qs_lower_finish(f, s, node, number);
    return true;
}

bool
qs_lower_identity_of(struct qs_fast *f, const struct qs_node *node, int x, const char *out)
{
    const int32_t var = qs_node_output(node, out, 0);
    if (x < 0 || var < 0)
        return false;
    f->now[var] = x;
    return true;
}

bool
qs_lower_identity(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    (void)number;
    return (strcmp(node->type, "dropout") != 0 ||
            strcmp(qs_attr_str(node, "dropout_implementation", ""), "upscale_in_train") == 0) &&
           qs_lower_identity_of(f, node, qs_lower_input(f, node, "X"), "Out");
}

bool
qs_lower_concat(struct qs_fast *f, const struct qs_node *node, int32_t number)
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
    struct step *s = qs_lower_start(f, STEP_CONCAT, node, -1, "Out");
    if (s->y < 0 || !is_image(f, s->y)) {
        f->n_step--;
        return false;
    }
    s->in = in;
    s->n_in = slot->n;
    qs_lower_finish(f, s, node, number);
    return true;
}
