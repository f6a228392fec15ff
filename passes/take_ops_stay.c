/* SPDX-License-Identifier: Apache-2.0 */
/* Which quantization operators have no place in the notes, and what hangs together with them. */
#include <stdlib.h>

#include "base/mem.h"
#include "passes/take_ops.h"

struct link {
    int a, b; /* nodes that stay together or go together */
};
struct finding {
    struct qs_take_walk *a;
    int *last; /* [n_var] node that made its value, observers looked through; -1 */
    int *from; /* [n_node] that made X of a quantization operator; -1 */
    struct link *link;
    int n_link, cap_link;
};

static void
add_link(struct finding *f, int a, int b)
{
    if (f->n_link == f->cap_link) {
        f->cap_link = f->cap_link ? 2 * f->cap_link : 16;
        f->link = qs_xrealloc(f->link, (size_t)f->cap_link * sizeof(*f->link));
    }
    f->link[f->n_link++] = (struct link){a, b};
}

/* NULL: node i is no quantization operator, or there is none (-1). */
static const struct qs_quantizer *
op_at(const struct finding *f, int i)
{
    return i < 0 ? NULL : qs_quantizer_of(qs_take_node_at(f->a, i));
}

static bool
reads_constant(const struct finding *f, int i)
{
    const int32_t x = qs_node_input(qs_take_node_at(f->a, i), "X", 0);
    return x >= 0 && qs_take_is_constant(f->a, x);
}

/* Whether the node at i rounds an activation: a quantizer, or the way back from one. */
static bool
rounds(const struct finding *f, int i)
{
    const struct qs_quantizer *op = op_at(f, i);
    if (!op || op->does == QS_WATCHES || op->does == QS_TO_INTEGERS)
        return false;
    if (op->does == QS_ROUNDS)
        return !reads_constant(f, i);
    const struct qs_quantizer *of = op_at(f, f->from[i]);
    return of && of->does == QS_TO_INTEGERS && !reads_constant(f, f->from[i]);
}

static bool
same_rounding(const struct finding *f, int i, int k)
{
    const int first = op_at(f, i)->does == QS_TO_FLOAT ? f->from[i] : i;
    const struct qs_node *x = qs_take_node_at(f->a, first), *y = qs_take_node_at(f->a, k);
    const struct qs_quantizer *ox = op_at(f, first), *oy = op_at(f, k);
    double tx, ty;
    return qs_quantizer_threshold(ox, f->a->m, x, &tx) &&
           qs_quantizer_threshold(oy, f->a->m, y, &ty) && tx == ty &&
           qs_quantizer_bits(ox, x) == qs_quantizer_bits(oy, y) &&
           qs_quantizer_is_away(ox, x) == qs_quantizer_is_away(oy, y);
}

/* Whether a quantizer of an activation has no place in the notes; rounding twice keeps the first.
 */
static bool
must_stay(const struct finding *f, const struct qs_quantizer *op, int i)
{
    const struct qs_node *node = qs_take_node_at(f->a, i);
    double t;
    if (qs_node_input(node, "X", 0) < 0 || op->does == QS_TO_FLOAT || reads_constant(f, i))
        return false;
    const int src = f->from[i];
    const struct qs_quantizer *of = op_at(f, src);
    const bool integers = of && of->does == QS_TO_INTEGERS;
    if (integers || (rounds(f, src) && !same_rounding(f, src, i)))
        f->a->stay[src] = true;
    return integers || !qs_quantizer_threshold(op, f->a->m, node, &t) ||
           qs_quantizer_bits(op, node) == 0;
}

/* An operator that multiplies integers hangs together with who made them and who scales them. */
static void
link_reads(struct finding *f, int i)
{
    const struct qs_node *node = qs_take_node_at(f->a, i);
    for (int s = 0; s < node->n_in; s++)
        for (int k = 0; k < node->in[s].n; k++) {
            const int src = f->last[node->in[s].var[k]];
            const struct qs_quantizer *of = op_at(f, src);
            if (of && of->does == QS_TO_INTEGERS &&
                !qs_quantizer_only_watches(of, qs_take_node_at(f->a, src)))
                add_link(f, i, src);
        }
}

static void
spread(const struct finding *f)
{
    bool *stay = f->a->stay;
    bool changed = true;
    while (changed) {
        changed = false;
        for (int k = 0; k < 2 * f->n_link; k++) { /* there and back */
            const struct link *x = &f->link[k < f->n_link ? k : 2 * f->n_link - 1 - k];
            changed = changed || stay[x->a] != stay[x->b];
            stay[x->a] = stay[x->b] = stay[x->a] || stay[x->b];
        }
    }
}

static void
note_writer(struct finding *f, int i, bool look_through)
{
    const struct qs_node *node = qs_take_node_at(f->a, i);
    const int32_t x = qs_node_input(node, "X", 0);
    const int by = look_through && x >= 0 ? f->last[x] : i;
    for (int s = 0; s < node->n_out; s++)
        for (int k = 0; k < node->out[s].n; k++)
            f->last[node->out[s].var[k]] = by;
}

static bool
writes_any(const struct qs_node *node, const bool *var)
{
    for (int s = 0; s < node->n_out; s++)
        for (int k = 0; k < node->out[s].n; k++)
            if (var[node->out[s].var[k]])
                return true;
    return false;
}

static void
look_at(struct finding *f, int i)
{
    struct qs_take_walk *a = f->a;
    const struct qs_node *node = qs_take_node_at(a, i);
    const struct qs_quantizer *op = qs_quantizer_of(node);
    const bool watches = op && qs_quantizer_only_watches(op, node);
    const int32_t x = op ? qs_node_input(node, "X", 0) : -1;
    f->from[i] = x < 0 ? -1 : f->last[x];
    if (op && !watches && must_stay(f, op, i))
        a->stay[i] = true;
    if (op && writes_any(node, a->elsewhere))
        a->stay[i] = true;
    if (!op)
        link_reads(f, i);
    else if (op->does == QS_TO_FLOAT && !watches && f->from[i] >= 0)
        add_link(f, i, f->from[i]);
    note_writer(f, i, watches && !a->stay[i]);
}

void
qs_take_find_stay(struct qs_take_walk *a)
{
    const int n = a->m->block[0].n_node;
    struct finding f = {.a = a};
    f.last = qs_xmalloc(((size_t)a->m->n_var + 1) * sizeof(*f.last));
    f.from = qs_xmalloc(((size_t)n + 1) * sizeof(*f.from));
    for (int v = 0; v < a->m->n_var; v++)
        f.last[v] = -1;
    for (int i = 0; i < n; i++)
        look_at(&f, i);
    spread(&f);
    free(f.link);
    free(f.from);
    free(f.last);
}
