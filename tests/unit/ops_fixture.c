/* SPDX-License-Identifier: Apache-2.0 */
#include "ops_fixture.h"

#include <string.h>

void
add_block(struct qs_model *m, int n_node)
{
    struct qs_block *old = m->block;
    m->block = qs_arena_calloc(&m->arena, (size_t)m->n_block + 1, sizeof(*m->block));
    if (m->n_block)
        memcpy(m->block, old, (size_t)m->n_block * sizeof(*old));
    struct qs_block *b = &m->block[m->n_block];
    b->idx = m->n_block;
    b->parent = m->n_block - 1;
    b->node = qs_arena_calloc(&m->arena, (size_t)n_node, sizeof(*b->node));
    b->n_node = n_node;
    m->n_block++;
}

int32_t
add_tensor(struct qs_model *m, const char *name, int32_t dtype, int n, const int64_t *d)
{
    const int32_t id = qs_model_add_var(m, 0, name);
    struct qs_var *v = &m->var[id];
    v->dtype = dtype;
    v->n_dims = n;
    v->dims =
        (const int64_t *)(const void *)qs_arena_memdup(&m->arena, d, (size_t)(n > 0 ? n : 0) * 8);
    qs_model_declare(m, id);
    return id;
}

struct qs_node *
set_node(struct qs_model *m, int block, int i, const char *type)
{
    struct qs_node *node = &m->block[block].node[i];
    qs_node_set_type(m, node, type);
    return node;
}

void
put(struct qs_model *m, struct qs_node *node, bool out, const char *slot, int32_t var)
{
    if (out)
        qs_node_set_out(m, node, slot, &var, 1);
    else
        qs_node_set_in(m, node, slot, &var, 1);
}

void
set_block_attr(struct qs_model *m, struct qs_node *node, const char *name, int64_t block)
{
    qs_node_set_int(m, node, name, block);
    for (int i = 0; i < node->n_attr; i++)
        if (strcmp(node->attr[i].name, name) == 0)
            ((struct qs_attr *)node->attr)[i].type = QS_ATTR_BLOCK;
}
