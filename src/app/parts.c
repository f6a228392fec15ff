/* SPDX-License-Identifier: Apache-2.0 */
#include "app/parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void
qs_parts_init(struct qs_parts *p, const struct qs_model *m, const struct qs_static_notes *notes)
{
    const struct qs_block *b = &m->block[0];
    *p = (struct qs_parts){.model = m, .notes = notes, .n = notes->n_node};
    p->maker = qs_xmalloc(((size_t)m->n_var + 1) * sizeof(*p->maker));
    for (int32_t v = 0; v < m->n_var; v++)
        p->maker[v] = -1;
    for (int32_t i = 0; i < b->n_node; i++)
        for (int s = 0; s < b->node[i].n_out; s++)
            for (int k = 0; k < b->node[i].out[s].n; k++)
                p->maker[b->node[i].out[s].var[k]] = i;
}

void
qs_parts_release(struct qs_parts *p)
{
    free(p->maker);
    *p = (struct qs_parts){0};
}

static int
part_of_node(const struct qs_parts *p, int32_t node)
{
    int i = 0;
    while (i + 1 < p->n && p->notes->node[i + 1].node <= node)
        i++;
    return i;
}

static int32_t
maker_of(const struct qs_parts *p, const char *name)
{
    for (int32_t v = 0; v < p->model->n_var; v++)
        if (strcmp(p->model->var[v].name, name) == 0)
            return p->maker[v];
    return -1;
}

int *
qs_parts_of_steps(const struct qs_parts *p, const struct qs_fast *f)
{
    const int n = qs_fast_n_steps(f);
    int *part_of = qs_xcalloc((size_t)n + 1, sizeof(*part_of));
    for (int i = 0; i < n; i++)
        part_of[i] = part_of_node(p, maker_of(p, qs_fast_step(f, i).name));
    return part_of;
}

void
qs_parts_note(const struct qs_parts *p, const struct qs_fast *f, const int *part_of, double *best)
{
    double *part = qs_xcalloc((size_t)p->n + 1, sizeof(*part));
    for (int i = 0; i < qs_fast_n_steps(f); i++)
        part[part_of[i]] += qs_fast_step(f, i).seconds;
    for (int i = 0; i < p->n; i++)
        best[i] = part[i] < best[i] ? part[i] : best[i];
    free(part);
}
