/* SPDX-License-Identifier: Apache-2.0 */
#include "model/static_notes.h"

#include <stdlib.h>

#include "base/mem.h"

void
qs_static_notes_release(struct qs_static_notes *n)
{
    for (int i = 0; i < n->n_weight; i++) {
        free(n->weight[i].threshold);
        qs_buf_unref(n->weight[i].q);
    }
    for (int i = 0; i < n->n_node; i++)
        free(n->node[i].all);
    free(n->act);
    free(n->weight);
    free(n->node);
    *n = (struct qs_static_notes){0};
}

/* Room for entry n: twice as much at every power of two. */
static void *
one_more(void *array, int n, size_t size)
{
    return (n & (n - 1)) == 0 ? qs_xrealloc(array, (n ? 2 * (size_t)n : 1) * size) : array;
}

int
qs_static_add_act(struct qs_static_notes *n, struct qs_quant_act act)
{
    n->act = one_more(n->act, n->n_act, sizeof(act));
    n->act[n->n_act] = act;
    return n->n_act++;
}

int
qs_static_add_weight(struct qs_static_notes *n, struct qs_quant_weight weight)
{
    n->weight = one_more(n->weight, n->n_weight, sizeof(weight));
    n->weight[n->n_weight] = weight;
    return n->n_weight++;
}

int
qs_static_add_node(struct qs_static_notes *n, struct qs_quant_node node)
{
    n->node = one_more(n->node, n->n_node, sizeof(node));
    n->node[n->n_node] = node;
    return n->n_node++;
}

void
qs_static_add_read(struct qs_quant_node *q, int act)
{
    q->all = one_more(q->all, q->n_all, sizeof(*q->all));
    q->all[q->n_all++] = act;
    if (q->n_all == 1)
        q->act = act;
    else if (q->n_all == 2)
        q->act2 = act;
}

int
qs_static_find_node(const struct qs_static_notes *n, int32_t node)
{
    int lo = 0, hi = n->n_node;
    while (lo < hi) {
        const int mid = lo + (hi - lo) / 2;
        if (n->node[mid].node < node)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n->n_node && n->node[lo].node == node ? lo : -1;
}

int
qs_static_find_weight(const struct qs_static_notes *n, int32_t var)
{
    for (int i = 0; i < n->n_weight; i++)
        if (n->weight[i].var == var)
            return i;
    return -1;
}
