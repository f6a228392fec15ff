/* SPDX-License-Identifier: Apache-2.0 */
#include "model/static_notes.h"

#include <stdlib.h>

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
