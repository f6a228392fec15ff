/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paddle 2.6 drops "extra" attributes and outputs when it saves a program; Paddle-Lite 2.13 reads
 * some of them without asking and aborts or crashes. They are harmless to Paddle.
 * (lite/model_parser, lite/operators: relu_op.cc, activation_ops.cc, flatten_op.cc)
 */
#include <stdio.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "passes/pass.h"

static const struct {
    const char *op, *attr;
    float value;
} attribute[] = {
    {"relu6", "threshold", 6.0f},
    {"swish", "beta", 1.0f},
};

static const char *const needs_xshape[] = {"flatten_contiguous_range", "flatten2"};

static int
restore_attributes(struct qs_model *m, struct qs_node *node)
{
    int n = 0;
    for (size_t i = 0; i < QS_LEN(attribute); i++) {
        if (strcmp(node->type, attribute[i].op) != 0 || qs_node_attr(node, attribute[i].attr))
            continue;
        qs_node_set_float(m, node, attribute[i].attr, attribute[i].value);
        n++;
    }
    return n;
}

static int
restore_xshape(struct qs_model *m, int32_t block, struct qs_node *node)
{
    bool needed = false;
    for (size_t i = 0; i < QS_LEN(needs_xshape); i++)
        needed = needed || strcmp(node->type, needs_xshape[i]) == 0;
    const int32_t out = qs_node_output(node, "Out", 0);
    if (!needed || out < 0 || qs_node_output(node, "XShape", 0) >= 0)
        return 0;
    char name[512];
    snprintf(name, sizeof(name), "%.480s.xshape", m->var[out].name);
    for (int i = 1; qs_model_find_var(m, block, name) >= 0; i++)
        snprintf(name, sizeof(name), "%.480s.xshape_%d", m->var[out].name, i);
    const int32_t var = qs_model_add_var(m, block, name);
    m->var[var].persistable = 0;
    m->var[var].n_dims = 0;
    m->var[var].lod_level = 0;
    m->var[var].has_lod_level = 1;
    qs_model_declare(m, var);
    qs_model_index(m);
    qs_node_set_out(m, node, "XShape", &var, 1);
    return 1;
}

int
qs_lite_legalize(struct qs_model *m)
{
    int n = 0;
    for (int32_t b = 0; b < m->n_block; b++)
        for (int i = 0; i < m->block[b].n_node; i++) {
            n += restore_attributes(m, &m->block[b].node[i]);
            n += restore_xshape(m, b, &m->block[b].node[i]);
        }
    return n;
}

static enum qs_err
run(struct qs_ctx *cx, struct qs_pass_state *st)
{
    (void)cx;
    st->n_restored += qs_lite_legalize(st->model);
    if (st->test)
        qs_lite_legalize(st->test);
    return QS_OK;
}

const struct qs_pass qs_pass_lite_legalize = {
    .name = "lite_legalize",
    .summary = N_("put back what Paddle 2.6 leaves out and Paddle-Lite insists on"),
    .run = run,
};
