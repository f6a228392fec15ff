/* SPDX-License-Identifier: Apache-2.0 */
/* Control flow of PIR: regions become blocks, what they yield is assigned to variables. */
#include <stdlib.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "io/pir.h"

typedef struct pir_reader R;
typedef struct pir_block B;

static int
compare_ids(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* The variables of outer blocks that the nodes of a finished block read, once each. */
static int32_t *
outer_reads(R *r, int32_t block, int *n)
{
    const struct qs_block *b = &r->m->block[block];
    size_t most = 0;
    for (int i = 0; i < b->n_node; i++)
        for (int s = 0; s < b->node[i].n_in; s++)
            most += (size_t)b->node[i].in[s].n;
    int32_t *list = qs_arena_calloc(&r->scratch, most + 1, sizeof(*list));
    int count = 0;
    for (int i = 0; i < b->n_node; i++)
        for (int s = 0; s < b->node[i].n_in; s++)
            for (int k = 0; k < b->node[i].in[s].n; k++)
                if (r->m->var[b->node[i].in[s].var[k]].block != block)
                    list[count++] = b->node[i].in[s].var[k];
    if (count)
        qsort(list, (size_t)count, sizeof(*list), compare_ids);
    *n = 0;
    for (int i = 0; i < count; i++)
        if (i == 0 || list[i] != list[i - 1])
            list[(*n)++] = list[i];
    return list;
}

static enum qs_err
scope_var(R *r, B *b, const char *type, int32_t *var)
{
    const char *name = qs_arena_printf(&r->scratch, "%s.scope", pir_stem(r, type));
    const enum qs_err err = pir_new_var(r, b, name, NULL, var);
    if (err)
        return err;
    r->m->var[*var].container = QS_STEP_SCOPES;
    r->m->var[*var].dtype = -1;
    return QS_OK;
}

static enum qs_err
open_block(R *r, B *outer, const struct pir_op *op, int region, B *inner, const json_t **json)
{
    if (outer->depth >= PIR_NESTING_MOST)
        return qs_fail(r->cx, QS_ERR_FORMAT, _("control flow is nested more than %d deep"),
                       PIR_NESTING_MOST);
    const enum qs_err err = pir_region(r, op, region, json);
    *inner = (B){.outer = outer, .depth = outer->depth + 1, .idx = r->m->n_block++};
    return err;
}

/* How the operator that runs a block calls its slots. */
static const struct flow {
    const char *type, *reads, *cond, *scope, *flag;
} flow_if = {"conditional_block", "Input", "Cond", "Scope", "is_scalar_condition"},
  flow_while = {"while", "X", "Condition", "StepScopes", "is_test"};

/* The block is complete: the node that runs it, in the block outside. */
static enum qs_err
close_block(R *r, B *b, B *inner, const struct flow *flow, int32_t cond, const int32_t *out,
            int n_out)
{
    int32_t scope = -1;
    int n_read = 0;
    enum qs_err err = pir_finish(r, inner);
    if (!err)
        err = scope_var(r, b, flow->type, &scope);
    if (err)
        return err;
    struct pir_node n = pir_start(flow->type);
    const int32_t *read = outer_reads(r, inner->idx, &n_read);
    pir_add_slot(r, &n, false, flow->cond, &cond, 1);
    pir_add_slot(r, &n, false, flow->reads, read, n_read);
    pir_add_slot(r, &n, true, "Out", out, n_out);
    pir_add_slot(r, &n, true, flow->scope, &scope, 1);
    pir_add_int(r, &n, flow->flag, QS_ATTR_BOOLEAN, 1);
    pir_add_int(r, &n, "sub_block", QS_ATTR_BLOCK, inner->idx);
    pir_emit(r, b, &n);
    return QS_OK;
}

/* Region `i` as a conditional_block that leaves its results in `result`. */
static enum qs_err
branch(R *r, B *b, const struct pir_op *op, int i, int32_t cond, const int32_t *result)
{
    B inner;
    const json_t *json = NULL;
    struct pir_value **yield = NULL;
    int n_yield = 0;
    enum qs_err err = open_block(r, b, op, i, &inner, &json);
    if (!err)
        err = pir_read_ops(r, &inner, json_object_get(json, "ops"), &yield, &n_yield);
    if (!err && n_yield != op->n_out)
        err = pir_malformed(r, op);
    for (int k = 0; k < n_yield && !err; k++) {
        int32_t var = -1;
        err = yield[k] ? pir_var(r, &inner, yield[k], &var) : pir_malformed(r, op);
        if (!err)
            pir_emit_simple(r, &inner, "assign", "X", var, result[k]);
    }
    return err ? err : close_block(r, b, &inner, &flow_if, cond, result, op->n_out);
}

/* Two conditional blocks, on the condition and on its opposite, that write the same variables. */
enum qs_err
pir_op_if_else(R *r, B *b, const struct pir_op *op)
{
    int32_t cond = -1, no = -1;
    int k = 0;
    int32_t *result = qs_arena_calloc(&r->scratch, (size_t)op->n_out + 1, sizeof(*result));
    const char *stem = pir_stem(r, "conditional_block");
    enum qs_err err = pir_need(r, op, 1, op->n_out);
    if (!err)
        err = pir_var(r, b, op->in[0], &cond);
    for (int i = 0; i < op->n_out && !err; i++) {
        err = pir_make_result(r, b, op->out[i], stem, &k);
        if (!err && op->out[i]->item)
            err = pir_malformed(r, op);
        result[i] = op->out[i]->var;
    }
    if (!err)
        err = branch(r, b, op, 0, cond, result);
    if (!err)
        err = pir_var_like(r, b, "logical_not", op->in[0]->type, QS_DTYPE_bool, &no);
    if (err)
        return err;
    pir_emit_simple(r, b, "logical_not", "X", cond, no);
    err = branch(r, b, op, 1, no, result);
    for (int i = 0; i < op->n_out && !err; i++)
        op->out[i]->made = true;
    return err;
}

/* The variables that a loop carries: copies of what goes in; block arguments and results. */
static enum qs_err
carry(R *r, B *b, const struct pir_op *op, B *inner, const json_t *args, int32_t *var)
{
    const char *stem = pir_stem(r, "while");
    enum qs_err err = pir_need(r, op, op->n_in, op->n_out);
    if (!err && (op->n_in != op->n_out + 1 || (int)json_array_size(args) != op->n_out))
        err = pir_malformed(r, op);
    int k = 0;
    for (int i = 0; i < op->n_in && !err; i++) {
        const char *name = qs_arena_printf(&r->scratch, "%s.tmp_%d", stem, k++);
        int32_t from = -1;
        err = pir_var(r, b, op->in[i], &from);
        if (!err)
            err = pir_new_var(r, b, name, op->in[i]->type, &var[i]);
        if (err)
            break;
        pir_emit_simple(r, b, "assign", "X", from, var[i]);
        if (i == 0)
            continue;
        struct pir_value *arg = pir_value_of(r, json_array_get(args, (size_t)i - 1));
        if (!arg)
            return pir_malformed(r, op);
        pir_bind(arg, b, var[i]);
        arg->block = inner->idx; /* it is read there only */
        arg->made = true;
    }
    return err;
}

/* The yielded values replace the carried ones, all at once: those that are carried variables
 * themselves go through copies. */
static enum qs_err
renew(R *r, B *inner, const struct pir_op *op, const int32_t *var, struct pir_value **yield,
      int n_yield)
{
    if (n_yield != op->n_in)
        return pir_malformed(r, op);
    int32_t *from = qs_arena_calloc(&r->scratch, (size_t)n_yield + 1, sizeof(*from));
    for (int i = 0; i < n_yield; i++) {
        enum qs_err err = yield[i] ? pir_var(r, inner, yield[i], &from[i]) : pir_malformed(r, op);
        if (err)
            return err;
        const struct qs_var *v = &r->m->var[from[i]];
        if (v->block == inner->idx || from[i] == var[i])
            continue;
        int32_t copy = -1;
        err = pir_var_like(r, inner, "assign", yield[i]->type, v->dtype, &copy);
        if (err)
            return err;
        pir_emit_simple(r, inner, "assign", "X", from[i], copy);
        from[i] = copy;
    }
    for (int i = 0; i < n_yield; i++)
        if (from[i] != var[i])
            pir_emit_simple(r, inner, "assign", "X", from[i], var[i]);
    return QS_OK;
}

enum qs_err
pir_op_while_loop(R *r, B *b, const struct pir_op *op)
{
    B inner;
    const json_t *json = NULL;
    struct pir_value **yield = NULL;
    int n_yield = 0;
    int32_t *var = qs_arena_calloc(&r->scratch, (size_t)op->n_in + 1, sizeof(*var));
    enum qs_err err = pir_need(r, op, 1, 0);
    if (!err)
        err = open_block(r, b, op, 0, &inner, &json);
    if (!err)
        err = carry(r, b, op, &inner, json_object_get(json, "args"), var);
    if (!err)
        err = pir_read_ops(r, &inner, json_object_get(json, "ops"), &yield, &n_yield);
    if (!err)
        err = renew(r, &inner, op, var, yield, n_yield);
    if (!err)
        err = close_block(r, b, &inner, &flow_while, *var, var + 1, op->n_out);
    if (err)
        return err;
    for (int i = 0; i < op->n_out; i++) {
        pir_bind(op->out[i], b, var[i + 1]);
        op->out[i]->made = true;
    }
    return QS_OK;
}
