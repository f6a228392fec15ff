/* SPDX-License-Identifier: Apache-2.0 */
/* PIR operators that make no node of their own: lists, parameters, inputs and outputs. */
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "io/pir.h"

typedef struct pir_reader R;
typedef struct pir_block B;

/* Lists */

enum qs_err
pir_op_combine(R *r, B *b, const struct pir_op *op)
{
    const enum qs_err err = pir_need(r, op, op->n_in, 1);
    if (err)
        return err;
    struct pir_value *v = op->out[0];
    v->item = qs_arena_calloc(&r->scratch, (size_t)op->n_in + 1, sizeof(struct pir_value *));
    memcpy(v->item, op->in, (size_t)op->n_in * sizeof(struct pir_value *));
    v->n_item = op->n_in;
    v->block = b->idx;
    v->made = true;
    return QS_OK;
}

/* Result `to` is element `i` of the list that the operator reads. */
static enum qs_err
take_item(R *r, B *b, const struct pir_op *op, int64_t i, struct pir_value *to)
{
    const struct pir_value *list = op->in[0];
    if (!list->item || i < 0 || i >= list->n_item)
        return pir_malformed(r, op);
    struct pir_value *e = list->item[i];
    int32_t var = -1;
    const enum qs_err err = pir_var(r, b, e, &var);
    to->var = var;
    to->block = e->block;
    to->num = e->num;
    to->n_num = e->n_num;
    to->made = true;
    return err;
}

enum qs_err
pir_op_split(R *r, B *b, const struct pir_op *op)
{
    enum qs_err err = pir_need(r, op, 1, 0);
    for (int i = 0; i < op->n_out && !err; i++)
        if (op->out[i])
            err = take_item(r, b, op, i, op->out[i]);
    return err;
}

enum qs_err
pir_op_pick(R *r, B *b, const struct pir_op *op)
{
    struct pir_num *num = NULL;
    int n = 0;
    enum qs_err err = pir_need(r, op, 1, 1);
    if (!err)
        err = pir_attr_nums(r, op, "index", &num, &n);
    if (err || n != 1)
        return err ? err : pir_malformed(r, op);
    return take_item(r, b, op, num->i, op->out[0]);
}

/* Parameters, inputs, outputs */

/* Compressed: "A":[is_distributed,is_parameter,need_clip,name], "OA":[persistable,stop_gradient,
 * trainable]; plain: named attributes. */
enum qs_err
pir_op_parameter(R *r, B *b, const struct pir_op *op)
{
    const bool is_plain = pir_attr(op, "parameter_name") != NULL;
    const char *name = is_plain ? pir_text(pir_attr(op, "parameter_name"))
                                : json_string_value(json_array_get(op->attr, 3));
    const enum qs_err wrong = pir_need(r, op, 0, 1);
    if (wrong || !name || !*name)
        return wrong ? wrong : pir_malformed(r, op);
    int32_t var = -1;
    const enum qs_err err = pir_new_var(r, b, name, op->out[0]->type, &var);
    if (err)
        return err;
    struct qs_var *v = &r->m->var[var];
    const json_t *flags = json_object_get(op->json, "OA");
    v->persistable = 1;
    v->is_parameter = is_plain || json_integer_value(json_array_get(op->attr, 1)) == 1;
    v->stop_gradient = !is_plain && json_integer_value(json_array_get(flags, 1)) == 1;
    pir_bind(op->out[0], b, var);
    op->out[0]->made = true;
    return QS_OK;
}

/* The persistable variables that feed and fetch go through. */
static int32_t
holder(R *r, B *b, int32_t *var, const char *name, enum qs_container container)
{
    if (*var >= 0 || pir_new_var(r, b, name, NULL, var))
        return *var;
    struct qs_var *v = &r->m->var[*var];
    v->container = container;
    v->dtype = -1;
    v->n_dims = -1;
    v->persistable = 1;
    return *var;
}

static enum qs_err
column(R *r, const struct pir_op *op, int otherwise, int64_t *col)
{
    struct pir_num *num = NULL;
    int n = 0;
    *col = otherwise;
    if (!pir_attr(op, "col"))
        return QS_OK;
    const enum qs_err err = pir_attr_nums(r, op, "col", &num, &n);
    if (err || n != 1 || !num->is_int || num->i < 0 || num->i > INT32_MAX)
        return err ? err : pir_malformed(r, op);
    *col = num->i;
    return QS_OK;
}

static enum qs_err
only_outside(R *r, const B *b, const struct pir_op *op)
{
    return b->outer
               ? qs_fail(r->cx, QS_ERR_UNSUPPORTED, _("operator '%s' in control flow"), op->name)
               : QS_OK;
}

static void
add_port(R *r, const char *type, int32_t from, int32_t to, int64_t col, struct qs_node **list,
         int *n_list, int *cap)
{
    struct pir_node n = pir_start(type);
    pir_add_slot(r, &n, false, "X", &from, 1);
    pir_add_slot(r, &n, true, "Out", &to, 1);
    pir_add_int(r, &n, "col", QS_ATTR_INT, col);
    pir_append(r, list, n_list, cap, &n, true);
}

enum qs_err
pir_op_data(R *r, B *b, const struct pir_op *op)
{
    const char *name = pir_text(pir_attr(op, "name"));
    enum qs_err err = pir_need(r, op, 0, 1);
    if (!err)
        err = only_outside(r, b, op);
    if (err || !name || !*name)
        return err ? err : pir_malformed(r, op);
    int64_t col;
    int32_t var = -1;
    err = column(r, op, r->n_feed, &col);
    if (!err)
        err = pir_new_var(r, b, name, op->out[0]->type, &var);
    if (err)
        return err;
    r->m->var[var].need_check_feed = 1;
    r->m->var[var].stop_gradient = 1;
    pir_bind(op->out[0], b, var);
    op->out[0]->made = true;
    const int32_t from = holder(r, b, &r->feed_var, "feed", QS_FEED_MINIBATCH);
    add_port(r, "feed", from, var, col, &r->feed, &r->n_feed, &r->cap_feed);
    return QS_OK;
}

enum qs_err
pir_op_fetch(R *r, B *b, const struct pir_op *op)
{
    int64_t col;
    int32_t var = -1;
    enum qs_err err = pir_need(r, op, 1, 0);
    if (!err)
        err = only_outside(r, b, op);
    if (!err)
        err = column(r, op, r->n_fetch, &col);
    if (!err)
        err = pir_var(r, b, op->in[0], &var);
    if (err)
        return err;
    const int32_t to = holder(r, b, &r->fetch_var, "fetch", QS_FETCH_LIST);
    add_port(r, "fetch", var, to, col, &r->fetch, &r->n_fetch, &r->cap_fetch);
    if (op->n_out > 0 && op->out[0]) {
        pir_bind(op->out[0], b, var);
        op->out[0]->made = true;
    }
    return QS_OK;
}
