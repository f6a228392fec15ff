/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_v2 with a constant 2-D Y and no transposition is mul with x_num_col_dims = rank(X) - 1:
 * the form of a fully connected layer whose integer weights Paddle-Lite reads.
 */
#include "base/i18n.h"
#include "passes/pass.h"

static void
rewrite(struct qs_model *m, struct qs_node *node)
{
    const int32_t x = qs_node_input(node, "X", 0);
    qs_node_set_type(m, node, "mul");
    qs_node_drop_attr(m, node, "trans_x");
    qs_node_drop_attr(m, node, "trans_y");
    qs_node_set_int(m, node, "x_num_col_dims", m->var[x].n_dims - 1);
    qs_node_set_int(m, node, "y_num_col_dims", 1);
}

static void
rewrite_users(const struct qs_edges *e, int32_t var, struct qs_model *m)
{
    for (int i = 0; i < e->n_reader[var]; i++) {
        const struct qs_ref r = e->reader[var][i];
        rewrite(m, &m->block[r.block].node[r.node]);
    }
}

static enum qs_err
run(struct qs_ctx *cx, struct qs_pass_state *st)
{
    (void)cx;
    for (int i = 0; i < st->layers->n; i++) {
        if (!st->decisions->layer[i].to_mul)
            continue;
        rewrite_users(st->edges, st->layers->layer[i].var, st->model);
        if (st->test)
            rewrite_users(st->edges, st->layers->layer[i].var, st->test);
    }
    return QS_OK;
}

const struct qs_pass qs_pass_matmul_to_mul = {
    .name = "matmul_to_mul",
    .summary = N_("rewrite matmul_v2 with a constant 2-D weight to mul for Paddle-Lite"),
    .run = run,
};
