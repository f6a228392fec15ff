/* SPDX-License-Identifier: Apache-2.0 */
#include "passes/same_scale.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "passes/decide.h"

/* A relu rounds what is left as it would have been rounded before. */
static const char *const movers[] = {
    "relu",
    "relu6",
    "assign",
    "concat",
    "flatten",
    "flatten2",
    "nearest_interp",
    "flatten_contiguous_range",
    "reshape",
    "reshape2",
    "nearest_interp_v2",
    "slice",
    "split",
    "shuffle_channel",
    "squeeze",
    "squeeze2",
    "strided_slice",
    "transpose",
    "transpose2",
    "unsqueeze",
    "unsqueeze2",
    "pixel_shuffle",
};

/* Union-find over variables; the root of a set is its first variable. */
struct sets {
    const struct qs_model *m;
    const struct qs_edges *e;
    int32_t *up; /* [n_var] */
    bool *fixed; /* [n_var] computed from parameters alone */
};

static int32_t
root_of(struct sets *s, int32_t v)
{
    while (s->up[v] != v)
        v = s->up[v] = s->up[s->up[v]];
    return v;
}

static void
join(struct sets *s, int32_t a, int32_t b)
{
    a = root_of(s, a);
    b = root_of(s, b);
    s->up[a > b ? a : b] = a < b ? a : b;
}

static bool
moves_values(const struct qs_node *node)
{
    for (size_t i = 0; i < QS_LEN(movers); i++)
        if (strcmp(movers[i], node->type) == 0)
            return true;
    return strcmp(node->type, "pool2d") == 0 &&
           strcmp(qs_attr_str(node, "pooling_type", ""), "max") == 0;
}

static bool
can_join(const struct sets *s, int32_t v)
{
    return qs_is_activation(s->m, v) && !s->fixed[v] && s->e->n_writer[v] <= 1;
}

static void
join_slot(struct sets *s, const struct qs_slot *slot, int32_t *first)
{
    for (int i = 0; slot && i < slot->n; i++) {
        if (!can_join(s, slot->var[i]))
            continue;
        if (*first >= 0)
            join(s, *first, slot->var[i]);
        *first = slot->var[i];
    }
}

static void
join_node(struct sets *s, const struct qs_node *node)
{
    static const char *const in[] = {"X", "Y", "Input"};
    int32_t first = -1;
    if (strcmp(node->type, "elementwise_add") == 0) {
        const int32_t x = qs_node_input(node, "X", 0), y = qs_node_input(node, "Y", 0);
        if (x < 0 || y < 0 || !can_join(s, x) || !can_join(s, y))
            return; /* a bias */
    } else if (!moves_values(node)) {
        return;
    }
    for (size_t i = 0; i < QS_LEN(in); i++)
        join_slot(s, qs_node_in(node, in[i]), &first);
    join_slot(s, qs_node_out(node, "Out"), &first);
}

static void
mark_fixed(struct sets *s, const struct qs_node *node)
{
    bool fixed = true;
    for (int i = 0; i < node->n_in; i++)
        for (int k = 0; k < node->in[i].n; k++)
            fixed = fixed && s->fixed[node->in[i].var[k]];
    for (int i = 0; i < node->n_out && fixed; i++)
        for (int k = 0; k < node->out[i].n; k++)
            s->fixed[node->out[i].var[k]] = true;
}

static void
join_all(struct sets *s)
{
    const struct qs_block *b = &s->m->block[0];
    for (int v = 0; v < s->m->n_var; v++) {
        s->up[v] = v;
        s->fixed[v] = qs_var_is_param(&s->m->var[v]);
    }
    for (int i = 0; i < b->n_node; i++)
        mark_fixed(s, &b->node[i]);
    for (int i = 0; i < b->n_node; i++)
        join_node(s, &b->node[i]);
}

void
qs_same_scale_find(const struct qs_model *m, const struct qs_edges *e, const bool *rounded,
                   struct qs_same_scale *out)
{
    const size_t n = (size_t)m->n_var + 1;
    struct sets s = {.m = m, .e = e};
    int32_t *first = qs_xmalloc(n * sizeof(*first)); /* rounded member of the set with that root */
    s.up = qs_xcalloc(n, sizeof(*s.up));
    s.fixed = qs_xcalloc(n, sizeof(*s.fixed));
    join_all(&s);
    *out = (struct qs_same_scale){.n_var = m->n_var};
    out->group = qs_xcalloc(n, sizeof(*out->group));
    out->size = qs_xcalloc(n, sizeof(*out->size));
    for (int v = 0; v < m->n_var; v++)
        first[v] = -1;
    for (int v = 0; v < m->n_var; v++) {
        int32_t *f = &first[root_of(&s, v)];
        if (rounded[v] && *f < 0)
            *f = v;
        out->group[v] = rounded[v] ? *f : -1;
        if (rounded[v])
            out->size[*f]++;
    }
    for (int v = 0; v < m->n_var; v++) {
        if (out->group[v] >= 0 && out->size[out->group[v]] < 2)
            out->group[v] = -1;
        out->n_member += out->group[v] >= 0;
        out->n_group += out->group[v] == v;
    }
    free(first);
    free(s.up);
    free(s.fixed);
}

int
qs_same_scale_apply(const struct qs_same_scale *s, const bool *by_hand, double *threshold,
                    int32_t *from)
{
    int32_t *ruler = qs_xmalloc(((size_t)s->n_var + 1) * sizeof(*ruler)); /* of groups */
    int changed = 0;
    for (int v = 0; v < s->n_var; v++)
        ruler[v] = -1;
    for (int v = 0; v < s->n_var; v++) {
        int32_t *r = s->group[v] < 0 ? NULL : &ruler[s->group[v]];
        if (!r || isnan(threshold[v]))
            continue;
        if (*r < 0 || (by_hand[v] == by_hand[*r] ? threshold[v] > threshold[*r] : by_hand[v]))
            *r = v;
    }
    for (int v = 0; v < s->n_var; v++) {
        const int32_t r = s->group[v] < 0 ? -1 : ruler[s->group[v]];
        const bool differs = r >= 0 && !isnan(threshold[v]) && threshold[v] != threshold[r];
        from[v] = differs ? r : v;
        threshold[v] = threshold[from[v]];
        changed += differs;
    }
    free(ruler);
    return changed;
}

void
qs_same_scale_release(struct qs_same_scale *s)
{
    free(s->group);
    free(s->size);
    *s = (struct qs_same_scale){0};
}
