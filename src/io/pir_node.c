/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes under construction: slots, results, refusals. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "io/pir.h"
#include "model/op.h"

typedef struct pir_reader R;
typedef struct pir_block B;

struct pir_node
pir_start(const char *type)
{
    return (struct pir_node){.node = {.type = type, .is_target = -1}};
}

void
pir_add_slot(R *r, struct pir_node *n, bool is_out, const char *name, const int32_t *var, int n_var)
{
    struct qs_slot **list = is_out ? &n->out : &n->in;
    int *count = is_out ? &n->node.n_out : &n->node.n_in;
    struct qs_slot *s = qs_arena_grow(&r->m->arena, (void **)list, *count,
                                      is_out ? &n->cap_out : &n->cap_in, sizeof(*s));
    ++*count;
    s->name = qs_arena_strdup(&r->m->arena, name);
    s->n = n_var;
    s->var = (const int32_t *)qs_arena_memdup(&r->m->arena, var, (size_t)n_var * sizeof(*var));
}

const struct qs_slot *
pir_in_slot(const struct pir_node *n, const char *name)
{
    for (int i = 0; i < n->node.n_in; i++)
        if (strcmp(n->in[i].name, name) == 0)
            return &n->in[i];
    return NULL;
}

/* Programs are written with slots sorted by name. */
static int
compare_slots(const void *a, const void *b)
{
    return strcmp(((const struct qs_slot *)a)->name, ((const struct qs_slot *)b)->name);
}

static void
sort_slots(struct qs_slot *slot, int n)
{
    if (n > 1)
        qsort(slot, (size_t)n, sizeof(*slot), compare_slots);
}

int
pir_append(R *r, struct qs_node **list, int *n_list, int *cap, struct pir_node *n, bool known)
{
    sort_slots(n->in, n->node.n_in);
    sort_slots(n->out, n->node.n_out);
    struct qs_node *node = qs_arena_grow(&r->scratch, (void **)list, *n_list, cap, sizeof(*node));
    *node = n->node;
    node->type = qs_arena_strdup(&r->m->arena, n->node.type);
    node->op = known ? qs_op_find(node->type) : NULL;
    node->in = n->in;
    node->out = n->out;
    node->attr = n->attr;
    return (*n_list)++;
}

int
pir_emit(R *r, B *b, struct pir_node *n)
{
    return pir_append(r, &b->node, &b->n_node, &b->cap_node, n, true);
}

/* A node with one input and one output. */
void
pir_emit_simple(R *r, B *b, const char *type, const char *in_slot, int32_t in, int32_t out)
{
    struct pir_node n = pir_start(type);
    pir_add_slot(r, &n, false, in_slot, &in, 1);
    pir_add_slot(r, &n, true, "Out", &out, 1);
    pir_emit(r, b, &n);
}

/* Values in slots */

/* A list or constant is spread wherever it is read: a small file must not become a huge model. */
enum qs_err
pir_spend(R *r, int64_t n)
{
    if ((size_t)n > r->budget)
        return qs_fail(r->cx, QS_ERR_FORMAT, _("the program repeats its lists too often"));
    r->budget -= (size_t)n;
    return QS_OK;
}

/* A value as a slot: one variable, or those of a list. */
enum qs_err
pir_add_value(R *r, B *b, struct pir_node *n, bool is_out, const char *slot, struct pir_value *v)
{
    struct pir_value **item = v->item ? v->item : &v;
    const int n_item = v->item ? v->n_item : 1;
    enum qs_err err = pir_spend(r, n_item);
    if (err)
        return err;
    int32_t *var = qs_arena_calloc(&r->scratch, (size_t)n_item + 1, sizeof(*var));
    for (int i = 0; i < n_item; i++) {
        err = pir_var(r, b, item[i], &var[i]);
        if (err)
            return err;
    }
    pir_add_slot(r, n, is_out, slot, var, n_item);
    return QS_OK;
}

/* Variables of results */

void
pir_bind(struct pir_value *v, const B *b, int32_t var)
{
    v->var = var;
    v->block = b->idx;
}

/* The elements of a result that is a list become values of their own. */
static enum qs_err
make_items(R *r, B *b, struct pir_value *v, const json_t *list, const char *stem, int *k)
{
    const int n = (int)json_array_size(list);
    v->item = qs_arena_calloc(&r->scratch, (size_t)n + 1, sizeof(struct pir_value *));
    v->n_item = n;
    v->block = b->idx;
    for (int i = 0; i < n; i++) {
        struct pir_value *e = qs_arena_calloc(&r->scratch, 1, sizeof(*e));
        *e = (struct pir_value){.type = json_array_get(list, (size_t)i), .made = true};
        char name[32];
        snprintf(name, sizeof(name), ".tmp_%d", (*k)++);
        int32_t var = -1;
        const char *full = qs_arena_printf(&r->scratch, "%s%s", stem, name);
        const enum qs_err err = pir_new_var(r, b, full, e->type, &var);
        if (err)
            return err;
        pir_bind(e, b, var);
        v->item[i] = e;
    }
    return QS_OK;
}

/* A variable, or several, for a result. */
enum qs_err
pir_make_result(R *r, B *b, struct pir_value *v, const char *stem, int *k)
{
    const json_t *list = pir_list_type(v->type);
    if (list)
        return make_items(r, b, v, list, stem, k);
    int32_t var = -1;
    const char *name = qs_arena_printf(&r->scratch, "%s.tmp_%d", stem, (*k)++);
    const enum qs_err err = pir_new_var(r, b, name, v->type, &var);
    pir_bind(v, b, var);
    return err;
}

/* Whether the result of an in-place operator must live in the variable of its operand: somebody
 * else reads that, or reads it again in the next round of a loop. */
bool
pir_must_alias(const B *b, const struct pir_value *in, const struct pir_value *out)
{
    return in && !in->item && (in->uses > 1 || in->block != b->idx) &&
           json_equal(in->type, out->type);
}

enum qs_err
pir_alias(R *r, B *b, struct pir_value *in, struct pir_value *out)
{
    int32_t var = -1;
    const enum qs_err err = pir_var(r, b, in, &var);
    pir_bind(out, b, var);
    in->num = NULL; /* changed: no constant any more */
    return err;
}

enum qs_err
pir_make_in_place(R *r, B *b, const char *type, struct pir_value *in, struct pir_value *out)
{
    int k = 0;
    return pir_must_alias(b, in, out) ? pir_alias(r, b, in, out)
                                      : pir_make_result(r, b, out, pir_stem(r, type), &k);
}

/* A variable of the type of `like`, of another element type. */
enum qs_err
pir_var_like(R *r, B *b, const char *type, const json_t *like, int32_t dtype, int32_t *var)
{
    const char *name = qs_arena_printf(&r->scratch, "%s.tmp_0", pir_stem(r, type));
    const enum qs_err err = pir_new_var(r, b, name, like, var);
    if (!err)
        r->m->var[*var].dtype = dtype;
    return err;
}

/* Refusals */

enum qs_err
pir_malformed(R *r, const struct pir_op *op)
{
    return qs_fail(r->cx, QS_ERR_FORMAT, _("operator '%s' is malformed"), op->name);
}

enum qs_err
pir_need(R *r, const struct pir_op *op, int n_in, int n_out)
{
    bool good = op->n_in >= n_in && op->n_out >= n_out;
    for (int i = 0; good && i < n_in; i++)
        good = op->in[i] != NULL;
    for (int i = 0; good && i < n_out; i++)
        good = op->out[i] != NULL;
    return good ? QS_OK : pir_malformed(r, op);
}
