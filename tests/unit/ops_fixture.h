/* SPDX-License-Identifier: Apache-2.0 */
/* Programs made node by node, for tests of shape rules. */
#ifndef QS_TESTS_OPS_FIXTURE_H
#define QS_TESTS_OPS_FIXTURE_H

#include "model/graph.h"

/* A block at the end, its parent the one before, with room for n_node nodes. */
void add_block(struct qs_model *m, int n_node);
/* A declared variable; n dims, -1 unknown. */
int32_t add_tensor(struct qs_model *m, const char *name, int32_t dtype, int n, const int64_t *d);
/* Node i of a block gets its type. */
struct qs_node *set_node(struct qs_model *m, int block, int i, const char *type);
/* One variable as an input or output. */
void put(struct qs_model *m, struct qs_node *node, bool out, const char *slot, int32_t var);
/* An attribute that names a block. */
void set_block_attr(struct qs_model *m, struct qs_node *node, const char *name, int64_t block);

#endif
